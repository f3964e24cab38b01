"""Before the first write of a run: whether the account really takes the fields that are about to be written.

Only where a system says that it is worth asking (`System.fields_first`): what is learnt holds for a day, per account, and is
asked again before anything is refused because of it. A field that is not there parks its record, without a call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from koppel.engine.frame import Frame
from koppel.engine.plan import Planned, path
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import SideName
from koppel.model.can import Can
from koppel.model.problem import Problem, RetryLater, SetupError
from koppel.store import notes

HOLDS = 24 * 3600.0  # seconds
_SIDES: tuple[SideName, SideName] = ("left", "right")


async def lacking(ports: Ports, sender: Sender, frame: Frame, parts: Sequence[Planned]) -> dict[str, Problem]:
    """Operations that would write what the account does not have, and what is wrong with each. Raises SignInNeeded."""
    found: dict[str, Problem] = {}
    for side in _SIDES:
        connection, can = frame.connections[side], frame.resources[side].can
        mine = [part for part in parts if part.step.side == side]
        if not mine or not connection.system.fields_first:
            continue
        known = await _kept(ports, connection)
        lacks = {} if known is None else dict(_lacks(connection.name, can, known, mine))
        if known is None or lacks:  # what was learnt before may have been mended since
            lacks = dict(_lacks(connection.name, can, await _asked(ports, sender, connection, can), mine))
        found |= lacks
    return found


def _lacks(name: str, can: Can, known: Mapping[str, str], parts: Sequence[Planned]) -> Iterator[tuple[str, Problem]]:
    for part in parts:
        for key in part.step.values:
            field = path(key)
            ours = can.field(field.split(".", 1)[0])
            absent = "the account has no such field" if ours is None or ours.own else ""
            why = known.get(field, absent) if known else ""
            if why:
                problem = Problem("field_missing", f"{name} does not take {field!r}: {why}", field=field)
                yield from ((operation.op, problem) for operation in part.operations)


async def _kept(ports: Ports, connection: Connection) -> dict[str, str] | None:
    """What was learnt of this account within a day: field → why it is not written, empty when it is. None: ask."""
    note = await ports.store.tx(notes.get, _name(connection))
    if not note or note["of"] != _account(connection) or not 0 <= ports.clock.now() - note["at"] < HOLDS:
        return None
    return note["fields"]


async def _asked(ports: Ports, sender: Sender, connection: Connection, can: Can) -> dict[str, str]:
    """Ask the account, and keep the answer.

    Nothing is known when it cannot be asked, or describes nothing: the write itself then says what is wrong.
    """
    try:
        told = await sender.run(connection, connection.system.metadata(connection.site(ports.clock.now())))
    except (SetupError, RetryLater):
        return {}
    if not any((ours := can.field(field.path)) and not ours.own for field in told):
        return {}
    fields = {field.path: (field.note or "it is never written") if field.writable == "never" else "" for field in told}
    note = {"of": _account(connection), "at": ports.clock.now(), "fields": fields}
    await ports.store.tx(notes.put, _name(connection), note)
    return fields


def _name(connection: Connection) -> str:
    return f"fields {connection.name}"


def _account(connection: Connection) -> str:
    return " ".join((connection.login, *connection.system.hosts(connection.settings)))
