"""A clock that follows a sandbox's: waiting moves the sandbox's time on, so that a minute's quota passes at once and faithfully."""

from __future__ import annotations

import msgspec

from koppel.engine.ports import Transport
from koppel.model.problem import SetupError
from koppel.systems.spi import Request, Response


class FollowingClock:
    """Follows `http://127.0.0.1:…/_sandbox/clock`. `now` is what the sandbox last said."""

    def __init__(self, url: str, transport: Transport) -> None:
        self._url, self._transport, self._now = url, transport, 0.0

    def now(self) -> float:
        """Epoch seconds of the sandbox."""
        return self._now

    def told(self, now: float) -> None:
        """Somebody who knows said what time it is there: a clock that others move as well never runs back."""
        self._now = max(self._now, now)

    async def look(self) -> None:
        """Read the sandbox's clock. Raises SetupError when it does not answer."""
        self._now = _read(await self._transport.send(Request("GET", self._url), timeout=10.0), self._url)

    async def sleep(self, seconds: float) -> None:
        """Move the sandbox's clock on."""
        body = msgspec.json.encode({"advance": max(0.0, seconds)})
        reply = await self._transport.send(
            Request("POST", self._url, {"Content-Type": "application/json"}, body), timeout=30.0
        )
        self._now = _read(reply, self._url)


def _read(reply: object, url: str) -> float:
    if not isinstance(reply, Response) or reply.status != 200:
        raise SetupError(f"The sandbox's clock at {url} does not answer.", remedy="Start it: koppel sandbox up")
    return float(msgspec.json.decode(reply.body)["now"])
