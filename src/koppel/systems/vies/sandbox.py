"""The imitated VIES: the Commission's confirmation of VAT numbers over REST, answering from a made-up world.

It shares no code with the client. Three doors, below `/taxation_customs/vies/rest-api` (which may be left off):

    GET  /ms/{country}/vat/{number}[?requesterMemberStateCode=&requesterNumber=]
    POST /check-vat-number, /check-vat-test-service      {"countryCode", "vatNumber", "requesterMemberStateCode"?, "requesterNumber"?}
    GET  /check-status

The two checks speak different dialects: GET says `isValid` and `userError`;
POST says `valid`, and tells an error as `{"actionSucceed": false, "errorWrappers": [{"error"}]}`. Both do so with status 200.
Sources beside the fact sheet [§8]: [vies-get] answers of 2026 kept in public clients of GET; [vies-post] those in public clients
of POST and of the test service. How an error is told can be switched (`settings`). People and member states act through `control`:

    invalidate {"vat"}   validate {"vat", "name"?, "address"?}   outage {"country", "code"?, "seconds"?}   lift {"country"}
    settings {…}   numbers {}   consultations {}   calls {}
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections import Counter, deque
from collections.abc import Iterable
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from koppel.model.values import Json
from koppel.systems.sandbox_spi import Sandbox, SeedCompany, World
from koppel.systems.spi import Request, Response

_PREFIX = "/taxation_customs/vies/rest-api"
_NONE = "---"  # VIES writes dashes for what it does not say
_CALLS_KEPT = 1000

MEMBER_STATES = (
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "EL", "ES", "FI", "FR", "HR", "HU", "IE", "IT", "LT", "LU", "LV", "MT",
    "NL", "PL", "PT", "RO", "SE", "SI", "SK", "XI",
)  # fmt: skip
_REQUESTERS = frozenset({*MEMBER_STATES, "EU"})  # EU: a one-stop-shop number (unverified)

# code -> the status it has when errors are told by status (unverified: the public service is said to answer 200). [§8]
ERRORS: dict[str, int] = {
    "INVALID_INPUT": 400,
    "INVALID_REQUESTER_INFO": 400,
    "SERVICE_UNAVAILABLE": 503,
    "MS_UNAVAILABLE": 503,
    "TIMEOUT": 504,
    "VAT_BLOCKED": 403,
    "IP_BLOCKED": 403,
    "GLOBAL_MAX_CONCURRENT_REQ": 429,
    "GLOBAL_MAX_CONCURRENT_REQ_TIME": 429,
    "MS_MAX_CONCURRENT_REQ": 429,
    "MS_MAX_CONCURRENT_REQ_TIME": 429,
}
# The numbers of the official test service, in its order. [checkVatTestService.wsdl]
_TEST_ERRORS = dict(
    zip(("201", "202", "300", "301", "302", "400", "401", "500", "501", "600", "601"), ERRORS, strict=True)
)
_TEST_VALID, _TEST_INVALID = "100", "200"

_TRADER = ("Name", "Street", "PostalCode", "City", "CompanyType")
_NUMBER = re.compile(r"[0-9A-Za-z+*]{2,12}")
_DUTCH = re.compile(r"[0-9]{9}B[0-9]{2}")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Switches.

    `errors`: how an error is told. observed: as the public service does, GET by `userError`, POST by `errorWrappers`, both with
    200; user_error or wrappers: that one for both; status: `errorWrappers` with 4xx or 5xx. `ms_limit`, `global_limit`: checks a
    second before …MAX_CONCURRENT_REQ (concurrency cannot be imitated one call at a time), None for no limit. `failing`: so
    many checks get `failing_code` first. `blocked`: numbers that get VAT_BLOCKED. `ip_blocked`: every check gets IP_BLOCKED.
    `test_numbers`: whether 100, 200, 201 … mean on every door what they mean on the test service. `details`: whether name
    and address are told; a member state may withhold them.
    """

    errors: Literal["observed", "user_error", "wrappers", "status"] = "observed"
    ms_limit: int | None = None
    global_limit: int | None = None
    failing: int = 0
    failing_code: str = "MS_UNAVAILABLE"
    blocked: tuple[str, ...] = ()
    ip_blocked: bool = False
    test_numbers: bool = True
    details: bool = True


