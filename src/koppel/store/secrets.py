"""Secrets: token pairs and secret settings, sealed. A pair is written durably before it is used; the previous one is kept."""

from __future__ import annotations

from koppel.model.values import Json
from koppel.store.sql import Db


def put(db: Db, name: str, value: Json, *, at: float) -> int:
    """Store a secret, keeping the one before as `<name>:previous`; returns its version."""
    find = "select body, version, at from secrets where name = :n" + db.for_update
    row = db.one(find, n=name)
    if row is None:
        done = db.run(
            "insert into secrets (name, body, version, at) values (:n, :b, 1, :at) on conflict (name) do nothing",
            n=name,
            b=db.vault.seal_json(value, about=name),
            at=at,
        )
        if done:
            return 1
        row = db.one(find, n=name)  # somebody was quicker
        assert row is not None
    version: int = row[1] + 1
    plain = db.vault.unseal(row[0], about=name)
    _write(db, f"{name}:previous", db.vault.seal(plain, about=f"{name}:previous"), row[1], row[2])
    _write(db, name, db.vault.seal_json(value, about=name), version, at)
    return version


def swap(db: Db, name: str, value: Json, *, version: int, at: float) -> bool:
    """`put`, unless somebody stored another since `version` (0: there was none); whether it was stored."""
    row = db.one("select version from secrets where name = :n" + db.for_update, n=name)
    if (row[0] if row else 0) != version:
        return False
    return put(db, name, value, at=at) == version + 1


def _write(db: Db, name: str, body: str, version: int, at: float) -> None:
    db.run(
        "insert into secrets (name, body, version, at) values (:n, :b, :v, :at) on conflict (name) do update set body = excluded.body, version = excluded.version, at = excluded.at",
        n=name, b=body, v=version, at=at,
    )  # fmt: skip


def get(db: Db, name: str) -> tuple[Json, int] | None:
    """(value, version) of a secret, or None."""
    row = db.one("select body, version from secrets where name = :n", n=name)
    return (db.vault.unseal_json(row[0], about=name), row[1]) if row else None


def forget(db: Db, name: str) -> None:
    """Remove a secret and its predecessor."""
    db.run("delete from secrets where name in (:n, :p)", n=name, p=f"{name}:previous")
