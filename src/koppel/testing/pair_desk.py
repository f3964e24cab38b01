"""Two made-up systems, a store and a flow between them, in one process on one clock: for tests and measurements of what needs
two sides that can both be listed.

Nothing is random and nobody is killed here; that is what the simulated worlds are for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec

from koppel.engine.flow import Options, Result, apply_plan, plan_flow, sync_flow
from koppel.engine.plan import Plan
from koppel.engine.ports import Connection, NotSent, Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import Brakes, Endpoint, FieldRule, Flow, Match, RunRules
from koppel.model.values import Json
from koppel.store import work
from koppel.store.store import Store, in_memory
from koppel.store.vault import Vault
from koppel.systems.spi import NoReply, Request, Response
from koppel.testing import toys
from koppel.testing.toy_servers import LedgerServer, Row, TillServer

T = TypeVar("T")
START = 1_790_000_000.0
APIKEY = "till-key-000777"
FIELDS = (FieldRule("name"), FieldRule("kvk"), FieldRule("phone"), FieldRule("email", "right"))
FLOW = Flow(
    id="pair",
    title="Ledger and Till",
    entity="company",
    left=Endpoint("left", "customers"),
    right=Endpoint("right", "shops"),
    fields=FIELDS,
    match=Match(keys=("kvk",)),
    create_right=True,
    run=RunRules(brakes=Brakes(None, None, None)),
    digest="1",
)


class PairDesk:
    """Ledger on the left, Till on the right. `hidden` holds what a side does not show;
    `cut_after` makes the wire fail after that many calls more."""

    def __init__(self, *, flow: Flow = FLOW, page: int = 50, store: Store | None = None) -> None:
        self.now = START
        self.ledger = LedgerServer(now=lambda: self.now, page=page)
        self.till = TillServer(now=lambda: self.now, apikey=APIKEY, page=page, allowance=1_000_000)
        self.flow = flow
        self.store = store or in_memory(Vault(bytes(range(32))))
        self.connections = {
            "left": Connection(name="left", system=toys.LEDGER_SYSTEM, settings=toys.LedgerSettings("ledger-secret-9")),
            "right": Connection(name="right", system=toys.TILL_SYSTEM, settings=toys.TillSettings(APIKEY)),
        }
        self.told: list[str] = []
        self.calls: list[str] = []
        self.cut_after: int | None = None
        self.hidden: set[tuple[str, str]] = set()
        self.ports = Ports(
            store=self.store,
            clock=_Clock(self),
            transport=_Wire(self),
            connections=self.connections,
            worker="desk",
            tell=self.told.append,
        )
        self.do(Sender(self.ports).logins.redeem(self.connections["left"], self.ledger.new_code()))

    def do(self, job: Coroutine[Any, Any, T]) -> T:
        """Run something to its end."""
        return asyncio.run(job)

    # --- what people do ---

    def both(self, number: int) -> tuple[str, str]:
        """The same company made on both sides; returns their ids."""
        return self.ledger.add(company(number)), self.till.add(company(number))

    def later(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    def rule(self, **given: Any) -> None:
        """Edit the flow."""
        self.flow = msgspec.structs.replace(self.flow, **given, digest=str(int(self.flow.digest) + 1))

    def hide(self, server: str, *natives: str) -> None:
        """A side stops showing these, as with a lost right or a wrong filter: no deletion is told, and nothing changed."""
        self.hidden |= {(server, native) for native in natives}

    def answer(self, value: Json, *, which: int = 0) -> None:
        """A person answers a question."""
        self.store.run(work.answer, self.asks()[which].id, value, by="mieke", at=self.now)

    # --- what Koppel does ---

    def sync(self, **options: Any) -> Result:
        """One run, a quarter of an hour after what was before it."""
        self.later(900)
        return self.do(sync_flow(self.ports, self.flow, Options(**options)))

    def plan(self, **options: Any) -> Plan:
        """A dry run."""
        return self.do(plan_flow(self.ports, self.flow, Options(**options)))

    def apply(self, plan: Plan, **options: Any) -> Result:
        """A stored plan."""
        return self.do(apply_plan(self.ports, self.flow, plan, Options(**options)))

    def asks(self) -> list[work.Item]:
        """Open questions."""
        return self.store.run(work.listed, "ask")

    def scalar(self, sql: str, **values: Any) -> Any:
        """One value out of the store."""
        return self.store.run(lambda db: db.scalar(sql, **values))


def company(number: int, **given: Json) -> Row:
    """A company as both systems word it."""
    row: Row = {
        "title": f"Bedrijf {number:06}",
        "nr": f"{number:08}",
        "tel": f"+3120{number:07}",
        "mail": f"info@bedrijf-{number:06}.example",
    }
    return row | given


class _Clock:
    def __init__(self, desk: PairDesk) -> None:
        self._desk = desk

    def now(self) -> float:
        return self._desk.now

    async def sleep(self, seconds: float) -> None:
        self._desk.later(max(0.0, seconds))


class _Wire:
    def __init__(self, desk: PairDesk) -> None:
        self._desk = desk

    async def send(self, request: Request, *, timeout: float) -> Response | NoReply | NotSent:  # noqa: ASYNC109
        desk = self._desk
        _ = timeout
        if desk.cut_after is not None:
            desk.cut_after -= 1
            if desk.cut_after < 0:
                return Response(503, {"retry-after": "600"})
        desk.calls.append(request.url)
        server = desk.ledger if request.url.startswith(toys.LEDGER) else desk.till
        reply = server.handle(request)
        return self._shown(server.name, reply) if request.method == "GET" else reply

    def _shown(self, server: str, reply: Response) -> Response:
        hidden = {native for name, native in self._desk.hidden if name == server}
        if not hidden or reply.status != 200:
            return reply
        body = msgspec.json.decode(reply.body)
        body["rows"] = [row for row in body.get("rows", []) if str(row["id"]) not in hidden]
        return msgspec.structs.replace(reply, body=msgspec.json.encode(body))
