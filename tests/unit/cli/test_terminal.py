"""Results to standard output, everything else to standard error; one line of progress on a terminal."""

from __future__ import annotations

import io
import stat
import sys

import pytest

from koppel.cli.terminal import Terminal, Unbroken, as_help, write_private
from koppel.model.problem import UsageError


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_overwritten_on_a_terminal(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    terminal = Terminal()
    terminal.progress("reading")
    terminal.progress("x" * 500)
    terminal.clear()
    assert "\n" not in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[2K")
    assert max(map(len, screen.getvalue().split("\r"))) < 120, "a long line is cut, or it could not be overwritten"


def test_progress_is_plain_lines_elsewhere(capsys):
    terminal = Terminal()
    terminal.progress("one")
    terminal.progress("two")
    assert capsys.readouterr().err == "one\ntwo\n"


def test_quiet_says_nothing_but_what_went_wrong(capsys):
    terminal = Terminal(quiet=True)
    terminal.progress("one")
    terminal.note("two")
    terminal.complain("three", "four")
    assert capsys.readouterr().err == "koppel: three\n        four\n"


def test_json_is_the_only_thing_on_standard_output(capsys):
    terminal = Terminal(json=True)
    terminal.note("a note")
    terminal.progress("progress")
    terminal.show({"a": [1]}, lambda: ["never shown"])
    said = capsys.readouterr()
    assert said.out == '{\n  "a": [\n    1\n  ]\n}\n'
    assert said.err == "a note\nprogress\n"


def test_a_line_to_be_copied_is_never_broken(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    link = "https://start.example/" + "a" * 200
    Terminal().show(None, lambda: [Unbroken(link), "word " * 20])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == link
    assert max(map(len, lines[1:])) <= 40


def test_data_are_never_read_as_markup_or_pictures(capsys):
    Terminal().show(None, lambda: ["[bold]Bakkerij[/bold] :smile: [red]"])
    assert capsys.readouterr().out == "[bold]Bakkerij[/bold] :smile: [red]\n"


def test_nobody_is_asked_when_nobody_sits_there():
    assert not Terminal().can_ask
    assert not Terminal(json=True).can_ask


def test_private_files_are_the_owners_only(tmp_path):
    path = tmp_path / "plan.html"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        write_private(tmp_path / "no" / "such" / "folder.html", "x")


def test_examples_keep_their_lines():
    assert as_help("First.\n\n    Example: a\n             b\n    ") == "First.\n\n\b\nExample: a\n         b"
