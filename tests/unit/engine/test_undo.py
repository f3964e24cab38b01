"""Taking a run back: what it wrote, made, linked and unlinked; what changed since is asked; and nothing comes back by itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from koppel.engine import flow as engine
from koppel.engine import identity
from koppel.engine.identity import By
from koppel.mapping.flow import Brakes, RunRules
from koppel.model.problem import UsageError
from koppel.model.values import Ref
from koppel.store import runs, subjects, work
from koppel.sync.undo import CODES
from koppel.testing.pair_desk import QUARTER, PairDesk

from .two_way import Somebody, bakery, two_sides


@pytest.fixture
def sides() -> PairDesk:
    return two_sides()


def settled_pair(sides: PairDesk, **values: Any) -> tuple[str, str]:
    natives = sides.both(bakery(**values))
    sides.settle()
    return natives


# --- the whole ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_a_random_run_undone_leaves_every_field_as_before_and_then_there_is_silence(seed: int) -> None:
    sides = two_sides()
    somebody = Somebody(sides, seed)
    numbers = iter(f"421{seed:02}{n:03}" for n in range(1, 30))
    for _ in range(4):
        somebody.founds(next(numbers))
    if seed % 3:  # else the run undone is the first contact itself
        sides.settle()
        for _ in range(somebody.rnd.randint(1, 6)):
            somebody.edits()
        for _ in range(somebody.rnd.randint(0, 2)):
            somebody.founds(next(numbers))
    before = sides.shown()
    result = sides.sync()
    made = {(server.name, native) for server in (sides.ledger, sides.till) for _, _, native in server.created}
    sides.sync()  # what Till re-spelled is seen and adopted
    sides.undo(result.run)
    assert sides.shown() == before, f"seed {seed}"
    archived = {
        (server.name, native)
        for server in (sides.ledger, sides.till)
        for native, row in server.rows.items()
        if row.get("archived")
    }
    assert archived == {one for one in made if one[1] not in before[one[0]]}
    asked = [item for item in sides.asks() if item.code.startswith("undo_")]
    assert not asked
    writes = sides.writes()
    for _ in range(2):
        assert sides.sync().state == "done"
    assert sides.writes() == writes, f"seed {seed}"
    assert sides.shown() == before


# --- fields ---------------------------------------------------------------------------------------------------------------


def test_planning_an_undo_writes_nothing(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    sides.ledger.edit(left, {"title": "Slager"})
    run = sides.sync().run
    writes = sides.writes()
    plan = sides.plan_undo(run)
    assert sides.writes() == writes
    (planned,) = plan.steps
    step = planned.step
    assert (step.kind, step.side, step.values, step.before) == (
        "update",
        "right",
        {"name": "Bakker"},
        {"name": "Slager"},
    )
    assert step.because["name"].startswith(f"undo of run {run}")
    assert (plan.undo_of, plan.calls) == (run, {"right": 1})
    assert sides.till.rows[right]["title"] == "Slager"


def test_the_source_keeps_its_value_and_the_pair_stays_different_until_it_changes_again(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    sides.ledger.edit(left, {"title": "Slager"})
    sides.undo(sides.sync().run)
    assert (sides.ledger.rows[left]["title"], sides.till.rows[right]["title"]) == ("Slager", "Bakker")
    assert sides.still_does(2) == {}
    sides.ledger.edit(left, {"title": "Visboer"})
    assert sides.sync().counts["update"] == 1
    assert sides.till.rows[right]["title"] == "Visboer"


def test_a_source_that_changes_and_changes_back_ends_what_the_undo_left_different(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    before = sides.till.rows[right]["legal"]
    sides.ledger.edit(left, {"legal": "De Molen B.V."})
    sides.undo(sides.sync().run)
    assert sides.till.rows[right]["legal"] == before
    for legal in ("De Wiek B.V.", "De Molen B.V."):
        sides.later()
        sides.ledger.edit(left, {"legal": legal})
        sides.sync()
        assert sides.till.rows[right]["legal"] == legal
    assert sides.still_does(2) == {}


def test_a_change_of_the_source_between_the_run_and_its_undo_still_goes_its_way(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    sides.ledger.edit(left, {"title": "Slager"})
    run = sides.sync().run
    sides.ledger.edit(left, {"title": "Visboer"})
    sides.undo(run)
    assert sides.till.rows[right]["title"] == "Bakker"
    assert sides.sync().counts["update"] == 1
    assert sides.till.rows[right]["title"] == "Visboer"
    assert sides.still_does(2) == {}


def test_a_field_that_changed_since_is_asked_with_all_three_values(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    sides.ledger.edit(left, {"title": "Slager", "legal": "Slager BV"})
    run = sides.sync().run
    sides.till.edit(right, {"title": "Visboer"})
    result = sides.undo(run)
    assert (result.counts["update"], result.counts["ask"]) == (1, 1)
    assert sides.till.rows[right]["legal"] == "Bakker BV"
    (item,) = sides.asks()
    for value in ("'Slager'", "'Visboer'", "'Bakker'"):
        assert value in item.body["text"]
    assert [choice["answer"] for choice in item.body["choices"]] == ["before", "leave"]


def test_an_answered_question_is_carried_out_and_stays(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    sides.ledger.edit(left, {"title": "Slager"})
    run = sides.sync().run
    sides.till.edit(right, {"title": "Visboer"})
    sides.undo(run)
    sides.settle()  # the owner's value has come back over the edit, by the ordinary rule
    assert sides.till.rows[right]["title"] == "Slager"
    assert [item.code for item in sides.asks()] == ["undo_field"]  # and the question is still there
    sides.answer("before")
    sides.settle()
    again = sides.asks()
    assert "'Slager'" in again[0].body["text"]  # it shows something else than the person saw: asked anew, not guessed
    sides.answer("before")
    sides.settle()
    assert (sides.ledger.rows[left]["title"], sides.till.rows[right]["title"]) == ("Slager", "Bakker")
    assert sides.asks() == []
    assert sides.still_does(2) == {}


def test_an_answer_to_leave_it_writes_nothing_and_closes_the_question(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    sides.ledger.edit(left, {"tel": "0205550002"})
    run = sides.sync().run
    sides.till.edit(right, {"tel": "0205550003"})
    sides.settle()  # the newest goes left
    sides.undo(run)
    sides.answer("leave")
    assert sides.still_does(2) == {}
    assert sides.asks() == []
    assert sides.till.rows[right]["tel"] == "0205550003"


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("answer", ["before", "leave"])
def test_a_plan_applied_again_does_not_ask_what_was_answered(
    sides: PairDesk, answer: str, *, carried_out: bool
) -> None:
    left, right = settled_pair(sides)
    sides.ledger.edit(left, {"tel": "0205550002"})
    run = sides.sync().run
    sides.later()
    sides.till.edit(right, {"tel": "0205550003"})
    plan = sides.plan_undo(run)
    assert sides.apply(plan).counts["ask"] == 1
    assert sides.apply(plan).counts["ask"] == 0  # it is open, and stays one question
    assert len(sides.asks()) == 1
    sides.later(60)
    sides.answer(answer)
    if carried_out:
        sides.settle()
    open_now, writes = [item.body["text"] for item in sides.asks()], sides.writes()
    result = sides.apply(plan)
    assert (result.counts["ask"], result.already, result.moved) == (0, 1, ())
    assert ([item.body["text"] for item in sides.asks()], sides.writes()) == (open_now, writes)
    sides.later(60)
    again = sides.apply(sides.plan_undo(run)).counts["ask"]
    assert again == (0 if carried_out and answer == "before" else 1)  # a new plan asks what it finds


def test_a_question_about_another_field_is_not_taken_for_one_that_was_never_asked(sides: PairDesk) -> None:
    left, right = settled_pair(sides, web="www.old.example")
    sides.ledger.edit(left, {"tel": "0205550002", "web": "www.new.example"})
    run = sides.sync().run
    sides.later()
    sides.till.edit(right, {"tel": "0205550003", "web": "www.third.example"})
    plan = sides.plan_undo(run)
    sides.till.edit(right, {"web": "www.old.example"})  # by hand: nothing is left to ask about this one
    for _ in range(2):
        result = sides.apply(plan)
        assert [p.step.field.rpartition(" ")[2] for p in result.moved] == ["website"]
        assert result.already == 0
    assert len(sides.asks()) == 1


def test_an_answer_shows_in_the_plan_before_it_is_carried_out(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    sides.ledger.edit(left, {"tel": "0205550002"})
    run = sides.sync().run
    sides.till.edit(right, {"tel": "0205550003"})
    sides.settle()
    sides.undo(run)
    sides.answer("before")
    plan = sides.plan()
    (planned,) = [p for p in plan.steps if p.step.kind == "update"]
    assert planned.step.values == {"phone": "0205550001"}
    assert sides.apply(plan).counts["update"] == 1
    assert sides.till.rows[right]["tel"] == "0205550001"
    assert sides.still_does(2) == {}


def test_several_writes_of_one_run_go_back_to_the_first_value(sides: PairDesk) -> None:
    left, _right = settled_pair(sides)
    sides.ledger.edit(left, {"title": "Slager"})
    run = sides.sync().run
    sides.ledger.edit(left, {"title": "Visboer"})
    other = sides.sync().run
    # the trail of a run that wrote twice: what the second run did is told as the first one's
    sides.store.run(lambda db: db.run("update trail set run = :a where run = :b", a=run, b=other))
    (planned,) = sides.plan_undo(run).steps
    assert planned.step.values == {"name": "Bakker"}
    assert planned.step.before == {"name": "Visboer"}


def test_runs_before_and_after_that_wrote_the_same_field_are_named(sides: PairDesk) -> None:
    left, _right = settled_pair(sides)
    wrote: list[int] = []
    for name in ("Slager", "Visboer", "Groenteboer"):
        sides.ledger.edit(left, {"title": name})
        wrote.append(sides.sync().run)
    (last,) = sides.plan_undo(wrote[2]).steps
    assert f"run {wrote[1]}" in last.step.because["name"]
    assert last.step.values == {"name": "Visboer"}
    (middle,) = sides.plan_undo(wrote[1]).steps
    assert middle.step.kind == "ask"
    assert f"run {wrote[2]} wrote it since" in str(middle.step.problem)


def test_a_spelling_the_vendor_made_of_it_is_still_what_the_run_wrote(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    sides.ledger.edit(left, {"legal": "Slagerij De Vergulde Os Holding"})
    run = sides.sync().run
    sides.settle()
    assert sides.till.rows[right]["legal"] == "Slagerij De Vergulde"
    sides.undo(run)
    assert sides.till.rows[right]["legal"] == "Bakker BV"
    assert sides.still_does(2) == {}


def test_what_shows_the_earlier_value_already_is_only_agreed(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    sides.ledger.edit(left, {"title": "Slager"})
    run = sides.sync().run
    sides.later(QUARTER)
    sides.till.edit(right, {"title": "Bakker"})  # a person has put it back, and no run has seen it
    plan = sides.plan_undo(run)
    assert [p.step.kind for p in plan.steps] == ["agree"]
    sides.apply(plan)
    assert sides.still_does(2) == {}
    assert sides.till.rows[right]["title"] == "Bakker"


def test_what_was_written_a_moment_ago_and_does_not_show_yet_is_not_judged(sides: PairDesk) -> None:
    left, _right = settled_pair(sides)
    sides.till.lag = lambda: 49.0
    sides.ledger.edit(left, {"title": "Slager"})
    run = sides.sync().run
    shows_by = sides.clock.at + toys_shops(sides).can.settles_after
    (planned,) = sides.plan_undo(run, wait=0.0).steps
    assert (planned.step.kind, planned.step.problem.code) == ("park", "on_its_way")
    assert planned.step.problem.retry_at == shows_by
    assert [p.step.kind for p in sides.plan_undo(run, wait=60.0).steps] == ["update"]


def test_an_undo_planned_again_at_once_has_nothing_left_to_do(sides: PairDesk) -> None:
    left, _right = settled_pair(sides)
    sides.till.lag = lambda: 49.0
    sides.ledger.edit(left, {"title": "Slager"})
    run = sides.sync().run
    sides.undo(run)
    assert sides.plan_undo(run, wait=0.0).steps == ()
    sides.settle()
    assert sides.plan_undo(run).steps == ()


def test_a_value_the_vendor_does_not_take_back_is_parked_and_not_fought_over(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    sides.ledger.edit(left, {"title": "Slager"})
    run = sides.sync().run
    sides.till.deaf.add((right, "title"))
    sides.undo(run)
    sides.settle(2)
    (item,) = sides.parked()
    assert item.code == "not_kept"
    writes = sides.writes()
    sides.settle(2)
    assert sides.writes() == writes


def test_what_the_vendor_refuses_to_take_back_is_asked_and_can_be_tried_again(sides: PairDesk) -> None:
    _left, right = sides.both(bakery())
    sides.till.edit(right, {"title": "nee: mag niet"})  # people may type what the API refuses
    run = sides.sync().run
    result = sides.undo(run)
    assert result.counts["refused_by_vendor"] == 1
    assert [p.step.kind for p in result.moved] == ["unlink"]  # the pair is taken apart when its values are back
    sides.settle()
    assert sides.parked() == []
    (item,) = sides.asks()
    assert "ongeldige waarde" in item.body["text"]
    assert [choice["answer"] for choice in item.body["choices"]] == ["before", "leave"]
    sides.till.refuses = lambda _fields: None
    sides.answer("before")
    sides.sync()
    assert sides.till.rows[right]["title"] == "nee: mag niet"
    assert sides.still_does(2) == {}
    assert sides.asks() == []


def test_everything_both_sides_held_is_taken_apart_again(sides: PairDesk) -> None:
    left, right = sides.both(bakery())
    sides.ledger.edit(left, {"codes": [{"code": "10001"}]})
    sides.till.edit(right, {"codes": [{"code": "10002"}]})
    before = sides.shown()
    run = sides.sync().run
    assert len(sides.till.rows[right]["codes"]) == 2
    sides.undo(run)
    assert sides.shown() == before
    assert sides.still_does(2) == {}


@pytest.mark.parametrize("far", ["ledger", "till"])
@pytest.mark.parametrize("known", [False, True])
def test_what_both_sides_held_stays_taken_apart_also_where_only_one_of_them_had_got_it(
    sides: PairDesk, far: str, *, known: bool
) -> None:
    """The other side did not take its part of the union: that it does not show it is nobody's removal."""
    held = {"codes": [{"code": "10000"}]} if known else {}
    left, right = settled_pair(sides, **held) if known else sides.both(bakery())
    sides.ledger.edit(left, {"codes": [*held.get("codes", []), {"code": "10001"}]})
    sides.till.edit(right, {"codes": [*held.get("codes", []), {"code": "10002"}]})
    before = sides.shown()
    server = sides.ledger if far == "ledger" else sides.till
    server.refuses = lambda fields: "ongeldige waarde" if "codes" in fields else None
    run = sides.sync().run
    assert sum(len(s.rows[n]["codes"]) for s, n in ((sides.ledger, left), (sides.till, right))) == 3 + 2 * known
    server.refuses = lambda _fields: None
    sides.undo(run)
    assert sides.shown() == before
    assert sides.still_does(2) == {}
    assert sides.shown() == before


