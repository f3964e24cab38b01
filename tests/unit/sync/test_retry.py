"""When something is tried again by itself: later each time, and not for ever."""

from __future__ import annotations

from koppel.sync.retry import LONGEST, MAX_TRIES, next_try


def _instants(*, refused: bool) -> list[float]:
    at, seen = 0.0, []
    for failed in range(1, MAX_TRIES + 1):
        again = next_try(failed, at=at, told=None, refused=refused)
        assert again is not None
        seen.append(again - at)
        at = again
    assert next_try(MAX_TRIES + 1, at=at, told=None, refused=refused) is None
    return seen


def test_each_wait_is_longer_and_none_longer_than_a_day():
    for refused in (True, False):
        waits = _instants(refused=refused)
        assert waits == sorted(waits)
        assert waits[-1] == LONGEST


def test_the_tries_reach_over_a_long_weekend():
    assert sum(_instants(refused=True)) > 6 * 86400
    assert sum(_instants(refused=False)) > 4 * 86400


def test_the_time_the_vendor_named_is_kept_to_first_and_never_gone_before():
    assert next_try(1, at=0.0, told=60.0, refused=True) == 60.0
    assert next_try(3, at=0.0, told=1e9, refused=False) == 1e9
