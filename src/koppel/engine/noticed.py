"""What people change at a vendor in linked records, outside every rule: recorded, so that the trail also shows what stayed.

A field that some flow has agreed on needs no entry here: putting it right, adopting it or asking about it has one of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from koppel.model.record import Record
from koppel.model.values import Json, Ref
from koppel.store import flows, observations, subjects, suppression, trail
from koppel.store.observations import Seen
from koppel.store.sql import Db

_KEPT = "changed there; no flow owns it, so it stays"


def note_edits(
    db: Db, connection: str, resource: str, entity: str, stream: int, seen: Sequence[Seen], *, at: float
) -> None:
    """Record changed fields of linked records, before the new values are stored over the old ones."""
    shown = {item.native: item.record for item in seen if item.record is not None}
    members = subjects.of_records(db, stream, suppression.spared(db, stream, shown))
    if not members:
        return
    before = observations.load(db, stream, members, entity=entity)
    owned = flows.agreed_fields(db, {member.subject for member in members.values()})
    entries: list[trail.Entry] = []
    for native, member in members.items():
        old, new = before[native].record if native in before else None, shown[native]
        if old is None or before[native].gone:
            continue
        changed = _changed(old, new, owned.get(member.subject, set()))
        if changed:
            data: dict[str, Json] = {"label": named(new, native), "target": "seen", "seen": str(Ref(connection, resource, native)), "fields": changed}  # fmt: skip
            entries.append(trail.Entry(at, connection, "noticed", data, subject=member.subject))
    trail.append(db, entries)


def named(record: Record | None, native: str) -> str:
    """What people call a record: its name alone where it has one."""
    return (getattr(record.entity, "name", None) or record.entity.label() or native) if record else native


def _changed(old: Record, new: Record, owned: set[str]) -> dict[str, Json]:
    was, shown = old.builtins(), new.builtins()
    return {
        name: {"before": was.get(name), "after": shown.get(name), "because": _KEPT}
        for name in sorted({*was, *shown} - owned)
        if was.get(name) != shown.get(name)
    }
