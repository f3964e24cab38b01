"""The Mutatieservice as a feed: which companies changed (hints, to be looked up) and who carried an ended one on.

A signal is there at the latest 15 minutes after the change [portal] and bears the time of the change, so that each read
begins before the last one ended; what was seen in that overlap is remembered in the cursor, and neither is the company looked
up for it again nor are its details asked for twice. The window of a read is fixed by its first page, whatever comes in while it is turned.

A feed proves no absence: no page of it is ever complete.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from koppel.formats import branch, kvk
from koppel.model.problem import RetryLater, SetupError
from koppel.model.values import Cursor, Json
from koppel.systems.kvk import codec, wire
from koppel.systems.spi import Decoded, Exchange, Item, NoReply, Page, Query, Response, Site

PAGE_SIZE: Final = 500  # `aantal` is 10 to 500 [skill]
SMALLEST: Final = 10
OVERLAP: Final = 1_800.0  # twice the 15 minutes, for clocks that differ
FIRST_LOOK: Final = (
    28 * 86_400.0
)  # how far back a first read goes (our choice): older changes a look-up has seen already
REMEMBERED: Final = 2_000  # signals of the overlap that a cursor carries (ours); of more, some are looked up twice
HELD_BACK: Final = 86_400.0  # how long a signal whose details cannot be had keeps the cursor (our choice)
# Suffixes such as `_2025_01` change with the version: types are told by how they begin [skill].
TELLS_SUCCESSOR: Final = ("SignaalBeeindiging", "SignaalVoortzettingEnOverdracht")
HINTED: Final = "companies"


class _Window(msgspec.Struct, frozen=True):
    """One read under way, as `Page.next` carries it. `since` is the cursor it began from, `seen` the signals whose details are
    known, each with its time, `held` the earliest one whose details could not be had."""

    abonnement: str
    vanaf: float
    tot: float
    pagina: int
    since: Cursor | None
    seen: dict[str, float]
    held: float | None = None


def pages(site: Site, query: Query) -> Exchange[Page]:
    """One page of signals. Without the Mutatieservice: an empty one, and no call.

    Raises SetupError when the subscription is not the key's, RetryLater when there is no answer that can be read.
    """
    if not site.settings.signals:
        return Page(cursor=query.cursor)
    window = _read_window(query.next) if query.next else (yield from _open(site, query.cursor))
    size = min(max(query.size or PAGE_SIZE, SMALLEST), PAGE_SIZE)
    body = yield from _ask(site, window, size)
    rows = codec.read_signals(body)
    items: dict[str, Item] = {}
    hints: dict[tuple[str, str], None] = {}
    fresh = [row for row in rows if not (row.get("id") and str(row["id"]) in window.seen)]
    for row in fresh:
        hints |= dict.fromkeys(_hints(row))
        item, window = yield from _succession(site, window, row)
        if item is not None:
            known = items.get(item.native)
            items[item.native] = known if known and known.version > item.version else item
    window = msgspec.structs.replace(window, seen=window.seen | _told(window, fresh))
    total = codec.read_count(body.get("totaalPaginas"))
    more = bool(rows) and (window.pagina < total if total is not None else bool(body.get("volgende")))
    if more:
        window = msgspec.structs.replace(window, pagina=window.pagina + 1)
    return Page(
        items=tuple(items.values()),
        hints=tuple(hints),
        next=msgspec.json.encode(window).decode() if more else None,
        cursor=window.since if more else _cursor(window),
    )


def decode(site: Site, item: Item) -> Decoded:
    """Translate a succession; see `codec`."""
    del site
    return codec.decode_signal(item)


# --- the window -------------------------------------------------------------------------------------------------------


def _open(site: Site, cursor: Cursor | None) -> Exchange[_Window]:
    tot = float(int(site.as_of))
    known = cursor.extra.get("abonnement") if cursor else None
    abonnement = site.settings.subscription or known or (yield from _subscription(site))
    if cursor is None or known != abonnement:  # another subscription tells of other companies: it is read as a new one
        return _Window(abonnement, tot - FIRST_LOOK, tot, 1, None, {})
    since = _instant(cursor.value)
    seen = msgspec.json.decode(cursor.extra.get("seen", "{}"), type=dict[str, float])
    # A clock that was put back must not ask for a window that ends before it begins.
    vanaf = tot - FIRST_LOOK if since is None else min(since, tot) - OVERLAP
    return _Window(abonnement, vanaf, tot, 1, cursor, seen)


def _read_window(text: str) -> _Window:
    return msgspec.json.decode(text, type=_Window)


def _cursor(window: _Window) -> Cursor:
    """Where the next read begins: at the end of this one, or at a signal whose details are still to be had."""
    until = window.tot
    if window.held is not None:
        until = max(min(until, window.held), until - HELD_BACK)
    latest = sorted((at, name) for name, at in window.seen.items() if at >= until - OVERLAP)[-REMEMBERED:]
    seen = {name: at for at, name in latest}
    extra = {"abonnement": window.abonnement, "seen": msgspec.json.encode(seen).decode()}
    return Cursor("signal", _text(until), extra=extra)


# --- asking -----------------------------------------------------------------------------------------------------------


def _subscription(site: Site) -> Exchange[str]:
    """The id of the key's only active subscription; it never changes [portal]."""
    found = yield from _subscriptions(site)
    if len(found) == 1:
        return found[0]
    if not found:
        raise SetupError(
            "The API key has no active subscription to the Mutatieservice.",
            remedy="Take one at developers.kvk.nl, or switch 'Change signals' off.",
        )
    raise SetupError(
        f"The API key has {len(found)} subscriptions to the Mutatieservice: {', '.join(found)}.",
        remedy="Put the one to read in the connection's setting 'subscription'.",
    )


