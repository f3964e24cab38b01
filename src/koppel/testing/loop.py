"""An event loop in virtual time: nothing ever blocks, time jumps to the next timer, and a world without timers is stuck."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import selectors
import sys
import warnings
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class StuckError(RuntimeError):
    """Everybody waits for somebody: no timer is left that could wake anything."""


class _NeverBlocks(selectors.SelectSelector):
    """A selector that moves the loop's time instead of waiting for it."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError("nothing is left to happen, and somebody still waits")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A selector loop whose clock is only ever moved by its own timers."""

    def __init__(self) -> None:
        self._virtual = _NeverBlocks()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._virtual.now


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time. Tasks somebody abandoned (a killed process) are let go without a word:
    the world must have seen to it that closing them does nothing.

    Raises StuckError when nothing is left that could happen.
    """
    loop = VirtualLoop()
    loop.set_exception_handler(_quiet)
    try:
        return loop.run_until_complete(main)
    finally:
        _bury(loop)
        loop.close()


def _bury(loop: asyncio.AbstractEventLoop) -> None:
    """Close what a killed process left behind, so that the garbage collector has nothing to say about it later.

    What it had prepared and never begun would be complained about; a killed process does not begin things.
    """
    left = asyncio.all_tasks(loop)
    if not left:
        return
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _unraisable: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while left:
                _close(left.pop())
            gc.collect()
    finally:
        sys.unraisablehook = hook


def _close(task: asyncio.Task[Any]) -> None:
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 -- abandoned on purpose
    coroutine = task.get_coro()
    if isinstance(coroutine, Coroutine):
        with contextlib.suppress(RuntimeError):  # its `finally` wanted to wait: a dead process does not
            coroutine.close()


def _quiet(loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Only our own mistakes are worth a word; what dies with a killed process is not."""
    if "exception" in context and not isinstance(context["exception"], (asyncio.CancelledError, GeneratorExit)):
        loop.default_exception_handler(dict(context))
