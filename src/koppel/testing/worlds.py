"""A simulated world: vendors, people, processes and a wire that fails, all in virtual time and replayable from one number."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from koppel.engine.clock import LoopClock
from koppel.engine.flow import Options, Result, apply_plan, plan_flow, sync_flow
from koppel.engine.plan import Plan
from koppel.engine.ports import Connection, NotSent, Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import Flow
from koppel.model.problem import RetryLater, SignInNeeded
from koppel.model.values import Json
from koppel.store import due, trail, work
from koppel.store.due import Due
from koppel.store.store import in_memory
from koppel.store.vault import Vault
from koppel.systems.spi import NoReply, Request, Response
from koppel.testing.adversaries import Mischief, draw
from koppel.testing.processes import Machine, Process

START = 1_793_606_400.0  # a Monday in November 2026
WORKERS = ("worker", "second", "third")
WORST = {"page received": "page in hand", "quiet steps settled": "half agreed"}
LOOKED_AT = 0.5  # how often somebody looks at once at a run that a brake holds; in the evening always


class Failure(msgspec.Struct, frozen=True):
    """A law that did not hold: its number (0: our own bug), and what was seen."""

    law: int
    text: str


class WorldReport(msgspec.Struct, frozen=True):
    """What became of one world. `head` is the trail's hash: the same seed gives the same."""

    seed: int
    kind: str
    failures: tuple[Failure, ...]
    head: str
    runs: int
    calls: int
    edits: int
    kills: int
    writes: int
    redundant: int
    adversaries: tuple[str, ...] = ()


class Vendor(Protocol):
    """A server on the wire."""

    def handle(self, request: Request) -> Response | NoReply:
        """Answer."""
        ...


