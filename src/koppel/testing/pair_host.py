"""The two made-up systems on a real socket, for processes that are really killed: *Ledger* writes one record a call and takes two
calls for a create, *Till* takes batches. One virtual clock for all, which every answer tells.

A moment can be armed: when the next write passes it, whoever waits is called, as only the vendor can: the request has arrived
and nothing is done; part of a batch is done; all is done and no answer was sent.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

import msgspec

from koppel.engine.following import FollowingClock
from koppel.engine.ports import Connection, NotSent
from koppel.engine.send import HttpTransport
from koppel.model.values import Json
from koppel.systems.spi import Change, NoReply, Operation, Request, Response, Site, System
from koppel.testing import toys
from koppel.testing.toy_servers import LedgerServer, Row, Server, TillServer
from koppel.testing.worlds import START

ARRIVED, PART, TAKEN = "vendor: write arrived", "vendor: part of a batch done", "vendor: write done, no reply"
MOMENTS = (ARRIVED, PART, TAKEN)
KEY, SECRET = "till-key-000777", "ledger-secret-9"
CLOCK = "x-clock"
SECOND_CALL = frozenset(
    {"address", "sbi", "employees", "do_not_mail"}
)  # what a new Ledger record gets in a second call


class PairHost:
    """Both servers behind one socket. `swallow` counts replies that are still to be lost."""

    def __init__(self, seed: int) -> None:
        self.time = START
        self.lock = threading.Lock()
        lags = Random(f"lag:{seed}")  # noqa: S311 - a campaign that can be run again
        self.ledger = LedgerServer(now=lambda: self.time)
        self.till = TillServer(now=lambda: self.time, apikey=KEY, lag=lambda: lags.choice((0.0, 2.0, toys.TILL_LAG)))
        self.moment: str | None = None
        self.strike: Callable[[], None] = lambda: None
        self.swallow = 0

    @property
    def servers(self) -> tuple[Server, Server]:
        """Ledger and Till."""
        return self.ledger, self.till

    def handle(self, system: str, request: Request) -> Response | NoReply:
        """Answer one request, unless somebody is killed meanwhile."""
        server = self.ledger if system == "ledger" else self.till
        if request.method == "GET" or request.url.endswith("/token"):
            return server.handle(request)
        moment, batch = self.moment, request.url.endswith("/batch")
        if moment is None or (moment == PART and not batch):
            reply = server.handle(request)
            if self.swallow and reply.status == 200:
                self.swallow -= 1
                return NoReply("lost on the way back")
            return reply
        if moment == PART:
            lines: list[Json] = msgspec.json.decode(request.body)
            if len(lines) < 2:
                return server.handle(request)
            server.handle(msgspec.structs.replace(request, body=msgspec.json.encode(lines[: len(lines) // 2])))
        elif moment == TAKEN:
            server.handle(request)
        self.moment = None
        self.strike()
        return NoReply(moment)


@contextmanager
def serving(host: PairHost) -> Generator[str, None, None]:
    """Serve it on loopback while the block runs; gives the base address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Nobody reads it."""

        def _answer(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(size)
            if len(body) < size:  # who was sending it is dead
                self.close_connection = True
                return
            with host.lock:
                reply = self._reply(body)
            if isinstance(reply, NoReply):
                self.close_connection = True
                return
            try:
                self.send_response(reply.status)
                for name, value in {**reply.headers, CLOCK: repr(host.time)}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
            except OSError:  # nobody lives there any more
                self.close_connection = True

        def _reply(self, body: bytes) -> Response | NoReply:
            if self.path == "/clock":
                if self.command == "POST":
                    host.time += float(msgspec.json.decode(body)["advance"])
                return Response(200, {}, msgspec.json.encode({"now": host.time}))
            system, _, path = self.path[1:].partition("/")
            base = toys.LEDGER if system == "ledger" else toys.TILL
            given = {name.title(): value for name, value in self.headers.items()}
            return host.handle(system, Request(self.command, f"{base}/{path}", given, body))

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the library's names

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that was killed is no news; anything else is a mistake of ours."""
            if not isinstance(sys.exception(), OSError):
                super().handle_error(request, client_address)

    server = Quiet(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class PairTransport:
    """HTTP to a served pair: its addresses put in place of the made-up ones; every answer sets the clock."""

    def __init__(self, base: str) -> None:
        self._inner, self._base = HttpTransport(), base
        self.clock = FollowingClock(f"{base}/clock", self._inner)

    async def send(self, request: Request, *, timeout: float) -> Response | NoReply | NotSent:  # noqa: ASYNC109 - handed on
        """Send once."""
        url = request.url.replace(toys.LEDGER, f"{self._base}/ledger").replace(toys.TILL, f"{self._base}/till")
        reply = await self._inner.send(msgspec.structs.replace(request, url=url), timeout=timeout)
        if isinstance(reply, Response) and CLOCK in reply.headers:
            self.clock.told(float(reply.headers[CLOCK]))
        return reply

    async def close(self) -> None:
        """Let go of the connections."""
        await self._inner.close()


def _two_calls(site: Site, change: Change) -> tuple[Operation, ...]:
    """A create in two calls, the second of which needs the id the first one made."""
    resource = toys.LEDGER_SYSTEM.resource("customers")
    later = {path: value for path, value in change.values.items() if path in SECOND_CALL}
    if change.kind != "create" or not later:
        return resource.lower(site, change)
    now = {path: value for path, value in change.values.items() if path not in SECOND_CALL}
    (first,) = resource.lower(site, msgspec.structs.replace(change, values=now))
    (second,) = resource.lower(site, msgspec.structs.replace(change, op=f"{change.op}.2", kind="update", values=later))
    return (
        msgspec.structs.replace(first, covers=tuple(now)),
        msgspec.structs.replace(second, needs=(first.op,), keys=(), before={}, covers=tuple(later)),
    )


def _ledger() -> System:
    resources = tuple(replace(r, lower=_two_calls) for r in toys.LEDGER_SYSTEM.resources)
    return replace(toys.LEDGER_SYSTEM, resources=resources)


def connections() -> Mapping[str, Connection]:
    """Ledger on the left, Till on the right."""
    return {
        "left": Connection(name="left", system=_ledger(), settings=toys.LedgerSettings(SECRET)),
        "right": Connection(name="right", system=toys.TILL_SYSTEM, settings=toys.TillSettings(KEY)),
    }


def row_of(random: Random, number: int) -> Row:
    """A made-up company as both systems write it."""
    row: Row = {
        "nr": f"42{number:06}", "title": f"Bedrijf {number:04}", "tel": f"020555{number:04}", "mail": f"info{number}@firm.example",
        "brand": f"Merk {number:04}", "legal": f"Bedrijf {number:04} Beheer en Vastgoed", "form": random.choice(("BV", "NV")),
        "place": {"street": "Dorpsstraat", "number": str(number % 99 + 1), "city": "Zwolle"}, "codes": [{"code": str(random.randint(10000, 10009))}],
        "staff": random.randint(1, 500), "nomail": random.random() < 0.5, "web": f"www.bedrijf{number}.example",
    }  # fmt: skip
    return row
