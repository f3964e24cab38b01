"""The sandboxes on a loopback port: a thin ASGI application over the host, and uvicorn to serve it.

A reply that a fault swallowed is a connection that closes without a byte; a truncated one stops half way its announced
length. Only 127.0.0.1 is served: made-up keys are no protection.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from koppel.model.problem import SetupError
from koppel.sandbox.courier import delivering
from koppel.sandbox.host import SandboxHost
from koppel.systems.spi import NoReply, Request, Response

LOOPBACK = "127.0.0.1"
_CLOSE = "koppel.close_connection"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class LostConnection(ConnectionResetError):
    """A fault swallowed the reply and there is no socket to close (a client in the same process)."""


def asgi(host: SandboxHost) -> Asgi:
    """Wrap a host as an ASGI application. Where no socket can be closed, a swallowed reply raises LostConnection."""

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _whole_body(receive)
        answer = host.answer(_request(scope, body))
        if answer.wait:
            await asyncio.sleep(answer.wait)
        if isinstance(answer.reply, NoReply):
            await _break_off(scope, receive)
            return
        await _deliver(answer.reply, send, missing=len(answer.reply.body) if answer.cut else 0)
        if answer.cut:
            await _break_off(scope, receive)

    return app


async def _whole_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body


def _request(scope: MutableMapping[str, Any], body: bytes) -> Request:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    authority = headers.get("host") or ":".join(map(str, scope.get("server") or (LOOPBACK,)))
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    query = scope.get("query_string", b"").decode("latin-1")
    url = f"{scope.get('scheme', 'http')}://{authority}{path}" + (f"?{query}" if query else "")
    return Request(scope["method"], url, headers, body)


async def _deliver(response: Response, send: Send, *, missing: int) -> None:
    """Send the response; with `missing` > 0 more length is announced than follows."""
    kept = [
        (name, value)
        for name, value in response.headers.items()
        if name.lower() not in {"content-length", "transfer-encoding"}
    ]
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept]
    if response.status != 204:
        headers.append((b"content-length", str(len(response.body) + missing).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": missing > 0})


async def _break_off(scope: MutableMapping[str, Any], receive: Receive) -> None:
    """Close the client's connection and wait until it is gone, so that nobody tries to answer on it."""
    close = scope.get(_CLOSE)
    if close is None:
        raise LostConnection("a fault swallowed the reply")
    close()
    while (await receive())["type"] != "http.disconnect":
        pass


class _Breakable(H11Protocol):
    """uvicorn's HTTP protocol, telling the application how to close the connection it speaks on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope[_CLOSE] = self.transport.close
            await inner(scope, receive, send)

        self.app = app


class _Server(uvicorn.Server):
    """uvicorn's server that says when it listens and leaves quietly on SIGINT and SIGTERM."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], object]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn's own version raises the signal again afterwards: the caller would die instead of going on
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(host: SandboxHost, port: int = 0, ready: Callable[[str], object] | None = None) -> None:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM; port 0 takes a free one; `ready(base_url)` is called once it listens.

    Raises SetupError when the port is taken.
    """
    with _listening(port) as listener:
        base_url = _url(listener)
        server = _server(host, announce=lambda: ready(base_url) if ready else None)
        with delivering(host):
            server.run(sockets=[listener])


@contextmanager
def running(host: SandboxHost) -> Generator[str, None, None]:
    """Serve from a background thread on a free loopback port while the block runs; gives the base URL."""
    up = threading.Event()
    with _listening(0) as listener:
        server = _server(host, announce=up.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="koppel-sandbox", daemon=True)
        thread.start()
        try:
            while not up.wait(0.05):
                if not thread.is_alive():
                    raise SetupError("The sandbox server did not start.")
            with delivering(host):
                yield _url(listener)
        finally:
            server.should_exit = True
            thread.join()


def _server(host: SandboxHost, *, announce: Callable[[], object]) -> _Server:
    config = uvicorn.Config(
        asgi(host),
        http=_Breakable,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # the real date would contradict the sandbox's clock
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    return _Server(config, announce)


@contextmanager
def _listening(port: int) -> Generator[socket.socket, None, None]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError as error:
            raise SetupError(
                f"Port {port} is taken.", remedy="Choose another with --port, or 0 for a free one."
            ) from error
        yield listener


def _url(listener: socket.socket) -> str:
    return f"http://{LOOPBACK}:{listener.getsockname()[1]}"
