"""What a person, the vendor or a test does beside the API: the actions of `control`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import msgspec

from koppel.model.values import Json
from koppel.systems.exact.sandbox import tables
from koppel.systems.exact.sandbox.books import Books, Row
from koppel.systems.exact.sandbox.render import iso
from koppel.systems.exact.sandbox.rules import Refused, convert, pad, wall
from koppel.systems.exact.sandbox.state import State

_RULES = frozenset({"read_only", "client_ids", "check_vat"})
_LIMITS = frozenset({"minute_limit", "day_limit", "error_limit"})


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters."""


class _Pair(msgspec.Struct, forbid_unknown_fields=True):
    """How many seconds ago the tokens were obtained."""

    age: float = 570.0


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    """One account of a division (the first when left out), by id, number or code; and what to do with it."""

    division: int | None = None
    id: str | None = None
    kvk: str | None = None
    code: str | int | None = None
    set: dict[str, Json] = {}
    stamp: bool = True


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
    books = _division(state, wanted.division)
    id_ = _chosen(books, wanted)
    return _plain(books.change(id_, _typed(wanted.set), who=state.staff[1], at=state.now(), stamp=wanted.stamp))


def _add(state: State, wanted: _Named) -> dict[str, Json]:
    values = _typed(wanted.set)
    if not values.get("Name"):
        raise ValueError("set must hold a Name")
    books = _division(state, wanted.division)
    if values.get("Code") and books.with_value("Code", values["Code"]):
        raise ValueError(f"the code {values['Code'].strip()} is taken")
    return _plain(books.add(values, who=state.staff[1], at=state.now()))


def _delete(state: State, wanted: _Named) -> dict[str, Json]:
    books = _division(state, wanted.division)
    id_ = _chosen(books, wanted)
    books.remove(id_, who=state.staff[1], at=state.now())
    return {"id": id_}


def _accounts(state: State, wanted: _Named) -> dict[str, Json]:
    books = _division(state, wanted.division)
    ids = set(books.rows) if wanted.kvk is None else books.with_value("ChamberOfCommerce", wanted.kvk)
    rows = sorted((books.rows[id_] for id_ in ids), key=lambda row: row["Code"])
    return {"accounts": [_plain(row) for row in rows]}


def _move(state: State, wanted: _Move) -> dict[str, Json]:
    books = _division(state, wanted.division)
    books.renumber()
    name = "DivisionHRLinkUnlinkDate" if wanted.hr else "DivisionMoveDate"
    books.about[name] = wall(state.now())
    return {name: iso(books.about[name])}


def _settings(state: State, wanted: _Settings) -> dict[str, Json]:
    given = {name: value for name in wanted.__struct_fields__ if (value := getattr(wanted, name)) is not None}
    state.rules = replace(state.rules, **{name: given.pop(name) for name in _RULES & given.keys()})
    if "token_limit" in given:
        state.sign_in.day_limit = given.pop("token_limit")
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
    "move_division": (_Move, _move),
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
    """The account meant; of several with one number the first by code."""
    found = {wanted.id} & books.rows.keys() if wanted.id is not None else set[str]()
    if wanted.kvk is not None:
        found = books.with_value("ChamberOfCommerce", wanted.kvk)
    elif wanted.code is not None:
        found = books.with_value("Code", pad("Code", str(wanted.code)))
    if not found:
        raise ValueError("there is no such account in this division; name it by id, kvk or code")
    return min(found, key=lambda id_: books.rows[id_]["Code"])


def _typed(values: dict[str, Json]) -> Row:
    """What a person fills in: any stored property of an account, unchecked. Raises ValueError for one that does not exist."""
    typed: Row = {}
    for name, value in values.items():
        found = tables.ACCOUNTS.properties.get(name)
        if found is None or found.is_collection or name == "ID":
            raise ValueError(f"an account has no property {name!r} that can be set")
        try:
            typed[name] = pad(name, convert(found, value))
        except Refused as refused:
            raise ValueError(refused.message) from None
    return typed


def _plain(row: Row) -> dict[str, Json]:
    """A row for people: without padding, dates as ISO text of the Dutch wall clock."""
    properties = tables.SYNC_ACCOUNTS.properties
    plain: dict[str, Json] = {}
    for name, value in row.items():
        if value is None:
            continue
        is_date = properties[name].type == "DateTime"
        plain[name] = iso(value) if is_date else value.strip() if isinstance(value, str) else value
    return plain
