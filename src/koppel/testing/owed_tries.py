"""What a run with nothing to do owes all the same: a refused operation whose time has come is tried again, and to decide on it
what it concerns is read by id, where the values of records are not kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from koppel.mapping.flow import SideName
from koppel.store.work import Item
from koppel.testing.toy_servers import Row


def tried_in_time(before: Mapping[int, float | None], after: Iterable[Item], run: int | None, now: float) -> list[Item]:
    """What the vendor refused and that run tried again because the time named for it had come, and was refused again: those
    calls are owed, however quiet it is. One tried earlier is not counted. `before`: when each item was to be tried."""
    return [
        item
        for item in after
        if item.op and item.run == run and (due_at := before.get(item.id)) is not None and due_at <= now
    ]


def readings(tried: Sequence[Item], rows: Mapping[SideName, Mapping[str, Row]], read: Mapping[SideName, int]) -> int:
    """Of the calls a run made to read values that are not kept, those that such tries account for: at most one for each record
    they concern, which are the two of the step and whatever carries the number of either."""
    return sum(min(read.get(side, 0), len(_concerned(tried, rows, side))) for side in rows)


def _concerned(tried: Sequence[Item], rows: Mapping[SideName, Mapping[str, Row]], side: SideName) -> set[str]:
    found: set[str] = set()
    for item in tried:
        ends: dict[SideName, str] = {s: item.native if s == item.side else str(item.body.get(s)) for s in rows}
        own: dict[SideName, Row] = {s: rows[s][native] for s, native in ends.items() if native in rows[s]}
        numbers = {row.get("nr") for row in own.values()} - {None, ""}
        found |= {native for native, row in rows[side].items() if row.get("nr") in numbers}
        found |= {ends[side]} if side in own else set()
    return found
