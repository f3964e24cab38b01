"""One pass of one flow: take in, due, decide, plan, do, settle. Safe to repeat at any time, killed at any instant.

plan()   reads, decides and lowers; writes nothing outside
sync()   plan() and doing it, under the guard
apply()  does exactly a stored plan: refreshes, and refuses each step whose state moved
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from koppel.engine import execute as executor
from koppel.engine import leasing, undo, undone, whole
from koppel.engine import plan as plans
from koppel.engine.anchors import anchor_of, anchor_side
from koppel.engine.bases import keep_stamps
from koppel.engine.dirty import find_dirty
from koppel.engine.execute import Fence, Outcome
from koppel.engine.frame import Frame, refresh
from koppel.engine.hand import Hand
from koppel.engine.looked_at import settle_views
from koppel.engine.one_pass import PLAIN, Options, Pass
from koppel.engine.pairs import paired
from koppel.engine.plan import Plan, Planned
from koppel.engine.planning import make_plan
from koppel.engine.ports import Ports
from koppel.engine.privacy import refuse_left_out
from koppel.engine.reading import let_go_of
from koppel.engine.recover import Recovered, recover
from koppel.engine.references import Wanted
from koppel.mapping.flow import Flow, SideName
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.model.problem import KoppelError, RetryLater, UsageError
from koppel.model.values import Json
from koppel.store import due, flows, intents, runs, standing
from koppel.store.due import Due
from koppel.store.flows import Position
from koppel.store.sql import Db
from koppel.sync.guard import FIRST
from koppel.sync.steps import WRITES, View

LEASE_SECONDS = 600.0
ROUNDS = 3  # writing, reading back and agreeing takes two; a third for what a person did meanwhile
SIDES: tuple[SideName, SideName] = ("left", "right")
SHORT_WAIT = 120.0  # an operation in doubt is waited for within the run when it can be asked this soon

Before = Callable[[Sequence[Wanted]], Awaitable[bool]]


class Result(msgspec.Struct, frozen=True):
    """What a run did. `state` = done | stopped | failed; `left_over` lists the plan's steps that were refused because their
    state had moved; `next_at` is when it goes on by itself (a limit, or something in doubt)."""

    run: int
    state: str
    message: str
    counts: dict[str, int]
    calls: dict[str, int]
    streams: int
    plan: Plan
    moved: tuple[Planned, ...] = ()
    already: int = 0
    recovered: dict[str, int] = {}
    next_at: float | None = None


# --- whole runs -------------------------------------------------------------------------------------------------------


async def plan_flow(
    ports: Ports,
    flow: Flow,
    options: Options = PLAIN,
    *,
    transforms: Mapping[str, Transform] = TRANSFORMS,
    before: Callable[[Sequence[Wanted]], Awaitable[tuple[Plan, ...]]] | None = None,
) -> Plan:
    """A dry run: reads and decides, writes nothing outside. `before` plans what would be made first. Raises KoppelError."""
    work_ = Pass(ports, flow, options, transforms=transforms)
    await work_.take_in()
    dirty = await find_dirty(work_, first=True)
    made, _ = await make_plan(work_, dirty)
    wanted = work_.frame.references.wanted(p.step for p in made.steps)
    if before is None or not wanted:
        return made
    first = await before(wanted)
    made, _ = await make_plan(work_, dirty)  # what is missing has been read meanwhile: it can be said by name
    return msgspec.structs.replace(made, first=first)


async def sync_flow(
    ports: Ports,
    flow: Flow,
    options: Options = PLAIN,
    *,
    transforms: Mapping[str, Transform] = TRANSFORMS,
    before: Before | None = None,
) -> Result:
    """Plan and do it, under the guard. `before` is told what is missing, and may make it first. Never raises for what the run itself can say: see `Result.state`. Raises SignInNeeded
    and SetupError after the run is closed as failed."""
    return await _run(ports, flow, options, None, transforms, before)


def not_now(flow: Flow, why: str, *, at: float) -> Result:
    """What is said of a run that did not begin: nothing was read, asked or written, and it can begin at `at`."""
    counts = plans.count(())
    empty = Plan(plans.PLAN_FORMAT, "", flow.id, flow.digest, {}, 0.0, (), {}, counts, {})
    return Result(0, "waiting", why, counts, {}, 0, empty, next_at=at)


async def apply_plan(
    ports: Ports,
    flow: Flow,
    stored: Plan,
    options: Options = PLAIN,
    *,
    transforms: Mapping[str, Transform] = TRANSFORMS,
) -> Result:
    """Do exactly a stored plan. Raises UsageError when it is not of this flow as it is now."""
    if stored.flow != flow.id or stored.flow_digest != flow.digest:
        raise UsageError(
            f"The plan was made for flow {stored.flow} as it was then; the flow has been edited since.",
            remedy=f"Make it again: {_made_with(stored)} -o plan.json",
        )
    if stored.workspace != options.workspace:
        raise UsageError("The plan was made in another workspace.", remedy="Apply it where it was made.")
    held = stored.guard
    if held is not None and {held.override, *held.also} - {
        FIRST,
        *options.override,
    }:  # whoever applies a plan has seen it
        raise UsageError(
            f"The plan is held by a brake: {held.reason}.", remedy=f"When that is right: koppel apply … {held.allow}"
        )
    if stored.undo_of:
        undo.check_run(ports, flow, stored.undo_of)
        options = msgspec.structs.replace(options, trigger=f"undo of run {stored.undo_of}", light=True)
    return await _run(ports, flow, options, stored, transforms)


def _made_with(plan: Plan) -> str:
    return f"koppel undo {plan.undo_of}" if plan.undo_of else f"koppel plan {plan.flow}"


async def _run(
    ports: Ports,
    flow: Flow,
    options: Options,
    stored: Plan | None,
    transforms: Mapping[str, Transform],
    before: Before | None = None,
) -> Result:
    lease = f"flow {flow.id}"
    fence = await leasing.take(ports, lease, seconds=LEASE_SECONDS)
    if fence is None:
        raise RetryLater(
            f"Flow {flow.id} is being run by another worker.",
            at=ports.clock.now() + 60,
            remedy="Run again when it is done.",
        )
    try:
        if options.after is not None and await ports.store.tx(runs.last, flow.id) != options.after:
            return not_now(flow, "Another worker has run this flow meanwhile.", at=ports.clock.now())
        run = await ports.store.tx(
            runs.begin, flow.id, trigger=options.trigger, actor=options.actor, at=ports.clock.now()
        )
        await ports.point("run begun")
        work_ = Pass(ports, flow, options, transforms=transforms)
        work_.leased = True
        rounds = _Rounds(work_, run, stored, Fence(lease, ports.worker, fence), before)
        try:
            return await rounds.go()
        except KoppelError as error:
            result = await rounds.broken(error)
            if isinstance(error, RetryLater):
                return result
            raise
    finally:
        await leasing.release(ports, lease)


class _Rounds:
    """A run: recover, take in, then rounds of deciding and doing until nothing is due."""

    def __init__(self, work_: Pass, run: int, stored: Plan | None, fence: Fence, before: Before | None = None) -> None:
        self.work, self.run, self.stored, self.fence = work_, run, stored, fence
        self.before = before
        self.ports, self.frame = work_.ports, work_.frame
        self.total = Outcome()
        self.recovered = Recovered()
        self.first: Plan | None = None
        self.moved: tuple[Planned, ...] = ()
        self.already = 0
        self.state, self.message = "done", ""
        self.back_at: float | None = None

    @property
    def hand(self) -> tuple[int, str]:
        return self.run, self.work.options.actor

    async def go(self) -> Result:
        """The whole run."""
        self._add(await recover(self.ports, self.work.sender, self.frame, self.hand))
        await self.work.take_in()
        if self.stored is not None and self.stored.undo_of:
            await self._take_back(self.stored)
            return await self._close()
        for number in range(ROUNDS):
            dirty = await find_dirty(self.work, first=number == 0)
            if self.stored is not None and number == 0:
                dirty.update({side: list(self.stored.anchors.get(side, ())) for side in SIDES})
            plan, views = await make_plan(self.work, dirty)
            if number == 0 and await self._made_first(plan):
                refresh(self.ports, self.frame)
                plan, views = await make_plan(self.work, dirty)
            self.first = self.first or plan
            steps = tuple(p for p in self._allowed(plan, number) if p.id not in self.total.refusals)
            if self.state == "stopped":
                if plan.guard is not None and plan.guard.override == "vanished":
                    await whole.doubt(self.ports, self.frame)
                await self.ports.store.tx(keep_stamps, self.frame, views)
                break
            if any(p.step.kind in WRITES for p in steps):
                await self.ports.store.tx(_begin, self.work.flow.id, self.ports.clock.now())
            outcome = Outcome()
            try:
                await executor.execute(
                    self.ports, self.work.sender, self.frame, self.hand, steps, self.fence, outcome=outcome
                )
            finally:
                self._count(outcome)
            restoring = any(entry.why == "restore" for entry, _ in self.frame.again)
            await self._settle(views, plan.steps, steps)
            if not outcome.touched and not outcome.unknown and not restoring:
                break
            if outcome.unknown or self.recovered.later:
                await self._wait_for_doubt()
            if outcome.touched:
                await self.work.read_again(outcome.touched)
        return await self._close()

    async def _made_first(self, plan: Plan) -> bool:
        """Have what is missing made by the flows it belongs to; whether any of them ran."""
        if self.before is None or self.stored is not None or plan.guard is not None:
            return False
        wanted = self.frame.references.wanted(p.step for p in plan.steps)
        return bool(wanted) and await self.before(wanted)

    def _allowed(self, plan: Plan, number: int) -> tuple[Planned, ...]:
        """The steps this round may do: under a stored plan exactly its steps, later only what agrees; else all, unless a brake holds."""
        if self.stored is None:
            if plan.guard is not None:
                self.state, self.message = (
                    "stopped",
                    f"{plan.guard.reason}. When that is right, run again with {plan.guard.allow}.",
                )
                return ()
            return plan.steps
        if number > 0:
            return tuple(p for p in plan.steps if p.step.kind == "agree")
        now = {p.id: p for p in plan.steps}
        wanted = [p for p in self.stored.steps if p.step.kind != "agree"]
        done = {p.id for p in wanted if p.id not in now and self._done_before(p)}
        self.already = len(done)
        self.moved = tuple(p for p in wanted if p.id not in now and p.id not in done)
        chosen = tuple(plans.under_the_ids_of(p, now[p.id]) for p in wanted if p.id in now)
        return chosen + tuple(p for p in plan.steps if p.step.kind == "agree")

    async def _take_back(self, stored: Plan) -> None:
        """Carry out an undo: exactly its steps, as far as their state is still the same; pairs are taken apart when the rest
        of what was planned for them is done."""
        self.first = plan = await undo.planned_now(self.work, stored.undo_of)
        now = {p.id: p for p in plan.steps}
        wanted = [p for p in stored.steps if p.step.kind not in ("agree", "park")]
        done = await self.ports.store.tx(undo.done_before, self.frame, wanted, stored, now)
        self.already = len(done)
        chosen = [
            plans.under_the_ids_of(p, now[p.id])
            for p in stored.steps
            if p.id in now and p.id not in done and p.step.kind != "park"
        ]
        first, last = undo.in_order(chosen)
        await self._do(first)
        if self.total.unknown:
            await self._wait_for_doubt()
        refused = [p for p in first if p.id in self.total.refusals]
        asked = await self.ports.store.tx(
            undo.ask_about, self.frame, Hand(*self.hand, self.ports.clock.now()), refused, stored.undo_of
        )
        self.total.done["ask"] += asked
        undone = await self.ports.store.tx(undo.not_done, first, stored)
        late = {p.id for p in undone} & {p.id for p in wanted}
        about = {
            (p.step.left, p.step.right) for p in [*undone, *(p for p in wanted if p.id not in now and p.id not in done)]
        }
        await self._do([p for p in last if (p.step.left, p.step.right) not in about])
        held = {p.id for p in last if (p.step.left, p.step.right) in about}
        self.moved = tuple(
            p for p in wanted
            if (p.id not in now and p.id not in done) or ((p.id in held or p.id in late) and p.id not in self.total.refusals)
        )  # fmt: skip
        if self.total.touched:
            await self.work.read_again(self.total.touched)

    async def _do(self, steps: Sequence[Planned]) -> None:
        outcome = Outcome()
        try:
            await executor.execute(
                self.ports, self.work.sender, self.frame, self.hand, steps, self.fence, outcome=outcome
            )
        finally:
            self._count(outcome)
            self.total.touched |= outcome.touched

    def _done_before(self, planned: Planned) -> bool:
        """Whether a planned step was carried out by an earlier `apply` of the same plan."""
        return self.ports.store.run(_was_done, self.frame, planned)

    async def _wait_for_doubt(self) -> None:
        """What is in doubt and can be asked soon is waited for within the run."""
        again = await recover(self.ports, self.work.sender, self.frame, self.hand)
        self._add(again)
        if again.later is not None and again.later - self.ports.clock.now() <= SHORT_WAIT + self.ports.timeout:
            self.ports.tell("a reply was lost; waiting until it can be asked what became of it")
            await self.ports.clock.sleep(again.later - self.ports.clock.now() + 0.05)
            self._add(await recover(self.ports, self.work.sender, self.frame, self.hand))

    async def _settle(self, views: Sequence[View], decided: Sequence[Planned], done: Sequence[Planned]) -> None:
        await self.ports.store.tx(self._settle_in, views, decided, done, Hand(*self.hand, self.ports.clock.now()))
        await self.ports.point("views settled")

    def _settle_in(
        self,
        db: Db,
        views: Sequence[View],
        decided: Sequence[Planned],
        done: Sequence[Planned],
        hand: Hand,
    ) -> None:
        waiting = _in_doubt(db, self.frame)
        allowed = {p.id for p in done}
        left_over = [  # a stored plan did not hold them; what this run was refused is on its list
            p for p in decided if p.id not in allowed | self.total.refusals and p.step.kind != "agree"
        ]
        still_due = {anchor_of(p.step) for p in (*self.moved, *left_over)}
        for view in views:
            if view.own.native in still_due or view.waiting:  # another flow's operation counts as well
                waiting[view.anchor].add(view.own.native)
        steps = [p.step for p in decided]  # an open question stays open, also while only a stored plan is carried out
        looked = self.work.looked
        settle_views(db, self.frame, hand, views, steps, waiting=waiting, looked=looked, upto=self.work.looked_at)
        undone.settle_answers(db, self.frame, by=hand.actor, at=hand.at)
        if self.stored is None:  # under a stored plan other changes stay due
            place = self.work.place
            assert place is not None
            if self.work.options.limited:
                return
            self.work.place = Position(
                self.work.flow.digest, place.fields, self.work.upto["left"], self.work.upto["right"]
            )
            flows.move(db, self.work.flow.id, self.work.place)

    async def _close(self) -> Result:
        result = self._result()
        if self.frame.hashed and self.state == "done":
            if await self.ports.store.tx(let_go_of, self.frame, self.ports.clock.now()):
                await self.ports.store.empty_log()
            await self.ports.point("values let go")
        await self.ports.store.tx(
            runs.end,
            self.run,
            state=result.state,
            counts=result.counts
            | {"calls": result.calls}
            | ({} if self.back_at is None else {"back_at": self.back_at})
            | self._held_by(),
            message=result.message,
            at=self.ports.clock.now(),
        )
        await self.ports.point("run ended")
        return result

    def _held_by(self) -> dict[str, Json]:
        """The brake that held the run: `why` names it to whoever asks about a record that waits."""
        guard = self.first.guard if self.first and self.state == "stopped" and self.stored is None else None
        return {"brake": guard.override} if guard else {}

    async def broken(self, error: BaseException) -> Result:
        """Close a run that a limit, a dead sign-in or a wrong set-up ended; what was done stays done."""
        self.state = "stopped" if isinstance(error, RetryLater) else "failed"
        self.message = str(error)
        self.back_at = error.at if isinstance(error, RetryLater) else None
        result = await self._close()
        return msgspec.structs.replace(result, next_at=error.at) if isinstance(error, RetryLater) else result

    def _result(self) -> Result:
        counts = {
            kind: self.total.done.get(kind, 0)
            for kind in ("create", "update", "archive", "link", "unlink", "ask", "park", "refuse")
        }
        counts["park"] += self.total.refused
        counts |= {
            "refused_by_vendor": self.total.refused,
            "unknown": self.total.unknown,
            "moved": len(self.moved),
            "unchanged": self.first.unchanged if self.first else 0,
            "read_whole": len(self.work.read_whole.sides),
        }
        calls: Counter[str] = Counter()
        for (system, _kind), number in self.work.sender.calls.items():
            calls[system] += number
        empty = Plan(
            plans.PLAN_FORMAT, "", self.work.flow.id, self.work.flow.digest, {}, 0.0, (), {}, plans.count(()), {}
        )
        return Result(
            run=self.run, state=self.state, message=self.message, counts=counts, calls=dict(calls), streams=self.work.streams_read, plan=self.first or empty,
            moved=self.moved, already=self.already, next_at=self.recovered.later,
            recovered={"landed": self.recovered.landed, "dropped": self.recovered.dropped, "parked": self.recovered.parked},
        )  # fmt: skip

    def _count(self, outcome: Outcome) -> None:
        self.total.done += outcome.done
        self.total.refused += outcome.refused
        self.total.refusals |= outcome.refusals
        self.total.unknown += outcome.unknown
        self.total.stale += outcome.stale

    def _add(self, more: Recovered) -> None:
        self.recovered = Recovered(
            self.recovered.landed + more.landed,
            self.recovered.dropped + more.dropped,
            self.recovered.parked + more.parked,
            more.later,
        )


def _begin(db: Db, flow: str, at: float) -> None:
    if not flows.has_begun(db, flow):
        flows.begin(db, flow, at=at)


def _in_doubt(db: Db, frame: Frame) -> dict[SideName, set[str]]:
    """Records about which an operation is open: they stay due, and out of planning."""
    waiting: dict[SideName, set[str]] = {"left": set(), "right": set()}
    for intent in intents.of_flow(db, frame.flow.id):
        source, target = ("left", "right") if intent.side == "right" else ("right", "left")
        if intent.source_native:
            waiting[source].add(intent.source_native)
        if intent.target_native:
            waiting[target].add(intent.target_native)
    return waiting


def _was_done(db: Db, frame: Frame, planned: Planned) -> bool:
    if planned.step.kind in WRITES:
        return any(
            db.scalar(
                "select count(*) from trail where op = :op and kind in ('created', 'updated', 'archived')", op=op.op
            )
            for op in planned.operations
        )
    if planned.step.kind == "link" and planned.step.left and planned.step.right:
        return paired(db, frame, planned.step)
    if planned.step.kind in ("ask", "park"):  # answered, retried or mended since
        about = {"f": frame.flow.id, "s": anchor_side(planned.step), "n": anchor_of(planned.step)}
        return bool(db.scalar("select count(*) from work where flow = :f and side = :s and native = :n", **about))
    return False


async def take(ports: Ports, flow: Flow, natives: Sequence[str], *, why: str = "taken in") -> None:
    """Put records into a flow's intake; one that was left alone since its counterpart was removed takes part again.

    Raises UsageError for an erased or restricted person's: they do not come back by themselves."""
    refuse_left_out(ports, flow, natives)
    await ports.store.durable(_take, flow.id, natives, why, ports.clock.now())  # what was accepted survives a power cut


def _take(db: Db, flow: str, natives: Sequence[str], why: str, at: float) -> None:
    due.add(db, flow, [Due("left", native, why) for native in natives], at=at)
    standing.lift(db, flow, "left", natives, by="taken in anew", at=at)
