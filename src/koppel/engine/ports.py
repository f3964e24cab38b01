"""What the engine is handed: connections, the clock, a transport, and named points at which a test may stop it for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from koppel.engine.clock import Clock
from koppel.mapping.flow import Endpoint, Flow
from koppel.model.problem import Problem
from koppel.model.values import Json, Ref
from koppel.store.store import Store
from koppel.systems.spi import NoReply, Request, Resource, Response, Site, System


class NotSent(msgspec.Struct, frozen=True):
    """The request surely never left: no connection could be made."""

    reason: str = ""


class Transport(Protocol):
    """Carries one request."""

    async def send(self, request: Request, *, timeout: float) -> Response | NoReply | NotSent:  # noqa: ASYNC109
        """Send once."""
        ...


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One configured account on a system. `own` lists, per resource, the vendor's own fields that flows use; `keeps` the
    canonical fields that are kept of its records (a resource that is not there, or None: all). `lets_go` names the resources
    whose values stay only until every flow has looked at them, with those flows and the side they call it; `derived` what
    flows make of its documents."""

    name: str
    system: System
    settings: Any
    facts: Mapping[str, Json] = field(default_factory=dict)
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keeps: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    lets_go: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    derived: Mapping[str, Resource] = field(default_factory=dict)

    @property
    def login(self) -> str:
        """Name of the login whose tokens it uses; connections may share one."""
        return f"{self.system.name}:{self.system.auth.login(self.settings) or self.name}"

    def site(self, as_of: float, resource: str = "") -> Site:
        """Where a resource function works."""
        return Site(
            connection=self.name, settings=self.settings, facts=self.facts, as_of=as_of, own=self.own.get(resource, ())
        )

    def resource(self, name: str) -> Resource:
        """A resource of its system, or what a flow makes of one. Raises KeyError."""
        return self.derived[name] if name in self.derived else self.system.resource(name)


async def no_point(name: str) -> None:
    """Production: a point at which nothing happens."""


def nobody_is_dead(worker: str) -> bool:
    """Where workers cannot be looked at, their leases run out by time alone."""
    _ = worker
    return False


@dataclass(kw_only=True)
class Ports:
    """Everything with I/O that a pass may touch. `worker` names this process in leases; `is_dead` says of another
    worker that it surely cannot act any more."""

    store: Store
    clock: Clock
    transport: Transport
    connections: Mapping[str, Connection]
    worker: str
    point: Callable[[str], Awaitable[None]] = no_point
    is_dead: Callable[[str], bool] = nobody_is_dead
    timeout: float = 60.0
    patience: float = 900.0
    interactive: bool = False
    held: set[str] = field(default_factory=set[str])  # leases this process holds: one name, one holder at a time
    read: dict[str, float] | None = None  # what flows run together have read, and since when; None: runs by itself
    unanswered: dict[Ref, Problem] | None = None  # look-ups of flows run together that got no answer, and why
    tell: Callable[[str], None] = lambda _text: None
    stopping: Callable[[], bool] = lambda: False  # whether this process was asked to end: no new page or chunk is begun

    def at(self, endpoint: Endpoint) -> tuple[Connection, Resource]:
        """Connection and resource of a flow's endpoint. Raises KeyError."""
        connection = self.connections[endpoint.connection]
        return connection, connection.resource(endpoint.resource)


def endpoints(flow: Flow) -> tuple[Endpoint, Endpoint]:
    """A flow's two endpoints, left first."""
    return flow.left, flow.right
