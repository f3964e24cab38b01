"""Periods, journals and entries: what balances is booked, what does not is refused."""

from __future__ import annotations

import pytest

ENTRIES = "generaljournalentry/GeneralJournalEntries"


def entry(clerk, *lines, **values):
    own = [{"GLAccount": clerk.ledger(code), "AmountFC": amount} | more for code, amount, more in lines]
    return {"JournalCode": "90", "GeneralJournalEntryLines": own} | values


def test_an_entry_that_balances_is_booked(clerk):
    sent = entry(clerk, ("4000", 100, {"CostCenter": "200"}), ("1000", -100, {}))
    made = clerk.post(ENTRIES, **sent)
    assert (made["EntryNumber"], made["FinancialYear"], made["FinancialPeriod"], made["Type"]) == (
        26900001,
        2026,
        9,
        90,
    )
    assert clerk.booked(made["EntryID"]) == [("1000", -100.0), ("4000", 100.0)]
    [line] = clerk.rows("financialtransaction/TransactionLines", filter="CostCenter eq '200'")
    assert line["CostCenterDescription"] == "Webwinkel"


def test_vat_lines_are_generated(clerk):
    made = clerk.post(ENTRIES, **entry(clerk, ("4200", 100, {"VATCode": "4"}), ("1600", -121, {})))
    assert clerk.booked(made["EntryID"]) == [("1510", 21.0), ("1600", -121.0), ("4200", 100.0)]
    made = clerk.post(ENTRIES, **entry(clerk, ("8000", -121, {"VATCode": "3"}), ("1000", 121, {})))
    assert clerk.booked(made["EntryID"]) == [("1000", 121.0), ("1500", -21.0), ("8000", -100.0)]


@pytest.mark.parametrize(
    ("lines", "changed", "says"),
    [
        ([("4000", 100, {}), ("1000", -99.99, {})], {}, "Ongeldig: Saldo 0.01"),
        ([("4000", 100, {}), ("1000", -100, {})], {"JournalCode": "70"}, "Ongeldig: Dagboek"),
        ([("4000", 100, {"VATCode": "4"}), ("1000", -121, {})], {"JournalCode": "91"}, "Ongeldig: Btw-code"),
        ([("4000", 100, {"VATCode": "88"}), ("1000", -121, {})], {}, "Ongeldig: Btw-code"),
        ([("4000", 100, {}), ("1000", -100, {})], {"FinancialYear": 2030}, "Ongeldig: Periode 9-2030"),
        ([("4000", 100, {"CostCenter": "nergens"}), ("1000", -100, {})], {}, "Ongeldig: Kostenplaats"),
    ],
)
def test_an_entry_that_cannot_be_is_refused_whole(clerk, lines: list, changed: dict, says: str):
    before = clerk.sandbox.snapshot()
    assert clerk.refused("POST", ENTRIES, **entry(clerk, *lines, **changed)) == (500, says)
    assert clerk.sandbox.snapshot() == before


def test_an_entry_is_never_changed_but_may_be_removed(clerk):
    made = clerk.post(ENTRIES, **entry(clerk, ("4000", 100, {}), ("1000", -100, {})))
    where = f"{ENTRIES}(guid'{made['EntryID']}')"
    assert clerk.call("PUT", where, sent={"Description": "x"}).status == 405
    assert clerk.call("DELETE", where).status == 204
    assert clerk.booked(made["EntryID"]) == []
    gone = clerk.rows("sync/Deleted", filter="Timestamp gt 1 and EntityType eq 1")
    assert len(gone) == 2


