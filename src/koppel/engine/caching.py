"""Cache modes at work: a stream's rows follow what the flows have a use for.

`full` keeps all decoded values, `mapped` only what flows use. When a flow is edited so that less is needed, what is kept is cut
down where it lies, without a call; when more is needed, a listed stream is read from the start and looked-up answers count as
too old. Until a row was read anew, nothing is decided on it: what it lacks is not empty.
"""

from __future__ import annotations

from collections.abc import Mapping

from koppel.engine.ports import Connection
from koppel.mapping.flow import Flow
from koppel.mapping.kept import kept_fields
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.model.can import Can
from koppel.store import notes, observations, streams
from koppel.store.observations import Observation
from koppel.store.sql import Db
from koppel.systems.spi import Resource


def follow(db: Db, connection: Connection, resource: Resource, at: float) -> bool:
    """Bring a stream's rows to what is kept of it today; whether it begins to be read from the start because of it. Under its
    reader's lease where it is listed."""
    wanted = connection.keeps.get(resource.name)
    stream = streams.number(db, connection.name, resource.name)
    name = f"kept {connection.name}:{resource.name}"
    told = notes.get(db, name)
    before = None if told is None else frozenset(told)
    if before == wanted:
        return False
    if wanted is None:
        notes.drop(db, name)
    else:
        notes.put(db, name, sorted(wanted))
        observations.cut_down(db, stream, wanted)
    more = before is not None and (wanted is None or not wanted <= before)
    if more and not resource.can.list:
        observations.outdate(db, stream)
    elif more:
        streams.begin_scan(db, stream, at=at)
    return more and resource.can.list


def needed(flow: Flow, can: Can, transforms: Mapping[str, Transform] = TRANSFORMS) -> frozenset[str] | None:
    """What one flow needs of a resource's record to decide anything."""
    return kept_fields(flow.entity, [flow], can=can, transforms=transforms)


def lacks(seen: Observation, needs: frozenset[str] | None) -> bool:
    """Whether a row was stored when less was kept than this flow needs now."""
    if (
        seen.kept is None or seen.record is None or seen.gone
    ):  # what is gone cannot be read again, and is not written from
        return False
    return needs is None or not needs <= seen.kept
