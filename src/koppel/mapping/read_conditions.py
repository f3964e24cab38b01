"""Reading conditions of a flow file: of a scope, or of a rule that holds for some records only."""

from __future__ import annotations

from typing import Any

import msgspec

from koppel.mapping.flow import Condition
from koppel.mapping.sheet import Sheet, shown
from koppel.model.values import Json

UNSET = msgspec.UNSET
TESTS = ("is", "is_not", "in", "not_in", "filled")


def read_conditions(sheet: Sheet, table: dict[str, Any], *path: str | int) -> tuple[Condition, ...]:
    """The list of conditions under the last name of the path; empty when there is none."""
    found = table.get(str(path[-1]), [])
    if not isinstance(found, list):
        hint = 'write [{ field = "is_active", is = true }]'
        sheet.wrong(path, f"{path[-1]!r} must be a list of conditions, not {shown(found)}", hint)
        return ()
    conditions = [_condition(sheet, item, *path, index) for index, item in enumerate(found)]
    return tuple(condition for condition in conditions if condition is not None)


def _condition(sheet: Sheet, item: Any, *path: str | int) -> Condition | None:
    if not isinstance(item, dict):
        sheet.wrong(path, f"a condition must be a table, not {shown(item)}", 'write { field = "is_active", is = true }')
        return None
    sheet.known_keys(item, ("field", "any", *TESTS), *path)
    if "any" in item:
        if len(item) > 1:
            sheet.wrong(path, "'any' stands alone in its condition", "put the other tests in a condition of their own")
        inner = read_conditions(sheet, item, *path, "any")
        if item["any"] == []:
            sheet.wrong(path, "'any' has no alternatives and would never be met")
        return Condition(any=inner) if inner else None
    field = sheet.text(item, *path, "field", required=True)
    tests = [test for test in TESTS if test in item]
    if len(tests) != 1:
        said = "has no test" if not tests else f"has {len(tests)} tests"
        sheet.wrong(path, f"this condition {said}; it needs exactly one", f"one of: {', '.join(TESTS)}")
        return None
    value = _test_value(sheet, item, tests[0], *path, tests[0])
    return None if field is None or value is UNSET else _condition_of(field, tests[0], value)


def _test_value(sheet: Sheet, item: dict[str, Any], test: str, *path: str | int) -> Json:
    if test == "filled":
        return sheet.switch(item, *path, default=True)
    value = sheet.plain(item[test], *path)
    if test in {"in", "not_in"}:
        if isinstance(value, list) and value:
            return tuple(value)
        if value is not UNSET:
            sheet.wrong(path, f"{test!r} wants a list with at least one value", f'write {test} = ["…"]')
        return UNSET
    if isinstance(value, list):
        sheet.wrong(path, f"{test!r} wants one value, not a list", f"write {'in' if test == 'is' else 'not_in'} = […]")
        return UNSET
    return value


def _condition_of(field: str, test: str, value: Json) -> Condition:
    names = {"is": "is_", "in": "in_"}
    return Condition(field=field, **{names.get(test, test): value})
