"""Everything that is held about one person, gathered from every table: what an export shows and an erasure takes away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain

import msgspec

from koppel.model.values import Json
from koppel.store import intents, trail
from koppel.store.people import DOCUMENTS, Marks, Person, Place, World, called, held, marks, records
from koppel.store.sql import Db, as_list
from koppel.store.trail import Recorded
from koppel.sync.base import Base
from koppel.sync.looks import is_look

Row = dict[str, Json]
PARTIES = ("customer", "party")  # the document fields that name who it is for
_SIDES = ("left", "right", "seen")  # where an entry names the records it is about
_SAYING = frozenset({"asked", "parked", "refused", "decided"})  # entries that only tell of a question or a hindrance


class Document(msgspec.Struct, frozen=True):
    """A document that must be kept: which, of what day, where that is known from, and the instant from which it need not be."""

    ref: str
    label: str
    date: str
    known_from: str
    keep_until: float


class Told(msgspec.Struct, frozen=True):
    """Entries of the trail about a person. `loose`: those that no subject of theirs seals: naming them without a subject or in a
    question about somebody else, or about a record of theirs from when it belonged elsewhere; `elsewhere`: how many entries of
    other records hold a value of theirs as those records' own."""

    entries: tuple[Recorded, ...]
    loose: tuple[int, ...]
    elsewhere: int


class Holdings(msgspec.Struct, frozen=True):
    """All of it, as plain rows. `work`, `due`: (flow, side, native) are in each row; `doubts` are operations in doubt."""

    records: tuple[Row, ...]
    links: tuple[Row, ...]
    agreed: tuple[Row, ...]
    told: Told
    work: tuple[Row, ...]
    due: tuple[Row, ...]
    hints: tuple[Row, ...]
    doubts: tuple[Row, ...]
    runs: tuple[Row, ...]
    notes: tuple[str, ...]
    documents: tuple[Document, ...]

    @property
    def keep_until(self) -> float | None:
        """When the last document that stands on the person need not be kept any more; None without any."""
        return max((document.keep_until for document in self.documents), default=None)


def gather(db: Db, world: World, person: Person, *, keep_years: int, at: float) -> Holdings:
    """Look everywhere. Reads the whole trail and every document: for a person's question, not for a run."""
    found = marks(db, world, person)
    told, papers = _trail(db, world, person, found, keep_years)
    party = _party(world, person, found)
    stored = (one.document for one in _stored(db, world, keep_years) if party.of(one))
    documents = {d.ref: d for d in (*papers, *stored) if d.keep_until > at}
    return Holdings(
        records=tuple(_records(db, world, person)),
        links=tuple(_links(db, world, person)),
        agreed=tuple(_agreed(db, world, person)),
        told=told,
        work=tuple(_work(db, world, person, found)),
        due=tuple(_due(db, world, person)),
        hints=tuple(_hints(db, world, person)),
        doubts=tuple(_doubts(db, world, person)),
        runs=tuple(_runs(db, found)),
        notes=tuple(_notes(db, found)),
        documents=tuple(sorted(documents.values(), key=lambda d: (d.keep_until, d.ref))),
    )


def standing_on(db: Db, world: World, several: Sequence[Person], *, keep_years: int, at: float) -> set[int]:
    """Which of these people, by their place, a document stands on that must still be kept. One walk through the trail and the
    documents, however many people."""
    parties = {number: _party(world, one, marks(db, world, one)) for number, one in enumerate(several)}
    if not parties:
        return set()
    places = {place.name: place for place in world.places.values()}
    papers = (paper for entry in whole_trail(db) if (paper := _paper(places, entry, keep_years)) is not None)
    stands: set[int] = set()
    for paper in chain(papers, _stored(db, world, keep_years)):
        if paper.document.keep_until > at:
            stands |= {number for number, party in parties.items() if party.of(paper)}
    return stands


def _by_stream(person: Person) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for stream, native in person.records:
        found.setdefault(stream, set()).add(native)
    return found


def _records(db: Db, world: World, person: Person) -> Iterator[Row]:
    for one in records(db, person.records):
        place = world.places.get(one.stream)
        yield {
            "ref": world.ref(one.key), "system": place.system if place else "", "kind": place.entity if place else "",
            "gone": one.gone, "seen_at": one.seen_at, "changed_at": (one.body or {}).get("m"), "version": one.version,
            "values": one.values, "own": one.own, "problems": (one.body or {}).get("p") or [],
            "stream": one.stream, "native": one.native,
        }  # fmt: skip


