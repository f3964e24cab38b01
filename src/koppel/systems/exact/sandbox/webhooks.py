"""Webhooks: subscriptions per division and topic, the ping that validates them, signed notifications, and their repeats.

A sandbox cannot send by itself: what is due lies in the outbox until the host fetches it, and the host tells how it was
answered. HashCode = upper-case hex of HMAC-SHA256 over the raw bytes of `Content`. [hookdeck#152, emeq]
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

import msgspec

from koppel.systems.exact.sandbox import table
from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.books import Books, Event
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.render import iso
from koppel.systems.exact.sandbox.rules import Draft, Refused, wall

SUBSCRIPTIONS = "webhooks/WebhookSubscriptions"
INSTANT = "GoodsDeliveries"  # the only topic that may be instant
PING_AFTER = 1.0
REPEATS = 10  # with 2^n minutes between them; what comes after the last is unknown [audit]
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# Records that are told of under a topic of another resource.
_TOLD_AS = {"inventory/ItemWarehouses": ("StockPositions", "read/logistics/StockPosition")}


@dataclass
class Parcel:
    """One message to a subscriber: the ping (no body) or a notification."""

    number: int
    division: int
    subscription: str
    url: str
    body: bytes
    due: float
    tries: int = 0


@dataclass
class Outbox:
    """What is to be sent, and how. `delay` is how long a notification takes; `lose` lets them get lost on the way.

    `hosts` are those a CallbackURL may name: the redirect address's own; loopback is a test's own receiver.
    """

    client_id: str
    secret: str
    hosts: frozenset[str]
    root: str = ""
    delay: float = 60.0
    lose: bool = False
    waiting: dict[int, Parcel] = field(default_factory=dict)
    sent: int = 0
    given_up: int = 0
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def put(self, division: int, subscription: str, url: str, body: bytes, due: float) -> None:
        """Lay a message ready."""
        parcel = Parcel(next(self.numbers), division, subscription, url, body, due)
        self.waiting[parcel.number] = parcel

    def due(self, now: float) -> list[Parcel]:
        """What should be on its way by now, the oldest first."""
        return sorted((one for one in self.waiting.values() if one.due <= now), key=lambda one: (one.due, one.number))

    def answered(self, number: int, status: int | None, now: float) -> Parcel | None:
        """A receiver answered, or did not. Gives the parcel when it arrived; otherwise it is tried again, ten times."""
        parcel = self.waiting.get(number)
        if parcel is None:
            return None
        if status in {200, 201}:
            self.sent += 1
            return self.waiting.pop(number)
        parcel.tries += 1
        if not parcel.body or parcel.tries > REPEATS:  # a ping is sent once (unverified)
            self.given_up += 1
            del self.waiting[number]
        else:
            parcel.due = now + 60.0 * 2**parcel.tries
        return None

    def listen(self, books: Books) -> None:
        """Tell the division's subscribers of everything that happens in it."""
        books.listeners.append(lambda event: self._tell(books, event))

    def _tell(self, books: Books, event: Event) -> None:
        for topic, path in topics_of(event.path):
            for row in books.records(SUBSCRIPTIONS).having("Topic", topic):
                if not row.get("_valid") or self.lose:
                    continue
                wait = 0.0 if row.get("IsInstant") else self.delay
                body = self.notification(topic, path, event, self.secret)
                self.put(event.division, row["ID"], row["CallbackURL"], body, event.at + wait)

    def notification(self, topic: str, path: str, event: Event, secret: str) -> bytes:
        """The body of a notification, compact and signed with a secret."""
        moment = iso(wall(event.at))
        content = msgspec.json.encode(
            {
                "Topic": topic,
                "ClientId": self.client_id,
                "Division": event.division,
                "Action": event.action,
                "Key": event.key,
                "ExactOnlineEndpoint": f"{self.root}/{event.division}/{path}(guid'{event.key}')",
                "EventCreatedOn": f"{moment}.000",  # its form is not confirmed
            }
        )
        return b'{"Content":' + content + b',"HashCode":"' + hash_code(content, secret).encode() + b'"}'


def hash_code(content: bytes, secret: str) -> str:
    """The signature over the raw bytes of the content, braces included.

    >>> hash_code(b"{}", "geheim")[:16]
    '1D88585CAE3E449A'
    """
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest().upper()


@cache
def topics_of(path: str) -> tuple[tuple[str, str], ...]:
    """The topics that tell of a resource's records, each with the resource its message names."""
    if path in _TOLD_AS:
        return (_TOLD_AS[path],)
    return tuple((topic, path) for topic in table.entity(path).topics)


@cache
def _topics() -> frozenset[str]:
    return frozenset(topic for entity in table.entities().values() for topic in entity.topics)


def subscribing(outbox: Outbox) -> Behaviour:
    """What a subscription does; texts are unverified but for the double one. [emeq]"""

    def adding(desk: Desk, draft: Draft) -> None:
        values = draft.values
        if values["Topic"] not in _topics():
            raise Refused(500, "Ongeldig: Topic")
        address(values["CallbackURL"])
        if desk.one(SUBSCRIPTIONS, "Topic", values["Topic"]) is not None:
            raise Refused(500, "Gegeven bestaat reeds.")
        if values.get("IsInstant") and values["Topic"] != INSTANT:
            raise Refused(500, "Ongeldig: IsInstant")
        values |= {"ClientID": outbox.client_id, "UserID": values.get("UserID") or desk.who.id, "_valid": False}

    def address(url: str) -> None:
        parts = urlsplit(url)
        local = parts.hostname in _LOOPBACK
        if not local and (parts.scheme != "https" or parts.hostname not in outbox.hosts):
            raise Refused(500, "Ongeldig: CallbackURL")

    def added(desk: Desk, row: Row) -> None:
        outbox.put(desk.books.number, row["ID"], row["CallbackURL"], b"", desk.at + PING_AFTER)

    def changing(desk: Desk, row: Row, values: dict[str, object]) -> None:
        raise Refused(
            500, "Niet toegestaan: een abonnement wordt verwijderd en opnieuw gemaakt"
        )  # an older note says so

    return Behaviour(adding=adding, added=added, changing=changing)
