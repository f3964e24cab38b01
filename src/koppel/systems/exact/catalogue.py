"""What is known of the 453 resources beyond their table: how a typed name is meant, which twin to read, what is peculiar.

A resource may be served three ways: `sync` (1000 rows a page, by Timestamp), `bulk` (1000 rows, columns named) and plain
(60 rows). Twins are found by the table: the same name under the same service, and every property asked for.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import cache

from koppel.model.problem import UsageError
from koppel.systems.exact.vendor_table import Property, VendorResource, resources

# Headers and lines in one: line 0 is the header, so that a row is no record of its plain twin. [Pi; audit]
FLATTENED = frozenset({"sync/SalesInvoice/SalesInvoices", "sync/PurchaseOrder/PurchaseOrders"})
# Split into …Headers and …Lines; there in 2022, gone by 2025 (fact sheet §6).
REPLACED = frozenset({"sync/SalesOrder/SalesOrders", "sync/CRM/Quotations"})
# The one pair whose services have different names.
_SERVICES = {"financialtransaction/TransactionLines": "Financial/TransactionLines"}

# Parameters a resource wants in its query, with their types. [Pi; picqer #689; fact sheet §10; casing of endPoint unverified]
# What others of this kind (read/…ByDate, …ByProject) are called is in no source; they can be given by name.
PARAMETERS: dict[str, dict[str, str]] = {
    "read/logistics/StockPosition": {"itemId": "Guid"},
    "read/financial/JournalStatusByFinancialPeriod": {"year": "Int32", "period": "Int32"},
    "read/sync/Sync/SyncTimestamp": {"modified": "DateTime", "endPoint": "String"},
}

# Padding is real data (fact sheet §5). Left: a value that is all digits, filled in front; nothing else ever matches.
_LEFT = {"crm/Accounts": {"Code": 18}, "sync/CRM/Accounts": {"Code": 18}, "bulk/CRM/Accounts": {"Code": 18}}
# Right: shown with blanks behind. Whether a filter needs them is unverified, so both spellings are asked for.
_RIGHT = {"VATCode": 3, "SalesVATCode": 3, "SalesVatCode": 3, "PurchaseVATCode": 3, "Country": 3, "Unit": 8}

_PERSONAL = re.compile(r"BSN|SocialSecurityNumber", re.IGNORECASE)  # rule B13: never fetched unless asked for by name
_TELLING = (
    "Code", "Name", "FullName", "Description", "Subject", "Title", "FileName", "OrderNumber", "InvoiceNumber", "EntryNumber",
    "Number", "Date", "EntryDate", "InvoiceDate", "OrderDate", "DueDate", "Year", "Period", "FinYear", "FinPeriod", "StartDate",
    "AccountName", "OrderedByName", "SupplierName", "CustomerName", "ItemDescription", "Journal", "JournalCode", "Status",
    "Type", "Quantity", "AmountDC", "AmountFC", "Currency", "Value",
)  # fmt: skip
COLUMNS = 9


def names() -> tuple[str, ...]:
    """Every resource, by path."""
    return tuple(resources())


def found(typed: str) -> VendorResource:
    """The resource a person means. Raises UsageError with the nearest names.

    The path, in any case; or its last part alone, when only one plain resource is called so: `accounts` is crm/Accounts.
    """
    known = resources()
    if typed in known:
        return known[typed]
    wanted = typed.strip().strip("/").casefold()
    whole = [path for path in known if path.casefold() == wanted]
    if len(whole) == 1:
        return known[whole[0]]
    called = [path for path in known if path.rpartition("/")[2].casefold() == wanted]
    plain = [path for path in called if kind(path) == "plain"]
    for several in (plain, called):
        if len(several) == 1:
            return known[several[0]]
        if several:
            raise UsageError(
                f"Exact Online has {len(several)} resources called {typed!r}.",
                remedy=f"Name one in full: {', '.join(several)}",
            )
    near = nearest(typed, [*known, *(path.rpartition("/")[2] for path in known)])
    shown = dict.fromkeys(path for word in near for path in known if word in (path, path.rpartition("/")[2]))
    raise UsageError(
        f"Exact Online has no resource called {typed!r}.",
        remedy=f"Nearest: {', '.join([*shown][:5])}" if shown else "List them with --list, or --list PART of a name.",
    )


def nearest(typed: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Names like the one typed, likest first; case does not count."""
    folded: dict[str, str] = {}
    for name in known:
        folded.setdefault(name.casefold(), name)
    wanted = typed.casefold()
    close = difflib.get_close_matches(wanted, folded, n=most, cutoff=0.6)
    within = sorted((name for name in folded if wanted and wanted in name), key=len)
    return [folded[name] for name in dict.fromkeys([*close, *within])][:most]


