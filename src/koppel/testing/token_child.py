"""Sixteen workers on one workspace, all of one login, as real processes that can be killed at a named point of a refresh.

`python -m koppel.testing.token_child STORE BASE SHARED WORKERS` keeps that many processes alive. It reads rounds (JSON lines), has every
worker use the login once, and answers how each ended; a killed one is raised anew before the answer is given. `SHARED` is a file
that every process maps: the clock they all go by, and how many may still be killed.
"""

from __future__ import annotations

import asyncio
import gc
import mmap
import os
import random
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from koppel.engine import leasing
from koppel.engine.ports import Connection, NotSent, Ports
from koppel.engine.send import HttpTransport, Sender, usual_trust
from koppel.model.problem import KoppelError, SignInNeeded
from koppel.store.store import Store, open_store
from koppel.store.vault import Vault
from koppel.systems import registry
from koppel.systems.spi import Call, Exchange, NoReply, Request, Response

STORE_KEY = bytes(range(32))
PROCESS = "x-process"
ANYWHERE = "anywhere"  # killed from outside, wherever it happens to be
SOME_TIME = 0.06  # seconds within which that happens
_PLACE = struct.Struct("<dq")


class Round(msgspec.Struct, frozen=True):
    """Every worker uses the login once; whoever comes by `point` is killed, `kills` of them at most. Every `ask`th also calls the API."""

    point: str = ""
    kills: int = 0
    ask: int = 4


class Turn(msgspec.Struct, frozen=True):
    """How one worker's turn ended: killed (`signal`), or what it says."""

    pid: int
    signal: int = 0
    state: str = ""
    message: str = ""


class Shared:
    """What all processes see at once: the time, and how many may still be killed."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._room = mmap.mmap(file.fileno(), _PLACE.size)

    @staticmethod
    def make(path: Path, now: float) -> Shared:
        """A new one, at that instant."""
        path.write_bytes(_PLACE.pack(now, 0))
        return Shared(path)

    def read(self) -> tuple[float, int]:
        """(now, kills that are left)."""
        return _PLACE.unpack(self._room[:])

    def write(self, now: float, kills: int) -> None:
        """Set both."""
        self._room[:] = _PLACE.pack(now, kills)

    def now(self) -> float:
        """The instant."""
        return self.read()[0]

    async def sleep(self, seconds: float) -> None:
        """Let others work. Their time does not move: who waits for a lease waits for whoever holds it, not for a while."""
        await asyncio.sleep(min(seconds, 0.003))

    def may_die(self) -> bool:
        """Take one of the kills. Only who holds the lease is at a point of a refresh, so that no two do this at once."""
        now, kills = self.read()
        if kills > 0:
            self.write(now, kills - 1)
        return kills > 0


class Wire:
    """HTTP that says who calls."""

    def __init__(self) -> None:
        self.inner = HttpTransport()

    async def send(self, request: Request, *, timeout: float) -> Response | NoReply | NotSent:  # noqa: ASYNC109 - handed on
        """Send once."""
        headers = {**request.headers, PROCESS: str(os.getpid())}
        return await self.inner.send(msgspec.structs.replace(request, headers=headers), timeout=timeout)


def opened(address: str) -> Store:
    """The store at that address, made when it is not there; its transactions run in the calling thread."""
    return open_store(address, Vault(STORE_KEY), inline=True, create=True)


def connections(base: str) -> tuple[Connection, Connection]:
    """Two divisions of one login."""
    exact = registry.load("exact")
    told = msgspec.json.decode(_get(f"{base}/_sandbox/contract"))["systems"]["exact"]
    made: list[Connection] = []
    for number in told["divisions"][:2]:
        words = {key: told[key] for key in ("client_id", "client_secret", "redirect_uri", "base_url")}
        settings = msgspec.convert({**words, "division": number}, exact.settings)
        made.append(Connection(name=f"books-{number}", system=exact, settings=settings))
    return made[0], made[1]


def _get(url: str) -> bytes:
    async def asked() -> bytes:
        transport = HttpTransport()
        try:
            reply = await transport.send(Request("GET", url), timeout=30.0)
            assert isinstance(reply, Response), reply
            return reply.body
        finally:
            await transport.close()

    return asyncio.run(asked())


def ports_of(store: Store, shared: Shared, both: Sequence[Connection], wire: Wire) -> Ports:
    """What a worker of this workspace may touch."""
    return Ports(
        store=store,
        clock=shared,
        transport=wire,
        connections={connection.name: connection for connection in both},
        worker=leasing.worker_name(),
        is_dead=leasing.is_dead,
    )


def _me(connection: Connection) -> Exchange[int]:
    """A call that no limit counts; what it is answered."""
    url = f"{connection.settings.base_url.rstrip('/')}/api/v1/current/Me?$select=CurrentDivision"
    reply = yield Call(Request("GET", url, {"Accept": "application/json"}), kind="current/Me")
    return reply.status if isinstance(reply, Response) else 0


@dataclass
class _Worker:
    pid: int
    orders: int
    answers: int


def _work(
    number: int, address: str, base_connections: Sequence[Connection], shared: Shared, fds: tuple[int, int]
) -> None:
    """One worker's life: a turn for each line, until there are no more."""
    orders, answers = fds
    connection = base_connections[number % 2]
    wire = Wire()
    ports = ports_of(opened(address), shared, base_connections, wire)
    with asyncio.Runner() as runner, os.fdopen(orders, "rb") as lines:
        for line in lines:
            order = msgspec.json.decode(line, type=Round)

            async def point(name: str, order: Round = order) -> None:
                if name == order.point and shared.may_die():
                    os.kill(os.getpid(), signal.SIGKILL)

            ports.point = point
            turn = runner.run(_turn(ports, connection, asks=bool(order.ask) and number % order.ask == 0))
            os.write(answers, msgspec.json.encode(turn) + b"\n")
        runner.run(wire.inner.close())


