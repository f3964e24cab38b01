"""What a property refers to, and the names that stand beside a reference: `Account` brings `AccountName` and `AccountCode`."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from koppel.systems.exact.sandbox.books import Books
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.table import EntityType

_ACCOUNT, _GL, _PERSON = "crm/Accounts", "financial/GLAccounts", "crm/Contacts"
_BY_GUID = {
    **dict.fromkeys(
        ("Account", "Supplier", "Customer", "OrderedBy", "InvoiceTo", "DeliverTo", "OrderAccount"), _ACCOUNT
    ),
    **dict.fromkeys(("DeliveryAccount", "InvoiceAccount", "Parent", "Accountant", "Reseller"), _ACCOUNT),
    **dict.fromkeys(("GLAccount", "GLRevenue", "GLCosts", "GLStock", "GLAR", "GLAP", "GLToPay", "GLToClaim"), _GL),
    **dict.fromkeys(("GLAccountSales", "GLAccountPurchase", "GLPurchaseAccount", "PaymentInTransitAccount"), _GL),
    **dict.fromkeys(("Contact", "MainContact", "OrderedByContactPerson", "InvoiceToContactPerson"), _PERSON),
    **dict.fromkeys(("DeliverToContactPerson", "SupplierContact", "ContactPerson", "AccountContact"), _PERSON),
    "Item": "logistics/Items",
    "ItemGroup": "logistics/ItemGroups",
    "Warehouse": "inventory/Warehouses",
    "WarehouseID": "inventory/Warehouses",
    "Project": "project/Projects",
    "Document": "documents/Documents",
    "DeliveryAddress": "crm/Addresses",
    "Employee": "payroll/Employees",
    "SalesOrderLineID": "salesorder/SalesOrderLines",
    "PurchaseOrderLineID": "purchaseorder/PurchaseOrderLines",
    "PurchaseOrderLine": "purchaseorder/PurchaseOrderLines",
    "VATCodeID": "vat/VATCodes",
}
_BY_CODE = {
    "Journal": "financial/Journals",
    "JournalCode": "financial/Journals",
    **dict.fromkeys(("VATCode", "SalesVATCode", "PurchaseVATCode", "SalesVatCode"), "vat/VATCodes"),
    **dict.fromkeys(
        ("PaymentCondition", "PaymentConditionSales", "PaymentConditionPurchase"), "cashflow/PaymentConditions"
    ),
    **dict.fromkeys(("CostCenter", "Costcenter"), "hrm/Costcenters"),
    **dict.fromkeys(("CostUnit", "Costunit"), "hrm/Costunits"),
    "Unit": "logistics/Units",
    "UnitCode": "logistics/Units",
}
# A reference that means something else where it stands, or whose target this imitation does not keep.
_NOT_THERE = {("crm/Accounts", "Parent"): "crm/Accounts", ("crm/Addresses", "Contact"): _PERSON}
# property beside the reference = the reference's own name (without what follows) + this -> the target's property
_BESIDE = (
    ("Name", "Name"),
    ("Name", "FullName"),
    ("FullName", "FullName"),
    ("Code", "Code"),
    ("Description", "Description"),
)
_STEMS = {"JournalCode": "Journal", "WarehouseID": "Warehouse", "UnitCode": "Unit"}


@cache
def targets(entity: EntityType) -> dict[str, str]:
    """Which of an entity's own properties refer, and to which resource: the Guids."""
    return {
        name: _NOT_THERE.get((entity.path, name), _BY_GUID[name])
        for name, found in entity.properties.items()
        if found.type == "Guid" and name in _BY_GUID
    }


@cache
def codes(entity: EntityType) -> dict[str, str]:
    """Which properties refer by a code."""
    return {
        name: _BY_CODE[name]
        for name, found in entity.properties.items()
        if found.type == "String" and name in _BY_CODE and entity.path != _BY_CODE[name]
    }


@cache
def _beside(entity: EntityType, name: str) -> tuple[tuple[str, str], ...]:
    stem = _STEMS.get(name, name)
    found = [
        (stem + tail, source) for tail, source in _BESIDE if stem + tail in entity.properties and stem + tail != name
    ]
    return tuple(found)


def target_of(books: Books, entity: EntityType, name: str, value: Any) -> Row | None:
    """The record a property's value refers to."""
    if value is None:
        return None
    if name in targets(entity):
        return books.records(targets(entity)[name]).get(value)
    return books.records(codes(entity)[name]).one("Code", value)


def described(books: Books, entity: EntityType, row: Row, only: Collection[str] | None = None) -> Row:
    """The names, codes and descriptions that stand beside the references of a row; of `only` those when given."""
    found: Row = {}
    for name in (*targets(entity), *codes(entity)):
        beside = _beside(entity, name)
        if not beside or name not in row or (only is not None and name not in only):
            continue
        target = target_of(books, entity, name, row[name]) or {}
        for shown, source in beside:
            value = target.get(source)
            if value is not None or shown not in found:
                found[shown] = value
    return {name: value for name, value in found.items() if value is not None or name in row}
