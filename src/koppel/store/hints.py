"""Hints: records a vendor said had changed, without saying how; each is looked up, then forgotten.

A hint is stored in the transaction that moves the cursor of the feed that brought it, so that a kill loses none; it goes when
the look-up it led to was answered.
"""

from __future__ import annotations

from collections.abc import Iterable

from koppel.store import suppression
from koppel.store.sql import Db, as_list


def put(db: Db, stream: int, natives: Iterable[str], *, at: float) -> None:
    """Note that these records of a stream changed; one noted already may be asked for at once again. Erased and restricted
    people's are not noted."""
    listed = as_list(dict.fromkeys(suppression.spared(db, stream, natives)))
    db.run(
        f"insert into hints (stream, native, at) select :s, v, :at from {db.values()} where true"
        " on conflict (stream, native) do update set not_before = null",
        s=stream, at=at, list=listed,
    )  # fmt: skip


def known(db: Db, stream: int, *, at: float) -> list[str]:
    """Hinted records of the stream that we have seen before and may be asked for now. Hints about strangers are dropped:
    nobody took them in."""
    db.run(
        "delete from hints where stream = :s and not exists"
        " (select 1 from observations o where o.stream = hints.stream and o.native = hints.native)",
        s=stream,
    )
    rows = db.rows(
        "select native from hints where stream = :s and (not_before is null or not_before <= :at) order by at, native",
        s=stream,
        at=at,
    )
    return [row[0] for row in rows]


def later(db: Db, stream: int, native: str, *, not_before: float) -> None:
    """The look-up could not be answered: ask again from then on."""
    db.run("update hints set not_before = :nb where stream = :s and native = :n", s=stream, n=native, nb=not_before)


def done(db: Db, stream: int, natives: Iterable[str]) -> None:
    """Their look-ups were answered."""
    db.run(
        f"delete from hints where stream = :s and native in (select v from {db.values()})",
        s=stream,
        list=as_list(natives),
    )


def waiting(db: Db, stream: int) -> int:
    """How many are not answered yet."""
    return db.scalar("select count(*) from hints where stream = :s", s=stream)
