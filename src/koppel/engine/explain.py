"""Why does this field show this value, or why did nothing happen: answered from the trail and the store, without a call.

The chain of what happened is observation → rule → policy → operation → receipt, one link of it per field and entry; what did
not happen is asked of the decision itself (`why_not`, `why_field`).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from koppel.engine import provenance
from koppel.engine.frame import Frame, make_frame
from koppel.engine.noticed import named
from koppel.engine.ports import Ports
from koppel.engine.reasons import Reason, code_of
from koppel.engine.why_field import FieldNow
from koppel.engine.why_not import why_not
from koppel.mapping.flow import Endpoint, Flow, SideName
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.model.values import Json, Ref
from koppel.store import observations, postings, streams, subjects, suppression, trail
from koppel.store.sql import Db
from koppel.store.streams import Stream
from koppel.store.trail import Recorded

SIDES: tuple[SideName, SideName] = ("left", "right")
_LATE = 10_000  # entries of the trail looked through for a record that belongs to nothing


class Explanation(msgspec.Struct, frozen=True):
    """All there is to say about a record, or one field of it: its members, its history, its fields, what stands in the way
    (`open`: the first of a flow is what would have to change). `documents`: what is posted together in it."""

    ref: str
    label: str
    known: bool
    members: tuple[str, ...]
    history: tuple[Reason, ...]
    open: tuple[Reason, ...]
    fields: tuple[FieldNow, ...] = ()
    documents: tuple[str, ...] = ()


def explain(
    ports: Ports,
    flows: Mapping[str, Flow],
    ref: Ref,
    *,
    field: str | None = None,
    transforms: Mapping[str, Transform] = TRANSFORMS,
    broken: Mapping[str, str] | None = None,
) -> Explanation:
    """Explain a record, in every flow that reads or writes it. `field` narrows it to one field (a rule key such as `address`);
    `broken` names flows whose connections cannot be opened, and why."""
    touching: dict[str, SideName] = {
        name: side for name, flow in flows.items() if (side := _side_of(flow, ref)) is not None
    }
    frames = {
        name: make_frame(ports, flows[name], transforms=transforms) for name in touching if name not in (broken or {})
    }
    entity = next((flows[name].entity for name in touching), None) or _entity_of(ports, ref)
    together = {name: flow for name, flow in flows.items() if flow.group is not None}
    return ports.store.run(_explained, ref, touching, frames, field, entity, ports.clock.now(), broken or {}, together)


def _entity_of(ports: Ports, ref: Ref) -> str:
    """What a resource that no flow ends at holds."""
    try:
        return ports.at(Endpoint(ref.connection, ref.resource))[1].entity or "company"
    except KeyError:
        return "company"


def _side_of(flow: Flow, ref: Ref) -> SideName | None:
    return next((side for side in SIDES if str(flow.endpoint(side)) == f"{ref.connection}:{ref.resource}"), None)


def _explained(
    db: Db,
    ref: Ref,
    touching: Mapping[str, SideName],
    frames: Mapping[str, Frame],
    field: str | None,
    entity: str,
    now: float,
    broken: Mapping[str, str],
    together: Mapping[str, Flow],
) -> Explanation:
    stream = next((s for s in streams.every(db) if s.connection == ref.connection and s.resource == ref.resource), None)
    if stream is None:
        nothing = Reason(None, f"nothing of {ref.connection}:{ref.resource} has been read yet", code="not_read")
        return Explanation(str(ref), ref.native, False, (), (), (nothing,))
    hidden = bool(suppression.hidden_among(db, stream.id, [ref.native]))
    seen = None if hidden else observations.load(db, stream.id, [ref.native], entity=entity).get(ref.native)
    members, history = ([], []) if hidden else _history(db, ref, stream, field)
    reasons: list[Reason] = []
    told: list[FieldNow] = []
    for name, side in touching.items():
        if name not in frames:
            reasons.append(Reason(None, broken[name], code="set_up", flow=name))
            continue
        frame = frames[name]
        key = _rule_key(frame, field)
        if field is not None and key is None:
            known: list[Json] = [*frame.policy.shapes]
            text = f"the flow does not name the field {field}: it is never touched"
            reasons.append(Reason(None, text, field=field, code="not_in_flow", flow=name, details={"fields": known}))
            continue
        why, fields = why_not(db, frame, side, ref.native, field=key, now=now)
        reasons += [r for r in why if key is None or _concerns(r.field, key)]
        told += fields
        reasons += [_field_reason(one) for one in fields if key is not None]
    counted = [] if hidden else [reason for flow in together.values() for reason in _counted_in(db, flow, ref)]
    reasons += counted
    if not touching and not counted:
        reasons.append(Reason(None, f"no flow of this workspace reads or writes {stream.name}", code="no_flow"))
    label = named(seen.record if seen else None, ref.native)
    documents = tuple(
        one for name in touching if name in together for one in _documents(db, together[name], ref, stream)
    )
    return Explanation(
        str(ref), label, seen is not None, tuple(members), tuple(history), tuple(reasons), tuple(told), documents
    )


def _counted_in(db: Db, flow: Flow, ref: Ref) -> list[Reason]:
    """The postings a document is counted in."""
    if flow.group is None or str(flow.group.source) != f"{ref.connection}:{ref.resource}":
        return []
    derived = streams.named(db, flow.left.connection, flow.left.resource)
    found = postings.postings_of(db, derived.id, ref.native) if derived else []
    return [Reason(None, f"counted in {flow.left}:{one}", code="posted_together", flow=flow.id) for one in found]


def _documents(db: Db, flow: Flow, ref: Ref, stream: Stream) -> list[str]:
    """The documents a posting holds, asked of what is made of them or of what was posted."""
    derived = streams.named(db, flow.left.connection, flow.left.resource)
    if derived is None or flow.group is None:
        return []
    natives = [ref.native]
    if stream.id != derived.id:
        member = subjects.of_records(db, stream.id, natives).get(ref.native)
        mates = subjects.of_subjects(db, derived.id, [member.subject]).get(member.subject, []) if member else []
        natives = [mate.native for mate in mates]
    return [f"{flow.group.source}:{one}" for native in natives for one in postings.documents_of(db, derived.id, native)]


def _rule_key(frame: Frame, field: str | None) -> str | None:
    """The rule a typed field means: its key, or a vendor's own field by name."""
    if field is None or field in frame.policy.shapes:
        return field
    return next((key for key in frame.policy.shapes if key in (f"left:{field}", f"right:{field}")), None)


