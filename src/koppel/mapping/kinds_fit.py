"""Whether a value, or a kind of value, fits the kind of a field. Pure judgement, used by `check` before anything runs."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation

from koppel.model.kinds import Kind
from koppel.model.values import Json

_FREE: frozenset[Kind] = frozenset({"text", "name", "code"})
_WORDS: frozenset[Kind] = frozenset(
    {"text", "name", "code", "kvk", "vat", "postcode", "phone", "email", "url", "country"}
)
_STAMPS: frozenset[Kind] = frozenset({"date", "instant", "guid"})
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PATTERNS: dict[Kind, re.Pattern[str]] = {
    "email": re.compile(r"[^@\s]+@[^@\s]+"),
    "country": re.compile(r"[A-Z]{2}"),
    "guid": _GUID,
    "kvk": re.compile(r"\d{8}"),
}


def kind_fits(source: Kind, target: Kind) -> bool:
    """Whether values of one kind can stand in a field of another without a transform.

    Free text may hold a telephone number, so text fits a phone field; it fits no date, number or switch.

    >>> kind_fits("phone", "text"), kind_fits("text", "phone"), kind_fits("text", "date"), kind_fits("bool", "text")
    (True, True, False, False)
    """
    if source == target:
        return True
    if source in _WORDS | _STAMPS and target in _FREE:
        return True
    if source in _FREE and target in _WORDS:
        return True
    return source == "int" and target in {"decimal", "money"}


def misfit(value: Json, kind: Kind) -> str | None:
    """Why a constant does not fit a field of that kind; None when it does.

    >>> misfit("C", "bool")
    'it must be true or false'
    """
    if kind == "bool":
        return None if isinstance(value, bool) else "it must be true or false"
    if kind == "int":
        return None if isinstance(value, int) and not isinstance(value, bool) else "it must be a whole number"
    if kind in {"decimal", "money"}:
        return None if _is_number(value) else "it must be a number"
    if kind == "set":
        return None if isinstance(value, (list, tuple)) else "it must be a list"
    if kind == "address":
        return "an address cannot be written as one value"
    if not isinstance(value, str):
        return "it must be a text between quotes"
    if kind in {"date", "instant"}:
        return None if _is_date(value) else "it must begin with a day such as 2026-11-01"
    pattern = _PATTERNS.get(kind)
    return (
        None
        if pattern is None or pattern.fullmatch(value)
        else f"it does not look like {'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    )


def bridge(source: Kind, target: Kind) -> str:
    """The transform that brings one kind to the other, as a suggestion; empty when there is none."""
    if source == "instant" and target == "date":
        return 'transform = "date_only"'
    if source == "address" and target in _FREE:
        return 'transform = "one_line" or "join_lines"'
    if source == "set" and target in _FREE:
        return 'transform = "join_words"'
    if target in _FREE:
        return 'transform = "text"'
    return ""


def _is_number(value: Json) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    try:
        return Decimal(str(value)).is_finite()
    except InvalidOperation:
        return False


def _is_date(value: str) -> bool:
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return False
    return True
