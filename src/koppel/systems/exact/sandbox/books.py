"""One division's books in memory: accounts with their row versions, what was deleted, and indexes over them.

Rows hold only what is filled. Every change takes a new row version (`Timestamp`) of the division, except a change a
test asks to leave no trace. Synchronous and without a clock: the moment is an argument.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from koppel.systems.exact.sandbox.filter import Filter, fold
from koppel.systems.exact.sandbox.rules import country_name, pad, wall

Row = dict[str, Any]
NAMESPACE = UUID("6f0f2a52-6c0b-4a51-9d2e-0a4b9f6f3c11")
INDEXED = ("ChamberOfCommerce", "VATNumber", "Code", "Name")
DELETED_ACCOUNT = 2  # sync/Deleted.EntityType [enums]
DELETED_KEPT_MS = 61 * 86_400_000  # two months [Pi]
_MOVED_START = 1_000
_DERIVED = frozenset({"IsSales", "IsPurchase", "CountryName"})


@dataclass(frozen=True, slots=True)
class Person:
    """Who makes or changes a record."""

    id: str
    name: str


def guid(*parts: object) -> str:
    """A GUID that is the same for the same parts."""
    return str(uuid5(NAMESPACE, ":".join(map(str, parts))))


@dataclass
class Books:
    """A division. `number` is its code; `about` holds the properties of its division record."""

    seed: int
    number: int
    about: Row
    stamp: int
    rows: dict[str, Row] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    stamps: list[tuple[int, str]] = field(default_factory=list)
    deleted: list[Row] = field(default_factory=list)
    banks: dict[str, list[Row]] = field(default_factory=dict)
    visits: dict[str, str] = field(default_factory=dict)  # address id -> account id
    visit_ids: list[str] = field(default_factory=list)
    equal: dict[str, dict[Any, set[str]]] = field(default_factory=lambda: {name: {} for name in INDEXED})
    made: int = 0
    last_code: int = 0

    def next_stamp(self) -> int:
        """The next row version. It is the database's, so it skips numbers."""
        self.stamp += 1 + self.stamp % 3
        return self.stamp

    def with_value(self, name: str, value: Any) -> set[str]:
        """Ids of accounts that carry the value, compared as the vendor compares."""
        return self.equal[name].get(fold(value), set())

    def add(self, values: Mapping[str, Any], *, who: Person, at: float) -> Row:
        """Store a new account; `Code` is numbered when it is not given."""
        self.made += 1
        id_ = values.get("ID") or guid(self.seed, self.number, "account", self.made)
        moment = wall(at)
        code = values.get("Code") or str(self.last_code + 1)
        row: Row = {
            "Division": self.number,
            "Type": "A",
            "Country": self.about["Country"],
            "Language": "NL",
            "StartDate": moment - moment % 86_400_000,
            **values,
            "ID": id_,
            "Code": pad("Code", code),
            "Created": moment,
            "Creator": who.id,
            "CreatorFullName": who.name,
            "Modified": moment,
            "Modifier": who.id,
            "ModifierFullName": who.name,
        }
        self.last_code = max(self.last_code, int(code))
        _derive(row)
        row["Timestamp"] = self.next_stamp()
        self.rows[id_] = row
        insort(self.ids, id_)
        self.stamps.append((row["Timestamp"], id_))
        for name in INDEXED:
            self._index(name, row)
        visit = guid(id_, "visit")
        self.visits[visit] = id_
        insort(self.visit_ids, visit)
        return row

    def change(self, id_: str, values: Mapping[str, Any], *, who: Person, at: float, stamp: bool = True) -> Row:
        """Change an account; without `stamp` neither row version nor Modified moves."""
        row = self.rows[id_]
        for name in INDEXED:
            if name in values:
                self._unindex(name, row)
        row.update(values)
        _derive(row)
        for name in INDEXED:
            if name in values:
                self._index(name, row)
        if stamp:
            row.update(Modified=wall(at), Modifier=who.id, ModifierFullName=who.name, Timestamp=self.next_stamp())
            self.stamps.append((row["Timestamp"], id_))
            if len(self.stamps) > 2 * len(self.rows) + 1000:
                self.stamps = [entry for entry in self.stamps if self._is_current(entry)]
        return row

    def remove(self, id_: str, *, who: Person, at: float) -> None:
        """Delete an account; `sync/Deleted` tells it for two months."""
        row = self.rows.pop(id_)
        self.ids.remove(id_)
        for name in INDEXED:
            self._unindex(name, row)
        self.banks.pop(id_, None)
        visit = guid(id_, "visit")
        del self.visits[visit]
        self.visit_ids.remove(visit)
        stamp = self.next_stamp()
        self.deleted.append(
            {
                "Timestamp": stamp,
                "ID": guid(self.seed, self.number, "deleted", stamp, id_),
                "Division": self.number,
                "EntityType": DELETED_ACCOUNT,
                "EntityKey": id_,
                "DeletedDate": wall(at),
                "DeletedBy": who.id,
            }
        )

    def renumber(self) -> None:
        """Give every record a new row version, as a move to another database does. [Pi]

        The new numbers start low again: whoever goes on from an old one misses everything.
        """
        self.stamp = _MOVED_START
        for row in [*(self.rows[id_] for id_ in self.ids), *self.deleted]:
            row["Timestamp"] = self.next_stamp()
        self.stamps = sorted((row["Timestamp"], id_) for id_, row in self.rows.items())

    def _is_current(self, entry: tuple[int, str]) -> bool:
        row = self.rows.get(entry[1])
        return row is not None and row["Timestamp"] == entry[0]

    def _index(self, name: str, row: Row) -> None:
        if row.get(name) is not None:
            self.equal[name].setdefault(fold(row[name]), set()).add(row["ID"])

    def _unindex(self, name: str, row: Row) -> None:
        if row.get(name) is not None:
            self.equal[name].get(fold(row[name]), set()).discard(row["ID"])

    # --- sources of rows, one per entity set -------------------------------------------------------------------

    def by_id(self, key: Any, wanted: Filter | None) -> Iterable[Row]:
        """Accounts in the order of their ID."""
        low = key.lower() if isinstance(key, str) else ""
        found = self._candidates(wanted)
        if found is not None:
            return [self.rows[id_] for id_ in sorted(found) if id_ > low]
        return (self.rows[id_] for id_ in self.ids[bisect_right(self.ids, low) :])

    def by_timestamp(self, key: Any, wanted: Filter | None) -> Iterator[Row]:
        """Accounts in the order of their row version."""
        low = key if isinstance(key, int) else -1
        if wanted is not None and wanted.above is not None and wanted.above[0] == "Timestamp":
            low = max(low, wanted.above[1])
        for entry in self.stamps[bisect_right(self.stamps, (low, "~")) :]:
            if self._is_current(entry):
                yield self.rows[entry[1]]

    def gone(self, at: float) -> Callable[[Any, Filter | None], Iterable[Row]]:
        """What was deleted in the two months before `at`."""
        oldest = wall(at) - DELETED_KEPT_MS

        def rows(key: Any, _wanted: Filter | None) -> Iterable[Row]:
            low = key if isinstance(key, int) else -1
            return (row for row in self.deleted if row["Timestamp"] > low and row["DeletedDate"] >= oldest)

        return rows

    def addresses(self, key: Any, wanted: Filter | None) -> Iterable[Row]:
        """Visit addresses, which mirror the accounts' own."""
        low = key.lower() if isinstance(key, str) else ""
        if wanted is not None and wanted.any_of is not None:
            names = {name for name, _ in wanted.any_of}
            if names == {"Account"}:
                found = sorted(guid(value, "visit") for _, value in wanted.any_of if value in self.rows)
                return [self.visit(id_) for id_ in found if id_ > low]
        return (self.visit(id_) for id_ in self.visit_ids[bisect_right(self.visit_ids, low) :])

    def visit(self, id_: str) -> Row:
        """One visit address. Raises KeyError."""
        account = self.rows[self.visits[id_]]
        copied = (
            "AddressLine1",
            "AddressLine2",
            "AddressLine3",
            "Postcode",
            "City",
            "Country",
            "CountryName",
            "State",
            "Created",
            "Creator",
            "CreatorFullName",
            "Modified",
            "Modifier",
            "ModifierFullName",
            "Division",
        )
        return {name: account[name] for name in copied if name in account} | {
            "ID": id_,
            "Account": account["ID"],
            "AccountName": account["Name"],
            "AccountIsSupplier": account.get("IsSupplier", False),
            "Type": 1,
            "Main": True,
        }

    def bank_accounts(self, key: Any, _wanted: Filter | None) -> Iterable[Row]:
        """Bank accounts of all accounts."""
        low = key.lower() if isinstance(key, str) else ""
        rows = (row for rows in self.banks.values() for row in rows if row["ID"] > low)
        return sorted(rows, key=lambda row: row["ID"])

    def _candidates(self, wanted: Filter | None) -> set[str] | None:
        if wanted is None or wanted.any_of is None:
            return None
        found: set[str] = set()
        for name, value in wanted.any_of:
            if name == "ID":
                found |= {value} & self.rows.keys()
            elif name in self.equal:
                found |= self.equal[name].get(value, set())
            else:
                return None
        return found


def _derive(row: Row) -> None:
    row["IsSales"] = row.get("Status") == "C"
    row["IsPurchase"] = bool(row.get("IsSupplier"))
    row["CountryName"] = country_name(row.get("Country"))


def essence(row: Row) -> Row:
    """A row without what merely says when it was touched: the part that is business."""
    when = {"Created", "Modified", "Timestamp", "StartDate", "Modifier", "ModifierFullName"}
    return {
        name: row[name] for name in sorted(row) if name not in when and name not in _DERIVED and row[name] is not None
    }
