"""What Exact accepts in a written record: conversion of JSON values, and the rules of business with their messages.

Business refusals are HTTP 500 with a Dutch sentence; wrong shapes are 400. [KB-faq, picqer #161 #263 #416]
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from koppel.systems.exact.sandbox.filter import is_guid
from koppel.systems.exact.sandbox.lines import child_of
from koppel.systems.exact.sandbox.table import EntityType, Property

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
CODE_WIDTH = 18  # left-padded, numeric [n8n, Pi]
COUNTRY_WIDTH = 3  # right-padded [dotnet fixture]
VAT_CODE_WIDTH = 3
UNIT_WIDTH = 8  # right-padded [picqer fixture]
_VAT_CODES = frozenset({"VATCode", "SalesVATCode", "PurchaseVATCode", "SalesVatCode"})

# All lengths are unverified: sensible limits, so that a client meets a refusal at all.
LENGTHS = {
    "Name": 50,
    "TradeName": 100,
    "AddressLine1": 100,
    "AddressLine2": 100,
    "AddressLine3": 100,
    "Postcode": 20,
    "City": 100,
    "ChamberOfCommerce": 20,
    "VATNumber": 20,
    "RSIN": 20,
    "Email": 128,
    "Phone": 50,
    "Fax": 50,
    "Website": 256,
    "SearchCode": 20,
    "CodeAtSupplier": 20,
    "EORINumber": 20,
    "Remarks": 4000,
}
# Labels as the Dutch screens show them (unverified); a property without one is named as the API names it.
_LABELS = {
    "Name": "Naam",
    "Country": "Land",
    "VATNumber": "Btw-nummer",
    "ChamberOfCommerce": "KvK-nummer",
    "AddressLine1": "Adres",
    "City": "Plaats",
    "Phone": "Telefoon",
    "Email": "E-mailadres",
    "SearchCode": "Zoekcode",
    "Remarks": "Opmerkingen",
    "Account": "Relatie",
    "OrderedBy": "Besteld door",
    "Customer": "Klant",
    "Supplier": "Leverancier",
    "Item": "Artikel",
    "GLAccount": "Grootboekrekening",
    "Journal": "Dagboek",
    "JournalCode": "Dagboek",
    "VATCode": "Btw-code",
    "PaymentCondition": "Betalingsconditie",
    "CostCenter": "Kostenplaats",
    "CostUnit": "Kostendrager",
    "Project": "Project",
    "Warehouse": "Magazijn",
    "Quantity": "Aantal",
    "Description": "Omschrijving",
    "AmountFC": "Bedrag",
    "FirstName": "Voornaam",
    "LastName": "Achternaam",
    "Subject": "Onderwerp",
}
# Marked mandatory by the reference, yet the service fills it in by itself. [picqer README; §10 of the facts]
_FILLED_IN = frozenset(
    {
        ("salesinvoice/SalesInvoices", "Journal"),
        ("salesinvoice/SalesInvoiceLines", "GLAccount"),
    }
)
_RANGES = {"Byte": (0, 255), "Int16": (-(2**15), 2**15 - 1), "Int32": (-(2**31), 2**31 - 1)}
_STATUSES = frozenset({"A", "S", "P", "C", None})
_COUNTRIES = {
    "NL": "Nederland",
    "BE": "België",
    "DE": "Duitsland",
    "FR": "Frankrijk",
    "GB": "Verenigd Koninkrijk",
    "LU": "Luxemburg",
    "US": "Verenigde Staten",
}

# Not marked by the reference, yet taken on POST. [§9 of the facts]
_TAKEN_TOO = frozenset(
    {
        ("webhooks/WebhookSubscriptions", "IsInstant"),
        *(("vat/VatPercentages", name) for name in ("Percentage", "StartDate", "EndDate", "Type")),
    }
)


class Refused(Exception):
    """A request that has no effect; becomes an error envelope."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Rules:
    """How strict this imitation is where the vendor's behaviour is not known; see `settings`."""

    read_only: str = "refuse"  # refuse | ignore
    client_ids: str = "ignore"  # ignore | keep
    check_vat: bool = True
    references: str = "drop"  # drop | refuse: a Guid of another division or of nothing
    drop_lines: bool = False  # a line whose reference is nothing is left out without a word
    credit_lines: str = "any"  # any | negative | positive: the sign a credit note's quantities must have (unverified)
    part_payments: str = "one"  # one | split: whether a part paid term becomes two (unverified)


