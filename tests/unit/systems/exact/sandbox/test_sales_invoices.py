"""Sales invoices are open until they are printed; then they have a number and a date, stand in the ledger and are owed."""

from __future__ import annotations

import json

import pytest

INVOICES, PRINTED = "salesinvoice/SalesInvoices", "salesinvoice/PrintedSalesInvoices"


def item(clerk, code="A-100"):
    return clerk.code("logistics/Items", code)["ID"]


def invoice(clerk, lines=None, **values):
    lines = lines or [{"Item": item(clerk), "Quantity": 2}]
    return clerk.post(INVOICES, **({"OrderedBy": clerk.customer(), "SalesInvoiceLines": lines} | values))


def booked(clerk, entry):
    rows = clerk.rows("financialtransaction/TransactionLines", filter=f"EntryID eq guid'{entry}'")
    return sorted((row["GLAccountCode"], row["AmountDC"]) for row in rows)


def test_a_new_invoice_is_open_and_reckoned(clerk):
    made = invoice(clerk, YourRef="web-1")
    assert (made["Status"], made["Type"], made["InvoiceNumber"], made["InvoiceDate"]) == (20, 8020, None, None)
    assert (made["AmountFCExclVat"], made["VATAmountFC"], made["AmountFC"]) == (49.9, 10.48, 60.38)
    assert made["Journal"] == "70", "the first sales journal is taken"
    assert made["OrderedByName"] == made["InvoiceToName"] == "Klant B.V."
    [line] = made["SalesInvoiceLines"]["results"]
    assert (line["ItemCode"], line["UnitPrice"], line["AmountFC"], line["LineNumber"]) == ("A-100", 24.95, 49.9, 1)
    assert (line["VATCode"], line["VATPercentage"]) == ("4  ", 0.21)


def test_printing_numbers_dates_books_and_claims(clerk):
    made = invoice(clerk)
    shown = clerk.post(PRINTED, InvoiceID=made["InvoiceID"], InvoiceDate="2026-09-10")
    assert shown["InvoiceID"] == made["InvoiceID"]
    after = clerk.get(f"{INVOICES}(guid'{made['InvoiceID']}')")
    assert (after["Status"], after["InvoiceNumber"], after["InvoiceDate"]) == (50, 26700001, "/Date(1788998400000)/")
    assert booked(clerk, made["InvoiceID"]) == [("1300", 60.38), ("1500", -10.48), ("8000", -49.9)]
    [due] = clerk.rows("read/financial/ReceivablesList")
    assert (due["InvoiceNumber"], due["Amount"], due["AccountName"]) == (26700001, 60.38, "Klant B.V.")
    [term] = clerk.rows("cashflow/Receivables", filter="InvoiceNumber eq 26700001")
    assert (term["IsFullyPaid"], term["Status"], term["AmountDC"]) == (False, 20, 60.38)
    [told] = clerk.rows("sync/Cashflow/PaymentTerms", filter="Timestamp gt 1", select="ID,InvoiceNumber,AmountDC")
    assert told["ID"] == term["ID"]


def test_a_processed_invoice_is_never_changed_again(clerk):
    made = invoice(clerk)
    clerk.post(PRINTED, InvoiceID=made["InvoiceID"])
    before = clerk.sandbox.snapshot()
    where = f"{INVOICES}(guid'{made['InvoiceID']}')"
    [line] = made["SalesInvoiceLines"]["results"]
    assert clerk.refused("PUT", where, Description="x")[0] == 500
    assert clerk.refused("DELETE", where)[0] == 500
    assert clerk.refused("PUT", f"salesinvoice/SalesInvoiceLines(guid'{line['ID']}')", Quantity=3)[0] == 500
    assert clerk.refused("POST", PRINTED, InvoiceID=made["InvoiceID"])[0] == 500
    assert clerk.sandbox.snapshot() == before


def test_an_open_invoice_may_change_and_its_totals_follow(clerk):
    made = invoice(clerk)
    [line] = made["SalesInvoiceLines"]["results"]
    clerk.put("salesinvoice/SalesInvoiceLines", line["ID"], Quantity=4)
    assert clerk.get(f"{INVOICES}(guid'{made['InvoiceID']}')")["AmountFCExclVat"] == 99.8
    clerk.post("salesinvoice/SalesInvoiceLines", InvoiceID=made["InvoiceID"], Item=item(clerk, "B-100"), Quantity=10)
    after = clerk.get(f"{INVOICES}(guid'{made['InvoiceID']}')", expand="SalesInvoiceLines")
    assert [row["LineNumber"] for row in after["SalesInvoiceLines"]["results"]] == [1, 2]
    assert (after["AmountFCExclVat"], after["VATAmountFC"]) == (127.7, round(20.96 + 2.51, 2))
    assert clerk.call("DELETE", f"{INVOICES}(guid'{made['InvoiceID']}')").status == 204
    assert clerk.rows("sync/Deleted", filter="Timestamp gt 1 and EntityType eq 13") != []


