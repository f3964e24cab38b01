"""When the window of a vendor's allowance ends, by the vendor's clock and zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from koppel.systems.spi import Budget

WINDOW_SECONDS = {"second": 1, "minute": 60, "hour": 3600}


def window_end(budget: Budget, now: float) -> float:
    """When the vendor's current window ends: the clock's minute or hour, the day or month in its zone."""
    if budget.window in WINDOW_SECONDS:
        size = WINDOW_SECONDS[budget.window]
        return now - now % size + size
    local = datetime.fromtimestamp(now, ZoneInfo(budget.zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    if budget.window == "day":
        return (local + timedelta(days=1)).timestamp()
    return (local.replace(day=1) + timedelta(days=32)).replace(day=1).timestamp()
