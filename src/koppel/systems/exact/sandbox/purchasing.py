"""Purchase orders, goods received on them, and the supplier's invoices for them.

10 open, 20 partial, 30 complete. [enums] Goods received stand on 1650 until they are invoiced; what the invoice differs from
the order's price is booked as a price difference. Whether an invoice posted by the API is booked at once is unverified.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from koppel.systems.exact.sandbox import ledger, selling, stock, terms, vat
from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.money import ZERO, bare, cents, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft, Refused, label

ORDERS, LINES = "purchaseorder/PurchaseOrders", "purchaseorder/PurchaseOrderLines"
RECEIPTS, RECEIVED = "purchaseorder/GoodsReceipts", "purchaseorder/GoodsReceiptLines"
INVOICES, INVOICED = "purchase/PurchaseInvoices", "purchase/PurchaseInvoiceLines"
OPEN, PARTIAL, COMPLETE, CANCELLED = 10, 20, 30, 40
_BY_API = 11  # PurchaseOrders.Source [enums]
_INVOICE_TYPES = frozenset({8030, 8031, 8033, 8034})
_CREDIT, _DIRECT = frozenset({8031, 8034}), frozenset({8030, 8031})


def _supplier(desk: Desk, values: dict[str, Any]) -> Row:
    found = desk.get("crm/Accounts", values.get("Supplier"))
    if found is None or not found.get("IsSupplier"):
        raise Refused(500, f"Ongeldig: {label('Supplier')}")
    selling.currency(desk, values)
    values["PaymentCondition"] = values.get("PaymentCondition") or found.get("PaymentConditionPurchase") or "30"
    return found


def _priced(desk: Desk, supplier: Row, values: dict[str, Any], quantity: Decimal, amount: str) -> vat.Taxed:
    item = desk.get(stock.ITEMS, values.get("Item")) or {}
    if values.get("UnitPrice") is None:
        values["UnitPrice"] = (
            values["NetPrice"] if values.get("NetPrice") is not None else item.get("CostPriceStandard", 0.0)
        )
    if values.get("NetPrice") is None:
        values["NetPrice"] = bare(exact(values["UnitPrice"]) * (1 - exact(values.get("Discount"))))
    values["VATCode"] = values.get("VATCode") or supplier.get("PurchaseVATCode") or item.get("SalesVatCode")
    found = vat.taxed(vat.code_of(desk, values["VATCode"]), quantity * exact(values["NetPrice"]))
    values |= {amount: bare(found.net), "AmountDC": bare(found.net), "VATAmount": bare(found.vat)}
    values["VATPercentage"] = bare(vat.rate(found.code))
    values["Description"] = values.get("Description") or item.get("Description")
    return found


# --- orders -------------------------------------------------------------------------------------------------------


def _adding(desk: Desk, draft: Draft) -> None:
    values = draft.values
    supplier = _supplier(desk, values)
    if values.get("OrderNumber") is None:
        values["OrderNumber"] = desk.books.next_number("purchase order", 1)
    elif desk.one(ORDERS, "OrderNumber", values["OrderNumber"]) is not None:
        raise Refused(500, "Gegeven bestaat reeds.")
    values["OrderDate"] = values.get("OrderDate") or desk.today
    values["Warehouse"] = values.get("Warehouse") or stock.main_warehouse(desk)
    values |= {
        "OrderStatus": OPEN,
        "ReceiptStatus": OPEN,
        "InvoiceStatus": OPEN,
        "Source": _BY_API,
        "ApprovalStatus": 1,
    }
    parts = [_new_line(desk, supplier, values, line.values) for line in draft.lines["PurchaseOrderLines"]]
    values |= _totals(desk, parts) | {"PurchaseOrderLineCount": len(parts)}


def _new_line(desk: Desk, supplier: Row, head: Row, values: dict[str, Any]) -> vat.Taxed:
    quantity = exact(values.get("QuantityInPurchaseUnits"))
    if quantity <= 0:
        raise Refused(500, f"Ongeldig: {label('Quantity')}")
    values |= {"Quantity": bare(quantity), "ReceivedQuantity": 0.0, "InvoicedQuantity": 0.0}
    values["ReceiptDate"] = values.get("ReceiptDate") or head.get("ReceiptDate") or head.get("OrderDate")
    values["Unit"] = (desk.get(stock.ITEMS, values.get("Item")) or {}).get("Unit")
    return _priced(desk, supplier, values, quantity, "AmountFC")


def _totals(desk: Desk, parts: list[vat.Taxed]) -> Row:
    shown = selling.totals(parts, desk.books.vat_rounding)
    found = {name: shown[name] for name in ("AmountFC", "AmountDC", "AmountFCExclVat")}
    return found | {"VATAmount": shown["VATAmountFC"]}


def _lines(desk: Desk, order: str) -> list[Row]:
    return sorted(desk.having(LINES, "PurchaseOrderID", order), key=lambda line: line.get("LineNumber") or 0)


def _replan(desk: Desk, row: Row) -> None:
    for line in _lines(desk, row["PurchaseOrderID"]):
        stock.replan(desk, line["Item"])


def _changing(_desk: Desk, row: Row, _values: dict[str, Any]) -> None:
    if row["OrderStatus"] in {COMPLETE, CANCELLED}:
        raise Refused(500, "Niet toegestaan: de order is afgerond")


def _changed(desk: Desk, row: Row) -> None:
    _settle(desk, row["PurchaseOrderID"])
    _replan(desk, row)


def _removing(desk: Desk, row: Row) -> None:
    _changing(desk, row, {})
    if row["ReceiptStatus"] != OPEN or row["InvoiceStatus"] != OPEN:
        raise Refused(500, "Niet toegestaan: er is al op ontvangen of gefactureerd")


def _removed(desk: Desk, _row: Row, lines: list[Row]) -> None:
    for line in lines:
        stock.replan(desk, line["Item"])


def _removing_line(_desk: Desk, row: Row) -> None:
    if exact(row["ReceivedQuantity"]) or exact(row["InvoicedQuantity"]):
        raise Refused(500, "Niet toegestaan: er is al op ontvangen of gefactureerd")


def _removed_line(desk: Desk, row: Row, _lines: list[Row]) -> None:
    stock.replan(desk, row["Item"])


def _adding_line(desk: Desk, draft: Draft) -> None:
    row = desk.get(ORDERS, draft.values.get("PurchaseOrderID"))
    if row is not None:
        draft.values["LineNumber"] = (
            max((line["LineNumber"] for line in _lines(desk, row["PurchaseOrderID"])), default=0) + 1
        )
        _new_line(desk, desk.get("crm/Accounts", row["Supplier"]) or {}, row, draft.values)


def _changing_line(desk: Desk, row: Row, values: dict[str, Any]) -> None:
    kept = {**row, **values}
    done = max(exact(row["ReceivedQuantity"]), exact(row["InvoicedQuantity"]))
    quantity = exact(kept["QuantityInPurchaseUnits"])
    if quantity <= 0 or quantity < done:
        raise Refused(500, f"Ongeldig: {label('Quantity')}")
    if ("UnitPrice" in values or "Discount" in values) and "NetPrice" not in values:
        kept["NetPrice"] = None
    kept["Quantity"] = bare(quantity)
    order = desk.get(ORDERS, row["PurchaseOrderID"]) or {}
    _priced(desk, desk.get("crm/Accounts", order.get("Supplier")) or {}, kept, quantity, "AmountFC")
    values |= {name: kept[name] for name in kept if kept[name] != row.get(name)}


def _state(states: list[tuple[Decimal, Decimal]]) -> int:
    if states and all(done >= wanted for wanted, done in states):
        return COMPLETE
    return PARTIAL if any(done for _, done in states) else OPEN


def _settle(desk: Desk, order: str) -> None:
    lines = _lines(desk, order)
    receipt = _state([(exact(line["Quantity"]), exact(line["ReceivedQuantity"])) for line in lines])
    invoice = _state([(exact(line["Quantity"]), exact(line["InvoicedQuantity"])) for line in lines])
    status = COMPLETE if receipt == invoice == COMPLETE else OPEN if receipt == invoice == OPEN else PARTIAL
    shown = {
        "ReceiptStatus": receipt,
        "InvoiceStatus": invoice,
        "OrderStatus": status,
        "PurchaseOrderLineCount": len(lines),
    }
    shown |= _totals(desk, [selling.of_line(desk, line) for line in lines])
    desk.change(ORDERS, order, shown)
    for line in lines:  # a change to either re-stamps all [Pi; audit]
        desk.books.records(LINES).change(line["ID"], {}, desk.books.next_stamp())


# --- receipts -----------------------------------------------------------------------------------------------------


def _receiving(desk: Desk, draft: Draft) -> None:
    values, lines = draft.values, [line.values for line in draft.lines["GoodsReceiptLines"]]
    ledger.open_period(desk, "80", values["ReceiptDate"])
    orders = _check_receipt(desk, lines)
    order = orders[0]
    if len({one["Supplier"] for one in orders}) > 1:
        raise Refused(500, f"Ongeldig: {label('Supplier')}")
    number = desk.books.next_number("receipt", 1)
    values |= {"ReceiptNumber": number, "EntryNumber": number, "GoodsReceiptLineCount": len(lines)}
    values |= {"Supplier": order["Supplier"], "Warehouse": order["Warehouse"]}
    for line in lines:
        _describe_receipt(desk, line)


def _check_receipt(desk: Desk, lines: list[dict[str, Any]]) -> list[Row]:
    taken: dict[str, Decimal] = {}
    orders: list[Row] = []
    for line in lines:
        row = desk.get(LINES, line["PurchaseOrderLineID"]) or {}
        taken[row["ID"]] = taken.get(row["ID"], ZERO) + exact(line["QuantityReceived"])
        if exact(line["QuantityReceived"]) <= 0 or taken[row["ID"]] > exact(row["Quantity"]) - exact(
            row["ReceivedQuantity"]
        ):
            raise Refused(500, "Ongeldig: Aantal ontvangen")  # wording unverified
        orders.append(desk.get(ORDERS, row["PurchaseOrderID"]) or {})
    return orders


def _describe_receipt(desk: Desk, line: dict[str, Any]) -> None:
    row = desk.get(LINES, line["PurchaseOrderLineID"]) or {}
    order = desk.get(ORDERS, row["PurchaseOrderID"]) or {}
    line |= {
        "Item": row["Item"],
        "ItemUnitCode": row.get("Unit"),
        "QuantityOrdered": row["Quantity"],
        "PurchaseOrderID": row["PurchaseOrderID"],
        "PurchaseOrderNumber": order.get("OrderNumber"),
        "Description": line.get("Description") or row.get("Description"),
    }


def _received(desk: Desk, row: Row) -> None:
    for line in desk.having(RECEIVED, "GoodsReceiptID", row["ID"]):
        ordered = desk.get(LINES, line["PurchaseOrderLineID"]) or {}
        quantity = exact(line["QuantityReceived"])
        desk.change(LINES, ordered["ID"], {"ReceivedQuantity": bare(exact(ordered["ReceivedQuantity"]) + quantity)})
        stock.move(
            desk, ordered["Item"], row["Warehouse"], quantity, row["ReceiptDate"], cost=exact(ordered["NetPrice"])
        )
        _settle(desk, ordered["PurchaseOrderID"])
        stock.replan(desk, ordered["Item"])


def _no_receipt_line(_desk: Desk, _draft: Draft) -> None:
    raise Refused(500, "Niet toegestaan: een ontvangst wordt met al haar regels ingestuurd")  # unverified


# --- invoices -----------------------------------------------------------------------------------------------------


def _invoicing(desk: Desk, draft: Draft) -> None:
    values, lines = draft.values, [line.values for line in draft.lines["PurchaseInvoiceLines"]]
    supplier = _supplier(desk, values)
    if values["Type"] not in _INVOICE_TYPES:
        raise Refused(500, "Ongeldig: Type")
    if values["Type"] in _DIRECT and values.get("Warehouse") is None:
        raise Refused(500, f"Verplicht: {label('Warehouse')}")
    journal = ledger.journal(desk, values.get("Journal"), ledger.PURCHASE, ledger.PURCHASE_BACK)
    values["Journal"] = journal["Code"]
    moment = values["InvoiceDate"] = values.get("InvoiceDate") or desk.today
    values["DueDate"] = values.get("DueDate") or terms.due_date(desk, values["PaymentCondition"], moment)
    year, period = ledger.open_period(
        desk, journal["Code"], moment, values.get("FinancialYear"), values.get("FinancialPeriod")
    )
    if values["Type"] in _DIRECT:
        ledger.open_period(desk, "80", moment)
    parts = [_invoice_line(desk, supplier, values, line) for line in lines]
    shown = _totals(desk, parts)
    values |= {"Amount": shown["AmountFC"], "AmountDC": shown["AmountDC"], "AmountFCExclVat": shown["AmountFCExclVat"]}
    values |= {"VATAmount": shown["VATAmount"], "FinancialYear": year, "FinancialPeriod": period, "Status": 20}
    values |= {"EntryNumber": ledger.entry_number(desk, journal["Code"], year), "ExchangeRate": 1.0}


def _invoice_line(desk: Desk, supplier: Row, head: Row, values: dict[str, Any]) -> vat.Taxed:
    ordered = desk.get(LINES, values.get("PurchaseOrderLine"))
    if ordered is not None:
        values["Item"] = values.get("Item") or ordered["Item"]
        if values.get("UnitPrice") is None and values.get("NetPrice") is None:
            values["NetPrice"] = ordered["NetPrice"]
        if values.get("Quantity") is None:
            values["Quantity"] = bare(exact(ordered["ReceivedQuantity"]) - exact(ordered["InvoicedQuantity"]))
        values["VATCode"] = values.get("VATCode") or ordered.get("VATCode")
    if desk.get(stock.ITEMS, values.get("Item")) is None:
        raise Refused(500, f"Verplicht: {label('Item')}")
    quantity = exact(values.get("Quantity", 1))
    quantity = -abs(quantity) if head["Type"] in _CREDIT else quantity
    values |= {"Quantity": bare(quantity), "InvoiceType": head["Type"], "Currency": "EUR"}
    return _priced(desk, supplier, values, quantity, "Amount")


def _invoiced(desk: Desk, row: Row) -> None:
    lines = sorted(desk.having(INVOICED, "InvoiceID", row["ID"]), key=lambda line: line["LineNumber"])
    codes = [desk.one(vat.CODES, "Code", line.get("VATCode")) or {} for line in lines]
    parts = vat.rounded(
        [
            vat.Taxed(code, exact(line["Amount"]), exact(line["VATAmount"]))
            for code, line in zip(codes, lines, strict=True)
        ],
        desk.books.vat_rounding,
    )
    journal = ledger.journal(desk, row["Journal"], ledger.PURCHASE, ledger.PURCHASE_BACK)
    creditors = journal.get("GLAccount") or ledger.account(desk, "1600")
    total = sum((part.gross for part in parts), ZERO)
    entry = [ledger.line(creditors, -total)]
    for line, part in zip(lines, parts, strict=True):
        entry += _costs(desk, row, line, part)
        if part.vat:
            entry.append(ledger.line(part.code["GLToClaim"], part.vat, VATCode=part.code["Code"]))
    common = {"EntryID": row["ID"], "EntryNumber": row["EntryNumber"], "InvoiceNumber": row["EntryNumber"]}
    common |= {"Account": row["Supplier"], "YourRef": row.get("YourRef"), "DueDate": row["DueDate"]}
    head = {"JournalCode": row["Journal"], "Date": row["InvoiceDate"], "FinancialYear": row["FinancialYear"]}
    head |= {"FinancialPeriod": row["FinancialPeriod"], "Type": 31 if row["Type"] in _CREDIT else 30, "Status": 20}
    ledger.book(desk, common | head, entry)
    claim = {"Journal": row["Journal"], "GLAccount": creditors, "InvoiceDate": row["InvoiceDate"]}
    claim |= {
        "EntryDate": row["InvoiceDate"],
        "PaymentCondition": row["PaymentCondition"],
        "Document": row.get("Document"),
    }
    terms.owe(desk, terms.PAYABLE, total, common | claim)
    for order in {str(line.get("PurchaseOrderID")) for line in [_tick(desk, one) for one in lines] if line}:
        _settle(desk, order)


def _costs(desk: Desk, row: Row, line: Row, part: vat.Taxed) -> list[Row]:
    """What an invoice line is booked on: goods received earlier, the difference with their price, or costs."""
    words = ("Item", "Quantity", "CostCenter", "CostUnit", "Project", "Description")
    kept = {name: line.get(name) for name in words}
    if not stock.kept(desk, line["Item"]):
        item = desk.get(stock.ITEMS, line["Item"]) or {}
        return [ledger.line(item.get("GLCosts") or ledger.account(desk, "4000"), part.net, **kept)]
    waiting = ledger.account(desk, "1650")
    quantity = exact(line["Quantity"])
    if row["Type"] in _DIRECT:
        price = abs(part.net / quantity) if quantity else ZERO
        stock.move(desk, line["Item"], row["Warehouse"], quantity, row["InvoiceDate"], cost=price)
        return [ledger.line(waiting, part.net, **kept)]
    ordered = desk.get(LINES, line.get("PurchaseOrderLine"))
    expected = part.net if ordered is None else cents(quantity * exact(ordered["NetPrice"]))
    difference = part.net - expected
    found = [ledger.line(waiting, expected, **kept)]
    return [*found, ledger.line(ledger.account(desk, "7100"), difference, Item=line["Item"])] if difference else found


def _tick(desk: Desk, line: Row) -> Row | None:
    """Note on the order what was invoiced of it."""
    ordered = desk.get(LINES, line.get("PurchaseOrderLine"))
    if ordered is None:
        return None
    done = exact(ordered["InvoicedQuantity"]) + exact(line["Quantity"])
    return desk.change(LINES, ordered["ID"], {"InvoicedQuantity": bare(done)})


def _booked(_desk: Desk, _row: Row, _values: dict[str, Any]) -> None:
    raise Refused(500, "Niet toegestaan: de factuur is geboekt")  # unverified


def _removing_invoice(desk: Desk, row: Row) -> None:
    _booked(desk, row, {})


ORDER = Behaviour(
    adding=_adding, added=_replan, changing=_changing, changed=_changed, removing=_removing, removed=_removed
)
LINE = Behaviour(adding=_adding_line, changing=_changing_line, removing=_removing_line, removed=_removed_line)
RECEIPT = Behaviour(adding=_receiving, added=_received)
RECEIPT_LINE = Behaviour(adding=_no_receipt_line)
INVOICE = Behaviour(adding=_invoicing, added=_invoiced, changing=_booked, removing=_removing_invoice)