def label(name: str) -> str:
    """A property's name in a message for people."""
    return _LABELS.get(name, name)


def wall(epoch: float) -> int:
    """An instant as Exact shows it: milliseconds of the Dutch wall clock written as if UTC. [KB-faq]

    >>> wall(0)
    3600000
    """
    local = datetime.fromtimestamp(epoch, AMSTERDAM)
    return int(local.replace(tzinfo=UTC).timestamp()) * 1000


def wall_of(year: int, month: int, day: int) -> int:
    """A day as Exact shows it.

    >>> wall_of(1970, 1, 2)
    86400000
    """
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1000


def country_name(code: str | None) -> str | None:
    """The Dutch name of a country."""
    return None if code is None else _COUNTRIES.get(code.strip(), code.strip())


def pad(name: str, value: Any) -> Any:
    """The stored form of a fixed-width text: its padding is real data."""
    if not isinstance(value, str) or not value:
        return value
    if name == "Code":
        return value.strip().rjust(CODE_WIDTH)
    if name == "Country":
        return value.strip().upper().ljust(COUNTRY_WIDTH)
    if name in _VAT_CODES:
        return value.strip().ljust(VAT_CODE_WIDTH)
    return value.strip().ljust(UNIT_WIDTH) if name == "Unit" else value


def wall_clock(milliseconds: int) -> int:
    """The same number, when it is a moment of the calendar. Raises ValueError otherwise."""
    if not -62_135_596_800_000 <= milliseconds < 253_402_300_800_000:
        raise ValueError(milliseconds)
    return milliseconds


def _moment(value: str) -> int:
    """ISO without zone; with `Z` or an offset it is accepted and shifted (reported by craft; unverified)."""
    if (match := re.fullmatch(r"/Date\((-?\d+)\)/", value)) is not None:
        return wall_clock(int(match.group(1)))
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is not None:
        return wall(moment.timestamp())
    return int(moment.replace(tzinfo=UTC).timestamp()) * 1000


def convert(found: Property, value: Any) -> Any:
    """A value of a body as it is stored. Raises Refused when it does not fit the type. [picqer #263]"""
    if value is None:
        return None
    type_ = found.type
    try:
        if type_ == "Guid" and is_guid(value):
            return value.lower()
        if type_ == "DateTime" and isinstance(value, str):
            return _moment(value)
        if type_ == "Boolean" and isinstance(value, bool):
            return value
        if type_ in _RANGES and isinstance(value, int) and not isinstance(value, bool):
            low, high = _RANGES[type_]
            if low <= value <= high:
                return value
        if type_ == "Int64" and isinstance(value, (int, str)) and not isinstance(value, bool):
            return int(value)
        if type_ == "Double" and isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
        if type_ in {"String", "Binary"} and isinstance(value, str):
            return value
    except (ValueError, OverflowError):  # no date, or one beyond the calendar
        pass
    raise Refused(500, f"Error in converting value for property '{found.name}' to type '{type_}'")


def is_vat(text: str) -> bool:
    """Whether it could be a VAT number: the Dutch one by its check (mod 11 or, for sole traders, mod 97), others by shape.

    >>> is_vat("NL001234560B01")
    True
    >>> is_vat("NL001234561B01")
    False
    """
    compact = re.sub(r"[\s.\-]", "", text).upper()
    if not compact.startswith("NL"):
        return re.fullmatch(r"[A-Z]{2}[0-9A-Z]{2,12}", compact) is not None
    if re.fullmatch(r"NL\d{9}B(?!00)\d{2}", compact) is None:
        return False
    digits = [int(digit) for digit in compact[2:11]]
    eleven = sum(digit * weight for digit, weight in zip(digits, range(9, 1, -1), strict=False)) % 11 == digits[8]
    spelled = "".join(str(int(character, 36)) for character in compact)
    return eleven or int(spelled) % 97 == 1


