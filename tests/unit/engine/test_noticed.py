"""What people change in linked records outside every rule stands in the trail; nothing else does, and nothing twice."""

from __future__ import annotations

from typing import Any

import pytest


def linked(desk: Any) -> dict[str, Any]:
    """A debtor that Koppel made and has agreed about."""
    desk.take("00100104")
    desk.sync()
    desk.sync()
    return desk.account("00100104")


def edit(desk: Any, row: dict[str, Any], **fields: Any) -> None:
    desk.later(60)
    desk.exact("edit", id=row["ID"], set=fields)
    desk.sync()


def test_making_and_agreeing_is_not_noticed(desk: Any) -> None:
    linked(desk)
    assert desk.trail("noticed") == []


def test_a_telephone_filled_in_is_noticed_once_with_what_was_there_before(desk: Any) -> None:
    row = linked(desk)
    edit(desk, row, Phone="030-5550142")
    desk.sync()
    (entry,) = desk.trail("noticed")
    change = entry.data["fields"]["phone"]
    assert (change["before"], change["after"]) == (None, "030-5550142")
    assert entry.data["seen"] == f"books-nl:accounts:{row['ID']}"
    assert entry.subject is not None, "it is erased with the rest of what is known of this company"
    edit(desk, row, Phone="030-5550143")
    assert [e.data["fields"]["phone"]["before"] for e in desk.trail("noticed")] == [None, "030-5550142"]
    assert desk.sound()


@pytest.mark.parametrize("fields", [{"Name": "Overgetypt"}, {"AddressLine1": "Verkeerdeweg 1"}])
def test_a_field_that_a_flow_owns_has_its_own_entry(desk: Any, fields: dict[str, str]) -> None:
    edit(desk, linked(desk), **fields)
    assert desk.trail("noticed") == []
    assert desk.trail("updated")


def test_records_that_are_linked_to_nothing_are_nobodys_business(desk: Any) -> None:
    linked(desk)
    stranger = next(row for row in desk.exact("accounts")["accounts"] if row.get("ChamberOfCommerce") != "00100104")
    edit(desk, stranger, Phone="030-5550142")
    assert desk.trail("noticed") == []


def test_a_number_the_register_is_processing_is_not_asked_again_before_its_time(desk: Any) -> None:
    desk.kvk("unavailable", kvk="00100104", seconds=300)
    desk.take("00100104")
    desk.sync()
    asked = desk.count("kvk")
    desk.take("00100104")
    assert desk.sync().counts["park"] == 0, "it is parked already, with its time"
    assert desk.count("kvk") == asked
    assert len(desk.parked()) == 1
    desk.later(900)
    assert desk.sync().counts["create"] == 1
    assert not desk.parked()
