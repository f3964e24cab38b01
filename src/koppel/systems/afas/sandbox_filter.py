"""The questions of a GetConnector: two spellings of a filter in, one predicate over rows out. [MD get-connector]

`parse` reads the three parallel lists or `filterjson` into groups: conditions within a group hold together, one group is
enough. `compile_filter` checks them against the connector's fields and gives a predicate, and what may be looked up in an
index (`equal`, `since`). What is wrong with a question is a `QueryError`; nothing else is ever raised.

As a database compares: case does not count, trailing blanks do not count, and an empty field answers none of the
operators but 8 and 9 (all three unverified).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import msgspec

EQUAL, AT_LEAST, AT_MOST, ABOVE, BELOW, CONTAINS, NOT_EQUAL, EMPTY = 1, 2, 3, 4, 5, 6, 7, 8
NOT_EMPTY, STARTS, CONTAINS_NOT, STARTS_NOT, ENDS, ENDS_NOT, QUICK = 9, 10, 11, 12, 13, 14, 15
_TEXTUAL = frozenset({CONTAINS, STARTS, CONTAINS_NOT, STARTS_NOT, ENDS, ENDS_NOT, QUICK})


class Readable(Protocol):
    """A row: its value by field name."""

    def __getitem__(self, name: str, /) -> Any:
        """The value of that field."""
        ...


class QueryError(Exception):
    """The question is wrong; `field` names the field that does not exist, if that is what is wrong."""

    def __init__(self, field: str | None = None) -> None:
        super().__init__(field or "the question cannot be read")
        self.field = field


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison, as asked: the value is text still."""

    field: str
    operator: int
    value: str


Groups = tuple[tuple[Condition, ...], ...]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What one group allows an index to do: these equalities hold (field, folded value), these stamps are not older."""

    equal: tuple[tuple[str, Any], ...] = ()
    since: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter; with no groups it lets everything through."""

    matches: Callable[[Readable], bool]
    narrowings: tuple[Narrowing, ...] = ()


# --- reading ------------------------------------------------------------------------------------------------------


def parse(query: Mapping[str, str]) -> Groups:
    """The groups of a decoded query string with lower-case names; `filterjson` wins when both are given (unverified).

    Raises QueryError.

    >>> parse({"filterfieldids": "A,B;C", "filtervalues": "1,2;3", "operatortypes": "1,1;6"})[1]
    (Condition(field='C', operator=6, value='3'),)
    """
    if query.get("filterjson", "").strip():
        return _from_json(query["filterjson"])
    if not query.get("filterfieldids", ""):
        if query.get("filtervalues") or query.get("operatortypes"):
            raise QueryError
        return ()
    return _from_lists(query["filterfieldids"], query.get("filtervalues", ""), query.get("operatortypes", ""))


def _from_lists(fields: str, values: str, operators: str) -> Groups:
    """`,` is and, `;` is or; the three lists have the same shape, and nothing escapes either mark. [SP filters.py]"""
    shapes = [[part.split(",") for part in text.split(";")] for text in (fields, values, operators)]
    if len({tuple(len(group) for group in shape) for shape in shapes}) != 1:
        raise QueryError
    return tuple(
        tuple(Condition(field.strip(), _operator(mark), value) for field, value, mark in zip(*group, strict=True))
        for group in zip(*shapes, strict=True)
    )


def _from_json(text: str) -> Groups:
    """`{"Filters":{"Filter":[{"Field":[{"@FieldId":…,"@OperatorType":…,"#text":…}]}]}}`.

    The single-object form of Filter and Field comes from the format's XML origin (unverified).
    """
    try:
        decoded = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        raise QueryError from None
    filters = _object(_object(decoded).get("Filters")).get("Filter")
    groups = tuple(
        tuple(_condition(_object(field)) for field in _list(_object(group).get("Field"))) for group in _list(filters)
    )
    if any(not group for group in groups):
        raise QueryError
    return groups


def _condition(field: Mapping[str, Any]) -> Condition:
    name, value = field.get("@FieldId"), field.get("#text")
    if not isinstance(name, str):
        raise QueryError
    operator = _operator(str(field.get("@OperatorType", "")))
    if value is None or isinstance(value, str):
        text = value or ""
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, (int, float)):
        text = str(value)
    else:
        raise QueryError
    return Condition(name.strip(), operator, text)


