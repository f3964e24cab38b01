"""Sales orders, their deliveries in parts, and the invoices made from them.

12 open, 20 partial, 21 complete, for the order, its deliveries and its invoices alike. [enums]
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from koppel.systems.exact.sandbox import ledger, selling, stock, table, vat
from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.money import ZERO, bare, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft, Refused, label

ORDERS, LINES = "salesorder/SalesOrders", "salesorder/SalesOrderLines"
DELIVERIES, DELIVERED = "salesorder/GoodsDeliveries", "salesorder/GoodsDeliveryLines"
OPEN, PARTIAL, COMPLETE, CANCELLED = 12, 20, 21, 45
_WORDS = {OPEN: "Open", PARTIAL: "Gedeeltelijk", COMPLETE: "Volledig", CANCELLED: "Geannuleerd"}
# InvoiceMode: what is invoiced (unverified): 0 what was delivered, 1 everything that was ordered.
_DELIVERED_ONLY = 0
# CreateMode (unverified): 0 an invoice per order, 1 one per customer.
_PER_CUSTOMER = 1


def _adding(desk: Desk, draft: Draft) -> None:
    values = draft.values
    selling.customer(desk, values)
    if values.get("OrderNumber") is None:
        values["OrderNumber"] = desk.books.next_number("sales order", 1)
    elif desk.one(ORDERS, "OrderNumber", values["OrderNumber"]) is not None:
        raise Refused(500, "Gegeven bestaat reeds.")
    values["WarehouseID"] = values.get("WarehouseID") or stock.main_warehouse(desk)
    values |= _states(OPEN, OPEN) | {"ApprovalStatus": 1, "Status": OPEN, "StatusDescription": _WORDS[OPEN]}
    parts = [_new_line(desk, values, line.values) for line in draft.lines["SalesOrderLines"]]
    values |= _totals(desk, parts)


def _new_line(desk: Desk, head: dict[str, Any], values: dict[str, Any]) -> vat.Taxed:
    found = selling.complete(desk, head, values)
    states = {"DeliveryStatus": OPEN, "InvoiceStatus": OPEN, "OrderStatus": OPEN}
    values |= states | {"QuantityDelivered": 0.0, "QuantityInvoiced": 0.0, "OrderNumber": head["OrderNumber"]}
    values["DeliveryDate"] = values.get("DeliveryDate") or head.get("DeliveryDate") or head.get("OrderDate")
    return found


def _totals(desk: Desk, parts: list[vat.Taxed]) -> Row:
    shown = selling.totals(parts, desk.books.vat_rounding)
    return {name: shown[name] for name in ("AmountFC", "AmountDC", "AmountFCExclVat")}


def _states(delivery: int, invoice: int) -> Row:
    return {
        "DeliveryStatus": delivery,
        "DeliveryStatusDescription": _WORDS[delivery],
        "InvoiceStatus": invoice,
        "InvoiceStatusDescription": _WORDS[invoice],
    }


def lines_of(desk: Desk, order: str) -> list[Row]:
    """An order's lines in their order."""
    return sorted(desk.having(LINES, "OrderID", order), key=lambda line: line.get("LineNumber") or 0)


def _replan(desk: Desk, row: Row) -> None:
    for line in lines_of(desk, row["OrderID"]):
        stock.replan(desk, line["Item"])


def _changing(_desk: Desk, row: Row, _values: dict[str, Any]) -> None:
    if row["Status"] in {COMPLETE, CANCELLED}:  # completed orders cannot be changed by the API
        raise Refused(500, "Niet toegestaan: de order is afgerond")


def _changed(desk: Desk, row: Row) -> None:
    _settle(desk, row["OrderID"])
    _replan(desk, row)


def _removing(desk: Desk, row: Row) -> None:
    _changing(desk, row, {})
    if row["Status"] != OPEN:
        raise Refused(500, "Niet toegestaan: er is al op geleverd of gefactureerd")


def _removed(desk: Desk, _row: Row, lines: list[Row]) -> None:
    for line in lines:
        stock.replan(desk, line["Item"])


def _removed_line(desk: Desk, row: Row, _lines: list[Row]) -> None:
    stock.replan(desk, row["Item"])


