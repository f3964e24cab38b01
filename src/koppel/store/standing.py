"""Standing decisions that a record gets no counterpart: what was taken apart and is left alone, what a person left out.

They are answers on the work list of the flow they were made in, and hold for every flow between the same two streams,
whichever way it faces: which records are one thing belongs to the records, not to a flow. (That two records are *not* one thing
is `koppel.store.apart`.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from koppel.mapping.flow import SideName, other
from koppel.store import due, flows, work
from koppel.store.due import Due
from koppel.store.sql import Db
from koppel.store.work import Item

ALONE = "unlinked"  # the code of the decision about a record whose counterpart was removed, or undone
OUT_OF_USE = (
    "out_of_use"  # in the body of such a decision: Koppel archived the record, so nothing is made of it anywhere
)
OF_ONE_FLOW = frozenset({"outside"})  # questions about a flow's own scope: another flow may well take the record


class Fellow(NamedTuple):
    """Another flow between the same two streams; `turned`: it calls left what this one calls right."""

    flow: str
    turned: bool

    def side(self, side: SideName) -> SideName:
        """What it calls that side."""
        return other(side) if self.turned else side


def between(db: Db, flow: str, left: int, right: int) -> None:
    """Note which two streams a flow is between."""
    if db.one("select left_stream, right_stream from flow_ends where flow = :f", f=flow) != (left, right):
        db.run(
            "insert into flow_ends (flow, left_stream, right_stream) values (:f, :l, :r)"
            " on conflict (flow) do update set left_stream = excluded.left_stream, right_stream = excluded.right_stream",
            f=flow, l=left, r=right,
        )  # fmt: skip


def ends(db: Db) -> dict[str, tuple[int, int]]:
    """The left and the right stream of every flow that has run since this is noted."""
    return {row[0]: (row[1], row[2]) for row in db.rows("select flow, left_stream, right_stream from flow_ends")}


def fellows(db: Db, flow: str) -> list[Fellow]:
    """The other flows between the same two streams, by name."""
    rows = db.rows(
        "select b.flow, a.left_stream <> b.left_stream from flow_ends a join flow_ends b on b.flow <> a.flow"
        " and ((b.left_stream = a.left_stream and b.right_stream = a.right_stream)"
        " or (b.left_stream = a.right_stream and b.right_stream = a.left_stream))"
        " where a.flow = :f order by b.flow",
        f=flow,
    )
    return [Fellow(row[0], bool(row[1])) for row in rows]


def touching(db: Db, flow: str, side: SideName) -> list[tuple[str, SideName]]:
    """The other flows that have this side's stream at one of their ends, and what they call it; by name."""
    known = ends(db)
    if flow not in known:
        return []
    mine = known[flow][0 if side == "left" else 1]
    both: tuple[SideName, SideName] = ("left", "right")
    return sorted(
        (name, end)
        for name, streams in known.items()
        for end, stream in zip(both, streams, strict=True)
        if name != flow and stream == mine
    )


def elsewhere(db: Db, flow: str, side: SideName, natives: Iterable[str]) -> list[Item]:
    """Decisions made in other flows that these records get no counterpart over there."""
    asked = list(natives)
    if not asked:
        return []
    between_the_two = [
        item
        for fellow in fellows(db, flow)
        for item in work.about(db, fellow.flow, fellow.side(side), asked)
        if item.state == "answered" and not item.field and item.answer == "skip" and item.code not in OF_ONE_FLOW
    ]
    return between_the_two + _out_of_use(db, flow, side, asked)


def left_alone(db: Db, flow: str, pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those pairs (left, right) that an undo took apart between these two streams, and of which neither was taken in anew: no
    pair of this flow, also when others made both members of one thing again. Where this flow has agreed on something since, it
    put them together."""
    asked = set(pairs)
    if not asked:
        return set()
    named: set[tuple[str, str]] = set()
    alone: dict[SideName, set[str]] = {"left": set(), "right": set()}
    natives: dict[SideName, set[str]] = {"left": {left for left, _ in asked}, "right": {right for _, right in asked}}
    for fellow in (Fellow(flow, turned=False), *fellows(db, flow)):
        for side, about in natives.items():
            for item in work.about(db, fellow.flow, fellow.side(side), about):
                if item.code == ALONE and item.state == "answered":
                    alone[side].add(item.native)
                    named.add((str(item.body.get(fellow.side("left"))), str(item.body.get(fellow.side("right")))))
    found = {pair for pair in asked & named if pair[0] in alone["left"] and pair[1] in alone["right"]}
    return found - flows.bases_of(db, flow, left=[left for left, _ in found]).keys() if found else set()


def _out_of_use(db: Db, flow: str, side: SideName, natives: Iterable[str]) -> list[Item]:
    """What Koppel archived by way of any flow: whoever else lists it, out of use, makes nothing of it."""
    asked = list(natives)
    return [
        item
        for name, end in touching(db, flow, side)
        for item in work.about(db, name, end, asked)
        if item.state == "answered" and item.code == ALONE and item.body.get(OUT_OF_USE)
    ]


def lift(db: Db, flow: str, side: SideName, natives: Iterable[str], *, by: str, at: float) -> None:
    """These records take part again, in every flow between the two streams: who was left alone is looked at anew. Of what was
    archived nothing is held back any more in any flow."""
    asked = list(natives)
    lifted: set[str] = set()
    all_ = (Fellow(flow, turned=False), *fellows(db, flow))
    for fellow in all_:
        items = [i for i in work.about(db, fellow.flow, fellow.side(side), asked) if i.code == ALONE]
        work.close(db, [item.id for item in items], by=by, at=at)
        lifted |= {item.native for item in items}
    archived = _out_of_use(db, flow, side, asked)
    work.close(db, [item.id for item in archived], by=by, at=at)
    for item in archived:
        due.add(db, item.flow, [Due(item.side, item.native, "taken in")], at=at)
    for fellow in all_[1:]:
        due.add(db, fellow.flow, [Due(fellow.side(side), native, "taken in") for native in sorted(lifted)], at=at)
