"""An office with cabinets: any number of connections, each with any number of listable drawers of companies, on one clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from koppel.engine import flow as engine
from koppel.engine.flow import Options, Result
from koppel.engine.plan import Plan
from koppel.engine.ports import Connection, Ports
from koppel.mapping.flow import Brakes, Endpoint, FieldRule, Flow, Match, RunRules
from koppel.model.can import Can, Field
from koppel.model.company import Company
from koppel.model.record import Record
from koppel.model.values import Cursor
from koppel.store import due, subjects, trail, work
from koppel.store.due import Due
from koppel.store.store import Store, in_memory
from koppel.store.vault import Vault
from koppel.systems.spi import (
    Absent,
    Auth,
    Batch,
    Call,
    Decoded,
    Found,
    Item,
    Landed,
    NotLanded,
    Operation,
    Page,
    Receipt,
    Request,
    Resource,
    Response,
    System,
    Tokens,
    Verdict,
)

FIELDS = ("name", "kvk", "vat_number", "phone", "email", "website", "address", "role")


class Settings(msgspec.Struct, frozen=True):
    """A cabinet."""

    name: str = ""


def _call(site: Any, method: str, drawer: str, query: str = "", body: Any = None, carries: tuple[str, ...] = ()) -> Any:
    url = f"http://{site.settings.name}.example/{drawer}?{query}"
    reply = yield Call(Request(method, url, {}, msgspec.json.encode(body)), carries=carries)
    return msgspec.json.decode(reply.body)


def _item(row: dict[str, Any]) -> Item:
    return Item(row["id"], {k: v for k, v in row.items() if k not in ("id", "v")}, str(row["v"]), float(row["v"]))


def _decode(_site: Any, item: Item) -> Decoded:
    return Decoded(Record(msgspec.convert(item.fields, Company)))


def drawer(name: str, *, create: bool = True, update: bool = True, since: bool = True) -> Resource:
    def pages(site: Any, query: Any) -> Any:
        after = query.cursor.value if query.cursor else "0"
        rows = yield from _call(site, "GET", name, f"after={after}")
        high = max([int(after), *(row["v"] for row in rows)])
        return Page(
            items=tuple(_item(row) for row in rows if not row.get("gone")),
            gone=tuple((name, row["id"]) for row in rows if row.get("gone")),
            cursor=Cursor("version", str(high)),
            complete=query.cursor is None,
        )

    def find(site: Any, kind: str, values: tuple[str, ...]) -> Any:
        rows = yield from _call(site, "GET", name, "after=0")
        word = {"native": "id"}.get(kind, kind)
        there = {v: [_item(r) for r in rows if r.get(word) == v and not r.get("gone")] for v in values}
        return {value: Found(tuple(items)) if items else Absent() for value, items in there.items()}

    def lower(_site: Any, change: Any) -> tuple[Operation, ...]:
        keys = (("kvk", change.values["kvk"]),) if change.kind == "create" and change.values.get("kvk") else ()
        return (Operation(change.op, change.kind, name, change.native, change.values, change.before, keys),)

    def send(site: Any, batch: Batch) -> Any:
        (op,) = batch.operations
        row = yield from _call(site, "POST", name, f"id={op.native or ''}&kind={op.kind}", op.fields, carries=(op.op,))
        return (Receipt(op.op, "done", row["id"], _item(row)),)

    def probe(site: Any, operations: tuple[Operation, ...]) -> Any:
        rows = yield from _call(site, "GET", name, "after=0")
        found = {}
        for op in operations:
            row = next((r for r in rows if r["id"] == op.native or (op.keys and r.get("kvk") == op.keys[0][1])), None)
            found[op.op] = Landed(row["id"], _item(row)) if row else NotLanded()
        return found

    can = Can(
        since=since,
        find=("native", "kvk"),
        create=create,
        update=update,
        archive=True,
        returns_record=True,
        fields=tuple(Field(path=path, kind="address" if path == "address" else "text") for path in FIELDS),
    )  # fmt: skip
    return Resource(
        name=name,
        entity="company",
        can=can,
        pages=pages,
        find=find,
        decode=_decode,
        lower=lower,
        send=send,
        probe=probe,
    )


def _sign(_settings: Any, _tokens: Any, request: Request) -> Request:
    return request


def cabinet(*drawers: Resource) -> System:
    auth = Auth(kind="key", authorize=_sign, due=lambda _t, _at: "fresh", tokens_from=lambda _s: Tokens("key"))
    return System(
        name="cabinet",
        title="Cabinet",
        settings=Settings,
        resources=drawers,
        auth=auth,
        verdict=lambda *_: Verdict("ok"),
    )


class Office:
    """`office.put("crm", "accounts", name=…)`, `office.sync(flow)`, `office.members()`."""

    def __init__(self) -> None:
        self.store: Store = in_memory(Vault(bytes(range(32)), random_bytes=_counted()))
        self.time = 1_790_000_000.0
        self.rows: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self.version = itertools.count(1)
        self.ids = itertools.count(1)
        self.writes: list[tuple[str, str, str, dict[str, Any]]] = []
        self.connections = {
            "register": self._open("register", drawer("companies", create=False, update=False)),
            "crm": self._open("crm", drawer("accounts")),
            "books": self._open("books", drawer("customers"), drawer("suppliers")),
        }
        office = self

        class Wire:
            async def send(self, request: Any, *, timeout: float) -> Any:  # noqa: ASYNC109
                return office._serve(request)

        class Clock:
            def now(self) -> float:
                return office.time

            async def sleep(self, seconds: float) -> None:
                office.time += max(0.0, seconds)

        self.ports = Ports(
            store=self.store, clock=Clock(), transport=Wire(), connections=self.connections, worker="one"
        )

    def _open(self, name: str, *drawers: Resource) -> Connection:
        self.rows |= {(name, one.name): {} for one in drawers}
        return Connection(name=name, system=cabinet(*drawers), settings=Settings(name))

    # --- the vendor's side ---

    def put(self, connection: str, where: str, **values: Any) -> str:
        native = f"{where[:1].upper()}{next(self.ids)}"
        self.rows[connection, where][native] = {**values, "id": native, "v": next(self.version)}
        return native

    def edit(self, connection: str, where: str, native: str, **values: Any) -> None:
        self.rows[connection, where][native] |= {**values, "v": next(self.version)}

    def delete(self, connection: str, where: str, native: str) -> None:
        self.edit(connection, where, native, gone=True)

    def there(self, connection: str, where: str) -> dict[str, dict[str, Any]]:
        return {n: row for n, row in self.rows[connection, where].items() if not row.get("gone")}

    def _serve(self, request: Any) -> Response:
        parts = urlsplit(request.url)
        connection, where = parts.netloc.removesuffix(".example"), parts.path.strip("/")
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        rows = self.rows[connection, where]
        if request.method == "GET":
            shown: Any = [row for row in rows.values() if row["v"] > int(query["after"])]
            return Response(200, {}, msgspec.json.encode(shown))
        values = msgspec.json.decode(request.body)
        self.writes.append((connection, where, query["kind"], values))
        native = query["id"] or self.put(connection, where)
        self.edit(connection, where, native, **values, **({"gone": True} if query["kind"] == "archive" else {}))
        rows[native] = {word: value for word, value in rows[native].items() if value is not None}
        return Response(200, {}, msgspec.json.encode(rows[native]))

    # --- Koppel's side ---

    def flow(self, name: str, left: str, right: str, **given: Any) -> Flow:
        match = Match(**({"keys": ("kvk", "vat")} | given.pop("match", {})))
        fields = tuple(
            FieldRule(path, given.pop("owner", "left")) for path in ("name", "kvk", "phone", "email", "address")
        )
        ends = [Endpoint(*end.split(":")) for end in (left, right)]
        given = {"create_right": True, "run": RunRules(brakes=Brakes(None, None, None)), "digest": name} | given
        return Flow(name, name, "company", ends[0], ends[1], given.pop("fields", fields), match=match, **given)

    def sync(self, *flows: Flow, **options: Any) -> Result:
        self.time += 3600.0
        options = {"actor": "koppel"} | options
        return [asyncio.run(engine.sync_flow(self.ports, flow, Options(**options))) for flow in flows][-1]

    def plan(self, flow: Flow) -> Plan:
        return asyncio.run(engine.plan_flow(self.ports, flow, Options()))

    def stream(self, name: str) -> int:
        return self.store.run(
            lambda db: db.scalar("select id from streams where connection || ':' || resource = :n", n=name)
        )

    def members(self) -> dict[str, set[tuple[str, str]]]:
        """Members by subject, each as (reference, role)."""
        rows = self.store.run(
            lambda db: db.rows(
                "select m.subject, s.connection || ':' || s.resource || ':' || m.native, m.role"
                " from members m join streams s on s.id = m.stream"
            )
        )
        found: dict[str, set[tuple[str, str]]] = {}
        for subject, ref, role in rows:
            found.setdefault(subject, set()).add((ref, role))
        return found

    def together(self) -> set[frozenset[str]]:
        """Which records belong together, whatever their subject is called."""
        return {frozenset(ref for ref, _ in members) for members in self.members().values()}

    def asks(self) -> list[work.Item]:
        return self.store.run(work.listed, "ask")

    def answer(self, value: Any, *, which: int = 0) -> None:
        item = self.asks()[which]
        self.store.run(work.answer, item.id, value, by="mieke", at=self.time)
        self.store.run(due.add, item.flow, [Due(item.side, item.native, "asked")], at=self.time)

    def trail(self, kind: str | None = None) -> list[trail.Recorded]:
        entries = self.store.run(trail.read, limit=100_000)
        return [entry for entry in entries if kind is None or entry.kind == kind]

    def role(self, stream: str, native: str) -> str:
        return self.store.run(subjects.of_records, self.stream(stream), [native])[native].role

    def sound(self) -> bool:
        assert self.store.run(trail.verify) is None
        return True


def _counted() -> Callable[[int], bytes]:
    numbers = itertools.count(1)
    return lambda count: next(numbers).to_bytes(count, "big")


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.store.close()


@pytest.fixture(scope="session")
def new_office() -> type[Office]:
    return Office
