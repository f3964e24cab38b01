"""Sales invoices: open (20) until they are printed, then numbered, dated, booked and owed (50), and never changed again.

The sign of a credit note's lines is unverified: by default either is taken, and the amounts are negative.
"""

from __future__ import annotations

from typing import Any

from koppel.systems.exact.sandbox import ledger, selling, stock, terms, vat
from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.money import ZERO, bare, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft, Refused, label

INVOICES, LINES = "salesinvoice/SalesInvoices", "salesinvoice/SalesInvoiceLines"
OPEN, PROCESSED = 20, 50
_TITLES = {8020: "Verkoopfactuur", 8021: "Creditnota", 8023: "Directe verkoopfactuur", 8024: "Directe creditnota"}
_CREDIT, _DIRECT = frozenset({8021, 8024}), frozenset({8023, 8024})


def _adding(desk: Desk, draft: Draft) -> None:
    values = draft.values
    type_ = values["Type"] = values.get("Type") or 8020
    if type_ not in _TITLES:
        raise Refused(500, "Ongeldig: Type")
    if type_ in _DIRECT and values.get("Warehouse") is None:
        raise Refused(500, f"Verplicht: {label('Warehouse')}")
    values["Journal"] = ledger.journal(desk, values.get("Journal"), ledger.SALES, ledger.SALES_BACK)["Code"]
    selling.customer(desk, values)
    values |= {"Status": OPEN, "StatusDescription": "Open", "TypeDescription": _TITLES[type_]}
    parts = [_line(desk, values, line.values) for line in draft.lines.get("SalesInvoiceLines", [])]
    values |= selling.totals(parts, desk.books.vat_rounding)


def _line(desk: Desk, head: dict[str, Any], values: dict[str, Any]) -> vat.Taxed:
    credit = head.get("Type") in _CREDIT
    wanted = desk.rules.credit_lines
    if credit and wanted != "any" and (exact(values.get("Quantity", 1)) < 0) != (wanted == "negative"):
        raise Refused(500, f"Ongeldig: {label('Quantity')}")
    return selling.complete(desk, head, values, sign=-1 if credit else 1)


def _changing(_desk: Desk, row: Row, values: dict[str, Any]) -> None:
    if row["Status"] != OPEN:  # wording unverified
        raise Refused(500, "Niet toegestaan: de factuur is verwerkt")
    if values.get("Type", row["Type"]) != row["Type"]:
        raise Refused(500, "Ongeldig: Type")


def _changed(desk: Desk, row: Row) -> None:
    """Reckon the lines and the totals again."""
    lines = _lines(desk, row)
    parts: list[vat.Taxed] = []
    for line in lines:
        values = dict(line)
        parts.append(_line(desk, row, values))
        told = {name: values[name] for name in values if values[name] != line.get(name)}
        desk.books.records(LINES).change(line["ID"], told, desk.books.next_stamp())
    desk.books.records(INVOICES).change(row["InvoiceID"], selling.totals(parts, desk.books.vat_rounding), None)


def _removing(_desk: Desk, row: Row) -> None:
    _changing(_desk, row, {})


def _lines(desk: Desk, row: Row) -> list[Row]:
    return sorted(desk.having(LINES, "InvoiceID", row["InvoiceID"]), key=lambda line: line.get("LineNumber") or 0)


def _adding_line(desk: Desk, draft: Draft) -> None:
    row = desk.get(INVOICES, draft.values.get("InvoiceID"))
    if row is not None:
        numbers = [line.get("LineNumber") or 0 for line in _lines(desk, row)]
        draft.values["LineNumber"] = max(numbers, default=0) + 1
        _line(desk, row, draft.values)


def _changing_line(desk: Desk, row: Row, values: dict[str, Any]) -> None:
    """What follows from the changed values is reckoned anew."""
    head = desk.get(INVOICES, row["InvoiceID"]) or {}
    kept = {**row, **values}
    if "Item" in values:
        for name in ("Description", "VATCode", "GLAccount", "UnitCode", "UnitPrice", "NetPrice"):
            kept[name] = values.get(name)
    elif "UnitPrice" in values or "Discount" in values:
        kept["NetPrice"] = values.get("NetPrice")
    elif "NetPrice" in values:
        kept["UnitPrice"] = None
    _line(desk, head, kept)
    values |= {name: kept[name] for name in kept if kept[name] != row.get(name)}


