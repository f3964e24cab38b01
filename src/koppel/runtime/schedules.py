"""When a flow runs next by itself: its schedule, what it has to come back for, and its window. Pure: instants are arguments.

What a worker keeps is nothing: all this follows from the flow file and from what the store knows, so that any number of
workers come to the same answer.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from koppel.mapping.flow import Flow
from koppel.mapping.schedule import Cron, Every, Nightly, OnChange, read_schedule
from koppel.runtime.windows import ZONE, opens_at

NIGHT = 2 * 60 + 15  # minute of the day: after the clocks change, before anybody works, and off the hour all others use
SOON, HELD = (
    60.0,
    900.0,
)  # seconds between two runs that no clock asked for: ordinarily, and while the last one did not get done


class Known(msgspec.Struct, frozen=True):
    """What the store knows of one flow. `begun`: when its last run began (None: never); `run`: that run's number; `state`: how it
    ended; `back_at`: when it wanted to go on (a limit); `waiting_at`: the earliest time at which something put aside is due;
    `changed`: whether a stream holds what this flow has not looked at."""

    begun: float | None = None
    run: int = 0
    state: str = "done"
    back_at: float | None = None
    waiting_at: float | None = None
    changed: bool = False


class Upcoming(msgspec.Struct, frozen=True):
    """A flow's next run: when, and why. `run` is the last run this was worked out from."""

    flow: str
    at: float
    why: str
    run: int


def upcoming(flow: Flow, known: Known, *, now: float) -> Upcoming | None:
    """When the flow is to run next; an instant that is past means now. None: only when somebody starts it."""
    wishes = [wish for wish in (_scheduled(flow, known, now), *_to_come_back_for(flow, known)) if wish is not None]
    if not wishes:
        return None
    at, why = min(wishes)
    opening = opens_at(flow, max(at, now))
    return Upcoming(flow.id, at if opening is None else opening, why, known.run)


def _scheduled(flow: Flow, known: Known, now: float) -> tuple[float, str] | None:
    if flow.run.schedule is None:
        return None
    schedule = read_schedule(flow.run.schedule)
    if isinstance(schedule, OnChange):
        rest = SOON if known.state == "done" else HELD  # what a brake holds is changed for as long as it is held
        return (max(now, (known.begun or 0.0) + rest), flow.run.schedule) if known.changed else None
    if isinstance(schedule, Every):
        return (now if known.begun is None else known.begun + schedule.seconds, flow.run.schedule)
    if isinstance(schedule, Nightly):
        return (_night_after(now if known.begun is None else known.begun), flow.run.schedule)
    at = _fitting(schedule, now if known.begun is None else known.begun)
    return None if at is None else (at, flow.run.schedule)


def _to_come_back_for(flow: Flow, known: Known) -> list[tuple[float, str]]:
    """What a scheduled flow does not wait for until its turn comes: a limit that is over, a retry, a read-back."""
    if flow.run.schedule is None:
        return []
    wishes: list[tuple[float, str]] = []
    if known.back_at is not None:
        wishes.append((known.back_at, "to go on"))
    if known.waiting_at is not None and known.begun is not None and known.state == "done":
        wishes.append((max(known.waiting_at, known.begun + SOON), "something put aside is due"))
    return wishes


def _night_after(instant: float) -> float:
    local = datetime.fromtimestamp(instant, ZONE)
    at = local.replace(hour=NIGHT // 60, minute=NIGHT % 60, second=0, microsecond=0, fold=0)
    if at.timestamp() <= instant:
        at += timedelta(days=1)
    return at.timestamp()


def _fitting(cron: Cron, instant: float) -> float | None:
    """The first minute after `instant` that the line allows, by the wall clock of the Netherlands; None within five years."""
    day = datetime.fromtimestamp(instant, ZONE).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    for _ in range(5 * 366):
        if _day_fits(cron, day):
            for hour in sorted(cron.hours):
                for minute in sorted(cron.minutes):
                    at = day.replace(hour=hour, minute=minute, tzinfo=ZONE)
                    if at.timestamp() > instant:
                        return at.timestamp()
        day += timedelta(days=1)
    return None


def _day_fits(cron: Cron, day: datetime) -> bool:
    weekday = (day.weekday() + 1) % 7
    hour, minute = min(cron.hours), min(cron.minutes)
    return cron.fits(minute=minute, hour=hour, day=day.day, month=day.month, weekday=weekday)
