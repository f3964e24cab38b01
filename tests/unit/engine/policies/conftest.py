"""Two made-up systems with opposite manners, kept in step both ways by a flow a test writes down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from koppel.engine import flow as engine
from koppel.engine.flow import Options, Result
from koppel.engine.plan import Plan
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import Flow
from koppel.mapping.read import read_flow
from koppel.store import due, work
from koppel.store.due import Due
from koppel.store.store import Store, in_memory
from koppel.store.vault import Vault
from koppel.testing import toys
from koppel.testing.toy_servers import LedgerServer, TillServer

FLOW = """
koppel = 1
id = "pair"
title = "Ledger and Till"
entity = "company"
left = "ledger:customers"
right = "till:shops"
[match]
keys = ["kvk"]
[create]
right = true
[fields]
kvk = { owner = "left" }
name = { owner = "left" }
phone = { owner = "newest" }
[run]
brakes = { creates = false, deletes = false, share = false, first = false }
"""
LATER = 600.0


class TwoWay:
    """A store, two servers and a clock that moves only when told to, or when somebody waits."""

    def __init__(self, text: str = FLOW) -> None:
        self.now = 1_800_000_000.0
        self.store: Store = in_memory(Vault(bytes(range(32))))
        self.ledger = LedgerServer(now=lambda: self.now)
        self.till = TillServer(now=lambda: self.now, apikey="till-key-000777")
        self.flow = read(text)
        desk = self

        class Wire:
            async def send(self, request: Any, *, timeout: float) -> Any:  # noqa: ASYNC109
                server = desk.ledger if request.url.startswith(toys.LEDGER) else desk.till
                return server.handle(request)

        class Clock:
            def now(self) -> float:
                return desk.now

            async def sleep(self, seconds: float) -> None:
                desk.now += max(0.0, seconds)

        self.ports = Ports(
            store=self.store,
            clock=Clock(),
            transport=Wire(),
            connections={
                "ledger": Connection(name="ledger", system=toys.LEDGER_SYSTEM, settings=toys.LedgerSettings("secret")),
                "till": Connection(name="till", system=toys.TILL_SYSTEM, settings=toys.TillSettings("till-key-000777")),
            },
            worker="one",
        )
        login = self.ports.connections["ledger"]
        asyncio.run(Sender(self.ports).logins.redeem(login, self.ledger.new_code()))

    def sync(self, *, wait: float = LATER, **options: Any) -> Result:
        """A run, after which enough time passes for every write to show."""
        result = asyncio.run(engine.sync_flow(self.ports, self.flow, Options(**options)))
        self.now += wait
        return result

    def plan(self, **options: Any) -> Plan:
        return asyncio.run(engine.plan_flow(self.ports, self.flow, Options(**options)))

    @staticmethod
    def run(coroutine: Any) -> Any:
        return asyncio.run(coroutine)

    def settled(self) -> TwoWay:
        for _ in range(4):
            self.sync()
        return self

    def rewrite(self, text: str) -> None:
        self.flow = read(text)

    def pair(self, **values: Any) -> tuple[str, str]:
        """One company in both, with the same values."""
        return self.ledger.add(dict(values)), self.till.add(dict(values))

    def at_ledger(self, native: str, **values: Any) -> None:
        self.ledger.edit(native, values)

    def at_till(self, native: str, **values: Any) -> None:
        self.till.edit(native, values)

    def asks(self) -> list[work.Item]:
        return self.store.run(work.listed, "ask")

    def parked(self) -> list[work.Item]:
        return self.store.run(work.listed, "parked")

    def answer(self, number: int, value: Any) -> None:
        item = self.store.run(work.get, number)
        assert item is not None
        self.store.run(work.answer, number, value, by="mieke", at=self.now)
        self.store.run(due.add, item.flow, [Due(item.side, item.native, "decided")], at=self.now)

    def silent(self) -> bool:
        """Running again writes nothing and asks nothing."""
        before = self.ledger.writes + self.till.writes
        result = self.sync()
        counts = sum(result.counts[kind] for kind in ("create", "update", "archive", "link", "unlink", "ask", "park"))
        return result.state == "done" and self.ledger.writes + self.till.writes == before and counts == 0


def read(text: str) -> Flow:
    flow, problems = read_flow(text, file="pair.toml")
    assert flow is not None, problems
    assert not problems
    return flow


@pytest.fixture
def two_way() -> Iterator[Callable[..., TwoWay]]:
    made: list[TwoWay] = []

    def make(text: str = FLOW) -> TwoWay:
        made.append(TwoWay(text))
        return made[-1]

    yield make
    for desk in made:
        desk.store.close()


@pytest.fixture
def flow_text() -> str:
    return FLOW