def _concerns(field: str, key: str) -> bool:
    """Whether a reason about a field (or "<right id> field") or about the whole record concerns this field."""
    name = field.rpartition(" ")[2]
    return name in ("", key, "missing", "scope")


def _field_reason(now: FieldNow) -> Reason:
    return Reason(
        now.at,
        now.text,
        now.origin.entry if now.origin else 0,
        field=now.field,
        before=now.left,
        after=now.right,
        code=now.code,
        flow=now.flow,
        details={**now.details, "left": now.left, "right": now.right, "agreed": list(now.agreed), "rule": now.rule},
        origin=now.origin,
    )


# --- what happened ------------------------------------------------------------------------------------------------------


def _history(db: Db, ref: Ref, stream: Stream, field: str | None) -> tuple[list[str], list[Reason]]:
    member = subjects.of_records(db, stream.id, [ref.native]).get(ref.native)
    members: list[str] = []
    if member is not None:
        for other in streams.every(db):
            mates = subjects.of_subjects(db, other.id, [member.subject]).get(member.subject, [])
            members += [f"{other.name}:{one.native} ({one.role}; {one.why})" for one in mates]
        entries = trail.read(db, subject=member.subject, limit=_LATE)
    else:
        entries = [
            entry
            for entry in trail.read(db, limit=_LATE, newest_first=True)
            if entry.data and str(ref) in (entry.data.get("left"), entry.data.get("right"))
        ][::-1]
    return members, [reason for entry in entries for reason in _told(entry, field)]


def _told(entry: Recorded, field: str | None) -> list[Reason]:
    data = entry.data
    if data is None:
        return [Reason(entry.at, f"{entry.kind} (the details were erased)", entry.seq, entry.actor, code=entry.kind)]
    target, flow = data.get(data.get("target", ""), ""), str(data.get("flow", ""))
    told: list[Reason] = []
    for name, change in data.get("fields", {}).items():
        if field in (None, name) or name.endswith(f":{field}"):
            because = change.get("because") or ("given at creation" if entry.kind == "created" else "")
            told.append(
                Reason(
                    entry.at,
                    f"{entry.kind} {target}{f': {because}' if because else ''}",
                    entry.seq,
                    entry.actor,
                    name,
                    change.get("before"),
                    change.get("after"),
                    code_of(str(change.get("because") or "")) or entry.kind,
                    flow,
                    _operation(entry),
                    provenance.read(entry, name),
                )
            )
    for name, both in {**data.get("agreed", {}), **data.get("kept", {})}.items():
        if field == name or (field is None and name in data.get("kept", {})):
            note = str(data.get("notes", {}).get(name) or data.get("because") or "both sides show the same")
            told.append(
                Reason(
                    entry.at,
                    f"{entry.kind}: {note}",
                    entry.seq,
                    entry.actor,
                    name,
                    both[0],
                    both[-1],
                    code_of(note) or entry.kind,
                    flow,
                    origin=provenance.read(entry, name),
                )
            )
    if not told and (
        field is None
        or (data.get("problem") or {}).get("field") == field
        or not (data.get("fields") or data.get("agreed"))
    ):
        why = data.get("because") or (data.get("problem") or {}).get("text") or data.get("question") or ""
        text = f"{entry.kind} {target}{f': {why}' if why else ''}"
        told.append(
            Reason(entry.at, text, entry.seq, entry.actor, code=entry.kind, flow=flow, details=_operation(entry))
        )
    return told


def _operation(entry: Recorded) -> dict[str, Json]:
    """The operation and its receipt: by which id it travelled, and how we know that it arrived."""
    data = entry.data or {}
    if entry.op is None:
        return {}
    receipt = "probe" if data.get("by_probe") else "refused" if entry.kind == "refused" else "reply"
    told: dict[str, Json] = {"op": entry.op, "run": entry.run, "receipt": receipt}
    if data.get("receipt"):
        told["version"] = data["receipt"]
    return told
