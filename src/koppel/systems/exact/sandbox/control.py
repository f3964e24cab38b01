"""What a person, the vendor or a test does beside the API: the actions of `control`."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Literal

import msgspec

from koppel.model.values import Json
from koppel.systems.exact.sandbox import ledger, payments, table, terms
from koppel.systems.exact.sandbox.books import ACCOUNTS, Books, Event
from koppel.systems.exact.sandbox.money import exact
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.render import iso
from koppel.systems.exact.sandbox.rules import Refused, convert, pad, wall, wall_of
from koppel.systems.exact.sandbox.state import State
from koppel.systems.exact.sandbox.table import EntityType
from koppel.systems.exact.sandbox.views import home
from koppel.systems.exact.sandbox.webhooks import SUBSCRIPTIONS, topics_of
from koppel.systems.exact.sandbox.writing import alter, create, editable, enter, take_out

_ACCOUNT = table.entity("sync/CRM/Accounts")

_RULES = frozenset(
    {"read_only", "client_ids", "check_vat", "references", "drop_lines", "credit_lines", "part_payments"}
)
_OUTBOX = {"webhook_delay": "delay", "webhook_hosts": "hosts", "lose_webhooks": "lose"}
_LIMITS = frozenset({"minute_limit", "day_limit", "error_limit"})


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters."""


class _Pair(msgspec.Struct, forbid_unknown_fields=True):
    """How many seconds ago the tokens were obtained."""

    age: float = 570.0


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    """One record of a resource in a division (the first when left out), by id, KVK number or code; and what to do with it."""

    resource: str = ACCOUNTS
    division: int | None = None
    id: str | None = None
    kvk: str | None = None
    code: str | int | None = None
    set: dict[str, Json] = {}
    stamp: bool = True


class _Payment(msgspec.Struct, forbid_unknown_fields=True):
    """An invoice is paid: by its number, whole or an amount of it, today or on a day, through a bank or cash journal."""

    invoice: int
    division: int | None = None
    amount: Decimal | None = None
    date: dt.date | None = None
    journal: str = "20"
    payable: bool = False


class _Entered(msgspec.Struct, forbid_unknown_fields=True):
    """What stands in the form, as the API takes it; of an existing record when its `id` is given."""

    resource: str
    body: dict[str, Json]
    id: str | None = None
    division: int | None = None


class _Period(msgspec.Struct, forbid_unknown_fields=True):
    """A period to close (or `open` again), in one journal or in all."""

    year: int
    period: int
    division: int | None = None
    journal: str | None = None
    open: bool = False


class _DivisionSettings(msgspec.Struct, forbid_unknown_fields=True):
    """How a division's books are set up."""

    division: int | None = None
    vat_rounding: Literal["line", "document"] | None = None


class _Answered(msgspec.Struct, forbid_unknown_fields=True):
    """The status a receiver gave; None for silence."""

    number: int
    status: int | None = None


class _Forged(msgspec.Struct, forbid_unknown_fields=True):
    """What the notification claims."""

    topic: str
    key: str
    action: str = "Update"
    division: int | None = None
    genuine: bool = False


class _Move(msgspec.Struct, forbid_unknown_fields=True):
    """The division to move; with `hr` it is linked to HR instead."""

    division: int | None = None
    hr: bool = False


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    """The switches; what is left out stays as it is.

    `silent_drop`: properties a write accepts and does not keep. `refuse`: KVK number or name -> the message such a write
    is refused with. `scope`: the divisions the app was granted. `read_only`, `client_ids`, `check_vat`: see `Rules`.
    """

    minute_limit: int | None = None
    day_limit: int | None = None
    error_limit: int | None = None
    token_limit: int | None = None
    html_401: bool | None = None
    mandatory_filter: bool | None = None
    silent_drop: frozenset[str] | None = None
    refuse: dict[str, str] | None = None
    scope: set[int] | None = None
    read_only: Literal["refuse", "ignore"] | None = None
    client_ids: Literal["ignore", "keep"] | None = None
    check_vat: bool | None = None
    references: Literal["drop", "refuse"] | None = None
    drop_lines: bool | None = None
    credit_lines: Literal["any", "negative", "positive"] | None = None
    part_payments: Literal["one", "split"] | None = None
    webhook_delay: float | None = None
    webhook_hosts: frozenset[str] | None = None
    lose_webhooks: bool | None = None


def control(state: State, action: str, body: dict[str, Json]) -> dict[str, Json]:
    """Do one action. Raises ValueError for an unknown action or a bad body."""
    if action not in _ACTIONS:
        raise ValueError(f"the exact sandbox has no action {action!r}; it has {', '.join(sorted(_ACTIONS))}")
    shape, act = _ACTIONS[action]
    return act(state, msgspec.convert(body, shape))  # its error is a ValueError


