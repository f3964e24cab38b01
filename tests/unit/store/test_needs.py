"""Needs: what records of a flow refer to, and who is due when that appears."""

from __future__ import annotations

import pytest

from koppel.store import due, needs, streams, subjects
from koppel.store.erasure import places_of_records
from koppel.store.needs import Need

AT = 1_800_000_000.0


@pytest.fixture
def here(store):
    """Four streams: orders and customers of a CRM, orders and customers of a shop."""
    names = (("crm", "orders"), ("crm", "customers"), ("shop", "orders"), ("shop", "customers"))
    return store, [store.run(streams.ensure, *name).id for name in names]


def waiting(store, flow="orders"):
    return [(entry.side, entry.native) for entry in store.run(due.ready, flow, at=AT + 1)]


def joined(store, stream, native, subject, role="main"):
    store.run(subjects.join, subject, stream, native, role=role, why="test", at=AT)


def test_of_two_references_to_one_record_the_one_that_lacks_it_counts(here):
    store, (_, customers, _, there) = here
    lacking = Need(customers, "1", there)
    for given in ([Need(customers, "1", there, met=True), lacking], [lacking, Need(customers, "1", there, met=True)]):
        store.run(needs.replace, "orders", "left", {"a": given})
        assert store.run(needs.of, "orders", "left", "a") == [lacking]


def test_what_a_record_refers_to_is_replaced_whole(here):
    store, (_, customers, _, there) = here
    one, two = Need(customers, "1", there), Need(customers, "2", there, met=True)
    store.run(needs.replace, "orders", "left", {"a": [one, two], "b": [two]})
    assert store.run(needs.of, "orders", "left", "a") == [one, two]
    store.run(needs.replace, "orders", "left", {"a": [two], "c": []})
    assert store.run(needs.of, "orders", "left", "a") == [two]
    assert store.run(needs.of, "orders", "left", "b") == [two]
    store.run(needs.replace, "orders", "left", {"a": []})
    assert store.run(needs.of, "orders", "left", "a") == []
    assert store.run(needs.of, "orders", "right", "b") == store.run(needs.of, "others", "left", "b") == []


def test_who_waits_is_due_when_the_counterpart_appears_and_nobody_else(here):
    store, (_, customers, _, there) = here
    store.run(needs.replace, "orders", "left", {"a": [Need(customers, "1", there)], "b": [Need(customers, "2", there)]})
    store.run(needs.replace, "invoices", "right", {"x": [Need(customers, "1", there)]})
    subject = store.run(subjects.create, at=AT)
    joined(store, customers, "1", subject)
    store.run(due.done, "orders", "left", ["a"])
    assert store.run(needs.met, "orders") == []
    joined(store, there, "91", subject)
    assert waiting(store) == [("left", "a")]
    assert waiting(store, "invoices") == [("right", "x")]
    assert store.run(needs.met, "orders") == [("left", "a")]


def test_another_debtor_of_a_firm_wakes_nobody_but_another_main_one_does(here):
    store, (_, customers, _, there) = here
    subject = store.run(subjects.create, at=AT)
    joined(store, customers, "1", subject)
    joined(store, there, "91", subject)
    store.run(needs.replace, "orders", "left", {"a": [Need(customers, "1", there, met=True)]})
    joined(store, there, "92", subject, role="follower")
    assert waiting(store) == []
    store.run(subjects.leave, there, "91")
    joined(store, there, "93", subject)
    assert waiting(store) == [("left", "a")]


def test_a_record_that_becomes_another_things_wakes_whoever_refers_to_it(here):
    store, (_, customers, _, there) = here
    store.run(needs.replace, "orders", "left", {"a": [Need(there, "91", customers, met=True)]})
    joined(store, there, "91", store.run(subjects.create, at=AT))
    assert waiting(store) == [("left", "a")]


def test_one_that_is_due_later_is_due_at_once(here):
    store, (_, customers, _, there) = here
    store.run(needs.replace, "orders", "left", {"a": [Need(customers, "1", there)]})
    store.run(due.add, "orders", [due.Due("left", "a", "read back")], at=AT, not_before=AT + 999)
    assert waiting(store) == []
    joined(store, customers, "1", store.run(subjects.create, at=AT))
    assert waiting(store) == [("left", "a")]


def test_an_erasure_forgets_who_was_referred_to_and_no_record_that_happens_to_have_the_same_number():
    assert places_of_records()["needs"] == [("stream", "target")]
