"""Koppel as a library: a workspace opened from its folder, and everything the commands do with it.

from koppel.app import Workspace

with Workspace.open("my-workspace") as ws:
    plan = ws.add(["00100104"], to="books-nl", plan_only=True).plan
    print(plan.counts, plan.calls)
    print(ws.apply(plan).counts)
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets as randomness
import tomllib
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from koppel.config.settings_form import settings_form
from koppel.config.workspace_file import FILE as WORKSPACE_FILE
from koppel.config.workspace_file import (
    FLOWS,
    KEY_FILE,
    NAME,
    STORE_FILE,
    Config,
    find_folder,
    read_config,
    secret_fields,
    settings_of,
    write_connection,
)
from koppel.engine import flow as engine
from koppel.engine import leasing
from koppel.engine import plan as plans
from koppel.engine.clock import Clock, RealClock
from koppel.engine.explain import Explanation, explain
from koppel.engine.flow import Options, Result
from koppel.engine.following import FollowingClock
from koppel.engine.plan import Plan
from koppel.engine.ports import Connection, Ports, Transport, no_point
from koppel.engine.send import HttpTransport, Sender
from koppel.formats import kvk as kvk_format
from koppel.formats import vat as vat_format
from koppel.formats.invalid import InvalidNumber
from koppel.mapping.across import check_flows
from koppel.mapping.check import check_flow
from koppel.mapping.document import mapping_document
from koppel.mapping.flow import Flow, SideName
from koppel.mapping.problems import FlowProblem, has_errors
from koppel.mapping.project import own_fields
from koppel.mapping.read import read_flow
from koppel.mapping.template import fill
from koppel.mapping.transforms import Transform, with_own
from koppel.model.can import Can, Field
from koppel.model.problem import KoppelError, Problem, RetryLater, SetupError, SignInNeeded, UsageError
from koppel.model.record import Record
from koppel.model.values import Json, Ref
from koppel.runtime import alerts, doctor, windows
from koppel.runtime.alerts import Alert, deliver
from koppel.runtime.doctor import Examined
from koppel.store import due, runs, secrets, streams, trail, work
from koppel.store.due import Due
from koppel.store.store import Store, open_store
from koppel.store.trail import Broken, Head, Recorded
from koppel.store.vault import Vault, create_key, read_key
from koppel.systems import registry
from koppel.systems.spi import Absent, MailedCode, Query, Remark, Resource, System, Unknown

T = TypeVar("T")


class LoadedFlow(msgspec.Struct, frozen=True):
    """A flow file of the workspace: its text, what it became, and what is wrong with it."""

    file: str
    text: str
    flow: Flow | None
    problems: tuple[FlowProblem, ...]


class ReadyMade(msgspec.Struct, frozen=True):
    """A flow that comes with a system: the connection names it uses until others are given."""

    name: str
    title: str
    system: str
    left: str
    right: str


class Hit(msgspec.Struct, frozen=True):
    """One record a search found, as much as the search tells."""

    ref: str
    name: str
    kvk: str | None = None
    branch: str | None = None
    street: str | None = None
    postcode: str | None = None
    city: str | None = None
    is_active: bool | None = None


class Checked(msgspec.Struct, frozen=True):
    """A connection that answered: what was asked, and what the login can reach."""

    connection: str
    system: str
    asked: str
    accounts: tuple[tuple[str, str], ...] = ()
    calls: int = 0


class Added(msgspec.Struct, frozen=True):
    """What became of an intake: numbers that were none (as typed → why), notes about others, and the plan or the run."""

    flow: str
    taken: tuple[str, ...]
    refused: dict[str, str]
    notes: dict[str, str]
    plan: Plan | None = None
    result: Result | None = None


class Go(msgspec.Struct):
    """Flows that run together: which streams and records were read, and which look-ups got no answer."""

    read: set[str] = msgspec.field(default_factory=set[str])
    unanswered: dict[Ref, Problem] = msgspec.field(default_factory=dict[Ref, Problem])


class Workspace:
    """One customer's connections, flows and store. Open it with `Workspace.open`, make one with `Workspace.create`."""

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
        self._go: Go | None = None
        self.transforms: Mapping[str, Transform] = with_own(
            {e.name: e.load() for e in entry_points(group="koppel.transforms")}
        )
        self.flows = _load_flows(config.path, self.transforms)

    # --- opening ------------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, folder: str | Path, *, name: str | None = None) -> Workspace:
        """Make a workspace folder: koppel.toml, flows/, key file (0600), empty store. Raises UsageError when there is one already."""
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
        (path / WORKSPACE_FILE).write_text(
            f"# Koppel workspace. Secrets never stand in this file.\n\n[workspace]\nname = {msgspec.json.encode(title).decode()}\n",
            encoding="utf-8",
        )
        (path / ".gitignore").write_text(f"{KEY_FILE}\n{STORE_FILE}*\n", encoding="utf-8")
        key = create_key(path / KEY_FILE)
        config = read_config(path)
        return cls(config, open_store(config.database, Vault(key), create=True))

    @classmethod
    def open(
        cls,
        folder: str | Path | None = None,
        *,
        tell: Callable[[str], None] = lambda _text: None,
        actor: str | None = None,
    ) -> Workspace:
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

    # --- connections ----------------------------------------------------------------------------------------------------

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
                for side in _SIDES:
                    end = loaded.flow.endpoint(side)
                    if end.connection == name:
                        own.setdefault(end.resource, []).extend(own_fields(loaded.flow, side))
        facts = registry.facts(config.system)
        return Connection(
            name=name,
            system=registry.load(config.system).for_settings(settings),
            settings=settings,
            facts=facts,
            own={r: tuple(dict.fromkeys(names)) for r, names in own.items()},
        )

    def _system(self, name: str) -> System:
        """The system of a connection, as its settings make it; settings are only read where they matter. Raises SetupError."""
        system = registry.load(self.config.connections[name].system)
        return system if system.tailored is None else self.connection(name).system

    def connect(
        self, name: str, *, system: str | None = None, settings: Mapping[str, Json] | None = None
    ) -> Connection:
        """Add or change a connection: plain settings go to koppel.toml, secret ones sealed into the store. Raises UsageError, SetupError."""
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name for a connection.",
                remedy="Use small letters, digits and hyphens, for instance books-nl.",
            )
        known = self.config.connections.get(name)
        chosen = system or (known.system if known else None)
        if chosen is None:
            raise UsageError(
                f"Say which system {name} is an account of.",
                remedy=f"koppel connect {name} --system {'|'.join(registry.names())}",
            )
        registry.load(chosen)
        hidden = set(secret_fields(chosen))
        given = dict(settings or {})
        plain = {
            **(known.settings if known and known.system == chosen else {}),
            **{k: v for k, v in given.items() if k not in hidden},
        }
        stored = self.store.run(secrets.get, f"settings {name}")
        sealed = {
            **(stored[0] if stored and known and known.system == chosen else {}),
            **{k: v for k, v in given.items() if k in hidden},
        }
        from koppel.config.workspace_file import ConnectionConfig  # noqa: PLC0415 - only here

        settings_of(
            ConnectionConfig(name, chosen, plain, self.config.folder), sealed
        )  # complain before anything is written
        if sealed:
            self.store.run(secrets.put, f"settings {name}", sealed, at=_now())
        write_connection(self.config.path, name, chosen, plain)
        self.config = read_config(self.config.path)
        return self.connection(name)

    def sign_in_url(self, name: str) -> str | None:
        """The address a person opens to sign in; None for a system that needs only a key."""
        connection = self.connection(name)
        url = connection.system.auth.sign_in_url
        return url(connection.settings, randomness.token_urlsafe(12)) if url else None

    def sign_in(self, name: str, code: str) -> None:
        """Turn a pasted code (or the whole address it came in) into stored tokens. Raises SignInNeeded."""
        connection = self.connection(name)
        self._with_ports(lambda ports: Sender(ports).logins.redeem(connection, code))

    def mailed_code(self, name: str) -> MailedCode:
        """How this connection gets a key with a code by e-mail. Raises UsageError when its system knows no such way."""
        connection = self.connection(name)
        way = connection.system.auth.by_mail
        if way is None:
            raise UsageError(
                f"{connection.system.title} sends no codes by e-mail.", remedy=f"Set it up with: koppel connect {name}"
            )
        return way

    def mail_code(self, name: str, answers: Mapping[str, str]) -> None:
        """Have the vendor e-mail a code. Raises UsageError, SetupError, RetryLater."""
        way, connection = self.mailed_code(name), self.connection(name)
        self._with_ports(
            lambda ports: Sender(ports).logins.unsigned(connection, way.request(connection.settings, answers))
        )

    def redeem_mailed_code(self, name: str, answers: Mapping[str, str], code: str) -> Connection:
        """Exchange a mailed code for a key, sealed into the store at once. Raises UsageError, RetryLater."""
        way, connection = self.mailed_code(name), self.connection(name)
        kept = self._with_ports(
            lambda ports: Sender(ports).logins.unsigned(connection, way.redeem(connection.settings, answers, code))
        )
        return self.connect(name, settings=kept)

    def accounts(self, name: str) -> tuple[tuple[str, str], ...]:
        """What this login can reach: (id, title), for instance divisions."""
        connection = self.connection(name)
        return self._with_ports(
            lambda ports: Sender(ports).run(connection, connection.system.accounts(connection.site(ports.clock.now())))
        )

    def signed_in(self, name: str) -> bool | None:
        """Whether tokens are stored for this connection's login; None for a system that needs only a key."""
        connection = self.connection(name)
        if connection.system.auth.redeem is None:
            return None
        return self.store.run(secrets.get, f"tokens {connection.login}") is not None

    def check_connection(self, name: str) -> Checked:
        """One harmless read. Raises SignInNeeded, SetupError, RetryLater: what keeps the connection from working."""
        connection = self.connection(name)
        system = connection.system

        async def asked(ports: Ports) -> Checked:
            sender = Sender(ports)
            reached = await sender.run(connection, system.accounts(connection.site(ports.clock.now())))
            reached_or_raise(connection, reached)
            if sender.calls:
                return Checked(name, system.name, "what this login can reach", reached, sender.calls.total())
            for resource in system.resources:
                site = connection.site(ports.clock.now(), resource.name)
                if resource.find is not None and "text" in resource.can.find:
                    answers = await sender.run(connection, resource.find(site, "text", ("koppel",)))
                    for problem in (a.problem for a in answers.values() if isinstance(a, Unknown)):
                        if problem.code != "too_many":
                            raise _as_error(name, problem)
                    return Checked(name, system.name, f"one search ({resource.name})", (), sender.calls.total())
            listed = next((r for r in system.resources if r.can.list and r.entity), None)
            if listed is None:
                raise SetupError(f"{name}: {system.title} offers nothing that could be read without consequences.")
            await sender.run(connection, listed.pages(connection.site(ports.clock.now(), listed.name), Query(size=1)))
            return Checked(name, system.name, f"one page of {listed.name}", (), sender.calls.total())

        return self._with_ports(asked)

    def doctor(self, name: str | None = None) -> tuple[Examined, ...]:
        """Look at one connection or all: sign-in, rights, fields, rows, budgets, clock. Raises UsageError for an unknown name."""
        if name is not None and name not in self.config.connections:
            self.connection(name)
        told: dict[str, Examined] = {}
        for each, config in self.config.connections.items():
            try:
                self.connection(each)
            except SetupError as error:
                told[each] = doctor.broken(each, config.system, error)
        chosen = sorted(self.config.connections) if name is None else [name]
        well = [each for each in chosen if each not in told]

        async def asked(ports: Ports) -> list[Examined]:
            return [await doctor.examine(ports, ports.connections[each], self._used(each)) for each in well]

        only = [each for each in self.config.connections if each not in told]
        told |= {one.connection: one for one in (self._with_ports(asked, only=only) if well else [])}
        return tuple(told[each] for each in chosen)

    def _used(self, name: str) -> list[doctor.Used]:
        """Flows that use a connection and whose two sides are known."""
        found: list[doctor.Used] = []
        for loaded in self.flows.values():
            flow = loaded.flow
            if flow is None or name not in _connections_of(flow):
                continue
            try:
                cans: dict[SideName, Can] = {
                    side: self._system(flow.endpoint(side).connection).resource(flow.endpoint(side).resource).can
                    for side in _SIDES
                }
            except (KeyError, SetupError):
                continue  # the other side is not connected, or broken: `check` and its own examination say so
            found.append(doctor.Used(loaded.file, loaded.text, flow, cans, self.transforms))
        return found

    def find(self, name: str, text: str) -> tuple[Hit, ...]:
        """Search an account for what a person types; nothing is taken in. Raises UsageError when it cannot be searched so."""
        connection = self.connection(name)
        resource, kind, value = _way_to_find(connection, text)

        async def asked(ports: Ports) -> tuple[Hit, ...]:
            assert resource.find is not None
            assert resource.decode is not None
            site = connection.site(ports.clock.now(), resource.name)
            answers = await Sender(ports).run(connection, resource.find(site, kind, (value,)))
            answer = answers.get(value, Absent())
            if isinstance(answer, Unknown):
                raise _as_error(name, answer.problem)
            if isinstance(answer, Absent):
                return ()
            return tuple(
                _hit(Ref(name, resource.name, item.native), resource.decode(site, item).record) for item in answer.items
            )

        return self._with_ports(asked)

    def own_fields(self, name: str) -> tuple[Field, ...]:
        """The vendor's own fields that this account really has, from its live metadata."""
        connection = self.connection(name)
        return self._with_ports(
            lambda ports: Sender(ports).run(connection, connection.system.metadata(connection.site(ports.clock.now())))
        )

    def fields(self, name: str) -> dict[str, tuple[Field, ...]]:
        """The fields of an account by resource: the system's, then the account's own from its live metadata."""
        system = self.connection(name).system
        own = self.own_fields(name)
        return {
            resource.name: (*resource.can.fields, *(f for f in own if resource.can.field(f.path) is None))
            for resource in system.resources
            if resource.entity and resource.can.fields
        }

    # --- flows ------------------------------------------------------------------------------------------------------------

    def flow(self, flow_id: str) -> Flow:
        """A flow that can be run. Raises UsageError when there is none of that id, or its file has errors."""
        loaded = self.known_flow(flow_id)
        if loaded.flow is None or has_errors(loaded.problems):
            first = next(p for p in loaded.problems if p.severity == "error")
            raise UsageError(
                f"{first.file}:{first.line}:{first.column}: {first.message}.",
                remedy=f"Mend the file; koppel check {flow_id} shows everything.",
            )
        for side in _SIDES:
            end = loaded.flow.endpoint(side)
            if end.connection not in self.config.connections:
                raise SetupError(
                    f"Flow {flow_id} speaks of the connection {end.connection!r}, which is not configured.",
                    remedy=f"koppel connect {end.connection} --system …",
                )
            resources = {r.name for r in self._system(end.connection).resources if r.entity}
            if end.resource not in resources:
                raise SetupError(
                    f"Flow {flow_id}: {end.connection} has no resource {end.resource!r}.",
                    remedy=f"It has: {', '.join(sorted(resources))}.",
                )
        return loaded.flow

    @staticmethod
    def ready_made() -> tuple[ReadyMade, ...]:
        """The flows that come with the installed systems."""
        return ready_made()

    def known_flow(self, flow_id: str) -> LoadedFlow:
        """A flow of this workspace, right or wrong. Raises UsageError when there is none of that id."""
        loaded = self.flows.get(flow_id)
        if loaded is None:
            known = ", ".join(sorted(self.flows)) or "none yet; koppel init --flow kvk-exact copies a ready-made one"
            raise UsageError(f"There is no flow {flow_id!r} in {self.config.path / FLOWS}.", remedy=f"Known: {known}.")
        return loaded

    def add_flow(self, name: str, connections: Mapping[str, str]) -> Path:
        """Copy a ready-made flow into the workspace with connection names filled in. Raises UsageError."""
        texts = {flow: text for system in registry.names() for flow, text in registry.ready_made_flows(system).items()}
        if name not in texts:
            raise UsageError(f"There is no ready-made flow {name!r}.", remedy=f"There are: {', '.join(sorted(texts))}.")
        target = self.config.path / FLOWS / f"{name}.toml"
        if target.exists():
            raise UsageError(f"{target} exists already.", remedy="Edit it, or remove it first.")
        target.write_text(fill(texts[name], dict(connections)), encoding="utf-8")
        self.flows = _load_flows(self.config.path, self.transforms)
        return target

    def check(self, flow_id: str | None = None, *, live: bool = False) -> tuple[FlowProblem, ...]:
        """Everything that is wrong with one flow or all of them; `live` asks the accounts for their fields."""
        found: list[FlowProblem] = []
        chosen = {flow_id: self.known_flow(flow_id)} if flow_id else dict(self.flows)
        for loaded in chosen.values():
            found += loaded.problems
            if loaded.flow is not None:
                found += self._check_sides(loaded.flow, loaded, live=live)
        found += check_flows({item.file: item.flow for item in self.flows.values() if item.flow is not None})
        return tuple(found)

    def _check_sides(self, flow: Flow, loaded: LoadedFlow, *, live: bool) -> Sequence[FlowProblem]:
        from koppel.mapping.positions import locate  # noqa: PLC0415 - only a check needs places

        cans, own = {}, {}
        positions = locate(loaded.text, file=loaded.file)
        found: list[FlowProblem] = []
        for side in _SIDES:
            end = flow.endpoint(side)
            config = self.config.connections.get(end.connection)
            if config is None:
                return [
                    FlowProblem(
                        loaded.file,
                        1,
                        1,
                        "no_connection",
                        f"the connection {end.connection!r} is not configured",
                        f"koppel connect {end.connection}",
                        "error",
                    )
                ]
            try:
                cans[side] = self._system(end.connection).resource(end.resource).can
            except KeyError:
                return [
                    FlowProblem(
                        loaded.file,
                        1,
                        1,
                        "no_resource",
                        f"{end.connection} has no resource {end.resource!r}",
                        "",
                        "error",
                    )
                ]
            if live:
                place = positions.value(side)
                said = [
                    FlowProblem(
                        loaded.file, place.line, place.column, remark.code, f"{end.connection}: {remark.text.rstrip('.')}",
                        remark.remedy, "warning" if remark.ends_at else "error",
                    )
                    for remark in self._remarks(end.connection)
                    if remark.level == "attention"
                ]  # fmt: skip
                found += said
                try:
                    own[side] = self.own_fields(end.connection)
                except SetupError:
                    if not has_errors(said):  # what was said just now is why
                        raise
        found += check_flow(
            flow,
            left=cans["left"],
            right=cans["right"],
            positions=positions,
            own_fields=own or None,
            entity=flow.entity,
            transforms=self.transforms,
        )
        return found

    def _remarks(self, name: str) -> tuple[Remark, ...]:
        """What the vendor says of this account, asked now: rights and connectors that are missing, tokens that end."""
        connection = self.connection(name)
        return self._with_ports(
            lambda ports: Sender(ports).run(connection, connection.system.status(connection.site(ports.clock.now())))
        )

    def document(self, flow_id: str, *, language: str = "en") -> str:
        """The flow as a mapping document a controller can sign, in Markdown."""
        flow = self.flow(flow_id)
        ends = [(end.connection, self._system(end.connection), end.resource) for end in (flow.left, flow.right)]
        (_, left, left_name), (_, right, right_name) = ends
        return mapping_document(
            flow, left=left.resource(left_name).can, right=right.resource(right_name).can, left_title=f"{left.title} ({flow.left})", right_title=f"{right.title} ({flow.right})", language="nl" if language == "nl" else "en"
        )  # fmt: skip

    # --- running ------------------------------------------------------------------------------------------------------------

    def plan(self, flow_id: str, *, refresh: bool = False, allow: Sequence[str] = ()) -> Plan:
        """What a run would do. Reads, decides, writes nothing outside."""
        flow = self.flow(flow_id)
        return self._with_ports(
            lambda ports: engine.plan_flow(
                ports, flow, self._options(refresh=refresh, allow=allow), transforms=self.transforms
            )
        )

    def sync(
        self,
        flow_id: str,
        *,
        refresh: bool = False,
        allow: Sequence[str] = (),
        trigger: str = "command",
        in_window: bool = False,
    ) -> Result:
        """Plan and do it, under the brakes. A failure is told to `on_alert` at once.

        With `in_window` nothing is done outside the flow's window: the result's state is `waiting`, and its run is none (0).
        """
        flow = self.flow(flow_id)
        opening = windows.opens_at(flow, self.now()) if in_window and flow.run.window else None
        if opening is not None:
            return engine.not_now(flow, windows.outside(flow, opening), at=opening)
        options = self._options(refresh=refresh, allow=allow, trigger=trigger)
        return self._run(flow, lambda ports: engine.sync_flow(ports, flow, options, transforms=self.transforms))

    @contextmanager
    def together(self) -> Generator[None, None, None]:
        """Flows run in the block are one go: streams are read once for all of them, and a refresh looks each record up once."""
        before, self._go = self._go, self._go or Go()
        try:
            yield
        finally:
            self._go = before

    def apply(self, plan: Plan, *, allow: Sequence[str] = ()) -> Result:
        """Do exactly a plan; steps whose state moved are refused and named."""
        flow = self.flow(plan.flow)
        return self._run(
            flow,
            lambda ports: engine.apply_plan(ports, flow, plan, self._options(allow=allow), transforms=self.transforms),
        )

    def add(self, numbers: Sequence[str], *, to: str, plan_only: bool = False, allow: Sequence[str] = ()) -> Added:
        """Take KVK numbers (or other left ids) in, into the flow that ends at connection or flow `to`, and run for just these.

        Numbers that are none are refused by name and nothing is asked about them. Raises UsageError when none is left.
        """
        flow = self._flow_into(to)
        taken, refused, notes = read_numbers(numbers)
        if not taken:
            raise UsageError(f"{'; '.join(refused.values()) or 'No number was given'}.", remedy="Nothing was taken in.")
        options = self._options(allow=allow, light=True, only=tuple(taken))
        if plan_only:

            async def dry(ports: Ports) -> Plan:
                await engine.take(ports, flow, taken)
                return await engine.plan_flow(ports, flow, options, transforms=self.transforms)

            return Added(flow.id, tuple(taken), refused, notes, plan=self._with_ports(dry))

        async def wet(ports: Ports) -> Result:
            await engine.take(ports, flow, taken)
            return await engine.sync_flow(ports, flow, options, transforms=self.transforms)

        return Added(flow.id, tuple(taken), refused, notes, result=self._run(flow, wet))

    def take(self, numbers: Sequence[str], *, to: str) -> Added:
        """Take numbers in without running: they are looked up and dealt with by the next plan, sync or scheduled run.

        Raises UsageError when none of them is a number.
        """
        flow = self._flow_into(to)
        taken, refused, notes = read_numbers(numbers)
        if not taken:
            raise UsageError(f"{'; '.join(refused.values()) or 'No number was given'}.", remedy="Nothing was taken in.")
        self._with_ports(lambda ports: engine.take(ports, flow, taken))
        return Added(flow.id, tuple(taken), refused, notes)

    def targets_of(self, name: str) -> tuple[str, ...]:
        """Connections into which records of this one can be taken in by id."""
        flows = [loaded.flow for loaded in self.flows.values() if loaded.flow and loaded.flow.scope.take != "all"]
        return tuple(sorted({flow.right.connection for flow in flows if flow.left.connection == name}))

    def _flow_into(self, to: str) -> Flow:
        if to in self.flows:
            return self.flow(to)
        fitting = [
            name
            for name, loaded in self.flows.items()
            if loaded.flow and loaded.flow.right.connection == to and loaded.flow.scope.take != "all"
        ]
        if len(fitting) == 1:
            return self.flow(fitting[0])
        if not fitting:
            self.connection(to)
            raise UsageError(
                f"No flow takes records in for {to}.", remedy="Copy a ready-made one: koppel init --flow kvk-exact"
            )
        raise UsageError(
            f"Several flows take records in for {to}: {', '.join(fitting)}.",
            remedy="Name the flow instead of the connection.",
        )

    def _options(
        self,
        *,
        refresh: bool = False,
        allow: Sequence[str] = (),
        trigger: str = "command",
        light: bool = False,
        only: tuple[str, ...] = (),
    ) -> Options:
        return Options(
            actor=self.actor,
            trigger=trigger,
            only=only,
            refresh=refresh,
            light=light,
            override=tuple(allow),
            workspace=self.config.name,
        )

    def _run(self, flow: Flow, run: Callable[[Ports], Coroutine[Any, Any, Result]]) -> Result:
        async def guarded(ports: Ports) -> Result:
            try:
                result = await run(ports)
            except SignInNeeded as error:
                await self._alert(ports, "sign_in", flow, error, about=f"login {error.login}")
                raise
            except KoppelError as error:
                if not isinstance(error, UsageError):
                    await self._alert(ports, "failed", flow, error, about=f"flow {flow.id}")
                raise
            if result.state in ("failed", "stopped"):
                await self._alert(ports, result.state, flow, KoppelError(result.message), about=f"flow {flow.id}")
            else:
                await self._recovered(ports, flow)
            return result

        return self._with_ports(guarded)

    async def _alert(self, ports: Ports, kind: str, flow: Flow, error: KoppelError, *, about: str) -> None:
        """Tell people at once, and once: the same trouble is no news at the next run."""
        alert = Alert(kind, self.config.name, flow.id, error.message, error.remedy, ports.clock.now())
        if self.config.on_alert and await ports.store.tx(alerts.news, alert, about):
            await self._deliver(ports, alert)

    async def _recovered(self, ports: Ports, flow: Flow) -> None:
        """A run went well: what people were told about it or its sign-ins is over, and they are told that too."""
        if not self.config.on_alert:
            return
        logins = {
            f"login {ports.connections[name].login}" for name in _connections_of(flow) if name in ports.connections
        }
        ended = await ports.store.tx(alerts.over, sorted({f"flow {flow.id}", *logins}))
        if ended:
            said = f"{flow.id} runs again"
            await self._deliver(ports, Alert("recovered", self.config.name, flow.id, said, "", ports.clock.now()))

    async def _deliver(self, ports: Ports, alert: Alert) -> None:
        trouble = await deliver(self.config.on_alert or "", alert, ports.transport)
        if trouble:
            self.tell(f"The alert could not be delivered: {trouble}")

    def _with_ports(self, job: Callable[[Ports], Coroutine[Any, Any, T]], *, only: Sequence[str] | None = None) -> T:
        """Run a coroutine with everything it may touch, and let go of it afterwards. `only`: with these connections."""

        async def whole() -> T:
            transport = self.transport or HttpTransport()
            clock: Clock = RealClock()
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
            return RealClock().now()

        async def asked(ports: Ports) -> float:
            return ports.clock.now()

        return self._with_ports(asked)

    # --- looking ------------------------------------------------------------------------------------------------------------

    def runs(self, *, flow: str | None = None, limit: int = 20) -> list[runs.Run]:
        """The latest runs, newest first."""
        return self.store.run(runs.listed, flow=flow, limit=limit)

    def run_numbered(self, number: int) -> runs.Run:
        """One run. Raises UsageError when there is none of that number."""
        found = self.store.run(runs.get, number)
        if found is None:
            raise UsageError(f"There is no run {number}.", remedy="koppel runs lists them.")
        return found

    def log(self, *, run: int | None = None, limit: int = 50, newest_first: bool = True) -> list[Recorded]:
        """Entries of the trail."""
        return self.store.run(trail.read, run=run, limit=limit, newest_first=newest_first)

    def parked(self, *, flow: str | None = None) -> list[work.Item]:
        """What could not be done."""
        return self.store.run(work.listed, "parked", flow=flow)

    def retry(self, numbers: Sequence[int] = ()) -> list[work.Item]:
        """Make parked items due at the next run: these, or all. Raises UsageError for a number that is not parked."""
        items = {item.id: item for item in self.parked()}
        chosen = [items[n] for n in numbers if n in items] if numbers else list(items.values())
        unknown = [n for n in numbers if n not in items]
        if unknown:
            raise UsageError(f"Nothing is parked under no. {unknown[0]}.", remedy="koppel parked lists what is.")
        now = self.now()
        for item in chosen:
            self.store.run(due.add, item.flow, [Due(item.side, item.native, "retry")], at=now)
        self.store.run(work.retry, [item.id for item in chosen], at=0.0)
        return chosen

    def asks(self, *, flow: str | None = None) -> list[work.Item]:
        """What waits for a person's decision; also writes in doubt of which no vendor can tell what became of them."""
        doubts = [item for item in self.parked(flow=flow) if item.body.get("choices")]
        return sorted([*self.store.run(work.listed, "ask", flow=flow), *doubts], key=lambda item: item.id)

    def check_answer(self, number: int, answer: Json) -> work.Item:
        """The question an answer is for. Raises UsageError for an unknown number or an answer it does not offer."""
        item = self.store.run(work.get, number)
        if item is None or item.state == "closed" or not item.body.get("choices"):
            raise UsageError(f"No question is open under no. {number}.", remedy="koppel asks lists them.")
        offered = [choice["answer"] for choice in item.body.get("choices", [])]
        third = isinstance(answer, dict) and "value" in answer and {"left", "right"} <= {*offered}
        named = "id" in offered and isinstance(answer, str) and answer not in ("", "id")
        if (answer not in offered or answer == "id") and not third and not named:
            raise UsageError(
                f"No. {number} cannot be answered with {answer!r}.",
                remedy=f"Possible: {', '.join(str(o) for o in dict.fromkeys(offered))}.",
            )
        return item

    def decide(self, number: int, answer: Json) -> work.Item:
        """Answer a question; the next run carries it out. Raises UsageError for an unknown number or an answer it does not offer."""
        item = self.check_answer(number, answer)
        now = self.now()
        self.store.run(work.answer, number, answer, by=self.actor, at=now)
        self.store.run(due.add, item.flow, [Due(item.side, item.native, "asked")], at=now)
        entry = trail.Entry(
            now,
            self.actor,
            "decided",
            {
                "flow": item.flow,
                "question": item.body.get("text", ""),
                "label": item.body.get("label", ""),
                "answer": answer,
                "field": item.field,
            },
        )
        self.store.run(trail.append, [entry])
        return item

    def why(self, ref: str, field: str | None = None) -> Explanation:
        """Why a record, or one of its fields, is as it is. `ref` = connection:resource:id; a KVK number alone is looked for on every left. Raises UsageError."""
        return self.store.run(explain, self._ref(ref), field=field)

    def _ref(self, text: str) -> Ref:
        if ":" in text:
            try:
                return Ref.parse(text)
            except ValueError as error:
                raise UsageError(f"{error}.", remedy="For instance: register:companies:00100104") from None
        taken, refused, _ = read_numbers([text])
        if not taken:
            raise UsageError(f"{refused[text]}.", remedy="Or name a record: connection:resource:id")
        ends = sorted({str(f.flow.left) for f in self.flows.values() if f.flow and f.flow.scope.take != "all"})
        if len(ends) != 1:
            raise UsageError("Say where the record is.", remedy="For instance: register:companies:00100104")
        return Ref.parse(f"{ends[0]}:{taken[0]}")

    def audit_verify(self, *, against: Head | None = None) -> Broken | None:
        """Check the trail's chain, and that it passes through an exported head; None when it holds."""
        return self.store.run(trail.verify, against=against)

    def audit_head(self) -> Head:
        """The end of the chain, to be kept elsewhere: a cut-off tail can only be noticed against it."""
        return self.store.run(trail.head)

    def streams(self) -> tuple[streams.Stream, ...]:
        """What is read, and how far."""
        return self.store.run(streams.every)


