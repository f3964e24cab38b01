"""Streams: one connection's resource as we read it, once for all flows, with the vendor's cursor and our own sequence."""

from __future__ import annotations

import msgspec

from koppel.model.values import Cursor
from koppel.store.sql import Db


class Stream(msgspec.Struct, frozen=True):
    """`id` is small and local; `seq` is the number given to the latest real change; `complete_at` says when a listing
    from the start last reached its end: only then does absence mean anything (law 7). `scan_at` is when the latest listing
    from the start was begun."""

    id: int
    connection: str
    resource: str
    cursor: Cursor | None
    next: str | None
    seq: int
    scan: int
    complete_at: float | None
    read_at: float | None
    scan_at: float | None = None

    @property
    def scanning(self) -> bool:
        """Whether a listing from the start is under way: it was begun and its end has not been reached."""
        return self.complete_at is None and self.next is not None

    @property
    def name(self) -> str:
        """`connection:resource`."""
        return f"{self.connection}:{self.resource}"


_COLUMNS = (
    "id, connection, resource, cursor, next, seq, scan, complete_at, read_at,"
    " (select begun from scans where scans.stream = streams.id)"
)


def ensure(db: Db, connection: str, resource: str) -> Stream:
    """The stream of that name, made when new."""
    find = f"select {_COLUMNS} from streams where connection = :c and resource = :r"
    row = db.one(find, c=connection, r=resource)
    if row is None:
        db.run(
            "insert into streams (connection, resource) values (:c, :r) on conflict (connection, resource) do nothing",
            c=connection,
            r=resource,
        )
        row = db.one(find, c=connection, r=resource)
        assert row is not None
    return _stream(row)


def number(db: Db, connection: str, resource: str) -> int:
    """The number of a stream; 0, which none has, when nothing of it was ever read."""
    return db.scalar("select id from streams where connection = :c and resource = :r", c=connection, r=resource) or 0


def get(db: Db, stream: int) -> Stream:
    """The stream with that number. Raises KeyError."""
    row = db.one(f"select {_COLUMNS} from streams where id = :i", i=stream)
    if row is None:
        raise KeyError(stream)
    return _stream(row)


def named(db: Db, connection: str, resource: str) -> Stream | None:
    """The stream of that name, if anything of it was ever read."""
    row = db.one(f"select {_COLUMNS} from streams where connection = :c and resource = :r", c=connection, r=resource)
    return None if row is None else _stream(row)


def every(db: Db) -> tuple[Stream, ...]:
    """All streams, oldest first."""
    return tuple(_stream(row) for row in db.rows(f"select {_COLUMNS} from streams order by id"))


def begin_scan(db: Db, stream: int, *, at: float | None = None) -> int:
    """Start a listing from the beginning; returns its number. What is not seen under it by its end is absent."""
    db.run("update streams set scan = scan + 1, cursor = null, next = null, complete_at = null where id = :i", i=stream)
    db.run("delete from scans where stream = :i", i=stream)
    if at is not None:
        db.run("insert into scans (stream, begun) values (:i, :at)", i=stream, at=at)
    return get(db, stream).scan


def move_cursor(
    db: Db, stream: int, *, cursor: Cursor | None, next_page: str | None, complete: bool, at: float
) -> None:
    """Where to read on. The caller does this in the transaction that stores the page (law 8)."""
    text = msgspec.json.encode(cursor).decode() if cursor else None
    db.run(
        "update streams set cursor = coalesce(:c, cursor), next = :n, read_at = :at,"
        " complete_at = case when :done = 1 then :at2 else complete_at end where id = :i",
        c=text, n=next_page, at=at, at2=at, done=int(complete), i=stream,
    )  # fmt: skip


def _stream(row: tuple) -> Stream:
    number, connection, resource, cursor, next_page, seq, scan, complete_at, read_at, scan_at = row
    decoded = msgspec.json.decode(cursor, type=Cursor) if cursor else None
    return Stream(number, connection, resource, decoded, next_page, seq, scan, complete_at, read_at, scan_at)
