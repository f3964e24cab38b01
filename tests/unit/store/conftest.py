"""Stores to test on: SQLite in a file, and the PostgreSQL of `tests/conftest.py`."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from koppel.model.company import Company
from koppel.model.record import Record
from koppel.store import streams
from koppel.store.migrate import upgrade
from koppel.store.observations import Seen
from koppel.store.store import Store, make_engine, open_store
from koppel.store.tables import metadata
from koppel.store.vault import Vault

KEY = bytes(range(32))
BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))]


@pytest.fixture(scope="session")
def _emptied(postgres: str) -> Callable[[], str]:
    """One migrated schema, emptied for each test: making the tables anew takes ten times as long."""
    url = f"{postgres}&schema=emptied"
    every = ", ".join(metadata.tables)

    def empty() -> str:
        engine = make_engine(url)
        upgrade(engine)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"truncate {every} restart identity")
        return url

    return empty


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One migrated file, copied for each test."""
    path = tmp_path_factory.mktemp("migrated") / "store.db"
    open_store(f"sqlite:///{path}", Vault(KEY), inline=True, create=True).close()
    return path


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store, on both databases."""
    if request.param == "sqlite":
        return f"sqlite:///{shutil.copy(request.getfixturevalue('_migrated'), tmp_path)}"
    return request.getfixturevalue("_emptied")()


@pytest.fixture(params=BOTH)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store that does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return f"{request.getfixturevalue('postgres')}&schema=w_{uuid.uuid4().hex}"


@pytest.fixture
def vault() -> Vault:
    return Vault(KEY)


@pytest.fixture
def opened(url: str, vault: Vault) -> Iterator[Callable[[], Store]]:
    """Opens the same store again and again: as many workers as a test wants."""
    stores: list[Store] = []

    def one_more() -> Store:
        stores.append(open_store(url, vault, inline=True, create=True))
        return stores[-1]

    yield one_more
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], Store]) -> Store:
    return opened()


@pytest.fixture
def stream(store: Store) -> int:
    return store.run(streams.ensure, "books", "accounts").id


@pytest.fixture
def company() -> Callable[..., Seen]:
    """Makes a record as an exchange would bring it, with its match keys."""

    def make(native: str, version: str = "1", raw: str = "", **values: Any) -> Seen:
        entity = Company(**({"name": f"Bakkerij {native} B.V."} | values))
        return Seen(native, Record(entity), version=version, raw_digest=raw, keys=entity.match_keys())

    return make
