"""One division's books in memory: the records of every resource, what was deleted, and its row versions.

Every change takes a new row version (`Timestamp`) of the division, except a change a test asks to leave no trace.
Synchronous and without a clock: the moment is an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid5

from koppel.systems.exact.sandbox import table
from koppel.systems.exact.sandbox.records import Records, Row
from koppel.systems.exact.sandbox.rules import wall

NAMESPACE = UUID("6f0f2a52-6c0b-4a51-9d2e-0a4b9f6f3c11")
ACCOUNTS = "crm/Accounts"
# What a person looks for, and what binds lines to their documents.
_INDEXED = (
    *("ChamberOfCommerce", "VATNumber", "Code", "Name", "Account", "Item", "Warehouse", "Document", "YourRef"),
    *("EntryID", "InvoiceID", "OrderID", "PurchaseOrderID", "QuotationID", "GoodsReceiptID", "StockCountID"),
    *(
        "InvoiceNumber",
        "EntryNumber",
        "OrderNumber",
        "TransferID",
        "VATCodeID",
        "GLAccount",
        "SalesOrderLineID",
        "Topic",
    ),
)
DELETED_KEPT_MS = 61 * 86_400_000  # two months [Pi]
_MOVED_START = 1_000
# sync/Deleted.EntityType [enums] of the resource whose records go.
ENTITY_TYPES = {
    "financialtransaction/TransactionLines": 1,
    "crm/Accounts": 2,
    "crm/Addresses": 3,
    "documents/DocumentAttachments": 4,
    "crm/Contacts": 5,
    "documents/Documents": 6,
    "financial/GLAccounts": 7,
    "logistics/SalesItemPrices": 8,
    "logistics/Items": 9,
    "sync/Cashflow/PaymentTerms": 10,
    "salesinvoice/SalesInvoices": 13,
    "salesinvoice/SalesInvoiceLines": 13,
    "sync/Project/TimeCostTransactions": 14,
    "project/TimeTransactions": 14,
    "project/CostTransactions": 14,
    "sync/Inventory/StockPositions": 15,
    "salesorder/GoodsDeliveries": 16,
    "salesorder/GoodsDeliveryLines": 17,
    "financial/GLClassifications": 18,
    "inventory/ItemWarehouses": 19,
    "sync/Inventory/StorageLocationStockPositions": 20,
    "project/Projects": 21,
    "purchaseorder/PurchaseOrders": 22,
    "purchaseorder/PurchaseOrderLines": 22,
    "subscription/Subscriptions": 23,
    "subscription/SubscriptionLines": 24,
    "sync/Project/ProjectWBS": 25,
    "project/ProjectPlanning": 26,
    "hrm/LeaveAbsenceHoursByDay": 27,
    "sync/Inventory/SerialBatchNumbers": 28,
    "sync/Inventory/StockSerialBatchNumbers": 29,
    "logistics/SupplierItem": 30,
    "sales/SalesPriceListVolumeDiscounts": 31,
    "salesorder/SalesOrders": 32,
    "salesorder/SalesOrderLines": 33,
    "crm/Quotations": 34,
    "crm/QuotationLines": 35,
    "manufacturing/ShopOrders": 36,
    "manufacturing/ShopOrderMaterialPlans": 37,
    "manufacturing/ShopOrderRoutingStepPlans": 38,
    "hrm/Schedules": 39,
    "sync/HRM/ScheduleEntries": 40,
    "sync/Inventory/ItemStorageLocations": 41,
    "payroll/Employees": 42,
    "payroll/Employments": 43,
    "payroll/EmploymentContracts": 44,
    "payroll/EmploymentOrganizations": 45,
    "sync/Payroll/EmploymentCLAs": 46,
    "payroll/EmploymentSalaries": 47,
    "crm/BankAccounts": 48,
    "sync/Payroll/BankAccounts": 48,
    "payroll/EmploymentTaxAuthoritiesGeneral": 49,
    "sync/Manufacturing/ShopOrderPurchasePlanning": 50,
    "sync/Manufacturing/ShopOrderSubOrders": 51,
    "manufacturing/MaterialIssues": 53,
    "manufacturing/BillOfMaterialMaterials": 54,
    "manufacturing/BillOfMaterialVersions": 55,
}


@dataclass(frozen=True, slots=True)
class Person:
    """Who makes or changes a record."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a record of a resource: Create, Update or Delete."""

    division: int
    path: str
    action: str
    key: str
    at: float


