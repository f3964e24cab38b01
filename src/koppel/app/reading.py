"""Reading any resource of a connection by the vendor's name: for people, for scripts, for what no flow covers. Nothing is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from typing import cast

import msgspec

from koppel.app.workspace import Workspace
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.model.anything import Column, Described, Kind, Question, Shown
from koppel.model.problem import UsageError
from koppel.model.values import Json
from koppel.systems.spi import Anything

MOST_CALLS = 100  # what one question may cost of an allowance that the flows live on, unless it says more


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Rows as the vendor shows them, typed. `complete` is False when the calls allowed ran out: there is more."""

    name: str
    endpoint: str
    columns: tuple[Column, ...]
    rows: tuple[Shown, ...]
    complete: bool
    calls: int
    notes: tuple[str, ...] = ()


def kinds(workspace: Workspace, connection: str, pattern: str = "") -> tuple[Kind, ...]:
    """Resources whose name holds `pattern`, in any case. No call. Raises UsageError."""
    opened = workspace.connection(connection)
    wanted = pattern.casefold()
    return tuple(kind for kind in anything_of(opened).kinds(opened.settings) if wanted in kind.name.casefold())


def describe(workspace: Workspace, connection: str, name: str) -> Described:
    """One resource in full, with what the account itself says of it. Raises UsageError, SetupError, SignInNeeded, RetryLater."""
    opened = workspace.connection(connection)
    offered = anything_of(opened)

    async def asked(ports: Ports) -> Described:
        return await Sender(ports).run(opened, offered.describe(opened.site(ports.clock.now()), name))

    return workspace.with_ports(asked, only=[connection])


def read(
    workspace: Workspace,
    connection: str,
    question: Question,
    *,
    calls: int = MOST_CALLS,
    each: Callable[[int], None] = lambda _rows: None,
) -> Answer:
    """Every row that answers, page by page, for at most `calls` calls. `each` is told how many rows there are so far.

    Raises UsageError for what cannot be asked, SetupError, SignInNeeded, RetryLater.
    """
    opened = workspace.connection(connection)
    offered = anything_of(opened)

    async def asked(ports: Ports) -> Answer:
        sender = Sender(ports)
        rows: list[Shown] = []
        notes: dict[str, None] = {}
        at = question
        while True:
            sheet = await sender.run(opened, offered.read(opened.site(ports.clock.now()), at))
            rows += sheet.rows
            notes |= dict.fromkeys(sheet.notes)
            asked_for = sum(count for (_, kind), count in sender.calls.items() if kind != "token")
            spent = asked_for >= calls
            if sheet.next is None or spent or ports.stopping():
                return Answer(
                    name=sheet.name,
                    endpoint=sheet.endpoint,
                    columns=sheet.columns,
                    rows=tuple(rows),
                    complete=sheet.next is None,
                    calls=asked_for,
                    notes=tuple(notes),
                )
            each(len(rows))
            at = msgspec.structs.replace(question, next=sheet.next)

    return workspace.with_ports(asked, only=[connection])


def anything_of(connection: Connection) -> Anything:
    """What a connection's system offers by name. Raises UsageError when it offers nothing so."""
    if connection.system.anything is None:
        raise UsageError(
            f"{connection.system.title} cannot be read by a resource's name.",
            remedy=f"See what {connection.name} offers: koppel fields {connection.name}",
        )
    return connection.system.anything


def as_json(value: object) -> Json:
    """A typed value as JSON holds it: amounts as numbers with exactly their digits, dates in ISO form without a zone."""
    if isinstance(value, Decimal):
        return cast("Json", msgspec.Raw(f"{value:f}".encode()))
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: as_json(inner) for name, inner in cast("Shown", value).items()}
    if isinstance(value, (list, tuple)):
        return [as_json(inner) for inner in cast("tuple[object, ...]", value)]
    return cast("Json", value)


def as_text(value: object) -> str:
    """A typed value in one cell: a date without its time when it has none, `yes` and `no`, collections by their size."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, (list, tuple)):
        return "; ".join(_record(inner) for inner in cast("tuple[object, ...]", value))
    return str(value)


def _record(value: object) -> str:
    if not isinstance(value, dict):
        return as_text(value)
    shown = cast("Shown", value)
    return ", ".join(f"{name} {as_text(inner)}" for name, inner in shown.items() if inner is not None)
