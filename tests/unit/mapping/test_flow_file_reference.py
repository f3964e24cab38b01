"""The reference page knows every word of the format, and its examples are true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from koppel.mapping import flow, grouping, paths, read, read_conditions, read_group, read_rules
from koppel.mapping.read import read_flow
from koppel.mapping.transforms import TRANSFORMS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/flow-file.md").read_text(encoding="utf-8")
SOURCE = ROOT / "src/koppel"

WORDS = {
    *read.TOP_KEYS,
    *read.SCOPE_KEYS,
    *read.TAKES,
    *read.CREATE_KEYS,
    *read_conditions.TESTS,
    *read.MATCH_SECTION_KEYS,
    *read.RUN_KEYS,
    *read.BRAKE_KEYS,
    *read_rules.RULE_KEYS,
    *read_rules.WHENS,
    *read_rules.EMPTIES,
    *read_rules.DRIFTS,
    *get_args(flow.Owner),
    *get_args(flow.Missing),
    *get_args(flow.SharedKey),
    *get_args(flow.Late),
    *read_group.GROUP_KEYS,
    *read_group.BY,
    *read_group.ROUNDING_KEYS,
    *grouping.KEYS,
    grouping.MIXED,
    *paths.EVIDENCE,
    *paths.MATCH_KEYS["company"],
    *TRANSFORMS,
}


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_word_of_the_format_is_explained(word):
    assert re.search(rf"[`\[\"]{re.escape(word)}\b", PAGE), word


def test_every_code_that_can_be_said_is_listed():
    said: set[str] = set()
    for file in (SOURCE / "mapping").glob("[!d]*.py"):
        text = file.read_text(encoding="utf-8")
        said |= set(re.findall(r"""\s"([a-z]+(?:-[a-z]+)*)",\s+(?:f?["']|message\b|str\()""", text))
    one_word = {"toml", "lossy", "contradiction", "overlap", "required", "unfed", "unread", "unreadable"}
    assert one_word <= said
    said = {code for code in said if "-" in code or code in one_word}
    assert len(said) > 25
    assert {code for code in said if f"`{code}`" not in PAGE} == set()


def test_the_whole_flow_of_the_page_is_taken():
    text = next(block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if block.startswith("koppel = 1"))
    found, problems = read_flow(text, file="page")
    assert found is not None, problems
    assert problems == ()


def test_the_refused_line_of_the_page_is_refused_and_the_others_are_not():
    fields = next(block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if block.startswith("[fields]"))
    head = 'koppel = 1\nid = "x"\ntitle = "X"\nentity = "company"\nleft = "a:b"\nright = "c:d"\n'
    found, problems = read_flow(head + fields, file="page")
    assert found is None
    assert [problem.code for problem in problems] == ["unknown-field"]
    kept = "".join(line for line in fields.splitlines(keepends=True) if "refused" not in line)
    assert read_flow(head + kept, file="page")[1] == ()


def test_every_ready_made_flow_that_is_shipped_can_be_read():
    files = sorted(SOURCE.glob("systems/*/flows/*.toml"))
    assert files
    for file in files:
        found, problems = read_flow(file.read_text(encoding="utf-8"), file=file.name)
        assert found is not None, [str(problem) for problem in problems]
