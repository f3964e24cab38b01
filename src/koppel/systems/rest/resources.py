"""What a description offers, made into resources: listing page by page, and finding by key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import msgspec

from koppel.model.can import Can
from koppel.model.problem import Problem, RetryLater, SetupError
from koppel.model.values import Cursor, Json
from koppel.systems.rest import codec, wire, writing
from koppel.systems.rest.description import ResourceText, digest, read
from koppel.systems.rest.entities import FOUND_BY, PROBED_BY
from koppel.systems.rest.settings import Settings
from koppel.systems.rest.wire import Unreadable
from koppel.systems.spi import (
    Absent,
    Exchange,
    Finding,
    Found,
    Item,
    Operation,
    Page,
    Query,
    Resource,
    Response,
    Site,
    Trace,
    Unknown,
)

TRY_AGAIN = 60.0  # seconds; ours
MOST_PAGES = 20  # of one look-up; ours: a vendor that does not know the parameter would show everything it has

# --- listing --------------------------------------------------------------------------------------------------------


class _Onward(msgspec.Struct, frozen=True):
    """What the next page needs: its address, and what the pages so far have taught."""

    url: str
    number: int  # pages read
    count: int  # records read
    began: float  # the vendor's clock at the first page
    high: float | None = None  # the latest stamp seen


def pages(name: str, resource: ResourceText, site: Site, query: Query) -> Exchange[Page]:
    """One page of a listing. The cursor comes with the last one only: pages need not be in the order of changes.

    Raises SetupError, RetryLater.
    """
    settings: Settings = site.settings
    if query.cursor is not None and query.cursor.extra.get("described") != digest(resource):
        return Page(restart=True)  # what was read by an older description lacks what the new one tells
    onward = msgspec.json.decode(query.next, type=_Onward) if query.next else None
    asked = onward.url if onward else _first(settings, resource, query)
    reply = yield wire.call(settings, "GET", asked, name)
    try:
        body = wire.body_of(settings, reply)
        rows = wire.rows_of(settings, body, resource.records)
        items = tuple(codec.item(resource, row) for row in rows)
        assert isinstance(reply, Response)
        seen = onward or _Onward(asked, 0, 0, wire.vendor_time(reply, site.as_of))
        high = max((i.modified_at for i in items if i.modified_at is not None), default=None)
        high = seen.high if high is None else max(high, seen.high or high)
        so_far = _Progress(seen.number + 1, seen.count + len(rows), len(rows), query.size)
        following = _next(settings, resource, asked, reply, body, so_far)
    except Unreadable as error:
        raise _failure(error.problem, site.as_of) from None
    if following is not None:
        if following == asked:
            raise SetupError(f"{settings.api.title}: the next page of {name} is the same page.", remedy=f"Look at resources.{name}.paging in the description.")  # fmt: skip
        after = _Onward(following, so_far.pages, so_far.records, seen.began, high)
        return Page(items=items, next=msgspec.json.encode(after).decode())
    whole = not resource.paging.total or so_far.records == wire.at(body, resource.paging.total)
    complete = query.cursor is None and whole and (resource.paging.steady or resource.paging.style == "none")
    return Page(items=items, cursor=_cursor(resource, query.cursor, seen.began, high), complete=complete)


def _first(settings: Settings, resource: ResourceText, query: Query) -> str:
    paging, since = resource.paging, resource.since
    size = min(query.size or paging.most, paging.most)
    asked = [(key, str(value)) for key, value in resource.query.items()]
    if paging.size:
        asked.append((paging.size, str(size)))
    if paging.style == "page":
        asked.append((paging.page, str(paging.first)))
    if paging.style == "offset":
        asked.append((paging.offset, "0"))
    if since and query.cursor is not None:
        asked.append((since.parameter, codec.stamp(since, float(query.cursor.value) - since.margin)))
    return wire.url(settings, resource.path, asked)


class _Progress(msgspec.Struct, frozen=True):
    """How far a listing is: pages and records so far, this page's records, and the size that was asked for."""

    pages: int
    records: int
    here: int
    size: int | None = None


