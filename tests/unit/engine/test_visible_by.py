"""What was written should show by now: judged by the instant at which reading that side began, however long the run took."""

from __future__ import annotations

from typing import Any

from koppel.mapping.flow import Endpoint
from koppel.systems.spi import Response
from koppel.testing.pair_desk import QUARTER, PairDesk
from koppel.testing.toy_servers import Server

from .two_way import two_sides


def throttle(server: Server, seconds: int) -> None:
    """The next reading is told to wait."""
    handle, waits = server.handle, [True]

    def busy(request: Any) -> Any:
        if waits[0] and request.method == "GET":
            waits[0] = False
            return Response(429, {"retry-after": str(seconds)})
        return handle(request)

    server.handle = busy  # type: ignore[method-assign]


def till_on_the_left() -> tuple[PairDesk, str, str]:
    """A pair in step; what is written to Till shows twenty seconds late, and must show after 45."""
    sides = two_sides(left=Endpoint("right", "shops"), right=Endpoint("left", "customers"))
    shop, customer = sides.till.add({"title": "Bakker", "nr": "42100001"}), ""
    sides.settle()
    ((_, _, customer),) = sides.ledger.created
    sides.till.lag = lambda: 20.0
    return sides, shop, customer


def written_to_till(sides: PairDesk, customer: str) -> None:
    sides.ledger.edit(customer, {"brand": "Slager"})
    assert sides.sync().counts["update"] == 1


def test_an_old_page_is_not_taken_for_a_value_the_vendor_did_not_keep() -> None:
    sides, shop, customer = till_on_the_left()
    written_to_till(sides, customer)
    writes = sides.writes()
    sides.clock.at += (
        10 - 900
    )  # Till is read before the value shows; then Ledger lets us wait for longer than Till needs
    throttle(sides.ledger, 60)
    began = sides.clock.at + 900
    result = sides.sync()
    assert sides.clock.at >= began + 60
    assert (result.counts["update"], result.counts["park"]) == (0, 0)
    assert sides.writes() == writes
    sides.settle()
    assert sides.writes() == writes
    assert sides.parked() == []
    assert sides.till.rows[shop]["brand"] == "SLAGER"


def test_what_a_page_read_in_time_does_not_show_is_still_written_again() -> None:
    sides, shop, customer = till_on_the_left()
    sides.till.deaf.add((shop, "brand"))
    written_to_till(sides, customer)
    sides.till.deaf.clear()
    assert sides.sync().counts["update"] == 1
    assert sides.till.rows[shop]["brand"] == "SLAGER"


def test_what_a_page_was_too_old_to_show_is_looked_at_once_more_and_written_if_it_was_not_kept() -> None:
    sides, shop, customer = till_on_the_left()
    sides.till.deaf.add((shop, "brand"))
    written_to_till(sides, customer)
    sides.clock.at += 10 - QUARTER
    throttle(sides.ledger, 60)
    assert sides.sync().counts["update"] == 0
    sides.till.deaf.clear()
    assert sides.sync().counts["update"] == 1
    assert sides.till.rows[shop]["brand"] == "SLAGER"
