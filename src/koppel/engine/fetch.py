"""Taking in: streams are read once for all flows; one transaction per page stores what it brought and where to read on.

A stream's reader holds its lease. Whatever a page showed is in the store before the next page is asked for, so that a kill
costs at most one page read twice and loses nothing (law 8).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from koppel.engine import caching, leasing
from koppel.engine.noticed import note_edits
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender, gather_limited
from koppel.mapping.kept import reduced
from koppel.model.problem import Bug, RetryLater
from koppel.store import hints, leases, observations, streams
from koppel.store.observations import Seen, Taken
from koppel.store.sql import Db
from koppel.store.streams import Stream
from koppel.store.vault import canonical
from koppel.systems.spi import Absent, Finding, Found, Item, Page, Query, Resource, Unknown

LEASE_SECONDS = 300.0
RESTARTS = 3  # a stream that is renumbered more often while it is read is left in peace for a while
HINT_WAIT = 600.0  # a hinted record that cannot be looked up now is asked for again after this long
READER_PATIENCE = 30.0  # another flow reading the same stream is soon done


class Fetched(msgspec.Struct, frozen=True):
    """What a read of a stream brought."""

    stream: Stream
    pages: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0
    left_out: int = 0


def stream_of(ports: Ports, connection: Connection, resource: Resource) -> Stream:
    """The stream's row, made when new."""
    return ports.store.run(streams.ensure, connection.name, resource.name)


async def fetch(
    ports: Ports,
    sender: Sender,
    connection: Connection,
    resource: Resource,
    *,
    tombstones: bool = True,
    whole: bool = False,
) -> Fetched:
    """Read what changed since last time (or all, the first time), and the deletions that another feed lists.

    `whole`: read everything again; a whole reading that is under way is carried on. Only at its proven end is gone what it
    did not show (law 7).
    """
    stream = await ports.store.tx(streams.ensure, connection.name, resource.name)
    name = f"stream {stream.name}"
    fence = await leasing.take_soon(ports, name, seconds=LEASE_SECONDS, patience=READER_PATIENCE)
    if fence is None:
        raise RetryLater(
            f"{stream.name} is being read by another worker.",
            at=ports.clock.now() + 60,
            remedy="Run again when it is done.",
        )
    try:
        fetched = await _read_on(ports, sender, connection, resource, name, fence, whole=whole)
    finally:
        await leasing.release(ports, name)
    if tombstones and resource.tombstones:
        await fetch(ports, sender, connection, connection.resource(resource.tombstones), tombstones=False)
    return fetched


async def _read_on(
    ports: Ports,
    sender: Sender,
    connection: Connection,
    resource: Resource,
    lease: str,
    fence: int,
    *,
    whole: bool,
) -> Fetched:
    if resource.entity and await ports.store.tx(caching.follow, connection, resource, ports.clock.now()):
        ports.tell(
            f"{connection.name}:{resource.name}: a flow uses more of it than was kept; reading it from the start"
        )
    stream = await ports.store.tx(streams.ensure, connection.name, resource.name)  # under the lease: as it stands now
    if (whole and not stream.scanning) or (stream.cursor is None and stream.next is None):
        stream = await _from_the_start(ports, stream)
    total = Fetched(stream)
    restarts = 0
    while True:
        site = connection.site(ports.clock.now(), resource.name)
        page = await sender.run(connection, resource.pages(site, Query(cursor=stream.cursor, next=stream.next)))
        if page.restart:
            restarts += 1
            if restarts > RESTARTS:
                at = ports.clock.now() + HINT_WAIT
                raise RetryLater(f"{stream.name} is being renumbered again and again; nothing is lost.", at=at)
            ports.tell(f"{stream.name}: the vendor renumbered its records; reading all of them again")
            stream = await _from_the_start(ports, stream)
            page = await sender.run(connection, resource.pages(site, Query()))
        await ports.point("page received")
        taken = await ports.store.tx(
            _store_as_reader, connection, resource, stream, page, ports.clock.now(), (lease, ports.worker, fence)
        )
        if taken is None:
            raise RetryLater(f"{stream.name} was taken over by another worker.", at=ports.clock.now() + 60)
        await ports.point("page stored")
        stream = await ports.store.tx(streams.get, stream.id)
        total = Fetched(
            stream,
            total.pages + 1,
            total.new + len(taken.new),
            total.changed + len(taken.changed),
            total.gone + len(taken.gone),
            total.left_out + taken.left_out,
        )
        if total.pages % 10 == 0:
            ports.tell(f"{stream.name}: {total.pages} pages read")
        if page.next is None:
            if total.left_out:
                ports.tell(f"{stream.name}: {total.left_out} left out, of erased or restricted people")
            return total
        if ports.stopping():
            raise RetryLater(f"Stopped; {stream.name} is read on by the next run.", at=ports.clock.now())


