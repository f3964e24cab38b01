"""`koppel undo`: a plan first, then only that plan."""

from __future__ import annotations

import json
from typing import Any

import pytest

from koppel.cli.rows import entry_row

NEW = "00100104"


@pytest.fixture
def run(at: Any, koppel: Any) -> int:
    """A run that took one company in."""
    koppel("add", NEW, "--to", "books-nl")
    return koppel("runs", "--json").json[0]["id"]


def test_it_shows_the_plan_and_writes_nothing(run: int, at: Any, koppel: Any, tmp_path: Any) -> None:
    before = at.writes()
    said = koppel("undo", str(run), "-o", str(tmp_path / "undo.json"), "--html", str(tmp_path / "undo.html"))
    assert said.code == 0, said.err
    words = " ".join(said.out.split())
    assert f"undo of run {run}" in words
    assert f"koppelapply{tmp_path / 'undo.json'}" in "".join(said.out.split()), "a long path is broken over lines"
    assert at.writes() == before
    assert json.loads((tmp_path / "undo.json").read_text())["undo_of"] == run
    assert f"undo of run {run}" in (tmp_path / "undo.html").read_text()


def test_the_stored_plan_is_applied_and_its_question_answered(run: int, at: Any, koppel: Any, tmp_path: Any) -> None:
    file = tmp_path / "undo.json"
    koppel("undo", str(run), "-o", str(file))
    said = koppel("apply", str(file))
    assert said.code == 1, said.out + said.err
    (item,) = koppel("asks", "--json").json
    assert "block or remove it there yourself" in item["body"]["text"]
    assert "a person has done it" in koppel("asks").out
    assert koppel("asks", "decide", str(item["id"]), "done").code == 0
    before = at.writes()
    assert "1 unlinked" in koppel("sync", "kvk-exact").out
    assert koppel("undo", str(run), "--json").json["counts"]["archive"] == 0
    assert at.writes() == before


def test_apply_at_once(run: int, at: Any, koppel: Any) -> None:
    said = koppel("undo", str(run), "--apply")
    assert "1 asked" in said.out
    assert koppel("runs", "--json").json[0]["trigger"] == f"undo of run {run}"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("undo", "99"), "There is no run 99"),
        (("undo", "1", "--apply", "-o", "x.json"), "--apply does the plan at once"),
        (("undo", "koe"), "valid integer"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(words: tuple[str, ...], says: str, koppel: Any) -> None:
    said = koppel(*words)
    assert said.code == 2
    assert says in " ".join(said.err.split())


def test_an_entry_of_an_undo_is_not_told_as_two_spellings_of_one_value() -> None:
    change = {"before": "new", "after": "old", "because": "undo of run 7"}
    data = {"label": "Bakker", "target": "right", "fields": {"name": change}, "kept": {"name": ["new", "old"]}}
    assert [line.text for line in entry_row("updated", data).lines] == ["name: new → old"]
    left = {
        "label": "Bakker",
        "kept": {"name": ["new", "old"]},
        "notes": {"name": "undo of run 7: it shows the earlier value already"},
    }
    assert [line.text for line in entry_row("agreed", left).lines] == ["name: new and old both stay as they are"]
