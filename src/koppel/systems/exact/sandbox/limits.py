"""What a division may be asked: calls per clock minute and day, and the budget of errors per endpoint. [KB-limits]"""

from __future__ import annotations

from dataclasses import dataclass, field

from koppel.systems.spi import Response

_COUNTED_ERRORS = frozenset({400, 401, 403, 404})


@dataclass
class Limits:
    """Counts calls and errors. The day ends at midnight UTC (unverified); the limits may be changed while it runs."""

    minute_limit: int = 60
    day_limit: int = 5000
    error_limit: int = 10
    minutes: dict[int, tuple[int, int]] = field(default_factory=dict)  # division -> (clock minute, calls)
    days: dict[int, tuple[int, int]] = field(default_factory=dict)
    errors: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)  # endpoint -> (clock hour, errors)
    blocked: dict[tuple[int, str], tuple[float, int]] = field(default_factory=dict)  # endpoint -> (until, times)

    def admit(self, division: int, endpoint: str, now: float) -> Response | None:
        """Count a call, or the 429 that refuses it: empty body, only the family that was exceeded. [picqer #646]"""
        until, _ = self.blocked.get((division, endpoint), (0.0, 0))
        if now < until:  # neither status nor headers of this refusal are known (unverified)
            return Response(429)
        minute, day = int(now // 60), int(now // 86_400)
        in_minute, in_day = _count(self.minutes, division, minute), _count(self.days, division, day)
        if in_minute >= self.minute_limit:
            return Response(429, self._minutely(in_minute, minute))
        if in_day >= self.day_limit:
            return Response(429, self._daily(in_day, day))
        self.minutes[division] = (minute, in_minute + 1)
        self.days[division] = (day, in_day + 1)
        return None

    def headers(self, division: int, now: float) -> dict[str, str]:
        """The six headers of an ordinary answer."""
        minute, day = int(now // 60), int(now // 86_400)
        return self._daily(_count(self.days, division, day), day) | self._minutely(
            _count(self.minutes, division, minute), minute
        )

    def note(self, division: int, endpoint: str, status: int, now: float) -> None:
        """Count an error; more than ten within an hour block the endpoint for an hour, longer each time."""
        if status not in _COUNTED_ERRORS:
            return
        place, hour = (division, endpoint), int(now // 3600)
        seen, count = self.errors.get(place, (hour, 0))
        count = count + 1 if seen == hour else 1
        self.errors[place] = (hour, count)
        if count > self.error_limit:
            times = self.blocked.get(place, (0.0, 0))[1] + 1
            self.blocked[place] = (now + 3600.0 * times, times)  # how it grows is unverified
            self.errors[place] = (hour, 0)

    def _daily(self, count: int, day: int) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(self.day_limit),
            "x-ratelimit-remaining": str(max(self.day_limit - count, 0)),
            "x-ratelimit-reset": str((day + 1) * 86_400_000),
        }

    def _minutely(self, count: int, minute: int) -> dict[str, str]:
        return {
            "x-ratelimit-minutely-limit": str(self.minute_limit),
            "x-ratelimit-minutely-remaining": str(max(self.minute_limit - count, 0)),
            "x-ratelimit-minutely-reset": str((minute + 1) * 60_000),
        }


def _count(windows: dict[int, tuple[int, int]], division: int, window: int) -> int:
    seen, count = windows.get(division, (window, 0))
    return count if seen == window else 0
