"""Receipts are bank entries: matched in part or whole, and only then is something paid."""

from __future__ import annotations

import pytest

ENTRIES = "financialtransaction/BankEntries"
DIVISION = 123456


def received(clerk, invoice, amount, **values):
    line = {"Account": invoice["InvoiceTo"], "GLAccount": clerk.ledger("1300"), "OurRef": invoice["InvoiceNumber"]}
    line |= {"AmountFC": amount, "Date": "2026-09-20"}
    return clerk.post(ENTRIES, **({"JournalCode": "20", "BankEntryLines": [line]} | values))


def receivable(clerk, number):
    return clerk.rows("cashflow/Receivables", filter=f"InvoiceNumber eq {number}")


def test_a_whole_payment_closes_the_invoice(clerk):
    invoice = clerk.invoice()
    entry = received(clerk, invoice, 60.38)
    assert clerk.receivables() == []
    [term] = receivable(clerk, invoice["InvoiceNumber"])
    assert (term["IsFullyPaid"], term["Status"]) == (True, 50)
    assert term["EndDate"] == term["LastPaymentDate"] == "/Date(1789862400000)/"
    assert clerk.booked(entry["EntryID"]) == [("1100", 60.38), ("1300", -60.38)]
    assert (entry["OpeningBalanceFC"], entry["ClosingBalanceFC"]) == (0.0, 60.38)


def test_a_part_payment_leaves_the_rest_open(clerk):
    invoice = clerk.invoice()
    received(clerk, invoice, 20)
    assert clerk.receivables() == [(invoice["InvoiceNumber"], 40.38)]
    [term] = receivable(clerk, invoice["InvoiceNumber"])
    assert (term["IsFullyPaid"], term["Status"], term["AmountDC"]) == (False, 20, 60.38)
    assert term["LastPaymentDate"] is not None
    received(clerk, invoice, 40.38)
    assert clerk.receivables() == []


def test_a_part_paid_term_may_become_two(clerk):
    clerk.control("settings", part_payments="split")
    invoice = clerk.invoice()
    received(clerk, invoice, 20)
    terms = receivable(clerk, invoice["InvoiceNumber"])
    assert sorted((term["AmountDC"], term["Status"]) for term in terms) == [(20.0, 50), (40.38, 20)]
    assert clerk.receivables() == [(invoice["InvoiceNumber"], 40.38)]


def test_more_than_is_open_cannot_be_matched(clerk):
    invoice = clerk.invoice()
    before = clerk.sandbox.snapshot()
    line = {"Account": invoice["InvoiceTo"], "GLAccount": clerk.ledger("1300"), "OurRef": invoice["InvoiceNumber"]}
    for amounts in ([60.39], [40, 40], [-5], [0]):
        lines = [line | {"AmountFC": amount} for amount in amounts]
        assert clerk.refused("POST", ENTRIES, JournalCode="20", BankEntryLines=lines) == (500, "Ongeldig: Bedrag")
    assert clerk.sandbox.snapshot() == before


def test_an_invoice_nobody_knows_cannot_be_matched(clerk):
    line = {"Account": clerk.customer(), "GLAccount": clerk.ledger("1300"), "OurRef": 1, "AmountFC": 5}
    assert clerk.refused("POST", ENTRIES, JournalCode="20", BankEntryLines=[line]) == (500, "Ongeldig: Onze ref.")


def test_the_lines_bridge_the_balances(clerk):
    line = {"GLAccount": clerk.ledger("4500"), "AmountFC": -2.5}
    sent = {"JournalCode": "20", "BankEntryLines": [line], "OpeningBalanceFC": 100, "ClosingBalanceFC": 98}
    assert clerk.refused("POST", ENTRIES, **sent) == (500, "Ongeldig: Eindsaldo")
    made = clerk.post(ENTRIES, **(sent | {"ClosingBalanceFC": 97.5}))
    assert clerk.booked(made["EntryID"]) == [("1100", -2.5), ("4500", 2.5)]


def test_a_credit_note_is_paid_back(clerk):
    credit = clerk.invoice(Type=8021)
    received(clerk, credit, -60.38)
    assert clerk.receivables() == []


@pytest.mark.parametrize("journal", ["70", "90", "10"])
def test_only_a_bank_or_a_payment_service_keeps_bank_entries(clerk, journal: str):
    line = {"GLAccount": clerk.ledger("4500"), "AmountFC": -2.5}
    assert clerk.refused("POST", ENTRIES, JournalCode=journal, BankEntryLines=[line]) == (500, "Ongeldig: Dagboek")


def test_a_closed_period_takes_no_payment(clerk):
    invoice = clerk.invoice()
    clerk.control("close_period", year=2026, period=9, journal="20")
    line = {"Account": invoice["InvoiceTo"], "GLAccount": clerk.ledger("1300"), "OurRef": invoice["InvoiceNumber"]}
    line |= {"AmountFC": 60.38, "Date": "2026-09-20"}
    assert clerk.refused("POST", ENTRIES, JournalCode="20", BankEntryLines=[line])[0] == 500
    assert clerk.receivables() == [(invoice["InvoiceNumber"], 60.38)]


def test_a_person_enters_what_the_bank_statement_says(clerk):
    invoice = clerk.invoice()
    number = invoice["InvoiceNumber"]
    assert clerk.control("pay", invoice=number, amount="10.38")["open"] == 50.0
    assert clerk.receivables() == [(number, 50.0)]
    assert clerk.control("pay", invoice=number, date="2026-09-18", journal="21")["open"] == 0
    with pytest.raises(ValueError, match="nothing is open"):
        clerk.control("pay", invoice=number)
    assert [row["EntryNumber"] for row in clerk.rows(ENTRIES)] != []
    assert "BankEntries" not in str(clerk.control("writes")["writes"]), "only the API's writes are logged"


def test_a_person_pays_no_more_than_is_open(clerk):
    with pytest.raises(ValueError, match="Ongeldig: Bedrag"):
        clerk.control("pay", invoice=clerk.invoice()["InvoiceNumber"], amount="60.39")


def test_what_was_matched_cannot_be_taken_out(clerk):
    entry = received(clerk, clerk.invoice(), 20)
    assert clerk.refused("DELETE", f"{ENTRIES}(guid'{entry['EntryID']}')")[0] == 500


def test_the_description_of_a_receivable_may_be_changed(clerk):
    [term] = receivable(clerk, clerk.invoice()["InvoiceNumber"])
    clerk.put("cashflow/Receivables", term["ID"], Description="op verzoek")
    [after] = clerk.rows("sync/Cashflow/PaymentTerms", filter="Timestamp gt 1", select="ID,Description")
    assert after["Description"] == "op verzoek"
    assert clerk.refused("PUT", f"cashflow/Receivables(guid'{term['ID']}')", AmountDC=1)[0] == 400


def test_what_is_overdue_is_told_by_age(clerk):
    clerk.invoice()
    clerk.time += 60 * 86_400
    clerk.token = clerk.control("refresh_token", age=0)["access_token"]
    [row] = clerk.rows("read/financial/AgingReceivablesList")
    assert row["AccountName"] == "Klant B.V."
    [all_of_it] = clerk.rows("read/financial/OutstandingInvoicesOverview")
    assert (all_of_it["OverdueReceivableInvoiceAmount"], all_of_it["OutstandingReceivableInvoiceCount"]) == (60.38, 1)
