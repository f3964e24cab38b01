"""A create that a vendor makes of something it has already: the plan shows what is written over, and binds to it (laws 1 and 3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from koppel.cli.page import plan_page
from koppel.cli.rows import plan_rows
from koppel.model.problem import Problem
from koppel.systems.spi import Batch, Call, Receipt, Request, TakeOver, Unknown
from koppel.testing.pair_desk import QUARTER, PairDesk

from .two_way import two_sides

NUMBERS = ("42100001", "42100002", "42100003")


class Cellar:
    """What Till has beside its shops: cards by number, that a new shop is made of. It says so to whoever asks."""

    def __init__(self, sides: PairDesk) -> None:
        self.cards: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, ...]] = []
        self.unclear: set[str] = set()
        self.meanwhile: Any = None
        connection = sides.connections["right"]
        resources = tuple(
            replace(each, takes_over=self.takes_over, send=self.sending(each.send)) if each.name == "shops" else each
            for each in connection.system.resources
        )
        sides.connections["right"] = replace(connection, system=replace(connection.system, resources=resources))
        sides.ports = sides.new_ports("with a cellar")

    def stands(self, number: str) -> TakeOver:
        card = self.cards.get(number)
        if card is None:
            return TakeOver("nothing")
        return TakeOver(f"{card['id']} {sorted(card.items())}", f"card {card['id']}", {"name": card["name"]})

    def takes_over(self, site: Any, operations: Any) -> Any:
        self.asked.append(tuple(sorted(op.fields["nr"] for op in operations if op.keys)))
        yield Call(Request("GET", f"{site.settings.base}/find?nr=1"), kind="cards")
        problem = Problem("cannot_ask", "the cellar is dark", retry_at=site.as_of + 60)
        return {
            op.op: Unknown(problem) if op.fields["nr"] in self.unclear else self.stands(op.fields["nr"])
            for op in operations
            if op.keys
        }

    def sending(self, send: Any) -> Any:
        def sent(site: Any, batch: Any) -> Any:
            if self.meanwhile is not None:
                job, self.meanwhile = self.meanwhile, None
                job()
            stale = [
                op for op in batch.operations if op.kind == "create" and op.expect not in ("", self.stands(op.fields["nr"]).expect)
            ]  # fmt: skip
            rest = tuple(op for op in batch.operations if op not in stale)
            done = (yield from send(site, Batch(rest))) if rest else ()
            for op in rest:
                self.cards.pop(op.fields.get("nr"), None)
            return (*(Receipt(op.op, "stale") for op in stale), *done)

        return sent


def three() -> tuple[PairDesk, Cellar]:
    """Three companies on the left; Till has a card of the first."""
    sides = two_sides()
    cellar = Cellar(sides)
    for number in NUMBERS:
        sides.ledger.add({"nr": number, "title": "Bakker", "tel": "0205550001"})
    cellar.cards[NUMBERS[0]] = {"id": "K9", "name": "Bakkerij Vroeger"}
    return sides, cellar


def created(sides: PairDesk) -> list[Any]:
    """What the trail tells of creates."""
    return [entry.data for entry in sides.trail("created")]


def of(plan: Any, number: str) -> Any:
    (found,) = [p for p in plan.steps if p.step.values.get("kvk") == number]
    return found


def test_the_plan_shows_what_is_written_over_and_everything_is_asked_in_one_go() -> None:
    sides, cellar = three()
    plan = sides.plan()
    assert cellar.asked == [NUMBERS]
    over, new = of(plan, NUMBERS[0]), of(plan, NUMBERS[1])
    assert (over.step.takes_over, over.step.before) == ("card K9", {"name": "Bakkerij Vroeger"})
    assert (new.step.takes_over, new.step.before) == ("", {})
    (row,) = [row for row in plan_rows(plan, sides.flow) if "takes over card K9 in right" in row.where]
    assert "name: Bakkerij Vroeger → Bakker" in {line.text for line in row.lines}
    page = plan_page(plan, flow=sides.flow)
    assert "takes over card K9 in right" in page
    assert "<del>Bakkerij Vroeger</del>" in page
    said = msgspec.to_builtins(over.step)
    assert (said["takes_over"], said["before"]) == ("card K9", {"name": "Bakkerij Vroeger"})


def test_the_state_of_the_plan_is_carried_out_and_stands_in_the_trail() -> None:
    sides, _ = three()
    result = sides.apply(sides.plan())
    assert (result.counts["create"], result.moved) == (3, ())
    (made,) = [data for data in created(sides) if data.get("takes_over")]
    assert made["takes_over"] == "card K9"
    name = made["fields"]["name"]
    assert (name["before"], name["after"]) == ("Bakkerij Vroeger", "Bakker")
    assert made["fields"]["phone"]["before"] is None


@pytest.mark.parametrize(
    "change",
    [
        lambda cards: cards[NUMBERS[0]].update(name="Iemand schreef dit"),
        lambda cards: cards[NUMBERS[0]].update(id="K10"),
        lambda cards: cards.pop(NUMBERS[0]),
        lambda cards: cards.update({NUMBERS[0]: {"id": "K9", "name": None}}),
    ],
    ids=["edited", "another one", "gone", "emptied"],
)
def test_what_changed_between_plan_and_apply_refuses_exactly_its_step(change: Any) -> None:
    sides, cellar = three()
    plan = sides.plan()
    change(cellar.cards)
    result = sides.apply(plan)
    assert [p.id for p in result.moved] == [of(plan, NUMBERS[0]).id]
    assert result.counts["create"] == 2
    assert {row["nr"] for row in sides.till.rows.values()} == set(NUMBERS[1:])
    sides.sync()  # decided anew, on what stands there now
    assert {row["nr"] for row in sides.till.rows.values()} == set(NUMBERS)


def test_what_turns_up_where_there_was_nothing_refuses_exactly_its_step() -> None:
    sides, cellar = three()
    plan = sides.plan()
    cellar.cards[NUMBERS[1]] = {"id": "K7", "name": "Van een ander"}
    result = sides.apply(plan)
    assert [p.id for p in result.moved] == [of(plan, NUMBERS[1]).id]
    assert result.counts["create"] == 2


@pytest.mark.parametrize("number", NUMBERS[:2], ids=["what was there is edited", "there was nothing"])
def test_what_changes_in_the_moment_before_the_write_is_not_written_over_either(number: str) -> None:
    sides, cellar = three()
    cellar.meanwhile = lambda: cellar.cards.update({number: {"id": "K9", "name": "Op het laatste moment"}})
    result = sides.sync()
    assert cellar.asked == [NUMBERS, (number,)], "decided anew, in the same run"
    assert result.counts["create"] == 3
    told = [data["fields"]["name"] for data in created(sides) if data["fields"]["kvk"]["after"] == number]
    assert [fields["before"] for fields in told] == ["Op het laatste moment"]


def test_where_it_cannot_be_said_nothing_is_created_and_the_rest_is() -> None:
    sides, cellar = three()
    cellar.unclear.add(NUMBERS[2])
    plan = sides.plan()
    assert (plan.counts["create"], plan.counts["park"]) == (2, 1)
    assert sides.sync().counts["create"] == 2
    (item,) = sides.parked()
    assert item.code == "cannot_ask"
    cellar.unclear.clear()
    sides.later(QUARTER)
    assert sides.sync().counts["create"] == 1
    assert sides.parked() == []


def test_nobody_is_asked_when_nothing_is_created() -> None:
    sides, cellar = three()
    sides.settle()
    cellar.asked.clear()
    sides.ledger.edit(next(iter(sides.ledger.rows)), {"title": "Slager"})
    assert sides.sync().counts["update"] == 1
    sides.sync()
    assert cellar.asked == []


def test_killed_between_the_call_and_its_receipt_the_values_before_are_not_lost() -> None:
    passing, killed = 0, 0
    while True:
        sides, _ = three()
        plan = sides.plan()
        if not sides.apply_killed(plan, passing):
            break
        killed += 1
        sides.later(3600)
        sides.settle()
        assert sorted(row["nr"] for row in sides.till.rows.values()) == list(NUMBERS), "once each"
        told = [data for data in created(sides) if data["fields"]["kvk"]["after"] == NUMBERS[0]]
        assert [data["fields"]["name"]["before"] for data in told] == ["Bakkerij Vroeger"]
        assert [data["takes_over"] for data in told] == ["card K9"]
        passing += 1
    assert killed > 5
