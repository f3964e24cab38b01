"""A person's data: shown whole, erased or only kept, and taken away when their time is over.

What is done here is done in the store and named in the trail. Vendors' own accounts, backups and plan files are the firm's:
they are named to whoever asks, never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from koppel.app.opened import Opened
from koppel.config.workspace_file import FILE, KEY_FILE, STORE_FILE
from koppel.engine import leasing
from koppel.engine.fetch import look_up
from koppel.engine.ports import Ports
from koppel.engine.send import Sender
from koppel.formats import kvk as kvk_format
from koppel.formats import rsin as rsin_format
from koppel.formats import vat as vat_format
from koppel.model.problem import KoppelError, RetryLater, SetupError, UsageError
from koppel.model.values import Ref
from koppel.store import due, erasure, observations, retention, streams, suppression
from koppel.store.due import Due
from koppel.store.holdings import Holdings, gather
from koppel.store.people import Key, Marks, Person, Place, World, marks, people, search, whole
from koppel.store.retention import Retention, Swept
from koppel.store.sql import Db
from koppel.store.suppression import Case

T = TypeVar("T")
LEASE_SECONDS = 120.0
LARGEST_FILE = 50_000_000  # bytes; what a workspace folder holds besides its store is smaller


class About(msgspec.Struct, frozen=True):
    """A person with everything that is held about them. `files`: files beside the store that name them; `case`: what was
    decided about them before."""

    asked: str
    at: float
    person: Person
    refs: tuple[str, ...]
    holdings: Holdings
    retention: Retention
    files: tuple[str, ...]
    cases: tuple[Case, ...]


class Erasing(msgspec.Struct, frozen=True):
    """What an erasure comes to. `outcome` = erase | restrict; `until`: when a restriction ends; `reason` says why it is none."""

    about: About
    outcome: str
    reason: str
    until: float | None
    counts: dict[str, int]


class Lifted(msgspec.Struct, frozen=True):
    """Cases that no longer leave anybody out, and the streams that are read anew because of it."""

    cases: tuple[int, ...]
    streams: tuple[str, ...]


def world_of(workspace: Opened) -> World:
    """Streams and flows as the workspace knows them now."""
    places: dict[int, Place] = {}
    for stream in workspace.store.run(streams.every):
        system, entity = "", ""
        try:
            found = workspace.system_of(stream.connection)
            system, entity = found.title, found.resource(stream.resource).entity
        except (SetupError, KeyError):  # its connection is gone or half-made: the values still lie here
            pass
        places[stream.id] = Place(stream.id, stream.name, stream.connection, system, entity)
    numbers = {place.name: place.stream for place in places.values()}
    flows = {
        loaded.flow.id: (numbers.get(str(loaded.flow.left), 0), numbers.get(str(loaded.flow.right), 0))
        for loaded in workspace.flows.values()
        if loaded.flow is not None
    }
    return World(places, flows)


def about(workspace: Opened, text: str) -> About:
    """Everything held about the one person that is meant. Raises UsageError when there is none, or more than one, RetryLater when
    values that are not kept (`cache = "hashes"`) cannot be read now."""
    world, at = world_of(workspace), workspace.now()
    person = workspace.store.run(_the_one, world, text)
    if _read_first(workspace, world, person.records):
        person = workspace.store.run(whole, world, dict.fromkeys(person.records, "asked for"))
    kept = workspace.config.retention
    holdings = workspace.store.run(gather, world, person, keep_years=kept.trail_years, at=at)
    files = _files_naming(workspace.config.path, workspace.store.run(marks, world, person))
    numbers = workspace.store.run(suppression.case_of, natives=person.records)
    cases = tuple(case for case in workspace.store.run(suppression.cases) if case.id in numbers)
    refs = tuple(world.ref(key) for key in person.records)
    return About(text, at, person, refs, holdings, kept, files, cases)


def _read_first(workspace: Opened, world: World, records: Sequence[Key]) -> bool:
    """Read by id what was let go of these records: what names the person is found by it. Whether there was any."""

    def bare(db: Db) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for stream, native in records:
            found.setdefault(stream, []).extend(observations.bare(db, stream, [native]))
        return {stream: natives for stream, natives in found.items() if natives}

    wanted = workspace.store.run(bare)
    if not wanted:
        return False

    async def read(ports: Ports) -> None:
        for stream, natives in wanted.items():
            name, _, resource = world.places[stream].name.partition(":")
            connection = ports.connections[name]
            await look_up(ports, Sender(ports), connection, connection.resource(resource), "native", natives)

    names = sorted({world.places[stream].connection for stream in wanted})
    workspace.with_ports(read, only=names)
    if workspace.store.run(bare):
        raise RetryLater(
            'What is known of this person could not be read (cache = "hashes").',
            at=workspace.now() + 600,
            remedy="Do it again when the connection can be asked.",
        )
    return True


def plan_erasing(workspace: Opened, text: str) -> Erasing:
    """What an erasure would do. Raises UsageError when nobody or several people are meant, or an operation about them is in
    doubt."""
    return _erasing(about(workspace, text))


def erase(workspace: Opened, text: str) -> tuple[Erasing, int]:
    """Do it, while no flow runs; returns what was done, and the case's number. Raises UsageError, RetryLater."""
    broken = sorted(name for name, loaded in workspace.flows.items() if loaded.flow is None)
    if broken:
        raise UsageError(
            f"The flow {broken[0]} cannot be read, so that it is not known what it holds of anybody.",
            remedy=f"Mend it first: koppel check {broken[0]}",
        )

    plan = plan_erasing(workspace, text)
    world = world_of(workspace)
    flows = [f"flow {loaded.flow.id}" for loaded in workspace.flows.values() if loaded.flow]
    number = _alone(workspace, flows, lambda db, at: _carry_out(db, world, plan, workspace.actor, at))
    workspace.store.scrub()
    return plan, number


