"""Whether a flow may begin now: the part of the day its file allows, by the wall clock of the Netherlands.

A run that began inside its window ends when it is done; only beginning is bound. Pure: the instant is an argument.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from koppel.mapping.flow import Flow
from koppel.mapping.schedule import read_window

ZONE = ZoneInfo("Europe/Amsterdam")


def opens_at(flow: Flow, now: float) -> float | None:
    """None when the flow may begin at `now` (epoch seconds); else the instant its window opens next."""
    if flow.run.window is None:
        return None
    window, local = read_window(flow.run.window), datetime.fromtimestamp(now, ZONE)
    if window.holds(local.hour * 60 + local.minute):
        return None
    opening = local.replace(hour=window.begin // 60, minute=window.begin % 60, second=0, microsecond=0, fold=0)
    if opening <= local:
        opening += timedelta(days=1)  # by the wall clock: a day with a change of time has 23 or 25 hours
    return opening.timestamp()


def outside(flow: Flow, opening: float) -> str:
    """What is said to people when a flow may not begin yet."""
    at = datetime.fromtimestamp(opening, ZONE)
    return (
        f"Nothing was done: it is outside the window of this flow ({flow.run.window}), which opens {at:%Y-%m-%d %H:%M}."
        " To run now all the same: --now"
    )
