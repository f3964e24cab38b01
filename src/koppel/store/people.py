"""Finding a person among what is held: by id, e-mail address, name, phone or registered number, part by part.

A person is a set of records: those that were found, the other members of their subjects, and whatever carries the same strong
personal key. Who stands before it (a command) shows that set before anything is done with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from koppel.model.values import Json
from koppel.model.versions import ENTITIES, read_record
from koppel.store import subjects
from koppel.store.sql import Db, as_list, as_rows
from koppel.store.suppression import PERSONAL_KEYS

DOCUMENTS = frozenset({"order", "invoice", "journal_entry"})
_PAGE = 2000
_NAMES = ("name", "trade_name", "statutory_name")
_SEARCHED = frozenset(
    {
        *_NAMES,
        "last_name",
        "email",
        "phone",
        "mobile",
        "website",
        "code",
        "kvk",
        "branch",
        "rsin",
        "vat_number",
        "vat_candidate",
    }
)
_MARKS = ("email", "phone", "mobile", "kvk", "vat_number", "vat_candidate", "rsin", "branch", *_NAMES)
Key = tuple[int, str]  # stream, native id


class Place(msgspec.Struct, frozen=True):
    """A stream as people know it. `entity` is empty when its connection cannot be opened any more."""

    stream: int
    name: str
    connection: str
    system: str
    entity: str

    def ref(self, native: str) -> str:
        """The full reference of a record."""
        return f"{self.name}:{native}"


class World(msgspec.Struct, frozen=True):
    """Where things are: streams by number, and flows with the streams of their left and right."""

    places: dict[int, Place]
    flows: dict[str, tuple[int, int]]

    def ref(self, record: Key) -> str:
        """The full reference of a record."""
        place = self.places.get(record[0])
        return place.ref(record[1]) if place else f"stream {record[0]}:{record[1]}"

    def side(self, flow: str, side: str) -> int | None:
        """The stream a flow calls left or right; None for a flow that is not there any more."""
        ends = self.flows.get(flow)
        return None if ends is None else ends[0 if side == "left" else 1]


class Held(msgspec.Struct, frozen=True):
    """One observation as it lies in the store. `body` is None when no values are kept."""

    stream: int
    native: str
    version: str
    entity_version: int
    gone: bool
    seen_at: float
    body: dict[str, Json] | None

    @property
    def key(self) -> Key:
        """Where it lies."""
        return self.stream, self.native

    @property
    def values(self) -> dict[str, Json]:
        """The canonical values."""
        return (self.body or {}).get("e") or {}

    @property
    def own(self) -> dict[str, Json]:
        """The vendor's own fields."""
        return (self.body or {}).get("o") or {}


class Person(msgspec.Struct, frozen=True):
    """One person's records and subjects. `why` says what each record was found by; `personal`: whether anything says that
    these are a person's data (a contact, a sole trader), and not a firm's."""

    label: str
    records: tuple[Key, ...]
    subjects: tuple[str, ...]
    why: dict[str, str]
    personal: bool


def held(db: Db, stream: int, natives: Iterable[str] | None = None) -> Iterator[Held]:
    """Observations of a stream, all or these, page by page."""
    after = ""
    only = "" if natives is None else f" and native in (select v from {db.values()})"
    given = {} if natives is None else {"list": as_list(natives)}
    while True:
        rows = db.rows(
            "select native, version, entity_version, gone, seen_at, vals from observations where stream = :s and native > :a"
            f"{only} order by native limit :n",
            s=stream, a=after, n=_PAGE, **given,
        )  # fmt: skip
        for native, version, entity_version, gone, seen_at, sealed in rows:
            body = db.vault.unseal_json(sealed, about=native) if sealed else None
            yield Held(stream, native, version, entity_version, bool(gone), seen_at, body)
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]


def records(db: Db, keys: Iterable[Key]) -> list[Held]:
    """The observations there are of these records."""
    by_stream: dict[int, list[str]] = {}
    for stream, native in keys:
        by_stream.setdefault(stream, []).append(native)
    return [one for stream, natives in sorted(by_stream.items()) for one in held(db, stream, natives)]


def called(values: Mapping[str, Json]) -> str:
    """What a record's values call it: a name, or a number."""
    person = " ".join(str(values[part]) for part in ("first_name", "prefix", "last_name") if values.get(part))
    return person or str(next((values[n] for n in (*_NAMES, "email", "number", "kvk", "code") if values.get(n)), ""))


# --- searching ----------------------------------------------------------------------------------------------------------


def fold(text: str) -> str:
    """A text as it is compared: small letters, single spaces."""
    return " ".join(text.casefold().split())


