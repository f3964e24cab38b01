"""What people do beside the API: whole documents entered, records of any resource edited, and none of it logged as ours."""

from __future__ import annotations

import pytest


def test_a_person_enters_an_invoice_and_prints_it(clerk):
    lines = [{"Item": clerk.item(), "Quantity": 2}]
    sent = {"OrderedBy": clerk.customer(), "YourRef": "balie 12", "SalesInvoiceLines": lines}
    before = clerk.control("writes")["count"]
    made = clerk.control("enter", resource="salesinvoice/SalesInvoices", body=sent)
    assert (made["AmountFC"], made["Status"]) == (60.38, 20)
    where = {"resource": "salesinvoice/SalesInvoices", "id": made["InvoiceID"]}
    assert clerk.control("enter", **where, body={"Description": "balie"})["Description"] == "balie"
    clerk.control("enter", resource="salesinvoice/PrintedSalesInvoices", body={"InvoiceID": made["InvoiceID"]})
    assert clerk.receivables() == [(26700001, 60.38)]
    shown = clerk.get(f"salesinvoice/SalesInvoices(guid'{made['InvoiceID']}')")
    assert shown["CreatorFullName"] != clerk.get("current/Me")["results"][0]["FullName"]
    assert clerk.control("writes")["count"] == before


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"resource": "salesinvoice/SalesInvoices", "body": {}}, "Verplicht: Besteld door"),
        ({"resource": "crm/Nothing", "body": {}}, "there is no resource"),
        ({"resource": "crm/Accounts", "id": "nobody", "body": {}}, "there is no such record"),
    ],
)
def test_what_cannot_be_entered_is_a_value_error(clerk, given: dict, says: str):
    with pytest.raises(ValueError, match=says):
        clerk.control("enter", **given)


def test_records_of_any_resource_are_edited_added_and_deleted(clerk):
    clerk.control("edit", resource="logistics/Items", code="A-100", set={"Description": "Trommel"})
    assert clerk.get(f"logistics/Items(guid'{clerk.item()}')")["Description"] == "Trommel"
    made = clerk.control("add", resource="hrm/Costcenters", set={"Code": "500", "Description": "Nieuw"})
    assert clerk.code("hrm/Costcenters", "500")["ID"] == made["ID"]
    clerk.control("delete", resource="hrm/Costcenters", code="500")
    assert clerk.control("rows", resource="hrm/Costcenters", code="500")["rows"] == []


def test_a_twin_has_no_records_to_edit(clerk):
    with pytest.raises(ValueError, match="those of logistics/Items"):
        clerk.control("edit", resource="sync/Logistics/Items", code="A-100", set={"Description": "x"})


def test_an_order_a_person_takes_out_reserves_nothing(clerk):
    lines = [{"Item": clerk.item(), "Quantity": 5}]
    made = clerk.post("salesorder/SalesOrders", OrderedBy=clerk.customer(), SalesOrderLines=lines)
    clerk.control("delete", resource="salesorder/SalesOrders", id=made["OrderID"])
    [place] = clerk.rows("read/logistics/StockPosition", _itemId=f"guid'{clerk.item()}'")
    assert place["PlanningOut"] == 0


def test_what_was_dropped_without_a_word_can_be_asked_for(clerk):
    nobody = "00000000-0000-4000-8000-000000000000"
    clerk.post("documents/Documents", Subject="x", Type=55, Account=nobody)
    [found] = clerk.control("nulled")["nulled"]
    assert (found["path"], found["property"], found["value"]) == ("documents/Documents", "Account", nobody)


def test_a_moved_division_has_new_row_versions_everywhere(clerk):
    query = {"filter": "Timestamp gt 1", "select": "ID,Timestamp"}
    before = {row["ID"]: int(row["Timestamp"]) for row in clerk.rows("sync/Logistics/Items", **query)}
    clerk.control("move_division")
    after = {row["ID"]: int(row["Timestamp"]) for row in clerk.rows("sync/Logistics/Items", **query)}
    assert before.keys() == after.keys()
    assert max(after.values()) < min(before.values())
    assert list(after.values()) == sorted(after.values())


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("pay", {"invoice": 1}),
        ("close_period", {"year": 2026, "period": 9, "journal": "xx"}),
        ("division_settings", {"vat_rounding": "never"}),
        ("forge_webhook", {"topic": "Nothing", "key": "x"}),
        ("add", {"resource": "vat/VATCodes", "set": {"Code": "4"}}),
        ("edit", {"resource": "read/financial/ReceivablesList", "set": {}}),
    ],
)
def test_a_wrong_action_is_a_value_error(clerk, action: str, given: dict):
    with pytest.raises(ValueError):  # noqa: PT011  what the host turns into a 400
        clerk.control(action, **given)
