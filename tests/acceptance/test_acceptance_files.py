"""Every acceptance file of the repository is played and is as expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from koppel.testing.acceptance import read_script
from koppel.testing.acceptance.runner import play

pytestmark = pytest.mark.slow
FILES = sorted((Path(__file__).parents[2] / "acceptance").glob("*.toml"))


def test_there_are_files():
    assert "seed-0.toml" in [file.name for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_everything_is_as_the_file_says(file):
    report = play(read_script(file))
    wrong = [(s.number, c.what, c.expected, c.seen) for s in report.steps for c in s.checks if c.ok is False]
    assert (report.broke_off, wrong) == ("", [])
    assert len(report.steps) >= 10 or file.stem != "seed-0"
