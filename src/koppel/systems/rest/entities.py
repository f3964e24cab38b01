"""What a description can name: the canonical fields of each entity, their kinds, and what a record can be found by."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from koppel.model.address import Address
from koppel.model.documents import DocumentLine, JournalLine
from koppel.model.kinds import LINE_KINDS, Kind
from koppel.model.versions import ENTITIES

KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("name", "trade_name", "statutory_name"), "name"),
    **{path: path for path in ("kvk", "phone", "email")},
    **dict.fromkeys(("branch", "rsin", "legal_form", "role", "code", "vat_state", "successor"), "code"),
    **dict.fromkeys(("is_active", "do_not_mail", "is_supplier", "blocked", "is_main", "is_stock"), "bool"),
    **dict.fromkeys(("started_on", "ended_on", "date", "due_date", "delivery_date"), "date"),
    "vat_number": "vat",
    "website": "url",
    "employees": "int",
    "mobile": "phone",
    **dict.fromkeys(("first_name", "prefix", "last_name", "job_title", "description", "reference"), "text"),
    **dict.fromkeys(("language", "ean", "unit", "currency", "vat", "group"), "code"),
    **dict.fromkeys(("number", "status", "kind", "credits", "payment_method", "journal"), "code"),
    **dict.fromkeys(("price", "total", "total_vat", "open_amount"), "decimal"),
    **dict.fromkeys(("company", "customer", "party"), "ref"),
    "lines": "lines",
}
ADDRESSES = ("address", "invoice_address", "delivery_address", "postal_address")
ADDRESS_PARTS = ("street", "number", "suffix", "po_box", "postcode", "city", "region", "country")
LINES = "lines"
# The fields a record can be asked for by, per entity: kind of key -> canonical path.
FOUND_BY: Mapping[str, Mapping[str, str]] = {
    "company": {"kvk": "kvk", "branch": "branch", "vat": "vat_number", "rsin": "rsin"},
    "contact": {"code": "code"},
    "product": {"sku": "code", "ean": "ean"},
    "order": {"number": "number"},
    "invoice": {"number": "number"},
    "journal_entry": {},
}
# What tells one record from every other, so that a write in doubt can be looked for by it.
PROBED_BY = ("kvk", "vat", "code", "sku", "ean", "number")


@lru_cache(maxsize=16)
def paths_for(entity: str) -> tuple[str, ...]:
    """The canonical paths a description can name for an entity, addresses by their parts."""
    own = ENTITIES[entity].__struct_fields__
    plain = tuple(path for path in KINDS if path in own)
    return (*plain, *(f"{address}.{part}" for address in ADDRESSES if address in own for part in ADDRESS_PARTS))


@lru_cache(maxsize=16)
def parts_for(entity: str) -> tuple[str, ...]:
    """What a line of that entity's documents can hold; empty where there are no lines."""
    line = JournalLine if entity == "journal_entry" else DocumentLine
    return line.__struct_fields__ if LINES in ENTITIES[entity].__struct_fields__ else ()


assert set(KINDS) == {path for entity in ENTITIES for path in paths_for(entity) if "." not in path}
assert set(ADDRESS_PARTS) <= set(Address.__struct_fields__)
assert set(LINE_KINDS) == {*DocumentLine.__struct_fields__, *JournalLine.__struct_fields__}
