"""The host of the imitations, without I/O: one world, one clock, call counts, fault switches, and one door `/_sandbox/`.

`handle` takes a request as a client would send it and gives the answer, or `NoReply` when a fault swallowed it.
Over `/_sandbox/` (and as methods) calls are counted and reset, time is moved, faults are switched, edits are made and the
state's checksum is taken:

    GET|DELETE /_sandbox/calls            GET|POST /_sandbox/clock   {"advance": s} | {"set": epoch}
    GET|POST|DELETE /_sandbox/faults      POST /_sandbox/control/{system}/{action}
    GET /_sandbox/checksum[/{system}]     GET /_sandbox/state/{system}     GET /_sandbox/contract
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from math import inf
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from koppel.model.problem import SetupError
from koppel.model.values import Json
from koppel.sandbox.clock import DEFAULT_START, SandboxClock
from koppel.sandbox.seeds import make_companies
from koppel.systems.sandbox_spi import Calling, MakeSandbox, Outgoing, Sandbox, SeedCompany, World
from koppel.systems.spi import NoReply, Reply, Request, Response, System

FaultKind = Literal["status", "lose_request", "lose_reply", "delay", "truncate"]

_UUID = re.compile(r"(?:guid')?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}'?")
_DIGITS = re.compile(r"(?<=[/(])\d+(?=[/)]|$)")


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One thing that goes wrong, for the next calls that match.

    `path` is part of the path with its query (base path off), or a regular expression; `about` is part of the body sent, such
    as a number: of calls that travel side by side it picks one. The first `after` matching calls pass, the following `times`
    suffer; with `lasts` it is over that many seconds after it was armed. Kinds: `status` answers with `status`, `headers` and
    `body` and does nothing (with `effect` the effect takes place first); `lose_request`: nothing takes place, silence;
    `lose_reply`: the effect takes place, silence, and with `late` it takes place only when the clock has moved that many
    seconds on; `delay`: nothing but the `seconds` that every kind may add before its answer; `truncate`: the effect takes place
    and half the answer arrives.
    """

    system: str | None = None
    method: str | None = None
    path: str | None = None
    about: str | None = None
    kind: FaultKind = "lose_reply"
    status: int = 503
    headers: dict[str, str] = {}
    body: Json = ""
    effect: bool = False
    seconds: float = 0.0
    late: float = 0.0
    times: int = 1
    after: int = 0
    lasts: float | None = None

    def __post_init__(self) -> None:
        """Refuse what would never fire or not do what it says. Raises ValueError."""
        if self.times < 1 or self.after < 0:
            raise ValueError("`times` must be at least 1 and `after` at least 0")
        if self.late and self.kind not in {"lose_reply", "lose_request"}:
            raise ValueError("`late` goes with a lost reply: an effect that comes later has no answer")
        if self.late < 0 or self.seconds < 0:
            raise ValueError("`late` and `seconds` must not be negative")
        if self.lasts is not None and not self.lasts > 0:
            raise ValueError(
                "`lasts` must be more than 0 seconds; leave it out for a fault that does not pass by itself"
            )

    def matches(self, system: str, method: str, target: str, body: bytes = b"") -> bool:
        """Whether a call is one this fault speaks of."""
        if self.system not in {None, system} or (self.method or method).upper() != method:
            return False
        if self.about is not None and self.about.encode() not in body:
            return False
        return self.path is None or self.path in target or _search(self.path, target)


@dataclass
class _Armed:
    """A fault with its count."""

    number: int
    fault: Fault
    until: float
    passed: int = 0
    fired: int = 0

    def strikes(self, system: str, method: str, target: str, body: bytes, now: float) -> bool:
        if now >= self.until or self.fired >= self.fault.times or not self.fault.matches(system, method, target, body):
            return False
        if self.passed < self.fault.after:
            self.passed += 1
            return False
        self.fired += 1
        return True

    def shown(self) -> dict[str, Json]:
        left = self.fault.times - self.fired
        return {"id": self.number, **msgspec.to_builtins(self.fault), "fired": self.fired, "left": left}


class Answer(msgspec.Struct, frozen=True):
    """A reply, how many real seconds it must be held back (a ticking clock only), and whether its end is missing."""

    reply: Reply
    wait: float = 0.0
    cut: bool = False


