from __future__ import annotations

import threading

from koppel.store import leases


def _take(store, owner, at, seconds=60.0, name="stream 1"):
    return store.run(leases.take, name, owner, at=at, seconds=seconds)


def test_one_owner_at_a_time_and_the_other_is_told_no(store):
    assert _take(store, "one", at=0.0) == 1
    assert _take(store, "two", at=59.9) is None
    assert _take(store, "two", at=0.0, name="stream 2") == 1
    assert store.run(leases.holder, "stream 1") == ("one", 60.0)
    assert store.run(leases.holder, "stream 3") is None


def test_renewing_prolongs_and_keeps_the_fence(store):
    assert _take(store, "one", at=0.0) == 1
    assert _take(store, "one", at=50.0) == 1
    assert _take(store, "two", at=100.0) is None
    assert _take(store, "two", at=110.0) == 2


def test_an_expired_lease_goes_to_who_asks_and_its_old_owner_no_longer_holds_it(store):
    fence = _take(store, "one", at=0.0)
    assert store.run(leases.holds, "stream 1", "one", fence)
    assert _take(store, "two", at=60.0) == fence + 1
    assert not store.run(leases.holds, "stream 1", "one", fence)
    assert store.run(leases.holds, "stream 1", "two", fence + 1)
    assert _take(store, "one", at=61.0) is None


def test_an_owner_that_slept_is_stopped_by_its_old_fence_even_when_it_holds_the_lease_again(store):
    first = _take(store, "one", at=0.0)
    _take(store, "two", at=60.0)
    again = _take(store, "one", at=120.0)
    assert again == 3
    assert not store.run(leases.holds, "stream 1", "one", first)
    assert store.run(leases.holds, "stream 1", "one", again)


def test_a_lease_given_back_is_free_at_once_and_only_its_owner_can_give_it_back(store):
    _take(store, "one", at=0.0)
    store.run(leases.release, "stream 1", "two")
    assert _take(store, "two", at=1.0) is None
    store.run(leases.release, "stream 1", "one")
    assert _take(store, "two", at=1.0) == 2


def test_nobody_holds_what_was_never_taken(store):
    assert not store.run(leases.holds, "stream 1", "one", 0)


def test_of_workers_that_ask_for_a_new_lease_at_once_exactly_one_gets_it(opened):
    for attempt in range(5):
        stores = [opened() for _ in range(4)]
        line = threading.Barrier(len(stores))
        got: list[int | None] = []

        def ask(number, stores=stores, line=line, got=got, attempt=attempt):
            line.wait()
            got.append(_take(stores[number], f"worker {number}", at=0.0, name=f"new {attempt}"))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(stores))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got, key=str) == [1, None, None, None]
