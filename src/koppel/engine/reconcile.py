"""Full reconciliation: both sides read whole, every record compared, part by part, and a plan to mend what the rules allow.

What is found is handed over finding by finding; nothing that grows with the size of the sides is kept. A pair that shows
exactly what was last agreed is told by its digests in the database; only its base is opened, for a difference that was let be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from koppel.engine.frame import Frame, Loader, label, make_frame, met, seen_of, sides_of, taking_part
from koppel.engine.one_pass import Options, Pass
from koppel.engine.plan import Plan
from koppel.engine.planning import make_plan
from koppel.engine.ports import Ports
from koppel.engine.reading import let_go_of, with_values
from koppel.engine.send import Sender
from koppel.mapping.flow import Flow, SideName
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.store import census, flows, observations, reconciled, streams, subjects, suppression, trail, work
from koppel.store.sql import Db
from koppel.sync.compare import Finding, Kind, Known, Verdict, of_view, undisturbed
from koppel.sync.decide import decide
from koppel.sync.steps import Side, View

T = TypeVar("T")
PART = 500
SHOWN = 20  # of a key that many records share, this many are named
SIDES: tuple[SideName, SideName] = ("left", "right")


class Read(msgspec.Struct, frozen=True):
    """One side: its name, how many records are there, when it was last read and last read whole; `listed`: whether it can be."""

    name: str
    records: int
    read_at: float | None
    whole_at: float | None
    listed: bool


class Summary(msgspec.Struct, frozen=True):
    """A comparison in figures. `pairs` are linked; `same` of them are the same in every field; `counts` are findings by kind
    and verdict."""

    flow: str
    at: float
    left: Read
    right: Read
    pairs: int
    same: int
    counts: dict[Kind, dict[Verdict, int]]
    reconciled_at: float | None = None


async def read_whole(
    ports: Ports, flow: Flow, options: Options, *, transforms: Mapping[str, Transform] = TRANSFORMS
) -> None:
    """Read both sides from the start, where they can be listed. Raises RetryLater, SetupError, SignInNeeded."""
    options = msgspec.structs.replace(options, whole=True)
    await Pass(ports, flow, options, transforms=transforms).take_in()


async def compare(
    ports: Ports, flow: Flow, put: Callable[[Finding], None], *, transforms: Mapping[str, Transform] = TRANSFORMS
) -> Summary:
    """Compare what the store holds of both sides; every finding goes to `put`, in parts, in a stable order."""
    walk = _Walk(ports, make_frame(ports, flow, transforms=transforms), put)
    await walk.lefts()
    await walk.rights()
    await walk.doubles()
    await walk.orphans()
    if walk.frame.hashed:
        await ports.store.tx(let_go_of, walk.frame, ports.clock.now())
    return await ports.store.tx(walk.summary, ports.clock.now())


async def mending(
    ports: Ports,
    flow: Flow,
    options: Options,
    *,
    left: Sequence[str],
    right: Sequence[str],
    transforms: Mapping[str, Transform] = TRANSFORMS,
) -> Plan:
    """The ordinary plan for exactly these records, as the store holds them now."""
    anew = Pass(ports, flow, options, transforms=transforms)
    made, _ = await make_plan(anew, {"left": [*left], "right": [*right]})
    return made


class _Walk:
    """One comparison under way."""

    def __init__(self, ports: Ports, frame: Frame, put: Callable[[Finding], None]) -> None:
        self.ports, self.frame, self._put = ports, frame, put
        self.left, self.right = frame.streams["left"].id, frame.streams["right"].id
        self.sender = Sender(ports)
        self.counts: dict[Kind, dict[Verdict, int]] = {}
        self.same = 0

    async def _read(self, look: Callable[..., T], *about: object) -> T:
        """What is made of a part, with the values of what it looks at: those that were let go are read by id."""
        same = self.same

        def reset() -> None:
            self.same = same

        return await with_values(self.ports, self.sender, self.frame, look, *about, reset=reset)

    def put(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            by_verdict = self.counts.setdefault(finding.kind, {})
            by_verdict[finding.verdict] = by_verdict.get(finding.verdict, 0) + 1
            self._put(finding)

    # --- linked pairs, and lefts without a counterpart ------------------------------------------------------------

    async def lefts(self) -> None:
        """Every left record, with all its counterparts."""
        after, seen = "", 0
        while True:
            natives, findings = await self._read(self._left_part, after)
            self.put(findings)
            if not natives:
                return
            after, seen = natives[-1], seen + len(natives)
            if seen % (20 * PART) == 0:
                self.ports.tell(f"{self.frame.flow.id}: {seen} records of {self.frame.flow.left} compared")

    def _left_part(self, db: Db, after: str) -> tuple[list[str], list[Finding]]:
        frame = self.frame
        natives = census.present(db, self.left, after=after, size=PART)
        concerned = natives
        if not frame.listable("left") and frame.flow.scope.take != "all":
            concerned = taking_part(db, frame.flow.id, natives)
        quiet = self._quiet(db, concerned)
        views = Loader(db, frame).views(left=[native for native in concerned if native not in quiet], right=())
        return natives, self._told(db, [view for view in views if view.anchor == "left"])

    def _quiet(self, db: Db, natives: list[str]) -> set[str]:
        """Lefts whose every pair shows what was agreed, and the same on both sides: known without opening a record."""
        frame = self.frame
        place = flows.position(db, frame.flow.id)
        if not natives or frame.flow.enrich or place is None or place.digest != frame.flow.digest:
            return set()
        pairs = census.agreed(db, frame.flow.id, self.left, self.right, natives)
        members = subjects.of_records(db, self.left, pairs)
        partners = subjects.of_subjects(db, self.right, {member.subject for member in members.values()})
        quiet: set[str] = set()
        for native, several in pairs.items():
            mine = members.get(native)
            linked = {p.native for p in partners.get(mine.subject, [])} if mine else set()
            if linked == {pair.right for pair in several} and all(
                undisturbed(frame.policy, pair.base, follower=pair.follower) for pair in several
            ):
                quiet.add(native)
                self.same += len(several)
        return quiet

    def _told(self, db: Db, views: Sequence[View]) -> list[Finding]:
        """What is decided about these views, as findings."""
        frame = self.frame
        frame.sightings.clear()  # kept for the trail of a run, which this is not
        notes = self._notes(db, views)
        items = self._items(db, views)
        findings: list[Finding] = []
        for view in views:
            answer = decide(frame.policy, view)
            told = of_view(frame.policy, view, answer, Known(items.get((view.anchor, view.own.native), {}), notes))
            findings += told
            self.same += len(
                {linked.side.native for linked in view.linked}
                - {f.right if view.anchor == "left" else f.left for f in told}
            )
        return findings

    def _items(self, db: Db, views: Sequence[View]) -> dict[tuple[SideName, str], dict[str, int]]:
        found: dict[tuple[SideName, str], dict[str, int]] = {}
        for side in SIDES:
            natives = [view.own.native for view in views if view.anchor == side]
            for item in work.about(db, self.frame.flow.id, side, natives) if natives else ():
                if item.state == "open":
                    found.setdefault((side, item.native), {})[item.field] = item.id
        return found

    def _notes(self, db: Db, views: Sequence[View]) -> dict[tuple[str, str], str]:
        """What was said when a difference was let be, by counterpart and field: the trail knows."""
        wanted: dict[int, list[tuple[str, str]]] = {}
        for view in views:
            for linked in view.linked:
                for key, entry in (linked.base.prov if linked.base else {}).items():
                    wanted.setdefault(entry, []).append((linked.side.native, key))
        notes: dict[tuple[str, str], str] = {}
        for entry in trail.numbered(db, wanted):
            said = (entry.data or {}).get("notes", {})
            notes |= {(native, key): str(said[key]) for native, key in wanted[entry.seq] if said.get(key)}
        return notes

    # --- rights without a counterpart ------------------------------------------------------------------------------

    async def rights(self) -> None:
        """Every right record that belongs to no left one."""
        async for natives in self._parts(census.unclaimed, self.right, self.left):
            self.put(await self._read(self._right_part, natives))

    def _right_part(self, db: Db, natives: list[str]) -> list[Finding]:
        frame = self.frame
        natives = suppression.spared(db, self.right, natives)
        loader = Loader(db, frame)
        anchors = loader.lefts_of(natives)
        found = {f.right: f for f in self._unanchored(db, [n for n in natives if not anchors[n]])}
        wanted = sorted({left for several in anchors.values() for left in several})
        views = {view.own.native: view for view in loader.views(left=wanted, right=()) if view.anchor == "left"}
        frame.sightings.clear()
        for native in natives:
            lefts = [views[left] for left in anchors[native] if left in views]
            if native not in found and lefts and all(view.linked for view in lefts):
                found[native] = self._beside(lefts[0], native)
        return [found[native] for native in natives if native in found]

    def _beside(self, view: View, native: str) -> Finding:
        """A right record that shares a key with a left one which has a counterpart already."""
        mine = next((c for c in view.candidates if c.side.native == native), None)
        label = mine.side.label if mine else native
        if mine is not None and mine.side.excluded:
            why = f"outside the flow: {mine.side.excluded}"
            return Finding("only_right", "outside", None, native, label, why=why)
        answer = decide(self.frame.policy, view)
        steps = answer if isinstance(answer, list) else []
        if any(step.kind == "link" and step.right == native for step in steps):
            why = f"would be linked: it shares a key with {view.own.label}"
            return Finding("unlinked", "mend", view.own.native, native, label, why=why)
        asked = next((step for step in steps if step.kind == "ask" and not step.field), None)
        why = str(asked.problem) if asked else f"it shares a key with {view.own.label}, which is linked already"
        return Finding("unlinked", "person", view.own.native, native, label, why=why)

    def _unanchored(self, db: Db, natives: list[str]) -> list[Finding]:
        """Right records that no left one shares a key with."""
        flow = self.frame.flow
        if not natives:
            return []
        frame = self.frame
        sides = sides_of(db, frame, "right", seen_of(db, frame, "right", natives))
        found = [
            Finding("only_right", "outside", None, n, side.label, why=f"outside the flow: {side.excluded}")
            for n, side in sides.items()
            if side.excluded
        ]
        inside = [n for n, side in sides.items() if not side.excluded]
        if flow.create_left:
            views = Loader(db, frame).views(left=(), right=inside)
            return [*found, *self._told(db, [view for view in views if view.anchor == "right"])]
        return found + [self._not_made(db, sides[native]) for native in inside]

    def _not_made(self, db: Db, side: Side) -> Finding:
        """A right record inside the flow for which no left one is made."""
        frame = self.frame
        verdict: Verdict = "allowed"
        why = "this flow makes no new records on the left"
        if not frame.listable("left") and frame.flow.scope.take == "intake+right" and side.keys:
            asked = observations.load(db, self.left, [value for _, value in side.keys], entity=frame.flow.entity)
            verdict = "allowed" if asked else "wait"
            why = "the left was asked for it and has none" if asked else "the left is asked for it by the next runs"
        elif not frame.listable("left"):
            why = "nobody took it in"
        return Finding("only_right", verdict, None, side.native, side.label, why=why)

    # --- duplicates ------------------------------------------------------------------------------------------------------

    async def doubles(self) -> None:
        """Strong keys that several records of one side carry."""
        for side in SIDES:
            for kind in self.frame.flow.match.keys:
                after = ""
                while True:
                    shared = await self.ports.store.tx(
                        census.shared_keys, self.frame.streams[side].id, kind, after=after, size=PART, show=SHOWN
                    )
                    if not shared:
                        break
                    after = shared[-1].digest
                    self.put(await self._read(self._doubled, side, shared))

    def _doubled(self, db: Db, side: SideName, shared: Sequence[census.Shared]) -> list[Finding]:
        frame = self.frame
        stream = frame.streams[side].id
        natives = {native for one in shared for native in one.natives}
        seen = met(db, frame, side, natives)
        members = subjects.of_records(db, stream, natives)
        return [self._double(side, one, seen, members) for one in shared]

    def _double(
        self,
        side: SideName,
        shared: census.Shared,
        seen: Mapping[str, observations.Observation],
        members: Mapping[str, subjects.Member],
    ) -> Finding:
        first = seen[shared.natives[0]].record
        keys = first.entity.match_keys() if first else ()
        values = {value for kind, value in keys if kind == shared.kind}
        for native in shared.natives[1:]:
            record = seen[native].record
            values &= {v for kind, v in (record.entity.match_keys() if record else ()) if kind == shared.kind}
        belong = {members[native].subject if native in members else native for native in shared.natives}
        together = len(belong) == 1
        why = f"{shared.count} records carry it" + (", all linked with the same one" if together else "")
        value = min(values, default=None)
        return Finding(
            "duplicate",
            "allowed" if together else "person",
            label=", ".join(label(seen[native].record, native) for native in shared.natives[:3]),
            field=shared.kind,
            left_value=value if side == "left" else None,
            right_value=value if side == "right" else None,
            why=f"on the {side}: {why}",
            records=shared.natives,
        )

    # --- orphans -----------------------------------------------------------------------------------------------------------

    async def orphans(self) -> None:
        """What is remembered of links that are none."""
        for side in SIDES:
            stream = self.frame.streams[side].id
            async for natives in self._parts(census.never_shown, stream):
                why = f"linked on the {side}, and never shown since"
                self.put([_half(side, native, "wait", why) for native in natives])
            async for natives in self._parts(census.alone, stream):
                why = "its links are gone; it is matched anew"
                self.put([_half(side, native, "allowed", why) for native in natives])
        after = ("", "")
        while pairs := await self.ports.store.tx(
            census.parted, self.frame.flow.id, self.left, self.right, after=after, size=PART
        ):
            why = "what was agreed is remembered, although they are not linked"
            self.put([Finding("orphan", "person", left, right, f"{left}, {right}", why=why) for left, right in pairs])
            after = pairs[-1]

    async def _parts(self, part: Callable[..., list[str]], *about: int) -> AsyncIterator[list[str]]:
        after = ""
        while natives := await self.ports.store.tx(part, *about, after=after, size=PART):
            yield natives
            after = natives[-1]

    # --- in figures ----------------------------------------------------------------------------------------------------------

    def summary(self, db: Db, now: float) -> Summary:
        """What it comes to."""
        flow = self.frame.flow
        left, right = (self._as_read(db, side) for side in SIDES)
        pairs = census.count_members(db, self.left, self.right)
        last = reconciled.get(db, flow.id).at
        return Summary(flow.id, now, left, right, pairs, self.same, self.counts, last)

    def _as_read(self, db: Db, side: SideName) -> Read:
        stream = streams.get(db, self.frame.streams[side].id)
        known = observations.population(db, stream.id)
        return Read(stream.name, known, stream.read_at, stream.complete_at, self.frame.listable(side))


def _half(side: SideName, native: str, verdict: Verdict, why: str) -> Finding:
    left, right = (native, None) if side == "left" else (None, native)
    return Finding("orphan", verdict, left, right, native, why=why)
