"""The imitated Exact on a real socket, where every token call is written down, and at whose door somebody can be killed.

Nothing here looks into the imitation: what a token is worth is read off the answers, as a vendor's own log would tell it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import msgspec

from koppel.model.values import Json
from koppel.sandbox.host import SandboxHost, build
from koppel.systems.spi import NoReply, Reply, Request, Response
from koppel.testing.token_child import PROCESS

ARRIVED, TAKEN = "vendor: refresh arrived, killed", "vendor: refresh done, killed"
REQUEST_LOST, REPLY_LOST = "vendor: request lost", "vendor: reply lost"
AT_THE_DOOR = (ARRIVED, TAKEN, REQUEST_LOST, REPLY_LOST)


class Refresh(msgspec.Struct, frozen=True):
    """One refresh as the vendor saw it. `pid`: who asked; `new`: what the token was exchanged for; `lost`: nobody got the answer."""

    pid: int
    token: str
    status: int
    said: str = ""
    new: str = ""
    lost: str = ""


class TokenHost:
    """The vendor. `moment` is what befalls the next refresh."""

    def __init__(self, seed: int) -> None:
        self.sandbox: SandboxHost = build(seed=seed, companies=4, names=("exact",))
        self.lock = threading.Lock()
        self.moment = ""
        self.refreshes: list[Refresh] = []
        self.current = ""  # the refresh token that counts
        self.struck: set[int] = set()
        self.unauthorised = self.over = 0

    def answer(self, request: Request) -> Reply:
        """Answer one request, unless it or somebody is lost on the way."""
        if not request.url.partition("?")[0].endswith("/oauth2/token"):
            reply = self.sandbox.handle(request)
            self.unauthorised += isinstance(reply, Response) and reply.status == 401
            return reply
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        pid = int(request.headers.get(PROCESS.title(), "0"))
        refreshing = form.get("grant_type") == "refresh_token"
        moment = self.moment if refreshing else ""
        if moment:
            self.moment = ""
        if moment in (ARRIVED, REQUEST_LOST):
            if moment == ARRIVED:
                self._strike(pid)
            return NoReply(moment)
        reply = self.sandbox.handle(request)
        assert isinstance(reply, Response)
        said: dict[str, Json] = msgspec.json.decode(reply.body) if reply.body else {}
        self.over += reply.status == 429
        new = str(said.get("refresh_token", ""))
        if new:
            self.current = new
        if refreshing:
            told = str(said.get("error_description", ""))
            self.refreshes.append(Refresh(pid, form["refresh_token"], reply.status, told, new, moment))
        if moment == TAKEN:
            self._strike(pid)
        return NoReply(moment) if moment else reply

    def _strike(self, pid: int) -> None:
        """Kill who is asking: by the number it gave, which is a worker's of ours."""
        self.struck.add(pid)
        os.kill(pid, signal.SIGKILL)

    def new_code(self) -> str:
        """What a person brings back from the sign-in page."""
        with self.lock:
            return str(self.sandbox.control("exact", "authorization_code", {})["code"])


@contextmanager
def serving(host: TokenHost) -> Generator[str, None, None]:
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
            given = {name.title(): value for name, value in self.headers.items()}
            url = f"http://{self.headers['host']}{self.path}"
            with host.lock:
                reply = host.answer(Request(self.command, url, given, body))
            if isinstance(reply, NoReply):
                self.close_connection = True
                return
            try:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
            except OSError:  # nobody lives there any more
                self.close_connection = True

        do_GET = do_POST = _answer  # noqa: N815 - the library's names

    class Quiet(ThreadingHTTPServer):
        request_queue_size = 64

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
