"""Subjects and members: which records are the same real thing.

Every ref is a member of at most one subject; a subject has at most one main per stream, and any number of followers
(a register record can have many debtors, rule B1). A subject's key seals its entries in the trail.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Literal

import msgspec

from koppel.store.sql import Db, as_list

MemberRole = Literal["main", "follower"]


class Member(msgspec.Struct, frozen=True):
    """One record's place: its subject and role, and the evidence for it."""

    stream: int
    native: str
    subject: str
    role: MemberRole
    why: str


def create(db: Db, *, at: float) -> str:
    """A new subject with a random key; returns its id."""
    subject = base64.b32encode(db.vault.random(10)).decode().lower()
    db.run(
        "insert into subjects (id, key, begun) values (:i, :k, :at)",
        i=subject,
        k=db.vault.seal(db.vault.random(16), about=subject),
        at=at,
    )
    return subject


def key(db: Db, subject: str) -> bytes | None:
    """The subject's key; None when it was erased."""
    sealed = db.scalar("select key from subjects where id = :i", i=subject)
    return db.vault.unseal(sealed, about=subject) if sealed else None


def join(db: Db, subject: str, stream: int, native: str, *, role: MemberRole, why: str, at: float) -> None:
    """Make a record a member. A record that is a member elsewhere keeps its place: the caller decides about that first
    (IntegrityError is our bug)."""
    db.run(
        "insert into members (stream, native, subject, role, why, begun) values (:s, :n, :u, :r, :w, :at)"
        " on conflict (stream, native) do update set role = excluded.role, why = excluded.why where members.subject = excluded.subject",
        s=stream, n=native, u=subject, r=role, w=why, at=at,
    )  # fmt: skip


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
        f"select stream, native, subject, role, why from members where stream = :s and subject in (select v from {db.values()})"
        " order by subject, case role when 'main' then 0 else 1 end, native",
        s=stream, list=as_list(ids),
    )  # fmt: skip
    found: dict[str, list[Member]] = {}
    for row in rows:
        found.setdefault(row[2], []).append(Member(*row))
    return found


def linked_natives(db: Db, stream: int) -> list[str]:
    """Every record of a stream that belongs to a subject."""
    return [row[0] for row in db.rows("select native from members where stream = :s order by native", s=stream)]
