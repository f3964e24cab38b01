"""Contacts, bank accounts, hours, documents and counts keep the rules the vendor is known to have."""

from __future__ import annotations

import base64

import pytest

from koppel.systems.spi import Request


def contact(clerk, account, **values):
    return clerk.post("crm/Contacts", **({"Account": account, "FirstName": "Roos", "LastName": "Duinkraan"} | values))


def test_a_contact_belongs_to_its_account_for_ever(clerk):
    account = clerk.customer()
    made = contact(clerk, account, MiddleName="van")
    assert (made["FullName"], made["IsMainContact"], made["AccountIsCustomer"]) == ("Roos van Duinkraan", True, True)
    where = f"crm/Contacts(guid'{made['ID']}')"
    assert clerk.refused("PUT", where, Account=clerk.customer()) == (500, "Ongeldig: Relatie")
    clerk.put("crm/Contacts", made["ID"], LastName="Zandberg")
    assert clerk.get(where)["FullName"] == "Roos van Zandberg"


def test_the_account_says_who_its_main_contact_is(clerk):
    account = clerk.customer()
    first, second = contact(clerk, account), contact(clerk, account, FirstName="Ties")
    assert not second["IsMainContact"]
    assert clerk.refused("PUT", f"crm/Contacts(guid'{second['ID']}')", IsMainContact=True)[0] == 400
    clerk.put("crm/Accounts", account, MainContact=second["ID"])
    shown = {row["ID"]: row["IsMainContact"] for row in clerk.rows("crm/Contacts", filter="LastName ne null")}
    assert shown == {first["ID"]: False, second["ID"]: True}
    clerk.call("DELETE", f"crm/Contacts(guid'{second['ID']}')")
    assert clerk.get(f"crm/Accounts(guid'{account}')")["MainContact"] is None


def test_an_iban_follows_from_the_number(clerk):
    account = clerk.supplier()
    made = clerk.post("crm/BankAccounts", Account=account, BankAccount="NL64 VRBD 0123 4567 89", Main=True)
    assert made["IBAN"] == "NL64VRBD0123456789"
    assert clerk.refused("POST", "crm/BankAccounts", Account=account, BankAccount="NL65VRBD0123456789")[0] == 500
    assert clerk.refused("POST", "crm/BankAccounts", Account=account, BankAccount="x", IBAN="x")[0] == 400
    [expanded] = clerk.rows("crm/Accounts", filter=f"ID eq guid'{account}'", expand="BankAccounts")
    assert [row["ID"] for row in expanded["BankAccounts"]["results"]] == [made["ID"]]
    clerk.call("DELETE", f"crm/BankAccounts(guid'{made['ID']}')")
    assert len(clerk.rows("sync/Deleted", filter="Timestamp gt 1 and EntityType eq 48")) == 1


def test_a_cost_centre_keeps_its_code(clerk):
    row = clerk.code("hrm/Costcenters", "100")
    assert clerk.refused("PUT", f"hrm/Costcenters(guid'{row['ID']}')", Code="101") == (500, "Ongeldig: Code")


def test_hours_stand_on_a_project_and_are_priced(clerk):
    project = clerk.code("project/Projects", "P-001")["ID"]
    sent = {"Item": clerk.item("U-100"), "Quantity": 1.5}
    assert clerk.refused("POST", "project/TimeTransactions", **sent) == (500, "Verplicht: Project")
    made = clerk.post("project/TimeTransactions", **sent, Project=project, Date="2026-09-18")
    assert (made["HourStatus"], made["AmountFC"], made["ProjectCode"]) == (10, 142.5, "P-001")
    where = f"project/TimeTransactions(guid'{made['ID']}')"
    assert clerk.refused("PUT", where, HourStatus=20)[0] == 500
    clerk.put("project/TimeTransactions", made["ID"], Quantity=2)
    assert clerk.get(where)["AmountFC"] == 190.0
    clerk.control("edit", resource="project/TimeTransactions", id=made["ID"], set={"HourStatus": 20})
    assert clerk.refused("PUT", where, Quantity=3)[0] == 500
    cost = clerk.post("project/CostTransactions", **sent, Project=project)
    select = "ID,Type,HourStatus,Quantity"
    rows = clerk.rows("sync/Project/TimeCostTransactions", filter="Timestamp gt 1", select=select)
    assert {(row["ID"], row["Type"], row["HourStatus"]) for row in rows} == {(made["ID"], 1, 20), (cost["ID"], 2, 10)}


