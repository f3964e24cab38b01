"""Flows and bases: what each flow has seen, and per pair what was last agreed, in two forms.

A base's `left` is each field as the left shows it, `right` as the right shows it; `written` holds what we wrote and have not
yet read back. `left_digest`/`right_digest` are set only when every field is agreed: the fast path in SQL (P3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from koppel.store.sql import Db, as_list, as_rows
from koppel.sync.base import Base


class Position(msgspec.Struct, frozen=True):
    """How far a flow has looked: positions in the left and right stream's `seq`; the digest of the flow as last run, and
    its fields' rules by key (to see what an edit touched)."""

    digest: str
    fields: dict[str, str]
    left_seq: int
    right_seq: int


class StoredBase(msgspec.Struct, frozen=True):
    """A base with its place and digests."""

    left_native: str
    right_native: str
    subject: str
    base: Base
    left_digest: str
    right_digest: str
    generation: int


def position(db: Db, flow: str) -> Position | None:
    """Where a flow stands, or None when it never ran."""
    row = db.one("select digest, fields, left_seq, right_seq from flows where id = :f", f=flow)
    return None if row is None else Position(row[0], msgspec.json.decode(row[1]), row[2], row[3])


def has_begun(db: Db, flow: str) -> bool:
    """Whether a run of this flow was let write before."""
    return bool(db.scalar("select count(*) from flows where id = :f and begun is not null", f=flow))


def begin(db: Db, flow: str, *, at: float) -> None:
    """A run of this flow is let write, for the first time or again."""
    db.run("update flows set begun = :at where id = :f and begun is null", f=flow, at=at)


def others(db: Db, flow: str) -> bool:
    """Whether any other flow ever ran in this workspace."""
    return bool(db.scalar("select count(*) from flows where id <> :f", f=flow))


def move(db: Db, flow: str, place: Position) -> None:
    """Record where a flow stands."""
    db.run(
        "insert into flows (id, digest, fields, left_seq, right_seq) values (:f, :d, :k, :l, :r)"
        " on conflict (id) do update set digest = excluded.digest, fields = excluded.fields, left_seq = excluded.left_seq, right_seq = excluded.right_seq",
        f=flow, d=place.digest, k=msgspec.json.encode(place.fields).decode(), l=place.left_seq, r=place.right_seq,
    )  # fmt: skip


def bases_of(
    db: Db, flow: str, *, left: Iterable[str] = (), right: Iterable[str] = ()
) -> dict[tuple[str, str], StoredBase]:
    """Bases by (left native, right native) of pairs that hold one of those records."""
    columns = "left_native, right_native, subject, body, left_digest, right_digest, generation"
    rows = [
        *db.rows(
            f"select {columns} from {db.values()} cross join bases where flow = :f and left_native = given.v",
            f=flow,
            list=as_list(left),
        ),
        *db.rows(
            f"select {columns} from {db.values()} cross join bases{db.by('bases_right')} where flow = :f and right_native = given.v",
            f=flow,
            list=as_list(right),
        ),
    ]
    return {(row[0], row[1]): _stored(db, row) for row in rows}


def _stored(db: Db, row: Sequence) -> StoredBase:
    body = msgspec.json.decode(db.vault.unseal(row[3]), type=Base)
    return StoredBase(row[0], row[1], row[2], body, row[4], row[5], row[6])


def save_bases(db: Db, flow: str, bases: Iterable[StoredBase]) -> None:
    """Insert or replace bases, in one statement; of several for one pair the last counts."""
    rows = [
        [
            b.left_native,
            b.right_native,
            b.subject,
            db.vault.seal(msgspec.json.encode(b.base)),
            b.left_digest,
            b.right_digest,
            b.generation,
        ]
        for b in {(b.left_native, b.right_native): b for b in bases}.values()
    ]
    if not rows:
        return
    columns = {
        "left_native": "text", "right_native": "text", "subject": "text", "body": "text",
        "left_digest": "text", "right_digest": "text", "generation": "big",
    }  # fmt: skip
    names = ", ".join(columns)
    db.run(
        f"insert into bases (flow, {names}) select :f, {names} from {db.table(columns)} where true on conflict (flow, left_native, right_native) do update set "
        + ", ".join(f"{name} = excluded.{name}" for name in columns if name not in {"left_native", "right_native"}),
        f=flow, rows=as_rows(rows),
    )  # fmt: skip


def of_subjects(db: Db, ids: Iterable[str]) -> list[tuple[str, StoredBase]]:
    """Every base of these subjects, each with its flow."""
    columns = "left_native, right_native, subject, body, left_digest, right_digest, generation, flow"
    rows = db.rows(
        f"select {columns} from bases where subject in (select v from {db.values()}) order by flow, left_native, right_native",
        list=as_list(dict.fromkeys(ids)),
    )
    return [(row[7], _stored(db, row)) for row in rows]


def drop_base(db: Db, flow: str, left_native: str, right_native: str) -> None:
    """Forget what was agreed for a pair (unlinked)."""
    db.run(
        "delete from bases where flow = :f and left_native = :l and right_native = :r",
        f=flow,
        l=left_native,
        r=right_native,
    )


def agreed_fields(db: Db, ids: Iterable[str]) -> dict[str, set[str]]:
    """By subject: the canonical fields that some flow has agreed on, or is writing, for any of its pairs."""
    found: dict[str, set[str]] = {}
    rows = db.rows(f"select subject, body from bases where subject in (select v from {db.values()})", list=as_list(ids))
    for subject, body in rows:
        base = msgspec.json.decode(db.vault.unseal(body), type=Base)
        keys = {*base.left, *base.right, *base.written_left, *base.written_right}
        found.setdefault(subject, set()).update(key.split(".", 1)[0] for key in keys)
    return found


def unsettled(db: Db, flow: str, side: str, stream: int, natives: Iterable[str]) -> list[str]:
    """Those of `natives` that are not known to be settled: every base of theirs must hold today's digest, and nothing be asked
    or parked about them, or a record that came back as it was would leave its question open.

    The SQL fast path: a settled pair never reaches Python.
    """
    natives = list(natives)
    right = db.by("bases_right") if side == "right" else ""
    settled = {
        row[0]
        for row in db.rows(
            f"select b.{side}_native from {db.values()} cross join bases b{right} cross join observations o"
            f" where b.flow = :f and b.{side}_native = given.v and o.stream = :s and o.native = given.v"
            " and not exists (select 1 from work w where w.flow = :f and w.side = 'left' and w.native = b.left_native and w.state = 'open')"
            f" group by b.{side}_native having min(case when b.{side}_digest = o.digest and b.{side}_digest <> '' then 1 else 0 end) = 1",
            f=flow, s=stream, list=as_list(natives),
        )
    }  # fmt: skip
    return [native for native in natives if native not in settled]


def count_pairs(db: Db, flow: str) -> int:
    """How many pairs a flow has."""
    return db.scalar("select count(*) from bases where flow = :f", f=flow)


def pairs_of(db: Db, flow: str) -> list[tuple[str, str]]:
    """Every pair of a flow."""
    return [
        (row[0], row[1])
        for row in db.rows(
            "select left_native, right_native from bases where flow = :f order by left_native, right_native", f=flow
        )
    ]
