"""Documents posted together: what each adds to which posting, what postings come to, and how they are written. Pure.

Amounts are decimal, rounded half up to the cent per line (rule B10), never converted and never mixed between currencies.
Nothing is guessed: what a document does not tell (its day, a VAT meaning, the VAT of lines that go to several postings, a ledger
for its meaning) is said by name, and the posting it belongs to is then not made. The sum of the postings is the sum of
the documents, and the order in which documents arrive does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import quote, unquote

import msgspec

from koppel.mapping.conditions import reason
from koppel.mapping.flow import Flow, Group
from koppel.model.can import Can, Field
from koppel.model.documents import DocumentLine, Invoice, JournalEntry, JournalLine, Order
from koppel.model.problem import Problem
from koppel.model.record import Record
from koppel.model.values import Json

POSTINGS = ("journal_entry", "invoice")
SOURCES = ("invoice", "order")
JOURNAL = "journal"
LINE = "lines."
USUAL: Mapping[str, tuple[str, ...]] = {
    "day": ("date", "lines.vat", "payment_method"),
    "journal": ("date", JOURNAL),
}
KEYS = ("date", "lines.vat", "payment_method", JOURNAL, "kind", "status", "reference")
OF_INVOICES = frozenset({"payment_method", JOURNAL, "kind"})
NONE = "-"  # a document that tells nothing here; so it stands in tables too
MIXED = "mixed"  # VAT that a document tells for several meanings together; so it stands in the table of VAT
NOT_MADE = "not_made"  # the code of what keeps a posting from being made
LATE = "late"  # the code of a difference that turned up after posting
CENT = Decimal("0.01")
ZERO = Decimal(0)
SAID = 3  # documents in the way of a posting that are named


class Sums(msgspec.Struct, frozen=True):
    """What documents come to: without VAT and VAT by VAT meaning, paid by method. `untold`: documents that tell no total;
    `problems`: why a posting cannot be made of them."""

    documents: int = 0
    net: dict[str, Decimal] = {}
    vat: dict[str, Decimal] = {}
    paid: dict[str, Decimal] = {}
    rounding: Decimal = ZERO
    untold: int = 0
    problems: tuple[str, ...] = ()

    def plus(self, more: Sums, times: int = 1) -> Sums:
        """Both together; with `times` -1 what is left without the other."""
        return Sums(
            self.documents + times * more.documents,
            _both(self.net, more.net, times),
            _both(self.vat, more.vat, times),
            _both(self.paid, more.paid, times),
            self.rounding + times * more.rounding,
            self.untold + times * more.untold,
            tuple(sorted({*self.problems, *more.problems})[:SAID]),
        )

    @property
    def nothing(self) -> bool:
        """Whether no amount is left and nothing stands in the way."""
        return not (self.net or self.vat or self.paid or self.rounding or self.problems)

    @property
    def total(self) -> Decimal:
        """With VAT and rounding."""
        return sum(self.net.values(), ZERO) + sum(self.vat.values(), ZERO) + self.rounding


def derived_name(resource: str, by: str, flow: str) -> str:
    """The name of what is made of a resource's documents by one flow."""
    return f"{resource} by {by} ({flow})"


def derived_can(entity: str) -> Can:
    """What postings show: listed, never written."""
    told: dict[str, tuple[Field, ...]] = {
        "journal_entry": (Field(path="journal", kind="code", writable="never"),),
        "invoice": (
            Field(path="kind", kind="code", writable="never"),
            Field(path="payment_method", kind="code", writable="never"),
            Field(path="total", kind="decimal", writable="never"),
            Field(path="total_vat", kind="decimal", writable="never"),
        ),
    }
    fields = (
        Field(path="number", kind="code", writable="never"),
        Field(path="date", kind="date", writable="never"),
        Field(path="currency", kind="code", writable="never"),
        Field(path="lines", kind="lines", writable="never"),
        Field(path="documents", kind="int", own=True, writable="never", note="how many documents it holds"),
    )
    return Can(list=True, find=(), fields=(*fields, *told.get(entity, ())))


# --- one document -----------------------------------------------------------------------------------------------------


