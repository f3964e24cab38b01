"""Work items: what they tell, how often a thing is tried, and answers that no longer hold."""

from __future__ import annotations

from koppel.engine import worklist
from koppel.engine.frame import make_frame
from koppel.engine.plan import as_json
from koppel.engine.worklist import given_up
from koppel.mapping.flow import FieldRule, Match
from koppel.model.problem import Problem
from koppel.store import work
from koppel.sync.retry import MAX_TRIES
from koppel.testing.pair_desk import PairDesk, pair_flow

NAME, KVK, EMAIL = FieldRule("name"), FieldRule("kvk"), FieldRule("email", "ask")
ROW = {"title": "Bakkerij Jansen", "nr": "42100001"}


def asked() -> PairDesk:
    desk = PairDesk(pair_flow(NAME, KVK, EMAIL))
    desk.both(ROW | {"mail": "samen@firm.example"})
    desk.settle()
    desk.ledger.edit("1", {"mail": "links@firm.example"})
    desk.later(10)
    desk.till.edit("1", {"mail": "rechts@firm.example"})
    desk.settle()
    return desk


def refused() -> PairDesk:
    desk = PairDesk()
    desk.ledger.add(ROW | {"title": "nee: deze niet"})
    desk.sync()
    return desk


def the(items):
    (item,) = items
    return item


# --- what they tell ---------------------------------------------------------------------------------------------------


def test_a_question_shows_both_values_the_base_and_who_changed_what_when():
    desk = asked()
    body = the(desk.asks()).body
    assert body["values"] == {"left": "links@firm.example", "right": "rechts@firm.example"}
    assert body["base"] == {"left": "samen@firm.example", "right": "samen@firm.example"}
    assert body["refs"] == {"left": "left:customers:1", "right": "right:shops:1"}
    assert body["changed"]["left"]["modified_at"] == desk.ledger.stamps["1"]
    assert body["changed"]["right"]["modified_at"] == body["changed"]["left"]["modified_at"] + 10
    assert body["changed"]["left"]["version"] == str(desk.ledger.versions["1"])
    linked = the(desk.trail("linked"))
    assert (body["agreed"]["entry"], body["agreed"]["at"]) == (linked.seq, linked.at)
    assert body["rule"] == {"owner": "ask"}
    assert body["title"] == "Ledger and Till"


def test_an_open_question_follows_the_values_without_becoming_another():
    desk = asked()
    number = the(desk.asks()).id
    desk.ledger.edit("1", {"mail": "anders@firm.example"})
    desk.settle()
    item = the(desk.asks())
    assert (item.id, item.body["values"]["left"], item.tries) == (number, "anders@firm.example", 0)


# --- tries ------------------------------------------------------------------------------------------------------------


def test_what_is_refused_is_tried_again_by_itself_later_each_time():
    desk = refused()
    waits = []
    for number in range(1, 5):
        item = the(desk.parked())
        assert item.tries == number
        waits.append(item.next_at - desk.clock.now())
        desk.clock.at = item.next_at
        desk.sync()
    assert waits == [3600, 7200, 14400, 28800]


def test_what_was_refused_is_off_the_list_once_a_question_takes_its_place_and_is_not_looked_at_each_run():
    desk = PairDesk(pair_flow(match=Match(keys=("kvk",), shared_key="ask")))
    desk.ledger.add(ROW | {"title": "nee: deze niet"})
    desk.sync()
    for _ in range(2):
        desk.till.add(ROW)
    desk.later(the(desk.parked()).next_at - desk.clock.now())
    desk.settle()
    assert [item.code for item in desk.asks()] == ["shared_key"]
    assert desk.parked() == []
    asked = the(desk.asks())
    desk.later(7 * 3600)
    desk.sync()
    assert the(desk.asks()).run == asked.run  # nobody looked again


def test_of_many_refusals_only_a_few_are_tried_at_once_unless_a_person_says_so():
    desk = PairDesk()
    for number in range(12):
        desk.ledger.add({"title": f"nee: {number}", "nr": f"421000{number:02}"})
    desk.sync()
    desk.later(3600)
    desk.sync()
    tries = sorted(item.tries for item in desk.parked())
    assert tries == [1] * (12 - work.REFUSED_AT_ONCE) + [2] * work.REFUSED_AT_ONCE
    desk.sync()
    assert sorted(item.tries for item in desk.parked()) == [1] * 2 + [2] * 10, "the longest waiting first"
    desk.store.run(work.retry, [item.id for item in desk.parked()], at=0.0)
    desk.sync()
    assert sorted(item.tries for item in desk.parked()) == [2] * 2 + [3] * 10


def test_before_its_time_it_is_not_tried_and_a_decision_made_again_is_no_try():
    desk = refused()
    item = the(desk.parked())
    desk.ledger.edit("1", {"web": "www.x.example"})  # a field the flow does not name: the same decision again
    desk.sync()
    desk.later(1800)
    desk.sync()
    again = the(desk.parked())
    assert (again.id, again.tries, again.next_at) == (item.id, 1, item.next_at)


