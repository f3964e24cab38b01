"""Postings: which documents belong to which, what is news, what may stand on the other side."""

from __future__ import annotations

import pytest

from koppel.store import postings, streams, subjects
from koppel.store.postings import Posting

AT = 1_800_000_000.0


@pytest.fixture
def here(store):
    return store, store.run(streams.ensure, "till", "tickets by day (till)").id


def made(store, stream, name, part=1):
    store.run(postings.save, stream, Posting(name, part, name if part == 1 else f"{name}/{part}", {"documents": part}))
    store.run(postings.made, stream, name, part)


def test_a_document_that_moves_touches_both_postings(here):
    store, stream = here
    assert store.run(postings.belong, stream, {"1": ["a", "b"], "2": ["a"]}) == {"a", "b"}
    assert store.run(postings.members, stream, "a", size=9) == ["1", "2"]
    assert store.run(postings.members, stream, "a", after="1", size=1) == ["2"]
    assert store.run(postings.belong, stream, {"1": ["c"]}) == {"a", "b", "c"}
    assert store.run(postings.members, stream, "a", size=9) == ["2"]
    assert store.run(postings.members, stream, "b", size=9) == []
    assert store.run(postings.belong, stream, {"9": []}) == set()


def test_what_must_be_made_waits_for_its_day_and_is_made_once(here):
    store, stream = here
    store.run(postings.to_make, stream, {"b": "2026-10-02", "a": "2026-10-01", "x": ""})
    store.run(postings.to_make, stream, {"a": "2026-10-01"})
    assert store.run(postings.next_to_make, stream, before="2026-10-02", size=9) == ["x", "a"]
    made(store, stream, "a")
    assert store.run(postings.next_to_make, stream, before="2026-10-03", size=9) == ["x", "b"]


def test_later_parts_hold_what_is_new_changed_or_gone_since(here):
    store, stream = here
    store.run(postings.belong, stream, {"1": ["a"], "2": ["a"], "3": ["a"]})
    made(store, stream, "a")
    assert store.run(postings.documents_of, stream, "a") == ["1", "2", "3"]
    store.run(postings.belong, stream, {"2": ["a"], "3": [], "4": ["a"]})
    store.run(postings.belong, stream, {"1": ["a"]}, known={"1"})  # looked at again, and the same
    assert store.run(postings.news, stream, "a", 2) == 3
    made(store, stream, "a", 2)
    assert [store.run(postings.news, stream, "a", part) for part in (2, 3)] == [3, 0]
    assert store.run(postings.documents_of, stream, "a/2") == ["2", "3", "4"]
    assert store.run(postings.documents_of, stream, "a") == ["1", "2", "3"]
    assert store.run(postings.postings_of, stream, "2") == ["a", "a/2"]
    assert [one.part for one in store.run(postings.parts, stream, "a")] == [1, 2]


def test_what_is_looked_at_again_and_taken_no_more_is_news(here):
    store, stream = here
    store.run(postings.belong, stream, {"1": ["a"], "2": ["a"]})
    made(store, stream, "a")
    store.run(postings.belong, stream, {"1": [], "2": ["a"]}, known={"1", "2"})  # other documents are wanted since
    assert store.run(postings.news, stream, "a", 2) == 1
    assert store.run(postings.members, stream, "a", size=9) == ["2"]


def test_what_left_before_posting_was_never_in_it(here):
    store, stream = here
    store.run(postings.belong, stream, {"1": ["a"], "2": ["a"]})
    store.run(postings.belong, stream, {"1": []})
    made(store, stream, "a")
    assert store.run(postings.documents_of, stream, "a") == ["2"]


def test_what_is_linked_stays_as_it_is(here):
    store, stream = here
    made(store, stream, "a")
    made(store, stream, "b")
    subject = store.run(subjects.create, at=AT)
    store.run(subjects.join, subject, stream, "a", role="main", why="test", at=AT)
    assert not store.run(postings.any_posted, stream)
    store.run(postings.note_posted, stream, "till")
    assert store.run(postings.any_posted, stream)
    assert store.run(postings.unposted, stream) == ["b"]
    store.run(postings.drop, stream, "a")
    store.run(postings.drop, stream, "b")
    assert [one.posted for one in store.run(postings.parts, stream, "a")] == [True]
    assert store.run(postings.parts, stream, "b") == []
    assert store.run(postings.forget, stream) == ["a"]
