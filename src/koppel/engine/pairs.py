"""Pairs: two records that belong to one subject, put together and taken apart.

Store functions: they take a `Db`; the caller decides which of them share a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from koppel.engine.anchors import halves
from koppel.engine.frame import Frame
from koppel.engine.hand import Hand
from koppel.engine.matching import held_apart
from koppel.mapping.flow import SideName
from koppel.store import apart, flows, observations, standing, subjects, work
from koppel.store.apart import Record
from koppel.store.flows import StoredBase
from koppel.store.sql import Db
from koppel.store.subjects import Seat
from koppel.sync.steps import Step


def join(db: Db, frame: Frame, hand: Hand, left: str, right: str, *, why: str, follower: bool) -> str:
    """Make two records members of one subject; returns it. The left is its main."""
    left_stream, right_stream = frame.streams["left"].id, frame.streams["right"].id
    mine = subjects.of_records(db, left_stream, [left]).get(left)
    theirs = subjects.of_records(db, right_stream, [right]).get(right)
    subject = mine.subject if mine else theirs.subject if theirs else subjects.create(db, at=hand.at)
    apart.lift(db, [((left_stream, left), (right_stream, right))])
    if mine is None:
        subjects.join(db, subject, left_stream, left, role="main", why=why, at=hand.at)
    if theirs is None:
        taken = any(m.role == "main" for m in subjects.of_subjects(db, right_stream, [subject]).get(subject, []))
        subjects.join(
            db, subject, right_stream, right, role="follower" if follower or taken else "main", why=why, at=hand.at
        )
    if (mine is None or theirs is None) and flows.others(db, frame.flow.id):
        # Who came in is one with everything that was in it already: the flows that keep it in step with that look at it anew.
        for stream, native in ([(left_stream, left)] if theirs else []) + [(right_stream, right)]:
            observations.tell_again(db, stream, native)
    return subject


def joinable(db: Db, frame: Frame, left: str, right: str) -> bool:
    """Whether these two can be one real thing: neither belongs to another one already."""
    mine = subjects.of_records(db, frame.streams["left"].id, [left]).get(left)
    theirs = subjects.of_records(db, frame.streams["right"].id, [right]).get(right)
    if mine is None and theirs is not None:
        return not any(
            member.role == "main"
            for member in subjects.of_subjects(db, frame.streams["left"].id, [theirs.subject]).get(theirs.subject, [])
        )
    return mine is None or theirs is None or mine.subject == theirs.subject


def kept_apart(db: Db, frame: Frame, left: str, right: str) -> bool:
    """Whether a person's decision keeps these two from being one thing. Others may have linked one of them since a step was
    decided: what was held apart from the other comes along with it."""
    return bool(held_apart(db, (frame.streams["left"].id, left), (frame.streams["right"].id, right)))


def linked_by_a_person(db: Db, frame: Frame, left: str, right: str) -> bool:
    """Whether somebody answered about one of two records with the other: that counts more than what was decided before."""
    ends: tuple[tuple[SideName, str, str], ...] = (("left", left, right), ("right", right, left))
    return any(
        item.state == "answered"
        and not item.field
        and far in (item.answer if isinstance(item.answer, list) else [item.answer])
        for side, near, far in ends
        for item in work.about(db, frame.flow.id, side, [near])
    )


def paired(db: Db, frame: Frame, step: Step) -> bool:
    """Whether what a write carries over still belongs together: a link may not have come about, or been undone since."""
    if step.left is None or step.right is None:
        return True
    mine = subjects.of_records(db, frame.streams["left"].id, [step.left]).get(step.left)
    theirs = subjects.of_records(db, frame.streams["right"].id, [step.right]).get(step.right)
    together = mine is not None and theirs is not None and mine.subject == theirs.subject
    return together and not standing.left_alone(db, frame.flow.id, [(step.left, step.right)])


def subject_of(db: Db, frame: Frame, left: str | None, right: str | None) -> str | None:
    """The subject a pair, or half of one, belongs to."""
    for side, native in halves(left, right):
        if native is not None:
            found = subjects.of_records(db, frame.streams[side].id, [native]).get(native)
            if found:
                return found.subject
    return None


def made_meanwhile(db: Db, frame: Frame, step: Step) -> bool:
    """Whether the record a create comes from has got its counterpart since the step was decided (law 11)."""
    if step.kind != "create" or step.source is None:
        return False
    source: SideName = "left" if step.side == "right" else "right"
    member = subjects.of_records(db, frame.streams[source].id, [step.source]).get(step.source)
    return member is not None and bool(subjects.of_subjects(db, frame.streams[step.side].id, [member.subject]))


def part(
    db: Db,
    frame: Frame,
    left: str,
    right: str,
    subject: str | None,
    *,
    at: float,
    left_alone: bool = False,
    made_again: SideName | None = None,
) -> None:
    """Take a pair apart: what was agreed is forgotten, and one of the two leaves the subject.

    It is the right one, unless other flows still keep that in step with something: they have their own missing-rule to follow,
    and what lives must not lose its other counterparts. Where they keep both, what is kept with the right goes along with it,
    into a subject of their own. The left leaves with its last counterpart.

    `left_alone`: both are left alone by this flow from now on, as after an undo. Where others hold them together by way of a third
    record nobody leaves then: whoever left would lose a counterpart that no key may find again, and would be made once more.

    `made_again`: the record of that side is gone and will be made again from the other, which stays with what else belongs to it:
    another flow may be the first to make it.
    """
    flows.drop_base(db, frame.flow.id, left, right)
    if made_again is not None:
        subjects.leave(db, frame.streams[made_again].id, left if made_again == "left" else right)
        return
    held = _held_by_others(db, frame, subject)
    left_stream, right_stream = frame.streams["left"].id, frame.streams["right"].id
    mine, theirs = (left_stream, left), (right_stream, right)
    between = [(flow, base) for flow, base, records in held if records == {mine, theirs}]
    bonds = [records for _, _, records in held if records != {mine, theirs}] if left_alone else []
    if left_alone and mine in _bound_to(theirs, [*bonds, *_pairs_of_others(db, frame, subject)]):
        for flow, base in between:  # left alone is left alone by every flow between the two
            flows.drop_base(db, flow, base.left_native, base.right_native)
        return
    kept = {record for _, _, records in held for record in records}
    if theirs in kept and (mine not in kept or _is_gone(db, left_stream, left, frame.flow.entity)):
        subjects.leave(db, left_stream, left)
        return
    along = _bound_to(theirs, [records for _, _, records in held])
    if subject and len(along) > 1 and mine not in along:
        _move_out(db, subject, along, [(flow, base) for flow, base, records in held if records <= along], at=at)
        return
    subjects.leave(db, right_stream, right)
    if subject and mine not in kept and not subjects.of_subjects(db, right_stream, [subject]):
        subjects.leave(db, left_stream, left)


def _held_by_others(db: Db, frame: Frame, subject: str | None) -> list[tuple[str, StoredBase, set[Record]]]:
    """What other flows have agreed about a subject: the flow, its base and the two records, each with its stream, for two systems
    may well give the same id. A flow that has not said yet which streams it is between keeps what bears its ids on either of
    ours."""
    if subject is None or not flows.others(db, frame.flow.id):
        return []
    ours = tuple(stream.id for stream in frame.streams.values())
    ends = standing.ends(db)
    held: list[tuple[str, StoredBase, set[Record]]] = []
    for flow, base in flows.of_subjects(db, [subject]):
        if flow == frame.flow.id:
            continue
        if flow in ends:
            left, right = ends[flow]
            records = {(left, base.left_native), (right, base.right_native)}
        else:
            records = {(stream, native) for stream in ours for native in (base.left_native, base.right_native)}
        held.append((flow, base, records))
    return held


def _pairs_of_others(db: Db, frame: Frame, subject: str | None) -> list[set[Record]]:
    """Records of a subject that are a pair for a flow between other streams, also where it has not looked at them yet."""
    if subject is None or not flows.others(db, frame.flow.id):
        return []
    ours = {stream.id for stream in frame.streams.values()}
    natives: dict[int, list[str]] = {}
    for seat in subjects.seats(db, [subject]):
        natives.setdefault(seat.stream, []).append(seat.native)
    found: list[set[Record]] = []
    for flow, (left, right) in standing.ends(db).items():
        pairs = {(one, two) for one in natives.get(left, ()) for two in natives.get(right, ())}
        if flow != frame.flow.id and {left, right} != ours:
            found += [{(left, one), (right, two)} for one, two in pairs - standing.left_alone(db, flow, pairs)]
    return found


def _bound_to(record: Record, bonds: Sequence[set[Record]]) -> set[Record]:
    """The record and all that hangs together with it by these bonds."""
    found, before = {record}, 0
    while len(found) > before:
        before = len(found)
        found.update(*(bond for bond in bonds if bond & found))
    return found


def _move_out(db: Db, subject: str, moving: set[Record], bases: Sequence[tuple[str, StoredBase]], *, at: float) -> None:
    """Give these records of a subject one of their own, and take what is agreed about them along."""
    own = subjects.create(db, at=at)
    before = subjects.seats(db, [subject])
    went = [msgspec.structs.replace(seat, subject=own) for seat in before if seat.record in moving]
    stay = [seat for seat in before if seat.record not in moving]
    subjects.reseat(db, before, [*_led(went), *_led(stay)], at=at)
    for flow, base in bases:
        flows.save_bases(db, flow, [msgspec.structs.replace(base, subject=own)])


def _led(seats: Sequence[Seat]) -> list[Seat]:
    """The same seats, each stream led by its main, or by the first of those that are left."""
    led: dict[int, Seat] = {}
    for seat in sorted(seats, key=lambda seat: (seat.role != "main", seat.native)):
        led.setdefault(seat.stream, seat)
    return [msgspec.structs.replace(seat, role="main") if led[seat.stream] is seat else seat for seat in seats]


def _is_gone(db: Db, stream: int, native: str, entity: str) -> bool:
    seen = observations.load(db, stream, [native], entity=entity).get(native)
    return seen is not None and seen.gone
