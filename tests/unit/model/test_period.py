"""Periods as bookkeepers name them."""

from __future__ import annotations

import pytest

from koppel.model.period import read_period


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("2026-10", "2026-10-01", "2026-10-31"),
        ("2026-12", "2026-12-01", "2026-12-31"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2026", "2026-01-01", "2026-12-31"),
        ("2026-q1", "2026-01-01", "2026-03-31"),
        ("2026-Q4", "2026-10-01", "2026-12-31"),
        ("2026-10-05", "2026-10-05", "2026-10-05"),
    ],
)
def test_a_period_runs_from_its_first_day_to_its_last(name: str, first: str, last: str) -> None:
    period = read_period(name)
    assert (period.first, period.last) == (first, last)
    assert period.holds(first)
    assert period.holds(last)
    assert not period.holds("2023-12-31")


@pytest.mark.parametrize("name", ["", "october", "2026-13", "2026-00", "2026-Q5", "2026-10-32", "10-2026", "0000"])
def test_what_is_no_period_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"period|exist"):
        read_period(name)