class Wire:
    """Carries requests between processes and vendors, as badly as the world's adversaries want."""

    def __init__(self, clock: LoopClock, mischief: Mischief, rnd: Random) -> None:
        self.clock = clock
        self.mischief = mischief
        self.rnd = rnd
        self.hosts: dict[str, Vendor] = {}
        self.calls = 0
        self.late: list[float] = []
        self.served: Callable[[Request, Response], None] = lambda _request, _response: None
        self.meddle: Callable[[Request], None] = lambda _request: None

    def vendor(self, request: Request) -> Vendor:
        """Who is at that address."""
        return next(vendor for base, vendor in self.hosts.items() if request.url.startswith(base))

    def answer(self, request: Request) -> Response | NoReply:
        """The effect takes place."""
        return self.vendor(request).handle(request)

    async def carry(
        self,
        request: Request,
        *,
        timeout: float,  # noqa: ASYNC109
        still_there: Callable[[], bool],
    ) -> Response | NoReply | NotSent:
        """Carry one request, or lose it, or its answer."""
        self.calls += 1
        strikes, rnd, loop = self.mischief.strikes, self.rnd, asyncio.get_running_loop()
        await asyncio.sleep(rnd.uniform(0.01, 0.4))
        if strikes("no connection"):
            return NotSent("refused")
        if strikes("throttled"):
            return Response(429, {"retry-after": str(rnd.choice((1, 5, 30)))})
        if strikes("unavailable"):
            return Response(503, {"retry-after": str(rnd.choice((2, 20)))})
        if strikes("lost request"):
            await asyncio.sleep(timeout)
            return NoReply("lost on the way there")
        if strikes("late effect"):
            loop.call_later(timeout + rnd.uniform(0.0, 25.0), self._late, request)
            await asyncio.sleep(timeout)
            return NoReply("slow")
        self.meddle(request)
        reply = self.answer(request)
        if isinstance(reply, NoReply):
            await asyncio.sleep(timeout)
            return reply
        if strikes("lost reply"):
            await asyncio.sleep(timeout)
            return NoReply("lost on the way back")
        if strikes("unavailable"):
            return Response(503, {"retry-after": "2"})
        if strikes("truncated"):
            return Response(reply.status, reply.headers, reply.body[: len(reply.body) // 2])
        await asyncio.sleep(rnd.uniform(0.01, 0.4))
        if still_there():
            self.served(request, reply)
        return reply

    def _late(self, request: Request) -> None:
        self.late.append(self.clock.now())
        self.answer(request)


class Slot:
    """A place where a worker process runs, and comes back when it dies."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.number = 0
        self.process: Process
        self.ports: Ports
        self.death: asyncio.Future[None]
        self.start()

    def start(self) -> None:
        """A new process, with the old one's name or a new one."""
        world = self.world
        if self.number and (self.process.alive or world.mischief.strikes("killed by name")):
            self.name = f"{self.name.split('.')[0]}.{self.number}"
        self.number += 1
        chance = 0.012 if world.mischief.has("killed") and not world.over else 0.0
        self.process = Process(self.name, world.machine, Random(world.rnd.random()), chance, on_death=self._died)  # noqa: S311
        self.process.freezes = self._freezes
        self.process.aimed = self._aimed
        self.ports = self.process.ports(
            clock=world.clock, wire=world.wire, connections=world.connections, tell=world.told.append
        )
        self.death = asyncio.get_running_loop().create_future()
        world.processes.append(self.process)

    def _freezes(self) -> float:
        """How long the machine of a process stands still now: so long that its leases run out."""
        if self.world.mischief.strikes("overslept"):
            return self.world.oversleeps()
        if not self.world.mischief.strikes("frozen"):
            return 0.0
        return self.world.rnd.uniform(620.0, 2400.0)

    def _aimed(self, point: str) -> bool:
        """Whether somebody aims at this very point: where work is half done."""
        adversary = WORST.get(point)
        return adversary is not None and not self.world.over and self.world.mischief.strikes(adversary)

    def _died(self, process: Process, point: str) -> None:
        self.world.kills += 1
        self.world.deaths.append(self.world.clock.now())
        self.world.died_at[point] += 1
        if self.process is not process:
            return  # it stood still, was taken for dead, and has been replaced already
        if not process.alive and self.world.mischief.strikes("power loss"):
            self.world.power_lost = True
        if not self.death.done():
            self.death.set_result(None)
        asyncio.get_running_loop().call_later(1.0, self._again, process)

    def _again(self, process: Process) -> None:
        if self.process is process:
            if self.world.power_lost:
                self.world.power_lost = False
                self.world.machine.lose_power()
            self.start()

    async def alive(self) -> None:
        """Wait until a process runs here."""
        while not self.process.alive:  # noqa: ASYNC110 -- virtual time
            await asyncio.sleep(0.6)

    async def do(self, job: Callable[[Ports], Coroutine[Any, Any, Any]]) -> tuple[str, Any]:
        """Do something in the process of now: ("done", result), ("killed", None) or ("raised", error)."""
        await self.alive()
        death = self.death
        task = asyncio.get_running_loop().create_task(job(self.ports))
        await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            self.world.graveyard.append(task)
            task.add_done_callback(_heard)
            return "killed", None
        error = task.exception()
        return ("raised", error) if error else ("done", task.result())


def _heard(task: asyncio.Task[Any]) -> None:
    """What a machine that stood still says when it goes on: nobody is there to hear it, and asyncio need not complain."""
    if not task.cancelled():
        task.exception()


class World:
    """What both kinds of world share."""

    kind = ""
    hours = 4.0
    interval = (300.0, 1500.0)
    workers = 2  # at most, when there are as many flows

    def __init__(self, seed: int, *, exclude: frozenset[str] = frozenset()) -> None:
        self.seed = seed
        self.rnd = Random(f"{self.kind}:{seed}")  # noqa: S311
        self.clock = LoopClock(START)
        self.mischief = draw(Random(f"{self.kind}:{seed}:mischief"), exclude=exclude)  # noqa: S311
        self.wire = Wire(self.clock, self.mischief, Random(f"{self.kind}:{seed}:wire"))  # noqa: S311
        self.holding = Random(f"{self.kind}:{seed}:holding")  # noqa: S311
        store = in_memory(Vault(Random(f"key:{seed}").randbytes(32), random_bytes=Random(f"vault:{seed}").randbytes))  # noqa: S311
        self.machine = Machine(store.engine, store.vault, power_fails=self.mischief.has("power loss"))
        self.keeper = store  # for people and the oracle, who never die
        self.connections: dict[str, Connection] = {}
        self.flows: list[Flow] = []
        self.processes: list[Process] = []
        self.graveyard: list[Any] = []
        self.told: list[str] = []
        self.died_at: Counter[str] = Counter()
        self.deaths: list[float] = []
        self.kills = self.runs = self.edits = self.sign_ins = 0
        self.power_lost = False
        self.refused: SignInNeeded | None = None  # the last sign-in that was not taken
        self.failures: list[Failure] = []
        self.results: list[Result] = []
        self.last: dict[str, Result | None] = {}
        self.applied: list[tuple[float, float, Plan]] = []

    # --- what a kind of world brings ---

    def build(self) -> None:
        """Make vendors, connections and flows."""
        raise NotImplementedError

    def person(self) -> None:
        """Somebody does something, somewhere."""
        raise NotImplementedError

    async def sign_in(self, ports: Ports) -> None:
        """A person signs in again."""
        raise NotImplementedError

    def judge(self) -> None:
        """The oracle of this kind, after quiescence; says what failed."""
        raise NotImplementedError

    def loose_ends(self) -> bool:
        """Whether something still moves by itself."""
        raise NotImplementedError

    # --- the course of a world ---

    def fail(self, law: int, text: str) -> None:
        """A law did not hold."""
        self.failures.append(Failure(law, text))

    async def live(self) -> None:
        """From the first morning to the verdict."""
        self.build()
        several = len(self.flows) if not self.mischief.has("same worker") else 1
        self.slots = [Slot(self, name) for name in WORKERS[: min(several, self.workers)]]
        await self.first_sign_in()
        jobs = [
            asyncio.create_task(self._flow_runs(flow, self.slots[i % len(self.slots)]))
            for i, flow in enumerate(self.flows)
        ]
        people = asyncio.create_task(self._people())
        await asyncio.sleep(self.hours * 3600)
        self.mischief.quiet = True
        await people
        for job in jobs:
            await job
        for slot in self.slots:
            slot.process.chance = 0.0
            await slot.alive()
        await self.settle_down()
        self.judge_all()
        for process in self.processes:
            process.over = True

    async def first_sign_in(self) -> None:
        """Before anything runs."""
        await self.sign_in(self.slots[0].ports)

    @property
    def over(self) -> bool:
        """Whether the last evening has come."""
        return self.mischief.quiet

    async def _flow_runs(self, flow: Flow, slot: Slot) -> None:
        while not self.over:
            await asyncio.sleep(self.rnd.uniform(*self.interval))
            if self.mischief.strikes("impatient person"):
                await asyncio.gather(self.run(flow, slot), self.run(flow, slot))
            elif self.mischief.strikes("stale plan"):
                await self._plan_then_apply(flow, slot)
            else:
                await self.run(flow, slot)
            await self.after_run(flow, slot)

    async def run(self, flow: Flow, slot: Slot, **options: Any) -> Result | None:
        """One run of a flow in the slot's process."""
        self.runs += 1
        how, what = await slot.do(lambda ports: sync_flow(ports, flow, Options(**options)))
        self.last[flow.id] = result = await self.heard(how, what, slot)
        held = result.plan.guard if result is not None and result.state == "stopped" else None
        if result is None or held is None or "override" in options:
            return result
        words = self.lets_pass(flow, result.plan) if self.over or self.holding.random() < LOOKED_AT else ()
        return await self.run(flow, slot, **options, override=words) if words else result

    def lets_pass(self, flow: Flow, held: Plan) -> tuple[str, ...]:
        """A person looks at what a brake holds: the words that let it pass, when they know what brought it about."""
        _ = flow, held
        return ()

    async def heard(self, how: str, what: Any, slot: Slot) -> Result | None:
        """What a process answered, if it lived: its result. Whoever must sign in again does; whatever else is raised is our bug."""
        if how == "done":
            self.results.append(what)
            return what
        if how == "raised":
            if isinstance(what, SignInNeeded):
                self.refused = what
                await slot.do(self.sign_in)
            elif not isinstance(what, RetryLater):
                self.fail(0, f"a run raised {type(what).__name__}: {what}")
                self.broken = what
        return None

    async def _plan_then_apply(self, flow: Flow, slot: Slot) -> None:
        how, plan = await slot.do(lambda ports: plan_flow(ports, flow))
        if how != "done":
            await self.heard(how, plan, slot)
            return
        self.between(plan)
        await asyncio.sleep(self.rnd.uniform(30, 600))
        if plan.guard is None:
            self.runs += 1
            began = self.clock.now()
            how, what = await slot.do(lambda ports: apply_plan(ports, flow, plan))
            self.applied.append((began, self.clock.now(), plan))
            await self.heard(how, what, slot)

    async def _people(self) -> None:
        while not self.over:
            await asyncio.sleep(self.rnd.expovariate(1 / 400))
            if self.over:
                return
            self.edits += 1
            self.person()
            if self.rnd.random() < 0.3:
                self.answer_something()

    def answer_something(self) -> None:
        """A person looks at the work lists and decides one thing."""
        items = [i for which in ("ask", "parked") for i in self.keeper.run(work.listed, which) if i.body.get("choices")]
        if items:
            item = self.rnd.choice(items)
            choice = self.rnd.choice(item.body["choices"])["answer"]
            if item.code == "in_doubt":  # somebody who looks, and tells the truth
                choice = self.truth(item, [choice["answer"] for choice in item.body["choices"]])
            self.keeper.run(work.answer, item.id, choice, by="person", at=self.clock.now())
            self.keeper.run(due.add, item.flow, [Due(item.side, item.native, "asked")], at=self.clock.now())
            self.machine.flushed()

    def answer_doubts(self) -> None:
        """Only people can end some doubts: they do."""
        for which in ("ask", "parked"):
            for item in self.keeper.run(work.listed, which):
                if item.code == "in_doubt":
                    answer = self.truth(item, [choice["answer"] for choice in item.body["choices"]])
                    self.keeper.run(work.answer, item.id, answer, by="person", at=self.clock.now())
                    self.keeper.run(due.add, item.flow, [Due(item.side, item.native, "asked")], at=self.clock.now())

    def truth(self, item: work.Item, choices: list[Json]) -> Json:
        """What a person who looks at the vendor says of an operation in doubt."""
        _ = item
        return choices[0]

    async def settle_down(self) -> None:
        """Faults are over and people have gone home: run until nothing moves any more."""
        await asyncio.sleep(2500)
        for _ in range(10):
            self.answer_doubts()
            for i, flow in enumerate(self.flows):
                await self.run(flow, self.slots[i % len(self.slots)])
            await asyncio.sleep(400)
            if not self.loose_ends():
                break
        else:
            self.fail(6, f"it does not come to rest: {self.unrest()}")

    def unrest(self) -> str:
        """What still moves, for people."""
        return ""

    def unfinished(self) -> str:
        """What the last run of each flow still did, or that it did not get to its end."""
        moves = ("create", "update", "archive", "link", "unlink")
        found: list[str] = []
        for flow, result in self.last.items():
            if result is None or result.state != "done":
                found.append(f"the last run of {flow} did not end")
            elif did := {kind: result.counts[kind] for kind in moves if result.counts[kind]}:
                found.append(f"the last run of {flow} did {did}")
            elif result.recovered["landed"]:  # news for flows that ran before it: that is linked from now on
                found.append(
                    f"the last run of {flow} found {result.recovered['landed']} writes in doubt to have arrived"
                )
        return ", ".join(found)

    def judge_all(self) -> None:
        """Laws every world can be asked about, then those of its kind."""
        broken = self.keeper.run(trail.verify)
        if broken is not None:
            self.fail(3, f"the trail does not verify: {broken.why}")
        self._secrets()
        if not any(failure.law == 0 for failure in self.failures):
            self.judge()

    def secret_texts(self) -> set[str]:
        """Tokens and personal numbers that may show nowhere in clear."""
        return set()

    def _secrets(self) -> None:
        with self.machine.engine.connect() as connection:
            rows = connection.execute(sa.text("select data, commitment, actor, kind, subject from trail")).fetchall()
            more = connection.execute(sa.text("select counts, message from runs")).fetchall()
        clear = "\n".join([*self.told, *(str(row) for row in rows), *(str(row) for row in more)])
        for secret in sorted(self.secret_texts()):
            if secret in clear:
                self.fail(12, f"{secret[:3]}… stands in clear in a message, a run or the trail")
                return

    def report(self) -> WorldReport:
        """What became of it."""
        written = sum(server.writes for server in self.servers())
        redundant = sum(server.redundant for server in self.servers())
        return WorldReport(
            self.seed, self.kind, tuple(self.failures), self.keeper.run(trail.head).hash, self.runs, self.wire.calls, self.edits, self.kills, written, redundant, tuple(sorted(self.mischief.on))
        )  # fmt: skip

    async def after_run(self, flow: Flow, slot: Slot) -> None:
        """What people do with a run that has ended."""

    def oversleeps(self) -> float:
        """A machine is about to stand still before a write: for how long, and what people do meanwhile."""
        return 0.0

    def between(self, plan: Plan) -> None:
        """What people do to the records of a stored plan before it is applied."""

    def servers(self) -> list[Any]:
        """Vendors that count their writes."""
        return []


def everything_said(world: World) -> str:
    """All that is remembered for people: the trail's payloads, work lists, open and closed."""
    parts: list[Json] = []
    after = 0
    while entries := world.keeper.run(trail.read, after=after):
        parts += [entry.data for entry in entries]
        after = entries[-1].seq
    for which in ("ask", "parked"):
        for state in ("open", "answered", "closed"):
            parts += [item.body for item in world.keeper.run(work.listed, which, state=state)]
    return msgspec.json.encode(parts).decode()


__all__ = ["Sender", "World", "WorldReport"]
