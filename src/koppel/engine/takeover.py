"""What creates would write over, asked when a plan is made: a vendor may make a new record of something it has already.

Only of resources that have the notion (`Resource.takes_over`), in bulk, after the steps are lowered: what is asked by is what
would really be sent. What stands there becomes the values before of its step and so part of what a plan binds to (law 1), lies
in the intent before a call leaves (law 3), and the write itself is bound to it (`Operation.expect`). Where the vendor cannot
say, nothing is created on a guess.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from koppel.engine.frame import Frame
from koppel.engine.plan import Planned, path
from koppel.engine.ports import Ports
from koppel.engine.references import token_of
from koppel.engine.send import Sender, gather_limited
from koppel.mapping.flow import SideName
from koppel.store.sql import Db
from koppel.sync.steps import Step
from koppel.systems.spi import Operation, TakeOver, Unknown

SIDES: tuple[SideName, SideName] = ("left", "right")
AT_ONCE = 1000  # creates asked about in one exchange; the system knows how many fit in a call


async def told(ports: Ports, sender: Sender, frame: Frame, lowered: tuple[Planned, ...]) -> tuple[Planned, ...]:
    """These steps, their creates with what they write over; parked where that cannot be said. Raises what sending raises."""
    found: dict[str, TakeOver | Unknown] = {}
    for side in SIDES:
        creates = [p.operations[0] for p in lowered if p.step.kind == "create" and p.step.side == side and p.operations]
        found |= await _asked(ports, sender, frame, side, creates)
    return await ports.store.tx(_with, frame, lowered, found) if found else lowered


async def _asked(
    ports: Ports, sender: Sender, frame: Frame, side: SideName, creates: Sequence[Operation]
) -> dict[str, TakeOver | Unknown]:
    connection, resource = frame.connections[side], frame.resources[side]
    takes_over = resource.takes_over
    if takes_over is None or not creates:
        return {}

    async def ask(part: tuple[Operation, ...]) -> dict[str, TakeOver | Unknown]:
        site = connection.site(ports.clock.now(), resource.name)
        return await sender.run(connection, takes_over(site, part))

    parts = [tuple(creates[start : start + AT_ONCE]) for start in range(0, len(creates), AT_ONCE)]
    answers = await gather_limited(resource.can.parallel, [ask(part) for part in parts])
    return {op: answer for several in answers for op, answer in several.items()}


def _with(
    db: Db, frame: Frame, lowered: tuple[Planned, ...], found: dict[str, TakeOver | Unknown]
) -> tuple[Planned, ...]:
    return tuple(
        _shown(db, frame, planned, found[planned.operations[0].op])
        if planned.step.kind == "create" and planned.operations and planned.operations[0].op in found
        else planned
        for planned in lowered
    )


def _shown(db: Db, frame: Frame, planned: Planned, answer: TakeOver | Unknown) -> Planned:
    step = planned.step
    if isinstance(answer, Unknown):
        parked = Step("park", step.side, step.left, step.right, step.label, problem=answer.problem)
        return Planned(parked, parked.identity())
    before = {
        key: token_of(db, frame.references, step.side, key, answer.before[path(key)])
        for key in step.values
        if path(key) in answer.before
    }
    made = msgspec.structs.replace(step, before=before, takes_over=answer.named)
    first = msgspec.structs.replace(planned.operations[0], expect=answer.expect)
    return Planned(made, made.identity(), (first, *planned.operations[1:]), planned.calls)