def _print(desk: Desk, draft: Draft) -> Row:
    """Process an invoice: the action PrintedSalesInvoices."""
    asked = draft.values
    row = desk.get(INVOICES, asked.get("InvoiceID"))
    if row is None:
        raise Refused(500, "Ongeldig: Factuur")
    invoice = process(desk, row, asked)
    shown = {"InvoiceID": row["InvoiceID"], "InvoiceDate": invoice["InvoiceDate"], "Division": desk.books.number}
    if asked.get("DocumentLayout") is not None:
        document = desk.add(
            "documents/Documents",
            {"Subject": f"Verkoopfactuur {invoice['InvoiceNumber']}", "Type": 10, "Account": invoice["InvoiceTo"]},
        )
        desk.change(INVOICES, row["InvoiceID"], {"Document": document["ID"], "DocumentSubject": document["Subject"]})
        shown |= {"Document": document["ID"], "DocumentCreationSuccess": "Document aangemaakt"}
    return {**asked, **shown}


def process(desk: Desk, row: Row, asked: Row) -> Row:
    """Number, date, book and claim an invoice. Raises Refused."""
    _changing(desk, row, {})
    lines = _lines(desk, row)
    if not lines:
        raise Refused(500, "Verplicht: Regels")
    moment = asked.get("InvoiceDate") or desk.today
    moment -= moment % 86_400_000
    journal = ledger.journal(desk, row["Journal"], ledger.SALES, ledger.SALES_BACK)
    year, period = ledger.open_period(
        desk, journal["Code"], moment, asked.get("ReportingYear"), asked.get("ReportingPeriod")
    )
    number = ledger.entry_number(desk, journal["Code"], year)
    credit = row["Type"] in _CREDIT
    due = row.get("DueDate") or terms.due_date(desk, row.get("PaymentCondition"), moment)
    head = {
        "EntryID": row["InvoiceID"],
        "EntryNumber": number,
        "InvoiceNumber": number,
        "JournalCode": journal["Code"],
        "Date": moment,
        "DueDate": due,
        "FinancialYear": year,
        "FinancialPeriod": period,
        "Type": 21 if credit else 20,
        "Status": OPEN,
        "Account": row["InvoiceTo"],
        "YourRef": row.get("YourRef"),
        "Description": row.get("Description"),
    }
    ledger.book(desk, head, _entry(desk, row, lines, journal))
    terms.owe(
        desk,
        terms.RECEIVABLE,
        exact(row["AmountFC"]),
        {
            **{
                name: head[name]
                for name in ("EntryID", "EntryNumber", "InvoiceNumber", "Account", "YourRef", "DueDate")
            },
            "Journal": journal["Code"],
            "JournalDescription": journal["Description"],
            "InvoiceDate": moment,
            "EntryDate": moment,
            "GLAccount": journal.get("GLAccount"),
            "PaymentCondition": row.get("PaymentCondition"),
            "PaymentReference": row.get("PaymentReference"),
            "Description": row.get("Description"),
            "TransactionType": head["Type"],
        },
    )
    if row["Type"] in _DIRECT:
        for line in lines:
            stock.move(desk, line["Item"], row.get("Warehouse"), -stock.signed(line, credit), moment)
    processed = {"Status": PROCESSED, "StatusDescription": "Verwerkt", "InvoiceNumber": number, "InvoiceDate": moment}
    for line in lines:  # a change to either re-stamps all [Pi; audit]
        desk.books.records(LINES).change(line["ID"], {}, desk.books.next_stamp())
    return desk.change(INVOICES, row["InvoiceID"], processed | {"DueDate": due})


def _entry(desk: Desk, row: Row, lines: list[Row], journal: Row) -> list[Row]:
    parts = vat.rounded([selling.of_line(desk, line) for line in lines], desk.books.vat_rounding)
    debtor = journal.get("GLAccount") or ledger.account(desk, "1300")
    entry = [ledger.line(debtor, exact(row["AmountFC"]))]
    for line, part in zip(lines, parts, strict=True):
        kept = {
            name: line.get(name) for name in ("Item", "CostCenter", "CostUnit", "Project", "VATCode", "Description")
        }
        kept |= {"Quantity": line.get("Quantity"), "VATPercentage": line.get("VATPercentage")}
        kept |= {"AmountVATFC": -bare(part.vat), "AmountVATBaseFC": -bare(part.net)}
        entry.append(ledger.line(line.get("GLAccount") or ledger.account(desk, "8000"), -part.net, **kept))
    for code in {part.code.get("Code"): part.code for part in parts}.values():
        tax = sum((part.vat for part in parts if part.code.get("Code") == code.get("Code")), ZERO)
        if tax:
            net = sum((part.net for part in parts if part.code.get("Code") == code.get("Code")), ZERO)
            more = {"VATCode": code["Code"], "VATPercentage": code["Percentage"], "AmountVATBaseFC": -bare(net)}
            entry.append(ledger.line(code["GLToPay"], -tax, **more))
    return entry


INVOICE = Behaviour(adding=_adding, changing=_changing, changed=_changed, removing=_removing)
LINE = Behaviour(adding=_adding_line, changing=_changing_line)
PRINTED = Behaviour(acts=_print)
