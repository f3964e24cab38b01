"""Acceptance files: what they may say, and that they fail when the world is not as they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from koppel.model.problem import UsageError
from koppel.testing.acceptance import read_script
from koppel.testing.acceptance.__main__ import main
from koppel.testing.acceptance.runner import play
from koppel.testing.acceptance.script import VERBS
from koppel.testing.acceptance.seen import _nowhere
from koppel.testing.acceptance.stage import stage

HEAD = """\
acceptance = 1
title = "A small world"

[fixtures]
seed = 1
companies = 8
start = "2026-11-02 20:00"
connections = { register = { system = "kvk" }, books-nl = { system = "exact" } }

[[fixtures.flows]]
ready_made = "kvk-exact"
connections = { register = "register", books-nl = "books-nl" }
"""
INTAKE = """
[[step]]
words = "A number is handed in"
do = [{ verb = "take_in", numbers = ["00100104"] }, { verb = "sync" }]
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "small.toml"
    file.write_text(HEAD + text, encoding="utf-8")
    return file


def wrong(report):
    return [(check.what, check.expected, check.seen) for step in report.steps for check in step.checks if not check.ok]


RIGHT = """
[step.expect]
state = { kvk-exact = "done" }
counts.kvk-exact = { created = 1 }
writes = { books-nl = 1 }
calls = [{ at = "register", path = "basisprofielen", exactly = 1 }]
records = [{ at = "books-nl", kvk = "00100104", count = 1, fields = { City = "Amersfoort" }, absent = ["Phone"] }]
open = { asks = 0, parked = 0 }
nowhere = ["Stilleveen"]
why = [{ ref = "00100104", says = "created" }]
"""


def test_a_file_that_is_right_is_accepted_and_what_always_holds_is_looked_at(tmp_path):
    report = play(read_script(written(tmp_path, INTAKE + RIGHT)))
    assert wrong(report) == []
    assert report.ok
    looked = {check.what for check in report.steps[0].checks}
    assert {"the same again", "entered twice", "audit verify", "why answers for every record touched"} <= looked


@pytest.mark.parametrize(
    ("right", "false", "what"),
    [
        ('kvk-exact = "done"', 'kvk-exact = "stopped"', "kvk-exact ends"),
        ("created = 1", "created = 2", "kvk-exact: created"),
        ("books-nl = 1 }", "books-nl = 0 }", "books-nl: writes"),
        ("exactly = 1", "exactly = 2", "register: calls to basisprofielen"),
        ("exactly = 1", "at_most = 0", "register: calls to basisprofielen"),
        ("count = 1", "count = 3", "books-nl 00100104: records"),
        ('"Amersfoort"', '"Zwolle"', "books-nl 00100104: City"),
        ('absent = ["Phone"]', 'absent = ["Name"]', "books-nl 00100104: Name"),
        ('absent = ["Phone"]', 'kept = ["Name"]', "books-nl 00100104: Name"),
        ("asks = 0", "asks = 1", "questions open"),
        ('"Stilleveen"', '"Amersfoort"', "'Amersfoort' stands"),
        ('says = "created"', 'says = "deleted"', "why 00100104"),
    ],
)
def test_a_wrong_expectation_fails_the_file(tmp_path, right, false, what):
    assert right in RIGHT
    report = play(read_script(written(tmp_path, INTAKE + RIGHT.replace(right, false))))
    assert not report.ok
    assert [name for name, _, _ in wrong(report)] == [what]


def test_something_that_stands_somewhere_is_found_wherever_it_stands(tmp_path):
    script = read_script(written(tmp_path, INTAKE + "[step.expect]\n"))
    with stage(script.fixtures) as on:
        for action in script.steps[0].do:
            on.act(action)
        (on.folder / "notes.txt").write_text("Amersfoort")
        on.told.append("one looked at Amersfoort")
        seen = _nowhere(on, "Amersfoort")
    assert seen.ok is False
    for place in ("the file notes.txt", "the store (observations)", "the store (trail)", "what was said", "at exact"):
        assert place in seen.seen


