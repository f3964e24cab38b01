"""A flow judged against its two sides: what `koppel check` says before anything runs.

It reads the flow, what both resources can do, their field tables and, when it was asked for, the account's live
metadata. What it finds are values; nothing is raised and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from koppel.mapping.flow import Condition, FieldRule, Flow, SideName, other
from koppel.mapping.kinds_fit import bridge, kind_fits, misfit
from koppel.mapping.paths import MATCH_KEYS, NEVER_WRITTEN, canonical_paths, is_canonical
from koppel.mapping.positions import Place, Positions
from koppel.mapping.problems import FlowProblem, Severity, did_you_mean
from koppel.mapping.transforms import TRANSFORMS, Transform, resolve
from koppel.model.can import Can, Field
from koppel.model.kinds import Kind
from koppel.model.values import Json

UNSET = msgspec.UNSET
SIDES: tuple[SideName, SideName] = ("left", "right")


def check_flow(
    flow: Flow,
    *,
    left: Can,
    right: Can,
    positions: Positions | None = None,
    own_fields: Mapping[SideName, tuple[Field, ...]] | None = None,
    entity: str | None = None,
    transforms: Mapping[str, Transform] = TRANSFORMS,
) -> tuple[FlowProblem, ...]:
    """Everything that is wrong between a flow and its sides, in the order of the file.

    `own_fields` is the live metadata of a side's account; a side that is left out was not asked, and what its field table
    does not know is then only a warning. `entity` is what both resources hold, when it is known.
    """
    check = _Check(flow, {"left": left, "right": right}, positions, own_fields or {}, transforms)
    if entity is not None and entity != flow.entity:
        message = f"the flow is about {flow.entity!r}, the resources hold {entity!r}"
        check.say(check.value("entity"), "wrong-entity", message, f'write entity = "{entity}"')
    _check_sides(check)
    _check_missing(check)
    _check_match(check)
    for rule in flow.fields:
        _check_rule(check, rule)
    for side in SIDES:
        _check_conditions(check, side, _scope(flow, side), ("scope", side))
        _check_required(check, side)
        _check_one_writer(check, side)
    return tuple(sorted(check.problems, key=lambda problem: (problem.line, problem.column)))


@dataclass
class _Check:
    """What is checked against what, and what was found so far."""

    flow: Flow
    cans: Mapping[SideName, Can]
    positions: Positions | None
    live: Mapping[SideName, tuple[Field, ...]]
    transforms: Mapping[str, Transform]
    problems: list[FlowProblem] = field(default_factory=list[FlowProblem])
    tables: dict[SideName, dict[str, Field]] = field(default_factory=dict[SideName, dict[str, Field]])

    def __post_init__(self) -> None:
        for side in SIDES:
            # What the account itself says of its own fields outranks our table.
            self.tables[side] = {f.path: f for f in (*self.cans[side].fields, *self.live.get(side, ()))}

    def say(self, place: Place, code: str, message: str, suggestion: str = "", *, severity: Severity = "error") -> None:
        file = self.positions.file if self.positions else self.flow.id
        self.problems.append(FlowProblem(file, place.line, place.column, code, message, suggestion, severity))

    def value(self, *path: str | int) -> Place:
        return self.positions.value(*path) if self.positions else Place(1, 1)

    def key(self, *path: str | int) -> Place:
        return self.positions.key(*path) if self.positions else Place(1, 1)

    def of_rule(self, rule: FieldRule, *inside: str) -> Place:
        """Where a rule stands, or a key inside it."""
        if self.positions is None:
            return Place(max(rule.line, 1), 1)
        path = ("fields", rule.key)
        if path not in self.positions.keys:
            path = ("fields", *rule.key.split("."))
        return self.positions.value(*path, *inside) if inside else self.positions.key(*path)

    def name(self, side: SideName) -> str:
        return str(self.flow.endpoint(side))


def _scope(flow: Flow, side: SideName) -> tuple[Condition, ...]:
    return flow.scope.left if side == "left" else flow.scope.right


# --- what the sides can do ----------------------------------------------------------------------------------------


def _check_sides(check: _Check) -> None:
    flow = check.flow
    if not check.cans["left"].list and flow.scope.take == "all":
        message = f"{check.name('left')} cannot be listed, so somebody must say what takes part"
        check.say(
            check.value("scope", "take"), "needs-take", message, 'write [scope] take = "intake" or "intake+right"'
        )
    for side in SIDES:
        if not flow.creates(side):
            continue
        can, place = check.cans[side], check.value("create", side)
        if not can.create:
            check.say(place, "cannot-create", f"{check.name(side)} cannot be created in", f"write {side} = false")
        if not flow.match.keys:
            message = "without match keys every record would be created a second time"
            check.say(place, "no-match-keys", message, 'add [match] keys = ["kvk"]')
        elif not can.list and not set(flow.match.keys) & set(can.find):
            message = f"{check.name(side)} can neither be listed nor searched by {', '.join(flow.match.keys)}"
            check.say(place, "cannot-find", f"{message}, so nobody can know that a record is new")


def _check_missing(check: _Check) -> None:
    for gone in SIDES:
        rule, stays = check.flow.missing(gone), other(gone)
        place = check.value("missing", gone)
        if rule == "archive" and not check.cans[stays].archive:
            message = f"{check.name(stays)} cannot archive"
            check.say(place, "cannot-archive", message, 'write "ask" or "unlink"')
        if rule == "restore" and not check.cans[gone].create:
            message = f"{check.name(gone)} cannot be created in, so nothing can be restored there"
            check.say(place, "cannot-restore", message, 'write "ask" or "unlink"')


def _check_match(check: _Check) -> None:
    kinds = MATCH_KEYS.get(check.flow.entity, {})
    usable = 0
    for index, kind in enumerate(check.flow.match.keys):
        place = check.value("match", "keys", index)
        if kind not in kinds:
            message = f"{kind!r} is not a strong key of a {check.flow.entity}"
            check.say(place, "unknown-key-kind", message, did_you_mean(kind, kinds))
            continue
        lacking: list[SideName] = [side for side in SIDES if not _carries(check, side, kind, kinds[kind])]
        for side in lacking:
            message = f"{check.name(side)} carries no {kind}, so it can never match on it"
            check.say(place, "key-not-carried", message, severity="warning")
        usable += not lacking
    if check.flow.match.keys and not usable and any(check.flow.creates(side) for side in SIDES):
        message = "no match key is carried by both sides, so every record would be created a second time"
        check.say(check.key("match", "keys"), "no-match-keys", message)


def _carries(check: _Check, side: SideName, kind: str, paths: tuple[str, ...]) -> bool:
    return kind in check.cans[side].find or any(path in check.tables[side] for path in paths)


# --- the rules ----------------------------------------------------------------------------------------------------


def _check_rule(check: _Check, rule: FieldRule) -> None:
    root = (rule.source or rule.path).split(".", 1)[0]
    if root in NEVER_WRITTEN and is_canonical(check.flow.entity, root):
        message = f"{root!r} is never written: {NEVER_WRITTEN[root]}"
        check.say(check.of_rule(rule), "never-written", message, "use it in [match] only")
    targets: dict[SideName, Field] = {side: found for side in rule.to_sides if (found := _target(check, rule, side))}
    for side, target in targets.items():
        _check_writable(check, rule, side, target)
        _check_loss(check, rule, side, target)
        if rule.derived:
            _check_made(check, rule, target)
        if rule.default is not UNSET:
            _check_constant(check, target, rule.default, check.of_rule(rule, "default"), "default")
    if not rule.derived:
        _check_plain(check, rule, targets)
    if rule.owner == "union":
        _check_union(check, rule)
    if rule.owner == "newest":
        _check_stamps(check, rule)


def _target(check: _Check, rule: FieldRule, side: SideName) -> Field | None:
    """The field a rule writes, or None after saying that there is none."""
    return _find(check, side, rule.path, check.of_rule(rule), writing=True)


def _find(check: _Check, side: SideName, path: str, place: Place, *, writing: bool) -> Field | None:
    table, entity = check.tables[side], check.flow.entity
    if path in table:
        return table[path]
    root = path.split(".", 1)[0]
    if root in table and path in canonical_paths(entity):
        if not writing:
            return Field(path=path, readable=table[root].readable)
        message = f"{check.name(side)} keeps {root!r} as a whole; {path!r} cannot be written alone"
        check.say(place, "unknown-field", message, f"write {root!r}")
        return None
    if is_canonical(entity, path) or side in check.live:
        known = [name for name in table if not writing or table[name].writable != "never"]
        check.say(place, "unknown-field", f"{check.name(side)} has no field {path!r}", did_you_mean(path, known))
        return None
    message = f"{check.name(side)} has no field {path!r} that we know of, and the account was not asked"
    hint = did_you_mean(path, (name for name in table if table[name].own or not writing))
    check.say(place, "unverified-field", message, hint, severity="warning")
    return None


def _check_writable(check: _Check, rule: FieldRule, side: SideName, target: Field) -> None:
    can, place = check.cans[side], check.of_rule(rule)
    if target.writable == "never" or not (can.create or can.update):
        hint = "leave it out" if rule.from_side else f'write owner = "{side}"'
        check.say(place, "not-writable", f"{check.name(side)} does not let {rule.path!r} be written", hint)
    elif rule.when != "create" and (target.writable == "create" or not can.update):
        message = f"{check.name(side)} takes {rule.path!r} only when a record is created"
        check.say(place, "create-only", message, 'write when = "create"')
    elif rule.when == "create" and (target.writable == "update" or not can.create):
        message = f"{check.name(side)} does not take {rule.path!r} when a record is created"
        check.say(place, "update-only", message, 'write when = "update"')
    elif rule.when != "create" and (not target.readable or rule.path in can.unread):
        message = f"{check.name(side)} never shows {rule.path!r}, so an edit there cannot be seen"
        check.say(place, "unread", message, severity="warning")


def _check_loss(check: _Check, rule: FieldRule, side: SideName, target: Field) -> None:
    if target.lossy:
        message = f"{check.name(side)} does not keep all of {rule.path!r}: {target.lossy}"
        check.say(check.of_rule(rule), "lossy", message, severity="warning")
    source = check.tables[other(side)].get(rule.source or rule.path)
    if source is None or rule.table or rule.transform or rule.const is not UNSET:
        return
    if source.max_length and target.max_length and source.max_length > target.max_length:
        message = f"{check.name(other(side))} holds {source.max_length} characters, {check.name(side)} only {target.max_length}"
        check.say(check.of_rule(rule), "lossy", f"{rule.key!r}: {message}", severity="warning")


def _check_plain(check: _Check, rule: FieldRule, targets: Mapping[SideName, Field]) -> None:
    """A field of both sides as it stands: it must be there to read, of one kind, and its codes must be the same."""
    for side, target in targets.items():
        source = check.tables[other(side)].get(rule.path)
        if source is None:
            if rule.from_side:  # otherwise that side is a target too and has been named
                _check_unfed(check, rule, other(side), side)
            continue
        _check_readable(check, rule, other(side), source)
        if not kind_fits(source.kind, target.kind):
            message = f"{rule.path!r} is of the kind {source.kind} in {check.name(other(side))} and {target.kind} in {check.name(side)}"
            check.say(check.of_rule(rule), "wrong-type", message)
        _check_codes(check, rule, source, target, check.of_rule(rule))


def _check_unfed(check: _Check, rule: FieldRule, source: SideName, target: SideName) -> None:
    """An owner without the field writes nothing, unless its emptiness counts: then it would wipe the other side."""
    if rule.path.split(".", 1)[0] in check.tables[source]:
        return
    message = f"{check.name(source)} has no field {rule.path!r}"
    if rule.empty == "clear":
        message += f', and empty = "clear" would wipe it in {check.name(target)}'
        check.say(check.of_rule(rule), "unknown-field", message, f'write owner = "{target}" or leave it out')
    else:
        message += ", so this rule will write nothing"
        check.say(check.of_rule(rule), "unfed", message, "leave it out, or feed it from elsewhere", severity="warning")


def _check_readable(check: _Check, rule: FieldRule, side: SideName, source: Field) -> None:
    if not source.readable or source.path in check.cans[side].unread:
        message = f"{check.name(side)} never shows {source.path!r}, so it cannot be copied"
        check.say(check.of_rule(rule), "unreadable", message)


def _check_codes(check: _Check, rule: FieldRule, source: Field, target: Field, place: Place) -> None:
    lost = [code for code in source.values if target.values and code not in target.values]
    if lost:
        message = (
            f"{rule.key!r}: the other side does not know {', '.join(map(repr, lost))}; such records will be parked"
        )
        check.say(place, "unmapped-code", message, "add a table", severity="warning")


def _check_made(check: _Check, rule: FieldRule, target: Field) -> None:
    """A made value, followed from where it comes from to the field it ends in."""
    side = rule.from_side
    if rule.const is not UNSET:
        _check_constant(check, target, rule.const, check.of_rule(rule, "const"), "constant")
        return
    transform = _transform(check, rule)
    if rule.transform and transform is None:
        return
    if side is None or (transform is not None and transform.takes == "record"):
        source_kind: Kind | None = None
    else:
        inside = ("from",) if rule.source else ()
        source = _find(check, side, rule.source or rule.path, check.of_rule(rule, *inside), writing=False)
        if source is not None:
            _check_readable(check, rule, side, source)
            if rule.table:
                _check_table_codes(check, rule, source)
            elif transform is None:
                _check_codes(check, rule, source, target, check.of_rule(rule))
        source_kind = _kind_of(check, source)
    if rule.table and transform is None:
        for code, value in check.flow.tables.get(rule.table, {}).items():
            _check_constant(check, target, value, check.value("tables", rule.table, code), f"value of {code!r}")
        return
    _check_made_kind(check, rule, transform, None if rule.table else source_kind, target)


def _kind_of(check: _Check, source: Field | None) -> Kind | None:
    if source is None or ("." in source.path and is_canonical(check.flow.entity, source.path)):
        return None  # the kind of a part is not in any field table
    return source.kind


def _transform(check: _Check, rule: FieldRule) -> Transform | None:
    if rule.transform is None:
        return None
    try:
        return resolve(rule.transform, check.transforms)[0]
    except ValueError as error:
        check.say(check.of_rule(rule, "transform"), "unknown-transform", str(error))
        return None


def _check_made_kind(
    check: _Check, rule: FieldRule, transform: Transform | None, source: Kind | None, target: Field
) -> None:
    if transform is not None:
        place = check.of_rule(rule, "transform")
        if source and transform.accepts and source not in transform.accepts:
            check.say(place, "wrong-type", f"the transform {transform.name!r} cannot read values of the kind {source}")
        if not kind_fits(transform.gives, target.kind):
            message = (
                f"the transform {transform.name!r} gives {transform.gives}; {rule.path!r} is of the kind {target.kind}"
            )
            check.say(place, "wrong-type", message)
        if rule.transform and transform.name == "cut" and target.max_length:
            _, count = resolve(rule.transform, check.transforms)
            if count and count > target.max_length:
                message = f"{rule.path!r} holds {target.max_length} characters, not {count}"
                check.say(
                    place, "too-long", message, f'write transform = "cut:{target.max_length}"', severity="warning"
                )
    elif source and not kind_fits(source, target.kind):
        message = f"{rule.source or rule.path!r} is of the kind {source}; {rule.path!r} is of the kind {target.kind}"
        check.say(check.of_rule(rule, "from"), "wrong-type", message, bridge(source, target.kind))


def _check_constant(check: _Check, target: Field, value: Json, place: Place, what: str) -> None:
    wrong = misfit(value, target.kind)
    if wrong:
        check.say(place, "wrong-type", f"the {what} {value!r} does not fit {target.path!r}: {wrong}")
    elif target.values and any(item not in target.values for item in _each(value)):
        known = ", ".join(target.values) if len(target.values) <= 12 else ""
        message = f"the {what} {value!r} is not a value of {target.path!r}"
        check.say(place, "unmapped-code", message, did_you_mean(value, target.values) or known)
    elif target.max_length and isinstance(value, str) and len(value) > target.max_length:
        message = f"the {what} is {len(value)} characters long; {target.path!r} holds {target.max_length}"
        check.say(place, "too-long", message)


def _each(value: Json) -> Iterable[Json]:
    return value if isinstance(value, (list, tuple)) else (value,)


def _check_table_codes(check: _Check, rule: FieldRule, source: Field) -> None:
    """Codes without a line will be parked; lines without a code are probably misspelled."""
    table = check.flow.tables.get(rule.table or "", {})
    if not source.values:
        return
    lacking = [code for code in source.values if code not in table]
    if lacking:
        message = (
            f"the table {rule.table!r} has no line for {', '.join(map(repr, lacking))}; such records will be parked"
        )
        check.say(check.of_rule(rule, "table"), "unmapped-code", message, severity="warning")
    for code in table:
        if code not in source.values:
            place = check.key("tables", rule.table or "", code)
            message = f"{source.path!r} never has the value {code!r}"
            check.say(place, "unknown-code", message, did_you_mean(code, source.values), severity="warning")


def _check_union(check: _Check, rule: FieldRule) -> None:
    for side in SIDES:
        found = check.tables[side].get(rule.path)
        if found is not None and found.kind != "set":
            message = f"{rule.path!r} is of the kind {found.kind} in {check.name(side)}; only sets can be united"
            check.say(check.of_rule(rule, "owner"), "wrong-type", message, "one of: left, right, newest, ask")


def _check_stamps(check: _Check, rule: FieldRule) -> None:
    for side in SIDES:
        can = check.cans[side]
        if not can.since or can.never_skips not in {"row_version", "clock_with_margin"}:
            message = f"{check.name(side)} tells no time of change, so every difference in {rule.path!r} will be asked"
            place = check.of_rule(rule, "owner")
            check.say(place, "no-stamps", message, "one of: left, right, ask", severity="warning")


# --- the flow as a whole ------------------------------------------------------------------------------------------


def _check_conditions(
    check: _Check, side: SideName, conditions: Iterable[Condition], path: tuple[str | int, ...]
) -> None:
    for index, condition in enumerate(conditions):
        if condition.any:
            _check_conditions(check, side, condition.any, (*path, index, "any"))
            continue
        found = _find(check, side, condition.field, check.value(*path, index, "field"), writing=False)
        if found is None or ("." in condition.field and is_canonical(check.flow.entity, condition.field)):
            continue
        for test, value in _tests(condition):
            for number, item in enumerate(_each(value)):
                inside = (number,) if isinstance(value, (list, tuple)) else ()
                _check_tested(check, found, item, check.value(*path, index, test, *inside))


def _tests(condition: Condition) -> tuple[tuple[str, Json], ...]:
    tests = (("is", condition.is_), ("is_not", condition.is_not), ("in", condition.in_), ("not_in", condition.not_in))
    return tuple((name, value) for name, value in tests if value is not UNSET)


def _check_tested(check: _Check, found: Field, value: Json, place: Place) -> None:
    wrong = misfit(value, found.kind) if found.kind in {"bool", "int", "decimal"} else None
    if wrong:
        check.say(place, "wrong-type", f"{found.path!r} can never be {value!r}: {wrong}")
    elif found.values and value not in found.values:
        message = f"{found.path!r} can never be {value!r}"
        check.say(place, "unknown-code", message, did_you_mean(value, found.values))


def _check_required(check: _Check, side: SideName) -> None:
    """What a new record must have, somebody must give."""
    if not check.flow.creates(side) or not check.cans[side].create:
        return
    fed = [check.tables[side].get(rule.path) for rule in check.flow.fields if _feeds(check, rule, side)]
    vendor = {name for found in fed if found for name in found.vendor}
    paths = {found.path for found in fed if found}
    for found in check.tables[side].values():
        if not found.required or found.writable not in {"always", "create"} or found.path in paths:
            continue
        if found.vendor and set(found.vendor) <= vendor:
            continue
        message = f"{check.name(side)} refuses a new record without {found.path!r}, and no rule fills it"
        hint = (
            f'add "{side}:{found.path}" = {{ const = … }}'
            if found.own
            else f'add {found.path} = {{ owner = "{other(side)}" }}'
        )
        check.say(check.key("create", side), "required", message, hint)


def _feeds(check: _Check, rule: FieldRule, side: SideName) -> bool:
    """Whether a rule can give a new record on that side a value."""
    if side not in rule.to_sides or rule.when == "update":
        return False
    if rule.derived or rule.default is not UNSET:
        return True
    return rule.path.split(".", 1)[0] in check.tables[other(side)]


def _check_one_writer(check: _Check, side: SideName) -> None:
    """Two rules that end in one vendor field would overwrite each other (`role` and `right:Status` in one flow)."""
    writers: dict[str, FieldRule] = {}
    for rule in check.flow.fields:
        target = check.tables[side].get(rule.path) if side in rule.to_sides else None
        for name in target.vendor if target and target.writable != "never" else ():
            first = writers.setdefault(name, rule)
            if first is not rule:
                message = f"{rule.key!r} and {first.key!r} both write {name!r} of {check.name(side)}"
                check.say(check.of_rule(rule), "second-writer", message, "keep one of the two")
                break
