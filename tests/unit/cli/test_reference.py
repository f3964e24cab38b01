"""The page of commands is what the commands say."""

from __future__ import annotations

from pathlib import Path

from koppel.cli.main import ORDER
from koppel.cli.reference import page

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == page(), "make it again: python -m koppel.cli.reference > docs/reference/cli.md"


def test_every_command_stands_on_the_page_with_an_example():
    text = PAGE.read_text("utf-8")
    for name in ORDER:
        assert f"## koppel {name}\n" in text
        assert text.count(f"\nkoppel {name}") >= 1, f"{name} has an example"
