"""Small standing notes of a workspace: what people were told, which key was refused. One value per name."""

from __future__ import annotations

import msgspec

from koppel.model.values import Json
from koppel.store.sql import Db


def put(db: Db, name: str, value: Json) -> None:
    """Write a note, or replace it."""
    db.run(
        "insert into meta (key, value) values (:k, :v) on conflict (key) do update set value = excluded.value",
        k=f"note {name}",
        v=msgspec.json.encode(value).decode(),
    )


def get(db: Db, name: str) -> Json:
    """A note, or None."""
    text = db.scalar("select value from meta where key = :k", k=f"note {name}")
    return msgspec.json.decode(text) if text else None


def drop(db: Db, name: str) -> Json:
    """Take a note away; returns what it said, or None."""
    said = get(db, name)
    db.run("delete from meta where key = :k", k=f"note {name}")
    return said
