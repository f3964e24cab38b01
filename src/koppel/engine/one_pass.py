"""One pass of one flow, up to its plan: take in, what is due, decide, lower. Nothing is written outside.

What is done with a plan, and in how many rounds, stands in `koppel.engine.flow`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from koppel.engine import caching, enrich, grouping, proposals, quota, references, takeover, undone, whole
from koppel.engine import plan as plans
from koppel.engine.anchors import anchor_of, anchor_side
from koppel.engine.answers import asked_anew
from koppel.engine.fetch import fetch, follow_signals, look_up
from koppel.engine.frame import Frame, Loader, make_frame, read_since, refresh, taking_part
from koppel.engine.named import named_by_right
from koppel.engine.plan import Plan, Planned
from koppel.engine.ports import Connection, Ports
from koppel.engine.privacy import spare
from koppel.engine.reading import keep_as_looks, read_bare, with_values
from koppel.engine.references import Natives
from koppel.engine.send import Sender
from koppel.mapping.digest import rule_texts
from koppel.mapping.flow import Flow, SideName, other
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.model.problem import Problem, UsageError
from koppel.model.values import Json
from koppel.store import due, flows, needs, observations, subjects, trail, work
from koppel.store.due import Due
from koppel.store.flows import Position, StoredBase
from koppel.store.sql import Db
from koppel.sync.decide import decide
from koppel.sync.guard import SMALL, Counts, Refusal, guard
from koppel.sync.money import moved
from koppel.sync.steps import WRITES, Need, Step, View
from koppel.sync.undo import without
from koppel.systems.spi import Absent, Found, Unknown

FRESH = 24 * 3600.0  # a look-up of an unlistable left is good for a day, unless the flow or a person says otherwise
PART = 500  # records decided at once; the number cannot matter
SIDES: tuple[SideName, SideName] = ("left", "right")
T = TypeVar("T")
V = TypeVar("V")


class Options(msgspec.Struct, frozen=True):
    """How a run is to go. `only` and `only_right` limit it to these records; `refresh` looks everything up anew; `whole` reads both sides
    from the start; `light` asks for keys instead of reading a side that was never read; `override` names a brake that may be
    passed; `trigger` and `actor` go into the trail; `after` runs only while that is still the flow's last run (0: it never
    ran)."""

    actor: str = "koppel"
    trigger: str = "command"
    only: tuple[str, ...] = ()
    only_right: tuple[str, ...] = ()
    refresh: bool = False
    light: bool = False
    whole: bool = False
    override: tuple[str, ...] = ()
    workspace: str = ""
    after: int | None = None

    @property
    def limited(self) -> bool:
        """Whether the run is for some records only."""
        return bool(self.only or self.only_right)


PLAIN = Options()


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
        self.read_whole = whole.NOT
        self.absent_problems: dict[str, Problem] = {}
        self.wished: set[tuple[SideName, str]] = set()  # records a person wants looked at
        self.retried: set[int] = set()  # parked items whose next try is now
        self.leased = False

    # --- 1. take in -----------------------------------------------------------------------------------------------

    async def take_in(self) -> None:
        """Read both sides' streams, once; a side that cannot be listed is looked up by what is due."""
        due = await whole.due(
            self.ports,
            self.frame,
            asked=self.options.whole,
            light=self.options.light,
            allowed="vanished" in self.options.override,
        )
        for side in ("left", "right"):
            connection, resource = self.frame.connections[side], self.frame.resources[side]
            if side == "left":
                connection, resource = self.ports.at(grouping.read_end(self.flow))
            stream = f"{connection.name}:{resource.name}"
            read_since(self.frame, side, self.ports.clock.now())
            if side not in due.sides and self.ports.read is not None and stream in self.ports.read:
                read_since(self.frame, side, self.ports.read[stream])
                continue  # a flow that runs together with this one has read it
            if not resource.can.list:
                await self.ports.store.tx(caching.follow, connection, resource, self.ports.clock.now())
                began = self.ports.clock.now()
                self.streams_read += await follow_signals(self.ports, self.sender, connection, resource)
                self._note_read(stream, began)
            if not resource.can.list or (self.options.light and self.frame.streams[side].complete_at is None):
                continue
            if side in due.sides:
                self.ports.tell(f"{stream}: reading all of it ({due.why})")
            began = self.ports.clock.now()
            await fetch(self.ports, self.sender, connection, resource, whole=side in due.sides)
            self.streams_read += 2 if resource.tombstones else 1
            self._note_read(stream, began)
        await grouping.bring_up_to_date(self.ports, self.flow, leased=self.leased)
        await whole.done(self.ports, self.frame, due)
        self.read_whole = due
        refresh(self.ports, self.frame)

    def _note_read(self, what: str, began: float) -> None:
        """For flows that run together with this one: a stream was read, or a record of it looked up, and since when."""
        if self.ports.read is not None:
            self.ports.read[what] = began

    async def read_again(self, sides: set[SideName]) -> None:
        """Poll the streams written to, once: what is seen becomes the target's form of the base."""
        await grouping.note_posted(self.ports, self.flow)
        for side in sorted(sides):
            read_since(self.frame, side, self.ports.clock.now())
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
        if self.options.limited:
            chosen = [n for n in found["left"] if n in self.options.only]
            found["left"] = [*chosen, *(n for n in self.options.only if n not in chosen)]
            found["right"] = list(self.options.only_right)
        found = await self.ports.store.tx(spare, self.frame, found)
        await read_bare(self.ports, self.sender, self.frame, found)
        if not self.frame.listable("left") and self.flow.scope.take == "intake+right" and not self.options.limited:
            named = await named_by_right(self.ports, self.sender, self.frame, found["right"])
            found["left"] += [native for native in named if native not in set(found["left"])]
        if not self.frame.listable("left") and first:
            await self._look_up_left(found["left"], due_lefts)
            brought = await self.ports.store.tx(self._brought)
            found["left"] += [n for n in brought if n not in set(found["left"]) and not self.options.limited]
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
            if entry.why in due.WISHES:
                self.wished.add((side, entry.native))
            if entry.native not in found[side]:
                found[side].append(entry.native)
            if side == "left":
                asked[entry.native] = entry.why
        for side_name, native in needs.met(db, flow.id) if frame.references else ():
            if native not in found[_side(side_name)]:
                found[_side(side_name)].append(native)
        for item in work.ready_to_retry(db, flow.id, at=now):
            side = _side(item.side)
            self.retried.add(item.id)
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
        read, stream = self.ports.read or {}, self.frame.streams["left"].name
        return [native for native in natives if f"{stream}:{native}" not in read]

    async def _edited(self) -> None:
        """An edit of the flow re-examines what it touches; the vendor's cursor does not move."""
        rules = rule_texts(self.flow)
        await self.ports.store.tx(keep_as_looks, self.frame)
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
        began = self.ports.clock.now()
        answers = await look_up(self.ports, self.sender, connection, resource, "native", wanted)
        unknown = {value: answer.problem for value, answer in answers.items() if isinstance(answer, Unknown)}
        for value in answers.keys() - unknown.keys():
            self._note_read(f"{self.frame.streams['left'].name}:{value}", began)
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
        await self._bring_blocks_up_to_date()
        lefts, rights = dirty["left"], await self._leading(dirty["right"])
        for start in range(0, max(len(lefts), 1), PART):
            part: dict[SideName, list[str]] = {
                "left": lefts[start : start + PART],
                "right": rights if start == 0 else [],
            }
            made, looked = await self._decide_part(part)
            steps += made
            views += looked
        decided = _once(steps)
        if self.frame.references:
            decided = await self.ports.store.tx(references.with_names, self.frame.references, decided)
        return decided, views

    async def _bring_blocks_up_to_date(self) -> None:
        """What may be the same thing on weak evidence is looked for among all that is known by now."""
        numbers = [self.frame.streams[side].id for side in SIDES]
        await proposals.bring_up_to_date(self.ports.store, self.flow, numbers)

    async def _leading(self, rights: list[str]) -> list[str]:
        """The right records that need a decision, found part by part: memory does not follow the size of an administration."""
        leading: list[str] = []
        for start in range(0, len(rights), PART):
            leading += await self._with_values(_leading, rights[start : start + PART])
        return leading

    async def _with_values(self, look: Callable[[Db, Frame, V], T], about: V) -> T:
        """What is made of records whose values are there: those that were let go are read by id, in bulk."""
        return await with_values(self.ports, self.sender, self.frame, look, self.frame, about)

    async def _decide_part(self, part: dict[SideName, list[str]]) -> tuple[list[Step], list[View]]:
        views = await self._with_values(_load, part)
        if await self._look_for_unseen(views):
            views = await self._with_values(_load, part)
        steps, needs = self._decided(views)
        if needs:
            await self._ask_for(needs)
            await self._bring_blocks_up_to_date()
            again: dict[SideName, list[str]] = {
                side: [need.native for need in needs if need.anchor == side] for side in SIDES
            }
            anew = await self._with_values(_load, again)
            more, still = self._decided(anew)
            unclear = {need.native for need in still}
            more += [self._unclear(view) for view in anew if view.own.native in unclear]
            steps += more
            views = [view for view in views if view.own.native not in {need.native for need in needs}] + anew
        return steps, views

    async def _look_for_unseen(self, views: Sequence[View]) -> bool:
        """Ask by id for counterparts that were made so long ago that they must show by now: somebody may have removed them
        before they were ever seen. Whether any was asked for."""
        asked = False
        for anchor in SIDES:
            far = other(anchor)
            connection, resource = self.frame.connections[far], self.frame.resources[far]
            unseen = sorted({native for view in views if view.anchor == anchor for native in view.unseen})
            if not unseen or resource.find is None or "native" not in resource.can.find:
                continue
            shown_by = self.ports.clock.now() - resource.can.settles_after - self.ports.timeout
            old = await self.ports.store.tx(subjects.joined_before, self.frame.streams[far].id, unseen, shown_by)
            if old:
                await look_up(self.ports, self.sender, connection, resource, "native", old)
                refresh(self.ports, self.frame)
                asked = True
        return asked

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
                steps += asked_anew(answer, view.moved)
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
        """Steps with the operations that would really be sent, and what their creates would write over."""
        if self.frame.hashed:  # another flow's run may have let go of what is written to
            targets: dict[SideName, list[str]] = {
                side: [s.target for s in steps if s.side == side and s.target] for side in SIDES
            }
            await read_bare(self.ports, self.sender, self.frame, targets)
        lowered = await self.ports.store.tx(self._lower, steps, self.ports.clock.now())
        return await takeover.told(self.ports, self.sender, self.frame, lowered)

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
        natives = Natives(db, frame.references, steps) if frame.references else None
        made: list[Planned] = []
        for step in steps if natives is None else natives.carried(steps):
            stored = pairs.get((step.left or "", step.right or ""))
            generation = stored.generation if stored else seq if step.kind == "create" else 0
            target = targets[step.side].get(step.target or "")
            if target is not None and target.bare and step.kind in WRITES:
                made.append(plans.lower(frame, _unread(step, now), None, generation=generation, as_of=now))
                continue
            try:
                planned = plans.lower(frame, step, target, generation=generation, as_of=now, natives=natives)
            except UsageError as error:  # one record that cannot be written never stops a run (law 4)
                made.append(plans.lower(frame, _parked(step, str(error)), None, generation=generation, as_of=now))
                continue
            if (
                step.kind == "update" and not planned.operations
            ):  # only the spelling differs: nothing to send, so agreed
                planned = plans.lower(frame, _as_it_stands(step), target, generation=generation, as_of=now)
            made.append(planned)
        frame.again += [(entry, None) for entry in (natives.moved if natives else ())]
        return tuple(made)

    def guard(
        self,
        steps: Sequence[Planned],
        vanished: dict[SideName, int],
        known: dict[SideName, int],
        linked: dict[SideName, int] | None = None,
        *,
        first: bool = False,
    ) -> Refusal | None:
        """Whether the brakes let this plan pass."""
        counted = plans.count(tuple(steps))
        changed = len({(p.step.side, p.step.target) for p in steps if p.step.kind == "update"})
        over = len({(p.step.side, p.step.target) for p in steps if _renumbers(p.step)})
        told = Counts(
            creates=counted["create"],
            updates=changed,
            archives=counted["archive"],
            known=known,
            vanished=vanished,
            renumbered=over,
            linked=linked or {},
            money=moved(self.flow, (p.step for p in steps)),
            first=first,
        )
        return guard(self.flow, told, allowed=self.options.override)

    def _by_name(self) -> dict[str, Connection]:
        return {connection.name: connection for connection in self.frame.connections.values()}

    async def _first(self) -> bool:
        """Whether no run of this flow has written yet. What a person hands in by name needs no second look."""
        return not self.options.only and not await self.ports.store.tx(flows.has_begun, self.flow.id)

    async def plan(self, dirty: dict[SideName, list[str]]) -> tuple[Plan, list[View]]:
        """Decide and lower everything due."""
        steps, views = await self.decide(dirty)
        if self.frame.hashed and not self.options.limited:
            await read_bare(
                self.ports, self.sender, self.frame, await self.ports.store.tx(undone.asked_about, self.frame)
            )
        steps = await self.ports.store.tx(self._with_answers, steps)
        planned = await self.ports.store.tx(self._not_refused_before, await self.lower(steps))
        known: dict[SideName, int] = {
            side: await self.ports.store.tx(observations.population, self.frame.streams[side].id) for side in SIDES
        }
        vanished: dict[SideName, int] = {
            "left": sum(1 for view in views if view.anchor == "left" and view.own.gone and view.linked),
            "right": sum(1 for view in views for linked in view.linked if linked.side.gone),
        }
        linked: dict[SideName, int] = {}
        if max(vanished.values()) >= SMALL:  # counting every pair is only worth it then
            linked = dict.fromkeys(SIDES, await self.ports.store.tx(flows.count_pairs, self.flow.id))
        touched = {anchor_of(p.step) for p in planned if p.step.kind != "agree"}
        calls = plans.price(self.frame, planned)
        now = self.ports.clock.now()
        allowances = await self.ports.store.tx(partial(quota.quotas, now=now), self._by_name(), calls)
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
            calls=calls,
            quotas=allowances,
            done_at=quota.done_at(allowances),
            look_ups=plans.look_ups(self.frame, self.sender.calls),
            guard=self.guard(planned, vanished, known, linked, first=await self._first()),
            unchanged=sum(1 for view in views if view.own.native not in touched),
            read_by_id=dict(self.frame.read_by_id),
        )
        return made, views

    def _with_answers(self, db: Db, steps: list[Step]) -> list[Step]:
        """With what people answered to the questions of undos; of a field they decided nothing else is done in the same plan."""
        told = (
            [step for _, wanted in undone.answered(db, self.frame) for step in wanted]
            if not self.options.limited
            else []
        )
        keys = {(step.left, step.right, key) for step in told for key in step.values if step.kind == "update"}
        return (without(steps, keys) if keys else steps) + told

    def _not_refused_before(self, db: Db, planned: tuple[Planned, ...]) -> tuple[Planned, ...]:
        """Without operations the vendor refused already, about which nothing has changed since, unless a person wishes a retry
        or the time for one has come: that the record is looked at again for another reason is none."""
        sides = {side: [anchor_of(p.step) for p in planned if anchor_side(p.step) == side] for side in SIDES}
        refused = {
            (side, item.native, item.body.get("identity")): item
            for side in SIDES
            for item in work.about(db, self.flow.id, side, sides[side])
            if item.list == "parked" and item.state == "open" and item.op
        }
        kept: list[Planned] = []
        for p in planned:
            about = (anchor_side(p.step), anchor_of(p.step))
            item = refused.get((*about, p.id))
            if item is None or self._again(item, about):
                kept.append(p)
            else:
                self.frame.held.add((*about, item.field))
        return tuple(kept)

    def _again(self, item: work.Item, about: tuple[SideName, str]) -> bool:
        return about in self.wished or item.id in self.retried


