"""A relation of Boekje made into a company, our values made into its fields, and the field table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from koppel.formats import InvalidNumber, kvk, vat
from koppel.model.address import Address
from koppel.model.can import Field
from koppel.model.company import Company
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem, UsageError
from koppel.model.record import Record
from koppel.systems.spi import Decoded, Item, Site

LONGEST_NAME = 80
TEXTS = {"name": "naam", "kvk": "kvk", "vat_number": "btw", "phone": "telefoon", "email": "mail", "website": "site"}
PARTS = {
    "street": "straat",
    "number": "nummer",
    "suffix": "toevoeging",
    "postcode": "postcode",
    "city": "plaats",
    "country": "land",
}
NUMBERS: dict[str, Callable[[str], str]] = {"kvk": lambda text: kvk.read(text)[0], "vat_number": vat.validate}


def item(row: dict[str, Any]) -> Item:
    """A relation as an item, with what we read of it and no more."""
    kept = {name: row.get(name) for name in (*TEXTS.values(), "adres", "memo", "kenmerk")}
    return Item(str(row["nummer"]), kept, version=str(row["versie"]))


def decode(site: Site, shown: Item) -> Decoded:
    """The company in a relation. A number that is none is left out and named, without the number itself."""
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for path, name in TEXTS.items():
        text = " ".join(str(shown.fields.get(name) or "").split())
        if not text:
            continue
        try:
            values[path] = NUMBERS[path](text) if path in NUMBERS else text
        except InvalidNumber as error:
            problems.append(Problem("number_invalid", f"This is no such number: {error.reason}.", field=name))
    adres = shown.fields.get("adres") or {}
    parts = {part: adres[name] for part, name in PARTS.items() if adres.get(name)}
    if parts:
        values["address"] = Address(**parts)
    own = {"memo": shown.fields.get("memo")} if "memo" in site.own else {}
    return Decoded(Record(Company(**values), own), tuple(problems))


def wire_fields(path: str, value: Any) -> dict[str, Any]:
    """The fields one of our values becomes; null clears. Raises UsageError for what Boekje does not have."""
    if path == "address":
        shown = address_form(value)
        if shown is None and not is_blank(value):
            return {}  # a shielded address is written nowhere and wipes nothing
        return {"adres": {name: (shown or {}).get(part) for part, name in PARTS.items()}}
    if path == "memo":
        return {"memo": text_form(value)}
    if path not in TEXTS:
        raise UsageError(f"Boekje has no field for {path}.", remedy="Leave it out of the flow.")
    return {TEXTS[path]: FORMS.get(path, text_form)(value)}


def text_form(value: Any) -> Any:
    """Text without double spaces; nothing is None."""
    return (" ".join(str(value).split()) or None) if isinstance(value, str) else None


def name_form(value: Any) -> Any:
    """A name as Boekje keeps it: cut to its length."""
    text = text_form(value)
    return text[:LONGEST_NAME].rstrip() if text else None


def number_form(path: str) -> Callable[[Any], Any]:
    """A number in one spelling; what is none stays as it is, for Boekje to refuse."""

    def form(value: Any) -> Any:
        text = text_form(value)
        try:
            return NUMBERS[path](text) if text else None
        except InvalidNumber:
            return text

    return form


def address_form(value: Any) -> Any:
    """An address in the parts Boekje has; None when it is empty or shielded."""
    if not isinstance(value, dict) or msgspec.convert(value, Address).is_empty():
        return None
    return {part: text for part in PARTS if (text := text_form(value.get(part)))} or None


FORMS = {"name": name_form, "kvk": number_form("kvk"), "vat_number": number_form("vat_number")}
FIELDS = (
    Field(path="name", kind="name", vendor=("naam",), required=True, max_length=LONGEST_NAME, form=name_form),
    Field(path="kvk", kind="kvk", vendor=("kvk",), form=FORMS["kvk"]),
    Field(path="vat_number", kind="vat", vendor=("btw",), form=FORMS["vat_number"]),
    Field(
        path="address",
        kind="address",
        vendor=("adres",),
        form=address_form,
        lossy="Boekje has no place for P.O. boxes and foreign address lines.",
    ),
    Field(path="phone", kind="phone", vendor=("telefoon",), form=text_form),
    Field(path="email", kind="email", vendor=("mail",), form=text_form),
    Field(path="website", kind="url", vendor=("site",), form=text_form),
    Field(path="memo", vendor=("memo",), own=True, form=text_form),
)
