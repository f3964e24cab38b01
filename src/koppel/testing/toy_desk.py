"""A quiet workspace over the two toy systems, for situations that are arranged to the letter: one process, a clock that moves
when told, a wire that loses nothing unless asked.

Ledger is the left (`customers`), Till the right (`shops`). People work in `ledger` and `till`; `sync` runs the flow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from koppel.engine import flow as engine
from koppel.engine.flow import Options, Result
from koppel.engine.plan import Plan
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import Brakes, Endpoint, FieldRule, Flow, Match, RunRules
from koppel.model.can import Field
from koppel.model.values import Json
from koppel.store import due, trail, work
from koppel.store.due import Due
from koppel.store.store import in_memory
from koppel.store.vault import Vault
from koppel.systems.spi import NoReply, Request, Response
from koppel.testing import toys
from koppel.testing.toy_servers import LedgerServer, Row, TillServer

T = TypeVar("T")
START = 1_793_606_400.0  # a Monday in November 2026
SHOWN = 120.0  # by then whatever was written shows


class _Clock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += max(0.0, seconds)


class _Wire:
    def __init__(self, desk: ToyDesk) -> None:
        self.desk = desk

    async def send(self, request: Request, *, timeout: float) -> Response | NoReply:  # noqa: ASYNC109, ARG002 - the transport's signature
        desk = self.desk
        if desk.lose_before and request.method in ("PUT", "POST") and "/token" not in request.url:
            desk.lose_before -= 1
            return NoReply("lost on the way there")
        server = desk.ledger if request.url.startswith(toys.LEDGER) else desk.till
        reply = server.handle(request)
        if desk.lose_after and request.method in ("PUT", "POST") and "/token" not in request.url:
            desk.lose_after -= 1
            return NoReply("lost on the way back")
        return reply


def _fixed(fields: tuple[Field, ...], paths: tuple[str, ...]) -> tuple[Field, ...]:
    return tuple(replace(field, writable="never") if field.path in paths else field for field in fields)


class ToyDesk:
    """One workspace with its two toy systems and one flow, `pair`."""

    def __init__(self, *rules: FieldRule, **flow: Any) -> None:
        self.clock = _Clock()
        self.ledger = LedgerServer(now=self.clock.now)
        self.till = TillServer(now=self.clock.now, apikey="till-key-000777", allowance=1000)
        self.lose_before = self.lose_after = 0
        self.store = in_memory(Vault(bytes(range(32))))
        connections = {
            "left": Connection(name="left", system=toys.LEDGER_SYSTEM, settings=toys.LedgerSettings("ledger-secret-9")),
            "right": Connection(name="right", system=toys.TILL_SYSTEM, settings=toys.TillSettings("till-key-000777")),
        }
        self.ports = Ports(
            store=self.store, clock=self.clock, transport=_Wire(self), connections=connections, worker="one"
        )
        self.flow = self.make_flow(*rules, **flow)
        self.do(Sender(self.ports).logins.redeem(connections["left"], self.ledger.new_code()))

    @staticmethod
    def do(job: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return asyncio.run(job)

    @staticmethod
    def make_flow(*rules: FieldRule, **given: Any) -> Flow:
        """A flow between the two; without rules the left owns name and number."""
        usual: dict[str, Any] = {
            "id": "pair",
            "title": "Ledger and Till",
            "entity": "company",
            "left": Endpoint("left", "customers"),
            "right": Endpoint("right", "shops"),
            "match": Match(keys=("kvk",)),
            "create_right": True,
            "run": RunRules(brakes=Brakes(None, None, None)),
        }
        fields = rules or (FieldRule("name"), FieldRule("kvk"))
        made = Flow(fields=tuple(fields), **(usual | given))
        return msgspec.structs.replace(made, digest=repr(made))

    def edit_flow(self, *rules: FieldRule, **given: Any) -> None:
        """The customer edits the flow."""
        self.flow = self.make_flow(*(rules or self.flow.fields), **given)

    def without(self, side: str, *paths: str) -> None:
        """From now on these fields cannot be written on that side; without paths all can."""
        known = self.ports.connections[side]
        system = toys.LEDGER_SYSTEM if side == "left" else toys.TILL_SYSTEM
        resources = tuple(replace(r, can=replace(r.can, fields=_fixed(r.can.fields, paths))) for r in system.resources)
        made = replace(known, system=replace(system, resources=resources))
        self.ports.connections = {**self.ports.connections, side: made}

    # --- people and time ----------------------------------------------------------------------------------------------

    def add_both(self, **row: Json) -> tuple[str, str]:
        """The same record on both sides, and what is different by `left_…`/`right_…`."""
        sides: dict[str, Row] = {"left": {}, "right": {}}
        for word, value in row.items():
            side, _, name = word.partition("_")
            if side in sides and name:
                sides[side][name] = value
            else:
                sides["left"][word] = sides["right"][word] = value
        return self.ledger.add(sides["left"]), self.till.add(sides["right"])

    def later(self, seconds: float = SHOWN) -> None:
        """Time passes."""
        self.clock.at += seconds

    # --- runs -----------------------------------------------------------------------------------------------------------

    def sync(self, **options: Any) -> Result:
        """One run."""
        return self.do(engine.sync_flow(self.ports, self.flow, Options(**options)))

    def settle(self) -> None:
        """Runs until nothing moves any more."""
        for _ in range(3):
            self.sync()
            self.later()

    def plan(self, **options: Any) -> Plan:
        """A dry run."""
        return self.do(engine.plan_flow(self.ports, self.flow, Options(**options)))

    # --- what people answer, and what there is ----------------------------------------------------------------------------

    def answer(self, value: Json, *, field: str | None = None, by: str = "mieke") -> work.Item:
        """Answer the first question (about that field)."""
        item = next(item for item in self.asks() if field is None or item.field == field)
        self.store.run(work.answer, item.id, value, by=by, at=self.clock.now())
        self.store.run(due.add, self.flow.id, [Due(item.side, item.native, "asked")], at=self.clock.now())
        return item

    def asks(self) -> list[work.Item]:
        """Open questions."""
        return self.store.run(work.listed, "ask")

    def parked(self) -> list[work.Item]:
        """What could not be done."""
        return self.store.run(work.listed, "parked")

    def trail(self, kind: str | None = None) -> list[trail.Recorded]:
        """The trail, or its entries of one kind."""
        entries = self.store.run(trail.read, limit=100_000)
        return [entry for entry in entries if kind is None or entry.kind == kind]
