"""Where the two databases differ: rows out of one JSON parameter, locks, durability.

Bulk work is one statement with one JSON parameter per page: row-by-row calls give the interpreter lock away at each row
(measured 400 times slower beside a busy thread).

A table that was given is joined `given cross join t … where`: SQLite then looks each given row up by index. Left to itself,
without statistics, it walks the whole stream or flow for each page (measured: 1,000 times slower at 20,000 records).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from koppel.model.values import Json

if TYPE_CHECKING:
    from koppel.store.vault import Vault

_PG_TYPES = {"text": "text", "big": "bigint", "real": "double precision"}


_text = lru_cache(maxsize=1024)(sa.text)  # reading a statement's parameters costs more than running a small one


class Db:
    """One open transaction: what every store function takes first."""

    def __init__(self, connection: sa.Connection, vault: Vault, *, sqlite: bool) -> None:
        self.connection = connection
        self.vault = vault
        self.sqlite = sqlite

    def run(self, sql: str, **values: Json) -> int:
        """Execute; returns the number of rows touched."""
        return self.connection.execute(_text(sql), values).rowcount

    def rows(self, sql: str, **values: Json) -> Sequence[sa.Row]:
        """All rows of a query."""
        return self.connection.execute(_text(sql), values).fetchall()

    def one(self, sql: str, **values: Json) -> sa.Row | None:
        """The first row, or None."""
        return self.connection.execute(_text(sql), values).fetchone()

    def scalar(self, sql: str, **values: Json) -> Json:
        """The first column of the first row, or None."""
        return self.connection.execute(_text(sql), values).scalar()

    def table(self, columns: Mapping[str, str]) -> str:
        """SQL of a table read out of the parameter `:rows` (a JSON list of lists); `columns` = name -> text | big | real."""
        if self.sqlite:
            parts = ", ".join(f"json_extract(value, '$[{i}]') as {name}" for i, name in enumerate(columns))
            return f"(select {parts} from json_each(:rows)) as given"
        parts = ", ".join(f"(e->>{i})::{_PG_TYPES[kind]} as {name}" for i, (name, kind) in enumerate(columns.items()))
        return f"(select {parts} from jsonb_array_elements(cast(:rows as jsonb)) as e) as given"

    def values(self) -> str:
        """SQL of a one-column table `v` read out of the parameter `:list` (a JSON list of texts)."""
        if self.sqlite:
            return "(select value as v from json_each(:list)) as given"
        return "(select v from jsonb_array_elements_text(cast(:list as jsonb)) as v) as given"

    def by(self, index: str) -> str:
        """Which index to use, after a table's name: SQLite without statistics rates any key's first column too high."""
        return f" indexed by {index}" if self.sqlite else ""

    @property
    def for_update(self) -> str:
        """Row lock where there are several writers; SQLite's transaction is already the only writer."""
        return "" if self.sqlite else " for update"


def as_rows(rows: Iterable[Sequence[Json]]) -> str:
    """The `:rows` parameter."""
    return msgspec.json.encode([list(row) for row in rows]).decode()


def as_list(values: Iterable[str]) -> str:
    """The `:list` parameter."""
    return msgspec.json.encode(list(values)).decode()