def parts_of(flow: Flow, native: str, record: Record) -> dict[str, Sums]:
    """What a document adds, by the name of the posting; nothing when it is outside the flow."""
    group, document = flow.group, record.entity
    assert group is not None
    if not isinstance(document, (Invoice, Order)) or reason(group.scope, record):
        return {}
    method = _method(document)
    cut: dict[str, list[DocumentLine]] = {}
    for line in document.lines or (DocumentLine(),):
        cut.setdefault(_name(flow, group, document, line, method), []).append(line)
    problems = _in_the_way(document)
    vat = None if problems else _vat(document, several=len(cut) > 1)
    if vat is None and not problems:
        problems = ["tells the VAT of lines with several VAT meanings only as a whole"]
    made: dict[str, Sums] = {}
    untold = int(document.total is None and not _each_tells_vat(document.lines))
    for name, lines in cut.items():
        net = _summed((line.vat or NONE, _net(line) or ZERO) for line in lines)
        part = (
            {}
            if vat is None
            else vat
            if len(cut) == 1
            else _summed((one.vat or NONE, _vat_of(one, vat)) for one in lines)
        )
        gross = sum(net.values(), ZERO) + sum(part.values(), ZERO)
        made[name] = Sums(1, net, part, {} if untold else _filled({method: gross}), untold=untold)
    rounding = ZERO if document.total is None or problems else _cents(document.total) - _gross(made)
    if abs(rounding) > Decimal(group.tolerance):
        problems.append(f"comes to {_gross(made)} by its lines and {_cents(document.total or ZERO)} as a whole")
    elif rounding:  # the last part takes the cent
        last = list(made)[-1]
        made[last] = made[last].plus(Sums(rounding=rounding, paid={method: rounding}))
    if not problems:
        return made
    said = tuple(f"{document.label() or native} {problem}" for problem in problems)
    return {name: part.plus(Sums(problems=said)) for name, part in made.items()}


def _in_the_way(document: Invoice | Order) -> list[str]:
    found: list[str] = []
    if not document.date:
        found.append("has no date")
    if isinstance(document, Invoice) and document.kind == "purchase":
        found.append("is a purchase invoice, and only sales are posted together")
    if not document.lines:
        found.append("has no lines")
    elif any(_net(line) is None for line in document.lines):
        found.append("has a line without an amount")
    elif any(not line.vat for line in document.lines):
        found.append("has a line without a VAT meaning")
    return found


def _vat(document: Invoice | Order, *, several: bool) -> dict[str, Decimal] | None:
    """The VAT of a document by meaning, or None when it goes to several postings and nobody can tell how much to which."""
    lines = document.lines
    if _each_tells_vat(lines):
        return _summed((line.vat or NONE, _cents(line.vat_amount or ZERO)) for line in lines)
    told = document.total_vat if isinstance(document, Invoice) else None
    if told is None:
        if document.total is None:
            return {}
        told = document.total - sum((_net(line) or ZERO for line in lines), ZERO)
    if not _cents(told):
        return {}
    meanings = {line.vat or NONE for line in lines}
    return None if several else {meanings.pop() if len(meanings) == 1 else MIXED: _cents(told)}


def _each_tells_vat(lines: tuple[DocumentLine, ...]) -> bool:
    return bool(lines) and all(line.vat_amount is not None for line in lines)


def _vat_of(line: DocumentLine, vat: Mapping[str, Decimal]) -> Decimal:
    return _cents(line.vat_amount) if vat and line.vat_amount is not None else ZERO


def _name(flow: Flow, group: Group, document: Invoice | Order, line: DocumentLine, method: str) -> str:
    """The posting a line belongs to: each key in turn and the currency, so that no two keys give one name."""
    told: list[str] = []
    for key in group.keys:
        if key == JOURNAL:
            value = _line_of(flow, group.journals, method) or f"?{method}"
        elif key == "payment_method":
            value = method
        elif key.startswith(LINE):
            value = getattr(line, key.removeprefix(LINE))
        else:
            value = getattr(document, key, None)
        told.append(str(value or NONE)[:10] if key == "date" else str(value or NONE))
    return "/".join(quote(value, safe="") for value in (*told, document.currency or NONE))


def _method(document: Invoice | Order) -> str:
    told = document.payment_method if isinstance(document, Invoice) else None
    return (told or "").strip().casefold() or NONE


def _net(line: DocumentLine) -> Decimal | None:
    """A line's amount without VAT: as told, else quantity times price where there is no discount to interpret."""
    if line.amount is not None:
        return _cents(line.amount)
    if line.quantity is None or line.unit_price is None or line.discount:
        return None
    return _cents(line.quantity * line.unit_price)


# --- one posting ------------------------------------------------------------------------------------------------------


def native_of(name: str, part: int) -> str:
    """A posting's id and number: a later one of the same documents has its number behind it."""
    return name if part == 1 else f"{name}/{part}"


