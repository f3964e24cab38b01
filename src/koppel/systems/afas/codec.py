"""AFAS Profit's values and ours: times that lie about their zone, addresses in lines and in parts, numbers, countries.

Facts about the vendor, never policy. A value that cannot be read is left out and named in a `Problem`, which never holds
the value itself: it may be personal.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import msgspec

from koppel.formats import InvalidNumber, kvk, postcode, vat
from koppel.model.address import Address
from koppel.model.address_line import house_number_line, is_po_box, split_line, suffix_form
from koppel.model.problem import Problem
from koppel.model.values import Json

_AMSTERDAM = ZoneInfo("Europe/Amsterdam")

# --- times --------------------------------------------------------------------------------------------------------


def wall_clock(value: Json) -> datetime | None:
    """A naive Dutch wall-clock time, whole seconds; None for null. Raises ValueError for what is no time.

    The `Z` behind it means nothing. [MD get-connector]

    >>> wall_clock("2015-01-26T16:57:43Z")
    datetime.datetime(2015, 1, 26, 16, 57, 43)
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("not a time")  # noqa: TRY004 - one error for whatever the vendor shows
    return datetime.fromisoformat(value.removesuffix("Z")).replace(tzinfo=None, microsecond=0)


def instants(moment: datetime) -> tuple[float, float]:
    """When a wall-clock time was, the earliest and the latest it can have been: in October one hour comes twice."""
    return tuple(  # pyright: ignore[reportReturnType] - two folds, two instants
        moment.replace(tzinfo=_AMSTERDAM, fold=fold).timestamp() for fold in (0, 1)
    )


def doubled(moment: datetime) -> bool:
    """Whether this wall-clock time comes twice that day.

    >>> doubled(datetime(2026, 10, 25, 2, 30)), doubled(datetime(2026, 3, 29, 2, 30))
    (True, False)
    """
    first, second = instants(moment)
    return first < second


def in_amsterdam(as_of: float) -> datetime:
    """The wall clock where the books are kept, naive and in whole seconds."""
    return datetime.fromtimestamp(as_of, UTC).astimezone(_AMSTERDAM).replace(tzinfo=None, microsecond=0)


def instant(value: Json) -> float | None:
    """A stamp as an instant, the first of two in October; None when there is none or it cannot be read."""
    try:
        moment = wall_clock(value)
    except ValueError:
        return None
    return None if moment is None else instants(moment)[0]


def day(value: Json) -> str | None:
    """The date alone, `YYYY-MM-DD`. Raises ValueError."""
    moment = wall_clock(value)
    return None if moment is None else moment.date().isoformat()


def today(as_of: float) -> str:
    """Today's date in Amsterdam: from when an address we change is to hold."""
    return in_amsterdam(as_of).date().isoformat()


def start_of_doubt(moment: datetime) -> datetime:
    """From where to read again: a time that comes twice says nothing of the order within its hour."""
    return moment.replace(minute=0, second=0) if doubled(moment) else moment


SECOND = timedelta(seconds=1)

# --- texts, numbers, flags ------------------------------------------------------------------------------------------


def text(value: Json) -> str | None:
    """Text without surplus spaces; None when nothing is left. Codes keep their leading zeros: they are texts."""
    found = " ".join(str(value).split()) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
    return found or None


def lines(value: Json) -> str | None:
    """Text that may run over several lines."""
    found = re.sub(r"\r\n?", "\n", value).strip() if isinstance(value, str) else ""
    return found or None


def flag(value: Json) -> bool | None:
    """A yes or no in any of the spellings AFAS takes and gives. [OAS 7.7]

    >>> [flag(value) for value in (True, "1", "false", 0, None)]
    [True, True, False, False, None]
    """
    if value is None or value == "":
        return None
    return value if isinstance(value, bool) else str(value).strip().lower() in {"1", "true", "-1"}


def bool_form(value: Json) -> Json:
    """A flag; null shows as False, which is what Profit keeps when nothing is given (unverified)."""
    return bool(flag(value))


