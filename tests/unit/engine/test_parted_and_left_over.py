"""A right record that a person took apart from a left one which has another counterpart by now: asked about on its own."""

from __future__ import annotations

import pytest

from koppel.engine import identity
from koppel.engine.identity import By
from koppel.model.values import Json, Ref
from koppel.store import streams, subjects
from koppel.store.sql import Db
from koppel.testing.pair_desk import PairDesk, pair_flow

NUMBER = "42100001"


def taken_apart(**flow: bool) -> tuple[PairDesk, str, str]:
    """A pair that a person took apart."""
    desk = PairDesk(pair_flow(**flow))
    left, right = desk.both({"title": "Bakker", "nr": NUMBER})
    desk.sync()
    one, two = Ref.parse(f"left:customers:{left}"), Ref.parse(f"right:shops:{right}")
    desk.store.run(lambda db: identity.unlink(db, [desk.flow], By("mieke", desk.clock.now()), one, two))
    desk.later()
    return desk, left, right


def linked_elsewhere(db: Db, desk: PairDesk, left: str, right: str) -> None:
    """Other flows have made another right record one thing with the left one."""
    subject = subjects.create(db, at=desk.clock.now())
    for name, resource, native in (("left", "customers", left), ("right", "shops", right)):
        stream = streams.ensure(db, name, resource).id
        subjects.join(db, subject, stream, native, role="main", why="same kvk", at=desk.clock.now())


@pytest.mark.parametrize(("answer", "made"), [("create", 1), ("skip", 0)])
def test_it_is_asked_about_once_when_other_flows_gave_the_left_one_another_counterpart(answer: Json, made: int) -> None:
    desk, left, right = taken_apart(create_left=True)
    other = desk.till.add({"title": "Bakker", "nr": NUMBER})
    desk.store.run(linked_elsewhere, desk, left, other)
    desk.sync()
    assert [(item.side, item.native) for item in desk.asks()] == [("right", right)]
    desk.answer(answer)
    assert desk.sync().counts["create"] == made
    desk.later()
    after = desk.sync()
    assert (after.counts["ask"], after.counts["create"], desk.asks()) == (0, 0, [])


def test_it_is_asked_about_where_the_flow_makes_records_on_its_left_only() -> None:
    desk, _, right = taken_apart(create_left=True, create_right=False)
    desk.sync()
    assert [(item.side, item.native, item.code) for item in desk.asks()] == [("right", right, "apart")]


def test_while_the_left_one_is_asked_about_there_is_one_question() -> None:
    desk, left, _ = taken_apart(create_left=True)
    desk.sync()
    assert [(item.side, item.native, item.code) for item in desk.asks()] == [("left", left, "apart")]


def test_it_is_asked_about_once_when_this_flow_itself_made_the_left_one_another_counterpart() -> None:
    desk, left, right = taken_apart(create_left=True)
    desk.sync()
    desk.answer("create")
    assert desk.settle().counts["create"] == 0
    assert len(desk.till.rows) == 2
    assert [(item.side, item.native) for item in desk.asks()] == [("right", right)]
    assert right not in desk.partners(left)
    assert desk.still_does(2) == {}


def test_it_is_asked_about_once_when_another_flow_made_the_left_one_a_counterpart_while_that_was_asked_about() -> None:
    desk, left, right = taken_apart(create_left=True)
    desk.sync()
    assert [item.native for item in desk.asks()] == [left]
    other = desk.till.add({"title": "Bakker", "nr": NUMBER})
    desk.store.run(linked_elsewhere, desk, left, other)
    desk.settle()
    assert [(item.side, item.native) for item in desk.asks()] == [("right", right)]
    assert desk.still_does(2) == {}


def test_it_is_asked_about_no_more_than_the_left_one_that_was_left_out() -> None:
    desk, _, _ = taken_apart(create_left=True)
    desk.sync()
    desk.answer("skip")
    desk.settle()
    assert desk.asks() == []
    assert desk.still_does(2) == {}


def test_it_is_asked_about_once_when_a_person_links_the_left_one_that_was_left_out_by_hand() -> None:
    desk, left, right = taken_apart(create_left=True)
    desk.sync()
    desk.answer("skip")
    other = desk.till.add({"title": "Bakker", "nr": NUMBER})
    desk.settle()
    assert desk.asks() == []
    one, two = Ref.parse(f"left:customers:{left}"), Ref.parse(f"right:shops:{other}")
    desk.store.run(lambda db: identity.link(db, [desk.flow], By("mieke", desk.clock.now()), one, two))
    desk.settle()
    assert [(item.side, item.native) for item in desk.asks()] == [("right", right)]
    assert desk.still_does(2) == {}
