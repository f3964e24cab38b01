"""A sales order is delivered in parts, and what was delivered is invoiced."""

from __future__ import annotations

import pytest

ORDERS, DELIVERIES = "salesorder/SalesOrders", "salesorder/GoodsDeliveries"


def order(clerk, *quantities, **values):
    lines = [{"Item": clerk.item("A-100"), "Quantity": quantity} for quantity in quantities or (5,)]
    return clerk.post(ORDERS, **({"OrderedBy": clerk.customer(), "SalesOrderLines": lines} | values))


def lines(made):
    return [line["ID"] for line in made["SalesOrderLines"]["results"]]


def deliver(clerk, *parts, **values):
    rows = [{"SalesOrderLineID": line, "QuantityDelivered": quantity} for line, quantity in parts]
    return clerk.post(DELIVERIES, **({"DeliveryDate": "2026-09-21", "GoodsDeliveryLines": rows} | values))


def states(clerk, made):
    row = clerk.get(f"{ORDERS}(guid'{made['OrderID']}')")
    return row["Status"], row["DeliveryStatus"], row["InvoiceStatus"]


def invoice(clerk, *orders, mode=0, create=0):
    ids = [{"ID": one["OrderID"]} for one in orders]
    return clerk.post(
        "salesinvoice/InvoiceSalesOrders", CreateMode=create, InvoiceMode=mode, JournalCode="70", SalesOrderIDs=ids
    )


def stock(clerk, item):
    [row] = clerk.rows("read/logistics/StockPosition", _itemId=f"guid'{item}'")
    return row["InStock"], row["PlanningOut"], row["FreeStock"]


def test_a_new_order_is_open_numbered_and_reckoned(clerk):
    made = order(clerk)
    assert (made["OrderNumber"], made["Status"], made["DeliveryStatus"], made["InvoiceStatus"]) == (1, 12, 12, 12)
    assert (made["AmountFCExclVat"], made["AmountFC"]) == (124.75, 150.95)
    assert stock(clerk, clerk.item("A-100")) == (40.0, 5.0, 35.0), "what was sold is reserved"
    assert order(clerk)["OrderNumber"] == 2
    assert clerk.refused("POST", ORDERS, **{**resend(clerk), "OrderNumber": 2}) == (500, "Gegeven bestaat reeds.")


def resend(clerk):
    return {"OrderedBy": clerk.customer(), "SalesOrderLines": [{"Item": clerk.item("A-100"), "Quantity": 1}]}


def test_deliveries_in_parts_move_the_states_and_the_stock(clerk):
    made = order(clerk, 5, 2)
    first, second = lines(made)
    delivery = deliver(clerk, (first, 3), TrackingNumber="3S123")
    assert (delivery["DeliveryNumber"], delivery["TrackingNumber"]) == (1, "3S123")
    assert states(clerk, made) == (20, 20, 12)
    row = clerk.get(f"salesorder/SalesOrderLines(guid'{first}')")
    assert (row["QuantityDelivered"], row["DeliveryStatus"]) == (3.0, 20)
    assert stock(clerk, clerk.item("A-100")) == (37.0, 4.0, 33.0)
    deliver(clerk, (first, 2), (second, 2))
    assert states(clerk, made) == (20, 21, 12)
    assert stock(clerk, clerk.item("A-100")) == (33.0, 0.0, 33.0)


def test_what_was_delivered_leaves_the_stock_account_at_cost(clerk):
    made = order(clerk)
    deliver(clerk, (lines(made)[0], 3))
    rows = clerk.rows("financialtransaction/TransactionLines", filter="JournalCode eq '80'")
    assert sorted((row["GLAccountCode"], row["AmountDC"]) for row in rows) == [("3000", -33.6), ("7000", 33.6)]


@pytest.mark.parametrize("parts", [(6,), (3, 3), (0,), (-1,)])
def test_no_more_than_was_ordered_is_delivered(clerk, parts):
    made = order(clerk)
    rows = [{"SalesOrderLineID": lines(made)[0], "QuantityDelivered": quantity} for quantity in parts]
    before = clerk.sandbox.snapshot()
    found = clerk.refused("POST", DELIVERIES, DeliveryDate="2026-09-21", GoodsDeliveryLines=rows)
    assert found == (500, "Ongeldig: Aantal geleverd")
    assert clerk.sandbox.snapshot() == before


def test_a_delivery_for_two_customers_is_refused(clerk):
    rows = [{"SalesOrderLineID": lines(order(clerk))[0], "QuantityDelivered": 1} for _ in range(2)]
    assert clerk.refused("POST", DELIVERIES, DeliveryDate="2026-09-21", GoodsDeliveryLines=rows)[0] == 500


