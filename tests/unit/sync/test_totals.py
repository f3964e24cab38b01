"""Adding up: per day, meaning and method, to the cent, half up, line by line; nothing is left out or converted."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from koppel.model.company import Company
from koppel.model.documents import DocumentLine, Invoice, JournalEntry, JournalLine, Order
from koppel.model.period import read_period
from koppel.sync.totals import NO_AMOUNT, NO_MEANING, Key, Sum, Sums, rows

OCTOBER = read_period("2026-10")
D = Decimal


def line(amount: str | None = None, vat: str | None = "nl-high", **given: Any) -> DocumentLine:
    return DocumentLine(amount=None if amount is None else D(amount), vat=vat, **given)


def added(*entities: Any, start: str | None = None, at: float | None = None) -> Sums:
    sums = Sums(OCTOBER, start=start)
    for entity in entities:
        sums.add(entity, modified_at=at)
    return sums


def told(*entities: Any, **given: Any) -> dict[tuple[str, str, str], tuple[int, str | None]]:
    return {
        (key.measure, key.vat, key.method): (one.count, None if one.amount is None else str(one.amount))
        for key, one in added(*entities, **given).sums.items()
    }


def invoice(*lines: DocumentLine, day: str = "2026-10-05", **given: Any) -> Invoice:
    usual: dict[str, Any] = {"number": "1", "currency": "EUR", "payment_method": "iDEAL", "total": D("121.00")}
    return Invoice(date=day, lines=lines, **usual | {"total_vat": D("21.00")} | given)


def test_an_invoice_counts_once_per_meaning_and_adds_its_lines_up() -> None:
    one = invoice(line("60"), line("40.00"), line("10", "nl-low"))
    assert told(one) == {
        ("net", "nl-high", "ideal"): (1, "100.00"),
        ("net", "nl-low", "ideal"): (1, "10.00"),
        ("VAT", "", "ideal"): (1, "21.00"),
        ("total", "", "ideal"): (1, "121.00"),
    }


def test_lines_are_rounded_half_up_each_by_itself() -> None:
    assert told(Order(date="2026-10-05", lines=(line("0.125"), line("0.125"), line("-0.125"))))[
        "net", "nl-high", ""
    ] == (
        1,
        "0.13",
    )


def test_a_line_without_an_amount_is_quantity_times_price_unless_a_discount_must_be_interpreted() -> None:
    priced = {"quantity": D(3), "unit_price": D("0.335")}
    assert told(Order(date="2026-10-05", lines=(line(**priced),)))["net", "nl-high", ""] == (1, "1.01")
    found = told(Order(date="2026-10-05", lines=(line(**priced, discount=D(5)), line("1.00"))))
    assert found["net", NO_AMOUNT, ""] == (1, None)
    assert found["net", "nl-high", ""] == (1, "1.00")


def test_what_has_no_meaning_is_counted_under_that_name_and_never_under_another_zero() -> None:
    assert told(Order(date="2026-10-05", lines=(line("5", None), line("7", "exempt"))))["net", NO_MEANING, ""] == (
        1,
        "5.00",
    )


def test_currencies_days_and_kinds_are_kept_apart() -> None:
    sums = added(
        invoice(line("1")),
        invoice(line("1"), currency="USD"),
        invoice(line("1"), day="2026-10-06"),
        invoice(line("1"), kind="purchase"),
    ).sums
    assert len([key for key in sums if key.measure.endswith("net")]) == 4
    assert {key.currency for key in sums} == {"EUR", "USD"}
    assert "purchase net" in {key.measure for key in sums}


def test_journal_entries_are_told_in_debit_and_credit() -> None:
    entry = JournalEntry(
        date="2026-10-31T00:00:00",
        lines=(
            JournalLine(debit=D("12.10")),
            JournalLine(credit=D("10"), vat="nl-high"),
            JournalLine(credit=D("2.10")),
        ),
    )
    assert told(entry) == {
        ("debit", "", ""): (1, "12.10"),
        ("credit", "nl-high", ""): (1, "10.00"),
        ("credit", "", ""): (1, "2.10"),
    }
    assert {key.day for key in added(entry).sums} == {"2026-10-31"}


def test_only_what_lies_in_the_period_and_not_before_the_flows_start_is_counted() -> None:
    days = ("2026-09-30", "2026-10-01", "2026-10-14", "2026-10-15", "2026-10-31", "2026-11-01")
    assert added(*(invoice(day=day) for day in days)).records == 4
    assert added(*(invoice(day=day) for day in days), start="2026-10-15").records == 2


@pytest.mark.parametrize("day", [None, "2026", "2026-10"])
def test_what_tells_no_day_is_in_no_period_and_is_said(day: Any) -> None:
    sums = added(invoice(day=day))
    assert (sums.records, sums.undated, sums.sums) == (0, 1, {})


def test_anything_else_is_counted_on_the_day_it_was_changed_by_the_dutch_clock() -> None:
    late = datetime(2026, 9, 30, 22, 30, tzinfo=UTC).timestamp()  # half past midnight in Amsterdam
    assert added(Company(name="x"), at=late).sums == {Key("2026-10-01", "changed"): Sum(1, None)}
    assert added(Company(name="x")).undated == 1


def test_rows_differ_in_count_or_amount_and_only_in_the_side_that_has_none() -> None:
    left = added(invoice(line("10")), invoice(line("5"))).sums
    right = added(invoice(line("15"))).sums
    differing = {row.key.measure: (row.left.count, row.right.count) for row in rows(left, right) if row.differs}
    assert differing == {"net": (2, 1), "VAT": (2, 1), "total": (2, 1)}
    assert not any(row.differs for row in rows(left, left))
    assert all(row.differs for row in rows(left, {}))
    cent = added(invoice(line("10")), invoice(line("5.01"))).sums
    assert [row.key.measure for row in rows(left, cent) if row.differs] == ["net"]
