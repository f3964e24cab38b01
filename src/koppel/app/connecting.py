"""Connections: made, signed in, looked at."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Mapping

from koppel.app.finding import Checked, Hit, as_error, hit, reached_or_raise, way_to_find
from koppel.app.flow_files import SIDES, connections_of
from koppel.app.opened import Opened, real_now
from koppel.config.workspace_file import (
    NAME,
    read_config,
    secret_fields,
    settings_of,
    write_connection,
)
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import SideName
from koppel.model.can import Can, Field
from koppel.model.problem import SetupError, UsageError
from koppel.model.values import Json, Ref
from koppel.runtime import doctor
from koppel.runtime.doctor import Examined
from koppel.store import secrets, streams, suppression
from koppel.systems import registry
from koppel.systems.spi import Absent, MailedCode, Query, Unknown


class Connecting(Opened):
    """What is done with connections."""

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
            self.store.run(secrets.put, f"settings {name}", sealed, at=real_now())
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
        self.with_ports(lambda ports: Sender(ports).logins.redeem(connection, code))

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
        self.with_ports(
            lambda ports: Sender(ports).logins.unsigned(connection, way.request(connection.settings, answers))
        )

    def redeem_mailed_code(self, name: str, answers: Mapping[str, str], code: str) -> Connection:
        """Exchange a mailed code for a key, sealed into the store at once. Raises UsageError, RetryLater."""
        way, connection = self.mailed_code(name), self.connection(name)
        kept = self.with_ports(
            lambda ports: Sender(ports).logins.unsigned(connection, way.redeem(connection.settings, answers, code))
        )
        return self.connect(name, settings=kept)

    def accounts(self, name: str) -> tuple[tuple[str, str], ...]:
        """What this login can reach: (id, title), for instance divisions."""
        connection = self.connection(name)
        return self.with_ports(
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
                            raise as_error(name, problem)
                    return Checked(name, system.name, f"one search ({resource.name})", (), sender.calls.total())
            listed = next((r for r in system.resources if r.can.list and r.entity), None)
            if listed is None:
                raise SetupError(f"{name}: {system.title} offers nothing that could be read without consequences.")
            await sender.run(connection, listed.pages(connection.site(ports.clock.now(), listed.name), Query(size=1)))
            return Checked(name, system.name, f"one page of {listed.name}", (), sender.calls.total())

        return self.with_ports(asked)

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
        told |= {one.connection: one for one in (self.with_ports(asked, only=only) if well else [])}
        return tuple(told[each] for each in chosen)

    def _used(self, name: str) -> list[doctor.Used]:
        """Flows that use a connection and whose two sides are known."""
        found: list[doctor.Used] = []
        for loaded in self.flows.values():
            flow = loaded.flow
            if flow is None or name not in connections_of(flow):
                continue
            try:
                cans: dict[SideName, Can] = {side: self.end_of(flow, side).can for side in SIDES}
            except (KeyError, SetupError):
                continue  # the other side is not connected, or broken: `check` and its own examination say so
            found.append(doctor.Used(loaded.file, loaded.text, flow, cans, self.transforms))
        return found

    def find(self, name: str, text: str) -> tuple[Hit, ...]:
        """Search an account for what a person types; nothing is taken in. Raises UsageError when it cannot be searched so."""
        connection = self.connection(name)
        resource, kind, value = way_to_find(connection, text)

        async def asked(ports: Ports) -> tuple[Hit, ...]:
            assert resource.find is not None
            assert resource.decode is not None
            site = connection.site(ports.clock.now(), resource.name)
            answers = await Sender(ports).run(connection, resource.find(site, kind, (value,)))
            answer = answers.get(value, Absent())
            if isinstance(answer, Unknown):
                raise as_error(name, answer.problem)
            if isinstance(answer, Absent):
                return ()
            records = {item.native: resource.decode(site, item).record for item in answer.items}
            keys = {native: record.entity.match_keys() for native, record in records.items()}
            stream = await ports.store.tx(streams.number, name, resource.name)
            out = await ports.store.tx(suppression.left_out, stream, keys)
            if out:
                self.tell(f"{len(out)} left out, of erased or restricted people")
            return tuple(hit(Ref(name, resource.name, n), record) for n, record in records.items() if n not in out)

        return self.with_ports(asked)

    def own_fields(self, name: str) -> tuple[Field, ...]:
        """The vendor's own fields that this account really has, from its live metadata."""
        connection = self.connection(name)
        return self.with_ports(
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