async def _from_the_start(ports: Ports, stream: Stream) -> Stream:
    await ports.store.tx(streams.begin_scan, stream.id, at=ports.clock.now())
    return await ports.store.tx(streams.get, stream.id)


def _store_as_reader(
    db: Db,
    connection: Connection,
    resource: Resource,
    stream: Stream,
    page: Page,
    at: float,
    reader: tuple[str, str, int],
) -> Taken | None:
    """Store a page only while the stream is still ours: an older page over a newer one would turn back time. Renews the lease."""
    name, worker, fence = reader
    if not leases.holds(db, name, worker, fence):
        return None
    leases.take(db, name, worker, at=at, seconds=LEASE_SECONDS)
    return _store_page(db, connection, resource, stream, page, at)


def _store_page(db: Db, connection: Connection, resource: Resource, stream: Stream, page: Page, at: float) -> Taken:
    """One page: observations, keys, deletions and the cursor in one transaction."""
    taken = take_items(db, connection, resource, stream, page.items, at=at, notice=True)
    for name, natives in _by_resource(page.gone).items():
        of = stream if name == resource.name else streams.ensure(db, connection.name, name)
        gone = observations.take_in(db, of.id, [Seen(native, None) for native in natives], at=at, scan=of.scan)
        taken = Taken(taken.new, taken.changed, (*taken.gone, *gone.gone), taken.left_out)
    for name, natives in _by_resource(page.hints).items():
        hints.put(db, streams.ensure(db, connection.name, name).id, natives, at=at)
    complete = page.complete and page.next is None
    if complete and resource.entity and resource.can.never_skips != "signal_time":  # a feed of signals lists no records
        shows = None if stream.scan_at is None else stream.scan_at - resource.can.settles_after
        swept = observations.mark_unseen_gone(db, stream.id, stream.scan, at=at, seen_before=shows)
        taken = Taken(taken.new, taken.changed, (*taken.gone, *swept.gone), taken.left_out)
    streams.move_cursor(db, stream.id, cursor=page.cursor, next_page=page.next, complete=complete, at=at)
    return taken


def take_items(
    db: Db,
    connection: Connection,
    resource: Resource,
    stream: Stream,
    items: Sequence[Item],
    *,
    at: float,
    notice: bool = False,
    asked_at: float | None = None,
) -> Taken:
    """Decode and store items; those whose raw content is as last time are only marked as seen.

    `notice` (a listing) records what was changed there in linked records and belongs to no flow; it does not bring back values
    that are let go. `asked_at`: when an answer beside the
    listing was asked for; what was read of its record since is at least as new, and its change would not be listed again.
    """
    assert resource.decode is not None or not items
    if asked_at is not None:
        newer = observations.seen_since(db, stream.id, [item.native for item in items], asked_at)
        items = [item for item in items if item.native not in newer]
    keeps = connection.keeps.get(resource.name)
    kept = [] if keeps is None else [sorted(keeps)]
    digests = {
        item.native: db.vault.digest(canonical([item.fields, list(connection.own.get(resource.name, ())), *kept]))
        for item in items
    }
    fill = not (notice and resource.name in connection.lets_go)
    known = observations.raw_digests(db, stream.id, digests, fill=fill)
    same = [
        (item.native, item.version, digests[item.native])
        for item in items
        if known.get(item.native) == digests[item.native]
    ]
    observations.touch_known(db, stream.id, same, at=at, scan=stream.scan)
    site = connection.site(at, resource.name)
    fresh = [
        decoded(connection, resource, site, item, digests[item.native])
        for item in items
        if known.get(item.native) != digests[item.native]
    ]
    if notice:
        again = [seen for seen in fresh if seen.native in known]
        note_edits(db, connection.name, resource.name, resource.entity, stream.id, again, at=at)
    return observations.take_in(db, stream.id, fresh, at=at, scan=stream.scan, fill=fill)