def day_of(flow: Flow, name: str) -> str:
    """The day a posting is of; empty when its documents tell none."""
    told = _told(flow, name)["date"]
    return "" if told == NONE else told


def posting(flow: Flow, name: str, part: int, sums: Sums) -> tuple[Record, tuple[Problem, ...]]:
    """A posting as the flow's left shows it, and what keeps it from being made."""
    told = _told(flow, name)
    currency = None if told["currency"] == NONE else told["currency"]
    number, day = native_of(name, part), day_of(flow, name) or None
    problems = list(sums.problems)
    if told.get(JOURNAL, "").startswith("?"):
        problems.append(f"table {flow.group and flow.group.journals} has no line for {told[JOURNAL][1:]!r}")
    if flow.entity == "invoice":
        entity: Invoice | JournalEntry = _invoice(number, day, currency, sums)
    else:
        lines, lacking = _booked(flow, sums)
        problems += lacking
        journal = told.get(JOURNAL)
        entity = JournalEntry(number=number, journal=journal, date=day, currency=currency, lines=lines)
    said = tuple(Problem(NOT_MADE, problem) for problem in problems)
    return Record(entity, {"documents": sums.documents}), said


def _told(flow: Flow, name: str) -> dict[str, str]:
    assert flow.group is not None
    return dict(zip((*flow.group.keys, "currency"), (unquote(value) for value in name.split("/")), strict=False))


def _invoice(number: str, day: str | None, currency: str | None, sums: Sums) -> Invoice:
    lines = [DocumentLine(vat=meaning, amount=amount) for meaning, amount in sorted(sums.net.items())]
    methods = list(sums.paid)
    return Invoice(
        number=number,
        kind="sales",
        date=day,
        currency=currency,
        total=None if sums.untold else sums.total,
        total_vat=None if sums.untold else sum(sums.vat.values(), ZERO),
        payment_method=methods[0] if len(methods) == 1 and methods[0] != NONE else None,
        lines=tuple(lines),
    )


def _booked(flow: Flow, sums: Sums) -> tuple[tuple[JournalLine, ...], list[str]]:
    """The lines of an entry: what was paid against turnover, VAT and rounding; it balances to the cent (rule B11)."""
    group = flow.group
    assert group is not None
    lacking: list[str] = []
    lines: list[JournalLine] = []

    def book(table: str | None, code: str, credit: Decimal, vat: str | None = None) -> None:
        ledger = _line_of(flow, table, code)
        if ledger is None:
            lacking.append(f"table {table} has no line for {code!r}")
        elif credit:
            lines.append(_line(ledger, credit, vat))

    for method, amount in sorted(sums.paid.items()):
        book(group.payments, method, -amount)
    for meaning, amount in sorted(sums.net.items()):
        book(group.ledgers, meaning, amount, meaning)
    for meaning, amount in sorted(sums.vat.items()):
        book(group.vat, meaning, amount)
    if sums.rounding and group.rounding is None:
        lacking.append("nothing says which ledger takes a rounding difference")
    elif sums.rounding:
        lines.append(_line(str(group.rounding), sums.rounding))
    if sums.untold:
        lacking.append("a document tells no total, so what was paid is not known")
    return tuple(lines), lacking


def _line(ledger: str, credit: Decimal, vat: str | None = None) -> JournalLine:
    """An amount on the side it belongs to: what is taken back stands on the other."""
    if credit > 0:
        return JournalLine(ledger=ledger, credit=credit, vat=vat)
    return JournalLine(ledger=ledger, debit=-credit, vat=vat)


def _line_of(flow: Flow, table: str | None, code: str) -> str | None:
    """What a table says of a code; case does not count."""
    lines = flow.tables.get(table or "", {})
    found: Json = next((value for key, value in lines.items() if key.casefold() == code.casefold()), None)
    return None if found is None else str(found)


# --- amounts ----------------------------------------------------------------------------------------------------------


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def _gross(parts: Mapping[str, Sums]) -> Decimal:
    return sum((part.total for part in parts.values()), ZERO)


def _summed(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    made: dict[str, Decimal] = {}
    for name, amount in amounts:
        made[name] = made.get(name, ZERO) + amount
    return _filled(made)


def _both(one: Mapping[str, Decimal], two: Mapping[str, Decimal], times: int) -> dict[str, Decimal]:
    return _filled({name: one.get(name, ZERO) + times * two.get(name, ZERO) for name in sorted({*one, *two})})


def _filled(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Without what came to nothing: a sum is the same however it was reached."""
    return {name: amount for name, amount in amounts.items() if amount}
