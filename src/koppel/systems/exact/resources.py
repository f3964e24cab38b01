"""What Exact Online offers: accounts, read through the sync service, and the log of deletions beside it.

Listing costs one call when nothing changed. Once a day one more call looks whether the division was moved, because the
vendor then numbers its timestamps anew.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from koppel.formats import InvalidNumber
from koppel.model.can import Can
from koppel.model.problem import Problem, RetryLater, SetupError
from koppel.model.values import Cursor
from koppel.systems.exact import accounts, codec, fields, odata, wire, writing
from koppel.systems.exact.settings import Settings, division
from koppel.systems.exact.wire import Row, Rows, Unreadable
from koppel.systems.spi import Absent, Exchange, Finding, Found, NoReply, Page, Query, Reply, Resource, Site, Unknown

SYNC_PAGE = 1000  # rows of a sync page [fact sheet §5]
KEPT_DAYS = 59  # sync/Deleted keeps two months [Pi]; the shortest two are 59 days
DAY = 24 * 3600.0
TRY_AGAIN = 60.0  # seconds; ours
MOST_CONDITIONS = (
    40  # in one filter; ours: far under what a WCF filter may nest (unverified), and few enough for a page
)
FIND_BATCH = 30
ACCOUNTS = 2  # sync/Deleted.EntityType [enums]
MOVES = ("DivisionMoveDate", "DivisionHRLinkUnlinkDate")


# --- listing ------------------------------------------------------------------------------------------------------


class _Onward(msgspec.Struct, frozen=True):
    """What the next page needs: the vendor's link, and what the pages so far have taught."""

    link: str
    high: int
    whole: bool
    extra: dict[str, str]


def account_pages(site: Site, query: Query) -> Exchange[Page]:
    """Accounts changed since the cursor, or all; the cursor comes with the last page only [sync-demo]."""
    # The Timestamp is the item's version and no part of it: an account looks the same here and when it is found by key.
    kept = fields.properties(site.own, sync=False)

    def page(rows: tuple[Row, ...]) -> Page:
        return Page(items=tuple(accounts.item(row, kept) for row in rows))

    return (yield from _sync(site, query, "sync/CRM/Accounts", fields.properties(site.own, sync=True), page))


def deleted_pages(site: Site, query: Query) -> Exchange[Page]:
    """Accounts deleted since the cursor. `restart` when the log no longer reaches back to the last reading."""
    names = ("Timestamp", "EntityType", "EntityKey")
    # Only Timestamp may be filtered [Pi], although the vendor's own demo adds EntityType: sorted out here instead.
    return (yield from _sync(site, query, "sync/Deleted", names, _gone))


def _gone(rows: tuple[Row, ...]) -> Page:
    keys = (row.get("EntityKey") for row in rows if str(row.get("EntityType")) == str(ACCOUNTS))
    return Page(gone=tuple(("accounts", key.lower()) for key in keys if isinstance(key, str)))


def _sync(
    site: Site, query: Query, path: str, names: tuple[str, ...], page: Callable[[tuple[Row, ...]], Page]
) -> Exchange[Page]:
    """One page of a sync service. Raises SetupError, RetryLater."""
    settings: Settings = site.settings
    if query.next is not None:
        onward = msgspec.json.decode(query.next, type=_Onward)
    else:
        extra = yield from _watch(site, query.cursor)
        if extra is None:
            return Page(restart=True)
        high = int(query.cursor.value) if query.cursor else 1
        since = odata.compare(odata.prop("Timestamp"), "gt", odata.int64(high))
        link = wire.url(settings, division(settings), path, query=odata.options(where=since, select=names))
        onward = _Onward(link, high, query.cursor is None, extra)
    try:
        found = _rows((yield wire.get(wire.own_link(settings, onward.link), path)))
        result = page(found.rows)
        high = max([onward.high, *(int(row["Timestamp"]) for row in found.rows)])
        if found.next is not None:
            following = _Onward(wire.own_link(settings, found.next), high, onward.whole, onward.extra)
            return msgspec.structs.replace(result, next=msgspec.json.encode(following).decode())
    except Unreadable as error:
        raise _failure(error.problem, site.as_of) from None
    except (KeyError, TypeError, ValueError):
        broken = Problem("unreadable_answer", "Exact Online showed a row without a readable Timestamp.")
        raise _failure(broken, site.as_of) from None
    cursor = Cursor("timestamp", str(high), extra={**onward.extra, "read_at": f"{site.as_of:.0f}"})
    return msgspec.structs.replace(result, cursor=cursor, complete=onward.whole)


