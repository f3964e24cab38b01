"""Which records are one real thing, decided by hand: link, unlink, merge, split. Each can be taken back exactly.

A change tells the trail, per subject it touched and under that subject's key, who sat where before and after and which bases
it set aside; taking a change back puts exactly that back (`as_before`), provided everything still stands as the change left
it. Nothing is written to any vendor: the flows find the records due and decide anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from koppel.engine.by_hand import KINDS, OPPOSITE, By, Changed, Deed, Part, Work
from koppel.mapping.flow import Flow
from koppel.model.problem import UsageError
from koppel.model.values import Json, Ref
from koppel.store import subjects, trail
from koppel.store.sql import Db
from koppel.store.subjects import Seat

# --- the four deeds -------------------------------------------------------------------------------------------------


def link(db: Db, known: Sequence[Flow], by: By, one: Ref, two: Ref, *, as_follower: bool = False) -> Changed:
    """Make two records one thing; at most one of them belongs with others already.

    Raises UsageError: unknown or gone, linked already, both belong with others (merge), in doubt, or a second record of one
    system that a flow reads or writes comes in without `as_follower`.
    """
    work_ = Work(db, known, by, "link", (one, two))
    first, second = work_.records
    mine, theirs = work_.seat(first), work_.seat(second)
    if mine and theirs and mine.subject == theirs.subject:
        raise UsageError(f"{one} and {two} belong together already.", remedy=f"koppel identity {one}")
    if mine and theirs:
        raise UsageError(f"{one} and {two} both belong with other records.", remedy=f"koppel merge {one} {two}")
    work_.must_be_there()
    there = mine or theirs
    subject = there.subject if there else subjects.create(db, at=by.at)
    after = subjects.seats(db, [subject])
    for record in (first, second):
        if work_.seat(record) is None:
            role = work_.role(after, record[0], as_follower=as_follower)
            after.append(Seat(record[0], record[1], subject, role, "by hand", by.at))
    return work_.do(after, subjects_=(subject,), lift=[(first, second)])


def unlink(db: Db, known: Sequence[Flow], by: By, one: Ref, two: Ref | None = None) -> Changed:
    """Take a record out of the thing it belongs to; with two, only these two are held apart from now on.

    Of two it is the follower that leaves, else the second. Whoever is left alone belongs with nobody. Raises UsageError.
    """
    work_ = Work(db, known, by, "unlink", (one,) if two is None else (one, two))
    leaver = work_.belonging(0)
    before = subjects.seats(db, [leaver.subject])
    others = [seat.record for seat in before if seat.record != leaver.record]
    if not others:
        raise UsageError(f"{one} belongs with nobody but itself.", remedy=f"koppel identity {one}")
    if two is not None:
        second = work_.belonging(1)
        if second.subject != leaver.subject:
            raise UsageError(f"{one} and {two} do not belong together.", remedy=f"koppel identity {one}")
        if leaver.record == second.record:
            raise UsageError("That is one record, named twice.", remedy="Name one, or two that are linked.")
        leaver, stays = (leaver, second) if _follows(leaver) and not _follows(second) else (second, leaver)
        others = [stays.record]
    after = work_.led([seat for seat in before if seat.record != leaver.record])
    if two is None:
        work_.named = (str(one), work_.ref(others[0]))
    return work_.do(
        after if len(after) > 1 else [],
        subjects_=(leaver.subject,),
        hold=[(leaver.record, other) for other in others],
        why="unlinked",
    )


def merge(db: Db, known: Sequence[Flow], by: By, one: Ref, two: Ref, *, as_follower: bool = False) -> Changed:
    """Make the things two records belong to one; the first's records lead. Raises UsageError as `link` does."""
    work_ = Work(db, known, by, "merge", (one, two))
    mine, theirs = work_.belonging(0), work_.belonging(1)
    if mine.subject == theirs.subject:
        raise UsageError(f"{one} and {two} belong together already.", remedy=f"koppel identity {one}")
    after = subjects.seats(db, [mine.subject])
    lift = []
    for seat in sorted(subjects.seats(db, [theirs.subject]), key=lambda seat: seat.role != "main"):
        lift += [(seat.record, own.record) for own in after]
        led = seat.role == "follower" and not any(own.stream == seat.stream for own in after)
        role = seat.role if led else work_.role(after, seat.stream, as_follower=as_follower or _follows(seat))
        after.append(msgspec.structs.replace(seat, subject=mine.subject, role=role))
    return work_.do(after, subjects_=(mine.subject, theirs.subject), lift=lift)


