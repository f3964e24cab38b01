"""One pass of one flow: take in, due, decide, plan, do, settle. Safe to repeat at any time, killed at any instant.

plan()   reads, decides and lowers; writes nothing outside
sync()   plan() and doing it, under the guard
apply()  does exactly a stored plan: refreshes, and refuses each step whose state moved
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from koppel.engine import enrich, leasing
from koppel.engine import execute as executor
from koppel.engine import plan as plans
from koppel.engine.execute import Fence, Outcome
from koppel.engine.fetch import fetch, follow_signals, look_up
from koppel.engine.frame import Frame, Loader, make_frame, refresh, taking_part
from koppel.engine.named import named_by_right
from koppel.engine.plan import Plan, Planned
from koppel.engine.ports import Ports
from koppel.engine.recover import Recovered, recover
from koppel.engine.send import Sender
from koppel.engine.settle import UNLINKED, Hand, anchor_of, anchor_side, settle_views
from koppel.mapping.flow import Flow, SideName, other
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.model.problem import KoppelError, Problem, RetryLater, UsageError
from koppel.model.values import Json
from koppel.store import due, flows, intents, observations, runs, subjects, trail, work
from koppel.store.due import Due
from koppel.store.flows import Position, StoredBase
from koppel.store.sql import Db
from koppel.sync.decide import decide
from koppel.sync.guard import Counts, Refusal, guard
from koppel.sync.steps import WRITES, Need, Step, View
from koppel.systems.spi import Absent, Found, Unknown

FRESH = 24 * 3600.0  # a look-up of an unlistable left is good for a day, unless the flow or a person says otherwise
LEASE_SECONDS = 600.0
PART = 500  # records decided at once; the number cannot matter
ROUNDS = 3  # writing, reading back and agreeing takes two; a third for what a person did meanwhile
SIDES: tuple[SideName, SideName] = ("left", "right")
_ACTS = WRITES | {"link", "unlink"}
SHORT_WAIT = 120.0  # an operation in doubt is waited for within the run when it can be asked this soon


class Options(msgspec.Struct, frozen=True):
    """How a run is to go. `only` limits it to these left natives; `refresh` looks everything up anew; `light` asks for keys
    instead of reading a side that was never read; `override` names a brake that may be passed; `trigger` and `actor` go into
    the trail."""

    actor: str = "koppel"
    trigger: str = "command"
    only: tuple[str, ...] = ()
    refresh: bool = False
    light: bool = False
    override: tuple[str, ...] = ()
    workspace: str = ""


PLAIN = Options()


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


class Pass:
    """One pass at work: the frame, the sender with its counters, what was looked at."""

    def __init__(
        self, ports: Ports, flow: Flow, options: Options, *, transforms: Mapping[str, Transform] = TRANSFORMS
    ) -> None:
        self.ports, self.flow, self.options = ports, flow, options
        self.sender = Sender(ports)
        self.frame: Frame = make_frame(ports, flow, transforms=transforms)
        self.streams_read = 0
        self.place: Position | None = None
        self.upto: dict[SideName, int] = {}
        self.looked_at = ports.clock.now()
        self.looked: dict[SideName, list[str]] = {"left": [], "right": []}
        self.restoring = False
        self.absent_problems: dict[str, Problem] = {}

    # --- 1. take in -----------------------------------------------------------------------------------------------

    async def take_in(self) -> None:
        """Read both sides' streams, once; a side that cannot be listed is looked up by what is due."""
        for side in ("left", "right"):
            connection, resource = self.frame.connections[side], self.frame.resources[side]
            stream = f"{connection.name}:{resource.name}"
            if self.ports.read is not None and stream in self.ports.read:
                continue  # a flow that runs together with this one has read it
            if not resource.can.list:
                self.streams_read += await follow_signals(self.ports, self.sender, connection, resource)
                self._note_read(stream)
            if not resource.can.list or (self.options.light and self.frame.streams[side].complete_at is None):
                continue
            await fetch(self.ports, self.sender, connection, resource)
            self.streams_read += 2 if resource.tombstones else 1
            self._note_read(stream)
        refresh(self.ports, self.frame)

    def _note_read(self, what: str) -> None:
        """For flows that run together with this one: a stream was read, or a record of it looked up."""
        if self.ports.read is not None:
            self.ports.read.add(what)

    async def read_again(self, sides: set[SideName]) -> None:
        """Poll the streams written to, once: what is seen becomes the target's form of the base."""
        for side in sides:
            if self.frame.listable(side) and not (self.options.light and self.frame.streams[side].complete_at is None):
                await fetch(
                    self.ports, self.sender, self.frame.connections[side], self.frame.resources[side], tombstones=False
                )
        refresh(self.ports, self.frame)

    # --- 2. due ----------------------------------------------------------------------------------------------------

    async def dirty(self, *, first: bool) -> dict[SideName, list[str]]:
        """What has to be looked at: changed since this flow last looked, asked for, retried, touched by an edit of the flow."""
        await self._edited()
        self.looked_at = self.ports.clock.now()
        found, due_lefts = await self.ports.store.tx(self._dirty, self.ports.clock.now())
        if self.options.only:
            chosen = [n for n in found["left"] if n in self.options.only]
            found["left"] = [*chosen, *(n for n in self.options.only if n not in chosen)]
            found["right"] = []
        if not self.frame.listable("left") and self.flow.scope.take == "intake+right" and not self.options.only:
            named = await named_by_right(self.ports, self.sender, self.frame, found["right"])
            found["left"] += [native for native in named if native not in set(found["left"])]
        if not self.frame.listable("left") and first:
            await self._look_up_left(found["left"], due_lefts)
            brought = await self.ports.store.tx(self._brought)
            found["left"] += [n for n in brought if n not in set(found["left"]) and not self.options.only]
        if first and self.flow.enrich:
            stream = self.frame.streams["left"].id
            self.frame.again += await enrich.ask(self.ports, self.sender, self.flow, stream, found["left"])
        self.looked = found
        return found

    def _brought(self, db: Db) -> list[str]:
        """What changed while this pass looked things up: its own look-ups, which are being looked at, and other flows'."""
        since, self.upto["left"] = self.upto["left"], self.frame.streams["left"].seq
        return self._changed(db, "left", since)

    def _changed(self, db: Db, side: SideName, since: int) -> list[str]:
        """Records of a side that changed and are not settled. Of a left that cannot be listed, only those that take part in
        this flow: another flow's look-ups are no intake of ours."""
        stream = self.frame.streams[side].id
        changed = observations.changed_since(db, stream, since, upto=self.upto[side])
        if side == "left" and not self.frame.listable("left") and self.flow.scope.take != "all":
            changed = taking_part(db, self.flow.id, changed)
        return flows.unsettled(db, self.flow.id, side, stream, changed)

    def _dirty(self, db: Db, now: float) -> tuple[dict[SideName, list[str]], dict[str, str]]:
        frame, flow = self.frame, self.flow
        place = self.place or Position("", {}, 0, 0)
        self.upto = {side: frame.streams[side].seq for side in ("left", "right")}
        found: dict[SideName, list[str]] = {}
        for side in SIDES:
            since = place.left_seq if side == "left" else place.right_seq
            found[side] = self._changed(db, side, since)
        asked: dict[str, str] = {}
        for entry in due.ready(db, flow.id, at=now):
            side = _side(entry.side)
            if entry.native not in found[side]:
                found[side].append(entry.native)
            if side == "left":
                asked[entry.native] = entry.why
        for item in work.ready_to_retry(db, flow.id, at=now):
            side = _side(item.side)
            if item.native not in found[side]:
                found[side].append(item.native)
            if side == "left" and item.op is None:  # what the vendor refused was read well: it is only sent again
                asked.setdefault(item.native, "retry")
        if not frame.listable("left") and (self.options.refresh or flow.run.refresh is not None):
            linked = taking_part(db, flow.id, subjects.linked_natives(db, frame.streams["left"].id))
            old = (
                self._not_yet_asked(linked)
                if self.options.refresh
                else observations.older_than(db, frame.streams["left"].id, linked, now - (flow.run.refresh or 0))
            )
            asked |= dict.fromkeys(old, "refresh")
            found["left"] += [native for native in old if native not in set(found["left"])]
        return found, asked

    def _not_yet_asked(self, natives: list[str]) -> list[str]:
        """Of left records to look up anew those that another flow of the same go has not looked up already."""
        read, stream = self.ports.read or set(), self.frame.streams["left"].name
        return [native for native in natives if f"{stream}:{native}" not in read]

    async def _edited(self) -> None:
        """An edit of the flow re-examines what it touches; the vendor's cursor does not move."""
        rules = {rule.key: repr(msgspec.structs.replace(rule, line=0)) for rule in self.flow.fields}
        self.place = await self.ports.store.tx(flows.position, self.flow.id)
        if self.place is None:
            start = self._start()
            self.place = Position(self.flow.digest, rules, start["left"], start["right"])
            await self.ports.store.tx(flows.move, self.flow.id, self.place)
        elif self.place.digest != self.flow.digest:
            await self.ports.store.tx(self._re_examine, rules, self.ports.clock.now())
            self.place = await self.ports.store.tx(flows.position, self.flow.id)

    def _re_examine(self, db: Db, rules: dict[str, str], now: float) -> None:
        assert self.place is not None
        pairs = flows.pairs_of(db, self.flow.id)
        touched = {key for key, rule in rules.items() if self.place.fields.get(key, rule) != rule}
        self._forget_differences(db, touched, [left for left, _ in pairs])
        due.add(
            db,
            self.flow.id,
            [Due("left", left, "flow edited") for left in dict.fromkeys(left for left, _ in pairs)],
            at=now,
        )
        parked = [item for item in work.listed(db, "parked", flow=self.flow.id) if item.code != "in_doubt"]
        due.add(db, self.flow.id, [Due(item.side, item.native, "flow edited") for item in parked], at=now)
        listed = self.frame.listable("left")
        flows.move(
            db,
            self.flow.id,
            Position(
                self.flow.digest, rules, 0 if listed else self.place.left_seq, 0 if listed else self.place.right_seq
            ),
        )

    def _forget_differences(self, db: Db, keys: set[str], lefts: Sequence[str]) -> None:
        """Fields that were left different under a rule that has been edited since are looked at as if for the first time."""
        if not keys:
            return
        shapes = self.frame.policy.shapes
        anew: list[StoredBase] = []
        for stored in flows.bases_of(db, self.flow.id, left=lefts).values():
            base = stored.base
            gone = {k for k in keys & base.left.keys() if not shapes[k].same(base.left[k], base.right.get(k))}
            if gone:
                left = {key: value for key, value in base.left.items() if key not in gone}
                right = {key: value for key, value in base.right.items() if key not in gone}
                base = msgspec.structs.replace(base, left=left, right=right)
                anew.append(msgspec.structs.replace(stored, base=base, left_digest="", right_digest=""))
        flows.save_bases(db, self.flow.id, anew)

    def _start(self) -> dict[SideName, int]:
        """Where a new flow begins to look: at the start; with `take = "intake"` only what is taken in from now on matters on
        the left (the store may hold look-ups of other flows)."""
        if self.flow.scope.take == "all" or self.frame.listable("left"):
            return {"left": 0, "right": 0}
        return {"left": self.frame.streams["left"].seq, "right": 0}

    async def _look_up_left(self, natives: list[str], why: dict[str, str]) -> None:
        """Look up what is due on a left that cannot be listed; a look-up of less than a day ago is still good."""
        connection, resource, now = self.frame.connections["left"], self.frame.resources["left"], self.ports.clock.now()
        seen = await self.ports.store.tx(
            observations.load, self.frame.streams["left"].id, natives, entity=self.flow.entity
        )
        forced = {"refresh", "retry"}
        told = await self.ports.store.tx(_told_to_wait, self.flow.id, natives, now)
        self.frame.unfound |= {n: problem for n, problem in told.items() if n not in seen and why.get(n) not in forced}
        shared = {} if self.ports.unanswered is None else self.ports.unanswered
        in_vain = {n: problem for n in natives if (problem := shared.get(self.frame.ref("left", n)))}
        self.frame.unfound |= {n: p for n, p in in_vain.items() if p.retry_at is None or p.retry_at > now}
        keep = FRESH if self.flow.run.refresh is None else self.flow.run.refresh
        good = now - keep
        anew = set(self._not_yet_asked([n for n in natives if why.get(n) in forced]))
        wanted = [n for n in natives if n in why and (n not in seen or n in anew or seen[n].seen_at < good)]
        wanted += [n for n in natives if n not in why and n not in seen]
        wanted = [n for n in wanted if n not in self.frame.unfound]
        if not wanted:
            return
        answers = await look_up(self.ports, self.sender, connection, resource, "native", wanted)
        unknown = {value: answer.problem for value, answer in answers.items() if isinstance(answer, Unknown)}
        for value in answers.keys() - unknown.keys():
            self._note_read(f"{self.frame.streams['left'].name}:{value}")
        self.frame.unfound |= unknown
        shared |= {self.frame.ref("left", value): problem for value, problem in unknown.items()}
        self.absent_problems = {
            value: answer.problem for value, answer in answers.items() if isinstance(answer, Absent) and answer.problem
        }
        refresh(self.ports, self.frame)

    # --- 3. decide --------------------------------------------------------------------------------------------------

    async def decide(self, dirty: dict[SideName, list[str]]) -> tuple[list[Step], list[View]]:
        """Steps for everything due; what the store lacks is fetched in bulk, by key, and decided again."""
        steps: list[Step] = []
        views: list[View] = []
        lefts, rights = dirty["left"], await self._leading(dirty["right"])
        for start in range(0, max(len(lefts), 1), PART):
            part: dict[SideName, list[str]] = {
                "left": lefts[start : start + PART],
                "right": rights if start == 0 else [],
            }
            made, looked = await self._decide_part(part)
            steps += made
            views += looked
        return _once(steps), views

    async def _leading(self, rights: list[str]) -> list[str]:
        """The right records that need a decision, found part by part: memory does not follow the size of an administration."""
        leading: list[str] = []
        for start in range(0, len(rights), PART):
            leading += await self.ports.store.tx(_leading, self.frame, rights[start : start + PART])
        return leading

    async def _decide_part(self, part: dict[SideName, list[str]]) -> tuple[list[Step], list[View]]:
        views = await self.ports.store.tx(_load, self.frame, part)
        steps, needs = self._decided(views)
        if needs:
            await self._ask_for(needs)
            again: dict[SideName, list[str]] = {
                side: [need.native for need in needs if need.anchor == side] for side in SIDES
            }
            anew = await self.ports.store.tx(_load, self.frame, again)
            more, still = self._decided(anew)
            unclear = {need.native for need in still}
            more += [self._unclear(view) for view in anew if view.own.native in unclear]
            steps += more
            views = [view for view in views if view.own.native not in {need.native for need in needs}] + anew
        return steps, views

    def _decided(self, views: Sequence[View]) -> tuple[list[Step], list[Need]]:
        steps: list[Step] = []
        needs: list[Need] = []
        for view in views:
            if view.own.gone and not view.linked and view.own.native in self.absent_problems:
                view = msgspec.structs.replace(view, unfound=self.absent_problems[view.own.native])  # noqa: PLW2901 - the same view, with the vendor's reason
            answer = decide(self.frame.policy, view)
            if isinstance(answer, Need):
                needs.append(answer)
            else:
                steps += answer
        return steps, needs

    async def _ask_for(self, needs: Sequence[Need]) -> None:
        for anchor in ("left", "right"):
            far = other(anchor)
            connection, resource = self.frame.connections[far], self.frame.resources[far]
            by_kind: dict[str, dict[str, None]] = {}
            for need in needs:
                if need.anchor == anchor:
                    for kind, value in need.keys:
                        by_kind.setdefault(kind, {})[value] = None
            for kind, values in by_kind.items():
                if kind not in resource.can.find:
                    continue
                answers = await look_up(self.ports, self.sender, connection, resource, kind, list(values))
                self.frame.absent[far] |= {
                    (kind, value) for value, answer in answers.items() if isinstance(answer, (Absent, Found))
                }

    def _unclear(self, view: View) -> Step:
        problem = Problem(
            "unavailable",
            "the other side could not say whether it is there already; nothing is created on a guess",
            retry_at=self.ports.clock.now() + 600,
        )
        left, right = (view.own.native, None) if view.anchor == "left" else (None, view.own.native)
        return Step("park", other(view.anchor), left, right, label=view.own.label, problem=problem)

    # --- 4. plan -----------------------------------------------------------------------------------------------------

    async def lower(self, steps: Sequence[Step]) -> tuple[Planned, ...]:
        """Steps with the operations that would really be sent."""
        return await self.ports.store.tx(self._lower, steps, self.ports.clock.now())

    def _lower(self, db: Db, steps: Sequence[Step], now: float) -> tuple[Planned, ...]:
        frame = self.frame
        targets = {
            side: observations.load(
                db,
                frame.streams[side].id,
                [s.target for s in steps if s.side == side and s.target and s.kind in WRITES],
                entity=self.flow.entity,
            )
            for side in ("left", "right")
        }
        pairs = flows.bases_of(db, self.flow.id, left=[s.left for s in steps if s.left and s.kind in WRITES])
        seq = trail.head(db).seq if any(s.kind == "create" for s in steps) else 0
        made: list[Planned] = []
        for step in steps:
            stored = pairs.get((step.left or "", step.right or ""))
            generation = stored.generation if stored else seq if step.kind == "create" else 0
            target = targets[step.side].get(step.target or "")
            try:
                planned = plans.lower(frame, step, target, generation=generation, as_of=now)
            except UsageError as error:  # one record that cannot be written never stops a run (law 4)
                made.append(plans.lower(frame, _parked(step, str(error)), None, generation=generation, as_of=now))
                continue
            if (
                step.kind == "update" and not planned.operations
            ):  # only the spelling differs: nothing to send, so agreed
                planned = plans.lower(frame, _as_it_stands(step), target, generation=generation, as_of=now)
            made.append(planned)
        return tuple(made)

    def guard(
        self, steps: Sequence[Planned], vanished: dict[SideName, int], known: dict[SideName, int]
    ) -> Refusal | None:
        """Whether the brakes let this plan pass."""
        counted = plans.count(tuple(steps))
        changed = len({(p.step.side, p.step.target) for p in steps if p.step.kind == "update"})
        refusal = guard(self.flow, Counts(counted["create"], changed, counted["archive"], known, vanished, 0))
        return None if refusal and refusal.override in self.options.override else refusal

    async def plan(self, dirty: dict[SideName, list[str]]) -> tuple[Plan, list[View]]:
        """Decide and lower everything due."""
        steps, views = await self.decide(dirty)
        planned = await self.lower(steps)
        known: dict[SideName, int] = {
            side: await self.ports.store.tx(observations.population, self.frame.streams[side].id) for side in SIDES
        }
        vanished: dict[SideName, int] = {
            "left": sum(1 for view in views if view.anchor == "left" and view.own.gone and view.linked),
            "right": sum(1 for view in views for linked in view.linked if linked.side.gone),
        }
        touched = {anchor_of(p.step) for p in planned if p.step.kind != "agree"}
        made = Plan(
            format=plans.PLAN_FORMAT,
            workspace=self.options.workspace,
            flow=self.flow.id,
            flow_digest=self.flow.digest,
            entities=plans.entity_versions(self.frame),
            made_at=self.ports.clock.now(),
            steps=planned,
            anchors={side: tuple(v.own.native for v in views if v.anchor == side) for side in ("left", "right")},
            counts=plans.count(planned),
            calls=plans.price(self.frame, planned),
            look_ups=plans.look_ups(self.frame, self.sender.calls),
            guard=self.guard(planned, vanished, known),
            unchanged=sum(1 for view in views if view.own.native not in touched),
        )
        return made, views


