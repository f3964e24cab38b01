"""What AFAS Profit offers: debtors, read through a GetConnector, their addresses completed from a feed in parts when there is one.

Listing is ordered by debtor number and goes on behind the last one seen, so that no edit meanwhile moves a row to where it is
missed. A delta asks for what was modified since the vendor's own highest stamp, less a margin; once that stamp is old enough,
it asks only for what came after it. Nothing changed costs one call a feed.

Profit's stamps are Dutch wall-clock time in whole seconds, rounded; the hour that comes twice in October is read again whole.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from koppel.formats import InvalidNumber, vat
from koppel.model.can import Can
from koppel.model.problem import Problem, RetryLater
from koppel.model.values import Cursor
from koppel.systems.afas import codec, debtors, fields, filters, organisations, wire, writing
from koppel.systems.afas import settings as options
from koppel.systems.afas.filters import Filter, Operator, both, where
from koppel.systems.afas.settings import Settings
from koppel.systems.afas.wire import Row, Unreadable
from koppel.systems.spi import (
    Absent,
    Batch,
    Exchange,
    Finding,
    Found,
    Item,
    Operation,
    Page,
    Query,
    Receipt,
    Reply,
    Resource,
    Site,
    Trace,
    Unknown,
)

PAGE = 1000  # rows; ours
CELLS = 150_000  # columns times rows of one answer, the vendor's rule of thumb [MD get-connector]
SMALLEST_PAGE = 25
FIND_BATCH = 40  # alternatives in one filter; the query's length may split them further
# A stamp is set before its row can be seen. Ours: longer than a transaction that holds one usually lasts; weekly
# reconciliation catches what lasts longer.
MARGIN = timedelta(seconds=60)
AHEAD = timedelta(minutes=5)  # ours: a stamp further in the future than clocks differ would hide everything until then
KEY = "DebtorId"

# --- feeds --------------------------------------------------------------------------------------------------------


class Feed(msgspec.Struct, frozen=True):
    """A GetConnector and its columns: `key` orders it, `own` are the names by which it calls what we name as AFAS does."""

    connector: str
    key: str
    modified: str
    always: Filter = ()
    own: dict[str, str] = {}

    def asked(self, wanted: Filter) -> Filter:
        """A filter in this connector's own names."""
        return tuple(
            tuple(msgspec.structs.replace(each, field=self.own.get(each.field, each.field)) for each in group)
            for group in wanted
        )

    def rows(self, reply: Reply) -> tuple[Row, ...]:
        """The rows of a page, in AFAS's names. Raises Unreadable."""
        found = wire.read_rows(reply).rows
        named = {theirs: ours for ours, theirs in self.own.items()}
        return tuple({named.get(name, name): value for name, value in row.items()} for row in found) if named else found


def debtor_feed(settings: Settings) -> Feed:
    """The connector that debtors are read through."""
    own = options.pairs(settings.columns)
    return Feed(settings.debtors, own.get(KEY, KEY), settings.debtors_modified, own=own)


def address_feed(settings: Settings) -> Feed:
    """The connector with addresses in parts, one row an organisation."""
    only = next(iter(options.pairs(settings.addresses_only).items()), None)
    always = where(only[0], Operator.EQUALS, only[1]) if only else ()
    return Feed(settings.addresses, settings.addresses_by, settings.addresses_modified, always)


# --- listing ------------------------------------------------------------------------------------------------------


class _Mark(msgspec.Struct, frozen=True):
    """How far a feed has been read: the highest stamp seen, and whether all of that very second has been seen."""

    stamp: str = ""
    past: bool = False


class _Onward(msgspec.Struct, frozen=True):
    """What the next page needs: where to go on in this feed, and what the whole listing will have read at its end."""

    feed: str  # debtors | addresses
    whole: bool
    after: str = ""
    size: int = PAGE
    since: str = ""  # the filter of the debtors' delta
    debtors: _Mark = _Mark()
    addresses: _Mark = _Mark()
    addresses_since: str = ""


def pages(site: Site, query: Query) -> Exchange[Page]:
    """Debtors changed since the cursor, or all; the cursor comes with the last page. Raises SetupError, RetryLater."""
    try:
        onward = _following(query.next) if query.next else (yield from _begin(site, query))
        if onward.feed == "addresses":
            return (yield from _address_page(site, onward))
        return (yield from _debtor_page(site, onward))
    except Unreadable as error:
        raise wire.failure(error.problem, site.as_of) from None


def _following(token: str) -> _Onward:
    return msgspec.json.decode(token, type=_Onward)


