"""A workspace opened from its folder: settings, store, connections, and what a job may touch."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from koppel.app.flow_files import SIDES, load_flows
from koppel.config.workspace_file import FILE as WORKSPACE_FILE
from koppel.config.workspace_file import (
    FLOWS,
    KEY_FILE,
    STORE_FILE,
    Config,
    find_folder,
    read_config,
    settings_of,
)
from koppel.engine import caching, leasing
from koppel.engine.clock import Clock, RealClock
from koppel.engine.following import FollowingClock
from koppel.engine.grouping import derived_resource, read_end
from koppel.engine.ports import Connection, Ports, Transport, no_point
from koppel.engine.send import HttpTransport
from koppel.mapping.flow import Endpoint, Flow, SideName
from koppel.mapping.kept import kept_fields
from koppel.mapping.project import own_fields
from koppel.mapping.transforms import Transform, with_own
from koppel.model.problem import Problem, SetupError, UsageError
from koppel.model.values import Ref
from koppel.store import notes, secrets
from koppel.store.store import Store, check_address, open_store
from koppel.store.vault import Vault, create_key, read_key
from koppel.systems import registry
from koppel.systems.spi import Resource, System

T = TypeVar("T")


class Go(msgspec.Struct):
    """Flows that run together: which streams and records were read, which look-ups got no answer, and which flows ran."""

    read: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    unanswered: dict[Ref, Problem] = msgspec.field(default_factory=dict[Ref, Problem])
    ran: set[str] = msgspec.field(default_factory=set[str])


class Opened:
    """A workspace that is open: its settings, its store, its connections."""

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        tell: Callable[[str], None] = lambda _text: None,
        actor: str | None = None,
    ) -> None:
        self.config, self.store, self.tell = config, store, tell
        self.actor = actor or os.environ.get("KOPPEL_ACTOR") or os.environ.get("USER") or "somebody"
        self.point: Callable[[str], Coroutine[Any, Any, None]] = no_point
        self.transport: Transport | None = None
        self.stopping: Callable[[], bool] = lambda: False
        self._go: Go | None = None
        self.transforms: Mapping[str, Transform] = with_own(
            {e.name: e.load() for e in entry_points(group="koppel.transforms")}
        )
        self.flows = load_flows(config.path, self.transforms)

    @classmethod
    def create(cls, folder: str | Path, *, name: str | None = None, database: str | None = None) -> Self:
        """Make a workspace folder: koppel.toml, flows/, key file (0600), empty store (a file, or at the address `database`).

        Raises UsageError when there is one already, or when the address holds a password; SetupError when it leads nowhere.
        """
        if database is not None:
            check_address(database)
        path = Path(folder).expanduser()
        if (path / WORKSPACE_FILE).exists():
            raise UsageError(
                f"{path / WORKSPACE_FILE} exists already.",
                remedy="Choose another folder, or go on with this one: koppel connect NAME --system SYSTEM",
            )
        for file in (KEY_FILE, STORE_FILE):  # what another workspace left: taking it over would be a guess
            if (path / file).exists():
                raise UsageError(
                    f"{path / file} belongs to another workspace, whose {WORKSPACE_FILE} is missing.",
                    remedy=f"Put its {WORKSPACE_FILE} back, or choose another folder.",
                )
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / FLOWS).mkdir(exist_ok=True)
        except OSError as error:
            raise UsageError(f"{path} cannot be made: {error.strerror}.", remedy="Choose another folder.") from None
        title = name or path.resolve().name
        lines = ["# Koppel workspace. Secrets never stand in this file.\n", "[workspace]", f"name = {_quoted(title)}"]
        lines += [f"database = {_quoted(database)}"] if database else []
        (path / WORKSPACE_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
        (path / ".gitignore").write_text(f"{KEY_FILE}\n{STORE_FILE}*\n", encoding="utf-8")
        key = create_key(path / KEY_FILE)
        config = read_config(path)
        try:
            return cls(config, open_store(config.database, Vault(key), create=True))
        except SetupError:  # an address that leads nowhere leaves no half-made workspace
            for file in (WORKSPACE_FILE, KEY_FILE, ".gitignore"):
                (path / file).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # flows that stood there stay
                (path / FLOWS).rmdir()
            raise

    @classmethod
    def open(
        cls,
        folder: str | Path | None = None,
        *,
        tell: Callable[[str], None] = lambda _text: None,
        actor: str | None = None,
    ) -> Self:
        """Open a workspace folder (default: this one or the nearest above). Raises SetupError with the remedy."""
        path = find_folder(Path(folder) if folder else Path.cwd()) if folder is None else Path(folder)
        config = read_config(path)
        vault = Vault(read_key(path / KEY_FILE))
        return cls(config, open_store(config.database, vault), tell=tell, actor=actor)

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connection(self, name: str) -> Connection:
        """One configured connection with its secrets. Raises UsageError for an unknown name, SetupError for wrong settings."""
        config = self.config.connections.get(name)
        if config is None:
            known = ", ".join(sorted(self.config.connections)) or "none yet"
            raise UsageError(
                f"There is no connection called {name!r}.",
                remedy=f"Known: {known}. Make one: koppel connect {name} --system SYSTEM",
            )
        stored = self.store.run(secrets.get, f"settings {name}")
        settings = settings_of(config, stored[0] if stored else {})
        own: dict[str, list[str]] = {}
        for loaded in self.flows.values():
            if loaded.flow is not None:
                for side in SIDES:
                    end = loaded.flow.endpoint(side)
                    if end.connection == name:
                        own.setdefault(end.resource, []).extend(own_fields(loaded.flow, side))
        facts = registry.facts(config.system)
        system = registry.load(config.system).for_settings(settings)
        return Connection(
            name=name,
            system=system,
            settings=settings,
            facts=facts,
            own={r: tuple(dict.fromkeys(names)) for r, names in own.items()},
            derived={
                loaded.flow.left.resource: derived_resource(loaded.flow)
                for loaded in self.flows.values()
                if loaded.flow is not None and loaded.flow.group is not None and loaded.flow.left.connection == name
            },
            keeps={r.name: self._keeps(name, r) for r in system.resources if r.entity}
            if config.cache != "full"
            else {},
            lets_go={r.name: self._watchers(name, r) for r in system.resources if r.entity and self._goes(name, r)}
            if config.cache == "hashes"
            else {},
        )

    def _goes(self, name: str, resource: Resource) -> bool:
        """Whether values of a resource can be let go. Where a flow needs them to lie here (`check` says so), they stay."""
        end = Endpoint(name, resource.name)
        flows = [f.flow for f in self.flows.values() if f.flow is not None]
        return caching.can_let_go(resource.can) and not any(caching.needs_values(flow, end) for flow in flows)

    def _watchers(self, name: str, resource: Resource) -> tuple[tuple[str, str], ...]:
        """The flows that look at a resource, with the side they call it; a file that cannot be read holds everything."""
        end = Endpoint(name, resource.name)
        return tuple(
            (flow_id if loaded.flow is None else loaded.flow.id, side)
            for flow_id, loaded in self.flows.items()
            for side in SIDES
            if loaded.flow is None or loaded.flow.endpoint(side) == end
        )

    def _keeps(self, name: str, resource: Resource) -> frozenset[str] | None:
        """What is kept of a resource's records: what the flows that use it need. While a flow's file cannot be read, as before."""
        end = Endpoint(name, resource.name)
        if any(loaded.flow is None for loaded in self.flows.values()):
            told = self.store.run(notes.get, f"kept {end}")
            return None if told is None else frozenset(told)
        flows = [loaded.flow for loaded in self.flows.values() if loaded.flow is not None]
        using = [f for f in flows if end in (f.left, f.right, *(line.source for line in f.enrich))]
        return kept_fields(resource.entity, using, can=resource.can, transforms=self.transforms)

    def system_of(self, name: str) -> System:
        """The system of a connection, as its settings make it; settings are only read where they matter. Raises SetupError."""
        system = registry.load(self.config.connections[name].system)
        return system if system.tailored is None else self.connection(name).system

    def end_of(self, flow: Flow, side: SideName) -> Resource:
        """The resource at an end of a flow, which may be made of documents. Raises KeyError, SetupError."""
        end = read_end(flow) if side == "left" else flow.right
        found = self.system_of(end.connection).resource(end.resource)
        return derived_resource(flow) if side == "left" and flow.group is not None else found

    def with_ports(self, job: Callable[[Ports], Coroutine[Any, Any, T]], *, only: Sequence[str] | None = None) -> T:
        """Run a coroutine with everything it may touch, and let go of it afterwards. `only`: with these connections."""

        async def whole() -> T:
            transport = self.transport or HttpTransport()
            clock: Clock = RealClock(self.store.clock_offset())
            if self.config.clock:
                clock = FollowingClock(self.config.clock, transport)
                await clock.look()
            names = [name for name in self.config.connections if self._usable(name)] if only is None else only
            needed = {name: self.connection(name) for name in names}
            ports = Ports(
                store=self.store,
                clock=clock,
                transport=transport,
                connections=needed,
                worker=leasing.worker_name(),
                is_dead=leasing.is_dead,
                point=self.point,
                tell=self.tell,
                stopping=self.stopping,
                interactive=True,
                read=self._go.read if self._go else None,
                unanswered=self._go.unanswered if self._go else None,
            )
            try:
                return await job(ports)
            finally:
                if isinstance(transport, HttpTransport):
                    await transport.close()

        return asyncio.run(whole())

    def _usable(self, name: str) -> bool:
        """A half-made connection must not keep the others from working."""
        try:
            self.connection(name)
        except SetupError:
            if any(name in (f.flow.left.connection, f.flow.right.connection) for f in self.flows.values() if f.flow):
                raise
            return False
        return True

    def now(self) -> float:
        """The instant by the clock that runs go by: real time, or the sandbox's that koppel.toml names."""
        if not self.config.clock:
            return RealClock(self.store.clock_offset()).now()

        async def asked(ports: Ports) -> float:
            return ports.clock.now()

        return self.with_ports(asked)


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()  # a JSON string is a TOML string


def real_now() -> float:
    """The instant by this machine, for what no run goes by."""
    return RealClock().now()
