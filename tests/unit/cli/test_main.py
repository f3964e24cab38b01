"""What every command promises: quick help, one clear message, the documented exit code, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer.main

from koppel.cli.main import EXIT_CODES, ORDER, app, tell
from koppel.model.problem import Bug, RetryLater, SetupError, SignInNeeded, UsageError

HEAVY = (
    "httpx2",
    "sqlalchemy",
    "rich.console",
    "rich.table",
    "cryptography",
    "uvicorn",
    "alembic",
    "psycopg",
    "asyncio",
)


def _imported_by(code: str) -> list[str]:
    script = f"import sys\n{code}\nprint([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return eval(done.stdout.splitlines()[-1])


def test_putting_the_commands_together_imports_nothing_heavy():
    assert _imported_by("import koppel.cli.main") == []


def test_help_imports_nothing_heavy():
    assert (
        _imported_by("from koppel.cli.main import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass") == []
    )


def test_help_names_every_command_and_every_exit_code(person):
    said = person(None)("--help")
    assert said.code == 0
    for name in ORDER:
        assert f"\n  {name} " in said.out
    for code, meaning in EXIT_CODES.items():
        assert f"{code:<4}{meaning}" in said.out
    assert "..." not in said.out.split("Commands:")[1], "no summary is cut off"
    assert max(map(len, said.out.splitlines())) <= 80


def _paths() -> list[tuple[str, ...]]:
    root = typer.main.get_command(app)
    found: list[tuple[str, ...]] = []
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        found += [(name, below) for below in inner] or [(name,)]
    return found


@pytest.mark.parametrize("path", _paths(), ids=" ".join)
def test_every_command_explains_itself_with_an_example_and_takes_the_common_options(person, path):
    said = person(None)(*path, "--help")
    assert said.code == 0
    assert f"koppel {' '.join(path)}" in said.out
    for option in ("--json", "--quiet", "--workspace"):
        assert option in said.out


@pytest.mark.parametrize("words", [["plna"], ["plan"], ["plan", "a", "b"], ["runs", "--limit", "none"], ["--nope"]])
def test_wrong_use_is_exit_2(person, words):
    said = person(None)(*words)
    assert (said.code, said.out) == (2, "")
    assert "Error:" in said.err


def test_wrong_use_with_json_is_one_object_too(person):
    said = person(None)("plan", "--json")
    assert said.code == 2
    assert said.json["error"]["exit_code"] == 2
    assert "FLOW" in said.json["error"]["message"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RetryLater("Busy.", at=0.0, remedy="Later."), 1),
        (UsageError("Wrong.", remedy="Right."), 2),
        (SetupError("Set up.", remedy="Mend."), 3),
        (SignInNeeded("Dead.", remedy="Sign in."), 4),
        (PermissionError(13, "Permission denied", "/root/x"), 3),
    ],
)
def test_an_error_is_one_message_with_its_remedy(error, code, capsys):
    assert tell(error) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("koppel: ")
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()) == 2


@pytest.mark.parametrize("error", [Bug("lost count"), KeyError("seq")])
def test_a_fault_of_ours_is_loud_and_asks_to_be_reported(error, capsys):
    assert tell(error) == 70
    said = capsys.readouterr().err
    assert "Traceback" in said or type(error).__name__ in said
    assert "report" in said


def test_with_json_an_error_is_one_object_on_standard_output(tmp_path, person):
    said = person(tmp_path)("runs", "--json")
    assert said.code == 3
    assert said.json["error"]["kind"] == "SetupError"
    assert said.json["error"]["exit_code"] == 3
    assert said.err.startswith("koppel: ")


def _raising(monkeypatch, error: BaseException) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("koppel.cli.terminal.Terminal.show", broken)


def test_ctrl_c_says_that_the_next_run_carries_on(monkeypatch, person):
    _raising(monkeypatch, KeyboardInterrupt())
    said = person(None)("version")
    assert said.code == 130
    assert "the next run carries on" in said.err
    assert "Traceback" not in said.err


def test_a_store_that_cannot_be_used_is_set_up(monkeypatch, person):
    from sqlalchemy.exc import OperationalError

    _raising(monkeypatch, OperationalError("select", {}, Exception("database or disk is full")))
    said = person(None)("version")
    assert said.code == 3
    assert "database or disk is full" in said.err
    assert "Traceback" not in said.err


def test_a_reader_that_leaves_is_no_error():
    script = f"{sys.executable} -c 'from koppel.cli.main import main; main()' --help | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert "Usage" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_installed_program_answers():
    done = subprocess.run(
        [sys.executable, "-c", "from koppel.cli.main import main; main()", "version", "--json"],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert '"koppel"' in done.stdout


def test_version_names_the_systems(person):
    said = person(None)("version", "--json")
    assert {"exact", "kvk"} <= set(said.json["systems"])
    assert "Koppel" in person(None)("version").out


def test_common_options_may_stand_before_or_after(person, koppel, at):
    before = person(None)("--workspace", str(at.folder), "--json", "runs")
    after = person(None)("runs", "--json", "--workspace", str(at.folder))
    assert before.out == after.out == koppel("runs", "--json").out == "[]\n"


def test_a_group_passes_its_options_on(koppel):
    assert koppel("parked", "--json", "retry").json == []


def test_every_registered_command_has_its_place_in_the_order():
    assert set(typer.main.get_command(app).commands) == set(ORDER)  # type: ignore[attr-defined]
