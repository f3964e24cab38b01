"""Subjects and members: which records are the same real thing.

Every ref is a member of at most one subject; a subject has at most one main per stream, and any number of followers
(a register record can have many debtors, rule B1). A subject's key seals its entries in the trail.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from koppel.store import needs, notes
from koppel.store.sql import Db, as_list, as_rows

MemberRole = Literal["main", "follower"]


class Member(msgspec.Struct, frozen=True):
    """One record's place: its subject and role, and the evidence for it."""

    stream: int
    native: str
    subject: str
    role: MemberRole
    why: str


class Seat(msgspec.Struct, frozen=True, order=True):
    """A membership whole, as it is put back: with the instant it began."""

    stream: int
    native: str
    subject: str
    role: MemberRole
    why: str
    begun: float

    @property
    def record(self) -> tuple[int, str]:
        """Stream and native id."""
        return self.stream, self.native


def create(db: Db, *, at: float) -> str:
    """A new subject with a random key; returns its id."""
    return create_many(db, 1, at=at)[0]


def create_many(db: Db, count: int, *, at: float) -> list[str]:
    """New subjects, in one statement; returns their ids."""
    ids = [base64.b32encode(db.vault.random(10)).decode().lower() for _ in range(count)]
    if ids:
        rows = as_rows([subject, db.vault.seal(db.vault.random(16), about=subject)] for subject in ids)
        given = db.table({"id": "text", "key": "text"})
        db.run(f"insert into subjects (id, key, begun) select id, key, :at from {given} where true", at=at, rows=rows)
    return ids


def key(db: Db, subject: str) -> bytes | None:
    """The subject's key; None when it was erased."""
    return keys(db, [subject]).get(subject)


def keys(db: Db, ids: Iterable[str]) -> dict[str, bytes]:
    """Keys by subject; erased ones are missing."""
    rows = db.rows(f"select id, key from subjects where id in (select v from {db.values()})", list=as_list(ids))
    return {row[0]: db.vault.unseal(row[1], about=row[0]) for row in rows}


def erase(db: Db, subject: str) -> list[Member]:
    """Destroy a subject's key, so that what the trail holds of it can never be read again, and forget which records it had;
    returns those, for the caller to forget what else is kept of them. `Store.scrub` then clears the files."""
    rows = db.rows(
        "select stream, native, subject, role, why from members where subject = :i order by stream, native", i=subject
    )
    for one in (subject, *absorbed(db, subject)):  # what was merged into it tells of the same
        db.run("delete from subjects where id = :i", i=one)
    db.run("delete from members where subject = :i", i=subject)
    notes.drop(db, f"absorbed {subject}")
    return [Member(*row) for row in rows]


def join(db: Db, subject: str, stream: int, native: str, *, role: MemberRole, why: str, at: float) -> None:
    """Make a record a member, or change its role within its subject.

    Raises sqlalchemy's IntegrityError when it is a member elsewhere, or a second main of its stream: the caller decides
    about that first.
    """
    join_many(db, [Member(stream, native, subject, role, why)], at=at)


def join_many(db: Db, members: Iterable[Member], *, at: float) -> None:
    """`join` for many, in one statement; all of them or none. Who refers to them, or waited for them, becomes due."""
    members = list(members)
    wanted = {(m.stream, m.native): [m.stream, m.native, m.subject, m.role, m.why] for m in members}
    if not wanted:
        return
    columns = {"stream": "big", "native": "text", "subject": "text", "role": "text", "why": "text"}
    names = ", ".join(columns)
    db.run(  # a member elsewhere gets no subject, which the column refuses: nothing moves by accident
        f"insert into members ({names}, begun) select {names}, :at from {db.table(columns)} where true"
        " on conflict (stream, native) do update set role = excluded.role, why = excluded.why,"
        " subject = case when members.subject = excluded.subject then members.subject end",
        at=at, rows=as_rows(wanted.values()),
    )  # fmt: skip
    needs.appeared(db, [(m.stream, m.native, m.subject, m.role) for m in members], at=at)


def leave(db: Db, stream: int, native: str) -> None:
    """Take a record out of its subject."""
    db.run("delete from members where stream = :s and native = :n", s=stream, n=native)


