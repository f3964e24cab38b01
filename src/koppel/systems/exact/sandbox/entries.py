"""Sales and purchase entries: invoices that were numbered elsewhere, booked on ledger accounts and owed.

Whether the vendor refuses a supplier's invoice number twice is unverified; it is taken here.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from koppel.systems.exact.sandbox import ledger, selling, terms, vat
from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.money import ZERO, bare, cents, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft, Refused, label


@dataclass(frozen=True)
class Side:
    """Selling or buying. `sign` is the side of the ledger the other party stands on: +1 owes us, -1 is owed."""

    entries: str
    lines: str
    party: str
    journals: tuple[int, ...]
    kind: int
    sign: int
    account: str
    condition: str
    types: tuple[int, int]
    vat_side: str

    @property
    def collection(self) -> str:
        """The name of the lines inside an entry."""
        return self.lines.rpartition("/")[2]

    def adding(self, desk: Desk, draft: Draft) -> None:
        """Check and reckon an entry. Raises Refused."""
        values, lines = draft.values, [line.values for line in draft.lines[self.collection]]
        journal = ledger.journal(desk, values["Journal"], *self.journals)
        selling.currency(desk, values)
        party = desk.get("crm/Accounts", values[self.party]) or {}
        if self.kind == terms.PAYABLE and not party.get("IsSupplier"):
            raise Refused(500, f"Ongeldig: {label(self.party)}")
        moment = values["EntryDate"] = values.get("EntryDate") or desk.today
        condition = values["PaymentCondition"] = values.get("PaymentCondition") or party.get(self.condition) or "30"
        values["DueDate"] = values.get("DueDate") or terms.due_date(desk, condition, moment)
        year, period = ledger.open_period(
            desk, journal["Code"], moment, values.get("ReportingYear"), values.get("ReportingPeriod")
        )
        values |= {
            "ReportingYear": year,
            "ReportingPeriod": period,
            "Status": 20,
            "StatusDescription": "Open",
            "Rate": 1.0,
        }
        parts = [self.reckon(desk, line) for line in lines]
        total = self.total(desk, values, parts)
        values |= {"Type": self.types[total < 0]}
        values["EntryNumber"] = values.get("EntryNumber") or ledger.entry_number(desk, journal["Code"], year)
        values["InvoiceNumber"] = values.get("InvoiceNumber") or values["EntryNumber"]

    def reckon(self, desk: Desk, line: dict[str, Any]) -> vat.Taxed:
        """A line's amounts; VAT that was sent stands. Raises Refused."""
        code = vat.code_of(desk, line.get("VATCode"))
        found = vat.taxed(code, exact(line.get("AmountFC")))
        if code and line.get("VATAmountFC") is not None:
            tax = cents(exact(line["VATAmountFC"]))
            found = vat.Taxed(code, found.gross - tax if code.get("Type") == "I" else found.net, tax)
        line |= {
            "AmountFC": bare(found.net),
            "AmountDC": bare(found.net),
            "VATAmountFC": bare(found.vat),
            "VATAmountDC": bare(found.vat),
            "VATBaseAmountFC": bare(found.net),
            "VATBaseAmountDC": bare(found.net),
            "VATPercentage": bare(vat.rate(code)),
        }
        return found

    def total(self, desk: Desk, values: dict[str, Any], parts: list[vat.Taxed]) -> Decimal:
        """Write the totals into an entry."""
        shown = selling.totals(parts, desk.books.vat_rounding)
        values |= {name: shown[name] for name in ("AmountFC", "AmountDC", "VATAmountFC", "VATAmountDC")}
        return exact(shown["AmountFC"])

    def stored_lines(self, desk: Desk, row: Row) -> list[Row]:
        """The lines of an entry in their order."""
        return sorted(desk.having(self.lines, "EntryID", row["EntryID"]), key=lambda line: line.get("LineNumber") or 0)

    def added(self, desk: Desk, row: Row) -> None:
        """Book an entry and claim it."""
        lines = self.stored_lines(desk, row)
        parts = vat.rounded([selling.of_line(desk, line) for line in lines], desk.books.vat_rounding)
        journal = ledger.journal(desk, row["Journal"], *self.journals)
        party_account = journal.get("GLAccount") or ledger.account(desk, self.account)
        total = sum((part.gross for part in parts), ZERO)
        entry = [ledger.line(party_account, self.sign * total)]
        for line, part in zip(lines, parts, strict=True):
            words = ("Description", "CostCenter", "CostUnit", "Project", "VATCode", "VATPercentage", "Quantity")
            kept = {name: line.get(name) for name in words} | {"AmountVATFC": bare(-self.sign * part.vat)}
            entry.append(ledger.line(line["GLAccount"], -self.sign * part.net, **kept))
            if part.vat:
                side = part.code[self.vat_side]
                entry.append(ledger.line(side, -self.sign * part.vat, VATCode=part.code["Code"]))
        party = row[self.party]
        common = {"EntryID": row["EntryID"], "EntryNumber": row["EntryNumber"], "InvoiceNumber": row["InvoiceNumber"]}
        common |= {"Account": party, "YourRef": row.get("YourRef"), "DueDate": row["DueDate"]}
        common |= {"Description": row.get("Description"), "PaymentReference": row.get("PaymentReference")}
        head = {
            "JournalCode": row["Journal"],
            "Date": row["EntryDate"],
            "FinancialYear": row["ReportingYear"],
            "FinancialPeriod": row["ReportingPeriod"],
            "Type": row["Type"],
            "Status": 20,
        }
        ledger.book(desk, common | head, entry)
        claim = {
            "Journal": row["Journal"],
            "JournalDescription": row.get("JournalDescription"),
            "GLAccount": party_account,
        }
        claim |= {"InvoiceDate": row["EntryDate"], "EntryDate": row["EntryDate"], "TransactionType": row["Type"]}
        claim |= {"PaymentCondition": row["PaymentCondition"], "Document": row.get("Document")}
        terms.owe(desk, self.kind, total, common | claim)

    def changing(self, desk: Desk, row: Row, values: dict[str, Any]) -> None:
        """An entry may be changed while its period is open and nothing of it was paid. Raises Refused."""
        ledger.open_period(desk, row["Journal"], row["EntryDate"], row["ReportingYear"], row["ReportingPeriod"])
        for term in desk.having(terms.TERMS, "EntryID", row["EntryID"]):
            if term["_open"] != term["TransactionAmountDC"]:
                raise Refused(500, "Niet toegestaan: er is al op afgeletterd")  # wording unverified
        if values.get("Journal", row["Journal"]) != row["Journal"]:
            raise Refused(500, f"Ongeldig: {label('Journal')}")
        if values.get("EntryDate") is not None:
            year, period = ledger.open_period(desk, row["Journal"], values["EntryDate"])
            values |= {"ReportingYear": year, "ReportingPeriod": period}

    def changed(self, desk: Desk, row: Row) -> None:
        """Book it anew."""
        values: dict[str, Any] = {}
        parts = [selling.of_line(desk, line) for line in self.stored_lines(desk, row)]
        total = self.total(desk, values, parts)
        desk.books.records(self.entries).change(row["EntryID"], values | {"Type": self.types[total < 0]}, None)
        ledger.unbook(desk, row["EntryID"])
        terms.forget(desk, row["EntryID"])
        self.added(desk, row)

    def removing(self, desk: Desk, row: Row) -> None:
        """Take it out of the ledger. Raises Refused."""
        self.changing(desk, row, {})
        ledger.unbook(desk, row["EntryID"])
        terms.forget(desk, row["EntryID"])

    def adding_line(self, desk: Desk, draft: Draft) -> None:
        """Reckon one more line."""
        row = desk.get(self.entries, draft.values.get("EntryID"))
        numbers = [line.get("LineNumber") or 0 for line in self.stored_lines(desk, row)] if row else []
        draft.values["LineNumber"] = max(numbers, default=0) + 1
        self.reckon(desk, draft.values)

    def changing_line(self, desk: Desk, row: Row, values: dict[str, Any]) -> None:
        """Reckon a line again."""
        kept = {**row, **values}
        if ("AmountFC" in values or "VATCode" in values) and "VATAmountFC" not in values:
            kept["VATAmountFC"] = None
        if "AmountFC" in values or "VATCode" in values or "VATAmountFC" in values:
            self.reckon(desk, kept)
            values |= {name: kept[name] for name in kept if kept[name] != row.get(name)}

    def entry(self) -> Behaviour:
        """What an entry does."""
        return Behaviour(self.adding, self.added, self.changing, self.changed, self.removing)

    def line(self) -> Behaviour:
        """What a line does."""
        return Behaviour(adding=self.adding_line, changing=self.changing_line)


SALES = Side(
    entries="salesentry/SalesEntries",
    lines="salesentry/SalesEntryLines",
    party="Customer",
    journals=(ledger.SALES, ledger.SALES_BACK),
    kind=terms.RECEIVABLE,
    sign=1,
    account="1300",
    condition="PaymentConditionSales",
    types=(20, 21),
    vat_side="GLToPay",
)
PURCHASES = Side(
    entries="purchaseentry/PurchaseEntries",
    lines="purchaseentry/PurchaseEntryLines",
    party="Supplier",
    journals=(ledger.PURCHASE, ledger.PURCHASE_BACK),
    kind=terms.PAYABLE,
    sign=-1,
    account="1600",
    condition="PaymentConditionPurchase",
    types=(30, 31),
    vat_side="GLToClaim",
)