def decoded(connection: Connection, resource: Resource, site: object, item: Item, raw_digest: str) -> Seen:
    """One item as the store takes it."""
    assert resource.decode is not None
    result = resource.decode(site, item)  # type: ignore[arg-type]
    record = result.record
    keeps = connection.keeps.get(resource.name)
    return Seen(
        item.native,
        reduced(record, keeps),
        resource.entity,
        item.version,
        item.modified_at,
        raw_digest,
        record.entity.match_keys(),
        result.problems,
        kept=keeps,
    )


def _by_resource(gone: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for resource, native in gone:
        found.setdefault(resource, []).append(native)
    return found


async def follow_signals(ports: Ports, sender: Sender, connection: Connection, resource: Resource) -> bool:
    """Read the feed that hints at changes of a resource nobody can list, and look up the records hinted at that we know.

    False when the account has no such feed.
    """
    signals = resource.signals
    if signals is None or not resource.signals_on(connection.settings):
        return False
    await fetch(ports, sender, connection, connection.resource(signals))
    stream = await ports.store.tx(streams.ensure, connection.name, resource.name)
    natives = await ports.store.tx(hints.known, stream.id, at=ports.clock.now())
    if natives:
        answers = await look_up(ports, sender, connection, resource, "native", natives)
        for native, unknown in unknown_of(answers).items():
            at = unknown.problem.retry_at or ports.clock.now() + HINT_WAIT
            await ports.store.tx(hints.later, stream.id, native, not_before=at)
    return True


async def look_up(
    ports: Ports, sender: Sender, connection: Connection, resource: Resource, kind: str, values: Sequence[str]
) -> dict[str, Finding]:
    """Ask for records by key, in bulk; what is found is stored, and so is the answer "not there" for a look-up by id."""
    if resource.find is None or kind not in resource.can.find:
        raise Bug(f"{connection.name}:{resource.name} cannot be asked by {kind}")
    if not resource.can.list:
        await ports.store.tx(caching.follow, connection, resource, ports.clock.now())
    size = max(1, resource.can.find_batch)
    parts = [tuple(values[i : i + size]) for i in range(0, len(values), size)]
    find = resource.find

    async def ask(number: int, part: tuple[str, ...]) -> dict[str, Finding]:
        asked_at = ports.clock.now()
        answers = await sender.run(connection, find(connection.site(asked_at, resource.name), kind, part))
        await ports.point("look-up received")
        await ports.store.tx(_store_findings, connection, resource, kind, answers, ports.clock.now(), asked_at)
        await ports.point("look-up stored")
        if len(parts) > 20 and (number + 1) % 20 == 0:
            ports.tell(f"{connection.name}: {min((number + 1) * size, len(values))} of {len(values)} looked up")
        return answers

    found: dict[str, Finding] = {}
    for answers in await gather_limited(
        resource.can.parallel, [ask(number, part) for number, part in enumerate(parts)]
    ):
        found |= answers
    return found


def _store_findings(
    db: Db,
    connection: Connection,
    resource: Resource,
    kind: str,
    answers: dict[str, Finding],
    at: float,
    asked_at: float,
) -> None:
    stream = streams.ensure(db, connection.name, resource.name)
    items = {item.native: item for answer in answers.values() if isinstance(answer, Found) for item in answer.items}
    take_items(db, connection, resource, stream, list(items.values()), at=at, asked_at=asked_at)
    if kind == "native":
        hints.done(db, stream.id, [native for native, answer in answers.items() if not isinstance(answer, Unknown)])
        absent = [
            Seen(native, None, remember=True, problems=(answer.problem,) if answer.problem else ())
            for native, answer in answers.items()
            if isinstance(answer, Absent)
        ]
        observations.take_in(db, stream.id, absent, at=at, scan=stream.scan)


def unknown_of(answers: dict[str, Finding]) -> dict[str, Unknown]:
    """The answers that were none."""
    return {value: answer for value, answer in answers.items() if isinstance(answer, Unknown)}
