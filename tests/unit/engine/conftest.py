"""A desk to work at: the real KVK and Exact Online clients against their sandboxes, in this process, on one clock; and a toy vendor
for what must be arranged to the letter."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import msgspec
import pytest

from koppel.engine import flow as engine
from koppel.engine.flow import Options, Result
from koppel.engine.plan import Plan
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import Flow
from koppel.mapping.project import own_fields
from koppel.mapping.read import read_flow
from koppel.sandbox.host import Fault, SandboxHost, build, contract
from koppel.store import trail, work
from koppel.store.store import Store, in_memory
from koppel.store.vault import Vault
from koppel.testing.killing import Killing

KEY = bytes(range(32))
SYSTEMS = {entry.name: entry for entry in entry_points(group="koppel.systems")}
FLOW = (files("koppel.systems.exact") / "flows" / "kvk-exact.toml").read_text("utf-8")
FREELY = ("creates", "share", "vanished", "first")


class Desk:
    """One workspace with its world. `points` are those of the engine that were passed."""

    def __init__(self, *, seed: int = 3, companies: int = 30, flow: str = FLOW) -> None:
        self.host: SandboxHost = build(seed=seed, companies=companies, names=("exact", "kvk"))
        self.store: Store = in_memory(Vault(KEY))
        self.told: list[str] = []
        self.killing = Killing()
        self.points = self.killing.passed
        self.flow = self.read(flow)
        self.known = contract(self.host, "http://sandbox.example")["systems"]
        exact, kvk = self.known["exact"], self.known["kvk"]
        self.division = exact["divisions"][0]
        self.connections = {
            "register": self.connection("kvk", "register", base_url=kvk["base_url"], apikey=kvk["apikey"]),
            "books-nl": self.connection(
                "exact",
                "books-nl",
                division=self.division,
                **{name: exact[name] for name in ("base_url", "client_id", "client_secret", "redirect_uri")},
            ),
        }
        self.ports = self.new_ports("one")
        self.do(Sender(self.ports).logins.redeem(self.connections["books-nl"], exact["authorization_code"]))
        self.host.reset_calls()

    def new_ports(self, worker: str) -> Ports:
        desk = self

        class Wire:
            async def send(self, request: Any, *, timeout: float) -> Any:  # noqa: ASYNC109
                return desk.host.handle(request)

        class Clock:
            def now(self) -> float:
                return desk.host.clock.now()

            async def sleep(self, seconds: float) -> None:
                desk.host.clock.advance(max(0.0, seconds))

        return Ports(
            store=self.store,
            clock=Clock(),
            transport=Wire(),
            connections=self.connections,
            worker=worker,
            point=self.killing.point,
            tell=self.told.append,
        )

    def connection(self, system: str, name: str, **settings: Any) -> Connection:
        found = SYSTEMS[system].load()
        facts = tomllib.loads((files(f"koppel.systems.{system}") / "facts.toml").read_text("utf-8"))
        own = {"accounts": own_fields(self.flow, "right")} if system == "exact" else {}
        return Connection(
            name=name, system=found, settings=msgspec.convert(settings, found.settings), facts=facts, own=own
        )

    @staticmethod
    def read(text: str) -> Flow:
        flow, problems = read_flow(text, file="kvk-exact.toml")
        assert not problems
        return flow

    @staticmethod
    def do(coroutine: Any) -> Any:
        return asyncio.run(coroutine)

    # --- what a person does ---

    def take(self, *numbers: str) -> None:
        self.do(engine.take(self.ports, self.flow, numbers or self.numbers))

    def sync(self, **options: Any) -> Result:
        options = {"override": FREELY} | options
        return self.do(engine.sync_flow(self.ports, self.flow, Options(**options)))

    def plan(self, **options: Any) -> Plan:
        return self.do(engine.plan_flow(self.ports, self.flow, Options(**options)))

    def apply(self, plan: Plan, **options: Any) -> Result:
        options = {"override": FREELY} | options
        return self.do(engine.apply_plan(self.ports, self.flow, plan, Options(**options)))

    def killed_at(self, point: str, passing: int = 0, *, wait: float = 700.0, **options: Any) -> bool:
        """Run, and be killed there; False when the run never came there. The next worker is another process, that comes when
        the leases of the dead one have run out."""
        options = {"override": FREELY} | options
        job = engine.sync_flow(self.ports, self.flow, Options(**options))
        if not self.killing.run(job, at=point, passing=passing):
            return False
        self.ports = self.new_ports(f"{self.ports.worker}'")
        self.later(wait)
        return True

    def edit_flow(self, old: str, new: str) -> None:
        assert old in FLOW
        self.flow = self.read(FLOW.replace(old, new))

    def later(self, seconds: float) -> None:
        self.host.clock.advance(seconds)

    def answer(self, value: Any, *, which: int = 0) -> None:
        item = self.asks()[which]
        self.store.run(work.answer, item.id, value, by="mieke", at=self.host.clock.now())

    # --- what there is ---

    @property
    def companies(self) -> tuple[Any, ...]:
        return self.host.world.companies

    @property
    def numbers(self) -> list[str]:
        return [company.kvk for company in self.companies]

    def fault(self, **given: Any) -> None:
        self.host.add_fault(Fault(**given))

    def exact(self, action: str, **body: Any) -> Any:
        return self.host.control("exact", action, {**({"division": self.division} if action in _IN else {}), **body})

    def kvk(self, action: str, **body: Any) -> Any:
        return self.host.control("kvk", action, body)

    def account(self, kvk: str) -> dict[str, Any]:
        (found,) = self.exact("accounts", kvk=kvk)["accounts"]
        return found

    def accounts(self, kvk: str) -> list[dict[str, Any]]:
        return self.exact("accounts", kvk=kvk)["accounts"]

    def doubles(self) -> list[Any]:
        found = self.exact("duplicates")
        return [*found["duplicates"], *found["existing"]]

    def parked(self) -> list[work.Item]:
        return self.store.run(work.listed, "parked")

    def asks(self) -> list[work.Item]:
        return self.store.run(work.listed, "ask")

    def count(self, system: str, method: str | None = None, path: str = "") -> int:
        return self.host.count(system, method, path)

    def trail(self, kind: str | None = None) -> list[trail.Recorded]:
        entries = self.store.run(trail.read, limit=100_000)
        return [entry for entry in entries if kind is None or entry.kind == kind]

    def scalar(self, sql: str, **values: Any) -> Any:
        return self.store.run(lambda db: db.scalar(sql, **values))

    def sound(self) -> bool:
        """Nothing doubled, nothing in doubt, the trail unbroken."""
        assert self.doubles() == []
        assert self.scalar("select count(*) from intents") == 0
        assert self.store.run(trail.verify) is None
        return True


_IN = {"edit", "add", "delete", "accounts"}
MakeDesk = Callable[..., Desk]


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.store.close()


@pytest.fixture
def make_desk() -> Iterator[MakeDesk]:
    made: list[Desk] = []

    def make(**given: Any) -> Desk:
        made.append(Desk(**given))
        return made[-1]

    yield make
    for desk in made:
        desk.store.close()


@pytest.fixture(scope="session")
def new_desk() -> type[Desk]:
    """The class itself, for what is made once for several tests."""
    return Desk
