"""The only module that opens a connection outwards. It drives exchanges: signs, pays the vendor's budgets, sends, waits, repeats
what surely had no effect, and leaves the rest to the exchange.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from functools import cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import httpx2

from koppel.engine.allowances import window_end
from koppel.engine.logins import Logins
from koppel.engine.ports import Connection, NotSent, Ports
from koppel.model.problem import RetryLater, SetupError, SignInNeeded
from koppel.store import budgets
from koppel.store.sql import Db
from koppel.systems.spi import Budget, Call, Exchange, NoReply, Request, Response, Verdict

T = TypeVar("T")
TRIES = 4
BACKOFF = (2.0, 10.0, 60.0, 300.0)


@cache
def usual_trust() -> ssl.SSLContext:
    """The machine's usual certificates, read once a process: reading them takes longer than a small run."""
    return httpx2.create_ssl_context()


class HttpTransport:
    """Real HTTP over httpx2, keep-alive, one pool per CA bundle. Redirects are never followed: a token must not travel."""

    def __init__(self) -> None:
        self._clients: dict[str | None, httpx2.AsyncClient] = {}
        self.ca_bundles: dict[str, str] = {}

    def _client(self, host: str) -> httpx2.AsyncClient:
        bundle = self.ca_bundles.get(host)
        if bundle not in self._clients:
            verify = usual_trust()
            if bundle:
                try:
                    verify = ssl.create_default_context()
                    verify.load_verify_locations(bundle)
                except (OSError, ssl.SSLError) as error:
                    raise SetupError(
                        f"The CA bundle {bundle} cannot be read: {error}.", remedy="Give the path of a PEM file."
                    ) from None
            self._clients[bundle] = httpx2.AsyncClient(verify=verify, follow_redirects=False, trust_env=bundle is None)
        return self._clients[bundle]

    async def send(self, request: Request, *, timeout: float) -> Response | NoReply | NotSent:  # noqa: ASYNC109 - handed to httpx2
        """Send once. NotSent only when no connection could be made; any other failure is silence."""
        try:
            url = httpx2.URL(request.url)
            client = self._client(url.host)
            reply = await client.request(
                request.method,
                url,
                headers=request.headers,
                content=request.body or None,
                timeout=httpx2.Timeout(timeout, connect=15.0),
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return NotSent(str(error) or type(error).__name__)
        except httpx2.TransportError as error:
            return NoReply(str(error) or type(error).__name__)
        return Response(
            reply.status_code, {name.lower(): value for name, value in reply.headers.items()}, reply.content
        )

    async def close(self) -> None:
        """Let go of the connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()


class Sender:
    """Drives exchanges for one pass. `calls` counts what went out, by (system, kind); `out` how many calls left that may
    have had an effect, by operation."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.calls: Counter[tuple[str, str]] = Counter()
        self.out: Counter[str] = Counter()
        self.dated: dict[str, tuple[str, float]] = {}
        self.logins = Logins(ports, self._bare)
        self.before_writing: Callable[[tuple[str, ...]], Awaitable[None]] | None = None

    async def run(self, connection: Connection, exchange: Exchange[T]) -> T:
        """Drive an exchange to its end. Raises SignInNeeded, SetupError, RetryLater."""
        try:
            call = next(exchange)
            while True:
                reply = await self._call(connection, call)
                call = exchange.send(reply)
        except StopIteration as done:
            return done.value

    async def _call(self, connection: Connection, call: Call) -> Response | NoReply:
        tries, renewed, begun = 0, False, self.ports.clock.now()
        while True:
            await self._pay(connection, call.request)
            tokens = await self.logins.tokens(connection)
            request = connection.system.auth.authorize(connection.settings, tokens, call.request)
            self.out.update(call.carries)
            reply = await self._send(connection, call, request)
            if isinstance(reply, NoReply) and call.carries:
                return reply
            if isinstance(reply, (NoReply, NotSent)):
                self.out.subtract(call.carries)
                await self._again(connection, tries, f"{connection.name} does not answer ({reply.reason})", None)
                tries += 1
                continue
            verdict = await self._read(connection, request, reply)
            if verdict.kind == "ok" or (verdict.kind == "unavailable" and call.carries):
                return reply
            self.out.subtract(call.carries)  # refused at the door: it surely had no effect
            if verdict.kind == "sign_in":
                if renewed or not await self.logins.renew(connection, tokens):
                    await self.logins.refused(connection, tokens)
                    raise SignInNeeded(
                        f"{connection.name}: the sign-in is not accepted{_said(verdict)}.",
                        login=connection.login,
                        remedy=self.logins.remedy(connection),
                    )
                renewed = True
            elif verdict.kind == "setup":
                text = verdict.problem.text if verdict.problem else f"the vendor answers {reply.status}"
                raise SetupError(
                    f"{connection.name}: {text}{_said(verdict)}.",
                    remedy="Mend the right, licence or setting at the vendor, then run again.",
                )
            else:
                why = f"{connection.name}: {'a limit is reached' if verdict.kind == 'throttled' else f'unavailable ({reply.status})'}{_said(verdict)}"
                at = verdict.retry_at
                if at is None and verdict.kind == "throttled":
                    at = self._window_end(connection, verdict.budget)
                if verdict.kind == "throttled" and self.ports.clock.now() - begun > self.ports.patience:
                    tries = TRIES  # a limit that never opens
                await self._again(connection, tries, why, at)
                tries += verdict.kind == "unavailable"

    async def _send(self, connection: Connection, call: Call, request: Request) -> Response | NoReply | NotSent:
        kind = call.kind or "call"
        name = "write" if call.carries and kind != "token" else kind
        await self.ports.point(f"before send {name}")
        if name == "write" and self.before_writing is not None:
            await self.before_writing(call.carries)
        self.calls[connection.system.name, kind] += 1
        bundle = connection.system.ca_bundle(connection.settings)
        if bundle and isinstance(self.ports.transport, HttpTransport):
            for host in connection.system.hosts(connection.settings):
                self.ports.transport.ca_bundles[host] = bundle
        reply = await self.ports.transport.send(request, timeout=self.ports.timeout)
        if isinstance(reply, Response) and "date" in reply.headers:
            self.dated[connection.name] = (reply.headers["date"], self.ports.clock.now())
        await self.ports.point(f"after send {name}")
        return reply

    async def _bare(self, connection: Connection, call: Call) -> Response | NoReply:
        """For sign-in exchanges: unsigned, sent once; a refused connection counts as silence."""
        reply = await self._send(connection, call, call.request)
        return NoReply(reply.reason) if isinstance(reply, NotSent) else reply

    async def _again(self, connection: Connection, tries: int, why: str, at: float | None) -> None:
        """Wait before sending again, or end the run when that would take longer than anybody wants to wait for."""
        now = self.ports.clock.now()
        wait_until = at if at is not None else now + BACKOFF[min(tries, len(BACKOFF) - 1)]
        if tries >= TRIES or wait_until - now > self.ports.patience:
            raise RetryLater(
                f"{why}; nothing is lost.",
                at=max(wait_until, now + 60),
                remedy=f"It goes on by itself at the next run after {_clock_text(max(wait_until, now + 60))}.",
            )
        self.ports.tell(f"{why}; waiting {max(0, round(wait_until - now))} s")
        await self.ports.clock.sleep(wait_until - now + 0.05)
        _ = connection

    # --- budgets ------------------------------------------------------------------------------------------------

    async def _pay(self, connection: Connection, request: Request) -> None:
        owed = [(budget, key) for budget in connection.system.budgets if (key := budget.key(request)) is not None]
        while owed:
            now = self.ports.clock.now()
            until = await self.ports.store.tx(_spend, connection.system.name, owed, now, self.ports.interactive)
            if until is None:
                return
            if until - now > self.ports.patience:
                raise RetryLater(
                    f"{connection.name}: the vendor's allowance is used up; nothing is lost.",
                    at=until,
                    remedy=f"It goes on by itself at the next run after {_clock_text(until)}.",
                )
            self.ports.tell(
                f"{connection.name}: the vendor's allowance is used up; waiting {max(0, round(until - now))} s"
            )
            await self.ports.clock.sleep(until - now + 0.05)

    async def _read(self, connection: Connection, request: Request, reply: Response) -> Verdict:
        system, now = connection.system, self.ports.clock.now()
        verdict = system.verdict(request, reply, now)
        readings = system.readings(request, reply, now)
        errors = [
            (b, key)
            for b in system.budgets
            if b.counts == "errors" and verdict.counts_as_error and (key := b.key(request)) is not None
        ]
        if readings or errors:

            def note(db: Db) -> None:
                for r in readings:
                    budgets.correct(
                        db, system.name, r.name, r.key, allowed=r.limit, remaining=r.remaining, reset_at=r.reset_at
                    )
                for budget, key in errors:
                    budgets.spend(
                        db,
                        system.name,
                        budget.name,
                        key,
                        allowed=budget.limit,
                        reserve=-budget.limit,
                        reset_at=window_end(budget, now),
                        at=now,
                    )

            await self.ports.store.tx(note)
        return verdict

    def _window_end(self, connection: Connection, name: str | None) -> float:
        budget = next((b for b in connection.system.budgets if b.name == name), None)
        now = self.ports.clock.now()
        return window_end(budget, now) if budget else now + 60


def _spend(db: Db, system: str, owed: list[tuple[Budget, str]], now: float, interactive: bool) -> float | None:
    """Take one from every allowance, or from none; returns when to come again."""
    for budget, key in owed:
        reserve = 0 if interactive else budget.reserve
        until = budgets.closed_until(db, system, budget.name, key, reserve=reserve, at=now)
        if until is not None:
            return until
    for budget, key in owed:
        if budget.counts == "calls":
            budgets.spend(
                db, system, budget.name, key, allowed=budget.limit, reserve=0, reset_at=window_end(budget, now), at=now
            )
    return None


def _said(verdict: Verdict) -> str:
    said = verdict.problem.vendor_text if verdict.problem else None
    return f" (the vendor says: {said})" if said else ""


def _clock_text(at: float) -> str:
    return datetime.fromtimestamp(at, ZoneInfo("Europe/Amsterdam")).strftime("%Y-%m-%d %H:%M")


async def gather_limited(limit: int, jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines, at most `limit` at once, results in order; the first error ends the rest."""
    gate = asyncio.Semaphore(max(1, limit))

    async def one(job: Coroutine[Any, Any, T]) -> T:
        async with gate:
            return await job

    tasks = [asyncio.ensure_future(one(job)) for job in jobs]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for job in jobs:
            job.close()  # those that never began
        raise
