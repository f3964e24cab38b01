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
from koppel.systems.exact.sandbox import tables
from koppel.systems.exact.sandbox.books import Books, Row
from koppel.systems.exact.sandbox.filter import Filter, QueryError, is_guid, parse_datetime
from koppel.systems.exact.sandbox.query import Listing, Query, matching, next_url, read_query, run
from koppel.systems.exact.sandbox.render import Expansion, atom_entry, atom_feed, iso, metadata, renderer
from koppel.systems.exact.sandbox.rules import Refused, accept, wall
from koppel.systems.exact.sandbox.state import Made, State
from koppel.systems.exact.sandbox.tables import EntityType
from koppel.systems.spi import Request, Response

LARGEST_BODY = 10 * 1024 * 1024  # [KB-limits]
_RESOURCE = re.compile(r"(?P<set>[\w$]+)(?:\((?P<key>[^)]*)\))?")
_SCOPE_MESSAGE = "Forbidden - User division is not within division scope."
_DIVISION_LISTS = frozenset({tables.SYSTEM_DIVISIONS, tables.HRM_DIVISIONS, tables.ALL_DIVISIONS})


@dataclass(frozen=True, slots=True)
class _Rows:
    """Adapts a function to the source a query runs over."""

    rows: Callable[[Any, Filter | None], Iterable[Mapping[str, Any]]]

    def after(self, key: Any, wanted: Filter | None) -> Iterable[Mapping[str, Any]]:
        return self.rows(key, wanted)


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

    def me(self, ask: Ask) -> Response:
        """`current/Me`: not counted and without rate headers. [KB-limits]"""
        if ask.path != tables.ME.path:
            return _error(404, "Resource not found for the segment.")
        if ask.request.method != "GET":
            return _error(405, f"{ask.request.method} not supported")
        user = self.state.staff[0]
        row: Row = {
            "UserID": user.id,
            "FullName": user.name,
            "UserName": "koppeling",
            "Email": "koppeling@voorbeeld.example",
            "CurrentDivision": next(iter(self.state.books)),
            "DivisionCustomer": next(iter(self.state.books.values())).about["Customer"],
            "Language": "NL-NL",
            "LanguageCode": "nl-NL",
            "Legislation": 1,
            "ServerTime": iso(wall(self.state.now())),
        }
        return self._guarded(lambda: self._list(ask, tables.ME, _Rows(lambda _key, _wanted: (row,))))

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
            found = [entity for entity in tables.SERVED if entity.service.casefold() == service.casefold()]
            return Response(200, {"content-type": "application/xml"}, metadata(found)) if found else _not_found(last)
        if last == "$count":
            service, _, last = service.rpartition("/")
            navigation = "$count"
        match = _RESOURCE.fullmatch(last)
        entity = None if match is None else _entity(f"{service}/{match.group('set')}")
        if match is None or entity is None:
            return _not_found(last)
        is_division = entity in _DIVISION_LISTS
        # A list of divisions does not check the division in its own address [picqer #470].
        if ask.division not in self.state.scope and not is_division:
            return _error(403, _SCOPE_MESSAGE, {"reason": "NoDivisionAccess"})
        if ask.request.method not in entity.methods:  # status unverified
            return _error(405, f"{ask.request.method} not supported")
        if is_division or ask.division is None:
            return self._read(ask, entity, _Rows(self._divisions), match.group("key"), navigation)
        books = self.state.books[ask.division]
        if ask.request.method != "GET":
            return self._write(ask, books, match.group("key"), now)
        if entity is tables.SYNC_TIMESTAMP:
            return self._sync_timestamp(ask, books)
        return self._read(ask, entity, _source(entity, books, now), match.group("key"), navigation)

    # --- reading -----------------------------------------------------------------------------------------------

    def _divisions(self, _key: Any, _wanted: Filter | None) -> Iterable[Row]:
        return [books.about for number, books in self.state.books.items() if number in self.state.scope]

    def _read(self, ask: Ask, entity: EntityType, source: _Rows, key: str | None, navigation: str) -> Response:
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

    def _list(self, ask: Ask, entity: EntityType, source: _Rows) -> Response:
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
        if entity.kind in {"sync", "bulk"} and entity is not tables.DELETED and selects_all:
            raise QueryError("Please add a $select statement to the query string.")
        used = query.wanted.properties if query.wanted is not None else frozenset[str]()
        if entity.kind == "sync":
            allowed = {"Timestamp", "EntityType"} if entity is tables.DELETED else {"Timestamp"}  # [Pi, sync-demo]
            if not used <= allowed:
                raise QueryError(
                    f"Filtering on '{min(used - allowed)}' is not supported; only Timestamp can be filtered."
                )
        has_twin = entity is tables.ACCOUNTS and self.state.mandatory_filter  # [KB-limits]
        if has_twin and not any(entity.properties[name].filterable for name in used):
            raise QueryError("A $filter on at least one of the filterable properties is mandatory for this endpoint.")

    def _expansions(self, ask: Ask, entity: EntityType, query: Query) -> dict[str, Expansion]:
        if "BankAccounts" not in query.expand or ask.division is None:
            return {name: lambda _row: {"results": []} for name in query.expand}
        for name in query.nested.get("BankAccounts", ()):
            if name not in tables.BANK_ACCOUNTS.properties:
                raise QueryError(
                    f"$select: No property '{name}' exists in type '{tables.BANK_ACCOUNTS.clr}' at position 0."
                )
        banks = self.state.books[ask.division].banks
        show = renderer(tables.BANK_ACCOUNTS, query.nested.get("BankAccounts"), ask.root, {})
        size = tables.BANK_ACCOUNTS.page

        def expand(row: Mapping[str, Any]) -> dict[str, Any]:
            found = banks.get(row["ID"], [])
            shown: dict[str, Any] = {"results": [show(bank) for bank in found[:size]]}
            if len(found) > size:  # cut, with its own nested link [picqer #546]
                where = f"{ask.root}/{entity.path}(guid'{row['ID']}')/BankAccounts"
                shown["__next"] = f"{where}?$skiptoken=guid'{found[size - 1]['ID']}'"
            return shown

        return {"BankAccounts": expand}

    def _navigate(self, ask: Ask, entity: EntityType, row: Mapping[str, Any], navigation: str) -> Response:
        found = entity.properties.get(navigation)
        if found is None or not found.is_collection or ask.division is None:
            return _not_found(navigation)
        rows = self.state.books[ask.division].banks.get(row.get("ID", ""), [])

        def source(key: Any, _wanted: Filter | None) -> Iterable[Row]:
            return [bank for bank in sorted(rows, key=lambda bank: bank["ID"]) if key is None or bank["ID"] > key]

        return self._list(replace(ask, path=f"{ask.path}/{navigation}"), tables.BANK_ACCOUNTS, _Rows(source))

    def _sync_timestamp(self, ask: Ask, books: Books) -> Response:
        """The row version to start a sync with at a date. [Pi, picqer #689; casing of `endPoint` unverified]"""
        given = {name.casefold(): value for name, value in parse_qsl(ask.query)}
        match = re.fullmatch(r"datetime'([^']*)'", given.get("modified", ""))
        moment = parse_datetime(match.group(1)) if match else None
        if moment is None:
            raise QueryError("The parameter modified must be a datetime literal.")
        before = [row["Timestamp"] for row in books.rows.values() if row["Modified"] < moment]
        row: Row = {
            "Modified": moment,
            "API": given.get("endpoint", "").strip("'"),
            "TimeStampAsBigInt": max(before, default=1),
        }
        show = renderer(tables.SYNC_TIMESTAMP, None, ask.root, {})
        return _json(200, {"d": {"results": [show(row)]}})

    # --- writing -----------------------------------------------------------------------------------------------

    def _write(self, ask: Ask, books: Books, key: str | None, now: float) -> Response:
        method, entity = ask.request.method, tables.ACCOUNTS
        row = None if key is None else _by_key(entity, _Rows(books.by_id), key)
        if (method == "POST") != (row is None):
            return _error(405, f"{method} not supported")
        if row is not None and method == "DELETE":
            self._refuse_if_told(row)
            books.remove(row["ID"], who=self.state.staff[0], at=now)
            self._log(method, books, row["ID"], {}, now)
            return Response(204)
        _acceptable(ask)  # before anything has an effect
        body = _body(ask.request, ask.headers)
        values = accept(entity, body, creating=row is None, rules=self.state.rules)
        self._refuse_if_told({**(row or {}), **values})
        self._refuse_double(books, values, row)
        values = {name: value for name, value in values.items() if name not in self.state.silent_drop}
        wants_body = "return=representation" in ask.headers.get("prefer", "")
        query = read_query(entity, "")
        if row is not None:
            changed = books.change(row["ID"], values, who=self.state.staff[0], at=now)
            self._log(method, books, row["ID"], body, now)
            # With Prefer a 200 and the record; which status Exact sends is unverified.
            return self._one(ask, entity, changed, query, 200) if wants_body else Response(204)
        number = (values.get("ChamberOfCommerce") or "").strip()
        existed = bool(number) and bool(books.with_value("ChamberOfCommerce", number))
        made = books.add(values, who=self.state.staff[0], at=now)
        self._log(method, books, made["ID"], body, now)
        if number:
            self.state.created.append(Made(books.number, number, made["ID"], existed))
        answer = self._one(ask, entity, made, query, 201)
        where = f"{ask.root}/{entity.path}(guid'{made['ID']}')"
        return Response(201, {**answer.headers, "location": where}, answer.body)

    def _refuse_if_told(self, row: Mapping[str, Any]) -> None:
        for name in ("ChamberOfCommerce", "Name"):
            message = self.state.refuse.get(str(row.get(name) or ""))
            if message is not None:
                raise Refused(500, message)

    def _refuse_double(self, books: Books, values: Mapping[str, Any], row: Mapping[str, Any] | None) -> None:
        own = set[str]() if row is None else {row["ID"]}
        if values.get("ID") in books.rows or (values.get("Code") and books.with_value("Code", values["Code"]) - own):
            raise Refused(500, "Gegeven bestaat reeds.")

    def _log(self, method: str, books: Books, id_: str, fields: Mapping[str, Json], now: float) -> None:
        self.state.writes.append(
            {"method": method, "division": books.number, "id": id_, "fields": dict(fields), "at": now}
        )


