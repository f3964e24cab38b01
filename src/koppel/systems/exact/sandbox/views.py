"""Where each resource's rows come from: its own records, those of its plain twin, or something reckoned from the books.

Sync and bulk repeat the records of their plain twin, so that a change shows in all three at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from koppel.systems.exact.sandbox import reports, stock, table, terms, visits
from koppel.systems.exact.sandbox.books import DELETED_KEPT_MS, Books
from koppel.systems.exact.sandbox.filter import Filter
from koppel.systems.exact.sandbox.records import Records, Row
from koppel.systems.exact.sandbox.rules import wall
from koppel.systems.exact.sandbox.table import EntityType

Key = tuple[Any, ...] | None

# Resources that show the records of another one under another name.
_SAME_AS = {
    "bulk/Cashflow/Payments": "cashflow/Payments",
    "bulk/Cashflow/Receivables": "cashflow/Receivables",
    "bulk/Project/ProjectWBS": "sync/Project/ProjectWBS",
    "sync/SalesOrder/SalesOrderHeaders": "salesorder/SalesOrders",
    "sync/CRM/QuotationHeaders": "crm/Quotations",
    "sync/Financial/TransactionLines": "financialtransaction/TransactionLines",
    "bulk/Financial/TransactionLines": "financialtransaction/TransactionLines",
    "read/crm/Documents": "documents/Documents",
    "read/crm/DocumentsAttachments": "documents/DocumentAttachments",
    "read/logistics/ItemDetailsByID": "logistics/Items",
}
# Headers and their lines in one stream: LineNumber 0 is the header. [Pi; audit]
_FLAT = {
    "sync/SalesInvoice/SalesInvoices": ("salesinvoice/SalesInvoices", "salesinvoice/SalesInvoiceLines", "InvoiceID"),
    "sync/PurchaseOrder/PurchaseOrders": (
        "purchaseorder/PurchaseOrders",
        "purchaseorder/PurchaseOrderLines",
        "PurchaseOrderID",
    ),
}
# Streams whose rows are made of records of other resources.
_SHOWN: dict[str, tuple[tuple[str, Callable[[Row], Row]], ...]] = {
    "sync/Inventory/StockPositions": ((stock.PLACES, stock.position),),
    "sync/Project/TimeCostTransactions": (
        ("project/TimeTransactions", lambda row: {**row, "Type": 1}),
        ("project/CostTransactions", lambda row: {**row, "Type": 2}),
    ),
}
_TERMS = "sync/Cashflow/PaymentTerms"
_TERM_KINDS = {"cashflow/Receivables": terms.RECEIVABLE, "cashflow/Payments": terms.PAYABLE}


@dataclass(frozen=True, slots=True)
class Rows:
    """Adapts a function of the key to start behind to the source a query runs over."""

    rows: Callable[[Key, Filter | None], Iterable[Mapping[str, Any]]]

    def after(self, key: Key, wanted: Filter | None) -> Iterable[Mapping[str, Any]]:
        """See `query.Source`."""
        return self.rows(key, wanted)


def home(entity: EntityType) -> str:
    """The path of the resource whose records an entity shows."""
    if entity.path in _SAME_AS:
        return home(table.entity(_SAME_AS[entity.path]))
    if entity.path in _TERM_KINDS:
        return _TERMS
    twin = table.plain_twin(entity)
    return entity.path if twin is None else home(twin)


def computed(entity: EntityType, rows: Callable[[], Iterable[Mapping[str, Any]]]) -> Rows:
    """A source over rows that are made on the spot."""

    def after(key: Key, _wanted: Filter | None) -> Iterable[Mapping[str, Any]]:
        if not entity.keys:
            return list(rows()) if key is None else []
        keyed = sorted(
            ((tuple(row.get(name) for name in entity.keys), row) for row in rows()), key=lambda pair: pair[0]
        )
        return [row for found, row in keyed if key is None or found > key]

    return Rows(after)


def source(entity: EntityType, books: Books, at: float, asked: Mapping[str, str]) -> Rows:
    """The rows of a resource in a division; `asked` are the parameters without `$`."""
    if entity.path == "sync/Deleted":
        return Rows(lambda key, _wanted: _gone(books, key, at))
    if entity.path in _FLAT:
        return _flattened(entity, books)
    if entity.path in _SHOWN:
        return _merged_streams(entity, books)
    made = reports.REPORTS.get(entity.path)
    if made is not None:
        return computed(entity, lambda: made(books, at, asked))
    if not entity.keys:  # functions of the vendor that answer a question; nothing is kept for them
        return computed(entity, tuple)
    path = home(entity)
    records = books.records(path)
    merged = _visits(books) if path == visits.ADDRESSES else None
    if entity.kind == "sync":
        streams = [records.by_stamp] if merged is None else [records.by_stamp, merged.by_stamp]
        return _by_stamp(records, streams)
    if merged is not None:
        return Rows(lambda key, wanted: _merge(key, wanted, records, merged))
    if entity.path in _TERM_KINDS:
        kind = _TERM_KINDS[entity.path]
        return Rows(
            lambda key, wanted: (row for row in records.by_key(_last(key), wanted) if row.get("LineType") == kind)
        )
    return Rows(lambda key, wanted: records.by_key(_last(key), wanted))


def _last(key: Key) -> Any:
    """The part of a position that is the key (what is ordered by stands before it)."""
    if not key:
        return None
    return key[-1].lower() if isinstance(key[-1], str) else key[-1]


def _by_stamp(records: Records, streams: Sequence[Callable[[int | None, Filter | None], Iterable[Row]]]) -> Rows:
    name = records.key

    def after(key: Key, wanted: Filter | None) -> Iterator[Row]:
        low = next((part for part in key or () if isinstance(part, int)), None)
        found = streams[0](low, wanted) if len(streams) == 1 else _woven(stream(low, wanted) for stream in streams)
        for row in found:
            yield row if name == "ID" else {**row, "ID": row[name]}

    return Rows(after)


def _woven(streams: Iterable[Iterable[Row]]) -> Iterator[Row]:
    return heapq.merge(*streams, key=lambda row: row["Timestamp"])


def _flattened(entity: EntityType, books: Books) -> Rows:
    headers, lines, key_name = _FLAT[entity.path]
    above, below = books.records(headers), books.records(lines)

    def heads(low: int | None, wanted: Filter | None) -> Iterator[Row]:
        for row in above.by_stamp(low, wanted):
            yield {**row, "ID": row[key_name], "LineNumber": 0}

    def bodies(low: int | None, wanted: Filter | None) -> Iterator[Row]:
        for row in below.by_stamp(low, wanted):
            yield {**above.rows.get(row[key_name], {}), **row}

    def after(key: Key, wanted: Filter | None) -> Iterator[Row]:
        low = next((part for part in key or () if isinstance(part, int)), None)
        return _woven((heads(low, wanted), bodies(low, wanted)))

    return Rows(after)


def _merged_streams(entity: EntityType, books: Books) -> Rows:
    def after(key: Key, wanted: Filter | None) -> Iterator[Row]:
        low = next((part for part in key or () if isinstance(part, int)), None)
        return _woven(map(show, books.records(path).by_stamp(low, wanted)) for path, show in _SHOWN[entity.path])

    return Rows(after)


def _visits(books: Books) -> visits.Visits:
    return visits.Visits(books)


def _merge(key: Key, wanted: Filter | None, records: Records, merged: visits.Visits) -> Iterable[Row]:
    low = _last(key)
    return heapq.merge(records.by_key(low, wanted), merged.by_key(low, wanted), key=lambda row: row["ID"])


def _gone(books: Books, key: Key, at: float) -> Iterator[Row]:
    """What was deleted in the two months before the moment."""
    oldest, low = wall(at) - DELETED_KEPT_MS, -1 if not key else key[-1]
    return (row for row in books.deleted if row["Timestamp"] > low and row["DeletedDate"] >= oldest)
