"""The imitated KVK register: Zoeken v2, Basisprofiel, Vestigingsprofiel, Naamgeving and Mutatieservice v1.

It answers from a made-up world, with the checks, codes and oddities of the register (fact sheet §11), and shares no code with
the client. People and the register's own clerks act through `control`:

    edit {"kvk", "set": {…}}   end {"kvk", "on", "successor"?}   shield {"kvk"}   add {company}   companies {}
    (a successor the register does not know yet is registered at the same address)
    unavailable {"kvk", "code", "seconds"}   undeliverable {"kvk", "lift"?}   tick {"count"?}   signals {}   settings {…}
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from koppel.model.values import Json
from koppel.systems.kvk import sandbox_register as register
from koppel.systems.kvk import sandbox_search as search
from koppel.systems.kvk import sandbox_signals as signals
from koppel.systems.sandbox_spi import Sandbox, SeedCompany, World
from koppel.systems.spi import Request, Response

APIKEY = "sandbox-kvk-apikey"  # made up: nothing outside this sandbox knows it
APIS = ("zoeken", "basisprofiel", "vestigingsprofiel", "naamgeving", "mutatieservice")
_API_OF = {
    "zoeken": "zoeken",
    "basisprofielen": "basisprofiel",
    "vestigingsprofielen": "vestigingsprofiel",
    "naamgevingen": "naamgeving",
    "abonnementen": "mutatieservice",
}
_API_VERSION = {"zoeken": "2.1.0", "basisprofiel": "1.5.0", "vestigingsprofiel": "1.5.0"}  # as recorded [§1]

# code -> (status, what it says). Statuses from the fact sheet [§6]; the wording is ours. 401, 403, 405, 406 and 429 come from
# the gateway, whose bodies are unverified.
_CODES: dict[str, tuple[int, str]] = {
    "IPD0001": (404, "Het gevraagde product bestaat niet."),
    "IPD0004": (400, "Het KVK-nummer is niet valide."),
    "IPD0005": (404, "Het product kan niet worden geleverd voor dit KVK-nummer."),
    "IPD0006": (400, "Het vestigingsnummer is niet valide."),
    "IPD0007": (404, "Het product kan niet worden geleverd voor dit vestigingsnummer."),
    "IPD0010": (400, "Het RSIN is niet valide."),
    "IPD1002": (404, "De gegevens zijn tijdelijk niet leverbaar: de registratie wordt verwerkt."),
    "IPD1003": (404, "De gegevens zijn tijdelijk niet leverbaar: probeer het over 5 minuten opnieuw."),
    "IPD1998": (400, "Er zit een fout in de opgegeven parameters."),
    "IPD1999": (400, "Er zijn onbekende parameters opgegeven."),
    "IPD5200": (404, "Er zijn geen gegevens gevonden."),
    "IPD5203": (404, "Het opgegeven type is niet valide."),
    "IPD9999": (500, "Er is een technische fout opgetreden."),
    "401": (401, "De API-sleutel ontbreekt of is niet geldig."),
    "403": (403, "De API-sleutel geeft geen recht op deze API."),
    "405": (405, "Alleen GET wordt ondersteund."),
    "406": (406, "Alleen application/hal+json en application/json worden geleverd."),
    "429": (429, "Er worden te veel verzoeken per seconde gedaan."),
}

_SETTABLE = {
    "name": signals.NAMES,
    "statutory_name": signals.NAMES,
    "street": signals.ADDRESS,
    "number": signals.ADDRESS,
    "letter": signals.ADDRESS,
    "addition": signals.ADDRESS,
    "postcode": signals.ADDRESS,
    "city": signals.ADDRESS,
    "country": signals.ADDRESS,
    "po_box": signals.ADDRESS,
    "shape": signals.ADDRESS,
    "kind": signals.FORM,
    "sbi": signals.ACTIVITIES,
    "employees": signals.BRANCH,
    "website": signals.BRANCH,
    "do_not_mail": signals.CHANGED,
}

_NEWCOMER: dict[str, Json] = {
    "rsin": None,
    "vat": None,
    "statutory_name": None,
    "kind": "bv",
    "shape": "plain",
    "street": "Dorpsstraat",
    "number": 1,
    "letter": None,
    "addition": None,
    "postcode": "1000AA",
    "city": "Amsterdam",
    "country": "NL",
    "po_box": None,
    "phone": "",
    "email": "",
    "website": "",
    "sbi": [],
    "ended_on": None,
    "successor": None,
    "employees": 0,
    "do_not_mail": False,
    "person": {"first_name": "", "last_name": "", "email": "", "phone": ""},
    "in_erp": "none",
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Switches. `rate_limit`: calls a second before 429, None for no limit; `failing`: so many calls get a 500 first;
    `signal_delay`: seconds before a signal is listed, its timestamp being that of the change."""

    rate_limit: int | None = None
    entitlements: tuple[str, ...] = APIS
    failing: int = 0
    signal_delay: float = 0.0


