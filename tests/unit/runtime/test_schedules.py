from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from koppel.mapping.flow import Endpoint, Flow, RunRules
from koppel.runtime.schedules import Known, upcoming
from koppel.runtime.windows import ZONE

NOW = datetime(2026, 11, 18, 10, 30, tzinfo=ZONE).timestamp()  # a Wednesday


def _flow(schedule=None, window=None):
    rules = RunRules(schedule=schedule, window=window)
    return Flow("f", "f", "company", Endpoint("a", "x"), Endpoint("b", "y"), (), run=rules)


def _at(entry):
    return datetime.fromtimestamp(entry.at, ZONE).strftime("%a %H:%M")


def test_a_flow_without_a_schedule_runs_only_when_somebody_starts_it():
    assert upcoming(_flow(), Known(begun=NOW - 9e6, waiting_at=NOW - 5), now=NOW) is None


def test_a_flow_that_never_ran_is_due_at_once():
    assert upcoming(_flow("every 15 minutes"), Known(), now=NOW).at == NOW


def test_it_comes_round_at_its_distance_from_the_last_beginning():
    entry = upcoming(_flow("every 15 minutes"), Known(begun=NOW - 300, run=7), now=NOW)
    assert (entry.at, entry.run) == (NOW + 600, 7)


def test_turns_that_were_missed_are_made_up_for_once():
    assert upcoming(_flow("hourly"), Known(begun=NOW - 86_400), now=NOW).at <= NOW
    assert upcoming(_flow("hourly"), Known(begun=NOW), now=NOW).at == NOW + 3600


@pytest.mark.parametrize(
    ("schedule", "begun", "next_"),
    [
        ("nightly", None, "Thu 02:15"),
        ("nightly", NOW - 86_400, "Wed 02:15"),
        ("30 2 * * mon-fri", NOW, "Thu 02:30"),
        ("0 9 * * sat", NOW, "Sat 09:00"),
        ("*/20 10 * * *", NOW, "Wed 10:40"),
    ],
)
def test_nights_and_cron_lines_go_by_the_wall_clock_of_the_netherlands(schedule, begun, next_):
    assert _at(upcoming(_flow(schedule), Known(begun=begun), now=NOW)) == next_


def test_a_cron_line_that_never_comes_true_is_never_due():
    assert upcoming(_flow("0 0 31 2 *"), Known(begun=NOW), now=NOW) is None


def test_outside_its_window_a_flow_waits_for_the_window_to_open():
    assert _at(upcoming(_flow("every 15 minutes", "19:00-07:00"), Known(), now=NOW)) == "Wed 19:00"
    assert upcoming(_flow("every 15 minutes", "09:00-17:00"), Known(), now=NOW).at == NOW


def test_a_limit_that_is_over_is_not_waited_for_until_the_next_turn():
    known = Known(begun=NOW - 60, state="stopped", back_at=NOW + 120)
    entry = upcoming(_flow("nightly"), known, now=NOW)
    assert (entry.at, entry.why) == (NOW + 120, "to go on")


def test_what_was_put_aside_is_taken_up_when_its_time_comes_but_not_without_a_pause():
    known = Known(begun=NOW - 10, waiting_at=NOW - 5)
    assert upcoming(_flow("nightly"), known, now=NOW).at == NOW + 50
    assert upcoming(_flow("nightly"), msgspec.structs.replace(known, state="stopped"), now=NOW).at > NOW + 3600


def test_on_change_runs_when_something_changed_and_rests_while_a_brake_holds_it():
    assert upcoming(_flow("on change"), Known(begun=NOW - 3600), now=NOW) is None
    assert upcoming(_flow("on change"), Known(begun=NOW - 3600, changed=True), now=NOW).at == NOW
    held = Known(begun=NOW - 60, state="stopped", changed=True)
    assert upcoming(_flow("on change"), held, now=NOW).at == NOW + 840
