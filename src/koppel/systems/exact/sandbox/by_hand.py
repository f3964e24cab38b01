"""What people do at their desks, beside the API: edit and enter records, pay, close periods."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec

from koppel.model.values import Json
from koppel.systems.exact.sandbox import ledger, payments, table, terms
from koppel.systems.exact.sandbox.books import ACCOUNTS, Books
from koppel.systems.exact.sandbox.money import exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.render import iso
from koppel.systems.exact.sandbox.rules import Refused, convert, pad, wall_of
from koppel.systems.exact.sandbox.state import State
from koppel.systems.exact.sandbox.table import EntityType
from koppel.systems.exact.sandbox.views import home
from koppel.systems.exact.sandbox.writing import alter, create, editable, enter, take_out

_ACCOUNT = table.entity("sync/CRM/Accounts")


class Named(msgspec.Struct, forbid_unknown_fields=True):
    """One record of a resource in a division (the first when left out), by id, KVK number or code; and what to do with it."""

    resource: str = ACCOUNTS
    division: int | None = None
    id: str | None = None
    kvk: str | None = None
    code: str | int | None = None
    set: dict[str, Json] = {}
    stamp: bool = True


class Payment(msgspec.Struct, forbid_unknown_fields=True):
    """An invoice is paid: by its number, whole or an amount of it, today or on a day, through a bank or cash journal."""

    invoice: int
    division: int | None = None
    amount: Decimal | None = None
    date: dt.date | None = None
    journal: str = "20"
    payable: bool = False


class Entered(msgspec.Struct, forbid_unknown_fields=True):
    """What stands in the form, as the API takes it; of an existing record when its `id` is given."""

    resource: str
    body: dict[str, Json]
    id: str | None = None
    division: int | None = None


class Period(msgspec.Struct, forbid_unknown_fields=True):
    """A period to close (or `open` again), in one journal or in all."""

    year: int
    period: int
    division: int | None = None
    journal: str | None = None
    open: bool = False


def division_of(state: State, number: int | None) -> Books:
    """The books of a division, the first one when it is not said. Raises ValueError."""
    if number is None:
        return next(iter(state.books.values()))
    if number not in state.books:
        raise ValueError(f"there is no division {number}; there are {', '.join(map(str, state.books))}")
    return state.books[number]


def edit(state: State, wanted: Named) -> dict[str, Json]:
    """Set values of a record; nothing follows from it. Raises ValueError."""
    desk = state.desk(division_of(state, wanted.division), by_hand=True)
    entity = editable(wanted.resource)
    key = _chosen(desk.books, wanted)
    return _plain(entity, desk.change(entity.path, key, _typed(entity, wanted.set), stamp=wanted.stamp))


def add(state: State, wanted: Named) -> dict[str, Json]:
    """Put a record there; nothing follows from it. Raises ValueError."""
    entity = editable(wanted.resource)
    values = _typed(entity, wanted.set)
    if entity.path == ACCOUNTS and not values.get("Name"):
        raise ValueError("set must hold a Name")
    books = division_of(state, wanted.division)
    if "Code" in values and books.records(entity.path).keys_with("Code", values["Code"]):
        raise ValueError(f"the code {values['Code'].strip()} is taken")
    return _plain(entity, state.desk(books, by_hand=True).add(entity.path, values))


def delete(state: State, wanted: Named) -> dict[str, Json]:
    """Take a record out, whether the API would or not. Raises ValueError."""
    desk = state.desk(division_of(state, wanted.division), by_hand=True)
    entity = editable(wanted.resource)
    key = _chosen(desk.books, wanted)
    take_out(desk, entity, desk.books.records(entity.path).rows[key])
    return {"id": key}


def accounts(state: State, wanted: Named) -> dict[str, Json]:
    """All accounts in the order of their codes, or those of a KVK number. Raises ValueError."""
    books = division_of(state, wanted.division)
    found = books.accounts
    ids = set(found.rows) if wanted.kvk is None else found.keys_with("ChamberOfCommerce", wanted.kvk)
    rows = sorted((found.rows[id_] for id_ in ids), key=lambda row: row["Code"])
    return {"accounts": [_plain(_ACCOUNT, row) for row in rows]}


def rows(state: State, wanted: Named) -> dict[str, Json]:
    """All records of a resource, in the order they were made; of one code when it is given."""
    entity, books = editable(wanted.resource), division_of(state, wanted.division)
    records = books.records(home(entity))
    rows = records.having("Code", str(wanted.code)) if wanted.code is not None else records.rows.values()
    return {"rows": [_plain(entity, row) for row in rows]}


def pay(state: State, wanted: Payment) -> dict[str, Json]:
    """A person enters a payment from the bank statement: in part with an amount, otherwise what is open."""
    desk = state.desk(division_of(state, wanted.division), by_hand=True)
    kind = terms.PAYABLE if wanted.payable else terms.RECEIVABLE
    found = terms.open_terms(desk.books, kind, wanted.invoice)
    if not found:
        raise ValueError(f"nothing is open of invoice {wanted.invoice}")
    amount = exact(found[0]["_open"] if wanted.amount is None else wanted.amount)
    try:
        moment = desk.today if wanted.date is None else wall_of(wanted.date.year, wanted.date.month, wanted.date.day)
        entry = payments.received(desk, found[0], amount, moment, wanted.journal, enter)
    except Refused as refused:
        raise ValueError(refused.message) from None
    return {"entry": entry["EntryID"], "number": entry["EntryNumber"], "open": found[0]["_open"]}


def enter_document(state: State, wanted: Entered) -> dict[str, Json]:
    """A person enters a document, or changes one, on the screen: with everything that follows from it."""
    desk = state.desk(division_of(state, wanted.division), by_hand=True)
    entity = table.entities().get(wanted.resource)
    if entity is None:
        raise ValueError(f"there is no resource {wanted.resource!r}")
    try:
        if wanted.id is None:
            return _plain(entity, create(state, desk, entity, wanted.body))
        row = desk.get(editable(wanted.resource).path, wanted.id)
        if row is None:
            raise ValueError(f"there is no such record of {wanted.resource} in this division")
        return _plain(entity, alter(state, desk, entity, row, wanted.body))
    except Refused as refused:
        raise ValueError(refused.message) from None


def close_period(state: State, wanted: Period) -> dict[str, Json]:
    """Close a period, or open it again, in one journal or in all."""
    books = division_of(state, wanted.division)
    journals = [row["Code"] for row in books.records(ledger.JOURNALS).rows.values()]
    if wanted.journal is not None and wanted.journal not in journals:
        raise ValueError(f"there is no journal {wanted.journal!r}; there are {', '.join(journals)}")
    for code in journals if wanted.journal is None else [wanted.journal]:
        place = (code, wanted.year, wanted.period)
        books.closed.discard(place) if wanted.open else books.closed.add(place)
    return {"closed": [list(place) for place in sorted(books.closed)]}


def _chosen(books: Books, wanted: Named) -> str:
    """The record meant; of several accounts with one number the first by code."""
    records = books.records(wanted.resource)
    found = {wanted.id} & records.rows.keys() if wanted.id is not None else set[str]()
    if wanted.kvk is not None:
        found = records.keys_with("ChamberOfCommerce", wanted.kvk)
    elif wanted.code is not None:
        code = str(wanted.code)
        found = records.keys_with("Code", pad("Code", code) if wanted.resource == ACCOUNTS else code)
    if not found:
        raise ValueError(f"there is no such record of {wanted.resource} in this division; name it by id, kvk or code")
    return min(found, key=lambda id_: records.rows[id_].get("Code") or "")


def _typed(entity: EntityType, values: dict[str, Json]) -> Row:
    """What a person fills in: any stored property, unchecked. Raises ValueError for one that does not exist."""
    typed: Row = {}
    for name, value in values.items():
        found = entity.properties.get(name)
        if found is None or found.is_collection or name in entity.keys:
            raise ValueError(f"{entity.name} has no property {name!r} that can be set")
        try:
            typed[name] = convert(found, value)
        except Refused as refused:
            raise ValueError(refused.message) from None
        if name != "Code" or entity.path == ACCOUNTS:
            typed[name] = pad(name, typed[name])
    return typed


def _plain(entity: EntityType, row: Row) -> dict[str, Json]:
    """A row for people: without padding, dates as ISO text of the Dutch wall clock."""
    plain: dict[str, Json] = {}
    for name, value in row.items():
        if value is None or name == "_made":
            continue
        found = entity.properties.get(name)
        is_date = found is not None and found.type == "DateTime"
        plain[name] = iso(value) if is_date else value.strip() if isinstance(value, str) else value
    return plain
