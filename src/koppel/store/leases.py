"""Leases with fencing: one reader per stream, one worker per flow, one refresher per login."""

from __future__ import annotations

from koppel.store.sql import Db


def take(db: Db, name: str, owner: str, *, at: float, seconds: float) -> int | None:
    """Take or renew a lease; returns its fence (grows with every change of owner), or None when somebody else holds it."""
    find = "select owner, fence, until from leases where name = :n" + db.for_update
    row = db.one(find, n=name)
    if row is None:  # two that come first at once must still meet at one row
        db.run(
            "insert into leases (name, owner, fence, until) values (:n, '', 0, 0) on conflict (name) do nothing", n=name
        )
        row = db.one(find, n=name)
        assert row is not None
    if row[0] != owner and row[2] > at:
        return None
    fence: int = row[1] + (row[0] != owner)
    db.run(
        "update leases set owner = :o, fence = :f, until = :u where name = :n", n=name, o=owner, f=fence, u=at + seconds
    )
    return fence


def holds(db: Db, name: str, owner: str, fence: int) -> bool:
    """Whether the lease is still ours, whatever the clock says: checked in the transaction that writes."""
    row = db.one("select owner, fence from leases where name = :n" + db.for_update, n=name)
    return row is not None and row[0] == owner and row[1] == fence


def release(db: Db, name: str, owner: str) -> None:
    """Give it back; the fence stays."""
    db.run("update leases set until = 0 where name = :n and owner = :o", n=name, o=owner)


def holder(db: Db, name: str) -> tuple[str, float] | None:
    """(owner, until), or None."""
    row = db.one("select owner, until from leases where name = :n", n=name)
    return (row[0], row[1]) if row else None
