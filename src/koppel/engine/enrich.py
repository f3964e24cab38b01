"""The [enrich] step: what a third resource knows of a left record is laid over it before anything is decided.

Answers are observations like any other: stored once, kept until they are too old, read by every flow. No answer changes
nothing: the last known one stays, and the record comes back to be looked at when the resource can be asked again (B4:
"unavailable" is not "invalid").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from koppel.engine.caching import follow
from koppel.engine.fetch import look_up
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import Enrich, Flow
from koppel.mapping.paths import look_up as value_at
from koppel.model.problem import RetryLater
from koppel.model.record import Record
from koppel.model.values import Json
from koppel.store import observations, streams, suppression
from koppel.store.due import Due
from koppel.store.observations import Observation
from koppel.store.sql import Db
from koppel.systems.spi import Resource, Unknown

ASK_AGAIN = 3600.0


async def ask(
    ports: Ports, sender: Sender, flow: Flow, left_stream: int, natives: Iterable[str]
) -> list[tuple[Due, float]]:
    """Ask every enriching resource about these left records, where no answer young enough is known.

    Returns the records whose question could not be answered, each with the time at which to ask again; a resource that is
    out of order never stops a flow.
    """
    lefts = list(natives)
    again: list[tuple[Due, float]] = []
    for line in flow.enrich:
        connection, resource = ports.at(line.source)
        if resource.can.list:
            continue  # a feed: it is read like any stream, and its answers lie in the store
        now = ports.clock.now()
        await ports.store.tx(follow, connection, resource, now)
        wanted = await ports.store.tx(_wanted, flow, line, connection, resource, left_stream, lefts, now)
        if wanted:
            later = await _answered_later(ports, sender, connection, resource, sorted(wanted))
            again += [(Due("left", native, "enrich"), at) for value, at in later.items() for native in wanted[value]]
    return again


async def _answered_later(
    ports: Ports, sender: Sender, connection: Connection, resource: Resource, values: list[str]
) -> dict[str, float]:
    """Ask for values; those that got no answer, each with the time to ask again."""
    try:
        answers = await look_up(ports, sender, connection, resource, "native", values)
    except RetryLater as error:
        ports.tell(error.message)
        return dict.fromkeys(values, error.at)
    usual = ports.clock.now() + ASK_AGAIN
    return {v: a.problem.retry_at or usual for v, a in answers.items() if isinstance(a, Unknown)}


def _wanted(
    db: Db,
    flow: Flow,
    line: Enrich,
    connection: Connection,
    resource: Resource,
    left_stream: int,
    lefts: list[str],
    now: float,
) -> dict[str, list[str]]:
    """Values to ask for, with the left records they are about."""
    by_value: dict[str, list[str]] = {}
    for native, seen in observations.load(db, left_stream, lefts, entity=flow.entity).items():
        value = _key(line, seen)
        if value and not seen.gone:
            by_value.setdefault(value, []).append(native)
    stream = streams.ensure(db, connection.name, resource.name)
    known = observations.load(db, stream.id, by_value, entity=resource.entity)
    wanted = {v: ns for v, ns in by_value.items() if v not in known or known[v].seen_at < now - line.refresh}
    return {v: wanted[v] for v in suppression.spared(db, stream.id, wanted)}


def laid_over(
    db: Db, flow: Flow, connections: Mapping[str, Connection], seen: dict[str, Observation]
) -> dict[str, Observation]:
    """Left observations with what the enriching resources know laid over their records."""
    for line in flow.enrich:
        connection = connections[line.source.connection]
        resource = connection.resource(line.source.resource)
        stream = streams.ensure(db, connection.name, resource.name)
        keys = {native: _key(line, o) for native, o in seen.items()}
        answers = observations.load(db, stream.id, {key for key in keys.values() if key}, entity=resource.entity)
        for native, key in keys.items():
            answer = answers.get(key or "")
            mine = seen[native].record
            if answer is not None and answer.kept is not None and not {*line.gives} <= answer.kept:
                seen[native] = msgspec.structs.replace(seen[native], kept=frozenset[str]())  # until it was asked anew
            elif answer is not None and answer.record is not None and mine is not None and not answer.gone:
                given = _given(answer.record, line.gives)
                record = Record(msgspec.structs.replace(mine.entity, **given), mine.own)
                giver = (f"{line.source}:{answer.native}", answer.version, answer.seen_at)
                seen[native] = msgspec.structs.replace(
                    seen[native],
                    record=record,
                    given=(*seen[native].given, *given),
                    givers=seen[native].givers | dict.fromkeys(given, giver),
                )
    return seen


def _key(line: Enrich, seen: Observation) -> str | None:
    value: Json = value_at(seen.record, line.by) if seen.record else None
    return value if isinstance(value, str) and value else None


def _given(answer: Record, gives: tuple[str, ...]) -> dict[str, Json]:
    """The answer's fields; what the answer does not say stays as it is."""
    return {name: value for name in gives if (value := getattr(answer.entity, name)) is not None}
