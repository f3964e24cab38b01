"""What a plan takes of the vendors' allowances, and when the last call can leave."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from koppel.engine.ports import Connection
from koppel.engine.quota import done_at, quotas
from koppel.store import budgets
from koppel.systems.spi import Budget
from koppel.testing import toys

NOON = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
DAY = 86_400.0


class Settings(msgspec.Struct, frozen=True):
    """A division of a system."""

    division: int = 7


def connection(*allowances: Budget) -> Connection:
    return Connection(name="books", system=replace(toys.TILL_SYSTEM, budgets=allowances), settings=Settings())


def per(window: Any, limit: int, *, reserve: int = 0, counts: Any = "calls") -> Budget:
    return Budget(
        name=window, limit=limit, window=window, key=lambda _request: "7", reserve=reserve, counts=counts, zone="UTC"
    )


def asked(desk: Any, calls: int, *allowances: Budget) -> Any:
    books = connection(*allowances)
    return desk.store.run(quotas, {"books": books}, {"books": calls}, now=NOON)


@pytest.fixture
def used(desk: Any) -> Any:
    def use(window: str, key: str, allowed: int, remaining: int, reset_at: float) -> None:
        desk.store.run(budgets.correct, "till", window, key, allowed=allowed, remaining=remaining, reset_at=reset_at)

    return use


def test_within_what_is_left_nothing_waits_and_the_rest_is_told(desk: Any, used: Any) -> None:
    used("day", "7", 5000, 3000, MIDNIGHT)
    (one,) = asked(desk, 1240, per("day", 9999, reserve=200))
    assert (one.limit, one.left, one.after, one.done_at) == (5000, 2800, 1560, None)
    assert done_at([one]) is None


def test_an_allowance_nobody_used_yet_is_whole(desk: Any) -> None:
    (one,) = asked(desk, 10, per("day", 5000, reserve=200))
    assert (one.limit, one.left, one.after) == (5000, 4800, 4790)


def test_an_account_of_a_window_that_has_ended_is_whole_again(desk: Any, used: Any) -> None:
    used("day", "7", 5000, 0, NOON - 1)
    (one,) = asked(desk, 10, per("day", 5000))
    assert one.left == 5000


@pytest.mark.parametrize(("calls", "days"), [(100, None), (101, 0), (5100, 0), (5101, 1), (10_100, 1), (10_101, 2)])
def test_what_does_not_fit_waits_for_the_days_it_needs(desk: Any, used: Any, calls: int, days: int | None) -> None:
    used("day", "7", 5000, 100, MIDNIGHT)
    (one,) = asked(desk, calls, per("day", 5000))
    assert one.done_at == (None if days is None else MIDNIGHT + days * DAY)


def test_what_is_kept_for_people_is_kept_of_every_day(desk: Any, used: Any) -> None:
    used("day", "7", 5000, 1000, MIDNIGHT)
    days = [asked(desk, calls, per("day", 5000, reserve=1000))[0].done_at for calls in (4000, 4001)]
    assert days == [MIDNIGHT, MIDNIGHT + DAY]


def test_minutes_are_named_only_when_they_make_it_wait(desk: Any) -> None:
    minute, day = per("minute", 60), per("day", 5000)
    assert [quota.window for quota in asked(desk, 60, minute, day)] == ["day"]
    found = asked(desk, 181, minute, day)
    assert [quota.window for quota in found] == ["minute", "day"]
    assert done_at(found) == NOON + 30 + 2 * 60


def test_the_account_of_the_own_division_counts_and_errors_do_not(desk: Any, used: Any) -> None:
    used("day", "8", 5000, 1, MIDNIGHT)
    used("day", "7", 5000, 4000, MIDNIGHT)
    found = asked(desk, 10, per("day", 5000), per("hour", 10, counts="errors"))
    assert [(quota.window, quota.left) for quota in found] == [("day", 4000)]


def test_a_plan_tells_it(desk: Any) -> None:
    desk.take(*desk.numbers[:6])
    plan = desk.plan()
    (day,) = [quota for quota in plan.quotas if quota.window == "day"]
    assert day.connection == "books-nl"
    assert day.calls == plan.calls["books-nl"]
    assert plan.done_at is None