def _code(state: State, _: _Nothing) -> dict[str, Json]:
    return {"code": state.sign_in.new_code(state.now())}


def _fresh_pair(state: State, wanted: _Pair) -> dict[str, Json]:
    """Tokens of a new consent: by default old enough to be refreshed and still good."""
    access, refresh = state.sign_in.new_pair(state.now() - wanted.age)
    return {"access_token": access, "refresh_token": refresh, "expires_in": max(0, int(600 - wanted.age))}


def _edit(state: State, wanted: _Named) -> dict[str, Json]:
    desk = state.desk(_division(state, wanted.division), by_hand=True)
    entity = editable(wanted.resource)
    key = _chosen(desk.books, wanted)
    return _plain(entity, desk.change(entity.path, key, _typed(entity, wanted.set), stamp=wanted.stamp))


def _add(state: State, wanted: _Named) -> dict[str, Json]:
    entity = editable(wanted.resource)
    values = _typed(entity, wanted.set)
    if entity.path == ACCOUNTS and not values.get("Name"):
        raise ValueError("set must hold a Name")
    books = _division(state, wanted.division)
    if "Code" in values and books.records(entity.path).keys_with("Code", values["Code"]):
        raise ValueError(f"the code {values['Code'].strip()} is taken")
    return _plain(entity, state.desk(books, by_hand=True).add(entity.path, values))


def _delete(state: State, wanted: _Named) -> dict[str, Json]:
    desk = state.desk(_division(state, wanted.division), by_hand=True)
    entity = editable(wanted.resource)
    key = _chosen(desk.books, wanted)
    take_out(desk, entity, desk.books.records(entity.path).rows[key])
    return {"id": key}


def _accounts(state: State, wanted: _Named) -> dict[str, Json]:
    books = _division(state, wanted.division)
    accounts = books.accounts
    ids = set(accounts.rows) if wanted.kvk is None else accounts.keys_with("ChamberOfCommerce", wanted.kvk)
    rows = sorted((accounts.rows[id_] for id_ in ids), key=lambda row: row["Code"])
    return {"accounts": [_plain(_ACCOUNT, row) for row in rows]}


def _rows(state: State, wanted: _Named) -> dict[str, Json]:
    """All records of a resource, in the order they were made; of one code when it is given."""
    entity, books = editable(wanted.resource), _division(state, wanted.division)
    records = books.records(home(entity))
    rows = records.having("Code", str(wanted.code)) if wanted.code is not None else records.rows.values()
    return {"rows": [_plain(entity, row) for row in rows]}


def _move(state: State, wanted: _Move) -> dict[str, Json]:
    books = _division(state, wanted.division)
    books.renumber()
    name = "DivisionHRLinkUnlinkDate" if wanted.hr else "DivisionMoveDate"
    books.about[name] = wall(state.now())
    return {name: iso(books.about[name])}


def _pay(state: State, wanted: _Payment) -> dict[str, Json]:
    """A person enters a payment from the bank statement: in part with an amount, otherwise what is open."""
    desk = state.desk(_division(state, wanted.division), by_hand=True)
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


def _enter(state: State, wanted: _Entered) -> dict[str, Json]:
    """A person enters a document, or changes one, on the screen: with everything that follows from it."""
    desk = state.desk(_division(state, wanted.division), by_hand=True)
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


def _close_period(state: State, wanted: _Period) -> dict[str, Json]:
    """Close a period, or open it again, in one journal or in all."""
    books = _division(state, wanted.division)
    journals = [row["Code"] for row in books.records(ledger.JOURNALS).rows.values()]
    if wanted.journal is not None and wanted.journal not in journals:
        raise ValueError(f"there is no journal {wanted.journal!r}; there are {', '.join(journals)}")
    for code in journals if wanted.journal is None else [wanted.journal]:
        place = (code, wanted.year, wanted.period)
        books.closed.discard(place) if wanted.open else books.closed.add(place)
    return {"closed": [list(place) for place in sorted(books.closed)]}


def _division_settings(state: State, wanted: _DivisionSettings) -> dict[str, Json]:
    books = _division(state, wanted.division)
    if wanted.vat_rounding is not None:
        books.vat_rounding = wanted.vat_rounding
    return {"division": books.number, "vat_rounding": books.vat_rounding}


def _nulled(state: State, _: _Nothing) -> dict[str, Json]:
    return {"nulled": list(state.nulled)}


