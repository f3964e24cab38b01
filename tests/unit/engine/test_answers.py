"""Which answers still hold, value by value."""

from __future__ import annotations

import pytest

from koppel.engine.answers import standing
from koppel.mapping.flow import FieldRule
from koppel.store.work import Item
from koppel.sync.base import Base, Written
from koppel.sync.shapes import Shape
from koppel.sync.steps import Candidate, Linked, Side

SHAPES = {"phone": Shape(rule=FieldRule("phone", "ask"), kind="phone")}
SHOWN = {"left": "0205550001", "right": "0205550002"}
THIRD = {"value": "0205550003"}


def item(answer, field="phone"):
    body = {"values": SHOWN, "left": "1", "right": "2", "choices": [{"answer": "left"}]}
    return Item(
        7, "ask", "f", "left", "1", field, "answered", "conflict", body, answer, None, None, 0, 0.0, None, 1.0, "mieke"
    )


def held(answer, left, right, base=None):
    own, far = Side("1", {"phone": left}, "d"), Side("2", {"phone": right}, "e")
    answers, moved = standing([item(answer)], SHAPES, "left", own, [Linked(far, base)], [])
    assert bool(answers) != bool(moved)
    return bool(answers)


@pytest.mark.parametrize("answer", ["left", "right", "leave", THIRD])
def test_an_answer_about_what_still_stands_holds(answer):
    assert held(answer, SHOWN["left"], SHOWN["right"])


@pytest.mark.parametrize("answer", ["left", "right", "leave", THIRD])
def test_an_answer_about_what_moved_does_not(answer):
    assert not held(answer, "0205559999", SHOWN["right"])
    assert not held(answer, SHOWN["left"], "0205559999")


def test_another_spelling_is_no_move():
    assert held("left", "+31 20 555 00 01", SHOWN["right"])


def test_what_one_side_shows_already_of_the_answer_is_no_move():
    assert held(THIRD, THIRD["value"], SHOWN["right"])
    assert held(THIRD, SHOWN["left"], THIRD["value"])
    assert held("left", SHOWN["left"], SHOWN["left"])


def test_what_is_on_its_way_and_shows_in_the_vendors_spelling_is_no_move():
    base = Base(written_right={"phone": Written(SHOWN["left"])})
    assert held("left", SHOWN["left"], "0205", base)
    assert not held("left", SHOWN["left"], "0205")


def test_both_sides_the_same_need_no_answer_any_more():
    assert held("left", "0205559999", "0205559999")


@pytest.mark.parametrize(
    ("given", "holds"), [({}, False), ({"apart": "unlinked by mieke"}, True), ({"taken": True}, True)]
)
def test_a_new_record_is_still_made_beside_what_was_held_apart_or_belongs_to_another(given, holds):
    question = item("create", field="")
    late = Candidate(Side("9", {}, "d"), ("kvk",), **given)
    answers, moved = standing([question], SHAPES, "left", Side("1", {}, "d"), [], [late])
    assert (bool(answers), bool(moved)) == (holds, not holds)
