"""The ledger: periods that are open or closed, journals, and entries that balance to the cent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from koppel.systems.exact.sandbox.books import Books, guid
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.money import ZERO, bare, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Refused, label

LINES = "financialtransaction/TransactionLines"
LEDGER = "financial/GLAccounts"
JOURNALS = "financial/Journals"
CASH, BANK, SERVICE, SALES, SALES_BACK, PURCHASE, PURCHASE_BACK, GENERAL = 10, 12, 16, 20, 21, 22, 23, 90


def journal(desk: Desk, code: str | None, *types: int) -> Row:
    """A journal of one of these types, the first one when no code is given. Raises Refused."""
    if code is None:
        found = next((row for row in desk.rows(JOURNALS) if row.get("Type") in types), None)
    else:
        found = desk.one(JOURNALS, "Code", code)
    if found is None or found.get("Type") not in types or found.get("IsBlocked"):
        raise Refused(500, f"Ongeldig: {label('Journal')}")
    return found


def day(moment: int) -> datetime:
    """A moment of the wall clock."""
    return datetime.fromtimestamp(moment / 1000, UTC)


def open_period(
    desk: Desk, code: str, moment: int, year: int | None = None, period: int | None = None
) -> tuple[int, int]:
    """The period a booking falls in, by its date unless it is named. Raises Refused when it is closed or does not exist."""
    year, period = year or day(moment).year, period or day(moment).month
    known = any(
        row["FinPeriod"] == period and row["FinYear"] == year for row in desk.rows("financial/FinancialPeriods")
    )
    if not known:
        raise Refused(500, f"Ongeldig: Periode {period}-{year}")
    if (code, year, period) in desk.books.closed:  # wording unverified
        raise Refused(500, f"Niet toegestaan: periode {period}-{year} van dagboek {code} is afgesloten")
    return year, period


def entry_number(desk: Desk, code: str, year: int) -> int:
    """The next number of a journal in a year: 26700001."""
    return desk.books.next_number(f"entry:{code}:{year}", first=int(f"{year % 100}{code.strip()}0001"))


def account(desk: Desk, code: str) -> str:
    """The key of a ledger account by its code. Raises Refused when somebody removed it."""
    found = desk.one(LEDGER, "Code", code)
    if found is None:
        raise Refused(500, f"Ongeldig: {label('GLAccount')}")
    return found["ID"]


def line(gl_account: str, amount: Decimal, **more: Any) -> Row:
    """A line of an entry; debit is positive."""
    return {"GLAccount": gl_account, "_amount": amount, **more}


def book(desk: Desk, head: Mapping[str, Any], lines: Iterable[Row]) -> list[Row]:
    """Book an entry. `head` holds what every line carries: EntryID, EntryNumber, JournalCode, Date, period, Type, Status.

    The first line is the offset line, number 0. An entry that does not balance is a mistake of this imitation.
    """
    wanted = [found for found in lines if found["_amount"] or found.get("Quantity")]
    assert sum((found["_amount"] for found in wanted), ZERO) == 0, "an entry must balance"
    made: list[Row] = []
    for number, found in enumerate(wanted):
        amount = bare(found["_amount"])
        values = {name: value for name, value in found.items() if name != "_amount"}
        common = {"LineNumber": number, "AmountDC": amount, "AmountFC": amount, "Currency": "EUR", "ExchangeRate": 1.0}
        key = guid(desk.books.seed, desk.books.number, head["EntryID"], desk.books.next_number("ledger line"))
        made.append(desk.add(LINES, {"ID": key, **common, **head, **values}))
    return made


def unbook(desk: Desk, entry_id: str) -> None:
    """Take an entry out of the ledger again."""
    for row in desk.having(LINES, "EntryID", entry_id):
        desk.remove(LINES, row["ID"])


def balance(books: Books, gl_account: str) -> Decimal:
    """What a ledger account stands at."""
    rows = books.records(LINES).having("GLAccount", gl_account)
    return sum((exact(row["AmountDC"]) for row in rows), ZERO)