def leaves(value: Json, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text inside a JSON value, with its path."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from leaves(part, path)
    elif isinstance(value, str) and value.strip():
        yield path, value


def reader(text: str) -> Callable[[Held], str]:
    """What a record is found by when this is typed: a function answering with words, empty when it is not found."""
    wanted, compact, digits = fold(text), _compact(text), re.sub(r"\D", "", text)
    phone = digits[-9:] if len(digits) >= 9 and re.fullmatch(r"[+\d][\d\s().\-/]{7,}", text.strip()) else ""
    words = {word for word in re.split(r"[\s,]+", wanted) if word}
    by_name = any(len(word) > 2 and not word.isdigit() for word in words) and "@" not in wanted

    def found(record: Held) -> str:
        if record.native == text.strip():
            return "its id"
        named = {name: value for name, value in record.values.items() if name in _SEARCHED}
        for path, value in [*leaves(named), *leaves(record.own)]:
            if len(wanted) > 3 and (fold(value) == wanted or (len(compact) > 5 and _compact(value) == compact)):
                return path.replace("_", " ")
            if phone and re.sub(r"\D", "", value).endswith(phone) and len(value) < 25:
                return path.replace("_", " ")
        names = [called(record.values), *(str(record.values.get(name) or "") for name in _NAMES)]
        if by_name and any(words <= {*re.split(r"[\s,]+", fold(name))} for name in names if name):
            return "name"
        return ""

    return found


def _compact(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.casefold())


def search(db: Db, world: World, text: str) -> dict[Key, str]:
    """Records found by what was typed, each with what it was found by. Documents are not people, and not looked at."""
    found_by = reader(text)
    hits: dict[Key, str] = {}
    for stream, place in world.places.items():
        if place.entity in DOCUMENTS or place.entity == "product":
            continue
        for one in held(db, stream):
            why = found_by(one)
            if why:
                hits[one.key] = why
    return hits


def whole(db: Db, world: World, start: Mapping[Key, str]) -> Person:
    """The person these records belong to: with the other members of their subjects, and whatever carries the same key."""
    why, new = dict(start), dict(start)
    ids: set[str] = set()
    while new:
        found: dict[Key, str] = {}
        mine = _subjects_of(db, new) - ids
        ids |= mine
        for key in _members_of(db, mine):
            found.setdefault(key, "linked")
        for key, kind in _sharing(db, world, new):
            found.setdefault(key, f"the same {kind.replace('_', ' and ')}")
        new = {key: because for key, because in found.items() if key not in why}
        why |= new
    seen = records(db, why)
    label = next((called(one.values) for one in seen if called(one.values)), "") or world.ref(next(iter(why)))
    entities = {world.places[stream].entity for stream, _ in why if stream in world.places}
    personal = "contact" in entities or any(one.values.get("personal") for one in seen)
    return Person(
        label, tuple(sorted(why)), tuple(sorted(ids)), {world.ref(key): text for key, text in why.items()}, personal
    )


def people(db: Db, world: World, hits: Mapping[Key, str]) -> list[Person]:
    """What was found, person by person."""
    found: list[Person] = []
    left = dict(hits)
    while left:
        first = next(iter(left))
        person = whole(db, world, {first: left[first]})
        found.append(person)
        left = {key: why for key, why in left.items() if key not in {*person.records}}
    return found


def _subjects_of(db: Db, keys: Iterable[Key]) -> set[str]:
    by_stream: dict[int, list[str]] = {}
    for stream, native in keys:
        by_stream.setdefault(stream, []).append(native)
    return {m.subject for s, natives in by_stream.items() for m in subjects.of_records(db, s, natives).values()}


def _members_of(db: Db, ids: Iterable[str]) -> list[Key]:
    rows = db.rows(
        f"select stream, native from members where subject in (select v from {db.values()}) order by stream, native",
        list=as_list(ids),
    )
    return [(row[0], row[1]) for row in rows]


def _sharing(db: Db, world: World, keys: Iterable[Key]) -> list[tuple[Key, str]]:
    """Records of any stream that carry one of these records' strong personal keys, with the kind of key."""
    digests = key_digests(db, keys)
    if not digests:
        return []
    columns = {"kind": "text", "value": "text"}
    return [
        ((stream, row[0]), row[1])
        for stream in world.places
        for row in db.rows(
            f"select k.native, k.kind from {db.table(columns)} cross join match_keys k"
            " where k.stream = :s and k.kind = given.kind and k.value = given.value order by k.native",
            s=stream, rows=as_rows(digests),
        )
    ]  # fmt: skip


def key_digests(db: Db, keys: Iterable[Key]) -> list[tuple[str, str]]:
    """The strong personal keys of these records, as (kind, digest): those they can be found by in the store."""
    columns = {"stream": "big", "native": "text"}
    rows = db.rows(
        f"select distinct k.kind, k.value from {db.table(columns)} cross join match_keys k{db.by('match_keys_native')}"
        " where k.stream = given.stream and k.native = given.native order by k.kind, k.value",
        rows=as_rows(keys),
    )
    return [(row[0], row[1]) for row in rows if row[0] in PERSONAL_KEYS]


def every_key(db: Db, world: World, keys: Iterable[Key]) -> list[tuple[str, str]]:
    """`key_digests`, and those of the values that are kept of records that are gone: the store finds nobody by these."""
    digests = dict.fromkeys(key_digests(db, keys))
    for one in records(db, keys):
        entity = world.places[one.stream].entity if one.stream in world.places else ""
        if entity in ENTITIES and one.values:
            record = read_record(entity, one.entity_version, one.values, {})
            digests |= {(kind, db.vault.digest_key(kind, value)): None for kind, value in record.entity.match_keys()}
    return [key for key in digests if key[0] in PERSONAL_KEYS]


# --- being named ------------------------------------------------------------------------------------------------------------


class Marks(msgspec.Struct, frozen=True):
    """What a text names a person by: whole texts (refs, ids), and parts of texts (full name, e-mail address, numbers)."""

    texts: frozenset[str]
    parts: tuple[str, ...]

    def named_in(self, value: Json) -> bool:
        """Whether a JSON value names the person anywhere."""
        for _, text in leaves(value):
            folded = fold(text)
            if folded in self.texts or any(part in folded for part in self.parts):
                return True
        return False


def marks(db: Db, world: World, person: Person) -> Marks:
    """The marks of a person, from the values that are held. Short ids and single words name too many others."""
    texts = {fold(world.ref(key)) for key in person.records}
    texts |= {fold(native) for _, native in person.records if len(native) > 5}
    parts: set[str] = set()
    for one in records(db, person.records):
        name = called(one.values)
        parts |= {fold(str(one.values[field])) for field in _MARKS if one.values.get(field)}
        parts |= {fold(name)} if " " in name else set()
    return Marks(frozenset(texts), tuple(sorted(part for part in parts if len(part) > 5)))
