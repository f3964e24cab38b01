"""When both sides of a flow are read whole: as often as the flow says, when a person asks, and after a brake held because
much had vanished.

A listing of changes shows no deletion and not every edit; and what a wrong filter or a lost right once hid is only listed
again as a change when somebody changes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from koppel.engine.frame import Frame
from koppel.engine.ports import Ports
from koppel.mapping.flow import SideName
from koppel.mapping.schedule import read_reconcile
from koppel.store import observations, reconciled
from koppel.store.sql import Db

DOUBT = 3600.0  # seconds between two readings of a side that stays empty: reading it whole is dear
_SIDES: tuple[SideName, SideName] = ("left", "right")


@dataclass(frozen=True, kw_only=True)
class Whole:
    """Which sides are to be read from the start, and why, in words."""

    sides: frozenset[SideName] = frozenset()
    why: str = ""


NOT = Whole()


async def due(ports: Ports, frame: Frame, *, asked: bool = False, light: bool = False, allowed: bool = False) -> Whole:
    """Which sides must be read whole now. `allowed`: a person lets pass that much vanished, and is shown what is so now.

    A side that another flow had read whole is not read again for this one; one that was never read is read whole anyway, and
    one that cannot be listed never."""
    known = await ports.store.tx(reconciled.get, frame.flow.id)
    able: frozenset[SideName] = frozenset(side for side in _SIDES if frame.listable(side))
    if asked:
        return Whole(sides=able, why="as asked")
    if light:  # for a few records only: neither begun nor counted
        return NOT
    now = ports.clock.now()
    if known.wanted and (allowed or known.at is None or now - known.at >= DOUBT):
        sides = await ports.store.tx(_emptied, frame)
        return Whole(sides=able & sides, why="much had vanished when it was last read")
    every = read_reconcile(frame.flow.run.reconcile) if frame.flow.run.reconcile else None
    if every is None or (known.at is not None and now - known.at < every):
        return NOT
    old: frozenset[SideName] = frozenset(side for side in able if not _young(frame, side, now - every))
    return Whole(sides=old, why=f"{frame.flow.run.reconcile} reconciliation") if old else NOT


def _young(frame: Frame, side: SideName, since: float) -> bool:
    """Whether a side was read whole after that instant, or is about to be because it never was."""
    stream = frame.streams[side]
    never = stream.cursor is None and stream.next is None
    return never or (stream.complete_at is not None and stream.complete_at > since)


def _emptied(db: Db, frame: Frame) -> frozenset[SideName]:
    """The sides on which linked records are gone."""
    return frozenset(side for side in _SIDES if observations.vanished(db, frame.streams[side].id)[1])


async def done(ports: Ports, frame: Frame, whole: Whole) -> None:
    """Note that the sides were read whole. A run that is killed before reads on where it was."""
    if whole.sides:
        await ports.store.tx(reconciled.done, frame.flow.id, at=ports.clock.now())


async def doubt(ports: Ports, frame: Frame) -> None:
    """What was shown is doubtful: the next run looks at everything again before it decides anything."""
    await ports.store.tx(reconciled.want, frame.flow.id)