def kind(path: str) -> str:
    """Which rules a query of it follows: plain | sync | bulk | read."""
    first = path.partition("/")[0].lower()
    return first if first in {"sync", "bulk", "read"} else "plain"


def property_of(resource: VendorResource, typed: str) -> Property:
    """A property by name, in any case. Raises UsageError with the nearest."""
    exact = resource.properties.get(typed)
    if exact is not None:
        return exact
    folded = [p for name, p in resource.properties.items() if name.casefold() == typed.casefold()]
    if len(folded) == 1:
        return folded[0]
    near = nearest(typed, resource.properties)
    raise UsageError(
        f"{resource.path} has no property {typed!r}.",
        remedy=f"Nearest: {', '.join(near)}" if near else f"See what it has: --describe {resource.path}",
    )


@cache
def twin(path: str, way: str) -> str | None:
    """The sync or bulk resource that lists the same records as a plain one, or None."""
    if kind(path) != "plain" or path.startswith("beta/"):
        return None
    wanted = f"{way}/{_SERVICES.get(path, path)}".casefold()
    for other, facts in resources().items():
        if other.casefold() == wanted and other not in FLATTENED | REPLACED:
            lines = "LineNumber" in facts.properties and "LineNumber" not in resources()[path].properties
            return None if lines else other
    return None


def child_of(resource: VendorResource, name: str) -> VendorResource | None:
    """The resource whose records stand in a collection, or None when the table does not list it."""
    known, last = resources(), resource.properties[name].type.rpartition(".")[2].casefold()
    service = resource.path.removeprefix("bulk/").removeprefix("sync/").rpartition("/")[0].casefold()
    called = [path for path in known if kind(path) == "plain" and path.rpartition("/")[2].casefold() == last]
    same = [path for path in called if path.rpartition("/")[0].casefold() == service]
    if not called:  # salesinvoice/InvoiceSalesOrders holds SalesOrderIDs, listed as salesinvoice/SalesOrderID
        same = [path for path in known if path.casefold() == f"{service}/{last.removesuffix('s')}"]
    chosen = same or called
    return known[chosen[0]] if len(chosen) == 1 else None


def usual_columns(resource: VendorResource) -> tuple[str, ...]:
    """What to show of a resource when nobody says: its key and what tells records apart, where its twins have it too."""
    usable = {p.name for p in resource.properties.values() if shown_unasked(p)}
    for way in ("sync", "bulk"):
        other = twin(resource.path, way)
        if other is not None and resources()[other].properties.keys() >= set(resource.key):
            usable &= resources()[other].properties.keys()
    chosen = [name for name in (*resource.key, *_TELLING) if name in usable]
    if len(chosen) < 4:
        chosen += [name for name in resource.properties if name in usable]
    kept = list(dict.fromkeys(chosen))[:COLUMNS]
    return tuple(kept or [p.name for p in resource.properties.values() if not p.many][:1])


def shown_unasked(found: Property) -> bool:
    """Whether `*` and the usual columns may hold it: no collections, no file contents, nothing obsolete, no BSN."""
    return not (found.many or found.obsolete or found.type == "Binary" or _PERSONAL.search(found.name))


def spellings(resource: VendorResource, name: str, value: str) -> tuple[str, ...]:
    """How a text may stand in a property that is filled with blanks; the value itself elsewhere.

    >>> spellings(resources()["crm/Accounts"], "Code", "8")
    ('                 8',)
    >>> spellings(resources()["crm/Accounts"], "Country", "NL")
    ('NL', 'NL ')
    """
    left = _LEFT.get(resource.path, {}).get(name)
    if left is not None and value.strip().isdecimal():
        return (value.strip().rjust(left),)
    width = 3 if (resource.path, name) == ("vat/VATCodes", "Code") else _RIGHT.get(name, 0)
    plain = value.rstrip()
    return tuple(dict.fromkeys((plain, plain.ljust(width)))) if width and plain else (value,)
