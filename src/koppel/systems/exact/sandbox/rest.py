"""The REST resources: routes, lists and single records as JSON or Atom, and the writes with their refusals.

Everything here works on a `State` and answers one authorised, admitted request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from koppel.model.values import Json
from koppel.systems.exact.sandbox import people, table, views, writing
from koppel.systems.exact.sandbox.books import Books
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.filter import Filter, QueryError, fold, is_guid, parse_datetime
from koppel.systems.exact.sandbox.lines import child_of, children
from koppel.systems.exact.sandbox.query import Listing, Query, matching, next_url, read_query, run
from koppel.systems.exact.sandbox.records import Records, Row
from koppel.systems.exact.sandbox.render import Expansion, atom_entry, atom_feed, key_literal, metadata, renderer
from koppel.systems.exact.sandbox.rules import Refused
from koppel.systems.exact.sandbox.state import State
from koppel.systems.exact.sandbox.table import EntityType
from koppel.systems.exact.sandbox.views import Rows
from koppel.systems.spi import Request, Response

LARGEST_BODY = 10 * 1024 * 1024  # [KB-limits]
_RESOURCE = re.compile(r"(?P<set>[\w$]+)(?:\((?P<key>[^)]*)\))?")
_SCOPE_MESSAGE = "Forbidden - User division is not within division scope."
_DIVISION_LISTS = frozenset(
    {"system/Divisions", "system/AllDivisions", "hrm/Divisions", "system/GetMostRecentlyUsedDivisions"}
)
_DELETED = "sync/Deleted"
_SYNC_TIMESTAMP = "read/sync/Sync/SyncTimestamp"
_WIDE = frozenset({"generaljournalentry/GeneralJournalEntries"})  # others are not told


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, taken apart."""

    request: Request
    headers: Mapping[str, str]
    root: str  # …/api/v1 or …/api/v1/{division}, as the client called it
    path: str  # after the root
    query: str
    division: int | None = None

    @property
    def wants_json(self) -> bool:
        """Whether JSON was asked for; the default is Atom. [chef]"""
        return "application/json" in self.headers.get("accept", "")


