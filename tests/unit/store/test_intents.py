from __future__ import annotations

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError

from koppel.store import intents
from koppel.store.intents import Intent

CREATE = Intent("op1", 7, "f", "create", 1, "right", "left-a", None, {"fields": {"Name": "É"}}, "sent", 100.0, 100.5)
UPDATE = Intent("op2", 7, "f", "update", 1, "right", "left-b", "right-b", {"fields": {}}, "sent", 100.0, None)


def _like(intent, **changes):
    return msgspec.structs.replace(intent, **changes)


def test_open_intents_come_back_as_they_were_oldest_first(store):
    later, other = _like(UPDATE, opened_at=200.0), _like(CREATE, op="op9", flow="g", source_native="z")
    store.run(intents.open_intents, [later, CREATE, other])
    assert store.run(intents.of_flow, "f") == [CREATE, later]
    assert store.run(intents.everything) == [CREATE, other, later]
    store.run(intents.open_intents, [])


def test_two_creates_from_one_record_into_one_stream_are_impossible_whoever_asks(store):
    """Law 11: two flows, or two workers, can never create the same thing."""
    store.run(intents.open_intents, [CREATE])
    with pytest.raises(IntegrityError):
        store.run(intents.open_intents, [_like(CREATE, op="op8", flow="another", run=8)])
    store.run(intents.open_intents, [_like(CREATE, op="op8", stream=2)])


def test_two_open_writes_to_one_record_are_impossible_whatever_they_come_from(store):
    store.run(intents.open_intents, [UPDATE])
    with pytest.raises(IntegrityError):
        store.run(intents.open_intents, [_like(UPDATE, op="op8", kind="archive", source_native="other", flow="g")])


def test_the_same_operation_cannot_be_open_twice(store):
    store.run(intents.open_intents, [UPDATE])
    with pytest.raises(IntegrityError):
        store.run(intents.open_intents, [_like(UPDATE, target_native="else")])


def test_when_one_slot_of_many_is_taken_none_is_opened(store):
    store.run(intents.open_intents, [UPDATE])
    with pytest.raises(IntegrityError):
        store.run(intents.open_intents, [CREATE, _like(UPDATE, op="op3")])
    assert store.run(intents.everything) == [UPDATE]


def test_open_slots_can_be_planned_around(store):
    store.run(intents.open_intents, [CREATE, UPDATE])
    assert store.run(intents.slots) == {(1, CREATE.slot), (1, UPDATE.slot)}


def test_a_closed_intent_frees_its_slot(store):
    store.run(intents.open_intents, [CREATE, UPDATE])
    store.run(intents.close, ["op1", "unknown"])
    assert store.run(intents.everything) == [UPDATE]
    store.run(intents.open_intents, [_like(CREATE, op="op3")])


def test_an_intent_in_doubt_keeps_its_slot_and_counts_from_the_moment_of_silence(store):
    store.run(intents.open_intents, [CREATE, UPDATE])
    store.run(intents.mark_doubt, ["op1"], at=130.0)
    store.run(intents.mark_doubt, ["op1"], at=160.0)
    doubtful, other = store.run(intents.of_flow, "f")
    assert (doubtful.state, doubtful.sent_at, doubtful.tries) == ("doubt", 160.0, 2)
    assert other == UPDATE
    with pytest.raises(IntegrityError):
        store.run(intents.open_intents, [_like(CREATE, op="op3")])


def test_an_id_learnt_half_way_is_kept_and_the_create_keeps_its_slot(store):
    store.run(intents.open_intents, [CREATE])
    store.run(intents.learn_native, "op1", "new-id")
    found = store.run(intents.of_flow, "f")[0]
    assert (found.target_native, found.slot) == ("new-id", CREATE.slot)
    with pytest.raises(IntegrityError):
        store.run(intents.open_intents, [_like(CREATE, op="op3")])


def test_a_body_moved_to_another_operation_does_not_open(store):
    store.run(intents.open_intents, [CREATE, UPDATE])
    store.run(
        lambda db: db.run("update intents set body = (select body from intents where op = 'op1') where op = 'op2'")
    )
    with pytest.raises(Exception, match="altered"):
        store.run(intents.everything)


def test_a_run_closes_only_what_it_opened_itself(store):
    store.run(intents.open_intents, [CREATE, _like(UPDATE, run=8)])
    assert store.run(intents.close, ["op1", "op2"], run=8) == 1
    assert store.run(intents.everything) == [CREATE]
    assert store.run(intents.close, ["op1"]) == 1
