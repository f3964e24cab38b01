"""A flow judged against its two sides: what `koppel check` says before anything runs.

It reads the flow, what both resources can do, their field tables and, when it was asked for, the account's live
metadata. What it finds are values; nothing is raised and nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping

from koppel.mapping.check_conditions import check_alternatives, check_conditions, check_where
from koppel.mapping.check_group import check_group
from koppel.mapping.check_rules import check_rule
from koppel.mapping.checking import SIDES, UNSET, Check
from koppel.mapping.flow import Condition, FieldRule, Flow, SideName, other
from koppel.mapping.paths import MATCH_KEYS
from koppel.mapping.positions import Positions
from koppel.mapping.problems import FlowProblem, did_you_mean
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.model.can import Can, Field
from koppel.model.documents import DOCUMENTS, PARTIES
from koppel.model.removal import INSTEAD, may_archive


def check_flow(
    flow: Flow,
    *,
    left: Can,
    right: Can,
    positions: Positions | None = None,
    own_fields: Mapping[SideName, tuple[Field, ...]] | None = None,
    entity: str | None = None,
    documents: str | None = None,
    transforms: Mapping[str, Transform] = TRANSFORMS,
) -> tuple[FlowProblem, ...]:
    """Everything that is wrong between a flow and its sides, in the order of the file.

    `own_fields` is the live metadata of a side's account; a side that is left out was not asked, and what its field table
    does not know is then only a warning. `entity` is what both resources hold, when it is known, `documents` what the
    left of a flow with a grouping is made of.
    """
    check = Check(flow, {"left": left, "right": right}, positions, own_fields or {}, transforms)
    if entity is not None and entity != flow.entity:
        message = f"the flow is about {flow.entity!r}, the resources hold {entity!r}"
        check.say(check.value("entity"), "wrong-entity", message, f'write entity = "{entity}"')
    if documents is not None:
        check_group(check, documents)
    _check_sides(check)
    _check_missing(check)
    _check_match(check)
    _check_documents(check)
    for rule in flow.fields:
        for each in rule.alternatives:
            check_rule(check, each)
            check_where(check, each)
        check_alternatives(check, rule)
    for side in SIDES:
        check_conditions(check, side, _scope(flow, side), "scope", side)
        _check_required(check, side)
        _check_one_writer(check, side)
    return tuple(sorted(check.problems, key=lambda problem: (problem.line, problem.column)))


def _scope(flow: Flow, side: SideName) -> tuple[Condition, ...]:
    return flow.scope.left if side == "left" else flow.scope.right


# --- what the sides can do ----------------------------------------------------------------------------------------


def _check_sides(check: Check) -> None:
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


def _check_missing(check: Check) -> None:
    for gone in SIDES:
        rule, stays = check.flow.missing(gone), other(gone)
        place = check.value("missing", gone)
        if rule == "archive" and not may_archive(check.flow.entity):
            message = (
                f"a {check.flow.entity.replace('_', ' ')} is never archived or deleted because the other side lost it"
            )
            check.say(place, "never-removed", message, f'write "ask": a person can {INSTEAD[check.flow.entity]}')
        elif rule == "archive" and not check.cans[stays].archive:
            message = f"{check.name(stays)} cannot archive"
            check.say(place, "cannot-archive", message, 'write "ask" or "unlink"')
        if rule == "restore" and not check.cans[gone].create:
            message = f"{check.name(gone)} cannot be created in, so nothing can be restored there"
            check.say(place, "cannot-restore", message, 'write "ask" or "unlink"')


def _check_match(check: Check) -> None:
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


def _check_documents(check: Check) -> None:
    """Documents begin at a day, and are told apart by number and party (rule B15)."""
    flow = check.flow
    if flow.entity not in DOCUMENTS:
        if flow.start:
            message = f"a {flow.entity} has no date, so the start has no say"
            check.say(check.value("start"), "unused-start", message, "leave it out", severity="warning")
        return
    party = PARTIES.get(flow.entity)
    if party and flow.match.keys and not any(rule.path == party for rule in flow.fields):
        message = f"without {party!r} two documents with one number are taken for one, whoever they are of"
        check.say(check.key("fields"), "party-not-compared", message, f"add {party} = {{ … }}", severity="warning")
    if not flow.start and any(flow.creates(side) for side in SIDES):
        message = "without a start every old document is created too"
        check.say(check.key("create"), "no-start", message, "write start = 2026-11-01", severity="warning")


def _carries(check: Check, side: SideName, kind: str, paths: tuple[str, ...]) -> bool:
    return kind in check.cans[side].find or any(path in check.tables[side] for path in paths)


# --- the flow as a whole ------------------------------------------------------------------------------------------


def _check_required(check: Check, side: SideName) -> None:
    """What a new record must have, somebody must give."""
    if not check.flow.creates(side) or not check.cans[side].create:
        return
    fed = [
        check.tables[side].get(rule.path)
        for rule in check.flow.fields
        if any(_feeds(check, each, side) for each in rule.alternatives)
    ]
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


def _feeds(check: Check, rule: FieldRule, side: SideName) -> bool:
    """Whether a rule can give a new record on that side a value."""
    if side not in rule.to_sides or rule.when == "update":
        return False
    if rule.derived or rule.default is not UNSET or rule.defaults:
        return True
    return rule.path.split(".", 1)[0] in check.tables[other(side)]


def _check_one_writer(check: Check, side: SideName) -> None:
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