class Rest:
    """Answers requests on one state."""

    def __init__(self, state: State) -> None:
        self.state = state

    def answer(self, ask: Ask) -> Response:
        """Answer a request inside a division. Never raises for bad input."""
        return self._guarded(lambda: self._route(ask, self.state.now()))

    def outside(self, ask: Ask) -> Response:
        """What stands outside the divisions, `current/Me` first of all: not counted, without rate headers. [KB-limits]"""
        path, _, key = ask.path.partition("(")
        entity = table.at(path)
        if entity is None or not entity.site:
            return _error(404, "Resource not found for the segment.")
        if ask.request.method not in entity.methods or ask.request.method != "GET":
            return _error(405, f"{ask.request.method} not supported")
        rows = people.me(self.state) if entity.path == "current/Me" else people.users(self.state)
        source = views.computed(entity, lambda: rows)
        wanted = key.removesuffix(")") if key else None
        return self._guarded(lambda: self._read(ask, entity, source, wanted, ""))

    def _guarded(self, answer: Callable[[], Response]) -> Response:
        try:
            return answer()
        except QueryError as wrong:
            return _error(400, str(wrong))
        except Refused as refused:
            self.state.refusals += refused.status == 500
            return _error(refused.status, refused.message)

    def _route(self, ask: Ask, now: float) -> Response:
        service, _, last = ask.path.rpartition("/")
        navigation = ""
        if service.endswith(")"):  # …/Accounts(guid'…')/BankAccounts
            navigation, ask = last, replace(ask, path=service)
            service, _, last = service.rpartition("/")
        if last == "$metadata":
            found = table.of_service(service)
            if not found:
                return _not_found(last)
            return Response(200, {"content-type": "application/xml"}, metadata(found, table.related))
        if last == "$count":
            service, _, last = service.rpartition("/")
            navigation = "$count"
        match = _RESOURCE.fullmatch(last)
        entity = None if match is None else table.at(f"{service}/{match.group('set')}")
        if match is None or entity is None or entity.site:
            return _not_found(last)
        is_division = entity.path in _DIVISION_LISTS
        # A list of divisions does not check the division in its own address [picqer #470].
        if ask.division not in self.state.scope and not is_division:
            return _error(403, _SCOPE_MESSAGE, {"reason": "NoDivisionAccess"})
        if ask.request.method not in entity.methods:  # status unverified
            return _error(405, f"{ask.request.method} not supported")
        if is_division or ask.division is None:
            if ask.request.method != "GET":  # nobody gives his books away here
                return _error(403, "Forbidden")
            return self._read(ask, entity, views.computed(entity, self._divisions), match.group("key"), navigation)
        books = self.state.books[ask.division]
        if ask.request.method != "GET":
            return self._write(ask, entity, self.state.desk(books), match.group("key"))
        asked = {name.casefold(): value for name, value in parse_qsl(ask.query) if not name.startswith("$")}
        if entity.path == _SYNC_TIMESTAMP:
            return self._sync_timestamp(ask, entity, books, asked)
        return self._read(ask, entity, views.source(entity, books, now, asked), match.group("key"), navigation)

    # --- reading -----------------------------------------------------------------------------------------------

    def _divisions(self) -> Iterable[Row]:
        return [books.about for number, books in self.state.books.items() if number in self.state.scope]

    def _read(self, ask: Ask, entity: EntityType, source: Rows, key: str | None, navigation: str) -> Response:
        if key is None:
            if navigation == "$count":  # whether mandatory filtering applies here too is unverified
                query = read_query(entity, ask.query)
                count = sum(1 for _ in matching(source, None, query.wanted))
                return Response(200, {"content-type": "text/plain"}, str(count).encode())
            return self._list(ask, entity, source)
        row = _by_key(entity, source, key)
        if navigation:
            return self._navigate(ask, entity, row, navigation)
        query = read_query(entity, ask.query)
        return self._one(ask, entity, row, query, 200)

    def _one(self, ask: Ask, entity: EntityType, row: Mapping[str, Any], query: Query, status: int) -> Response:
        headers = {"dataserviceversion": "2.0;"}
        _acceptable(ask)
        if not ask.wants_json:
            body = atom_entry(entity, query.names, ask.root, row)
            return Response(status, {**headers, "content-type": "application/atom+xml;charset=utf-8"}, body)
        show = renderer(entity, query.names, ask.root, self._expansions(ask, entity, query))
        headers["content-type"] = "application/json;charset=utf-8"
        return Response(status, headers, msgspec.json.encode({"d": show(row)}))

    def _list(self, ask: Ask, entity: EntityType, source: Rows) -> Response:
        query = read_query(entity, ask.query)
        self._demand(entity, query)
        listing = run(entity, query, source)
        following = None if listing.token is None else next_url(f"{ask.root}/{ask.path}", query, listing.token)
        headers = {"dataserviceversion": "2.0;"}
        _acceptable(ask)
        if not ask.wants_json:
            body = atom_feed(entity, query.names, ask.root, listing.rows, following)
            return Response(200, {**headers, "content-type": "application/atom+xml;charset=utf-8"}, body)
        show = renderer(entity, query.names, ask.root, self._expansions(ask, entity, query))
        envelope = _envelope([show(row) for row in listing.rows], query, listing, following)
        headers["content-type"] = "application/json;charset=utf-8"
        return Response(200, headers, msgspec.json.encode({"d": envelope}))

    def _demand(self, entity: EntityType, query: Query) -> None:
        """What a resource insists on before it lists: the texts of these refusals are unverified."""
        selects_all = query.names is None
        if entity.kind != "plain" and entity.path != _DELETED and selects_all:
            raise QueryError("Please add a $select statement to the query string.")
        if entity.path in _WIDE and selects_all and query.top != 1:  # [picqer README]
            raise QueryError("Please add a $select or a $top=1 statement to the query string.")
        used = query.wanted.properties if query.wanted is not None else frozenset[str]()
        if entity.kind == "sync":
            allowed = {"Timestamp", "EntityType"} if entity.path == _DELETED else {"Timestamp"}  # [Pi, sync-demo]
            if not used <= allowed:
                raise QueryError(
                    f"Filtering on '{min(used - allowed)}' is not supported; only Timestamp can be filtered."
                )
        if not self.state.mandatory_filter or not table.has_sync_twin(entity):  # [KB-limits]
            return
        ticked = {name for name, found in entity.properties.items() if found.filterable}
        if ticked and not used & ticked:  # the ticks are known of ten resources
            raise QueryError("A $filter on at least one of the filterable properties is mandatory for this endpoint.")

    def _expansions(self, ask: Ask, entity: EntityType, query: Query) -> dict[str, Expansion]:
        return {name: self._expansion(ask, entity, query, name) for name in query.expand}

    def _expansion(self, ask: Ask, entity: EntityType, query: Query, name: str) -> Expansion:
        child = child_of(entity, name)
        if child is None or ask.division is None:
            return lambda _row: {"results": []}
        lines, binds = child
        for word in query.nested.get(name, ()):
            if word not in lines.properties:
                raise QueryError(f"$select: No property '{word}' exists in type '{lines.clr}' at position 0.")
        records = self.state.books[ask.division].records(lines.path)
        show = renderer(lines, query.nested.get(name), ask.root, {})
        owner = table.plain_twin(entity) or entity

        def expand(row: Mapping[str, Any]) -> dict[str, Any]:
            key = row.get(owner.key)
            found = _in_order(records, binds, key)
            shown: dict[str, Any] = {"results": [show(line) for line in found[: lines.page]]}
            if len(found) > lines.page:  # cut, with its own nested link [picqer #546]
                token = key_literal(lines, found[lines.page - 1])
                shown["__next"] = f"{ask.root}/{owner.address}(guid'{key}')/{name}?$skiptoken={token}"
            return shown

        return expand

    def _navigate(self, ask: Ask, entity: EntityType, row: Mapping[str, Any], navigation: str) -> Response:
        found = entity.properties.get(navigation)
        child = child_of(entity, navigation) if found is not None and found.is_collection else None
        if found is None or child is None or ask.division is None:
            return _not_found(navigation)
        lines, binds = child
        key = row.get((table.plain_twin(entity) or entity).key)
        rows = _in_order(self.state.books[ask.division].records(lines.path), binds, key)

        def behind(low: tuple[Any, ...] | None, _wanted: Filter | None) -> Iterable[Row]:
            """Lines keep their own order; a `$skiptoken` names the last one seen."""
            seen = [line[lines.key] for line in rows]
            return rows if not low else rows[seen.index(low[-1]) + 1 :] if low[-1] in seen else []

        return self._list(replace(ask, path=f"{ask.path}/{navigation}"), lines, Rows(behind))

    def _sync_timestamp(self, ask: Ask, entity: EntityType, books: Books, asked: Mapping[str, str]) -> Response:
        """The row version to start a sync with at a date. [Pi, picqer #689; casing of `endPoint` unverified]"""
        match = re.fullmatch(r"datetime'([^']*)'", asked.get("modified", ""))
        moment = parse_datetime(match.group(1)) if match else None
        if moment is None:
            raise QueryError("The parameter modified must be a datetime literal.")
        name = asked.get("endpoint", "").strip("'")
        streams = [one for one in table.entities().values() if one.kind == "sync" and one.name == name]
        records = books.records(views.home(streams[0])) if streams else books.accounts
        before = [row["Timestamp"] for row in records.rows.values() if row["Modified"] < moment]
        row: Row = {"Modified": moment, "API": name, "TimeStampAsBigInt": max(before, default=1)}
        show = renderer(entity, None, ask.root, {})
        return _json(200, {"d": {"results": [show(row)]}})

    # --- writing -----------------------------------------------------------------------------------------------

    def _write(self, ask: Ask, entity: EntityType, desk: Desk, key: str | None) -> Response:
        method = ask.request.method
        row = None
        if key is not None:
            row = _by_key(entity, views.source(entity, desk.books, desk.at, {}), key)
        if (method == "POST") != (row is None):
            return _error(405, f"{method} not supported")
        if row is not None and method == "DELETE":
            writing.erase(self.state, desk, entity, row)
            return Response(204)
        _acceptable(ask)  # before anything has an effect
        body = _body(ask.request, ask.headers)
        wants_body = "return=representation" in ask.headers.get("prefer", "")
        query = read_query(entity, "")
        if row is not None:
            changed = writing.alter(self.state, desk, entity, row, body)
            # With Prefer a 200 and the record; which status Exact sends is unverified.
            return self._one(ask, entity, changed, query, 200) if wants_body else Response(204)
        made = writing.create(self.state, desk, entity, body)
        inside = tuple(name for name in child_names(entity) if name in body)
        answer = self._one(ask, entity, made, replace(query, expand=inside), 201)
        where = f"{ask.root}/{entity.address}({key_literal(entity, made)})"
        return Response(201, {**answer.headers, "location": where}, answer.body)


