"""The imitated KVKBase: a commercial wrapper of the trade register, paid in tokens, answering from a made-up world. [§9]

    GET /v1/lookup/{kvk}[?enrich=true]   GET /v1/search?q=&pageSize=&page=   GET /v1/autocomplete?q=&limit=
    GET /v1/validate/vat/{vat}           GET /v1/branches/{kvk}              POST /v1/batch {"kvkNumbers", "enrich"?}
    GET /v1/health (no key, free)

It shares no code with the client. Sources beside the fact sheet: [docs] the vendor's public pages (errors, headers, prices);
[third-party client] what one that is in use expects. They differ in the codes for quota and rate; `settings` chooses.
Shapes of branches and batch, and all not named there, are unverified. Only an answer with 200 costs tokens (unverified).
People act through `control`:

    tokens {"balance"}   edit {"kvk", "set": {…}}   end {"kvk", "on"?}   insolvent {"kvk", "type"?}   forget {"kvk", "lift"?}
    invalidate {"vat"}   validate {"vat"}   settings {…}   companies {}   calls {}
"""

from __future__ import annotations

import datetime as dt
import re
from collections import deque
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from koppel.model.values import Json
from koppel.systems.kvkbase import sandbox_company as company_of
from koppel.systems.sandbox_spi import Sandbox, SeedCompany, World
from koppel.systems.spi import Request, Response

APIKEY = "kvk_test_sandbox"  # made up; keys begin with kvk_live_ or kvk_test_ [docs]
PRICES = {"lookup": 1, "enriched": 5, "search": 1, "autocomplete": 1, "vat": 1, "branches": 5}  # tokens [docs]
BATCH_SIZE = 100  # unverified
_CALLS_KEPT = 1000

# code -> status [docs]
_STATUS = {
    "NOT_FOUND": 404,
    "INVALID_KVK_NUMBER": 400,
    "INVALID_VAT_NUMBER": 400,
    "INVALID_REQUEST": 400,
    "UNAUTHORIZED": 401,
    "RATE_LIMITED": 429,
    "INSUFFICIENT_TOKENS": 402,
    "RATE_LIMIT_EXCEEDED": 429,
    "QUOTA_EXCEEDED": 429,
    "UPSTREAM_ERROR": 502,
    "INTERNAL_ERROR": 500,
    "METHOD_NOT_ALLOWED": 405,  # unverified
}
# the codes a client in use has met -> those of the vendor's pages
_DOCUMENTED = {"RATE_LIMITED": "RATE_LIMIT_EXCEEDED", "INSUFFICIENT_TOKENS": "QUOTA_EXCEEDED"}

