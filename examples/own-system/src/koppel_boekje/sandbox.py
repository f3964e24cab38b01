"""An imitation of Boekje, written from what it is said to do, without any code of the client it tests."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from koppel.systems.sandbox_spi import Sandbox, SeedCompany, World
from koppel.systems.spi import Request, Response

TOKEN = "boekje-token-4c81ad"
MOST, MOST_AT_ONCE, PER_MINUTE, LONGEST_NAME = 100, 10, 120, 80
FIELDS = ("naam", "kvk", "btw", "adres", "telefoon", "mail", "site", "memo")


def make(world: World) -> Sandbox:
    """The imitation, seeded from the world."""
    return Boekje(world)


class Boekje:
    """The door; see `Sandbox`."""

    name = "boekje"
    base_path = "/boekje"

    def __init__(self, world: World) -> None:
        self.now = world.now
        self.rows: dict[int, dict[str, Any]] = {}
        self.version = 0
        self.refused: set[str] = set()
        self.minute, self.calls = 0.0, 0
        for company in world.companies:
            if company.in_erp != "none":
                self.put(None, _typed(company))

    def put(self, number: int | None, given: dict[str, Any], mark: str = "") -> dict[str, Any]:
        """Keep a relation: a new number, a new version."""
        self.version += 1
        number = number or max(self.rows, default=0) + 1
        row = self.rows.get(number, {"nummer": number, **dict.fromkeys(FIELDS), "vervallen": False})
        kept = {name: given[name] for name in FIELDS if name in given}
        self.rows[number] = {**row, **kept, "kenmerk": mark or row.get("kenmerk"), "versie": self.version}
        return self.rows[number]

    def handle(self, path: str, request: Request) -> Response:
        """Answer one request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return _json(401, {"melding": "Onbekend token"})
        began = self.now() - self.now() % 60
        self.minute, self.calls = began, (self.calls if self.minute == began else 0) + 1
        if self.calls > PER_MINUTE:
            return _json(429, {"melding": "Te veel aanroepen in deze minuut"})
        answer = self._answer(path, request)
        return Response(answer.status, {**answer.headers, "x-over": str(PER_MINUTE - self.calls)}, answer.body)

    def _answer(self, path: str, request: Request) -> Response:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        match request.method, path:
            case "GET", "/relaties":
                after, size = int(query.get("na_versie", 0)), min(int(query.get("aantal", MOST)), MOST)
                rows = sorted((row for row in self.rows.values() if row["versie"] > after), key=lambda r: r["versie"])
                shown = rows[:size]
                last = shown[-1]["versie"] if shown else after
                return _json(200, {"relaties": shown, "laatste_versie": last, "verder": len(rows) > size})
            case "GET", "/relaties/zoek":
                field, wanted = next(iter(query.items()), ("", ""))
                values = set(wanted.split(","))
                rows = [row for row in self.rows.values() if not row["vervallen"] and str(row.get(field)) in values]
                return _json(200, {"relaties": rows})
            case "POST", "/relaties/batch":
                orders = msgspec.json.decode(request.body)["opdrachten"]
                if len(orders) > MOST_AT_ONCE:
                    return _json(400, {"melding": f"Hoogstens {MOST_AT_ONCE} opdrachten"})
                # Answered in another order than they came: who counts on the order is wrong here.
                return _json(200, {"uitkomsten": [self._do(order) for order in orders][::-1]})
            case _:
                return _json(404, {"melding": "Onbekend pad"})

    def _do(self, order: dict[str, Any]) -> dict[str, Any]:
        mark, number, given = order["kenmerk"], order["nummer"], order["velden"]
        row = self.rows.get(number)
        if number is not None and (row is None or row["vervallen"] or order["op_versie"] != str(row["versie"])):
            return {"kenmerk": mark, "uitkomst": "achterhaald"}
        name = given.get("naam", row["naam"] if row else None)
        if not name or len(name) > LONGEST_NAME or name in self.refused:
            return {"kenmerk": mark, "uitkomst": "geweigerd", "veld": "naam", "melding": "Deze naam kan niet"}
        return {"kenmerk": mark, "uitkomst": "ok", "nummer": self.put(number, given, mark)["nummer"]}

    def control(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """What people do in Boekje. Raises ValueError."""
        match action:
            case "edit":
                return self.put(int(body["id"]), body["set"])
            case "add":
                return self.put(None, body["set"])
            case "delete":
                self.version += 1
                self.rows[int(body["id"])] |= {"vervallen": True, "versie": self.version}
                return {}
            case "refuse":
                self.refused.add(body["name"])
                return {}
            case _:
                raise ValueError(f"nobody can {action!r} here; there are edit, add, delete, refuse")

    def contract(self, base_url: str) -> dict[str, Any]:
        """What a client needs to connect."""
        return {"base_url": base_url, "token": TOKEN}

    def snapshot(self) -> Any:
        """The relations, without what only says when."""
        rows = (row for _, row in sorted(self.rows.items()) if not row["vervallen"])
        return [{name: value for name, value in row.items() if name != "versie"} for row in rows]


def _typed(company: SeedCompany) -> dict[str, Any]:
    """A company as somebody typed it."""
    return {
        "naam": company.name[:LONGEST_NAME],
        "kvk": company.kvk if company.in_erp != "vat" else None,
        "btw": company.vat if company.in_erp in {"vat", "both"} else None,
        "adres": {"straat": company.street, "nummer": str(company.number), "plaats": company.city, "land": "NL"},
        "telefoon": company.phone,
        "mail": company.email,
    }


def _json(status: int, body: Any) -> Response:
    return Response(status, {"content-type": "application/json"}, msgspec.json.encode(body))
