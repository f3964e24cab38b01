"""One rule of a flow judged against the fields it joins: there to read, open to write, of one kind, its codes known."""

from __future__ import annotations

from collections.abc import Mapping

from koppel.mapping.checking import SIDES, UNSET, Check, each, find_field
from koppel.mapping.flow import FieldRule, SideName, other
from koppel.mapping.kinds_fit import bridge, kind_fits, misfit
from koppel.mapping.paths import NEVER_WRITTEN, is_canonical
from koppel.mapping.positions import Place
from koppel.mapping.problems import did_you_mean
from koppel.mapping.transforms import Transform, resolve
from koppel.model.can import Field
from koppel.model.kinds import Kind
from koppel.model.values import Json


def check_rule(check: Check, rule: FieldRule) -> None:
    """Note everything that is wrong with one rule."""
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
        for code, value in rule.defaults.items():
            _check_constant(check, target, value, check.of_rule(rule, "default", code), f"default for {code!r}")
        for code in rule.forward:
            _check_constant(check, target, code, check.of_rule(rule, "forward"), "status")
    if rule.default_by and rule.from_side:
        find_field(check, rule.from_side, rule.default_by, check.of_rule(rule, "default_by"), writing=False)
    if not rule.derived:
        _check_plain(check, rule, targets)
    if rule.owner == "union":
        _check_union(check, rule)
    if rule.owner == "newest":
        _check_stamps(check, rule)


def _target(check: Check, rule: FieldRule, side: SideName) -> Field | None:
    """The field a rule writes, or None after saying that there is none."""
    return find_field(check, side, rule.path, check.of_rule(rule), writing=True)


def _check_writable(check: Check, rule: FieldRule, side: SideName, target: Field) -> None:
    can, place = check.cans[side], check.of_rule(rule)
    if target.writable == "never" or not (can.create or can.update):
        hint = "leave it out" if rule.from_side else f'write owner = "{side}"'
        why = f": {target.note.rstrip('.')}" if target.note else ""
        check.say(place, "not-writable", f"{check.name(side)} does not let {rule.path!r} be written{why}", hint)
    elif rule.when != "create" and (target.writable == "create" or not can.update):
        message = f"{check.name(side)} takes {rule.path!r} only when a record is created"
        check.say(place, "create-only", message, 'write when = "create"')
    elif rule.when == "create" and (target.writable == "update" or not can.create):
        message = f"{check.name(side)} does not take {rule.path!r} when a record is created"
        check.say(place, "update-only", message, 'write when = "update"')
    elif rule.when != "create" and (not target.readable or rule.path in can.unread):
        message = f"{check.name(side)} never shows {rule.path!r}, so an edit there cannot be seen"
        check.say(place, "unread", message, severity="warning")


def _check_loss(check: Check, rule: FieldRule, side: SideName, target: Field) -> None:
    if target.lossy:
        message = f"{check.name(side)} does not keep all of {rule.path!r}: {target.lossy}"
        check.say(check.of_rule(rule), "lossy", message, severity="warning")
    source = check.tables[other(side)].get(rule.source or rule.path)
    if source is None or rule.table or rule.transform or rule.const is not UNSET:
        return
    if source.max_length and target.max_length and source.max_length > target.max_length:
        message = f"{check.name(other(side))} holds {source.max_length} characters, {check.name(side)} only {target.max_length}"
        check.say(check.of_rule(rule), "lossy", f"{rule.key!r}: {message}", severity="warning")


def _check_plain(check: Check, rule: FieldRule, targets: Mapping[SideName, Field]) -> None:
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


def _check_unfed(check: Check, rule: FieldRule, source: SideName, target: SideName) -> None:
    """An owner without the field writes nothing, unless its emptiness counts: then it would wipe the other side."""
    root = rule.path.split(".", 1)[0]
    if root in check.tables[source] or (source == "left" and any(root in line.gives for line in check.flow.enrich)):
        return
    message = f"{check.name(source)} has no field {rule.path!r}"
    if rule.empty == "clear":
        message += f', and empty = "clear" would wipe it in {check.name(target)}'
        check.say(check.of_rule(rule), "unknown-field", message, f'write owner = "{target}" or leave it out')
    else:
        message += ", so this rule will write nothing"
        check.say(check.of_rule(rule), "unfed", message, "leave it out, or feed it from elsewhere", severity="warning")


def _check_readable(check: Check, rule: FieldRule, side: SideName, source: Field) -> None:
    if not source.readable or source.path in check.cans[side].unread:
        message = f"{check.name(side)} never shows {source.path!r}, so it cannot be copied"
        check.say(check.of_rule(rule), "unreadable", message)


def _check_codes(check: Check, rule: FieldRule, source: Field, target: Field, place: Place) -> None:
    lost = [code for code in source.values if target.values and code not in target.values]
    if lost:
        message = (
            f"{rule.key!r}: the other side does not know {', '.join(map(repr, lost))}; such records will be parked"
        )
        check.say(place, "unmapped-code", message, "add a table", severity="warning")


def _check_made(check: Check, rule: FieldRule, target: Field) -> None:
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
        source = find_field(check, side, rule.source or rule.path, check.of_rule(rule, *inside), writing=False)
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


def _kind_of(check: Check, source: Field | None) -> Kind | None:
    if source is None or ("." in source.path and is_canonical(check.flow.entity, source.path)):
        return None  # the kind of a part is not in any field table
    return source.kind


def _transform(check: Check, rule: FieldRule) -> Transform | None:
    if rule.transform is None:
        return None
    try:
        return resolve(rule.transform, check.transforms)[0]
    except ValueError as error:
        check.say(check.of_rule(rule, "transform"), "unknown-transform", str(error))
        return None


def _check_made_kind(
    check: Check, rule: FieldRule, transform: Transform | None, source: Kind | None, target: Field
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


def _check_constant(check: Check, target: Field, value: Json, place: Place, what: str) -> None:
    wrong = misfit(value, target.kind)
    if wrong:
        check.say(place, "wrong-type", f"the {what} {value!r} does not fit {target.path!r}: {wrong}")
    elif target.values and any(item not in target.values for item in each(value)):
        known = ", ".join(target.values) if len(target.values) <= 12 else ""
        message = f"the {what} {value!r} is not a value of {target.path!r}"
        check.say(place, "unmapped-code", message, did_you_mean(value, target.values) or known)
    elif target.max_length and isinstance(value, str) and len(value) > target.max_length:
        message = f"the {what} is {len(value)} characters long; {target.path!r} holds {target.max_length}"
        check.say(place, "too-long", message)


def _check_table_codes(check: Check, rule: FieldRule, source: Field) -> None:
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


def _check_union(check: Check, rule: FieldRule) -> None:
    for side in SIDES:
        found = check.tables[side].get(rule.path)
        if found is not None and found.kind != "set":
            message = f"{rule.path!r} is of the kind {found.kind} in {check.name(side)}; only sets can be united"
            check.say(check.of_rule(rule, "owner"), "wrong-type", message, "one of: left, right, newest, ask")


def _check_stamps(check: Check, rule: FieldRule) -> None:
    for side in SIDES:
        can = check.cans[side]
        if not can.since or can.never_skips not in {"row_version", "clock_with_margin"}:
            message = f"{check.name(side)} tells no time of change, so every difference in {rule.path!r} will be asked"
            place = check.of_rule(rule, "owner")
            check.say(place, "no-stamps", message, "one of: left, right, ask", severity="warning")
