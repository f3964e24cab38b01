"""Undo at work: the plan that takes a run back, and doing it.

A plan like any other: lowered, priced, guarded, bound to the state. Doing it twice, or after it was killed, comes to the same:
what was carried out is known by its operation ids, what moved since is refused.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import msgspec

from koppel.engine import plan as plans
from koppel.engine.anchors import anchor_of, anchor_side, item_field
from koppel.engine.fetch import look_up
from koppel.engine.frame import Frame, refresh
from koppel.engine.hand import Hand
from koppel.engine.one_pass import Options, Pass
from koppel.engine.pairs import paired
from koppel.engine.plan import Plan, Planned
from koppel.engine.planning import brake, lowered
from koppel.engine.ports import Ports
from koppel.engine.quiet import settle_quietly
from koppel.engine.reading import read_bare
from koppel.engine.undone import Done, Standings, done_by
from koppel.mapping.flow import Flow, SideName
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.model.problem import Problem, UsageError
from koppel.store import observations, runs, work
from koppel.store.sql import Db
from koppel.sync.decide import Policy
from koppel.sync.steps import WRITES, Step
from koppel.sync.undo import CODES, refused, undo

SIDES: tuple[SideName, SideName] = ("left", "right")


async def plan_undo(
    ports: Ports, flow: Flow, run: int, options: Options, *, transforms: Mapping[str, Transform] = TRANSFORMS
) -> Plan:
    """What taking a run back would do; writes nothing outside. Raises UsageError when it is no run of this flow that ended,
    and KoppelError for what reading meets."""
    check_run(ports, flow, run)
    work_ = Pass(ports, flow, msgspec.structs.replace(options, light=True), transforms=transforms)
    await work_.take_in()
    return await planned_now(work_, run)


def check_run(ports: Ports, flow: Flow, run: int) -> None:
    """Raises UsageError unless the run is of this flow and has ended."""
    found = ports.store.run(runs.get, run)
    if found is None or found.flow != flow.id:
        raise UsageError(f"Run {run} is no run of flow {flow.id}.", remedy="koppel runs lists them.")
    if found.state == "running":
        raise UsageError(f"Run {run} has not ended.", remedy="Wait for it; if its process died, run the flow once.")


async def planned_now(work_: Pass, run: int) -> Plan:
    """The plan of an undo by what is read; records on a side that is not listed are looked up first."""
    ports, frame = work_.ports, work_.frame
    done = await ports.store.tx(done_by, frame, run)
    await _look_up(work_, done)
    steps = await ports.store.tx(_steps, frame, frame.policy, done)
    planned = await lowered(work_, steps)
    known: dict[SideName, int] = {
        side: await ports.store.tx(observations.population, frame.streams[side].id) for side in SIDES
    }
    anchors = {"left": tuple(dict.fromkeys(left for left, _ in done.deeds)), "right": ()}
    return Plan(
        format=plans.PLAN_FORMAT,
        workspace=work_.options.workspace,
        flow=frame.flow.id,
        flow_digest=frame.flow.digest,
        entities=plans.entity_versions(frame),
        made_at=ports.clock.now(),
        steps=planned,
        anchors=anchors,
        counts=plans.count(planned),
        calls=plans.price(frame, planned),
        look_ups=plans.look_ups(frame, work_.sender.calls),
        guard=brake(work_, planned, {"left": 0, "right": 0}, known),
        read_by_id=dict(frame.read_by_id),
        undo_of=run,
    )


async def _look_up(work_: Pass, done: Done) -> None:
    """Read the records that were written to, where their side is not read as a whole."""
    frame, ports = work_.frame, work_.ports
    for side in SIDES:
        resource = frame.resources[side]
        named = [deed.left if side == "left" else deed.right for deed in done.deeds.values()]
        await read_bare(ports, work_.sender, frame, {side: list(dict.fromkeys(named))})
        if resource.can.list and frame.streams[side].complete_at is not None:
            continue
        touched = [
            deed.left if side == "left" else deed.right
            for deed in done.deeds.values()
            if deed.fields[side] or side in (deed.created, deed.archived)
        ]
        if touched and resource.find is not None and "native" in resource.can.find:
            wanted = list(dict.fromkeys(touched))
            await look_up(ports, work_.sender, frame.connections[side], resource, "native", wanted)
    refresh(ports, frame)


def _steps(db: Db, frame: Frame, policy: Policy, done: Done) -> list[Step]:
    standing = Standings(db, frame, done.run)
    steps = [
        step
        for pair, deed in done.deeds.items()
        for step in undo(policy, deed, standing.of(deed, done.subjects.get(pair)))
    ]
    if done.erased:
        text = f"undo of run {done.run}: {done.erased} of its entries speak of somebody who was erased; of those nothing can be taken back"
        steps.append(Step("refuse", "right", None, None, "(erased)", problem=Problem("erased", text)))
    return steps


# --- doing it -----------------------------------------------------------------------------------------------------------


def done_before(db: Db, frame: Frame, planned: Sequence[Planned], stored: Plan, now: Container[str]) -> set[str]:
    """Those steps that an earlier `apply` of the same plan carried out: questions a person answered since it was made, and of
    what is absent from today's plan (`now`) what was done."""
    items = work.answered(db, frame.flow.id, CODES, since=stored.made_at)
    decided = {(item.side, item.native, item.field) for item in items}
    return {
        p.id
        for p in planned
        if (p.step.kind == "ask" and _about(p.step) in decided)
        or (p.id not in now and _carried_out(db, frame, p, stored.made_at))
    }


