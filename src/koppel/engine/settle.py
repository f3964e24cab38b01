"""Settling: what a receipt means for observations, membership, base, trail and work lists, in one transaction.

All functions are store functions (they take a `Db`); the caller decides which of them share a transaction.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from koppel.engine import anchors, bases, entries, pairs, provenance, quiet, references, worklist
from koppel.engine.anchors import anchor_of, anchor_side, halves, refused_about
from koppel.engine.fetch import take_items
from koppel.engine.frame import Frame
from koppel.engine.hand import Hand
from koppel.engine.plan import Planned, as_json, path
from koppel.mapping.flow import SideName, other
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.store import flows, intents, observations, streams, work
from koppel.store.sql import Db
from koppel.sync.base import Written
from koppel.sync.steps import Step
from koppel.sync.undo import CODES, MARK, asked_again
from koppel.systems.spi import Item, Receipt

OUTAGES = frozenset({None, 408, 429, 502, 503, 504})  # statuses that tell of an outage, not of the record


def open_operations(db: Db, frame: Frame, hand: Hand, planned: Iterable[Planned]) -> None:
    """Commit intents before their calls leave."""
    since = {side: streams.get(db, stream.id).seq for side, stream in frame.streams.items()}
    rows = [
        intents.Intent(op.op, hand.run, frame.flow.id, p.step.kind, frame.streams[p.step.side].id, p.step.side, p.step.source, op.native or p.step.target,
                       {"planned": as_json(p), "operation": as_json(op), "seen": _seen(frame, p.step), "since": since[p.step.side]}, "sent", hand.at, hand.at,
                       source_stream=frame.streams[other(p.step.side)].id)
        for p in planned for op in p.operations
    ]  # fmt: skip
    intents.open_intents(db, rows)


def _seen(frame: Frame, step: Step) -> dict[str, Json]:
    """How the records of a step were seen: whoever recovers it must be able to tell."""
    known = {side: frame.sightings.get((side, native)) for side, native in halves(step.left, step.right) if native}
    return {side: as_json(seen) for side, seen in known.items() if seen is not None}


def remember(frame: Frame, intent: intents.Intent) -> None:
    """Take over how another run saw the records of an operation it left open."""
    step = msgspec.convert(intent.body["planned"], Planned).step
    for side, native in halves(step.left, step.right):
        seen = intent.body.get("seen", {}).get(side)
        if native and seen:
            frame.sightings[side, native] = msgspec.convert(seen, provenance.Sighting)


def settle_receipt(
    db: Db, frame: Frame, hand: Hand, planned: Planned, receipt: Receipt, *, probed: bool = False
) -> str:
    """What became of an operation; returns done | refused | stale | unknown."""
    step = planned.step
    if receipt.status == "unknown":
        intents.mark_doubt(db, [receipt.op], at=hand.at)
        if receipt.before:
            intents.note_overwritten(db, receipt.op, receipt.before)
        if receipt.problem is not None and receipt.problem.status not in OUTAGES:
            intents.note_answer(db, receipt.op, as_json(receipt.problem))
        return "unknown"
    sent_at = None if probed else intents.sent_at(db, receipt.op)
    if not intents.close(db, [receipt.op], run=None if probed else hand.run):
        return "stale"  # settled by whoever took over
    end_doubt(db, frame, hand, step, receipt.op)
    if receipt.status == "done":
        _settle_done(db, frame, hand, step, receipt, probed=probed, sent_at=sent_at)
        return "done"
    anchor = anchor_of(step)
    if receipt.status == "stale":
        anchors.look_again(db, frame, hand, step)
        return "stale"
    problem = receipt.problem or Problem("refused", "the vendor refused it without saying why")
    told = msgspec.structs.replace(step, problem=problem, field="", choices=())
    body = worklist.told(db, frame, told) | {"values": step.values, "before": step.before, "identity": planned.id}
    worklist.put(
        db, frame, "parked", side=anchor_side(step), native=anchor, field=refused_about(step), problem=problem, body=body,
        at=hand.at, run=hand.run, op=receipt.op,
    )  # fmt: skip
    entries.record(
        db,
        frame,
        hand,
        "refused",
        step,
        subject=pairs.subject_of(db, frame, step.left, step.right),
        op=receipt.op,
        extra={"problem": as_json(problem)},
    )
    return "refused"


def _settle_done(
    db: Db, frame: Frame, hand: Hand, step: Step, receipt: Receipt, *, probed: bool, sent_at: float | None
) -> None:
    native = receipt.native or step.target
    assert native is not None, "a receipt that is done names its record"
    if receipt.item is not None:
        take_items(
            db,
            frame.connections[step.side],
            frame.resources[step.side],
            frame.streams[step.side],
            [receipt.item],
            at=hand.at,
            asked_at=sent_at,
        )
    elif step.kind == "create" and step.source is not None:
        source = frame.streams[other(step.side)].id
        observations.expect(db, frame.streams[step.side].id, native, source, step.source)
    left, right = (native, step.right) if step.side == "left" else (step.left, native)
    assert left is not None and right is not None  # noqa: PT018 - a write has both: it came from somewhere
    overwritten = {
        key: references.token_of(db, frame.references, step.side, key, receipt.before[path(key)])
        for key in step.values
        if path(key) in receipt.before
    }
    done = msgspec.structs.replace(step, left=left, right=right, before=step.before | overwritten)
    if step.kind == "create" and (
        not pairs.joinable(db, frame, left, right) or pairs.kept_apart(db, frame, left, right)
    ):
        # While nobody knew of this record, somebody linked it to another one: a person must see both. That one may be what a
        # person took apart from what this was made from.
        entries.record(
            db, frame, hand, "created", done, subject=pairs.subject_of(db, frame, left, right), op=receipt.op
        )
        _taken_meanwhile(db, frame, hand, step, native)
        anchors.look_again(db, frame, hand, step)
        return
    subject = (
        pairs.join(db, frame, hand, left, right, why="created by Koppel", follower=step.follower)
        if step.kind == "create"
        else pairs.subject_of(db, frame, left, right)
    )
    kind = {"create": "created", "update": "updated", "archive": "archived"}[step.kind]
    extra: dict[str, Json] = {"by_probe": True} if probed else {}
    if receipt.item is not None and receipt.item.version:
        extra["receipt"] = receipt.item.version
    entry = entries.record(db, frame, hand, kind, done, subject=subject, op=receipt.op, extra=extra)
    _done_after_all(db, frame, hand, step)
    if step.kind == "archive":  # its counterpart is gone and it is out of use: there is no pair any more
        pairs.part(db, frame, left, right, subject, at=hand.at, left_alone=step.field == MARK)
        if step.field == MARK:
            quiet.leave_both_alone(db, frame, hand, done)
        else:  # a system that goes on listing it, out of use, is no reason to make its counterpart again
            quiet.leave_alone(db, frame, hand, done, step.side)
        return
    if subject is None:
        return
    stored = flows.bases_of(db, frame.flow.id, left=[left]).get((left, right))
    earlier = (stored.base.written_left if step.side == "left" else stored.base.written_right) if stored else {}
    on_their_way = {
        key: Written(  # the source showed this value when it was decided on; what it shows by now may be newer
            value,
            _shown_by_source(step, key, value),
            hand.at,
            earlier[key].count + 1 if key in earlier and earlier[key].value == value else 1,
            step.before.get(key),
            entry,
        )
        for key, value in step.values.items()
        if key in frame.policy.shapes and frame.policy.shapes[key].rule.when != "create"
    }
    # What a create still has to give is promised: if its next operation never leaves, it is written by ordinary merge.
    on_their_way |= {
        key: Written(value, value, hand.at, 0, None, entry)
        for key, value in step.later.items()
        if key in frame.policy.shapes and frame.policy.shapes[key].rule.when != "create"
    }
    written: dict[SideName, dict[str, Written]] = {step.side: on_their_way}
    # what is on its way is accepted when it shows
    prov = {key: entry for key in step.values if key not in on_their_way}

    def tell(news: dict[str, tuple[Json, Json]]) -> int:
        if step.kind == "create" and all(is_blank(value) for both in news.values() for value in both):
            return entry  # it was made without them
        return entries.record(db, frame, hand, "agreed", bases.agreement(done, news), subject=subject)

    merged = bases.rebase(
        db, frame, left, right, subject, written=written, prov=prov, tell=tell, follower=step.follower
    )
    if (
        on_their_way.keys() - merged.agreed.keys()
    ):  # not seen to have arrived: looked at when it must show at the latest
        shows_by = hand.at + frame.resources[step.side].can.settles_after + 1.0
        anchors.keep_due(db, frame, hand, "left", left, "read back", not_before=shows_by)


def end_doubt(db: Db, frame: Frame, hand: Hand, step: Step, op: str) -> None:
    """What became of an operation is known: nobody is asked about it any more. Whoever took over while its worker slept may have
    asked, or have been answered, before that one came back and said it."""
    items = work.about(db, frame.flow.id, anchor_side(step), [anchor_of(step)])
    work.close(db, [i.id for i in items if i.code == "in_doubt" and i.op == op], by=hand.actor, at=hand.at)


def _done_after_all(db: Db, frame: Frame, hand: Hand, step: Step) -> None:
    """What was asked about a step of an undo when its answer was lost is answered by doing it."""
    questions = asked_again(step)
    if questions:
        items = work.about(db, frame.flow.id, anchor_side(step), [anchor_of(step)])
        over = [i.id for i in items if i.code.startswith(CODES) and i.state == "open" and i.field in questions]
        work.close(db, over, by=hand.actor, at=hand.at)


def _shown_by_source(step: Step, key: str, value: Json) -> Json:
    """What the other side is to show beside a value written: the same, unless an undo leaves them different."""
    if key not in step.agreed:
        return value
    left, right = step.agreed[key]
    return right if step.side == "left" else left


def _taken_meanwhile(db: Db, frame: Frame, hand: Hand, step: Step, native: str) -> None:
    problem = Problem("taken", f"the record made for this ({native}) has been linked to another one meanwhile")
    body: dict[str, Json] = {"label": step.label, "text": str(problem), "problem": as_json(problem)}
    body |= {"choices": [{"answer": "skip"}], "left": step.left, "right": step.right}
    side, anchor = anchor_side(step), anchor_of(step)
    work.put(db, "ask", flow=frame.flow.id, side=side, native=anchor, code="taken", body=body, at=hand.at, run=hand.run)


def keep_item(db: Db, frame: Frame, side: SideName, item: Item, *, at: float) -> None:
    """Store a record that a probe or a look-up showed."""
    take_items(db, frame.connections[side], frame.resources[side], frame.streams[side], [item], at=at)