def _parked(step: Step, why: str) -> Step:
    """What becomes of a step that the target has no way to take."""
    problem = Problem("not_writable", why)
    return Step("park", step.side, step.left, step.right, step.label, problem=problem, follower=step.follower)


def _as_it_stands(step: Step) -> Step:
    """The agreement that an update amounts to when the target's wire form is already the same."""
    agreed: dict[str, tuple[Json, Json]] = {
        key: (value, step.before.get(key)) if step.side == "right" else (step.before.get(key), value)
        for key, value in step.values.items()
    }
    because = dict.fromkeys(agreed, "the same in the vendor's own spelling")
    return Step(
        "agree", step.side, step.left, step.right, step.label, agreed=agreed, because=because, follower=step.follower
    )


def _side(name: str) -> SideName:
    return "left" if name == "left" else "right"


def _leading(db: Db, frame: Frame, rights: list[str]) -> list[str]:
    return Loader(db, frame).leading(rights)


def _load(db: Db, frame: Frame, part: dict[SideName, list[str]]) -> list[View]:
    return Loader(db, frame).views(left=part["left"], right=part["right"])


def _once(steps: Sequence[Step]) -> list[Step]:
    """Each step once: a record that is dirty on both sides is looked at from one anchor, but parts may overlap."""
    seen: dict[tuple[Json, ...], Step] = {}
    for step in steps:
        seen.setdefault((step.kind, step.side, step.left, step.right, step.field), step)
    return list(seen.values())


