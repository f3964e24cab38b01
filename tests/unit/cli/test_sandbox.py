"""`koppel sandbox up`: one line that is a contract, served until SIGTERM; and Ctrl-C in the middle of a run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

PROGRAM = [sys.executable, "-c", "from koppel.cli.main import main; main()"]


def _hears_ctrl_c() -> None:
    """A shell starts what runs in the background deaf to Ctrl-C, and children inherit that; a person's terminal does not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _started(*words: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    whole = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "PYTHONUNBUFFERED": "1", **env}
    process = subprocess.Popen(
        [*PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=whole,
        preexec_fn=_hears_ctrl_c,  # noqa: PLW1509 - nothing but a signal's default is set
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _get(url: str):
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.load(reply)


def test_one_line_says_all_a_client_needs_and_sigterm_ends_it():
    with _started("sandbox", "up", "--json", "--companies", "12", "--seed", "3") as process:
        told = json.loads(process.stdout.readline())
        exact, kvk = told["systems"]["exact"], told["systems"]["kvk"]
        assert {
            "base_url",
            "client_id",
            "client_secret",
            "redirect_uri",
            "authorization_code",
            "refresh_token",
            "divisions",
        } <= set(exact)
        assert exact["base_url"] == f"{told['base_url']}/exact"
        assert kvk["base_url"] == f"{told['base_url']}/kvk"
        assert all(isinstance(number, int) for number in exact["divisions"])
        request = urllib.request.Request(
            f"{kvk['base_url']}/api/v1/basisprofielen/{kvk['numbers'][0]}", headers={"apikey": kvk["apikey"]}
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert json.load(reply)["kvkNummer"] == kvk["numbers"][0]
        assert _get(f"{told['base_url']}/_sandbox/calls")["systems"]["kvk"]["total"] == 1
        assert _get(f"{told['base_url']}/_sandbox/clock")["ticking"] is True
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")


def test_its_clock_stands_still_when_told_to():
    with _started("sandbox", "up", "--json", "--companies", "1", "--still") as process:
        told = json.loads(process.stdout.readline())
        assert _get(f"{told['base_url']}/_sandbox/clock")["ticking"] is False


def test_for_people_it_says_how_to_try_it():
    with _started("sandbox", "up", "--companies", "2") as process:
        lines = [process.stdout.readline()]
        while "authorization_code" not in lines[-1] or "curl" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        said = "".join(lines)
        assert "koppel init try-out --flow NAME" in said
        assert "kvk-exact" in said
        assert "--secret-stdin apikey" in said


def test_a_taken_port_is_set_up(person):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = person(None)("sandbox", "up", "--companies", "1", "--port", str(port))
    assert said.code == 3
    assert f"Port {port} is taken" in said.err


def _interrupted(process):
    """Ctrl-C, and again when nothing happens, as a person would."""
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=10)
    raise AssertionError("Ctrl-C does not stop it")


def test_ctrl_c_stops_a_run_and_the_next_one_carries_on(at, koppel):
    assert koppel("add", "00100104", "--to", "books-nl", "--later").code == 0
    at.host.clock.ticking = True  # so that the delay below takes real time
    at.fault(system="kvk", kind="delay", seconds=30)
    with _started("-w", str(at.folder), "sync", "kvk-exact") as process:
        while at.host.count("kvk") == 0:
            assert process.poll() is None
        out, err = _interrupted(process)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "the next run carries on" in err
    assert out == ""
    at.host.clock.ticking = False
    assert koppel("sync", "kvk-exact").code == 0
    assert len(at.accounts("00100104")) == 1


def test_a_stopped_sandbox_ends_quietly():
    with _started("sandbox", "up", "--companies", "1", "--json") as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert process.returncode in (0, 130)
        assert (out, "Traceback" in err) == ("", False)


@pytest.mark.parametrize("words", [["--port", "70000"], ["--companies", "0"]])
def test_wrong_figures_are_wrong_use(person, words):
    assert person(None)("sandbox", "up", *words).code == 2
