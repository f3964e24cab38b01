"""Runs: one pass of one flow, with what it counted."""

from __future__ import annotations

import msgspec

from koppel.model.values import Json
from koppel.store.sql import Db


class Run(msgspec.Struct, frozen=True):
    """`state` = running | done | stopped (a limit or guard) | failed. A run left `running` by a killed process is closed by the next."""

    id: int
    flow: str
    trigger: str
    actor: str
    begun: float
    ended: float | None
    state: str
    counts: dict[str, Json]
    message: str


_COLUMNS = "id, flow, trigger, actor, begun, ended, state, counts, message"


def begin(db: Db, flow: str, *, trigger: str, actor: str, at: float) -> int:
    """Open a run; one of this flow that a killed process left behind is closed as interrupted. Returns its id."""
    db.run(
        "update runs set state = 'interrupted', ended = :at, message = 'the process ended before the run did; the next run carried on' where flow = :f and state = 'running'",
        at=at,
        f=flow,
    )
    return db.scalar(
        "insert into runs (flow, trigger, actor, begun, state) values (:f, :t, :a, :at, 'running') returning id",
        f=flow,
        t=trigger,
        a=actor,
        at=at,
    )


def end(db: Db, run: int, *, state: str, counts: dict[str, Json], message: str, at: float) -> None:
    """Close a run."""
    db.run(
        "update runs set state = :s, counts = :c, message = :m, ended = :at where id = :i",
        s=state,
        c=msgspec.json.encode(counts).decode(),
        m=message,
        at=at,
        i=run,
    )


def listed(db: Db, *, flow: str | None = None, limit: int = 20) -> list[Run]:
    """The latest runs, newest first."""
    sql = f"select {_COLUMNS} from runs" + (" where flow = :f" if flow else "") + " order by id desc limit :n"
    return [_run(row) for row in (db.rows(sql, f=flow, n=limit) if flow else db.rows(sql, n=limit))]


def last(db: Db, flow: str) -> int:
    """The number of a flow's latest run; 0 when it never ran."""
    return db.scalar("select coalesce(max(id), 0) from runs where flow = :f", f=flow)


def get(db: Db, run: int) -> Run | None:
    """One run."""
    row = db.one(f"select {_COLUMNS} from runs where id = :i", i=run)
    return _run(row) if row else None


def _run(row: tuple) -> Run:
    return Run(*[*row[:7], msgspec.json.decode(row[7]), row[8]])
