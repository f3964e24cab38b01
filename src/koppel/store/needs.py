"""Needs: which other records a flow's records refer to, and for which of those they wait.

A row says that a record of a flow names another record (`stream`, `target`) and that the far side must have its counterpart in
the stream `wanted`. `met` = 0: it lacked it when last looked at. Whenever a record becomes a member of a subject, through
whatever flow, command or worker, those that refer to it and those that wait for its counterpart are put into their flow's due
set: what was parked is tried again by itself, and what was agreed is looked at again when somebody else was meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from koppel.store.sql import Db, as_list, as_rows


class Need(msgspec.Struct, frozen=True, order=True):
    """One record that is referred to."""

    stream: int
    target: str
    wanted: int
    met: bool = False


def replace(db: Db, flow: str, side: str, needs: Mapping[str, Iterable[Need]]) -> None:
    """Set what these records of a flow refer to (by native id of the record it hangs on); what is as it was costs a look."""
    natives = list(needs)
    if not natives:
        return
    known: dict[str, set[Need]] = {}
    for native, *row in db.rows(
        f"select native, stream, target, wanted, met from needs where flow = :f and side = :s and native in (select v from {db.values()})",
        f=flow, s=side, list=as_list(natives),
    ):  # fmt: skip
        known.setdefault(native, set()).add(Need(row[0], row[1], row[2], bool(row[3])))
    moved = {native: {*wanted} for native, wanted in needs.items() if {*wanted} != known.get(native, set())}
    if not moved:
        return
    db.run(
        f"delete from needs where flow = :f and side = :s and native in (select v from {db.values()})",
        f=flow,
        s=side,
        list=as_list(moved),
    )
    rows = {
        (native, need.stream, need.target, need.wanted): [
            native,
            need.stream,
            need.target,
            need.wanted,
            int(need.met),
        ]
        for native, wanted in moved.items()
        for need in sorted(wanted, reverse=True)  # one that lacks anything counts
    }
    if rows:
        columns = {"native": "text", "stream": "big", "target": "text", "wanted": "big", "met": "big"}
        names = ", ".join(columns)
        db.run(
            f"insert into needs (flow, side, {names}) select :f, :s, {names} from {db.table(columns)} where true",
            f=flow,
            s=side,
            rows=as_rows(rows.values()),
        )


def of(db: Db, flow: str, side: str, native: str) -> list[Need]:
    """What one record refers to."""
    rows = db.rows(
        "select stream, target, wanted, met from needs where flow = :f and side = :s and native = :n order by stream, target",
        f=flow,
        s=side,
        n=native,
    )
    return [Need(row[0], row[1], row[2], bool(row[3])) for row in rows]


def appeared(db: Db, members: Iterable[tuple[int, str, str, str]], *, at: float) -> None:
    """Records (stream, native, subject, role) became members: whoever refers to them is due, and whoever refers to a record they
    are the counterpart of, when that waits for one or they are the main one there."""
    rows = as_rows(
        {(stream, native): [stream, native, subject, role] for stream, native, subject, role in members}.values()
    )
    given = db.table({"stream": "big", "native": "text", "subject": "text", "role": "text"})
    db.run(
        "insert into due (flow, side, native, why, at, asked_at, not_before)"
        " select distinct n.flow, n.side, n.native, 'needed', cast(:at as double precision), cast(:at as double precision), cast(null as double precision)"
        f" from (select given.stream, given.native, -1 as main_of from {given} union"
        " select m.stream, m.native, case when given.role = 'main' then given.stream else 0 end as main_of"
        f" from {given} join members m on m.subject = given.subject and m.stream <> given.stream) x"
        " join needs n on n.stream = x.stream and n.target = x.native"
        " where n.met = 0 or x.main_of = -1 or n.wanted = x.main_of"
        " on conflict (flow, side, native) do update set asked_at = excluded.asked_at, not_before = null",
        at=at,
        rows=rows,
    )


def met(db: Db, flow: str) -> list[tuple[str, str]]:
    """Records of a flow, as (side, native), of which something they waited for is there by now. Asked at every pass, because two
    workers may have met: one noting what it waits for while the other made it."""
    rows = db.rows(
        "select distinct n.side, n.native from needs n join members m on m.stream = n.stream and m.native = n.target"
        " join members o on o.subject = m.subject and o.stream = n.wanted"
        " where n.flow = :f and n.met = 0 order by n.side, n.native",
        f=flow,
    )
    return [(row[0], row[1]) for row in rows]
