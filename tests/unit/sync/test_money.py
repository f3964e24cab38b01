"""Money a plan would move: documents made and changed, per currency, without sign, never converted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from koppel.mapping.flow import Brakes, Endpoint, FieldRule, Flow, RunRules
from koppel.model.values import Money
from koppel.sync.guard import Counts, guard
from koppel.sync.money import moved
from koppel.sync.steps import Step


def flow(entity: str = "invoice", **brakes: Any) -> Flow:
    ends = Endpoint("a", "sales"), Endpoint("b", "sales")
    usual: dict[str, Any] = {"creates": None, "share": None} | brakes
    return Flow("f", "F", entity, *ends, (FieldRule("number"),), run=RunRules(brakes=Brakes(**usual)))


def create(**values: Any) -> Step:
    return Step("create", "right", "L", None, values=values)


def update(before: dict[str, Any], **values: Any) -> Step:
    return Step("update", "right", "L", "R", values=values, before=before)


@pytest.mark.parametrize(
    ("step", "sums"),
    [
        (create(total="121.00", currency="EUR"), {"EUR": "121.00"}),
        (create(total="-121.00", currency="EUR"), {"EUR": "121.00"}),
        (create(total=50, currency="USD"), {"USD": "50"}),
        (create(total="5"), {"": "5"}),
        (create(**{"right:total": "7.50"}), {"": "7.50"}),
        (create(lines=[{"amount": "10.10"}, {"amount": "0.05"}]), {"": "10.15"}),
        (create(lines=[{"debit": "10"}, {"credit": "10"}]), {"": "10"}),
        (create(number="1"), {}),
        (update({"total": "100", "currency": "EUR"}, total="121"), {"EUR": "21"}),
        (update({"total": "100"}, total="90"), {"": "10"}),
        (update({"reference": "a"}, reference="b"), {}),
        (Step("archive", "right", "L", "R"), {}),
    ],
)
def test_each_document_counts_with_what_it_adds_or_changes(step: Step, sums: dict[str, str]) -> None:
    assert moved(flow(), [step]) == {currency: Decimal(amount) for currency, amount in sums.items()}


def test_amounts_add_up_per_currency_and_only_documents_move_money() -> None:
    steps = [create(total="0.10", currency="EUR")] * 3 + [create(total="1", currency="USD")]
    assert moved(flow(), steps) == {"EUR": Decimal("0.30"), "USD": Decimal(1)}
    assert moved(flow("company"), steps) == {}


@pytest.mark.parametrize(
    ("sums", "said"),
    [
        ({"EUR": "1000.00"}, None),
        ({"EUR": "1000.01"}, "1000.01 EUR in all"),
        ({"": "1000.01"}, "1000.01 EUR in all"),
        ({"USD": "1"}, "speaks of EUR only"),
        ({}, None),
    ],
)
def test_the_brake_holds_above_its_amount_and_for_any_other_currency(sums: dict[str, str], said: str | None) -> None:
    counts = Counts(money={currency: Decimal(amount) for currency, amount in sums.items()})
    refusal = guard(flow(money=Money(Decimal(1000), "EUR")), counts)
    assert (refusal is None) == (said is None)
    assert guard(flow(), counts) is None
    if refusal is not None and said is not None:
        assert said in refusal.reason
        assert refusal.override == "money"
        assert guard(flow(money=Money(Decimal(1000), "EUR")), counts, allowed=["money"]) is None
