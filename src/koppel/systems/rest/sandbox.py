"""An imitation of a small vendor that never existed, "Voorbeeld API": relations, listed in five ways, and plain tables of people,
articles and orders; `/adm/<name>` before a path is another administration, which begins empty.

It does what REST APIs of small packages are seen to do: wrapped and bare bodies, words for switches, numbers that lose
their leading zeros, whole-second stamps, refusals with a text. It shares no code with the client that reads descriptions.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from koppel.model.values import Json
from koppel.systems.rest.sandbox_tables import PATH, TABLES, Refused, Shelf
from koppel.systems.sandbox_spi import Sandbox, SeedCompany, World
from koppel.systems.spi import Request, Response

KEY, USER, PASSWORD = "vb-sleutel-7d1f20", "koppeling", "vb-wachtwoord-51c9"
CLIENT_ID, CLIENT_SECRET = "vb-client", "vb-geheim-e02a4b"
TOKEN_LIFE = 900
LONGEST_NAME = 60
PER_MINUTE = 300
MOST = 50
_TEXTS = ("bedrijfsnaam", "kvkNummer", "btwNummer", "telefoon", "email", "website", "actief", "soort", "notities", "hoofdcontact", "referentie")  # fmt: skip
_ADDRESS = ("straat", "huisnummer", "toevoeging", "postcode", "plaats", "land")
_PATH = re.compile(r"/api/(pagina|vanaf|stroom|link|alles)/relaties(?:/(\d+))?")
_ADMINISTRATION = re.compile(r"/adm/([a-z0-9]+)/")

Row = dict[str, Any]


def make(world: World) -> Sandbox:
    """The imitation, seeded from the world."""
    return VoorbeeldSandbox(world)


class VoorbeeldSandbox:
    """The door; see `Sandbox`."""

    name = "rest"
    base_path = "/voorbeeld"

    def __init__(self, world: World, *, seeded: bool = True) -> None:
        self.world = world
        self.others: dict[str, VoorbeeldSandbox] = {}
        self.shelves = {name: Shelf(name, exists=self._exists) for name in TABLES}
        self.rows: dict[int, Row] = {}
        self.tokens: dict[str, float] = {}
        self.issued = 0
        self.refused: set[str] = set()
        self.limit = PER_MINUTE
        self.minute: tuple[float, int] = (0.0, 0)
        known = [company for company in world.companies if seeded and company.in_erp != "none"]
        for number, company in enumerate(known):
            self._keep(None, _typed(company), at=world.now() - 86_400.0 * (len(known) - number))

    # --- answering ---

    def handle(self, path: str, request: Request) -> Response:
        """Answer one request."""
        response = self._answer(path, request)
        headers = {"date": formatdate(self.world.now(), usegmt=True), "content-type": "application/json"}
        return Response(response.status, {**headers, **response.headers}, response.body)

    def _exists(self, table: str, number: int) -> bool:
        return number in (self.rows if table == "relaties" else self.shelves[table].rows)

    def _administration(self, name: str) -> VoorbeeldSandbox:
        if not name:
            return self
        if name not in self.others:
            self.others[name] = VoorbeeldSandbox(self.world, seeded=False)
        return self.others[name]

    def _answer(self, path: str, request: Request) -> Response:
        if found := _ADMINISTRATION.match(path):
            return self._administration(found[1])._answer(path[found.end() - 1 :], request)  # noqa: SLF001 - one of its own
        headers = {name.lower(): value for name, value in request.headers.items()}
        if path == "/oauth/token":
            return self._token(request)
        if not self._admits(headers):
            return _fault(401, "Niet aangemeld")
        if (wait := self._exceeded()) is not None:
            return Response(429, {"retry-after": str(wait)}, b'{"fout": {"melding": "Te veel aanroepen"}}')
        if shelf := PATH.fullmatch(path):
            return self._table(self.shelves[shelf[1]], shelf[2], request, headers)
        match = _PATH.fullmatch(path)
        if match is None:
            return _fault(404, "Onbekend pad")
        style, number = match[1], match[2]
        if number is None and request.method == "POST":
            return self._write(style, None, request, headers)
        if number is None and request.method == "GET":
            return self._list(style, request)
        if number is None or int(number) not in self.rows:
            return _fault(404, "Relatie bestaat niet")
        if request.method == "PATCH":
            return self._write(style, int(number), request, headers)
        return _json(200, {"relatie": self._shown(style, self.rows[int(number)])})

    def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _json(401, {"error": "invalid_client"})
        self.issued += 1
        token = f"vb-token-{self.issued:06}"
        self.tokens[token] = self.world.now() + TOKEN_LIFE
        return _json(200, {"access_token": token, "token_type": "bearer", "expires_in": TOKEN_LIFE})

    def _admits(self, headers: dict[str, str]) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return (
            headers.get("x-api-key") == KEY
            or (scheme == "Basic" and given == basic)
            or (scheme == "Bearer" and (given == KEY or self.tokens.get(given, 0.0) > self.world.now()))
        )

    def _exceeded(self) -> int | None:
        """Seconds to wait when this call is one too many of its clock minute."""
        now = self.world.now()
        began = now - now % 60
        count = self.minute[1] + 1 if self.minute[0] == began else 1
        self.minute = (began, count)
        return None if count <= self.limit else int(began + 60 - now) + 1

    def _list(self, style: str, request: Request) -> Response:
        parts = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        rows = [row for _, row in sorted(self.rows.items()) if _wanted(row, query)]
        shown = [self._shown(style, row) for row in rows]
        size = max(1, min(int(query.get("aantal", MOST)), MOST))
        match style:
            case "pagina":
                start = (int(query.get("pagina", 1)) - 1) * size
                return _json(200, {"relaties": shown[start : start + size], "totaal": len(shown)})
            case "vanaf":
                start = int(query.get("vanaf", 0))
                return _json(200, shown[start : start + size])
            case "stroom":
                after = int(query.get("cursor", 0))
                left = [row for row in shown if row["id"] > after]
                following = str(left[size - 1]["id"]) if len(left) > size else None
                return _json(200, {"data": {"items": left[:size]}, "meta": {"volgende": following}})
            case "link":
                after = int(query.get("na", 0))
                left = [row for row in shown if row["id"] > after]
                response = _json(200, left[:size])
                if len(left) > size:
                    onward = urlencode({**query, "na": left[size - 1]["id"]})
                    link = f'<{parts.path}>; rel="first", <{parts.path}?{onward}>; rel="next"'
                    return Response(200, {**response.headers, "link": link}, response.body)
                return response
            case _:
                return _json(200, {"relaties": shown})

    def _table(self, shelf: Shelf, number: str | None, request: Request, headers: dict[str, str]) -> Response:
        word = shelf.table.word
        if number is not None and int(number) not in shelf.rows:
            return _fault(404, f"{word} bestaat niet")
        if request.method == "GET":
            query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
            return _json(200, {word: shelf.rows[int(number)]} if number else shelf.listed(query))
        try:
            body = msgspec.json.decode(request.body)
            at = None if number is None else int(number)
            row = shelf.written(at, body, version=headers.get("if-match"), stamp=_stamp(self.world.now()))
        except msgspec.DecodeError:
            return _fault(400, "Geen JSON ontvangen")
        except Refused as refused:
            return _fault(refused.status, refused.text, refused.name)
        return _json(201 if number is None else 200, {word: row})

    def _write(self, style: str, number: int | None, request: Request, headers: dict[str, str]) -> Response:
        try:
            given = msgspec.json.decode(request.body, type=dict[str, dict[str, Any]])["relatie"]
        except (msgspec.DecodeError, KeyError):
            return _fault(400, "Geen relatie ontvangen")
        if number is not None and headers.get("if-match") not in {None, str(self.rows[number]["versie"])}:
            return _fault(412, "Relatie is intussen gewijzigd")
        strange = [name for name in given if name not in {*_TEXTS, "adres"}]
        if strange:
            return _fault(422, "Onbekend veld", strange[0])
        name = given.get("bedrijfsnaam", "" if number is None else self.rows[number]["bedrijfsnaam"])
        if not name or len(name) > LONGEST_NAME:
            return _fault(422, f"Bedrijfsnaam is verplicht en hoogstens {LONGEST_NAME} tekens", "bedrijfsnaam")
        if name in self.refused:
            return _fault(422, "Deze naam is niet toegestaan", "bedrijfsnaam")
        row = self._keep(number, given, at=self.world.now())
        return _json(201 if number is None else 200, {"relatie": self._shown(style, row)})

    def _keep(self, number: int | None, given: Row, *, at: float) -> Row:
        number = number or max(self.rows, default=1000) + 1
        row = self.rows.get(number, {"id": number, **dict.fromkeys(_TEXTS), "adres": dict.fromkeys(_ADDRESS), "actief": "J"})  # fmt: skip
        address = {**row["adres"], **{name: given["adres"].get(name) for name in given.get("adres") or {}}}
        texts = {name: given[name] for name in _TEXTS if name in given}
        kept = {**row, **texts, "adres": address, "gewijzigd": _stamp(at), "versie": row.get("versie", 0) + 1}
        self.rows[number] = kept
        return kept

    def _shown(self, style: str, row: Row) -> Row:
        """Some ways of listing are older than others: this one keeps KVK numbers as numbers."""
        number = row["kvkNummer"]
        return {**row, "kvkNummer": int(number)} if style == "vanaf" and number else row

    # --- the rest of the door ---

    def control(self, action: str, body: dict[str, Json]) -> dict[str, Json]:
        """A person or the vendor: edit (`late` seconds after its stamp), add, delete, settings; in another `administration`, of
        another `table`. Raises ValueError."""
        if name := str(body.pop("administration", "")):
            return self._administration(name).control(action, body)
        if shelf := self.shelves.get(str(body.pop("table", ""))):
            return self._at_the_shelf(shelf, action, body)
        match action:
            case "edit":
                number = int(body["id"])
                return dict(self._keep(number, body["set"], at=self.world.now() - float(body.get("late", 0))))
            case "add":
                return dict(self._keep(None, body["set"], at=self.world.now()))
            case "delete":
                del self.rows[int(body["id"])]
                return {}
            case "relations":
                return {"relations": list(self.rows.values())}
            case "settings":
                self.limit = int(body.get("limit", self.limit))
                self.refused |= set(body.get("refuse", ()))
                return {"limit": self.limit, "refuse": sorted(self.refused)}
            case _:
                raise ValueError(f"nobody can {action!r} here; there are edit, add, delete, relations, settings")

    def _at_the_shelf(self, shelf: Shelf, action: str, body: dict[str, Json]) -> dict[str, Json]:
        stamp = _stamp(self.world.now() - float(body.get("late", 0)))
        match action:
            case "edit":
                return dict(shelf.keep(int(body["id"]), body["set"], stamp=stamp))
            case "add":
                return dict(shelf.keep(None, body["set"], stamp=stamp))
            case "delete":
                del shelf.rows[int(body["id"])]
                return {}
            case "refuse":
                shelf.refused.add(str(body["text"]))
                return {}
            case "rows":
                return {"rows": list(shelf.rows.values())}
            case _:
                raise ValueError(f"nobody can {action!r} at {shelf.name}; there are edit, add, delete, refuse, rows")

    def contract(self, base_url: str) -> dict[str, Json]:
        """What a client needs to connect."""
        return {
            "base_url": base_url,
            "key": KEY,
            "user": USER,
            "password": PASSWORD,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "token_url": f"{base_url}/oauth/token",
        }

    def snapshot(self) -> Json:
        """The records without the stamps that only say when: relations alone, while there is nothing else."""
        relations = _bare(self.rows)
        more: Row = {name: _bare(shelf.rows) for name, shelf in self.shelves.items() if shelf.rows}
        more |= {f"/adm/{name}": other.snapshot() for name, other in sorted(self.others.items())}
        return {"relaties": relations, **more} if more else relations


def _bare(rows: dict[int, Row]) -> list[Row]:
    return [
        {name: value for name, value in row.items() if name not in {"gewijzigd", "versie"}}
        for _, row in sorted(rows.items())
    ]


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _wanted(row: Row, query: dict[str, str]) -> bool:
    named = (("kvk", "kvkNummer"), ("btw", "btwNummer"), ("referentie", "referentie"))
    since = query.get("gewijzigd_sinds", "").replace("+00:00", "Z")
    return row["gewijzigd"] >= since and all(row[field] == query[name] for name, field in named if name in query)


def _typed(company: SeedCompany) -> Row:
    """A company as somebody typed it."""
    return {
        "bedrijfsnaam": company.name[:LONGEST_NAME],
        "kvkNummer": company.kvk if company.in_erp != "vat" else None,
        "btwNummer": company.vat,
        "telefoon": company.phone,
        "email": company.email,
        "website": company.website,
        "soort": "K",
        "adres": {
            "straat": company.street,
            "huisnummer": str(company.number),
            "toevoeging": company.letter,
            "postcode": company.postcode,
            "plaats": company.city,
            "land": company.country,
        },
    }


def _fault(status: int, text: str, field: str | None = None) -> Response:
    return _json(status, {"fout": {"melding": text, "veld": field}})


def _json(status: int, body: Json) -> Response:
    return Response(status, {}, msgspec.json.encode(body))