def _webhooks(state: State, _: _Nothing) -> dict[str, Json]:
    """What lies in the outbox, the subscriptions, and how much was sent and given up."""
    outbox = state.outbox
    subscriptions = [
        {"division": books.number, "id": row["ID"], "topic": row["Topic"], "valid": row["_valid"]}
        for books in state.books.values()
        for row in books.records(SUBSCRIPTIONS).rows.values()
    ]
    waiting = [
        {"number": one.number, "url": one.url, "body": one.body.decode(), "tries": one.tries, "due": one.due}
        for one in sorted(outbox.waiting.values(), key=lambda one: (one.due, one.number))
    ]
    return {"subscriptions": subscriptions, "waiting": waiting, "sent": outbox.sent, "given_up": outbox.given_up}


def _webhook_answered(state: State, wanted: _Answered) -> dict[str, Json]:
    """A receiver of a test's own answered."""
    if wanted.number not in state.outbox.waiting:
        raise ValueError(f"no webhook {wanted.number} waits")
    state.arrived(wanted.number, wanted.status)
    return {}


def _forge_webhook(state: State, wanted: _Forged) -> dict[str, Json]:
    """A notification nobody sent: signed with another secret, unless it shall be `genuine` (a double one)."""
    books = _division(state, wanted.division)
    found = [
        path for entity in table.entities().values() for topic, path in topics_of(entity.path) if topic == wanted.topic
    ]
    if not found:
        raise ValueError(f"there is no topic {wanted.topic!r}")
    event = Event(books.number, found[0], wanted.action, wanted.key, state.now())
    secret = state.outbox.secret if wanted.genuine else "forged"
    return {"body": state.outbox.notification(wanted.topic, found[0], event, secret).decode()}


def _settings(state: State, wanted: _Settings) -> dict[str, Json]:
    given = {name: value for name in wanted.__struct_fields__ if (value := getattr(wanted, name)) is not None}
    state.rules = replace(state.rules, **{name: given.pop(name) for name in _RULES & given.keys()})
    if "token_limit" in given:
        state.sign_in.day_limit = given.pop("token_limit")
    for name in _OUTBOX.keys() & given.keys():
        setattr(state.outbox, _OUTBOX[name], given.pop(name))
    for name, value in given.items():
        setattr(state.limits if name in _LIMITS else state, name, value)
    return {}


def _writes(state: State, _: _Nothing) -> dict[str, Json]:
    counts = Counter(str(write["method"]) for write in state.writes)
    return {
        "count": len(state.writes),
        "by_method": dict(sorted(counts.items())),
        "refused": state.refusals,
        "writes": list(state.writes),
    }


def _duplicates(state: State, _: _Nothing) -> dict[str, Json]:
    """Numbers the API created more than once; `existing`: created though the division already had them."""
    by_number: dict[tuple[int, str], list[str]] = {}
    for made in state.created:
        by_number.setdefault((made.division, made.kvk), []).append(made.id)
    found = [
        {"division": division, "kvk": kvk, "count": len(ids), "ids": ids}
        for (division, kvk), ids in sorted(by_number.items())
        if len(ids) > 1
    ]
    existing = [{"division": made.division, "kvk": made.kvk, "id": made.id} for made in state.created if made.existed]
    return {"count": len(found), "duplicates": found, "existing": existing}


_ACTIONS: dict[str, tuple[type[msgspec.Struct], Callable[..., dict[str, Json]]]] = {
    "authorization_code": (_Nothing, _code),
    "refresh_token": (_Pair, _fresh_pair),
    "edit": (_Named, _edit),
    "add": (_Named, _add),
    "delete": (_Named, _delete),
    "accounts": (_Named, _accounts),
    "rows": (_Named, _rows),
    "move_division": (_Move, _move),
    "enter": (_Entered, _enter),
    "pay": (_Payment, _pay),
    "close_period": (_Period, _close_period),
    "division_settings": (_DivisionSettings, _division_settings),
    "nulled": (_Nothing, _nulled),
    "webhooks": (_Nothing, _webhooks),
    "webhook_answered": (_Answered, _webhook_answered),
    "forge_webhook": (_Forged, _forge_webhook),
    "settings": (_Settings, _settings),
    "writes": (_Nothing, _writes),
    "duplicates": (_Nothing, _duplicates),
}


def _division(state: State, number: int | None) -> Books:
    if number is None:
        return next(iter(state.books.values()))
    if number not in state.books:
        raise ValueError(f"there is no division {number}; there are {', '.join(map(str, state.books))}")
    return state.books[number]


def _chosen(books: Books, wanted: _Named) -> str:
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