async def _turn(ports: Ports, connection: Connection, *, asks: bool) -> Turn:
    sender = Sender(ports)
    try:
        if asks:
            status = await sender.run(connection, _me(connection))
            if status != 200:
                return Turn(os.getpid(), state="odd", message=f"current/Me was answered {status}")
        else:
            await sender.logins.tokens(connection)
    except SignInNeeded as error:
        return Turn(os.getpid(), state="sign_in", message=str(error))
    except KoppelError as error:
        return Turn(os.getpid(), state=type(error).__name__, message=str(error))
    return Turn(os.getpid(), state="done")


class _Crew:
    """The workers; one thread, so that it may fork."""

    def __init__(self, address: str, both: Sequence[Connection], shared: Shared, size: int) -> None:
        self._address, self._both, self._shared = address, both, shared
        self.workers: dict[int, _Worker] = {}
        for number in range(size):
            self.raise_one(number)

    def raise_one(self, number: int) -> None:
        order_in, order_out = os.pipe()
        answer_in, answer_out = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                for other in self.workers.values():  # else nobody would notice that the crew is gone
                    os.close(other.orders)
                    os.close(other.answers)
                os.close(order_out)
                os.close(answer_in)
                _work(number, self._address, self._both, self._shared, (order_in, answer_out))
            except BaseException:  # noqa: BLE001 - what a worker dies of is told, by the crew too
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(order_in)
        os.close(answer_out)
        self.workers[number] = _Worker(pid, order_out, answer_in)

    def round(self, order: Round) -> list[Turn]:
        line = msgspec.json.encode(order) + b"\n"
        for worker in self.workers.values():
            os.write(worker.orders, line)
        strikes = self._strikes(order)
        waiting = {worker.answers: number for number, worker in self.workers.items()}
        turns: list[Turn] = []
        struck: set[int] = set()
        while waiting:
            pause = max(0.0, strikes[0][0] - time.monotonic()) if strikes else None
            ready, _, _ = select.select(list(waiting), [], [], pause)
            if strikes and time.monotonic() >= strikes[0][0]:
                _, victim = strikes.pop(0)
                if self.workers[victim].answers in waiting:
                    os.kill(self.workers[victim].pid, signal.SIGKILL)
                    struck.add(victim)
            for answers in ready:
                number = waiting.pop(answers)
                heard = os.read(answers, 65_536)
                gone = not heard or number in struck  # it may have answered in the moment before
                turns.append(self._bury(number) if gone else msgspec.json.decode(heard, type=Turn))
        return turns

    def _strikes(self, order: Round) -> list[tuple[float, int]]:
        if order.point != ANYWHERE:
            return []
        chosen = random.sample(sorted(self.workers), min(order.kills, len(self.workers)))
        begun = time.monotonic()
        return sorted((begun + random.random() * SOME_TIME, number) for number in chosen)  # noqa: S311 - a campaign

    def _bury(self, number: int) -> Turn:
        worker = self.workers.pop(number)
        os.close(worker.orders)
        os.close(worker.answers)
        _, status = os.waitpid(worker.pid, 0)
        self.raise_one(number)
        if os.WIFSIGNALED(status):
            return Turn(worker.pid, signal=os.WTERMSIG(status))
        return Turn(worker.pid, state="crashed", message="a worker ended without a word")

    def end(self) -> None:
        """No more orders: every worker ends by itself."""
        for worker in self.workers.values():
            os.close(worker.orders)
        for worker in self.workers.values():
            os.waitpid(worker.pid, 0)


def main(arguments: list[str]) -> int:
    """Be the crew until no more rounds come."""
    address, base, shared, size = arguments
    usual_trust()
    both = connections(base)
    gc.collect()
    gc.freeze()  # what is loaded already is shared with every process raised from here
    crew = _Crew(address, both, Shared(Path(shared)), int(size))
    try:
        for line in sys.stdin.buffer:
            turns = crew.round(msgspec.json.decode(line, type=Round))
            sys.stdout.buffer.write(msgspec.json.encode(turns) + b"\n")
            sys.stdout.buffer.flush()
    finally:
        crew.end()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
