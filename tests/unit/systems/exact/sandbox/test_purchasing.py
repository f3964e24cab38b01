"""What is bought is ordered, received in parts into stock, invoiced by the supplier, and the ledger follows each step."""

from __future__ import annotations

import pytest

ORDERS, RECEIPTS = "purchaseorder/PurchaseOrders", "purchaseorder/GoodsReceipts"
INVOICES = "purchase/PurchaseInvoices"


def order(clerk, quantity=25, **values):
    line = {"Item": clerk.item("A-100"), "QuantityInPurchaseUnits": quantity, "NetPrice": 11}
    return clerk.post(ORDERS, **({"Supplier": clerk.supplier(), "PurchaseOrderLines": [line]} | values))


def line_of(made):
    return made["PurchaseOrderLines"]["results"][0]["ID"]


def receive(clerk, made, quantity):
    rows = [{"PurchaseOrderLineID": line_of(made), "QuantityReceived": quantity}]
    return clerk.post(RECEIPTS, ReceiptDate="2026-09-21", GoodsReceiptLines=rows)


def states(clerk, made):
    row = clerk.get(f"{ORDERS}(guid'{made['PurchaseOrderID']}')")
    return row["OrderStatus"], row["ReceiptStatus"], row["InvoiceStatus"]


def invoice(clerk, made, **line):
    rows = [{"PurchaseOrderLine": line_of(made)} | line]
    supplier = {"Supplier": made["Supplier"], "Type": 8033, "Journal": "60", "YourRef": "F-9"}
    return clerk.post(INVOICES, **supplier, PurchaseInvoiceLines=rows)


def place(clerk):
    rows = clerk.rows("inventory/ItemWarehouses", filter=f"Item eq guid'{clerk.item('A-100')}'")
    [row] = [row for row in rows if row["WarehouseCode"] == "1"]
    return row["CurrentStock"], row["PlannedStockIn"], row["ProjectedStock"]


def balance(clerk, code):
    rows = clerk.rows("financialtransaction/TransactionLines", filter=f"GLAccountCode eq '{code}'")
    return round(sum(row["AmountDC"] for row in rows), 2)


def test_a_new_order_is_open_and_expected(clerk):
    made = order(clerk)
    assert (made["OrderStatus"], made["ReceiptStatus"], made["InvoiceStatus"], made["Source"]) == (10, 10, 10, 11)
    assert (made["OrderNumber"], made["AmountFCExclVat"], made["VATAmount"]) == (1, 275.0, 57.75)
    assert place(clerk) == (40.0, 25.0, 65.0)


def test_the_usual_price_is_the_items_cost(clerk):
    line = {"Item": clerk.item("A-100"), "QuantityInPurchaseUnits": 10}
    made = clerk.post(ORDERS, Supplier=clerk.supplier(), PurchaseOrderLines=[line])
    assert made["AmountFCExclVat"] == 112.0


def test_receipts_in_parts_come_into_stock_and_into_the_ledger(clerk):
    made = order(clerk)
    assert receive(clerk, made, 10)["ReceiptNumber"] == 1
    assert states(clerk, made) == (20, 20, 10)
    assert place(clerk) == (50.0, 15.0, 65.0)
    assert (balance(clerk, "3000"), balance(clerk, "1650")) == (110.0, -110.0)
    receive(clerk, made, 15)
    assert states(clerk, made) == (20, 30, 10)
    assert place(clerk) == (65.0, 0.0, 65.0)


@pytest.mark.parametrize("quantity", [26, 0, -1])
def test_no_more_than_was_ordered_is_received(clerk, quantity):
    made = order(clerk)
    rows = [{"PurchaseOrderLineID": line_of(made), "QuantityReceived": quantity}]
    before = clerk.sandbox.snapshot()
    found = clerk.refused("POST", RECEIPTS, ReceiptDate="2026-09-21", GoodsReceiptLines=rows)
    assert found == (500, "Ongeldig: Aantal ontvangen")
    assert clerk.sandbox.snapshot() == before