class Headers(dict[str, str]):
    """Header names are the same in any case: clients write them as documented, sockets deliver them in lower case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or `default`."""
        return super().get(name.lower(), default)


class SandboxHost:
    """Serves every imitation of one made-up world. Safe to call from several threads; one call at a time is answered."""

    def __init__(
        self,
        makers: Mapping[str, MakeSandbox],
        *,
        seed: int = 1,
        companies: tuple[SeedCompany, ...] = (),
        clock: SandboxClock | None = None,
    ) -> None:
        self.clock = clock or SandboxClock()
        self.world = World(seed=seed, companies=companies, now=self.clock.now)
        self.sandboxes: dict[str, Sandbox] = {name: make(self.world) for name, make in makers.items()}
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._faults: list[_Armed] = []
        self._armed = 0
        self._lock = threading.RLock()

    # --- answering ---

    def handle(self, request: Request) -> Reply:
        """Answer one request as the vendor would, or not at all."""
        return self.answer(request).reply

    def answer(self, request: Request) -> Answer:
        """As `handle`, with what a server must know to deliver it."""
        with self._lock:
            self.clock.catch_up()
            parts = urlsplit(request.url)
            path = unquote(parts.path)
            if path == "/_sandbox" or path.startswith("/_sandbox/"):
                return Answer(self._door(path.removeprefix("/_sandbox").strip("/"), request))
            name = self._mounted_at(path)
            if name is None:
                return Answer(
                    _json(404, {"error": f"no sandbox is served at {path}", "systems": sorted(self.sandboxes)})
                )
            return self._serve(name, path.removeprefix(self.sandboxes[name].base_path) or "/", parts.query, request)

    def _serve(self, name: str, path: str, query: str, request: Request) -> Answer:
        method = request.method.upper()
        request = Request(method, request.url, Headers(request.headers), request.body)
        self._calls[name, method, _shape_of(path)] += 1
        target = f"{path}?{query}" if query else path
        now = self.clock.now()
        armed = next((one for one in self._faults if one.strikes(name, method, target, request.body, now)), None)
        if armed is None:
            return Answer(self._apply(name, path, request))
        return self._suffer(armed.fault, name, path, request)

    def _suffer(self, fault: Fault, name: str, path: str, request: Request) -> Answer:
        if fault.late:
            self.clock.later(fault.late, lambda: self._apply(name, path, request))
            return Answer(NoReply(f"fault: the effect comes {fault.late:g} s late"))
        reply: Reply
        match fault.kind:
            case "lose_request":
                reply = NoReply("fault: the request was lost")
            case "lose_reply":
                self._apply(name, path, request)
                reply = NoReply("fault: the reply was lost")
            case "status":
                if fault.effect:
                    self._apply(name, path, request)
                body = fault.body.encode() if isinstance(fault.body, str) else msgspec.json.encode(fault.body)
                headers = {"content-type": "application/json"} | {k.lower(): v for k, v in fault.headers.items()}
                reply = Response(fault.status, headers, body)
            case "delay":
                reply = self._apply(name, path, request)
            case "truncate":
                whole = self._apply(name, path, request)
                reply = Response(whole.status, whole.headers, whole.body[: len(whole.body) // 2])
        cut = fault.kind == "truncate"
        if self.clock.ticking:
            return Answer(reply, wait=fault.seconds, cut=cut)
        self.clock.advance(fault.seconds)
        return Answer(reply, cut=cut)

    def _apply(self, name: str, path: str, request: Request) -> Response:
        return self.sandboxes[name].handle(path, request)

    def _mounted_at(self, path: str) -> str | None:
        fits = [
            (len(sandbox.base_path), name)
            for name, sandbox in self.sandboxes.items()
            if path == sandbox.base_path or path.startswith(sandbox.base_path + "/")
        ]
        return max(fits)[1] if fits else None

    # --- the door ---

    def _door(self, path: str, request: Request) -> Response:
        word, *rest = path.split("/")
        method = request.method.upper()
        try:
            body = msgspec.json.decode(request.body) if request.body else {}
            return _json(200, self._command(method, word, tuple(rest), body, request))
        except _NoSuchDoorError as error:
            return _json(404, {"error": str(error)})
        except ValueError as error:  # msgspec's decoding errors are ValueErrors too
            return _json(400, {"error": str(error)})

    def _command(self, method: str, word: str, rest: tuple[str, ...], body: Json, request: Request) -> Json:
        match method, word, rest:
            case "GET", "calls", ():
                return self.calls()
            case "DELETE", "calls", ():
                self.reset_calls()
                return self.calls()
            case "GET", "clock", ():
                return {"now": self.clock.now(), "ticking": self.clock.ticking}
            case "POST", "clock", ():
                return {"now": self._move_clock(body), "ticking": self.clock.ticking}
            case "GET", "faults", ():
                return self.faults()
            case "POST", "faults", ():
                items = body if isinstance(body, list) else [body]
                faults = [msgspec.convert(item, Fault) for item in items]  # all or none
                return {"ids": [self.add_fault(fault) for fault in faults]}
            case "DELETE", "faults", ():
                self.clear_faults()
                return self.faults()
            case "POST", "control", (system, action):
                return self.control(system, action, msgspec.convert(body, dict[str, Any]))
            case "GET", "checksum", ():
                return {"checksum": self.checksum()}
            case "GET", "checksum", (system,):
                return {"checksum": self.checksum(system)}
            case "GET", "state", (system,):
                return self.state(system)
            case "GET", "contract", ():
                parts = urlsplit(request.url)
                return contract(self, f"{parts.scheme}://{parts.netloc}")
            case _:
                raise _NoSuchDoorError(f"there is no {method} /_sandbox/{'/'.join((word, *rest))}")

    def _move_clock(self, body: Json) -> float:
        match body:
            case {"advance": int() | float() as seconds}:
                return self.clock.advance(seconds)
            case {"set": int() | float() as epoch}:
                return self.clock.set(epoch)
            case _:
                raise ValueError('the clock is moved with {"advance": seconds} or {"set": epoch}')

    # --- the same as methods ---

    def calls(self) -> dict[str, Json]:
        """Count the calls since the start or the last reset: in total, per system, and per method and path."""
        with self._lock:
            systems: dict[str, dict[str, Json]] = {name: {"total": 0, "calls": {}} for name in self.sandboxes}
            for (name, method, path), count in sorted(self._calls.items()):
                systems[name]["total"] += count
                systems[name]["calls"][f"{method} {path}"] = count
            return {"total": sum(self._calls.values()), "systems": systems}

    def count(self, system: str | None = None, method: str | None = None, path: str = "") -> int:
        """Count the calls to a system with a method and a path that holds `path` (ids read `{id}`)."""
        with self._lock:
            return sum(
                count
                for (name, verb, shape), count in self._calls.items()
                if system in {None, name} and method in {None, verb} and path in shape
            )

    def reset_calls(self) -> None:
        """Forget the counts."""
        with self._lock:
            self._calls.clear()

    def add_fault(self, fault: Fault) -> int:
        """Arm a fault and return its number. Raises ValueError for a system that is not served."""
        with self._lock:
            if fault.system is not None and fault.system not in self.sandboxes:
                raise ValueError(f"no sandbox is called {fault.system!r}")
            self._armed += 1
            until = inf if fault.lasts is None else self.clock.now() + fault.lasts
            self._faults.append(_Armed(self._armed, fault, until))
            return self._armed

    def faults(self) -> dict[str, Json]:
        """List the armed faults with how often each struck, spent ones included."""
        with self._lock:
            return {"faults": [armed.shown() for armed in self._faults]}

    def clear_faults(self) -> None:
        """Disarm every fault. Late effects already under way still come."""
        with self._lock:
            self._faults.clear()

    def control(self, system: str, action: str, body: dict[str, Json]) -> dict[str, Json]:
        """Let a person or the vendor do something. Raises ValueError for what the sandbox does not know or take."""
        with self._lock:
            self.clock.catch_up()
            return self._sandbox(system).control(action, body)

    def state(self, system: str) -> Json:
        """Show a system's whole business state. Raises ValueError for an unknown one."""
        with self._lock:
            self.clock.catch_up()
            return self._sandbox(system).snapshot()

    def outgoing(self) -> list[tuple[str, Outgoing]]:
        """What the vendors send by themselves and is due by now, each with its system."""
        with self._lock:
            self.clock.catch_up()
            calling = ((name, one) for name, one in self.sandboxes.items() if isinstance(one, Calling))
            return [(name, call) for name, one in calling for call in one.outgoing()]

    def answered(self, system: str, number: int, status: int | None) -> None:
        """Tell a vendor how its call was answered; None for silence."""
        with self._lock:
            sandbox = self._sandbox(system)
            if isinstance(sandbox, Calling):
                sandbox.answered(number, status)

    def checksum(self, system: str | None = None) -> str:
        """Take the SHA-256 of one system's state, or of all. Raises ValueError for an unknown one."""
        with self._lock:
            names = sorted(self.sandboxes) if system is None else [system]
            states = {name: self.state(name) for name in names}
            return hashlib.sha256(msgspec.json.encode(states, order="deterministic")).hexdigest()

    def _sandbox(self, name: str) -> Sandbox:
        if name not in self.sandboxes:
            raise _NoSuchDoorError(f"no sandbox is called {name!r}; there are {', '.join(sorted(self.sandboxes))}")
        return self.sandboxes[name]


class _NoSuchDoorError(ValueError):
    """Nothing is there."""


def contract(host: SandboxHost, base_url: str) -> dict[str, Json]:
    """What a caller must know to use the sandboxes: addresses, made-up keys, ids that exist."""
    base_url = base_url.rstrip("/")
    return {
        "base_url": base_url,
        "systems": {name: sandbox.contract(base_url + sandbox.base_path) for name, sandbox in host.sandboxes.items()},
    }


def load(names: Iterable[str] | None = None) -> dict[str, MakeSandbox]:
    """Find the sandboxes of installed systems by entry point; None means every system that has one.

    Raises SetupError when a system is not installed, cannot be loaded, or was asked for by name and has no sandbox.
    """
    found = {entry.name: entry for entry in entry_points(group="koppel.systems")}
    makers: dict[str, MakeSandbox] = {}
    for name in sorted(found) if names is None else names:
        if name not in found:
            raise SetupError(
                f"No system called {name!r} is installed.", remedy=f"Installed are: {', '.join(sorted(found))}."
            )
        try:
            maker = _maker(found[name].load())
        except (ImportError, AttributeError) as error:
            raise SetupError(f"The sandbox of {name!r} could not be loaded: {error}.") from error
        if maker is not None:
            makers[name] = maker
        elif names is not None:
            raise SetupError(f"The system {name!r} has no sandbox.")
    return makers


def _maker(system: System) -> MakeSandbox | None:
    if system.sandbox is None:
        return None
    module, _, attribute = system.sandbox.partition(":")
    return getattr(import_module(module), attribute)


def build(
    seed: int = 1,
    companies: int = 25,
    start: float | None = None,
    ticking: bool = False,
    names: Iterable[str] | None = None,
) -> SandboxHost:
    """Make a host with a fresh world of that many companies. Raises SetupError as `load` does, ValueError as the seeds do."""
    clock = SandboxClock(DEFAULT_START if start is None else start, ticking=ticking)
    return SandboxHost(load(names), seed=seed, companies=make_companies(seed, companies), clock=clock)


def _search(pattern: str, target: str) -> bool:
    try:
        return re.search(pattern, target) is not None
    except re.error:  # a plain piece of a path, such as `Accounts(guid`, need not be an expression
        return False


def _shape_of(path: str) -> str:
    """The path with ids replaced by `{id}`, so that calls of a kind are counted together.

    >>> _shape_of("/api/v1/3211675/crm/Accounts(guid'0a1b2c3d-0000-4000-8000-1234567890ab')")
    '/api/v1/{id}/crm/Accounts({id})'
    >>> _shape_of("/api/v1/basisprofielen/00100104/eigenaar")
    '/api/v1/basisprofielen/{id}/eigenaar'
    """
    return _DIGITS.sub("{id}", _UUID.sub("{id}", path))


def _json(status: int, body: Json) -> Response:
    return Response(status, {"content-type": "application/json"}, msgspec.json.encode(body))
