"""Steps, fields and reasons in the words of somebody who keeps the debtors, not of somebody who builds the software."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from koppel.engine.plan import Plan, Planned
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem
from koppel.model.values import Json

FIELDS = {
    "name": "name",
    "kvk": "KVK number",
    "vat_number": "VAT number",
    "address": "address",
    "right:Status": "status",
    "right:Remarks": "remarks",
    "phone": "telephone",
}
_KINDS = {"kvk": "KVK number", "vat": "VAT number"}
_ACTIONS = ("create", "link", "update", "ask", "refuse", "park")
_SHORT = {  # of a field that is put right, in a table that is long enough
    "first contact: different; the left owns it": "put right",
    "first contact: empty there": "filled in",
}


def field(key: str) -> str:
    """A field's name."""
    return FIELDS.get(key, key)


def counted(number: int, one: str, many: str) -> str:
    """`1 question`, `2 questions`."""
    return f"{number} {one if number == 1 else many}"


def value(shown: Json) -> str:
    """A value as it would stand on an envelope."""
    if is_blank(shown):
        return "(empty)"
    if not isinstance(shown, dict):
        return str(shown)
    if shown.get("lines"):
        return ", ".join([*map(str, shown["lines"]), str(shown.get("country", ""))])
    if shown.get("po_box"):
        return f"Postbus {shown['po_box']}, {shown.get('postcode', '')} {shown.get('city', '')}".strip()
    street = " ".join(str(shown[part]) for part in ("street", "number") if shown.get(part))
    if shown.get("suffix"):
        street += f"-{shown['suffix']}"
    town = " ".join(str(shown[part]) for part in ("postcode", "city") if shown.get(part))
    return ", ".join(part for part in (street, town) if part)


def reason(text: str) -> str:
    """A reason in plain words."""
    text = re.sub(r"\b(kvk|vat)\b", lambda found: _KINDS[found[1]], text)
    for technical, plain in (
        ("not there yet: no record carries its keys", "nobody has its numbers"),
        (", shared by several records", "; one of several debtors"),
        ("first contact: different; the left owns it", "differs; the register is leading"),
        ("first contact: empty there", "was empty"),
        ("changed on the right; the left owns it", "edited in the books; the register is leading"),
        ("changed there; no flow owns it, so it stays", "yours: no rule touches it"),
        ("left changed", "changed in the register"),
        ("linked, but now outside the flow: is_active is false, the flow wants true", "ended since; the debtor stays"),
        ("outside the flow: is_active is false, the flow wants true", "ended: no debtor is made for it"),
    ):
        text = text.replace(technical, plain)
    return text[:1].upper() + text[1:]


def problem(told: Problem | None) -> str:
    """A problem, with the vendor's own words where there are any."""
    if told is None:
        return ""
    said = told.vendor_text
    text = reason(told.text)
    return f'{text} They say: "{said}"' if said and said not in text else text


class Row(NamedTuple):
    """One company of a plan: what will happen, the reasons, and how many writes it costs."""

    name: str
    what: str
    why: tuple[str, ...]
    calls: int


def rows_of(plan: Plan) -> dict[str, Row]:
    """A plan by company."""
    by_company: dict[str, list[Planned]] = {}
    for planned in plan.steps:
        if planned.step.kind != "agree":
            by_company.setdefault(planned.step.left or planned.step.right or "", []).append(planned)
    return {number: _row(number, steps) for number, steps in by_company.items()}


def plan_rows(plans: Mapping[str, Plan]) -> tuple[tuple[str, ...], ...]:
    """Plans into several ERPs side by side: company, what happens in each, why, and the writes of all."""
    each = {title: rows_of(plan) for title, plan in plans.items()}
    numbers = dict.fromkeys(number for rows in each.values() for number in rows)
    table = [_beside({title: rows.get(number) for title, rows in each.items()}) for number in numbers]
    return tuple(sorted(table, key=lambda row: (*map(_order, row[1:-2]), row[0])))


def _beside(rows: Mapping[str, Row | None]) -> tuple[str, ...]:
    known = {title: row for title, row in rows.items() if row is not None}
    # that somebody is new in one of them is told by the word "create"
    told = {title: row.why for title, row in known.items() if row.what != "create"} or {
        title: row.why for title, row in known.items()
    }
    shared = [
        text for text in next(iter(told.values())) if len(told) == len(known) and all(text in w for w in told.values())
    ]
    own = {title: [text for text in why if text not in shared] for title, why in told.items()}
    apart = "; ".join(f"{title}: {_joined(why)}" for title, why in own.items() if why)
    why = ". ".join(filter(None, (_joined(shared), apart)))
    calls = sum(row.calls for row in known.values())
    what = (row.what if row else "" for row in rows.values())
    name = max((row.name for row in known.values()), key=len)
    return name, *what, why[:1].upper() + why[1:], str(calls) if calls else ""