def _operator(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise QueryError from None
    if not EQUAL <= number <= QUICK:
        raise QueryError
    return number


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise QueryError
    return value


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


# --- comparing ----------------------------------------------------------------------------------------------------


def fold(value: Any) -> Any:
    """The form in which two values are compared."""
    return value.casefold().rstrip(" ") if isinstance(value, str) else value


def moment(text: str) -> int:
    """A date, or date and time, of the wall clock as milliseconds written as if UTC.

    A `Z` must not be sent: what AFAS makes of it is unknown, here it is refused (unverified). Raises QueryError.

    >>> moment("1970-01-02")
    86400000
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise QueryError from None
    if found.tzinfo is not None:
        raise QueryError
    return round(found.replace(tzinfo=UTC).timestamp() * 1000)


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise QueryError from None
    if not number.is_finite() or abs(number.adjusted()) > 40:
        raise QueryError
    return number


def _flag(text: str) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    folded = text.strip().casefold()
    if folded not in known:
        raise QueryError
    return known[folded]


_READERS: dict[str, Callable[[str], Any]] = {
    "string": fold,
    "blob": fold,
    "int": _number,
    "long": _number,
    "decimal": _number,
    "boolean": _flag,
    "date": moment,
}


def _shown(value: Any) -> str:
    """What text operators look at."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and math.isfinite(value):
        return str(int(value))
    return str(value)


def _is_empty(value: Any) -> bool:
    return value is None or value == ""


def _like(pattern: str) -> Callable[[str], bool]:
    """SQL's LIKE with `%` only."""
    first, *rest = fold(pattern).split("%")
    *middle, last = rest

    def holds(text: str) -> bool:
        if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return holds


_TEXT_TESTS: dict[int, Callable[[str, str], bool]] = {
    CONTAINS: lambda text, part: part in text,
    STARTS: lambda text, part: text.startswith(part),
    CONTAINS_NOT: lambda text, part: part not in text,
    STARTS_NOT: lambda text, part: not text.startswith(part),
    ENDS: lambda text, part: text.endswith(part),
    ENDS_NOT: lambda text, part: not text.endswith(part),
    QUICK: lambda text, part: part in text,  # what the quick filter really does is unverified
}
_ORDER_TESTS: dict[int, Callable[[Any, Any], bool]] = {
    EQUAL: lambda value, wanted: value == wanted,
    AT_LEAST: lambda value, wanted: value >= wanted,
    AT_MOST: lambda value, wanted: value <= wanted,
    ABOVE: lambda value, wanted: value > wanted,
    BELOW: lambda value, wanted: value < wanted,
    NOT_EQUAL: lambda value, wanted: value != wanted,
}


def _test(condition: Condition, type_: str) -> Callable[[Any], bool]:
    """The comparison of one value. Raises QueryError for a value that does not fit the field."""
    operator = condition.operator
    if operator == EMPTY:
        return _is_empty
    if operator == NOT_EMPTY:
        return lambda value: not _is_empty(value)
    if operator in _TEXTUAL:
        # Wildcards from older help are still sent; the outer ones mean nothing here. [HELP App_Con_GS-Local_Get_Filter_xml]
        part = condition.value.strip("%").casefold()
        compare = _TEXT_TESTS[operator]
        return lambda value: not _is_empty(value) and compare(_shown(value).casefold(), part)
    if operator == NOT_EQUAL and "%" in condition.value and type_ in {"string", "blob"}:
        like = _like(condition.value)
        return lambda value: not _is_empty(value) and not like(fold(value))
    wanted = _READERS[type_](condition.value)
    order = _ORDER_TESTS[operator]
    return lambda value: not _is_empty(value) and order(fold(value), wanted)


def compile_filter(groups: Groups, types: Mapping[str, str]) -> Filter:
    """The predicate over rows of these fields (name -> dataType). Raises QueryError."""
    compiled = tuple(tuple((one.field, _checked(one, types)) for one in group) for group in groups)
    if not compiled:
        return Filter(lambda row: True)

    def matches(row: Readable) -> bool:
        return any(all(test(row[field]) for field, test in group) for group in compiled)

    return Filter(matches, tuple(_narrowing(group, types) for group in groups))


def _checked(condition: Condition, types: Mapping[str, str]) -> Callable[[Any], bool]:
    if condition.field not in types:
        raise QueryError(condition.field)
    return _test(condition, types[condition.field])


def _narrowing(group: tuple[Condition, ...], types: Mapping[str, str]) -> Narrowing:
    return Narrowing(
        equal=tuple((one.field, _READERS[types[one.field]](one.value)) for one in group if one.operator == EQUAL),
        since=tuple(
            (one.field, moment(one.value))
            for one in group
            if one.operator in {AT_LEAST, ABOVE} and types[one.field] == "date"
        ),
    )
