"""What the guides show is what the commands print. One page is played here; `python tools/guides.py --check` plays them all."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
PLAYED = [page for page in GUIDES if "<!-- scene" in page.read_text(encoding="utf-8")]


@pytest.fixture(scope="module")
def guides() -> ModuleType:
    spec = importlib.util.spec_from_file_location("guides", ROOT / "tools" / "guides.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_guide_shows_what_the_commands_print_today(guides: ModuleType) -> None:
    page = ROOT / "docs" / "guides" / "conflicts.md"
    assert guides.played(page) == page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_output_typed_by_hand_is_noticed(guides: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- scene companies=1 -->\n\n```console\n$ koppel asks\nAll is well.\n```\n", encoding="utf-8")
    assert guides.main(["--check", str(page)]) == 1
    assert guides.main([str(page)]) == 0
    assert "Nothing waits for your decision.\n```" in page.read_text(encoding="utf-8")
    assert guides.main(["--check", str(page)]) == 0


def test_a_command_that_fails_with_a_traceback_spoils_the_page(guides: ModuleType) -> None:
    with pytest.raises(AssertionError, match="Traceback"):
        guides.tidied("koppel plan x", "Traceback (most recent call last):\n")


def test_what_hangs_on_the_hour_or_on_chance_is_masked(guides: ModuleType) -> None:
    printed = "1 of 6 writes done\nhttp://127.0.0.1:4711/x operation abcdefghij234567abcd\n" + "ab12" * 16 + "\n"
    assert guides.tidied("koppel log", printed) == "http://127.0.0.1:…/x operation …\n…\n"


@pytest.mark.parametrize("page", PLAYED, ids=lambda page: page.name)
def test_every_output_of_a_played_page_belongs_to_a_command(page: Path) -> None:
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        assert block.startswith("$ koppel "), block[:80]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_links_of_a_guide_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