class _RefusalError(Exception):
    """An answer that is not the document asked for."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class KvkSandbox:
    """The register of one world."""

    name = "kvk"
    base_path = "/kvk"

    def __init__(self, world: World) -> None:
        self._now = world.now
        self._companies: dict[str, SeedCompany] = {}
        self._branches: dict[str, str] = {}
        self._rsins: dict[str, str] = {}
        self._words: dict[str, set[str]] | None = None
        self._undeliverable: set[str] = set()
        self._unavailable: dict[str, tuple[str, float]] = {}
        self._settings = Settings()
        self._second = (0, 0)
        self._signals = signals.Signals(world.seed)
        for company in world.companies:
            self._put(company)
        for company in sorted((c for c in world.companies if c.ended_on), key=lambda c: (c.ended_on, c.kvk)):
            noon = dt.datetime.fromisoformat(f"{company.ended_on}T12:00:00+00:00").timestamp()
            self._say_ended(company, noon)

    # --- answering ---

    def handle(self, path: str, request: Request) -> Response:
        """Answer one request."""
        try:
            api, body = self._answer(path, request)
        except _RefusalError as refusal:
            return _refusal(refusal.code)
        headers = {"content-type": "application/hal+json", "cache-control": "no-store", "server": "unknown"}
        if api in _API_VERSION:
            headers["api-version"] = _API_VERSION[api]
        return Response(200, headers, msgspec.json.encode(body))

    def _answer(self, path: str, request: Request) -> tuple[str, Json]:
        parts = path.removeprefix("/test").strip("/").split("/")
        api = _API_OF.get(parts[2], "") if len(parts) > 2 and parts[0] == "api" else ""
        self._admit(request, api)
        url = urlsplit(request.url)
        base = f"{url.scheme}://{url.netloc}{url.path.partition('/api/')[0]}"
        query = parse_qsl(url.query, keep_blank_values=True)
        match parts:
            case ["api", "v2", "zoeken"]:
                return api, self._zoeken(query, base)
            case ["api", "v1", "basisprofielen", number]:
                return api, register.basisprofiel(self._company(number), base, geo=_geo(query))
            case ["api", "v1", "basisprofielen", number, "eigenaar"]:
                return api, register.eigenaar(self._company(number), base, geo=_geo(query))
            case ["api", "v1", "basisprofielen", number, "hoofdvestiging"]:
                company = self._company(number)
                if not company.branch:
                    raise _RefusalError("IPD0005")  # which code a company without main branch gets here is unverified
                return api, register.hoofdvestiging(company, base, geo=_geo(query))
            case ["api", "v1", "basisprofielen", number, "vestigingen"]:
                _none(query)
                return api, register.vestigingen(self._company(number), base)
            case ["api", "v1", "vestigingsprofielen", number]:
                company, branch = self._branch(number)
                return api, register.vestigingsprofiel(company, branch, base, geo=_geo(query))
            case ["api", "v1", "naamgevingen", "kvknummer", number]:
                _none(query)
                return api, register.naamgeving(self._company(number), base)
            case ["api", "v1", "abonnementen", *rest]:
                return api, self._abonnementen(rest, query, f"{base}/api/v1/abonnementen")
            case _:
                raise _RefusalError("IPD0001")

    def _admit(self, request: Request, api: str) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if headers.get("apikey") != APIKEY:
            raise _RefusalError("401")
        if api and api not in self._settings.entitlements:
            raise _RefusalError("403")
        if request.method.upper() != "GET":
            raise _RefusalError("405")
        if not _acceptable(headers.get("accept", "*/*")):
            raise _RefusalError("406")
        if self._settings.rate_limit is not None:
            second = int(self._now())
            count = self._second[1] + 1 if self._second[0] == second else 1
            self._second = (second, count)
            if count > self._settings.rate_limit:
                raise _RefusalError("429")
        if self._settings.failing:
            self._settings = msgspec.structs.replace(self._settings, failing=self._settings.failing - 1)
            raise _RefusalError("IPD9999")

    def _company(self, number: str) -> SeedCompany:
        if not re.fullmatch(r"[0-9]{8}", number):
            raise _RefusalError("IPD0004")
        self._check_available(number)
        if number not in self._companies or number in self._undeliverable:
            raise _RefusalError("IPD0005")
        return self._companies[number]

    def _branch(self, number: str) -> tuple[SeedCompany, register.Branch]:
        if not re.fullmatch(r"[0-9]{12}", number):
            raise _RefusalError("IPD0006")
        kvk = self._branches.get(number)
        if kvk is None:
            raise _RefusalError("IPD0007")
        self._check_available(kvk)
        if kvk in self._undeliverable:
            raise _RefusalError("IPD0007")
        company = self._companies[kvk]
        found = next((branch for branch in register.branches(company) if branch.number == number), None)
        if found is None:  # a branch that an edit closed
            raise _RefusalError("IPD0007")
        return company, found

    def _check_available(self, kvk: str) -> None:
        code, until = self._unavailable.get(kvk, ("", 0.0))
        if code and self._now() < until:
            raise _RefusalError(code)

    def _zoeken(self, query: list[tuple[str, str]], base: str) -> Json:
        try:
            question = search.understand(query)
        except search.SearchRefusedError as refused:
            raise _RefusalError(refused.code) from refused
        found = [row for company in self._candidates(question) for row in search.rows(company, question, base)]
        answer = search.page(question, found, base)
        if answer is None:
            raise _RefusalError("IPD5200")
        return answer

    def _candidates(self, question: search.Question) -> list[SeedCompany]:
        """Companies that might fit, in a stable order: by number where one was asked for, by whole words of the name."""
        asked = question.values
        if "kvknummer" in asked:
            kvks = [asked["kvknummer"]]
        elif "vestigingsnummer" in asked:
            kvks = [self._branches.get(asked["vestigingsnummer"], "")]
        elif "rsin" in asked:
            kvks = [self._rsins.get(asked["rsin"], "")]
        elif "naam" in asked:
            index = self._index()
            fits = [index.get(word, set()) for word in search.words(asked["naam"])]
            kvks = sorted(set.intersection(*fits)) if fits else []
        else:
            kvks = list(self._companies)
        return [self._companies[kvk] for kvk in kvks if kvk in self._companies]

    def _index(self) -> dict[str, set[str]]:
        if self._words is None:
            self._words = {}
            for company in self._companies.values():
                for word in _name_words(company):
                    self._words.setdefault(word, set()).add(company.kvk)
        return self._words

    def _abonnementen(self, rest: list[str], query: list[tuple[str, str]], url: str) -> Json:
        if not rest:
            _none(query)
            return self._signals.subscriptions()
        if rest[0] != self._signals.subscription:
            raise _RefusalError("IPD5200")  # which code an unknown subscription gets is unverified
        out_by = self._now() - self._settings.signal_delay
        match rest[1:]:
            case []:
                try:
                    return self._signals.page(query, f"{url}/{rest[0]}", until=out_by)
                except signals.SignalsRefusedError as refused:
                    raise _RefusalError(str(refused)) from refused
            case ["signalen", number]:
                _none(query)
                signal = self._signals.find(number)
                if signal is None or signal.at > out_by:
                    raise _RefusalError("IPD5200")
                return signals.detail(signal, self._companies.get(signal.kvk))
            case _:
                raise _RefusalError("IPD0001")

    # --- what people and clerks do ---

    def control(self, action: str, body: dict[str, Json]) -> dict[str, Json]:
        """Do something to the register. Raises ValueError for an unknown action or bad body."""
        match action:
            case "edit":
                return self._edit(self._named(body, "set"), msgspec.convert(body.get("set"), dict[str, Any]))
            case "end":
                return self._end(self._named(body, "on", "successor"), body)
            case "shield":
                return self._edit(self._named(body), {"shape": "shielded"})
            case "add":
                return self._add(body)
            case "unavailable":
                return self._make_unavailable(self._known(body, "code", "seconds"), body)
            case "undeliverable":
                kvk = self._known(body, "lift")
                (self._undeliverable.discard if body.get("lift") else self._undeliverable.add)(kvk)
                return {"kvk": kvk, "undeliverable": kvk in self._undeliverable}
            case "companies":
                _only(body)
                return {"companies": msgspec.to_builtins(list(self._companies.values()))}
            case "signals":
                _only(body)
                return {"subscription": self._signals.subscription, "signals": msgspec.to_builtins(self._signals.all)}
            case "tick":
                return self._tick(body)
            case "settings":
                return self._set(body)
            case _:
                raise ValueError(f"the KVK sandbox knows no action {action!r}")

    def _known(self, body: dict[str, Json], *others: str) -> str:
        _only(body, "kvk", *others)
        kvk = body.get("kvk")
        if not isinstance(kvk, str) or not re.fullmatch(r"[0-9]{8}", kvk):
            raise ValueError("`kvk` must be a KVK number of 8 digits, as text")
        return kvk

    def _named(self, body: dict[str, Json], *others: str) -> SeedCompany:
        kvk = self._known(body, *others)
        if kvk not in self._companies:
            raise ValueError(f"the register holds no {kvk}")
        return self._companies[kvk]

    def _edit(self, before: SeedCompany, changes: dict[str, Json]) -> dict[str, Json]:
        unknown = sorted(set(changes) - set(_SETTABLE))
        if unknown:
            raise ValueError(f"cannot set {', '.join(unknown)}; there are {', '.join(_SETTABLE)}")
        after = _company(msgspec.to_builtins(before) | changes)
        changed = [name for name in _SETTABLE if getattr(before, name) != getattr(after, name)]
        if changed:
            self._put(after)
            self._say_changed(after, changed)
        return {"kvk": after.kvk, "changed": changed}

    def _say_changed(self, company: SeedCompany, changed: list[str]) -> None:
        """One submission gives one signal, however much it changes. [§5]"""
        kinds = {_SETTABLE[name] for name in changed}
        kind = kinds.pop() if len(kinds) == 1 else signals.CHANGED
        if kind == signals.BRANCH and not company.branch:
            kind = signals.CHANGED
        block = {
            "indNaamgevingGewijzigd": register.ja(any(_SETTABLE[name] == signals.NAMES for name in changed)),
            "indAdresGewijzigd": register.ja(any(_SETTABLE[name] == signals.ADDRESS for name in changed)),
            "indActiviteitenGewijzigd": register.ja("sbi" in changed),
            "indRechtsvormGewijzigd": register.ja("kind" in changed),
        }
        branch = company.branch if kind == signals.BRANCH else None
        self._signals.add(self._now(), company.kvk, kind, branch=branch, block=block)

    def _end(self, before: SeedCompany, body: dict[str, Json]) -> dict[str, Json]:
        today = dt.datetime.fromtimestamp(self._now(), dt.UTC).date().isoformat()
        changes = {"ended_on": body.get("on", today), "successor": body.get("successor"), "shape": before.shape}
        if changes["shape"] == "plain":
            changes["shape"] = "ended"
        if changes["ended_on"] is None:
            raise ValueError("`on` must be a date, YYYY-MM-DD")
        after = _company(msgspec.to_builtins(before) | changes)
        self._put(after)
        self._say_ended(after, self._now())
        if after.successor and after.successor not in self._companies:
            self._register_successor(after, after.successor)
        return {"kvk": after.kvk, "ended_on": after.ended_on, "successor": after.successor}

    def _register_successor(self, ended: SeedCompany, kvk: str) -> None:
        """The business goes on at the same address under a number of its own."""
        kept = ("name", "statutory_name", "kind", "street", "number", "letter", "addition", "postcode", "city", "country", "po_box", "sbi")  # fmt: skip
        self._add({"kvk": kvk} | {name: msgspec.to_builtins(getattr(ended, name)) for name in kept})

    def _say_ended(self, company: SeedCompany, at: float) -> None:
        """VZ: continued; BE: ended. VG: by whom it is continued. [kvk-connect docs]"""
        reason = "VZ" if company.successor else "BE"
        self._signals.add(at, company.kvk, signals.ENDED, block={"redenBeeindiging": reason})
        if company.successor:
            block = {"rol": "VG", "kvkNummer": company.successor}
            self._signals.add(at, company.kvk, signals.TRANSFER, block=block)

    def _add(self, body: dict[str, Json]) -> dict[str, Json]:
        today = dt.datetime.fromtimestamp(self._now(), dt.UTC).date().isoformat()
        kvk = body.get("kvk")
        company = _company({**_NEWCOMER, "branch": f"0000{kvk}", "started_on": today, **body})
        if company.kvk in self._companies:
            raise ValueError(f"the register already holds {company.kvk}")
        if company.branch in self._branches:
            raise ValueError(f"branch {company.branch} belongs to another company")
        self._put(company)
        # a new registration is told as a change, too [§5]
        self._signals.add(self._now(), company.kvk, signals.NEW)
        self._signals.add(self._now(), company.kvk, signals.CHANGED)
        return {"kvk": company.kvk, "branch": company.branch}

    def _make_unavailable(self, kvk: str, body: dict[str, Json]) -> dict[str, Json]:
        code, seconds = body.get("code", "IPD1002"), body.get("seconds", 600)
        if code not in {"IPD1002", "IPD1003"} or not isinstance(seconds, (int, float)) or seconds < 0:
            raise ValueError("`code` is IPD1002 or IPD1003, `seconds` a number")
        until = self._now() + seconds
        self._unavailable[kvk] = (code, until)
        return {"kvk": kvk, "code": code, "until": until}

    def _tick(self, body: dict[str, Json]) -> dict[str, Json]:
        """New signals without a change, as the register's own test environment makes every five minutes. [portal]"""
        _only(body, "count")
        count = body.get("count", 10)
        if not isinstance(count, int) or count < 0:
            raise ValueError("`count` must be a whole number, 0 or more")
        some = list(self._companies)[:count]
        for kvk in some:
            self._signals.add(self._now(), kvk, signals.CHANGED)
        return {"signals": len(some)}

    def _set(self, body: dict[str, Json]) -> dict[str, Json]:
        settings = msgspec.convert(msgspec.to_builtins(self._settings) | body, Settings)
        unknown = sorted(set(settings.entitlements) - set(APIS))
        if unknown:
            raise ValueError(f"no API is called {', '.join(unknown)}; there are {', '.join(APIS)}")
        self._settings = settings
        return msgspec.to_builtins(settings)

    def _put(self, company: SeedCompany) -> None:
        before = self._companies.get(company.kvk)
        if self._words is not None and before is not None:
            for word in _name_words(before):
                self._words[word].discard(company.kvk)
        self._companies[company.kvk] = company
        for branch in register.branches(company):
            self._branches[branch.number] = company.kvk
        if company.rsin:
            self._rsins[company.rsin] = company.kvk
        if self._words is not None:
            for word in _name_words(company):
                self._words.setdefault(word, set()).add(company.kvk)

    # --- for the host ---

    def contract(self, base_url: str) -> dict[str, Json]:
        """Where it is served, the key it takes, and numbers that exist."""
        return {"base_url": base_url, "apikey": APIKEY, "numbers": list(self._companies)[:10]}

    def snapshot(self) -> Json:
        """The register and its signals; what passes by itself (unavailability, settings) is no business state."""
        return {
            "companies": msgspec.to_builtins(self._companies),
            "undeliverable": sorted(self._undeliverable),
            "signals": msgspec.to_builtins(self._signals.all),
        }


