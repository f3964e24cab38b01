"""Exact Online's values and ours: dates, padded texts, one-line addresses, and the forms fields are kept and shown in.

Facts about the vendor, never policy. A value that cannot be read is left out and named in a `Problem`, which never holds
the value itself: it may be personal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import msgspec

from koppel.formats import InvalidNumber, kvk, postcode, rsin, vat
from koppel.model.address import Address
from koppel.model.address_line import house_number_line, split_line
from koppel.model.company import Role
from koppel.model.problem import Problem
from koppel.model.values import Json

_AMSTERDAM = ZoneInfo("Europe/Amsterdam")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the vendor's numbers count wall-clock time from here, in no zone
_DATE = re.compile(r"/Date\((?P<ms>-?\d+)(?:[+-]\d{4})?\)/")

# --- dates --------------------------------------------------------------------------------------------------------


def wall_clock(value: Json) -> datetime | None:
    """A naive Dutch wall-clock time; None for null. Raises ValueError for what is no date.

    The number inside is Dutch wall-clock time written as if it were UTC. [KB-faq]

    >>> wall_clock("/Date(1351209600000)/")
    datetime.datetime(2012, 10, 26, 0, 0)
    """
    if value is None or value == "":
        return None
    shown = value if isinstance(value, str) else "not a text"
    found = _DATE.fullmatch(shown)
    if found is not None:
        return _EPOCH + timedelta(milliseconds=int(found["ms"]))
    return datetime.fromisoformat(shown).replace(tzinfo=None)


def instant(value: Json) -> float | None:
    """The same as an instant (epoch seconds), summer time included. Raises ValueError.

    The hour that comes twice in October is read as its first pass: the vendor does not tell them apart.
    """
    found = wall_clock(value)
    return None if found is None else found.replace(tzinfo=_AMSTERDAM).timestamp()


def day(value: Json) -> str | None:
    """The date alone, `YYYY-MM-DD`; no zone is applied to date-only fields. Raises ValueError."""
    found = wall_clock(value)
    return None if found is None else found.date().isoformat()


def day_in_amsterdam(as_of: float) -> str:
    """Today's date where the books are kept."""
    return datetime.fromtimestamp(as_of, UTC).astimezone(_AMSTERDAM).date().isoformat()


def date_for_wire(value: str) -> str:
    """A date as bodies want it: ISO without a zone; with `Z` it lands a day earlier [craft]. Raises ValueError.

    >>> date_for_wire("2026-04-07")
    '2026-04-07T00:00:00'
    """
    return f"{date.fromisoformat(value).isoformat()}T00:00:00"


# --- texts --------------------------------------------------------------------------------------------------------


def text(value: Json) -> str | None:
    """Text without its padding; None when nothing is left. Padding is real data at this vendor (fact sheet §5)."""
    found = " ".join(str(value).split()) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    return found or None


_BREAK = re.compile(r"\r\n?")


def lines(value: Json) -> str | None:
    """Text that may run over several lines, its breaks kept."""
    found = _BREAK.sub("\n", value).strip() if isinstance(value, str) else ""
    return found or None


# --- addresses ----------------------------------------------------------------------------------------------------


ADDRESS_LINES = ("AddressLine1", "AddressLine2", "AddressLine3")
ADDRESS_FIELDS = (*ADDRESS_LINES, "Postcode", "City", "Country")


def address_form(value: Json) -> Json:
    """An address (plain JSON) as this vendor keeps it: one street line, postcode, city, country.

    Shielded and empty addresses become None (rule B3). A Dutch address without a country gets NL, because Exact fills it.
    Lines two and three belong to foreign addresses; on a Dutch one they are the customer's own and are not touched.
    """
    if not isinstance(value, dict):
        return None
    if value.keys() & set(ADDRESS_FIELDS):
        return cast("Json", value)  # in this form already
    address = msgspec.convert(value, Address)
    if address.is_empty():
        return None
    country = (address.country or "NL").strip().upper()
    if address.lines and not address.street and not address.po_box:
        shown = [" ".join(line.split()) for line in address.lines if line.strip()]
        # What does not fit in three lines goes on the third, so that nothing is lost.
        shown = [*shown[:2], ", ".join(shown[2:])] if len(shown) > len(ADDRESS_LINES) else shown
        kept: dict[str, Json] = dict(zip(ADDRESS_LINES, shown, strict=False))
    else:
        kept = {"AddressLine1": house_number_line(address) or None}
    kept |= {
        "Postcode": _postcode_form(address.postcode, country),
        "City": text(address.city),
        "Country": country if address.country or not address.lines else None,
    }
    return {name: part for name, part in kept.items() if part is not None}


