"""Documents: orders, invoices and journal entries, each with its lines. Amounts are decimal, in the document's currency."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from koppel.model.entity import Entity

OrderStatus = Literal["draft", "open", "part_delivered", "delivered", "cancelled"]
# Rule B9. "Gone from the list" is not "paid".
PaymentStatus = Literal["open", "part_paid", "paid", "overdue", "collection", "disputed", "credited", "written_off"]


class DocumentLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. `product` is the product's native id in the same connection; `vat` a meaning (rule B5); `amount` is without VAT,
    `vat_amount` the VAT on it where the source tells that."""

    product: str | None = None
    description: str | None = None
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    discount: Decimal | None = None
    vat: str | None = None
    amount: Decimal | None = None
    vat_amount: Decimal | None = None


class Order(Entity, frozen=True, omit_defaults=True):
    """A sales order; entity version 1. `customer` is a native id in the same connection; dates are ISO `YYYY-MM-DD`."""

    number: str | None = None
    date: str | None = None
    customer: str | None = None
    status: OrderStatus | None = None
    delivery_date: str | None = None
    reference: str | None = None
    currency: str | None = None
    total: Decimal | None = None
    lines: tuple[DocumentLine, ...] = ()

    def match_keys(self) -> tuple[tuple[str, str], ...]:
        """The number; the party is compared as well before two documents are taken for one (rule B15)."""
        return (("number", self.number),) if self.number else ()

    def label(self) -> str:
        """What people call it."""
        return f"order {self.number}" if self.number else ""


class Invoice(Entity, frozen=True, omit_defaults=True):
    """An invoice or credit note; entity version 1.

    `kind` says sales or purchase; `credits` is the number of the invoice a credit note takes back. `party` is the native id
    of the customer or supplier. `total` includes VAT, `open_amount` is what is still to be paid, `payment_method` is the
    source's word (rule B20 counts by it).
    """

    number: str | None = None
    kind: Literal["sales", "purchase"] | None = None
    credits: str | None = None
    date: str | None = None
    due_date: str | None = None
    party: str | None = None
    status: PaymentStatus | None = None
    currency: str | None = None
    total: Decimal | None = None
    total_vat: Decimal | None = None
    open_amount: Decimal | None = None
    payment_method: str | None = None
    reference: str | None = None
    lines: tuple[DocumentLine, ...] = ()

    def match_keys(self) -> tuple[tuple[str, str], ...]:
        """The number; the party is compared as well before two documents are taken for one (rule B15)."""
        return (("number", self.number),) if self.number else ()

    def label(self) -> str:
        """What people call it."""
        return f"{'credit note' if self.credits else 'invoice'} {self.number}" if self.number else ""


class JournalLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a journal entry; exactly one of `debit` and `credit` is filled. `ledger` is the account's code."""

    ledger: str | None = None
    description: str | None = None
    debit: Decimal | None = None
    credit: Decimal | None = None
    vat: str | None = None
    cost_centre: str | None = None


class JournalEntry(Entity, frozen=True, omit_defaults=True):
    """A journal entry; entity version 1. Debit and credit balance to the cent (rule B11)."""

    number: str | None = None
    journal: str | None = None
    date: str | None = None
    description: str | None = None
    currency: str | None = None
    lines: tuple[JournalLine, ...] = ()

    def match_keys(self) -> tuple[tuple[str, str], ...]:
        """Journal and number together."""
        return (("number", f"{self.journal or ''} {self.number}".strip()),) if self.number else ()

    def label(self) -> str:
        """What people call it."""
        return f"entry {self.number}" if self.number else ""


# Entities that are documents, and the path of each that says whose document it is (rule B15).
DOCUMENTS = frozenset({"order", "invoice", "journal_entry"})
PARTIES = {"order": "customer", "invoice": "party"}
