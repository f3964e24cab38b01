"""Runs in processes of their own that can be killed.

`python -m koppel.testing.child FOLDER FLOW [POINT [NTH]]` runs once: at the NTH time the run comes by the named point the
process ends itself with SIGKILL: no `finally` runs, nothing is released, nothing is said.

`python -m koppel.testing.child --nursery FOLDER FLOW` reads orders (JSON lines) and forks one such process for each, so that
hundreds can be killed in minutes. The nursery itself has one thread and holds neither the store nor a socket.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO

import msgspec

from koppel.app import Workspace
from koppel.config.workspace_file import read_config
from koppel.engine.send import usual_trust
from koppel.model.problem import KoppelError, SignInNeeded
from koppel.systems import registry

TRIGGER = "schedule"


class Order(msgspec.Struct, frozen=True):
    """One process to raise. Without a point it is left alone until it ends by itself."""

    point: str | None = None
    nth: int = 1
    flow: str = ""


class Born(msgspec.Struct, frozen=True):
    """It runs."""

    pid: int


class Ended(msgspec.Struct, frozen=True):
    """How it ended: by a signal (and which), or with what it says of the run. `passed` counts the points it came by."""

    signal: int = 0
    state: str = ""
    message: str = ""
    counts: dict[str, int] = {}
    streams: int = 0
    passed: dict[str, int] = {}


def killer(point: str | None, nth: int, passed: Counter[str]) -> Callable[[str], Awaitable[None]]:
    """A point hook that kills this process when it comes by `point` for the `nth` time, and counts everything it comes by."""

    async def hook(name: str) -> None:
        passed[name] += 1
        if name == point and passed[name] == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def run(folder: Path, flow: str, order: Order) -> Ended:
    """One run of the flow, unless killed."""
    passed: Counter[str] = Counter()
    try:
        with Workspace.open(folder, actor="koppel") as workspace:
            workspace.point = killer(order.point, order.nth, passed)  # type: ignore[assignment]
            result = workspace.sync(flow, trigger=TRIGGER)
    except SignInNeeded as error:
        return Ended(state="sign_in", message=str(error), passed=dict(passed))
    except KoppelError as error:
        return Ended(state=type(error).__name__, message=str(error), passed=dict(passed))
    return Ended(
        state=result.state, message=result.message, counts=result.counts, streams=result.streams, passed=dict(passed)
    )


def nursery(job: Callable[[Order], Ended], orders: IO[bytes], answers: IO[bytes]) -> None:
    """Raise a process per order, have it do the job, and tell how it ended."""
    usual_trust()
    gc.collect()
    gc.freeze()  # what is loaded already is shared with every process raised from here
    for line in orders:
        order = msgspec.json.decode(line, type=Order)
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(told)
            ended = job(order)
            os.write(tell, msgspec.json.encode(ended))
            os._exit(0)
        os.close(tell)
        _say(answers, Born(pid))
        with os.fdopen(told, "rb") as pipe:
            heard = pipe.read()  # ends when the process does, however it does
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            _say(answers, Ended(signal=os.WTERMSIG(status)))
        elif heard:
            _say(answers, msgspec.json.decode(heard, type=Ended))
        else:
            _say(
                answers,
                Ended(state="crashed", message="the process ended without a word; its complaint is on standard error"),
            )


def _say(answers: IO[bytes], what: msgspec.Struct) -> None:
    answers.write(msgspec.json.encode(what) + b"\n")
    answers.flush()


def main(arguments: list[str]) -> int:
    """Run the flow, unless killed; or be a nursery."""
    if arguments[0] == "--nursery":
        home, own = Path(arguments[1]), arguments[2]
        for connection in read_config(home).connections.values():
            registry.load(connection.system)
        nursery(lambda order: run(home, order.flow or own, order), sys.stdin.buffer, sys.stdout.buffer)
        return 0
    folder, flow, *rest = arguments
    point, nth = (rest[0] if rest else None), int(rest[1]) if len(rest) > 1 else 1
    ended = run(Path(folder), flow, Order(point, nth))
    if ended.state != "done":
        print(ended.message or ended.state, file=sys.stderr)  # noqa: T201 - a program of its own
    return 0 if ended.state == "done" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