def test_a_discount_is_a_fraction(clerk):
    made = invoice(clerk, [{"Item": item(clerk), "Quantity": 1, "UnitPrice": 100, "Discount": 0.055}])
    assert made["AmountFCExclVat"] == 94.5


def test_a_net_price_is_what_is_paid(clerk):
    made = invoice(clerk, [{"Item": item(clerk), "Quantity": 3, "NetPrice": 8.33}])
    assert made["AmountFCExclVat"] == 24.99


@pytest.mark.parametrize(("how", "tax", "gross"), [("line", 0.6, 3.6), ("document", 0.63, 3.63)])
def test_vat_is_rounded_per_line_or_per_document(clerk, how: str, tax: float, gross: float):
    clerk.control("division_settings", vat_rounding=how)
    made = invoice(clerk, [{"Item": item(clerk), "Quantity": 1, "UnitPrice": 0.30}] * 10)
    assert (made["VATAmountFC"], made["AmountFC"]) == (tax, gross)
    clerk.post(PRINTED, InvoiceID=made["InvoiceID"])
    ledger = booked(clerk, made["InvoiceID"])
    assert ("1500", -tax) in ledger
    assert ("1300", gross) in ledger
    assert round(sum(amount for _, amount in ledger), 2) == 0


@pytest.mark.parametrize("how", ["line", "document"])
def test_a_price_including_vat_is_what_the_customer_pays(clerk, how: str):
    clerk.control("division_settings", vat_rounding=how)
    made = invoice(clerk, [{"Item": item(clerk), "Quantity": 1, "UnitPrice": 9.99, "VATCode": "3"}] * 3)
    assert made["AmountFC"] == 29.97
    assert made["VATAmountFC"] == (5.19 if how == "line" else 5.20)
    clerk.post(PRINTED, InvoiceID=made["InvoiceID"])
    assert round(sum(amount for _, amount in booked(clerk, made["InvoiceID"])), 2) == 0


def test_several_vat_codes_are_booked_apart(clerk):
    made = invoice(clerk, [{"Item": item(clerk), "Quantity": 1}, {"Item": item(clerk, "B-100"), "Quantity": 1}])
    clerk.post(PRINTED, InvoiceID=made["InvoiceID"])
    assert booked(clerk, made["InvoiceID"]) == [
        *[("1300", 33.23), ("1500", -5.24), ("1501", -0.25), ("8000", -24.95), ("8010", -2.79)],
    ]


@pytest.mark.parametrize("quantity", [1, -1])
def test_a_credit_note_is_owed_back_whatever_sign_was_sent(clerk, quantity: int):
    made = invoice(clerk, [{"Item": item(clerk), "Quantity": quantity}], Type=8021)
    assert made["AmountFC"] == -30.19
    clerk.post(PRINTED, InvoiceID=made["InvoiceID"])
    assert booked(clerk, made["InvoiceID"]) == [("1300", -30.19), ("1500", 5.24), ("8000", 24.95)]
    assert [row["Amount"] for row in clerk.rows("read/financial/ReceivablesList")] == [-30.19]
    [line] = clerk.rows("financialtransaction/TransactionLines", filter=f"EntryID eq guid'{made['InvoiceID']}'", top=1)
    assert line["Type"] == 21


def test_the_sign_of_a_credit_note_can_be_demanded(clerk):
    clerk.control("settings", credit_lines="negative")
    lines = [{"Item": item(clerk), "Quantity": 1}]
    status, _ = clerk.refused("POST", INVOICES, OrderedBy=clerk.customer(), Type=8021, SalesInvoiceLines=lines)
    assert status == 500


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"OrderedBy": None}, "Verplicht: Besteld door"),
        ({"SalesInvoiceLines": []}, "Verplicht: SalesInvoiceLines"),
        ({"SalesInvoiceLines": [{"Quantity": 1}]}, "Verplicht: Artikel"),
        ({"Journal": "60"}, "Ongeldig: Dagboek"),
        ({"Journal": "77"}, "Ongeldig: Dagboek"),
        ({"Type": 8023}, "Verplicht: Magazijn"),
        ({"Currency": "XXX"}, "Ongeldig: Valuta"),
        ({"PaymentCondition": "??"}, "Ongeldig: Betalingsconditie"),
    ],
)
def test_an_invoice_that_cannot_be_is_refused_and_leaves_nothing(clerk, changed: dict, says: str):
    values = {"OrderedBy": clerk.customer(), "SalesInvoiceLines": [{"Item": item(clerk), "Quantity": 1}]} | changed
    before = clerk.sandbox.snapshot()
    assert clerk.refused("POST", INVOICES, **values) == (500, says)
    assert clerk.sandbox.snapshot() == before