def test_only_what_was_delivered_is_invoiced(clerk):
    made = order(clerk, YourRef="web-9")
    assert invoice(clerk, made)["NumberOfFailedInvoices"] == 1
    deliver(clerk, (lines(made)[0], 3))
    told = invoice(clerk, made)
    assert (told["NumberOfCreatedInvoices"], told["NumberOfFailedInvoices"]) == (1, 0)
    [bill] = clerk.rows("salesinvoice/SalesInvoices", filter="YourRef eq 'web-9'", expand="SalesInvoiceLines")
    [line] = bill["SalesInvoiceLines"]["results"]
    assert (line["Quantity"], line["SalesOrderNumber"], line["SalesOrderLine"]) == (3.0, 1, lines(made)[0])
    assert (bill["Status"], bill["AmountFCExclVat"]) == (20, 74.85)
    assert states(clerk, made) == (20, 20, 20)
    assert invoice(clerk, made)["NumberOfCreatedInvoices"] == 0, "nothing is invoiced twice"
    deliver(clerk, (lines(made)[0], 2))
    invoice(clerk, made)
    assert states(clerk, made) == (21, 21, 21)


def test_everything_ordered_may_be_invoiced_before_it_leaves(clerk):
    made = order(clerk)
    assert invoice(clerk, made, mode=1)["NumberOfCreatedInvoices"] == 1
    assert states(clerk, made) == (20, 12, 21)


def test_orders_of_one_customer_may_share_an_invoice(clerk):
    buyer = clerk.customer()
    orders = [order(clerk, OrderedBy=buyer) for _ in range(2)]
    told = invoice(clerk, *orders, mode=1, create=1)
    assert told["NumberOfCreatedInvoices"] == 1
    [bill] = clerk.rows("salesinvoice/SalesInvoices", filter=f"OrderedBy eq guid'{buyer}'", select="AmountFCExclVat")
    assert bill["AmountFCExclVat"] == 249.5


def test_a_complete_order_cannot_be_changed(clerk):
    made = order(clerk)
    deliver(clerk, (lines(made)[0], 5))
    invoice(clerk, made)
    where = f"{ORDERS}(guid'{made['OrderID']}')"
    assert clerk.refused("PUT", where, Description="x")[0] == 500
    assert clerk.refused("DELETE", where)[0] == 500
    assert clerk.refused("PUT", f"salesorder/SalesOrderLines(guid'{lines(made)[0]}')", Quantity=9)[0] == 500


def test_an_open_order_may_change_but_not_below_what_left(clerk):
    made = order(clerk)
    [line] = lines(made)
    clerk.put("salesorder/SalesOrderLines", line, Quantity=8)
    assert clerk.get(f"{ORDERS}(guid'{made['OrderID']}')")["AmountFCExclVat"] == 199.6
    assert stock(clerk, clerk.item("A-100"))[1] == 8.0
    deliver(clerk, (line, 4))
    assert clerk.refused("PUT", f"salesorder/SalesOrderLines(guid'{line}')", Quantity=3)[0] == 500


def test_an_order_that_was_taken_back_reserves_nothing(clerk):
    made = order(clerk)
    assert clerk.call("DELETE", f"{ORDERS}(guid'{made['OrderID']}')").status == 204
    assert stock(clerk, clerk.item("A-100")) == (40.0, 0.0, 40.0)
    kinds = {row["EntityType"] for row in clerk.rows("sync/Deleted", filter="Timestamp gt 1")}
    assert kinds == {32, 33}


def test_headers_lines_and_stock_travel_by_sync(clerk):
    made = order(clerk)
    newest = max(
        int(row["Timestamp"])
        for path in (
            "sync/SalesOrder/SalesOrderHeaders",
            "sync/SalesOrder/SalesOrderLines",
            "sync/Inventory/StockPositions",
        )
        for row in clerk.rows(path, filter="Timestamp gt 1", select="ID,Timestamp")
    )
    deliver(clerk, (lines(made)[0], 1))
    since = f"Timestamp gt {newest}L"
    [head] = clerk.rows("sync/SalesOrder/SalesOrderHeaders", filter=since, select="ID,OrderID,DeliveryStatus")
    assert (head["ID"], head["OrderID"], head["DeliveryStatus"]) == (made["OrderID"], made["OrderID"], 20)
    [line] = clerk.rows("sync/SalesOrder/SalesOrderLines", filter=since, select="ID,QuantityDelivered")
    assert line["QuantityDelivered"] == 1.0
    [place] = clerk.rows("sync/Inventory/StockPositions", filter=since, select="ItemCode,CurrentStock,FreeStock")
    assert (place["ItemCode"], place["CurrentStock"], place["FreeStock"]) == ("A-100", 39.0, 35.0)
    assert len(clerk.rows("sync/SalesOrder/GoodsDeliveryLines", filter=since, select="ID,SalesOrderNumber")) == 1


def test_a_closed_period_takes_no_delivery(clerk):
    made = order(clerk)
    clerk.control("close_period", year=2026, period=9, journal="80")
    rows = [{"SalesOrderLineID": lines(made)[0], "QuantityDelivered": 1}]
    assert clerk.refused("POST", DELIVERIES, DeliveryDate="2026-09-21", GoodsDeliveryLines=rows)[0] == 500
    assert states(clerk, made) == (12, 12, 12)
