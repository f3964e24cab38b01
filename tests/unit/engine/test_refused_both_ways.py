"""Both writes of one pair refused, one on either side: each is listed by itself and waits for its own time."""

from __future__ import annotations

from koppel.mapping.flow import FieldRule
from koppel.testing.pair_desk import QUARTER, PairDesk, pair_flow

HOUR = 3700.0


def both_refused() -> PairDesk:
    desk = PairDesk(
        pair_flow(
            FieldRule("kvk"),
            FieldRule("name", "left"),
            FieldRule("statutory_name", "right"),
            FieldRule("phone", "left"),
        )
    )
    left, right = desk.both({"title": "Bakker", "nr": "42100001", "legal": "Bakker BV", "tel": "0205550001"})
    desk.settle()
    desk.ledger.edit(left, {"title": "nee:Bakker"})
    desk.till.edit(right, {"legal": "nee:Bakker BV"})
    desk.later()
    assert desk.sync().counts["refused_by_vendor"] == 2
    return desk


def test_each_is_listed_by_itself() -> None:
    desk = both_refused()
    assert [sorted(item.body["values"]) for item in desk.parked()] == [["name"], ["statutory_name"]]


def test_neither_is_sent_again_because_another_field_changed() -> None:
    desk = both_refused()
    desk.ledger.edit("1", {"tel": "0205550002"})
    desk.later(QUARTER)
    assert desk.sync().counts["refused_by_vendor"] == 1  # its own write is another one now: the telephone comes with it
    assert [item.tries for item in desk.parked()] == [2, 1]
    desk.till.edit("1", {"brand": "Bakkerij"})  # nothing this flow reads, and the record is looked at again
    desk.later(QUARTER)
    assert desk.sync().counts["refused_by_vendor"] == 0


def test_each_is_tried_again_at_its_time_and_leaves_the_list_by_itself() -> None:
    desk = both_refused()
    desk.till.edit("1", {"legal": "Bakker Zuid BV"})
    desk.later(HOUR)
    desk.sync()
    assert [sorted(item.body["values"]) for item in desk.parked()] == [["name"]]
    assert desk.ledger.rows["1"]["legal"] == "Bakker Zuid BV"
