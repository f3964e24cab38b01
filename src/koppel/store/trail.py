"""The trail: append-only, hash-chained; what changed, when, why, by whom, before and after.

Each entry's hash covers its place, time, actor, run, operation, kind, subject and the commitment to its encrypted payload,
and the hash before it. Payloads are sealed under the subject's key (subjectless ones under the workspace's): destroying a
subject's key makes its payloads unreadable and leaves the chain valid. A cut-off tail can only be noticed against an
exported head (`audit head`): export it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidTag

from koppel.model.values import Json
from koppel.store import subjects
from koppel.store.sql import Db, as_rows
from koppel.store.vault import canonical, seal_under, unseal_under

VERSION = 1
GENESIS = "0" * 64


class Entry(msgspec.Struct, frozen=True):
    """What is to be recorded. `data` is plain JSON; refs and numbers live inside it, never beside it."""

    at: float
    actor: str
    kind: str
    data: dict[str, Json]
    run: int | None = None
    op: str | None = None
    subject: str | None = None


class Recorded(msgspec.Struct, frozen=True):
    """An entry as read back; `data` is None when its subject was erased."""

    seq: int
    at: float
    actor: str
    kind: str
    run: int | None
    op: str | None
    subject: str | None
    hash: str
    data: dict[str, Json] | None


class Head(msgspec.Struct, frozen=True):
    """The end of the chain: what to export, and to verify against."""

    seq: int
    hash: str


class Broken(msgspec.Struct, frozen=True):
    """The first entry that does not hold, and why."""

    seq: int
    why: str


def head(db: Db) -> Head:
    """The chain's end; seq 0 when empty."""
    row = db.one("select seq, hash from trail_head where id = 1")
    return Head(row[0], row[1]) if row else Head(0, GENESIS)


def append(db: Db, entries: Sequence[Entry]) -> list[int]:
    """Add entries; returns their numbers. No gaps, in order, in the caller's transaction."""
    if not entries:
        return []
    row = db.one("select seq, hash from trail_head where id = 1" + db.for_update)
    if row is None:
        db.run("insert into trail_head (id, seq, hash) values (1, 0, :g)", g=GENESIS)
    seq, last = (row[0], row[1]) if row else (0, GENESIS)
    keys: dict[str, bytes | None] = {}
    rows: list[list[Json]] = []
    for entry in entries:
        seq += 1
        plain = msgspec.json.encode(entry.data)
        if entry.subject and entry.subject not in keys:
            keys[entry.subject] = subjects.key(db, entry.subject)
        subject_key = keys.get(entry.subject) if entry.subject else None
        if entry.subject and subject_key is None:
            sealed = ""  # erased: what happened is recorded, not to whom
        elif subject_key is not None:
            sealed = base64.b64encode(seal_under(subject_key, plain, db.vault.random(12))).decode()
        else:
            sealed = db.vault.seal(plain, about="trail")
        commitment = sha256(sealed.encode()).hexdigest()
        last = _link(
            last, VERSION, seq, entry.at, entry.actor, entry.run, entry.op, entry.kind, entry.subject, commitment
        )
        rows.append(
            [
                seq,
                VERSION,
                entry.at,
                entry.actor,
                entry.run,
                entry.op,
                entry.kind,
                entry.subject,
                sealed,
                commitment,
                last,
            ]
        )
    columns = {
        "seq": "big", "version": "big", "at": "real", "actor": "text", "run": "big", "op": "text",
        "kind": "text", "subject": "text", "data": "text", "commitment": "text", "hash": "text",
    }  # fmt: skip
    names = ", ".join(columns)
    db.run(f"insert into trail ({names}) select {names} from {db.table(columns)} where true", rows=as_rows(rows))
    db.run("update trail_head set seq = :s, hash = :h where id = 1", s=seq, h=last)
    return [row[0] for row in rows]


def _link(
    previous: str,
    version: int,
    seq: int,
    at: float,
    actor: str,
    run: int | None,
    op: str | None,
    kind: str,
    subject: str | None,
    commitment: str,
) -> str:
    return sha256(canonical([previous, version, seq, repr(at), actor, run, op, kind, subject, commitment])).hexdigest()


def verify(db: Db, *, against: Head | None = None) -> Broken | None:
    """Walk the chain; None when it holds. `against` is an exported head: the chain must pass through it, so a cut-off or
    rewritten past is noticed."""
    last, expected = GENESIS, 0
    met = against is None or against.seq == 0
    for row in db.connection.exec_driver_sql(
        "select seq, version, at, actor, run, op, kind, subject, data, commitment, hash from trail order by seq"
    ):
        seq, version, at, actor, run, op, kind, subject, data, commitment, stored = row
        expected += 1
        if seq != expected:
            return Broken(expected, f"entry {expected} is missing")
        if sha256(data.encode()).hexdigest() != commitment:
            return Broken(seq, f"entry {seq}: its payload was altered")
        last = _link(last, version, seq, at, actor, run, op, kind, subject, commitment)
        if last != stored:
            return Broken(seq, f"entry {seq} does not follow from the entries before it")
        if against is not None and seq == against.seq:
            if last != against.hash:
                return Broken(seq, f"entry {seq} differs from the exported head")
            met = True
    kept = head(db)
    if kept.seq != expected or kept.hash != last:
        return Broken(expected + 1, f"the chain ends at entry {expected}, its head says {kept.seq}")
    if not met:
        return Broken(
            expected + 1,
            f"the chain ends at entry {expected}, before the exported head {against.seq if against else 0}",
        )
    return None


def read(
    db: Db,
    *,
    run: int | None = None,
    subject: str | None = None,
    after: int = 0,
    limit: int = 1000,
    newest_first: bool = False,
) -> list[Recorded]:
    """Entries, filtered."""
    where = (
        "seq > :after"
        + (" and run = :run" if run is not None else "")
        + (" and subject = :subject" if subject is not None else "")
    )
    values = (
        {"after": after, "limit": limit}
        | ({"run": run} if run is not None else {})
        | ({"subject": subject} if subject is not None else {})
    )
    rows = db.rows(
        f"select seq, at, actor, kind, run, op, subject, hash, data from trail where {where} order by seq {'desc' if newest_first else 'asc'} limit :limit",
        **values,
    )
    return list(_open(db, rows))


def _open(db: Db, rows: Iterable[Sequence]) -> Iterable[Recorded]:
    keys: dict[str, bytes | None] = {}
    for seq, at, actor, kind, run, op, subject, digest, sealed in rows:
        data: dict[str, Json] | None = None
        if subject:
            if subject not in keys:
                keys[subject] = subjects.key(db, subject)
            subject_key = keys[subject]
            if subject_key is not None and sealed:
                try:
                    data = msgspec.json.decode(unseal_under(subject_key, base64.b64decode(sealed)))
                except InvalidTag:
                    data = None
        elif sealed:
            data = db.vault.unseal_json(sealed, about="trail")
        yield Recorded(seq, at, actor, kind, run, op, subject, digest, data)