def test_after_the_last_try_it_waits_for_a_person_and_says_so():
    desk = refused()
    for _ in range(MAX_TRIES):
        desk.clock.at = the(desk.parked()).next_at
        desk.sync()
    item = the(desk.parked())
    assert (item.tries, item.next_at, given_up(item)) == (MAX_TRIES + 1, None, True)
    desk.later(30 * 86400)
    desk.sync()
    assert the(desk.parked()).tries == MAX_TRIES + 1, "not by itself any more"
    desk.store.run(work.retry, [item.id], at=0.0)
    desk.sync()
    item = the(desk.parked())
    assert (item.tries, given_up(item)) == (MAX_TRIES + 2, False)
    assert item.next_at == desk.clock.now() + 3600, "counted anew"


def test_a_record_that_changes_is_tried_at_once_and_has_tries_of_its_own():
    desk = refused()
    for _ in range(MAX_TRIES):
        desk.clock.at = the(desk.parked()).next_at
        desk.sync()
    desk.ledger.edit("1", {"title": "nee: deze ook niet"})
    desk.sync()
    item = the(desk.parked())
    assert item.next_at == desk.clock.now() + 3600
    desk.ledger.edit("1", {"title": "Deze wel"})
    desk.sync()
    assert (desk.parked(), desk.till.rows["1"]["title"]) == ([], "Deze wel")


def test_a_mapping_that_changes_is_tried_at_once():
    desk = refused()
    desk.ledger.edit("1", {"brand": "Goed"})
    desk.sync()
    desk.edit_flow(FieldRule("name", source="trade_name"), KVK)
    desk.sync()
    assert (desk.parked(), desk.till.rows["1"]["title"]) == ([], "Goed")


def test_what_was_never_sent_has_no_tries_and_no_time():
    desk = PairDesk()
    desk.ledger.add({"nr": "42100001"})
    for _ in range(3):
        desk.ledger.edit("1", {"web": f"www.{_}.example"})
        desk.sync()
    item = the(desk.parked())
    assert (item.code, item.tries, item.next_at) == ("required", 0, None)


def test_a_look_up_that_waits_for_its_time_is_no_try_and_keeps_its_time():
    desk = PairDesk()
    frame = make_frame(desk.ports, desk.flow)
    said = {"side": "left", "native": "1", "field": "", "run": 1}

    def put(at, retry_at):
        problem = Problem("unavailable", "no answer", retry_at=retry_at)
        desk.store.run(
            worklist.put, frame, "parked", problem=problem, body={"problem": as_json(problem)}, at=at, **said
        )
        return the(desk.parked())

    item = put(0.0, 600.0)
    assert (item.tries, item.next_at) == (1, 600.0)
    again = put(10.0, 600.0)  # the same answer, told again by a run that did not ask
    assert (again.tries, again.next_at) == (1, 600.0)
    tried = put(600.0, 1200.0)
    assert (tried.tries, tried.next_at) == (2, 600.0 + 1800.0)


# --- answers ----------------------------------------------------------------------------------------------------------


def test_an_answer_about_values_that_changed_since_asks_anew_and_says_why():
    desk = asked()
    old = desk.answer("left")
    desk.ledger.edit("1", {"mail": "later@firm.example"})
    desk.settle()
    new = the(desk.asks())
    assert new.id != old.id
    assert f"no. {old.id} was answered left by mieke, but the left has changed since" in new.body["text"]
    assert new.body["values"]["left"] == "later@firm.example"
    assert desk.store.run(work.get, old.id).state == "closed"
    assert desk.till.rows["1"]["mail"] == "rechts@firm.example", "nothing was written on the old answer"
    desk.answer("left")
    desk.settle()
    assert desk.till.rows["1"]["mail"] == "later@firm.example"


def test_an_answer_holds_when_something_else_of_the_record_changed():
    desk = asked()
    desk.answer("left")
    desk.ledger.edit("1", {"web": "www.x.example"})
    desk.settle()
    assert desk.asks() == []
    assert desk.till.rows["1"]["mail"] == "links@firm.example"


def test_an_answer_that_is_half_carried_out_still_holds():
    desk = asked()
    desk.answer({"value": "derde@firm.example"})
    desk.wire.lose_before = 1
    desk.sync()
    desk.later(600)
    desk.settle()
    assert desk.asks() == []
    assert (desk.ledger.rows["1"]["mail"], desk.till.rows["1"]["mail"]) == ("derde@firm.example",) * 2


def test_a_new_record_is_not_made_when_one_that_carries_the_key_turned_up_since():
    desk = PairDesk(pair_flow(match=Match(keys=("kvk",), shared_key="ask")))
    desk.ledger.add(ROW)
    desk.till.add(ROW)
    desk.till.add(ROW)
    desk.settle()
    desk.answer("create")
    desk.till.add(ROW)
    desk.settle()
    assert len(desk.till.rows) == 3
    assert "has turned up since and carries its kvk" in the(desk.asks()).body["text"]


def test_what_is_to_be_archived_is_not_when_it_was_changed_since():
    desk = PairDesk(pair_flow(missing_left="ask"))
    desk.both(ROW)
    desk.settle()
    desk.ledger.delete("1")
    desk.settle()
    desk.answer("archive", field="missing")
    desk.till.edit("1", {"title": "Toch nog nodig"})
    desk.settle()
    assert "archived" not in desk.till.rows["1"]
    assert "has been changed since" in the(desk.asks()).body["text"]
    desk.answer("archive", field="missing")
    desk.settle()
    assert desk.till.rows["1"]["archived"] is True