class Entry(msgspec.Struct, frozen=True):
    """What the tax office says of one number."""

    valid: bool
    name: str
    address: str


class _Question(msgspec.Struct, frozen=True):
    """One check: who is asked about, who asks, and at which door."""

    door: Literal["GET", "POST"]
    country: str
    number: str
    original: str
    requester: str | None = None


class _RefusalError(Exception):
    """No verdict: the code that is answered instead."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ViesSandbox:
    """The VAT numbers of one world."""

    name = "vies"
    base_path = "/vies"

    def __init__(self, world: World) -> None:
        self._now = world.now
        self._seed = world.seed
        self._settings = Settings()
        self._outages: dict[str, tuple[str, float | None]] = {}
        self._second = 0
        self._this_second: Counter[str] = Counter()
        self._consultations: list[dict[str, Json]] = []
        self._calls: deque[dict[str, Json]] = deque(maxlen=_CALLS_KEPT)
        members = fiscal_unit_members(world.companies)
        self._register: dict[str, Entry] = {
            company.vat: Entry(_is_taxable(company, members), _name(company), _address(company))
            for company in world.companies
            if company.vat
        }

    # --- answering ---

    def handle(self, path: str, request: Request) -> Response:
        """Answer one request."""
        parts = path.removeprefix(_PREFIX).strip("/").split("/")
        match request.method.upper(), parts:
            case "GET", ["ms", country, "vat", number]:
                return self._get(country, number, request)
            case "POST", ["check-vat-number"]:
                return self._post(request, test_service=False)
            case "POST", ["check-vat-test-service"]:
                return self._post(request, test_service=True)
            case "GET", ["check-status"]:
                return _json(200, self._status())
            case _, ["ms", _, "vat", _] | ["check-vat-number" | "check-vat-test-service" | "check-status"]:
                return _wrapped(405, "VOW-ERR-1")  # body of a wrong method and of a wrong path: unverified
            case _:
                return _wrapped(404, "VOW-ERR-1")

    def _get(self, country: str, number: str, request: Request) -> Response:
        query = dict(parse_qsl(urlsplit(request.url).query))
        # GET takes a number that repeats its country and tells both forms. [vies-get; unverified]
        bare = number[2:] if number[:2] == country else number
        fields = {"countryCode": country, "vatNumber": bare}
        return self._check("GET", query | fields, number, test_service=False)

    def _post(self, request: Request, *, test_service: bool) -> Response:
        try:
            fields = msgspec.json.decode(request.body, type=dict[str, Json])
        except ValueError:  # no JSON, no object, or no text at all
            return _wrapped(500, "VOW-ERR-1")  # as recorded for a malformed request [vies-post]
        if not fields.get("countryCode") or not fields.get("vatNumber"):
            return _wrapped(400, "VOW-ERR-11")  # a mandatory field is missing, as recorded [vies-post]
        return self._check("POST", fields, str(fields["vatNumber"]), test_service=test_service)

    def _check(
        self, door: Literal["GET", "POST"], fields: dict[str, Json], original: str, *, test_service: bool
    ) -> Response:
        given = [str(fields.get(name) or "") for name in ("requesterMemberStateCode", "requesterNumber")]
        if any(given) and not all(given):
            return _wrapped(400, "VOW-ERR-11")  # one of the two, as recorded for POST [vies-post]
        requester = "".join(given) or None
        question = _Question(door, str(fields["countryCode"]), str(fields["vatNumber"]), original, requester)
        try:
            entry, identifier = self._judge(question, given, test_service=test_service)
        except _RefusalError as refusal:
            self._log(question, refusal.code)
            return self._refusal(question, refusal.code)
        self._log(question, "VALID" if entry.valid else "INVALID")
        short = test_service or (self._settings.test_numbers and question.number in {_TEST_VALID, _TEST_INVALID})
        return _json(200, self._verdict(question, entry, identifier, short=short))

    def _judge(self, question: _Question, requester: list[str], *, test_service: bool) -> tuple[Entry, str]:
        if test_service or self._settings.test_numbers:
            tested = _tested(question.number)
            if tested is not None:
                return tested, ""
        if test_service:
            raise _RefusalError("SERVICE_UNAVAILABLE")  # any other number, says the test service (unverified)
        if question.country not in MEMBER_STATES or not _NUMBER.fullmatch(question.number):
            raise _RefusalError("INVALID_INPUT")
        if question.requester is not None and not _may_ask(*requester):
            raise _RefusalError("INVALID_REQUESTER_INFO")
        self._admit(question)
        entry = self._register.get(question.country + question.number.upper(), Entry(False, _NONE, _NONE))
        if not entry.valid or not self._settings.details:
            entry = Entry(entry.valid, _NONE, _NONE)
        # whether an invalid number gets a consultation id, too, is unverified
        return entry, self._consult(question, entry) if question.requester and entry.valid else ""

    def _admit(self, question: _Question) -> None:
        """Refuse what limits and outages forbid, the service before the member state."""
        settings = self._settings
        if settings.ip_blocked:
            raise _RefusalError("IP_BLOCKED")
        if settings.failing:
            self._settings = msgspec.structs.replace(settings, failing=settings.failing - 1)
            raise _RefusalError(settings.failing_code)
        if int(self._now()) != self._second:
            self._second = int(self._now())
            self._this_second.clear()
        self._this_second[""] += 1
        if settings.global_limit is not None and self._this_second[""] > settings.global_limit:
            raise _RefusalError("GLOBAL_MAX_CONCURRENT_REQ")
        for country in ("*", question.country):
            code = self._outage(country)
            if code:
                raise _RefusalError(code)
        self._this_second[question.country] += 1
        if settings.ms_limit is not None and self._this_second[question.country] > settings.ms_limit:
            raise _RefusalError("MS_MAX_CONCURRENT_REQ")
        if question.country + question.number.upper() in settings.blocked:
            raise _RefusalError("VAT_BLOCKED")

    def _outage(self, country: str) -> str | None:
        code, until = self._outages.get(country, ("", None))
        return code if code and (until is None or self._now() < until) else None

    def _consult(self, question: _Question, entry: Entry) -> str:
        """The consultation number: proof for a tax office that somebody asked, and what was answered."""
        turn = f"{self._seed}/{len(self._consultations)}/{question.country}{question.number}/{question.requester}"
        identifier = "WAPIAAAA" + hashlib.sha256(turn.encode()).hexdigest()[:8]
        self._consultations.append(
            {
                "requestIdentifier": identifier,
                "requestDate": self._instant(),
                "vat": question.country + question.number.upper(),
                "requester": question.requester,
                "valid": entry.valid,
            }
        )
        return identifier

    def _verdict(self, question: _Question, entry: Entry, identifier: str, *, short: bool) -> dict[str, Json]:
        if question.door == "GET":
            return self._user_answer(question, entry, "VALID" if entry.valid else "INVALID", identifier)
        answer: dict[str, Json] = {
            "countryCode": question.country,
            "vatNumber": question.number,
            "requestDate": self._instant(),
            "valid": entry.valid,
            "requestIdentifier": identifier,
            "name": entry.name,
            "address": entry.address,
        }
        if not short:  # the test service tells nothing of the trader [vies-post]
            answer |= {f"trader{part}": _NONE for part in _TRADER}
            # comparing what the asker knows of the trader is left to the asker, as most member states do [vies-post]
            answer |= {f"trader{part}Match": "NOT_PROCESSED" for part in _TRADER}
        return answer

    def _user_answer(self, question: _Question, entry: Entry, user_error: str, identifier: str) -> dict[str, Json]:
        approximate = dict.fromkeys(("name", "street", "postalCode", "city", "companyType"), _NONE)
        return {
            "isValid": entry.valid,
            "requestDate": self._instant(),
            "userError": user_error,
            "name": entry.name,
            "address": entry.address,
            "requestIdentifier": identifier,
            "originalVatNumber": question.original,
            "vatNumber": question.number,
            "viesApproximate": approximate | {f"match{part}": 3 for part in _TRADER},  # 3: not processed
        }

    def _refusal(self, question: _Question, code: str) -> Response:
        told = self._settings.errors
        if told == "observed":
            told = "user_error" if question.door == "GET" else "wrappers"
        if told == "user_error":
            return _json(200, self._user_answer(question, Entry(False, _NONE, _NONE), code, ""))
        return _wrapped(ERRORS[code] if told == "status" else 200, code)

    def _status(self) -> dict[str, Json]:
        """Which member states can be asked. [vies-post]"""
        words = {True: "Unavailable", False: "Available"}
        countries = [
            {"countryCode": country, "availability": words[bool(self._outage(country))]} for country in MEMBER_STATES
        ]
        return {"vow": {"available": self._outage("*") is None}, "countries": countries}

    def _instant(self) -> str:
        moment = dt.datetime.fromtimestamp(self._now(), dt.UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _log(self, question: _Question, answer: str) -> None:
        vat = question.country + question.number
        self._calls.append({"at": self._instant(), "method": question.door, "vat": vat, "requester": question.requester, "answer": answer})  # fmt: skip

    # --- what tax offices and member states do ---

    def control(self, action: str, body: dict[str, Json]) -> dict[str, Json]:
        """Do something to the register or the service. Raises ValueError for an unknown action or bad body."""
        match action:
            case "invalidate":
                _only(body, "vat")
                vat = _vat(body)
                before = self._register.get(vat, Entry(False, _NONE, _NONE))
                self._register[vat] = msgspec.structs.replace(before, valid=False)
                return {"vat": vat, "valid": False}
            case "validate":
                return self._validate(body)
            case "outage":
                return self._begin_outage(body)
            case "lift":
                _only(body, "country")
                self._outages.pop(_country(body), None)
                return {"outages": sorted(self._outages)}
            case "settings":
                self._settings = _settings(msgspec.to_builtins(self._settings) | body)
                return msgspec.to_builtins(self._settings)
            case "numbers":
                _only(body)
                return {"numbers": msgspec.to_builtins(self._register)}
            case "consultations":
                _only(body)
                return {"consultations": list(self._consultations)}
            case "calls":
                _only(body)
                return {"calls": list(self._calls)}
            case _:
                raise ValueError(f"the VIES sandbox knows no action {action!r}")

    def _validate(self, body: dict[str, Json]) -> dict[str, Json]:
        _only(body, "vat", "name", "address")
        vat = _vat(body)
        before = self._register.get(vat, Entry(True, _NONE, _NONE))
        name, address = body.get("name", before.name), body.get("address", before.address)
        self._register[vat] = msgspec.convert({"valid": True, "name": name, "address": address}, Entry)
        return {"vat": vat, "valid": True}

    def _begin_outage(self, body: dict[str, Json]) -> dict[str, Json]:
        _only(body, "country", "code", "seconds")
        country, code, seconds = _country(body), body.get("code", "MS_UNAVAILABLE"), body.get("seconds")
        _check_code(code)
        if seconds is not None and (not isinstance(seconds, (int, float)) or seconds < 0):
            raise ValueError("`seconds` must be a number, 0 or more; leave it out for an outage without end")
        until = None if seconds is None else self._now() + seconds
        self._outages[country] = (code, until)
        return {"country": country, "code": code, "until": until}

    # --- for the host ---

    def contract(self, base_url: str) -> dict[str, Json]:
        """Where it is served: it takes no key."""
        return {"base_url": base_url}

    def snapshot(self) -> Json:
        """What is known of each number; who asked, outages and settings are no business state."""
        return {"numbers": msgspec.to_builtins(dict(sorted(self._register.items())))}


def make(world: World) -> Sandbox:
    """The VAT numbers of that world."""
    return ViesSandbox(world)


# --- what is known of a company ---


def fiscal_unit_members(companies: Iterable[SeedCompany]) -> frozenset[str]:
    """Name (by KVK number) the companies that file as part of a fiscal unit: their RSIN with B01 is no VAT number. [§8]

    Every eighth living BV or NV that would otherwise have one and whose VAT number no ERP knows, never the first of a
    world; chosen by place, so that the same companies are named for a larger world.
    """
    fitting = [
        company.kvk
        for place, company in enumerate(companies)
        if place
        and company.kind in {"bv", "nv"}
        and company.ended_on is None
        and company.in_erp in {"none", "kvk"}
        and company.vat == f"NL{company.rsin}B01"
    ]
    return frozenset(fitting[::8])


def _is_taxable(company: SeedCompany, members: frozenset[str]) -> bool:
    return company.ended_on is None and company.kvk not in members


def _name(company: SeedCompany) -> str:
    return (company.statutory_name or company.name).upper()


def _address(company: SeedCompany) -> str:
    """On lines of their own, in capitals, with a padded house number, as the Dutch tax office gives it (unverified)."""
    if company.country != "NL":
        return f"\n{company.street} {company.number}\n{company.postcode} {company.city}\n".upper()
    number = f"{company.number:05}{company.letter or ''}{f'-{company.addition}' if company.addition else ''}"
    street = f"POSTBUS {company.po_box:05}" if company.po_box is not None else f"{company.street} {number}"
    return f"\n{street}\n{company.postcode} {company.city}\n".upper()


# --- reading what is asked ---


def _tested(number: str) -> Entry | None:
    """What a number of the test service means; None for any other. Raises _RefusalError."""
    if number in _TEST_ERRORS:
        raise _RefusalError(_TEST_ERRORS[number])
    if number == _TEST_VALID:
        return Entry(True, "TEST TRADER", "TEST STREET 100\nTEST TOWN")
    return Entry(False, _NONE, _NONE) if number == _TEST_INVALID else None


def _may_ask(country: str, number: str) -> bool:
    """Whether a requester is taken. One that repeats its country in the number is not, as recorded [vies-post]."""
    if country not in _REQUESTERS or number[:2] == country:
        return False
    return bool((_DUTCH if country == "NL" else _NUMBER).fullmatch(number))


def _vat(body: dict[str, Json]) -> str:
    vat = body.get("vat")
    if not isinstance(vat, str) or vat[:2] not in MEMBER_STATES or not _NUMBER.fullmatch(vat[2:]):
        raise ValueError("`vat` must be a VAT number with its country, as text")
    return vat.upper()


def _country(body: dict[str, Json]) -> str:
    country = body.get("country")
    if country != "*" and country not in MEMBER_STATES:
        raise ValueError("`country` must be a member state's code as VIES writes it, or * for the whole service")
    return country


def _check_code(code: Json) -> None:
    if code not in ERRORS:
        raise ValueError(f"no error is called {code!r}; there are {', '.join(ERRORS)}")


def _settings(values: dict[str, Json]) -> Settings:
    settings = msgspec.convert(values, Settings)
    _check_code(settings.failing_code)
    return settings


def _only(body: dict[str, Json], *names: str) -> None:
    unknown = sorted(set(body) - set(names))
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}")


# --- writing answers ---


def _json(status: int, body: Json) -> Response:
    return Response(status, {"content-type": "application/json"}, msgspec.json.encode(body))


def _wrapped(status: int, code: str) -> Response:
    return _json(status, {"actionSucceed": False, "errorWrappers": [{"error": code}]})
