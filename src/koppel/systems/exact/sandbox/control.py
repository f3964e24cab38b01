"""What a person, the vendor or a test does beside the API: the actions of `control`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import msgspec

from koppel.model.values import Json
from koppel.systems.exact.sandbox import by_hand, table
from koppel.systems.exact.sandbox.books import Event
from koppel.systems.exact.sandbox.render import iso
from koppel.systems.exact.sandbox.rules import wall
from koppel.systems.exact.sandbox.state import State
from koppel.systems.exact.sandbox.webhooks import SUBSCRIPTIONS, topics_of

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


def _move(state: State, wanted: _Move) -> dict[str, Json]:
    books = by_hand.division_of(state, wanted.division)
    books.renumber()
    name = "DivisionHRLinkUnlinkDate" if wanted.hr else "DivisionMoveDate"
    books.about[name] = wall(state.now())
    return {name: iso(books.about[name])}


def _division_settings(state: State, wanted: _DivisionSettings) -> dict[str, Json]:
    books = by_hand.division_of(state, wanted.division)
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
    books = by_hand.division_of(state, wanted.division)
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
    "edit": (by_hand.Named, by_hand.edit),
    "add": (by_hand.Named, by_hand.add),
    "delete": (by_hand.Named, by_hand.delete),
    "accounts": (by_hand.Named, by_hand.accounts),
    "rows": (by_hand.Named, by_hand.rows),
    "move_division": (_Move, _move),
    "enter": (by_hand.Entered, by_hand.enter_document),
    "pay": (by_hand.Payment, by_hand.pay),
    "close_period": (by_hand.Period, by_hand.close_period),
    "division_settings": (_DivisionSettings, _division_settings),
    "nulled": (_Nothing, _nulled),
    "webhooks": (_Nothing, _webhooks),
    "webhook_answered": (_Answered, _webhook_answered),
    "forge_webhook": (_Forged, _forge_webhook),
    "settings": (_Settings, _settings),
    "writes": (_Nothing, _writes),
    "duplicates": (_Nothing, _duplicates),
}
