"""What the imitated vendors send by themselves, webhooks first of all, carried to receivers on this machine.

Only loopback is served: made-up vendors have no business with anybody else. An address elsewhere counts as not answering.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from koppel.engine.send import HttpTransport
from koppel.sandbox.host import SandboxHost
from koppel.systems.sandbox_spi import Calling
from koppel.systems.spi import Request, Response

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LOOK_EVERY = 0.2
_TIMEOUT = 10.0


async def deliver(host: SandboxHost, transport: HttpTransport) -> int:
    """Send what is due, one after the other, and tell the vendors the answers. Gives how many were sent."""
    due = host.outgoing()
    for system, call in due:
        host.answered(system, call.number, await _status(transport, call.request))
    return len(due)


async def _status(transport: HttpTransport, request: Request) -> int | None:
    if urlsplit(request.url).hostname not in LOOPBACK:
        return None
    reply = await transport.send(request, timeout=_TIMEOUT)
    return reply.status if isinstance(reply, Response) else None


@contextmanager
def delivering(host: SandboxHost) -> Generator[None, None, None]:
    """Deliver from a background thread while the block runs."""
    if not any(isinstance(sandbox, Calling) for sandbox in host.sandboxes.values()):
        yield
        return
    over = threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_rounds(host, over)), name="koppel-sandbox-courier", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


async def _rounds(host: SandboxHost, over: threading.Event) -> None:
    transport = HttpTransport()
    try:
        while not await asyncio.to_thread(over.wait, _LOOK_EVERY):
            await deliver(host, transport)
    finally:
        await transport.close()
