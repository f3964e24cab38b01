"""What takes part in a flow whose left cannot be listed: what was taken in, what the right names, what was parted."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

FLOW = (files("koppel.systems.exact") / "flows" / "kvk-exact.toml").read_text("utf-8")
BOTH = FLOW.replace('take = "intake"', 'take = "intake+right"')
APART = FLOW.replace('right = "ask"', 'right = "unlink"')


def carriers(desk: Any) -> set[str]:
    return {a["ChamberOfCommerce"] for a in desk.exact("accounts")["accounts"] if a.get("ChamberOfCommerce")}


def test_with_intake_only_what_stands_in_the_books_takes_no_part_by_itself(make_desk: Any) -> None:
    desk = make_desk(companies=12)
    desk.sync()
    assert desk.count("kvk", "GET", "basisprofielen") == 0


def test_with_intake_and_right_every_debtor_with_a_number_is_looked_up_once(make_desk: Any) -> None:
    desk = make_desk(companies=12, flow=BOTH)
    known = {c.kvk for c in desk.host.world.companies}
    numbers = carriers(desk) & known
    result = desk.sync()
    assert desk.count("kvk", "GET", "basisprofielen") == len(carriers(desk))
    assert result.counts["link"] >= len(numbers) - 2  # an ended company is refused, not linked
    assert result.counts["create"] == 0
    desk.host.reset_calls()
    again = desk.sync()
    assert desk.count("kvk", "GET", "basisprofielen") == 0
    assert again.counts["link"] == 0
    assert desk.exact("duplicates")["count"] == 0


def test_more_look_ups_than_one_run_may_make_are_left_for_the_next(make_desk: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("koppel.engine.named.AT_ONCE", 3)
    desk = make_desk(companies=12, flow=BOTH)
    desk.sync()
    assert desk.count("kvk", "GET", "basisprofielen") == 3
    for _ in range(10):
        desk.later(60.0)
        desk.sync()
    assert desk.count("kvk", "GET", "basisprofielen") == len(carriers(desk))


def test_what_was_unlinked_because_its_debtor_was_deleted_is_not_made_again(make_desk: Any) -> None:
    desk = make_desk(companies=12, flow=APART)
    desk.take("00100104")
    desk.sync()
    desk.exact("delete", kvk="00100104")
    assert desk.sync().counts["unlink"] == 1
    desk.kvk("edit", kvk="00100104", set={"city": "Utrecht"})
    desk.sync(refresh=True)
    desk.sync()
    assert not desk.accounts("00100104")
    assert desk.asks() == []


def test_what_was_unlinked_is_made_again_when_it_is_taken_in_anew(make_desk: Any) -> None:
    desk = make_desk(companies=12, flow=APART)
    desk.take("00100104")
    desk.sync()
    desk.exact("delete", kvk="00100104")
    desk.sync()
    desk.take("00100104")
    desk.sync()
    assert len(desk.accounts("00100104")) == 1


def test_what_the_vendor_refused_is_not_sent_again_until_something_changed_or_somebody_wishes_it(
    make_desk: Any,
) -> None:
    desk = make_desk(companies=12)
    desk.exact("settings", refuse={"00100104": "Verplicht: Betalingsconditie"})
    desk.take("00100104")
    desk.sync(only=("00100104",))  # the flow's position does not move: the record stays news for the next run
    assert len(desk.parked()) == 1
    desk.host.reset_calls()
    desk.sync()
    assert desk.count("exact", "POST", "crm/") == 0
    assert len(desk.parked()) == 1
    desk.kvk("edit", kvk="00100104", set={"name": "Boekhandel Anders", "statutory_name": "Boekhandel Anders B.V."})
    desk.sync(refresh=True)
    desk.take("00100104")
    desk.exact("settings", refuse={})
    desk.later(90000.0)
    desk.sync()
    assert len(desk.accounts("00100104")) == 1
    assert desk.parked() == []