# --- whole runs -------------------------------------------------------------------------------------------------------


async def plan_flow(
    ports: Ports, flow: Flow, options: Options = PLAIN, *, transforms: Mapping[str, Transform] = TRANSFORMS
) -> Plan:
    """A dry run: reads and decides, writes nothing outside. Raises KoppelError."""
    work_ = Pass(ports, flow, options, transforms=transforms)
    await work_.take_in()
    dirty = await work_.dirty(first=True)
    made, _ = await work_.plan(dirty)
    return made


async def sync_flow(
    ports: Ports, flow: Flow, options: Options = PLAIN, *, transforms: Mapping[str, Transform] = TRANSFORMS
) -> Result:
    """Plan and do it, under the guard. Never raises for what the run itself can say: see `Result.state`. Raises SignInNeeded
    and SetupError after the run is closed as failed."""
    return await _run(ports, flow, options, None, transforms)


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
            remedy=f"Make it again: koppel plan {flow.id} -o plan.json",
        )
    if stored.workspace != options.workspace:
        raise UsageError("The plan was made in another workspace.", remedy="Apply it where it was made.")
    if stored.guard is not None and stored.guard.override not in options.override:
        raise UsageError(
            f"The plan is held by a brake: {stored.guard.reason}.",
            remedy=f"When that is right: koppel apply … --allow {stored.guard.override}",
        )
    return await _run(ports, flow, options, stored, transforms)


