"""Values that are let go, and filled in again: no change, no news, on both databases."""

from __future__ import annotations

import pytest

from koppel.store import due, flows, observations, streams, work
from koppel.store.due import Due
from koppel.store.flows import StoredBase
from koppel.sync.base import Base

WATCHERS = (("f", "left"), ("g", "right"))


def take(store, stream, *seen, at=100.0, **more):
    return store.run(observations.take_in, stream, seen, at=at, **more)


def let_go(store, stream, *, upto=99, watchers=WATCHERS, spare=()):
    return store.run(observations.let_go, stream, upto=upto, watchers=watchers, spare=spare, codes="undo_")


def load(store, stream, *natives):
    return store.run(observations.load, stream, natives, entity="company")


def bare(store, stream, *natives):
    return store.run(observations.bare, stream, natives)


@pytest.fixture
def three(store, stream, company):
    take(store, stream, company("a"), company("b"), company("c"))
    return store, stream


def test_what_was_let_go_is_still_known_and_is_filled_in_without_being_news(three, company):
    store, stream = three
    before = load(store, stream, "a")["a"]
    assert let_go(store, stream) == 3
    assert let_go(store, stream) == 0
    gone = load(store, stream, "a")["a"]
    assert (gone.bare, gone.record, gone.digest, gone.seq) == (True, None, before.digest, before.seq)
    assert bare(store, stream, "c", "a", "x") == ["a", "c"]
    found = take(store, stream, company("a"), at=200.0)
    assert (found.new, found.changed, found.gone) == ((), (), ())
    back = load(store, stream, "a")["a"]
    assert (back.bare, back.record, back.seq) == (False, before.record, before.seq)
    assert store.run(streams.get, stream).seq == 3


def test_a_listing_does_not_bring_values_back(three, company):
    store, stream = three
    let_go(store, stream)
    take(store, stream, company("a"), at=200.0, fill=False)
    found = load(store, stream, "a")["a"]
    assert (found.bare, found.seen_at) == (True, 200.0)


def test_only_what_every_flow_has_looked_at_goes(three):
    store, stream = three
    assert let_go(store, stream, upto=2) == 2
    assert bare(store, stream, "a", "b", "c") == ["a", "b"]


@pytest.mark.parametrize("flow", ["f", "g"])
def test_what_is_due_or_open_stays_and_so_does_what_it_is_paired_with(three, flow):
    store, stream = three
    side, far = ("left", "right") if flow == "f" else ("right", "left")
    store.run(due.add, flow, [Due(side, "a", "asked")], at=1.0)
    store.run(work.put, "ask", flow=flow, side=far, native="far", code="conflict", body={}, at=1.0)
    pair = ("b", "far") if side == "left" else ("far", "b")
    store.run(flows.save_bases, flow, [StoredBase(*pair, "s", Base(), "", "", 0)])
    assert let_go(store, stream) == 1
    assert bare(store, stream, "a", "b", "c") == ["c"]


def test_an_answered_question_of_an_undo_holds_and_a_decision_that_stands_does_not(three):
    store, stream = three
    for native, code in (("a", "undo_field"), ("b", "unlinked")):
        number = store.run(work.put, "ask", flow="f", side="left", native=native, code=code, body={}, at=1.0)
        store.run(work.answer, number, "skip", by="mieke", at=2.0)
    assert let_go(store, stream) == 2
    assert bare(store, stream, "a", "b", "c") == ["b", "c"]


def test_what_is_spared_stays(three):
    store, stream = three
    assert let_go(store, stream, spare=("b",)) == 2
    assert bare(store, stream, "b") == []


def test_a_gone_record_says_nothing_any_more_and_is_not_read_again(three, company):
    store, stream = three
    take(store, stream, observations.Seen("a", None))
    let_go(store, stream)
    gone = load(store, stream, "a")["a"]
    assert (gone.gone, gone.record, gone.bare) == (True, None, False)
    assert bare(store, stream, "a") == []
    assert store.run(observations.vanished, stream) == (1, 0)
    assert take(store, stream, company("a"), at=300.0).changed == ("a",)


def test_rows_that_hold_nothing_can_be_cut_down(three):
    store, stream = three
    let_go(store, stream)
    store.run(observations.cut_down, stream, frozenset({"name"}))
    assert load(store, stream, "a")["a"].bare
