"""The moment before a write leaves: what was decided too long ago, is no longer wholly ours or no longer belongs together stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from koppel.engine import execute
from koppel.engine.flow import Options, sync_flow
from koppel.store import apart, intents, streams, subjects
from koppel.testing.pair_desk import PairDesk, company


def once_at(desk: PairDesk, name: str, job: Callable[[], object]) -> None:
    """Something happens when the engine first passes that point."""
    jobs = [job]

    async def point(passed: str) -> None:
        if passed == name and jobs:
            jobs.pop()()

    desk.ports.point = point


@pytest.mark.parametrize(("waited", "writes"), [(599.0, 1), (601.0, 0)])
def test_what_waited_too_long_is_not_sent_but_decided_anew(waited: float, writes: int) -> None:
    desk = PairDesk()
    desk.ledger.add(company(1))
    once_at(desk, "before send write", lambda: desk.later(waited))
    assert desk.sync().state == ("done" if writes else "stopped")
    assert desk.till.writes == writes
    desk.settle()
    assert desk.till.writes == len(desk.till.rows) == 1


def test_of_a_call_that_is_not_wholly_ours_any_more_nothing_is_sent() -> None:
    """Two creates share a call; while it waited, somebody took the flow over and settled one of them."""
    desk = PairDesk()
    desk.ledger.add(company(1))
    desk.ledger.add(company(2))

    def settled_by_another() -> None:
        desk.later(5)
        first, _ = desk.store.run(intents.of_flow, "pair")
        desk.store.run(intents.close, [first.op])

    once_at(desk, "before send write", settled_by_another)
    run = desk.sync()
    assert (run.state, desk.till.writes) == ("stopped", 0)
    assert "took this flow over" in run.message
    desk.settle()
    assert len(desk.till.rows) == len(desk.till.created) == 2


def test_a_pair_that_was_taken_apart_since_it_was_decided_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "WINDOW", 1)
    desk = PairDesk()
    pairs = [desk.both(company(number)) for number in range(1, 8)]  # more than one call, so more than one chunk
    desk.settle()
    for left, _ in pairs:
        desk.ledger.edit(left, {"title": "Bakker"})
    left, right = pairs[-1]

    def taken_apart_by_a_person() -> None:
        ours, theirs = (desk.store.run(streams.number, *name) for name in (("left", "customers"), ("right", "shops")))
        desk.store.run(subjects.leave, theirs, right)
        desk.store.run(apart.hold, [((ours, left), (theirs, right))], at=desk.clock.at, by="mieke", why="another shop")

    once_at(desk, "chunk answered", taken_apart_by_a_person)
    assert desk.sync().counts["update"] == 6
    assert [desk.till.rows[native]["title"] == "Bakker" for _, native in pairs] == [True] * 6 + [False]


def test_what_left_late_is_asked_about_late() -> None:
    """The process died with its call under way: nobody asks before it must have shown, counted from when it left."""
    desk = PairDesk()
    desk.ledger.add(company(1))
    shop = desk.ports.connections["right"].resource("shops")
    shows = desk.ports.timeout + shop.can.settles_after

    def waits() -> None:
        desk.later(100)
        desk.ports.point = desk.killing.point

    once_at(desk, "before send write", waits)
    assert desk.killing.run(sync_flow(desk.ports, desk.flow, Options()), at="after send write")
    left = desk.clock.at
    desk.store.run(lambda db: db.run("delete from leases"))  # another worker, once that one is known to be dead
    desk.ports = desk.new_ports("two")
    desk.clock.at = left + shows - 1
    desk.sync()
    assert desk.scalar("select count(*) from intents") == 1
    desk.clock.at = left + shows + 1
    desk.sync()
    assert desk.scalar("select count(*) from intents") == 0
    assert desk.till.writes == len(desk.till.rows) == 1
