"""Runs of the two made-up systems in processes of their own that can be killed.

`python -m koppel.testing.pair_child STORE BASE` reads orders (JSON lines) and forks a process for each: one run of the flow that
the order names, on the store at that address, against the servers at BASE (`koppel.testing.pair_host`).
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable

from koppel.engine import leasing
from koppel.engine.flow import Options, Result, sync_flow
from koppel.engine.ports import Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import Brakes, Endpoint, FieldRule, Flow, Match, Owner, RunRules
from koppel.model.problem import KoppelError, SignInNeeded
from koppel.store.store import Store, open_store
from koppel.store.vault import Vault
from koppel.testing.child import TRIGGER, Ended, Order, killer, nursery
from koppel.testing.pair_host import PairTransport, connections

STORE_KEY = bytes(range(32))
OWNERS: dict[str, Owner] = {
    "name": "left", "kvk": "left", "phone": "left", "email": "right", "trade_name": "right", "statutory_name": "left",
    "website": "right", "legal_form": "left", "address": "left", "sbi": "union",
}  # fmt: skip
EXTRA: dict[str, Owner] = {"employees": "left", "do_not_mail": "right"}


def flows() -> dict[str, Flow]:
    """Two flows over the same records, each with fields of its own; the first creates both ways."""
    made: dict[str, Flow] = {}
    for name, owners in (("pair", OWNERS), ("extra", EXTRA)):
        fields = tuple(FieldRule(path, owner) for path, owner in owners.items())
        made[name] = Flow(
            id=name, title=name, entity="company", left=Endpoint("left", "customers"), right=Endpoint("right", "shops"), fields=fields,
            match=Match(keys=("kvk",)), create_left=name == "pair", create_right=name == "pair", run=RunRules(brakes=Brakes(None, None, None)), digest=name,
        )  # fmt: skip
    return made


def opened(address: str) -> Store:
    """The store at that address, made when it is not there."""
    return open_store(address, Vault(STORE_KEY), create=True)


async def nothing_happens(_point: str) -> None:
    """Somebody who is not to be killed."""


async def with_ports(
    store: Store,
    base: str,
    job: Callable[[Ports], Awaitable[object]],
    point: Callable[[str], Awaitable[None]] = nothing_happens,
) -> object:
    """Do something as a worker of this workspace."""
    transport = PairTransport(base)
    await transport.clock.look()
    ports = Ports(
        store=store,
        clock=transport.clock,
        transport=transport,
        connections=connections(),
        worker=leasing.worker_name(),
        is_dead=leasing.is_dead,
        point=point,
    )
    try:
        return await job(ports)
    finally:
        await transport.close()


def sign_in(store: Store, base: str, code: str) -> None:
    """A person signs in to Ledger."""

    async def redeem(ports: Ports) -> None:
        await Sender(ports).logins.redeem(ports.connections["left"], code)

    asyncio.run(with_ports(store, base, redeem))


def run(address: str, base: str, order: Order) -> Ended:
    """One run of the order's flow, unless killed."""
    passed: Counter[str] = Counter()
    store = opened(address)
    flow = flows()[order.flow or "pair"]

    async def sync(ports: Ports) -> Result:
        return await sync_flow(ports, flow, Options(trigger=TRIGGER))

    try:
        result = asyncio.run(with_ports(store, base, sync, killer(order.point, order.nth, passed)))
    except SignInNeeded as error:
        return Ended(state="sign_in", message=str(error), passed=dict(passed))
    except KoppelError as error:
        return Ended(state=type(error).__name__, message=str(error), passed=dict(passed))
    finally:
        store.close()
    assert isinstance(result, Result)
    return Ended(
        state=result.state, message=result.message, counts=result.counts, streams=result.streams, passed=dict(passed)
    )


def main(arguments: list[str]) -> int:
    """Be a nursery."""
    address, base = arguments
    nursery(lambda order: run(address, base, order), sys.stdin.buffer, sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