def _adding_line(desk: Desk, draft: Draft) -> None:
    row = desk.get(ORDERS, draft.values.get("OrderID"))
    if row is not None:
        draft.values["LineNumber"] = max((line["LineNumber"] for line in lines_of(desk, row["OrderID"])), default=0) + 1
        _new_line(desk, row, draft.values)


def _changing_line(desk: Desk, row: Row, values: dict[str, Any]) -> None:
    done = max(exact(row["QuantityDelivered"]), exact(row["QuantityInvoiced"]))
    if "Quantity" in values and exact(values["Quantity"]) < done:
        raise Refused(500, f"Ongeldig: {label('Quantity')}")
    if done and values.get("Item", row["Item"]) != row["Item"]:
        raise Refused(500, f"Ongeldig: {label('Item')}")
    kept = {**row, **values}
    if ("UnitPrice" in values or "Discount" in values) and "NetPrice" not in values:
        kept["NetPrice"] = None
    elif "NetPrice" in values and "UnitPrice" not in values:
        kept["UnitPrice"] = None
    selling.complete(desk, desk.get(ORDERS, row["OrderID"]) or {}, kept)
    values |= {name: kept[name] for name in kept if kept[name] != row.get(name)}


def _removing_line(desk: Desk, row: Row) -> None:
    if exact(row["QuantityDelivered"]) or exact(row["QuantityInvoiced"]):
        raise Refused(500, "Niet toegestaan: er is al op geleverd of gefactureerd")


def _state(wanted: Decimal, done: Decimal) -> int:
    return OPEN if done == 0 else COMPLETE if abs(done) >= abs(wanted) else PARTIAL


def _whole(states: list[int]) -> int:
    if states and all(state == COMPLETE for state in states):
        return COMPLETE
    return OPEN if all(state == OPEN for state in states) else PARTIAL


def _settle(desk: Desk, order: str) -> None:
    """Reckon an order's states and totals from its lines."""
    states: list[tuple[int, int]] = []
    parts: list[vat.Taxed] = []
    for line in lines_of(desk, order):
        wanted = exact(line["Quantity"])
        delivery = _state(wanted, exact(line["QuantityDelivered"]))
        invoice = _state(wanted, exact(line["QuantityInvoiced"]))
        states.append((delivery, invoice))
        parts.append(selling.of_line(desk, line))
        shown = {"DeliveryStatus": delivery, "InvoiceStatus": invoice, "OrderStatus": _whole([delivery, invoice])}
        if any(line[name] != value for name, value in shown.items()):
            desk.change(LINES, line["ID"], shown)
    delivery, invoice = _whole([state for state, _ in states]), _whole([state for _, state in states])
    status = _whole([delivery, invoice])
    shown = _states(delivery, invoice) | {"Status": status, "StatusDescription": _WORDS[status]} | _totals(desk, parts)
    row = desk.get(ORDERS, order) or {}
    if any(row.get(name) != value for name, value in shown.items()):
        desk.change(ORDERS, order, shown)


# --- deliveries ---------------------------------------------------------------------------------------------------


def _delivering(desk: Desk, draft: Draft) -> None:
    values, lines = draft.values, [line.values for line in draft.lines["GoodsDeliveryLines"]]
    ledger.open_period(desk, "80", values["DeliveryDate"])
    orders = _check_delivery(desk, lines)
    order = orders[0]
    if len({one["DeliverTo"] for one in orders}) > 1:
        raise Refused(500, f"Ongeldig: {label('OrderedBy')}")
    number = desk.books.next_number("delivery", 1)
    values |= {"DeliveryNumber": number, "EntryNumber": number, "DeliveryAccount": order["DeliverTo"]}
    values |= {"DeliveryAddress": order.get("DeliveryAddress"), "Warehouse": order["WarehouseID"]}
    for line in lines:
        _describe_delivery(desk, line, values["DeliveryDate"])


