"""The plan of a pass: its decisions as the operations that would really be sent, counted, priced, and held by brakes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from koppel.engine import plan as plans
from koppel.engine import quota, takeover, undone
from koppel.engine.anchors import anchor_of, anchor_side
from koppel.engine.deciding import decide_all
from koppel.engine.one_pass import SIDES, Pass
from koppel.engine.plan import Plan, Planned
from koppel.engine.ports import Connection
from koppel.engine.reading import read_bare
from koppel.engine.references import Natives
from koppel.mapping.flow import SideName
from koppel.model.problem import Problem, UsageError
from koppel.model.values import Json
from koppel.store import flows, observations, trail, work
from koppel.store.sql import Db
from koppel.sync.guard import SMALL, Counts, Refusal, guard
from koppel.sync.money import moved
from koppel.sync.steps import WRITES, Step, View
from koppel.sync.undo import without


async def make_plan(pass_: Pass, dirty: dict[SideName, list[str]]) -> tuple[Plan, list[View]]:
    """Decide and lower everything due."""
    steps, views = await decide_all(pass_, dirty)
    if pass_.frame.hashed and not pass_.options.limited:
        await read_bare(
            pass_.ports, pass_.sender, pass_.frame, await pass_.ports.store.tx(undone.asked_about, pass_.frame)
        )
    steps = await pass_.ports.store.tx(_with_answers, pass_, steps)
    planned = await pass_.ports.store.tx(_not_refused_before, pass_, await lowered(pass_, steps))
    known: dict[SideName, int] = {
        side: await pass_.ports.store.tx(observations.population, pass_.frame.streams[side].id) for side in SIDES
    }
    vanished: dict[SideName, int] = {
        "left": sum(1 for view in views if view.anchor == "left" and view.own.gone and view.linked),
        "right": sum(1 for view in views for linked in view.linked if linked.side.gone),
    }
    linked: dict[SideName, int] = {}
    if max(vanished.values()) >= SMALL:  # counting every pair is only worth it then
        linked = dict.fromkeys(SIDES, await pass_.ports.store.tx(flows.count_pairs, pass_.flow.id))
    touched = {anchor_of(p.step) for p in planned if p.step.kind != "agree"}
    calls = plans.price(pass_.frame, planned)
    now = pass_.ports.clock.now()
    allowances = await pass_.ports.store.tx(partial(quota.quotas, now=now), _by_name(pass_), calls)
    made = Plan(
        format=plans.PLAN_FORMAT,
        workspace=pass_.options.workspace,
        flow=pass_.flow.id,
        flow_digest=pass_.flow.digest,
        entities=plans.entity_versions(pass_.frame),
        made_at=pass_.ports.clock.now(),
        steps=planned,
        anchors={side: tuple(v.own.native for v in views if v.anchor == side) for side in ("left", "right")},
        counts=plans.count(planned),
        calls=calls,
        quotas=allowances,
        done_at=quota.done_at(allowances),
        look_ups=plans.look_ups(pass_.frame, pass_.sender.calls),
        guard=brake(pass_, planned, vanished, known, linked, first=await _first(pass_)),
        unchanged=sum(1 for view in views if view.own.native not in touched),
        read_by_id=dict(pass_.frame.read_by_id),
    )
    return made, views


async def lowered(pass_: Pass, steps: Sequence[Step]) -> tuple[Planned, ...]:
    """Steps with the operations that would really be sent, and what their creates would write over."""
    if pass_.frame.hashed:  # another flow's run may have let go of what is written to
        targets: dict[SideName, list[str]] = {
            side: [s.target for s in steps if s.side == side and s.target] for side in SIDES
        }
        await read_bare(pass_.ports, pass_.sender, pass_.frame, targets)
    made = await pass_.ports.store.tx(_lower, pass_, steps, pass_.ports.clock.now())
    return await takeover.told(pass_.ports, pass_.sender, pass_.frame, made)


def _lower(db: Db, pass_: Pass, steps: Sequence[Step], now: float) -> tuple[Planned, ...]:
    frame = pass_.frame
    targets = {
        side: observations.load(
            db,
            frame.streams[side].id,
            [s.target for s in steps if s.side == side and s.target and s.kind in WRITES],
            entity=pass_.flow.entity,
        )
        for side in ("left", "right")
    }
    pairs = flows.bases_of(db, pass_.flow.id, left=[s.left for s in steps if s.left and s.kind in WRITES])
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
        if step.kind == "update" and not planned.operations:  # only the spelling differs: nothing to send, so agreed
            planned = plans.lower(frame, _as_it_stands(step), target, generation=generation, as_of=now)
        made.append(planned)
    frame.again += [(entry, None) for entry in (natives.moved if natives else ())]
    return tuple(made)


def brake(
    pass_: Pass,
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
        money=moved(pass_.flow, (p.step for p in steps)),
        first=first,
    )
    return guard(pass_.flow, told, allowed=pass_.options.override)


def _by_name(pass_: Pass) -> dict[str, Connection]:
    return {connection.name: connection for connection in pass_.frame.connections.values()}


async def _first(pass_: Pass) -> bool:
    """Whether no run of this flow has written yet. What a person hands in by name needs no second look."""
    return not pass_.options.only and not await pass_.ports.store.tx(flows.has_begun, pass_.flow.id)


def _with_answers(db: Db, pass_: Pass, steps: list[Step]) -> list[Step]:
    """With what people answered to the questions of undos; of a field they decided nothing else is done in the same plan."""
    told = (
        [step for _, wanted in undone.answered(db, pass_.frame) for step in wanted] if not pass_.options.limited else []
    )
    keys = {(step.left, step.right, key) for step in told for key in step.values if step.kind == "update"}
    return (without(steps, keys) if keys else steps) + told


def _not_refused_before(db: Db, pass_: Pass, planned: tuple[Planned, ...]) -> tuple[Planned, ...]:
    """Without operations the vendor refused already, about which nothing has changed since, unless a person wishes a retry
    or the time for one has come: that the record is looked at again for another reason is none."""
    sides = {side: [anchor_of(p.step) for p in planned if anchor_side(p.step) == side] for side in SIDES}
    refused = {
        (side, item.native, item.body.get("identity")): item
        for side in SIDES
        for item in work.about(db, pass_.flow.id, side, sides[side])
        if item.list == "parked" and item.state == "open" and item.op
    }
    kept: list[Planned] = []
    for p in planned:
        about = (anchor_side(p.step), anchor_of(p.step))
        item = refused.get((*about, p.id))
        if item is None or _again(pass_, item, about):
            kept.append(p)
        else:
            pass_.frame.held.add((*about, item.field))
    return tuple(kept)


def _again(pass_: Pass, item: work.Item, about: tuple[SideName, str]) -> bool:
    return about in pass_.wished or item.id in pass_.retried


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
