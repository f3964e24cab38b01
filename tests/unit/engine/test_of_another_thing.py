"""A record that belongs to another thing already, and carries the key of one that is linked: asked about from either side."""

from __future__ import annotations

import pytest

from koppel.model.values import Json
from koppel.store import streams, subjects
from koppel.store.sql import Db
from koppel.testing.pair_desk import START, PairDesk, pair_flow

NUMBER = "42100001"


def one_more(desk: PairDesk, side: str) -> str:
    """A second record with the number of a linked one, known to be another thing's through a system this flow does not see."""
    server, name = (desk.ledger, "left:customers") if side == "left" else (desk.till, "right:shops")
    native = server.add({"title": "Bakker Zuid", "nr": NUMBER})
    desk.store.run(of_another, *name.split(":"), native)
    return native


def of_another(db: Db, connection: str, resource: str, native: str) -> None:
    subject = subjects.create(db, at=START)
    stream, elsewhere = streams.ensure(db, connection, resource), streams.ensure(db, "third", "customers")
    subjects.join(db, subject, elsewhere.id, "1", role="main", why="by hand", at=START)
    subjects.join(db, subject, stream.id, native, role="main", why="by hand", at=START)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("answer", "made"), [("create", 1), ("skip", 0)])
def test_it_is_asked_about_once_and_made_only_when_a_person_says_so(side: str, answer: Json, made: int) -> None:
    desk = PairDesk(pair_flow(create_left=True))
    desk.ledger.add({"title": "Bakker", "nr": NUMBER})
    desk.sync()
    native = one_more(desk, side)
    desk.later()
    assert desk.sync().counts["ask"] == 1
    assert [(item.side, item.native, item.code) for item in desk.asks()] == [(side, native, "twins")]
    desk.answer(answer)
    assert desk.sync().counts["create"] == made
    desk.later()
    after = desk.sync()
    assert (after.counts["ask"], after.counts["create"], desk.asks()) == (0, 0, [])


def test_where_the_flow_makes_nothing_on_the_left_nobody_is_asked() -> None:
    desk = PairDesk()
    desk.ledger.add({"title": "Bakker", "nr": NUMBER})
    desk.sync()
    one_more(desk, "right")
    desk.later()
    assert desk.sync().counts["ask"] == 0
    assert desk.asks() == []


def test_a_free_record_of_the_left_with_its_number_is_linked_with_it() -> None:
    desk = PairDesk(pair_flow(create_left=True))
    desk.till.add({"title": "Elders", "nr": "42100009"})
    native = one_more(desk, "right")
    desk.ledger.add({"title": "Bakker", "nr": NUMBER})
    desk.later()
    assert desk.sync().counts["link"] == 1
    assert native not in {item.native for item in desk.asks()}
