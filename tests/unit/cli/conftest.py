"""A person at the command line: commands run in this process, against a workspace on sandboxes served on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from koppel.cli.main import app
from koppel.testing.stand import Stand, stand


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Person:
    """Somebody who types commands in one workspace."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def __call__(self, *words: str, typed: str | None = None, env: dict[str, str] | None = None) -> Said:
        where = {"KOPPEL_WORKSPACE": str(self.folder)} if self.folder else {"KOPPEL_WORKSPACE": None}
        quiet = {"NO_COLOR": "1", "COLUMNS": "80", "TERM": "dumb"}
        result = CliRunner(env={**where, **quiet}).invoke(app, list(words), input=typed, env=env)
        assert not isinstance(result.exception, Exception), result.exception
        return Said(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def person() -> Callable[[Path | None], Person]:
    return Person


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stand]:
    """A signed-in workspace with the ready-made flow."""
    with stand(tmp_path / "books", companies=24) as made:
        made.wait(12 * 3600)  # in the evening, inside the ready-made flow's window
        yield made


@pytest.fixture
def koppel(at: Stand) -> Person:
    """Commands in that workspace."""
    return Person(at.folder)
