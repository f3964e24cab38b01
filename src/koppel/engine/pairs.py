"""Pairs: two records that belong to one subject, put together and taken apart.

Store functions: they take a `Db`; the caller decides which of them share a transaction.
"""

from __future__ import annotations

from koppel.engine.anchors import halves
from koppel.engine.frame import Frame
from koppel.engine.hand import Hand
from koppel.engine.matching import held_apart
from koppel.mapping.flow import SideName
from koppel.store import apart, flows, observations, standing, subjects, work
from koppel.store.sql import Db
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
        observations.tell_again(db, right_stream, right)
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
    return mine is not None and theirs is not None and mine.subject == theirs.subject


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


def part(db: Db, frame: Frame, left: str, right: str, subject: str | None) -> None:
    """Take a pair apart: what was agreed is forgotten, and one of the two leaves the subject.

    It is the right one, unless other flows still keep that in step with something: they have their own missing-rule to follow,
    and what lives must not lose its other counterparts. The left leaves with its last counterpart.
    """
    flows.drop_base(db, frame.flow.id, left, right)
    kept = _kept_by_others(db, frame, subject)
    left_stream, right_stream = frame.streams["left"].id, frame.streams["right"].id
    left_kept, right_kept = (left_stream, left) in kept, (right_stream, right) in kept
    if right_kept and (not left_kept or _is_gone(db, left_stream, left, frame.flow.entity)):
        subjects.leave(db, left_stream, left)
        return
    subjects.leave(db, right_stream, right)
    if subject and not left_kept and not subjects.of_subjects(db, right_stream, [subject]):
        subjects.leave(db, left_stream, left)


def _kept_by_others(db: Db, frame: Frame, subject: str | None) -> set[tuple[int, str]]:
    """Records of a subject, each with its stream, that other flows have agreed something about: two systems may well give the
    same id. A flow that has not said yet which streams it is between keeps what bears its ids on either of ours."""
    if subject is None or not flows.others(db, frame.flow.id):
        return set()
    ours = tuple(stream.id for stream in frame.streams.values())
    ends = standing.ends(db)
    kept: set[tuple[int, str]] = set()
    for flow, stored in flows.of_subjects(db, [subject]):
        if flow == frame.flow.id:
            continue
        if flow in ends:
            left, right = ends[flow]
            kept |= {(left, stored.left_native), (right, stored.right_native)}
        else:
            kept |= {(stream, native) for stream in ours for native in (stored.left_native, stored.right_native)}
    return kept


def _is_gone(db: Db, stream: int, native: str, entity: str) -> bool:
    seen = observations.load(db, stream, [native], entity=entity).get(native)
    return seen is not None and seen.gone