_SETTABLE = frozenset({
    "name", "statutory_name", "street", "number", "letter", "addition", "postcode", "city", "country", "po_box", "shape",
    "kind", "sbi", "employees", "started_on",
})  # fmt: skip


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Switches.

    `rate_limit`: calls a clock minute (the vendor's depends on the plan), None for no limit. `allowance`: tokens a calendar
    month. `codes`: observed is INSUFFICIENT_TOKENS with 402 and RATE_LIMITED; documented is QUOTA_EXCEEDED and
    RATE_LIMIT_EXCEEDED, both with 429. `failing`: so many calls get a 502 first. `vies`: down makes a VAT check a 502 and
    leaves an enriched lookup's verdict open. `null_active`: whether `isActive` is null for some companies.
    """

    rate_limit: int | None = 600
    allowance: int = 100_000
    codes: Literal["observed", "documented"] = "observed"
    failing: int = 0
    vies: Literal["up", "down"] = "up"
    null_active: bool = True


class _RefusalError(Exception):
    """An answer that is not the document asked for."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class KvkbaseSandbox:
    """The wrapper's view of one world, and one customer's account."""

    name = "kvkbase"
    base_path = "/kvkbase"

    def __init__(self, world: World) -> None:
        self._now = world.now
        self._settings = Settings()
        self._companies = {company.kvk: company for company in world.companies}
        self._forgotten: set[str] = set()
        self._insolvencies: dict[str, dict[str, Json]] = {}
        members = company_of.fiscal_unit_members(world.companies)
        self._vat: dict[str, str] = {
            company.vat: company.kvk
            for company in world.companies
            if company.vat and company.ended_on is None and company.kvk not in members
        }
        self._month = self._this_month()
        self._balance = self._settings.allowance
        self._minute = (0, 0)
        self._calls: deque[dict[str, Json]] = deque(maxlen=_CALLS_KEPT)

    # --- answering ---

    def handle(self, path: str, request: Request) -> Response:
        """Answer one request."""
        parts = path.strip("/").split("/")
        if parts == ["v1", "health"]:
            return _json(200, self._health())
        self._turn_month()
        code, price = "", 0
        try:
            self._admit(request)
            body, price = self._answer(parts, request)
            self._balance -= price
        except _RefusalError as refusal:
            code = _DOCUMENTED.get(refusal.code, refusal.code) if self._documented else refusal.code
            price = 0
            body = {"error": {"code": code, "message": refusal.message}}
        status = _STATUS[code] if code else 200
        self._calls.append({"at": self._instant(), "method": request.method.upper(), "path": path, "status": status, "code": code, "tokens": price})  # fmt: skip
        return _json(status, body, self._headers(code))

    @property
    def _documented(self) -> bool:
        return self._settings.codes == "documented"

    def _admit(self, request: Request) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        bearer = headers.get("authorization", "")
        query = dict(parse_qsl(urlsplit(request.url).query))
        key = bearer[7:].strip() if bearer[:7].lower() == "bearer " else query.get("apikey")
        if key != APIKEY:
            raise _RefusalError("UNAUTHORIZED", "Missing or invalid API key")
        if self._settings.rate_limit is not None:
            minute = int(self._now() // 60)
            count = self._minute[1] + 1 if self._minute[0] == minute else 1
            self._minute = (minute, count)
            if count > self._settings.rate_limit:
                raise _RefusalError("RATE_LIMITED", "Too many requests in the current minute")
        if self._settings.failing:
            self._settings = msgspec.structs.replace(self._settings, failing=self._settings.failing - 1)
            raise _RefusalError("UPSTREAM_ERROR", "An upstream service is temporarily unavailable")

    def _answer(self, parts: list[str], request: Request) -> tuple[Json, int]:
        query = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
        method = request.method.upper()
        match parts:
            case ["v1", "batch"]:
                _only_method(method, "POST")
                return self._batch(request)
            case ["v1", "lookup", kvk]:
                _only_method(method, "GET")
                enrich = _flag(query, "enrich")
                return self._enough(_price(enrich=enrich), lambda: self._lookup(kvk, enrich=enrich))
            case ["v1", "branches", kvk]:
                _only_method(method, "GET")
                return self._enough(PRICES["branches"], lambda: company_of.branch_list(self._company(kvk)))
            case ["v1", "search"]:
                _only_method(method, "GET")
                return self._enough(PRICES["search"], lambda: self._search(query))
            case ["v1", "autocomplete"]:
                _only_method(method, "GET")
                return self._enough(PRICES["autocomplete"], lambda: self._autocomplete(query))
            case ["v1", "validate", "vat", number]:
                _only_method(method, "GET")
                return self._enough(PRICES["vat"], lambda: self._validate_vat(number))
            case _:
                raise _RefusalError("NOT_FOUND", "No such endpoint")

    def _enough(self, price: int, document: Callable[[], Json]) -> tuple[Json, int]:
        """The document and its price, when the account can pay it: asked before anything is looked up."""
        self._check_balance(price)
        return document(), price

    def _lookup(self, kvk: str, *, enrich: bool) -> dict[str, Json]:
        company = self._company(kvk)
        null_active = self._settings.null_active
        if not enrich:
            return company_of.lookup(company, null_active=null_active)
        number = company_of.vat_candidate(company)
        # of a sole trader there is no number to ask about: no block at all (unverified)
        vat = company_of.vat(number, self._verdict(number)) if number else None
        return company_of.enriched(company, vat, self._insolvencies.get(company.kvk), null_active=null_active)

    def _company(self, kvk: str) -> SeedCompany:
        if not re.fullmatch(r"[0-9]{8}", kvk):
            raise _RefusalError("INVALID_KVK_NUMBER", "KVK numbers must be exactly 8 digits")
        if kvk not in self._companies or kvk in self._forgotten:
            raise _RefusalError("NOT_FOUND", f"Company not found for KVK number {kvk}")
        return self._companies[kvk]

    def _verdict(self, number: str) -> company_of.Verdict:
        if self._settings.vies == "down":  # "unavailable" is no "invalid", though `valid` is false
            return company_of.Verdict(False, "unavailable", None)
        valid = number in self._vat
        return company_of.Verdict(valid, "valid" if valid else "invalid", self._instant())

    def _validate_vat(self, number: str) -> dict[str, Json]:
        compact = re.sub(r"[\s.\-]", "", number).upper()
        pattern = r"NL[0-9]{9}B[0-9]{2}" if compact.startswith("NL") else r"[A-Z]{2}[0-9A-Z+*]{2,12}"
        if not re.fullmatch(pattern, compact):
            raise _RefusalError("INVALID_VAT_NUMBER", "Dutch VAT numbers are NL, 9 digits, B and 2 digits")
        if self._settings.vies == "down":
            raise _RefusalError("UPSTREAM_ERROR", "VIES is temporarily unavailable")
        verdict = self._verdict(compact)
        company = self._companies.get(self._vat.get(compact, "")) if verdict.valid else None
        told = company_of.address(company) if company else {}
        lines = [" ".join(str(told[part]) for part in pair if told.get(part)) for pair in (("street", "houseNumber"), ("postalCode", "city"))]  # fmt: skip
        return {
            "vatNumber": compact,
            "valid": verdict.valid,
            "name": company_of.display_name(company) if company else None,
            "address": "\n".join(filter(None, lines)) or None,
            "status": verdict.status,
            "checksumValid": company_of.checksum_valid(compact),
            "validatedAt": verdict.validated_at,
        }

    def _search(self, query: dict[str, str]) -> dict[str, Json]:
        size, page = _whole(query, "pageSize", 10, 100), _whole(query, "page", 1, 1000)  # `page` is unverified
        found = [
            company_of.hit(company, branch, null_active=self._settings.null_active)
            for company in self._found(query, beginnings=False)
            for branch in company_of.branches(company) or (None,)
        ]
        if not found:  # a search without results is said to be a NOT_FOUND [docs]
            raise _RefusalError("NOT_FOUND", "No results found")
        start = (page - 1) * size
        return {"results": found[start : start + size], "total": len(found), "page": page, "pageSize": size}

    def _autocomplete(self, query: dict[str, str]) -> dict[str, Json]:
        limit = _whole(query, "limit", 10, 50)
        found = [
            {
                "kvkNumber": company.kvk,
                "name": company_of.display_name(company),
                "city": company_of.address(company)["city"],
            }
            for company in self._found(query, beginnings=True)
        ]
        return {"results": found[:limit]}

    def _found(self, query: dict[str, str], *, beginnings: bool) -> list[SeedCompany]:
        asked = query.get("q", "").strip()
        if len(asked) < 2:
            raise _RefusalError("INVALID_REQUEST", "q must have at least 2 characters")
        return [
            company
            for company in self._companies.values()
            if company.kvk not in self._forgotten and company_of.fits(company, asked, beginnings=beginnings)
        ]

    def _batch(self, request: Request) -> tuple[Json, int]:
        """Many lookups in one call, each told on its own; those found are paid (unverified)."""
        try:
            asked = msgspec.json.decode(request.body, type=_Batch)
        except ValueError as error:  # no JSON, another shape, or no text at all
            raise _RefusalError("INVALID_REQUEST", "kvkNumbers must be an array of KVK numbers") from error
        if not 1 <= len(asked.kvkNumbers) <= BATCH_SIZE:
            raise _RefusalError("INVALID_REQUEST", f"kvkNumbers must hold 1 to {BATCH_SIZE} numbers")
        each = _price(enrich=asked.enrich)
        self._check_balance(each * len(asked.kvkNumbers))
        results: list[dict[str, Json]] = []
        price = 0
        for kvk in asked.kvkNumbers:
            try:
                results.append({"kvkNumber": kvk, "data": self._lookup(kvk, enrich=asked.enrich)})
                price += each
            except _RefusalError as refusal:
                results.append({"kvkNumber": kvk, "error": {"code": refusal.code, "message": refusal.message}})
        return {"results": results}, price

    def _health(self) -> dict[str, Json]:
        vies = self._settings.vies
        return {
            "status": "ok" if vies == "up" else "degraded",
            "services": {"kvk": "up", "vies": vies},
            "timestamp": self._instant(),
        }

    # --- the account ---

    def _turn_month(self) -> None:
        if self._this_month() != self._month:  # a new month's allowance; what is left does not carry over (unverified)
            self._month, self._balance = self._this_month(), self._settings.allowance

    def _check_balance(self, price: int) -> None:
        if price > self._balance:
            raise _RefusalError("INSUFFICIENT_TOKENS", "Monthly token allowance exhausted")

    def _headers(self, code: str) -> dict[str, str]:
        """What every answer says of rate and tokens [docs]; Retry-After with a 429."""
        headers = {"x-tokens-remaining": str(self._balance)}
        if self._settings.rate_limit is not None:
            left = max(0, self._settings.rate_limit - self._minute[1])
            headers |= {"x-ratelimit-limit": str(self._settings.rate_limit), "x-ratelimit-remaining": str(left)}
        if code in {"RATE_LIMITED", "RATE_LIMIT_EXCEEDED"}:
            headers["retry-after"] = str(60 - int(self._now()) % 60)
        return headers

    def _instant(self) -> str:
        return dt.datetime.fromtimestamp(self._now(), dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _this_month(self) -> tuple[int, int]:
        today = dt.datetime.fromtimestamp(self._now(), dt.UTC)
        return today.year, today.month

    # --- what people and clerks do ---

    def control(self, action: str, body: dict[str, Json]) -> dict[str, Json]:
        """Do something to the account or the register behind it. Raises ValueError for an unknown action or bad body."""
        match action:
            case "tokens":
                return self._set_balance(body)
            case "edit":
                changes = msgspec.convert(body.get("set"), dict[str, Any])
                return self._edit(self._named(body, "set"), changes)
            case "end":
                return self._end(self._named(body, "on"), body)
            case "insolvent":
                kvk = self._named(body, "type").kvk
                kind = msgspec.convert(body.get("type", "faillissement"), str)
                self._insolvencies[kvk] = {"type": kind, "since": self._instant()[:10]}  # shape unverified
                return {"kvk": kvk, "insolvency": self._insolvencies[kvk]}
            case "forget":
                kvk = self._named(body, "lift").kvk
                (self._forgotten.discard if body.get("lift") else self._forgotten.add)(kvk)
                return {"kvk": kvk, "forgotten": kvk in self._forgotten}
            case "invalidate":
                vat = _vat(body)
                self._vat.pop(vat, None)
                return {"vat": vat, "valid": False}
            case "validate":
                vat = _vat(body)
                owner = (c.kvk for c in self._companies.values() if vat in {c.vat, company_of.vat_candidate(c)})
                self._vat[vat] = next(owner, "")
                return {"vat": vat, "valid": True}
            case "settings":
                return self._set(body)
            case "companies":
                _only(body)
                return {"companies": msgspec.to_builtins(list(self._companies.values()))}
            case "calls":
                _only(body)
                self._turn_month()
                return {"calls": list(self._calls), "balance": self._balance}
            case _:
                raise ValueError(f"the KVKBase sandbox knows no action {action!r}")

    def _named(self, body: dict[str, Json], *others: str) -> SeedCompany:
        _only(body, "kvk", *others)
        kvk = body.get("kvk")
        if not isinstance(kvk, str) or kvk not in self._companies:
            raise ValueError(f"no company has the KVK number {kvk!r}")
        return self._companies[kvk]

    def _set_balance(self, body: dict[str, Json]) -> dict[str, Json]:
        _only(body, "balance")
        balance = body.get("balance")
        if not isinstance(balance, int) or isinstance(balance, bool) or balance < 0:
            raise ValueError("`balance` must be a whole number, 0 or more")
        self._month, self._balance = self._this_month(), balance
        return {"balance": balance}

    def _edit(self, before: SeedCompany, changes: dict[str, Json]) -> dict[str, Json]:
        unknown = sorted(set(changes) - _SETTABLE)
        if unknown:
            raise ValueError(f"cannot set {', '.join(unknown)}; there are {', '.join(sorted(_SETTABLE))}")
        after = _company(msgspec.to_builtins(before) | changes)
        self._companies[after.kvk] = after
        return {"kvk": after.kvk, "changed": [name for name in changes if getattr(before, name) != getattr(after, name)]}  # fmt: skip

    def _end(self, before: SeedCompany, body: dict[str, Json]) -> dict[str, Json]:
        day = body.get("on", self._instant()[:10])
        if not isinstance(day, str):
            raise ValueError("`on` must be a date, YYYY-MM-DD")  # noqa: TRY004 -- the door's one kind of refusal
        shape = "ended" if before.shape == "plain" else before.shape
        after = _company(msgspec.to_builtins(before) | {"ended_on": day, "shape": shape})
        self._companies[after.kvk] = after
        return {"kvk": after.kvk, "ended_on": after.ended_on}

    def _set(self, body: dict[str, Json]) -> dict[str, Json]:
        settings = msgspec.convert(msgspec.to_builtins(self._settings) | body, Settings)
        if "allowance" in body:  # a new plan begins with a full account
            self._month, self._balance = self._this_month(), settings.allowance
        self._settings = settings
        return msgspec.to_builtins(settings)

    # --- for the host ---

    def contract(self, base_url: str) -> dict[str, Json]:
        """Where it is served and the key it takes."""
        return {"base_url": base_url, "apikey": APIKEY}

    def snapshot(self) -> Json:
        """What it knows of companies and numbers; tokens and settings are no business state."""
        return {
            "companies": msgspec.to_builtins(self._companies),
            "forgotten": sorted(self._forgotten),
            "insolvencies": dict(sorted(self._insolvencies.items())),
            "vat": dict(sorted(self._vat.items())),
        }


def make(world: World) -> Sandbox:
    """KVKBase over that world."""
    return KvkbaseSandbox(world)


class _Batch(msgspec.Struct, frozen=True):
    """What a batch asks for."""

    kvkNumbers: list[str]
    enrich: bool = False


def _price(*, enrich: bool) -> int:
    return PRICES["enriched" if enrich else "lookup"]


def _company(values: dict[str, Json]) -> SeedCompany:
    """A company from plain values. Raises ValueError for what no register could hold."""
    company = msgspec.convert(values, SeedCompany)
    for day in filter(None, (company.started_on, company.ended_on)):
        dt.date.fromisoformat(day)
    if company.kind not in company_of.KINDS or company.shape not in company_of.SHAPES:
        raise ValueError(f"no company is {company.kind} and {company.shape}")
    return company


def _vat(body: dict[str, Json]) -> str:
    _only(body, "vat")
    vat = body.get("vat")
    if not isinstance(vat, str) or not re.fullmatch(r"NL[0-9]{9}B[0-9]{2}|(?!NL)[A-Z]{2}[0-9A-Z+*]{2,12}", vat):
        raise ValueError("`vat` must be a VAT number with its country, as text")
    return vat


def _only(body: dict[str, Json], *names: str) -> None:
    unknown = sorted(set(body) - set(names))
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}")


def _only_method(method: str, allowed: str) -> None:
    if method != allowed:
        raise _RefusalError("METHOD_NOT_ALLOWED", f"Use {allowed}")


def _flag(query: dict[str, str], name: str) -> bool:
    value = query.get(name, "false").lower()
    if value not in {"true", "false"}:
        raise _RefusalError("INVALID_REQUEST", f"{name} must be true or false")
    return value == "true"


def _whole(query: dict[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= most:
        raise _RefusalError("INVALID_REQUEST", f"{name} must be a whole number from 1 to {most}")
    return int(text)


def _json(status: int, body: Json, headers: dict[str, str] | None = None) -> Response:
    return Response(status, {"content-type": "application/json"} | (headers or {}), msgspec.json.encode(body))