@pytest.mark.parametrize("edit", [["10000", "10001", "10003"], ["10001"]])
def test_what_somebody_added_or_removed_since_still_goes_its_way_beside_a_union_taken_apart(
    sides: PairDesk, edit: list[str]
) -> None:
    left, right = settled_pair(sides, codes=[{"code": "10000"}])
    sides.ledger.edit(left, {"codes": [{"code": "10000"}, {"code": "10001"}]})
    sides.till.edit(right, {"codes": [{"code": "10000"}, {"code": "10002"}]})
    sides.ledger.refuses = lambda fields: "ongeldige waarde" if "codes" in fields else None
    run = sides.sync().run
    sides.ledger.refuses = lambda _fields: None
    sides.ledger.edit(left, {"codes": [{"code": code} for code in edit]})
    sides.undo(run)
    assert {each["code"] for each in sides.till.rows[right]["codes"]} == {"10000", "10002"}
    sides.settle()
    shown = {each["code"] for each in sides.till.rows[right]["codes"]}
    assert ("10003" in shown, "10000" in shown) == ("10003" in edit, "10000" in edit)
    assert sides.still_does(2) == {}


# --- records ----------------------------------------------------------------------------------------------------------------


def test_what_was_made_is_archived_and_not_made_again(sides: PairDesk) -> None:
    left = sides.ledger.add({"nr": "42100001", "title": "Bakker"})
    run = sides.sync().run
    (native,) = sides.till.rows
    sides.undo(run)
    assert sides.till.rows[native]["archived"]
    assert sides.still_does(2) == {}
    sides.ledger.edit(left, {"title": "Slager"})
    sides.till.edit(native, {"tel": "0205559999"})
    assert sides.still_does(2) == {}
    assert (len(sides.ledger.rows), len(sides.till.rows)) == (1, 1)


