"""What an undo took apart is no pair of its flow, also when other flows, by way of a third system, hold both to be one thing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec

from koppel.engine import flow as engine
from koppel.engine.flow import Options, apply_plan, sync_flow
from koppel.mapping.flow import Brakes, Endpoint, FieldRule, Flow, Match, RunRules
from koppel.testing.pair_desk import PairDesk

from .two_way import bakery, two_sides

AROUND = Flow(
    id="around", title="around", entity="company", left=Endpoint("left", "customers"), right=Endpoint("third", "shops"),
    fields=(FieldRule("name", "left", when="create"), FieldRule("kvk", "left", when="create"), FieldRule("employees", "left")),
    match=Match(keys=("kvk",)), run=RunRules(brakes=Brakes(None, None, None)), digest="1",
)  # fmt: skip
BACK = msgspec.structs.replace(AROUND, id="back", left=Endpoint("third", "shops"), right=Endpoint("right", "shops"))


def taken_apart_and_held_by_others() -> tuple[PairDesk, str, str, int]:
    """A pair whose first run was undone, and that two flows by way of a third system made members of one thing since. The
    number is that of the undo's run."""
    desk = two_sides()
    desk.connections["third"] = replace(desk.connections["right"], name="third")
    left, right = desk.both(bakery())
    desk.till.edit(right, {"title": "Visboer"})
    run = desk.sync().run
    assert desk.till.rows[right]["title"] != "Visboer"
    undone = desk.undo(run).run
    assert desk.till.rows[right]["title"] == "Visboer"
    for flow in (AROUND, BACK):
        desk.later()
        desk.do(sync_flow(desk.ports, flow, Options()))
    assert desk.partners(left) >= {right}
    return desk, left, right, undone


def test_it_is_not_written_again_by_itself() -> None:
    desk, left, right, _ = taken_apart_and_held_by_others()
    assert desk.still_does(2) == {}
    desk.ledger.edit(left, {"title": "Slager"})
    assert desk.still_does(2) == {}
    desk.till.edit(right, {"title": "Groenteboer"})
    assert desk.still_does(2) == {}
    assert (desk.ledger.rows[left]["title"], desk.till.rows[right]["title"]) == ("Slager", "Groenteboer")


def test_the_same_plan_applied_again_finds_its_work_done() -> None:
    desk = two_sides()
    desk.connections["third"] = replace(desk.connections["right"], name="third")
    desk.both(bakery())
    plan = desk.plan_undo(desk.sync().run)
    desk.apply(plan)
    for flow in (AROUND, BACK):
        desk.later()
        desk.do(sync_flow(desk.ports, flow, Options()))
    again = desk.do(apply_plan(desk.ports, desk.flow, plan, Options()))
    assert not again.moved
    assert again.counts["unlink"] == 0


def test_undoing_the_undo_puts_the_pair_together_again() -> None:
    desk, left, right, undone = taken_apart_and_held_by_others()
    again = desk.undo(undone)
    assert (again.counts["link"], again.counts["update"]) == (1, 1)
    desk.ledger.edit(left, {"title": "Slager"})
    desk.sync()
    assert desk.till.rows[right]["title"] == "Slager"
    assert desk.still_does(2) == {}


def test_taken_in_anew_it_is_a_pair_again() -> None:
    desk, left, right, _ = taken_apart_and_held_by_others()
    asyncio.run(engine.take(desk.ports, desk.flow, [left]))
    desk.sync()
    assert desk.till.rows[right]["title"] == desk.ledger.rows[left]["title"]
    assert desk.still_does(2) == {}


def test_what_a_run_made_and_its_undo_archived_costs_nobody_the_counterparts_other_flows_have() -> None:
    desk = two_sides()
    desk.connections["third"] = replace(desk.connections["right"], name="third")
    left = desk.ledger.add({"nr": "42100001", "title": "Bakker"})
    run = desk.sync().run
    ((_, _, right),) = desk.till.created
    for flow in (AROUND, BACK):
        desk.later()
        desk.do(sync_flow(desk.ports, flow, Options()))
    desk.undo(run)
    assert desk.till.rows[right]["archived"]
    assert desk.partners(left) == {right}
    assert desk.still_does(2) == {}
