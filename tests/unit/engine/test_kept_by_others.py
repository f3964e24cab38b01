"""What other flows keep of a thing when a pair is taken apart: told by record, for two systems may well give the same id."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from koppel.engine.frame import make_frame
from koppel.engine.hand import Hand
from koppel.engine.pairs import paired
from koppel.engine.quiet import settle_quietly
from koppel.model.company import Company
from koppel.model.record import Record
from koppel.store import flows, observations, standing, streams, subjects
from koppel.store.flows import Position, StoredBase
from koppel.store.observations import Seen
from koppel.store.sql import Db
from koppel.sync.base import Base
from koppel.sync.steps import Step
from koppel.sync.undo import MARK
from koppel.testing.pair_desk import PairDesk

from .two_way import two_sides

LEFT, RIGHT = "17", "42"


def members(db: Db, stream: int, subject: str) -> list[str]:
    return [member.native for member in subjects.of_subjects(db, stream, [subject]).get(subject, [])]


def parted(third: str, *, keeps: Sequence[str], noted: bool = True, left_gone: bool = False) -> tuple[bool, bool]:
    """Unlink a pair of which other flows keep the left, the right or both in step with a third system's record of that id.
    Whether the left and the right are still members."""
    sides = two_sides()
    frame = make_frame(sides.ports, sides.flow)

    def arrange_and_part(db: Db) -> tuple[bool, bool]:
        left, right = frame.streams["left"].id, frame.streams["right"].id
        other = streams.ensure(db, "third", "things").id
        subject = subjects.create(db, at=sides.clock.at)
        for stream, native in ((left, LEFT), (right, RIGHT), (other, third)):
            subjects.join(db, subject, stream, native, role="main", why="test", at=sides.clock.at)
        for side in keeps:
            ours, theirs = {"left": (left, LEFT), "right": (right, RIGHT)}[side], f"theirs of the {side}"
            flows.move(db, theirs, Position("1", {}, 0, 0))
            if noted:
                standing.between(db, theirs, ours[0], other)
            flows.save_bases(db, theirs, [StoredBase(ours[1], third, subject, Base(), "", "", 0)])
        observations.take_in(db, left, [Seen(LEFT, Record(Company(name="Bakker")))], at=sides.clock.at)
        if left_gone:
            observations.mark_unseen_gone(db, left, streams.begin_scan(db, left), at=sides.clock.at)
        flows.save_bases(db, "pair", [StoredBase(LEFT, RIGHT, subject, Base(), "", "", 0)])
        step = Step("unlink", "right", LEFT, RIGHT, because={"": "test"})
        settle_quietly(db, frame, Hand(1, "test", sides.clock.at), step)
        return bool(members(db, left, subject)), bool(members(db, right, subject))

    return sides.store.run(arrange_and_part)


@pytest.mark.parametrize("third", ["9", LEFT, RIGHT], ids=["its own id", "the left's id", "the right's id"])
@pytest.mark.parametrize("keeps", ["left", "right"])
def test_who_another_flow_keeps_stays_whatever_ids_it_has_elsewhere(keeps: str, third: str) -> None:
    assert parted(third, keeps=[keeps]) == (keeps == "left", keeps == "right")


@pytest.mark.parametrize("keeps", ["left", "right"])
def test_a_flow_that_has_not_said_between_which_streams_it_is_keeps_what_bears_its_ids(keeps: str) -> None:
    assert parted("9", keeps=[keeps], noted=False) == (keeps == "left", keeps == "right")


@pytest.mark.parametrize(("left_gone", "stay"), [(False, (True, False)), (True, (False, True))])
def test_of_two_that_other_flows_keep_the_one_that_lives_stays(left_gone: bool, stay: tuple[bool, bool]) -> None:
    assert parted("9", keeps=["left", "right"], left_gone=left_gone) == stay


def test_what_others_keep_with_the_right_goes_along_with_it_when_others_keep_the_left_too() -> None:
    sides = two_sides()
    frame = make_frame(sides.ports, sides.flow)
    left, right = frame.streams["left"].id, frame.streams["right"].id

    def arrange_and_part(db: Db) -> tuple[int, int]:
        ends = {name: streams.ensure(db, name, "things").id for name in ("of the left", "of the right", "farther")}
        subject = subjects.create(db, at=sides.clock.at)
        bonds = (
            ("left and its own", left, LEFT, "of the left", "3"),
            ("right and its own", right, RIGHT, "of the right", "3"),
            ("and on", ends["of the right"], "3", "farther", "8"),
        )
        for stream, native in ((left, LEFT), (right, RIGHT), (ends["of the left"], "3"), (ends["of the right"], "3")):
            subjects.join(db, subject, stream, native, role="main", why="test", at=sides.clock.at)
        for native, role in (("8", "main"), ("9", "follower")):
            subjects.join(db, subject, ends["farther"], native, role=role, why="test", at=sides.clock.at)
        for flow, stream, native, name, other in bonds:
            flows.move(db, flow, Position("1", {}, 0, 0))
            standing.between(db, flow, stream, ends[name])
            flows.save_bases(db, flow, [StoredBase(native, other, subject, Base(), "", "", 0)])
        flows.save_bases(db, "pair", [StoredBase(LEFT, RIGHT, subject, Base(), "", "", 0)])
        step = Step("unlink", "right", LEFT, RIGHT, because={"": "test"})
        settle_quietly(db, frame, Hand(1, "test", sides.clock.at), step)
        mine, theirs = (subjects.of_records(db, s, [n])[n].subject for s, n in ((left, LEFT), (right, RIGHT)))
        assert [(m.stream, m.native, m.role) for m in subjects.seats(db, [mine])] == [
            (left, LEFT, "main"),
            (ends["of the left"], "3", "main"),
            (ends["farther"], "9", "main"),
        ]
        assert [(m.stream, m.native) for m in subjects.seats(db, [theirs])] == [
            (right, RIGHT),
            (ends["of the right"], "3"),
            (ends["farther"], "8"),
        ]
        told = {flow: base.subject for flow, base in flows.of_subjects(db, [mine, theirs])}
        assert told == {"left and its own": mine, "right and its own": theirs, "and on": theirs}
        return left, right

    sides.store.run(arrange_and_part)


def around(desk: PairDesk, *, field: str, looked: bool = True) -> tuple[bool, bool, bool, set[str]]:
    """Take a pair apart of which other flows keep both with one record of a third system, and yet another flow both with each
    other. Whether the left and the right are still of the thing, whether they still are a pair of the flow, and which flows
    still keep something of it."""
    frame = make_frame(desk.ports, desk.flow)
    left, right = frame.streams["left"].id, frame.streams["right"].id

    def arrange_and_part(db: Db) -> tuple[bool, bool, bool, set[str]]:
        third = streams.ensure(db, "third", "things").id
        subject = subjects.create(db, at=desk.clock.at)
        for stream, native in ((left, LEFT), (right, RIGHT), (third, "3")):
            subjects.join(db, subject, stream, native, role="main", why="test", at=desk.clock.at)
        bonds = (
            ("of the left", (left, LEFT), (third, "3")),
            ("of the right", (third, "3"), (right, RIGHT)),
            ("facing", (right, RIGHT), (left, LEFT)),
        )
        for flow, one, two in bonds:
            flows.move(db, flow, Position("1", {}, 0, 0))
            standing.between(db, flow, one[0], two[0])
            if looked or flow != "of the right":
                flows.save_bases(db, flow, [StoredBase(one[1], two[1], subject, Base(), "", "", 0)])
        flows.save_bases(db, "pair", [StoredBase(LEFT, RIGHT, subject, Base(), "", "", 0)])
        step = Step("unlink", "right", LEFT, RIGHT, because={"": "test"}, field=field)
        settle_quietly(db, frame, Hand(1, "test", desk.clock.at), step)
        keeping = {flow for flow, _ in flows.of_subjects(db, [subject])}
        both = [bool(subjects.of_records(db, s, [n])) for s, n in ((left, LEFT), (right, RIGHT))]
        return both[0], both[1], paired(db, frame, step), keeping

    return desk.store.run(arrange_and_part)


def test_what_others_hold_together_by_way_of_a_third_loses_nobody_when_an_undo_takes_it_apart() -> None:
    assert around(two_sides(), field=MARK) == (True, True, False, {"of the left", "of the right"})


def test_a_flow_that_has_not_looked_at_what_it_has_in_hand_yet_loses_nobody_either() -> None:
    assert around(two_sides(), field=MARK, looked=False) == (True, True, False, {"of the left"})


def test_taken_apart_otherwise_one_of_the_two_leaves_also_then() -> None:
    assert around(two_sides(), field="") == (True, False, False, {"of the left", "of the right", "facing"})


def test_who_is_to_be_made_again_leaves_and_the_other_stays_with_what_else_belongs_to_it() -> None:
    sides = two_sides()
    frame = make_frame(sides.ports, sides.flow)
    left, right = frame.streams["left"].id, frame.streams["right"].id

    def arrange_and_part(db: Db) -> list[tuple[int, str]]:
        other = streams.ensure(db, "third", "things").id
        subject = subjects.create(db, at=sides.clock.at)
        for stream, native in ((left, LEFT), (right, RIGHT), (other, "9")):
            subjects.join(db, subject, stream, native, role="main", why="test", at=sides.clock.at)
        flows.move(db, "theirs", Position("1", {}, 0, 0))
        standing.between(db, "theirs", left, other)
        flows.save_bases(db, "theirs", [StoredBase(LEFT, "9", subject, Base(), "", "", 0)])
        flows.save_bases(db, "pair", [StoredBase(LEFT, RIGHT, subject, Base(), "", "", 0)])
        step = Step("unlink", "left", LEFT, RIGHT, because={"": "gone on the left"}, field="restore")
        settle_quietly(db, frame, Hand(1, "test", sides.clock.at), step)
        return [seat.record for seat in subjects.seats(db, [subject])]

    # what "theirs" makes of the third system's record is the right one's counterpart as well: it gets no second one
    assert sides.store.run(arrange_and_part) == [(right, RIGHT), (3, "9")]