def test_what_was_made_without_a_number_does_not_come_back_from_the_other_side(sides: PairDesk) -> None:
    sides.ledger.add({"title": "Zonder nummer"})
    run = sides.sync().run
    sides.undo(run)
    assert sides.still_does(2) == {}
    assert (len(sides.ledger.rows), len(sides.till.rows)) == (1, 1)


def test_what_was_made_and_worked_on_since_is_asked(sides: PairDesk) -> None:
    sides.ledger.add({"nr": "42100001", "title": "Bakker", "tel": "0205550001"})
    run = sides.sync().run
    (native,) = sides.till.rows
    sides.sync()
    sides.till.edit(native, {"tel": "0205550002"})
    result = sides.undo(run)
    assert (result.counts["archive"], result.counts["ask"]) == (0, 1)
    (item,) = sides.asks()
    assert "phone" in item.body["text"]
    sides.answer("archive")
    sides.sync()
    assert sides.till.rows[native]["archived"]
    assert sides.still_does(2) == {}


def test_what_a_vendor_cannot_archive_is_asked_by_name(sides: PairDesk) -> None:
    shops = toys_shops(sides)
    system = sides.connections["right"].system
    bare = replace(shops, can=replace(shops.can, archive=False))
    sides.connections["right"] = replace(
        sides.connections["right"], system=replace(system, resources=(bare, *system.resources[1:]))
    )
    left = sides.ledger.add({"nr": "42100001", "title": "Bakker"})
    run = sides.sync().run
    result = sides.undo(run)
    assert (result.counts["archive"], result.counts["ask"]) == (0, 1)
    (item,) = sides.asks()
    assert "right does not archive; block or remove it there yourself" in item.body["text"]
    sides.answer("done")
    assert sides.sync().counts["unlink"] == 1
    sides.ledger.edit(left, {"title": "Slager"})
    assert sides.still_does(2) == {}


