from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from koppel.store import streams, subjects
from koppel.store.subjects import Member


def _join(store, subject, stream, native, role="main"):
    store.run(subjects.join, subject, stream, native, role=role, why="kvk", at=1.0)


@pytest.fixture
def subject(store):
    return store.run(subjects.create, at=1.0)


def test_every_subject_has_an_id_and_a_random_key_of_its_own(store):
    ids = store.run(subjects.create_many, 50, at=1.0)
    keys = store.run(subjects.keys, ids)
    assert len(set(ids)) == len(set(keys.values())) == 50
    assert {len(key) for key in keys.values()} == {16}
    assert store.run(subjects.key, ids[0]) == keys[ids[0]]
    assert store.run(subjects.create_many, 0, at=1.0) == []


def test_an_unknown_subject_has_no_key(store):
    assert store.run(subjects.key, "nobody") is None


def test_members_are_found_by_record_and_by_subject_mains_first(store, stream, subject):
    _join(store, subject, stream, "b", role="follower")
    _join(store, subject, stream, "c")
    _join(store, subject, stream, "a", role="follower")
    assert store.run(subjects.of_records, stream, ["b", "x"]) == {"b": Member(stream, "b", subject, "follower", "kvk")}
    assert [m.native for m in store.run(subjects.of_subjects, stream, [subject, "x"])[subject]] == ["c", "a", "b"]
    assert store.run(subjects.linked_natives, stream) == ["a", "b", "c"]


def test_a_subject_has_one_main_per_stream_and_any_number_of_followers(store, stream, subject):
    _join(store, subject, stream, "a")
    with pytest.raises(IntegrityError):
        _join(store, subject, stream, "b")
    _join(store, subject, stream, "b", role="follower")
    _join(store, subject, stream, "c", role="follower")
    _join(store, subject, store.run(streams.ensure, "register", "companies").id, "a")
    assert len(store.run(subjects.of_subjects, stream, [subject])[subject]) == 3


def test_a_follower_cannot_become_a_second_main(store, stream, subject):
    _join(store, subject, stream, "a")
    _join(store, subject, stream, "b", role="follower")
    with pytest.raises(IntegrityError):
        _join(store, subject, stream, "b", role="main")


def test_a_record_belongs_to_one_subject_at_most_and_never_moves_by_accident(store, stream, subject):
    other = store.run(subjects.create, at=1.0)
    _join(store, subject, stream, "a")
    for role in ("main", "follower"):
        with pytest.raises(IntegrityError):
            _join(store, other, stream, "a", role=role)
    assert store.run(subjects.of_records, stream, ["a"])["a"].subject == subject


def test_joining_again_changes_the_role_and_the_reason(store, stream, subject):
    _join(store, subject, stream, "a", role="follower")
    store.run(subjects.join, subject, stream, "a", role="main", why="a person said so", at=2.0)
    assert store.run(subjects.of_records, stream, ["a"])["a"] == Member(
        stream, "a", subject, "main", "a person said so"
    )


def test_many_join_at_once_or_none_of_them(store, stream, subject):
    other = store.run(subjects.create, at=1.0)
    _join(store, other, stream, "taken")
    wanted = [Member(stream, native, subject, "follower", "kvk") for native in ("a", "b", "taken")]
    with pytest.raises(IntegrityError):
        store.run(subjects.join_many, wanted, at=1.0)
    assert store.run(subjects.linked_natives, stream) == ["taken"]
    store.run(subjects.join_many, wanted[:2], at=1.0)
    store.run(subjects.join_many, [], at=1.0)
    assert store.run(subjects.linked_natives, stream) == ["a", "b", "taken"]


def test_a_record_that_left_can_join_another(store, stream, subject):
    other = store.run(subjects.create, at=1.0)
    _join(store, subject, stream, "a")
    store.run(subjects.leave, stream, "a")
    _join(store, other, stream, "a")
    assert store.run(subjects.of_records, stream, ["a"])["a"].subject == other


def test_an_erased_subject_has_no_key_and_no_members_and_its_neighbour_keeps_both(store, stream, subject):
    other = store.run(subjects.create, at=1.0)
    _join(store, subject, stream, "a")
    _join(store, other, stream, "b")
    assert store.run(subjects.erase, subject) == [Member(stream, "a", subject, "main", "kvk")]
    assert store.run(subjects.key, subject) is None
    assert store.run(subjects.key, other) is not None
    assert store.run(subjects.linked_natives, stream) == ["b"]