def test_periods_are_open_until_somebody_closes_them(clerk):
    rows = clerk.rows("read/financial/JournalStatusByFinancialPeriod", _year=2026, _period=9)
    assert {row["Status"] for row in rows} == {0}
    assert {row["Journal"] for row in rows} >= {"20", "60", "70", "90"}
    clerk.control("close_period", year=2026, period=9, journal="90")
    rows = clerk.rows("read/financial/JournalStatusByFinancialPeriod", _year=2026, _period=9)
    assert [row["Journal"] for row in rows if row["Status"] == 1] == ["90"]
    [row] = clerk.rows("read/financial/JournalStatusList", filter="Status eq 1")
    assert (row["Journal"], row["Year"], row["Period"]) == ("90", 2026, 9)
    sent = entry(clerk, ("4000", 100, {}), ("1000", -100, {}))
    status, says = clerk.refused("POST", ENTRIES, **sent)
    assert (status, says) == (500, "Niet toegestaan: periode 9-2026 van dagboek 90 is afgesloten")
    clerk.control("close_period", year=2026, period=9, journal="90", open=True)
    made = clerk.post(ENTRIES, **sent)
    clerk.control("close_period", year=2026, period=9)
    assert clerk.refused("DELETE", f"{ENTRIES}(guid'{made['EntryID']}')")[0] == 500


def test_one_journal_period_is_found_by_its_three_keys(clerk):
    row = clerk.get("read/financial/JournalStatusList(Journal='70',Period=9,Year=2026)")
    assert row["JournalDescription"] == "Verkoopboek"
    assert row["__metadata"]["uri"].endswith("JournalStatusList(Journal='70',Period=9,Year=2026)")


def test_periods_themselves_say_nothing_of_open_or_closed(clerk):
    rows = clerk.rows("financial/FinancialPeriods", filter="FinYear eq 2026")
    assert len(rows) == 12
    assert "Status" not in rows[0]


def test_a_wide_list_wants_a_selection(clerk):
    assert clerk.refused("GET", ENTRIES) == (400, "Please add a $select or a $top=1 statement to the query string.")
    assert clerk.rows(ENTRIES, top=1) == []


def test_balances_are_reckoned_per_period(clerk):
    clerk.post(ENTRIES, **entry(clerk, ("4000", 100, {}), ("1000", -100, {})))
    clerk.post(ENTRIES, **entry(clerk, ("4000", 50, {}), ("1000", -50, {})))
    [row] = clerk.rows("financial/ReportingBalance", filter="GLAccountCode eq '4000'")
    assert (row["Amount"], row["Count"], row["ReportingPeriod"]) == (150.0, 2, 9)


def test_every_division_has_records_of_its_own(clerk):
    here = clerk.ledger("4000")
    clerk.division = 123457
    assert clerk.ledger("4000") != here
    assert clerk.call("GET", f"financial/GLAccounts(guid'{here}')").status == 404


def purchase(clerk, **values):
    line = {"GLAccount": clerk.ledger("4200"), "AmountFC": 100, "VATCode": "4"}
    return {"Journal": "60", "Supplier": clerk.supplier(), "YourRef": "F-77", "PurchaseEntryLines": [line]} | values


def test_a_purchase_entry_is_booked_and_owed(clerk):
    made = clerk.post("purchaseentry/PurchaseEntries", **purchase(clerk, EntryDate="2026-09-02", DueDate="2026-10-02"))
    assert (made["AmountFC"], made["VATAmountFC"], made["Type"], made["Status"]) == (121.0, 21.0, 30, 20)
    assert clerk.booked(made["EntryID"]) == [("1510", 21.0), ("1600", -121.0), ("4200", 100.0)]
    [open_item] = clerk.rows("read/financial/PayablesList")
    assert (open_item["Amount"], open_item["YourRef"]) == (121.0, "F-77")
    [payment] = clerk.rows("cashflow/Payments")
    assert payment["DueDate"] == "/Date(1790899200000)/"
    assert clerk.rows("cashflow/Receivables") == []
    clerk.control("pay", invoice=made["InvoiceNumber"], payable=True)
    assert clerk.rows("read/financial/PayablesList") == []