def toys_shops(sides: PairDesk) -> Any:
    return sides.connections["right"].system.resource("shops")


def test_what_was_linked_is_unlinked_its_values_are_back_and_it_is_not_linked_again(sides: PairDesk) -> None:
    left, right = sides.both(bakery())
    sides.till.edit(right, {"title": "Visboer"})
    before = sides.shown()
    result = sides.sync()
    assert (result.counts["link"], result.counts["update"]) == (1, 1)
    back = sides.undo(result.run)
    assert (back.counts["unlink"], back.counts["update"]) == (1, 1)
    assert sides.shown() == before
    assert sides.still_does(2) == {}
    sides.ledger.edit(left, {"title": "Slager"})
    assert sides.still_does(2) == {}
    assert sides.till.rows[right]["title"] == "Visboer"


def test_a_person_can_take_it_in_anew_after_an_undo_unlinked_it(sides: PairDesk) -> None:
    left, _right = sides.both(bakery())
    sides.undo(sides.sync().run)
    assert sides.still_does(2) == {}
    asyncio.run(engine.take(sides.ports, sides.flow, [left]))
    assert sides.sync().counts["link"] == 1


def test_undoing_an_undo_does_it_again(sides: PairDesk) -> None:
    _left, right = sides.both(bakery())
    sides.till.edit(right, {"title": "Visboer", "legal": "Vis BV"})
    first = sides.sync()
    after = sides.shown()
    back = sides.undo(first.run)
    assert sides.shown() != after
    again = sides.undo(back.run)
    assert (again.counts["link"], again.counts["update"]) == (1, 1)
    assert sides.shown() == after
    assert sides.still_does(2) == {}
    third = sides.undo(again.run)  # and so on
    assert third.counts["unlink"] == 1
    assert sides.still_does(2) == {}


