"""A reply that is lost on an undo's write: it cannot be seen that it was done, so it is asked about, never forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.systems.spi import NoReply
from koppel.testing.pair_desk import QUARTER, PairDesk
from koppel.testing.toy_servers import Server

from .two_way import bakery, two_sides


@pytest.fixture
def sides() -> PairDesk:
    return two_sides()


def lose_the_next(server: Server, *, effect: bool, times: int = 1) -> None:
    """The next writes take effect, or never arrive; either way nobody hears of it."""
    handle, left = server.handle, [times]

    def lossy(request: Any) -> Any:
        if request.method == "GET" or request.url.endswith("/token") or not left[0]:
            return handle(request)
        left[0] -= 1
        if effect:
            handle(request)
        return NoReply("lost")

    server.handle = lossy  # type: ignore[method-assign]


def made_by_a_run(sides: PairDesk) -> tuple[str, int]:
    """A record made on the left; and the run that did it."""
    sides.till.add({"title": "Bakker", "nr": "42100001"})
    run = sides.sync().run
    sides.settle()
    ((_, _, native),) = sides.ledger.created
    return native, run


def test_an_archive_whose_answer_was_lost_is_asked_about(sides: PairDesk) -> None:
    native, run = made_by_a_run(sides)
    lose_the_next(sides.ledger, effect=True)
    result = sides.undo(run)
    assert sides.ledger.rows[native]["archived"]  # which does not show outside
    assert [planned.step.kind for planned in result.moved] == ["archive"]
    (item,) = sides.asks()
    assert (item.code, item.native) == ("undo_created", native)
    assert "its answer was lost" in item.body["text"]
    sides.settle()
    assert [item.code for item in sides.asks()] == ["undo_created"]  # and it stays until somebody says so


def test_applying_it_again_does_it_and_closes_the_question(sides: PairDesk) -> None:
    native, run = made_by_a_run(sides)
    plan = sides.plan_undo(run)
    lose_the_next(sides.ledger, effect=False)
    sides.apply(plan)
    assert "archived" not in sides.ledger.rows[native]
    assert len(sides.asks()) == 1
    sides.later(QUARTER)
    assert sides.apply(plan).counts["archive"] == 1
    assert sides.ledger.rows[native]["archived"]
    assert sides.asks() == []


def test_a_person_can_have_it_archived_by_answering(sides: PairDesk) -> None:
    native, run = made_by_a_run(sides)
    lose_the_next(sides.ledger, effect=False)
    sides.undo(run)
    sides.answer("archive")
    sides.settle()
    assert sides.ledger.rows[native]["archived"]
    assert sides.asks() == []


def test_a_value_that_did_not_arrive_is_asked_about_and_written_by_the_answer(sides: PairDesk) -> None:
    left, right = sides.both(bakery())
    sides.settle()
    sides.till.edit(right, {"brand": "Slager"})
    run = sides.sync().run
    sides.settle()
    was = sides.ledger.rows[left]["brand"]
    lose_the_next(sides.ledger, effect=False)
    sides.undo(run)
    assert sides.ledger.rows[left]["brand"] == was == "SLAGER"
    (item,) = sides.asks()
    assert item.code == "undo_field"
    sides.answer("before")
    sides.settle()
    assert sides.ledger.rows[left]["brand"] == "BAKKER"
    assert sides.asks() == []
