"""Hints wait until the look-up they led to was answered."""

from koppel.model.company import Company
from koppel.model.record import Record
from koppel.store import hints, observations, streams
from koppel.store.observations import Seen


def known_stream(store, *natives: str) -> int:
    stream = store.run(streams.ensure, "register", "companies").id
    store.run(observations.take_in, stream, [Seen(n, Record(Company(name=n, kvk=n))) for n in natives], at=1.0)
    return stream


def test_a_hint_about_a_known_record_waits_until_it_was_looked_up(store):
    stream = known_stream(store, "00000001", "00000002")
    store.run(hints.put, stream, ["00000001", "00000002", "00000001"], at=2.0)
    assert store.run(hints.known, stream, at=2.0) == ["00000001", "00000002"]
    store.run(hints.done, stream, ["00000001"])
    assert store.run(hints.known, stream, at=2.0) == ["00000002"]


def test_a_hint_about_a_stranger_is_dropped(store):
    stream = known_stream(store, "00000001")
    store.run(hints.put, stream, ["00000009"], at=2.0)
    assert store.run(hints.known, stream, at=2.0) == []
    assert store.run(hints.waiting, stream) == 0


def test_a_hint_that_could_not_be_answered_comes_again_when_its_time_has_come(store):
    stream = known_stream(store, "00000001")
    store.run(hints.put, stream, ["00000001"], at=2.0)
    store.run(hints.later, stream, "00000001", not_before=100.0)
    assert store.run(hints.known, stream, at=99.0) == []
    assert store.run(hints.known, stream, at=100.0) == ["00000001"]


def test_a_second_hint_about_a_waiting_record_makes_it_due_at_once(store):
    stream = known_stream(store, "00000001")
    store.run(hints.put, stream, ["00000001"], at=2.0)
    store.run(hints.later, stream, "00000001", not_before=100.0)
    store.run(hints.put, stream, ["00000001"], at=3.0)
    assert store.run(hints.known, stream, at=3.0) == ["00000001"]