def ready_made() -> tuple[ReadyMade, ...]:
    """The flows that come with the installed systems, by name."""
    found: list[ReadyMade] = []
    for system in registry.names():
        for name, text in registry.ready_made_flows(system).items():
            document = tomllib.loads(text)
            left, right = (str(document.get(side, "")).partition(":")[0] for side in ("left", "right"))
            found.append(ReadyMade(name, str(document.get("title", name)), system, left, right))
    return tuple(sorted(found, key=lambda flow: flow.name))


def _way_to_find(connection: Connection, text: str) -> tuple[Resource, str, str]:
    """The resource and kind of key that can answer what was typed."""
    searchable = [r for r in connection.system.resources if r.find is not None and r.decode is not None]
    for resource in searchable:
        if "text" in resource.can.find:
            return resource, "text", text
    readers = (("kvk", kvk_format), ("vat", vat_format))
    for resource in searchable:
        for kind, reader in readers:
            if kind in resource.can.find and reader.is_valid(text):
                return resource, kind, reader.compact(text)
    kinds = sorted({kind for r in searchable for kind in r.can.find if kind != "native"})
    raise UsageError(
        f"{connection.name} cannot be searched for {text!r}.",
        remedy=f"{connection.system.title} can be searched by: {', '.join(kinds) or 'nothing'}.",
    )


