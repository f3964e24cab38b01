"""Intents: operations committed before their call leaves. Whatever is in this table may or may not have happened.

Settled intents are deleted (the trail has the operation). The unique slot — one open create per source record, one open
write per target record — is what makes two flows or two workers unable to create the same thing (law 11).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from koppel.model.values import Json
from koppel.store.sql import Db, as_list, as_rows


class Intent(msgspec.Struct, frozen=True):
    """One open operation. `side` is the target's; `source_native` the record it comes from; `target_native` is filled for an
    update, or once an id was learnt. `body` holds the step and the lowered operation (sealed). Times in epoch seconds.
    `source_stream` is told when it is opened; afterwards it stands in the slot."""

    op: str
    run: int
    flow: str
    kind: str
    stream: int
    side: str
    source_native: str | None
    target_native: str | None
    body: dict[str, Json]
    state: str
    opened_at: float
    sent_at: float | None
    tries: int = 0
    source_stream: int = 0

    @property
    def slot(self) -> str:
        """What only one open intent may be about."""
        if self.kind != "create":
            return f"record {self.target_native}"
        return slot_from(self.source_stream, str(self.source_native))


def slot_from(stream: int, native: str) -> str:
    """The slot of a create, by the record it comes from."""
    return f"from {stream}:{native}"


_COLUMNS = "op, run, flow, kind, stream, side, source_native, target_native, body, state, opened_at, sent_at, tries"


def open_intents(db: Db, intents: Sequence[Intent]) -> None:
    """Commit intents before their calls leave. Raises sqlalchemy's IntegrityError when a slot is taken: the caller plans around open slots."""
    if not intents:
        return
    rows: list[list[Json]] = [
        [
            i.op, i.run, i.flow, i.kind, i.stream, i.side, i.source_native, i.target_native,
            i.slot, db.vault.seal_json(i.body, about=i.op), i.state, i.opened_at, i.sent_at, i.tries,
        ]
        for i in intents
    ]  # fmt: skip
    columns = {
        "op": "text", "run": "big", "flow": "text", "kind": "text", "stream": "big", "side": "text", "source_native": "text",
        "target_native": "text", "slot": "text", "body": "text", "state": "text", "opened_at": "real", "sent_at": "real", "tries": "big",
    }  # fmt: skip
    names = ", ".join(columns)
    db.run(f"insert into intents ({names}) select {names} from {db.table(columns)} where true", rows=as_rows(rows))


def sent_at(db: Db, op: str) -> float | None:
    """When the call of an open operation left (or was about to); None when it is not open."""
    return db.scalar("select coalesce(sent_at, opened_at) from intents where op = :op", op=op)


def is_open(db: Db, op: str, *, run: int) -> bool:
    """Whether an operation is open, as that run opened it."""
    return bool(db.scalar("select count(*) from intents where op = :op and run = :run", op=op, run=run))


def departs(db: Db, ops: Iterable[str], *, at: float) -> int:
    """Their call leaves now: an effect is to be expected from then on. Returns how many are still open."""
    return db.run(
        f"update intents set sent_at = :at where op in (select v from {db.values()})", at=at, list=as_list(ops)
    )


def mark_doubt(db: Db, ops: Iterable[str], *, at: float) -> None:
    """Their replies were lost: nobody knows. Counted from `at`, the moment the last reply could have been on its way."""
    db.run(
        f"update intents set state = 'doubt', sent_at = :at, tries = tries + 1 where op in (select v from {db.values()})",
        at=at,
        list=as_list(ops),
    )


def note_answer(db: Db, op: str, problem: Json) -> None:
    """Keep what the vendor answered about an operation whose outcome that answer does not tell."""
    _note(db, op, {"answered": problem})


def note_overwritten(db: Db, op: str, before: dict[str, Json]) -> None:
    """Keep what a write in doubt may have overwritten: only whoever sent it saw that."""
    _note(db, op, {"overwritten": before})


def _note(db: Db, op: str, more: dict[str, Json]) -> None:
    row = db.one("select body from intents where op = :op", op=op)
    if row is not None:
        body = db.vault.unseal_json(row[0], about=op) | more
        db.run("update intents set body = :b where op = :op", op=op, b=db.vault.seal_json(body, about=op))


def close(db: Db, ops: Iterable[str], *, run: int | None = None) -> int:
    """Settled, one way or the other; returns how many were still open. With `run` only what that run opened: who was taken
    over meanwhile has no say about the same operation, opened anew."""
    mine = "" if run is None else " and run = :run"
    given = {} if run is None else {"run": run}
    return db.run(f"delete from intents where op in (select v from {db.values()}){mine}", list=as_list(ops), **given)


def learn_native(db: Db, op: str, native: str) -> None:
    """An id learnt half-way through a multi-call write."""
    db.run("update intents set target_native = :n where op = :op", n=native, op=op)


def of_flow(db: Db, flow: str) -> list[Intent]:
    """Open intents of a flow, oldest first."""
    return _read(db, db.rows(f"select {_COLUMNS} from intents where flow = :f order by opened_at, op", f=flow))


def everything(db: Db) -> list[Intent]:
    """All open intents of the workspace."""
    return _read(db, db.rows(f"select {_COLUMNS} from intents order by opened_at, op"))


def slots(db: Db) -> set[tuple[int, str]]:
    """(stream, slot) of everything open, whoever opened it."""
    return {(row[0], row[1]) for row in db.rows("select stream, slot from intents")}


def creates_of_others(db: Db, flow: str, stream: int) -> list[tuple[int, str]]:
    """What other flows are making in a stream: the (stream, native) each open create comes from."""
    rows = db.rows(
        "select slot from intents where stream = :s and kind = 'create' and flow <> :f order by op", s=stream, f=flow
    )
    parts = [row[0].removeprefix("from ").partition(":") for row in rows]
    return [(int(at), native) for at, _, native in parts if at.isdigit()]


def _read(db: Db, rows: Sequence) -> list[Intent]:
    return [Intent(*[*row[:8], db.vault.unseal_json(row[8], about=row[0]), *row[9:]]) for row in rows]
