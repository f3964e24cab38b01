"""The wire of a described API: addresses, JSON, dotted paths, links to a next page, and what a response means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import cast
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit, urlunsplit

import msgspec

from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.systems.rest import settings as options
from koppel.systems.rest.description import Refusal
from koppel.systems.rest.settings import Settings
from koppel.systems.spi import Budget, Call, Reply, Request, Response, Verdict
from koppel.systems.spi import NoReply as Silence

Row = dict[str, Json]
OUTAGE_WAIT = 30.0  # seconds; ours: the first wait after an outage


class Unreadable(Exception):
    """An answer that tells nothing about the records asked for; `problem` says what it was."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


# --- asking ---------------------------------------------------------------------------------------------------------


def url(settings: Settings, path: str, query: Sequence[tuple[str, str]] = (), **values: str) -> str:
    """The address of a path of the description, its {names} filled in as one piece of a path."""
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    address = f"{options.base(settings)}/{path.lstrip('/')}"
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}" if query else address


def call(settings: Settings, method: str, address: str, kind: str, *, body: Json = None, headers: Mapping[str, str] | None = None, ops: tuple[str, ...] = ()) -> Call:  # fmt: skip
    """One call; with a body it carries operations."""
    named = {"Accept": "application/json", **settings.api.headers, **(headers or {})}
    if body is None:
        return Call(Request(method, address, named), kind=kind)
    named["Content-Type"] = "application/json"
    return Call(Request(method, address, named, msgspec.json.encode(body)), carries=ops, kind=kind)


def with_query(address: str, query: Sequence[tuple[str, str]]) -> str:
    """The address with parameters set, those of the same name replaced."""
    parts = urlsplit(address)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in dict(query)]
    return urlunsplit(parts._replace(query=urlencode([*kept, *query])))


# --- reading --------------------------------------------------------------------------------------------------------


def at(value: Json, path: str) -> Json:
    """What stands at a dotted path; None when the way there breaks off. An empty path is the value itself.

    >>> at({"data": {"items": [1]}}, "data.items")
    [1]
    >>> at([{"x": 5}], "0.x")
    5
    """
    for part in path.split(".") if path else ():
        if isinstance(value, dict):
            value = cast("Row", value).get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(cast("list[Json]", value)):
            value = cast("list[Json]", value)[int(part)]
        else:
            return None
    return value


def put(target: Row, path: str, value: Json) -> None:
    """Set a value at a dotted path, tables made on the way."""
    *way, last = path.split(".")
    for part in way:
        target = target.setdefault(part, {})
    target[last] = value


def body_of(settings: Settings, reply: Reply) -> Json:
    """The JSON of an accepted answer. Raises Unreadable."""
    title = settings.api.title
    if isinstance(reply, Silence):
        raise Unreadable(Problem("no_reply", f"{title} did not answer."))
    if reply.status != 200:
        raise Unreadable(problem(settings, reply, Refusal(), "refused", f"{title} answers {reply.status}."))
    try:
        return msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        text = f"{title}'s answer is not whole or is not JSON."
        raise Unreadable(Problem("unreadable_answer", text, status=reply.status)) from None


def rows_of(settings: Settings, body: Json, path: str) -> tuple[Row, ...]:
    """The records of a list answer. Raises Unreadable: a missing list is no empty list."""
    found = at(body, path)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in cast("list[Json]", found)):
        where = f"at {path!r}" if path else "as the answer itself"
        raise Unreadable(Problem("no_list", f"{settings.api.title} shows no list of records {where}."))
    return tuple(cast("list[Row]", found))


_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[^,;=]+(?:=(?:\"[^\"]*\"|[^,;\"]*))?)*)")


def linked(response: Response) -> str | None:
    """The address of `rel="next"` in the header Link [RFC 8288]; None on the last page.

    >>> linked(Response(200, {"link": '</a?p=1>; rel="prev", </a?p=3>; rel="next"'}))
    '/a?p=3'
    """
    for address, parameters in _LINK.findall(response.headers.get("link", "")):
        rel = re.search(r";\s*rel\s*=\s*\"?([^\";]*)\"?", parameters, re.IGNORECASE)
        if rel and "next" in rel[1].lower().split():
            return address
    return None


def own_link(settings: Settings, asked: str, link: str) -> str:
    """A link as an absolute address. Raises Unreadable when it leads to another host: our key must not follow it."""
    address = urljoin(asked, link)
    if urlsplit(address)[:2] != urlsplit(options.base(settings))[:2]:
        text = f"{settings.api.title} names a next page on another host, which the key may not travel to."
        raise Unreadable(Problem("foreign_link", text))
    return address


# --- what a response means --------------------------------------------------------------------------------------------


def problem(settings: Settings, response: Response, refusal: Refusal, code: str, text: str) -> Problem:
    """Our words with the vendor's beside them, from where the description says they stand."""
    try:
        body = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        body = None

    def said(path: str) -> str | None:
        found = at(body, path) if path else None
        return None if found in (None, "", [], {}) else found if isinstance(found, str) else msgspec.json.encode(found).decode()  # fmt: skip

    return Problem(
        code,
        text,
        field=said(refusal.field),
        vendor_text=said(refusal.message),
        vendor_code=said(refusal.code),
        status=response.status,
        request_id=response.headers.get("x-request-id"),
    )


def verdict_of(settings: Settings, request: Request, response: Response, as_of: float) -> Verdict:
    """Judge a response by what must be done; refusals about one record are `ok`, the exchange reads them."""
    title, said = settings.api.title, Refusal()
    if response.status == 401:
        return Verdict("sign_in", problem(settings, response, said, "sign_in", f"{title} does not accept the key."))
    if response.status == 403:
        text = f"{title} forbids this call: the key lacks a right for it."
        return Verdict("setup", problem(settings, response, said, "forbidden", text))
    if response.status == 429:
        retry_at = _retry_after(response, as_of)
        text = f"{title} takes no more calls for now."
        told = problem(settings, response, said, "throttled", text)
        return Verdict("throttled", told, retry_at, "minute" if settings.api.calls_per_minute else None)
    if response.status == 408 or response.status >= 500:
        retry_at = _retry_after(response, as_of) or as_of + OUTAGE_WAIT
        return Verdict("unavailable", problem(settings, response, said, "unavailable", f"{title} has a fault at the moment."), retry_at)  # fmt: skip
    return Verdict("ok")


def budgets(settings: Settings) -> tuple[Budget, ...]:
    """The one allowance a description can name, counted per host."""
    host = urlsplit(options.base(settings)).netloc
    limit = settings.api.calls_per_minute
    return (Budget(name="minute", limit=limit, window="minute", key=lambda request: host),) if limit else ()


def vendor_time(response: Response, as_of: float) -> float:
    """The vendor's clock, where it tells it: two clocks are never quite one."""
    return _moment(response.headers.get("date", "")) or as_of


def _retry_after(response: Response, as_of: float) -> float | None:
    text = response.headers.get("retry-after", "").strip()
    return as_of + int(text) if text.isascii() and text.isdigit() else _moment(text)


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError):
        return None
