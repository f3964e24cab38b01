"""Entity versions: what is stored says which version wrote it, and upcasters bring it to today's."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from koppel.model.company import COMPANY_FACTS, Company
from koppel.model.contact import Contact
from koppel.model.documents import Invoice, JournalEntry, Order
from koppel.model.entity import Entity
from koppel.model.product import Product
from koppel.model.record import Record
from koppel.model.values import Json

ENTITIES: dict[str, type[Entity]] = {
    "company": Company,
    "contact": Contact,
    "product": Product,
    "order": Order,
    "invoice": Invoice,
    "journal_entry": JournalEntry,
}
ENTITY_VERSIONS: dict[str, int] = dict.fromkeys(ENTITIES, 1)
FACTS: dict[str, frozenset[str]] = {name: frozenset() for name in ENTITIES} | {"company": COMPANY_FACTS}
# Canonical paths that name another record of the same connection, and what kind of thing that is.
REFERENCES: dict[str, dict[str, str]] = {
    "contact": {"company": "company"},
    "order": {"customer": "company", "lines.product": "product"},
    "invoice": {"party": "company", "lines.product": "product"},
}

# (entity, version it reads) -> function returning the next version's builtins.
UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Json]], dict[str, Json]]] = {}


def upcast(entity: str, version: int, values: dict[str, Json]) -> dict[str, Json]:
    """Bring stored builtins of `version` to today's. Raises ValueError for a version newer than this program."""
    today = ENTITY_VERSIONS[entity]
    if version > today:
        raise ValueError(
            f"{entity} version {version} was written by a newer Koppel (this one knows {today}); upgrade Koppel"
        )
    while version < today:
        values = UPCASTERS[entity, version](values)
        version += 1
    return values


def read_record(entity: str, version: int, values: dict[str, Json], own: dict[str, Json]) -> Record:
    """A record from stored builtins."""
    return Record(msgspec.convert(upcast(entity, version, values), ENTITIES[entity]), own)
