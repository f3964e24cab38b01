"""The scope of a flow, asked of one record: does it take part, and if not, why not, in plain words."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from koppel.mapping.flow import Condition
from koppel.mapping.paths import look_up
from koppel.model.record import Record
from koppel.model.values import Json

UNSET = msgspec.UNSET


def holds(conditions: Iterable[Condition], record: Record) -> bool:
    """Whether the record meets them all; no conditions at all hold for everything."""
    return all(_holds(condition, record) for condition in conditions)


def reason(conditions: Iterable[Condition], record: Record) -> str | None:
    """Why the record takes no part, naming the first condition it does not meet; None when it meets them all."""
    failed = unmet(conditions, record)
    return None if failed is None else _why(failed, record)


def unmet(conditions: Iterable[Condition], record: Record) -> Condition | None:
    """The first condition the record does not meet."""
    return next((condition for condition in conditions if not _holds(condition, record)), None)


def wanted(condition: Condition) -> str:
    """What a condition asks for, in words: `is_active is true`."""
    if condition.any:
        return " or ".join(wanted(alternative) for alternative in condition.any)
    return f"{condition.field} {_test(condition)}"


def fields_named(conditions: Iterable[Condition]) -> tuple[str, ...]:
    """Every field the conditions look at."""
    names: list[str] = []
    for condition in conditions:
        names += fields_named(condition.any) if condition.any else (condition.field,)
    return tuple(dict.fromkeys(names))


def _holds(condition: Condition, record: Record) -> bool:
    if condition.any:
        return any(_holds(alternative, record) for alternative in condition.any)
    value = look_up(record, condition.field)
    if condition.filled is not UNSET:
        return (value is not None) == condition.filled
    if condition.is_ is not UNSET:
        return _among(value, (condition.is_,))
    if condition.is_not is not UNSET:
        return not _among(value, (condition.is_not,))
    if condition.in_ is not UNSET:
        return _among(value, condition.in_)
    if condition.not_in is not UNSET:
        return not _among(value, condition.not_in)
    return False


def _among(value: Json, wanted_values: Iterable[Json]) -> bool:
    """Whether the value, or one of a list's values, is among them. An empty value is among none."""
    values = value if isinstance(value, list) else [] if value is None else [value]
    allowed = [_comparable(item) for item in wanted_values]
    return any(_comparable(item) in allowed for item in values)


def _comparable(value: Json) -> tuple[str, Json]:
    # True equals 1 in Python; a switch and a number are different answers here.
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, str):
        return ("text", " ".join(value.split()))
    return ("number" if isinstance(value, (int, float)) else "other", value)


def _why(condition: Condition, record: Record) -> str:
    if condition.any:
        return f"none of these holds: {wanted(condition)}"
    value = look_up(record, condition.field)
    shown = "empty" if value is None else say(value)
    return f"{condition.field} is {shown}, the flow wants {_test(condition).removeprefix('is ')}"


def _test(condition: Condition) -> str:
    if condition.filled is not UNSET:
        return "is filled" if condition.filled else "is empty"
    if condition.is_ is not UNSET:
        return f"is {say(condition.is_)}"
    if condition.is_not is not UNSET:
        return f"is not {say(condition.is_not)}"
    if condition.in_ is not UNSET:
        return f"is one of {_listed(condition.in_)}"
    if condition.not_in is not UNSET:
        return f"is none of {_listed(condition.not_in)}"
    return "is never met"


def _listed(values: Iterable[Json]) -> str:
    return ", ".join(say(value) for value in values)


def say(value: Json) -> str:
    """A value as a person writes it: true, 12, customer."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return _listed(value)
    return str(value)