def _watch(site: Site, cursor: Cursor | None) -> Exchange[dict[str, str] | None]:
    """What the cursor must remember; None when what it remembers is void and all must be read again.

    Void: the last reading is longer ago than the log of deletions reaches; the division was moved or relinked since.
    """
    known = cursor.extra if cursor else {}
    if site.as_of - float(known.get("read_at", site.as_of)) > KEPT_DAYS * DAY:
        return None
    if 0 <= site.as_of - float(known.get("checked_at", "-inf")) < DAY:
        return dict(known)
    found = yield from _moves(site)
    if found is None:
        return dict(known)  # no answer is no check: asked again at the next reading
    # A date that becomes known only now may be of a move since the reading began: without a baseline nobody can tell.
    before = {name: known.get(name, "") for name in MOVES} if cursor else found
    if any(found.get(name, before[name]) != before[name] for name in MOVES if name in before):
        return None
    return {**known, **found, "checked_at": f"{site.as_of:.0f}"}


def _moves(site: Site) -> Exchange[dict[str, str] | None]:
    """When the division was last moved; nothing when it cannot be seen (it needs the scope of organisation administration),
    None when there was no readable answer."""
    settings: Settings = site.settings
    where = odata.compare(odata.prop("Code"), "eq", odata.int32(int(division(settings))))
    query = odata.options(where=where, select=("Code", *MOVES))
    reply = yield wire.get(wire.url(settings, division(settings), "system/Divisions", query=query), "system/Divisions")
    try:
        rows = _rows(reply).rows
    except Unreadable as error:
        return {} if 400 <= (error.problem.status or 0) < 500 else None
    return {name: str(rows[0].get(name) or "") for name in MOVES} if len(rows) == 1 else {}


def _rows(reply: Reply) -> Rows:
    if isinstance(reply, NoReply):
        raise Unreadable(Problem("no_reply", "Exact Online did not answer."))
    return wire.read_rows(reply)


def _failure(problem: Problem, as_of: float) -> SetupError | RetryLater:
    """How an unreadable listing ends: 4xx is for an operator, all else mends itself."""
    if problem.code == "foreign_link" or 400 <= (problem.status or 0) < 500:
        return SetupError(str(problem), remedy="Check the site, the division and the rights of this connection.")
    return RetryLater(str(problem), at=as_of + TRY_AGAIN)


# --- finding ------------------------------------------------------------------------------------------------------


def find_accounts(site: Site, kind: str, values: tuple[str, ...]) -> Exchange[dict[str, Finding]]:
    """Accounts by id, KVK number or VAT number, many in one filter. A 404 proves nothing here: it is the list's own."""
    settings: Settings = site.settings
    names = fields.properties(site.own, sync=False)
    findings: dict[str, Finding] = {}
    groups: list[tuple[str, tuple[odata.Condition, ...]]] = []
    for value in dict.fromkeys(values):
        try:
            groups.append((value, _conditions(kind, value)))
        except ValueError as error:
            findings[value] = Unknown(Problem("cannot_ask", f"This cannot be looked for: {error}."))
    address = wire.url(settings, division(settings), "crm/Accounts", query=odata.options(select=names))
    room = wire.URL_ROOM - len(address) - len("&$filter=()")
    for chunk in odata.chunks(groups, room=room, most=MOST_CONDITIONS):
        where = odata.any_of(condition for _, conditions in chunk for condition in conditions)
        link = wire.url(settings, division(settings), "crm/Accounts", query=odata.options(where=where, select=names))
        try:
            rows = yield from _all_rows(settings, link)
            found = _by_key(kind, rows, names)
        except Unreadable as error:
            problem = error.problem
            if not 400 <= (problem.status or 0) < 500:
                problem = msgspec.structs.replace(problem, retry_at=site.as_of + TRY_AGAIN)
            findings.update((value, Unknown(problem)) for value, _ in chunk)
        else:
            findings.update((value, found.get(_key(kind, value), Absent())) for value, _ in chunk)
    return findings


