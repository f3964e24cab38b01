"""What every world of toy systems shares, however many there are and however they hang together: places, people, coming to rest."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import msgspec

from koppel.engine.flow import Result
from koppel.engine.plan import Plan
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import Flow, SideName
from koppel.model.values import Json
from koppel.store import due, intents, streams, work
from koppel.store.due import Due
from koppel.systems.spi import Request, Response
from koppel.testing import toys
from koppel.testing.hand_person import HandPerson
from koppel.testing.owed_tries import readings, tried_in_time
from koppel.testing.toy_people import People
from koppel.testing.toy_servers import LedgerServer, Row, Server, TillServer
from koppel.testing.undo_person import UndoPerson
from koppel.testing.worlds import Slot, World

SIDES: tuple[SideName, SideName] = ("left", "right")


class Place(msgspec.Struct, frozen=True):
    """One system of the world: the connection to it, its resource, the server behind it and where that stands."""

    connection: str
    resource: str
    server: Server
    base: str


class ToyWorld(World):
    """Ledgers and Tills, and flows between them."""

    def __init__(self, seed: int, **options: Any) -> None:
        super().__init__(seed, **options)
        self.places: list[Place] = []
        self.arrived: dict[str, set[str]] = {}  # by ledger: refresh tokens whose answers reached somebody
        self.idle_calls = self.idle_writes = self.idle_owed = 0
        self.sleeping = Random(f"asleep:{self.kind}:{seed}")  # noqa: S311
        self.looks: list[asyncio.Task[None]] = []

    # --- building ---------------------------------------------------------------------------------------------------

    def add_ledger(self, connection: str, name: str, *, base: str = toys.LEDGER, page: int = 5) -> LedgerServer:
        """A Ledger, with a connection to it."""
        server = LedgerServer(name=name, now=self.clock.now, page=page)
        settings = toys.LedgerSettings(f"{name}-secret-9", base)
        self._place(Place(connection, "customers", server, base), toys.LEDGER_SYSTEM, settings)
        return server

    def add_till(self, connection: str, name: str, *, base: str = toys.TILL, page: int = 8) -> TillServer:
        """A Till, with a connection to it; what is typed there shows late, as the seed has it."""
        known = "" if base == toys.TILL else f":{name}"
        lags = Random(f"lag:{self.seed}{known}")  # noqa: S311
        key = f"{name}-key-000777"
        lag = lambda: lags.choice((0.0, 2.0, lags.uniform(0, toys.TILL_LAG)))  # noqa: E731
        server = TillServer(name=name, now=self.clock.now, apikey=key, lag=lag, page=page)
        self._place(Place(connection, "shops", server, base), toys.TILL_SYSTEM, toys.TillSettings(key, base))
        return server

    def _place(self, place: Place, system: Any, settings: Any) -> None:
        self.places.append(place)
        self.wire.hosts[place.base] = place.server
        self.connections[place.connection] = Connection(name=place.connection, system=system, settings=settings)

    def begin(self) -> None:
        """Once all places stand: people come to work there, and the wire is listened to."""
        self.wire.served = self._served
        self.wire.meddle = self._meddle
        self.undoing = UndoPerson(self)
        self.deciding = HandPerson(
            self, lambda flow: (self.stream_of(self.at(flow, "left")), self.stream_of(self.at(flow, "right")))
        )
        self.people = People(self.seed, self.rnd, self.mischief, [place.server for place in self.places], self._named)

    # --- who is where -------------------------------------------------------------------------------------------------

    def servers(self) -> list[Any]:
        """All of them."""
        return [place.server for place in self.places]

    def at(self, flow: Flow, side: SideName) -> Place:
        """The place at one end of a flow."""
        return next(place for place in self.places if place.connection == flow.endpoint(side).connection)

    def stream_of(self, place: Place) -> int:
        """The id of a place's stream."""
        return self.keeper.run(streams.ensure, place.connection, place.resource).id

    def _behind(self, request: Request) -> Server:
        return next(place.server for place in self.places if request.url.startswith(place.base))

    # --- people -----------------------------------------------------------------------------------------------------

    def person(self) -> None:
        """Somebody does something, somewhere."""
        self.people.act()

    async def sign_in(self, ports: Ports) -> None:
        """A person signs in where it is needed."""
        self.sign_ins += 1
        for place in self.places:
            if isinstance(place.server, LedgerServer) and self._signed_out(place):
                connection = self.connections[place.connection]
                await Sender(ports).logins.redeem(connection, place.server.new_code())

    def _signed_out(self, place: Place) -> bool:
        said = str(self.refused or "")
        ledgers = [p.connection for p in self.places if isinstance(p.server, LedgerServer)]
        return not any(said.startswith(f"{name}:") for name in ledgers) or said.startswith(f"{place.connection}:")

    async def first_sign_in(self) -> None:
        """Until it works."""
        for _ in range(50):
            how, _what = await self.slots[0].do(self.sign_in)
            if how == "done":
                return
            await asyncio.sleep(5)

    def _named(self, server: Server, native: str) -> None:
        for flow in self.flows:
            for side in SIDES:
                if self.at(flow, side).server is server:
                    self.keeper.run(due.add, flow.id, [Due(side, native, "webhook")], at=self.clock.now())

    async def after_run(self, flow: Flow, slot: Slot) -> None:
        """Perhaps somebody takes one back, or takes a pair apart."""
        await self.undoing.after_run(flow, slot)
        await self.deciding.after_run(flow, slot)

    def between(self, plan: Plan) -> None:
        """Somebody edits the very field that the plan is about to write."""
        flow = next(flow for flow in self.flows if flow.id == plan.flow)
        for planned in plan.steps:
            native = planned.step.target
            written = sorted(word for op in planned.operations for word in op.fields if word != "nr")
            if planned.step.kind == "update" and native is not None:
                self.people.overtake(self.at(flow, planned.step.side).server, native, written)

    def lets_pass(self, flow: Flow, held: Plan) -> tuple[str, ...]:
        """Numbers that change hands: right when people gave every one of them, or take it back. Any other brake is nobody's doing here."""
        words = {held.guard.override, *held.guard.also} if held.guard is not None else set[str]()
        if words != {"renumbered"}:
            return ()
        steps = [p.step for p in held.steps if p.step.kind == "update" and "kvk" in p.step.values]
        changed = [(s.before.get("kvk"), s.values["kvk"]) for s in steps if s.before.get("kvk")]
        if all(self.people.copied & {str(was), str(will)} for was, will in changed):
            return ("renumbered",)
        self.fail(4, f"{flow.id} was held because of numbers nobody gave: {changed}")
        return ()

    def oversleeps(self) -> float:
        """A little longer than a lease lasts: often nobody takes the flow over. Somebody edits what is about to be written, and
        another flow that reads that system is run: what they typed has been seen by the time the machine wakes."""
        rnd, loop = self.sleeping, asyncio.get_running_loop()
        seconds = rnd.uniform(650.0, 1000.0)
        loop.call_later(rnd.uniform(1.0, 60.0), self._edit_what_waits)
        return seconds

    def _edit_what_waits(self) -> None:
        waiting = [i for i in self.keeper.run(intents.everything) if i.kind == "update" and i.target_native]
        flows = {flow.id: flow for flow in self.flows}
        for intent in waiting if not self.over else ():
            flow, side = flows[intent.flow], intent.side
            place = self.at(flow, "left" if side == "left" else "right")
            words = sorted(word for word in intent.body["operation"]["fields"] if word != "nr")
            if intent.target_native in place.server.rows and words:
                word = self.sleeping.choice(words)
                value = self.people.plain(word, place.server, intent.target_native)
                place.server.edit(intent.target_native, {word: value})
                self._read_by_another(flow, place)

    def _read_by_another(self, flow: Flow, place: Place) -> None:
        others = [f for f in self.flows if f is not flow and any(self.at(f, side) is place for side in SIDES)]
        if others:
            job = self._look(self.sleeping.choice(others))
            self.looks.append(asyncio.get_running_loop().create_task(job))

    async def _look(self, flow: Flow) -> None:
        await asyncio.sleep(self.sleeping.uniform(toys.TILL_LAG + 1, 120.0))
        if not self.over:
            await self.run(flow, self.slots[self.flows.index(flow) % len(self.slots)])

    def _meddle(self, request: Request) -> None:
        writes = request.method in ("PUT", "POST") and not request.url.endswith("/token")
        if writes and self.mischief.strikes("edit in flight"):
            self.people.quicker(self._behind(request), request)

    def _served(self, request: Request, response: Response) -> None:
        server = self._behind(request)
        if request.url.endswith("/token") and response.status == 200:
            self.arrived.setdefault(server.name, set()).add(msgspec.json.decode(response.body)["refresh"])
        server.delivered(response.body)

    def truth(self, item: work.Item, choices: list[Json]) -> Json:
        """Whether the operation took effect, and where."""
        for server in self.servers():
            made = next((native for ref, _, native in server.created if ref == item.op), None)
            if made is not None or any(w.ref == item.op for w in server.written):
                return made if "id" in choices else "happened"
        return "did_not"

    def secret_texts(self) -> set[str]:
        """Tokens, keys, telephone numbers, KVK numbers."""
        found: set[str] = set()
        for server in self.servers():
            found |= {str(row[word]) for row in server.rows.values() for word in ("tel", "nr") if row.get(word)}
            if isinstance(server, LedgerServer):
                found |= {f"{server.name}-secret-9", server.access, server.refresh}
                found |= {f"{server.name}-access-00001", f"{server.name}-refresh-00001"}
            else:
                found.add(server.apikey)
        return found - {""}

    # --- rest and verdict ---------------------------------------------------------------------------------------------

    def loose_ends(self) -> bool:
        """Whether something still moves by itself."""
        return bool(self.unrest())

    def unrest(self) -> str:
        """What still moves."""
        doubts = self.doubts()
        open_ = [i for i in self.keeper.run(intents.everything) if i.op not in doubts]
        waiting = [self.keeper.run(due.waiting, flow.id) for flow in self.flows]
        parts = [
            f"{len(open_)} intents" if open_ else "",
            f"due {waiting}" if any(waiting) and not doubts else "",
            self.unfinished(),
        ]
        return ", ".join(part for part in parts if part)

    def doubts(self) -> set[str]:
        """Operations of which only people can say what became of them."""
        return {
            i.op
            for state in ("open", "answered")
            for which in ("ask", "parked")
            for i in self.keeper.run(work.listed, which, state=state)
            if i.code == "in_doubt" and i.op
        }

    async def settle_down(self) -> None:
        """As every world; then one more run of each flow, which must be silent."""
        await super().settle_down()
        await asyncio.sleep(60 - self.clock.now() % 60)
        calls, writes = self.wire.calls, sum(s.writes for s in self.servers())
        tokens = self._tokens_made()
        for i, flow in enumerate(self.flows):
            if i and i % 2 == 0:  # a Till's allowance is per minute, and this is about calls, not about waiting
                await asyncio.sleep(60 - self.clock.now() % 60)
            refused = {i.id: i.next_at for i in self.keeper.run(work.listed, "parked", flow=flow.id) if i.op}
            result = await self.run(flow, self.slots[i % len(self.slots)])
            self.idle_owed += self._owed(flow, refused, result) if result else 0
        self.idle_calls = self.wire.calls - calls - (self._tokens_made() - tokens)
        self.idle_writes = sum(s.writes for s in self.servers()) - writes

    def _owed(self, flow: Flow, before: dict[int, float | None], result: Result) -> int:
        """Calls that run owed for what the vendor had refused: what it tried again at its time, and what it read for that."""
        tried = tried_in_time(before, self.keeper.run(work.listed, "parked"), result.run, self.clock.now())
        places: dict[SideName, Place] = {side: self.at(flow, side) for side in SIDES}
        read: dict[SideName, int] = {
            side: result.plan.read_by_id.get(place.connection, 0) for side, place in places.items()
        }
        rows: dict[SideName, dict[str, Row]] = {side: place.server.rows for side, place in places.items()}
        return len(tried) + readings(tried, rows, read)

    def _tokens_made(self) -> int:
        return sum(s.tokens_made for s in self.servers() if isinstance(s, LedgerServer))


__all__ = ["Place", "ToyWorld"]
