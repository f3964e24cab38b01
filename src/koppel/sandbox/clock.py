"""The one clock all imitations of a host share: it stands still until moved, or runs along with real time."""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import time
from collections.abc import Callable

# A Monday morning: a fixed start makes a world that can be made again.
DEFAULT_START = dt.datetime(2026, 11, 2, 8, tzinfo=dt.UTC).timestamp()


class SandboxClock:
    """Epoch seconds that only move forward.

    Manual (the default): time stands still between `advance` and `set`. Ticking: real elapsed time is added.
    What was put off with `later` happens on the way, with `now()` showing its moment (ticking: as soon as somebody looks).
    """

    def __init__(
        self, start: float = DEFAULT_START, *, ticking: bool = False, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.ticking = ticking
        self._at = start
        self._monotonic = monotonic
        self._origin = monotonic() if ticking else 0.0
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        """Return epoch seconds."""
        return self._at + (self._monotonic() - self._origin if self.ticking else 0.0)

    def advance(self, seconds: float) -> float:
        """Move on by that much and return the new time. Raises ValueError for a negative amount."""
        if not seconds >= 0:  # written so that NaN is refused too
            raise ValueError(f"the clock does not run back by {seconds} seconds")
        return self._run_to(self.now() + seconds)

    def set(self, epoch: float) -> float:
        """Move on to that instant and return it. Raises ValueError when it lies in the past."""
        if not epoch >= self.now():
            raise ValueError(f"the clock stands at {self.now()} and does not run back to {epoch}")
        return self._run_to(epoch)

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do `action` once the clock has moved that far."""
        heapq.heappush(self._due, (self.now() + seconds, next(self._order), action))

    def catch_up(self) -> None:
        """Do what has become due by itself since the last look; only a ticking clock ever has any."""
        while self._due and self._due[0][0] <= self.now():
            heapq.heappop(self._due)[2]()

    def _run_to(self, epoch: float) -> float:
        while self._due and self._due[0][0] <= epoch:
            when, _, action = heapq.heappop(self._due)
            self._move(max(when, self.now()))
            action()
        self._move(max(epoch, self.now()))
        return epoch

    def _move(self, epoch: float) -> None:
        self._at = epoch
        if self.ticking:
            self._origin = self._monotonic()
