"""An imitation of Exact Online's REST API: sign-in, divisions, accounts, their sync and bulk twins, limits and refusals.

Written from the vendor's documentation and recorded answers, without any code of the client it tests. What the sources
do not tell is marked `unverified`; where it matters a setting chooses (`control("settings", …)`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from koppel.model.values import Json
from koppel.systems.exact import sandbox_seed as seed
from koppel.systems.exact import sandbox_tables as tables
from koppel.systems.exact.sandbox_books import Books, Row, essence
from koppel.systems.exact.sandbox_filter import Filter, QueryError, is_guid, parse_datetime
from koppel.systems.exact.sandbox_limits import Limits
from koppel.systems.exact.sandbox_oauth import SignIn
from koppel.systems.exact.sandbox_query import Listing, Query, matching, next_url, read_query, run
from koppel.systems.exact.sandbox_render import Expansion, atom_entry, atom_feed, iso, metadata, renderer
from koppel.systems.exact.sandbox_rules import Refused, Rules, accept, convert, pad, wall
from koppel.systems.exact.sandbox_tables import EntityType
from koppel.systems.sandbox_spi import Sandbox, World
from koppel.systems.spi import Request, Response

DIVISIONS = ((123456, "Voorbeeld Handel B.V."), (123457, "Voorbeeld Diensten B.V."))
CLIENT_ID = "5f2c9a34-8d11-4c55-9e77-2b6f0d3a1e90"
CLIENT_SECRET = "sandbox-Q7rT"  # noqa: S105  a made-up secret of a made-up vendor
REDIRECT_URI = "https://app.example/callback"
LONGEST_URL = 6000  # [audit §2]
LARGEST_BODY = 10 * 1024 * 1024  # [KB-limits]
_RESOURCE = re.compile(r"(?P<set>[\w$]+)(?:\((?P<key>[^)]*)\))?")
_SCOPE_MESSAGE = "Forbidden - User division is not within division scope."


def make(world: World) -> Sandbox:
    """The imitation, seeded from the world."""
    return ExactSandbox(world)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Adapts a function to the source a query runs over."""

    rows: Callable[[Any, Filter | None], Iterable[Mapping[str, Any]]]

    def after(self, key: Any, wanted: Filter | None) -> Iterable[Mapping[str, Any]]:
        return self.rows(key, wanted)


@dataclass(frozen=True, slots=True)
class _Ask:
    """One request, taken apart."""

    request: Request
    headers: Mapping[str, str]
    root: str  # …/api/v1 or …/api/v1/{division}, as the client called it
    path: str  # after the root
    query: str
    wants_json: bool
    division: int | None = None


