"""Opening a store and running transactions on it.

Store functions are synchronous functions over a `Db`; `Store.tx` runs one of them as one transaction in the workspace's
only writer thread, or inline (simulation). `durable=True` makes the commit survive power loss: intents and tokens need it.
Any other commit survives a killed process, and at power loss is lost only together with everything after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sqlite3
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc

from koppel.model.problem import RetryLater, SetupError, UsageError
from koppel.store.migrate import SCHEMA, upgrade
from koppel.store.sql import Db, SqliteDb
from koppel.store.tables import metadata
from koppel.store.vault import Vault

WAL_TRIES = 200
WAL_WAIT = 0.05  # seconds
BUSY_SECONDS = 30  # how long a transaction waits for another process's
P = ParamSpec("P")
T = TypeVar("T")
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_KEY_CHECK = "key"


class Store:
    """One workspace's database with its vault."""

    def __init__(self, engine: sa.Engine, vault: Vault, *, inline: bool = False) -> None:
        self.engine = engine
        self.vault = vault
        self.sqlite = engine.dialect.name == "sqlite"
        self._connection: sa.Connection | None = None
        self._waits_for_disk: bool | None = None  # how the connection commits; None: nobody has said
        self._thread = None if inline else ThreadPoolExecutor(1, thread_name_prefix="koppel-store")
        # PostgreSQL: one transaction of a workspace at a time, whoever's, as SQLite's own lock has it (decision 17).
        schema = str(engine.get_execution_options().get(SCHEMA, ""))
        self._turn = int.from_bytes(blake2b(f"koppel {schema}".encode(), digest_size=8).digest(), signed=True)

    def run(self, function: Callable[Concatenate[Db, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One transaction, in the calling thread when inline, else in the writer thread, waited for."""
        if self._thread is None:
            return self._transact(False, function, *args, **kwargs)
        return self._thread.submit(self._transact, False, function, *args, **kwargs).result()

    def run_durable(self, function: Callable[Concatenate[Db, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`run`, with a commit that reaches the disk before this returns: a login made at the command line."""
        if self._thread is None:
            return self._transact(True, function, *args, **kwargs)
        return self._thread.submit(self._transact, True, function, *args, **kwargs).result()

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
        if self.sqlite:
            return self._on_sqlite(connection, durable, function, *args, **kwargs)
        with connection.begin():
            connection.exec_driver_sql("select pg_advisory_xact_lock(%s)", (self._turn,))
            if durable:
                connection.exec_driver_sql("set local synchronous_commit = on")
            return function(Db(connection, self.vault), *args, **kwargs)

    def _on_sqlite(
        self, connection: sa.Connection, durable: bool, function: Callable[..., T], *args: Any, **kwargs: Any
    ) -> T:
        db = SqliteDb(connection, _raw(connection), self.vault)
        if durable is not self._waits_for_disk:  # outside a transaction, where alone the pragma takes effect
            db.run(f"pragma synchronous = {'FULL' if durable else 'NORMAL'}")
            self._waits_for_disk = durable
        _begin(db)
        try:
            done = function(db, *args, **kwargs)
            db.run("commit")
        except BaseException:
            if db.raw.in_transaction:  # SQLite ends some of them itself: a full disk
                db.run("rollback")
            raise
        return done

    async def empty_log(self) -> None:
        """Take what passed through SQLite's write-ahead log out of its file; not while somebody else reads, and never waited for."""

        def checkpoint() -> None:
            if not self.sqlite or self._connection is None:
                return
            raw = _raw(self._connection)
            raw.execute("pragma busy_timeout = 0")
            try:
                raw.execute("pragma wal_checkpoint(truncate)").fetchall()
            finally:
                raw.execute(f"pragma busy_timeout = {int(BUSY_SECONDS * 1000)}")

        if self._thread is None:
            checkpoint()
        else:
            await asyncio.get_running_loop().run_in_executor(self._thread, checkpoint)

    def clock_offset(self) -> float:
        """Seconds the database's clock is ahead of this machine's; 0 for a file, which only this machine can open.

        Leases and waits for operations in doubt compare instants that different workers wrote down.
        """
        if self.sqlite:
            return 0.0
        before = time.time()
        there = float(self.run(lambda db: db.scalar("select extract(epoch from clock_timestamp())")))
        return there - (before + time.time()) / 2

    def scrub(self) -> None:
        """Take the remains of deleted rows out of the database's files, after an erasure. Slow: everything is rewritten.

        PostgreSQL's own write-ahead log and archives are the operator's: they keep what passed through them.
        """

        def rewrite() -> None:
            with self.engine.connect() as connection:
                raw = connection.connection.driver_connection
                if isinstance(raw, sqlite3.Connection):
                    raw.execute("vacuum")
                    raw.execute("pragma wal_checkpoint(truncate)")
                else:
                    free = connection.execution_options(isolation_level="AUTOCOMMIT")
                    for table in metadata.tables:
                        free.exec_driver_sql(f"vacuum full {table}")

        if self._thread is None:
            rewrite()
        else:
            self._thread.submit(rewrite).result()

    def close(self) -> None:
        """Finish and let go of the database."""

        def let_go() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = self._waits_for_disk = None

        if self._thread is None:
            let_go()
        else:
            self._thread.submit(let_go).result()
            self._thread.shutdown()
        self.engine.dispose()


def _begin(db: SqliteDb) -> None:
    """A transaction, as a writer; RetryLater when another process kept the database to itself for too long."""
    try:
        db.run("begin immediate")
    except exc.OperationalError as error:
        if "locked" not in str(error):
            raise
        raise RetryLater(
            f"Another process has kept the store to itself for {BUSY_SECONDS} seconds.",
            at=time.time() + 60,
            remedy="Run again; if it stays so, look for a program that holds the workspace's database open.",
        ) from None


def _raw(connection: sa.Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _into_wal(raw: sqlite3.Connection) -> None:
    """Switch a database to WAL. SQLite does not wait its turn here: while another process switches, it says locked at once."""
    for left in range(WAL_TRIES, 0, -1):
        try:
            raw.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if left == 1 or "locked" not in str(error):
                raise
            time.sleep(WAL_WAIT)
        else:
            return


def make_engine(url: str) -> sa.Engine:
    """The SQLAlchemy engine: `sqlite:///path` in WAL with immediate transactions, or `postgresql+psycopg://…?schema=name`,
    one schema per workspace. Raises SetupError for an address that is neither."""
    try:
        address = sa.make_url(url)
    except exc.ArgumentError:
        raise SetupError("The address of the store cannot be read.", remedy=_ADDRESSES) from None
    if address.drivername == "sqlite":
        return _sqlite_engine(address)
    if address.drivername in {"postgresql", "postgresql+psycopg"}:
        return _postgresql_engine(address.set(drivername="postgresql+psycopg"))
    raise SetupError(f"There is no store on {address.drivername}.", remedy=_ADDRESSES)


_ADDRESSES = "Write sqlite:///path/to/file or postgresql+psycopg://user@host/database?schema=name."


def check_address(url: str) -> None:
    """Look at an address that is to be written down. Raises SetupError when it leads to no kind of store, UsageError when a
    password stands in it: a workspace's file holds no secrets."""
    make_engine(url).dispose()
    if sa.make_url(url).password is not None:
        raise UsageError(
            "The address of the store holds a password, and would be written to a file that holds no secrets.",
            remedy="Leave it out; PostgreSQL finds it in PGPASSFILE (usually ~/.pgpass) or PGPASSWORD.",
        )


def _sqlite_engine(address: sa.URL) -> sa.Engine:
    in_memory = address.database in {None, "", ":memory:"}
    engine = sa.create_engine(
        address,
        poolclass=sa.StaticPool if in_memory else sa.NullPool,
        hide_parameters=True,
        # the time-out is known before the first pragma: two may open at once; every statement of ours is prepared once
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS, "cached_statements": 1024},
    )

    def prepare(raw: sqlite3.Connection, _record: object) -> None:
        raw.isolation_level = None  # we begin transactions ourselves, as writers
        _into_wal(raw)
        raw.execute("pragma secure_delete = on")  # an erased subject's key leaves no bytes behind
        raw.execute("pragma wal_autocheckpoint = 4000")

    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("begin immediate")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


def _postgresql_engine(address: sa.URL) -> sa.Engine:
    schema = address.query.get("schema")
    options: dict[str, Any] = {}
    if schema is not None:
        if not isinstance(schema, str) or not _SCHEMA_NAME.fullmatch(schema):
            raise SetupError(
                f"{schema!r} is no name for a schema.",
                remedy="Use small letters, digits and underscores, beginning with a letter.",
            )
        address = address.difference_update_query(["schema"])
        options[SCHEMA] = schema
    engine = sa.create_engine(address, poolclass=sa.NullPool, execution_options=options, hide_parameters=True)

    def prepare(raw: Any, _record: object) -> None:
        if schema is not None:  # pg_catalog is searched in any case; nothing of `public` is
            raw.execute(f'set search_path to "{schema}"')
        raw.execute("set synchronous_commit = off")  # as SQLite's NORMAL; a durable transaction says otherwise
        raw.commit()

    event.listen(engine, "connect", prepare)
    return engine


def in_memory(vault: Vault) -> Store:
    """A store in memory, inline: for simulation and tests. The tables are made directly; a test compares them with the
    migrations."""
    engine = make_engine("sqlite://")
    metadata.create_all(engine)
    return Store(engine, vault, inline=True)


def open_store(url: str, vault: Vault, *, inline: bool = False, create: bool = False) -> Store:
    """Open a workspace's database, brought up to date by migrations; `create` makes a new one.

    Raises SetupError when it does not exist, cannot be reached, was written by a newer Koppel or under another key.
    """
    if url.startswith("sqlite:///"):
        _find_file(Path(url.removeprefix("sqlite:///")), create=create)
    engine = make_engine(url)
    store = Store(engine, vault, inline=inline)
    try:
        upgrade(engine)
        store.run(_check_key)
    except exc.DatabaseError as error:
        store.close()
        if type(error) not in {exc.OperationalError, exc.DatabaseError}:
            raise  # a mistake of ours in some statement
        raise SetupError(
            f"The store cannot be opened: {str(error.orig).strip()}.",
            remedy="Check its address, that the server runs, or that the file is a store and not damaged.",
        ) from None
    except BaseException:
        store.close()
        raise
    return store


def _find_file(path: Path, *, create: bool) -> None:
    if path.exists():
        return
    if not create:
        raise SetupError(f"There is no store at {path}.", remedy="Run `koppel init` in the workspace folder first.")
    try:
        with contextlib.suppress(FileExistsError):  # somebody was quicker, and means the same
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR))
    except OSError as error:
        raise SetupError(
            f"The store cannot be made at {path}: {error.strerror}.", remedy="Check the folder and its rights."
        ) from None


def _check_key(db: Db) -> None:
    """Refuse a key that is not the one this store was made with: every digest would differ, and nothing could be read."""
    sealed = db.scalar("select value from meta where key = :k", k=_KEY_CHECK)
    if sealed is None:
        db.run(
            "insert into meta (key, value) values (:k, :v) on conflict (key) do nothing",
            k=_KEY_CHECK,
            v=db.vault.seal(b"koppel", about=_KEY_CHECK),
        )
        sealed = db.scalar("select value from meta where key = :k", k=_KEY_CHECK)
    db.vault.unseal(sealed, about=_KEY_CHECK)