def _hit(ref: Ref, record: Record) -> Hit:
    company = record.entity
    place = company.address or company.postal_address
    return Hit(
        str(ref),
        company.name or company.trade_name or company.statutory_name or "",
        company.kvk,
        company.branch,
        (place.first_line() or None) if place else None,
        place.postcode if place else None,
        place.city if place else None,
        company.is_active,
    )


def _as_error(name: str, problem: Problem) -> KoppelError:
    """A search that got no answer, as what the caller must do."""
    if problem.retry_at is not None:
        return RetryLater(f"{name}: {problem}", at=problem.retry_at, remedy="Try again later.")
    return UsageError(f"{name}: {problem}")


def reached_or_raise(
    connection: Connection, reached: Sequence[tuple[str, str]], chosen_now: Mapping[str, Json] | None = None
) -> None:
    """Raise SetupError for a setting that was to be chosen from what the login reaches and is not among it."""
    for setting in settings_form(connection.system.name):
        chosen = (chosen_now or {}).get(setting.name, getattr(connection.settings, setting.name, None))
        if setting.chosen_from == "accounts" and reached and chosen is not None:
            ids = [id_ for id_, _ in reached]
            if str(chosen) not in ids:
                raise SetupError(
                    f"{connection.name}: {setting.title.lower()} {chosen} is not among those this sign-in can reach: {', '.join(ids)}.",
                    remedy=f"koppel connect {connection.name} --set {setting.name}={ids[0]}, or sign in again and grant it.",
                )


