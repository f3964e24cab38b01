"""Proposals: which unlinked records of the other side may be the same thing, on weak evidence, with score and reasons.

Blocks are brought up to date from what was observed since, part by part, and only for streams of flows that propose. What is
found is store-wide: how records are cut into parts cannot matter. Nothing here links anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from koppel.mapping.conditions import reason
from koppel.mapping.flow import Flow, SideName, other
from koppel.model.record import Record
from koppel.store import apart, blocks, observations, streams, subjects
from koppel.store.sql import Db
from koppel.store.store import Store
from koppel.sync.evidence import Features, Likeness, compare, features, kinds_for
from koppel.sync.evidence import blocks as blocks_of

PART = 1000  # records whose blocks are made in one transaction
AT_ONCE = 50  # records whose candidates are in memory together
BEST = 5  # more than these a person does not look at


class Proposed(msgspec.Struct, frozen=True):
    """One record that may be the same thing."""

    native: str
    likeness: Likeness


async def bring_up_to_date(store: Store, flow: Flow, stream_ids: Iterable[int]) -> int:
    """Make the blocks of what these streams showed since last time; returns how many records were looked at."""
    kinds = frozenset(kinds_for(flow.match.propose))
    looked = 0
    if kinds:
        for stream in stream_ids:
            while part := await store.tx(_next_part, stream, flow.entity, kinds):
                looked += part
    return looked


def _next_part(db: Db, stream: int, entity: str, kinds: frozenset[str]) -> int:
    seq, made = blocks.position(db, stream)
    if not kinds <= made:
        seq, made = 0, made | kinds
    elif streams.get(db, stream).seq <= seq:
        return 0
    part = blocks.newer(db, stream, seq, limit=PART)
    seen = observations.load(db, stream, [native for native, _ in part], entity=entity)
    blocks.put(
        db,
        stream,
        {
            native: ()
            if (one := seen[native]).gone or one.record is None
            else blocks_of(features(one.record.entity), sorted(made))
            for native, _ in part
        },
    )
    blocks.move(db, stream, part[-1][1] if part else streams.get(db, stream).seq, made)
    return len(part)


def propose(
    db: Db, flow: Flow, anchor: SideName, near: int, far: int, records: Mapping[str, Record]
) -> dict[str, list[Proposed]]:
    """For unlinked records of one side (by native id) the records of the other that may be the same thing, best first.

    Left out are those that belong to another record of this side, are outside the flow, or were held apart by a person.
    """
    wanted = {native: features(record.entity) for native, record in records.items()} if flow.match.propose else {}
    natives = list(wanted)
    found: dict[str, list[Proposed]] = {}
    for start in range(0, len(natives), AT_ONCE):
        part = {native: wanted[native] for native in natives[start : start + AT_ONCE]}
        found |= _propose_part(db, flow, anchor, near, far, part)
    return found


def _propose_part(
    db: Db, flow: Flow, anchor: SideName, near: int, far: int, part: Mapping[str, Features]
) -> dict[str, list[Proposed]]:
    rules = flow.match.propose
    own = {native: blocks_of(features_, kinds_for(rules)) for native, features_ in part.items()}
    sharing = blocks.sharing(db, far, {block for several in own.values() for block in several})
    met = {native: {n for block in several for n in sharing.get(block, ())} for native, several in own.items()}
    candidates = sorted({n for several in met.values() for n in several})
    taken = taken_by(db, near, far, candidates)
    conditions = flow.scope.left if other(anchor) == "left" else flow.scope.right
    theirs = {
        native: features(seen.record.entity)
        for native, seen in observations.load(
            db, far, [n for n in candidates if n not in taken], entity=flow.entity
        ).items()
        if seen.record is not None and not seen.gone and reason(conditions, seen.record) is None
    }
    held = _held_apart(db, near, far, part)
    return {
        native: sorted(
            (
                Proposed(candidate, likeness)
                for candidate in several & theirs.keys()
                if (native, candidate) not in held
                and (likeness := compare(rules, part[native], theirs[candidate])) is not None
            ),
            key=lambda proposed: (-proposed.likeness.score, proposed.native),
        )[:BEST]
        for native, several in met.items()
    }


def taken_by(db: Db, near: int, far: int, natives: Iterable[str]) -> set[str]:
    """Those records of the far side that belong together with a record of this side already."""
    members = subjects.of_records(db, far, natives)
    partners = subjects.of_subjects(db, near, {member.subject for member in members.values()})
    return {native for native, member in members.items() if member.subject in partners}


def _held_apart(db: Db, near: int, far: int, natives: Iterable[str]) -> set[tuple[str, str]]:
    if not apart.any_held(db):
        return set()
    mine = [(near, native) for native in natives]
    held: set[tuple[str, str]] = set()
    for decision in apart.of_records(db, mine):
        for record in (decision.one, decision.two):
            partner = decision.other(record)
            if record[0] == near and partner[0] == far:
                held.add((record[1], partner[1]))
    return held