def test_what_an_undo_archived_is_brought_back_by_a_person_and_linked_again(sides: PairDesk) -> None:
    left = sides.ledger.add({"nr": "42100001", "title": "Bakker"})
    back = sides.undo(sides.sync().run)
    (native,) = sides.till.rows
    result = sides.undo(back.run)
    assert result.counts["ask"] == 1
    sides.till.edit(native, {"archived": None})
    sides.answer("done")
    assert sides.sync().counts["link"] == 1
    sides.ledger.edit(left, {"title": "Slager"})
    sides.sync()
    assert sides.till.rows[native]["title"] == "Slager"
    assert sides.still_does(2) == {}


def test_a_pair_brought_back_by_an_answer_and_then_taken_apart_by_hand_stays_apart(sides: PairDesk) -> None:
    left = sides.ledger.add({"nr": "42100001", "title": "Bakker"})
    back = sides.undo(sides.sync().run)
    (native,) = sides.till.rows
    sides.undo(back.run)
    sides.till.edit(native, {"archived": None})
    sides.answer("done")
    sides.later(QUARTER)
    assert sides.killing.run(engine.sync_flow(sides.ports, sides.flow, engine.Options()), at="quiet steps settled")
    assert sides.store.run(work.answered, sides.flow.id, CODES) == []
    sides.ports = sides.new_ports("two")
    (linked,) = sides.trail("linked")[-1:]
    assert "decided by a person" in str(linked.data)
    one, two = Ref.parse(f"left:customers:{left}"), Ref.parse(f"right:shops:{native}")
    sides.store.run(lambda db: identity.unlink(db, [sides.flow], By("mieke", sides.clock.now()), one, two))
    sides.settle()
    assert sides.trail("linked")[-1] == linked
    assert [item.code for item in sides.asks()] == ["apart"], "what was answered has been done: it is nobody's question"
    assert sides.still_does(2) == {}


