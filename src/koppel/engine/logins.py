"""Logins: tokens are refreshed by one worker at a time, stored durably before they are used, inside the vendor's window (law 9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from koppel.engine import leasing
from koppel.engine.ports import Connection, Ports
from koppel.model.problem import RetryLater, SignInNeeded
from koppel.store import notes, secrets
from koppel.systems.spi import Call, Dead, Exchange, NoReply, Refreshed, Response, Tokens

T = TypeVar("T")
PAUSE = 3600.0  # seconds a refused key is left in peace
LEASE_SECONDS = 120.0


class Logins:
    """Hands out tokens. `bare` sends one unsigned call."""

    def __init__(self, ports: Ports, bare: Callable[[Connection, Call], Awaitable[Response | NoReply]]) -> None:
        self.ports = ports
        self._bare = bare
        self._asked: set[str] = set()
        self._on_spare: dict[str, bool] = {}

    async def tokens(self, connection: Connection) -> Tokens:
        """Tokens that may be used now; refreshed first when due. Raises SignInNeeded."""
        auth = connection.system.auth
        key = auth.tokens_from(connection.settings) if auth.tokens_from else None
        if key is not None:
            key = await self._key_in_use(connection, key)
            await self._not_refused(connection, key)
            return key
        stored = await self._stored(connection)
        if auth.due(stored, self.ports.clock.now()) != "fresh":
            return await self._refresh(connection, stored)
        return stored

    async def refused(self, connection: Connection, tokens: Tokens) -> None:
        """The vendor does not accept this key: it is left in peace for an hour, whatever runs, or until another key is given."""
        note = {"key": self._digest(tokens), "at": self.ports.clock.now()}
        await self.ports.store.tx(notes.put, f"refused {connection.login}", note)

    async def _not_refused(self, connection: Connection, tokens: Tokens) -> None:
        """Raise SignInNeeded without a call while the key is known to be dead; asked once a pass."""
        if connection.login in self._asked:
            return
        note = await self.ports.store.tx(notes.get, f"refused {connection.login}")
        if note and note["key"] == self._digest(tokens) and self.ports.clock.now() < note["at"] + PAUSE:
            text = f"{connection.name}: the key was refused; the connection is paused and the vendor is not asked again for an hour."
            raise SignInNeeded(text, login=connection.login, remedy=self.remedy(connection))
        if note:
            await self.ports.store.tx(notes.drop, f"refused {connection.login}")
        self._asked.add(connection.login)

    async def _key_in_use(self, connection: Connection, key: Tokens) -> Tokens:
        """The key; or its spare, once the key was refused and until another one stands in its place."""
        spare, login = _spare(connection, key), connection.login
        if spare is None:
            return key
        if login not in self._on_spare:
            store = self.ports.store
            left, refused = await store.tx(notes.get, f"spare {login}"), await store.tx(notes.get, f"refused {login}")
            rested = bool(refused) and self.ports.clock.now() >= refused["at"] + PAUSE
            if left and rested:  # both were refused, and the hour is over: the first one may be good again
                await store.tx(notes.drop, f"spare {login}")
                left = None
            self._on_spare[login] = bool(left) and left["key"] == self._digest(key)
            if refused and not rested and refused["key"] == self._digest(key):  # the spare came after the refusal
                await self._take_spare(connection, key)
        return spare if self._on_spare[login] else key

    async def _take_spare(self, connection: Connection, key: Tokens) -> None:
        if self._on_spare.get(connection.login):
            return
        self._on_spare[connection.login] = True
        note = {"key": self._digest(key), "at": self.ports.clock.now()}
        await self.ports.store.tx(notes.put, f"spare {connection.login}", note)
        self.ports.tell(f"{connection.name}: the key is refused; from now on the next one is used.")

    def _digest(self, tokens: Tokens) -> str:
        return self.ports.store.vault.digest(tokens.access.encode())

    async def renew(self, connection: Connection, used: Tokens) -> bool:
        """The vendor does not accept `used`: take a pair somebody else stored meanwhile, or refresh. False when there is no way."""
        auth = connection.system.auth
        key = auth.tokens_from(connection.settings) if auth.tokens_from else None
        if key is not None:  # a key is what it is, unless there is a spare
            if used.access != key.access or _spare(connection, key) is None:
                return False
            await self._take_spare(connection, key)
            return True
        if auth.refresh is None:
            return False
        stored = await self._stored(connection)
        if stored.access == used.access:
            renewed = await self._refresh(connection, stored, forced=True)
            return renewed.access != used.access
        return True

    async def redeem(self, connection: Connection, code: str) -> None:
        """Turn a pasted authorization code into a stored token pair. Raises SignInNeeded when the vendor refuses it."""
        redeem = connection.system.auth.redeem
        assert redeem is not None
        outcome = await self.unsigned(connection, redeem(connection.settings, code, self.ports.clock.now()))
        if not isinstance(outcome, Refreshed):
            reason = outcome.reason if isinstance(outcome, Dead) else "the vendor gave no tokens"
            raise SignInNeeded(
                f"{connection.name}: the code is not accepted: {reason}",
                login=connection.login,
                remedy="Open the sign-in link again and paste the new code within three minutes.",
            )
        await self.keep(connection, outcome.tokens)

    async def keep(self, connection: Connection, tokens: Tokens) -> None:
        """Store a pair durably: before anybody uses it."""
        await self.ports.store.durable(
            secrets.put, _name(connection), msgspec.to_builtins(tokens), at=self.ports.clock.now()
        )

    def remedy(self, connection: Connection) -> str:
        """What a person must do when the login is dead."""
        if connection.system.auth.kind == "key":
            return f"Check the key with `koppel connect {connection.name}`."
        return f"Sign in again with `koppel connect {connection.name}`."

    async def _stored(self, connection: Connection) -> Tokens:
        found = await self.ports.store.tx(secrets.get, _name(connection))
        if found is None and connection.system.auth.unattended:
            return Tokens("")  # `due` for a refresh, which needs no person
        if found is None:
            raise SignInNeeded(
                f"{connection.name} is not signed in.", login=connection.login, remedy=self.remedy(connection)
            )
        return msgspec.convert(found[0], Tokens)

    async def _refresh(self, connection: Connection, seen: Tokens, *, forced: bool = False) -> Tokens:
        ports, lease = self.ports, f"login {connection.login}"
        for _ in range(120):
            if await leasing.take(ports, lease, seconds=LEASE_SECONDS) is not None:
                break
            await ports.clock.sleep(1.0)
            stored = await self._stored(connection)
            if stored.access != seen.access:
                return stored
        else:
            raise RetryLater(
                f"{connection.name}: another worker has been refreshing the sign-in for two minutes.",
                at=ports.clock.now() + 60,
            )
        try:
            return await self._refresh_alone(connection, seen, forced=forced)
        finally:
            await leasing.release(ports, lease)

    async def _refresh_alone(self, connection: Connection, seen: Tokens, *, forced: bool) -> Tokens:
        auth, now = connection.system.auth, self.ports.clock.now()
        stored = await self._stored(connection)  # again, inside the lease: somebody may have been first
        state = auth.due(stored, now)
        if stored.access != seen.access or (state == "fresh" and not forced):
            return stored
        if state == "dead" or auth.refresh is None:
            raise SignInNeeded(
                f"{connection.name}: the sign-in has expired.", login=connection.login, remedy=self.remedy(connection)
            )
        outcome = await self.unsigned(connection, auth.refresh(connection.settings, stored, now))
        if isinstance(outcome, Refreshed):
            await self.ports.point("token received")
            await self.keep(connection, outcome.tokens)
            await self.ports.point("token stored")
            return outcome.tokens
        if isinstance(outcome, Dead):
            raise SignInNeeded(
                f"{connection.name}: the sign-in is dead: {outcome.reason}",
                login=connection.login,
                remedy=self.remedy(connection),
            )
        return await self._stored(connection)

    async def unsigned(self, connection: Connection, exchange: Exchange[T]) -> T:
        """Drive a sign-in exchange: every call goes out once and without a token. Raises what the exchange raises."""
        try:
            call = next(exchange)
            while True:
                call = exchange.send(await self._bare(connection, call))
        except StopIteration as done:
            return done.value


def _spare(connection: Connection, key: Tokens) -> Tokens | None:
    """The key that comes after this one; None when the settings hold no other."""
    auth = connection.system.auth
    spare = auth.spare(connection.settings) if auth.spare else None
    return None if spare is None or spare.access == key.access else spare


def _name(connection: Connection) -> str:
    return f"tokens {connection.login}"
