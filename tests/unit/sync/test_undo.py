"""Undo as a decision: what becomes of a deed by how its pair stands, without a store."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.mapping.flow import Endpoint, FieldRule, Flow
from koppel.sync.base import Base
from koppel.sync.decide import Policy
from koppel.sync.shapes import Shape
from koppel.sync.steps import Side, Step
from koppel.sync.undo import Deed, Standing, carried_out, undo

FIELDS = ("name", "phone", "is_active")


def policy(*, entity: str = "company", archives: bool = True, **shape: Any) -> Policy:
    rules = tuple(FieldRule(path, "left") for path in FIELDS)
    flow = Flow("f", "f", entity, Endpoint("crm", "a"), Endpoint("books", "b"), rules)
    shapes = {
        rule.key: Shape(rule=rule, **({"kind": "bool"} if rule.path == "is_active" else {}), **shape) for rule in rules
    }
    return Policy(flow=flow, shapes=shapes, archives=frozenset({"right"}) if archives else frozenset())


def side(native: str, **values: Any) -> Side:
    return Side(native, dict.fromkeys(FIELDS) | values, "d")


def standing(**given: Any) -> Standing:
    shown: dict[str, Any] = {"left": side("1", name="new"), "right": side("2", name="new"), "linked": True}
    shown["base"] = Base(left={"name": "new"}, right={"name": "new"})
    return Standing(**(shown | given))


def wrote(**more: Any) -> Deed:
    deed = Deed(run=7, left="1", right="2", label="Bakker", **more)
    deed.fields["right"] = {"name": ("old", "new")}
    return deed


def kinds(steps: list[Step]) -> list[tuple[str, str]]:
    return [(step.kind, step.problem.code if step.problem else "") for step in steps]


def test_what_still_shows_goes_back_and_the_base_takes_both_sides_as_they_are() -> None:
    (step,) = undo(policy(), wrote(), standing())
    assert (step.kind, step.values, step.before) == ("update", {"name": "old"}, {"name": "new"})
    assert step.agreed == {"name": ("new", "old")}
    assert step.because == {"name": "undo of run 7"}


def test_a_blank_before_value_empties_the_field_again() -> None:
    deed = wrote()
    deed.fields["right"] = {"name": ("", "new")}
    (step,) = undo(policy(), deed, standing())
    assert step.values == {"name": None}


@pytest.mark.parametrize(
    ("given", "shape", "says"),
    [
        ({"linked": False}, {}, "linked to nothing by now"),
        ({}, {"write_right": False}, "books does not let it be changed"),
    ],
)
def test_what_cannot_be_written_is_for_a_person_by_name(given: Any, shape: Any, says: str) -> None:
    (step,) = undo(policy(**shape), wrote(), standing(**given))
    assert kinds([step]) == [("ask", "undo_by_hand")]
    assert says in str(step.problem)
    assert "'old'" in str(step.problem)


def test_a_field_the_flow_no_longer_has_is_for_a_person() -> None:
    deed = wrote()
    deed.fields["right"] = {"website": ("a", "b")}
    (step,) = undo(policy(), deed, standing())
    assert "the flow has no such field any more" in str(step.problem)


def test_a_record_that_is_gone_gets_nothing_written() -> None:
    gone = Side("2", {}, "", gone=True)
    assert undo(policy(), wrote(), standing(right=gone)) == []


def test_what_was_made_and_is_gone_by_now_is_only_unlinked() -> None:
    deed = Deed(run=7, left="1", right="2", created="right", made={"name": "new"})
    steps = undo(policy(), deed, standing(right=Side("2", {}, "", gone=True)))
    assert kinds(steps) == [("unlink", "")]


def test_what_is_in_doubt_waits() -> None:
    assert kinds(undo(policy(), wrote(), standing(waiting=True))) == [("park", "in_doubt")]


def test_a_document_is_never_archived_but_gets_a_correcting_one_proposed() -> None:
    made = {"number": "7", "lines": [{"amount": "10.00"}, {"amount": "5.00"}], "total": "18.15", "total_vat": "3.15"}
    deed = Deed(run=7, left="1", right="2", created="right", made=made)
    (step,) = undo(policy(entity="invoice"), deed, standing())
    assert kinds([step]) == [("ask", "undo_document")]
    proposal = step.choices[0]["document"]
    assert proposal["credits"] == "7"
    assert proposal["total"] == "-18.15"
    assert [line["amount"] for line in proposal["lines"]] == ["-10.00", "-5.00"]


def test_what_was_archived_is_made_active_and_linked_again_where_that_is_a_field() -> None:
    deed = Deed(run=7, left="1", right="2", archived="right")
    steps = undo(policy(), deed, standing(linked=False, base=None, right=side("2", name="new", is_active=False)))
    assert [step.kind for step in steps] == ["link", "update"]
    assert steps[1].values == {"is_active": True}


def test_what_was_archived_elsewhere_is_asked() -> None:
    deed = Deed(run=7, left="1", right="2", archived="right")
    steps = undo(policy(write_right=False), deed, standing(linked=False))
    assert kinds(steps) == [("ask", "undo_restored")]
    joined = carried_out(policy(), deed, standing(linked=False), "undo_restored", "done")
    assert kinds(joined) == [("link", "")]


def test_two_records_of_which_one_belongs_to_another_by_now_are_not_linked_again() -> None:
    deed = Deed(run=7, left="1", right="2", unlinked=True)
    assert kinds(undo(policy(), deed, standing(linked=False, free=False))) == [("ask", "undo_by_hand")]


def test_two_records_that_a_person_holds_apart_are_not_linked_again() -> None:
    deed = Deed(run=7, left="1", right="2", unlinked=True)
    (step,) = undo(policy(), deed, standing(linked=False, apart=True))
    assert step.kind == "ask"
    assert step.problem is not None
    assert "a person holds them apart" in step.problem.text
    archived = Deed(run=7, left="1", right="2", archived="right")
    out_of_use = standing(linked=False, apart=True, right=side("2", name="new", is_active=False))
    assert kinds(undo(policy(), archived, out_of_use)) == [("ask", "undo_restored")]
    assert kinds(undo(policy(), deed, standing(linked=False))) == [("link", "")]
    assert undo(policy(), deed, standing()) == []


@pytest.mark.parametrize("answer", ["leave"])
def test_leaving_it_asks_for_nothing_more(answer: str) -> None:
    assert carried_out(policy(), wrote(), standing(), "undo_field", answer) == []


def test_an_answer_about_something_that_changed_again_is_asked_again() -> None:
    steps = carried_out(policy(), wrote(), standing(right=side("2", name="third"), base=None), "undo_field", "before")
    assert kinds(steps) == [("ask", "undo_field")]
