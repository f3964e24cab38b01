"""A person who takes runs back: now and then one of the last runs of a flow, by a plan that is stored, looked at and applied;
again when the process dies under it, and sometimes once more for nothing.

What must hold afterwards: what was taken back is not done again by itself, and a plan applied twice does nothing twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from koppel.engine.flow import Options, Result, apply_plan
from koppel.engine.plan import Plan
from koppel.engine.undo import plan_undo
from koppel.mapping.flow import Flow
from koppel.model.problem import UsageError
from koppel.model.values import Json
from koppel.store import runs, trail, work
from koppel.sync.undo import CREATED
from koppel.testing.came_along import came_along
from koppel.testing.toy_servers import Written
from koppel.testing.worlds import Slot, World

COMES, LIKELY, TRIES = 0.5, 0.25, 6
KINDS = ("pair", "graph")
SPEAKS_OF_PAIRS = ("linked", "unlinked", "created", "updated", "agreed", "archived")
LAST = 6  # of so many runs one is chosen


class TakenBack(NamedTuple):
    """One value that an undo took back: where, what stood there before it, the run that did it and the run undone;
    `about` are both records, `back` is what brought back what had been there."""

    system: str
    native: str
    word: str
    value: Json
    run: int
    undone: int
    flow: str
    about: frozenset[str]
    back: Written


class UndoPerson:
    """Comes to half of the worlds; `plans` are those somebody began to apply."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rnd = Random(f"undo:{world.kind}:{world.seed}")  # noqa: S311 - a stream of its own: other adversaries stay as they are
        self.comes = self.rnd.random() < COMES and world.kind in KINDS
        self.plans: list[Plan] = []
        self.twice: list[str] = []

    async def after_run(self, flow: Flow, slot: Slot) -> None:
        """Perhaps take back one of the last runs."""
        if not self.comes or self.world.over or self.rnd.random() > LIKELY:
            return
        recent = [run for run in self.world.keeper.run(runs.listed, flow=flow.id, limit=LAST) if run.state != "running"]
        if not recent:
            return
        run = self.rnd.choice(recent)
        how, plan = await slot.do(lambda ports: plan_undo(ports, flow, run.id, Options(actor="person")))
        if how != "done":
            await self._heard(how, plan, slot)
            return
        await asyncio.sleep(self.rnd.uniform(1, 400))
        self.plans.append(plan)
        if await self._apply(flow, plan, slot) is not None and self.rnd.random() < 0.3:
            await self._once_more(flow, plan, slot)

    async def _apply(self, flow: Flow, plan: Plan, slot: Slot) -> Result | None:
        for _ in range(TRIES):
            self.world.runs += 1
            began = self.world.clock.now()
            how, what = await slot.do(lambda ports: apply_plan(ports, flow, plan, Options(actor="person")))
            self.world.applied.append((began, self.world.clock.now(), plan))
            result = await self._heard(how, what, slot)
            if result is not None and result.state == "done" and not (result.moved and self.rnd.random() < 0.5):
                return result
            await asyncio.sleep(self.rnd.uniform(5, 300))
        return None

    async def _heard(self, how: str, what: Any, slot: Slot) -> Result | None:
        if isinstance(what, UsageError):
            return None  # with the power went the run itself: there is nothing to take back
        return await self.world.heard(how, what, slot)

    async def _once_more(self, flow: Flow, plan: Plan, slot: Slot) -> None:
        """The same plan again: what it did is known by its operation ids."""
        made = self._made(plan)
        if await self._apply(flow, plan, slot) is not None:
            more = self._made(plan)
            again = sorted(op for op, times in made.items() if more[op] > times)
            if again:
                self.twice.append(f"the undo of run {plan.undo_of}, applied again, did {again} again")

    def _made(self, plan: Plan) -> Counter[str]:
        """How often the operations of a plan took effect."""
        mine = {op.op for planned in plan.steps for op in planned.operations}
        return Counter(w.ref for server in self.world.servers() for w in server.written if w.ref in mine)

    # --- the verdict --------------------------------------------------------------------------------------------------

    def judge(self) -> None:
        """What must hold of everything that was taken back."""
        for text in self.twice:
            self.world.fail(2, text)
        if not self.plans:
            return
        did = {entry.op: entry for entry in everything_told(self.world) if entry.op and entry.run}
        for taken in self._taken_back(did):
            again = self._again(taken, did)
            if again is not None:
                self.world.fail(
                    6,
                    f"{taken.value!r} in {taken.word} of {taken.system} {taken.native} was taken back by run {taken.run} "
                    f"(undo of {taken.undone}), and written again by run {again} although nobody had touched it",
                )

    def _taken_back(self, did: dict[str, trail.Recorded]) -> Iterator[TakenBack]:
        undoing = {op.op: plan for plan in self.plans for planned in plan.steps for op in planned.operations}
        for server in self.world.servers():
            for w in server.written:
                if w.ref in undoing and w.ref in did and w.word != "archived":
                    plan, entry = undoing[w.ref], did[w.ref]
                    about = {str((entry.data or {}).get(side, "")).rpartition(":")[2] for side in ("left", "right")}
                    yield TakenBack(
                        server.name, w.native, w.word, w.over, entry.run or 0, plan.undo_of, plan.flow, frozenset(about), w
                    )  # fmt: skip

    def _again(self, taken: TakenBack, did: dict[str, trail.Recorded]) -> int | None:
        """The ordinary run that wrote a value again which had been taken back, when neither a person nor another undo gave it
        a reason."""
        undone, undo = (self.world.keeper.run(runs.get, run) for run in (taken.undone, taken.run))
        assert undone is not None and undo is not None  # noqa: PT018 - runs stay
        typed = (e for s in self.world.servers() for e in s.typed if e.native in taken.about and e.word == taken.word)
        if any(e.at >= undone.begun for e in typed):
            return None
        if any(plan.made_at > undo.begun for plan in self.plans) or self._decided(taken):
            return None
        server = next(s for s in self.world.servers() if s.name == taken.system)
        for w in server.written:
            wrote = did.get(w.ref)
            if wrote is None or wrote.run is None or (wrote.data or {}).get("flow") != taken.flow:
                continue
            if (w.native, w.word) != (taken.native, taken.word) or wrote.run <= taken.run or w.value != taken.value:
                continue
            if not self._came_along(taken, w, did):
                return wrote.run
        return None

    def _came_along(self, taken: TakenBack, again: Written, did: dict[str, trail.Recorded]) -> bool:
        """Whether it came by way of a third system, in which a person had typed what took its place in between."""
        servers = self.world.servers()
        return came_along(
            taken.back,
            again,
            flow=taken.flow,
            written=[w for server in servers for w in server.written],
            typed=[e for server in servers for e in server.typed],
            did=did,
        )

    def _decided(self, taken: TakenBack) -> bool:
        """Whether a person answered anything: an answer may well bring a value back."""
        return any(
            item.closed_by == "person"
            for which in ("ask", "parked")
            for state in ("answered", "closed")
            for item in self.world.keeper.run(work.listed, which, flow=taken.flow, state=state)
            if item.answer not in (None, "skip") and item.native in taken.about
        )

    def archived(self, system: str, native: str) -> bool:
        """Whether an undo put it out of use, by the operation that did it."""
        server = next(s for s in self.world.servers() if s.name == system)
        refs = {w.ref for w in server.written if (w.native, w.word) == (native, "archived")}
        return bool(refs & self._because_of_undo()) or self._asked(native)

    def taken_apart(self, flow: Flow) -> set[tuple[str, str]]:
        """The pairs (left, right) of a flow that an undo took apart or archived one of, by the last the flow said of them: no pairs,
        also when others hold both to be one thing."""
        last: dict[tuple[str, str], bool] = {}
        for entry in everything_told(self.world):
            data = entry.data or {}
            if data.get("flow") == flow.id and entry.kind in SPEAKS_OF_PAIRS:
                left, right = (str(data.get(side, "")).rpartition(":")[2] for side in ("left", "right"))
                undone = str(data.get("because", "")).startswith("undo of run")
                last[left, right] = entry.kind in ("unlinked", "archived") and undone
        return {pair for pair, apart in last.items() if apart}

    def _asked(self, native: str) -> bool:
        """Whether a question says that nobody knows whether it was archived: that does not show outside."""
        return any(
            item.code == CREATED and native in (item.body.get("left"), item.body.get("right"))
            for state in ("open", "answered", "closed")
            for item in self.world.keeper.run(work.listed, "ask", state=state)
        )

    def _because_of_undo(self) -> set[str]:
        return {
            entry.op
            for entry in everything_told(self.world)
            if entry.op and str((entry.data or {}).get("because", "")).startswith("undo of run")
        }


def everything_told(world: World) -> Iterator[trail.Recorded]:
    """The whole trail, as people can read it."""
    after = 0
    while entries := world.keeper.run(trail.read, after=after):
        yield from entries
        after = entries[-1].seq