@pytest.mark.parametrize("name", ["InvoiceDate", "InvoiceNumber", "Status"])
def test_number_date_and_status_are_the_vendors_own(clerk, name: str):
    values = {name: "2026-09-01" if name == "InvoiceDate" else 1}
    assert clerk.refused("POST", INVOICES, OrderedBy=clerk.customer(), **values)[0] == 400


def test_a_blocked_vat_code_is_refused(clerk):
    lines = [{"Item": item(clerk), "Quantity": 1, "VATCode": "99"}]
    assert clerk.refused("POST", INVOICES, OrderedBy=clerk.customer(), SalesInvoiceLines=lines) == (
        500,
        "Ongeldig: Btw-code",
    )


def test_a_vat_code_somebody_removed_is_refused(clerk):
    clerk.control("delete", resource="vat/VATCodes", code="20")
    lines = [{"Item": item(clerk), "Quantity": 1, "VATCode": "20"}]
    assert clerk.refused("POST", INVOICES, OrderedBy=clerk.customer(), SalesInvoiceLines=lines)[0] == 500


def test_a_line_that_refers_to_nothing_may_be_dropped_without_a_word(clerk):
    clerk.control("settings", drop_lines=True)
    lines = [{"Item": item(clerk), "Quantity": 1}, {"Item": "00000000-0000-4000-8000-000000000000", "Quantity": 1}]
    made = invoice(clerk, lines)
    assert len(made["SalesInvoiceLines"]["results"]) == 1
    assert made["AmountFCExclVat"] == 24.95


def test_a_closed_period_refuses_the_processing_and_leaves_the_invoice_open(clerk):
    made = invoice(clerk)
    clerk.control("close_period", year=2026, period=8, journal="70")
    before = clerk.sandbox.snapshot()
    status, says = clerk.refused("POST", PRINTED, InvoiceID=made["InvoiceID"], InvoiceDate="2026-08-31")
    assert (status, says) == (500, "Niet toegestaan: periode 8-2026 van dagboek 70 is afgesloten")
    assert clerk.sandbox.snapshot() == before
    clerk.post(PRINTED, InvoiceID=made["InvoiceID"], InvoiceDate="2026-09-01")


def test_headers_and_lines_travel_in_one_sync_stream(clerk):
    made = invoice(clerk)
    query = {"filter": "Timestamp gt 1", "select": "ID,InvoiceID,LineNumber,Status,ItemCode,InvoiceNumber,Timestamp"}
    rows = clerk.rows("sync/SalesInvoice/SalesInvoices", **query)
    assert sorted(row["LineNumber"] for row in rows) == [0, 1]
    assert {row["InvoiceID"] for row in rows} == {made["InvoiceID"]}
    stamps = [int(row["Timestamp"]) for row in rows]
    assert stamps == sorted(stamps)
    clerk.post(PRINTED, InvoiceID=made["InvoiceID"])
    query["filter"] = f"Timestamp gt {stamps[-1]}"
    again = clerk.rows("sync/SalesInvoice/SalesInvoices", **query)
    assert sorted(row["LineNumber"] for row in again) == [0, 1], "a change to either stamps all anew"
    assert {(row["Status"], row["InvoiceNumber"]) for row in again} == {(50, 26700001)}


def test_the_layout_asks_for_a_document(clerk):
    made = invoice(clerk)
    [layout] = clerk.rows("salesinvoice/Layouts", select="ID")
    shown = clerk.post(PRINTED, InvoiceID=made["InvoiceID"], DocumentLayout=layout["ID"])
    document = clerk.get(f"documents/Documents(guid'{shown['Document']}')")
    assert document["Subject"] == "Verkoopfactuur 26700001"


def test_a_direct_invoice_takes_its_goods_from_stock(clerk):
    house = clerk.code("inventory/Warehouses", "1")["ID"]
    made = invoice(clerk, Type=8023, Warehouse=house)
    clerk.post(PRINTED, InvoiceID=made["InvoiceID"])
    [place] = clerk.rows(
        "inventory/ItemWarehouses", filter=f"Item eq guid'{item(clerk)}' and Warehouse eq guid'{house}'"
    )
    assert place["CurrentStock"] == 38.0


def test_numbers_run_on_and_are_never_given_twice(clerk):
    numbers = []
    for _ in range(3):
        made = invoice(clerk)
        clerk.post(PRINTED, InvoiceID=made["InvoiceID"])
        numbers.append(clerk.get(f"{INVOICES}(guid'{made['InvoiceID']}')")["InvoiceNumber"])
    assert numbers == [26700001, 26700002, 26700003]


def test_printing_is_an_action_and_cannot_be_read(clerk):
    assert clerk.call("GET", PRINTED).status == 405
    reply = clerk.call("POST", PRINTED, sent={"InvoiceID": "00000000-0000-4000-8000-000000000000"})
    assert (reply.status, json.loads(reply.body)["error"]["message"]["value"]) == (500, "Ongeldig: Factuur")
