"""Who is left out of taking in: erased people, who must not come back with the next poll, and restricted ones, who are only kept.

An erased person is known here by keyed digests alone: of the ids their records had, and of their strong keys. What carries
one of those is dropped before it is stored, in whichever way it was read; it is neither taken in, nor gone, nor created
elsewhere (rule B14). Most workspaces have no such person: then this costs one small query per page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from koppel.model.values import Json
from koppel.store.sql import Db, as_list, as_rows

State = Literal["erased", "restricted", "lifted"]
# Keys that mean the same person wherever they turn up. A vendor's own code means something in its own account only, where
# the record's id is known anyway; an e-mail address with a postcode is often a family's.
PERSONAL_KEYS = frozenset({"kvk", "branch", "vat", "rsin", "email_surname"})
NATIVE = "native"


class Case(msgspec.Struct, frozen=True):
    """One person's erasure or restriction. `until`: when a restriction ends; `left_out` counts records dropped since."""

    id: int
    state: State
    at: float
    by: str
    until: float | None
    reason: str
    left_out: int
    left_out_at: float | None


_COLUMNS = "id, state, at, by, until, reason, left_out, left_out_at"


def open_case(db: Db, state: State, *, at: float, by: str, until: float | None, reason: str) -> int:
    """A new case; returns its number."""
    return db.scalar(
        "insert into privacy_cases (state, at, by, until, reason) values (:s, :at, :by, :u, :r) returning id",
        s=state, at=at, by=by, u=until, r=reason,
    )  # fmt: skip


def change(db: Db, case: int, state: State, *, at: float, by: str, until: float | None, reason: str) -> None:
    """The case stands differently from now on."""
    db.run(
        "update privacy_cases set state = :s, at = :at, by = :by, until = :u, reason = :r where id = :i",
        s=state, at=at, by=by, u=until, r=reason, i=case,
    )  # fmt: skip


def cases(db: Db, *, state: State | None = None) -> list[Case]:
    """All cases, oldest first."""
    where = " where state = :s" if state else ""
    rows = db.rows(f"select {_COLUMNS} from privacy_cases{where} order by id", **({"s": state} if state else {}))
    return [Case(*row) for row in rows]


def suppress(db: Db, case: int, *, natives: Iterable[tuple[int, str]], keys: Iterable[tuple[str, str]]) -> None:
    """Leave out whatever carries these: (stream, native id), and (kind, digest of the value) of strong keys."""
    rows: list[list[Json]] = [[NATIVE, _native(db, stream, native), stream] for stream, native in natives]
    rows += [[kind, digest, 0] for kind, digest in keys if kind in PERSONAL_KEYS]
    if rows:
        columns = {"kind": "text", "value": "text", "stream": "big"}
        db.run(
            "insert into suppressions (kind, value, case_id, stream) select kind, value, :c, stream from"
            f" {db.table(columns)} where true on conflict do nothing",
            c=case, rows=as_rows(rows),
        )  # fmt: skip


def restrict(db: Db, case: int, records: Iterable[tuple[int, str]]) -> None:
    """Only keep these records from now on."""
    rows = as_rows([stream, native] for stream, native in records)
    given = db.table({"stream": "big", "native": "text"})
    db.run(
        f"insert into restricted (stream, native, case_id) select stream, native, :c from {given} where true"
        " on conflict (stream, native) do update set case_id = excluded.case_id",
        c=case, rows=rows,
    )  # fmt: skip


def restricted_by(db: Db, case: int) -> list[tuple[int, str]]:
    """The records a case only keeps."""
    return [
        (row[0], row[1])
        for row in db.rows("select stream, native from restricted where case_id = :c order by stream, native", c=case)
    ]


def let_go(db: Db, case: int) -> list[int]:
    """Forget what a case left out and kept apart; returns the streams it had records in."""
    streams = [row[0] for row in db.rows("select distinct stream from suppressions where case_id = :c", c=case)]
    db.run("delete from suppressions where case_id = :c", c=case)
    db.run("delete from restricted where case_id = :c", c=case)
    return sorted(stream for stream in streams if stream)


