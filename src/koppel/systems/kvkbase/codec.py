"""What KVKBase's fields mean: a look-up or a search result becomes a Company.

`isActive` may be null: then nobody said whether the company has ended, and it is never taken for ended [client 57824903889].
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date

from koppel.formats import InvalidNumber, branch, kvk, postcode, vat
from koppel.model.address import Address
from koppel.model.company import Company, Sbi, VatState
from koppel.model.problem import Problem
from koppel.model.record import Record
from koppel.model.values import Json
from koppel.systems.kvkbase.countries import COUNTRIES
from koppel.systems.kvkbase.settings import Settings
from koppel.systems.spi import Decoded, Item

_UNKNOWN = frozenset({"onbekend", "unknown", "n/a", "-"})  # a basic look-up's legal form [client 57824903889]
_NOT_VALID = frozenset({"", "invalid", "malformed"})
_HOUSE_NUMBER = re.compile(r"(\d+)[\s\-/]*(.*)")
_PO_BOX = re.compile(r"postbus(?:\s+(\d+))?", re.IGNORECASE)


def decode_company(settings: Settings, item: Item, own: tuple[str, ...] = ()) -> Decoded:
    """Translate a look-up; what could not be read is left out and named."""
    fields = item.fields
    problems: list[Problem] = []
    statutory_name = _text(fields.get("statutoryName"))
    trade_name = _trade_name(fields) or _text(fields.get("name")) or statutory_name
    form = legal_form(_text(fields.get("legalForm")))
    vat_number, vat_state = read_vat(_object(fields.get("vat")), problems)
    confirmed = vat_state == "confirmed"
    active = fields.get("isActive")
    company = Company(
        name=trade_name if settings.name == "trade" else statutory_name or _text(fields.get("name")) or trade_name,
        trade_name=trade_name,
        statutory_name=statutory_name,
        kvk=_number(kvk.validate, fields.get("kvkNumber"), "kvkNumber", problems),
        branch=_number(branch.validate, fields.get("mainBranchNumber"), "mainBranchNumber", problems),
        vat_number=vat_number if confirmed else None,
        vat_candidate=None if confirmed else vat_number,
        vat_state=vat_state,
        legal_form=form,
        sbi=_sbi(fields.get("activities")),
        is_active=active if isinstance(active, bool) else None,
        started_on=_date(fields.get("registrationDate"), problems),
        employees=_count(_object(fields.get("employees")).get("total")),
        personal=is_personal(form, statutory_name),
        address=read_address(_object(fields.get("address")), problems),
    )
    return Decoded(Record(company, {name: _own(fields, name) for name in own}), tuple(problems))


def decode_hit(item: Item) -> Decoded:
    """Translate one search result: enough to choose from, far from a whole company."""
    hit = item.fields
    problems: list[Problem] = []
    active, city = hit.get("isActive"), _text(hit.get("city"))
    company = Company(
        name=_text(hit.get("name")),
        kvk=_number(kvk.validate, hit.get("kvkNumber"), "kvkNumber", problems),
        branch=_number(branch.validate, hit.get("branchNumber"), "branchNumber", problems),
        is_active=active if isinstance(active, bool) else None,
        address=Address(city=city) if city else None,
    )
    return Decoded(Record(company), tuple(problems))


def read_rows(body: dict[str, Json]) -> list[dict[str, Json]]:
    """The results of a search, one per number and branch."""
    return _objects(body.get("results"))


def read_vat(told: dict[str, Json], problems: list[Problem]) -> tuple[str | None, VatState | None]:
    """The VAT number and what is known of it (rule B4).

    Confirmed only by `valid: true`, invalid only by `valid: false` with a status that says no more than that. What VIES could
    not tell KVKBase, and a status nobody documented, leave it unknown.
    """
    number = _number(vat.validate, told.get("number"), "vat.number", problems)
    if number is None:
        return None, None
    valid, status = told.get("valid"), _folded(_text(told.get("status")) or "")
    if valid is True:
        return number, "confirmed" if status in {"", "valid"} else "unknown"
    if valid is False:
        return number, "invalid" if status in _NOT_VALID else "unknown"
    return number, "candidate" if status == "" else "unknown"


def legal_form(text: str | None) -> str | None:
    """The legal form as KVKBase writes it; its words for "we do not know" are no form.

    >>> legal_form("Besloten Vennootschap"), legal_form("Onbekend")
    ('Besloten Vennootschap', None)
    """
    return None if text is None or text.lower() in _UNKNOWN else text


def is_personal(form: str | None, statutory_name: str | None) -> bool:
    """Whether the record is personal data: a sole trader's. Without any sign of a legal person the careful answer is yes."""
    return form.lower() == "eenmanszaak" if form else statutory_name is None


