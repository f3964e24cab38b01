"""Vendor budgets: one shared account per allowance, updated atomically and corrected by the vendor's own headers (law 10)."""

from __future__ import annotations

import msgspec

from koppel.store.sql import Db


class Account(msgspec.Struct, frozen=True):
    """What is left of one allowance until `reset_at` (epoch seconds)."""

    system: str
    name: str
    key: str
    allowed: int
    used: int
    reset_at: float

    @property
    def remaining(self) -> int:
        """How much is left."""
        return max(0, self.allowed - self.used)


def spend(
    db: Db, system: str, name: str, key: str, *, allowed: int, reserve: int, reset_at: float, at: float, amount: int = 1
) -> float | None:
    """Take `amount` from an allowance; None when taken, else the time at which to come again.

    `reset_at` is when the current window ends, by the vendor's clock as we know it. What is known of the allowance from
    the vendor outranks `allowed`. A negative `reserve` counts what has happened already, beyond the allowance too.
    """
    find = "select allowed, used, reset_at from budgets where system = :s and name = :n and key = :k" + db.for_update
    row = db.one(find, s=system, n=name, k=key)
    if row is None:  # two that come first at once must still meet at one row
        db.run(
            "insert into budgets (system, name, key, allowed, used, reset_at) values (:s, :n, :k, :a, 0, :r)"
            " on conflict (system, name, key) do nothing",
            s=system, n=name, k=key, a=allowed, r=reset_at,
        )  # fmt: skip
        row = db.one(find, s=system, n=name, k=key)
        assert row is not None
    limit, used, ends = row
    if ends <= at:
        used, ends = 0, reset_at
    if amount and used + amount > limit - reserve:
        return ends
    db.run(
        "update budgets set used = :u, reset_at = :r where system = :s and name = :n and key = :k",
        u=used + amount, r=ends, s=system, n=name, k=key,
    )  # fmt: skip
    return None


def closed_until(db: Db, system: str, name: str, key: str, *, reserve: int, at: float) -> float | None:
    """When an allowance that is used up opens again; None while some of it (beyond the reserve) is left."""
    row = db.one(
        "select allowed, used, reset_at from budgets where system = :s and name = :n and key = :k",
        s=system,
        n=name,
        k=key,
    )
    return row[2] if row and row[2] > at and row[1] >= row[0] - reserve else None


def correct(db: Db, system: str, name: str, key: str, *, allowed: int, remaining: int, reset_at: float) -> None:
    """What the vendor said outranks our count."""
    _write(db, system, name, key, allowed, max(0, allowed - remaining), reset_at)


def exhaust(db: Db, system: str, name: str, key: str, *, allowed: int, reset_at: float) -> None:
    """The vendor refused: nothing is left until `reset_at`."""
    _write(db, system, name, key, allowed, allowed, reset_at)


def _write(db: Db, system: str, name: str, key: str, allowed: int, used: int, reset_at: float) -> None:
    db.run(
        "insert into budgets (system, name, key, allowed, used, reset_at) values (:s, :n, :k, :a, :u, :r)"
        " on conflict (system, name, key) do update set allowed = excluded.allowed, used = excluded.used, reset_at = excluded.reset_at",
        s=system, n=name, k=key, a=allowed, u=used, r=reset_at,
    )  # fmt: skip


def listed(db: Db, *, system: str | None = None) -> list[Account]:
    """Every account, for people and for the planner."""
    sql = (
        "select system, name, key, allowed, used, reset_at from budgets"
        + (" where system = :s" if system else "")
        + " order by system, name, key"
    )
    return [Account(*row) for row in (db.rows(sql, s=system) if system else db.rows(sql))]
