"""Which records stand inside which: the collections of a resource, the resource of their records, and what binds the two."""

from __future__ import annotations

from functools import cache

from koppel.systems.exact.sandbox import table
from koppel.systems.exact.sandbox.table import EntityType

_BINDS = {
    ("crm/Accounts", "BankAccounts"): "Account",
    ("purchase/PurchaseInvoices", "PurchaseInvoiceLines"): "InvoiceID",
    ("inventory/WarehouseTransfers", "WarehouseTransferLines"): "TransferID",
    ("assets/Assets", "CommercialBuildingValues"): "Asset",
}


@cache
def child_of(owner: EntityType, name: str) -> tuple[EntityType, str] | None:
    """The resource of a collection's records, and their property that holds the owner's key; None when nothing is told."""
    if owner.kind != "plain" and (twin := table.plain_twin(owner)) is not None and name in twin.properties:
        return child_of(twin, name)
    lines = table.related(owner, name)
    if lines is None or lines.kind != "plain":
        return None
    one = table.singular(owner.name)
    keys = [key for key in owner.keys if key != "ID"]
    known = _BINDS.get((owner.path, name))
    candidates = [known] if known else [*keys, f"{one}ID", one]
    return next(
        (
            (lines, found)
            for found in candidates
            if found in lines.properties and lines.properties[found].type == "Guid"
        ),
        None,
    )


@cache
def children(owner: EntityType) -> dict[str, tuple[EntityType, str]]:
    """All collections of a resource whose records are resources of their own."""
    found = {name: child_of(owner, name) for name, one in owner.properties.items() if one.is_collection}
    return {name: child for name, child in found.items() if child is not None}


@cache
def owner_of(lines: EntityType) -> tuple[EntityType, str] | None:
    """The resource a record stands in as a line, and the property that holds its key; None when it stands alone."""
    if lines.path == "crm/BankAccounts":  # stands on its own, though accounts show it
        return None
    for owner in table.entities().values():
        if owner.kind == "plain" and owner.service == lines.service and not owner.path.startswith("read/"):
            for child, binds in children(owner).values():
                if child is lines:
                    return owner, binds
    return None