def read_address(told: dict[str, Json], problems: list[Problem]) -> Address | None:
    """The address in the shape it has: P.O. box, foreign, or street and number (rule B18)."""
    street, house = _text(told.get("street")), _text(told.get("houseNumber"))
    city, land = _text(told.get("city")), _text(told.get("country"))
    if not (street or city or told.get("postalCode")):
        return None
    country = _country(land, problems)
    if country != "NL":
        parts = (
            " ".join(p for p in (street, house) if p),
            " ".join(p for p in (_text(told.get("postalCode")), city) if p),
        )
        lines = tuple(part for part in parts if part)
        return Address(lines=lines if country or not land else (*lines, land), country=country)
    code = _number(postcode.validate, told.get("postalCode"), "address.postalCode", problems)
    box = _PO_BOX.fullmatch(street or "")
    if box and (box[1] or house):
        return Address(po_box=box[1] or house, postcode=code, city=city, country="NL")
    split = _HOUSE_NUMBER.fullmatch(house or "")
    number, suffix = (split[1], split[2] or None) if split else (house, None)
    return Address(street=street, number=number, suffix=suffix, postcode=code, city=city, country="NL")


# --- parts ------------------------------------------------------------------------------------------------------------


def _country(land: str | None, problems: list[Problem]) -> str | None:
    if land is None:
        return "NL"  # the Dutch register: abroad is always said
    country = land if re.fullmatch(r"[A-Z]{2}", land) else COUNTRIES.get(_folded(land))
    if country is None:
        text = f"The country name {land!r} is not known; set the country by hand."
        problems.append(Problem("country_unknown", text, "address.country"))
    return country


def _trade_name(fields: dict[str, Json]) -> str | None:
    names = fields.get("tradingNames")
    texts = (_text(name.get("name") if isinstance(name, dict) else name) for name in _list(names))
    return next((text for text in texts if text), None)


def _sbi(activities: Json) -> tuple[Sbi, ...]:
    """Main activity first, the rest in KVKBase's order."""
    told = [
        Sbi(code, _text(activity.get("description")) or "", activity.get("isMain") is True)
        for activity in _objects(activities)
        if (code := _text(activity.get("sbiCode")))
    ]
    return tuple(sorted(told, key=lambda activity: not activity.main))


def _date(value: Json, problems: list[Problem]) -> str | None:
    text = _text(value)
    if text is None:
        return None
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        problem = f"KVKBase gave {text!r}, which is no date; it is left out."
        problems.append(Problem("date_unreadable", problem, "registrationDate"))
        return None


def _number(validate: Callable[[str], str], value: Json, field: str, problems: list[Problem]) -> str | None:
    """A number through its format's `validate`; a bad one is left out and named, never shown."""
    text = _text(value)
    if text is None:
        return None
    try:
        return validate(text)
    except InvalidNumber as error:
        text = f"KVKBase gave a number that {error.reason}; it is left out."
        problems.append(Problem("number_unreadable", text, field))
        return None


def _own(fields: dict[str, Json], name: str) -> Json:
    """A vendor field by KVKBase's name, `vat.validatedAt` for what lies within; a structure as its words in order."""
    value: Json = fields
    for part in name.split("."):
        value = _object(value).get(part)
    if isinstance(value, dict):
        return " ".join(text for text in map(_text, value.values()) if text) or None
    return _text(value) if isinstance(value, str) else (None if isinstance(value, list) else value)


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _objects(value: Json) -> list[dict[str, Json]]:
    return [part for part in _list(value) if isinstance(part, dict)]


def _text(value: Json) -> str | None:
    """Text without superfluous spaces; empty text is no value."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return " ".join(str(value).split()) or None


def _count(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _folded(text: str) -> str:
    """Lower case without accents."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(plain.lower().split())
