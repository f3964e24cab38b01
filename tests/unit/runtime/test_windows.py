"""When a flow may begin."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from koppel.mapping.flow import Endpoint, Flow, RunRules
from koppel.runtime.windows import opens_at, outside

ZONE = ZoneInfo("Europe/Amsterdam")
FLOW = Flow("f", "F", "company", Endpoint("a", "r"), Endpoint("b", "r"), (), run=RunRules(window="19:00-07:00"))


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()


def windowed(window: str | None) -> Flow:
    return msgspec.structs.replace(FLOW, run=RunRules(window=window))


@pytest.mark.parametrize("now", ["2026-11-02T19:00", "2026-11-02T23:59", "2026-11-03T01:30", "2026-11-03T06:59:59"])
def test_a_flow_may_begin_inside_its_window_also_after_midnight(now):
    assert opens_at(FLOW, at(now)) is None


@pytest.mark.parametrize("now", ["2026-11-02T07:00", "2026-11-02T09:00", "2026-11-02T18:59:59"])
def test_outside_it_opens_at_the_coming_evening(now):
    assert opens_at(FLOW, at(now)) == at("2026-11-02T19:00")


def test_after_a_window_of_the_day_it_opens_tomorrow():
    assert opens_at(windowed("09:00-17:00"), at("2026-11-02T17:00")) == at("2026-11-03T09:00")


def test_without_a_window_a_flow_may_always_begin():
    assert opens_at(windowed(None), at("2026-11-02T12:00")) is None


def test_the_window_is_the_wall_clocks_in_summer_and_in_winter():
    assert opens_at(FLOW, at("2026-07-01T18:30")) == at("2026-07-01T19:00")
    assert at("2026-07-01T19:00") % 86_400 == 17 * 3600
    assert at("2026-11-02T19:00") % 86_400 == 18 * 3600


@pytest.mark.parametrize("night", ["2026-10-24", "2026-03-28"])
def test_a_night_in_which_the_clock_changes_moves_no_opening(night):
    opening = opens_at(windowed("09:00-17:00"), at(f"{night}T18:00"))
    assert opening is not None
    assert datetime.fromtimestamp(opening, ZONE).hour == 9


def test_people_are_told_when_it_opens_and_how_to_run_now():
    text = outside(FLOW, at("2026-11-02T19:00"))
    assert "19:00-07:00" in text
    assert "2026-11-02 19:00" in text
    assert "--now" in text
