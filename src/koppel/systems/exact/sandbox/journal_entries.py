"""General journal entries: only in journals of type 90, they balance, and VAT lines are generated from the codes."""

from __future__ import annotations

from koppel.systems.exact.sandbox import ledger, selling, vat
from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.money import ZERO, bare, cents, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft, Refused, label

ENTRIES, LINES = "generaljournalentry/GeneralJournalEntries", "generaljournalentry/GeneralJournalEntryLines"


def _adding(desk: Desk, draft: Draft) -> None:
    values, lines = draft.values, [line.values for line in draft.lines["GeneralJournalEntryLines"]]
    journal = ledger.journal(desk, values["JournalCode"], ledger.GENERAL)
    selling.currency(desk, values)
    total = ZERO
    for number, line in enumerate(lines, start=1):
        line["Date"] = line.get("Date") or desk.today
        line["LineNumber"] = number
        code = vat.code_of(desk, line.get("VATCode"))
        if code and not journal.get("AllowVAT"):
            raise Refused(500, f"Ongeldig: {label('VATCode')}")
        entered = exact(line.get("AmountFC"))
        found = vat.taxed(code, entered)
        if line.get("AmountVATFC") is not None and code.get("Type") == "E":
            found = vat.Taxed(code, found.net, cents(exact(line["AmountVATFC"])))
        line |= {
            "AmountFC": bare(found.net),
            "AmountDC": bare(found.net),
            "AmountVATFC": bare(found.vat),
            "AmountVATDC": bare(found.vat),
            "VATBaseAmountFC": bare(found.net) if code else None,
            "VATBaseAmountDC": bare(found.net) if code else None,
            "VATPercentage": bare(vat.rate(code)) if code else None,
            "VATType": code.get("Type"),
        }
        total += found.gross
    if total != 0:  # wording unverified
        raise Refused(500, f"Ongeldig: Saldo {total}")
    year, period = ledger.open_period(
        desk, journal["Code"], lines[0]["Date"], values.get("FinancialYear"), values.get("FinancialPeriod")
    )
    values |= {"FinancialYear": year, "FinancialPeriod": period, "Status": 20, "StatusDescription": "Open"}
    values |= {"Type": 90, "TypeDescription": "Memoriaal"}
    values["EntryNumber"] = values.get("EntryNumber") or ledger.entry_number(desk, journal["Code"], year)


def _added(desk: Desk, row: Row) -> None:
    lines = sorted(desk.having(LINES, "EntryID", row["EntryID"]), key=lambda line: line["LineNumber"])
    entry: list[Row] = []
    for line in lines:
        desk.books.records(LINES).change(line["ID"], {"EntryNumber": row["EntryNumber"]}, None)
        words = ("Account", "Date", "Description", "CostCenter", "CostUnit", "Project", "VATCode", "VATPercentage")
        kept = {name: line.get(name) for name in (*words, "VATType", "Quantity", "AmountVATFC")}
        net, tax = exact(line["AmountFC"]), exact(line.get("AmountVATFC"))
        entry.append(ledger.line(line["GLAccount"], net, **kept))
        if tax:
            code = vat.code_of(desk, line["VATCode"])
            side = "GLToClaim" if tax > 0 else "GLToPay"
            entry.append(
                ledger.line(code[side], tax, Date=line["Date"], VATCode=code["Code"], AmountVATBaseFC=bare(net))
            )
    head = {
        "EntryID": row["EntryID"],
        "EntryNumber": row["EntryNumber"],
        "JournalCode": row["JournalCode"],
        "FinancialYear": row["FinancialYear"],
        "FinancialPeriod": row["FinancialPeriod"],
        "Type": 90,
        "Status": 20,
    }
    ledger.book(desk, head, entry)


def _removing(desk: Desk, row: Row) -> None:
    ledger.open_period(desk, row["JournalCode"], desk.today, row["FinancialYear"], row["FinancialPeriod"])
    ledger.unbook(desk, row["EntryID"])


ENTRY = Behaviour(adding=_adding, added=_added, removing=_removing)
