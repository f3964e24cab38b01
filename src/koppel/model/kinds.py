"""Kinds of value and how each is compared, so that formatting is never a conflict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Literal, get_args

from koppel.model.values import Json

Kind = Literal[
    "text",
    "name",
    "kvk",
    "vat",
    "postcode",
    "phone",
    "email",
    "url",
    "country",
    "bool",
    "int",
    "date",
    "instant",
    "money",
    "decimal",
    "code",
    "address",
    "set",
    "guid",
    "ref",
    "lines",
]
KINDS = frozenset(get_args(Kind))
# The kind of each part of a document's or journal entry's line.
LINE_KINDS: Mapping[str, Kind] = {
    "product": "ref",
    "description": "text",
    **dict.fromkeys(("quantity", "unit_price", "discount", "amount", "vat_amount", "debit", "credit"), "decimal"),
    **dict.fromkeys(("vat", "ledger", "cost_centre"), "code"),
}

_COMPANY_FORMS = re.compile(r"\b(b\.?\s?v\.?|n\.?\s?v\.?|v\.?\s?o\.?\s?f\.?|c\.?\s?v\.?)(?=$|[\s,)])", re.IGNORECASE)


def is_blank(value: Json) -> bool:
    """None, empty text, empty list or a dict of blanks: nothing a person would call a value."""
    if isinstance(value, dict):
        return all(is_blank(part) for part in value.values())
    return value is None or value in ("", [], ())


def normalise(kind: str, value: Json) -> Json:
    """The form two spellings of one value share; blank values become None.

    >>> normalise("name", "Bakkerij  De Korenaar B.V.") == normalise("name", "Bakkerij De Korenaar BV")
    True
    >>> normalise("phone", "020-1234567") == normalise("phone", "+31 20 123 45 67")
    True
    >>> normalise("postcode", "1034 wl")
    '1034WL'
    >>> normalise("lines", [{"quantity": "1.000", "amount": "155.40"}])
    [{'amount': '155.4', 'quantity': '1'}]
    """
    if is_blank(value):
        return None
    if isinstance(value, dict):
        parts = {key: normalise(_part_kind(kind, key), part) for key, part in sorted(value.items())}
        return {key: part for key, part in parts.items() if part is not None}
    if isinstance(value, (list, tuple)):
        items = [normalise("lines" if kind == "lines" else "text", item) for item in value]
        return sorted(items, key=repr) if kind == "set" else items
    if isinstance(value, str):
        return _normalise_text(kind, value)
    if isinstance(value, Decimal):
        return str(value)
    return value


def _part_kind(kind: str, name: str) -> str:
    if kind == "lines":
        return LINE_KINDS.get(name, "text")
    return "postcode" if name.lower() == "postcode" else "text"


def _normalise_text(kind: str, value: str) -> str | None:
    text = " ".join(value.split())
    if kind == "name":
        text = _COMPANY_FORMS.sub(lambda m: re.sub(r"[.\s]", "", m.group(1)).upper(), text)
    elif kind in {"postcode", "kvk", "vat", "country", "guid"}:
        text = re.sub(r"[\s.\-]", "", text).upper() if kind != "guid" else text.lower()
    elif kind == "email":
        text = text.lower()
    elif kind == "url":
        text = re.sub(r"^https?://", "", text.lower()).rstrip("/")
    elif kind == "phone":
        digits = re.sub(r"[^\d+]", "", text)
        digits = "+" + digits[2:] if digits.startswith("00") else digits
        text = "+31" + digits[1:] if re.fullmatch(r"0[1-9]\d+", digits) else digits
    elif kind in {"money", "decimal"}:
        return _normalise_number(text)
    return text or None


def _normalise_number(text: str) -> str | None:
    """Without trailing zeros, a currency behind it as it is; what is no number stays as it is written."""
    amount, space, currency = text.partition(" ")
    try:
        number = Decimal(amount)
    except InvalidOperation:
        return text or None
    return format(number.normalize() if number else abs(number).normalize(), "f") + space + currency