def test_what_was_left_different_by_a_person_is_open_again(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    sides.ledger.edit(left, {"mail": "a@firm.example"})
    sides.till.edit(right, {"mail": "b@firm.example"})
    sides.sync()
    sides.answer("leave")
    run = sides.sync().run
    result = sides.undo(run)
    assert result.counts["ask"] == 1
    assert [choice["answer"] for choice in sides.asks()[0].body["choices"]] == ["left", "right", "leave"]
    sides.answer("right")
    sides.sync()
    assert sides.ledger.rows[left]["mail"] == "b@firm.example"
    assert sides.still_does(2) == {}


def test_who_was_erased_is_said_and_skipped(sides: PairDesk) -> None:
    left, _right = settled_pair(sides)
    sides.ledger.edit(left, {"title": "Slager"})
    run = sides.sync().run
    stream = sides.store.run(lambda db: db.scalar("select stream from members where native = :n limit 1", n=left))
    subject = sides.store.run(subjects.of_records, stream, [left])[left].subject
    sides.store.run(subjects.erase, subject)
    (planned,) = sides.plan_undo(run).steps
    assert (planned.step.kind, planned.step.problem.code) == ("refuse", "erased")
    assert sides.apply(sides.plan_undo(run)).counts["refuse"] == 1


def test_a_run_that_does_not_exist_or_has_not_ended_is_named(sides: PairDesk) -> None:
    with pytest.raises(UsageError, match="Run 99 is no run of flow pair"):
        sides.plan_undo(99)
    run = sides.store.run(runs.begin, "pair", trigger="command", actor="x", at=sides.clock.at)
    with pytest.raises(UsageError, match="has not ended"):
        sides.plan_undo(run)


# --- the plan binds -------------------------------------------------------------------------------------------------------------


def test_exactly_the_step_whose_record_was_edited_since_the_plan_is_refused(sides: PairDesk) -> None:
    pairs = [sides.both(bakery(f"4210000{n}")) for n in range(1, 4)]
    sides.settle()
    for left, _ in pairs:
        sides.ledger.edit(left, {"title": "Slager"})
    plan = sides.plan_undo(sides.sync().run)
    sides.till.edit(pairs[1][1], {"title": "Visboer"})
    sides.later(60)
    result = sides.apply(plan)
    assert [p.step.right for p in result.moved] == [pairs[1][1]]
    assert [sides.till.rows[right]["title"] for _, right in pairs] == ["Bakker", "Visboer", "Bakker"]


def test_an_edit_in_the_last_moment_is_refused_by_the_vendor_and_named(sides: PairDesk) -> None:
    left, right = settled_pair(sides)
    sides.till.edit(right, {"brand": "SLAGER"})
    plan = sides.plan_undo(sides.sync().run)
    sides.wire.before_write = lambda: sides.ledger.edit(left, {"brand": "Visboer"})  # between our look and our write
    result = sides.apply(plan)
    assert sides.ledger.rows[left]["brand"] == "Visboer"
    assert [p.step.kind for p in result.moved] == ["update"]


def test_a_brake_holds_an_undo_that_archives(sides: PairDesk) -> None:
    sides.flow = msgspec.structs.replace(sides.flow, run=RunRules(brakes=Brakes()))
    sides.ledger.add({"nr": "42100001", "title": "Bakker"})
    plan = sides.plan_undo(sides.sync().run)
    assert plan.guard is not None
    with pytest.raises(UsageError, match="held by a brake"):
        sides.apply(plan)
    assert sides.apply(plan, override=("deletes",)).counts["archive"] == 1


@pytest.mark.parametrize("passing", range(14))
def test_killed_anywhere_and_applied_again_it_comes_to_the_same(passing: int) -> None:
    sides = two_sides()
    left, right = settled_pair(sides)
    _, other = sides.both(bakery("42100002"))
    sides.till.edit(other, {"title": "Visboer"})
    sides.ledger.add({"nr": "42100003", "title": "Groenteboer"})
    sides.ledger.edit(left, {"title": "Slager"})
    sides.till.edit(right, {"brand": "SLAGER"})
    before = sides.shown()
    plan = sides.plan_undo(sides.sync().run)
    killed = sides.apply_killed(plan, passing)
    result = sides.apply(plan)
    assert result.state == "done"
    assert not result.moved
    assert sides.shown() == before
    writes = sides.till.writes
    assert sides.apply(plan).counts["update"] == 0
    assert sides.till.writes == writes
    assert sides.still_does(2) == {}
    assert sides.shown() == before
    assert killed or passing > 8
    assert sides.store.run(lambda db: db.scalar("select count(*) from intents")) == 0
