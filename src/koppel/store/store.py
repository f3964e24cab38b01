"""Opening a store and running transactions on it.

Store functions are synchronous functions over a `Db`; `Store.tx` runs one of them as one transaction in the workspace's
only writer thread, or inline (simulation). `durable=True` makes the commit survive power loss: intents and tokens need it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from koppel.model.problem import SetupError
from koppel.store.sql import Db
from koppel.store.tables import metadata
from koppel.store.vault import Vault

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """One workspace's database with its vault."""

    def __init__(self, engine: sa.Engine, vault: Vault, *, inline: bool = False) -> None:
        self.engine = engine
        self.vault = vault
        self.sqlite = engine.dialect.name == "sqlite"
        self._connection: sa.Connection | None = None
        self._thread = None if inline else ThreadPoolExecutor(1, thread_name_prefix="koppel-store")

    def run(self, function: Callable[Concatenate[Db, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One transaction, in the calling thread when inline, else in the writer thread, waited for."""
        if self._thread is None:
            return self._transact(False, function, *args, **kwargs)
        return self._thread.submit(self._transact, False, function, *args, **kwargs).result()

    async def tx(self, function: Callable[Concatenate[Db, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One transaction, without holding up the event loop."""
        return await self._hop(False, function, *args, **kwargs)

    async def durable(self, function: Callable[Concatenate[Db, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One transaction whose commit reaches the disk before this returns."""
        return await self._hop(True, function, *args, **kwargs)

    async def _hop(self, durable: bool, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        if self._thread is None:
            return self._transact(durable, function, *args, **kwargs)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: self._transact(durable, function, *args, **kwargs))

    def _transact(self, durable: bool, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        if self._connection is None:
            self._connection = self.engine.connect()
        connection = self._connection
        if self.sqlite:  # NORMAL loses at most the last commits at power loss; a lost settle becomes a probe
            raw: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
            raw.execute(f"pragma synchronous = {'FULL' if durable else 'NORMAL'}")
        with connection.begin():
            return function(Db(connection, self.vault, sqlite=self.sqlite), *args, **kwargs)

    def close(self) -> None:
        """Finish and let go of the database."""

        def let_go() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        if self._thread is None:
            let_go()
        else:
            self._thread.submit(let_go).result()
            self._thread.shutdown()
        self.engine.dispose()


def make_engine(url: str) -> sa.Engine:
    """The SQLAlchemy engine: `sqlite:///path` in WAL with immediate transactions, or `postgresql+psycopg://…`."""
    if not url.startswith("sqlite"):
        return sa.create_engine(url, poolclass=sa.NullPool)
    engine = sa.create_engine(
        url,
        poolclass=sa.StaticPool if ":memory:" in url or url == "sqlite://" else sa.NullPool,
        connect_args={"check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(raw: sqlite3.Connection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        raw.isolation_level = None  # we begin transactions ourselves, as writers
        raw.execute("pragma journal_mode = wal")
        raw.execute("pragma busy_timeout = 20000")
        raw.execute("pragma secure_delete = on")  # an erased subject's key leaves no bytes behind
        raw.execute("pragma wal_autocheckpoint = 4000")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql("begin immediate")

    return engine


def in_memory(vault: Vault) -> Store:
    """A store in memory, inline: for simulation and tests. The tables are made directly; a test compares them with the migrations."""
    engine = make_engine("sqlite://")
    metadata.create_all(engine)
    store = Store(engine, vault, inline=True)
    return store


def open_store(url: str, vault: Vault, *, inline: bool = False, create: bool = False) -> Store:
    """Open a workspace's database, brought up to date by migrations; `create` makes a new one.

    Raises SetupError when it does not exist, cannot be reached or was written by a newer Koppel.
    """
    path = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
    if path is not None:
        if not create and not path.exists():
            raise SetupError(f"There is no store at {path}.", remedy="Run `koppel init` in the workspace folder first.")
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR))
    from koppel.store.migrate import upgrade  # noqa: PLC0415 - alembic takes long to import; only an open needs it

    engine = make_engine(url)
    try:
        upgrade(engine)
    except sa.exc.OperationalError as error:
        raise SetupError(
            f"The store cannot be opened: {error.orig}.", remedy="Check the database address and that the server runs."
        ) from None
    return Store(engine, vault, inline=inline)
