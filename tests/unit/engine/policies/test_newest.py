"""The newest value stands, by when it came to stand; sets lose what one side removed; a late record is not skipped."""

from __future__ import annotations

from typing import Any

from .written import read

PHONE = {"nr": "42100001", "title": "Bakker Bart", "tel": "0201111111"}


def linked(desk: Any, **more: Any) -> tuple[str, str]:
    left, right = desk.both(PHONE | more)
    desk.settle(4)
    assert desk.still_does() == {}
    return left, right


def test_of_two_edits_the_newest_reaches_both(two_way: Any) -> None:
    desk = two_way()
    left, right = linked(desk)
    desk.ledger.edit(left, {"tel": "0202222222"})
    desk.later(1000)
    desk.till.edit(right, {"tel": "0203333333"})
    desk.later(1000)
    desk.sync()
    assert desk.ledger.rows[left]["tel"] == desk.till.rows[right]["tel"] == "0203333333"
    desk.settle(4)
    assert desk.still_does() == {}


def test_an_unresolved_difference_is_not_decided_by_a_later_edit_of_another_field(two_way: Any) -> None:
    """Both phones were changed within five minutes: asked. That the left's name changes an hour later makes its phone no
    newer."""
    desk = two_way()
    left, right = linked(desk)
    desk.ledger.edit(left, {"tel": "0202222222"})
    desk.later(60)
    desk.till.edit(right, {"tel": "0203333333"})
    desk.later(60)
    assert desk.sync().counts["ask"] == 1
    desk.later(3600)
    desk.ledger.edit(left, {"title": "Bakker Bart en Zonen"})
    desk.later(60)
    desk.sync()
    assert (desk.ledger.rows[left]["tel"], desk.till.rows[right]["tel"]) == ("0202222222", "0203333333")
    assert len(desk.asks()) == 1
    assert desk.till.rows[right]["title"] == "Bakker Bart en Zonen"


def test_the_value_that_stood_first_loses_also_when_its_record_was_touched_last(two_way: Any, flow_text: str) -> None:
    """A brake held the first run; by the next one the left record has a newer stamp, but an older phone."""
    held = """brakes = { creates = false, deletes = false, share = false, first = false }"""
    desk = two_way()
    left, right = linked(desk)
    others = [desk.both({"nr": f"4219{n:04}", "title": f"Firma {n}", "tel": f"02055{n:05}"}) for n in range(12)]
    desk.settle(4)
    desk.flow = read(flow_text.replace(held, "brakes = { share = 0.1, first = false }"))
    desk.sync()
    desk.ledger.edit(left, {"tel": "0202222222"})
    for native, _ in others:
        desk.ledger.edit(native, {"title": f"Nieuw {native}"})
    desk.later(600)
    assert desk.sync().state == "stopped"
    desk.till.edit(right, {"tel": "0203333333"})
    desk.later(600)
    desk.ledger.edit(left, {"title": "Alleen de naam"})
    desk.later(60)
    assert desk.sync(override=("share",)).state == "done"
    assert desk.ledger.rows[left]["tel"] == desk.till.rows[right]["tel"] == "0203333333"


def test_what_one_side_takes_out_of_a_set_leaves_the_other(two_way: Any, flow_text: str) -> None:
    desk = two_way(flow_text.replace("[run]", 'sbi = { owner = "union" }\n[run]'))
    left, right = linked(desk, codes=[{"code": "10101"}, {"code": "10102"}, {"code": "10103"}])
    desk.ledger.edit(left, {"codes": [{"code": "10101"}, {"code": "10103"}, {"code": "10104"}]})
    desk.till.edit(right, {"codes": [{"code": "10101"}, {"code": "10102"}, {"code": "10103"}, {"code": "10105"}]})
    desk.settle(4)
    for row in (desk.ledger.rows[left], desk.till.rows[right]):
        assert {line["code"] for line in row["codes"]} == {"10101", "10103", "10104", "10105"}
    assert desk.still_does() == {}


def test_a_set_that_was_emptied_is_filled_again_unless_the_flow_says_clear(two_way: Any, flow_text: str) -> None:
    for rule, wanted in (('{ owner = "union" }', {"10101"}), ('{ owner = "union", empty = "clear" }', set())):
        desk = two_way(flow_text.replace("[run]", f"sbi = {rule}\n[run]"))
        left, right = linked(desk, codes=[{"code": "10101"}])
        desk.ledger.edit(left, {"codes": None})
        desk.settle(4)
        for row in (desk.ledger.rows[left], desk.till.rows[right]):
            assert {line["code"] for line in row.get("codes") or []} == wanted
        assert desk.still_does() == {}


def test_a_record_with_an_older_stamp_that_shows_up_late_is_decided(two_way: Any) -> None:
    desk = two_way()
    linked(desk)
    desk.pace = 0.0
    desk.later(600)
    lags = iter([40.0])
    desk.till.lag = lambda: next(lags, 0.0)
    late = desk.till.add({"nr": "42100777", "title": "Laat", "tel": "0207777777"})
    desk.later(10)
    desk.till.add({"nr": "42100888", "title": "Vroeg", "tel": "0208888888"})
    desk.later(5)
    desk.sync()
    desk.later(60)
    assert late not in {n for (n,) in desk.store.run(lambda db: db.rows("select native from observations"))}
    own = desk.ledger.add({"nr": "42100777", "title": "Laat", "tel": "0207777777"})
    assert desk.sync().counts["create"] == 0
    partners = desk.store.run(lambda db: db.rows("select right_native from bases where left_native = :n", n=own))
    assert [row[0] for row in partners] == [late]
