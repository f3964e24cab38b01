"""Writing one record by the vendor's names, by hand: checked and shown first, then sent once, then recorded.

What is about to be sent is in the trail before it leaves. A lost answer leaves it *in doubt*: the same write is not sent again
until somebody has looked, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import msgspec

from koppel.app.reading import anything_of, as_json
from koppel.app.workspace import Workspace
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.model.anything import Draft, Prepared, Written
from koppel.model.problem import KoppelError, Problem, UsageError
from koppel.model.values import Json
from koppel.store import notes, trail
from koppel.store.sql import Db
from koppel.store.trail import Entry
from koppel.systems.spi import Anything, CannotTell, Landed

SETTLES = 60.0  # seconds in which a call whose answer was lost may still arrive; as for accounts


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a write. `entry` is its number in the trail; `looked` what a look after a lost answer showed."""

    written: Written
    entry: int
    looked: str = ""


def prepare(workspace: Workspace, connection: str, draft: Draft) -> Prepared:
    """What would be sent, and what stands there now. Only reads. Raises UsageError, SetupError, SignInNeeded, RetryLater."""
    opened = workspace.connection(connection)
    offered = _offered(opened)

    async def asked(ports: Ports) -> Prepared:
        return await _prepared(ports, Sender(ports), opened, offered, draft)

    return workspace.with_ports(asked, only=[connection])


def write(workspace: Workspace, connection: str, draft: Draft, planned: Prepared, *, again: bool = False) -> Outcome:
    """Send what `prepare` showed, and nothing else. `again`: somebody has looked, and an earlier one in doubt is not there.

    Raises UsageError when something changed since, or when the same write is in doubt; SetupError, SignInNeeded, RetryLater
    when it surely did not leave.
    """
    opened = workspace.connection(connection)
    offered = _offered(opened)
    actor = workspace.actor

    async def job(ports: Ports) -> Outcome:
        sender = Sender(ports)
        now = await _prepared(ports, sender, opened, offered, draft)
        if now != planned:
            raise UsageError("It changed since this was shown; nothing was written.", remedy="Look at it again first.")
        if not now.fields and now.kind != "delete":
            raise UsageError("There is nothing to send: the record shows this already.")
        mark = f"write in doubt {await ports.store.tx(_digest, connection, now)}"
        await _not_in_doubt(ports, sender, opened, offered, now, mark, again=again)
        begun = ports.clock.now()
        op = f"hand-{begun:.6f}-{mark[-12:]}"
        data = _data(connection, now)
        await ports.store.durable(_begin, mark, Entry(begun, actor, "write_begun", data, op=op), again)
        await ports.point("write begun")
        try:
            written = await sender.run(opened, offered.write(opened.site(ports.clock.now()), now, op))  # type: ignore[misc]
        except KoppelError as error:
            if sender.out[op] > 0:  # it left, and what came of it was not seen
                raise
            ended = {**data, "because": f"it was not sent: {error.message}"}
            await ports.store.durable(_end, mark, Entry(ports.clock.now(), actor, "write_not_sent", ended, op=op), True)
            raise
        looked = await _look(ports, sender, opened, offered, now) if written.status == "unknown" else None
        if isinstance(looked, Landed):
            written = replace(written, status="done", native=looked.native, problem=None)
        elif written.status == "done":
            written = await _read_back(ports, sender, opened, offered, now, written)
        seen = looked.problem.text if isinstance(looked, CannotTell) else ""
        ended = _ended(data, now, written, by_look=isinstance(looked, Landed))
        entry = Entry(ports.clock.now(), actor, f"write_{written.status}", ended, op=op)
        last = await ports.store.durable(_end, mark, entry, written.status != "unknown")
        return Outcome(written=written, entry=last, looked=seen)

    return workspace.with_ports(job, only=[connection])


def arrived(workspace: Workspace, connection: str, draft: Draft, native: str) -> Outcome:
    """Settle a new record in doubt: a person has looked, and it is this one. Nothing is sent; what it shows is compared.

    Raises UsageError when nothing of the kind is in doubt or there is no such record; SetupError, SignInNeeded, RetryLater.
    """
    opened = workspace.connection(connection)
    offered = _offered(opened)
    actor = workspace.actor

    async def job(ports: Ports) -> Outcome:
        sender = Sender(ports)
        prepared = await _prepared(ports, sender, opened, offered, draft)
        mark = f"write in doubt {await ports.store.tx(_digest, connection, prepared)}"
        if prepared.kind != "create" or await ports.store.tx(notes.get, mark) is None:
            raise UsageError("No new record with these values is in doubt.", remedy="See what was sent: koppel log")
        found = Written(status="done", native=native)
        if offered.read_back is not None:
            found = await sender.run(opened, offered.read_back(opened.site(ports.clock.now()), prepared, found))
        if found.problem is not None and found.problem.code == "not_read_back" and not found.shown:
            raise UsageError(
                f"{prepared.name} {native} cannot be read, so it was not taken for the one that was sent.",
                remedy="Give the id as it is read.",
            )
        told = _ended(_data(connection, prepared), prepared, found, by_look=False)
        told["because"] = f"sent by hand to {connection}; its answer was lost, and {actor} has found it"
        entry = await ports.store.durable(_end, mark, Entry(ports.clock.now(), actor, "write_done", told), True)
        return Outcome(written=found, entry=entry)

    return workspace.with_ports(job, only=[connection])