def _next(
    settings: Settings, resource: ResourceText, asked: str, reply: Response, body: Json, so_far: _Progress
) -> str | None:
    """The address of the page after this one; None when this was the last. Raises Unreadable."""
    paging = resource.paging
    told = wire.at(body, paging.total) if paging.total else None
    if isinstance(told, int):
        more = so_far.here > 0 and so_far.records < told
    else:
        more = so_far.here >= min(so_far.size or paging.most, paging.most)
    match paging.style:
        case "none":
            return None
        case "page":
            return wire.with_query(asked, [(paging.page, str(paging.first + so_far.pages))]) if more else None
        case "offset":
            # Counted by what came, not by what was asked: a vendor may cap its pages lower.
            return wire.with_query(asked, [(paging.offset, str(so_far.records))]) if more else None
        case "cursor":
            cursor = wire.at(body, paging.next)
            return wire.with_query(asked, [(paging.cursor, str(cursor))]) if cursor not in (None, "", False) else None
        case "link":
            link = wire.at(body, paging.next) if paging.next else wire.linked(reply)
            return wire.own_link(settings, asked, str(link)) if link else None


def _cursor(resource: ResourceText, before: Cursor | None, began: float, high: float | None) -> Cursor | None:
    """Where to go on: the latest stamp seen, but never after the listing began, because what changed meanwhile on a page
    already read would be skipped; the margin covers what is committed late."""
    if resource.since is None:
        return None
    reached = began if high is None else min(high, began)
    value = repr(max(reached, float(before.value)) if before else reached)
    return Cursor("modified", value, extra={"described": digest(resource)})


def _failure(problem: Problem, as_of: float) -> SetupError | RetryLater:
    """How an unreadable listing ends: what the description gets wrong is for an operator, all else mends itself."""
    if problem.code in {"foreign_link", "no_list", "no_key"} or 400 <= (problem.status or 0) < 500:
        return SetupError(str(problem), remedy="Compare the description with what the API really answers.")
    return RetryLater(str(problem), at=as_of + TRY_AGAIN)


# --- finding --------------------------------------------------------------------------------------------------------


def find(name: str, resource: ResourceText, site: Site, kind: str, values: tuple[str, ...]) -> Exchange[dict[str, Finding]]:  # fmt: skip
    """Records by one kind of key, one look-up a value."""
    findings: dict[str, Finding] = {}
    for value in dict.fromkeys(values):
        try:
            findings[value] = yield from _look(name, resource, site, kind, value)
        except Unreadable as error:
            told = error.problem
            if not 400 <= (told.status or 0) < 500:
                told = msgspec.structs.replace(told, retry_at=site.as_of + TRY_AGAIN)
            findings[value] = Unknown(told)
    return findings


def _look(name: str, resource: ResourceText, site: Site, kind: str, value: str) -> Exchange[Finding]:
    """One look-up. Raises Unreadable."""
    settings: Settings = site.settings
    look = resource.find[kind]  # pyright: ignore[reportArgumentType]
    if not value:
        raise Unreadable(Problem("cannot_ask", "An empty value cannot be looked for.", status=400))
    if look.path:
        reply = yield wire.call(settings, "GET", wire.url(settings, look.path, value=value), name)
        if isinstance(reply, Response) and reply.status in {404, 410}:
            return Absent()
        row = wire.at(wire.body_of(settings, reply), resource.record)
        if not isinstance(row, dict):
            raise Unreadable(Problem("no_record", f"{settings.api.title} shows no record at {resource.record!r}."))
        found = codec.item(resource, row)
        if not _carries(resource, kind, value, found):
            raise Unreadable(Problem("other_record", f"{settings.api.title} shows another record than was asked for."))
        return Found((found,))
    asked = [(key, str(given)) for key, given in resource.query.items()] + [(look.query, value)]
    if resource.paging.size:
        asked.append((resource.paging.size, str(resource.paging.most)))
    address: str | None = wire.url(settings, resource.path, asked)
    matching: dict[str, Item] = {}
    number, count = 0, 0
    while address is not None:
        number += 1
        if number > MOST_PAGES:
            text = (
                f"{settings.api.title} shows more than {MOST_PAGES} pages for one value: does it know {look.query!r}?"
            )
            raise Unreadable(Problem("too_many", text, status=400))
        reply = yield wire.call(settings, "GET", address, name)
        body = wire.body_of(settings, reply)
        rows = wire.rows_of(settings, body, resource.records)
        # Compared here too: a vendor that does not know the parameter answers with everything.
        every = (codec.item(resource, row) for row in rows)
        matching |= {each.native: each for each in every if _carries(resource, kind, value, each)}
        assert isinstance(reply, Response)
        count += len(rows)
        address = _next(settings, resource, address, reply, body, _Progress(number, count, len(rows)))
    return Found(tuple(matching.values())) if matching else Absent()


