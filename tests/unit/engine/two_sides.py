"""Two made-up systems kept in step both ways, in this process, on a clock that tests move; and the people who work in them."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import msgspec

from koppel.engine import flow as engine
from koppel.engine import undo
from koppel.engine.flow import Options, Result
from koppel.engine.plan import Plan
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import Brakes, Endpoint, FieldRule, Flow, Match, Owner, RunRules
from koppel.store import due, trail, work
from koppel.store.due import Due
from koppel.store.store import Store, in_memory
from koppel.store.vault import Vault
from koppel.testing import toys
from koppel.testing.toy_servers import LedgerServer, Row, TillServer

OWNERS: dict[str, Owner] = {
    "name": "left",
    "kvk": "left",
    "phone": "newest",
    "email": "ask",
    "trade_name": "right",
    "statutory_name": "left",
    "website": "newest",
    "address": "left",
    "sbi": "union",
}
_DEAD: list[Any] = []


class TwoSides:
    """Ledger on the left, Till on the right, one two-way flow."""

    def __init__(self, **flow: Any) -> None:
        self.at = 1_793_606_400.0
        self.ledger = LedgerServer(now=self.now)
        self.till = TillServer(now=self.now, apikey="key")
        self.till.allowance = 10_000
        self.store: Store = in_memory(Vault(bytes(range(32))))
        self.told: list[str] = []
        self.stop: tuple[str, int] | None = None
        self.before_write: Any = None
        self.connections = {
            "left": Connection(name="left", system=toys.LEDGER_SYSTEM, settings=toys.LedgerSettings("s")),
            "right": Connection(name="right", system=toys.TILL_SYSTEM, settings=toys.TillSettings("key")),
        }
        self.flow = self.make_flow(**flow)
        self.ports = self.new_ports("one")
        asyncio.run(Sender(self.ports).logins.redeem(self.connections["left"], self.ledger.new_code()))

    @staticmethod
    def make_flow(**given: Any) -> Flow:
        fields = tuple(FieldRule(path, owner, empty="clear") for path, owner in OWNERS.items())
        made = Flow(
            id="pair", title="pair", entity="company", left=Endpoint("left", "customers"), right=Endpoint("right", "shops"), fields=fields,
            match=Match(keys=("kvk",)), create_left=True, create_right=True, run=RunRules(brakes=Brakes(None, None, None)), digest="pair",
        )  # fmt: skip
        return msgspec.structs.replace(made, **given)

    def now(self) -> float:
        return self.at

    def new_ports(self, worker: str) -> Ports:
        sides = self

        class Wire:
            async def send(self, request: Any, *, timeout: float) -> Any:  # noqa: ASYNC109
                server = sides.ledger if request.url.startswith(toys.LEDGER) else sides.till
                if request.method in ("PUT", "POST") and sides.before_write and not request.url.endswith("/token"):
                    job, sides.before_write = sides.before_write, None
                    job()
                return server.handle(request)

        class Clock:
            def now(self) -> float:
                return sides.at

            async def sleep(self, seconds: float) -> None:
                sides.at += max(0.0, seconds)

        return Ports(
            store=self.store, clock=Clock(), transport=Wire(), connections=self.connections, worker=worker, point=self._point, tell=self.told.append
        )  # fmt: skip

    async def _point(self, name: str) -> None:
        if self.stop is not None and self.stop[0] in (name, "*"):
            self.stop = (self.stop[0], self.stop[1] - 1)
            if self.stop[1] < 0:
                self.stop = None
                self._killed.set_result(None)
                await asyncio.get_running_loop().create_future()

    # --- runs ---

    def later(self, seconds: float = 900.0) -> None:
        self.at += seconds

    def sync(self) -> Result:
        """A quarter of an hour later, as a timer would."""
        self.later()
        return asyncio.run(engine.sync_flow(self.ports, self.flow, Options()))

    def settled(self, rounds: int = 3) -> Result:
        result = self.sync()
        for _ in range(rounds - 1):
            result = self.sync()
        return result

    def plan(self) -> Plan:
        self.later(60)
        return asyncio.run(engine.plan_flow(self.ports, self.flow, Options()))

    def plan_undo(self, run: int, *, wait: float = 900.0, **options: Any) -> Plan:
        self.later(wait)
        return asyncio.run(undo.plan_undo(self.ports, self.flow, run, Options(**options)))

    def apply(self, plan: Plan, **options: Any) -> Result:
        return asyncio.run(engine.apply_plan(self.ports, self.flow, plan, Options(**options)))

    def undo(self, run: int) -> Result:
        return self.apply(self.plan_undo(run))

    def apply_killed(self, plan: Plan, passing: int) -> bool:
        """Apply, killed at the n-th point it passes; False when it ended before."""
        self.stop = ("*", passing)
        loop = asyncio.new_event_loop()
        self._killed = loop.create_future()
        run = loop.create_task(engine.apply_plan(self.ports, self.flow, plan, Options()))
        _DEAD.append((loop, run))

        async def until() -> None:
            await asyncio.wait({run, self._killed}, return_when=asyncio.FIRST_COMPLETED)

        loop.run_until_complete(until())
        self.stop = None
        if run.done():
            loop.close()
            run.result()
            return False
        self.ports = self.new_ports(f"{self.ports.worker}'")
        self.later()
        return True

    def answer(self, value: Any, *, which: int = 0) -> None:
        item = self.asks()[which]
        assert value in [choice["answer"] for choice in item.body["choices"]]
        self.store.run(work.answer, item.id, value, by="mieke", at=self.at)
        self.store.run(due.add, item.flow, [Due(item.side, item.native, "asked")], at=self.at)

    # --- what there is ---

    def asks(self) -> list[work.Item]:
        return self.store.run(work.listed, "ask")

    def parked(self) -> list[work.Item]:
        return self.store.run(work.listed, "parked")

    def trail(self, kind: str | None = None) -> list[trail.Recorded]:
        return [e for e in self.store.run(trail.read, limit=100_000) if kind in (None, e.kind)]

    def writes(self) -> int:
        return self.ledger.writes + self.till.writes

    def shown(self) -> dict[str, dict[str, Row]]:
        """Every mutable field of every record in use."""
        return {
            server.name: {
                native: {word: value for word, value in row.items() if word in toys.PATH}
                for native, row in server.rows.items()
                if not row.get("archived")
            }
            for server in (self.ledger, self.till)
        }

    def pair(self, number: str) -> tuple[Row, Row]:
        (one,) = [row for row in self.ledger.rows.values() if row.get("nr") == number]
        (two,) = [row for row in self.till.rows.values() if row.get("nr") == number]
        return one, two

    def both(self, number: str = "42100001", **values: Any) -> tuple[str, str]:
        """A company in both systems, alike."""
        row: Row = {
            "nr": number,
            "title": "Bakker",
            "tel": "0205550001",
            "brand": "BAKKER",
            "legal": "Bakker BV",
        } | values
        return self.ledger.add(dict(row)), self.till.add(dict(row))


class Somebody:
    """A person with a seed, who works in both systems."""

    def __init__(self, sides: TwoSides, seed: int) -> None:
        self.sides, self.rnd, self.count = sides, Random(seed), 0

    def word(self) -> str:
        self.count += 1
        return f"{self.rnd.choice(('Ada', 'Bo', 'Cas', 'Dirk'))} {self.rnd.choice(('Bakt', 'Fietst', 'Schildert'))} {self.count:04} en zonen"

    def phone(self) -> str:
        self.count += 1
        return f"020555{self.count:04}"

    def row(self, number: str) -> Row:
        row: Row = {
            "nr": number,
            "title": self.word(),
            "tel": self.phone(),
            "brand": self.word(),
            "legal": f"{self.word()} Holding",
        }
        row |= {
            "mail": f"a{self.count}@firm.example",
            "place": {"street": self.word(), "number": "1", "city": "Zwolle"},
        }
        if self.rnd.random() < 0.5:
            row["codes"] = [{"code": str(self.rnd.randint(10000, 10009))}]
        return row

    def value(self, word: str) -> Any:
        if word == "tel":
            return self.phone()
        if word == "place":
            return {"street": self.word(), "number": "2", "city": "Assen"}
        if word == "codes":
            return [{"code": str(self.rnd.randint(10000, 10009))}]
        if word == "mail":
            self.count += 1
            return f"b{self.count}@firm.example"
        if word == "web":
            self.count += 1
            return f"www.firm{self.count}.example"
        return self.word()

    def founds(self, number: str) -> None:
        """A company: here, there, or in both and not alike."""
        row, where = self.row(number), self.rnd.random()
        if where < 0.7:
            self.sides.ledger.add(row)
        if where > 0.4:
            self.sides.till.add(row if self.rnd.random() < 0.5 else row | {"title": self.word(), "tel": self.phone()})

    def edits(self) -> None:
        server = self.rnd.choice((self.sides.ledger, self.sides.till))
        native = self.rnd.choice(sorted(server.rows))
        words = self.rnd.sample(
            ("title", "tel", "brand", "legal", "web", "place", "codes", "mail"), self.rnd.randint(1, 3)
        )
        server.edit(
            native, {word: None if self.rnd.random() < 0.1 and word != "title" else self.value(word) for word in words}
        )
        self.sides.later(self.rnd.uniform(1, 600))
