"""Why nothing (more) happens to a record in one flow: asked of the decision itself, over what the store holds, without a call.

Promises: the reasons are those of the run's own code (`Loader`, `decide`), never a second telling of the rules; the first one
is what stands in the way, and when it is gone, the thing happens.
"""

from __future__ import annotations

from collections.abc import Iterator

from koppel.engine.frame import Frame, Loader, seen_of
from koppel.engine.reasons import Reason
from koppel.engine.why_field import FieldNow, fields_now
from koppel.mapping.conditions import fields_named, unmet, wanted
from koppel.mapping.flow import SideName, other
from koppel.mapping.paths import look_up
from koppel.mapping.project import match_values
from koppel.model.values import Json
from koppel.store import due, flows, intents, observations, runs, standing, subjects, suppression, work
from koppel.store.observations import Observation
from koppel.store.sql import Db
from koppel.store.standing import ALONE
from koppel.store.work import Item
from koppel.sync.decide import decide
from koppel.sync.steps import Need, Step, View

_DOING = {
    "create": "a record would be made on the {side}",
    "update": "the {side} would be updated: {fields}",
    "archive": "the {side} would be archived",
    "link": "it would be linked: {because}",
    "unlink": "it would be unlinked: {because}",
    "ask": "a question would be asked: {problem}",
    "park": "it would be parked: {problem}",
}


def why_not(
    db: Db, frame: Frame, side: SideName, native: str, *, field: str | None, now: float
) -> tuple[list[Reason], list[FieldNow]]:
    """The reasons in one flow, what stands in the way first; and its fields, pair by pair."""
    stream = frame.streams[side].id
    hidden = _left_out(db, frame, side, native)
    if hidden is not None:
        return [hidden], []
    seen = seen_of(db, frame, side, [native]).get(native)
    views = _views(db, frame, side, native)
    items = _items(db, frame, side, native, views)
    reasons: list[Reason] = [*_in_doubt(db, frame, side, native, views)]
    if seen is None:
        reasons += [_item_reason(frame, item) for item in items]
        reasons.append(_never_seen(db, frame, side, native))
        return reasons, []
    reasons += [reason for item in items if (reason := _about(frame, item)) is not None]
    pending = _pending(db, frame, side, native, seen, stream, now, views)
    if not views and not reasons and seen.bare:
        reasons.append(_kept_as_digest(frame))
    elif not views and not reasons:
        reasons += _without_view(db, frame, side, seen)
    fields: list[FieldNow] = []
    steps: list[Step] = []
    for view in views:
        told, made = _view(db, frame, view, side)
        reasons += [reason for reason in told if reason.code not in {r.code for r in reasons}]
        steps += made
        for linked in view.linked:
            if not linked.side.gone and not view.own.gone and (side == view.anchor or linked.side.native == native):
                fields += fields_now(db, frame, view, linked, items, field)
    if pending is not None:
        doing = "; ".join(_would(step) for step in steps if step.kind in _DOING)
        said = f"{pending.text}{f'. {doing[:1].upper()}{doing[1:]}' if doing else ''}"
        held = Reason(pending.at, said, code=pending.code, flow=frame.flow.id, details=pending.details)
        blocked = {"in_doubt", "asked", "parked", "needs", "gone", "out_of_scope", "left_out", "left_alone"}
        reasons = [*reasons, held] if blocked & {r.code for r in reasons} else [held, *reasons]
    if not reasons and any(view.linked for view in views):
        reasons.append(
            Reason(seen.seen_at, "it is linked, and nothing is left to do", code="linked", flow=frame.flow.id)
        )
    return reasons, fields


def _views(db: Db, frame: Frame, side: SideName, native: str) -> list[View]:
    loader = Loader(db, frame)
    return loader.views(left=[native] if side == "left" else [], right=[native] if side == "right" else [])


def _left_out(db: Db, frame: Frame, side: SideName, native: str) -> Reason | None:
    stream = frame.streams[side].id
    if suppression.hidden_among(db, stream, [native]):
        return Reason(None, "it belongs to somebody whose records are only kept", code="restricted", flow=frame.flow.id)
    if not suppression.spared(db, stream, [native]):
        return Reason(None, "it belongs to somebody who was erased: it is left out", code="erased", flow=frame.flow.id)
    return None