def of_records(db: Db, stream: int, natives: Iterable[str]) -> dict[str, Member]:
    """Memberships by native id."""
    rows = db.rows(
        f"select stream, native, subject, role, why from members where stream = :s and native in (select v from {db.values()})",
        s=stream,
        list=as_list(natives),
    )
    return {row[1]: Member(*row) for row in rows}


def of_subjects(db: Db, stream: int, ids: Iterable[str]) -> dict[str, list[Member]]:
    """Members in one stream, by subject; mains first, then by native id."""
    rows = db.rows(
        f"select stream, native, subject, role, why from members{db.by('members_subject')} where stream = :s and subject in (select v from {db.values()})"
        " order by subject, case role when 'main' then 0 else 1 end, native",
        s=stream, list=as_list(ids),
    )  # fmt: skip
    found: dict[str, list[Member]] = {}
    for row in rows:
        found.setdefault(row[2], []).append(Member(*row))
    return found


def everyone(db: Db, ids: Iterable[str]) -> dict[str, list[Member]]:
    """All members by subject: in the order of their streams, mains first, then by native id."""
    rows = db.rows(
        f"select m.stream, m.native, m.subject, m.role, m.why from {db.values()} cross join members m{db.by('members_subject')}"
        " where m.subject = given.v order by m.subject, m.stream, case m.role when 'main' then 0 else 1 end, m.native",
        list=as_list(ids),
    )
    found: dict[str, list[Member]] = {}
    for row in rows:
        found.setdefault(row[2], []).append(Member(*row))
    return found


_SEAT = "m.stream, m.native, m.subject, m.role, m.why, m.begun"


def seats(db: Db, ids: Iterable[str]) -> list[Seat]:
    """Every membership in these subjects, in order."""
    rows = db.rows(
        f"select {_SEAT} from {db.values()} cross join members m{db.by('members_subject')} where m.subject = given.v",
        list=as_list(dict.fromkeys(ids)),
    )
    return sorted(Seat(*row) for row in rows)


def seats_of(db: Db, records: Iterable[tuple[int, str]]) -> list[Seat]:
    """The memberships of these records, in order; one that belongs nowhere has none."""
    given = db.table({"stream": "big", "native": "text"})
    rows = db.rows(
        f"select {_SEAT} from {given} cross join members m where m.stream = given.stream and m.native = given.native",
        rows=as_rows(dict.fromkeys(records)),
    )
    return sorted(Seat(*row) for row in rows)


def reseat(db: Db, before: Sequence[Seat], after: Sequence[Seat], *, at: float) -> None:
    """Put memberships in the place of others, at once and letter for letter; what refers to them is looked at again.

    Raises sqlalchemy's IntegrityError for a second main."""
    for seat in before:
        leave(db, seat.stream, seat.native)
    for seat in after:
        db.run(
            "insert into members (stream, native, subject, role, why, begun) values (:s, :n, :i, :r, :w, :b)",
            s=seat.stream, n=seat.native, i=seat.subject, r=seat.role, w=seat.why, b=seat.begun,
        )  # fmt: skip
    moved = {seat.record: (*seat.record, seat.subject, seat.role) for seat in (*before, *after)}
    needs.appeared(db, moved.values(), at=at)


def absorbed(db: Db, subject: str) -> list[str]:
    """Subjects that were merged into this one: their trail is this one's, and goes with it."""
    found: list[str] = notes.get(db, f"absorbed {subject}") or []
    return [*found, *(deeper for one in found for deeper in absorbed(db, one))]


def absorb(db: Db, subject: str, others: Iterable[str]) -> None:
    """Note which subjects' trail belongs to this one from now on; none takes the note away."""
    known = sorted(set(others))
    if known:
        notes.put(db, f"absorbed {subject}", known)
    else:
        notes.drop(db, f"absorbed {subject}")


def joined_before(db: Db, stream: int, natives: Iterable[str], at: float) -> list[str]:
    """Those of `natives` that became members before `at`."""
    find = f"select native from members where stream = :s and begun < :at and native in (select v from {db.values()})"
    return [row[0] for row in db.rows(find + " order by native", s=stream, at=at, list=as_list(natives))]


def linked_natives(db: Db, stream: int) -> list[str]:
    """Every record of a stream that belongs to a subject."""
    return [row[0] for row in db.rows("select native from members where stream = :s order by native", s=stream)]
