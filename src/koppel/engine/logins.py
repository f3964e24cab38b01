"""Logins: tokens are refreshed by one worker at a time, stored durably before they are used, inside the vendor's window (law 9).

A refresh is fenced by what it exchanged: a pair is stored only in the place of the one it was got for, so that a worker that
slept through its lease neither overwrites a newer sign-in nor throws its own good pair away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from koppel.engine import leasing
from koppel.engine.allowances import window_end
from koppel.engine.ports import Connection, Ports
from koppel.model.problem import RetryLater, SignInNeeded
from koppel.store import budgets, notes, secrets
from koppel.store.sql import Db
from koppel.systems.spi import Call, Dead, Exchange, NoReply, Refreshed, Response, Tokens

T = TypeVar("T")
PAUSE = 3600.0  # seconds a refused key is left in peace
LEASE_SECONDS = 300.0  # longer than an exchange can take: two calls, each until its time-out
EARLY = 30.0  # seconds the vendor is left in peace that said a token is still good


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
        stored, _ = await self._stored(connection)
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
        stored, _ = await self._stored(connection)
        if stored.access != used.access:
            return True
        renewed = await self._refresh(connection, stored, forced=True)
        return renewed.access != used.access

    async def redeem(self, connection: Connection, code: str) -> None:
        """Turn a pasted authorization code into a stored token pair. Raises SignInNeeded when the vendor refuses it."""
        redeem = connection.system.auth.redeem
        assert redeem is not None
        exchange = redeem(connection.settings, code, self.ports.clock.now())
        outcome = await self.unsigned(connection, exchange, by_person=True)
        if not isinstance(outcome, Refreshed):
            reason = outcome.reason if isinstance(outcome, Dead) else "the vendor gave no tokens"
            raise SignInNeeded(
                f"{connection.name}: the code is not accepted: {reason}",
                login=connection.login,
                remedy="Open the sign-in link again and paste the new code within three minutes.",
            )
        await self.keep(connection, self._in_hand(outcome))

    async def keep(self, connection: Connection, tokens: Tokens) -> None:
        """Store a pair durably, whatever was there: a new sign-in outranks every older one."""
        await self.ports.store.durable(
            secrets.put, _name(connection.login), msgspec.to_builtins(tokens), at=self.ports.clock.now()
        )

    def remedy(self, connection: Connection) -> str:
        """What a person must do when the login is dead."""
        if connection.system.auth.kind == "key":
            return f"Check the key with `koppel connect {connection.name}`."
        url = connection.system.auth.sign_in_url
        link = f" It gives you this link: {url(connection.settings, connection.name)}" if url else ""
        return f"Sign in again with `koppel connect {connection.name}`.{link}"

    async def _stored(self, connection: Connection) -> tuple[Tokens, int]:
        """The pair that counts now, and its version (0: there is none, and none is needed)."""
        found = await self.ports.store.tx(secrets.get, _name(connection.login))
        if found is None and connection.system.auth.unattended:
            return Tokens(""), 0  # `due` for a refresh, which needs no person
        if found is None:
            raise SignInNeeded(
                f"{connection.name} is not signed in.", login=connection.login, remedy=self.remedy(connection)
            )
        return msgspec.convert(found[0], Tokens), found[1]

    async def _refresh(self, connection: Connection, seen: Tokens, *, forced: bool = False) -> Tokens:
        ports, lease = self.ports, f"login {connection.login}"
        for _ in range(120):
            if await leasing.take(ports, lease, seconds=LEASE_SECONDS) is not None:
                break
            await ports.clock.sleep(1.0)
            stored, _ = await self._stored(connection)
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
        auth, now, login = connection.system.auth, self.ports.clock.now(), connection.login
        stored, version = await self._stored(connection)  # again, inside the lease: somebody may have been first
        state = auth.due(stored, now)
        if stored.access != seen.access or (state == "fresh" and not forced):
            return stored
        if state == "dead" or auth.refresh is None:
            raise self._dead(connection, "the sign-in has expired.")
        if (reason := await self.ports.store.tx(known_dead, login, stored, now)) is not None:
            raise self._dead(connection, f"the sign-in is dead: {reason}")
        if await self.ports.store.tx(_rests, login, stored, now):
            return stored
        await self.ports.point("refresh begun")
        outcome = await self.unsigned(connection, auth.refresh(connection.settings, stored, now))
        if isinstance(outcome, Refreshed):
            await self.ports.point("token received")
            tokens, at = self._in_hand(outcome), self.ports.clock.now()
            body = msgspec.to_builtins(tokens)
            kept = await self.ports.store.durable(secrets.swap, _name(login), body, version=version, at=at)
            await self.ports.point("token stored")
            return tokens if kept else (await self._stored(connection))[0]
        newer, _ = await self._stored(connection)
        if newer.access != stored.access:  # a worker that was slow, or a person, stored a pair meanwhile
            return newer
        if isinstance(outcome, Dead):
            await self.ports.store.tx(_note, "dead", login, stored, at=now, reason=outcome.reason)
            raise self._dead(connection, f"the sign-in is dead: {outcome.reason}")
        await self.ports.store.tx(_note, "early", login, stored, at=now)
        return stored

    def _in_hand(self, outcome: Refreshed) -> Tokens:
        """The pair, dated by when its answer was here: the vendor gave it out before that, so that counting from then is never
        early. When it runs out stays counted from when it was asked for: before the vendor gave it out."""
        tokens = outcome.tokens
        return msgspec.structs.replace(tokens, obtained_at=max(tokens.obtained_at, self.ports.clock.now()))

    def _dead(self, connection: Connection, why: str) -> SignInNeeded:
        return SignInNeeded(f"{connection.name}: {why}", login=connection.login, remedy=self.remedy(connection))

    async def unsigned(self, connection: Connection, exchange: Exchange[T], *, by_person: bool = False) -> T:
        """Drive a sign-in exchange: every call goes out once and without a token. Raises what the exchange raises, and RetryLater
        when the vendor takes no more sign-in calls today."""
        try:
            call = next(exchange)
            while True:
                await self._pay(connection, by_person=by_person)
                call = exchange.send(await self._bare(connection, call))
        except StopIteration as done:
            return done.value

    async def _pay(self, connection: Connection, *, by_person: bool) -> None:
        allowance, now = connection.system.auth.allowance, self.ports.clock.now()
        if allowance is None:
            return
        until = await self.ports.store.tx(
            budgets.spend, connection.system.name, allowance.name, connection.login, allowed=allowance.limit,
            reserve=0 if by_person else allowance.reserve, reset_at=window_end(allowance, now), at=now,
        )  # fmt: skip
        if until is not None:
            raise RetryLater(
                f"{connection.name}: no more than {allowance.limit} sign-in calls a {allowance.window} are made, and those are used up.",
                at=until,
                remedy="The sign-in is kept; it goes on by itself after that.",
            )


def known_dead(db: Db, login: str, tokens: Tokens, at: float) -> str | None:
    """Why the vendor called this very pair dead within the last hour; None when it did not. Nobody asks it again so soon."""
    note = _noted(db, "dead", login, tokens)
    return note["reason"] if note and at < note["at"] + PAUSE else None


def _rests(db: Db, login: str, tokens: Tokens, at: float) -> bool:
    """Whether the vendor said just now that this pair is still good."""
    note = _noted(db, "early", login, tokens)
    return note is not None and at < note["at"] + EARLY


def _note(db: Db, what: str, login: str, tokens: Tokens, **told: Any) -> None:
    if tokens.refresh:  # what was got without one is got anew from the settings, and those may have been mended
        notes.put(db, f"{what} {login}", {"key": db.vault.digest(tokens.refresh.encode()), **told})


def _noted(db: Db, what: str, login: str, tokens: Tokens) -> Any:
    note: Any = notes.get(db, f"{what} {login}")
    return note if note and note["key"] == db.vault.digest(tokens.refresh.encode()) else None


def _spare(connection: Connection, key: Tokens) -> Tokens | None:
    """The key that comes after this one; None when the settings hold no other."""
    auth = connection.system.auth
    spare = auth.spare(connection.settings) if auth.spare else None
    return None if spare is None or spare.access == key.access else spare


def _name(login: str) -> str:
    return f"tokens {login}"