def release(db: Db, case: int) -> None:
    """A restriction ends in an erasure: the records are no longer kept, the digests stay."""
    db.run("delete from restricted where case_id = :c", c=case)


def case_of(db: Db, *, natives: Iterable[tuple[int, str]] = (), keys: Iterable[tuple[str, str]] = ()) -> list[int]:
    """The cases that leave out these ids or (kind, plain value) keys."""
    rows = [[NATIVE, _native(db, stream, native)] for stream, native in natives]
    rows += [[kind, db.vault.digest_key(kind, value)] for kind, value in keys]
    found = db.rows(
        f"select distinct s.case_id from {db.table({'kind': 'text', 'value': 'text'})} cross join suppressions s"
        " where s.kind = given.kind and s.value = given.value order by s.case_id",
        rows=as_rows(rows),
    )
    return [row[0] for row in found]


def anybody(db: Db) -> bool:
    """Whether anybody is left out at all."""
    return bool(db.scalar("select exists (select 1 from suppressions)"))


def left_out(
    db: Db, stream: int, records: Mapping[str, Sequence[tuple[str, str]]], *, at: float | None = None
) -> set[str]:
    """Natives of the records (each with its strong keys) that are not to be taken in. With `at` the cases count them, and
    learn the ids of those they knew by a key only: they are not asked for again."""
    if not records or not anybody(db):
        return set()
    natives: dict[tuple[str, str], set[str]] = {}
    for native, keys in records.items():
        natives.setdefault((NATIVE, _native(db, stream, native)), set()).add(native)
        for kind, value in keys:
            if kind in PERSONAL_KEYS:
                natives.setdefault((kind, db.vault.digest_key(kind, value)), set()).add(native)
    found = db.rows(
        f"select s.kind, s.value, s.case_id from {db.table({'kind': 'text', 'value': 'text'})} cross join suppressions s"
        " where s.kind = given.kind and s.value = given.value",
        rows=as_rows(natives),
    )
    by_case: dict[int, set[str]] = {}
    for kind, value, case in found:
        by_case.setdefault(case, set()).update(natives[kind, value])
    if at is not None:
        for case, several in by_case.items():
            db.run(
                "update privacy_cases set left_out = left_out + :n, left_out_at = :at where id = :i",
                n=len(several), at=at, i=case,
            )  # fmt: skip
            suppress(db, case, natives=[(stream, native) for native in several], keys=())
    return {native for several in by_case.values() for native in several}


def spared(db: Db, stream: int, natives: Iterable[str]) -> list[str]:
    """Those of `natives` that may be processed: neither erased nor restricted. In the order given."""
    asked = list(natives)
    out = left_out(db, stream, dict.fromkeys(asked, ()))
    return [native for native in asked if native not in out] if out else asked


def hidden(db: Db, stream: int) -> set[str]:
    """Natives of a stream's records that are only kept: no list, search or export shows their values."""
    return {row[0] for row in db.rows("select native from restricted where stream = :s", s=stream)}


def hidden_subjects(db: Db) -> set[str]:
    """Subjects of records that are only kept."""
    return {
        row[0]
        for row in db.rows(
            "select distinct m.subject from restricted r cross join members m where m.stream = r.stream and m.native = r.native"
        )
    }


def hidden_among(db: Db, stream: int, natives: Iterable[str]) -> set[str]:
    """`hidden`, of these natives only."""
    rows = db.rows(
        f"select native from restricted where stream = :s and native in (select v from {db.values()})",
        s=stream, list=as_list(natives),
    )  # fmt: skip
    return {row[0] for row in rows}


def _native(db: Db, stream: int, native: str) -> str:
    """An id means something in its own stream only."""
    return db.vault.digest_key(f"{NATIVE} {stream}", native)
