"""The due set's explicit part: what people, webhooks, retries and edits asked a flow to look at, besides what changed."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from koppel.store.sql import Db, as_list, as_rows

WISHES: frozenset[str] = frozenset({"taken in", "asked", "retry", "flow edited"})
"""Reasons that are the wish of a person; every other one (waiting, read back, moved, webhook, refresh, …) is our own."""


class Due(msgspec.Struct, frozen=True):
    """One record to be looked at; `why` = taken in | asked | retry | waiting | flow edited | refresh."""

    side: str
    native: str
    why: str


def add(db: Db, flow: str, entries: Iterable[Due], *, at: float, not_before: float | None = None) -> None:
    """Put records into a flow's due set; one that is there already keeps its reason and place but may come earlier, and
    is known to have been asked for again. A reason that wants the vendor asked anew is never lost to one that does not, nor a
    person's wish to a reason of our own."""
    rows = list({(entry.side, entry.native): [entry.side, entry.native, entry.why] for entry in entries}.values())
    if not rows:
        return
    columns = {"side": "text", "native": "text", "why": "text"}
    wishes = ", ".join(f"'{why}'" for why in sorted(WISHES))
    stronger = (
        f"excluded.why in ('refresh', 'retry') or (excluded.why in ({wishes}) and due.why not in ({wishes}, 'refresh'))"
    )
    db.run(
        f"insert into due (flow, side, native, why, at, asked_at, not_before) select :f, side, native, why, :at, :at, cast(:nb as double precision) from {db.table(columns)} where true"
        f" on conflict (flow, side, native) do update set asked_at = excluded.asked_at, why = case when {stronger} then excluded.why else due.why end, not_before = case when excluded.not_before is null or due.not_before is null then null"
        " when excluded.not_before < due.not_before then excluded.not_before else due.not_before end",
        f=flow, at=at, nb=not_before, rows=as_rows(rows),
    )  # fmt: skip


def ready(db: Db, flow: str, *, at: float) -> list[Due]:
    """What may be looked at now, in the order it was asked for."""
    rows = db.rows(
        "select side, native, why from due where flow = :f and (not_before is null or not_before <= :at) order by at, side, native",
        f=flow,
        at=at,
    )
    return [Due(*row) for row in rows]


def among(db: Db, flow: str, side: str, natives: Iterable[str]) -> list[str]:
    """Those of `natives` that have an entry, ready or not."""
    find = f"select native from due where flow = :f and side = :s and native in (select v from {db.values()}) order by native"
    return [row[0] for row in db.rows(find, f=flow, s=side, list=as_list(natives))]


def waiting(db: Db, flow: str) -> int:
    """How many entries there are, ready or not."""
    return db.scalar("select count(*) from due where flow = :f", f=flow)


def next_at(db: Db, flow: str) -> float | None:
    """The earliest time at which a waiting entry becomes ready; None when there is none."""
    return db.scalar("select min(coalesce(not_before, at)) from due where flow = :f", f=flow)


def done(db: Db, flow: str, side: str, natives: Iterable[str], *, upto: float | None = None) -> None:
    """Take records out: each of their steps is done, parked, asked or refused.

    With `upto` (when they were read) what was asked for again later stays: a webhook during the work is not forgotten.
    """
    later = "" if upto is None else " and asked_at <= :upto"
    db.run(
        f"delete from due where flow = :f and side = :s{later} and native in (select v from {db.values()})",
        **{"f": flow, "s": side, "list": as_list(natives)} | ({} if upto is None else {"upto": upto}),
    )
