"""For each field of each base it can be told: which record, in which version, seen when, in which run, by which rule or person."""

from __future__ import annotations

import pytest

from koppel.engine import provenance
from koppel.mapping.flow import FieldRule
from koppel.store import flows
from koppel.testing.pair_desk import PairDesk, pair_flow

ROW = {"title": "Bakkerij Jansen", "nr": "42100001", "tel": "0205551234"}
FIELDS = (FieldRule("name"), FieldRule("kvk"), FieldRule("phone", "newest"), FieldRule("email", "ask"))


def base_of(desk):
    (stored,) = desk.store.run(flows.bases_of, "pair", left=["1"]).values()
    return stored.base


def origin(desk, field):
    """Where a field's value came from, by its base."""
    seq = base_of(desk).prov[field]
    (entry,) = [entry for entry in desk.trail() if entry.seq == seq]
    return provenance.read(entry, field)


def test_a_created_value_comes_from_the_record_as_it_was_seen_by_the_rule_of_its_field():
    desk = PairDesk(pair_flow(*FIELDS))
    native = desk.ledger.add(ROW)
    seen_at = desk.clock.now()
    run = desk.sync().run
    told = origin(desk, "phone")
    assert (told.kind, told.source, told.ref, told.side) == ("created", "record", f"left:customers:{native}", "left")
    assert (told.version, told.seen_at, told.run) == (str(desk.ledger.versions[native]), seen_at, run)
    assert told.rule == {"owner": "newest"}
    assert told.op


def test_every_field_of_every_base_has_its_entry_also_what_was_agreed_without_a_write():
    desk = PairDesk(pair_flow(*FIELDS))
    desk.both(ROW)
    desk.settle()
    base = base_of(desk)
    assert base.left.keys() == {"name", "kvk", "phone", "email"} == base.prov.keys()
    (linked,) = desk.trail("linked")
    told = origin(desk, "name")
    assert (told.kind, told.source, told.entry) == ("linked", "both", linked.seq)
    assert (told.version, told.ref) == (str(desk.ledger.versions["1"]), "left:customers:1")
    assert [entry.kind for entry in desk.trail()] == ["linked"], "one entry a pair, not one a field"


def test_an_update_tells_which_version_it_took_the_value_from():
    desk = PairDesk(pair_flow(*FIELDS))
    desk.both(ROW)
    desk.settle()
    desk.ledger.edit("1", {"title": "Bakkerij De Korenaar"})
    desk.sync()
    told = origin(desk, "name")
    assert (told.kind, told.because, told.version) == ("updated", "left changed", str(desk.ledger.versions["1"]))
    assert told.rule == {"owner": "left"}


def test_what_both_sides_changed_to_the_same_is_told_once():
    desk = PairDesk(pair_flow(*FIELDS))
    desk.both(ROW)
    desk.settle()
    before = len(desk.trail())
    desk.ledger.edit("1", {"tel": "0205550000"})
    desk.till.edit("1", {"tel": "0205550000"})
    desk.settle()
    assert [entry.kind for entry in desk.trail()[before:]] == ["agreed"]
    assert (origin(desk, "phone").kind, origin(desk, "name").kind) == ("agreed", "linked")


def test_a_person_who_decided_is_named_with_the_question():
    desk = PairDesk(pair_flow(*FIELDS))
    desk.both(ROW, left={"mail": "a@firm.example"}, right={"mail": "b@firm.example"})
    desk.sync()
    item = desk.answer("left", field="email")
    desk.settle()
    told = origin(desk, "email")
    assert (told.kind, told.person, told.ask) == ("updated", "mieke", item.id)
    assert told.because == "decided by a person: the left stands"
    assert desk.till.rows["1"]["mail"] == "a@firm.example"


def test_a_third_value_is_from_the_person_not_from_a_record():
    desk = PairDesk(pair_flow(*FIELDS))
    desk.both(ROW, left={"mail": "a@firm.example"}, right={"mail": "b@firm.example"})
    desk.sync()
    item = desk.answer({"value": "c@firm.example"}, field="email")
    desk.settle()
    told = origin(desk, "email")
    assert (told.source, told.person, told.ask) == ("person", "mieke", item.id)


def test_what_a_person_left_different_names_who_and_both_spellings():
    desk = PairDesk(pair_flow(*FIELDS))
    desk.both(ROW, left={"mail": "a@firm.example"}, right={"mail": "b@firm.example"})
    desk.sync()
    desk.answer("leave", field="email")
    desk.settle()
    told = origin(desk, "email")
    assert (told.kind, told.person) == ("agreed", "mieke")
    assert told.spellings == ("a@firm.example", "b@firm.example")


def test_a_value_that_the_vendor_keeps_differently_is_adopted_once_and_both_spellings_are_told():
    desk = PairDesk(pair_flow(FieldRule("name"), FieldRule("kvk"), FieldRule("statutory_name")))
    desk.ledger.add({**ROW, "legal": "Bakkerij Jansen en Zonen Holding"})
    for _ in range(6):
        desk.sync()
        desk.later()
    told = origin(desk, "statutory_name")
    assert (told.kind, told.because) == ("agreed", "kept in the vendor's own spelling")
    assert told.spellings == ("Bakkerij Jansen en Zonen Holding", "Bakkerij Jansen en Z")
    assert len(desk.trail("agreed")) == 1
    assert desk.till.writes == 1, "adopted, never fought"


def test_a_constant_comes_from_the_flow():
    desk = PairDesk(pair_flow(FieldRule("name"), FieldRule("kvk"), FieldRule("legal_form", const="BV")))
    desk.ledger.add(ROW)
    desk.sync()
    (created,) = desk.trail("created")
    assert created.data["fields"]["legal_form"]["from"] == "flow"


def test_a_write_found_again_by_its_probe_tells_what_was_seen_when_it_was_decided():
    desk = PairDesk(pair_flow(*FIELDS))
    desk.ledger.add(ROW)
    seen_at, version = desk.clock.now(), str(desk.ledger.versions["1"])
    desk.wire.lose_after = 1
    desk.sync()
    desk.later(600)
    desk.settle()
    (created,) = desk.trail("created")
    assert created.data.get("by_probe")
    told = origin(desk, "name")
    assert (told.version, told.seen_at) == (version, seen_at)


class Killed(Exception):
    pass


def test_who_recovers_a_write_tells_what_the_dying_one_saw_and_not_what_is_there_by_now():
    desk = PairDesk(pair_flow(*FIELDS))
    desk.ledger.add(ROW)
    seen_at, version = desk.clock.now(), str(desk.ledger.versions["1"])
    desk.wire.lose_after = 1

    async def killed(_seconds):
        raise Killed

    desk.clock.sleep = killed
    with pytest.raises(Killed):
        desk.sync()
    del desk.clock.sleep
    desk.later(600)
    desk.ledger.edit("1", {"tel": "0205550000"})
    desk.settle()
    (created,) = desk.trail("created")
    told = provenance.read(created, "name")
    assert (told.version, told.seen_at) == (version, seen_at)
    assert created.data["by_probe"]
