"""Work lists: what could not be done (`parked`) and what only a person can decide (`ask`).

At most one open item per list, flow, record and field. Nothing is forgotten: an item closes because its cause is gone,
because it was retried, or because a person decided (law 4).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from koppel.model.values import Json
from koppel.store.sql import Db, as_list

List = Literal["parked", "ask"]
# Vendors count refusals, and shut the door after some (Exact: ten an hour): what was refused is tried again by itself in small
# numbers. When these go through, the rest follows run by run, or at once when a person says so.
REFUSED_AT_ONCE = 5


class Item(msgspec.Struct, frozen=True):
    """One open or closed item. `body` (sealed) holds what a person needs: label, text, both values, base, vendor's words,
    choices. `answer` is what a person decided. `next_at` is when it is retried by itself (None: when somebody says so)."""

    id: int
    list: List
    flow: str
    side: str
    native: str
    field: str
    state: str
    code: str
    body: dict[str, Json]
    answer: Json
    op: str | None
    run: int | None
    tries: int
    opened_at: float
    next_at: float | None
    closed_at: float | None
    closed_by: str | None


_COLUMNS = "id, list, flow, side, native, field, state, code, body, answer, op, run, tries, opened_at, next_at, closed_at, closed_by"


def put(
    db: Db, which: List, *, flow: str, side: str, native: str, field: str = "", code: str, body: dict[str, Json],
    at: float, run: int | None = None, op: str | None = None, next_at: float | None = None, tries: int | None = None,
) -> int:  # fmt: skip
    """Open an item, or refresh the open one about the same thing; returns its id. `tries`: how often it was tried by now
    (None: once more than before)."""
    row = db.one(
        "select id from work where list = :l and flow = :f and side = :s and native = :n and field = :x and state = 'open'",
        l=which,
        f=flow,
        s=side,
        n=native,
        x=field,
    )
    sealed = db.vault.seal_json(body, about="work")
    if row is not None:
        db.run(
            "update work set code = :c, body = :b, op = :op, run = :run, tries = coalesce(cast(:t as bigint), tries + 1), next_at = :nx where id = :i",
            c=code,
            t=tries,
            b=sealed,
            op=op,
            run=run,
            nx=next_at,
            i=row[0],
        )
        return row[0]
    return db.scalar(
        "insert into work (list, flow, side, native, field, state, code, body, op, run, tries, opened_at, next_at)"
        " values (:l, :f, :s, :n, :x, 'open', :c, :b, :op, :run, :t, :at, :nx) returning id",
        l=which, f=flow, s=side, n=native, x=field, c=code, b=sealed, op=op, run=run, at=at, nx=next_at, t=1 if tries is None else tries,
    )  # fmt: skip


def listed(db: Db, which: List, *, flow: str | None = None, state: str = "open") -> list[Item]:
    """Items of a list, oldest first; `state` = open | closed."""
    sql = (
        f"select {_COLUMNS} from work where list = :l and state = :st"
        + (" and flow = :f" if flow else "")
        + " order by id"
    )
    return [
        _item(db, row) for row in (db.rows(sql, l=which, st=state, f=flow) if flow else db.rows(sql, l=which, st=state))
    ]


def answered(db: Db, flow: str, code: str, *, since: float | None = None) -> list[Item]:
    """Questions a person answered whose code begins like that, oldest first: those whose answer is not carried out yet; with
    `since` those answered or carried out since then."""
    which = "state = 'answered'" if since is None else "answer is not null and closed_at >= :at"
    rows = db.rows(
        f"select {_COLUMNS} from work where flow = :f and list = 'ask' and {which} and substr(code, 1, :n) = :c order by id",
        f=flow, n=len(code), c=code, **({} if since is None else {"at": since}),
    )  # fmt: skip
    return [_item(db, row) for row in rows]


def get(db: Db, number: int) -> Item | None:
    """One item."""
    row = db.one(f"select {_COLUMNS} from work where id = :i", i=number)
    return _item(db, row) if row else None


def about(db: Db, flow: str, side: str, natives: Iterable[str]) -> list[Item]:
    """Open items, and answered ones not yet carried out, about these records."""
    rows = db.rows(
        f"select {_COLUMNS} from {db.values()} cross join work where flow = :f and side = :s and native = given.v and state in ('open', 'answered') order by id",
        f=flow, s=side, list=as_list(set(natives)),
    )  # fmt: skip
    return [_item(db, row) for row in rows]


def asked_about(db: Db, flow: str, side: str, field: str) -> list[str]:
    """The records of a side about which this is asked, each once, oldest question first."""
    rows = db.rows(
        "select native from work where list = 'ask' and flow = :f and side = :s and field = :x and state = 'open' order by id",
        f=flow, s=side, x=field,
    )  # fmt: skip
    return list(dict.fromkeys(row[0] for row in rows))


def answer(db: Db, number: int, value: Json, *, by: str, at: float) -> None:
    """A person decided; the next run carries it out and closes the item."""
    db.run(
        "update work set state = 'answered', answer = :a, closed_by = :by, closed_at = :at where id = :i",
        a=db.vault.seal_json(value, about="answer"),
        by=by,
        at=at,
        i=number,
    )


def close(db: Db, numbers: Iterable[int], *, by: str, at: float) -> None:
    """The cause is gone, or the answer was carried out."""
    db.run(
        f"update work set state = 'closed', closed_by = coalesce(closed_by, :by), closed_at = :at where id in (select cast(v as bigint) from {db.values()})",
        by=by, at=at, list=as_list(str(n) for n in numbers),
    )  # fmt: skip


def stand_again(db: Db, numbers: Iterable[int]) -> None:
    """Decisions that were closed stand again, as they were answered: what closed them was taken back."""
    db.run(
        "update work set state = 'answered' where state = 'closed' and answer is not null"
        f" and id in (select cast(v as bigint) from {db.values()})",
        list=as_list(str(n) for n in numbers),
    )


def ready_to_retry(db: Db, flow: str, *, at: float) -> list[Item]:
    """Parked items whose time has come: all that people wished, and of what a vendor refused the longest waiting few."""
    rows = db.rows(
        f"select {_COLUMNS} from work where list = 'parked' and flow = :f and state = 'open' and next_at is not null and next_at <= :at order by next_at, id",
        f=flow,
        at=at,
    )
    items = [_item(db, row) for row in rows]
    by_itself = [item for item in items if item.op is not None and item.next_at]
    later = {item.id for item in by_itself[REFUSED_AT_ONCE:]}
    return sorted((item for item in items if item.id not in later), key=lambda item: item.id)


def next_retry(db: Db, flow: str) -> float | None:
    """The earliest time at which something parked is tried again by itself; None when nothing is."""
    find = (
        "select min(next_at) from work where list = 'parked' and flow = :f and state = 'open' and next_at is not null"
    )
    return db.scalar(find, f=flow)


def retry(db: Db, numbers: Iterable[int], *, at: float) -> None:
    """Make parked items due now; what is tried by itself afterwards is counted anew."""
    for number in numbers:
        item = get(db, number)
        if item is None or item.state != "open":
            continue
        body = {name: value for name, value in item.body.items() if name != "failed"}
        db.run(
            "update work set next_at = :at, body = :b where id = :i and state = 'open'",
            at=at,
            b=db.vault.seal_json(body, about="work"),
            i=number,
        )


def reopen(db: Db, number: int) -> None:
    """An answer is taken back before it was carried out: the question is open again."""
    db.run(
        "update work set state = 'open', answer = null, closed_by = null, closed_at = null where id = :i and state = 'answered'",
        i=number,
    )


def counts(db: Db, flow: str | None = None) -> dict[str, int]:
    """Open items per list."""
    sql = "select list, count(*) from work where state = 'open'" + (" and flow = :f" if flow else "") + " group by list"
    rows = db.rows(sql, f=flow) if flow else db.rows(sql)
    return {"parked": 0, "ask": 0} | {row[0]: row[1] for row in rows}


def _item(db: Db, row: tuple) -> Item:
    values = list(row)
    values[8] = db.vault.unseal_json(row[8], about="work")
    values[9] = db.vault.unseal_json(row[9], about="answer") if row[9] else None
    return Item(*values)
