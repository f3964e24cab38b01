"""Correcting documents: negated, to the cent."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.sync.corrections import correction


def test_an_invoice_is_credited_by_number_with_every_amount_negated() -> None:
    lines = [{"product": "p1", "quantity": "2", "unit_price": "10.00", "vat": "nl-high", "amount": "20.00"}]
    made = correction(
        "invoice", {"number": "2026-7", "party": "c1", "total": "24.20", "total_vat": "4.20", "lines": lines}
    )
    assert made["credits"] == "2026-7"
    assert "number" not in made
    assert (made["party"], made["total"], made["total_vat"]) == ("c1", "-24.20", "-4.20")
    assert made["lines"] == [lines[0] | {"quantity": "-2", "amount": "-20.00"}]


def test_the_last_line_takes_the_cent() -> None:
    lines = [{"amount": "33.33"}, {"amount": "33.33"}, {"amount": "33.33"}]
    made = correction("invoice", {"total": "121.00", "total_vat": "21.00", "lines": lines})
    assert [line["amount"] for line in made["lines"]] == ["-33.33", "-33.33", "-33.34"]


@pytest.mark.parametrize(("net", "last"), [("100.05", "-50.05"), ("100.06", "-50.00"), ("99.95", "-49.95")])
def test_five_cents_are_the_most_that_rounding_makes(net: str, last: str) -> None:
    lines = [{"amount": "50.00"}, {"amount": "50.00"}]
    made = correction("invoice", {"total": net, "total_vat": "0.00", "lines": lines})
    assert [line["amount"] for line in made["lines"]] == ["-50.00", last]


def test_more_than_rounding_can_make_is_left_for_a_person() -> None:
    made = correction("invoice", {"total": "121.00", "total_vat": "21.00", "lines": [{"amount": "90.00"}]})
    assert made["lines"] == [{"amount": "-90.00"}]


def test_a_journal_entry_changes_its_sides() -> None:
    lines = [{"ledger": "1300", "debit": "10.00"}, {"ledger": "8000", "credit": "10.00"}]
    made = correction("journal_entry", {"number": "7", "journal": "90", "lines": lines})
    assert made["lines"] == [{"ledger": "1300", "credit": "10.00"}, {"ledger": "8000", "debit": "10.00"}]
    assert made["description"] == "correction of 7"


@pytest.mark.parametrize("amount", ["0.005", "1.005", "-1.005"])
def test_halves_go_up(amount: str) -> None:
    (line,) = correction("order", {"lines": [{"amount": amount}]})["lines"]
    assert abs(Decimal(line["amount"])) == abs(Decimal(amount)) + Decimal("0.005")


@given(st.lists(st.decimals(min_value=-1000, max_value=1000, places=2), min_size=1, max_size=8))
def test_a_document_and_its_correction_come_to_nothing(amounts: list[Decimal]) -> None:
    net = sum(amounts, Decimal(0))
    values = {"total": str(net), "total_vat": "0.00", "lines": [{"amount": str(amount)} for amount in amounts]}
    made = correction("invoice", values)
    assert sum((Decimal(line["amount"]) for line in made["lines"]), Decimal(0)) + net == 0
    assert Decimal(made["total"]) + net == 0
