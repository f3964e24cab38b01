"""A create in doubt that is looked up by number: what a person held apart is not taken for what it made."""

from __future__ import annotations

import pytest

from koppel.engine import identity
from koppel.engine.identity import By
from koppel.model.values import Ref
from koppel.testing.pair_desk import PairDesk

NUMBER = "42100001"


def in_doubt(*, lost: str) -> tuple[PairDesk, str, str]:
    """A pair that a person took apart; then somebody says that the left one is to be made over there, and the answer is lost."""
    desk = PairDesk()
    left, right = desk.both({"title": "Bakker", "nr": NUMBER})
    desk.sync()
    one, two = Ref.parse(f"left:customers:{left}"), Ref.parse(f"right:shops:{right}")
    desk.store.run(lambda db: identity.unlink(db, [desk.flow], By("mieke", desk.clock.now()), one, two))
    desk.later()
    desk.sync()
    desk.answer("create")
    if lost == "on the way there":
        desk.wire.lose_before = 1
    else:
        desk.wire.lose_after = 1
    desk.sync()
    desk.later()
    desk.sync()
    return desk, left, right


@pytest.mark.parametrize("lost", ["on the way there", "on the way back"])
def test_it_is_asked_about_and_never_linked_with_what_was_held_apart(lost: str) -> None:
    desk, left, right = in_doubt(lost=lost)
    assert right not in desk.partners(left)
    (item,) = desk.doubts()
    said = {
        "on the way there": "held apart from it by a person",
        "on the way back": "several records carry this number",
    }
    assert said[lost] in str(item.body["text"])


def test_who_says_that_it_did_not_happen_has_it_made() -> None:
    desk, left, right = in_doubt(lost="on the way there")
    desk.tell("did_not")
    desk.sync()
    desk.later()
    desk.sync()
    (made,) = [native for _, _, native in desk.till.created]
    assert desk.partners(left) == {made}
    assert made != right


def test_who_names_the_record_that_was_made_has_it_linked() -> None:
    desk, left, _ = in_doubt(lost="on the way back")
    (made,) = [native for _, _, native in desk.till.created]
    desk.tell(made)
    desk.sync()
    assert desk.partners(left) == {made}
    assert len(desk.till.created) == 1
