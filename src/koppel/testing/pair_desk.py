"""A quiet workspace over the two toy systems, for situations that are arranged to the letter and for measurements: one process,
one clock that moves when told, a wire that loses and hides nothing unless asked.

Ledger is the left (`customers`), Till the right (`shops`). People work in `ledger` and `till`; `sync` runs the flow. Nothing is
random and nobody is killed by chance; that is what the simulated worlds are for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from koppel.engine.flow import Options, Result, apply_plan, plan_flow, sync_flow
from koppel.engine.plan import Plan
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.engine.undo import plan_undo
from koppel.mapping.flow import Brakes, Endpoint, FieldRule, Flow, Match, RunRules
from koppel.model.can import Field
from koppel.model.values import Json
from koppel.store import due, streams, subjects, trail, work
from koppel.store.due import Due
from koppel.store.store import Store, in_memory
from koppel.store.vault import Vault
from koppel.systems.spi import NoReply, Request, Response
from koppel.testing import toys
from koppel.testing.killing import ANYWHERE, Killing
from koppel.testing.toy_servers import LedgerServer, Row, Server, TillServer

T = TypeVar("T")
START = 1_793_606_400.0  # a Monday in November 2026
SHOWN = 120.0  # by then whatever was written shows
QUARTER = 900.0
MOVES = ("create", "update", "archive", "link", "unlink", "ask", "park")
APIKEY = "till-key-000777"


def pair_flow(*rules: FieldRule, **given: Any) -> Flow:
    """A flow between the two; without rules the left owns name and number."""
    usual: dict[str, Any] = {
        "id": "pair",
        "title": "Ledger and Till",
        "entity": "company",
        "left": Endpoint("left", "customers"),
        "right": Endpoint("right", "shops"),
        "fields": rules or (FieldRule("name"), FieldRule("kvk")),
        "match": Match(keys=("kvk",)),
        "create_right": True,
        "run": RunRules(brakes=Brakes(None, None, None)),
    }
    return _digested(Flow(**(usual | given)))


def _digested(flow: Flow) -> Flow:
    return msgspec.structs.replace(flow, digest=repr(msgspec.structs.replace(flow, digest="")))


FLOW = pair_flow(FieldRule("name"), FieldRule("kvk"), FieldRule("phone"), FieldRule("email", "right"))


def company(number: int, **given: Json) -> Row:
    """A company as both systems word it."""
    row: Row = {
        "title": f"Bedrijf {number:06}",
        "nr": f"{number:08}",
        "tel": f"+3120{number:07}",
        "mail": f"info@bedrijf-{number:06}.example",
    }
    return row | given


class Clock:
    """Time, as tests move it."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> float:
        """What time it is."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """Time passes at once."""
        self.at += max(0.0, seconds)


class Wire:
    """What lies between, and what goes wrong there.

    `lose_before` and `lose_after` are how many writes more get lost on the way there or back, `cut_after` how many calls more get
    through at all, `hidden` what a side does not show, `before_write` what somebody does in the instant before the next write.
    """

    def __init__(self, *servers: Server) -> None:
        self.ledger, self.till = servers
        self.calls: list[str] = []
        self.lose_before = self.lose_after = 0
        self.cut_after: int | None = None
        self.hidden: set[tuple[str, str]] = set()
        self.before_write: Callable[[], object] | None = None

    async def send(self, request: Request, *, timeout: float) -> Response | NoReply:  # noqa: ASYNC109
        """Carry one request and its answer."""
        _ = timeout
        if self.cut_after is not None:
            self.cut_after -= 1
            if self.cut_after < 0:
                return Response(503, {"retry-after": "600"})
        self.calls.append(request.url)
        server = self.ledger if request.url.startswith(toys.LEDGER) else self.till
        if request.method == "GET":
            return self._shown(server.name, server.handle(request))
        if request.url.endswith("/token"):
            return server.handle(request)
        if self.before_write:
            job, self.before_write = self.before_write, None
            job()
        if self.lose_before:
            self.lose_before -= 1
            return NoReply("lost on the way there")
        reply = server.handle(request)
        if self.lose_after:
            self.lose_after -= 1
            return NoReply("lost on the way back")
        return reply

    def _shown(self, server: str, reply: Response) -> Response:
        hidden = {native for name, native in self.hidden if name == server}
        if not hidden or reply.status != 200:
            return reply
        body = msgspec.json.decode(reply.body)
        body["rows"] = [row for row in body.get("rows", []) if str(row["id"]) not in hidden]
        return msgspec.structs.replace(reply, body=msgspec.json.encode(body))


class PairDesk:
    """One workspace with its two toy systems and one flow. `pace` is how long it is from one thing to the next run."""

    def __init__(
        self, flow: Flow | None = None, *, page: int | None = None, store: Store | None = None, pace: float = 0.0
    ) -> None:
        self.flow, self.pace = flow or pair_flow(), pace
        self.clock = Clock()
        self.ledger = LedgerServer(now=self.clock.now)
        self.till = TillServer(now=self.clock.now, apikey=APIKEY, allowance=1_000_000)
        if page is not None:
            self.ledger.page = self.till.page = page
        self.wire = Wire(self.ledger, self.till)
        self.store = store or in_memory(Vault(bytes(range(32))))
        self.connections = {
            "left": Connection(name="left", system=toys.LEDGER_SYSTEM, settings=toys.LedgerSettings("ledger-secret-9")),
            "right": Connection(name="right", system=toys.TILL_SYSTEM, settings=toys.TillSettings(APIKEY)),
        }
        self.told: list[str] = []
        self.killing = Killing()
        self.ports = self.new_ports("one")
        self.do(Sender(self.ports).logins.redeem(self.connections["left"], self.ledger.new_code()))

    def new_ports(self, worker: str) -> Ports:
        """What another process would work with."""
        return Ports(
            store=self.store,
            clock=self.clock,
            transport=self.wire,
            connections=self.connections,
            worker=worker,
            point=self.killing.point,
            tell=self.told.append,
        )

    @staticmethod
    def do(job: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return asyncio.run(job)

    # --- what people and time do ---

    def both(self, row: Row, *, left: Row | None = None, right: Row | None = None) -> tuple[str, str]:
        """The same record on both sides, but for what is different; returns their ids."""
        return self.ledger.add(row | (left or {})), self.till.add(row | (right or {}))

    def later(self, seconds: float = SHOWN) -> None:
        """Time passes."""
        self.clock.at += seconds

    def edit_flow(self, *rules: FieldRule, **given: Any) -> None:
        """The customer edits the flow."""
        fields = {"fields": rules} if rules else {}
        self.flow = _digested(msgspec.structs.replace(self.flow, **fields, **given))

    def hide(self, server: str, *natives: str) -> None:
        """A side stops showing these, as with a lost right or a wrong filter: no deletion is told, and nothing changed."""
        self.wire.hidden |= {(server, native) for native in natives}

    def without(self, side: str, *paths: str) -> None:
        """From now on these fields cannot be written on that side; without paths all can."""
        system = toys.LEDGER_SYSTEM if side == "left" else toys.TILL_SYSTEM
        resources = tuple(replace(r, can=replace(r.can, fields=_fixed(r.can.fields, paths))) for r in system.resources)
        self.connections[side] = replace(self.connections[side], system=replace(system, resources=resources))

    def answer(self, value: Json, *, field: str | None = None, which: int = 0, by: str = "mieke") -> work.Item:
        """A person answers a question, the first one (about that field) or another."""
        item = [item for item in self.asks() if field is None or item.field == field][which]
        self._decided(item, value, by)
        return item

    def tell(self, value: Json) -> None:
        """A person who looked says what became of the one operation in doubt."""
        (item,) = self.doubts()
        self._decided(item, value, "mieke")

    def _decided(self, item: work.Item, value: Json, by: str) -> None:
        self.store.run(work.answer, item.id, value, by=by, at=self.clock.at)
        self.store.run(due.add, item.flow, [Due(item.side, item.native, "asked")], at=self.clock.at)

    # --- what Koppel does ---

    def sync(self, **options: Any) -> Result:
        """One run."""
        self.later(self.pace)
        return self.do(sync_flow(self.ports, self.flow, Options(**options)))

    def settle(self, rounds: int = 3) -> Result:
        """Runs until nothing moves any more; the last one."""
        for _ in range(rounds - 1):
            self.sync()
            self.later()
        result = self.sync()
        self.later()
        return result

    def plan(self, **options: Any) -> Plan:
        """A dry run."""
        return self.do(plan_flow(self.ports, self.flow, Options(**options)))

    def apply(self, plan: Plan, **options: Any) -> Result:
        """A stored plan."""
        return self.do(apply_plan(self.ports, self.flow, plan, Options(**options)))

    def apply_killed(self, plan: Plan, passing: int) -> bool:
        """A stored plan, killed at the n-th point it passes; False when it ended before. The next run is another process."""
        job = apply_plan(self.ports, self.flow, plan, Options())
        if not self.killing.run(job, at=ANYWHERE, passing=passing):
            return False
        self.ports = self.new_ports(f"{self.ports.worker}'")
        self.later(QUARTER)
        return True

    def plan_undo(self, run: int, *, wait: float | None = None, **options: Any) -> Plan:
        """What taking a run back would do, after a while: as long as between two runs unless told."""
        self.later(self.pace if wait is None else wait)
        return self.do(plan_undo(self.ports, self.flow, run, Options(**options)))

    def undo(self, run: int) -> Result:
        """A run taken back."""
        return self.apply(self.plan_undo(run))

    # --- what there is ---

    def shown(self) -> dict[str, dict[str, Row]]:
        """Every field that can change of every record in use."""
        return {
            server.name: {
                native: {word: value for word, value in row.items() if word in toys.PATH}
                for native, row in server.rows.items()
                if not row.get("archived")
            }
            for server in (self.ledger, self.till)
        }

    def writes(self) -> int:
        """How often either was written to."""
        return self.ledger.writes + self.till.writes

    def still_does(self, times: int = 1) -> dict[str, Json]:
        """What running again does, which should be nothing."""
        before = self.writes()
        found: dict[str, Json] = {}
        for _ in range(times):
            result = self.sync()
            found |= {kind: result.counts[kind] for kind in MOVES if result.counts[kind]}
            found |= {} if result.state == "done" else {"state": result.state}
        return found | ({"writes": self.writes() - before} if self.writes() != before else {})

    def asks(self) -> list[work.Item]:
        """Open questions."""
        return self.store.run(work.listed, "ask")

    def parked(self) -> list[work.Item]:
        """What could not be done."""
        return self.store.run(work.listed, "parked")

    def doubts(self) -> list[work.Item]:
        """Operations of which nobody knows what became of them."""
        return [item for item in self.parked() if item.code == "in_doubt"]

    def partners(self, left: str) -> set[str]:
        """Who on the right is one with a record of the left."""
        mine, theirs = (self.store.run(streams.ensure, *end) for end in (("left", "customers"), ("right", "shops")))
        member = self.store.run(subjects.of_records, mine.id, [left]).get(left)
        found = self.store.run(subjects.of_subjects, theirs.id, {member.subject}) if member else {}
        return {each.native for several in found.values() for each in several}

    def trail(self, kind: str | None = None) -> list[trail.Recorded]:
        """The trail, or its entries of one kind."""
        entries = self.store.run(trail.read, limit=100_000)
        return [entry for entry in entries if kind is None or entry.kind == kind]

    def scalar(self, sql: str, **values: Any) -> Any:
        """One value out of the store."""
        return self.store.run(lambda db: db.scalar(sql, **values))


def _fixed(fields: tuple[Field, ...], paths: tuple[str, ...]) -> tuple[Field, ...]:
    return tuple(replace(field, writable="never") if field.path in paths else field for field in fields)
