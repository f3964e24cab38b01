"""A decision that a record gets no counterpart holds for every flow between the same two systems, whichever way it faces."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from koppel.engine import flow as engine
from koppel.engine.flow import Options, Result
from koppel.mapping.flow import Brakes, Endpoint, FieldRule, Flow, Match, RunRules
from koppel.store import standing, work
from koppel.testing.pair_desk import QUARTER, PairDesk, pair_flow

from .two_way import bakery, two_sides

NUMBER = "42100001"
ALONG = Flow(
    id="second", title="second", entity="company", left=Endpoint("left", "customers"), right=Endpoint("right", "shops"),
    fields=(FieldRule("name", "left", when="create"), FieldRule("kvk", "left", when="create"), FieldRule("employees", "left")),
    match=Match(keys=("kvk",)), create_left=True, create_right=True, run=RunRules(brakes=Brakes(None, None, None)), digest="1",
)  # fmt: skip
FACING = msgspec.structs.replace(ALONG, left=Endpoint("right", "shops"), right=Endpoint("left", "customers"))


def run_other(sides: PairDesk, flow: Flow) -> Result:
    sides.later(QUARTER)
    return asyncio.run(engine.sync_flow(sides.ports, flow, Options()))


def did(result: Result) -> dict[str, int]:
    kinds = ("create", "update", "archive", "link", "unlink", "ask")
    return {kind: result.counts[kind] for kind in kinds if result.counts[kind]}


def take(sides: PairDesk, native: str) -> None:
    asyncio.run(engine.take(sides.ports, sides.flow, [native]))


@pytest.mark.parametrize("flow", [ALONG, FACING], ids=["the same way", "facing"])
def test_what_an_undo_took_apart_is_linked_by_no_other_flow(flow: Flow) -> None:
    sides = two_sides()
    sides.both(bakery(NUMBER))
    sides.undo(sides.sync().run)
    assert did(run_other(sides, flow)) == {}
    assert sides.sync().counts["link"] == 0


@pytest.mark.parametrize("flow", [ALONG, FACING], ids=["the same way", "facing"])
@pytest.mark.parametrize("numbered", [True, False], ids=["with a number", "without any key"])
def test_what_an_undo_archived_is_made_again_by_no_other_flow(flow: Flow, numbered: bool) -> None:
    sides = two_sides()
    sides.ledger.add({"title": "Bakker"} | ({"nr": NUMBER} if numbered else {}))
    sides.undo(sides.sync().run)
    made = len(sides.till.created)
    assert did(run_other(sides, flow)) == {}
    assert len(sides.till.created) == made


@pytest.mark.parametrize("flow", [ALONG, FACING], ids=["the same way", "facing"])
def test_who_was_left_alone_after_a_deletion_is_made_again_by_no_other_flow(flow: Flow) -> None:
    sides = two_sides(missing_right="unlink")
    _, right = sides.both(bakery(NUMBER))
    sides.settle()
    sides.till.delete(right)
    assert sides.sync().counts["unlink"] == 1
    assert did(run_other(sides, flow)) == {}
    assert sides.till.created == []


def test_a_match_question_answered_with_skip_is_not_asked_again_by_another_flow() -> None:
    sides = two_sides()
    sides.both(bakery(NUMBER))
    sides.ledger.add({"title": "Bakker ook", "nr": NUMBER})
    sides.sync()
    while sides.asks():
        sides.answer("skip")
    sides.settle()
    assert did(run_other(sides, ALONG)) == {}


def test_what_was_decided_about_a_field_or_a_flows_own_scope_is_no_other_flows_business() -> None:
    sides = two_sides()
    sides.sync()
    run_other(sides, ALONG)
    given: dict[str, Any] = {"flow": "pair", "side": "left", "body": {}, "at": 1.0}

    def elsewhere(native: str, **more: Any) -> int:
        number = sides.store.run(work.put, "ask", native=native, **given | more)
        sides.store.run(work.answer, number, "skip", by="mieke", at=2.0)
        return len(sides.store.run(standing.elsewhere, "second", "left", [native]))

    assert elsewhere("1", code="twins") == 1
    assert elsewhere("2", code="conflict", field="phone") == 0
    assert elsewhere("3", code="outside") == 0


def test_taken_in_anew_it_takes_part_in_every_flow_again() -> None:
    sides = two_sides()
    left, _ = sides.both(bakery(NUMBER))
    sides.settle(1)
    sides.undo(1)
    assert did(run_other(sides, ALONG)) == {}
    take(sides, left)
    assert run_other(sides, ALONG).counts["link"] == 1


def test_another_flow_between_other_streams_is_none_of_its_business() -> None:
    sides = two_sides()
    sides.both(bakery(NUMBER))
    sides.undo(sides.sync().run)
    third: Any = sides.connections["right"]
    sides.connections["third"] = replace(third, name="third")
    elsewhere = msgspec.structs.replace(ALONG, right=Endpoint("third", "shops"))
    assert run_other(sides, elsewhere).counts["link"] == 1


# --- an archive under the missing-rule -----------------------------------------------------------------------------------


@pytest.mark.parametrize("flow", [None, ALONG, FACING], ids=["its own flow", "another flow", "a flow facing it"])
def test_what_was_archived_because_its_counterpart_went_is_not_made_again_over_there(flow: Flow | None) -> None:
    """Ledger goes on listing what is out of use, and edits of it."""
    sides = two_sides(missing_right="archive")
    left, right = sides.both(bakery(NUMBER))
    sides.settle()
    sides.till.delete(right)
    assert sides.sync().counts["archive"] == 1
    sides.ledger.edit(left, {"tel": "0205559999"})
    result = sides.sync() if flow is None else run_other(sides, flow)
    assert did(result) == {}
    assert sides.till.created == []


def test_what_was_archived_can_be_taken_in_anew() -> None:
    sides = two_sides(missing_right="archive")
    left, right = sides.both(bakery(NUMBER))
    sides.settle()
    sides.till.delete(right)
    sides.sync()
    take(sides, left)
    assert sides.sync().counts["create"] == 1


def test_a_deletion_is_answered_by_every_flow_also_where_two_systems_use_the_same_ids() -> None:
    sides = two_sides(missing_left="archive")
    left, right = sides.both(bakery(NUMBER))
    third: Any = sides.connections["right"]
    sides.connections["third"] = replace(third, name="third")  # the same ids there, as numbered records have
    ends = {"left": Endpoint("third", "shops"), "right": Endpoint("left", "customers")}
    first = msgspec.structs.replace(ALONG, **ends, missing_left="ask", missing_right="archive")
    sides.settle()
    run_other(sides, first)
    assert left == right
    sides.ledger.delete(left)
    assert did(run_other(sides, first)) == {"archive": 1}
    assert sides.sync().counts["archive"] == 1


def test_of_what_an_undo_archived_no_flow_makes_anything_anywhere() -> None:
    """A third system would get it, and from there it might come back."""
    desk = PairDesk(pair_flow(create_left=True, create_right=False))
    desk.connections["third"] = replace(desk.connections["right"], name="third")
    desk.till.add({"title": "Bakker"})
    desk.undo(desk.sync().run)
    (made,) = [native for _, _, native in desk.ledger.created]
    assert desk.ledger.rows[made]["archived"]
    onwards = pair_flow(id="onwards", right=Endpoint("third", "shops"))
    desk.later()
    assert desk.do(engine.sync_flow(desk.ports, onwards, Options())).counts["create"] == 0
    assert desk.till.created == []
    desk.do(engine.take(desk.ports, onwards, [made]))
    desk.later()
    assert desk.do(engine.sync_flow(desk.ports, onwards, Options())).counts["create"] == 1