def number_form(value: Json) -> Json:
    """A number as text, without trailing zeros: `1000.0` and `1000` are one amount."""
    found = text(value)
    return re.sub(r"(\.\d*?)0+$", r"\1", found).rstrip(".") if found and "." in found else found


def date_form(value: Json) -> Json:
    """A whole date; one known only to the month or year cannot be kept."""
    try:
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else None
    except ValueError:
        return None


def kvk_form(value: Json) -> Json:
    """A KVK number as eight digits; what is none stays as it is, for the vendor or a person to judge."""
    return kvk.compact(value) if isinstance(value, str) and kvk.is_valid(value) else text(value)


def vat_form(value: Json) -> Json:
    """A VAT number without spaces and dots, country in front."""
    return (vat.compact(value) or None) if isinstance(value, str) else None


def invalid(field: str, error: InvalidNumber) -> Problem:
    """A number that is none, without showing it."""
    return Problem(
        "invalid_number", f"This is not a {error.what}: {error.reason}. To mend it: {error.remedy}.", field=field
    )


# --- countries ----------------------------------------------------------------------------------------------------

# Profit has country codes of its own, much like the signs on cars. Each is (AFAS code, names in answers).
# Taken from one integration's table, so unverified; a country that is not here is refused, never guessed.
_COUNTRIES = """
NL NL nederland netherlands|BE B belgië belgie belgium|DE D duitsland germany|FR F frankrijk france
LU L luxemburg luxembourg|AT A oostenrijk austria|CH CH zwitserland switzerland|ES E spanje spain|PT P portugal
IT I italië italie italy|DK DK denemarken denmark|SE S zweden sweden|NO N noorwegen norway|FI FIN finland
PL PL polen poland|CZ CZ tsjechië tsjechie czechia|HU H hongarije hungary|IE IRL ierland ireland
GR GR griekenland greece|RO RO roemenië roemenie romania|BG BG bulgarije bulgaria|HR HR kroatië kroatie croatia
SI SLO slovenië slovenie slovenia|SK SK slowakije slovakia|EE EE estland estonia|LV LV letland latvia
LT LT litouwen lithuania|MT M malta|CY CY cyprus|TR TR turkije turkey|GB GB verenigd_koninkrijk united_kingdom
US USA verenigde_staten united_states verenigde_staten_van_amerika
"""
_KNOWN = [entry.split() for entry in _COUNTRIES.replace("\n", "|").split("|") if entry.strip()]
CODES = {iso: code for iso, code, *_ in _KNOWN}
_ISO_OF_CODE = {code: iso for iso, code in CODES.items()}
_ISO_OF_NAME = {name.replace("_", " "): iso for iso, _, *names in _KNOWN for name in names}


def country_code(iso: str) -> str:
    """AFAS's code of a country. Raises KeyError for one we have no code of.

    >>> country_code("NL"), country_code("BE")
    ('NL', 'B')
    """
    return CODES[iso.strip().upper()]


def iso_country(shown: str | None, *, coded: bool) -> str | None:
    """ISO alpha-2 of an AFAS code, or of a country's name as address lines show it; None when it is not known."""
    if shown is None:
        return None
    if coded:
        return _ISO_OF_CODE.get(shown.upper())
    return _ISO_OF_NAME.get(shown.lower()) or (shown.upper() if shown.upper() in CODES else None)


# --- addresses ----------------------------------------------------------------------------------------------------

_POSTCODE_CITY = re.compile(r"(?P<postcode>[1-9]\d{3}\s?[A-Za-z]{2})\s+(?P<city>\S.*)")

LINES = ("AdressLine1", "AdressLine3", "AdressLine4")  # [sic] in Profit_Debtor
PARTS = "Address"  # under which an item keeps the parts that another feed gave


_NUMBERED = re.compile(r"(?P<street>.*?\S)\s+(?P<tail>\d{1,5}(?:[\s/-]*(?:[A-Za-z]{1,4}(?![A-Za-z])|\d{1,5}))*)")


