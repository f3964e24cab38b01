"""Documents posted together: no cent is lost or made, order does not matter, and nothing is guessed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koppel.mapping.grouping import Sums, native_of, parts_of, posting
from koppel.mapping.read import read_flow
from koppel.model.documents import DocumentLine, Invoice, JournalEntry, Order
from koppel.model.record import Record

TEXT = """koppel = 1
id     = "till"
title  = "Till"
entity = "journal_entry"
left   = "till:tickets"
right  = "books:entries"

[group]
by = "day"
ledgers = "turnover"
vat = "vat"
payments = "payments"
rounding = { ledger = "4999", tolerance = "0.02" }

[match]
keys = ["number"]

[create]
right = true

[fields]
number = { owner = "left" }
lines  = { owner = "left" }

[tables.turnover]
nl-high = "8000"
nl-low  = "8010"
outside = "8090"

[tables.vat]
nl-high = "1510"
nl-low  = "1511"
mixed   = "1599"

[tables.payments]
pin = "1220"
"-" = "1300"

[tables.journals]
pin = "72"
"""


def flow(*changes: tuple[str, str]):
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    read, problems = read_flow(text, file="till.toml")
    assert read is not None, problems
    return read


def read_problems(*changes: tuple[str, str]) -> list[str]:
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return [str(problem.message) for problem in read_flow(text, file="till.toml")[1] if problem.severity == "error"]


BY_JOURNAL = ('by = "day"', 'by = "journal"\njournals = "journals"')
AS_INVOICE = ('entity = "journal_entry"', 'entity = "invoice"')
ALL_IN_ONE = ('by = "day"', 'by = "day"\nkeys = ["date", "payment_method"]')


def line(meaning: str | None, amount: str, vat: str | None = None) -> DocumentLine:
    return DocumentLine(vat=meaning, amount=Decimal(amount), vat_amount=None if vat is None else Decimal(vat))


def ticket(*lines: DocumentLine, **given_: Any) -> Invoice:
    told = {"number": "B1", "date": "2026-10-03", "currency": "EUR", "payment_method": "pin"}
    return Invoice(**{**told, **given_}, lines=lines)


def one(document: Invoice | Order, of=None) -> tuple[str, Sums]:
    ((name, sums),) = parts_of(of or flow(), "1", Record(document)).items()
    return name, sums


def total_of(entries: list[JournalEntry]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for entry in entries:
        assert sum(each.debit or 0 for each in entry.lines) == sum(each.credit or 0 for each in entry.lines)
        for each in entry.lines:
            assert (each.debit is None) != (each.credit is None)
            found[each.ledger or ""] = found.get(each.ledger or "", Decimal(0)) + (each.credit or 0) - (each.debit or 0)
    return {ledger: amount for ledger, amount in found.items() if amount}


def folded(of, documents) -> dict[str, Sums]:
    made: dict[str, Sums] = {}
    for document in documents:
        for name, sums in parts_of(of, document.number or "", Record(document)).items():
            made[name] = made.get(name, Sums()).plus(sums)
    return made


# --- laws -------------------------------------------------------------------------------------------------------------

amounts = st.decimals(min_value=-500, max_value=500, places=3)
lines = st.builds(
    DocumentLine, vat=st.sampled_from(["nl-high", "nl-low", "outside"]), amount=amounts, vat_amount=amounts
)
documents = st.builds(
    Invoice,
    number=st.sampled_from(["B1", "B2", "B3"]),
    date=st.sampled_from(["2026-10-01", "2026-10-02", "2026-10-03"]),
    currency=st.sampled_from(["EUR", "USD"]),
    payment_method=st.sampled_from(["pin", "Pin", None]),
    lines=st.lists(lines, min_size=1, max_size=4).map(tuple),
)
FLOWS = [flow(), flow(ALL_IN_ONE), flow(BY_JOURNAL)]


@settings(max_examples=60)
@given(of=st.sampled_from(FLOWS), several=st.lists(documents, max_size=6))
def test_the_postings_come_to_what_the_documents_come_to_per_currency_and_meaning(of, several):
    cents = Decimal("0.01")
    wanted: dict[tuple[str, str], Decimal] = {}
    for document in several:
        for each in document.lines:
            key = (document.currency or "", each.vat or "")
            rounded = (each.amount or Decimal(0)).quantize(cents, rounding="ROUND_HALF_UP")
            wanted[key] = wanted.get(key, Decimal(0)) + rounded
    found: dict[tuple[str, str], Decimal] = {}
    for name, sums in folded(of, several).items():
        assert not sums.problems
        assert sum(sums.paid.values()) == sums.total
        for meaning, amount in sums.net.items():
            key = (name.rpartition("/")[2], meaning)
            found[key] = found.get(key, Decimal(0)) + amount
    assert {k: v for k, v in found.items() if v} == {k: v for k, v in wanted.items() if v}


@settings(max_examples=60)
@given(of=st.sampled_from(FLOWS), several=st.lists(documents, max_size=6), data=st.data())
def test_the_order_in_which_documents_arrive_does_not_matter(of, several, data):
    assert folded(of, several) == folded(of, data.draw(st.permutations(several)))


@settings(max_examples=60)
@given(before=st.lists(documents, max_size=4), after=st.lists(documents, max_size=4))
def test_what_was_posted_and_the_difference_are_the_whole(before, after):
    of = flow(ALL_IN_ONE)
    first, whole = folded(of, before), folded(of, [*before, *after])
    for name, sums in whole.items():
        difference = sums.plus(first.get(name, Sums()), -1)
        assert difference.nothing == _same(sums, first.get(name, Sums()))
        assert difference.plus(first.get(name, Sums())) == sums


def _same(one_: Sums, two: Sums) -> bool:
    return (one_.net, one_.vat, one_.paid, one_.rounding) == (two.net, two.vat, two.paid, two.rounding)


@settings(max_examples=60)
@given(several=st.lists(documents, min_size=1, max_size=6))
def test_every_entry_balances_to_the_cent(several):
    of = flow(('outside = "8090"', 'outside = "8090"'), ('mixed   = "1599"', 'mixed   = "1599"\noutside = "1598"'))
    for name, sums in folded(of, several).items():
        record, problems = posting(of, name, 1, sums)
        assert not problems
        assert isinstance(record.entity, JournalEntry)
        total_of([record.entity])


# --- examples ---------------------------------------------------------------------------------------------------------


def test_a_ticket_is_cut_by_vat_meaning_and_the_last_part_takes_the_cent():
    document = ticket(line("nl-high", "1.00", "0.21"), line("nl-low", "1.00", "0.09"), total=Decimal("2.31"))
    made = parts_of(flow(), "1", Record(document))
    assert [(name, sums.total, sums.rounding) for name, sums in made.items()] == [
        ("2026-10-03/nl-high/pin/EUR", Decimal("1.21"), Decimal(0)),
        ("2026-10-03/nl-low/pin/EUR", Decimal("1.10"), Decimal("0.01")),
    ]
    entries = [posting(flow(), name, 1, sums)[0].entity for name, sums in made.items()]
    assert total_of(entries) == {  # type: ignore[arg-type]
        "8000": Decimal("1.00"), "1510": Decimal("0.21"), "8010": Decimal("1.00"), "1511": Decimal("0.09"),
        "4999": Decimal("0.01"), "1220": Decimal("-2.31"),
    }  # fmt: skip


def test_a_difference_of_the_whole_tolerance_is_still_let_pass():
    _, sums = one(ticket(line("nl-high", "1", "0.21"), total=Decimal("1.23")))
    assert (sums.rounding, sums.problems) == (Decimal("0.02"), ())


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (ticket(line("nl-high", "1"), date=None), "has no date"),
        (ticket(line(None, "1")), "has a line without a VAT meaning"),
        (ticket(DocumentLine(vat="nl-high")), "has a line without an amount"),
        (ticket(), "has no lines"),
        (ticket(line("nl-high", "1"), kind="purchase"), "is a purchase invoice"),
        (ticket(line("nl-high", "1", "0.21"), total=Decimal("1.24")), "comes to 1.21 by its lines and 1.24 as a whole"),
    ],
)
def test_what_a_document_does_not_tell_keeps_its_posting_from_being_made(document, why):
    name, sums = one(document)
    _, problems = posting(flow(), name, 1, sums.plus(one(ticket(line("nl-high", "1", "0.21")))[1]))
    assert any(why in problem.text and "invoice B1" in problem.text for problem in problems)


def test_vat_of_several_meanings_told_as_a_whole_is_not_split_over_postings():
    document = ticket(line("nl-high", "1"), line("nl-low", "1"), total=Decimal("2.30"), total_vat=Decimal("0.30"))
    for sums in parts_of(flow(), "1", Record(document)).values():
        assert "only as a whole" in sums.problems[0]
    name, sums = one(document, flow(ALL_IN_ONE))  # in one posting it stands as it is told
    record, problems = posting(flow(ALL_IN_ONE), name, 1, sums)
    assert not problems
    assert total_of([record.entity])["1599"] == Decimal("0.30")  # type: ignore[list-item]


def test_a_meaning_or_method_without_a_line_keeps_the_posting_from_being_made():
    name, sums = one(ticket(line("margin", "1", "0"), payment_method="crypto"))
    _, problems = posting(flow(), name, 1, sums)
    assert {problem.text for problem in problems} == {
        "table turnover has no line for 'margin'",
        "table payments has no line for 'crypto'",
    }
    of = flow(BY_JOURNAL)
    name, sums = one(ticket(line("nl-high", "1", "0"), payment_method="crypto"), of)
    assert "table journals has no line for 'crypto'" in [problem.text for problem in posting(of, name, 1, sums)[1]]


def test_names_of_postings_never_meet():
    one_ = one(ticket(line("nl-high", "1", "0"), payment_method="a/b"))[0]
    assert one_ == "2026-10-03/nl-high/a%2Fb/EUR"
    assert native_of(one_, 2) == f"{one_}/2"


def test_an_invoice_of_a_day_has_a_line_per_meaning_and_the_totals_of_its_documents():
    of = flow(AS_INVOICE, ALL_IN_ONE)
    several = [ticket(line("nl-high", "1", "0.21"), number=f"B{n}", total=Decimal("1.21")) for n in range(3)]
    ((name, sums),) = folded(of, [*several, ticket(line("nl-low", "2", "0.18"), number="B9")]).items()
    record, problems = posting(of, name, 1, sums)
    assert not problems
    assert record.own == {"documents": 4}
    assert record.entity == Invoice(
        number=name, kind="sales", date="2026-10-03", currency="EUR", total=Decimal("5.81"),
        total_vat=Decimal("0.81"), payment_method="pin",
        lines=(DocumentLine(vat="nl-high", amount=Decimal("3.00")), DocumentLine(vat="nl-low", amount=Decimal("2.00"))),
    )  # fmt: skip


def test_documents_outside_the_flow_count_for_nothing():
    of = flow(("[match]", '[scope]\nleft = [{ field = "status", is_not = "disputed" }]\n\n[match]'))
    assert parts_of(of, "1", Record(ticket(line("nl-high", "1"), status="disputed"))) == {}
    assert of.scope.left == ()


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('by = "day"', 'by = "week"'), "'by' cannot be 'week'"),
        (('by = "day"', 'by = "document"'), "'ledgers' says nothing where each document is posted by itself"),
        (('by = "day"', 'by = "day"\nkeys = ["payment_method"]'), "a posting is of one day, so the date is among its keys"),
        (('by = "day"', 'by = "day"\nkeys = ["date", "lines.vta"]'), "documents cannot be told apart by 'lines.vta'"),
        (('by = "day"', 'by = "journal"'), "nothing says which journal a payment method belongs to"),
        (('vat = "vat"\n', ""), "a journal entry needs ledgers, and nothing says those of VAT by VAT meaning"),
        (('vat = "vat"', 'vat = "vta"'), "there is no table 'vta'"),
        (('"0.02"', '"0.06"'), "a tolerance lies between 0.00 and 0.05, not 0.06"),
        (('{ ledger = "4999", tolerance', "{ tolerance"), "a difference that is let pass goes to a ledger"),
        (('entity = "journal_entry"', 'entity = "product"'), "documents cannot become one product"),
        (("right = true", "right = true\nleft = true"), "no document is made from a posting"),
        (('lines  = { owner = "left" }', 'lines  = { owner = "right" }'), "would be written to what is made of documents"),
        (("[match]", '[missing]\nright = "restore"\n\n[match]'), "about a posting that is gone a person decides"),
        (('by = "day"', 'by = "day"\nkyes = ["date"]'), "[group] has no key 'kyes'"),
    ],
)  # fmt: skip
def test_what_a_grouping_cannot_mean_is_said(change, said):
    assert any(said in message for message in read_problems(change)), read_problems(change)


def test_a_flow_without_a_grouping_has_the_digest_it_had():
    by_document = TEXT[: TEXT.index("[group]")] + '[group]\nby = "document"\n\n' + TEXT[TEXT.index("[match]") :]
    without = TEXT[: TEXT.index("[group]")] + TEXT[TEXT.index("[match]") :]
    first, second = (read_flow(text, file="f")[0] for text in (by_document, without))
    assert first is not None
    assert second is not None
    assert first.digest == second.digest != flow().digest