# --- parts --------------------------------------------------------------------------------------------------------


def _offered(connection: Connection) -> Anything:
    offered = anything_of(connection)
    if offered.prepare is None or offered.write is None or offered.look is None:
        raise UsageError(f"{connection.system.title} cannot be written by a resource's name.")
    return offered


async def _prepared(ports: Ports, sender: Sender, opened: Connection, offered: Anything, draft: Draft) -> Prepared:
    assert offered.prepare is not None
    return await sender.run(opened, offered.prepare(opened.site(ports.clock.now()), draft))


async def _read_back(
    ports: Ports, sender: Sender, opened: Connection, offered: Anything, prepared: Prepared, written: Written
) -> Written:
    """What was kept of it. That it cannot be read back now makes it no less done."""
    if offered.read_back is None:
        return written
    try:
        return await sender.run(opened, offered.read_back(opened.site(ports.clock.now()), prepared, written))
    except KoppelError as error:
        text = f"It was taken, but could not be read back: {error.message}"
        return replace(written, problem=Problem("not_read_back", text))


async def _look(
    ports: Ports, sender: Sender, opened: Connection, offered: Anything, prepared: Prepared
) -> Landed | CannotTell | None:
    """What can be seen of a write whose answer was lost; None when nothing can be said now."""
    assert offered.look is not None
    try:
        trace = await sender.run(opened, offered.look(opened.site(ports.clock.now()), prepared))
    except KoppelError as error:
        return CannotTell(Problem("cannot_look", f"It could not be looked up: {error.message}"))
    # That it is not there yet proves nothing so soon.
    return trace if isinstance(trace, (Landed, CannotTell)) else None


async def _not_in_doubt(
    ports: Ports, sender: Sender, opened: Connection, offered: Anything, prepared: Prepared, mark: str, *, again: bool
) -> None:
    """Raises UsageError while an earlier write of the same has no known end."""
    before = await ports.store.tx(notes.get, mark)
    if before is None or again:
        return
    begun = float(cast("Mapping[str, float]", before)["at"])
    if prepared.kind != "create" and ports.clock.now() - begun >= SETTLES:
        return  # the record was read just now and does not show it: it did not arrive, and will not
    found = await _look(ports, sender, opened, offered, prepared) if prepared.kind == "create" else None
    seen = found.problem.text if isinstance(found, CannotTell) else "It may still arrive."
    raise UsageError(
        f"The same was sent before and its answer was lost; whether it arrived is not known. {seen}",
        remedy="Look. When it is there: the same command with --arrived ID. When it is not: with --again."
        if prepared.kind == "create"
        else "Try again in a minute.",
    )


def _begin(db: Db, mark: str, entry: Entry, again: bool) -> None:
    """What is about to be sent is recorded; two at once do not both begin."""
    (number,) = trail.append(db, [entry])
    standing = notes.get(db, mark)
    if standing is not None and not again and entry.data["method"] == "POST":
        raise UsageError("The same is being sent at this moment.", remedy="See what came of it: koppel log")
    notes.put(db, mark, {"at": entry.at, "entry": number})


def _end(db: Db, mark: str, entry: Entry, known: bool) -> int:
    (number,) = trail.append(db, [entry])
    if known:
        notes.drop(db, mark)
    return number


def _digest(db: Db, connection: str, prepared: Prepared) -> str:
    """Equal writes, equal digest; it tells nothing of what is written."""
    told = [connection, prepared.name, prepared.kind, prepared.native, as_json(prepared.fields)]
    return db.vault.digest(msgspec.json.encode(told))


def _data(connection: str, prepared: Prepared) -> dict[str, Json]:
    """A write as the trail tells it: what stood there and what is put there (law 3)."""
    names = prepared.before if prepared.kind == "delete" else prepared.fields
    return {
        "label": f"{prepared.name} {prepared.native or 'new'}",
        "connection": connection,
        "resource": prepared.name,
        "method": prepared.method,
        "native": prepared.native,
        "fields": {
            name: {
                "before": _plain(prepared.before.get(name)),
                "after": _plain(prepared.fields.get(name)),
                "because": "",
            }
            for name in names
        },
        "because": f"written by hand to {connection}",
    }


def _ended(data: dict[str, Json], prepared: Prepared, written: Written, *, by_look: bool) -> dict[str, Json]:
    native = written.native or prepared.native
    told = {**data, "native": native, "label": f"{prepared.name} {native or 'new'}"}
    if written.problem is not None:
        told["problem"] = msgspec.to_builtins(written.problem)
    if written.differs:
        told["differs"] = {name: _plain(written.shown.get(name)) for name in written.differs}
    return {**told, "by_probe": True} if by_look else told


def _plain(value: object) -> Json:
    """A value as the trail keeps it: numbers with a fraction as text, so that every digit stays."""
    return msgspec.to_builtins(value, builtin_types=(), str_keys=True)