def _check_delivery(desk: Desk, lines: list[dict[str, Any]]) -> list[Row]:
    """The orders the lines are for. Raises Refused when more is delivered than is left."""
    taken: dict[str, Decimal] = {}
    orders: list[Row] = []
    for line in lines:
        row = desk.get(LINES, line["SalesOrderLineID"]) or {}
        taken[row["ID"]] = taken.get(row["ID"], ZERO) + exact(line["QuantityDelivered"])
        if exact(line["QuantityDelivered"]) <= 0 or taken[row["ID"]] > exact(row["Quantity"]) - exact(
            row["QuantityDelivered"]
        ):
            raise Refused(500, "Ongeldig: Aantal geleverd")  # wording unverified
        order = desk.get(ORDERS, row["OrderID"]) or {}
        _changing(desk, order, {})
        orders.append(order)
    return orders


def _describe_delivery(desk: Desk, line: dict[str, Any], moment: int) -> None:
    row = desk.get(LINES, line["SalesOrderLineID"]) or {}
    line |= {
        "Item": row["Item"],
        "QuantityOrdered": row["Quantity"],
        "SalesOrderNumber": row["OrderNumber"],
        "SalesOrderLineNumber": row["LineNumber"],
        "DeliveryDate": moment,
        "Unitcode": row.get("UnitCode"),
        "Description": line.get("Description") or row.get("Description"),
    }


def _delivered(desk: Desk, row: Row) -> None:
    for line in desk.having(DELIVERED, "EntryID", row["EntryID"]):
        _deliver(desk, line, row)


def _deliver(desk: Desk, line: Row, delivery: Row) -> None:
    sold = desk.get(LINES, line["SalesOrderLineID"]) or {}
    quantity = exact(line["QuantityDelivered"])
    desk.change(LINES, sold["ID"], {"QuantityDelivered": bare(exact(sold["QuantityDelivered"]) + quantity)})
    stock.move(desk, sold["Item"], delivery["Warehouse"], -quantity, delivery["DeliveryDate"])
    _settle(desk, sold["OrderID"])
    stock.replan(desk, sold["Item"])


def _changing_delivery(_desk: Desk, row: Row, values: dict[str, Any]) -> None:
    if values.get("DeliveryDate", row["DeliveryDate"]) != row["DeliveryDate"]:
        raise Refused(500, "Ongeldig: Leverdatum")  # unverified


def _adding_delivery_line(desk: Desk, draft: Draft) -> None:
    values = draft.values
    row = desk.get(DELIVERIES, values.get("EntryID"))
    if row is None:
        raise Refused(500, "Verplicht: EntryID")
    ledger.open_period(desk, "80", row["DeliveryDate"])
    _check_delivery(desk, [values])
    numbers = [line["LineNumber"] for line in desk.having(DELIVERED, "EntryID", row["EntryID"])]
    values["LineNumber"] = max(numbers, default=0) + 1
    _describe_delivery(desk, values, row["DeliveryDate"])


def _added_delivery_line(desk: Desk, line: Row) -> None:
    _deliver(desk, line, desk.get(DELIVERIES, line["EntryID"]) or {})


def _changing_delivery_line(_desk: Desk, row: Row, values: dict[str, Any]) -> None:
    for name in ("QuantityDelivered", "SalesOrderLineID"):
        if values.get(name, row[name]) != row[name]:  # unverified
            raise Refused(500, f"Ongeldig: {label(name)}")


# --- invoices from orders -----------------------------------------------------------------------------------------


def invoicing(invoice: Behaviour) -> Behaviour:
    """The action InvoiceSalesOrders; `invoice` is what a sales invoice does."""

    def act(desk: Desk, draft: Draft) -> Row:
        asked = draft.values
        journal = ledger.journal(desk, asked["JournalCode"], ledger.SALES, ledger.SALES_BACK)
        wanted = [
            str(line.values.get("ID") or line.values.get("SalesOrderID") or "").lower()
            for line in draft.lines["SalesOrderIDs"]
        ]
        groups: dict[str, list[Row]] = {}
        failed: list[str] = []
        for order_id in dict.fromkeys(wanted):
            order = desk.get(ORDERS, order_id)
            if order is None:
                failed.append(f"{order_id}: order bestaat niet")
            else:
                per_customer = asked["CreateMode"] == _PER_CUSTOMER
                groups.setdefault(order["InvoiceTo"] if per_customer else order_id, []).append(order)
        made = 0
        for orders in groups.values():
            parts = [part for order in orders for part in _to_invoice(desk, order, asked["InvoiceMode"])]
            if not parts:
                failed.append(f"{orders[0]['OrderNumber']}: niets te factureren")
                continue
            _invoice(desk, invoice, journal["Code"], orders[0], parts)
            made += 1
        shown = {
            "NumberOfCreatedInvoices": made,
            "NumberOfFailedInvoices": len(failed),
            "Errors": "; ".join(failed) or None,
        }
        return {**asked, **shown, "ID": desk.books.new_guid("salesinvoice/InvoiceSalesOrders")}

    return Behaviour(acts=act)


