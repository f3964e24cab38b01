"""A store with two sides of any size, kept in step but for differences planted one by one: what a full comparison must find,
all of it and nothing else. For tests and for `benchmarks/reconcile.py`; built in the store directly, in parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import msgspec

from koppel.engine.frame import make_frame
from koppel.mapping.flow import Condition, Endpoint, FieldRule, Flow, Match, Scope
from koppel.model.company import Company
from koppel.model.problem import Problem
from koppel.model.record import Record
from koppel.model.values import Json
from koppel.store import flows, observations, streams, subjects, trail
from koppel.store.flows import Position, StoredBase
from koppel.store.observations import Seen
from koppel.store.sql import Db, as_list
from koppel.store.subjects import Member
from koppel.sync.base import Base, Written
from koppel.testing.pair_desk import PairDesk

AT = 1_700_000_000.0
PART = 1000
SCOPE = (Condition(field="employees", is_not=0),)
PLANTED = Flow(
    id="planted",
    title="Planted",
    entity="company",
    left=Endpoint("left", "customers"),
    right=Endpoint("right", "shops"),
    fields=(
        FieldRule("name"),
        FieldRule("kvk"),
        FieldRule("phone"),
        FieldRule("email", "right"),
        FieldRule("website", "ask"),
        FieldRule("legal_form", "left", drift="leave"),
    ),
    match=Match(keys=("kvk",)),
    scope=Scope(left=SCOPE, right=SCOPE),
    create_right=True,
    digest="1",
)
PATHS = tuple(rule.path for rule in PLANTED.fields)
PERSON = "decided by a person: both stay"

# kind, verdict, left, right, field, left value, right value
Expected: TypeAlias = tuple[str, str, str | None, str | None, str, Json, Json]


def plant(desk: PairDesk, pairs: int, *, every: int = 100) -> list[Expected]:
    """Build `pairs` on both sides, one in `every` with a difference, each kind of difference in turn; returns what there is to
    find."""
    frame = make_frame(desk.ports, PLANTED)
    left, right = frame.streams["left"].id, frame.streams["right"].id
    expected: list[Expected] = []
    for start in range(1, pairs + 1, PART):
        numbers = range(start, min(start + PART, pairs + 1))
        odd = [number for number in numbers if number % every == 0]
        desk.store.run(_ordinary, left, right, [number for number in numbers if number % every], AT)
        expected += desk.store.run(_odd, left, right, odd, every)
    desk.store.run(_looked, left, right)
    return expected


def _looked(db: Db, left: int, right: int) -> None:
    for stream in (left, right):
        streams.move_cursor(db, stream, cursor=None, next_page=None, complete=True, at=AT)
    seqs = [streams.get(db, stream).seq for stream in (left, right)]
    flows.move(db, PLANTED.id, Position(PLANTED.digest, {}, *seqs))


def company(number: int, **given: Json) -> Company:
    """A company of that number."""
    usual: dict[str, Json] = {
        "name": f"Bedrijf {number:07}",
        "kvk": f"{number:08}",
        "phone": f"+3120{number:07}",
        "email": f"info@bedrijf-{number:07}.example",
        "website": f"bedrijf-{number:07}.example",
        "legal_form": "BV",
        "employees": 1,
    }
    return msgspec.convert(usual | given, Company)


def _see(db: Db, stream: int, seen: Iterable[tuple[str, Company | None]], problems: Sequence[Problem] = ()) -> None:
    observations.take_in(
        db,
        stream,
        [
            Seen(
                native, Record(one) if one else None, version="1", modified_at=AT, raw_digest="r",
                keys=one.match_keys() if one else (), problems=tuple(problems),
            )
            for native, one in seen
        ],
        at=AT,
    )  # fmt: skip


def _link(db: Db, left: int, right: int, pairs: Sequence[tuple[str, str]]) -> None:
    ids = subjects.create_many(db, len(pairs), at=AT)
    members = [
        member
        for (one, two), subject in zip(pairs, ids, strict=True)
        for member in (Member(left, one, subject, "main", "planted"), Member(right, two, subject, "main", "planted"))
    ]
    subjects.join_many(db, members, at=AT)


def _agree(
    db: Db, left: int, right: int, pairs: Sequence[tuple[str, str, Company, Company]], *, extra: Base | None = None
) -> None:
    """Bases of linked pairs, as settled as they look."""
    given = extra or Base()
    digests = [_digests(db, left, [p[0] for p in pairs]), _digests(db, right, [p[1] for p in pairs])]
    members = subjects.of_records(db, left, [p[0] for p in pairs])
    flows.save_bases(
        db,
        PLANTED.id,
        [
            StoredBase(
                one,
                two,
                members[one].subject,
                msgspec.structs.replace(given, left=_values(a), right=_values(b)),
                digests[0][one],
                digests[1][two],
                1,
            )
            for one, two, a, b in pairs
        ],
    )


def _values(one: Company) -> dict[str, Json]:
    shown = msgspec.to_builtins(one)
    return {path: shown.get(path) for path in PATHS}


def _digests(db: Db, stream: int, natives: Iterable[str]) -> dict[str, str]:
    find = f"select native, digest from observations where stream = :s and native in (select v from {db.values()})"
    return {row[0]: row[1] for row in db.rows(find, s=stream, list=as_list(natives))}


def _ordinary(db: Db, left: int, right: int, numbers: Sequence[int], at: float) -> None:
    """Pairs on which nothing is to be said."""
    _ = at
    pairs = [(f"L{n:07}", f"R{n:07}", company(n), company(n)) for n in numbers]
    _see(db, left, [(p[0], p[2]) for p in pairs])
    _see(db, right, [(p[1], p[3]) for p in pairs])
    _link(db, left, right, [(p[0], p[1]) for p in pairs])
    _agree(db, left, right, pairs)


def _odd(db: Db, left: int, right: int, numbers: Sequence[int], every: int) -> list[Expected]:
    found: list[Expected] = []
    for number in numbers:
        plants = list(_PLANTS)
        found += plants[number // every % len(plants)](db, left, right, number)
    return found


def _pair(db: Db, left: int, right: int, number: int, **right_has: Json) -> tuple[str, str]:
    one, two = f"L{number:07}", f"R{number:07}"
    a, b = company(number), company(number, **right_has)
    _see(db, left, [(one, a)])
    _see(db, right, [(two, b)])
    _link(db, left, right, [(one, two)])
    _agree(db, left, right, [(one, two, a, b)])
    return one, two


def _edited(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    """The left changed what it owns."""
    one, two = _pair(db, left, right, number)
    _see(db, left, [(one, company(number, phone="+31201111111", name="Andere naam"))])
    yield "differs", "mend", one, two, "phone", "+31201111111", f"+3120{number:07}"
    yield "differs", "mend", one, two, "name", "Andere naam", f"Bedrijf {number:07}"


def _drifted(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    """The right changed what it does not own: it is put back."""
    one, two = _pair(db, left, right, number)
    _see(db, right, [(two, company(number, name="Eigenwijs"))])
    yield "differs", "mend", one, two, "name", f"Bedrijf {number:07}", "Eigenwijs"


def _clashed(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    """Both changed what a person decides."""
    one, two = _pair(db, left, right, number)
    _see(db, left, [(one, company(number, website="links.example"))])
    _see(db, right, [(two, company(number, website="rechts.example"))])
    yield "differs", "person", one, two, "website", "links.example", "rechts.example"


def _left_alone(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    """Drift that the flow leaves, agreed long ago: only the base knows of it."""
    one, two = _pair(db, left, right, number, legal_form="NV")
    yield "differs", "allowed", one, two, "legal_form", "BV", "NV"


def _let_be(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    """A person let both values stand."""
    one, two = _pair(db, left, right, number, phone="+31209999999")
    (entry,) = trail.append(db, [trail.Entry(AT, "mieke", "agreed", {"notes": {"phone": PERSON}})])
    pair = (one, two, company(number), company(number, phone="+31209999999"))
    _agree(db, left, right, [pair], extra=Base(prov={"phone": entry}))
    yield "differs", "allowed", one, two, "phone", f"+3120{number:07}", "+31209999999"


def _unread(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    """A value that cannot be read."""
    one, two = _pair(db, left, right, number)
    _see(db, left, [(one, company(number, phone=None))], [Problem("unreadable", "tel cannot be read", field="phone")])
    yield "differs", "person", one, two, "phone", None, f"+3120{number:07}"


def _on_its_way(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    """Written a moment ago."""
    one, two = _pair(db, left, right, number)
    now = company(number, phone="+31203333333")
    _see(db, left, [(one, now)])
    written = Written("+31203333333", "+31203333333", 9e9, 1, f"+3120{number:07}")
    base = Base(_values(company(number)), _values(company(number)), written_right={"phone": written})
    subject = subjects.of_records(db, left, [one])[one].subject
    flows.save_bases(db, PLANTED.id, [StoredBase(one, two, subject, base, "", "", 2)])
    yield "differs", "wait", one, two, "phone", "+31203333333", f"+3120{number:07}"


def _only_left(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:  # noqa: ARG001 - one signature for all
    _see(db, left, [(f"L{number:07}", company(number))])
    yield "only_left", "mend", f"L{number:07}", None, "", None, None


def _outside_left(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:  # noqa: ARG001 - one signature for all
    _see(db, left, [(f"L{number:07}", company(number, employees=0))])
    yield "only_left", "outside", f"L{number:07}", None, "", None, None


def _only_right(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:  # noqa: ARG001 - one signature for all
    _see(db, right, [(f"R{number:07}", company(number))])
    yield "only_right", "allowed", None, f"R{number:07}", "", None, None


def _outside_right(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:  # noqa: ARG001 - one signature for all
    _see(db, right, [(f"R{number:07}", company(number, employees=0))])
    yield "only_right", "outside", None, f"R{number:07}", "", None, None


def _unlinked(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    """On both sides, and nobody linked them."""
    _see(db, left, [(f"L{number:07}", company(number))])
    _see(db, right, [(f"R{number:07}", company(number))])
    yield "unlinked", "mend", f"L{number:07}", f"R{number:07}", "", None, None


def _double(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    """A second record of the right with the number of a linked one."""
    one, _ = _pair(db, left, right, number)
    _see(db, right, [(f"R{number:07}b", company(number))])
    yield "duplicate", "person", None, None, "kvk", None, f"{number:08}"
    yield "unlinked", "mend", one, f"R{number:07}b", "", None, None


def _two_of_a_kind(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:  # noqa: ARG001 - one signature for all
    """Two records of the left with one number."""
    for native in (f"L{number:07}", f"L{number:07}b"):
        _see(db, left, [(native, company(number))])
        yield "only_left", "person", native, None, "", None, None
    yield "duplicate", "person", None, None, "kvk", f"{number:08}", None


def _gone(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    one, two = _pair(db, left, right, number)
    _see(db, right, [(two, None)])
    yield "orphan", "person", one, two, "", None, None


def _parted(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    """Not linked, and what was agreed still remembered."""
    one, two = _pair(db, left, right, number)
    for stream, native in ((left, one), (right, two)):
        subjects.leave(db, stream, native)
    yield "orphan", "person", one, two, "", None, None
    yield "unlinked", "mend", one, two, "", None, None


def _half_a_subject(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    """The left belongs to a subject whose other member is gone from it."""
    one, two = f"L{number:07}", f"R{number:07}"
    _see(db, left, [(one, company(number))])
    _link(db, left, right, [(one, two)])
    subjects.leave(db, right, two)
    yield "orphan", "allowed", one, None, "", None, None
    yield "only_left", "mend", one, None, "", None, None


def _never_shown(db: Db, left: int, right: int, number: int) -> Iterator[Expected]:
    """Linked with a record that was never shown."""
    one, two = f"L{number:07}", f"R{number:07}"
    _see(db, left, [(one, company(number))])
    _link(db, left, right, [(one, two)])
    yield "orphan", "wait", None, two, "", None, None


_PLANTS = (
    _edited, _drifted, _clashed, _left_alone, _let_be, _unread, _on_its_way, _only_left, _outside_left, _only_right, _outside_right,
    _unlinked, _double, _two_of_a_kind, _gone, _parted, _half_a_subject, _never_shown,
)  # fmt: skip