def guid(*parts: object) -> str:
    """A GUID that is the same for the same parts."""
    return str(uuid5(NAMESPACE, ":".join(map(str, parts))))


@dataclass
class Books:
    """A division. `number` is its code; `about` holds the properties of its division record.

    `listeners` hear of every change; `closed` are the periods (journal, year, period) nobody may book in any more.
    """

    seed: int
    number: int
    about: Row
    stamp: int
    stores: dict[str, Records] = field(default_factory=dict)
    deleted: list[Row] = field(default_factory=list)
    made: Counter[str] = field(default_factory=Counter)
    last: dict[str, int] = field(default_factory=dict)  # what was numbered -> the highest number given
    closed: set[tuple[str, int, int]] = field(default_factory=set)
    vat_rounding: str = "line"
    visits: tuple[int, list[tuple[str, str]]] = (-1, [])  # of which accounts -> (visit address, account), sorted
    listeners: list[Callable[[Event], None]] = field(default_factory=list)

    def next_stamp(self) -> int:
        """The next row version. It is the database's, so it skips numbers."""
        self.stamp += 1 + self.stamp % 3
        return self.stamp

    def records(self, path: str) -> Records:
        """The records of a resource."""
        found = self.stores.get(path)
        if found is None:
            entity = table.entity(path)
            key = "ID" if entity.kind == "sync" and "ID" in entity.properties else entity.key
            indexed = [name for name in _INDEXED if name in entity.properties and name != key]
            found = self.stores[path] = Records(key, indexed)
        return found

    @property
    def accounts(self) -> Records:
        """The accounts."""
        return self.records(ACCOUNTS)

    def new_guid(self, path: str) -> str:
        """The key of a new record."""
        self.made[path] += 1
        return guid(self.seed, self.number, "account" if path == ACCOUNTS else path, self.made[path])

    def next_number(self, what: str, first: int = 1) -> int:
        """The next number of a range."""
        self.last[what] = max(self.last.get(what, first - 1) + 1, first)
        return self.last[what]

    def bury(self, path: str, row: Row, *, who: Person, at: float) -> None:
        """Tell `sync/Deleted` that a record is gone; it tells it for two months."""
        kind = ENTITY_TYPES.get(path)
        if kind is None:
            return
        stamp, key = self.next_stamp(), row[self.records(path).key]
        self.deleted.append(
            {
                "Timestamp": stamp,
                "ID": guid(self.seed, self.number, "deleted", stamp, key),
                "Division": self.number,
                "EntityType": kind,
                "EntityKey": key,
                "DeletedDate": wall(at),
                "DeletedBy": who.id,
            }
        )

    def renumber(self) -> None:
        """Give every record a new row version, as a move to another database does. [Pi]

        The new numbers start low again: whoever goes on from an old one misses everything.
        """
        self.stamp = _MOVED_START
        for records in self.stores.values():
            for key in records.ids:
                records.rows[key]["Timestamp"] = self.next_stamp()
            records.restamp()
        for row in self.deleted:
            row["Timestamp"] = self.next_stamp()

    def tell(self, path: str, action: str, key: str, at: float) -> None:
        """Let the listeners know of a change."""
        for listener in self.listeners:
            listener(Event(self.number, path, action, str(key), at))


_WHEN = frozenset({"Created", "Modified", "Timestamp", "StartDate", "Modifier", "ModifierFullName", "_made"})
_DERIVED = frozenset({"IsSales", "IsPurchase", "CountryName"})


def essence(row: Row) -> Row:
    """A row without what merely says when it was touched: the part that is business."""
    return {
        name: row[name] for name in sorted(row) if name not in _WHEN and name not in _DERIVED and row[name] is not None
    }