def _entity(path: str) -> EntityType | None:
    """The entity set of a path: the service in any case (unverified), the set exactly as it is spelled."""
    service, _, name = path.rpartition("/")
    for entity in tables.SERVED:
        if entity.name == name and entity.service.casefold() == service.casefold() and entity is not tables.ME:
            return entity
    return None


def _source(entity: EntityType, books: Books, now: float) -> _Rows:
    sources: dict[str, Callable[[Any, Filter | None], Iterable[Mapping[str, Any]]]] = {
        tables.ACCOUNTS.path: books.by_id,
        tables.BULK_ACCOUNTS.path: books.by_id,
        tables.SYNC_ACCOUNTS.path: books.by_timestamp,
        tables.DELETED.path: books.gone(now),
        tables.ADDRESSES.path: books.addresses,
        tables.BANK_ACCOUNTS.path: books.bank_accounts,
    }
    return _Rows(sources[entity.path])


def _by_key(entity: EntityType, source: _Rows, key: str) -> Row:
    """The record of a key predicate. Raises QueryError for a wrong literal and Refused (404) when there is none."""
    type_ = entity.properties[entity.key].type
    inner = key[5:-1] if key.startswith("guid'") and key.endswith("'") else key.rstrip("Ll")
    if (type_ == "Guid" and not (is_guid(inner) and key != inner)) or (
        type_ != "Guid" and re.fullmatch(r"\d{1,19}", inner) is None
    ):
        raise QueryError(f"Bad Request - Error in query syntax: '{key}'.")
    value = inner.lower() if type_ == "Guid" else int(inner)
    wanted = Filter(lambda row: row.get(entity.key) == value, frozenset({entity.key}), frozenset({(entity.key, value)}))
    for row in matching(source, None, wanted):
        return dict(row)
    raise Refused(404, f"Resource not found for the segment '{entity.name}'.")


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
