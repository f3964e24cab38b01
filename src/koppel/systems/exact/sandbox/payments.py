"""Bank and cash entries: what was received and paid, matched with the invoices it is for.

A line that names an account and, in `OurRef`, an invoice number is matched with that invoice, in part or whole. Money in is
positive (unverified); the lines bridge the opening and closing balance when both are given.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from koppel.systems.exact.sandbox import ledger, table, terms
from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.money import ZERO, bare, cents, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft, Refused, label

_KINDS = {20: terms.RECEIVABLE, 22: terms.PAYABLE}


def _behaviour(entries: str, lines: str, types: tuple[int, ...]) -> Behaviour:
    def adding(desk: Desk, draft: Draft) -> None:
        values, own = draft.values, [line.values for line in draft.lines[lines.rpartition("/")[2]]]
        journal = ledger.journal(desk, values["JournalCode"], *types)
        for number, line in enumerate(own, start=1):
            line["Date"] = line.get("Date") or desk.today
            line["LineNumber"] = number
            if line.get("AmountFC") is None:
                raise Refused(500, f"Verplicht: {label('AmountFC')}")
        total = sum((exact(line["AmountFC"]) for line in own), ZERO)
        opening, closing = values.get("OpeningBalanceFC"), values.get("ClosingBalanceFC")
        if opening is not None and closing is not None and exact(closing) - exact(opening) != total:
            raise Refused(500, "Ongeldig: Eindsaldo")  # wording unverified
        if opening is None:
            values["OpeningBalanceFC"] = bare(ledger.balance(desk.books, journal["GLAccount"]))
        values["ClosingBalanceFC"] = bare(exact(values["OpeningBalanceFC"]) + total)
        year, period = ledger.open_period(
            desk, journal["Code"], own[0]["Date"], values.get("FinancialYear"), values.get("FinancialPeriod")
        )
        for line in own:
            ledger.open_period(desk, journal["Code"], line["Date"], year, period)
        _check_matches(desk, own)
        values |= {"FinancialYear": year, "FinancialPeriod": period, "Currency": "EUR", "Status": 20}
        values["StatusDescription"] = "Open"
        values["EntryNumber"] = values.get("EntryNumber") or ledger.entry_number(desk, journal["Code"], year)

    def added(desk: Desk, row: Row) -> None:
        journal = ledger.journal(desk, row["JournalCode"], *types)
        own = sorted(desk.having(lines, "EntryID", row["EntryID"]), key=lambda line: line["LineNumber"])
        for line in own:
            amount = cents(exact(line["AmountFC"]))
            told = {"AmountDC": line["AmountFC"], "EntryNumber": row["EntryNumber"]}
            desk.books.records(lines).change(line["ID"], told, None)
            head = {
                "EntryID": row["EntryID"],
                "EntryNumber": row["EntryNumber"],
                "JournalCode": row["JournalCode"],
                "Date": line["Date"],
                "FinancialYear": row["FinancialYear"],
                "FinancialPeriod": row["FinancialPeriod"],
                "Type": 40,
                "Status": 20,
                "Account": line.get("Account"),
                "Description": line.get("Description"),
                "InvoiceNumber": line.get("OurRef"),
            }
            kept = {name: line.get(name) for name in ("CostCenter", "CostUnit", "Project", "VATCode")}
            both = [ledger.line(journal["GLAccount"], amount), ledger.line(line["GLAccount"], -amount, **kept)]
            ledger.book(desk, head, both)
            found = _term_of(desk, line)
            if found is not None:
                term, owed = found
                terms.settle(desk, term, owed, line["Date"])

    def removing(desk: Desk, row: Row) -> None:
        if any(line.get("OurRef") for line in desk.having(lines, "EntryID", row["EntryID"])):
            raise Refused(500, "Niet toegestaan: er is al op afgeletterd")  # wording unverified
        ledger.open_period(desk, row["JournalCode"], desk.today, row["FinancialYear"], row["FinancialPeriod"])
        ledger.unbook(desk, row["EntryID"])

    return Behaviour(adding=adding, added=added, removing=removing)


def _term_of(desk: Desk, line: Row) -> tuple[Row, Decimal] | None:
    """The open term a line pays, and how much of it."""
    gl_account = desk.get(ledger.LEDGER, line.get("GLAccount")) or {}
    kind = _KINDS.get(gl_account.get("Type") or 0)
    if kind is None or line.get("OurRef") is None or line.get("Account") is None:
        return None
    found = terms.open_terms(desk.books, kind, line["OurRef"], line["Account"])
    if not found:
        return None
    amount = cents(exact(line["AmountFC"]))
    return found[0], amount if kind == terms.RECEIVABLE else -amount


def _check_matches(desk: Desk, lines: list[dict[str, Any]]) -> None:
    """Together the lines may not pay more of a term than is open. Raises Refused."""
    paid: dict[str, Decimal] = {}
    for line in lines:
        found = _term_of(desk, line)
        if found is None:
            if line.get("OurRef") is not None:
                raise Refused(500, "Ongeldig: Onze ref.")
            continue
        term, amount = found
        paid[term["ID"]] = paid.get(term["ID"], ZERO) + amount
        if not terms.fits(term, paid[term["ID"]]):
            raise Refused(500, f"Ongeldig: {label('AmountFC')}")


def received(
    desk: Desk, term: Row, amount: Decimal, moment: int, journal: str, enter: Callable[[Desk, Draft], Row]
) -> Row:
    """A person enters a payment of a term from the bank statement."""
    row = ledger.journal(desk, journal, ledger.BANK, ledger.SERVICE, ledger.CASH)
    cash = row["Type"] == ledger.CASH
    name = "financialtransaction/CashEntries" if cash else "financialtransaction/BankEntries"
    gl_account = term.get("GLAccount") or ledger.account(
        desk, "1300" if term["LineType"] == terms.RECEIVABLE else "1600"
    )
    line = {
        "Account": term["Account"],
        "GLAccount": gl_account,
        "OurRef": term["InvoiceNumber"],
        "AmountFC": bare(amount if term["LineType"] == terms.RECEIVABLE else -amount),
        "Date": moment,
        "Description": f"Betaling {term['InvoiceNumber']}",
    }
    word = "CashEntryLines" if cash else "BankEntryLines"
    lines = table.entity(f"financialtransaction/{word}")
    return enter(desk, Draft(table.entity(name), {"JournalCode": row["Code"]}, {word: [Draft(lines, line)]}))


BANK = _behaviour(
    "financialtransaction/BankEntries", "financialtransaction/BankEntryLines", (ledger.BANK, ledger.SERVICE)
)
CASH = _behaviour("financialtransaction/CashEntries", "financialtransaction/CashEntryLines", (ledger.CASH,))
