"""The field table of AFAS debtors: what can be read and written, in which form, and what is lost on the way.

A debtor (verkooprelatie) is two records: the sales relation with its terms, and the organisation with name, number and
address. Vendor fields of the sales relation have their bare name (`PaCd`), those of the organisation are written
`KnOrganisation/SeNm`. Reading goes through a GetConnector that calls the same things otherwise (`PayCon`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from koppel.model.can import Field
from koppel.model.kinds import Kind
from koppel.model.values import Json
from koppel.systems.afas import codec

Form = Callable[[Json], Json]
ORGANISATION = "KnOrganisation/"

CANONICAL: tuple[Field, ...] = (
    Field(path="name", kind="name", vendor=("Nm",), required=True, max_length=255, form=codec.text),
    Field(path="kvk", kind="kvk", vendor=("CcNr",), max_length=30, form=codec.kvk_form),
    Field(
        path="vat_number",
        kind="vat",
        vendor=("VaId",),
        max_length=21,
        form=codec.vat_form,
        note="Stands on the debtor, not on its organisation.",
    ),
    Field(
        path="address",
        kind="address",
        vendor=codec.ADDRESS_FIELDS,
        form=codec.address_form,
        lossy="Of a foreign address only the first line, postcode and place are kept. Capitals are Profit's: it keeps equal "
        "addresses as one record.",
        note="The visit address, from today on (BeginDate). The postal address is not touched after the debtor was made.",
    ),
    Field(path="phone", kind="phone", vendor=("TeNr",), max_length=255, form=codec.text),
    Field(path="email", kind="email", vendor=("EmAd",), max_length=255, form=codec.text),
    Field(
        path="blocked",
        kind="bool",
        vendor=("Bl",),
        form=codec.bool_form,
        note="Blocked for delivery; the debtor stays visible.",
    ),
    Field(
        path="code",
        kind="code",
        vendor=("DbId",),
        writable="never",
        form=codec.text,
        note="The debtor's number, given by Profit.",
    ),
)

# Canonical path -> column of Profit_Debtor. [OAS Profit_Debtor]
COLUMNS = {
    "name": "DebtorName",
    "kvk": "ChOfCommNr",
    "vat_number": "VatNr",
    "phone": "TelNr",
    "email": "Email",
    "blocked": "Blocked",
    "code": "DebtorId",
}
# Our canonical paths that live on the organisation.
ON_ORGANISATION = frozenset({"name", "kvk", "address", "phone", "email"})


def _own(name: str, kind: Kind = "text", *, form: Form = codec.text, **more: Any) -> Field:
    return Field(path=name, kind=kind, vendor=(name,), own=True, form=form, **more)


# Own field -> the column that shows it.
OWN_COLUMNS = {
    "PaCd": "PayCon",
    "CuId": "CurrencyId",
    "VaDu": "VatDuty",
    "Krli": "CreditLimit",
    "ColA": "CollectAccount",
    "KnOrganisation/SeNm": "SearchName",
}
OWN: tuple[Field, ...] = (
    _own("PaCd", "code", max_length=5, note="Payment condition."),
    _own("CuId", "code", max_length=3, required=True, note="Currency; EUR unless a flow says otherwise."),
    _own("VaDu", "code", max_length=3, note="VAT duty."),
    _own("Krli", "decimal", form=codec.number_form, note="Credit limit."),
    _own("ColA", "code", max_length=16, note="Summary account."),
    _own("PfId", "code", max_length=16, readable=False, note="Profile."),
    _own("VaTp", "code", max_length=20, readable=False, note="Type of sales relation."),
    _own("Rm", form=codec.lines, readable=False, note="Remark on the debtor."),
    _own("KnOrganisation/SeNm", "code", max_length=10, note="Search name."),
    _own("KnOrganisation/ViLe", "code", max_length=20, readable=False, note="Legal form, by your own codes."),
    _own("KnOrganisation/NmRg", "name", max_length=80, readable=False, note="Statutory name."),
    _own("KnOrganisation/HoPa", "url", max_length=255, readable=False, note="Website."),
    _own("KnOrganisation/FiNr", "code", max_length=9, readable=False, note="Fiscal number."),
    _own("KnOrganisation/Re", form=codec.lines, readable=False, note="Remark on the organisation."),
    _own("KnOrganisation/BrNr", "code", max_length=30, readable=False, writable="update", note="Branch number."),
    _own("KnOrganisation/SBIc", "code", max_length=10, readable=False, writable="update", note="Main activity."),
    _own("KnOrganisation/EmAm", "code", max_length=20, readable=False, writable="update", note="Number of employees."),
    _own("KnOrganisation/XpRe", "code", max_length=40, readable=False, writable="update", note="External key."),
    _own("BcCo", "code", writable="never", note="Number of the organisation behind the debtor."),
    _own("AutoPayment", "bool", form=codec.bool_form, writable="never", note="Automatically collect."),
    _own("IBAN", "code", writable="never", note="Bank accounts are not written."),
    _own("CreateDate", "instant", writable="never"),
)

# Fields the organisation has only in its own connector, not inside a sales relation: they take a call of their own.
# [data: KnOrganisation 40 fields, KnSalesRelationOrg with KnOrganisation 34]
APART = frozenset({"BrNr", "SBIc", "EmAm", "XpRe", "CrIb"})

FIELDS = CANONICAL + OWN
BY_PATH = {field.path: field for field in FIELDS}

# What steers a call is never a value of a flow; bank accounts and the BSN are written by nobody here (rules B12, B13).
_STEERING = frozenset(
    {"DbId", "BcCo", "BcId", "MatchOga", "AutoNum", "PadAdr", "IsDb", "SoSe", "Iban", "BaAc", "CoId", "Pwrd", "AtCd"}
)
_NAME = re.compile(r"(KnOrganisation/)?[A-Z][A-Za-z0-9_]{1,40}")


def own_field(name: str) -> Field | None:
    """The vendor field of that name: from the table, or one of the tenant's own (`U` and 32 digits), written as text."""
    if name in BY_PATH:
        return BY_PATH[name] if BY_PATH[name].own else None
    bare = name.removeprefix(ORGANISATION)
    # What only a GetConnector calls so cannot be written under that name.
    if not _NAME.fullmatch(name) or bare in _STEERING or name in {*COLUMNS.values(), *OWN_COLUMNS.values()}:
        return None
    return _own(name)


def column(name: str) -> str:
    """The GetConnector's column of an own field; a tenant's own column is called by its own name."""
    return OWN_COLUMNS.get(name, name)


# Never fetched into a record, whichever connector shows it (rule B13).
PRIVATE = frozenset({"BSN", "SoSe", "DateBirth"})


def kept(own: tuple[str, ...]) -> tuple[str, ...]:
    """The columns an item holds: what is mapped, and what a flow asked for."""
    asked = (column(name) for name in own if column(name) not in PRIVATE)
    return tuple(dict.fromkeys((*COLUMNS.values(), "BcCo", *codec.LINES, *asked)))
