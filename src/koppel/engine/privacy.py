"""What a pass spares: erased and restricted people's records are looked at by no flow and taken in by none."""

from __future__ import annotations

from collections.abc import Sequence

from koppel.engine.frame import Frame
from koppel.engine.ports import Ports
from koppel.mapping.flow import Flow, SideName
from koppel.model.problem import UsageError
from koppel.store import due, streams, suppression
from koppel.store.sql import Db


def spare(db: Db, frame: Frame, dirty: dict[SideName, list[str]]) -> dict[SideName, list[str]]:
    """What is due without the records of erased and restricted people; those leave the due set."""
    if not suppression.anybody(db):
        return dirty
    left: dict[SideName, list[str]] = {}
    for side, natives in dirty.items():
        left[side] = suppression.spared(db, frame.streams[side].id, natives)
        due.done(db, frame.flow.id, side, set(natives) - set(left[side]))
    return left


def refuse_left_out(ports: Ports, flow: Flow, natives: Sequence[str]) -> None:
    """Raises UsageError when one of these left records belongs to an erased or restricted person."""
    stream = ports.store.run(streams.ensure, flow.left.connection, flow.left.resource)
    out = ports.store.run(_left_out, stream.id, natives)
    if out:
        raise UsageError(
            f"{', '.join(out)} belongs to a person whose data were erased or are restricted.",
            remedy="When they are a customer again: koppel privacy lift NUMBER",
        )


def _left_out(db: Db, stream: int, natives: Sequence[str]) -> list[str]:
    """Known by their id, or by what was typed as a number."""
    return [native for native in natives if suppression.case_of(db, natives=[(stream, native)], keys=[("kvk", native)])]