def test_the_suppliers_invoice_closes_the_order_and_is_owed(clerk):
    made = order(clerk)
    receive(clerk, made, 25)
    bill = invoice(clerk, made)
    assert (bill["Amount"], bill["VATAmount"], bill["Status"]) == (332.75, 57.75, 20)
    assert states(clerk, made) == (30, 30, 30)
    assert (balance(clerk, "1650"), balance(clerk, "1510"), balance(clerk, "1600")) == (0.0, 57.75, -332.75)
    [owed] = clerk.rows("read/financial/PayablesList")
    assert (owed["Amount"], owed["YourRef"]) == (332.75, "F-9")


def test_another_price_on_the_invoice_is_a_price_difference(clerk):
    made = order(clerk)
    receive(clerk, made, 25)
    invoice(clerk, made, NetPrice=11.5, Quantity=25)
    assert (balance(clerk, "1650"), balance(clerk, "7100")) == (0.0, 12.5)


def test_a_part_invoice_leaves_the_rest(clerk):
    made = order(clerk)
    receive(clerk, made, 10)
    assert invoice(clerk, made)["AmountFCExclVat"] == 110.0, "what was received and not yet invoiced"
    assert states(clerk, made) == (20, 20, 20)


def test_a_direct_invoice_brings_its_goods_along(clerk):
    house = clerk.code("inventory/Warehouses", "1")["ID"]
    rows = [{"Item": clerk.item("A-100"), "Quantity": 4, "NetPrice": 12}]
    sent = {"Supplier": clerk.supplier(), "Type": 8030, "Journal": "60", "PurchaseInvoiceLines": rows}
    assert clerk.refused("POST", INVOICES, **sent) == (500, "Verplicht: Magazijn")
    clerk.post(INVOICES, **sent, Warehouse=house)
    assert place(clerk)[0] == 44.0
    assert (balance(clerk, "3000"), balance(clerk, "1650")) == (48.0, 0.0)


def test_a_credit_is_owed_to_us(clerk):
    made = order(clerk)
    receive(clerk, made, 25)
    rows = [{"PurchaseOrderLine": line_of(made), "Quantity": 5}]
    clerk.post(INVOICES, Supplier=made["Supplier"], Type=8034, Journal="60", PurchaseInvoiceLines=rows)
    assert [row["Amount"] for row in clerk.rows("read/financial/PayablesList")] == [-66.55]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"Type": None}, "Verplicht: Type"),
        ({"Journal": None}, "Verplicht: Dagboek"),
        ({"Type": 9999}, "Ongeldig: Type"),
        ({"Journal": "70"}, "Ongeldig: Dagboek"),
        ({"PurchaseInvoiceLines": [{"Quantity": 1}]}, "Verplicht: Artikel"),
    ],
)
def test_an_invoice_that_cannot_be_is_refused(clerk, changed: dict, says: str):
    sent = {"Supplier": clerk.supplier(), "Type": 8033, "Journal": "60"}
    sent |= {"PurchaseInvoiceLines": [{"Item": clerk.item("A-100"), "Quantity": 1}]} | changed
    before = clerk.sandbox.snapshot()
    assert clerk.refused("POST", INVOICES, **sent) == (500, says)
    assert clerk.sandbox.snapshot() == before


def test_orders_and_lines_travel_in_one_stream(clerk):
    made = order(clerk)
    select = "ID,PurchaseOrderID,LineNumber,ReceiptStatus,ReceivedQuantity,Timestamp"
    rows = clerk.rows("sync/PurchaseOrder/PurchaseOrders", filter="Timestamp gt 1", select=select)
    assert sorted(row["LineNumber"] for row in rows) == [0, 1]
    newest = max(int(row["Timestamp"]) for row in rows)
    receive(clerk, made, 10)
    again = clerk.rows("sync/PurchaseOrder/PurchaseOrders", filter=f"Timestamp gt {newest}", select=select)
    assert {(row["LineNumber"], row["ReceiptStatus"]) for row in again} == {(0, 20), (1, 20)}


def test_what_is_below_its_reorder_point_can_be_seen(clerk):
    rows = clerk.rows("inventory/ItemWarehouses", filter="WarehouseCode eq '1'")
    low = [row["ItemCode"] for row in rows if row["ProjectedStock"] < row["ReorderPoint"]]
    assert low == ["B-200"]
