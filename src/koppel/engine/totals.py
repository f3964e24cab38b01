"""Control totals of a flow for a period: both sides walked through part by part, added up, compared, signed off."""

from __future__ import annotations

import msgspec

from koppel.engine.frame import Frame, make_frame, seen_of, taking_part
from koppel.engine.one_pass import Options, Pass
from koppel.engine.ports import Ports
from koppel.engine.reading import let_go_of, read_bare
from koppel.engine.send import Sender
from koppel.mapping.conditions import reason
from koppel.mapping.flow import Flow, SideName
from koppel.model.period import Period, read_period
from koppel.model.problem import RetryLater
from koppel.model.values import Json
from koppel.store import census, observations, signed, suppression
from koppel.store.signed import Signed
from koppel.store.sql import Db
from koppel.sync.totals import Row, Sums, rows

PART = 500
SIDES: tuple[SideName, SideName] = ("left", "right")


class Totals(msgspec.Struct, frozen=True):
    """What a period comes to. `records` counted, `outside` the flow's scope, `undated` without a day; each by side. `signed` is
    who signed it off, and `changed` what has changed since, as rows of then and now."""

    flow: str
    entity: str
    period: Period
    at: float
    rows: tuple[Row, ...]
    records: dict[SideName, int]
    outside: dict[SideName, int]
    undated: dict[SideName, int]
    signed: Signed | None = None
    changed: tuple[tuple[Row | None, Row | None], ...] = ()

    @property
    def different(self) -> int:
        """How many rows are not the same on both sides."""
        return sum(row.differs for row in self.rows)


async def read(ports: Ports, flow: Flow, options: Options) -> None:
    """Read what changed on both sides. Raises RetryLater, SetupError, SignInNeeded."""
    await Pass(ports, flow, options).take_in()


async def totals(ports: Ports, flow: Flow, period: Period) -> Totals:
    """Add a period up on both sides, from what the store holds; nothing that grows with their size is kept."""
    frame = make_frame(ports, flow)
    sender = Sender(ports)
    sums = {side: Sums(period, start=flow.start) for side in SIDES}
    outside: dict[SideName, int] = {"left": 0, "right": 0}
    for side in SIDES:
        after = ""
        while natives := await ports.store.tx(census.present, frame.streams[side].id, after=after, size=PART):
            await read_bare(ports, sender, frame, {side: natives})
            if await ports.store.tx(_unread, frame, side, natives):
                raise RetryLater(
                    "Some records could not be read, and their values are not kept here.", at=ports.clock.now() + 600
                )
            outside[side] += await ports.store.tx(_add, frame, side, natives, sums[side])
            after = natives[-1]
    if frame.hashed:
        await ports.store.tx(let_go_of, frame, ports.clock.now())
    known = {one.period: one for one in await ports.store.tx(signed.of_flow, flow.id)}.get(period.name)
    told = rows(sums["left"].sums, sums["right"].sums)
    return Totals(
        flow=flow.id,
        entity=flow.entity,
        period=period,
        at=ports.clock.now(),
        rows=told,
        records={side: sums[side].records for side in SIDES},
        outside=outside,
        undated={side: sums[side].undated for side in SIDES},
        signed=known,
        changed=_changed(known, told) if known else (),
    )


def _unread(db: Db, frame: Frame, side: SideName, natives: list[str]) -> list[str]:
    stream = frame.streams[side].id
    return observations.bare(db, stream, suppression.spared(db, stream, natives))


async def signed_periods(ports: Ports, flow: Flow) -> list[Period]:
    """The periods of a flow that somebody signed off."""
    return [read_period(one.period) for one in await ports.store.tx(signed.of_flow, flow.id)]


async def sign_off(ports: Ports, told: Totals, *, by: str, actor: str) -> Signed:
    """Put a person's name to totals: they go into the trail, and later changes are told against them."""
    note = f"signed off by {by}" + (f", with {told.different} differences" if told.different else "")
    body: Json = msgspec.to_builtins(list(told.rows))
    now = ports.clock.now()
    return await ports.store.durable(
        signed.sign, told.flow, told.period.name, body, by=by, actor=actor, at=now, note=note
    )


def _add(db: Db, frame: Frame, side: SideName, natives: list[str], sums: Sums) -> int:
    """Count a part in; returns how many of it were outside the flow."""
    if side == "left" and not frame.listable("left") and frame.flow.scope.take != "all":
        natives = taking_part(db, frame.flow.id, natives)
    conditions = frame.flow.scope.left if side == "left" else frame.flow.scope.right
    outside = 0
    for seen in seen_of(db, frame, side, suppression.spared(db, frame.streams[side].id, natives)).values():
        if seen.gone or seen.record is None:
            continue
        if reason(conditions, seen.record):
            outside += 1
        else:
            sums.add(seen.record.entity, modified_at=seen.modified_at)
    return outside


def _changed(known: Signed, now: tuple[Row, ...]) -> tuple[tuple[Row | None, Row | None], ...]:
    then = {row.key: row for row in msgspec.convert(known.totals, tuple[Row, ...])}
    today = {row.key: row for row in now}
    return tuple((then.get(key), today.get(key)) for key in sorted({*then, *today}) if then.get(key) != today.get(key))
