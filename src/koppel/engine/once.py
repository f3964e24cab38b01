"""One real thing, one record: what a create must wait for because the same thing is just being made by somebody else (law 11).

Two flows may come upon the same thing from two sides: along two edges of a triangle, from both ends of a chain, or because two
people made it in two systems at once. Each has looked, and each has rightly found nothing. What tells them apart is asked in the
transaction that opens the operation, where nobody else can be at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from koppel.engine.frame import Frame
from koppel.engine.plan import Planned
from koppel.mapping.flow import SideName, other
from koppel.store import intents, observations, subjects
from koppel.store.sql import Db

SIDES: tuple[SideName, SideName] = ("left", "right")


def made_elsewhere(db: Db, frame: Frame, chunk: Iterable[Planned]) -> frozenset[str]:
    """Ids of those creates whose thing is being made by another flow now, or has been since they were decided."""
    creates = [p for p in chunk if p.step.kind == "create" and p.step.source is not None]
    found: set[str] = set()
    for side in SIDES:
        mine = {str(p.step.source): p.id for p in creates if p.step.side == side}
        if mine:
            waits = _in_the_making(db, frame, side, list(mine)) | _just_made(db, frame, side, list(mine))
            found |= {mine[native] for native in waits}
    return frozenset(found)


def _in_the_making(db: Db, frame: Frame, side: SideName, natives: Sequence[str]) -> set[str]:
    """Those whose subject, or a key of theirs, another flow has an open create for."""
    others = intents.creates_of_others(db, frame.flow.id, frame.streams[side].id)
    source = frame.streams[other(side)].id
    if not others:
        return set()
    subjects_: set[str] = set()
    keys: set[tuple[str, str]] = set()
    for stream in {stream for stream, _ in others}:
        theirs = [native for at, native in others if at == stream]
        subjects_ |= {member.subject for member in subjects.of_records(db, stream, theirs).values()}
        for carried in observations.keys_of(db, stream, theirs, frame.flow.match.keys).values():
            keys |= carried
    mine = observations.keys_of(db, source, natives, frame.flow.match.keys)
    members = subjects.of_records(db, source, natives)
    return {n for n in natives if (n in members and members[n].subject in subjects_) or mine.get(n, set()) & keys}


def _just_made(db: Db, frame: Frame, side: SideName, natives: Sequence[str]) -> set[str]:
    """Those with a key that a record over there carries by now which nobody had seen when they were decided."""
    carried = observations.namesakes(
        db, frame.streams[other(side)].id, natives, frame.flow.match.keys, into=frame.streams[side].id
    )
    return {native for native, far in carried if (side, far) not in frame.sightings}
