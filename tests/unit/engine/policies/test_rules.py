"""Records that exist are skipped, rules hold for some records only, statuses only move forward: in whole passes."""

from __future__ import annotations

from typing import Any

from .written import read

ROW = {"nr": "42100001", "title": "Bakker Bart", "tel": "0201111111"}
SKIP = "[create]\nexists = 'skip'\n"


def skipping(text: str) -> str:
    return text.replace("[create]\n", SKIP)


def test_what_existed_is_linked_and_never_written_to(two_way: Any, flow_text: str) -> None:
    desk = two_way(skipping(flow_text))
    desk.ledger.add(ROW)
    there = desk.till.add(ROW | {"title": "Zo heet hij hier"})
    new = desk.ledger.add({"nr": "42100002", "title": "Nieuw", "tel": "0202222222"})
    first = desk.sync()
    assert (first.counts["create"], first.counts["link"], first.counts["update"]) == (1, 1, 0)
    (link,) = [p.step for p in first.plan.steps if p.step.kind == "link"]
    assert "exists already, so this flow skips it" in link.because[""]
    for _ in range(2):
        desk.sync()
    desk.ledger.edit("1", {"title": "Anders", "tel": "0209999999"})
    desk.ledger.edit(new, {"title": "Nieuw en anders"})
    desk.settle(4)
    assert desk.till.rows[there]["title"] == "Zo heet hij hier"
    assert desk.till.rows[there]["tel"] == ROW["tel"]
    made = next(row for row in desk.till.rows.values() if row.get("nr") == "42100002")
    assert made["title"] == "Nieuw en anders", "what the flow made itself is kept in step"
    assert desk.still_does() == {}


def test_a_flow_that_no_longer_skips_meets_what_existed_for_the_first_time(two_way: Any, flow_text: str) -> None:
    desk = two_way(skipping(flow_text))
    desk.ledger.add(ROW)
    there = desk.till.add(ROW | {"title": "Zo heet hij hier"})
    desk.settle(4)
    desk.flow = read(flow_text)
    desk.settle(4)
    assert desk.till.rows[there]["title"] == ROW["title"]
    assert desk.still_does() == {}


def test_a_rule_for_some_records_leaves_the_others_alone(two_way: Any, flow_text: str) -> None:
    rule = 'website = { owner = "left", empty = "clear", where = [{ field = "legal_form", is = "BV" }] }\n[run]'
    desk = two_way(flow_text.replace("[run]", rule))
    row = ROW | {"web": "www.een.example"}
    left = desk.ledger.add(row | {"form": "NV"})
    right = desk.till.add(row | {"web": "www.twee.example"})
    desk.settle(4)
    assert desk.till.rows[right]["web"] == "www.twee.example"
    desk.ledger.edit(left, {"web": None})
    desk.settle(4)
    assert desk.till.rows[right]["web"] == "www.twee.example", "a rule that does not hold wipes nothing"
    desk.ledger.edit(left, {"form": "BV", "web": "www.drie.example"})
    desk.settle(4)
    assert desk.till.rows[right]["web"] == "www.drie.example"
    desk.ledger.edit(left, {"form": "NV"})
    desk.till.edit(right, {"web": "www.vier.example"})
    desk.settle(4)
    assert (desk.ledger.rows[left]["web"], desk.till.rows[right]["web"]) == ("www.drie.example", "www.vier.example")
    assert desk.still_does() == {}


def test_a_status_is_never_set_back_and_an_unknown_one_asks(two_way: Any, flow_text: str) -> None:
    rule = 'legal_form = { owner = "left", forward = ["open", "part_paid", "paid"] }\n[run]'
    desk = two_way(flow_text.replace("[run]", rule))
    left, right = desk.both(ROW | {"form": "open"})
    desk.settle(4)
    desk.ledger.edit(left, {"form": "part_paid"})
    desk.settle(4)
    assert desk.till.rows[right]["form"] == "part_paid"
    desk.till.edit(right, {"form": "paid"})
    desk.settle(4)
    assert (desk.ledger.rows[left]["form"], desk.till.rows[right]["form"]) == ("part_paid", "paid")
    desk.ledger.edit(left, {"form": "open"})
    desk.settle(4)
    assert desk.till.rows[right]["form"] == "paid"
    desk.ledger.edit(left, {"form": "verdwenen"})
    desk.settle(4)
    (ask,) = desk.asks()
    assert "no place in the order" in ask.body["text"]
    assert desk.till.rows[right]["form"] == "paid"
    desk.answer("left")
    desk.settle(4)
    assert desk.till.rows[right]["form"] == "verdwenen", "a person may"
    assert desk.still_does() == {}


def test_the_line_a_table_lacked_mends_the_records_that_waited_for_it(two_way: Any, flow_text: str) -> None:
    rule = '"right:legal_form" = { from = "legal_form", table = "forms" }\n[tables.forms]\nBV = "besloten"\n[run]'
    desk = two_way(flow_text.replace("[run]", rule))
    left = desk.ledger.add(ROW | {"form": "NV"})
    result = desk.sync()
    assert result.counts["create"] == 0
    (parked,) = desk.parked()
    assert parked.code == "unmapped"
    assert parked.body["problem"]["about"] == ["forms", "NV"]
    desk.flow = read(flow_text.replace("[run]", rule.replace("[run]", 'NV = "naamloos"\n[run]')))
    desk.settle(4)
    assert desk.parked() == []
    (made,) = [row for row in desk.till.rows.values() if row.get("nr") == ROW["nr"]]
    assert made["form"] == "naamloos"
    assert desk.ledger.rows[left]["form"] == "NV"
