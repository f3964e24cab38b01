"""Items take what their group says, show the price of the day, and are quoted."""

from __future__ import annotations

import pytest


def test_a_new_item_takes_its_groups_accounts_and_a_place_in_the_main_warehouse(clerk):
    made = clerk.post("logistics/Items", Code="N-1", Description="Nieuw", IsStockItem=True, CostPriceStandard=2)
    assert (made["ItemGroupCode"], made["GLRevenueCode"], made["GLStockCode"]) == ("HANDEL", "8000", "3000")
    assert made["Unit"] == "stuk    "
    [place] = clerk.rows("inventory/ItemWarehouses", filter=f"Item eq guid'{made['ID']}'")
    assert (place["WarehouseCode"], place["CurrentStock"]) == ("1", 0)
    assert clerk.refused("POST", "logistics/Items", Code="n-1", Description="x") == (500, "Gegeven bestaat reeds.")
    assert clerk.refused("POST", "logistics/Items", Code="N-2", Description="x", StandardSalesPrice=1)[0] == 400


def test_an_item_shows_the_price_of_the_day(clerk):
    item = clerk.post("logistics/Items", Code="N-1", Description="Nieuw", SalesVatCode="4")["ID"]
    first = clerk.post("logistics/SalesItemPrices", Item=item, Price=10, StartDate="2026-01-01")
    clerk.post("logistics/SalesItemPrices", Item=item, Price=8, Quantity=10, StartDate="2026-01-01")
    clerk.post("logistics/SalesItemPrices", Item=item, Price=12, StartDate="2027-01-01")
    assert clerk.get(f"logistics/Items(guid'{item}')")["StandardSalesPrice"] == 10
    clerk.put("logistics/SalesItemPrices", first["ID"], Price=11)
    assert clerk.get(f"logistics/Items(guid'{item}')")["StandardSalesPrice"] == 11
    lines = [{"Item": item, "Quantity": quantity} for quantity in (1, 10)]
    made = clerk.post("salesinvoice/SalesInvoices", OrderedBy=clerk.customer(), SalesInvoiceLines=lines)
    assert [line["UnitPrice"] for line in made["SalesInvoiceLines"]["results"]] == [11, 8]


def test_an_item_in_use_cannot_be_removed(clerk):
    lines = [{"Item": clerk.item(), "Quantity": 1}]
    clerk.post("salesorder/SalesOrders", OrderedBy=clerk.customer(), SalesOrderLines=lines)
    assert clerk.refused("DELETE", f"logistics/Items(guid'{clerk.item()}')")[0] == 500
    assert clerk.call("DELETE", f"logistics/Items(guid'{clerk.item('C-300')}')").status == 204
    kinds = {row["EntityType"] for row in clerk.rows("sync/Deleted", filter="Timestamp gt 1")}
    assert kinds == {8, 9, 19}


def test_a_vat_code_takes_its_percentage_from_its_percentages(clerk):
    accounts = {"GLToPay": clerk.ledger("1500"), "GLToClaim": clerk.ledger("1510")}
    sent = {
        "Code": "30",
        "Description": "Nieuw hoog",
        "VATPercentages": [{"Percentage": 0.22, "StartDate": "2026-01-01"}],
    }
    made = clerk.post("vat/VATCodes", **sent, **accounts)
    assert (made["Code"], made["Percentage"], made["Type"]) == ("30 ", 0.22, "E")
    assert clerk.refused("POST", "vat/VATCodes", Code="31", Description="x", Percentage=0.1)[0] == 400
    lines = [{"Item": clerk.item(), "Quantity": 1, "UnitPrice": 100, "VATCode": "30"}]
    bill = clerk.post("salesinvoice/SalesInvoices", OrderedBy=clerk.customer(), SalesInvoiceLines=lines)
    assert bill["VATAmountFC"] == 22.0


def quote(clerk):
    lines = [{"Item": clerk.item(), "Quantity": 2}]
    return clerk.post("crm/Quotations", OrderAccount=clerk.customer(), QuotationLines=lines)


@pytest.mark.parametrize(
    ("action", "status"),
    [("AcceptQuotation", 50), ("RejectQuotation", 5), ("ReviewQuotation", 6), ("PrintQuotation", 40)],
)
def test_a_quotation_is_open_until_somebody_decides(clerk, action: str, status: int):
    made = quote(clerk)
    assert (made["Status"], made["QuotationNumber"], made["AmountFC"], made["VATAmountFC"]) == (25, 1, 60.38, 10.48)
    clerk.post(f"crm/{action}", QuotationID=made["QuotationID"])
    assert clerk.get(f"crm/Quotations(guid'{made['QuotationID']}')")["Status"] == status
    query = {"filter": "Timestamp gt 1", "select": "ID,QuotationID,Status"}
    [told] = clerk.rows("sync/CRM/QuotationHeaders", **query)
    assert (told["ID"], told["Status"]) == (made["QuotationID"], status)


def test_a_closed_quotation_cannot_change_and_may_be_opened_again(clerk):
    made = quote(clerk)
    clerk.post("crm/RejectQuotation", QuotationID=made["QuotationID"])
    where = f"crm/Quotations(guid'{made['QuotationID']}')"
    assert clerk.refused("PUT", where, Description="x")[0] == 500
    assert clerk.refused("POST", "crm/AcceptQuotation", QuotationID=made["QuotationID"])[0] == 500
    clerk.post("crm/ReopenQuotation", QuotationID=made["QuotationID"])
    clerk.put("crm/Quotations", made["QuotationID"], Description="x")