def _about(step: Step) -> tuple[str, str, str]:
    """What a question hangs on."""
    return anchor_side(step), anchor_of(step), item_field(step)


def _carried_out(db: Db, frame: Frame, planned: Planned, since: float) -> bool:
    step = planned.step
    if step.kind in WRITES:
        return _written(db, planned, since)
    if step.kind in ("link", "unlink"):
        return paired(db, frame, step) == (step.kind == "link")
    if step.kind == "ask":
        items = work.about(db, frame.flow.id, anchor_side(step), [anchor_of(step)])
        return any((item.side, item.native, item.field) == _about(step) for item in items)
    return step.kind == "refuse"


def _written(db: Db, planned: Planned, since: float) -> bool:
    find = "select count(*) from trail where op = :op and at_us >= :at and kind in ('created', 'updated', 'archived')"
    return any(db.scalar(find, op=op.op, at=int(since * 1_000_000)) for op in planned.operations)


def in_order(chosen: Sequence[Planned]) -> tuple[list[Planned], list[Planned]]:
    """What is done first, and what only after it: a pair is taken apart when its values are back."""
    last = [p for p in chosen if p.step.kind == "unlink"]
    return [p for p in chosen if p.step.kind != "unlink"], last


def not_done(db: Db, planned: Sequence[Planned], stored: Plan) -> list[Planned]:
    """Those writes of which the trail knows nothing: refused, in doubt, or their record moved at the last moment."""
    return [p for p in planned if p.step.kind in WRITES and not _written(db, p, stored.made_at)]


def ask_about(db: Db, frame: Frame, hand: Hand, planned: Sequence[Planned], run: int) -> int:
    """Turn what the vendor refused of an undo into questions that stay, instead of parked items that the flow's next look at
    the record would close; returns how many."""
    asked = 0
    for p in planned:
        ops = {op.op for op in p.operations}
        items = work.about(db, frame.flow.id, anchor_side(p.step), [anchor_of(p.step)])
        parked = [item for item in items if item.list == "parked" and item.op in ops]
        why = str(parked[0].body.get("text", "")) if parked else "the vendor refused it"
        asked += sum(settle_quietly(db, frame, hand, step) for step in refused(run, p.step, why))
        work.close(db, [item.id for item in parked], by=hand.actor, at=hand.at)
    return asked
