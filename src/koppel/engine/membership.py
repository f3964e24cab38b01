"""What is known of one thing: its records, why and since when they belong together, what people decided, what is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from koppel.engine.by_hand import KINDS
from koppel.engine.matching import said
from koppel.mapping.flow import Flow
from koppel.model.values import Json, Ref
from koppel.store import apart, observations, streams, subjects, trail, work
from koppel.store.sql import Db
from koppel.store.subjects import Seat
from koppel.store.trail import Recorded


class Belonging(msgspec.Struct, frozen=True):
    """One record of the thing. `quiet`: another record of its system leads, so flows read and write that one instead."""

    ref: str
    label: str
    role: str
    why: str
    since: float
    by: str
    gone: bool = False
    quiet: bool = False


class Decided(msgspec.Struct, frozen=True):
    """A standing decision: words, and the record it is about or keeps away."""

    text: str
    ref: str
    at: float | None
    by: str


class Asked(msgspec.Struct, frozen=True):
    """An open question or parked step about one of the records."""

    number: int
    flow: str
    ref: str
    code: str
    text: str


class Entry(msgspec.Struct, frozen=True):
    """A change by hand, and the command that takes it back."""

    number: int
    at: float
    by: str
    text: str


class Identity(msgspec.Struct, frozen=True):
    """All of it. `subject` is empty for a record that belongs with nobody."""

    ref: str
    label: str
    known: bool
    subject: str
    members: tuple[Belonging, ...]
    decisions: tuple[Decided, ...]
    open: tuple[Asked, ...]
    changes: tuple[Entry, ...]


def identity(db: Db, known: Sequence[Flow], ref: Ref) -> Identity:
    """What is known of the thing this record is of; `known` is False for a record that was never seen."""
    names = {stream.id: stream.name for stream in streams.every(db)}
    numbers = {name: number for number, name in names.items()}
    stream = numbers.get(f"{ref.connection}:{ref.resource}", 0)
    entities = {numbers.get(str(end), 0): flow.entity for flow in known for end in (flow.left, flow.right)}
    own = subjects.seats_of(db, [(stream, ref.native)])
    seats = subjects.seats(db, [own[0].subject]) if own else []
    entries = trail.read(db, subject=own[0].subject, limit=100_000) if own else []
    records = [seat.record for seat in seats] or [(stream, ref.native)]
    seen = {
        (at, native): found
        for at in dict.fromkeys(record[0] for record in records)
        for native, found in observations.load(
            db, at, [n for s, n in records if s == at], entity=entities.get(at, "company")
        ).items()
    }

    def label(record: tuple[int, str]) -> str:
        found = seen.get(record)
        return (found.record.entity.label() if found and found.record else "") or record[1]

    return Identity(
        ref=str(ref),
        label=label((stream, ref.native)),
        known=bool(own) or (stream, ref.native) in seen,
        subject=own[0].subject if own else "",
        members=tuple(
            Belonging(
                f"{names[seat.stream]}:{seat.native}",
                label(seat.record),
                seat.role,
                seat.why,
                seat.begun,
                _by(entries, seat, f"{names[seat.stream]}:{seat.native}"),
                gone=(found := seen.get(seat.record)) is not None and found.gone,
                quiet=_quiet(known, names, seats, seat),
            )
            for seat in seats
        ),
        decisions=(*_held(db, names, records), *_standing(db, known, numbers, records)),
        open=tuple(_open(db, known, numbers, records)),
        changes=tuple(
            Entry(entry.seq, entry.at, entry.actor, str((entry.data or {}).get("because", entry.kind)))
            for entry in entries
            if entry.kind in KINDS.values()
        ),
    )


def _by(entries: Sequence[Recorded], seat: Seat, ref: str) -> str:
    """Who made this a member: whoever the entry of that instant names."""
    named = [e.actor for e in entries if abs(e.at - seat.begun) < 0.001 and _names(e.data or {}, ref)]
    return named[0] if named else ""


def _names(data: Mapping[str, Json], ref: str) -> bool:
    return ref in (data.get("left"), data.get("right")) or "change" in data


def _quiet(known: Sequence[Flow], names: Mapping[int, str], seats: Sequence[Seat], seat: Seat) -> bool:
    """Whether some flow reads this system on its left and another record leads there."""
    reads = any(str(flow.left) == names[seat.stream] for flow in known)
    fellows = sorted((s for s in seats if s.stream == seat.stream), key=lambda s: (s.role != "main", s.native))
    return reads and fellows[0].native != seat.native


def _held(db: Db, names: Mapping[int, str], records: Sequence[tuple[int, str]]) -> list[Decided]:
    told: list[Decided] = []
    for held in apart.of_records(db, records):
        mine = held.one if held.one in records else held.two
        partner = held.other(mine)
        other = f"{names[partner[0]]}:{partner[1]}"
        text = f"{names[mine[0]]}:{mine[1]} is held apart from {other}: {said(held)}"
        told.append(Decided(text, other, held.at, held.by))
    return told


def _items(
    db: Db, known: Sequence[Flow], numbers: Mapping[str, int], records: Sequence[tuple[int, str]]
) -> list[tuple[work.Item, str]]:
    found: list[tuple[work.Item, str]] = []
    for flow in known:
        for side, end in (("left", flow.left), ("right", flow.right)):
            stream = numbers.get(str(end))
            natives = [native for at, native in records if at == stream]
            found += [(item, f"{end}:{item.native}") for item in work.about(db, flow.id, side, natives)]
    return found


def _standing(
    db: Db, known: Sequence[Flow], numbers: Mapping[str, int], records: Sequence[tuple[int, str]]
) -> list[Decided]:
    return [
        Decided(
            f"{item.body.get('text', item.code)}: answered {item.answer}", ref, item.closed_at, item.closed_by or ""
        )
        for item, ref in _items(db, known, numbers, records)
        if item.state == "answered"
    ]


def _open(db: Db, known: Sequence[Flow], numbers: Mapping[str, int], records: Sequence[tuple[int, str]]) -> list[Asked]:
    return [
        Asked(item.id, item.flow, ref, item.code, str(item.body.get("text", item.code)))
        for item, ref in _items(db, known, numbers, records)
        if item.state == "open"
    ]