def _postcode_form(value: str | None, country: str) -> str | None:
    if value and country == "NL" and postcode.is_valid(value):
        return postcode.pretty(value)
    return text(value)


def read_address(row: dict[str, Json]) -> tuple[Address | None, tuple[Problem, ...]]:
    """The visit address of an account; a Dutch line without a house number is kept whole and named for review (B18)."""
    country = text(row.get("Country"))
    code, city = text(row.get("Postcode")), text(row.get("City"))
    shown = tuple(line for line in (text(row.get(name)) for name in ADDRESS_LINES) if line)
    if not (shown or code or city):
        return None, ()
    if country not in {None, "NL"}:
        return Address(lines=shown, postcode=code, city=city, country=country), ()
    if code and postcode.is_valid(code):
        code = postcode.compact(code)
    first = text(row.get("AddressLine1"))
    found = split_line(first) if first else Address()
    problems: tuple[Problem, ...] = ()
    if found is None:
        found = Address(street=first)
        review = "No house number could be found in this address line; the line is kept whole."
        problems = (Problem("address_review", review, field="AddressLine1"),)
    return msgspec.structs.replace(found, postcode=code, city=city, country=country), problems


# --- numbers ------------------------------------------------------------------------------------------------------


def read_kvk(value: str) -> tuple[str, str | None]:
    """The KVK number in what people typed, and a note when it had to be mended. Raises InvalidNumber."""
    number, _branch, note = kvk.read(value)
    return number, note


def kvk_form(value: Json) -> Json:
    """A KVK number as eight digits; what is none stays as it is, for the vendor or a person to judge."""
    return kvk.compact(value) if isinstance(value, str) and kvk.is_valid(value) else text(value)


def vat_form(value: Json) -> Json:
    """A VAT number without spaces and dots, country in front."""
    return (vat.compact(value) or None) if isinstance(value, str) else None


def rsin_form(value: Json) -> Json:
    """An RSIN as nine digits."""
    return (rsin.compact(value) or None) if isinstance(value, str) else None


def invalid(field: str, error: InvalidNumber) -> Problem:
    """A number that is none, without showing it."""
    return Problem(
        "invalid_number", f"This is not a {error.what}: {error.reason}. To mend it: {error.remedy}.", field=field
    )


# --- codes --------------------------------------------------------------------------------------------------------

# There is no IsCustomer: Status makes a customer, null and A make none. [enums: crm/Accounts.Status]
ROLES: dict[str, Role] = {"C": "customer", "P": "prospect", "S": "suspect", "A": "none"}
STATUSES = {role: status for status, role in ROLES.items()}


def role_form(value: Json) -> Json:
    """A role as Status can show it; being a supplier is a flag of its own (`is_supplier`)."""
    return "none" if value == "supplier" else value


def date_form(value: Json) -> Json:
    """A whole date; one known only to the month or year cannot be kept.

    >>> date_form("2018-03-01"), date_form("2018-03")
    ('2018-03-01', None)
    """
    try:
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else None
    except ValueError:
        return None


def bool_form(value: Json) -> Json:
    """A flag; null shows as False, which is what the vendor stores when nothing is given (unverified)."""
    return bool(value)


def lower_form(value: Json) -> Json:
    """A GUID or e-mail address, in lower case."""
    found = text(value)
    return found.lower() if found else None


Form = Callable[[Json], Json]
