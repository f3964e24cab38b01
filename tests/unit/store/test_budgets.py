from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from koppel.store import budgets
from koppel.store.store import in_memory
from koppel.store.vault import Vault

MINUTE = ("exact", "minute", "division 1")


def _spend(store, at, *, allowed=3, reserve=0, amount=1, account=MINUTE):
    return store.run(
        budgets.spend, *account, allowed=allowed, reserve=reserve, reset_at=at - at % 60 + 60, at=at, amount=amount
    )


def _account(store):
    (account,) = store.run(budgets.listed, system="exact")
    return account


def test_an_allowance_is_spent_until_nothing_is_left_and_then_says_when_to_come_again(store):
    assert [_spend(store, at) for at in (0.0, 1.0, 2.0, 3.0, 59.0)] == [None, None, None, 60.0, 60.0]
    assert (_account(store).used, _account(store).remaining) == (3, 0)


def test_a_new_window_begins_with_the_full_allowance(store):
    for at in (0.0, 1.0, 2.0, 3.0):
        _spend(store, at)
    assert [_spend(store, at) for at in (60.0, 61.0, 62.0, 63.0)] == [None, None, None, 120.0]


def test_the_reserve_is_kept_for_whoever_may_use_it(store):
    assert [_spend(store, 0.0, reserve=2) for _ in range(2)] == [None, 60.0]
    assert [_spend(store, 0.0) for _ in range(3)] == [None, None, 60.0]


def test_the_reserve_holds_at_the_first_call_of_a_window_too(store):
    assert _spend(store, 0.0, amount=2, reserve=2) == 60.0
    assert _spend(store, 0.0, amount=4) == 60.0
    assert _account(store).used == 0
    assert _spend(store, 0.0, amount=3) == None  # noqa: E711 - reads as the answer it is
    assert _spend(store, 60.0, amount=4) == 120.0


def test_what_happened_already_is_counted_beyond_the_allowance(store):
    for _ in range(5):
        assert _spend(store, 0.0, reserve=-3, allowed=3, amount=1) in {None, 60.0}
    assert _account(store).used == 5
    assert _spend(store, 0.0) == 60.0


def test_accounts_are_kept_apart(store):
    assert _spend(store, 0.0, allowed=1) is None
    assert _spend(store, 0.0, allowed=1, account=("exact", "minute", "division 2")) is None
    assert _spend(store, 0.0, allowed=1, account=("exact", "day", "division 1")) is None
    assert _spend(store, 0.0, allowed=1, account=("kvk", "minute", "division 1")) is None
    assert _spend(store, 0.0, allowed=1) == 60.0
    assert len(store.run(budgets.listed)) == 4
    assert len(store.run(budgets.listed, system="kvk")) == 1


def test_what_the_vendor_says_outranks_our_count_and_our_settings(store):
    _spend(store, 0.0)
    store.run(budgets.correct, *MINUTE, allowed=60, remaining=1, reset_at=90.0)
    assert (_account(store).allowed, _account(store).used) == (60, 59)
    assert [_spend(store, 10.0), _spend(store, 10.0)] == [None, 90.0]
    assert _spend(store, 90.0, amount=50) is None
    store.run(budgets.correct, *MINUTE, allowed=60, remaining=70, reset_at=90.0)
    assert _account(store).used == 0


def test_an_allowance_the_vendor_refused_is_closed_until_its_time(store):
    store.run(budgets.exhaust, *MINUTE, allowed=3, reset_at=75.0)
    assert [_spend(store, 0.0), _spend(store, 74.9), _spend(store, 75.0)] == [75.0, 75.0, None]


def test_whether_an_allowance_is_closed_can_be_asked_without_spending(store):
    assert store.run(budgets.closed_until, *MINUTE, reserve=0, at=0.0) is None
    _spend(store, 0.0, amount=2)
    assert store.run(budgets.closed_until, *MINUTE, reserve=0, at=0.0) is None
    assert store.run(budgets.closed_until, *MINUTE, reserve=1, at=0.0) == 60.0
    assert store.run(budgets.closed_until, *MINUTE, reserve=1, at=60.0) is None
    assert _account(store).used == 2


_ASKED = st.lists(
    st.tuples(st.floats(0, 50), st.integers(1, 4), st.integers(0, 3), st.integers(1, 6)), min_size=1, max_size=40
)


@given(_ASKED, st.integers(1, 8))
def test_no_window_is_ever_overspent_and_nobody_is_sent_away_while_enough_is_left(asked, allowed):
    store = in_memory(Vault(bytes(range(32))))
    at, spent = 0.0, {}
    for pause, amount, reserve, _ in asked:
        at += pause
        window = at - at % 60
        again = _spend(store, at, allowed=allowed, reserve=reserve, amount=amount)
        fits = spent.get(window, 0) + amount <= allowed - reserve
        assert (again is None) == fits
        if again is None:
            spent[window] = spent.get(window, 0) + amount
        else:
            assert again == window + 60
    assert all(used <= allowed for used in spent.values())
    store.close()


def test_workers_that_spend_at_once_share_one_account(opened):
    """Law 10: also on the very first call, when there is no account yet."""
    stores = [opened() for _ in range(4)]
    line = threading.Barrier(len(stores))
    answers: list[float | None] = []

    def spend(store):
        line.wait()
        answers.extend([_spend(store, 0.0, allowed=25) for _ in range(10)])

    threads = [threading.Thread(target=spend, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers.count(None), answers.count(60.0)) == (25, 15)
    assert _account(stores[0]).used == 25
