"""A record that came to belong to another thing through one flow is news to the other flows that read it."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.mapping.flow import FieldRule
from koppel.store import observations

NUMBER = "00000019"


@pytest.mark.parametrize("others", [True, False], ids=["another flow reads it", "nobody else does"])
def test_who_was_linked_is_shown_to_other_flows_once_more(office: Any, others: bool) -> None:
    onwards = office.flow("books-books", "books:customers", "books:suppliers", create_right=False)
    linking = office.flow("crm-books", "crm:accounts", "books:customers")
    native = office.put("books", "customers", name="Bakkerij", kvk=NUMBER)
    if others:
        office.sync(onwards)
    office.sync(linking)
    stream = office.stream("books:customers")

    def number() -> int:
        return office.store.run(observations.load, stream, [native], entity="company")[native].seq

    before = number()
    office.put("crm", "accounts", name="Bakkerij", kvk=NUMBER)
    assert office.sync(linking).counts["link"] == 1
    assert (number() > before) == others
    linked = number()
    office.sync(linking)
    assert number() == linked


def test_who_came_in_from_the_left_is_shown_to_the_flows_that_keep_it_in_step_with_what_was_in_there(
    office: Any,
) -> None:
    customers = office.flow("crm-customers", "crm:accounts", "books:customers", create_right=False)
    suppliers = office.flow("crm-suppliers", "crm:accounts", "books:suppliers", create_right=False)
    owned = {"fields": (FieldRule("website", "left"),)}
    between = office.flow("customers-suppliers", "books:customers", "books:suppliers", create_right=False, **owned)
    office.put("crm", "accounts", name="Bakkerij", kvk=NUMBER)
    customer = office.put("books", "customers", name="Bakker", vat_number="NL001234567B01")
    office.put("books", "suppliers", name="Bakkerij", kvk=NUMBER, vat_number="NL001234567B01")
    office.sync(suppliers, customers)
    assert office.sync(between).counts["link"] == 1
    assert office.sync(customers).counts["update"] == 1
    assert office.there("books", "customers")[customer]["name"] == "Bakkerij"
    assert office.sync(suppliers, between, customers).counts["update"] == 0
