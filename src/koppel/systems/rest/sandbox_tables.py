"""The rest of the made-up vendor's tables: people, articles and orders, beside the relations; plain, listed page by page.

An order names a relation and articles by their numbers, a person a relation; what does not exist is refused, as by any package
that keeps its books in order. Numbers are JSON numbers. Shares no code with the client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from koppel.model.values import Json

MOST = 50
Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """One kind of record: its word in addresses and bodies, its fields, what must be filled, what it may be asked for by, and
    which fields hold numbers of records elsewhere."""

    word: str
    fields: tuple[str, ...]
    needed: tuple[str, ...]
    asked_by: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)
    first: int = 1


TABLES: Mapping[str, Table] = {
    "contacten": Table(
        "contact",
        ("voornaam", "tussenvoegsel", "achternaam", "email", "telefoon", "functie", "relatie_id", "hoofdcontact", "referentie"),
        ("achternaam",),
        {"referentie": "referentie"},
        {"relatie_id": "relaties"},
        5001,
    ),
    "artikelen": Table(
        "artikel",
        ("code", "omschrijving", "ean", "eenheid", "prijs", "valuta", "btw", "actief", "referentie"),
        ("code", "omschrijving"),
        {"code": "code", "ean": "ean", "referentie": "referentie"},
        {},
        301,
    ),
    "orders": Table(
        "order",
        ("nummer", "datum", "relatie_id", "status", "kenmerk", "valuta", "totaal", "regels", "referentie"),
        ("nummer", "relatie_id"),
        {"nummer": "nummer", "referentie": "referentie"},
        {"relatie_id": "relaties", "regels.artikel_id": "artikelen"},
        9001,
    ),
    "bonnen": Table(
        "bon",
        ("nummer", "datum", "soort", "valuta", "totaal", "btw", "betaalwijze", "regels", "referentie"),
        ("nummer",),
        {"nummer": "nummer", "referentie": "referentie"},
        {},
        7001,
    ),
    "boekingen": Table(
        "boeking",
        ("nummer", "dagboek", "datum", "omschrijving", "valuta", "regels", "referentie"),
        ("datum",),
        {"nummer": "nummer", "referentie": "referentie"},
        {},
        8001,
    ),
}  # fmt: skip
PATH = re.compile(rf"/api/pagina/({'|'.join(TABLES)})(?:/(\d+))?")


class Refused(Exception):
    """A record that is not taken: status, the vendor's text, its field."""

    def __init__(self, status: int, text: str, name: str | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.name = status, text, name


class Shelf:
    """The records of one table."""

    def __init__(self, name: str, *, exists: Callable[[str, int], bool]) -> None:
        self.name, self.table, self.exists = name, TABLES[name], exists
        self.rows: dict[int, Row] = {}
        self.refused: set[str] = set()

    def listed(self, query: Mapping[str, str]) -> Row:
        """One page: the records asked for, and how many there are."""
        since = query.get("gewijzigd_sinds", "").replace("+00:00", "Z")
        wanted = {name: query[asked] for asked, name in self.table.asked_by.items() if asked in query}
        rows = [
            row
            for _, row in sorted(self.rows.items())
            if row["gewijzigd"] >= since and all(row[name] == value for name, value in wanted.items())
        ]
        size = max(1, min(int(query.get("aantal", MOST)), MOST))
        start = (int(query.get("pagina", 1)) - 1) * size
        return {self.name: rows[start : start + size], "totaal": len(rows)}

    def written(self, number: int | None, body: Json, *, version: str | None, stamp: str) -> Row:
        """A record made or changed. Raises Refused."""
        given = body.get(self.table.word) if isinstance(body, dict) else None
        if not isinstance(given, dict):
            raise Refused(400, f"Geen {self.table.word} ontvangen")
        if number is not None and version not in {None, str(self.rows[number]["versie"])}:
            raise Refused(412, f"{self.table.word} is intussen gewijzigd")
        strange = next((name for name in given if name not in self.table.fields), None)
        if strange is not None:
            raise Refused(422, "Onbekend veld", strange)
        row = {**self.rows.get(number or 0, {"id": 0, **dict.fromkeys(self.table.fields)}), **given}
        empty = next((name for name in self.table.needed if row[name] in (None, "")), None)
        if empty is not None:
            raise Refused(422, f"{empty} is verplicht", empty)
        bad = next((name for name, value in row.items() if isinstance(value, str) and value in self.refused), None)
        if bad is not None:
            raise Refused(422, "Deze waarde is niet toegestaan", bad)
        for path, table in self.table.names.items():
            self._known(row, path, table)
        return self.keep(number, row, stamp=stamp)

    def _known(self, row: Row, path: str, table: str) -> None:
        outer, _, inner = path.partition(".")
        named = [line.get(inner) for line in row[outer] or []] if inner else [row[outer]]
        for number in named:
            if number is not None and not (isinstance(number, int) and self.exists(table, number)):
                raise Refused(422, f"{table}: {number} bestaat niet", path)

    def keep(self, number: int | None, given: Row, *, stamp: str) -> Row:
        """Put a record away as it is."""
        number = number or max(self.rows, default=self.table.first - 1) + 1
        before = self.rows.get(number, dict.fromkeys(self.table.fields))
        row = {**before, **given, "id": number, "gewijzigd": stamp, "versie": before.get("versie", 0) + 1}
        self.rows[number] = row
        return row
