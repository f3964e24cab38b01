"""Cache modes at work: a stream's rows follow what the flows have a use for.

`full` keeps all decoded values, `mapped` only what flows use. When a flow is edited so that less is needed, what is kept is cut
down where it lies, without a call; when more is needed, a listed stream is read from the start and looked-up answers count as
too old. Until a row was read anew, nothing is decided on it: what it lacks is not empty.

`hashes` keeps values only until every flow has looked at them and nothing about them is open; then `let_go` takes them away,
and `read_bare` reads by id, in bulk, what is to be decided on again. What was agreed stays as looks (`koppel.sync.looks`).
"""

from __future__ import annotations

from collections.abc import Mapping

from koppel.engine.ports import Connection
from koppel.mapping.flow import Endpoint, Flow
from koppel.mapping.kept import kept_fields
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.model.can import Can
from koppel.store import flows, intents, leases, notes, observations, streams, suppression
from koppel.store.observations import Observation
from koppel.store.sql import Db
from koppel.sync.undo import CODES
from koppel.systems.spi import Resource


def follow(db: Db, connection: Connection, resource: Resource, at: float) -> bool:
    """Bring a stream's rows to what is kept of it today; whether it begins to be read from the start because of it. Under its
    reader's lease where it is listed."""
    wanted = connection.keeps.get(resource.name)
    stream = streams.number(db, connection.name, resource.name)
    filled = _follow_going(db, connection, resource, stream, at)
    name = f"kept {connection.name}:{resource.name}"
    told = notes.get(db, name)
    before = None if told is None else frozenset(told)
    if before == wanted:
        return filled
    if wanted is None:
        notes.drop(db, name)
    else:
        notes.put(db, name, sorted(wanted))
        observations.cut_down(db, stream, wanted)
    more = before is not None and (wanted is None or not wanted <= before)
    if more and not resource.can.list:
        observations.outdate(db, stream)
    elif more and not filled:
        streams.begin_scan(db, stream, at=at)
    return filled or (more and resource.can.list)


def _follow_going(db: Db, connection: Connection, resource: Resource, stream: int, at: float) -> bool:
    """Begin reading from the start when values that were let go are to be kept again; whether it was begun."""
    name = bare_note(connection.name, resource.name)
    went, goes = notes.get(db, name) is not None, resource.name in connection.lets_go
    if goes and not went:
        notes.put(db, name, True)
    if not went or goes:
        return False
    notes.drop(db, name)
    if resource.can.list:
        streams.begin_scan(db, stream, at=at)
    return resource.can.list


def bare_note(connection: str, resource: str) -> str:
    """The note that says that values of a stream may have been let go."""
    return f"bare {connection}:{resource}"


def let_go(db: Db, connection: Connection, resource: Resource, *, flow: str, at: float) -> int:
    """Let go of the values every flow is through with; nothing while another flow that looks at them is running, or was never
    run. Returns of how many records. `flow`: whose run asks for it, under its own lease."""
    watchers = connection.lets_go.get(resource.name)
    if not watchers:
        return 0
    stream = streams.number(db, connection.name, resource.name)
    upto: list[int] = []
    for name, side in watchers:
        place = flows.position(db, name)
        held = leases.holder(db, f"flow {name}") if name != flow else None
        if place is None or (held is not None and held[1] > at):
            return 0
        upto.append(place.left_seq if side == "left" else place.right_seq)
    spare = suppression.hidden(db, stream)  # only kept: nothing of theirs can be read again
    spare |= {native for i in intents.everything(db) for native in (i.target_native, i.source_native) if native}
    return observations.let_go(
        db, stream, upto=min(upto, default=0), watchers=watchers, spare=sorted(spare), codes=CODES
    )


def can_let_go(can: Can) -> bool:
    """Whether values of a resource can be let go: what changes is listed, and any record can be read again by its id."""
    return can.list and "native" in can.find


def needs_values(flow: Flow, end: Endpoint) -> str:
    """Why a flow cannot do without values of a resource lying here, in words; empty when it can."""
    if end in {line.source for line in flow.enrich}:
        return "[enrich] lays over records what was read of it before"
    if flow.group is not None and end == flow.group.source:
        return "[group] adds up the documents that were read before"
    if flow.match.propose and end in (flow.left, flow.right):
        return "[match] propose compares names and addresses of everybody there"
    return ""


def needed(flow: Flow, can: Can, transforms: Mapping[str, Transform] = TRANSFORMS) -> frozenset[str] | None:
    """What one flow needs of a resource's record to decide anything."""
    return kept_fields(flow.entity, [flow], can=can, transforms=transforms)


def lacks(seen: Observation, needs: frozenset[str] | None) -> bool:
    """Whether a row was stored when less was kept than this flow needs now."""
    if seen.bare:
        return True
    if (
        seen.kept is None or seen.record is None or seen.gone
    ):  # what is gone cannot be read again, and is not written from
        return False
    return needs is None or not needs <= seen.kept
