"""Telling people at once when a run failed or a sign-in died: a command of theirs, or a webhook.

The command gets the alert as JSON on standard input; the webhook gets it as a POST. An alert that cannot be delivered is said
on the spot and never changes the outcome of the run.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable

import msgspec

from koppel.engine.ports import NotSent, Transport
from koppel.store import notes
from koppel.store.sql import Db
from koppel.systems.spi import NoReply, Request

TIMEOUT = 20.0


class Alert(msgspec.Struct, frozen=True):
    """What happened. `kind` = sign_in | failed | stopped | recovered; never holds a secret or a record's values."""

    kind: str
    workspace: str
    flow: str
    message: str
    remedy: str
    at: float


def news(db: Db, alert: Alert, about: str) -> bool:
    """Whether people have not been told this already: the same trouble is told once, however many runs and flows meet it.

    `about` is what is in trouble: a login, or a flow.
    """
    if notes.get(db, f"alert {about}") == alert.kind:
        return False
    notes.put(db, f"alert {about}", alert.kind)
    return True


def over(db: Db, abouts: Iterable[str]) -> list[str]:
    """What of these was in trouble and is not any more; told once."""
    return [about for about in abouts if notes.drop(db, f"alert {about}") is not None]


async def deliver(target: str, alert: Alert, transport: Transport) -> str | None:
    """Deliver; returns None, or in words why it could not be delivered."""
    body = msgspec.json.encode(alert)
    if target.startswith(("http://", "https://")):
        reply = await transport.send(
            Request("POST", target, {"Content-Type": "application/json"}, body), timeout=TIMEOUT
        )
        if isinstance(reply, (NoReply, NotSent)):
            return f"{target} does not answer ({reply.reason})"
        return None if reply.status < 300 else f"{target} answered {reply.status}"
    try:
        process = await asyncio.create_subprocess_exec(
            *shlex.split(target),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await asyncio.wait_for(process.communicate(body), TIMEOUT)
    except (OSError, ValueError, TimeoutError) as error:
        return f"{target}: {error or 'took too long'}"
    return (
        None
        if process.returncode == 0
        else f"{target} ended with {process.returncode}: {errors.decode(errors='replace').strip()[:200]}"
    )