def _joined(why: Sequence[str]) -> str:
    """Reasons as one phrase; of fields that fare alike the last one says how."""
    told = ""
    for text, after in zip(why, [*why[1:], ""], strict=False):
        end = _end(text)
        told += f"{text.removesuffix(end)} and " if end and end == _end(after) else f"{text}, "
    return told.removesuffix(", ")


def _end(text: str) -> str:
    return next((f" {end}" for end in _SHORT.values() if text.endswith(f" {end}")), "")


def _row(number: str, steps: Sequence[Planned]) -> Row:
    kinds = [kind for kind in _ACTIONS if any(p.step.kind == kind for p in steps)]
    links = sum(p.step.kind == "link" for p in steps)
    what = ",\n".join(f"{kind} {links}" if kind == "link" and links > 1 else kind for kind in kinds)
    why: list[str] = []
    for planned in steps:
        step = planned.step
        if step.kind == "update":
            why += [f"{field(key)} {_SHORT.get(text, small(reason(text)))}" for key, text in step.because.items()]
        elif step.problem is not None:
            why.append(small(reason(step.problem.text) if step.kind == "refuse" else problem(step.problem)))
        else:
            why.append(small(reason(step.because.get("", ""))))
    name = next((p.step.label for p in steps if p.step.label), number)
    return Row(name, what, tuple(dict.fromkeys(why)), sum(p.calls for p in steps))


def small(text: str) -> str:
    """A reason within a sentence; names of numbers and firms keep their capitals."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def _order(what: str) -> int:
    return next(
        (
            place
            for place, kind in enumerate(("create", "link", "update", "ask", "park", "refuse"))
            if what.startswith(kind)
        ),
        9,
    )


def changes(plans: Mapping[str, Plan]) -> tuple[tuple[str, ...], ...]:
    """What updates change: company, where, field, what it was and is; the same change in several ERPs is one row."""
    found: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for title, plan in plans.items():
        for step in (planned.step for planned in plan.steps if planned.step.kind == "update"):
            for key, shown in step.values.items():
                was = found.setdefault((step.label, field(key), value(shown)), {})
                was.setdefault(value(step.before.get(key)), []).append(title)
    return tuple(
        (label, both(titles, plans), name, before, after)
        for (label, name, after), was in found.items()
        for before, titles in was.items()
    )


def questions(plans: Mapping[str, Plan]) -> tuple[tuple[str, ...], ...]:
    """What a person is to decide about linked debtors: company, where, question."""
    found: dict[tuple[str, str], list[str]] = {}
    for title, plan in plans.items():
        for step in (planned.step for planned in plan.steps if planned.step.kind == "ask"):
            if step.field == "scope":
                found.setdefault((step.label, problem(step.problem)), []).append(title)
    return tuple((label, both(titles, plans), text) for (label, text), titles in found.items())


def both(titles: Sequence[str], of: Collection[str]) -> str:
    """Where something is: the ERPs by name, or `both` of them."""
    return "both" if len(of) > 1 and set(titles) == set(of) else ", ".join(titles)


def looked_up(plans: Iterable[Plan]) -> str:
    """What the register was asked while these plans were made, in calls and euros."""
    asked: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for look in (look for plan in plans for look in plan.look_ups):
        count, euros = asked.get((look.system, look.kind), (0, Decimal(0)))
        asked[look.system, look.kind] = (count + look.count, euros + Decimal(look.euros or 0))
    told = [
        f"{count} {kind} at {system.upper()} ({f'€ {euros}' if euros else 'free'})"
        for (system, kind), (count, euros) in asked.items()
    ]
    return ", ".join(told) or "nothing"


def to_write(plans: Mapping[str, Plan]) -> str:
    """How many calls the writes of each plan cost."""
    return ", ".join(f"{sum(plan.calls.values())} to {title}" for title, plan in plans.items())


def problem_of(body: dict[str, Json]) -> str:
    """What a work list says of a record, with the vendor's own words."""
    told = body.get("problem") or {}
    said, text = told.get("vendor_text"), reason(str(told.get("text", body.get("text", ""))))
    return f'{text} They say: "{said}"' if said and said not in text else text
