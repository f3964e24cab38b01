"""Somebody at work in one division's books: records are made, changed and removed here, by whomever and at which moment.

What the vendor fills in by itself is filled here: who and when, numbers, the names that stand beside a reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from koppel.systems.exact.sandbox import table
from koppel.systems.exact.sandbox.books import ACCOUNTS, Books, Person
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.references import described
from koppel.systems.exact.sandbox.rules import Rules, country_name, pad, wall
from koppel.systems.exact.sandbox.table import EntityType


@dataclass(frozen=True)
class Desk:
    """Who works in which books, when, under which rules, and what a kind of record brings about (`Behaviour` by path)."""

    books: Books
    who: Person
    at: float
    rules: Rules = field(default_factory=Rules)
    behaviours: Mapping[str, Any] = field(default_factory=dict)

    @property
    def today(self) -> int:
        """Midnight of the day, in milliseconds of the Dutch wall clock."""
        now = wall(self.at)
        return now - now % 86_400_000

    def get(self, path: str, key: Any) -> Row | None:
        """A record by its key."""
        return None if key is None else self.books.records(path).get(key)

    def having(self, path: str, name: str, value: Any) -> list[Row]:
        """Records that carry a value, in the order they were made."""
        return self.books.records(path).having(name, value)

    def one(self, path: str, name: str, value: Any) -> Row | None:
        """The first record that carries a value."""
        return None if value is None else self.books.records(path).one(name, value)

    def rows(self, path: str) -> list[Row]:
        """All records of a resource."""
        return list(self.books.records(path).rows.values())

    def add(self, path: str, values: Mapping[str, Any], *, quiet: bool = False) -> Row:
        """Store a new record; the key and what is numbered is given when it is missing."""
        books, entity = self.books, table.entity(path)
        records, moment = books.records(path), wall(self.at)
        row: Row = {name: value for name, value in values.items() if value is not None}
        row.setdefault(records.key, None)
        if row[records.key] is None:
            row[records.key] = books.new_guid(path)
        if path == ACCOUNTS:
            row = _new_account(books, row, moment)
        row.setdefault("Division", books.number)
        _sign(entity, row, "Created", "Creator", self.who, moment)
        _sign(entity, row, "Modified", "Modifier", self.who, moment)
        row.update(described(books, entity, row))
        _derive(path, row)
        row["_made"] = books.next_number("_made")
        row["Timestamp"] = books.next_stamp()
        records.put(row)
        if not quiet:
            books.tell(path, "Create", row[records.key], self.at)
        return row

    def change(self, path: str, key: Any, values: Mapping[str, Any], *, stamp: bool = True) -> Row:
        """Change a record; without `stamp` neither row version nor Modified moves."""
        books, entity = self.books, table.entity(path)
        records = books.records(path)
        after = {**records.rows[key], **values}
        changed = {**values, **described(books, entity, after, only=values.keys())}
        _derive(path, after := {**after, **changed})
        changed |= {name: after[name] for name in ("IsSales", "IsPurchase", "CountryName") if name in after}
        if stamp:
            _sign(entity, changed, "Modified", "Modifier", self.who, wall(self.at))
        row = records.change(key, changed, books.next_stamp() if stamp else None)
        if stamp:
            books.tell(path, "Update", key, self.at)
        return row

    def remove(self, path: str, key: Any) -> None:
        """Delete a record; where a deletion is told it is told."""
        row = self.books.records(path).drop(key)
        self.books.bury(path, row, who=self.who, at=self.at)
        self.books.tell(path, "Delete", key, self.at)


def _sign(entity: EntityType, row: Row, when: str, who: str, person: Person, moment: int) -> None:
    for name, value in ((when, moment), (who, person.id), (f"{who}FullName", person.name)):
        if name in entity.properties:
            row[name] = value


def _new_account(books: Books, row: Row, moment: int) -> Row:
    code = row.get("Code") or str(books.last.get("account", 0) + 1)
    books.last["account"] = max(books.last.get("account", 0), int(code))
    usual = {
        "Type": "A",
        "Country": books.about["Country"],
        "Language": "NL",
        "StartDate": moment - moment % 86_400_000,
    }
    return {**usual, **row, "Code": pad("Code", code)}


def _derive(path: str, row: Row) -> None:
    if path == ACCOUNTS:
        row["IsSales"] = row.get("Status") == "C"
        row["IsPurchase"] = bool(row.get("IsSupplier"))
        row["CountryName"] = country_name(row.get("Country"))
