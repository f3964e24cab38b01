"""Schedules, windows and durations as people write them."""

from __future__ import annotations

import pytest

from koppel.mapping.schedule import (
    Every,
    Nightly,
    OnChange,
    Window,
    read_duration,
    read_reconcile,
    read_schedule,
    read_window,
)


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("every 15 minutes", Every(900)),
        ("Every  hour", Every(3600)),
        ("every 2 days", Every(172_800)),
        ("hourly", Every(3600)),
        ("nightly", Nightly()),
        ("on change", OnChange()),
    ],
)
def test_a_schedule_is_read(text, schedule):
    assert read_schedule(text) == schedule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "often",
        "every",
        "every 0 minutes",
        "every 5 seconds",
        "every 15 mintues",
        "60 * * * *",
        "* * * *",
        "5-1 * * * *",
        "*/0 * * * *",
        "a * * * *",
        "0 0 31 foo *",
    ],
)
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        read_schedule(text)


def test_a_cron_line_knows_ranges_steps_lists_and_names():
    cron = read_schedule("*/20 8-18/5 1,15 jan-mar *")
    assert (cron.minutes, cron.hours, cron.days, cron.months) == ({0, 20, 40}, {8, 13, 18}, {1, 15}, {1, 2, 3})


def test_sunday_is_nought_and_seven():
    assert read_schedule("0 0 * * 7") == read_schedule("0 0 * * sun")


def test_day_and_weekday_together_mean_either():
    cron = read_schedule("0 0 13 * fri")
    assert cron.fits(minute=0, hour=0, day=13, month=5, weekday=1)
    assert cron.fits(minute=0, hour=0, day=14, month=5, weekday=5)
    assert not cron.fits(minute=0, hour=0, day=14, month=5, weekday=1)
    assert not read_schedule("0 0 13 * *").fits(minute=0, hour=0, day=14, month=5, weekday=5)


def test_a_window_may_run_over_midnight():
    window = read_window("19:00-07:00")
    assert window == Window(1140, 420)
    assert [window.holds(minute) for minute in (0, 419, 420, 1139, 1140)] == [True, True, False, False, True]


@pytest.mark.parametrize("text", ["19-7", "25:00-07:00", "19:00-19:00", "19:60-20:00"])
def test_what_is_no_window_is_refused(text):
    with pytest.raises(ValueError, match=r"window|minute"):
        read_window(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30 days", 2_592_000), ("1 week", 604_800), ("90 seconds", 90), ("daily", 86_400)]
)
def test_a_duration_is_read(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["30", "days", "0 days", "-1 days", "1.5 hours", "30 dasy", "1234567 days"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="duration"):
        read_duration(text)


def test_a_full_comparison_may_be_switched_off():
    assert read_reconcile("never") is None
    assert read_reconcile("every 14 days") == 14 * 86_400
