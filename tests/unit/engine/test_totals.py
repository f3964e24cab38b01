"""Totals of a flow: what takes part is counted on both sides, a signature is kept in the trail, and a later change is said."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from koppel.engine import totals as engine
from koppel.mapping.flow import Condition, Scope
from koppel.model.documents import DocumentLine, Invoice
from koppel.model.period import read_period
from koppel.model.record import Record
from koppel.store import observations, streams, suppression, trail
from koppel.store.observations import Seen
from koppel.sync.totals import Row
from koppel.testing.pair_desk import FLOW, PairDesk

OCTOBER = read_period("2026-10")


def invoice(number: str, amount: str, day: str = "2026-10-05", **given: Any) -> Invoice:
    lines = (DocumentLine(vat="nl-high", amount=Decimal(amount)),)
    return Invoice(number=number, date=day, currency="EUR", total=Decimal(amount), lines=lines, **given)


@pytest.fixture
def desk() -> PairDesk:
    scope = Scope(left=(Condition(field="kind", is_not="purchase"),))
    return PairDesk(flow=msgspec.structs.replace(FLOW, entity="invoice", fields=(), scope=scope))


def see(desk: PairDesk, side: str, *invoices: Invoice | tuple[str, None]) -> None:
    resource = {"left": "customers", "right": "shops"}[side]
    stream = desk.store.run(streams.ensure, side, resource).id
    seen = [
        Seen(one[0], None)
        if isinstance(one, tuple)
        else Seen(f"{side} {one.number}", Record(one), "invoice", keys=one.match_keys())
        for one in invoices
    ]
    desk.store.run(observations.take_in, stream, seen, at=desk.clock.at)


def told(desk: PairDesk) -> engine.Totals:
    return desk.do(engine.totals(desk.ports, desk.flow, OCTOBER))


def test_two_sides_with_the_same_documents_come_to_the_same(desk: PairDesk) -> None:
    for side in ("left", "right"):
        see(desk, side, *(invoice(str(n), f"{n}.10", f"2026-10-{n:02}") for n in range(1, 29)))
        see(desk, side, invoice("x", "5", "2026-11-01"))
    one = told(desk)
    assert (one.different, one.records) == (0, {"left": 28, "right": 28})
    assert sum(row.left.amount or 0 for row in one.rows if row.key.measure == "net") == Decimal("408.80")


def test_who_is_only_kept_is_not_counted(desk: PairDesk) -> None:
    see(desk, "left", invoice("a", "5"), invoice("b", "7"))
    stream = desk.store.run(streams.ensure, "left", "customers").id
    desk.store.run(suppression.suppress, 1, natives=[(stream, "left a")], keys=())
    assert told(desk).records == {"left": 1, "right": 0}


def test_what_is_missing_doubled_gone_or_outside_shows_in_the_totals(desk: PairDesk) -> None:
    see(desk, "left", invoice("1", "10"), invoice("2", "20"), invoice("p", "99", kind="purchase"))
    see(desk, "right", invoice("1", "10"), invoice("1b", "10"), invoice("2", "20"))
    see(desk, "right", ("right 2", None))
    one = told(desk)
    (net,) = [row for row in one.rows if row.key.measure == "net"]
    assert (net.left.count, net.left.amount, net.right.count, net.right.amount) == (2, Decimal(30), 2, Decimal(20))
    assert net.differs
    assert one.outside == {"left": 1, "right": 0}


def test_a_signature_lies_in_the_trail_and_a_later_change_is_told(desk: PairDesk) -> None:
    for side in ("left", "right"):
        see(desk, side, invoice("1", "10.00"))
    signed = desk.do(engine.sign_off(desk.ports, told(desk), by="A. de Vries", actor="mieke"))
    (entry,) = [e for e in desk.store.run(trail.read) if e.kind == "signed_off"]
    assert entry.seq == signed.entry
    assert entry.data is not None
    assert (entry.actor, entry.data["by"], entry.data["because"]) == (
        "mieke",
        "A. de Vries",
        "signed off by A. de Vries",
    )
    assert msgspec.convert(entry.data["totals"], tuple[Row, ...]) == told(desk).rows
    assert desk.store.run(trail.verify) is None
    again = told(desk)
    assert (again.signed, again.changed) == (signed, ())
    see(desk, "right", invoice("1", "10.01"))
    changed = told(desk).changed
    assert {(now or then).key.measure for then, now in changed if now or then} == {"net", "total"}  # type: ignore[union-attr]
    assert [str(p) for p in desk.do(engine.signed_periods(desk.ports, desk.flow))] == [str(OCTOBER)]


def test_signing_again_replaces_what_is_compared_with_and_both_stay_in_the_trail(desk: PairDesk) -> None:
    see(desk, "left", invoice("1", "10"))
    desk.do(engine.sign_off(desk.ports, told(desk), by="A", actor="a"))
    see(desk, "left", invoice("2", "10"))
    desk.do(engine.sign_off(desk.ports, told(desk), by="B", actor="b"))
    one = told(desk)
    assert one.signed is not None
    assert (one.signed.by, one.changed) == ("B", ())
    notes = [e.data["because"] for e in desk.store.run(trail.read) if e.kind == "signed_off" and e.data]
    assert notes == ["signed off by A, with 2 differences", "signed off by B, with 2 differences"]
