"""How values are shown to people: addresses on a line, blanks by name, times as the Dutch clock shows them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Json = Any
BLANK = "(empty)"
ZONE = ZoneInfo("Europe/Amsterdam")


def shown(value: Json) -> str:
    """A value on one line.

    >>> shown({"street": "Dorpsstraat", "number": "12", "postcode": "1034WL", "city": "Amsterdam", "country": "NL"})
    'Dorpsstraat 12, 1034WL Amsterdam, NL'
    >>> shown(None), shown(True), shown(["a", "b"])
    ('(empty)', 'yes', 'a, b')
    """
    if value is None or value in ("", [], {}, ()):
        return BLANK
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return _address(value) if {"city", "postcode", "street", "lines", "po_box"} & {*value} else _pairs(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(item) for item in value)
    return " ".join(str(value).split())


def _address(value: Mapping[str, Json]) -> str:
    if value.get("po_box"):
        first = f"Postbus {value['po_box']}"
    elif value.get("lines"):
        first = ", ".join(str(line) for line in value["lines"])
    else:
        first = " ".join(str(value[part]) for part in ("street", "number", "suffix") if value.get(part))
    town = " ".join(str(value[part]) for part in ("postcode", "city") if value.get(part))
    parts = (first, town, value.get("region"), value.get("country"))
    return ", ".join(str(part) for part in parts if part) or BLANK


def _pairs(value: Mapping[str, Json]) -> str:
    return ", ".join(f"{key} {shown(part)}" for key, part in value.items() if part not in (None, ""))


def field_name(key: str) -> str:
    """A rule key as people read it: `right:Remarks` is the field Remarks.

    >>> field_name("right:Remarks"), field_name("vat_number")
    ('Remarks', 'vat number')
    """
    side, _, name = key.partition(":")
    return name if side in ("left", "right") and name else key.replace("_", " ").replace(".", " ")


def when(at: float | None) -> str:
    """An instant as the clock on a Dutch wall showed it.

    >>> when(0.0)
    '1970-01-01 01:00'
    """
    return "" if at is None else datetime.fromtimestamp(at, ZONE).strftime("%Y-%m-%d %H:%M")


def age(seconds: float) -> str:
    """How long something has been so, roughly.

    >>> age(30), age(5400), age(3 * 86400.0)
    ('1 minute', '2 hours', '3 days')
    """
    for unit, size in (("day", 86400.0), ("hour", 3600.0)):
        if seconds >= size:
            return counted(round(seconds / size), unit)
    return counted(max(1, round(seconds / 60)), "minute")


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "call"), counted(3, "call"), counted(2, "company", "companies")
    ('1 call', '3 calls', '2 companies')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def euros(amount: str) -> str:
    """Euros as text.

    >>> euros("0.80")
    '€ 0.80'
    """
    return f"€ {Decimal(amount):.2f}"


STEPS = {
    "create": "created",
    "link": "linked",
    "update": "updated",
    "archive": "archived",
    "unlink": "unlinked",
    "ask": "asked",
    "park": "parked",
    "refuse": "refused",
}


def tally(counts: Mapping[str, Json], *, done: bool = False) -> str:
    """Counts of steps in a line; what is none is left out.

    >>> tally({"create": 3, "link": 0, "ask": 1})
    '3 to create, 1 to ask'
    >>> tally({"create": 3, "refuse": 1}, done=True)
    '3 created, 1 refused'
    """
    parts = [f"{counts[kind]} {word if done else f'to {kind}'}" for kind, word in STEPS.items() if counts.get(kind)]
    return ", ".join(parts) or "nothing"


def sided(text: str, left: str, right: str) -> str:
    """Left and right by the names people gave them.

    >>> sided("first contact: different; the left owns it", "register", "books-nl")
    'first contact: different; register owns it'
    >>> sided("right changed", "register", "books-nl"), sided("changed on both sides: left 'a', right (empty)", "crm", "erp")
    ('changed on books-nl', "changed on both sides: crm 'a', erp (empty)")
    """
    names = {"left": left, "right": right}
    text = re.sub(r"(^|: )(left|right) changed", lambda found: f"{found[1]}changed on {names[found[2]]}", text)
    text = re.sub(
        r"(: )left (.*?, )right (?=['(\w])", lambda found: f"{found[1]}{left} {found[2]}{right} ", text, count=1
    )
    return text.replace("the left", left).replace("the right", right)