def _items(db: Db, frame: Frame, side: SideName, native: str, views: list[View]) -> list[Item]:
    """Open and answered items about the record, on whichever side they hang."""
    found = {item.id: item for item in work.about(db, frame.flow.id, side, [native])}
    found |= {item.id: item for item in standing.elsewhere(db, frame.flow.id, side, [native])}
    for view in views:
        found |= {i.id: i for i in work.about(db, frame.flow.id, view.anchor, [view.own.native])}
        if view.anchor == side:
            mates = [linked.side.native for linked in view.linked]
            found |= {i.id: i for i in work.about(db, frame.flow.id, other(side), mates)}
    return [found[number] for number in sorted(found)]


def _item_reason(frame: Frame, item: Item) -> Reason:
    kind = "waiting for a decision" if item.list == "ask" else "parked"
    code = "asked" if item.list == "ask" else "needs" if item.code == "needs" else "parked"
    text = f"{kind} (no. {item.id}): {item.body.get('text', '')}"
    details: dict[str, Json] = {
        "number": item.id,
        "code": item.code,
        "tries": item.tries,
        "next_at": item.next_at,
        "problem": item.body.get("problem"),
    }
    field = "" if item.field.endswith(" ") else item.field  # of a whole record that is one of several
    return Reason(item.opened_at, text, field=field, code=code, flow=frame.flow.id, details=details)


def _about(frame: Frame, item: Item) -> Reason | None:
    if item.state == "open":
        return _item_reason(frame, item)
    by = f"{item.closed_by} decided" if item.closed_by else "decided"
    details: dict[str, Json] = {"number": item.id, "answer": item.answer}
    if item.code == ALONE:
        text = str(item.body.get("text", ""))
        return Reason(item.closed_at, text, code="left_alone", flow=frame.flow.id, details=details)
    if item.answer == "skip" and item.field == "":
        text = f"left out: {by} so (no. {item.id})"
        return Reason(item.closed_at, text, code="left_out", flow=frame.flow.id, details=details)
    text = f"{by} (no. {item.id}): {item.answer}; the next run carries it out"
    return Reason(item.closed_at, text, field=item.field, code="answered", flow=frame.flow.id, details=details)


def _in_doubt(db: Db, frame: Frame, side: SideName, native: str, views: list[View]) -> Iterator[Reason]:
    natives = {side: {native}, other(side): set()}
    for view in views:
        natives[view.anchor].add(view.own.native)
        natives[other(view.anchor)] |= {linked.side.native for linked in view.linked}
    streams = {frame.streams["left"].id: natives["left"], frame.streams["right"].id: natives["right"]}
    for intent in intents.everything(db):
        source = other("left" if intent.side == "left" else "right")
        if intent.target_native in streams.get(intent.stream, ()) or (
            intent.flow == frame.flow.id and intent.source_native in natives[source]
        ):
            text = f"an operation ({intent.kind}) of run {intent.run} is in doubt: its reply was lost; it is asked what became of it before anything else is done"
            details: dict[str, Json] = {"op": intent.op, "run": intent.run, "kind": intent.kind}
            yield Reason(intent.sent_at, text, code="in_doubt", flow=frame.flow.id, details=details)


def _never_seen(db: Db, frame: Frame, side: SideName, native: str) -> Reason:
    flow, ref = frame.flow, frame.ref(side, native)
    if due.among(db, flow.id, side, [native]):
        return Reason(None, "taken in; it is looked up by the next run", code="not_run", flow=flow.id)
    if not frame.listable(side):
        text = f"{ref} was never seen: it was not taken in (the flow takes {flow.scope.take}), or does not exist"
        return Reason(None, text, code="not_taken_in", flow=flow.id, details={"take": flow.scope.take})
    if frame.streams[side].complete_at is None:
        return Reason(
            None, f"nothing of {frame.streams[side].name} was read to its end yet", code="not_read", flow=flow.id
        )
    text = f"{ref} was never seen: it was not taken in, or does not exist (or this login may not see it)"
    return Reason(frame.streams[side].read_at, text, code="never_seen", flow=flow.id)