def _renumbers(step: Step) -> bool:
    """Whether a step writes one company's number over another's."""
    before = step.before.get("kvk")
    return step.kind == "update" and before is not None and step.values.get("kvk") not in (None, before)


def _unread(step: Step, now: float) -> Step:
    """What becomes of a step whose target's values are not kept and could not be read."""
    problem = Problem("unavailable", "the record it writes to could not be read", retry_at=now + 600)
    return Step("park", step.side, step.left, step.right, step.label, problem=problem, follower=step.follower)


def _parked(step: Step, why: str) -> Step:
    """What becomes of a step that the target has no way to take."""
    problem = Problem("not_writable", why)
    return Step("park", step.side, step.left, step.right, step.label, problem=problem, follower=step.follower)


def _as_it_stands(step: Step) -> Step:
    """The agreement that an update amounts to when the target's wire form is already the same."""
    agreed: dict[str, tuple[Json, Json]] = {key: _as_shown(step, key, value) for key, value in step.values.items()}
    because = dict.fromkeys(agreed, "the same in the vendor's own spelling")
    return Step(
        "agree", step.side, step.left, step.right, step.label, agreed=agreed, because=because, follower=step.follower
    )


def _as_shown(step: Step, key: str, value: Json) -> tuple[Json, Json]:
    """Both forms of a field whose target shows the value already; an undo says itself what the other side shows."""
    left, right = step.agreed.get(key, (value, value))
    return (left, step.before.get(key)) if step.side == "right" else (step.before.get(key), right)


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
