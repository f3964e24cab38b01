"""Pages about systems and the code they are about are held together."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from koppel.systems import registry

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("system_pages", ROOT / "tools" / "system_pages.py")
pages = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pages)
DESCRIBED = {"rest"}  # by hand: its resources come from a description


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_says_what_the_code_says(name):
    file = ROOT / "docs" / "systems" / f"{name}.md"
    assert file.read_text(encoding="utf-8") == pages.page(name), "out of date: python tools/system_pages.py"


def test_every_system_of_ours_has_a_page_and_the_readme_leads_to_it():
    ours = {name for name in registry.names() if (ROOT / "src" / "koppel" / "systems" / name).is_dir()}
    assert set(pages.PAGES) | DESCRIBED == ours
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ours:
        assert f"docs/systems/{name}.md" in readme


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_tells_everything_a_buyer_asks(name):
    text, system = pages.page(name), registry.load(name)
    for heading in ("What it reads and writes", "What a call costs", "Where older advice is wrong", "Unverified"):
        assert f"\n## {heading}\n" in text, heading
    for resource in system.resources:
        assert f"| `{resource.name}` | writing |" in text
        assert not resource.can.gap or resource.can.gap in text
        for field in resource.can.fields:
            assert f"| `{field.path}` |" in text
    for budget in system.budgets:
        assert f"`{budget.name}`: {budget.limit:,}" in text


@pytest.mark.parametrize("name", pages.PAGES)
def test_every_doubt_in_the_facts_stands_on_the_page_with_its_source(name):
    def doubts(facts, prefix=""):
        for key, fact in facts.items():
            if isinstance(fact, dict):
                if fact.get("verified") is False:
                    yield f"{prefix}{key}", fact["source"]
                yield from doubts(fact, f"{prefix}{key}.")

    told = dict(re.findall(r"^- `([^`]+)`: .* Source: (.+)\.$", pages.page(name), re.MULTILINE))
    assert told == dict(doubts(registry.facts(name)))