def child_names(entity: EntityType) -> tuple[str, ...]:
    """The collections whose records are shown in the answer to a POST that held them (unverified)."""
    return tuple(children(entity))


def _in_order(records: Records, binds: str, key: Any) -> list[Row]:
    """The lines of a document as they are numbered."""
    return [] if key is None else sorted(records.having(binds, key), key=lambda row: row.get("LineNumber") or 0)


_KEY_PART = re.compile(r"(?:(?P<name>\w+)\s*=\s*)?(?P<literal>(?:guid|datetime)?'(?:[^']|'')*'|-?\d{1,19}[Ll]?)")


def _by_key(entity: EntityType, source: Rows, key: str) -> Row:
    """The record of a key predicate. Raises QueryError for a wrong literal and Refused (404) when there is none."""
    values = _key_values(entity, key)
    if values is None:
        raise QueryError(f"Bad Request - Error in query syntax: '{key}'.")
    facts = frozenset(zip(entity.keys, values, strict=True))
    wanted = Filter(
        lambda row: all(fold(row.get(name)) == value for name, value in facts),
        frozenset(entity.keys),
        frozenset({next(fact for fact in facts if fact[0] == entity.keys[0])}),
    )
    for row in matching(source, None, wanted):
        return dict(row)
    raise Refused(404, f"Resource not found for the segment '{entity.name}'.")