def _alone(workspace: Opened, leases: Sequence[str], job: Callable[[Db, float], T]) -> T:
    """One durable transaction while nobody else holds any of these leases. Raises RetryLater."""

    async def alone(ports: Ports) -> T:
        return await leasing.alone(ports, leases, job, seconds=LEASE_SECONDS)

    return workspace.with_ports(alone, only=())


def lift(workspace: Opened, text: str, *, reason: str) -> Lifted:
    """Let a person take part again: by the case's number, a ref, a KVK, VAT or RSIN number, or `E-MAIL SURNAME`. What is listed is
    read from the start at the next run. Raises UsageError when nobody is left out by that."""
    world = world_of(workspace)

    def within(db: Db, at: float) -> Lifted:
        open_ = {case.id for case in suppression.cases(db) if case.state != "lifted"}
        numbers = [n for n in _cases_meant(db, world, text) if n in open_]
        if not numbers:
            raise UsageError(
                f"No erased or restricted person is known by {text!r}.", remedy="koppel privacy list shows the cases."
            )
        read: dict[str, None] = {}
        for number in numbers:
            _look_at_again(db, world, suppression.restricted_by(db, number), at=at)
            for stream in erasure.lift(db, number, at=at, by=workspace.actor, reason=reason):
                if stream.complete_at is not None or stream.cursor is not None:
                    streams.begin_scan(db, stream.id)
                    read[stream.name] = None
        return Lifted(tuple(numbers), tuple(read))

    return _alone(workspace, [f"stream {place.name}" for place in world.places.values()], within)


def _look_at_again(db: Db, world: World, records: Sequence[Key], *, at: float) -> None:
    """What was only kept is looked at by its flows once more: their questions about it went when it was restricted."""
    for flow, ends in world.flows.items():
        sides = (("left", ends[0]), ("right", ends[1]))
        entries = [Due(side, native, "asked") for side, stream in sides for s, native in records if s == stream]
        due.add(db, flow, entries, at=at)


def cases(workspace: Opened) -> list[Case]:
    """Everybody who was erased or restricted, by number: their names are not kept."""
    return workspace.store.run(suppression.cases)


def sweep(workspace: Opened, *, dry: bool = False) -> Swept:
    """Take away what is over by [retention]; with `dry` only count it."""
    world, at = world_of(workspace), workspace.now()
    swept = workspace.store.run(
        retention.sweep,
        world,
        workspace.config.retention,
        asked=_asked(workspace, world),
        at=at,
        by=workspace.actor,
        dry=dry,
    )
    if swept.anything and not dry:
        workspace.store.scrub()
    return swept


def sweep_daily(workspace: Opened, *, at: float) -> Swept | None:
    """`sweep` when the last one is a day ago; None when it is not. The database's files are not rewritten: that can wait."""
    if not workspace.store.run(retention.due, at=at):
        return None
    world = world_of(workspace)
    return workspace.store.run(
        retention.sweep, world, workspace.config.retention, asked=_asked(workspace, world), at=at, by=workspace.actor
    )


def said(swept: Swept) -> str:
    """What a sweep took away, in words."""
    words = {
        "records": "records that belonged to nothing", "people": "people", "work": "closed work items", "runs": "notes of runs",
        "trail": "payloads of the trail", "ended": "restricted people erased", "extended": "restrictions extended",
    }  # fmt: skip
    return ", ".join(f"{getattr(swept, key)} {text}" for key, text in words.items() if getattr(swept, key)) or "nothing"


# --- who is meant ---------------------------------------------------------------------------------------------------------