def make(world: World) -> Sandbox:
    """The KVK register of that world."""
    return KvkSandbox(world)


def _company(values: dict[str, Json]) -> SeedCompany:
    """A company from plain values. Raises ValueError for what the register could not hold."""
    unknown = sorted(set(values) - set(SeedCompany.__struct_fields__))
    if unknown:
        raise ValueError(f"a company has no {', '.join(unknown)}")
    company = msgspec.convert(values, SeedCompany)
    for what, value, pattern in (
        ("kvk", company.kvk, r"[0-9]{8}"),
        ("branch", company.branch, r"([0-9]{12})?"),
        ("rsin", company.rsin or "", r"([0-9]{9})?"),
        ("successor", company.successor or "", r"([0-9]{8})?"),
    ):
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value!r} is no {what} number")
    for day in filter(None, (company.started_on, company.ended_on)):
        dt.date.fromisoformat(day)
    if company.kind not in register.KINDS or company.shape not in register.SHAPES:
        raise ValueError(f"no company is {company.kind} and {company.shape}")
    return company


def _name_words(company: SeedCompany) -> set[str]:
    return search.words(
        f"{company.name} {company.statutory_name or ''} {' '.join(b.name for b in register.branches(company))}"
    )


def _only(body: dict[str, Json], *names: str) -> None:
    unknown = sorted(set(body) - set(names))
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}")


def _none(query: list[tuple[str, str]]) -> None:
    if query:
        raise _RefusalError("IPD1999")


def _geo(query: list[tuple[str, str]]) -> bool:
    asked = {name.lower(): value for name, value in query}
    if set(asked) - {"geodata"}:
        raise _RefusalError("IPD1999")
    value = asked.get("geodata", "false").lower()
    if value not in {"true", "false"}:
        raise _RefusalError("IPD1998")
    return value == "true"


def _acceptable(accept: str) -> bool:
    types = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return bool(types & {"application/hal+json", "application/json", "application/*", "*/*"})


def _refusal(code: str) -> Response:
    status, text = _CODES[code]
    headers = {"content-type": "application/json", "cache-control": "no-store", "server": "unknown"}
    return Response(status, headers, msgspec.json.encode({"fout": [{"code": code, "omschrijving": text}]}))
