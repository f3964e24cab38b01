"""The servers of the two made-up systems, in memory, and the people who work in them.

They keep what an oracle needs besides: who wrote which value when, what was shown to whom, which references were made twice.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from koppel.model.values import Json
from koppel.systems.spi import Request, Response

Row = dict[str, Json]


class Edit(msgspec.Struct, frozen=True):
    """A value a person typed: where, when, and what the system made of it."""

    system: str
    native: str
    word: str
    value: Json
    at: float


class Written(msgspec.Struct, frozen=True):
    """A value that came over the API, and what stood there before; `seen`: whether that had ever been shown outside."""

    system: str
    native: str
    word: str
    value: Json
    over: Json
    at: float
    ref: str
    seen: bool


@dataclass(kw_only=True)
class Server:
    """What both servers share: rows, people, and the book an oracle reads."""

    name: str
    now: Callable[[], float]
    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    typed: list[Edit] = field(default_factory=list[Edit])
    written: list[Written] = field(default_factory=list[Written])
    created: list[tuple[str, Json, str]] = field(default_factory=list[tuple[str, Json, str]])  # ref, number, native
    shown: dict[tuple[str, str, str], float] = field(default_factory=dict[tuple[str, str, str], float])
    buried: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    deaf: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    over_budget: int = 0
    redundant: int = 0
    writes: int = 0
    _ids: Any = None

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)

    # --- people ---

    def add(self, values: Row) -> str:
        """A person makes a record."""
        native = self._make(dict(values), ref="")
        for word, value in values.items():
            self.typed.append(Edit(self.name, native, word, self.rows[native].get(word, value), self.now()))
        return native

    def edit(self, native: str, values: Row) -> None:
        """A person changes a record."""
        self._change(native, dict(values))
        for word in values:
            self.typed.append(Edit(self.name, native, word, self.rows[native].get(word), self.now()))

    def delete(self, native: str) -> None:
        """A person deletes a record."""
        del self.rows[native]
        self.buried.append((self.now(), native))
        self._touch(native)

    # --- the API's writes ---

    def write(self, ref: str, native: str | None, fields: Row, *, archive: bool = False) -> str:
        """A write over the API; returns the record's id."""
        self.writes += 1
        if native is None:
            native = self._make(dict(fields), ref=ref)
            self.created.append((ref, fields.get("nr"), native))
            return native
        row = self.rows[native]
        fields = {word: value for word, value in fields.items() if (native, word) not in self.deaf}
        kept = {word: self.form(word, value) for word, value in fields.items()}
        if archive:
            kept["archived"] = True
        if all(row.get(word) == value for word, value in kept.items()):
            self.redundant += 1
        for word, value in kept.items():
            if row.get(word) != value:
                seen = (native, word, repr(row.get(word))) in self.shown
                self.written.append(Written(self.name, native, word, value, row.get(word), self.now(), ref, seen))
        self._change(native, fields | ({"archived": True} if archive else {}))
        return native

    def form(self, word: str, value: Json) -> Json:
        """How this system keeps a value."""
        _ = word
        return value

    def _make(self, values: Row, *, ref: str) -> str:
        native = str(next(self._ids))
        kept = {word: self.form(word, value) for word, value in values.items() if value is not None}
        self.rows[native] = {**kept, "id": native, "ref": ref}
        self._touch(native)
        return native

    def _change(self, native: str, values: Row) -> None:
        row = self.rows[native]
        for word, value in values.items():
            if value is None:
                row.pop(word, None)
            else:
                row[word] = self.form(word, value)
        self._touch(native)

    def _touch(self, native: str) -> None:
        raise NotImplementedError

    def show(self, rows: list[Row]) -> list[Row]:
        """What leaves the house; `delivered` notes when it was first seen outside."""
        return rows

    def delivered(self, body: bytes) -> None:
        """An answer arrived: what it shows has been seen."""
        try:
            answer = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return
        rows = answer.get("rows", [answer]) if isinstance(answer, dict) else []
        for row in rows:
            for word, value in row.items():
                self.shown.setdefault((str(row.get("id")), word, repr(value)), self.now())

    def refuses(self, fields: Row) -> str | None:
        """Why this is not taken, in the vendor's words."""
        if any(isinstance(value, str) and value.startswith("nee:") for value in fields.values()):
            return "ongeldige waarde"
        return None

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        raise NotImplementedError


def _json(body: Json, status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, msgspec.json.encode(body))


