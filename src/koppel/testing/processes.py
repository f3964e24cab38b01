"""Processes of a simulated world: each has its own name in leases, and can be killed at any named point, never to move again.

A killed process is abandoned, not cancelled: no `finally` of it runs. Whatever it waits for never comes; whatever it still
holds (leases, open intents) is left behind for the next one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from koppel.engine.clock import LoopClock
from koppel.engine.ports import Connection, NotSent, Ports
from koppel.store.store import Store
from koppel.store.vault import Vault
from koppel.systems.spi import NoReply, Request, Response

T = TypeVar("T")


class Carrier(Protocol):
    """The world's wire: carries a request of one process."""

    async def carry(
        self,
        request: Request,
        *,
        timeout: float,  # noqa: ASYNC109
        still_there: Callable[[], bool],
    ) -> Response | NoReply | NotSent:
        """Carry one request."""
        ...


class Machine:
    """The machine the processes run on: one database in memory, which can lose power.

    At power loss the database falls back to the last commit that was promised to reach the disk.
    """

    def __init__(self, engine: sa.Engine, vault: Vault, *, power_fails: bool = False) -> None:
        self.engine = engine
        self.vault = vault
        self.connection = engine.connect()
        self.keeps = power_fails
        self.forgotten: Counter[float] = (
            Counter()
        )  # calls that were counted and fell away with the power, by the window's end
        self._on_disk: sqlite3.Connection | None = None

    @property
    def raw(self) -> sqlite3.Connection:
        """The database itself."""
        raw = self.connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        return raw

    def flushed(self) -> None:
        """A durable commit: from now on this is what power loss leaves."""
        if self.keeps:
            self._on_disk = self._on_disk or sqlite3.connect(":memory:")
            self.raw.backup(self._on_disk)

    def lose_power(self) -> bool:
        """Fall back to what reached the disk; whether there was anything to fall back to."""
        if self._on_disk is None:
            return False
        before = self._spent()
        self._on_disk.backup(self.raw)
        after = self._spent()
        for (account, ends), used in before.items():
            self.forgotten[ends] += max(0, used - after.get((account, ends), 0))
        return True

    def _spent(self) -> dict[tuple[str, float], int]:
        rows = self.raw.execute("select system || ' ' || name || ' ' || key, reset_at, used from budgets").fetchall()
        return {(account, ends): used for account, ends, used in rows}

    def close(self) -> None:
        """Let go of the databases."""
        self.connection.close()
        if self._on_disk is not None:
            self._on_disk.close()


class ProcessStore(Store):
    """The store as one process sees it: a dead process does no more transactions."""

    def __init__(self, machine: Machine, process: Process) -> None:
        super().__init__(machine.engine, machine.vault, inline=True)
        self._machine = machine
        self._process = process
        self._connection = machine.connection

    async def _hop(self, durable: bool, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        await self._process.breathe()
        done = self._transact(durable, function, *args, **kwargs)
        if durable:
            self._machine.flushed()
        return done


@dataclass(eq=False)
class Process:
    """One worker process. `chance` is how likely it dies at a point; `aimed` kills at the point it chooses."""

    name: str
    machine: Machine
    rnd: Random
    chance: float = 0.0
    alive: bool = True
    died_at: str = ""
    over: bool = False
    freezes: Callable[[], float] = lambda: 0.0
    aimed: Callable[[str], bool] = lambda _point: False
    on_death: Callable[[Process, str], None] = lambda _process, _point: None
    waiting: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])

    async def breathe(self) -> None:
        """Go on when alive; else never (or vanish quietly, once the world is over)."""
        if self.alive:
            return
        if self.over:
            raise GeneratorExit
        forever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(forever)
        await forever

    async def point(self, name: str) -> None:
        """A named point of the engine: where a process may die, or stand still so long that others take it for dead."""
        if self.alive and name == "before send write" and (seconds := self.freezes()):
            self.on_death(self, "frozen")
            await asyncio.sleep(seconds)
        if self.alive and self.chance and self.rnd.random() < self.chance:
            self.die(name)
        if self.alive and self.aimed(name):
            self.die(name)
        await self.breathe()

    def die(self, where: str) -> None:
        """Killed."""
        self.alive = False
        self.died_at = where
        self.on_death(self, where)

    def ports(
        self, *, clock: LoopClock, wire: Carrier, connections: Mapping[str, Connection], tell: Callable[[str], None]
    ) -> Ports:
        """What the engine is handed in this process."""
        return Ports(
            store=ProcessStore(self.machine, self),
            clock=_Pulse(clock, self),
            transport=_Line(wire, self),
            connections=connections,
            worker=self.name,
            point=self.point,
            timeout=30.0,
            tell=tell,
        )


class _Pulse:
    """The clock of a process that may be dead when it wakes."""

    def __init__(self, clock: LoopClock, process: Process) -> None:
        self._clock = clock
        self._process = process

    def now(self) -> float:
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        await self._process.breathe()
        await self._clock.sleep(seconds)
        await self._process.breathe()


class _Line:
    """The transport of a process that may die while its request is under way."""

    def __init__(self, wire: Carrier, process: Process) -> None:
        self._wire = wire
        self._process = process

    async def send(self, request: Request, *, timeout: float) -> Response | NoReply | NotSent:  # noqa: ASYNC109
        await self._process.breathe()
        reply = await self._wire.carry(request, timeout=timeout, still_there=lambda: self._process.alive)
        await self._process.breathe()
        return reply