async def _run(
    ports: Ports, flow: Flow, options: Options, stored: Plan | None, transforms: Mapping[str, Transform]
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
        run = await ports.store.tx(
            runs.begin, flow.id, trigger=options.trigger, actor=options.actor, at=ports.clock.now()
        )
        await ports.point("run begun")
        work_ = Pass(ports, flow, options, transforms=transforms)
        rounds = _Rounds(work_, run, stored, Fence(lease, ports.worker, fence))
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

    def __init__(self, work_: Pass, run: int, stored: Plan | None, fence: Fence) -> None:
        self.work, self.run, self.stored, self.fence = work_, run, stored, fence
        self.ports, self.frame = work_.ports, work_.frame
        self.total = Outcome()
        self.recovered = Recovered()
        self.first: Plan | None = None
        self.moved: tuple[Planned, ...] = ()
        self.already = 0
        self.state, self.message = "done", ""

    @property
    def hand(self) -> tuple[int, str]:
        return self.run, self.work.options.actor

    async def go(self) -> Result:
        """The whole run."""
        self._add(await recover(self.ports, self.work.sender, self.frame, self.hand))
        await self.work.take_in()
        for number in range(ROUNDS):
            dirty = await self.work.dirty(first=number == 0)
            if self.stored is not None and number == 0:
                dirty.update({side: list(self.stored.anchors.get(side, ())) for side in SIDES})
            plan, views = await self.work.plan(dirty)
            self.first = self.first or plan
            steps = tuple(p for p in self._allowed(plan, number) if p.id not in self.total.refusals)
            if self.state == "stopped":
                break
            outcome = Outcome()
            try:
                await executor.execute(
                    self.ports, self.work.sender, self.frame, self.hand, steps, self.fence, outcome=outcome
                )
            finally:
                self._count(outcome)
            self.work.restoring = any(entry.why == "restore" for entry, _ in self.frame.again)
            await self._settle(views, plan.steps, steps)
            if not outcome.touched and not outcome.unknown and not self.work.restoring:
                break
            if outcome.unknown or self.recovered.later:
                await self._wait_for_doubt()
            if outcome.touched:
                await self.work.read_again(outcome.touched)
        return await self._close()

    def _allowed(self, plan: Plan, number: int) -> tuple[Planned, ...]:
        """The steps this round may do: under a stored plan exactly its steps, later only what agrees; else all, unless a brake holds."""
        if self.stored is None:
            if plan.guard is not None:
                self.state, self.message = (
                    "stopped",
                    f"{plan.guard.reason}. When that is right, run again with --allow {plan.guard.override}.",
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
        left_over = [
            p for p in decided if p.id not in allowed and p.step.kind in _ACTS
        ]  # a stored plan did not hold them
        still_due = {anchor_of(p.step) for p in (*self.moved, *left_over)}
        for view in views:
            if view.own.native in still_due or view.waiting:  # another flow's operation counts as well
                waiting[view.anchor].add(view.own.native)
        steps = [p.step for p in decided]  # an open question stays open, also while only a stored plan is carried out
        looked = self.work.looked
        settle_views(db, self.frame, hand, views, steps, waiting=waiting, looked=looked, upto=self.work.looked_at)
        if self.stored is None:  # under a stored plan other changes stay due
            place = self.work.place
            assert place is not None
            if self.work.options.only:
                return
            self.work.place = Position(
                self.work.flow.digest, place.fields, self.work.upto["left"], self.work.upto["right"]
            )
            flows.move(db, self.work.flow.id, self.work.place)

    async def _close(self) -> Result:
        result = self._result()
        await self.ports.store.tx(
            runs.end,
            self.run,
            state=result.state,
            counts=result.counts | {"calls": result.calls},
            message=result.message,
            at=self.ports.clock.now(),
        )
        await self.ports.point("run ended")
        return result

    async def broken(self, error: BaseException) -> Result:
        """Close a run that a limit, a dead sign-in or a wrong set-up ended; what was done stays done."""
        self.state = "stopped" if isinstance(error, RetryLater) else "failed"
        self.message = str(error)
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


def _told_to_wait(db: Db, flow: str, natives: Sequence[str], now: float) -> dict[str, Problem]:
    """Look-ups the vendor could not answer yet and named a time for: asking earlier costs a call and brings nothing."""
    return {
        item.native: msgspec.convert(item.body["problem"], Problem)
        for item in work.about(db, flow, "left", natives)
        if item.list == "parked"
        and not item.field
        and item.op is None
        and item.next_at is not None
        and item.next_at > now
    }


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
        mine = subjects.of_records(db, frame.streams["left"].id, [planned.step.left]).get(planned.step.left)
        theirs = subjects.of_records(db, frame.streams["right"].id, [planned.step.right]).get(planned.step.right)
        return mine is not None and theirs is not None and mine.subject == theirs.subject
    if planned.step.kind in ("ask", "park"):  # answered, retried or mended since
        about = {"f": frame.flow.id, "s": anchor_side(planned.step), "n": anchor_of(planned.step)}
        return bool(db.scalar("select count(*) from work where flow = :f and side = :s and native = :n", **about))
    return False


async def take(ports: Ports, flow: Flow, natives: Sequence[str], *, why: str = "taken in") -> None:
    """Put records into a flow's intake; one that was left alone since its counterpart was removed takes part again."""
    await ports.store.tx(_take, flow.id, natives, why, ports.clock.now())


def _take(db: Db, flow: str, natives: Sequence[str], why: str, at: float) -> None:
    due.add(db, flow, [Due("left", native, why) for native in natives], at=at)
    apart = [item.id for item in work.about(db, flow, "left", natives) if item.code == UNLINKED]
    work.close(db, apart, by="taken in anew", at=at)