def _all_rows(settings: Settings, link: str) -> Exchange[tuple[Row, ...]]:
    """Every row of a listing, page by page, one after the other: parallel pages may lose records [KB-best]."""
    rows: list[Row] = []
    onward: str | None = link
    while onward is not None:
        page = _rows((yield wire.get(wire.own_link(settings, onward), "crm/Accounts")))
        rows.extend(page.rows)
        onward = page.next
    return tuple(rows)


def _by_key(kind: str, rows: tuple[Row, ...], names: tuple[str, ...]) -> dict[str, Finding]:
    items: dict[str, dict[str, accounts.Item]] = {}
    for row in rows:
        shown = row.get(_PROPERTY[kind])
        if isinstance(shown, str):
            item = accounts.item(row, names)
            items.setdefault(_key(kind, shown), {})[item.native] = item
    return {key: Found(tuple(found.values())) for key, found in items.items()}


_PROPERTY = {"native": "ID", "kvk": "ChamberOfCommerce", "vat": "VATNumber"}


def _key(kind: str, value: str) -> str:
    """What two spellings of one key share."""
    if kind == "kvk":
        try:
            return codec.read_kvk(value)[0]
        except InvalidNumber:
            return value.strip()
    return str(codec.vat_form(value) or "") if kind == "vat" else value.strip().lower()


def _conditions(kind: str, value: str) -> tuple[odata.Condition, ...]:
    """The comparisons that look for one value, in the spellings people store it in. Raises ValueError, KeyError."""
    if kind == "native":
        return (odata.compare(odata.prop("ID"), "eq", odata.guid(value)),)
    plain = _key(kind, value)
    if not plain:
        raise ValueError("it is empty")
    spellings = [plain]
    if kind == "kvk" and plain.startswith("0"):
        spellings.append(plain.lstrip("0"))
    if kind == "vat" and plain.startswith("NL") and len(plain) == 14:
        spellings += [plain[2:], f"NL{plain[2:6]}.{plain[6:8]}.{plain[8:11]}.{plain[11:]}"]
    name = odata.prop(_PROPERTY[kind])
    return tuple(odata.compare(name, "eq", odata.text(spelling)) for spelling in spellings)


# --- the resources ------------------------------------------------------------------------------------------------

ACCOUNTS_CAN = Can(
    since=True,
    tombstones=True,
    find=("native", "kvk", "vat"),
    create=True,
    update=True,
    page=SYNC_PAGE,
    batch=1,
    find_batch=FIND_BATCH,
    parallel=1,
    never_skips="row_version",
    settles_after=60.0,
    probe="natural_key",
    conditional=False,
    returns_record=True,
    gap=(
        "Exact Online takes no precondition: an edit made in Exact between our reading and our write, usually under a "
        "second, is overwritten unseen. Only changed fields are sent, and what Exact shows afterwards is compared."
    ),
    fields=fields.FIELDS,
)
DELETED_CAN = Can(since=True, find=(), page=SYNC_PAGE, never_skips="row_version", probe="none")


def _probe(site: Site, operations: tuple[writing.Operation, ...]) -> Exchange[dict[str, writing.Trace]]:
    return (yield from writing.probe(site, operations, find_accounts))


RESOURCES = (
    Resource(
        name="accounts",
        entity="company",
        can=ACCOUNTS_CAN,
        pages=account_pages,
        find=find_accounts,
        decode=accounts.decode,
        lower=writing.lower,
        send=writing.send,
        probe=_probe,
        tombstones="deleted",
    ),
    Resource(name="deleted", entity="", can=DELETED_CAN, pages=deleted_pages),
)
