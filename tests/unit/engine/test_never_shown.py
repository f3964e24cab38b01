"""What was made on the left and removed before it ever showed: the record it was made from is looked at, and the missing-rule holds."""

from __future__ import annotations

from koppel.mapping.flow import Endpoint
from koppel.store import due
from koppel.testing.pair_desk import QUARTER, PairDesk, pair_flow

FACING = pair_flow(
    left=Endpoint("right", "shops"), right=Endpoint("left", "customers"), create_left=True, create_right=False
)


def removed_unseen() -> tuple[PairDesk, str]:
    """A company is made in the Till, which shows it late; somebody removes it there at once."""
    desk = PairDesk(FACING)
    desk.ledger.add({"title": "Bakker", "nr": "42100001"})
    desk.hide("till", "1")
    desk.sync()
    ((_, _, made),) = desk.till.created
    desk.till.delete(made)
    return desk, made


def test_it_is_asked_about_when_it_should_show_by_now() -> None:
    desk, made = removed_unseen()
    desk.later(QUARTER)
    desk.sync()
    assert [(item.native, item.field) for item in desk.asks()] == [(made, "missing")]


def test_until_then_what_it_was_made_from_stays_due_and_is_not_made_again() -> None:
    desk, _ = removed_unseen()
    desk.sync()
    assert desk.store.run(due.waiting, desk.flow.id) > 0
    assert (len(desk.till.created), desk.asks()) == (1, [])
    desk.later(QUARTER)
    desk.sync()
    assert desk.still_does(2) == {}
    assert len(desk.till.created) == 1
