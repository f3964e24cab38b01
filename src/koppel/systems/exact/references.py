"""Which properties hold the id of another record, and of which resource; whether such records are in this division.

A reference to a record of another division is said to be accepted and dropped in silence, so none is sent unseen. No listing
tells where a GUID points; this table follows the names, as the vendor uses one name for one thing (unverified one by one).
What is not in it cannot be looked up here.
"""

from __future__ import annotations

from collections.abc import Iterable

from koppel.model.problem import UsageError
from koppel.systems.exact import odata, wire
from koppel.systems.exact.asking import MOST_CONDITIONS, address
from koppel.systems.exact.rows_of import every_row
from koppel.systems.exact.vendor_table import VendorResource, resources
from koppel.systems.spi import Exchange, Site

_NAMES = {
    "crm/Accounts": (
        "Account OrderedBy InvoiceTo DeliverTo DeliveredTo Supplier Customer InvoiceAccount Accountant Reseller OrderAccount "
        "DeliveryAccount SubscriptionAccount InvolvedAccount OwnerAccount"
    ),
    "crm/Contacts": (
        "Contact MainContact ContactPerson SupplierContact AccountContact OrderedByContactPerson InvoiceToContactPerson "
        "DeliverToContactPerson DeliveredToContactPerson OrderAccountContact InvoiceAccountContact DeliveryAccountContact"
    ),
    "crm/Addresses": "DeliveryAddress DeliverToAddress InvoiceAddress",
    "crm/Quotations": "QuotationID",
    "crm/Opportunities": "Opportunity",
    "crm/LeadSources": "LeadSource",
    "crm/LeadPurposes": "LeadPurpose",
    "logistics/Items": "Item PartItem FixedPriceItem PrepaidItem DefaultItem AssembledItem",
    "logistics/ItemGroups": "ItemGroup",
    "logistics/SelectionCodes": "SelectionCode",
    "financial/GLAccounts": (
        "GLAccount GLAccountPurchase GLAccountSales GLAP GLAR GLCosts GLCostsWorkInProgress GLRevenue GLRevenueWorkInProgress "
        "GLStock PrivateGLAccount VATNonDeductibleGLAccount YearEndCostGLAccount YearEndReflectionGLAccount "
        "GLDiscountPurchase GLDiscountSales GLToClaim GLToPay OffsetGLInventory PaymentInTransitAccount"
    ),
    "project/Projects": "Project ProjectID",
    "inventory/Warehouses": "Warehouse WarehouseID WarehouseFrom WarehouseTo",
    "inventory/StorageLocations": "StorageLocation StorageLocationFrom StorageLocationTo DefaultStorageLocation",
    "inventory/StockCounts": "StockCountID",
    "inventory/WarehouseTransfers": "TransferID",
    "inventory/AssemblyOrders": "AssemblyOrder",
    "payroll/Employees": "Employee",
    "assets/Assets": "Asset",
    "documents/Documents": "Document BankStatementDocument",
    "documents/DocumentFolders": "DocumentFolder ParentFolder",
    "manufacturing/ShopOrders": "ShopOrder SubShopOrder",
    "manufacturing/Workcenters": "Workcenter WorkCenter",
    "purchaseorder/PurchaseOrders": "PurchaseOrderID",
    "purchaseorder/PurchaseOrderLines": "PurchaseOrderLineID PurchaseOrderLine",
    "purchaseorder/GoodsReceiptLines": "GoodsReceiptLineID",
    "sales/SalesChannels": "SalesChannel",
    "sales/ShippingMethods": "ShippingMethod",
    "sales/OrderCharges": "OrderCharge",
    "salesinvoice/SalesInvoices": "InvoiceID",
    "salesorder/SalesOrders": "OrderID OrderId",
    "salesorder/SalesOrderLines": "SalesOrderLineID",
    "salesorder/GoodsDeliveryLines": "GoodDeliveryLineID",
    "subscription/Subscriptions": "Subscription",
    "subscription/SubscriptionTypes": "SubscriptionType",
}
_BY_NAME = {name: path for path, names in _NAMES.items() for name in names.split()}
# Where a name means something else, or something only there; "" is nobody knows.
_HERE = {
    ("crm/Accounts", "Parent"): "crm/Accounts",
    ("system/Users", "Customer"): "",
    ("salesorder/CompleteSalesOrderLine", "ID"): "salesorder/SalesOrderLines",
    ("salesinvoice/SalesOrderID", "ID"): "salesorder/SalesOrders",
    ("crm/OptionalQuotationLineID", "ID"): "crm/QuotationLines",
    ("financialtransaction/BankEntryLines", "EntryID"): "financialtransaction/BankEntries",
    ("financialtransaction/CashEntryLines", "EntryID"): "financialtransaction/CashEntries",
    ("generaljournalentry/GeneralJournalEntryLines", "EntryID"): "generaljournalentry/GeneralJournalEntries",
    ("purchaseentry/PurchaseEntryLines", "EntryID"): "purchaseentry/PurchaseEntries",
    ("salesentry/SalesEntryLines", "EntryID"): "salesentry/SalesEntries",
    ("salesorder/GoodsDeliveryLines", "EntryID"): "salesorder/GoodsDeliveries",
    ("purchaseorder/PurchaseReturnLines", "EntryID"): "purchaseorder/PurchaseReturns",
    ("salesorder/DropShipmentLines", "EntryID"): "salesorder/DropShipments",
    ("subscription/SubscriptionLines", "EntryID"): "subscription/Subscriptions",
    **{("crm/Accounts", f"Classification{number}"): "crm/AccountClassifications" for number in range(1, 9)},
}


def target(resource: VendorResource, name: str) -> str:
    """The resource whose record a property names; "" when nobody knows, or it names none."""
    found = resource.properties[name]
    if found.type != "Guid" or found.many:
        return ""
    return _HERE.get((resource.path, name), _BY_NAME.get(name, ""))


def check(site: Site, named: Iterable[tuple[str, str, str]]) -> Exchange[None]:
    """Look up (property, resource, GUID), many in one call. Raises UsageError naming those that are not in this division."""
    by_path: dict[str, dict[str, list[str]]] = {}
    for name, path, value in named:
        by_path.setdefault(path, {}).setdefault(value, []).append(name)
    missing: list[str] = []
    for path, values in by_path.items():
        there = yield from _there(site, path, tuple(values))
        missing += [f"{'/'.join(names)} {value} ({path})" for value, names in values.items() if value not in there]
    if missing:
        raise UsageError(
            f"Not in this division: {'; '.join(missing)}.",
            remedy="Give the id of a record of this division. Exact is said to drop others in silence, so nothing was sent.",
        )


def _there(site: Site, path: str, values: tuple[str, ...]) -> Exchange[frozenset[str]]:
    """Which of these ids a resource has."""
    key = resources()[path].key[0]
    groups = [(value, (odata.compare(odata.prop(key), "eq", odata.guid(value)),)) for value in values]
    room = wire.URL_ROOM - len(address(site.settings, path, odata.options(select=(key,)))) - len("&$filter=()")
    found: set[str] = set()
    for chunk in odata.chunks(groups, room=room, most=MOST_CONDITIONS):
        where = odata.any_of(condition for _, conditions in chunk for condition in conditions)
        link = address(site.settings, path, odata.options(where=where, select=(key,)))
        rows = yield from every_row(site, link, path)
        found |= {str(row.get(key)).lower() for row in rows}
    return frozenset(found)