def test_vat_that_stands_on_the_suppliers_invoice_is_kept(clerk):
    line = {"GLAccount": clerk.ledger("4200"), "AmountFC": 100, "VATCode": "4", "VATAmountFC": 20.99}
    made = clerk.post("purchaseentry/PurchaseEntries", **purchase(clerk, PurchaseEntryLines=[line]))
    assert made["AmountFC"] == 120.99
    assert ("1510", 20.99) in clerk.booked(made["EntryID"])


def test_a_purchase_entry_wants_a_supplier(clerk):
    sent = purchase(clerk, Supplier=clerk.customer())
    assert clerk.refused("POST", "purchaseentry/PurchaseEntries", **sent) == (500, "Ongeldig: Leverancier")


def test_an_unpaid_entry_may_be_changed_and_is_booked_anew(clerk):
    made = clerk.post("purchaseentry/PurchaseEntries", **purchase(clerk))
    [line] = made["PurchaseEntryLines"]["results"]
    clerk.put("purchaseentry/PurchaseEntryLines", line["ID"], AmountFC=200)
    assert clerk.booked(made["EntryID"]) == [("1510", 42.0), ("1600", -242.0), ("4200", 200.0)]
    assert [row["Amount"] for row in clerk.rows("read/financial/PayablesList")] == [242.0]
    clerk.control("pay", invoice=made["InvoiceNumber"], payable=True, amount="42")
    status, _ = clerk.refused("PUT", f"purchaseentry/PurchaseEntryLines(guid'{line['ID']}')", AmountFC=1)
    assert status == 500
    assert clerk.refused("DELETE", f"purchaseentry/PurchaseEntries(guid'{made['EntryID']}')")[0] == 500


def test_an_entry_taken_out_is_owed_no_longer(clerk):
    made = clerk.post("purchaseentry/PurchaseEntries", **purchase(clerk))
    assert clerk.call("DELETE", f"purchaseentry/PurchaseEntries(guid'{made['EntryID']}')").status == 204
    assert clerk.rows("read/financial/PayablesList") == []
    assert clerk.booked(made["EntryID"]) == []
    assert len(clerk.rows("sync/Deleted", filter="Timestamp gt 1 and EntityType eq 10")) == 1


def test_a_sales_entry_keeps_the_number_it_was_given(clerk):
    line = {"GLAccount": clerk.ledger("8000"), "AmountFC": 24.95, "VATCode": "4"}
    sent = {"Journal": "70", "Customer": clerk.customer(), "InvoiceNumber": 5001, "SalesEntryLines": [line]}
    made = clerk.post("salesentry/SalesEntries", **sent)
    assert (made["InvoiceNumber"], made["AmountFC"], made["Type"]) == (5001, 30.19, 20)
    assert clerk.receivables() == [(5001, 30.19)]
    assert clerk.booked(made["EntryID"]) == [("1300", 30.19), ("1500", -5.24), ("8000", -24.95)]
    credit = clerk.post("salesentry/SalesEntries", **(sent | {"SalesEntryLines": [line | {"AmountFC": -24.95}]}))
    assert (credit["Type"], credit["AmountFC"]) == (21, -30.19)


def test_entries_can_be_read_with_the_lines_they_are_made_of(clerk):
    made = clerk.post(ENTRIES, **entry(clerk, ("4000", 100, {}), ("1000", -100, {})))
    [found] = clerk.rows("financialtransaction/Transactions", expand="TransactionLines")
    assert (found["EntryID"], found["EntryNumber"], found["JournalCode"]) == (made["EntryID"], 26900001, "90")
    assert [line["LineNumber"] for line in found["TransactionLines"]["results"]] == [0, 1]


def test_turnover_is_told_per_period(clerk):
    clerk.invoice()
    [row] = clerk.rows("read/financial/RevenueList")
    assert (row["Year"], row["Period"], row["Amount"]) == (2026, 9, 49.9)
