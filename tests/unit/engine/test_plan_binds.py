"""A plan binds: of a two-way flow, exactly the step whose record was edited since is refused, the rest is done."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.store import due, work
from koppel.store.due import Due
from koppel.testing.pair_desk import PairDesk

from .two_way import bakery, two_sides


def edited_both_ways(sides: PairDesk) -> list[tuple[str, str]]:
    """Three pairs changed on the left, three on the right; a plan will write to both sides."""
    pairs = [sides.both(bakery(f"4210000{n}")) for n in range(1, 7)]
    sides.settle()
    for left, _ in pairs[:3]:
        sides.ledger.edit(left, {"title": "Slager"})
    for _, right in pairs[3:]:
        sides.till.edit(right, {"brand": "SLAGER"})
    return pairs


@pytest.mark.parametrize("edited", range(6))
def test_an_edit_of_the_record_written_to_refuses_exactly_its_step(edited: int) -> None:
    sides = two_sides()
    pairs = edited_both_ways(sides)
    plan = sides.plan()
    assert plan.counts["update"] == 6
    left, right = pairs[edited]
    if edited < 3:
        sides.till.edit(right, {"title": "Visboer"})
    else:
        sides.ledger.edit(left, {"brand": "VISBOER"})
    sides.later(60)
    result = sides.apply(plan)
    assert [(p.step.left, p.step.right) for p in result.moved] == [(left, right)]
    assert result.counts["update"] == 5
    for number, (one, two) in enumerate(pairs):
        shown: Any = sides.till.rows[two]["title"] if number < 3 else sides.ledger.rows[one]["brand"]
        assert shown == (
            ("Visboer" if number < 3 else "VISBOER") if number == edited else ("Slager" if number < 3 else "SLAGER")
        )


@pytest.mark.parametrize("edited", range(6))
def test_an_edit_of_the_record_it_comes_from_refuses_exactly_its_step(edited: int) -> None:
    sides = two_sides()
    pairs = edited_both_ways(sides)
    plan = sides.plan()
    left, right = pairs[edited]
    if edited < 3:
        sides.ledger.edit(left, {"title": "Visboer"})
    else:
        sides.till.edit(right, {"brand": "VISBOER"})
    sides.later(60)
    result = sides.apply(plan)
    assert [(p.step.left, p.step.right) for p in result.moved] == [(left, right)]
    assert result.counts["update"] == 5
    stale = sides.till.rows[right]["title"] if edited < 3 else sides.ledger.rows[left]["brand"]
    assert stale == ("Bakker" if edited < 3 else "BAKKER")
    sides.sync()  # what was refused is planned anew, with the newer value
    assert (sides.till.rows[right]["title"] if edited < 3 else sides.ledger.rows[left]["brand"]) in (
        "Visboer",
        "VISBOER",
    )


def test_an_edit_of_another_field_refuses_nothing() -> None:
    sides = two_sides()
    pairs = edited_both_ways(sides)
    plan = sides.plan()
    for _, right in pairs[:3]:
        sides.till.edit(right, {"tel": "0205559999"})
    sides.later(60)
    result = sides.apply(plan)
    assert result.moved == ()
    assert result.counts["update"] == 6


def test_what_is_to_be_said_about_a_due_record_is_not_lost_while_a_stored_plan_is_carried_out() -> None:
    sides = two_sides()
    (planned, _), (other, _) = (sides.both(bakery(f"4210000{n}")) for n in (1, 2))
    sides.settle()
    sides.ledger.edit(other, {"tel": "??"})
    sides.sync()
    (item,) = sides.parked()
    sides.ledger.edit(planned, {"title": "Slager"})
    plan = sides.plan()
    # As when what was in doubt about it ends in the midst of the plan: it is due, and nothing was said about it yet.
    sides.store.run(work.close, [item.id], by="test", at=sides.clock.at)
    sides.store.run(due.add, "pair", [Due("left", other, "waiting")], at=sides.clock.at)
    assert sides.apply(plan).counts["update"] == 1
    assert sides.parked() == []
    sides.later(900)
    sides.sync()
    assert [(i.native, i.field, i.code) for i in sides.parked()] == [(other, "phone", "unreadable")]
