"""Blocks: within which records weak evidence is compared, so that never all are compared with all.

Values lie as keyed digests. A stream's blocks are brought up to date from its observations by whoever needs them; how far
they go, and of which kinds they are, is kept beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from koppel.store.sql import Db, as_list, as_rows

WIDE = 100  # a block that holds more records than this tells nobody apart: a mail provider, a word such as "bakkerij"


def position(db: Db, stream: int) -> tuple[int, frozenset[str]]:
    """Up to which `seq` the stream's blocks are made, and of which kinds."""
    row = db.one("select seq, kinds from block_positions where stream = :s", s=stream)
    return (row[0], frozenset(row[1].split())) if row else (0, frozenset())


def move(db: Db, stream: int, seq: int, kinds: Iterable[str]) -> None:
    """Note how far the blocks go. Back to 0 when a kind was added: every record is looked at again."""
    db.run(
        "insert into block_positions (stream, seq, kinds) values (:s, :q, :k)"
        " on conflict (stream) do update set seq = excluded.seq, kinds = excluded.kinds",
        s=stream, q=seq, k=" ".join(sorted(kinds)),
    )  # fmt: skip


def newer(db: Db, stream: int, seq: int, *, limit: int) -> list[tuple[str, int]]:
    """The next records whose latest change lies after `seq`, with that change's number."""
    kept = " and not exists (select 1 from restricted r where r.stream = o.stream and r.native = o.native)"  # is not looked at
    find = (
        f"select o.native, o.seq from observations o where o.stream = :s and o.seq > :q{kept} order by o.seq limit :n"
    )
    return [(row[0], row[1]) for row in db.rows(find, s=stream, q=seq, n=limit)]


def put(db: Db, stream: int, made: Mapping[str, Iterable[tuple[str, str]]]) -> None:
    """Replace the blocks of these records, as (kind, value) by native id; none takes a record out."""
    listed = as_list(made)
    db.run(f"delete from blocks where stream = :s and native in (select v from {db.values()})", s=stream, list=listed)
    rows = [[kind, db.vault.digest_key(kind, value), native] for native, of in made.items() for kind, value in of]
    if rows:
        given = db.table({"kind": "text", "value": "text", "native": "text"})
        db.run(
            "insert into blocks (stream, kind, value, native)"
            f" select :s, kind, value, native from {given} where true on conflict do nothing",
            s=stream, rows=as_rows(rows),
        )  # fmt: skip


def drop(db: Db, stream: int, natives: Iterable[str]) -> None:
    """Forget the blocks of these records: nothing is proposed for them."""
    db.run(
        f"delete from blocks where stream = :s and native in (select v from {db.values()})",
        s=stream,
        list=as_list(natives),
    )


def sharing(db: Db, stream: int, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Who lies in each of these blocks; one that is too wide is left out."""
    by_digest = {(kind, db.vault.digest_key(kind, value)): (kind, value) for kind, value in wanted}
    if not by_digest:
        return {}
    given = db.table({"kind": "text", "value": "text"})
    count = (
        "(select count(*) from (select 1 from blocks b where b.stream = :s and b.kind = given.kind"
        " and b.value = given.value limit :n) as counted)"
    )
    counted = db.rows(
        f"select given.kind, given.value, {count} from {given}", s=stream, n=WIDE + 1, rows=as_rows(by_digest)
    )
    narrow = [[row[0], row[1]] for row in counted if 0 < row[2] <= WIDE]
    rows = db.rows(
        f"select b.kind, b.value, b.native from {given} cross join blocks b"
        " where b.stream = :s and b.kind = given.kind and b.value = given.value order by b.native",
        s=stream, rows=as_rows(narrow),
    )  # fmt: skip
    found: dict[tuple[str, str], list[str]] = {}
    for kind, digest, native in rows:
        found.setdefault(by_digest[kind, digest], []).append(native)
    return {key: tuple(natives) for key, natives in found.items()}