def test_a_process_is_really_killed_and_the_same_again_comes_with_the_next_step(tmp_path):
    text = """
[[step]]
words = "The power goes after the books stored a debtor"
do = [{ verb = "take_in", numbers = ["00100104"] }, { verb = "kill_at", flow = "kvk-exact", point = "after send write" }]
[step.expect]
state = { kvk-exact = "killed" }
writes = { books-nl = 1 }
counts.kvk-exact = { created = 0 }

[[step]]
words = "The next run finds it"
do = [{ verb = "advance_clock", seconds = 900 }, { verb = "sync" }]
[step.expect]
state = { kvk-exact = "done" }
writes = { books-nl = 0 }
counts.kvk-exact = { created = 1 }
records = [{ at = "books-nl", kvk = "00100104", count = 1 }]
"""
    report = play(read_script(written(tmp_path, text)))
    assert wrong(report)[1:] == []
    assert wrong(report)[0][0] == "the same again", "left out, and said so"
    assert report.ok


def test_a_step_that_cannot_be_played_fails_the_file_by_its_line(tmp_path):
    text = '\n[[step]]\nwords = "x"\ndo = [{ verb = "decide", flow = "kvk-exact", about = "nobody", answer = "yes" }]\n[step.expect]\n'
    report = play(read_script(written(tmp_path, text)))
    assert not report.ok
    assert "small.toml:14" in report.broke_off
    assert "0 open questions" in report.broke_off


def test_a_kill_that_never_happens_is_no_step(tmp_path):
    text = INTAKE.replace('{ verb = "sync" }', '{ verb = "kill_at", flow = "kvk-exact", point = "no such point" }')
    report = play(read_script(written(tmp_path, text + "[step.expect]\n")))
    assert not report.ok
    assert "never came by 'no such point'" in report.broke_off


def test_the_guide_names_every_verb_and_its_example_plays(tmp_path):
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "acceptance.md").read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f"`{verb}`" not in guide] == []
    example = tmp_path / "example.toml"
    example.write_text(guide.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    report = play(read_script(example))
    assert wrong(report) == []
    assert report.ok


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('[[step]]\nwords = "x"\ndo = [{ verb = "dance" }]\n[step.expect]\n', 15, "dance"),
        ('[[step]]\nwords = "x"\ndo = [\n  { verb = "sync", loudly = true },\n]\n[step.expect]\n', 16, "loudly"),
        ('[[step]]\nwords = "x"\ndo = [{ verb = "sync", flows = ["nope"] }]\n[step.expect]\n', 15, "nope"),
        ('[[step]]\nwords = "x"\ndo = []\n[step.expect]\nmood = "good"\n', 17, "mood"),
        ('[[step]]\nwords = "x"\ndo = []\n[step.expect]\nwrites = { nope = 1 }\n', 17, "nope"),
        ('[[step]]\nwords = "x"\ndo = []\n[step.expect]\ncounts.kvk-exact = { invented = 1 }\n', 17, "invented"),
        ('[[step]]\nwords = "x"\ndo = []\n[step.expect]\nnowhere = ["a"]\n', 17, "length"),
        ('[[step]]\nwords = "x"\ndo = [{ verb = "advance_clock" }]\n[step.expect]\n', 15, "seconds"),
        ('[[step]]\nwords = "x"\n', 13, "do"),
        ("", 1, "step"),
    ],
)
def test_what_a_file_must_not_say_is_named_with_file_and_line(tmp_path, text, line, says):
    with pytest.raises(UsageError) as told:
        read_script(written(tmp_path, text))
    assert f"small.toml:{line}:" in str(told.value)
    assert says in str(told.value)


def test_an_unknown_verb_is_answered_with_all_there_are(tmp_path):
    with pytest.raises(UsageError) as told:
        read_script(written(tmp_path, '[[step]]\nwords = "x"\ndo = [{ verb = "dance" }]\n[step.expect]\n'))
    assert all(verb in str(told.value) for verb in VERBS)


def test_a_file_that_is_missing_or_no_toml_is_said(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_script(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("= 1")
    with pytest.raises(UsageError, match=r"bad\.toml"):
        read_script(tmp_path / "bad.toml")


def test_the_program_prints_a_table_to_sign_or_json_and_says_by_its_exit_code_what_it_found(tmp_path, capsys):
    file = written(tmp_path, INTAKE + RIGHT)
    assert main([str(file)]) == 0
    printed = capsys.readouterr().out
    for word in ("A small world", "expected", "seen", "✓", "signature", "date", "all as expected"):
        assert word in printed
    file.write_text(file.read_text().replace("created = 1", "created = 9"))
    assert main([str(file), "--json"]) == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    file.write_text("acceptance = 2")
    assert main([str(file)]) == 2