@dataclass(kw_only=True)
class LedgerServer(Server):
    """Row versions, references, preconditions, rotating tokens."""

    name: str = "ledger"
    version: int = 0
    epoch: int = 1
    versions: dict[str, int] = field(default_factory=dict[str, int])
    stamps: dict[str, float] = field(default_factory=dict[str, float])
    graves: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    access: str = ""
    refresh: str = ""
    granted: float = 0.0
    tokens_made: int = 0
    codes: set[str] = field(default_factory=set[str])
    token_misuse: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    rotated: dict[str, tuple[float, str]] = field(default_factory=dict[str, tuple[float, str]])
    early: int = 0
    page: int = 5

    def _touch(self, native: str) -> None:
        self.version += 1
        if native in self.rows:
            self.versions[native] = self.version
            self.stamps[native] = self.now()
        else:
            self.versions.pop(native, None)
            self.graves.append((self.version, native))

    def renumber(self) -> None:
        """The account is moved to another database: every version is new, and starts low."""
        self.epoch += 1
        self.version = 0
        self.graves = []
        for native in self.rows:
            self.version += 1
            self.versions[native] = self.version

    def new_code(self) -> str:
        """A person signs in and gets a code."""
        code = f"code-{len(self.codes) + 1}-{self.tokens_made}"
        self.codes.add(code)
        return code

    def _row(self, native: str) -> Row:
        return {**self.rows[native], "v": self.versions[native], "at": self.stamps.get(native, 0.0)}

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        parts = urlsplit(request.url)
        if parts.path == "/token":
            return self._token(msgspec.json.decode(request.body))
        if request.headers.get("Authorization") != f"Bearer {self.access}" or self.now() - self.granted > 600:
            return Response(401)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if request.method == "GET":
            return self._listed(query)
        body = msgspec.json.decode(request.body)
        refused = self.refuses(body["fields"])
        native = parts.path.removeprefix("/rows").strip("/") or None
        if native is not None and native not in self.rows:
            return Response(404)
        expect = request.headers.get("If-Match")
        if native is not None and expect and expect != str(self.versions[native]):
            return Response(412)
        if refused:
            return _json({"error": refused}, 422)
        return _json(self._row(self.write(body["ref"], native, body["fields"], archive=body["archive"])))

    def _listed(self, query: dict[str, str]) -> Response:
        for word in ("id", "nr", "ref"):
            if word in query:
                wanted = query[word].split(",")
                return _json({"rows": [self._row(n) for n, row in self.rows.items() if str(row.get(word)) in wanted]})
        after = int(query["after"])
        changes = sorted(
            [(v, n) for n, v in self.versions.items() if v > after] + [g for g in self.graves if g[0] > after]
        )
        page = changes[: self.page]
        rows = [self._row(n) for v, n in page if self.versions.get(n) == v]
        gone = [n for v, n in page if self.versions.get(n) != v]
        return _json(
            {
                "rows": rows,
                "gone": gone,
                "high": page[-1][0] if page else after,
                "more": len(changes) > len(page),
                "epoch": str(self.epoch),
            }
        )

    def _token(self, form: dict[str, str]) -> Response:
        if "code" in form:
            if form["code"] not in self.codes:
                return Response(400)
            self.codes.discard(form["code"])
        elif form.get("refresh") != self.refresh:
            self.token_misuse.append((self.now(), form.get("refresh", "")))
            return Response(400)
        elif self.now() - self.granted < 565:
            self.early += 1
            return Response(400)
        self.tokens_made += 1
        before = self.refresh
        self.access, self.refresh = (
            f"{self.name}-access-{self.tokens_made:05}",
            f"{self.name}-refresh-{self.tokens_made:05}",
        )
        self.granted = self.now()
        self.rotated[before] = (self.now(), self.refresh)
        return _json({"access": self.access, "refresh": self.refresh})


@dataclass(kw_only=True)
class TillServer(Server):
    """Stamps that show up late, batches, a field that is cut and one that is re-spelled."""

    name: str = "till"
    apikey: str = ""
    lag: Callable[[], float] = lambda: 0.0
    history: dict[str, list[tuple[float, float, Row | None]]] = field(
        default_factory=dict[str, list[tuple[float, float, Row | None]]]
    )
    minutes: Counter[int] = field(default_factory=Counter[int])
    allowance: int = 7
    page: int = 8

    def form(self, word: str, value: Json) -> Json:
        """Cut at 20 characters; in capitals."""
        if word == "legal" and isinstance(value, str):
            return value[:20]
        if word == "brand" and isinstance(value, str):
            return value.upper()
        return value

    def _touch(self, native: str) -> None:
        past = self.history.setdefault(native, [])
        at = max(self.now() + self.lag(), past[-1][0] if past else 0.0)
        row = self.rows.get(native)
        past.append((at, self.now(), dict(row) if row is not None else None))

    def visible(self, native: str) -> tuple[float, Row | None] | None:
        """What can be seen of a record now: its stamp and values."""
        seen = [entry for entry in self.history.get(native, ()) if entry[0] <= self.now()]
        return (seen[-1][1], seen[-1][2]) if seen else None

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        minute = int(self.now() // 60)
        self.minutes[minute] += 1
        if self.minutes[minute] > self.allowance:
            self.over_budget += 1
            return Response(429, {"retry-after": "60"})
        if request.headers.get("Key") != self.apikey:
            return Response(401)
        parts = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if parts.path == "/batch":
            return self._batch(msgspec.json.decode(request.body))
        if parts.path == "/graves":
            since = float(query["since"])
            gone = [
                n
                for n, past in self.history.items()
                for at, stamp, row in past
                if row is None and at <= self.now() and stamp >= since
            ]
            return _json({"gone": gone})
        seen = {n: v for n in self.history if (v := self.visible(n)) is not None and v[1] is not None}
        if parts.path == "/find":
            word, wanted = next(iter(query.items()))
            found = [
                {**row, "stamp": stamp}
                for stamp, row in seen.values()
                if row is not None and str(row.get(word)) in wanted.split(",")
            ]
            return _json({"rows": found})
        since, after = float(query["since"]), query["after"]
        order = sorted((stamp, n) for n, (stamp, _) in seen.items() if (stamp, n) > (since, after))
        page = order[: self.page]
        rows = [{**(seen[n][1] or {}), "stamp": stamp} for stamp, n in page]
        return _json({"rows": rows, "next": page[-1] if len(order) > len(page) else None})

    def _batch(self, lines: list[dict[str, Json]]) -> Response:
        outcomes: list[dict[str, Json]] = []
        for line in reversed(lines):
            native = line["id"]
            refused = self.refuses(line["fields"])
            if native is not None and native not in self.rows:
                outcomes.append({"n": line["n"], "id": native, "error": "gone"})
            elif refused:
                outcomes.append({"n": line["n"], "error": refused})
            else:
                made = self.write(line["n"], native, line["fields"], archive=line["archive"])
                outcomes.append({"n": line["n"], "id": made})
        return _json(outcomes)