def _pending(
    db: Db,
    frame: Frame,
    side: SideName,
    native: str,
    seen: Observation,
    stream: int,
    now: float,
    views: list[View],
) -> Reason | None:
    """Whether the record waits for a run, and what became of the last one."""
    flow = frame.flow.id
    place = flows.position(db, flow)
    reached = 0 if place is None else place.left_seq if side == "left" else place.right_seq
    changed = seen.seq > reached and bool(flows.unsettled(db, flow, side, stream, [native]))
    edited = place is not None and place.digest != frame.flow.digest
    asked = {side: {native}, other(side): set[str]()}
    for view in views:
        asked[view.anchor].add(view.own.native)
    wished = {entry.native for entry in due.ready(db, flow, at=now) if entry.native in asked.get(entry.side, ())}
    if not (changed or wished or edited):
        return None
    last = next(iter(runs.listed(db, flow=flow, limit=1)), None)
    details: dict[str, Json] = {"change": seen.seq, "looked_up_to": reached, "run": last.id if last else None}
    if last is not None and last.state == "stopped" and last.counts.get("brake"):
        details["override"] = last.counts["brake"]
        return Reason(last.ended, f"run {last.id} was held: {last.message}", code="brake", details=details)
    if last is not None and last.state in ("failed", "stopped"):
        text = f"run {last.id} ended before it came to this: {last.message}"
        return Reason(last.ended, text, code="run_failed", details=details)
    what = "the flow was edited" if edited and not changed else "it changed" if changed else "it was asked for"
    since = "the flow has never run" if last is None else f"the flow last ran as no. {last.id}"
    text = f"{what} (change {seen.seq}); {since} and has looked up to change {reached}"
    return Reason(last.ended if last else None, text, code="not_run", details=details)


def _view(db: Db, frame: Frame, view: View, side: SideName) -> tuple[list[Reason], list[Step]]:
    """What the decision says of one view."""
    reasons: list[Reason] = []
    flow = frame.flow.id
    if view.own.excluded:
        reasons.append(
            _out_of_scope(
                db,
                frame,
                view.anchor,
                view.own.native,
                view.own.excluded,
                "out_of_scope" if view.anchor == side else "counterpart_out_of_scope",
            )
        )
    for linked in view.linked:
        if linked.side.excluded:
            code = "counterpart_out_of_scope" if view.anchor == side else "out_of_scope"
            reasons.append(_out_of_scope(db, frame, other(view.anchor), linked.side.native, linked.side.excluded, code))
    if view.own.gone and view.anchor == side:
        reasons.append(Reason(None, "it is gone there", code="gone", flow=flow))
    mine = view.anchor == side
    for gone in [linked.side for linked in view.linked if linked.side.gone]:
        code, text = (
            ("counterpart_gone", f"its counterpart {gone.label} is gone") if mine else ("gone", "it is gone there")
        )
        reasons.append(Reason(None, text, code=code, flow=flow))
    if view.own.gone and not mine:
        reasons.append(Reason(None, f"its counterpart {view.own.label} is gone", code="counterpart_gone", flow=flow))
    if frame.flow.exists == "skip" and any(linked.base and linked.base.skipped for linked in view.linked):
        text = "it was there before the flow met it, and the flow skips what exists"
        reasons.append(Reason(None, text, code="exists_skipped", flow=flow))
    if view.unseen:
        text = f"its counterpart {', '.join(view.unseen)} was made, and has not shown itself yet"
        reasons.append(Reason(None, text, code="unseen_counterpart", flow=flow))
    if frame.bare:  # of this one record and what belongs to it: nothing else was looked at
        reasons.append(_kept_as_digest(frame))
    elif view.waiting and not view.unseen and not Loader(db, frame).slots:
        text = "something it is compared with has to be read anew first; the next run does"
        reasons.append(Reason(None, text, code="to_be_read", flow=flow))
    decided = decide(frame.policy, view)
    if isinstance(decided, Need):
        text = "the other side has not been read or asked for its keys yet"
        return [*reasons, Reason(None, text, code="other_side_unread", flow=flow)], []
    if view.follows:
        text = "another record that carries its key is decided about first; it goes along"
        reasons.append(Reason(None, text, code="follows", flow=flow))
    apart = next((candidate for candidate in view.candidates if candidate.apart), None)
    if not decided and not view.linked and apart is not None:
        text = f"{apart.side.label} carries its key, but a person held them apart ({apart.apart})"
        reasons.append(Reason(None, text, code="apart", flow=flow, details={"with": apart.side.native}))
    elif not decided and not view.linked and not view.waiting and not view.own.gone and not view.follows:
        reasons.append(_unmatched(frame, view.anchor, view.own.keys))
    early = next((step.problem for step in decided if step.problem and step.problem.code == "before_start"), None)
    if early is not None:
        details: dict[str, Json] = {"dated": view.own.dated, "start": frame.flow.start}
        reasons.append(Reason(None, early.text, code="before_start", flow=flow, details=details))
    return reasons, [step for step in decided if step.kind not in ("refuse", "agree")]


