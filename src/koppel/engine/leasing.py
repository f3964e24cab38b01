"""Leases as a worker takes them: one that a dead process of this machine left behind is taken over at once.

A killed run must not make the next one wait until its lease runs out. Only a process that surely cannot act any more counts as
dead: same machine start, same process namespace, and no such process, or another one under its number.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from koppel.engine.ports import Ports
from koppel.model.problem import RetryLater
from koppel.store import leases
from koppel.store.sql import Db

T = TypeVar("T")
_BOOT, _NAMESPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")


def worker_name() -> str:
    """This process as leases name it: where it runs, its number, when it started, and something nobody else has."""
    return f"{_place()}:{os.getpid()}:{_started(os.getpid())}:{secrets.token_hex(3)}"


def is_dead(worker: str) -> bool:
    """Whether that worker surely cannot act any more. False whenever that cannot be told from here."""
    parts = worker.split(":")
    if len(parts) != 4 or not parts[1].isdigit() or not parts[2] or parts[0] != _place():
        return False
    return _started(int(parts[1])) != parts[2]


async def take(ports: Ports, name: str, *, seconds: float) -> int | None:
    """Take a lease; returns its fence, or None when somebody living holds it: another worker, or another task of this one.

    The store knows workers by name only; two tasks of one worker are told apart here.
    """
    if name in ports.held:
        return None
    ports.held.add(name)
    fence: int | None = None
    try:
        fence = await ports.store.tx(_take, ports, name, seconds)
    finally:
        if fence is None:
            ports.held.discard(name)
    return fence


async def take_soon(ports: Ports, name: str, *, seconds: float, patience: float) -> int | None:
    """`take`, waiting up to `patience` seconds for whoever holds it."""
    until = ports.clock.now() + patience
    while (fence := await take(ports, name, seconds=seconds)) is None and ports.clock.now() < until:
        await ports.clock.sleep(1.0)
    return fence


async def release(ports: Ports, name: str) -> None:
    """Give a lease back."""
    ports.held.discard(name)
    await ports.store.tx(leases.release, name, ports.worker)


async def alone(
    ports: Ports, names: Iterable[str], job: Callable[[Db, float], T], *, seconds: float, patience: float = 0.0
) -> T:
    """One durable transaction, given the instant, while nobody else holds any of these leases. Raises RetryLater."""
    taken: list[str] = []
    try:
        for name in sorted(names):
            if await take_soon(ports, name, seconds=seconds, patience=patience) is None:
                raise RetryLater(
                    f"The {name} is at work; nothing was changed.",
                    at=ports.clock.now() + 60,
                    remedy="Do it again when that is over.",
                )
            taken.append(name)
        return await ports.store.durable(job, ports.clock.now())
    finally:
        for name in taken:
            await release(ports, name)


def _take(db: Db, ports: Ports, name: str, seconds: float) -> int | None:
    now = ports.clock.now()
    fence = leases.take(db, name, ports.worker, at=now, seconds=seconds)
    if fence is None:
        held = leases.holder(db, name)
        if held is not None and ports.is_dead(held[0]):
            leases.release(db, name, held[0])
            fence = leases.take(db, name, ports.worker, at=now, seconds=seconds)
    return fence


def _place() -> str:
    """The running machine and the process namespace: process numbers mean something only inside both."""
    try:
        boot, namespace = _BOOT.read_text("ascii").strip(), str(_NAMESPACE.readlink())
    except OSError:  # not a Linux: nobody is ever called dead
        return ""
    return blake2b(f"{boot} {namespace}".encode(), digest_size=6).hexdigest()


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty when there is none (a zombie cannot act either)."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if after_name[0] in "ZX" else after_name[19]
