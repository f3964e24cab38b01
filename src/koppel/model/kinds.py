"""Kinds of value and how each is compared, so that formatting is never a conflict."""

from __future__ import annotations

import re
from decimal import Decimal
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
    """
    if is_blank(value):
        return None
    if isinstance(value, dict):
        parts = {
            key: normalise("postcode" if key.lower() == "postcode" else "text", part)
            for key, part in sorted(value.items())
        }
        return {key: part for key, part in parts.items() if part is not None}
    if isinstance(value, (list, tuple)):
        items = [normalise("text", item) for item in value]
        return sorted(items, key=repr) if kind == "set" else items
    if isinstance(value, str):
        return _normalise_text(kind, value)
    if isinstance(value, Decimal):
        return str(value)
    return value


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
        number = Decimal(text.split()[0])
        text = format(number.normalize(), "f") + text[len(text.split()[0]) :]
    return text or None
