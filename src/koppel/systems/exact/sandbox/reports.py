"""Resources that are reckoned from the books when somebody looks: open items, period states, balances, stock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal

from koppel.systems.exact.sandbox import ledger, stock, terms
from koppel.systems.exact.sandbox.books import Books, guid
from koppel.systems.exact.sandbox.money import ZERO, bare, exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import wall

Report = Callable[[Books, float, Mapping[str, str]], Iterable[Row]]
_JOURNAL_TYPES = {10: "Kas", 12: "Bank", 16: "Betaaldienst", 20: "Verkoop", 22: "Inkoop", 90: "Memoriaal"}
_DAY = 86_400_000


def _guid(asked: Mapping[str, str], name: str) -> str | None:
    text = asked.get(name)
    return None if text is None else text.removeprefix("guid").strip("'").lower()


def _listed(kind: int, *, by_account: bool = False) -> Report:
    def rows(books: Books, _at: float, asked: Mapping[str, str]) -> Iterable[Row]:
        return terms.listed(books, kind, (_guid(asked, "accountid") or "") if by_account else None)

    return rows


def _journal_states(books: Books, _at: float, asked: Mapping[str, str]) -> Iterator[Row]:
    """Open or closed per journal and period: the only place the vendor tells it."""
    for period in books.records("financial/FinancialPeriods").rows.values():
        year, number = period["FinYear"], period["FinPeriod"]
        if asked.get("year", str(year)) != str(year) or asked.get("period", str(number)) != str(number):
            continue
        for journal in books.records(ledger.JOURNALS).rows.values():
            closed = (journal["Code"], year, number) in books.closed
            yield {
                "Journal": journal["Code"],
                "Period": number,
                "Year": year,
                "JournalDescription": journal.get("Description"),
                "JournalType": journal.get("Type"),
                "JournalTypeDescription": _JOURNAL_TYPES.get(journal.get("Type") or 0),
                "Status": int(closed),
                "StatusDescription": "Afgesloten" if closed else "Open",
            }


def _stock_position(books: Books, _at: float, asked: Mapping[str, str]) -> Iterator[Row]:
    item = _guid(asked, "itemid")
    if item is None or books.records(stock.ITEMS).get(item) is None:
        return
    rows = books.records(stock.PLACES).having("Item", item)
    names = ("CurrentStock", "PlannedStockIn", "PlannedStockOut", "ProjectedStock", "ReservedStock")
    here, coming, going, after, held = (sum((exact(row.get(name)) for row in rows), Decimal(0)) for name in names)
    yield {
        "ItemId": item,
        "InStock": bare(here),
        "FreeStock": bare(here - held),
        "PlanningIn": bare(coming),
        "PlanningOut": bare(going),
        "ProjectedStock": bare(after),
        "ReservedStock": bare(held),
    }


def _balances(books: Books, _at: float, _asked: Mapping[str, str]) -> Iterator[Row]:
    """What was booked per ledger account and period."""
    found: dict[tuple[int, int, str], list[Row]] = {}
    for row in books.records(ledger.LINES).rows.values():
        found.setdefault((row["FinancialYear"], row["FinancialPeriod"], row["GLAccount"]), []).append(row)
    for (year, period, account), rows in found.items():
        ledger_account = books.records(ledger.LEDGER).get(account) or {}
        amounts = [exact(row["AmountDC"]) for row in rows]
        yield {
            "ID": guid(books.number, "balance", year, period, account),
            "Amount": bare(sum(amounts, ZERO)),
            "AmountDebit": bare(sum((amount for amount in amounts if amount > 0), ZERO)),
            "AmountCredit": bare(-sum((amount for amount in amounts if amount < 0), ZERO)),
            "BalanceType": ledger_account.get("BalanceType"),
            "Count": len(rows),
            "Division": books.number,
            "GLAccount": account,
            "GLAccountCode": ledger_account.get("Code"),
            "GLAccountDescription": ledger_account.get("Description"),
            "ReportingPeriod": period,
            "ReportingYear": year,
            "Status": 20,
            "Type": 20,
        }


_OF_AN_ENTRY = (
    *("EntryID", "EntryNumber", "JournalCode", "JournalDescription", "Date", "Description", "FinancialYear"),
    *("FinancialPeriod", "Status", "Type", "Document", "Division", "Created", "Modified", "PaymentReference"),
)


def _transactions(books: Books, _at: float, _asked: Mapping[str, str]) -> Iterator[Row]:
    """The entries the transaction lines belong to."""
    seen: set[str] = set()
    for row in books.records(ledger.LINES).rows.values():
        if row["EntryID"] not in seen:
            seen.add(row["EntryID"])
            yield {name: row[name] for name in _OF_AN_ENTRY if name in row}


def _revenue(books: Books, _at: float, asked: Mapping[str, str]) -> Iterator[Row]:
    wanted = asked.get("year")
    found: dict[tuple[int, int], Decimal] = {}
    accounts = books.records(ledger.LEDGER).rows
    for row in books.records(ledger.LINES).rows.values():
        if accounts.get(row["GLAccount"], {}).get("Type") == 110 and wanted in {None, str(row["FinancialYear"])}:
            place = (row["FinancialPeriod"], row["FinancialYear"])
            found[place] = found.get(place, ZERO) - exact(row["AmountDC"])
    for (period, year), amount in found.items():
        yield {"Period": period, "Year": year, "Amount": bare(amount)}


def _outstanding(books: Books, at: float, _asked: Mapping[str, str]) -> Iterator[Row]:
    today = wall(at)
    row: Row = {"CurrencyCode": "EUR"}
    for name, kind in (("Receivable", terms.RECEIVABLE), ("Payable", terms.PAYABLE)):
        rows = terms.open_terms(books, kind)
        late = [one for one in rows if (one.get("DueDate") or today) + _DAY <= today]
        for word, some in (("Outstanding", rows), ("Overdue", late)):
            row[f"{word}{name}InvoiceAmount"] = bare(sum((exact(one["_open"]) for one in some), ZERO))
            row[f"{word}{name}InvoiceCount"] = float(len(some))
    yield row


def _aging(kind: int) -> Report:
    """Per account what is open, by how long it is overdue: up to 30, 60, 90 days and longer (the vendor's own borders: unverified)."""

    def rows(books: Books, at: float, _asked: Mapping[str, str]) -> Iterator[Row]:
        today = wall(at)
        found: dict[str, list[Row]] = {}
        for row in terms.open_terms(books, kind):
            found.setdefault(row["Account"], []).append(row)
        for account, some in found.items():
            groups = [ZERO] * 4
            for row in some:
                late = (today - (row.get("DueDate") or today)) // _DAY
                groups[0 if late <= 30 else 1 if late <= 60 else 2 if late <= 90 else 3] += exact(row["_open"])
            first = some[0]
            yield {
                "AccountId": account,
                "AccountCode": first.get("AccountCode"),
                "AccountName": first.get("AccountName"),
                "CurrencyCode": "EUR",
                "TotalAmount": bare(sum(groups, ZERO)),
                **{f"AgeGroup{number}": number for number in range(1, 5)},
                **{f"AgeGroup{number}Amount": bare(amount) for number, amount in enumerate(groups, start=1)},
            }

    return rows


REPORTS: dict[str, Report] = {
    "read/financial/ReceivablesList": _listed(terms.RECEIVABLE),
    "read/financial/ReceivablesListByAccount": _listed(terms.RECEIVABLE, by_account=True),
    "read/financial/PayablesList": _listed(terms.PAYABLE),
    "read/financial/PayablesListByAccount": _listed(terms.PAYABLE, by_account=True),
    "read/financial/AgingReceivablesList": _aging(terms.RECEIVABLE),
    "read/financial/AgingPayablesList": _aging(terms.PAYABLE),
    "read/financial/JournalStatusList": _journal_states,
    "read/financial/JournalStatusByFinancialPeriod": _journal_states,
    "read/financial/OutstandingInvoicesOverview": _outstanding,
    "read/financial/RevenueList": _revenue,
    "read/financial/RevenueListByYear": _revenue,
    "read/logistics/StockPosition": _stock_position,
    "financial/ReportingBalance": _balances,
    "financialtransaction/Transactions": _transactions,
}
