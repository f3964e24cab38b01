"""What the README promises: its Python runs as it stands, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click import Group
from typer.main import get_command

from koppel.cli.main import app
from koppel.testing.stand import stand

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (code,) = blocks("python")
    with stand(tmp_path / "my-books", companies=25) as world:
        monkeypatch.chdir(tmp_path)
        exec(compile(code, "README.md", "exec"), {})
        assert [a["ChamberOfCommerce"] for a in world.accounts("00100104")] == ["00100104"]
    said = capsys.readouterr().out
    assert "create" in said
    assert "'create': 1" in said


def test_every_command_it_names_exists():
    root = get_command(app)
    known = set(root.commands) if isinstance(root, Group) else set(getattr(root, "commands", {}))
    assert known
    for block in blocks("sh"):
        for name in re.findall(r"(?m)^koppel ([a-z-]+)", block):
            assert name in known, name
    for name in re.findall(r"`koppel ([a-z-]+)", README):
        assert name in known, name


@pytest.mark.parametrize("page", sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")}), ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