@dataclass
class Draft:
    """A record as a body describes it, checked but not stored; `lines` are the records inside it, per collection."""

    entity: EntityType
    values: dict[str, Any]
    lines: dict[str, list[Draft]] = field(default_factory=dict)

    def every_line(self) -> list[Draft]:
        """The lines of all collections."""
        return [line for lines in self.lines.values() for line in lines]


def accept(
    entity: EntityType, body: Mapping[str, Any], *, creating: bool, rules: Rules, waived: Collection[str] = ()
) -> Draft:
    """What a body asks to store, checked property by property. `waived` need not be there. Raises Refused."""
    draft = Draft(entity, {})
    for name, value in body.items():
        if name == "__metadata":
            continue
        found = entity.properties.get(name)
        if found is None:  # WCF wording (unverified)
            raise Refused(
                400,
                f"Error processing request stream. The property name '{name}' specified for type '{entity.clr}' is not valid.",
            )
        if name in entity.keys and not found.mandatory:
            if rules.client_ids == "keep" and creating:
                draft.values[name] = convert(found, value)
            continue
        taken = (found.posts if creating else found.puts) or (creating and (entity.path, name) in _TAKEN_TOO)
        if not taken:  # whether Exact refuses or ignores it is unverified
            if rules.read_only == "refuse":
                raise Refused(400, f"Property '{name}' is read-only.")
        elif found.is_collection:
            draft.lines[name] = _lines(entity, found, value, creating=creating, rules=rules)
        else:
            draft.values[name] = _checked(entity, found, convert(found, value), rules)
    for name, found in entity.properties.items():
        if not found.mandatory or name in waived or (entity.path, name) in _FILLED_IN:
            continue
        given = draft.lines.get(name) if found.is_collection else draft.values.get(name)
        missing = (given is None and name not in draft.values) or given == []
        emptied = name in draft.values and not str("" if given is None else given).strip()
        if (missing and creating) or emptied:
            raise Refused(500, f"Verplicht: {label(name)}")
    return draft


def _lines(entity: EntityType, found: Property, value: Any, *, creating: bool, rules: Rules) -> list[Draft]:
    if not creating:  # WCF has no deep update (unverified)
        raise Refused(
            400, f"Error processing request stream. '{found.name}' cannot be changed through '{entity.name}'."
        )
    if isinstance(value, dict) and isinstance(value.get("results"), list):
        value = value["results"]
    child = child_of(entity, found.name)
    if not isinstance(value, list) or not all(isinstance(line, dict) for line in value):
        raise Refused(400, f"Error processing request stream. '{found.name}' should be an array of objects.")
    if child is None:  # nothing is known of what stands in it
        return [Draft(entity, dict(line)) for line in value]
    lines, own = child
    return [accept(lines, line, creating=True, rules=rules, waived=(own,)) for line in value]


def _checked(entity: EntityType, found: Property, value: Any, rules: Rules) -> Any:
    name, is_account = found.name, entity.path == "crm/Accounts"
    invalid = Refused(500, f"Ongeldig: {label(name)}")
    if is_account and name == "Status" and value not in _STATUSES:
        raise invalid
    if not isinstance(value, str) or found.type != "String" or not value:
        return value
    if not is_account:
        return value if name == "Code" else pad(name, value)
    if len(value) > LENGTHS.get(name, 4000):
        raise invalid
    if name == "Code" and re.fullmatch(rf" *\d{{1,{CODE_WIDTH}}}", value) is None:
        raise invalid
    if name == "Country" and re.fullmatch(r"[A-Za-z]{2} ?", value) is None:
        raise invalid
    if name == "VATNumber" and rules.check_vat and not is_vat(value):
        raise invalid
    return pad(name, value)