def test_a_file_is_attached_and_can_be_fetched(clerk):
    document = clerk.post("documents/Documents", Subject="Factuur F-77", Type=20)
    assert document["TypeDescription"] == "Inkoopfactuur"
    sent = {"Document": document["ID"], "FileName": "factuur é.pdf"}
    made = clerk.post("documents/DocumentAttachments", **sent, Attachment=base64.b64encode(b"%PDF-1.7").decode())
    assert (made["FileSize"], made["Attachment"]) == (8, None)
    path = f"/docs/SysAttachment.aspx?ID={made['ID']}"
    assert made["Url"] == f"http://vendor.example/exact{path}"
    request = Request("GET", made["Url"], {"Authorization": f"Bearer {clerk.token}"}, b"")
    reply = clerk.sandbox.handle("/docs/SysAttachment.aspx", request)
    assert (reply.status, reply.body) == (200, b"%PDF-1.7")
    assert "factuur%20%C3%A9.pdf" in reply.headers["content-disposition"]
    assert clerk.sandbox.handle("/docs/SysAttachment.aspx", Request("GET", made["Url"], {}, b"")).status == 401
    assert clerk.refused("POST", "documents/DocumentAttachments", **sent, Attachment="no base64!")[0] == 500
    assert clerk.refused("POST", "documents/Documents", Subject="x", Type=999) == (500, "Ongeldig: Type")


def test_a_count_changes_the_stock_when_it_is_processed(clerk):
    house = clerk.code("inventory/Warehouses", "1")["ID"]
    lines = [{"Item": clerk.item(), "QuantityNew": 37}]
    sent = {"StockCountDate": "2026-09-20", "Warehouse": house, "StockCountLines": lines}
    made = clerk.post("inventory/StockCounts", **sent)
    [line] = made["StockCountLines"]["results"]
    assert (line["QuantityInStock"], line["QuantityDifference"]) == (40.0, -3.0)
    [before] = clerk.rows("read/logistics/StockPosition", _itemId=f"guid'{clerk.item()}'")
    clerk.post("inventory/ProcessStockCount", StockCountID=made["StockCountID"])
    [after] = clerk.rows("read/logistics/StockPosition", _itemId=f"guid'{clerk.item()}'")
    assert (before["InStock"], after["InStock"]) == (40.0, 37.0)
    rows = clerk.rows("financialtransaction/TransactionLines", filter="JournalCode eq '80'")
    assert sorted((row["GLAccountCode"], row["AmountDC"]) for row in rows) == [("3000", -33.6), ("7200", 33.6)]
    assert clerk.refused("POST", "inventory/ProcessStockCount", StockCountID=made["StockCountID"])[0] == 500


def test_goods_move_between_warehouses_when_it_is_processed(clerk):
    first, second = (clerk.code("inventory/Warehouses", code)["ID"] for code in "12")
    lines = [{"Item": clerk.item(), "Quantity": 4}]
    sent = {"EntryDate": "2026-09-20", "WarehouseFrom": first, "WarehouseTo": second, "WarehouseTransferLines": lines}
    made = clerk.post("inventory/WarehouseTransfers", **sent)
    clerk.post("inventory/ProcessWarehouseTransfer", TransferID=made["TransferID"])
    rows = clerk.rows("inventory/ItemWarehouses", filter=f"Item eq guid'{clerk.item()}'")
    assert {row["WarehouseCode"]: row["CurrentStock"] for row in rows} == {"1": 36.0, "2": 4.0}


def test_an_order_may_be_closed_though_not_everything_left(clerk):
    lines = [{"Item": clerk.item(), "Quantity": 5}]
    order = clerk.post("salesorder/SalesOrders", OrderedBy=clerk.customer(), SalesOrderLines=lines)
    clerk.post("salesorder/CompleteSalesOrder", OrderID=order["OrderID"])
    after = clerk.get(f"salesorder/SalesOrders(guid'{order['OrderID']}')")
    assert (after["Status"], after["DeliveryStatus"], after["InvoiceStatus"]) == (21, 21, 21)
    [place] = clerk.rows("read/logistics/StockPosition", _itemId=f"guid'{clerk.item()}'")
    assert place["PlanningOut"] == 0


@pytest.mark.parametrize("code", ["A-100", "B-100"])
def test_every_division_begins_with_properties_that_exist(clerk, code: str):
    from koppel.systems.exact.sandbox.table import entities
    from koppel.systems.exact.sandbox.views import home

    assert clerk.item(code)
    shown: dict[str, set[str]] = {}
    for one in entities().values():
        shown.setdefault(home(one), set()).update(one.properties)
    for path, records in clerk.sandbox.state.books[123456].stores.items():
        names = {name for row in records.rows.values() for name in row if not name.startswith("_")}
        assert names - shown[path] <= {"Timestamp", "Division"}, path
