"""Postings: which documents are posted together, what was made of them, and what of it stands on the other side already.

`stream` is the derived stream a flow makes. What a posting came to lies sealed, by its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from koppel.model.values import Json
from koppel.store.sql import Db, as_list, as_rows

# A posting and what it holds: the documents counted in it first, and those whose change is.
_HELD = (
    "grouped g join postings p on p.stream = g.stream and p.posting = g.posting and p.part in (g.part, g.again)"
    " where g.stream = :s"
)


class Posting(msgspec.Struct, frozen=True):
    """One posting. `name` is what its documents share; `part` counts from 1: later ones hold differences. `posted`: it stands
    on the other side, or may by now."""

    name: str
    part: int
    native: str
    sums: Json
    posted: bool = False


def changed(db: Db, source: int, seq: int, *, size: int) -> list[tuple[str, int]]:
    """The next documents of a stream that changed after `seq`, with theirs."""
    rows = db.rows(
        "select native, seq from observations where stream = :s and seq > :q order by seq limit :n",
        s=source, q=seq, n=size,
    )  # fmt: skip
    return [(row[0], row[1]) for row in rows]


def belong(
    db: Db, stream: int, documents: Mapping[str, Iterable[str]], *, known: AbstractSet[str] = frozenset()
) -> set[str]:
    """Note which postings these documents belong to now; returns those touched: the ones they left, too. Those that are `known`
    have not changed: they are only news where they did not belong yet."""
    now = {(name, document) for document, names in documents.items() for name in names}
    rows = db.rows(
        f"select g.posting, g.document from {db.values()} cross join grouped g{db.by('grouped_document')}"
        " where g.stream = :s and g.document = given.v",
        s=stream, list=as_list(documents),
    )  # fmt: skip
    before = {(row[0], row[1]) for row in rows}
    given: list[list[Json]] = [
        [name, document, int((name, document) not in now), int(document in known)] for name, document in before | now
    ]
    columns = {"posting": "text", "document": "text", "out": "big", "known": "big"}
    db.run(
        "insert into grouped (stream, posting, document, out, again)"
        " select :s, given.posting, given.document, given.out, case when given.known = 1 and was.out = given.out then was.again"
        f" else 0 end from {db.table(columns)} left join grouped was"
        " on was.stream = :s and was.posting = given.posting and was.document = given.document where true"
        " on conflict (stream, posting, document) do update set out = excluded.out, again = excluded.again",
        s=stream, rows=as_rows(sorted(given)),
    )  # fmt: skip
    return {name for name, _ in before | now}


def to_make(db: Db, stream: int, days: Mapping[str, str]) -> None:
    """These postings must be made anew, each of its day."""
    db.run(
        f"insert into regroup (stream, posting, day) select :s, posting, day from {db.table({'posting': 'text', 'day': 'text'})}"
        " where true on conflict do nothing",
        s=stream, rows=as_rows([[name, day] for name, day in sorted(days.items())]),
    )  # fmt: skip


def next_to_make(db: Db, stream: int, *, before: str, size: int) -> list[str]:
    """The next postings to be made anew that are of a day before `before`."""
    rows = db.rows(
        "select posting from regroup where stream = :s and day < :d order by day, posting limit :n",
        s=stream, d=before, n=size,
    )  # fmt: skip
    return [row[0] for row in rows]


def made(db: Db, stream: int, name: str, part: int) -> None:
    """A posting is as its documents are: what was news is counted in this part of it."""
    db.run("delete from regroup where stream = :s and posting = :p", s=stream, p=name)
    if part == 1:  # nothing of it was ever posted: who left was never in it
        db.run("delete from grouped where stream = :s and posting = :p and out = 1", s=stream, p=name)
    db.run(
        "update grouped set again = :n, part = case when part = 0 then :n else part end"
        " where stream = :s and posting = :p and again = 0",
        s=stream, p=name, n=part,
    )  # fmt: skip


def members(db: Db, stream: int, name: str, *, after: str = "", size: int) -> list[str]:
    """The documents of a posting in order of id, the next of them after `after`."""
    rows = db.rows(
        "select document from grouped where stream = :s and posting = :p and document > :a and out = 0"
        " order by document limit :n",
        s=stream, p=name, a=after, n=size,
    )  # fmt: skip
    return [row[0] for row in rows]


def news(db: Db, stream: int, name: str, part: int) -> int:
    """How many documents are new or changed since the parts of a posting before this one."""
    return db.scalar(
        "select count(*) from grouped where stream = :s and posting = :p and (again = 0 or again = :n)",
        s=stream, p=name, n=part,
    )  # fmt: skip


def documents_of(db: Db, stream: int, native: str) -> list[str]:
    """The documents that a posting holds."""
    rows = db.rows(f"select g.document from {_HELD} and p.native = :n order by g.document", s=stream, n=native)
    return [row[0] for row in rows]


def postings_of(db: Db, stream: int, document: str) -> list[str]:
    """The ids of the postings that hold a document."""
    rows = db.rows(f"select p.native from {_HELD} and g.document = :d order by p.native", s=stream, d=document)
    return [row[0] for row in rows]


def parts(db: Db, stream: int, name: str) -> list[Posting]:
    """The postings made under one name, the first first."""
    rows = db.rows(
        "select part, native, sums, posted from postings where stream = :s and posting = :p order by part",
        s=stream, p=name,
    )  # fmt: skip
    return [Posting(name, row[0], row[1], db.vault.unseal_json(row[2], about=row[1]), bool(row[3])) for row in rows]


def save(db: Db, stream: int, posting: Posting) -> None:
    """Note what a posting comes to."""
    db.run(
        "insert into postings (stream, posting, part, native, sums, posted) values (:s, :p, :n, :v, :b, :d)"
        " on conflict (stream, posting, part) do update set sums = excluded.sums, posted = excluded.posted",
        s=stream, p=posting.name, n=posting.part, v=posting.native,
        b=db.vault.seal_json(posting.sums, about=posting.native), d=int(posting.posted),
    )  # fmt: skip


def drop(db: Db, stream: int, native: str) -> None:
    """Forget a posting that came to nothing before it was posted."""
    db.run("delete from postings where stream = :s and native = :n and posted = 0", s=stream, n=native)


def note_posted(db: Db, stream: int, flow: str) -> None:
    """Note what stands on the other side, or may: what is linked, and what an operation is open for."""
    db.run(
        "update postings set posted = 1 where stream = :s and posted = 0 and ("
        " exists (select 1 from bases b where b.flow = :f and b.left_native = postings.native)"
        " or exists (select 1 from members m where m.stream = :s and m.native = postings.native)"
        " or exists (select 1 from intents i where i.flow = :f and i.source_native = postings.native))",
        s=stream, f=flow,
    )  # fmt: skip


def any_posted(db: Db, stream: int) -> bool:
    """Whether anything of a derived stream stands on the other side."""
    return bool(db.scalar("select count(*) from postings where stream = :s and posted = 1", s=stream))


def unposted(db: Db, stream: int) -> list[str]:
    """The names under which something was made that does not stand on the other side yet."""
    rows = db.rows("select distinct posting from postings where stream = :s and posted = 0 order by posting", s=stream)
    return [row[0] for row in rows]


def forget(db: Db, stream: int) -> list[str]:
    """Forget everything that was grouped, of which nothing was posted; returns what had been made."""
    natives = [row[0] for row in db.rows("select native from postings where stream = :s order by native", s=stream)]
    for table in ("grouped", "postings", "regroup"):
        db.run(f"delete from {table} where stream = :s", s=stream)
    return natives