def _carries(resource: ResourceText, kind: str, value: str, item: Item) -> bool:
    """Whether a record shows the value it was looked for by."""
    if kind == "native":
        return item.native == value
    if kind == "operation":
        return item.fields.get(resource.write.operation_id) == value
    path = FOUND_BY[resource.entity][kind]
    shown = item.fields.get(resource.fields[path].field)
    return shown is not None and codec.comparable(path, shown) == codec.comparable(path, value)


# --- the resources --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Made:
    """The functions of one resource, bound to its description."""

    name: str
    resource: ResourceText

    def pages(self, site: Site, query: Query) -> Exchange[Page]:
        return pages(self.name, self.resource, site, query)

    def find(self, site: Site, kind: str, values: tuple[str, ...]) -> Exchange[dict[str, Finding]]:
        return find(self.name, self.resource, site, kind, values)

    def probe(self, site: Site, operations: tuple[Operation, ...]) -> Exchange[dict[str, Trace]]:
        return writing.probe(self.resource, site, operations, self.find)


def made(name: str, resource: ResourceText) -> Resource:
    """One resource out of its description."""
    bound, write = _Made(name, resource), resource.write
    writes = bool(write.create or write.update)
    link: Callable[[Site, str], str] | None = partial(_web_address, resource.link) if resource.link else None
    return Resource(
        name=name,
        entity=resource.entity,
        can=can(resource),
        pages=bound.pages,
        find=bound.find if resource.find else None,
        decode=partial(codec.decode, resource),
        lower=partial(writing.lower, name, resource),
        send=partial(writing.send, name, resource) if writes else None,
        probe=bound.probe if writes else None,
        link=link,
    )


def can(resource: ResourceText) -> Can:
    """What the description allows."""
    write = resource.write
    kinds = tuple(kind for kind in resource.find if kind != "operation")
    strong = any(kind in resource.find for kind in PROBED_BY)
    return Can(
        list=resource.list,
        since=resource.list and resource.since is not None,
        find=kinds,
        create=write.create is not None,
        update=write.update is not None,
        page=resource.paging.most,
        find_batch=1,
        never_skips="clock_with_margin" if resource.list else "unlisted",
        settles_after=resource.settles_after,
        probe="operation_id" if "operation" in resource.find else "natural_key" if strong else "none",
        operation_id_field=write.operation_id or None,
        conditional=write.if_match,
        gap=""
        if write.if_match
        else "No precondition travels: an edit made between our reading and our write is overwritten unseen; only changed fields are sent.",
        fields=codec.fields(resource),
    )


def _web_address(link: str, site: Site, native: str) -> str:
    return link.replace("{id}", native)


@lru_cache(maxsize=64)
def resources(text: str) -> tuple[Resource, ...]:
    """Every resource of a description, in its order. Raises SetupError."""
    return tuple(made(name, resource) for name, resource in read(text).resources.items())
