"""All records of one kind in a division: found by key, in the order of their row versions, and by a few equal values.

Rows are plain dicts that hold only what is filled. `Timestamp` is the row version; whoever stores a row gives it.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from koppel.systems.exact.sandbox.filter import Filter, fold

Row = dict[str, Any]


class Records:
    """One store. `key` names the property a record is found by, `indexed` those an equality is answered from."""

    def __init__(self, key: str, indexed: Iterable[str] = ()) -> None:
        self.key = key
        self.indexed = tuple(indexed)
        self.rows: dict[Any, Row] = {}
        self.ids: list[Any] = []
        self.stamps: list[tuple[int, Any]] = []
        self.version = 0  # moves when a key comes or goes
        self._equal: dict[str, dict[Any, set[Any]]] = {name: {} for name in self.indexed}

    def __len__(self) -> int:
        return len(self.rows)

    def get(self, key: Any) -> Row | None:
        """The record of a key."""
        return self.rows.get(key)

    def keys_with(self, name: str, value: Any) -> set[Any]:
        """Keys of records that carry the value, compared as the vendor compares."""
        if name in self._equal:
            return self._equal[name].get(fold(value), set())
        return {key for key, row in self.rows.items() if fold(row.get(name)) == fold(value)}

    def having(self, name: str, value: Any) -> list[Row]:
        """Records that carry the value, in the order they were made."""
        found = self.keys_with(name, value)
        return sorted((self.rows[key] for key in found), key=lambda row: row["_made"])

    def one(self, name: str, value: Any) -> Row | None:
        """The first record that carries the value."""
        return next(iter(self.having(name, value)), None)

    def put(self, row: Row) -> None:
        """Store a new record with its key and Timestamp."""
        key = row[self.key]
        row.setdefault("_made", len(self.stamps))
        self.version += 1
        self.rows[key] = row
        insort(self.ids, key)
        self.stamps.append((row["Timestamp"], key))
        for name in self.indexed:
            self._index(name, row)

    def change(self, key: Any, values: Mapping[str, Any], stamp: int | None) -> Row:
        """Change a record; without a stamp its row version stays."""
        row = self.rows[key]
        touched = [name for name in self.indexed if name in values]
        for name in touched:
            self._unindex(name, row)
        row.update(values)
        for name in touched:
            self._index(name, row)
        if stamp is not None:
            row["Timestamp"] = stamp
            self.stamps.append((stamp, key))
            if len(self.stamps) > 2 * len(self.rows) + 1000:
                self.stamps = [entry for entry in self.stamps if self._is_current(entry)]
        return row

    def drop(self, key: Any) -> Row:
        """Forget a record."""
        self.version += 1
        row = self.rows.pop(key)
        self.ids.remove(key)
        for name in self.indexed:
            self._unindex(name, row)
        return row

    def restamp(self) -> None:
        """Take over row versions that were given anew."""
        self.stamps = sorted((row["Timestamp"], key) for key, row in self.rows.items())

    def by_key(self, low: Any, wanted: Filter | None) -> Iterable[Row]:
        """Records in the order of their key, behind `low`; an index may leave out what the filter rules out."""
        found = self._candidates(wanted)
        if found is not None:
            return [self.rows[key] for key in sorted(found) if low is None or key > low]
        start = 0 if low is None else bisect_right(self.ids, low)
        return (self.rows[key] for key in self.ids[start:])

    def by_stamp(self, low: int | None, wanted: Filter | None) -> Iterator[Row]:
        """Records in the order of their row version, behind `low`."""
        low = -1 if low is None else low
        if wanted is not None and wanted.above is not None and wanted.above[0] == "Timestamp":
            low = max(low, wanted.above[1])
        for entry in self.stamps[bisect_right(self.stamps, low, key=lambda entry: entry[0]) :]:
            if self._is_current(entry):
                yield self.rows[entry[1]]

    def _is_current(self, entry: tuple[int, Any]) -> bool:
        row = self.rows.get(entry[1])
        return row is not None and row["Timestamp"] == entry[0]

    def _index(self, name: str, row: Row) -> None:
        if row.get(name) is not None:
            self._equal[name].setdefault(fold(row[name]), set()).add(row[self.key])

    def _unindex(self, name: str, row: Row) -> None:
        if row.get(name) is not None:
            self._equal[name].get(fold(row[name]), set()).discard(row[self.key])

    def _candidates(self, wanted: Filter | None) -> set[Any] | None:
        if wanted is None or wanted.any_of is None:
            return None
        found: set[Any] = set()
        for name, value in wanted.any_of:
            if name == self.key:
                found |= {value} & self.rows.keys()
            elif name in self._equal:
                found |= self._equal[name].get(value, set())
            else:
                return None
        return found
