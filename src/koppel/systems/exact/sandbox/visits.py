"""Visit addresses: they mirror the accounts' own address, so they are shown from there and kept nowhere else."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from koppel.systems.exact.sandbox.books import Books, guid
from koppel.systems.exact.sandbox.filter import Filter
from koppel.systems.exact.sandbox.records import Row

ADDRESSES = "crm/Addresses"
# What an address has of its account.
MIRRORED = ("AddressLine1", "AddressLine2", "AddressLine3", "Postcode", "City", "Country", "State")
_COPIED = (
    *MIRRORED,
    *("CountryName", "Created", "Creator", "CreatorFullName", "Modified", "Modifier", "ModifierFullName"),
    *("Division", "Timestamp"),
)


@dataclass(frozen=True)
class Visits:
    """The visit addresses of a division."""

    books: Books

    def by_key(self, low: Any, wanted: Filter | None) -> Iterable[Row]:
        """In the order of their ID, behind `low`."""
        accounts = self.books.accounts
        if wanted is not None and wanted.any_of is not None and {name for name, _ in wanted.any_of} == {"Account"}:
            ids = sorted((visit_of(value), value) for _, value in wanted.any_of if value in accounts.rows)
        else:
            ids = self._ids()
        start = 0 if low is None else bisect_right(ids, low, key=lambda pair: pair[0])
        return (self.visit(accounts.rows[account]) for _, account in ids[start:])

    def by_stamp(self, low: int | None, wanted: Filter | None) -> Iterator[Row]:
        """In the order of their accounts' row versions."""
        return (self.visit(row) for row in self.books.accounts.by_stamp(low, wanted))

    def find(self, id_: str) -> Row | None:
        """The account whose visit address it is."""
        accounts = self.books.accounts
        ids = self._ids()
        place = bisect_left(ids, id_, key=lambda pair: pair[0])
        return accounts.rows[ids[place][1]] if ids[place : place + 1] and ids[place][0] == id_ else None

    def _ids(self) -> list[tuple[str, str]]:
        accounts = self.books.accounts
        if self.books.visits[0] != accounts.version:
            self.books.visits = (accounts.version, sorted((visit_of(id_), id_) for id_ in accounts.ids))
        return self.books.visits[1]

    def visit(self, account: Row) -> Row:
        """An account's visit address."""
        shown = {name: account[name] for name in _COPIED if name in account}
        return shown | {
            "ID": visit_of(account["ID"]),
            "Account": account["ID"],
            "AccountName": account["Name"],
            "AccountIsSupplier": account.get("IsSupplier", False),
            "Type": 1,
            "Main": True,
        }


@lru_cache(maxsize=65_536)
def visit_of(account: str) -> str:
    """The key of an account's visit address."""
    return guid(account, "visit")
