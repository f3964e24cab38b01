"""Company: a firm, foundation or sole trader as every system sees it, once the vendor's wording is taken off."""

from __future__ import annotations

from typing import Literal

import msgspec

from koppel.model.address import Address
from koppel.model.entity import Entity

VatState = Literal["confirmed", "candidate", "invalid", "unknown"]
Role = Literal["customer", "prospect", "suspect", "supplier", "none"]


class Sbi(msgspec.Struct, frozen=True, omit_defaults=True):
    """One activity of the Standaard Bedrijfsindeling, e.g. 10710."""

    code: str
    text: str = ""
    main: bool = False


class Company(Entity, frozen=True, omit_defaults=True):
    """Entity version 1. Numbers are compact text (see `koppel.formats`); an absent value is None, never empty text.

    `name` is the name to use, chosen by the connection's setting from trade or statutory name (rule B3).
    `vat_number` is a number somebody stands behind; `vat_candidate` is derived from the RSIN: it may match and is
    never written (rule B4). `personal` marks a sole trader, whose record is personal data. `successor` is the KVK
    number of who continued the business (rule B2). Dates are ISO `YYYY-MM-DD`, cut to what is known (`2018`, `2018-03`).
    """

    name: str | None = None
    trade_name: str | None = None
    statutory_name: str | None = None
    kvk: str | None = None
    branch: str | None = None
    rsin: str | None = None
    vat_number: str | None = None
    vat_candidate: str | None = None
    vat_state: VatState | None = None
    legal_form: str | None = None
    sbi: tuple[Sbi, ...] = ()
    is_active: bool | None = None
    started_on: str | None = None
    ended_on: str | None = None
    successor: str | None = None
    do_not_mail: bool | None = None
    employees: int | None = None
    personal: bool = False
    role: Role | None = None
    is_supplier: bool | None = None
    blocked: bool | None = None
    address: Address | None = None
    invoice_address: Address | None = None
    delivery_address: Address | None = None
    postal_address: Address | None = None
    phone: str | None = None
    email: str | None = None
    website: str | None = None
    code: str | None = None

    def match_keys(self) -> tuple[tuple[str, str], ...]:
        """Strong keys as (kind, compact value), strongest first (rule B17). A VAT candidate counts as `vat`."""
        keys: list[tuple[str, str]] = []
        if self.kvk:
            keys.append(("kvk", self.kvk))
        if self.branch:
            keys.append(("branch", self.branch))
        keys.extend(("vat", number) for number in dict.fromkeys((self.vat_number, self.vat_candidate)) if number)
        if self.rsin:
            keys.append(("rsin", self.rsin))
        return tuple(keys)

    def label(self) -> str:
        """Name and KVK number, or the system's own code."""
        number = self.kvk or self.code
        return f"{self.name or ''}{f' ({number})' if number else ''}".strip()


# Legal facts: true of the firm whichever debtor it is booked on; `shared_key = "facts"` sends only these (rule B1). The name is
# none of them: what tells three debtors of one firm apart is often in it ("… (inkoop)").
COMPANY_FACTS = frozenset({"statutory_name", "kvk", "rsin", "vat_number", "legal_form", "is_active", "ended_on"})
