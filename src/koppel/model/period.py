"""Periods as bookkeepers name them: a year, a quarter, a month or a day."""

from __future__ import annotations

import re
from datetime import date, timedelta

import msgspec

_PERIOD = re.compile(r"(\d{4})(?:-(?:[Qq]([1-4])|(\d{2})(?:-(\d{2}))?))?")


class Period(msgspec.Struct, frozen=True):
    """From the first day to the last, both included; days are ISO text, which sorts as time does."""

    name: str
    first: str
    last: str

    def holds(self, day: str) -> bool:
        """Whether a day lies in it."""
        return self.first <= day <= self.last


def read_period(text: str) -> Period:
    """What a period's name means. Raises ValueError.

    >>> read_period("2026-10")
    Period(name='2026-10', first='2026-10-01', last='2026-10-31')
    >>> read_period("2026-q4").last, read_period("2024-02").last
    ('2026-12-31', '2024-02-29')
    """
    plain = text.strip().upper()
    found = _PERIOD.fullmatch(plain)
    if found is None:
        raise ValueError(f"{text!r} is not a period, such as 2026-10, 2026-Q3, 2026 or 2026-10-05")
    year, quarter, month, day = found[1], found[2], found[3], found[4]
    try:
        if day:
            only = date(int(year), int(month), int(day)).isoformat()
            return Period(plain, only, only)
        begin = int(month) if month else 3 * int(quarter) - 2 if quarter else 1
        months = 1 if month else 3 if quarter else 12
        first = date(int(year), begin, 1)
        after = date(first.year + (begin + months - 1) // 12, (begin + months - 1) % 12 + 1, 1)
    except ValueError:
        raise ValueError(f"{text!r} names a day or month that does not exist") from None
    return Period(plain, first.isoformat(), (after - timedelta(days=1)).isoformat())
