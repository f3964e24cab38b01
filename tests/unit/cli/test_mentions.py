"""Whatever tells people to type a command names one that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from koppel.cli.main import app
from koppel.systems import registry

ROOT = Path(__file__).parents[3]
WORDS = re.compile(r"(?:`|\"|^ *|: |\$ )koppel ([a-z]+(?:-[a-z]+)*)((?: [a-z]+)?)", re.MULTILINE)
PLACES = (
    *("README.md", "CONTRIBUTING.md", "docs/**/*.md", "src/koppel/**/*.py"),
    *(f"src/koppel/systems/{name}/**/*.{kind}" for name in registry.names() for kind in ("md", "toml")),
)


@pytest.mark.parametrize("place", PLACES)
def test_every_command_that_is_mentioned_exists(place):
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    unknown = [
        f"{path.relative_to(ROOT)}: koppel {match[1]}{match[2]}"
        for path in sorted(ROOT.glob(place))
        for match in WORDS.finditer(path.read_text("utf-8"))
        if match[1] not in commands
    ]
    assert unknown == []