def _kept_as_digest(frame: Frame) -> Reason:
    text = 'its values are not kept here (cache = "hashes"): they are read by id as soon as something changes'
    return Reason(None, text, code="let_go", flow=frame.flow.id)


def _out_of_scope(db: Db, frame: Frame, side: SideName, native: str, said: str, code: str) -> Reason:
    conditions = frame.flow.scope.left if side == "left" else frame.flow.scope.right
    seen = seen_of(db, frame, side, [native]).get(native)
    failed = unmet(conditions, seen.record) if seen and seen.record else None
    details: dict[str, Json] = {"side": side, "says": said}
    if failed is not None and seen is not None and seen.record is not None:
        details["condition"] = wanted(failed)
        details["shows"] = {name: look_up(seen.record, name) for name in fields_named([failed])}
    return Reason(None, f"outside the flow: {said}", code=code, flow=frame.flow.id, details=details)


def _unmatched(frame: Frame, anchor: SideName, keys: tuple[tuple[str, str], ...]) -> Reason:
    far = other(anchor)
    wants = ", ".join(frame.flow.match.keys)
    if not keys and frame.flow.match.keys:
        text = f"it carries none of the keys the flow matches on ({wants})"
        return Reason(None, text, code="no_key", flow=frame.flow.id, details={"keys": list(frame.flow.match.keys)})
    carried = ", ".join(f"{kind} {value}" for kind, value in keys)
    text = f"no record on the {far} carries {carried or 'a key of it'}, and the flow makes none there (create.{far} is off)"
    details: dict[str, Json] = {"keys": [list(key) for key in keys], "creates": False}
    return Reason(None, text, code="no_match", flow=frame.flow.id, details=details)


def _without_view(db: Db, frame: Frame, side: SideName, seen: Observation) -> list[Reason]:
    """A record that belongs to nobody on the other side, which leads."""
    if seen.gone:
        return [Reason(seen.seen_at, "it is gone there", code="gone", flow=frame.flow.id)]
    keys = match_values(frame.flow, seen.record) if seen.record else ()
    linked = subjects.of_records(db, frame.streams[side].id, [seen.native])
    if linked:  # by another flow, or its counterpart lies elsewhere
        return [_unmatched(frame, side, keys)]
    found = observations.carriers(db, frame.streams[other(side)].id, keys)
    if not frame.listable(other(side)) and not any(found.values()):
        text = "nobody took its counterpart in: the other side cannot be listed"
        return [Reason(None, text, code="not_taken_in", flow=frame.flow.id, details={"keys": [list(k) for k in keys]})]
    return [_unmatched(frame, side, keys)]


def _would(step: Step) -> str:
    return _DOING[step.kind].format(
        side=step.side,
        fields=", ".join(step.values),
        because=step.because.get("", ""),
        problem=step.problem.text if step.problem else "",
    )