def _the_one(db: Db, world: World, text: str) -> Person:
    key = _as_ref(world, text)
    if key is not None:
        return whole(db, world, {key: "asked for"})
    found = people(db, world, search(db, world, text))
    if not found:
        raise UsageError(
            f"Nobody is known by {text!r}.",
            remedy="Try another name, e-mail address, phone or KVK number, or a ref: connection:resource:id",
        )
    if len(found) > 1:
        named = "; ".join(f"{person.label} ({world.ref(person.records[0])})" for person in found[:10])
        raise UsageError(
            f"{len(found)} people are known by {text!r}: {named}{' …' if len(found) > 10 else ''}.",
            remedy="Name one of them by its ref.",
        )
    return found[0]


def _as_ref(world: World, text: str) -> Key | None:
    try:
        ref = Ref.parse(text)
    except ValueError:
        return None
    stream = next((p.stream for p in world.places.values() if p.name == f"{ref.connection}:{ref.resource}"), None)
    return None if stream is None else (stream, ref.native)


def _cases_meant(db: Db, world: World, text: str) -> list[int]:
    if text.isdigit() and len(text) < 7:
        return [int(text)]
    key = _as_ref(world, text)
    if key is not None:
        return suppression.case_of(db, natives=[key])
    keys = [
        (kind, form.compact(text))
        for kind, form in (("kvk", kvk_format), ("vat", vat_format), ("rsin", rsin_format))
        if form.is_valid(text)
    ]
    mail, _, surname = " ".join(text.lower().split()).partition(" ")
    if "@" in mail and surname:
        keys.append(("email_surname", f"{mail} {surname}"))
    return suppression.case_of(db, keys=keys)


# --- erasing -----------------------------------------------------------------------------------------------------------------


def _erasing(found: About) -> Erasing:
    if found.holdings.doubts:
        raise UsageError(
            f"An operation about {found.person.label} is in doubt: nobody knows yet whether it was done.",
            remedy=f"Have it cleared up first: koppel sync {found.holdings.doubts[0]['flow']}",
        )
    if any(case.state == "restricted" for case in found.cases) and found.holdings.keep_until is not None:
        raise UsageError(
            f"{found.person.label} is restricted already, until the documents need not be kept any more.",
            remedy="koppel privacy list shows until when.",
        )
    numbers = erasure.counts(found.holdings)
    until = found.holdings.keep_until
    if until is None:
        return Erasing(found, "erase", "asked for", None, numbers)
    count = len(found.holdings.documents)
    reason = (
        f"{count} document{'s' * (count != 1)} must be kept for {found.retention.trail_years} years after the book year"
    )
    return Erasing(found, "restrict", reason, until, numbers)


def _carry_out(db: Db, world: World, planned: Erasing, by: str, at: float) -> int:
    person = whole(db, world, dict.fromkeys(planned.about.person.records, "asked for"))
    holdings = gather(db, world, person, keep_years=planned.about.retention.trail_years, at=at)
    if set(person.records) != set(planned.about.person.records) or (holdings.keep_until is None) != (
        planned.until is None
    ):
        raise KoppelError("Something about this person changed meanwhile; nothing was erased.", remedy="Do it again.")
    restricted = next((case.id for case in planned.about.cases if case.state == "restricted"), None)
    if holdings.keep_until is not None:
        return erasure.restrict(
            db, world, person, holdings, at=at, by=by, until=holdings.keep_until, reason=planned.reason
        )
    return erasure.erase(db, world, person, holdings, at=at, by=by, reason=planned.reason, case=restricted)


def _asked(workspace: Opened, world: World) -> tuple[int, ...]:
    """Streams nobody can list and no flow lays over others: their answers can be asked for again."""
    sources = {str(line.source) for loaded in workspace.flows.values() if loaded.flow for line in loaded.flow.enrich}
    found: list[int] = []
    for place in world.places.values():
        if not place.entity or place.name in sources:
            continue
        if not workspace.system_of(place.connection).resource(place.name.partition(":")[2]).can.list:
            found.append(place.stream)
    return tuple(found)


def _files_naming(folder: Path, found: Marks) -> tuple[str, ...]:
    """Files of the workspace's folder that name the person in clear: plans, pages, lists somebody exported."""
    wanted = [text.encode() for text in (*found.parts, *(text for text in found.texts if ":" in text))]
    named: list[str] = []
    for path in sorted(folder.rglob("*")):
        own = path.name in (FILE, KEY_FILE) or path.name.startswith(STORE_FILE)
        if own or not path.is_file() or path.is_symlink() or path.stat().st_size > LARGEST_FILE:
            continue
        content = path.read_bytes().decode("utf-8", "replace").casefold().encode()
        if any(text in content for text in wanted):
            named.append(str(path.relative_to(folder)))
    return tuple(named)
