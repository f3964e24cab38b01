"""One environment's data in memory: organisations, debtors, creditors and addresses, with indexes and a way back.

Rows hold UpdateConnector field names, plus `made` and `changed` (milliseconds of the Amsterdam wall clock written as if
UTC: the vendor's stamps know no zone). A row is never changed in place: `put` replaces it, so that a copy of the books
shares rows and a failed call is undone from the journal. Without a clock: the moment is an argument.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from koppel.systems.afas.sandbox_fields import Field
from koppel.systems.afas.sandbox_filter import fold

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
SIDES = ("Adr", "Pad")
ADDRESS_FIELDS = ("CoId", "PbAd", "StAd", "Ad", "HmNr", "HmAd", "ZpCd", "Rs", "AdAd")
Row = dict[str, Any]
Key = Any


def wall(epoch: float) -> int:
    """The Amsterdam wall clock at a moment, as milliseconds written as if UTC. [MD get-connector]"""
    local = datetime.fromtimestamp(epoch, AMSTERDAM)
    return round(local.replace(tzinfo=UTC).timestamp() * 1000)


def today(epoch: float) -> str:
    """The date in Amsterdam."""
    return datetime.fromtimestamp(epoch, AMSTERDAM).date().isoformat()


def day(text: str) -> int:
    """Midnight of an ISO date as a stamp."""
    moment = date.fromisoformat(text)
    return round(datetime(moment.year, moment.month, moment.day, tzinfo=UTC).timestamp() * 1000)


def address_key(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two addresses one: equal addresses are kept once. [MD endpoint knorganisation-post]"""
    return tuple(fold(values.get(name)) or None for name in ADDRESS_FIELDS)


class Table:
    """Rows by key in the order they were made, found again by value and by stamp."""

    def __init__(self, indexes: Mapping[str, Callable[[Row], Iterable[Any]]]) -> None:
        self.rows: dict[Key, Row] = {}
        self.stamps: list[tuple[int, Key]] = []
        self._indexes = dict(indexes)
        self._equal: dict[str, dict[Any, dict[Key, None]]] = {name: {} for name in indexes}

    def copy(self, keep: Callable[[Row], bool] = lambda row: True) -> Table:
        """The same rows, or some of them."""
        twin = Table(self._indexes)
        twin.fill({key: row for key, row in self.rows.items() if keep(row)})
        return twin

    def fill(self, rows: Mapping[Key, Row]) -> None:
        """Add many new rows at once."""
        for key, row in rows.items():
            self.rows[key] = row
            self._index(key, row)
            self.stamps.append((row["changed"], key))
        self.stamps.sort()

    def put(self, key: Key, row: Row | None) -> Row | None:
        """Replace, add or (None) remove a row; gives the one that was there."""
        old = self.rows.get(key)
        if old is not None:
            self._unindex(key, old)
            del self.stamps[bisect_left(self.stamps, (old["changed"], key))]
        if row is None:
            self.rows.pop(key, None)
            return old
        self.rows[key] = row
        self._index(key, row)
        insort(self.stamps, (row["changed"], key))
        return old

    def found(self, name: str, value: Any) -> list[Key]:
        """Keys of rows with that value, compared as the vendor compares."""
        return list(self._equal[name].get(fold(value), ()))

    def since(self, stamp: int) -> Iterator[Key]:
        """Keys of rows changed at or after that stamp."""
        return (key for _, key in self.stamps[bisect_left(self.stamps, (stamp,)) :])

    def _index(self, key: Key, row: Row) -> None:
        for name, values in self._indexes.items():
            for value in values(row):
                if value is not None and value != "":
                    self._equal[name].setdefault(fold(value), {})[key] = None

    def _unindex(self, key: Key, row: Row) -> None:
        for name, values in self._indexes.items():
            for value in values(row):
                keys = self._equal[name].get(fold(value))
                if keys is not None:
                    keys.pop(key, None)


def _one(name: str) -> Callable[[Row], Iterable[Any]]:
    return lambda row: (row.get(name),)


KEY_FIELD = {"organisation": "BcCo", "debtor": "DbId", "creditor": "CrId", "address": "AddressId"}
_INDEXES: dict[str, dict[str, Callable[[Row], Iterable[Any]]]] = {
    "organisation": {
        **{name: _one(name) for name in ("BcCo", "CcNr", "FiNr", "Nm", "adr", "pad")},
        "address": lambda row: {row.get("adr"), row.get("pad")},
    },
    "debtor": {name: _one(name) for name in ("DbId", "BcCo", "VaId")},
    "creditor": {name: _one(name) for name in ("CrId", "BcCo")},
    "address": {"same": lambda row: (address_key(row),)},
}


