"""Recovery: operations whose outcome nobody knows are probed, not repeated (law 2).

Not before `sent_at + our time-out + settles_after`: the request may still be running. Found → observed, linked, and the rest is
ordinary merge. Surely absent → the intent is dropped and the record decided anew. No means to tell → parked for a person; and a
number that nothing carries tells nothing while something new over there bears the rest of what was sent.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from koppel.engine import settle
from koppel.engine.anchors import anchor_of, anchor_side
from koppel.engine.fetch import fetch, look_up
from koppel.engine.frame import Frame, refresh, seen_of, sides_of
from koppel.engine.hand import Hand
from koppel.engine.lookalikes import Sent, sent
from koppel.engine.plan import Planned, as_json
from koppel.engine.ports import Ports
from koppel.engine.quiet import settle_quietly
from koppel.engine.reading import with_values
from koppel.engine.send import Sender
from koppel.mapping.flow import SideName
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.store import apart, due, intents, observations, subjects, work
from koppel.store.due import Due
from koppel.store.intents import Intent
from koppel.store.sql import Db
from koppel.sync.steps import Step
from koppel.sync.undo import refused, undoes
from koppel.systems.spi import CannotTell, Found, Landed, NotLanded, Operation, Receipt, Trace

REFUSED_WAIT = (
    3600.0  # an answer nobody could read may have been an outage: tried again by itself, but not at every run
)


PART = 500  # records looked through at once


class Recovered(msgspec.Struct):
    """What became of operations in doubt; `later` is when the next may be asked (epoch seconds), None when none waits."""

    landed: int = 0
    dropped: int = 0
    parked: int = 0
    later: float | None = None


async def recover(ports: Ports, sender: Sender, frame: Frame, hand_run: tuple[int, str]) -> Recovered:
    """Probe what may be asked by now."""
    result = Recovered()
    open_ = await ports.store.tx(intents.of_flow, frame.flow.id)
    told = await ports.store.tx(_told, frame, open_)
    for intent in [intent for intent in open_ if intent.op in told]:
        await _as_told(ports, sender, frame, hand_run, intent, told[intent.op], result)
    open_ = await ports.store.tx(intents.of_flow, frame.flow.id)
    now = ports.clock.now()
    for side in ("left", "right"):
        mine = [intent for intent in open_ if intent.side == side]
        ready = [intent for intent in mine if _askable(ports, frame, intent) <= now]
        for intent in mine:
            at = _askable(ports, frame, intent)
            if at > now:
                result.later = at if result.later is None else min(result.later, at)
        if ready:
            await _probe(ports, sender, frame, hand_run, ready, result)
    return result


def _choices(intent: Intent) -> list[Json]:
    """What a person may say of an operation nobody can tell the outcome of. Of a create it takes the record itself."""
    if intent.kind == "create":
        return [{"answer": "did_not"}, {"answer": "id", "label": "the id of the record that was made"}]
    return [{"answer": "did_not"}, {"answer": "happened"}]


def _told(db: Db, frame: Frame, open_: Sequence[Intent]) -> dict[str, Json]:
    """What a person said became of operations in doubt, by operation."""
    ops = {intent.op for intent in open_}
    steps = [msgspec.convert(intent.body["planned"], Planned).step for intent in open_]
    sides: tuple[SideName, SideName] = ("left", "right")
    items = [
        item
        for side in sides
        for item in work.about(db, frame.flow.id, side, [anchor_of(s) for s in steps if anchor_side(s) == side])
    ]
    return {i.op: i.answer for i in items if i.code == "in_doubt" and i.state == "answered" and i.op in ops}


async def _as_told(
    ports: Ports,
    sender: Sender,
    frame: Frame,
    hand_run: tuple[int, str],
    intent: Intent,
    answer: Json,
    result: Recovered,
) -> None:
    """Carry out a person's word: what did not happen is decided anew, what did is read and linked. An id that the vendor does
    not show leaves the operation in doubt."""
    trace: Trace = NotLanded()
    if answer != "did_not" and intent.kind == "create":
        connection, resource = frame.connections[intent.side], frame.resources[intent.side]  # type: ignore[index]
        found = (await look_up(ports, sender, connection, resource, "native", [str(answer)])).get(str(answer))
        trace = CannotTell(Problem("in_doubt", f"there is no record {answer}; give the id of the record that was made"))
        if isinstance(found, Found):
            trace = Landed(found.items[0].native, found.items[0])
    await ports.store.durable(_settle_trace, frame, Hand(*hand_run, ports.clock.now()), intent, trace, result)


def _askable(ports: Ports, frame: Frame, intent: Intent) -> float:
    """Until then the effect may still arrive."""
    can = frame.resources[intent.side].can  # type: ignore[index]
    return (intent.sent_at or intent.opened_at) + ports.timeout + can.settles_after


async def _probe(
    ports: Ports, sender: Sender, frame: Frame, hand_run: tuple[int, str], ready: Sequence[Intent], result: Recovered
) -> None:
    side = ready[0].side
    connection, resource = frame.connections[side], frame.resources[side]  # type: ignore[index]
    operations = {intent.op: msgspec.convert(intent.body["operation"], Operation) for intent in ready}
    traces: dict[str, Trace] = {}
    if resource.probe is not None:
        traces = await sender.run(
            connection, resource.probe(connection.site(ports.clock.now(), resource.name), tuple(operations.values()))
        )
    await ports.point("probe answered")
    if resource.can.probe == "natural_key":
        unfound = [i for i in ready if i.kind == "create" and isinstance(traces.get(i.op), NotLanded)]
        traces |= await _looked_through(ports, sender, frame, unfound)
    hand = Hand(*hand_run, ports.clock.now())
    for intent in ready:
        none = CannotTell(Problem("in_doubt", "the vendor offers no way to tell whether this was done"))
        trace = await ports.store.tx(_its_own, frame, intent, traces.get(intent.op, none))
        await ports.store.durable(_settle_trace, frame, hand, intent, trace, result)
        await ports.point("probe settled")


async def _looked_through(ports: Ports, sender: Sender, frame: Frame, unfound: Sequence[Intent]) -> dict[str, Trace]:
    """Creates whose number nothing carries, while something that came about since may be what they made: somebody can have
    given it another number. What is new on that side is read first."""
    if not unfound:
        return {}
    side: SideName = "left" if unfound[0].side == "left" else "right"
    stream = frame.streams[side]
    if frame.listable(side) and (stream.cursor is not None or stream.next is not None):
        await fetch(ports, sender, frame.connections[side], frame.resources[side], tombstones=False)
        refresh(ports, frame)
    made = [sent(intent) for intent in unfound]
    free = await ports.store.tx(_free_since, frame, side, min(each.since for each in made))
    alike: dict[str, list[str]] = {}
    for start in range(0, len(free), PART):
        part = free[start : start + PART]
        found = await with_values(ports, sender, frame, _alike, frame, side, part, made)
        for op, natives in found.items():
            alike.setdefault(op, []).extend(natives)
    return {op: CannotTell(Problem("in_doubt", _told_of(frame, side, natives))) for op, natives in alike.items()}


def _free_since(db: Db, frame: Frame, side: SideName, since: int) -> list[str]:
    """Records of a side that are news since then and belong to nobody."""
    stream = frame.streams[side].id
    news = observations.changed_since(db, stream, since, upto=frame.streams[side].seq)
    linked = subjects.of_records(db, stream, news)
    return [native for native in news if native not in linked]


def _alike(db: Db, frame: Frame, side: SideName, natives: Sequence[str], made: Sequence[Sent]) -> dict[str, list[str]]:
    """Which of these records may be what an operation made, by operation."""
    seen = {native: one for native, one in seen_of(db, frame, side, natives).items() if not one.gone}
    shown, shapes = sides_of(db, frame, side, seen), frame.policy.shapes
    found = {
        each.op: [n for n, one in seen.items() if each.made(shapes, side, one.seq, shown[n].values)] for each in made
    }
    return {op: several for op, several in found.items() if several}


def _told_of(frame: Frame, side: SideName, natives: Sequence[str]) -> str:
    refs = " and ".join(str(frame.ref(side, native)) for native in natives[:3])
    return f"nothing carries its number, but {refs} came about since and may be what it made, under another number"


def _its_own(db: Db, frame: Frame, intent: Intent, trace: Trace) -> Trace:
    """What a probe found for a create. A number is no proof: where it names a record that a person held apart from the one this
    was made from, nobody can tell whether there is another one by now."""
    if intent.kind != "create" or not isinstance(trace, Landed) or not intent.source_native:
        return trace
    source, target = ("left", "right") if intent.side == "right" else ("right", "left")
    one, two = (frame.streams[source].id, intent.source_native), (frame.streams[target].id, trace.native)
    if not any({held.one, held.two} == {one, two} for held in apart.of_records(db, [one])):
        return trace
    ref = frame.ref(target, trace.native)
    return CannotTell(
        Problem("in_doubt", f"what carries its number is {ref}, which was held apart from it by a person")
    )


def _settle_trace(db: Db, frame: Frame, hand: Hand, intent: Intent, trace: Trace, result: Recovered) -> None:
    if not intents.is_open(db, intent.op, run=intent.run):
        return  # its worker was only slow, and has settled it while we asked: there is nothing left to find out
    planned = msgspec.convert(intent.body["planned"], Planned)
    settle.remember(frame, intent)
    anchor = Due(anchor_side(planned.step), anchor_of(planned.step), "waiting")
    if isinstance(trace, CannotTell):
        about = work.about(db, frame.flow.id, anchor.side, [anchor.native])
        told = [i.id for i in about if i.code == "in_doubt" and i.op == intent.op and i.state == "answered"]
        body = {
            "label": planned.step.label,
            "text": str(trace.problem),
            "problem": as_json(trace.problem),
            "choices": _choices(intent),
            "left": planned.step.left,
            "right": planned.step.right,
        }
        work.put(
            db,
            "parked",
            flow=frame.flow.id,
            side=anchor.side,
            native=anchor.native,
            field="",
            code="in_doubt",
            body=body,
            at=hand.at,
            run=hand.run,
            op=intent.op,
        )
        intents.mark_doubt(db, [intent.op], at=hand.at)
        work.close(db, told, by=hand.actor, at=hand.at)
        result.parked += 1
        return
    if isinstance(trace, NotLanded) and trace.item is not None:  # what it shows may be news that no listing tells again
        settle.keep_item(db, frame, planned.step.side, trace.item, at=hand.at)
    answered = intent.body.get("answered")
    if isinstance(trace, NotLanded) and answered:  # the vendor said something, and did nothing: that was its refusal
        problem = msgspec.structs.replace(msgspec.convert(answered, Problem), retry_at=hand.at + REFUSED_WAIT)
        settle.settle_receipt(db, frame, hand, planned, Receipt(intent.op, "refused", problem=problem), probed=True)
        result.parked += 1
        return
    if isinstance(trace, NotLanded):
        _drop(db, frame, hand, intent, planned.step, result)
    elif intent.kind == "create" or _moved(db, frame, planned, trace, hand.at):
        overwritten = msgspec.convert(intent.body.get("overwritten") or {}, dict[str, Json])
        receipt = Receipt(intent.op, "done", trace.native, trace.item, before=overwritten)
        settle.settle_receipt(db, frame, hand, planned, receipt, probed=True)
        result.landed += 1
    else:  # an update that shows what was there before: it did not happen; decided again, it is idempotent
        _drop(db, frame, hand, intent, planned.step, result)
    due.add(db, frame.flow.id, [anchor], at=hand.at)


def _drop(db: Db, frame: Frame, hand: Hand, intent: Intent, step: Step, result: Recovered) -> None:
    """It did not happen, or it does not show that it did: its record is decided anew. A step of an undo is decided by nobody
    but its own plan, so it is asked about."""
    intents.close(db, [intent.op])
    settle.end_doubt(db, frame, hand, step, intent.op)
    result.dropped += 1
    run = undoes(step)
    for question in refused(run, step, "its answer was lost, and it does not show that it was done") if run else ():
        settle_quietly(db, frame, hand, question)


def _moved(db: Db, frame: Frame, planned: Planned, trace: Landed, at: float) -> bool:
    """Whether the record differs from `before` in a field we wrote (comparing with what we sent fails on truncation, P5)."""
    step = planned.step
    if trace.item is None:
        return False
    settle.keep_item(db, frame, step.side, trace.item, at=at)
    seen = seen_of(db, frame, step.side, [trace.native]).get(trace.native)
    if seen is None:
        return False
    shown = sides_of(db, frame, step.side, {trace.native: seen})[trace.native].values
    return any(
        key in frame.policy.shapes
        and not frame.policy.shapes[key].same_on(step.side, shown.get(key), step.before.get(key))
        for key in step.values
    )
