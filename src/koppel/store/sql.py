"""Where the two databases differ: rows out of one JSON parameter, locks, durability.

Bulk work is one statement with one JSON parameter per page: row-by-row calls give the interpreter lock away at each row
(measured 400 times slower beside a busy thread).

A table that was given is joined `given cross join t … where`: SQLite then looks each given row up by index. Left to itself,
without statistics, it walks the whole stream or flow for each page (measured: 1,000 times slower at 20,000 records).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import exc

from koppel.model.values import Json

if TYPE_CHECKING:
    from koppel.store.vault import Vault

_PG_TYPES = {"text": "text", "big": "bigint", "real": "double precision"}


_text = lru_cache(maxsize=1024)(sa.text)  # reading a statement's parameters costs more than running a small one


class Db:
    """One open transaction: what every store function takes first. A statement's parameters are written `:name`."""

    sqlite = False

    def __init__(self, connection: sa.Connection, vault: Vault) -> None:
        self.connection = connection
        self.vault = vault

    def run(self, sql: str, **values: Json) -> int:
        """Execute; returns the number of rows touched."""
        return self.connection.execute(_text(sql), values).rowcount

    def rows(self, sql: str, **values: Json) -> Sequence[tuple[Any, ...]]:
        """All rows of a query."""
        return self.connection.execute(_text(sql), values).fetchall()

    def one(self, sql: str, **values: Json) -> tuple[Any, ...] | None:
        """The first row, or None."""
        return self.connection.execute(_text(sql), values).fetchone()

    def scalar(self, sql: str, **values: Json) -> Json:
        """The first column of the first row, or None."""
        row = self.one(sql, **values)
        return None if row is None else row[0]

    @contextlib.contextmanager
    def savepoint(self) -> Generator[None]:
        """What fails inside is undone, and only that; the error goes on."""
        with self.connection.begin_nested():
            yield

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


class SqliteDb(Db):
    """The same on SQLite, without SQLAlchemy between: it has the same words for parameters, and a small statement costs there
    a seventh of what it costs through SQLAlchemy. Errors are SQLAlchemy's, without the values."""

    sqlite = True

    def __init__(self, connection: sa.Connection, raw: sqlite3.Connection, vault: Vault) -> None:
        super().__init__(connection, vault)
        self.raw = raw

    def run(self, sql: str, **values: Json) -> int:
        """Execute; returns the number of rows touched."""
        try:
            return self.raw.execute(sql, values).rowcount
        except sqlite3.Error as error:
            raise told(error, sql) from error

    def rows(self, sql: str, **values: Json) -> Sequence[tuple[Any, ...]]:
        """All rows of a query."""
        try:
            return self.raw.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise told(error, sql) from error

    def one(self, sql: str, **values: Json) -> tuple[Any, ...] | None:
        """The first row, or None."""
        try:
            cursor = self.raw.execute(sql, values)
            row = cursor.fetchone()
            cursor.close()
        except sqlite3.Error as error:
            raise told(error, sql) from error
        return row

    @contextlib.contextmanager
    def savepoint(self) -> Generator[None]:
        """What fails inside is undone, and only that; the error goes on."""
        self.run("savepoint inner_part")
        try:
            yield
        except BaseException:
            self.run("rollback to inner_part")
            raise
        finally:
            self.run("release inner_part")


def told(error: sqlite3.Error, sql: str) -> BaseException:
    """SQLite's error as SQLAlchemy would raise it; what was written stays out of it (law 12)."""
    return exc.DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True)


def as_rows(rows: Iterable[Sequence[Json]]) -> str:
    """The `:rows` parameter."""
    return msgspec.json.encode([list(row) for row in rows]).decode()


def as_list(values: Iterable[str]) -> str:
    """The `:list` parameter. A set, which has no order of its own, is put in one: the same run must do the same things in the
    same order wherever it is repeated."""
    ordered = sorted(values) if isinstance(values, (set, frozenset)) else list(values)
    return msgspec.json.encode(ordered).decode()
