"""Conditions judged against the side they look at: a scope's, and those of rules that hold for some records only."""

from __future__ import annotations

from collections.abc import Iterable

from koppel.mapping.checking import UNSET, Check, each, find_field
from koppel.mapping.conditions import say
from koppel.mapping.flow import Condition, FieldRule, SideName
from koppel.mapping.kinds_fit import misfit
from koppel.mapping.paths import is_canonical
from koppel.mapping.positions import Place
from koppel.mapping.problems import did_you_mean
from koppel.model.can import Field
from koppel.model.values import Json


def check_conditions(check: Check, side: SideName, conditions: Iterable[Condition], *path: str | int) -> None:
    """Note the fields that are not there and the values they can never have."""
    for index, condition in enumerate(conditions):
        if condition.any:
            check_conditions(check, side, condition.any, *path, index, "any")
            continue
        found = find_field(check, side, condition.field, check.value(*path, index, "field"), writing=False)
        if found is None or ("." in condition.field and is_canonical(check.flow.entity, condition.field)):
            continue
        for test, value in _tests(condition):
            for number, item in enumerate(each(value)):
                inside = (number,) if isinstance(value, (list, tuple)) else ()
                _check_tested(check, found, item, check.value(*path, index, test, *inside))


def _tests(condition: Condition) -> tuple[tuple[str, Json], ...]:
    tests = (("is", condition.is_), ("is_not", condition.is_not), ("in", condition.in_), ("not_in", condition.not_in))
    return tuple((name, value) for name, value in tests if value is not UNSET)


def _check_tested(check: Check, found: Field, value: Json, place: Place) -> None:
    wrong = misfit(value, found.kind) if found.kind in {"bool", "int", "decimal"} else None
    if wrong:
        check.say(place, "wrong-type", f"{found.path!r} can never be {value!r}: {wrong}")
    elif found.values and value not in found.values:
        message = f"{found.path!r} can never be {value!r}"
        check.say(place, "unknown-code", message, did_you_mean(value, found.values))


# --- rules that hold for some records only --------------------------------------------------------------------------


def check_where(check: Check, rule: FieldRule) -> None:
    """The conditions of a rule, on the side its value comes from."""
    if not rule.where or rule.from_side is None:
        return
    path: tuple[str | int, ...] = ("fields", rule.key)
    if check.positions is not None and path not in check.positions.keys:
        path = ("fields", *rule.key.split("."))
    path = path if rule.number is None else (*path, rule.number)
    check_conditions(check, rule.from_side, rule.where, *path, "where")


def check_alternatives(check: Check, rule: FieldRule) -> None:
    """Of several rules for one field the first that holds counts: one that an earlier one always forestalls is never used."""
    rules = rule.alternatives
    for index, later in enumerate(rules):
        for earlier in rules[:index]:
            if all(any(_within(mine, theirs) for mine in later.where) for theirs in earlier.where):
                said = "holds for every record" if not earlier.where else "holds for all of its records"
                message = f"this rule for {rule.key!r} is never used: the rule on line {earlier.line} {said}"
                check.say(check.of_rule(later), "unreachable", message, "put the narrower rule first")
                break
            shared = _shared(earlier, later)
            if shared:
                message = f"for {shared} two rules of {rule.key!r} hold; the one on line {earlier.line} counts"
                check.say(check.of_rule(later), "overlapping", message, severity="warning")


def _within(mine: Condition, theirs: Condition) -> bool:
    """Whether the first can hold only where the second holds; what cannot be told counts as no."""
    if mine == theirs:
        return True
    if mine.field != theirs.field or mine.any or theirs.any:
        return False
    mine_values, their_values = _allowed(mine), _allowed(theirs)
    if theirs.filled is True:
        return bool(mine_values)
    return mine_values is not None and their_values is not None and mine_values <= their_values


def _allowed(condition: Condition) -> frozenset[str] | None:
    if condition.is_ is not UNSET:
        return frozenset((say(condition.is_),))
    return frozenset(say(value) for value in condition.in_) if condition.in_ is not UNSET else None


def _shared(earlier: FieldRule, later: FieldRule) -> str:
    """The values of one field for which both hold, where that is all that tells the two rules apart."""
    if len(earlier.where) != 1 or len(later.where) != 1 or earlier.where[0].field != later.where[0].field:
        return ""
    first, second = _allowed(earlier.where[0]), _allowed(later.where[0])
    if first is None or second is None or not first & second:
        return ""
    return f"{later.where[0].field} {' or '.join(sorted(first & second))}"
