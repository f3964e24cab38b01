"""When a flow runs, as it is written: durations, schedules and windows. Pure: which instant comes next is told by the runtime.

schedule  "every 15 minutes" · "nightly" · "on change" · a cron line of five fields
window    "19:00-07:00", over midnight when it ends before it begins
duration  "30 days", "15 minutes"
"""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_DURATION = re.compile(r"(\d{1,6}) +(second|minute|hour|day|week)s?")
_EVERY = re.compile(r"every +(?:(minute|hour|day|week)|(.+))")
_NAMED = {"hourly": 3600, "daily": 86_400, "weekly": 604_800, "monthly": 30 * 86_400}
_WINDOW = re.compile(r"([01]?\d|2[0-3]):([0-5]\d) *- *([01]?\d|2[0-3]):([0-5]\d)")
_CRON_RANGES = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_MONTHS = {name: i for i, name in enumerate(_MONTH_NAMES, start=1)}
_CRON_PART = re.compile(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/(\d{1,2}))?")
SHORTEST = 60.0


class Every(msgspec.Struct, frozen=True, tag="every"):
    """At a fixed distance, in seconds."""

    seconds: float


class Nightly(msgspec.Struct, frozen=True, tag="nightly"):
    """Once in each night; the runtime knows when that is."""


class OnChange(msgspec.Struct, frozen=True, tag="on_change"):
    """When a webhook or another flow says something changed."""


class Cron(msgspec.Struct, frozen=True, tag="cron"):
    """A cron line as the numbers it allows; Sunday is 0. A day is right when day *and* month fit, and, if both day and
    weekday are limited, either of them (as cron has it)."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    day_limited: bool
    weekday_limited: bool

    def fits(self, *, minute: int, hour: int, day: int, month: int, weekday: int) -> bool:
        """Whether that wall-clock minute is one of them (`weekday` 0 = Sunday)."""
        if minute not in self.minutes or hour not in self.hours or month not in self.months:
            return False
        by_day, by_weekday = day in self.days, weekday in self.weekdays
        return (by_day or by_weekday) if self.day_limited and self.weekday_limited else (by_day and by_weekday)


Schedule: TypeAlias = Every | Nightly | OnChange | Cron


class Window(msgspec.Struct, frozen=True):
    """A part of the day in minutes since midnight; it may run over midnight."""

    begin: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether that minute of the day lies inside (the end does not)."""
        if self.begin <= self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


def read_duration(text: str) -> float:
    """Seconds of `30 days` or `weekly`. Raises ValueError.

    >>> read_duration("15 minutes"), read_duration("weekly")
    (900.0, 604800.0)
    """
    if text in _NAMED:
        return float(_NAMED[text])
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{text!r} is not a duration, such as '15 minutes' or '30 days'")
    return float(int(match[1]) * _UNITS[match[2]])


def read_schedule(text: str) -> Schedule:
    """What a schedule line says. Raises ValueError with what is wrong.

    >>> read_schedule("every 15 minutes")
    Every(seconds=900.0)
    >>> read_schedule("30 2 * * mon-fri").fits(minute=30, hour=2, day=3, month=11, weekday=2)
    True
    """
    plain = " ".join(text.lower().split())
    if plain == "nightly":
        return Nightly()
    if plain == "on change":
        return OnChange()
    if match := _EVERY.fullmatch(plain):
        seconds = float(_UNITS[match[1]]) if match[1] else read_duration(match[2])
    elif plain in _NAMED:
        seconds = float(_NAMED[plain])
    elif len(plain.split()) == len(_CRON_RANGES):
        return _read_cron(plain)
    else:
        raise ValueError(f"{text!r} is not a schedule: write 'every 15 minutes', 'nightly', 'on change' or a cron line")
    if seconds < SHORTEST:
        raise ValueError(f"{text!r} is too often: once a minute at most")
    return Every(seconds)


def read_window(text: str) -> Window:
    """A window such as `19:00-07:00`. Raises ValueError.

    >>> read_window("19:00-07:00").holds(60)
    True
    """
    match = _WINDOW.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a window of the day, such as '19:00-07:00'")
    begin, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if begin == end:
        raise ValueError(f"{text!r} begins and ends at the same minute; leave the window out to run all day")
    return Window(begin, end)


def read_reconcile(text: str) -> float | None:
    """How often everything is compared, in seconds; None for `never`. Raises ValueError."""
    plain = " ".join(text.lower().split())
    return None if plain == "never" else read_duration(plain.removeprefix("every "))


def _read_cron(text: str) -> Cron:
    words = text.split()
    sets = [_cron_field(word, *limits) for word, limits in zip(words, _CRON_RANGES, strict=True)]
    weekdays = frozenset(day % 7 for day in sets[4])
    return Cron(
        sets[0], sets[1], sets[2], sets[3], weekdays, not words[2].startswith("*"), not words[4].startswith("*")
    )


def _cron_field(word: str, what: str, low: int, high: int) -> frozenset[int]:
    numbers: set[int] = set()
    for part in word.split(","):
        match = _CRON_PART.fullmatch(part)
        if match is None:
            raise ValueError(f"the {what} {part!r} of the cron line cannot be read")
        first, last, step = match[1], match[2], int(match[3] or 1)
        begin = low if first == "*" else _cron_number(first, what, low, high)
        end = _cron_number(last, what, low, high) if last else (high if first == "*" or match[3] else begin)
        if step == 0 or end < begin:
            raise ValueError(f"the {what} {part!r} of the cron line never happens")
        numbers.update(range(begin, end + 1, step))
    return frozenset(numbers)


def _cron_number(word: str, what: str, low: int, high: int) -> int:
    named = _NAMES if what == "weekday" else _MONTHS if what == "month" else {}
    number = named.get(word, int(word) if word.isdecimal() and word.isascii() else -1)
    if not low <= number <= high:
        raise ValueError(f"the {what} {word!r} of the cron line lies outside {low}-{high}")
    return number