def _comparable(line: str) -> str:
    """A line in the one spelling that all ways of writing number and suffix share; which is which is not decided here.

    >>> {_comparable(line) for line in ("'t Zand 289 2", "'t Zand 289-2", "'t Zand 289/2")}
    {"'t Zand 289-2"}
    """
    plain = " ".join(line.split())
    found = None if is_po_box(plain) else _NUMBERED.fullmatch(plain)
    return f"{found['street']} {suffix_form(found['tail'])}" if found else plain


ADDRESS_FIELDS = ("Ad", "HmNr", "HmAd", "PbAd", "ZpCd", "Rs", "CoId")


def address_parts(value: Json) -> dict[str, Json] | None:
    """An address (plain JSON) as KnBasicAddressAdr wants it; None for an empty or shielded one (rule B3).

    A Dutch address: street, number as an integer, suffix, postcode, city. A foreign one keeps its first line in `Ad`.
    Raises ValueError for a country AFAS's code of which is not known.
    """
    address = _address(value)
    if address is None:
        return None
    country = (address.country or "NL").strip().upper()
    try:
        code = country_code(country)
    except KeyError:
        raise ValueError(f"AFAS's code of the country {country} is not known here") from None
    parts: dict[str, Json] = {"PbAd": bool(address.po_box), "CoId": code}
    if address.lines and not (address.street or address.po_box):
        shown = [line for line in (text(line) for line in address.lines) if line]
        parts |= {"Ad": shown[0] if shown else None, "ZpCd": text(address.postcode)}
        parts["Rs"] = text(address.city) or (", ".join(shown[1:]) or None)
        return _filled(parts)
    # What cannot be a house number stays in the street: the number is an integer at AFAS, and 0 is not "none".
    street, number, suffix = text(address.street), address.po_box or text(address.number), text(address.suffix)
    found = re.fullmatch(r"([1-9]\d*)\s*(.*)", number) if number else None
    if number and found is None:
        street, number = " ".join(part for part in (street, number) if part), None
    elif found is not None:
        number, suffix = found[1], " ".join(part for part in (found[2], suffix) if part) or None
    parts |= {
        "Ad": None if address.po_box else street,
        "HmNr": int(number) if number else None,
        "HmAd": suffix_form(suffix) or None,
        "ZpCd": _postcode_form(address.postcode, country),
        "Rs": text(address.city),
    }
    return _filled(parts)


def _filled(parts: dict[str, Json]) -> dict[str, Json]:
    return {name: part for name, part in parts.items() if part is not None}


def _address(value: Json) -> Address | None:
    address = msgspec.convert(value, Address) if isinstance(value, dict) else None
    return None if address is None or address.is_empty() else address


def _postcode_form(value: str | None, country: str) -> str | None:
    if value and country == "NL" and postcode.is_valid(value):
        return postcode.pretty(value)
    return text(value)


def _folded(form: dict[str, Json]) -> dict[str, Json]:
    return {name: part.upper() if isinstance(part, str) else part for name, part in _filled(form).items()}


def address_form(value: Json) -> Json:
    """An address (plain JSON) as Profit_Debtor lets us see it again: a street line, postcode and city, country.

    The line is compared, not its parts: where the number begins can be doubtful, and a doubt is no difference. Nor are
    capitals: Profit keeps equal addresses of all its relations as one record, written as it was first.
    """
    if isinstance(value, dict) and "line" in value:
        return cast("Json", value)  # in this form already
    address = _address(value)
    if address is None:
        return None
    country = (address.country or "NL").strip().upper()
    if address.lines and not (address.street or address.po_box):
        shown = [line for line in (text(line) for line in address.lines) if line]
        # Postcode and city of a foreign address come back in one line; all beyond the first line goes there too.
        place = " ".join(part for part in (text(address.postcode), text(address.city)) if part)
        return _folded(
            {
                "line": _comparable(shown[0]) if shown else "",
                "city": place or ", ".join(shown[1:]) or None,
                "country": country,
            }
        )
    shown_line = _comparable(house_number_line(address))
    if country != "NL":
        place = " ".join(part for part in (text(address.postcode), text(address.city)) if part)
        return _folded({"line": shown_line, "city": place or None, "country": country})
    parts = {"postcode": _postcode_form(address.postcode, country), "city": text(address.city), "country": country}
    return _folded({"line": shown_line, **parts})


