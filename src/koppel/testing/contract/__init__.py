"""The contract every system keeps, written once: subclass `Contract`, say how to build the bench, and run pytest.

    class TestAccounts(Contract):
        def make(self) -> Bench:
            return Bench(system=SYSTEM, resource_name="accounts", host=…, settings=…, edit=…, add=…)

What a resource's `Can` denies, or the bench cannot do, is skipped with the reason. To see why an assertion failed, a test
folder's conftest says `pytest.register_assert_rewrite("koppel.testing.contract", "koppel.testing.bench")`.
"""

from __future__ import annotations

from koppel.testing.contract.failing import Failing
from koppel.testing.contract.listing import Listing
from koppel.testing.contract.looking import Looking, Translating
from koppel.testing.contract.lost import Lost
from koppel.testing.contract.writing import Writing


class Contract(Listing, Looking, Translating, Writing, Lost, Failing):
    """One resource of one system. A subclass named `Test…` defines `make`."""
