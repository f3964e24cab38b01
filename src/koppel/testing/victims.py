"""Processes that are raised to be killed, one after the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import IO

import msgspec

from koppel.testing.child import Born, Ended, Order


class Nursery:
    """Raises victims one after the other; knows the living one's number."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018 - both are pipes
        self._orders: IO[bytes] = process.stdin
        self._answers: IO[bytes] = process.stdout
        self._born = threading.Event()
        self._pid = 0

    def raise_one(self, order: Order) -> Ended:
        """Run one process to its end."""
        self._orders.write(msgspec.json.encode(order) + b"\n")
        self._orders.flush()
        self._pid = msgspec.json.decode(self._answers.readline(), type=Born).pid
        self._born.set()
        ended = msgspec.json.decode(self._answers.readline(), type=Ended)
        self._born.clear()
        return ended

    def kill(self) -> None:
        """Kill the living one; waits until its number is known."""
        self._born.wait(10)
        os.kill(self._pid, signal.SIGKILL)


@contextmanager
def nursery_of(module: str, *arguments: str) -> Generator[Nursery, None, None]:
    """A nursery that is a module run with these arguments."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own module
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()
