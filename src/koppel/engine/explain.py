"""Why does this field show this value, or why did nothing happen: answered from the trail and the store, without a call."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from koppel.engine.noticed import named
from koppel.model.values import Json, Ref
from koppel.store import intents, observations, streams, subjects, trail, work
from koppel.store.observations import Observation
from koppel.store.sql import Db
from koppel.store.trail import Recorded
from koppel.store.work import Item


class Reason(msgspec.Struct, frozen=True):
    """One line of an explanation: when, what, who, and the trail entry that says so (0: the store's present state)."""

    at: float | None
    text: str
    entry: int = 0
    actor: str = ""
    field: str = ""
    before: Json = None
    after: Json = None


class Explanation(msgspec.Struct, frozen=True):
    """All there is to say about a record, or one field of it: its members, its history, what is open."""

    ref: str
    label: str
    known: bool
    members: tuple[str, ...]
    history: tuple[Reason, ...]
    open: tuple[Reason, ...]


def explain(db: Db, ref: Ref, *, field: str | None, entity: str = "company") -> Explanation:
    """Explain a record. `field` narrows it to one field (a rule key such as `address`)."""
    stream = next((s for s in streams.every(db) if s.connection == ref.connection and s.resource == ref.resource), None)
    if stream is None:
        return Explanation(
            str(ref),
            ref.native,
            False,
            (),
            (),
            (Reason(None, f"nothing of {ref.connection}:{ref.resource} has been read yet"),),
        )
    seen = observations.load(db, stream.id, [ref.native], entity=entity).get(ref.native)
    member = subjects.of_records(db, stream.id, [ref.native]).get(ref.native)
    members: list[str] = []
    history: list[Reason] = []
    related = [(stream.id, ref.native)]
    if member is not None:
        for other in streams.every(db):
            for one in subjects.of_subjects(db, other.id, [member.subject]).get(member.subject, []):
                members.append(f"{other.name}:{one.native} ({one.role}; {one.why})")
                related.append((other.id, one.native))
        entries = trail.read(db, subject=member.subject, limit=10_000)
    else:
        entries = [
            entry
            for entry in trail.read(db, limit=10_000, newest_first=True)
            if entry.data and str(ref) in (entry.data.get("left"), entry.data.get("right"))
        ][::-1]
    for entry in entries:
        history += _told(entry, ref if member is None else None, field)
    now = _present(db, ref, seen, linked=member is not None, related=related, field=field)
    label = named(seen.record if seen else None, ref.native)
    return Explanation(str(ref), label, seen is not None, tuple(members), tuple(history), tuple(now))


def _told(entry: Recorded, only: Ref | None, field: str | None) -> list[Reason]:
    data = entry.data
    if data is None:
        return [Reason(entry.at, f"{entry.kind} (the details were erased)", entry.seq, entry.actor)]
    _ = only
    target = data.get(data.get("target", ""), "")
    told: list[Reason] = []
    for name, change in data.get("fields", {}).items():
        if field in (None, name):
            told.append(
                Reason(
                    entry.at,
                    f"{entry.kind} {target}: {change.get('because') or 'given at creation'}",
                    entry.seq,
                    entry.actor,
                    name,
                    change.get("before"),
                    change.get("after"),
                )
            )
    if not told and (
        field is None
        or field in data.get("kept", {})
        or (data.get("problem") or {}).get("field") == field
        or not data.get("fields")
    ):
        why = data.get("because") or (data.get("problem") or {}).get("text") or ""
        told.append(Reason(entry.at, f"{entry.kind} {target}{f': {why}' if why else ''}", entry.seq, entry.actor))
    return told


def _present(
    db: Db, ref: Ref, seen: Observation | None, *, linked: bool, related: Sequence[tuple[int, str]], field: str | None
) -> list[Reason]:
    now: list[Reason] = []
    if seen is None:
        now.append(Reason(None, f"{ref} was never seen: it was not taken in, or does not exist"))
    elif seen.gone:
        now.append(Reason(seen.seen_at, "it is gone there"))
    elif not linked:
        now.append(
            Reason(
                seen.seen_at,
                "it is known but linked to nothing: no flow took it in, it is outside every scope, or a question about it is open",
            )
        )
    natives = {native for _, native in related}
    for which in ("ask", "parked"):
        items = [item for item in work.listed(db, which) if item.native in natives]
        now += [_open(item) for item in items if field is None or item.field in ("", field)]
    now += [
        Reason(
            intent.sent_at,
            f"an operation ({intent.kind}) of run {intent.run} is in doubt: its reply was lost; it is asked what became of it before anything else is done",
        )
        for intent in intents.everything(db)
        if intent.source_native in natives or intent.target_native in natives
    ]
    return now


def _open(item: Item) -> Reason:
    kind = "waiting for a decision" if item.list == "ask" else "parked"
    return Reason(item.opened_at, f"{kind} (no. {item.id}): {item.body.get('text', '')}", 0, "", item.field)
