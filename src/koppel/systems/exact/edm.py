"""Values by Edm type: as they come in JSON, as bodies want them, as literals of a filter, and as a person types them.

Numbers with a fraction are `Decimal`, with the digits of the JSON text: an amount never passes through a float. Dates are
Dutch wall-clock time without a zone. What cannot be read raises ValueError and is never guessed.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeAlias, cast

import msgspec

from koppel.systems.exact import codec, odata
from koppel.systems.exact.odata import Term

# A value of one of the vendor's types: Edm.Double is a Decimal, Edm.Binary stays the base64 text it came as.
Value: TypeAlias = "str | int | bool | Decimal | datetime | None"

WHOLE = {
    "Byte": (0, 255),
    "Int16": (-(2**15), 2**15 - 1),
    "Int32": (-(2**31), 2**31 - 1),
    "Int64": (-(2**63), 2**63 - 1),
}
FRACTIONS = ("Double", "Decimal", "Single")
NUMBERS = (*WHOLE, *FRACTIONS)
TYPES = ("String", "Guid", "DateTime", "Boolean", "Binary", *NUMBERS)
UNKNOWN = "Unknown"  # the listings do not tell; the account's $metadata may
WORDS = {
    "String": "text",
    "Guid": "a GUID",
    "DateTime": "a date, YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS",
    "Boolean": "yes or no",
    "Binary": "bytes in base64",
    **{name: f"a whole number from {low} to {high}" for name, (low, high) in WHOLE.items()},
    **dict.fromkeys(FRACTIONS, "a number, with a point before its decimals"),
}

_READER = msgspec.json.Decoder(float_hook=Decimal)
_WRITER = msgspec.json.Encoder(decimal_format="number")


def read_json(data: bytes | str) -> object:
    """A JSON text with its fractions as Decimals, digit for digit. Raises ValueError.

    >>> read_json('{"AmountDC": 0.10}')
    {'AmountDC': Decimal('0.10')}
    """
    try:
        return cast("object", _READER.decode(data))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def write_json(value: object) -> bytes:
    """A body, its Decimals as JSON numbers with exactly their digits.

    >>> write_json({"AmountDC": Decimal("0.10")})
    b'{"AmountDC":0.10}'
    """
    return _WRITER.encode(value)


# --- in -----------------------------------------------------------------------------------------------------------


def decode(type_: str, shown: object) -> Value:
    """A value as the vendor shows it. Raises ValueError when it is none of its type.

    Padding stays: it is real data here, and only who knows the property may take it away (fact sheet §5).

    >>> decode("Int64", "1234567"), decode("Double", 3), decode("Guid", "71B961DE-0000-4000-8000-000000000001")
    (1234567, Decimal('3'), '71b961de-0000-4000-8000-000000000001')
    """
    if shown is None:
        return None
    if isinstance(shown, bool):
        if type_ in {"Boolean", UNKNOWN}:
            return shown
    elif type_ in WHOLE:
        return _whole(type_, shown)
    elif type_ in FRACTIONS:
        return _fraction(shown)
    elif type_ == "DateTime" and isinstance(shown, str):
        return _date(shown)
    elif type_ == "Guid" and isinstance(shown, str):
        return odata.plain_guid(shown)
    elif type_ == "Boolean" and shown in (0, 1):
        return bool(shown)
    elif type_ in {"String", "Binary"} and isinstance(shown, str):
        return shown
    elif type_ == "String" and isinstance(shown, (int, Decimal)):
        return str(shown)
    elif type_ == UNKNOWN:
        return _by_its_look(shown)
    raise ValueError(f"the vendor shows something that is not {WORDS.get(type_, type_)}")


def _by_its_look(shown: object) -> Value:
    if isinstance(shown, str) and shown.startswith("/Date("):
        return _date(shown)
    if isinstance(shown, (str, int, Decimal)):
        return shown
    raise ValueError("this is no single value")


def _date(shown: str) -> datetime | None:
    try:
        return codec.wall_clock(shown)
    except (ValueError, OverflowError):
        raise ValueError("the vendor shows something that is not a date") from None


def _whole(type_: str, shown: object) -> int:
    low, high = WHOLE[type_]
    if isinstance(shown, Decimal):
        shown = int(shown) if shown == shown.to_integral_value() else str(shown)
    if isinstance(shown, str) and re.fullmatch(r"\s*-?\d{1,19}\s*", shown, re.ASCII):
        shown = int(shown)
    if isinstance(shown, int) and low <= shown <= high:
        return shown
    raise ValueError(f"{shown!r} is not {WORDS[type_]}")


_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def _fraction(shown: object) -> Decimal:
    text = str(shown).strip() if isinstance(shown, (int, Decimal, str)) else ""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{shown!r} is not {WORDS['Double']}")
    try:
        return Decimal(text)
    except InvalidOperation:  # pragma: no cover - the pattern has let it through
        raise ValueError(f"{shown!r} is not {WORDS['Double']}") from None


# --- out ----------------------------------------------------------------------------------------------------------


def encode(type_: str, value: Value) -> object:
    """A value as a body wants it: GUIDs and dates as plain text, an Int64 as a number. Raises ValueError.

    Sent as `guid'…'` a GUID is refused with 500 [picqer #263]; an Int64 is shown as text, taken as either (unverified).

    >>> encode("DateTime", datetime(2026, 4, 7)), encode("Guid", "71B961DE-0000-4000-8000-000000000001")
    ('2026-04-07T00:00:00', '71b961de-0000-4000-8000-000000000001')
    """
    found = _checked(type_, value)
    if isinstance(found, datetime):
        if found.tzinfo is not None:
            raise ValueError("Exact Online takes wall-clock times without a zone")
        return found.isoformat(timespec="milliseconds" if found.microsecond else "seconds")
    return found


def literal(type_: str, value: Value) -> Term:
    """A value as a filter wants it. Raises ValueError.

    >>> literal("Int64", 5), literal("Double", Decimal("0.5")), literal("String", "'t Hoekje"), literal("Boolean", None)
    ('5L', '0.5d', "'''t Hoekje'", 'null')
    """
    found = _checked(type_, value)
    if found is None:
        return odata.NULL
    if isinstance(found, bool):
        return odata.boolean(value=found)
    if isinstance(found, datetime):
        return odata.moment(found)
    if isinstance(found, Decimal):
        return odata.decimal(found) if type_ == "Decimal" else odata.double(found)
    if isinstance(found, int):
        return odata.int64(found) if type_ == "Int64" else odata.int32(found)
    if type_ == "Binary":
        raise ValueError("bytes cannot be compared")
    return odata.guid(found) if type_ == "Guid" else odata.text(found)


def _checked(type_: str, value: Value) -> Value:
    """The value, when it is one of that type."""
    if value is None:
        return None
    if type_ == "DateTime" and isinstance(value, datetime):
        return value
    if type_ == "Binary" and isinstance(value, str):
        return _base64(value)
    if type_ == "String" and not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return decode(type_, value)


def _base64(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("this is not base64") from None
    return value


# --- typed by a person ----------------------------------------------------------------------------------------------

_YES, _NO = ("true", "yes", "ja", "1"), ("false", "no", "nee", "0")


def typed(type_: str, text: str) -> Value:
    """What somebody typed, as a value of that type. Raises ValueError with the words for a message.

    >>> typed("Boolean", "yes"), typed("Double", "12.50"), typed("DateTime", "2026-01-31"), typed("Byte", "no")
    (True, Decimal('12.50'), datetime.datetime(2026, 1, 31, 0, 0), 0)
    """
    plain = text.strip()
    if type_ == "String":
        return text
    if type_ == "Boolean" or (type_ == "Byte" and plain.lower() in {"yes", "ja", "true", "no", "nee", "false"}):
        flag = plain.lower() in _YES
        if not flag and plain.lower() not in _NO:
            raise ValueError(f"{text!r} is not {WORDS['Boolean']}")
        return flag if type_ == "Boolean" else int(flag)  # flags such as IsWebshopItem are Bytes (fact sheet §5)
    if type_ == "DateTime":
        return _typed_date(plain)
    if type_ == "Guid":
        return odata.plain_guid(plain)
    if type_ == "Binary":
        return _base64(plain)
    if type_ in NUMBERS:
        return decode(type_, plain)
    raise ValueError(f"the type of this property is not known, so {text!r} cannot be read")


def _typed_date(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        if "T" not in text and " " not in text:
            found = datetime.combine(date.fromisoformat(text), datetime.min.time())
    except ValueError:
        raise ValueError(f"{text!r} is not {WORDS['DateTime']}") from None
    if found.tzinfo is not None:
        raise ValueError(f"{text!r} has a zone; Exact Online keeps Dutch wall-clock time without one")
    return found


def from_json(type_: str, value: object) -> Value:
    """A value out of a body somebody wrote (a JSON file): strict, since JSON has types of its own. Raises ValueError."""
    if type_ == "DateTime" and isinstance(value, str):
        return _typed_date(value)
    if type_ == "String" and value is not None and not isinstance(value, str):
        raise ValueError(f"{value!r} is not text; put it in quotes")
    if type_ in NUMBERS and isinstance(value, str) and type_ != "Int64":
        raise ValueError(f"{value!r} is text; write the number without quotes")
    if type_ == "Binary" and isinstance(value, str):
        return _base64(value)
    return decode(type_, value)