def _links(db: Db, world: World, person: Person) -> Iterator[Row]:
    for stream, natives in _by_stream(person).items():
        for row in db.rows(
            "select native, subject, role, why, begun from members where stream = :s"
            f" and native in (select v from {db.values()}) order by native",
            s=stream, list=as_list(natives),
        ):  # fmt: skip
            ref = world.ref((stream, row[0]))
            yield {"ref": ref, "subject": row[1], "role": row[2], "why": row[3], "since": row[4]}


def _agreed(db: Db, world: World, person: Person) -> Iterator[Row]:
    ids, mine = {*person.subjects}, _by_stream(person)
    for flow, left, right, subject, sealed in db.rows(
        "select flow, left_native, right_native, subject, body from bases order by flow, left_native, right_native"
    ):
        here = any(
            native in mine.get(world.side(flow, side) or 0, ()) for side, native in (("left", left), ("right", right))
        )
        if subject in ids or here:
            base = msgspec.json.decode(db.vault.unseal(sealed), type=Base)
            sent = {side: msgspec.to_builtins(w) for side, w in (("left", base.written_left), ("right", base.written_right)) if w}  # fmt: skip
            yield {"flow": flow, "left": left, "right": right, "as_left_shows": _said(base.left), "as_right_shows": _said(base.right), "on_their_way": sent}  # fmt: skip


def _said(agreed: dict[str, Json]) -> dict[str, Json]:
    return {key: "(only a digest)" if is_look(value) else value for key, value in agreed.items()}


def _here(world: World, mine: dict[int, set[str]], flow: str, side: str, native: str) -> bool:
    """Whether a flow's record is one of the person's. Of a flow that is not there any more the side is unknown: the id tells."""
    stream = world.side(flow, side)
    return native in mine.get(stream, ()) if stream is not None else any(native in natives for natives in mine.values())


def _work(db: Db, world: World, person: Person, found: Marks) -> Iterator[Row]:
    mine = _by_stream(person)
    for number, which, flow, side, native, field, state, code, opened_at, body, answer in db.rows(
        "select id, list, flow, side, native, field, state, code, opened_at, body, answer from work order by id"
    ):
        said = db.vault.unseal_json(body, about="work")
        answered = db.vault.unseal_json(answer, about="answer") if answer else None
        about = _here(world, mine, flow, side, native)
        if about or found.named_in([said, answered]):
            yield {
                "number": number, "list": which, "flow": flow, "side": side, "native": native, "field": field, "state": state,
                "code": code, "opened_at": opened_at, "about_somebody_else": not about, "body": said, "answer": answered,
            }  # fmt: skip


def _due(db: Db, world: World, person: Person) -> Iterator[Row]:
    mine = _by_stream(person)
    for flow, side, native, why, at in db.rows(
        "select flow, side, native, why, at from due order by flow, side, native"
    ):
        if _here(world, mine, flow, side, native):
            yield {"flow": flow, "side": side, "native": native, "why": why, "at": at}


def _hints(db: Db, world: World, person: Person) -> Iterator[Row]:
    for stream, natives in _by_stream(person).items():
        for row in db.rows(
            f"select native, at from hints where stream = :s and native in (select v from {db.values()})",
            s=stream, list=as_list(natives),
        ):  # fmt: skip
            yield {"ref": world.ref((stream, row[0])), "at": row[1]}


def _doubts(db: Db, world: World, person: Person) -> Iterator[Row]:
    mine = _by_stream(person)
    for intent in intents.everything(db):
        source = "left" if intent.side == "right" else "right"
        about = ((source, intent.source_native), (intent.side, intent.target_native))
        if any(native is not None and _here(world, mine, intent.flow, side, native) for side, native in about):
            yield {
                "op": intent.op,
                "flow": intent.flow,
                "kind": intent.kind,
                "sent_at": intent.sent_at,
                "body": intent.body,
            }


def _runs(db: Db, found: Marks) -> Iterator[Row]:
    for number, flow, message in db.rows("select id, flow, message from runs where message <> '' order by id"):
        if found.named_in(message):
            yield {"run": number, "flow": flow, "message": message}


def _notes(db: Db, found: Marks) -> Iterator[str]:
    for key, value in db.rows("select key, value from meta where key like 'note %' order by key"):
        if found.named_in([key, msgspec.json.decode(value)]):
            yield key


# --- the trail, and what must be kept -----------------------------------------------------------------------------------


def whole_trail(db: Db) -> Iterator[Recorded]:
    """Every entry, oldest first, some at a time."""
    after, size = 0, 2000
    while True:
        rows = trail.read(db, after=after, limit=size)
        yield from rows
        if len(rows) < size:
            return
        after = rows[-1].seq


