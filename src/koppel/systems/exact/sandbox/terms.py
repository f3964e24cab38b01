"""Payment terms: what is to be received or paid, when, and how far that has happened.

One record per term serves `sync/Cashflow/PaymentTerms`, Receivables and Payments. What is still open of it is kept beside
(`_open`): of a part paid term the vendor's own amounts are said to stay (`one`) or to be split in two (`split`); unverified.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from koppel.systems.exact.sandbox.books import Books
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.ledger import day
from koppel.systems.exact.sandbox.money import ZERO, bare, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Refused, label

TERMS = "sync/Cashflow/PaymentTerms"
RECEIVABLE, PAYABLE = 20, 22  # LineType (unverified): the type of the ledger account it stands on
_OPEN, _MATCHED = 20, 50
_DAY = 86_400_000


def due_date(desk: Desk, condition: str | None, moment: int) -> int:
    """When an invoice of that day must be paid."""
    found = desk.one("cashflow/PaymentConditions", "Code", condition) or {}
    return moment - moment % _DAY + int(found.get("PaymentDays") or 0) * _DAY


def owe(desk: Desk, kind: int, amount: Decimal, head: Mapping[str, Any]) -> Row:
    """A new term; `head` says of which entry, account and invoice. A credit note's amount is negative."""
    number = bare(amount)
    year, period = day(head["InvoiceDate"]).year, day(head["InvoiceDate"]).month
    return desk.add(
        TERMS,
        {
            "LineType": kind,
            "AmountDC": number,
            "AmountFC": number,
            "TransactionAmountDC": number,
            "TransactionAmountFC": number,
            "TransactionDueDate": head.get("DueDate"),
            "TransactionEntryID": head.get("EntryID"),
            "TransactionReportingYear": year,
            "TransactionReportingPeriod": period,
            "TransactionStatus": _OPEN,
            "Currency": "EUR",
            "RateFC": 1.0,
            "Status": _OPEN,
            "IsFullyPaid": False,
            "PaymentMethod": "B",
            "_open": number,
            "_hid": desk.books.next_number("term", 4_000_001),
            **head,
        },
    )


def fits(term: Row, amount: Decimal) -> bool:
    """Whether an amount can be matched: neither more than is open nor, taking back, more than there ever was."""
    whole = exact(term["TransactionAmountDC"])
    left = exact(term["_open"]) - amount
    return amount != 0 and min(whole, ZERO) <= left <= max(whole, ZERO)


def settle(desk: Desk, term: Row, amount: Decimal, moment: int) -> None:
    """Match an amount with a term. Raises Refused when it does not fit."""
    left = exact(term["_open"]) - amount
    if not fits(term, amount):
        raise Refused(500, f"Ongeldig: {label('AmountFC')}")
    paid: Row = {"LastPaymentDate": moment, "_open": bare(left)}
    if left == 0:
        done = {"Status": _MATCHED, "IsFullyPaid": True, "EndDate": moment}
        paid |= done | {"EndYear": day(moment).year, "EndPeriod": day(moment).month}
    elif desk.rules.part_payments == "split":
        share = bare(amount)
        whole = {name: value for name, value in term.items() if name not in {"ID", "_made", "Timestamp", "_hid"}}
        part = {"AmountDC": share, "AmountFC": share, "Status": _MATCHED, "EndDate": moment, "_open": 0.0}
        desk.add(TERMS, whole | part | {"LastPaymentDate": moment, "_hid": desk.books.next_number("term")})
        paid |= {"AmountDC": bare(left), "AmountFC": bare(left)}
    desk.change(TERMS, term["ID"], paid)


def open_terms(books: Books, kind: int, invoice_number: int | None = None, account: str | None = None) -> list[Row]:
    """Terms of which something is open, the oldest first."""
    records = books.records(TERMS)
    rows = records.rows.values() if invoice_number is None else records.having("InvoiceNumber", invoice_number)
    found = [row for row in rows if row["LineType"] == kind and row["_open"] and account in {None, row.get("Account")}]
    return sorted(found, key=lambda row: row["_hid"])


def forget(desk: Desk, entry_id: str) -> None:
    """The entry is gone, and what it asked for with it. Raises Refused when some of it was paid."""
    for row in desk.having(TERMS, "EntryID", entry_id):
        if row["_open"] != row["TransactionAmountDC"]:
            raise Refused(500, "Niet toegestaan: er is al op afgeletterd")  # wording unverified
    for row in desk.having(TERMS, "EntryID", entry_id):
        desk.remove(TERMS, row["ID"])


def listed(books: Books, kind: int, account: str | None = None) -> Iterable[Row]:
    """The open items as ReceivablesList and PayablesList show them."""
    for row in open_terms(books, kind, account=account):
        yield {
            "HID": row["_hid"],
            "Id": row["ID"],
            "AccountId": row.get("Account"),
            "AccountCode": row.get("AccountCode"),
            "AccountName": row.get("AccountName"),
            "Amount": row["_open"],
            "AmountInTransit": 0.0,
            "CurrencyCode": row.get("Currency"),
            "Description": row.get("Description"),
            "DueDate": row.get("DueDate"),
            "EntryNumber": row.get("EntryNumber"),
            "InvoiceDate": row.get("InvoiceDate"),
            "InvoiceNumber": row.get("InvoiceNumber"),
            "JournalCode": row.get("Journal"),
            "JournalDescription": row.get("JournalDescription"),
            "YourRef": row.get("YourRef"),
        }