def _subscriptions(site: Site) -> Exchange[list[str]]:
    reply = yield wire.abonnementen(site.settings)
    body = wire.read_json(reply) if isinstance(reply, Response) and reply.status == 200 else None
    if body is None or not isinstance(body.get("abonnementen"), list):
        raise _unreadable(site, reply)
    listed = [entry for entry in body["abonnementen"] if isinstance(entry, dict)]
    return [str(entry["id"]) for entry in listed if entry.get("id") and entry.get("actief") is not False]


def _ask(site: Site, window: _Window, size: int) -> Exchange[dict[str, Json]]:
    vanaf, tot = _text(window.vanaf), _text(window.tot)
    reply = yield wire.signalen(
        site.settings, window.abonnement, vanaf=vanaf, tot=tot, pagina=window.pagina, aantal=size
    )
    body = wire.read_json(reply) if isinstance(reply, Response) and reply.status == 200 else None
    if body is not None and isinstance(body.get("signalen"), list):
        return body
    if isinstance(reply, Response) and reply.status == 404 and wire.read_fout(reply).code == wire.NOTHING_FOUND:
        # Elsewhere KVK says so of an empty result; here it may also mean that the subscription is not there (unverified).
        if window.abonnement in (yield from _subscriptions(site)):
            return {"signalen": []}
        raise SetupError(
            f"KVK knows no subscription {window.abonnement} to the Mutatieservice.",
            remedy="Mend the connection's setting 'subscription', or leave it out.",
        )
    raise _unreadable(site, reply)


def _unreadable(site: Site, reply: Response | NoReply) -> RetryLater:
    status = f" (status {reply.status})" if isinstance(reply, Response) else ""
    return RetryLater(f"KVK's signals could not be read{status}; nothing is lost.", at=site.as_of + wire.OUTAGE_WAIT)


# --- one signal -------------------------------------------------------------------------------------------------------


def _hints(row: dict[str, Json]) -> list[tuple[str, str]]:
    """The company a signal is about, and the branch when it names one: whatever changed, it is looked up again."""
    # In a list the number is called `kvknummer`, elsewhere `kvkNummer` [skill].
    number, of_branch = str(row.get("kvknummer") or row.get("kvkNummer") or ""), str(row.get("vestigingsnummer") or "")
    if not kvk.is_valid(number):
        return []
    hints = [(HINTED, kvk.validate(number))]
    if branch.is_valid(of_branch):
        hints.append((HINTED, f"{kvk.validate(number)}/{branch.validate(of_branch)}"))
    return hints


def _succession(site: Site, window: _Window, row: dict[str, Json]) -> Exchange[tuple[Item | None, _Window]]:
    """Ask a signal that may name a successor for its details, once."""
    name, at = str(row.get("id") or ""), _time(window, row)
    if not name or not _tells_successor(row) or name in window.seen:
        return None, window
    reply = yield wire.signaal(site.settings, window.abonnement, name)
    told = wire.read_json(reply) if isinstance(reply, Response) and reply.status == 200 else None
    if told is None and not _is_final(reply):
        held = at if window.held is None else min(at, window.held)
        return None, msgspec.structs.replace(window, held=held)
    window = msgspec.structs.replace(window, seen=window.seen | {name: at})
    signaal = told.get("signaal") if told else None
    named = codec.read_successor(signaal) if isinstance(signaal, dict) else None
    if named is None:
        return None, window
    old, new = named
    return Item(old, {"kvkNummer": old, "opvolger": new}, version=_text(at), modified_at=at), window


def _tells_successor(row: dict[str, Json]) -> bool:
    return str(row.get("signaalType") or "").startswith(TELLS_SUCCESSOR)


def _told(window: _Window, rows: list[dict[str, Json]]) -> dict[str, float]:
    """Signals that the next read shows again and of which there is nothing more to ask: those with details are remembered
    once these are known."""
    told = {str(row["id"]): _time(window, row) for row in rows if row.get("id") and not _tells_successor(row)}
    return {name: at for name, at in told.items() if at >= window.tot - OVERLAP}


def _time(window: _Window, row: dict[str, Json]) -> float:
    at = _instant(row.get("timestamp"))
    return window.tot if at is None else at


def _is_final(reply: Response | NoReply) -> bool:
    """Whether KVK says for good that it has no details: a refusal that names no time to come back."""
    return isinstance(reply, Response) and reply.status == 404 and wire.read_fout(reply).code == wire.NOTHING_FOUND


def _instant(value: Json) -> float | None:
    """Epoch seconds of KVK's `2026-11-20T09:00:00Z`, with or without milliseconds."""
    try:
        told = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if told is None else (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()


def _text(at: float) -> str:
    """An instant as KVK reads it: whole seconds, Z [skill]."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
