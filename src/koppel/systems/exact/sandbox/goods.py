"""Items and what they cost: defaults of the item group, a place in the main warehouse, prices by quantity and date; VAT codes."""

from __future__ import annotations

from typing import Any

from koppel.systems.exact.sandbox import selling, stock
from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft, Refused, label, pad

ITEMS, PRICES = "logistics/Items", "logistics/SalesItemPrices"
_FROM_GROUP = ("GLRevenue", "GLCosts", "GLStock")


def _new_item(desk: Desk, draft: Draft) -> None:
    """What is not said follows from the item group, which is the default one unless it is said (unverified)."""
    values = draft.values
    groups = desk.rows("logistics/ItemGroups")
    group = desk.get("logistics/ItemGroups", values.get("ItemGroup"))
    group = group or next((row for row in groups if row.get("IsDefault")), None)
    if group is not None:
        values["ItemGroup"] = group["ID"]
        values |= {name: group.get(name) for name in _FROM_GROUP if values.get(name) is None}
    values["Unit"] = pad("Unit", values.get("Unit") or "stuk")
    values["StartDate"] = values.get("StartDate") or desk.today
    values["Stock"] = 0.0


def _item_added(desk: Desk, row: Row) -> None:
    if row.get("IsStockItem"):
        stock.place(desk, row["ID"], None)


def _removing_item(desk: Desk, row: Row) -> None:
    used = ("salesinvoice/SalesInvoiceLines", "salesorder/SalesOrderLines", "purchaseorder/PurchaseOrderLines")
    if any(desk.books.records(path).keys_with("Item", row["ID"]) for path in used):
        raise Refused(500, f"Niet toegestaan: {label('Item')} is in gebruik")  # wording unverified


def _item_removed(desk: Desk, row: Row, _lines: list[Row]) -> None:
    for path in (stock.PLACES, PRICES):
        for found in desk.having(path, "Item", row["ID"]):
            desk.remove(path, found["ID"])


def _new_price(desk: Desk, draft: Draft) -> None:
    values = draft.values
    if desk.get(ITEMS, values.get("Item")) is None:
        raise Refused(500, f"Verplicht: {label('Item')}")
    selling.currency(desk, values)
    values["Quantity"] = values.get("Quantity") or 1.0
    values["StartDate"] = values.get("StartDate") or desk.today


def _priced(desk: Desk, row: Row) -> None:
    """An item shows its price of today."""
    item = desk.get(ITEMS, row["Item"])
    if item is None:
        return
    price = selling.price(desk, {**item, "StandardSalesPrice": None}, {"Quantity": 1})
    if item.get("StandardSalesPrice") != price:
        desk.change(ITEMS, item["ID"], {"StandardSalesPrice": price})


def _price_changing(_desk: Desk, row: Row, values: dict[str, Any]) -> None:
    if values.get("Item", row["Item"]) != row["Item"]:
        raise Refused(500, f"Ongeldig: {label('Item')}")


def _price_removed(desk: Desk, row: Row, _lines: list[Row]) -> None:
    _priced(desk, row)


def _new_code(_desk: Desk, draft: Draft) -> None:
    """A VAT code's percentage is that of its last percentages; `Percentage` itself is read-only."""
    draft.values["Code"] = str(draft.values["Code"]).strip().ljust(3)
    percentages = [line.values.get("Percentage") for line in draft.lines.get("VATPercentages", [])]
    draft.values |= {"Percentage": percentages[-1] if percentages else 0.0, "Type": draft.values.get("Type") or "E"}
    for name in ("GLToPay", "GLToClaim"):
        if draft.values["Percentage"] and draft.values.get(name) is None:  # unverified
            raise Refused(500, f"Verplicht: {label('GLAccount')}")


ITEM = Behaviour(adding=_new_item, added=_item_added, removing=_removing_item, removed=_item_removed)
PRICE = Behaviour(adding=_new_price, added=_priced, changing=_price_changing, changed=_priced, removed=_price_removed)
VAT_CODE = Behaviour(adding=_new_code)