class ExactSandbox:
    """State and routing; see `Sandbox`."""

    name = "exact"
    base_path = "/exact"

    def __init__(self, world: World) -> None:
        self.now = world.now
        now = world.now()
        self.staff = seed.people(world.seed)
        self.books: dict[int, Books] = {
            number: seed.books(world.seed, number, title, now) for number, title in DIVISIONS
        }
        first, second = self.books.values()
        first.about["Current"] = True
        seed.fill(first, world.companies, self.staff, now)
        seed.fill_handful(second, self.staff, now)
        self.sign_in = SignIn(world.seed, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI)
        _, self.seed_refresh = self.sign_in.new_pair(now - 3600.0)
        self.limits = Limits()
        self.rules = Rules()
        self.scope = set(self.books)
        self.mandatory_filter = True
        self.html_401 = False
        self.silent_drop: frozenset[str] = frozenset()
        self.refuse: dict[str, str] = {}
        self.writes: list[dict[str, Json]] = []
        self.refusals = 0
        self.created: list[tuple[int, str, str, bool]] = []  # division, number, id, whether it existed before

    # --- the wire ----------------------------------------------------------------------------------------------

    def handle(self, path: str, request: Request) -> Response:
        """Answer one request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        address, _, query = request.url.partition("?")
        path = unquote(path.partition("?")[0])
        now = self.now()
        if len(request.url) > LONGEST_URL:  # 404 or 414 (unverified)
            return Response(414)
        if path == "/api/oauth2/auth" and request.method == "GET":
            return self.sign_in.authorise(query, now)
        if path == "/api/oauth2/token" and request.method == "POST":
            return self.sign_in.token(request, headers, now)
        match = re.fullmatch(r"/api/v1/(?:(\d+)/)?(.+?)/?", path)
        if match is None:
            return Response(404, {"content-type": "text/plain"}, b"Not found")
        if not self.sign_in.admits(headers.get("authorization", ""), now):
            return self._unauthorised(match.group(1), match.group(2), now)
        root = address[: address.index("/api/v1")] + "/api/v1" if "/api/v1" in address else "/api/v1"
        ask = _Ask(request, headers, root, match.group(2), query, "application/json" in headers.get("accept", ""))
        if match.group(1) is None:
            return self._me(ask)
        division = int(match.group(1))
        endpoint = re.sub(r"\(.*", "", match.group(2)).casefold()
        refused = self.limits.admit(division, endpoint, now)
        if refused is not None:
            return refused
        response = self._answer(replace(ask, root=f"{root}/{division}", division=division), now)
        self.limits.note(division, endpoint, response.status, now)
        return Response(response.status, {**self.limits.headers(division, now), **response.headers}, response.body)

    def _unauthorised(self, division: str | None, path: str, now: float) -> Response:
        """401 as plain text, or sometimes as a page that points to the login. [picqer #343]"""
        if division is not None:
            self.limits.note(int(division), re.sub(r"\(.*", "", path).casefold(), 401, now)
        if self.html_401:
            body = (
                "<html><head><title>Object moved</title></head><body><h2>Object moved to "
                '<a href="/docs/Login.aspx?ReturnUrl=%2fapi%2fv1">here</a>.</h2></body></html>'
            )
            return Response(401, {"content-type": "text/html; charset=utf-8"}, body.encode())
        return Response(401, {"content-type": "text/plain"}, b"Unauthorized")

    def _me(self, ask: _Ask) -> Response:
        """`current/Me`: not counted and without rate headers. [KB-limits]"""
        if ask.path != tables.ME.path:
            return _error(404, "Resource not found for the segment.")
        if ask.request.method != "GET":
            return _error(405, f"{ask.request.method} not supported")
        user = self.staff[0]
        row: Row = {
            "UserID": user.id,
            "FullName": user.name,
            "UserName": "koppeling",
            "Email": "koppeling@voorbeeld.example",
            "CurrentDivision": next(iter(self.books)),
            "DivisionCustomer": next(iter(self.books.values())).about["Customer"],
            "Language": "NL-NL",
            "LanguageCode": "nl-NL",
            "Legislation": 1,
            "ServerTime": iso(wall(self.now())),
        }
        return self._guarded(lambda: self._list(ask, tables.ME, _Rows(lambda _key, _wanted: (row,))))

    def _guarded(self, answer: Callable[[], Response]) -> Response:
        try:
            return answer()
        except QueryError as wrong:
            return _error(400, str(wrong))
        except Refused as refused:
            self.refusals += refused.status == 500
            return _error(refused.status, refused.message)

    def _answer(self, ask: _Ask, now: float) -> Response:
        return self._guarded(lambda: self._route(ask, now))

    def _route(self, ask: _Ask, now: float) -> Response:
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
        is_division = entity in {tables.SYSTEM_DIVISIONS, tables.HRM_DIVISIONS, tables.ALL_DIVISIONS}
        if ask.division not in self.scope and not is_division:  # the list's own division is not checked [picqer #470]
            return _error(403, _SCOPE_MESSAGE, {"reason": "NoDivisionAccess"})
        if ask.request.method not in entity.methods:  # status unverified
            return _error(405, f"{ask.request.method} not supported")
        if is_division or ask.division is None:
            return self._read(ask, entity, _Rows(self._divisions), match.group("key"), navigation)
        books = self.books[ask.division]
        if ask.request.method != "GET":
            return self._write(ask, books, match.group("key"), now)
        if entity is tables.SYNC_TIMESTAMP:
            return self._sync_timestamp(ask, books)
        return self._read(ask, entity, _source(entity, books, now), match.group("key"), navigation)

    # --- reading -----------------------------------------------------------------------------------------------

    def _divisions(self, _key: Any, _wanted: Filter | None) -> Iterable[Row]:
        return [books.about for number, books in self.books.items() if number in self.scope]

    def _read(self, ask: _Ask, entity: EntityType, source: _Rows, key: str | None, navigation: str) -> Response:
        if key is None:
            if navigation == "$count":
                query = read_query(entity, ask.query)
                count = sum(1 for _ in matching(source, None, query.wanted))
                return Response(200, {"content-type": "text/plain"}, str(count).encode())
            return self._list(ask, entity, source)
        row = _by_key(entity, source, key)
        if navigation:
            return self._navigate(ask, entity, row, navigation)
        query = read_query(entity, ask.query)
        return self._one(ask, entity, row, query, 200)

    def _one(self, ask: _Ask, entity: EntityType, row: Mapping[str, Any], query: Query, status: int) -> Response:
        headers = {"dataserviceversion": "2.0;"}
        if not ask.wants_json:
            _acceptable(ask)
            body = atom_entry(entity, query.names, ask.root, row)
            return Response(status, {**headers, "content-type": "application/atom+xml;charset=utf-8"}, body)
        show = renderer(entity, query.names, ask.root, self._expansions(ask, entity, query))
        headers["content-type"] = "application/json;charset=utf-8"
        return Response(status, headers, msgspec.json.encode({"d": show(row)}))

    def _list(self, ask: _Ask, entity: EntityType, source: _Rows) -> Response:
        query = read_query(entity, ask.query)
        self._demand(entity, query)
        listing = run(entity, query, source)
        following = None if listing.token is None else next_url(f"{ask.root}/{ask.path}", query, listing.token)
        headers = {"dataserviceversion": "2.0;"}
        if not ask.wants_json:
            _acceptable(ask)
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
        elif (
            entity is tables.ACCOUNTS
            and self.mandatory_filter
            and not any(entity.properties[name].filterable for name in used)
        ):  # it has a sync twin [KB-limits]
            raise QueryError("A $filter on at least one of the filterable properties is mandatory for this endpoint.")

    def _expansions(self, ask: _Ask, entity: EntityType, query: Query) -> dict[str, Expansion]:
        if "BankAccounts" not in query.expand or ask.division is None:
            return {name: lambda _row: {"results": []} for name in query.expand}
        banks = self.books[ask.division].banks
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

    def _navigate(self, ask: _Ask, entity: EntityType, row: Mapping[str, Any], navigation: str) -> Response:
        found = entity.properties.get(navigation)
        if found is None or not found.is_collection or ask.division is None:
            return _not_found(navigation)
        rows = self.books[ask.division].banks.get(row.get("ID", ""), [])

        def source(key: Any, _wanted: Filter | None) -> Iterable[Row]:
            return [bank for bank in sorted(rows, key=lambda bank: bank["ID"]) if key is None or bank["ID"] > key]

        return self._list(replace(ask, path=f"{ask.path}/{navigation}"), tables.BANK_ACCOUNTS, _Rows(source))

    def _sync_timestamp(self, ask: _Ask, books: Books) -> Response:
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

    def _write(self, ask: _Ask, books: Books, key: str | None, now: float) -> Response:
        method, entity = ask.request.method, tables.ACCOUNTS
        row = None if key is None else _by_key(entity, _Rows(books.by_id), key)
        if (method == "POST") != (row is None):
            return _error(405, f"{method} not supported")
        if row is not None and method == "DELETE":
            self._refuse_if_told(row)
            books.remove(row["ID"], who=self.staff[0], at=now)
            self._log(method, books, row["ID"], {}, now)
            return Response(204)
        body = _body(ask.request, ask.headers)
        values = accept(entity, body, creating=row is None, rules=self.rules)
        self._refuse_if_told({**(row or {}), **values})
        self._refuse_double(books, values, row)
        values = {name: value for name, value in values.items() if name not in self.silent_drop}
        wants_body = "return=representation" in ask.headers.get("prefer", "")
        query = read_query(entity, "")
        if row is not None:
            changed = books.change(row["ID"], values, who=self.staff[0], at=now)
            self._log(method, books, row["ID"], body, now)
            # With Prefer a 200 and the record; which status Exact sends is unverified.
            return self._one(ask, entity, changed, query, 200) if wants_body else Response(204)
        number = (values.get("ChamberOfCommerce") or "").strip()
        existed = bool(number) and bool(books.with_value("ChamberOfCommerce", number))
        made = books.add(values, who=self.staff[0], at=now)
        self._log(method, books, made["ID"], body, now)
        if number:
            self.created.append((books.number, number, made["ID"], existed))
        answer = self._one(ask, entity, made, query, 201)
        where = f"{ask.root}/{entity.path}(guid'{made['ID']}')"
        return Response(201, {**answer.headers, "location": where}, answer.body)

    def _refuse_if_told(self, row: Mapping[str, Any]) -> None:
        for name in ("ChamberOfCommerce", "Name"):
            message = self.refuse.get(str(row.get(name) or ""))
            if message is not None:
                raise Refused(500, message)

    def _refuse_double(self, books: Books, values: Mapping[str, Any], row: Mapping[str, Any] | None) -> None:
        own = set[str]() if row is None else {row["ID"]}
        if values.get("ID") in books.rows or (values.get("Code") and books.with_value("Code", values["Code"]) - own):
            raise Refused(500, "Gegeven bestaat reeds.")

    def _log(self, method: str, books: Books, id_: str, fields: Mapping[str, Json], now: float) -> None:
        self.writes.append({"method": method, "division": books.number, "id": id_, "fields": dict(fields), "at": now})

    # --- a person, the vendor, a test ----------------------------------------------------------------------------

    def control(self, action: str, body: dict[str, Json]) -> dict[str, Json]:
        """Do something a person or the vendor would do. Raises ValueError for an unknown action or a bad body."""
        known: dict[str, Callable[[dict[str, Json]], dict[str, Json]]] = {
            "authorization_code": lambda _: {"code": self.sign_in.new_code(self.now())},
            "refresh_token": self._fresh_pair,
            "edit": self._edit,
            "add": self._add,
            "delete": self._delete,
            "accounts": self._accounts,
            "move_division": self._move,
            "settings": self._settings,
            "writes": lambda _: self._writes(),
            "duplicates": lambda _: self._duplicates(),
        }
        if action not in known:
            raise ValueError(f"the exact sandbox has no action {action!r}; it has {', '.join(sorted(known))}")
        return known[action](body)

    def _fresh_pair(self, body: dict[str, Json]) -> dict[str, Json]:
        """Tokens of a new consent, `age` seconds old: by default old enough to be refreshed and still good."""
        age = float(body.get("age", 570))
        access, refresh = self.sign_in.new_pair(self.now() - age)
        return {"access_token": access, "refresh_token": refresh, "expires_in": max(0, int(600 - age))}

    def _edit(self, body: dict[str, Json]) -> dict[str, Json]:
        books = self._division(body)
        id_ = _chosen(books, body)
        row = books.change(
            id_, _typed(body.get("set")), who=self.staff[1], at=self.now(), stamp=bool(body.get("stamp", True))
        )
        return _plain(row)

    def _add(self, body: dict[str, Json]) -> dict[str, Json]:
        values = _typed(body.get("set"))
        if not values.get("Name"):
            raise ValueError("set must hold a Name")
        return _plain(self._division(body).add(values, who=self.staff[1], at=self.now()))

    def _delete(self, body: dict[str, Json]) -> dict[str, Json]:
        books = self._division(body)
        id_ = _chosen(books, body)
        books.remove(id_, who=self.staff[1], at=self.now())
        return {"id": id_}

    def _accounts(self, body: dict[str, Json]) -> dict[str, Json]:
        books = self._division(body)
        ids = books.with_value("ChamberOfCommerce", body["kvk"]) if "kvk" in body else set(books.rows)
        rows = sorted((books.rows[id_] for id_ in ids), key=lambda row: row["Code"])
        return {"accounts": [_plain(row) for row in rows]}

    def _move(self, body: dict[str, Json]) -> dict[str, Json]:
        """The vendor moves the division to another database, or (`hr`) links it to HR."""
        books = self._division(body)
        books.renumber()
        name = "DivisionHRLinkUnlinkDate" if body.get("hr") else "DivisionMoveDate"
        books.about[name] = wall(self.now())
        return {name: iso(books.about[name])}

    def _settings(self, body: dict[str, Json]) -> dict[str, Json]:
        wanted = msgspec.convert(body, _Settings, strict=True)  # its error is a ValueError
        self.limits.minute_limit = _or(wanted.minute_limit, self.limits.minute_limit)
        self.limits.day_limit = _or(wanted.day_limit, self.limits.day_limit)
        self.limits.error_limit = _or(wanted.error_limit, self.limits.error_limit)
        self.sign_in.day_limit = _or(wanted.token_limit, self.sign_in.day_limit)
        self.html_401 = _or(wanted.html_401, self.html_401)
        self.mandatory_filter = _or(wanted.mandatory_filter, self.mandatory_filter)
        self.silent_drop = _or(wanted.silent_drop, self.silent_drop)
        self.refuse = _or(wanted.refuse, self.refuse)
        self.scope = _or(wanted.scope, self.scope)
        self.rules = Rules(
            read_only=_or(wanted.read_only, self.rules.read_only),
            client_ids=_or(wanted.client_ids, self.rules.client_ids),
            check_vat=_or(wanted.check_vat, self.rules.check_vat),
        )
        return {}

    def _writes(self) -> dict[str, Json]:
        counts = Counter(str(write["method"]) for write in self.writes)
        return {
            "count": len(self.writes),
            "by_method": dict(sorted(counts.items())),
            "refused": self.refusals,
            "writes": list(self.writes),
        }

    def _duplicates(self) -> dict[str, Json]:
        """Numbers the API created more than once; `existing`: created though the division already had them."""
        by_number: dict[tuple[int, str], list[str]] = {}
        for division, number, id_, _ in self.created:
            by_number.setdefault((division, number), []).append(id_)
        found = [
            {"division": division, "kvk": number, "count": len(ids), "ids": ids}
            for (division, number), ids in sorted(by_number.items())
            if len(ids) > 1
        ]
        existing = [
            {"division": division, "kvk": number, "id": id_}
            for division, number, id_, existed in self.created
            if existed
        ]
        return {"count": len(found), "duplicates": found, "existing": existing}

    def _division(self, body: dict[str, Json]) -> Books:
        number = body.get("division", next(iter(self.books)))
        if number not in self.books:
            raise ValueError(f"there is no division {number!r}; there are {', '.join(map(str, self.books))}")
        return self.books[number]

    def contract(self, base_url: str) -> dict[str, Json]:
        """What a client needs to connect."""
        return {
            "base_url": base_url,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uri": REDIRECT_URI,
            "authorization_code": self.sign_in.new_code(self.now()),
            "refresh_token": self.seed_refresh,
            "divisions": sorted(self.scope),
        }

    def snapshot(self) -> Json:
        """Accounts and what was deleted, without the stamps that only say when."""
        return {
            str(number): {
                "accounts": [essence(books.rows[id_]) for id_ in books.ids],
                "deleted": sorted(row["EntityKey"] for row in books.deleted),
            }
            for number, books in sorted(self.books.items())
        }


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    """The switches of `control("settings", …)`; what is left out stays as it is."""

    minute_limit: int | None = None
    day_limit: int | None = None
    error_limit: int | None = None
    token_limit: int | None = None
    html_401: bool | None = None
    mandatory_filter: bool | None = None
    silent_drop: frozenset[str] | None = None
    refuse: dict[str, str] | None = None
    scope: set[int] | None = None
    read_only: str | None = None
    client_ids: str | None = None
    check_vat: bool | None = None


def _or(wanted: Any, current: Any) -> Any:
    return current if wanted is None else wanted


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
    if (type_ == "Guid" and not (is_guid(inner) and key != inner)) or (type_ != "Guid" and not inner.isdecimal()):
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


def _acceptable(ask: _Ask) -> None:
    """Who does not ask for JSON gets Atom; `application/xml` is not accepted. [chef, craft; status unverified]"""
    accept_header = ask.headers.get("accept", "*/*")
    if "atom+xml" not in accept_header and "*/*" not in accept_header:
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
    except msgspec.DecodeError:
        body = None
    if not isinstance(body, dict):  # [KB-faq]
        raise Refused(400, "Error processing request stream. The request should be a valid top-level resource object.")
    return body


def _typed(values: Json) -> Row:
    """What a person fills in: any stored property of an account. Raises ValueError for what does not exist."""
    if not isinstance(values, dict):
        raise ValueError("set must hold properties and values")  # noqa: TRY004  a bad body is a ValueError to the host
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


def _chosen(books: Books, body: Mapping[str, Json]) -> str:
    if "id" in body and body["id"] in books.rows:
        return body["id"]
    found = set[str]()
    if "kvk" in body:
        found = books.with_value("ChamberOfCommerce", body["kvk"])
    elif "code" in body:
        found = books.with_value("Code", pad("Code", str(body["code"])))
    if not found:
        raise ValueError("there is no such account in this division; name it by id, kvk or code")
    return min(found, key=lambda id_: books.rows[id_]["Code"])


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
