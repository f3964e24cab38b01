"""What only a system can know: that two spellings are one on its wire, and what a write of ours wrote over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest


def fitted(desk: Any, **functions: Any) -> None:
    """Exact's accounts with some of its functions replaced."""
    connection = desk.connections["books-nl"]
    resources = tuple(
        replace(each, **functions) if each.name == "accounts" else each for each in connection.system.resources
    )
    desk.connections["books-nl"] = replace(connection, system=replace(connection.system, resources=resources))
    desk.ports = desk.new_ports("fitted")


def accounts(desk: Any) -> Any:
    return desk.connections["books-nl"].resource("accounts")


@pytest.fixture
def linked(desk: Any) -> Any:
    desk.take()
    desk.sync()
    desk.sync()
    desk.host.reset_calls()
    return desk


def test_an_update_that_comes_to_nothing_on_the_wire_is_agreed_once_and_silent_from_then_on(linked: Any) -> None:
    lower = accounts(linked).lower

    def blind_to_capitals(site: Any, change: Any) -> Any:
        same = change.kind == "update" and all(
            str(value).casefold() == str(change.before.get(path)).casefold() for path, value in change.values.items()
        )
        return () if same else lower(site, change)

    fitted(linked, lower=blind_to_capitals)
    company = next(c for c in linked.companies if c.in_erp == "none" and c.shape == "plain" and c.statutory_name)
    shouted = company.statutory_name.swapcase()
    linked.kvk("edit", kvk=company.kvk, set={"statutory_name": shouted})
    before = linked.account(company.kvk)
    result = linked.sync(only=(company.kvk,), refresh=True)
    assert (result.counts["update"], linked.count("exact", "PUT")) == (0, 0)
    (agreed,) = [entry for entry in linked.trail("agreed") if entry.run == result.run]
    assert agreed.data["kept"]["name"] == [shouted, before["Name"]]
    seen = len(linked.trail())
    for _ in range(2):
        again = linked.sync(only=(company.kvk,), refresh=True)
        assert not any(again.counts[kind] for kind in ("create", "update", "ask", "park"))
    assert len(linked.trail()) == seen, "said once"
    linked.kvk("edit", kvk=company.kvk, set={"statutory_name": "Iets heel anders"})
    linked.sync(only=(company.kvk,), refresh=True)
    assert linked.account(company.kvk)["Name"] == "Iets heel anders", "and what really differs is written"


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "the reply is lost"])
def test_what_a_create_wrote_over_stands_in_the_trail(desk: Any, *, lost: bool) -> None:
    send = accounts(desk).send

    def taking_over(site: Any, batch: Any) -> Any:
        receipts = yield from send(site, batch)
        shown = {"name": "Zoals het heette", "phone": "not sent, so not told"}
        return tuple(msgspec.structs.replace(receipt, before=shown) for receipt in receipts)

    fitted(desk, send=taking_over)
    company = next(c for c in desk.companies if c.in_erp == "none" and c.shape == "plain")
    if lost:
        desk.fault(kind="lose_reply", system="exact", method="POST", path="crm/Accounts")
    desk.take(company.kvk)
    desk.sync()
    desk.later(600)
    desk.sync()
    (made,) = desk.trail("created")
    fields = made.data["fields"]
    said = {part: fields["name"][part] for part in ("before", "after", "because")}
    assert said == {"before": "Zoals het heette", "after": desk.account(company.kvk)["Name"], "because": ""}
    assert {key for key, told in fields.items() if told["before"] is not None} == {"name"}
    assert made.data.get("by_probe", False) == lost
    assert desk.sound()