def _begin(site: Site, query: Query) -> Exchange[_Onward]:
    """Where a listing starts. A whole one first asks each feed for its highest stamp: what is edited from then on comes
    with the next delta, whichever page it would have been on."""
    settings: Settings = site.settings
    size = min(query.size or PAGE, PAGE)
    cursor = query.cursor
    if cursor is None or cursor.kind != "modified" or not settings.debtors_modified:
        known = yield from _highest(site, debtor_feed(settings))
        other = (yield from _highest(site, address_feed(settings))) if settings.addresses else ""
        return _Onward("debtors", True, size=size, debtors=_mark(site, known), addresses=_mark(site, other))
    mark = _Mark(cursor.value, cursor.tie == "past")
    moved = _Mark(cursor.extra.get("addresses", ""), cursor.extra.get("addresses_tie") == "past")
    return _Onward(
        "debtors", False, size=size, since=_since(mark), debtors=mark, addresses=moved, addresses_since=_since(moved)
    )


def _highest(site: Site, feed: Feed) -> Exchange[str]:
    if not feed.modified:
        return ""
    asked = filters.query(feed.always, order=(f"-{feed.modified}", feed.key), take=1)
    rows = feed.rows((yield wire.get(site.settings, feed.connector, asked)))
    return _newest(site, rows, feed.modified, "")


def _debtor_page(site: Site, onward: _Onward) -> Exchange[Page]:
    settings: Settings = site.settings
    feed, column = debtor_feed(settings), settings.debtors_modified
    rows, size, full = yield from _rows(site, feed, onward.since, onward)
    items = yield from _items(site, rows)
    following = msgspec.structs.replace(onward, size=size)
    if not onward.whole and not onward.after and column:
        # Only the first page's stamps count: a later page may show an edit that is newer than one we are already past.
        newest = _newest(site, rows, column, onward.debtors.stamp)
        following = msgspec.structs.replace(following, debtors=_mark(site, newest))
    if full:
        return Page(items=items, next=_next(site, following, feed, codec.text(rows[-1].get(KEY))))
    if settings.addresses and settings.addresses_modified and not onward.whole:
        # In the same breath: a second feed has its own page only when it has much to tell.
        last = yield from _address_page(site, msgspec.structs.replace(following, feed="addresses", after=""))
        return msgspec.structs.replace(last, items=_merged(items, last.items))
    return Page(items=items, cursor=_cursor(following), complete=onward.whole)


def _address_page(site: Site, onward: _Onward) -> Exchange[Page]:
    """Debtors whose address was changed: an address that moves does not always move its debtor's stamp [support.qics.nl]."""
    settings: Settings = site.settings
    feed = address_feed(settings)
    rows, size, full = yield from _rows(site, feed, onward.addresses_since, onward)
    numbers = tuple(dict.fromkeys(filter(None, (codec.text(row.get(settings.addresses_by)) for row in rows))))
    items: list[Item] = []
    for found in (yield from _find(site, "organisation", numbers)).values() if numbers else ():
        if isinstance(found, Unknown):
            raise RetryLater(str(found.problem), at=site.as_of + wire.TRY_AGAIN)
        items += found.items if isinstance(found, Found) else ()
    following = msgspec.structs.replace(onward, size=size)
    if not onward.after:
        newest = _newest(site, rows, settings.addresses_modified, onward.addresses.stamp)
        following = msgspec.structs.replace(following, addresses=_mark(site, newest))
    if full:
        last = codec.text(rows[-1].get(feed.key))
        return Page(items=tuple(items), next=_next(site, following, feed, last))
    return Page(items=tuple(items), cursor=_cursor(following))


