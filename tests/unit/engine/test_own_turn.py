"""What was looked at together with a record of the left, for its key, gets its own turn once that does not carry the key any more:
nothing about it has changed by itself, and it would stay without a counterpart and without a question."""

from __future__ import annotations

import pytest

from koppel.engine import identity
from koppel.engine.identity import By
from koppel.model.values import Ref
from koppel.testing.pair_desk import PairDesk

from .two_way import bakery, two_sides

NUMBER, OTHER = "42100001", "42100002"


def taken_apart() -> tuple[PairDesk, str, str]:
    """A pair a person took apart, which still shares its number; it is asked about at the left."""
    desk = two_sides()
    left, right = desk.both(bakery(NUMBER))
    desk.settle()
    refs = (Ref.parse(f"left:customers:{left}"), Ref.parse(f"right:shops:{right}"))
    desk.store.run(lambda db: identity.unlink(db, [desk.flow], By("mieke", desk.clock.now()), *refs))
    desk.settle()
    assert [(item.side, item.native, item.code) for item in desk.asks()] == [("left", left, "apart")]
    return desk, left, right


def asked_about(desk: PairDesk) -> set[tuple[str, str]]:
    return {(item.side, item.native) for item in desk.asks()}


def renumbered(desk: PairDesk, left: str) -> None:
    desk.ledger.edit(left, {"nr": OTHER})


@pytest.mark.parametrize("answer", ["create", "skip"])
def test_of_two_taken_apart_the_right_one_is_asked_about_when_the_left_was_answered_and_has_another_number(
    answer: str,
) -> None:
    desk, left, right = taken_apart()
    renumbered(desk, left)
    desk.answer(answer)
    desk.settle()
    assert asked_about(desk) == {("right", right)}
    assert desk.still_does(2) == {}


def test_after_skip_it_is_asked_about_as_soon_as_the_left_carries_another_number() -> None:
    desk, left, right = taken_apart()
    desk.answer("skip")
    desk.settle()
    assert asked_about(desk) == set()
    renumbered(desk, left)
    desk.settle()
    assert asked_about(desk) == {("right", right)}
    assert desk.still_does(2) == {}


def test_a_record_that_was_removed_is_not_made_again_of_what_was_taken_apart_from_it() -> None:
    desk, left, _ = taken_apart()
    desk.answer("skip")
    desk.settle()
    desk.ledger.delete(left)
    desk.settle()
    assert [native for native in desk.ledger.rows if native != left] == []
    assert desk.still_does(2) == {}


def test_a_question_that_is_asked_otherwise_lets_go_of_what_it_offered() -> None:
    desk, left, right = taken_apart()
    renumbered(desk, left)
    desk.settle()
    assert asked_about(desk) == {("left", left), ("right", right)}
    assert desk.still_does(2) == {}


def test_as_long_as_the_left_carries_its_number_it_is_asked_about_once() -> None:
    desk, left, _ = taken_apart()
    desk.ledger.edit(left, {"title": "Slager"})
    desk.settle()
    assert asked_about(desk) == {("left", left)}
    desk.answer("skip")
    desk.ledger.edit(left, {"title": "Visboer"})
    desk.settle()
    assert asked_about(desk) == set()


def test_of_records_that_shared_a_number_the_other_is_made_when_it_is_free() -> None:
    desk = two_sides()
    left, right = desk.both(bakery(NUMBER))
    second = desk.ledger.add(bakery(NUMBER))
    desk.settle()
    assert asked_about(desk) == {("left", left), ("left", second)}
    renumbered(desk, left)
    desk.ledger.edit(second, {"nr": "42100003"})
    desk.settle()
    assert asked_about(desk) == set()
    assert len(desk.ledger.rows) == 3
    assert right not in desk.partners(left) | desk.partners(second)
    assert desk.still_does(2) == {}
