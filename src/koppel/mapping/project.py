"""A record as a flow sees it: per rule the plain value that this side shows, ready to be compared with the other side.

For a rule whose value is made (from another field, a constant, a table, a transform) the side it comes from shows the
made value, so that both sides of a key can always be compared and the one can be written to the other as it is.
A value that cannot be made leaves its key *out* and is named in a `Problem` with the key as its field: an empty value
may wipe one, a missing key never may. A rule that does not hold for a record (`where`) leaves its key out as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from koppel.mapping.conditions import fields_named, holds, say
from koppel.mapping.flow import FieldRule, Flow, SideName
from koppel.mapping.paths import NEVER_WRITTEN, is_canonical, look_up
from koppel.mapping.transforms import TRANSFORMS, Transform, apply, resolve
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem
from koppel.model.record import Record
from koppel.model.values import Json

UNMAPPED = "unmapped"
UNREADABLE = "transform_failed"
NOT_HELD = object()  # no alternative of the rule holds for the record


def values(
    flow: Flow, side: SideName, record: Record, *, transforms: Mapping[str, Transform] = TRANSFORMS
) -> tuple[dict[str, Json], tuple[Problem, ...]]:
    """What this side shows for every rule, by rule key, and what could not be made; blank is None."""
    shown: dict[str, Json] = {}
    problems: list[Problem] = []
    for rule in flow.fields:
        value = incoming(flow, rule, side, record, transforms=transforms)
        if isinstance(value, Problem):
            problems.append(value)
        elif value is not NOT_HELD:
            shown[rule.key] = value
    return shown, tuple(problems)


def project(
    flow: Flow, side: SideName, record: Record, *, transforms: Mapping[str, Transform] = TRANSFORMS
) -> dict[str, Json]:
    """What this side shows, by rule key; a value that cannot be made is left out (see `values`)."""
    return values(flow, side, record, transforms=transforms)[0]


def incoming(
    flow: Flow,
    rule: FieldRule,
    from_side: SideName,
    record: Record,
    *,
    transforms: Mapping[str, Transform] = TRANSFORMS,
) -> Json | Problem:
    """The value the other side should get for this rule when `record` (on `from_side`) is followed.

    On the side a made value comes from, it is made and defaulted; on any other side it is the field as it stands.
    A Problem instead of a value says what kept it from being made: a code missing from the table, an unreadable value.
    `NOT_HELD` says that the rule is for other records.
    """
    if from_side != rule.from_side:
        return look_up(record, rule.path)
    held = next((each for each in rule.alternatives if holds(each.where, record)), None)
    if held is None:
        return NOT_HELD
    value = _made(flow, held, record, transforms) if held.derived else look_up(record, held.path)
    if isinstance(value, Problem):
        return value
    return _or_default(held, value, record)


def unheld(flow: Flow, shown: Mapping[str, Json], problems: tuple[Problem, ...]) -> tuple[str, ...]:
    """The keys of rules that do not hold for a record, from what `values` gave for it."""
    broken = {problem.field for problem in problems}
    return tuple(rule.key for rule in flow.fields if rule.key not in shown and rule.key not in broken)


def own_fields(flow: Flow, side: SideName) -> tuple[str, ...]:
    """The vendor's own fields of that side which the flow reads or writes, for the codec to carry."""
    names: list[str] = []
    for rule in flow.fields:
        if rule.side == side:
            names.append(rule.path)
        if rule.from_side == side:
            names += [name for each in rule.alternatives for name in _read_by(each)]
    names += fields_named(flow.scope.left if side == "left" else flow.scope.right)
    return tuple(dict.fromkeys(name for name in names if not is_canonical(flow.entity, name)))


def _read_by(rule: FieldRule) -> tuple[str, ...]:
    """What one rule reads on the side it comes from."""
    named = (rule.source, rule.default_by)
    return (*(name for name in named if name), *fields_named(rule.where))


def match_values(flow: Flow, record: Record) -> tuple[tuple[str, str], ...]:
    """The record's strong keys of the kinds this flow matches on, in the flow's order."""
    keys = record.entity.match_keys()
    return tuple((kind, value) for wanted in flow.match.keys for kind, value in keys if kind == wanted)


def _made(flow: Flow, rule: FieldRule, record: Record, transforms: Mapping[str, Transform]) -> Json | Problem:
    """The value of a derived rule: constant, or source, then through the table, then through the transform."""
    if rule.transform and resolve(rule.transform, transforms)[0].takes == "record":
        seen = {name: value for name, value in record.builtins().items() if name not in NEVER_WRITTEN}
        return _transformed(rule, seen, transforms)
    constant = rule.const if isinstance(rule.const, (str, int, float, list, tuple)) else None
    value = constant if constant is not None else look_up(record, rule.source or rule.path)
    if rule.table and value is not None:
        table = flow.tables.get(rule.table, {})
        code = say(value)
        if code not in table:
            return _unmapped(rule, code)
        value = table[code]
    if rule.transform and not is_blank(value):
        return _transformed(rule, value, transforms)
    return value


def _transformed(rule: FieldRule, value: Json, transforms: Mapping[str, Transform]) -> Json | Problem:
    name = rule.transform or ""
    try:
        return apply(name, value, transforms)
    except Exception as error:  # noqa: BLE001 - a customer's own function may raise anything; one record never stops a run (law 4)
        said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return Problem(UNREADABLE, f"the transform {name} could not be done: {said}", field=rule.key)


def _unmapped(rule: FieldRule, code: str) -> Problem:
    text = f"the table {rule.table!r} of the flow has no line for {code!r}; add [tables.{rule.table}] {code} = …"
    return Problem(UNMAPPED, text, field=rule.key, about=(rule.table or "", code))


def _or_default(rule: FieldRule, value: Json, record: Record) -> Json:
    if isinstance(value, str) and not value.strip():
        value = None
    if not is_blank(value):
        return value
    if rule.default_by is not None:
        by = look_up(record, rule.default_by)
        return rule.defaults.get("" if by is None else say(by), rule.defaults.get("*"))
    return rule.default if isinstance(rule.default, (str, int, float, list, tuple)) else None
