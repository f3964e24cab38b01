"""A run that is killed at a named point of the engine, in this process: nothing after the point runs, no `finally` either.

For situations that are arranged to the letter; in the tortured worlds processes die by chance (`koppel.testing.processes`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

ANYWHERE = "*"
# What a killed run left behind is never resumed, so it must not be collected either: that would run its `finally`.
_DEAD: list[Any] = []


class Killing:
    """Hand `point` to `Ports`; `passed` tells which points were passed, in order."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self._at: str | None = None
        self._left = 0
        self._killed: asyncio.Future[None]

    async def point(self, name: str) -> None:
        """A named point of the engine."""
        self.passed.append(name)
        if self._at not in (name, ANYWHERE):
            return
        self._left -= 1
        if self._left < 0:
            self._at = None
            self._killed.set_result(None)
            await asyncio.get_running_loop().create_future()

    def run(self, job: Coroutine[Any, Any, Any], *, at: str, passing: int = 0) -> bool:
        """Run it, and kill it when it passes there (counted from nought); False when it ended before."""
        self._at, self._left = at, passing
        loop = asyncio.new_event_loop()
        self._killed = loop.create_future()
        run = loop.create_task(job)
        _DEAD.append((loop, run))

        async def until() -> None:
            await asyncio.wait({run, self._killed}, return_when=asyncio.FIRST_COMPLETED)

        loop.run_until_complete(until())
        self._at = None
        if not run.done():
            return True
        loop.close()
        run.result()
        return False