def split(db: Db, known: Sequence[Flow], by: By, *refs: Ref) -> Changed:
    """Take records of one thing out, into a thing of their own. Raises UsageError."""
    work_ = Work(db, known, by, "split", refs)
    leavers = [work_.belonging(number) for number in range(len(refs))]
    old = leavers[0].subject
    if any(seat.subject != old for seat in leavers):
        raise UsageError("These do not all belong together.", remedy=f"koppel identity {refs[0]}")
    gone = {seat.record for seat in leavers}
    rest = [seat for seat in subjects.seats(db, [old]) if seat.record not in gone]
    if not rest:
        raise UsageError("That is all of it: nothing would be split off.", remedy="Name some of its records.")
    new = subjects.create(db, at=by.at)
    moved = [msgspec.structs.replace(seat, subject=new, why="split off by hand") for seat in leavers]
    pairs = [(seat.record, stays.record) for seat in leavers for stays in rest]
    work_.named = (work_.ref(rest[0].record), *map(str, refs))
    return work_.do([*work_.led(rest), *work_.led(moved, anew=True)], subjects_=(old, new), hold=pairs, why="split")


def as_before(db: Db, known: Sequence[Flow], by: By, did: Deed, entry: int, refs: Sequence[Ref]) -> Changed:
    """Take back the change that the trail's entry tells of: members, roles and bases stand as before it.

    Raises UsageError when the entry is no such change, was about other records, was erased, or things stand differently since.
    """
    parts = _told(db, entry, did)
    if not {str(ref) for ref in refs} <= {*parts[0].refs}:
        raise UsageError(
            f"Entry {entry} of the trail was about {' and '.join(parts[0].refs)}.", remedy=f"koppel identity {refs[0]}"
        )
    work_ = Work(db, known, by, did, refs)
    work_.named = parts[0].refs
    before = [seat for part in parts for seat in part.before]
    after = sorted(seat for part in parts for seat in part.after)
    touched = [part.subject for part in parts]
    records = [seat.record for seat in (*before, *after)]
    if sorted({*subjects.seats(db, touched), *subjects.seats_of(db, records)}) != after:
        raise UsageError(
            f"Things stand differently since entry {entry}: what it left cannot be put back as it was.",
            remedy=f"koppel {did} {' '.join(map(str, refs))} decides anew, without --as-before.",
        )
    return work_.do(
        before,
        subjects_=tuple(touched),
        restore=parts,
        lift=[(held.one, held.two) for held in parts[0].held],
    )


def _told(db: Db, entry: int, did: Deed) -> list[Part]:
    """The parts of a change, out of the trail."""
    wrong = UsageError(
        f"Entry {entry} of the trail tells of no change that `koppel {did}` takes back.",
        remedy="koppel log lists them.",
    )
    found = trail.read(db, after=entry - 1, limit=1)
    if not found or found[0].seq != entry or found[0].kind != KINDS[OPPOSITE[did]]:
        raise wrong
    told = [found[0]]
    first = _part(told[0].data)
    if first is not None and first.entries > 1:
        told = trail.read(db, after=entry - 1, limit=first.entries)
    parts = [part for one in told if (part := _part(one.data)) is not None]
    if first is None or len(parts) != first.entries:
        raise UsageError(f"What entry {entry} tells of was erased.", remedy="It can only be decided anew.")
    return parts


def _part(data: Mapping[str, Json] | None) -> Part | None:
    return None if data is None or "change" not in data else msgspec.convert(data["change"], Part)


def _follows(seat: Seat) -> bool:
    return seat.role == "follower"
