"""Bringing a store's tables up to date.

One transaction takes the database's writer lock, looks where the store stands and makes what is missing: two processes that
open a store at once do it once, and a process killed half-way leaves nothing behind. A store that is up to date is told by
one query, without importing Alembic. There is no way down: a store is restored from a backup, never unmade.
"""

from __future__ import annotations

import threading

import sqlalchemy as sa

from koppel.model.problem import SetupError

REVISIONS = tuple(f"{number:04d}" for number in range(1, 11))  # all there are; a test compares them with the files
HEAD = REVISIONS[-1]
VERSION_TABLE = "koppel_version"  # not Alembic's own name: a PostgreSQL schema may hold another program's tables
SCHEMA = "koppel_schema"  # the engine's execution option that names the workspace's PostgreSQL schema
_LOCK = 7_153_001  # PostgreSQL: who migrates, in this database
_HERE = threading.Lock()  # Alembic keeps what it works on in module globals: one store at a time in this process


def upgrade(engine: sa.Engine) -> None:
    """Make the tables, or bring them to today's. Raises SetupError when a newer Koppel wrote the store."""
    if standing(engine) == HEAD:
        return
    with _HERE, engine.begin() as connection:  # SQLite: begins as the writer
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            schema = engine.get_execution_options().get(SCHEMA)
            if schema is not None:
                connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
        _migrate(connection)


def standing(engine: sa.Engine) -> str | None:
    """The revision a store stands at; None when it has no tables yet. Raises SetupError for a revision this Koppel does not know.

    Asked of the driver itself: a look must not wait for a writer, as a transaction of SQLAlchemy's would.
    """
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        if engine.dialect.name == "postgresql":
            cursor.execute(f"select to_regclass('{VERSION_TABLE}')")
        else:
            cursor.execute(f"select max(name) from sqlite_master where name = '{VERSION_TABLE}'")
        if cursor.fetchone() in {None, (None,)}:
            return None
        cursor.execute(f"select version_num from {VERSION_TABLE}")
        row = cursor.fetchone()
    revision: str | None = row[0] if row else None
    if revision is not None and revision not in REVISIONS:
        raise SetupError(
            f"This store was written by a newer Koppel (its tables are at revision {revision}, this one knows {HEAD}).",
            remedy="Install the Koppel that wrote it, or a later one.",
        )
    return revision


def _migrate(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415 - takes long to import, and most opens find nothing to do
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "koppel.store:migrations")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    command.upgrade(config, "head")