def _key_values(entity: EntityType, text: str) -> tuple[Any, ...] | None:
    found: dict[str, Any] = {}
    at = 0
    while at < len(text):
        match = _KEY_PART.match(text, at)
        if match is None or text[match.end() : match.end() + 1] not in {"", ","}:
            return None
        name = match["name"] or (entity.key if entity.keys else "")
        known = entity.properties.get(name)
        if known is None or name in found or (value := _key_value(known.type, match["literal"])) is None:
            return None
        found[name] = value
        at = match.end() + 1
    if found.keys() != set(entity.keys) or not found:
        return None
    return tuple(found[name] for name in entity.keys)


def _key_value(type_: str, text: str) -> Any:
    inner = text.partition("'")[2].removesuffix("'").replace("''", "'")
    if type_ == "Guid":
        return inner.lower() if text.startswith("guid'") and is_guid(inner) else None
    if type_ == "DateTime":
        return parse_datetime(inner) if text.startswith("datetime'") else None
    if type_ in {"String", "Binary"}:
        return fold(inner) if text.startswith("'") else None
    return int(text.rstrip("Ll")) if re.fullmatch(r"-?\d+[Ll]?", text) else None


def _envelope(shown: list[dict[str, Any]], query: Query, listing: Listing, following: str | None) -> Json:
    """With `$top` a bare array, otherwise `results`. [picqer fixture, dotnet fixture]"""
    if query.top is not None and listing.total is None:
        return shown
    envelope: dict[str, Any] = {"results": shown}
    if listing.total is not None:
        envelope["__count"] = str(listing.total)
    if following is not None:
        envelope["__next"] = following
    return envelope


def _acceptable(ask: Ask) -> None:
    """Who does not ask for JSON gets Atom; `application/xml` is not accepted. [chef, craft; status unverified]"""
    wanted = ask.headers.get("accept", "*/*")
    if not ask.wants_json and "atom+xml" not in wanted and "*/*" not in wanted:
        raise Refused(406, "Unsupported media type requested.")


def _json(status: int, body: Json, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        status, {"content-type": "application/json;charset=utf-8", **(headers or {})}, msgspec.json.encode(body)
    )


def _error(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """The envelope: code and language are empty. [zapfloor, picqer]"""
    return _json(status, {"error": {"code": "", "message": {"lang": "", "value": text}}}, headers)


def _not_found(segment: str) -> Response:
    return _error(404, f"Resource not found for the segment '{segment}'.")


def _body(request: Request, headers: Mapping[str, str]) -> dict[str, Any]:
    if len(request.body) > LARGEST_BODY:  # status unverified
        raise Refused(413, "Request entity too large.")
    if not headers.get("content-type", "").startswith("application/json"):
        raise Refused(415, "Unsupported media type requested.")
    try:
        body = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, RecursionError):
        body = None
    if not isinstance(body, dict):  # [KB-faq]
        raise Refused(400, "Error processing request stream. The request should be a valid top-level resource object.")
    return body