@dataclass
class Books:
    """An environment's tables. `free` are the tenant's own fields per UpdateConnector: other ids in each environment."""

    tables: dict[str, Table] = field(default_factory=lambda: {name: Table(found) for name, found in _INDEXES.items()})
    free: dict[str, tuple[Field, ...]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=lambda: {"organisation": 1_000, "debtor": 10_000, "address": 0})
    removed: list[dict[str, Any]] = field(default_factory=list)
    pending: dict[str, str] = field(default_factory=dict)  # BcCo -> the day its address changes
    ticks: int = 0
    version: int = 0
    journal: list[tuple[str, Key, Row | None]] | None = None

    @property
    def organisations(self) -> dict[str, Row]:
        """By BcCo."""
        return self.tables["organisation"].rows

    @property
    def debtors(self) -> dict[str, Row]:
        """By DbId."""
        return self.tables["debtor"].rows

    @property
    def creditors(self) -> dict[str, Row]:
        """By CrId."""
        return self.tables["creditor"].rows

    @property
    def addresses(self) -> dict[int, Row]:
        """By address id."""
        return self.tables["address"].rows

    def copy(self, keep: Callable[[str], bool] = lambda bcco: True) -> Books:
        """A copy that goes its own way, of all organisations or some of them."""
        twin = Books(free=dict(self.free), last=dict(self.last), removed=list(self.removed), ticks=self.ticks)
        for name in ("organisation", "debtor", "creditor"):
            twin.tables[name] = self.tables[name].copy(lambda row: keep(row["BcCo"]))
        used = {id_ for row in twin.organisations.values() for side in SIDES for _, id_ in row.get(side, ())}
        twin.tables["address"] = self.tables["address"].copy(lambda row: row["AddressId"] in used)
        twin.pending = {bcco: at for bcco, at in self.pending.items() if keep(bcco)}
        return twin

    def stamp(self, at: float) -> int:
        """The next stamp: below the second it is finer than what is ever shown. [PA README-get.md]"""
        self.ticks += 1
        return wall(at) - self.ticks * 377 % 1000

    def put(self, kind: str, key: Key, row: Row | None) -> None:
        """Replace, add or remove a row; remembered while a call is under way."""
        old = self.tables[kind].put(key, row)
        self.version += 1
        if self.journal is not None:
            self.journal.append((kind, key, old))

    def begin(self) -> Mapping[str, Any]:
        """Start a call: what `undo` needs."""
        self.journal = []
        return {"last": dict(self.last), "pending": dict(self.pending)}

    def undo(self, before: Mapping[str, Any]) -> None:
        """Take back everything since `begin`."""
        journal, self.journal = self.journal or [], None
        for kind, key, old in reversed(journal):
            self.put(kind, key, old)
        self.last, self.pending = before["last"], before["pending"]

    def keep(self) -> None:
        """End a call: its effects stay."""
        self.journal = None

    def number(self, kind: str) -> str:
        """The next free number: text, and for contacts with leading zeros."""
        table = self.tables[kind].rows
        while True:
            self.last[kind] += 1
            number = f"{self.last[kind]:0{7 if kind == 'organisation' else 5}d}"
            if number not in table:
                return number

    def address(self, values: Mapping[str, Any], stamp: int) -> int:
        """The id of that address: one that exists already is used again, and touched."""
        wanted = {name: values[name] for name in ADDRESS_FIELDS if values.get(name) not in {None, ""}}
        known = self.tables["address"].found("same", address_key(wanted))
        if known:
            self.put("address", known[0], {**self.addresses[known[0]], "changed": stamp})
            return known[0]
        self.last["address"] += 1
        id_ = self.last["address"]
        self.put("address", id_, {**wanted, "AddressId": id_, "made": stamp, "changed": stamp})
        return id_

    def settle(self, at: float) -> None:
        """Let address changes of a later day come into force when that day has come."""
        if not self.pending:
            return
        now = today(at)
        for bcco in [bcco for bcco, due in self.pending.items() if due <= now]:
            row, stamp = self.organisations[bcco], self.stamp(at)
            current = {_current(row.get(side, ()), now) for side in SIDES}
            for id_ in sorted(id_ for id_ in current if id_ is not None):
                self.put("address", id_, {**self.addresses[id_], "changed": stamp})  # its own stamp moves (unverified)
            self.put("organisation", bcco, self.in_force(row, now))

    def in_force(self, row: Row, now: str) -> Row:
        """The organisation with the addresses that hold today; later ones are kept in mind."""
        later = [begin for side in SIDES for begin, _ in row.get(side, ())[1:] if begin > now]
        self.pending.pop(row["BcCo"], None)
        if later:
            self.pending[row["BcCo"]] = min(later)
        pad = None if row.get("PadAdr", True) else _current(row.get("Pad", ()), now)
        return row | {"adr": _current(row.get("Adr", ()), now), "pad": pad}


History = tuple[tuple[str, int], ...]


def _current(history: History, now: str) -> int | None:
    """The first entry's date is ignored: it always held. [OAS BeginDate]"""
    if not history:
        return None
    return next((id_ for begin, id_ in reversed(history) if begin <= now), history[0][1])


def placed(history: History, begin: str, id_: int) -> History:
    """The history with an address from that day on."""
    return tuple(sorted({**dict(history), begin: id_}.items()))
