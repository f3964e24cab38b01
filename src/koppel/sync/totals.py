"""Control totals (rule B20): what one side's records come to, per day, VAT meaning and payment method, and how two sides compare.

Amounts are decimal and rounded half up to the cent, line by line, in the currency they are in; nothing is converted and
nothing is left out: what has no amount, no meaning or no day is counted under that name. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import msgspec

from koppel.model.documents import DocumentLine, Invoice, JournalEntry, Order
from koppel.model.entity import Entity
from koppel.model.period import Period

ZONE = ZoneInfo("Europe/Amsterdam")
CENT = Decimal("0.01")
NO_MEANING = "(no VAT meaning)"
NO_AMOUNT = "(no amount)"


class Key(msgspec.Struct, frozen=True, order=True):
    """What is counted together. `measure` says what: net, VAT or total of documents, debit or credit, records changed."""

    day: str
    measure: str
    vat: str = ""
    method: str = ""
    currency: str = ""


class Sum(msgspec.Struct, frozen=True):
    """How many, and how much together; None where nothing is added up."""

    count: int = 0
    amount: Decimal | None = None

    def plus(self, amount: Decimal | None, count: int = 1) -> Sum:
        """One more."""
        both = None if self.amount is None and amount is None else (self.amount or Decimal(0)) + (amount or Decimal(0))
        return Sum(self.count + count, both)


class Row(msgspec.Struct, frozen=True):
    """One key on both sides."""

    key: Key
    left: Sum
    right: Sum

    @property
    def differs(self) -> bool:
        """Whether the sides do not come to the same."""
        return self.left.count != self.right.count or (self.left.amount or 0) != (self.right.amount or 0)


class Sums:
    """The sums of one side, under way. `undated` counts records that tell no day: they can be in no period."""

    def __init__(self, period: Period, *, start: str | None = None) -> None:
        self.period, self.start = period, start
        self.sums: dict[Key, Sum] = {}
        self.records = self.undated = 0

    def add(self, entity: Entity, *, modified_at: float | None) -> None:
        """Count one record in, if its day lies in the period and not before the flow's start (rule B15)."""
        day = day_of(entity, modified_at)
        if day is None:
            self.undated += 1
            return
        if not self.period.holds(day) or (self.start is not None and day < self.start):
            return
        self.records += 1
        for key, amount, count in _parts(entity, day):
            self.sums[key] = self.sums.get(key, Sum()).plus(amount, count)


def day_of(entity: Entity, modified_at: float | None) -> str | None:
    """The day a record is counted on: a document's own date, of anything else the day it was last changed, Dutch time."""
    if isinstance(entity, (Invoice, Order, JournalEntry)):
        return entity.date[:10] if entity.date and len(entity.date) >= 10 else None
    return None if modified_at is None else datetime.fromtimestamp(modified_at, ZONE).date().isoformat()


def rows(left: Mapping[Key, Sum], right: Mapping[Key, Sum]) -> tuple[Row, ...]:
    """Both sides beside each other, in order of day, measure, meaning and method."""
    return tuple(Row(key, left.get(key, Sum()), right.get(key, Sum())) for key in sorted({*left, *right}))


def _parts(entity: Entity, day: str) -> Iterator[tuple[Key, Decimal | None, int]]:
    """What one record adds, where: each key once, so that counts are of records."""
    if isinstance(entity, Invoice):
        what = f"{entity.kind} " if entity.kind else ""
        method, currency = (entity.payment_method or "").strip().casefold(), entity.currency or ""
        yield from _net(entity.lines, day, f"{what}net", method, currency)
        if entity.total_vat is not None:
            yield Key(day, f"{what}VAT", "", method, currency), _cents(entity.total_vat), 1
        yield Key(day, f"{what}total", "", method, currency), _cents(entity.total), 1
    elif isinstance(entity, Order):
        yield from _net(entity.lines, day, "net", "", entity.currency or "")
        yield Key(day, "total", "", "", entity.currency or ""), _cents(entity.total), 1
    elif isinstance(entity, JournalEntry):
        yield from _booked(entity, day)
    else:
        yield Key(day, "changed"), None, 1


def _net(
    lines: Iterable[DocumentLine], day: str, measure: str, method: str, currency: str
) -> Iterator[tuple[Key, Decimal | None, int]]:
    by_meaning: dict[str, Decimal | None] = {}
    for line in lines:
        amount = net_of(line)
        meaning = (line.vat or NO_MEANING) if amount is not None else NO_AMOUNT
        by_meaning[meaning] = None if amount is None else (by_meaning.get(meaning) or Decimal(0)) + amount
    for meaning, amount in by_meaning.items():
        yield Key(day, measure, meaning, method, currency), amount, 1


def net_of(line: DocumentLine) -> Decimal | None:
    """A line's amount without VAT: as the system says, else quantity times price where there is no discount to interpret.

    >>> net_of(DocumentLine(quantity=Decimal("3"), unit_price=Decimal("0.335")))
    Decimal('1.01')
    """
    if line.amount is not None:
        return _cents(line.amount)
    if line.quantity is None or line.unit_price is None or line.discount:
        return None
    return _cents(line.quantity * line.unit_price)


def _booked(entry: JournalEntry, day: str) -> Iterator[tuple[Key, Decimal | None, int]]:
    for measure in ("debit", "credit"):
        by_meaning: dict[str, Decimal] = {}
        for line in entry.lines:
            amount = line.debit if measure == "debit" else line.credit
            if amount is not None:
                meaning = line.vat or ""
                by_meaning[meaning] = by_meaning.get(meaning, Decimal(0)) + (_cents(amount) or Decimal(0))
        for meaning, amount in by_meaning.items():
            yield Key(day, measure, meaning, "", entry.currency or ""), amount, 1


def _cents(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.quantize(CENT, rounding=ROUND_HALF_UP)
