"""A flow's first plan is looked at by a person; a brake that is let pass lets no other brake pass."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.model.problem import UsageError
from koppel.store import flows

ROW = {"nr": "42100001", "title": "Bakker Bart", "tel": "0201111111"}
BRAKED = ("first = false", "first = true")


def braked(text: str) -> str:
    assert BRAKED[0] in text
    return text.replace(*BRAKED)


def test_the_first_run_that_would_write_stops_and_says_so(two_way: Any, flow_text: str) -> None:
    desk = two_way(braked(flow_text))
    desk.ledger.add(ROW)
    result = desk.sync()
    assert (result.state, desk.till.writes) == ("stopped", 0)
    assert "never written before (1 to create)" in result.message
    assert "--allow first" in result.message
    assert desk.sync().state == "stopped", "it goes on holding"
    assert desk.sync(override=("first",)).counts["create"] == 1
    desk.ledger.add(ROW | {"nr": "42100002"})
    assert desk.sync().counts["create"] == 1, "and never again"


def test_a_run_that_writes_nothing_is_not_stopped_and_leaves_the_brake_on(two_way: Any, flow_text: str) -> None:
    desk = two_way(braked(flow_text))
    desk.both(ROW)
    assert desk.sync().state == "done"
    desk.ledger.edit("1", {"title": "Nieuw"})
    assert desk.sync().state == "stopped"


def test_whoever_applies_the_stored_plan_has_looked_at_it(two_way: Any, flow_text: str) -> None:
    desk = two_way(braked(flow_text))
    desk.ledger.add(ROW)
    plan = desk.plan()
    assert plan.guard is not None
    assert (plan.guard.override, plan.guard.allow_applied) == ("first", "")
    result = desk.apply(plan)
    assert (result.state, result.counts["create"]) == ("done", 1)
    assert desk.store.run(flows.has_begun, "pair")


def test_what_is_handed_in_by_name_needs_no_second_look(two_way: Any, flow_text: str) -> None:
    desk = two_way(braked(flow_text))
    native = desk.ledger.add(ROW)
    desk.ledger.add(ROW | {"nr": "42100002"})
    assert desk.sync(only=(native,)).counts["create"] == 1


def test_letting_one_brake_pass_lets_no_other_pass(two_way: Any, flow_text: str) -> None:
    text = braked(flow_text).replace("creates = false", "creates = 1")
    desk = two_way(text)
    for number in range(3):
        desk.ledger.add(ROW | {"nr": f"4210000{number}"})
    plan = desk.plan()
    assert plan.guard is not None
    assert plan.guard.allow == "--allow creates --allow first"
    assert "3 records would be created" in plan.guard.reason
    assert "never written before" in plan.guard.reason
    for words in (("creates",), ("first",)):
        assert desk.sync(override=words).state == "stopped"
    with pytest.raises(UsageError, match="--allow creates"):
        desk.apply(plan)
    assert desk.till.writes == 0
    assert desk.sync(override=("creates", "first")).counts["create"] == 3