def _to_invoice(desk: Desk, order: Row, mode: int) -> list[tuple[Row, Decimal]]:
    found: list[tuple[Row, Decimal]] = []
    for line in lines_of(desk, order["OrderID"]):
        only_delivered = mode == _DELIVERED_ONLY and stock.kept(desk, line["Item"])
        ready = exact(line["QuantityDelivered"] if only_delivered else line["Quantity"])
        left = ready - exact(line["QuantityInvoiced"])
        if left > 0:
            found.append((line, left))
    return found


def _invoice(desk: Desk, behaviour: Behaviour, journal: str, order: Row, parts: list[tuple[Row, Decimal]]) -> None:
    words = (
        "OrderedBy",
        "InvoiceTo",
        "DeliverTo",
        "PaymentCondition",
        "YourRef",
        "Description",
        "Currency",
        "Discount",
    )
    head = {name: order.get(name) for name in words} | {"Journal": journal, "OrderNumber": order["OrderNumber"]}
    lines: list[Draft] = []
    entity = table.entity("salesinvoice/SalesInvoiceLines")
    kept = (
        "Item",
        "Description",
        "UnitPrice",
        "NetPrice",
        "Discount",
        "VATCode",
        "UnitCode",
        "CostCenter",
        "CostUnit",
        "Project",
    )
    for line, quantity in parts:
        values = {name: line.get(name) for name in kept} | {"Quantity": bare(quantity)}
        values |= {"SalesOrder": line["OrderID"], "SalesOrderLine": line["ID"], "SalesOrderNumber": line["OrderNumber"]}
        lines.append(Draft(entity, values | {"SalesOrderLineNumber": line["LineNumber"]}))
    draft = Draft(table.entity("salesinvoice/SalesInvoices"), head, {"SalesInvoiceLines": lines})
    behaviour.adding(desk, draft)
    made = desk.add("salesinvoice/SalesInvoices", draft.values)
    for number, line in enumerate(lines, start=1):
        desk.add(entity.path, {**line.values, "InvoiceID": made["InvoiceID"], "LineNumber": number}, quiet=True)
    for line, quantity in parts:
        desk.change(LINES, line["ID"], {"QuantityInvoiced": bare(exact(line["QuantityInvoiced"]) + quantity)})
    for order_id in {line["OrderID"] for line, _ in parts}:
        _settle(desk, order_id)


def _complete(desk: Desk, draft: Draft) -> Row:
    """A person says that nothing more comes: what is left is neither delivered nor invoiced."""
    asked = draft.values
    row = desk.get(ORDERS, asked["OrderID"])
    if row is None:
        raise Refused(500, "Ongeldig: Order")
    _changing(desk, row, {})
    delivery = COMPLETE if asked.get("CompleteDelivery", True) else row["DeliveryStatus"]
    invoice = COMPLETE if asked.get("CompleteInvoice", True) else row["InvoiceStatus"]
    status = _whole([delivery, invoice])
    shown = _states(delivery, invoice) | {"Status": status, "StatusDescription": _WORDS[status]}
    _replan(desk, desk.change(ORDERS, row["OrderID"], shown))
    return {**asked, "SuccessMessage": f"Order {row['OrderNumber']} is afgerond"}


COMPLETED = Behaviour(acts=_complete)
ORDER = Behaviour(
    adding=_adding, added=_replan, changing=_changing, changed=_changed, removing=_removing, removed=_removed
)
LINE = Behaviour(adding=_adding_line, changing=_changing_line, removing=_removing_line, removed=_removed_line)
DELIVERY = Behaviour(adding=_delivering, added=_delivered, changing=_changing_delivery)
DELIVERY_LINE = Behaviour(adding=_adding_delivery_line, added=_added_delivery_line, changing=_changing_delivery_line)
