"""Stock per item and warehouse, the entries that follow it, and what stands reserved or on its way."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from koppel.systems.exact.sandbox import ledger
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.money import ZERO, bare, cents, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Refused, label

PLACES = "inventory/ItemWarehouses"
ITEMS = "logistics/Items"
_JOURNAL = "80"


def main_warehouse(desk: Desk) -> str:
    """The key of the main warehouse. Raises Refused when there is none."""
    found = next((row for row in desk.rows("inventory/Warehouses") if row.get("Main")), None)
    if found is None:
        raise Refused(500, f"Verplicht: {label('Warehouse')}")
    return found["ID"]


def place(desk: Desk, item: str, warehouse: str | None) -> Row:
    """The record of an item in a warehouse, made when it is missing."""
    warehouse = warehouse or main_warehouse(desk)
    for row in desk.having(PLACES, "Item", item):
        if row["Warehouse"] == warehouse:
            return row
    return desk.add(PLACES, {"Item": item, "Warehouse": warehouse, "CurrentStock": 0.0, "ProjectedStock": 0.0})


def signed(line: Mapping[str, Any], back: bool) -> Decimal:
    """What leaves the house with a line; negative when it comes back."""
    quantity = exact(line.get("Quantity"))
    return -abs(quantity) if back else quantity


def kept(desk: Desk, item: str | None) -> bool:
    """Whether stock is kept of an item."""
    return bool((desk.get(ITEMS, item) or {}).get("IsStockItem"))


def move(
    desk: Desk,
    item: str,
    warehouse: str | None,
    quantity: Decimal,
    moment: int,
    *,
    cost: Decimal | None = None,
    against: str | None = None,
) -> None:
    """Goods come in (positive) or go out, and the ledger follows at cost: sold goods, or goods not yet invoiced to us."""
    if not kept(desk, item) or not quantity:
        return
    row = place(desk, item, warehouse)
    _plan(desk, row, CurrentStock=exact(row.get("CurrentStock")) + quantity)
    goods = desk.get(ITEMS, item) or {}
    total = sum((exact(one.get("CurrentStock")) for one in desk.having(PLACES, "Item", item)), ZERO)
    desk.change(ITEMS, item, {"Stock": bare(total)})
    purchased = cost is not None
    worth = cents(abs(quantity) * (exact(goods.get("CostPriceStandard")) if cost is None else cost))
    worth = worth if quantity > 0 else -worth
    usual = ledger.account(desk, "1650") if purchased else goods.get("GLCosts") or ledger.account(desk, "7000")
    year, period = ledger.day(moment).year, ledger.day(moment).month
    number = ledger.entry_number(desk, _JOURNAL, year)
    head = {
        "EntryID": desk.books.new_guid("stock entry"),
        "EntryNumber": number,
        "JournalCode": _JOURNAL,
        "Date": moment,
        "FinancialYear": year,
        "FinancialPeriod": period,
        "Type": 90,
        "Status": 20,
        "Item": item,
    }
    of_stock = goods.get("GLStock") or ledger.account(desk, "3000")
    ledger.book(
        desk, head, [ledger.line(of_stock, worth, Quantity=bare(quantity)), ledger.line(against or usual, -worth)]
    )


def replan(desk: Desk, item: str | None) -> None:
    """Reckon anew what is on order of an item, from suppliers and by customers."""
    if not kept(desk, item):
        return
    going = _on_order(desk, _SOLD, item)
    coming = _on_order(desk, _BOUGHT, item)
    for warehouse in going.keys() | coming.keys():
        place(desk, str(item), warehouse)
    for row in desk.having(PLACES, "Item", item):
        planned = {
            "PlannedStockIn": coming.get(row["Warehouse"], ZERO),
            "PlannedStockOut": going.get(row["Warehouse"], ZERO),
        }
        if any(exact(row.get(name)) != value for name, value in planned.items()):
            _plan(desk, row, **planned)


# lines, orders, the order's key and warehouse, ordered and done quantities, the state of an order nothing follows from
_SOLD = (
    "salesorder/SalesOrderLines",
    "salesorder/SalesOrders",
    "OrderID",
    "WarehouseID",
    "Quantity",
    "QuantityDelivered",
)
_BOUGHT = (
    "purchaseorder/PurchaseOrderLines",
    "purchaseorder/PurchaseOrders",
    "PurchaseOrderID",
    "Warehouse",
    "Quantity",
    "ReceivedQuantity",
)
_DONE = {"DeliveryStatus": {21, 45}, "ReceiptStatus": {30, 40}}


def _on_order(desk: Desk, words: tuple[str, str, str, str, str, str], item: str | None) -> dict[str, Decimal]:
    lines, orders, key, warehouse, wanted, done = words
    found: dict[str, float] = {}
    records, above = desk.books.records(lines), desk.books.records(orders)
    for line_id in records.keys_with("Item", item):
        line = records.rows[line_id]
        left = (line.get(wanted) or 0.0) - (line.get(done) or 0.0)
        if left <= 0:
            continue
        order = above.rows.get(line[key]) or {}
        if any(order.get(name) in over for name, over in _DONE.items()):
            continue
        found[order[warehouse]] = found.get(order[warehouse], 0.0) + left
    return {house: exact(round(left, 6)) for house, left in found.items()}


def _plan(desk: Desk, row: Row, **changed: Decimal) -> None:
    values = {name: bare(value) for name, value in changed.items()}
    after = {**row, **values}
    here, coming, going = (exact(after.get(name)) for name in ("CurrentStock", "PlannedStockIn", "PlannedStockOut"))
    values |= {
        "ProjectedStock": bare(here + coming - going),
        "ReservedStock": bare(min(going, here) if here > 0 else ZERO),
    }
    desk.change(PLACES, row["ID"], values)


def position(row: Row) -> Row:
    """A record of an item in a warehouse as `sync/Inventory/StockPositions` shows it."""
    here, held = exact(row.get("CurrentStock")), exact(row.get("ReservedStock"))
    return {
        **row,
        "ItemId": row["Item"],
        "PlanningIn": row.get("PlannedStockIn"),
        "PlanningOut": row.get("PlannedStockOut"),
        "FreeStock": bare(here - held),
        "UnitCode": row.get("ItemUnit"),
    }
