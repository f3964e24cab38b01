"""The derived left of a flow that posts documents together: kept true to the documents the store knows, read by nobody else.

It follows the documents' stream from its own position, in parts: each part is one transaction that notes which postings its
documents belong to and moves the position, and each posting is made in one transaction from all of its documents. A kill
between loses and doubles nothing; where nothing changed, nothing is done. A posting that stands on the other side, or may, is
never changed again: what its documents come to besides is a further posting, which a person is asked about unless the flow says
that it just follows. A day is posted when it is over, by Dutch time.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from koppel.engine import leasing
from koppel.engine.ports import Ports
from koppel.mapping.flow import Endpoint, Flow
from koppel.mapping.grouping import (
    LATE,
    Sums,
    day_of,
    derived_can,
    native_of,
    parts_of,
    posting,
)
from koppel.model.problem import Problem, SetupError
from koppel.model.values import Cursor, Json
from koppel.store import flows, notes, observations, postings, streams, work
from koppel.store.observations import Observation, Seen
from koppel.store.postings import Posting
from koppel.store.sql import Db
from koppel.store.streams import Stream
from koppel.store.vault import canonical
from koppel.systems.spi import Resource

PART = 500
LEASE_SECONDS = 600.0
ZONE = ZoneInfo("Europe/Amsterdam")


def derived_resource(flow: Flow) -> Resource:
    """What a flow makes of documents, as a resource: it can be listed from the store, and nothing else."""
    return Resource(name=flow.left.resource, entity=flow.entity, can=derived_can(flow.entity))


def read_end(flow: Flow) -> Endpoint:
    """What is really read on the left of a flow."""
    return flow.left if flow.group is None else flow.group.source


def refuse_regrouping(db: Db, flow: Flow) -> None:
    """What was posted one way is not posted another way as well. Raises SetupError when a flow that has links was given a
    grouping, lost it, or is grouped otherwise now."""
    row = db.one("select left_stream from flow_ends where flow = :f", f=flow.id)
    now = streams.named(db, flow.left.connection, flow.left.resource)
    if row is None or (now is not None and now.id == row[0]) or not flows.pairs_of(db, flow.id):
        return
    before = streams.get(db, row[0])
    if flow.group is None and not before.resource.endswith(f" ({flow.id})"):
        return
    raise _regrouped(flow)


def _regrouped(flow: Flow) -> SetupError:
    return SetupError(
        f"Flow {flow.id} has posted already; grouped otherwise, the same documents would be posted a second time.",
        remedy="Undo the edit of [group], or make a new flow with another id that starts at a later day.",
    )


async def bring_up_to_date(ports: Ports, flow: Flow, *, leased: bool) -> None:
    """Make the postings anew of what changed. `leased`: the caller holds the flow's lease; without it nothing is made while a
    run is deciding about postings. Raises SetupError when the keys were edited after posting."""
    if flow.group is None:
        return
    lease = f"flow {flow.id}"
    if not leased and await leasing.take(ports, lease, seconds=LEASE_SECONDS) is None:
        ports.tell(f"{flow.id} is being run: postings are shown as that run found them")
        return
    try:
        await _bring_up_to_date(ports, flow)
    finally:
        if not leased:
            await leasing.release(ports, lease)


async def note_posted(ports: Ports, flow: Flow) -> None:
    """Note what was posted, as soon as it was."""
    if flow.group is not None:
        stream = ports.store.run(streams.ensure, flow.left.connection, flow.left.resource)
        await ports.store.tx(postings.note_posted, stream.id, flow.id)


async def _bring_up_to_date(ports: Ports, flow: Flow) -> None:
    _, source = ports.at(read_end(flow))
    if not await ports.store.tx(_begin, flow, ports.clock.now()):
        return
    while await ports.store.tx(_take_part, flow, source.entity):
        await ports.point("documents grouped")
    today = datetime.fromtimestamp(ports.clock.now(), ZONE).date().isoformat()
    while await ports.store.tx(_make, flow, source.entity, today, ports.clock.now()):
        await ports.point("postings made")
    await ports.store.tx(_complete, flow, ports.clock.now())


def _streams(db: Db, flow: Flow) -> tuple[Stream, Stream]:
    end = read_end(flow)
    return streams.ensure(db, end.connection, end.resource), streams.ensure(
        db, flow.left.connection, flow.left.resource
    )


def _begin(db: Db, flow: Flow, at: float) -> bool:
    """Note what was posted, and follow an edit of the flow. False while the documents were never read to their end."""
    documents, derived = _streams(db, flow)
    postings.note_posted(db, derived.id, flow.id)
    assert flow.group is not None
    group = flow.group
    keys = db.vault.digest(canonical([list(group.keys), group.by]))
    taken = db.vault.digest(canonical([msgspec.to_builtins(group.scope), flow.tables.get(group.journals or "")]))
    shown = db.vault.digest(canonical([msgspec.to_builtins(group), flow.tables]))
    place = notes.get(db, _place(derived))
    if place is not None and place["keys"] != keys:
        if postings.any_posted(db, derived.id):
            raise _regrouped(flow)
        gone = [Seen(native, None) for native in postings.forget(db, derived.id)]
        observations.take_in(db, derived.id, gone, at=at)
        place = None
    if place is None:
        place = {"seq": 0, "keys": keys, "taken": taken, "shown": shown, "known": 0}
    if place["taken"] != taken:  # other documents, or other journals: each is looked at again, and is no news by that
        place = {**place, "seq": 0, "taken": taken, "known": max(place["seq"], place["known"])}
    if place["shown"] != shown:  # other ledgers: what is not posted yet is made anew
        postings.to_make(db, derived.id, {name: day_of(flow, name) for name in postings.unposted(db, derived.id)})
    notes.put(db, _place(derived), {**place, "shown": shown})
    return documents.complete_at is not None


def _place(derived: Stream) -> str:
    return f"grouped {derived.id}"


def _take_part(db: Db, flow: Flow, entity: str) -> int:
    """Group the next documents that changed; returns how many."""
    documents, derived = _streams(db, flow)
    place = notes.get(db, _place(derived))
    changed = postings.changed(db, documents.id, place["seq"], size=PART)
    if not changed:
        return 0
    seen = observations.load(db, documents.id, [native for native, _ in changed], entity=entity)
    if any(one.bare for one in seen.values()):
        raise SetupError(
            f"Of documents of {documents.name} only digests are kept, and flow {flow.id} adds them up.",
            remedy=f"Read them anew: koppel reconcile {flow.id}",
        )
    names: dict[str, tuple[str, ...]] = {}
    for native, _ in changed:
        shown = seen.get(native)
        there = shown is not None and not shown.gone and shown.record is not None
        names[native] = tuple(parts_of(flow, native, shown.record)) if there and shown and shown.record else ()
    known = {native for native, seq in changed if seq <= place["known"]}
    touched = postings.belong(db, derived.id, names, known=known)
    postings.to_make(db, derived.id, {name: day_of(flow, name) for name in touched})
    notes.put(db, _place(derived), {**place, "seq": changed[-1][1]})
    return len(changed)


def _make(db: Db, flow: Flow, entity: str, today: str, at: float) -> int:
    """Make the next postings anew, as many as some hundreds of documents go into; returns how many were made."""
    documents, derived = _streams(db, flow)
    counted = number = 0
    for name in postings.next_to_make(db, derived.id, before=today, size=PART):
        sums = _fold(db, flow, documents, derived, name, entity)
        _make_one(db, flow, derived, name, sums, at)
        counted, number = counted + sums.documents, number + 1
        if counted >= PART:
            break
    return number


def _fold(db: Db, flow: Flow, documents: Stream, derived: Stream, name: str, entity: str) -> Sums:
    """What all documents of a posting come to, read part by part."""
    sums, after = Sums(), ""
    while natives := postings.members(db, derived.id, name, after=after, size=PART):
        after = natives[-1]
        known = observations.load(db, documents.id, natives, entity=entity)
        lost = sorted(set(natives) - known.keys())
        sums = sums.plus(Sums(problems=tuple(f"document {native} is not kept any more" for native in lost)))
        for native, seen in known.items():
            if seen.record is not None and not seen.gone:
                sums = sums.plus(parts_of(flow, native, seen.record).get(name, Sums())).plus(_unread(seen))
    return sums


def _unread(seen: Observation) -> Sums:
    """What of a document could not be read: an amount that is left out would be missing from the books."""
    label = seen.record.entity.label() if seen.record else ""
    return Sums(problems=tuple(f"{label or seen.native}: {problem.text}" for problem in seen.problems))


def _make_one(db: Db, flow: Flow, derived: Stream, name: str, sums: Sums, at: float) -> None:
    """One posting as its documents are; what stands on the other side stays, and what they come to besides is a further one."""
    assert flow.group is not None
    known = postings.parts(db, derived.id, name)
    posted = [one for one in known if one.posted]
    open_ = next((one for one in known if not one.posted), None)
    for one in posted:
        sums = sums.plus(msgspec.convert(one.sums, Sums), -1)
    part = len(posted) + 1
    native = native_of(name, part)
    if sums.nothing:
        if open_ is not None:
            postings.drop(db, derived.id, native)
            observations.take_in(db, derived.id, [Seen(native, None)], at=at)
        postings.made(db, derived.id, name, part)
        return
    if posted:
        sums = msgspec.structs.replace(sums, documents=postings.news(db, derived.id, name, part))
    record, problems = posting(flow, name, part, sums)
    if posted and flow.group.late == "ask":
        problems = (*problems, _late(posted[0].native, sums, record.entity.currency or ""))  # type: ignore[attr-defined]
    body: Json = msgspec.to_builtins(sums)
    if posted and open_ is not None and open_.sums != body:  # a person decided about another difference
        asked = [i.id for i in work.about(db, flow.id, "left", [native]) if i.state in ("open", "answered")]
        work.close(db, asked, by="koppel", at=at)
    seen = Seen(native, record, flow.entity, keys=record.entity.match_keys(), problems=problems)
    observations.take_in(db, derived.id, [seen], at=at)
    postings.save(db, derived.id, Posting(name, part, native, body))
    postings.made(db, derived.id, name, part)


def _late(first: str, sums: Sums, currency: str) -> Problem:
    count = sums.documents
    what = f"{count} document{'' if count == 1 else 's'} came or changed after {first} was posted"
    return Problem(LATE, f"{what}; the difference is {f'{currency} {sums.total}'.strip()}")


def _complete(db: Db, flow: Flow, at: float) -> None:
    """What is made of documents is whole since they were read whole."""
    documents, derived = _streams(db, flow)
    cursor = Cursor("grouped", str(documents.seq))
    if derived.cursor != cursor or derived.complete_at != documents.complete_at:
        streams.move_cursor(
            db, derived.id, cursor=cursor, next_page=None, complete=True, at=documents.complete_at or at
        )
