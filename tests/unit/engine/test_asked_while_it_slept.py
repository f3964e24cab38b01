"""A worker stands still over a write and is taken over: what the other one asks meanwhile is over once the sleeper says what
became of the write, and is not asked by the other one afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from koppel.engine.flow import Options, sync_flow
from koppel.engine.ports import Ports
from koppel.model.values import Json
from koppel.store import work
from koppel.systems.spi import Request, Response
from koppel.testing.pair_desk import PairDesk

BAKKER: dict[str, Json] = {"title": "Bakker", "tel": "0205550001"}  # no number: nobody can look up whether it was made
ASLEEP = 1000.0  # longer than a lease lasts


def doing(name: str, job: Callable[[], Awaitable[object]]) -> Callable[[str], Awaitable[None]]:
    """Something happens when a process first passes that point."""
    jobs = [job]

    async def point(passed: str) -> None:
        if passed == name and jobs:
            await jobs.pop()()

    return point


def slept(desk: PairDesk, *, over: str, said: str | None = None) -> list[work.Item]:
    """Worker one sleeps over its create, worker two takes over, asks, and is answered perhaps; returns what it asked."""
    asked: list[work.Item] = []
    two = desk.new_ports("two")

    async def taken_over() -> None:
        desk.later(ASLEEP)
        await sync_flow(two, desk.flow, Options())
        asked.extend(desk.doubts())
        if said is not None:
            desk.tell(said)

    desk.ports.point = doing(over, taken_over)
    desk.sync()
    desk.ports = two
    return asked


def turned_away(desk: PairDesk) -> None:
    """The next write is turned away at the door: it surely had no effect."""
    plain = desk.till.handle

    def busy(request: Request) -> Response:
        if request.method == "GET":
            return plain(request)
        desk.till.handle = plain  # type: ignore[method-assign]
        return Response(429, {"retry-after": "7200"})

    desk.till.handle = busy  # type: ignore[method-assign]


def in_doubt(desk: PairDesk) -> list[str]:
    """The states of questions about operations in doubt that are not over."""
    return [i.state for state in ("open", "answered") for i in desk.store.run(work.listed, "parked", state=state) if i.code == "in_doubt"]  # fmt: skip


@pytest.mark.parametrize("said", [None, "did_not"])
@pytest.mark.parametrize("landed", [True, False])
def test_a_question_is_over_when_the_sleeper_settles_its_write(*, landed: bool, said: str | None) -> None:
    desk = PairDesk()
    left = desk.ledger.add(BAKKER)
    if not landed:
        turned_away(desk)
    assert len(slept(desk, over="chunk answered" if landed else "after send write", said=said)) == 1
    assert desk.scalar("select count(*) from intents") == 0
    assert in_doubt(desk) == []
    desk.settle()
    assert len(desk.till.created) == len(desk.till.rows) == 1
    assert desk.partners(left) == set(desk.till.rows)
    assert desk.still_does() == {}


def test_a_question_stands_while_the_sleeper_cannot_say_either() -> None:
    desk = PairDesk()
    desk.ledger.add(BAKKER)
    assert len(slept(desk, over="before send write")) == 1
    assert desk.scalar("select count(*) from intents") == 1
    assert in_doubt(desk) == ["open"]


def test_a_refusal_takes_the_place_of_the_question_and_stays() -> None:
    desk = PairDesk()
    desk.ledger.add(BAKKER | {"title": "nee:Bakker"})
    assert len(slept(desk, over="chunk answered")) == 1
    (item,) = desk.parked()
    assert item.code != "in_doubt"
    assert item.tries == 1, "that somebody was asked meanwhile was no try"


def test_who_comes_back_with_an_answer_about_a_write_that_was_settled_meanwhile_asks_nothing() -> None:
    """Both sleep: two while it asks what became of it, until one has settled it."""
    desk = PairDesk()
    left = desk.ledger.add(BAKKER)
    one, two = desk.ports, desk.new_ports("two")
    asking, settled = asyncio.Event(), asyncio.Event()
    others: list[asyncio.Task[object]] = []

    async def probed() -> None:
        asking.set()
        await settled.wait()

    async def taken_over() -> None:
        desk.later(ASLEEP)
        others.append(asyncio.create_task(sync_flow(two, desk.flow, Options())))
        await asking.wait()

    async def both(ports: Ports) -> None:
        await sync_flow(ports, desk.flow, Options())
        settled.set()
        await asyncio.gather(*others)

    two.point = doing("probe answered", probed)
    one.point = doing("chunk answered", taken_over)
    desk.do(both(one))
    assert in_doubt(desk) == []
    desk.ports = two
    desk.settle()
    assert len(desk.till.created) == len(desk.till.rows) == 1
    assert desk.partners(left) == set(desk.till.rows)
    assert in_doubt(desk) == []