def _rows(site: Site, feed: Feed, since: str, onward: _Onward) -> Exchange[tuple[tuple[Row, ...], int, bool]]:
    """One page behind `onward.after`, the size the next one may have, and whether there may be a next one.

    The size is halved when AFAS runs out of memory over it.
    """
    changed = where(feed.modified, Operator.AT_LEAST, since) if since else ()
    behind = where(feed.key, Operator.GREATER, onward.after) if onward.after else ()
    size = onward.size
    while True:
        asked = filters.query(both(both(feed.always, changed), behind), order=(feed.key,), take=size)
        reply = yield wire.get(site.settings, feed.connector, asked)
        if _too_much(reply) and size > SMALLEST_PAGE:
            size = max(SMALLEST_PAGE, size // 2)
            continue
        rows = feed.rows(reply)
        width = max((len(row) for row in rows), default=1)
        return rows, min(size, max(SMALLEST_PAGE, CELLS // width)), len(rows) >= size


def _too_much(reply: Reply) -> bool:
    try:
        response = wire.response_of(reply)
    except Unreadable:
        return False
    return response.status == 500 and bool(wire.TOO_MUCH.search(wire.said(response).text))


def _next(site: Site, following: _Onward, feed: Feed, last: str | None) -> str:
    if last is None or last == following.after:
        stuck = Problem("unreadable_answer", f"{feed.connector} does not go on behind its {feed.key}.")
        raise wire.failure(stuck, site.as_of)
    return _token(msgspec.structs.replace(following, after=last))


def _token(onward: _Onward) -> str:
    return msgspec.json.encode(onward).decode()


def _cursor(onward: _Onward) -> Cursor:
    def tie(mark: _Mark) -> str:
        return "past" if mark.past else ""

    extra = {}
    if onward.addresses.stamp:
        extra = {"addresses": onward.addresses.stamp, "addresses_tie": tie(onward.addresses)}
    return Cursor("modified", onward.debtors.stamp, tie(onward.debtors), extra)


def _merged(first: tuple[Item, ...], second: tuple[Item, ...]) -> tuple[Item, ...]:
    return tuple({item.native: item for item in (*first, *second)}.values())


# --- stamps -------------------------------------------------------------------------------------------------------


def _newest(site: Site, rows: tuple[Row, ...], column: str, known: str) -> str:
    """The highest stamp shown or known, in the vendor's own measure. Raises Unreadable when a stamp is none."""
    latest = codec.in_amsterdam(site.as_of) + AHEAD
    try:
        shown = [codec.wall_clock(row.get(column)) for row in rows]
    except ValueError:
        raise Unreadable(
            Problem("unreadable_answer", f"The column {column} holds something that is no time.")
        ) from None
    stamps = [min(stamp, latest) for stamp in shown if stamp is not None]
    if known:
        stamps.append(datetime.fromisoformat(known))
    return max(stamps).isoformat() if stamps else ""


def _mark(site: Site, stamp: str) -> _Mark:
    """A stamp, and whether it is so old that whatever bears it has long been seen by this very reading."""
    if not stamp:
        return _Mark()
    latest = codec.instants(datetime.fromisoformat(stamp))[1]
    return _Mark(stamp, past=site.as_of - latest > MARGIN.total_seconds())


def _since(mark: _Mark) -> str:
    """From where to ask: a margin before the stamp, or the second after it once it has been seen to the full."""
    if not mark.stamp:
        return ""
    stamp = datetime.fromisoformat(mark.stamp)
    return filters.moment(stamp + codec.SECOND if mark.past else codec.start_of_doubt(stamp) - MARGIN)


# --- addresses in parts ---------------------------------------------------------------------------------------------


def _items(site: Site, rows: tuple[Row, ...]) -> Exchange[tuple[Item, ...]]:
    """Rows as items, their addresses in parts when there is a feed of them. Raises Unreadable."""
    settings: Settings = site.settings
    if not settings.addresses:
        return tuple(debtors.item(site, row) for row in rows)
    numbers = tuple(dict.fromkeys(filter(None, (codec.text(row.get("BcCo")) for row in rows))))
    parts: dict[str, Row] = {}
    feed = address_feed(settings)
    wanted = ((number, both(where(feed.key, Operator.EQUALS, number), feed.always)) for number in numbers)
    for _, chunk in filters.chunks(wanted, _fits(feed), most=PAGE):
        asked = filters.query(chunk, order=(feed.key,), take=PAGE)
        for row in feed.rows((yield wire.get(settings, feed.connector, asked))):
            found = codec.parts_of(row)
            if found is None:
                text = f"{settings.addresses} has no columns for street and city that Koppel knows."
                raise Unreadable(Problem("unreadable_answer", text, status=404, vendor_text=text))
            parts.setdefault(codec.text(row.get(settings.addresses_by)) or "", found)
    return tuple(debtors.item(site, row, parts.get(codec.text(row.get("BcCo")) or "", {})) for row in rows)


def _fits(feed: Feed) -> Callable[[Filter], bool]:
    """Whether a filter can still be asked, with the longest `skip` and `take` we send."""

    def fits(wanted: Filter) -> bool:
        try:
            filters.query(feed.asked(wanted), order=(feed.key,), skip=10_000_000, take=PAGE)
        except ValueError:
            return False
        return True

    return fits


# --- finding ------------------------------------------------------------------------------------------------------

_COLUMN = {"native": KEY, "kvk": "ChOfCommNr", "vat": "VatNr", "organisation": "BcCo"}


def find(site: Site, kind: str, values: tuple[str, ...]) -> Exchange[dict[str, Finding]]:
    """Debtors by number, KVK number or VAT number, many in one filter as long as the query stays short enough."""
    return (yield from _find(site, kind, values))


def _find(site: Site, kind: str, values: tuple[str, ...]) -> Exchange[dict[str, Finding]]:
    settings: Settings = site.settings
    findings: dict[str, Finding] = {}
    wanted: list[tuple[str, Filter]] = []
    feed = debtor_feed(settings)
    fits = _fits(feed)
    for value in dict.fromkeys(values):
        try:
            looked_for = _looking_for(kind, value)
            if not fits(looked_for):
                raise ValueError("it is too long")
            wanted.append((value, looked_for))
        except ValueError as error:
            findings[value] = Unknown(Problem("cannot_ask", f"This cannot be looked for: {error}."))
    for chunk, alternatives in filters.chunks(wanted, fits, most=FIND_BATCH):
        try:
            items = yield from _all(site, feed, alternatives)
        except Unreadable as error:
            failed = wire.failure(error.problem, site.as_of)
            if not isinstance(failed, RetryLater):
                raise failed from None
            later = msgspec.structs.replace(error.problem, retry_at=site.as_of + wire.TRY_AGAIN)
            findings.update((value, Unknown(later)) for value in chunk)
        else:
            found = _by_key(kind, items)
            findings.update((value, found.get(_plain(kind, value), Absent())) for value in chunk)
    return findings


def _all(site: Site, feed: Feed, wanted: Filter) -> Exchange[tuple[Item, ...]]:
    """Every row a filter selects. A page that is full may not be all: the next one is asked for."""
    items: list[Item] = []
    skip = 0
    while True:
        asked = filters.query(feed.asked(wanted), order=(feed.key,), skip=skip, take=PAGE)
        rows = feed.rows((yield wire.get(site.settings, feed.connector, asked)))
        items += yield from _items(site, rows)
        if len(rows) < PAGE:
            return tuple(items)
        skip += PAGE


def _by_key(kind: str, items: tuple[Item, ...]) -> dict[str, Finding]:
    found: dict[str, dict[str, Item]] = {}
    for item in items:
        shown = codec.text(item.fields.get(_COLUMN[kind]))
        if shown is not None:
            found.setdefault(_plain(kind, shown), {})[item.native] = item
    return {key: Found(tuple(items.values())) for key, items in found.items()}


def _plain(kind: str, value: str) -> str:
    """What two spellings of one key share."""
    if kind == "kvk":
        return organisations.plain_number(value)
    return str(codec.vat_form(value) or "") if kind == "vat" else value.strip()


def _looking_for(kind: str, value: str) -> Filter:
    """The conditions that look for one value, in the spellings people store it in. Raises ValueError."""
    plain = _plain(kind, value)
    if not plain:
        raise ValueError("it is empty")
    if kind == "kvk":
        return organisations.number_filter(plain)
    spellings = [plain]
    if kind == "vat" and plain.startswith("NL") and _is_vat(plain):
        spellings += [plain[2:], f"NL{plain[2:6]}.{plain[6:8]}.{plain[8:11]}.{plain[11:]}"]
    return tuple(group for spelling in spellings for group in where(_COLUMN[kind], Operator.EQUALS, spelling))


def _is_vat(plain: str) -> bool:
    try:
        return bool(vat.validate(plain))
    except InvalidNumber:
        return False


# --- the resource -------------------------------------------------------------------------------------------------

CAN = Can(
    since=True,
    find=("native", "kvk", "vat"),
    create=True,
    update=True,
    page=PAGE,
    batch=1,
    find_batch=FIND_BATCH,
    parallel=wire.PARALLEL,
    never_skips="clock_with_margin",
    # AFAS goes on with a write after we stopped waiting: up to its own time-out of 900 seconds. [MD troubleshooting]
    settles_after=900.0,
    probe="natural_key",
    conditional=False,
    returns_record=False,
    unread=tuple(field.path for field in fields.FIELDS if not field.readable),
    gap=(
        "AFAS takes no precondition: an edit made in Profit between our reading and our write, usually under a second, is "
        "overwritten unseen. Only changed fields are sent, and what Profit shows afterwards is compared. An edit of an "
        "organisation's name or address may leave its debtor's stamp alone; reconciliation finds it."
    ),
    fields=fields.FIELDS,
)


def _send(site: Site, batch: Batch) -> Exchange[tuple[Receipt, ...]]:
    return (yield from writing.send(site, batch, find))


def _probe(site: Site, operations: tuple[Operation, ...]) -> Exchange[dict[str, Trace]]:
    return (yield from writing.probe(site, operations, find))


RESOURCES = (
    Resource(
        name="debtors",
        entity="company",
        can=CAN,
        pages=pages,
        find=find,
        decode=debtors.decode,
        lower=writing.lower,
        send=_send,
        probe=_probe,
        takes_over=writing.takes_over,
    ),
)
