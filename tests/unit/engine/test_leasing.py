"""A lease that a dead process left behind is taken over; one of a living process, or of one that cannot be judged, is not."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from koppel.engine import leasing
from koppel.engine.ports import Ports
from koppel.model.problem import RetryLater
from koppel.store import leases
from koppel.store.store import in_memory
from koppel.store.vault import Vault

NAME = (
    "print(__import__('koppel.engine.leasing', fromlist=['x']).worker_name(), flush=True); __import__('time').sleep(60)"
)


class Still:
    def now(self):
        return 1_000.0


@pytest.fixture
def process():
    """(worker name, process) of a living process that would hold leases."""
    with subprocess.Popen([sys.executable, "-c", NAME], stdout=subprocess.PIPE, text=True) as living:
        yield living.stdout.readline().strip(), living
        living.kill()


def test_a_living_process_is_not_dead_and_a_killed_one_is(process):
    name, living = process
    assert not leasing.is_dead(name)
    os.kill(living.pid, signal.SIGKILL)
    os.waitid(os.P_PID, living.pid, os.WEXITED | os.WNOWAIT)  # a zombie cannot act either
    assert leasing.is_dead(name)
    living.wait()
    assert leasing.is_dead(name)


def test_another_process_under_the_same_number_is_not_the_one_that_died(process):
    place, number, started, rest = process[0].split(":")
    assert leasing.is_dead(f"{place}:{number}:{int(started) - 1}:{rest}")


def test_nobody_on_another_machine_is_called_dead(process):
    _, number, started, rest = process[0].split(":")
    for stranger in (f"elsewhere:{number}:1:{rest}", f":{number}:{started}:{rest}", "worker", "host:123:abc"):
        assert not leasing.is_dead(stranger)


@pytest.mark.parametrize(("dead", "got"), [(True, 2), (False, None)])
def test_only_a_dead_holders_lease_changes_hands_before_its_time(dead, got):
    store = in_memory(Vault(b"k" * 32))
    store.run(leases.take, "flow f", "other", at=999.0, seconds=600)
    ports = Ports(store=store, clock=Still(), transport=None, connections={}, worker="me", is_dead=lambda _: dead)
    assert asyncio.run(leasing.take(ports, "flow f", seconds=600)) == got
    store.close()


def test_a_fence_of_the_dead_no_longer_holds():
    store = in_memory(Vault(b"k" * 32))
    fence = store.run(leases.take, "flow f", "other", at=999.0, seconds=600)
    ports = Ports(store=store, clock=Still(), transport=None, connections={}, worker="me", is_dead=lambda _: True)
    asyncio.run(leasing.take(ports, "flow f", seconds=600))
    assert not store.run(leases.holds, "flow f", "other", fence)
    store.close()


def test_what_must_be_alone_is_not_begun_while_one_of_them_works_and_gives_back_what_it_took():
    store = in_memory(Vault(b"k" * 32))
    done = []
    store.run(leases.take, "flow b", "other", at=999.0, seconds=600)
    ports = Ports(store=store, clock=Still(), transport=None, connections={}, worker="me", is_dead=lambda _: False)

    def alone():
        return asyncio.run(leasing.alone(ports, ["flow b", "flow a"], lambda _db, at: done.append(at), seconds=60))

    def free(name):
        there = store.run(leases.take, name, "third", at=1_000.0, seconds=60) is not None
        store.run(leases.release, name, "third")
        return there

    with pytest.raises(RetryLater, match="The flow b is at work; nothing was changed") as refused:
        alone()
    assert (done, refused.value.at) == ([], 1_060.0)
    assert (free("flow a"), ports.held) == (True, set())
    store.run(leases.release, "flow b", "other")
    alone()
    assert done == [1_000.0]
    assert free("flow a")
    assert free("flow b")
    store.close()


def test_several_leases_are_taken_in_one_order_whoever_asks(monkeypatch):
    """Two that took the same ones the other way round would each hold what the other waits for."""
    store, asked = in_memory(Vault(b"k" * 32)), []
    ports = Ports(store=store, clock=Still(), transport=None, connections={}, worker="me", is_dead=lambda _: False)

    async def take(_ports, name, **_times):
        asked.append(name)
        return 1

    monkeypatch.setattr(leasing, "take", take)
    for names in (["flow b", "flow a", "flow c"], ["flow c", "flow b", "flow a"]):
        asyncio.run(leasing.alone(ports, names, lambda _db, _at: None, seconds=60))
    assert asked == ["flow a", "flow b", "flow c"] * 2
    store.close()
