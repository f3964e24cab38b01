"""When each flow last had both its sides read whole, and which flow wants it before anything else is decided."""

from __future__ import annotations

import msgspec

from koppel.store.sql import Db


class Reconciled(msgspec.Struct, frozen=True):
    """`at`: when both sides were last read whole for this flow. `wanted`: they must be read whole before it goes on."""

    at: float | None = None
    wanted: bool = False


def get(db: Db, flow: str) -> Reconciled:
    """What is known of a flow; nothing yet is known of a new one."""
    row = db.one("select at, wanted from reconciled where flow = :f", f=flow)
    return Reconciled(row[0], bool(row[1])) if row else Reconciled()


def done(db: Db, flow: str, *, at: float) -> None:
    """Both sides were read whole."""
    db.run(
        "insert into reconciled (flow, at, wanted) values (:f, :at, 0)"
        " on conflict (flow) do update set at = excluded.at, wanted = 0",
        f=flow,
        at=at,
    )


def want(db: Db, flow: str) -> None:
    """What the flow was shown is doubtful: its next run reads both sides whole before it decides anything."""
    db.run(
        "insert into reconciled (flow, wanted) values (:f, 1) on conflict (flow) do update set wanted = 1",
        f=flow,
    )
