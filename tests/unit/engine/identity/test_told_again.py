"""A record that came to belong to another thing through one flow is news to the other flows that read it."""

from __future__ import annotations

from typing import Any

import pytest

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
