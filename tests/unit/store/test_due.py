from __future__ import annotations

import pytest

from koppel.store import due
from koppel.store.due import Due


def _add(store, *natives, at=1.0, not_before=None, flow="f", why="asked"):
    store.run(due.add, flow, [Due("left", native, why) for native in natives], at=at, not_before=not_before)


def _ready(store, at, flow="f"):
    return [entry.native for entry in store.run(due.ready, flow, at=at)]


def test_what_was_asked_for_comes_in_the_order_it_was_asked_and_only_for_its_flow(store):
    _add(store, "b", at=1.0)
    _add(store, "a", "c", at=2.0)
    _add(store, "z", flow="g")
    assert _ready(store, 5.0) == ["b", "a", "c"]
    assert store.run(due.waiting, "f") == 3


def test_an_entry_is_not_ready_before_its_time(store):
    _add(store, "a", not_before=10.0)
    assert _ready(store, 9.9) == []
    assert _ready(store, 10.0) == ["a"]
    assert store.run(due.next_at, "f") == 10.0
    assert store.run(due.next_at, "g") is None


def test_of_two_times_the_earlier_holds_and_now_beats_both(store):
    _add(store, "a", not_before=10.0)
    _add(store, "a", not_before=20.0, at=2.0)
    assert store.run(due.next_at, "f") == 10.0
    _add(store, "a", not_before=5.0, at=3.0)
    assert store.run(due.next_at, "f") == 5.0
    _add(store, "a", at=4.0)
    assert _ready(store, 4.0) == ["a"]
    _add(store, "a", not_before=50.0, at=5.0)
    assert _ready(store, 5.0) == ["a"]
    assert store.run(due.waiting, "f") == 1


def test_an_entry_asked_for_again_keeps_its_first_reason(store):
    _add(store, "a", why="waiting")
    _add(store, "a", why="read back")
    assert store.run(due.ready, "f", at=9.0) == [Due("left", "a", "waiting")]


@pytest.mark.parametrize("wish", ["taken in", "asked", "flow edited"])
def test_the_wish_of_a_person_is_not_lost_to_a_reason_of_our_own(store, wish):
    _add(store, "a", why="read back")
    _add(store, "a", why=wish)
    _add(store, "a", why="waiting")
    assert store.run(due.ready, "f", at=9.0) == [Due("left", "a", wish)]


@pytest.mark.parametrize("anew", ["refresh", "retry"])
def test_a_wish_to_have_the_vendor_asked_anew_is_not_lost_to_an_earlier_reason(store, anew):
    _add(store, "a", why="taken in")
    _add(store, "a", why=anew)
    _add(store, "a", why="waiting")
    _add(store, "a", why="asked")
    assert store.run(due.ready, "f", at=9.0) == [Due("left", "a", anew)]


def test_the_same_record_twice_in_one_go_is_one_entry(store):
    _add(store, "a", "a", "b", "a")
    assert _ready(store, 1.0) == ["a", "b"]
    store.run(due.add, "f", [], at=1.0)


def test_what_is_done_leaves_on_its_side_only(store):
    store.run(due.add, "f", [Due("left", "a", "asked"), Due("right", "a", "asked"), Due("left", "b", "asked")], at=1.0)
    store.run(due.done, "f", "left", ["a", "unknown"])
    assert store.run(due.ready, "f", at=1.0) == [Due("left", "b", "asked"), Due("right", "a", "asked")]


def test_what_was_asked_for_again_during_the_work_is_not_taken_out_by_its_end(store):
    _add(store, "a", "b", at=1.0)
    _add(store, "c", at=2.0)
    assert _ready(store, 2.0) == ["a", "b", "c"]
    _add(store, "b", at=3.0)  # a webhook, while all are worked on
    store.run(due.done, "f", "left", ["a", "b", "c"], upto=2.0)
    assert _ready(store, 4.0) == ["b"]
    store.run(due.done, "f", "left", ["b"], upto=4.0)
    assert store.run(due.waiting, "f") == 0