def _connections_of(flow: Flow) -> set[str]:
    """Every connection a flow speaks of."""
    return {flow.left.connection, flow.right.connection, *(line.source.connection for line in flow.enrich)}


_SIDES: tuple[SideName, SideName] = ("left", "right")


def _now() -> float:
    return RealClock().now()


def read_numbers(typed: Sequence[str]) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """KVK numbers as typed → (compact, each once), {typed: why it is none}, {compact: note}."""
    taken: dict[str, None] = {}
    refused: dict[str, str] = {}
    notes: dict[str, str] = {}
    for text in typed:
        try:
            number, _branch, note = kvk_format.read(text)
        except InvalidNumber as error:
            refused[text] = str(error)
            continue
        if number in taken:
            notes.setdefault(number, "given more than once")
        taken[number] = None
        if note:
            notes[number] = note
    return list(taken), refused, notes


def read_number_file(path: Path) -> list[str]:
    """Numbers out of a text or CSV file: the first field of each line; empty lines and `#` comments are skipped. Raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", remedy="Name a text or CSV file.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file.", remedy="Save it as CSV, in UTF-8.") from None
    return read_number_lines(text)


def read_number_lines(text: str) -> list[str]:
    """Numbers out of lines of text: the first field of each, as `read_number_file` says."""
    lines = text.removeprefix("\ufeff").splitlines()
    fields = (re.split(r"[;,\t]", line)[0].strip().strip('"') for line in lines)
    found = [field for field in fields if field and not field.startswith("#")]
    if found and not any(char.isdigit() for char in found[0]):
        found = found[1:]  # a heading
    return found


def write_plan(plan: Plan, path: Path) -> None:
    """Store a plan as canonical JSON, mode 0600: it holds what will be written about whom. Raises UsageError."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", remedy="Name another file.") from None
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(plans.encode(plan))


def read_plan(path: Path) -> Plan:
    """Read a stored plan. Raises UsageError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", remedy="Make a plan with `koppel plan FLOW -o plan.json`."
        ) from None
    return plans.decode(data, file=str(path))


def _load_flows(folder: Path, transforms: Mapping[str, Transform]) -> dict[str, LoadedFlow]:
    """Every flow file of a workspace, by flow id (by file name when it has none)."""
    loaded: dict[str, LoadedFlow] = {}
    for file in sorted((folder / FLOWS).glob("*.toml")):
        text = file.read_text(encoding="utf-8", errors="replace")
        flow, problems = read_flow(text, file=str(file.relative_to(folder)), transforms=transforms)
        name = flow.id if flow else file.stem
        loaded[name if name not in loaded else file.stem] = LoadedFlow(
            str(file.relative_to(folder)), text, flow, problems
        )
    return loaded
