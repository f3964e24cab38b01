"""All waiting goes through one clock, so that a minute's quota or a 15-minute wait passes at once, and faithfully, on sandboxes."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Epoch seconds, and waiting."""

    def now(self) -> float:
        """Epoch seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait until that much time has passed."""
        ...


class RealClock:
    """The machine's clock, put right by `offset` seconds: workers on several machines go by one clock, the database's."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        """Epoch seconds."""
        return time.time() + self.offset

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(max(0.0, seconds))


class LoopClock:
    """Simulation: the virtual event loop's time, counted from `start`."""

    def __init__(self, start: float) -> None:
        self.start = start

    def now(self) -> float:
        """Epoch seconds."""
        return self.start + asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await asyncio.sleep(max(0.0, seconds))
