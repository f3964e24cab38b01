"""Contacts and bank accounts of an account."""

from __future__ import annotations

import re
from typing import Any

from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.books import ACCOUNTS
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft, Refused, label

CONTACTS = "crm/Contacts"
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{10,30}")


def _adding(desk: Desk, draft: Draft) -> None:
    draft.values |= _names(draft.values) | {"HID": desk.books.next_number("contact", 1)}


def _names(row: Row) -> Row:
    parts = (row.get("FirstName"), row.get("MiddleName"), row.get("LastName"))
    return {"FullName": " ".join(str(part) for part in parts if part)}


def _added(desk: Desk, row: Row) -> None:
    """The first contact of an account becomes its main one (unverified)."""
    account = desk.get(ACCOUNTS, row["Account"]) or {}
    if account.get("MainContact") is None:
        desk.change(ACCOUNTS, row["Account"], {"MainContact": row["ID"]})
    _mark(desk, row)


def _mark(desk: Desk, row: Row) -> None:
    account = desk.get(ACCOUNTS, row["Account"]) or {}
    shown = {
        "IsMainContact": account.get("MainContact") == row["ID"],
        "AccountIsCustomer": account.get("Status") == "C",
        "AccountIsSupplier": bool(account.get("IsSupplier")),
    }
    desk.books.records(CONTACTS).change(row["ID"], shown, None)


def _changing(_desk: Desk, row: Row, values: dict[str, Any]) -> None:
    if values.get("Account", row["Account"]) != row["Account"]:  # not changeable; wording unverified
        raise Refused(500, f"Ongeldig: {label('Account')}")
    values |= _names({**row, **values})


def _removed(desk: Desk, row: Row, _lines: list[Row]) -> None:
    account = desk.get(ACCOUNTS, row["Account"])
    if account is not None and account.get("MainContact") == row["ID"]:
        desk.change(ACCOUNTS, account["ID"], {"MainContact": None})


def _account_changed(desk: Desk, row: Row) -> None:
    """Who is the main contact is said by the account."""
    for contact in desk.having(CONTACTS, "Account", row["ID"]):
        _mark(desk, contact)


def _bank(_desk: Desk, draft: Draft) -> None:
    draft.values |= _numbered(draft.values)


def _numbered(values: dict[str, Any]) -> Row:
    """IBAN is read-only: it follows from a number that is one; its check digits count."""
    compact = re.sub(r"\s", "", str(values.get("BankAccount") or "")).upper()
    if _IBAN.fullmatch(compact) is None:
        return {"IBAN": None, "Type": "A"}
    if int("".join(str(int(one, 36)) for one in compact[4:] + compact[:4])) % 97 != 1:
        raise Refused(500, "Ongeldig: Bankrekening")
    return {"IBAN": compact, "Type": "A"}


def _changing_bank(_desk: Desk, row: Row, values: dict[str, Any]) -> None:
    if values.get("Account", row["Account"]) != row["Account"]:
        raise Refused(500, f"Ongeldig: {label('Account')}")
    if "BankAccount" in values:
        values |= _numbered(values)


def _fixed_code(_desk: Desk, row: Row, values: dict[str, Any]) -> None:
    if values.get("Code", row["Code"]) != row["Code"]:
        raise Refused(500, "Ongeldig: Code")


CONTACT = Behaviour(adding=_adding, added=_added, changing=_changing, removed=_removed)
ACCOUNT = Behaviour(changed=_account_changed)
BANK_ACCOUNT = Behaviour(adding=_bank, changing=_changing_bank)
FIXED_CODE = Behaviour(changing=_fixed_code)  # cost centres and units