def _trail(db: Db, world: World, person: Person, found: Marks, keep_years: int) -> tuple[Told, list[Document]]:
    ids, party = {*person.subjects}, _party(world, person, found)
    refs, places = {world.ref(key) for key in person.records}, {place.name: place for place in world.places.values()}
    entries: list[Recorded] = []
    loose: list[int] = []
    papers: list[Document] = []
    elsewhere = 0
    for entry in whole_trail(db):
        if entry.subject in ids:
            entries.append(entry)
        elif entry.data is not None:
            paper = _paper(places, entry, keep_years)
            if paper is not None and party.of(paper):
                papers.append(paper.document)
            about = _about(person, refs, entry.data)
            if not about and not found.named_in(entry.data):
                continue
            if about or entry.subject is None or (entry.kind in _SAYING and not entry.data.get("fields")):
                entries.append(entry)
                loose.append(entry.seq)
            else:
                elsewhere += 1
    return Told(tuple(entries), tuple(loose), elsewhere), papers


def _about(person: Person, refs: set[str], data: Row) -> bool:
    """Whether an entry tells of one of the person's records: a subject's trail outlives who left it."""
    change = data.get("change") or {}  # by hand: who sat where
    seats = [*change.get("before", ()), *change.get("after", ())]
    told = {str(data.get(side)) for side in _SIDES} | {*change.get("refs", ())}
    return bool(refs & told) or any((seat["stream"], seat["native"]) in person.records for seat in seats)


class _Paper(msgspec.Struct, frozen=True):
    """A document with the ids of its parties and where it was seen: no `connection` for one the trail tells of. `words`: those
    of a journal entry, which has no party."""

    document: Document
    parties: frozenset[str]
    connection: str = ""
    words: Row | None = None


class _Party(msgspec.Struct, frozen=True):
    """A person as documents name them: by the ids of their records, by connection, and by their marks."""

    ids: dict[str, set[str]]
    marks: Marks

    def of(self, paper: _Paper) -> bool:
        """Whether the document names them: one in the store by an id of its own connection, one in the trail by any."""
        ids = self.ids.get(paper.connection, set()) if paper.connection else set().union(*self.ids.values())
        return bool(paper.parties & ids) or (paper.words is not None and self.marks.named_in(paper.words))


def _party(world: World, person: Person, found: Marks) -> _Party:
    ids: dict[str, set[str]] = {}
    for stream, native in person.records:
        place = world.places.get(stream)
        ids.setdefault(place.connection if place else "", set()).add(native)
    return _Party(ids, found)


def _paper(places: dict[str, Place], entry: Recorded, keep_years: int) -> _Paper | None:
    """The document an entry is about, when it is one."""
    data = entry.data or {}
    for side in _SIDES:
        stream, _, native = str(data.get(side) or "").rpartition(":")
        place = places.get(stream)
        if place is None or place.entity not in DOCUMENTS:
            continue
        fields = data.get("fields") or {}
        parties = frozenset(str(value) for name in PARTIES for value in (fields.get(name) or {}).values())
        day = str((fields.get("date") or {}).get("after") or _day(entry.at))
        ref, label = place.ref(native), str(data.get("label") or native)
        return _Paper(Document(ref, label, day, "the trail", kept_until(day, keep_years, seen_at=entry.at)), parties)
    return None


def _stored(db: Db, world: World, keep_years: int) -> Iterator[_Paper]:
    """The documents in the store."""
    for stream, place in world.places.items():
        if place.entity not in DOCUMENTS:
            continue
        for one in held(db, stream):
            day = str(one.values.get("date") or _day(one.seen_at))
            label = " ".join(part for part in (place.entity.replace("_", " "), called(one.values)) if part)
            until = kept_until(day, keep_years, seen_at=one.seen_at)
            document = Document(world.ref(one.key), label, day, "the store", until)
            parties = frozenset(str(one.values[name]) for name in PARTIES if one.values.get(name))
            yield _Paper(document, parties, place.connection, one.values if place.entity == "journal_entry" else None)


def kept_until(day: str, keep_years: int, *, seen_at: float) -> float:
    """The instant from which a document of that day need not be kept: so many whole years after its book year, which is
    taken to be the calendar year. A day that cannot be read counts as the one it was seen on."""
    year = int(day[:4]) if day[:4].isdigit() else int(_day(seen_at)[:4])
    return datetime(year + keep_years + 1, 1, 1, tzinfo=UTC).timestamp()


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