def read_address(row: dict[str, Json]) -> tuple[Address | None, tuple[Problem, ...]]:
    """The visit address of a debtor: from parts when a feed gave them, else out of the address lines (rule B18)."""
    parts = row.get(PARTS)
    if isinstance(parts, dict):
        return _from_parts(cast("dict[str, Json]", parts))
    first, third, fourth = (text(row.get(name)) for name in LINES)
    if not (first or third or fourth):
        return None, ()
    problems: list[Problem] = []
    country = iso_country(fourth, coded=False) if fourth else "NL"
    if country is None:
        review = "This country's name is not known here; the address is kept as its lines."
        problems.append(Problem("address_review", review, field="AdressLine4"))
    if country != "NL":
        kept = tuple(line for line in ((first, third) if country else (first, third, fourth)) if line)
        return Address(lines=kept, country=country), tuple(problems)
    place = _POSTCODE_CITY.fullmatch(third) if third else None
    code, city = (postcode.compact(place["postcode"]), place["city"]) if place else (None, third)
    found = split_line(first) if first else Address()
    if found is None:
        found = Address(street=first)
        review = "No house number could be found in this address line; the line is kept whole."
        problems.append(Problem("address_review", review, field="AdressLine1"))
    return msgspec.structs.replace(found, postcode=code, city=city, country="NL"), tuple(problems)


# How connectors call the parts: the UpdateConnector's own names first, then those of the vendor's standard feeds.
_COLUMNS = {
    "street": ("Ad", "Address", "Street", "A_Straat", "Straat"),
    "number": ("HmNr", "Number", "HouseNumber", "A_Huisnummer", "Huisnummer"),
    "suffix": ("HmAd", "NumberAdd", "HouseNumberAdd", "A_Toev_Huisnr.", "Toevoeging"),
    "postcode": ("ZpCd", "ZipCode", "ZIPCode", "A_Postcode", "Postcode"),
    "city": ("Rs", "Recidence", "Residence", "City", "A_Woonplaats", "Woonplaats"),
    "code": ("CoId", "Country", "CountryId", "Land"),
    "iso": ("A_Land", "CountryIso"),
    "box": ("PbAd", "PoBox", "Postbus"),
}


def parts_of(row: dict[str, Json]) -> dict[str, Json] | None:
    """The parts of an address out of a row of whichever connector; None when it has no columns for street and city."""
    found = {
        part: next(row[name] for name in names if name in row)
        for part, names in _COLUMNS.items()
        if any(name in row for name in names)
    }
    return found if {"street", "city"} <= found.keys() else None


def _from_parts(parts: dict[str, Json]) -> tuple[Address | None, tuple[Problem, ...]]:
    street, city, code = text(parts.get("street")), text(parts.get("city")), text(parts.get("postcode"))
    number = text(parts.get("number"))
    number = None if number == "0" else number  # an integer column may show 0 for none
    if not (street or city or code or number):
        return None, ()
    shown = text(parts.get("iso")) or text(parts.get("code"))
    country = shown.upper() if shown and parts.get("iso") else iso_country(shown, coded=True) if shown else "NL"
    problems: tuple[Problem, ...] = ()
    if country is None:
        review = "This country code is not known here; set the country by hand."
        problems = (Problem("address_review", review, field="CoId"),)
    if code and country == "NL" and postcode.is_valid(code):
        code = postcode.compact(code)
    if country != "NL":
        line = " ".join(part for part in (street, number, text(parts.get("suffix"))) if part)
        return Address(lines=(line,) if line else (), postcode=code, city=city, country=country), problems
    boxed = flag(parts.get("box"))
    suffix = suffix_form(text(parts.get("suffix"))) or None
    found = Address(po_box=number) if boxed and number else Address(street=street, number=number, suffix=suffix)
    return msgspec.structs.replace(found, postcode=code, city=city, country=country), problems
