"""A person who decides by hand which records are one thing: takes a pair apart, and sometimes takes that back, to the letter.

What must hold afterwards: what a person took apart no flow puts together again by itself; what was taken back is one thing as before.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from koppel.engine import identity, leasing
from koppel.engine.by_hand import By, Changed
from koppel.engine.ports import Ports
from koppel.mapping.flow import Flow
from koppel.model.problem import RetryLater, UsageError
from koppel.model.values import Ref
from koppel.store import subjects, work
from koppel.store.sql import Db
from koppel.testing.worlds import Slot, World

COMES, LIKELY, BACK = 0.4, 0.15, 0.5
LEASE_SECONDS, PATIENCE = 120.0, 5.0
Record = tuple[int, str]


class Apart(NamedTuple):
    """Two records a person took apart: the streams and ids."""

    flow: str
    one: Record
    two: Record


class HandPerson:
    """Comes to some of the worlds. `apart` is what stands taken apart."""

    def __init__(self, world: World, streams_of: Callable[[Flow], tuple[int, int]]) -> None:
        self.world, self.streams_of = world, streams_of
        self.rnd = Random(f"hand:{world.kind}:{world.seed}")  # noqa: S311 - a stream of its own: other worlds stay as they are
        self.comes = self.rnd.random() < COMES
        self.apart: list[Apart] = []

    async def after_run(self, flow: Flow, slot: Slot) -> None:
        """Perhaps take a pair of this flow apart."""
        if not self.comes or self.world.over or self.rnd.random() > LIKELY:
            return
        left, right = self.streams_of(flow)
        members = self.world.keeper.run(_pairs, left, right)
        if not members:
            return
        mine, theirs = self.rnd.choice(members)
        one, two = Ref.parse(f"{flow.left}:{mine}"), Ref.parse(f"{flow.right}:{theirs}")
        changed = await self._do(slot, lambda db, by: identity.unlink(db, self.world.flows, by, one, two))
        if changed is None:
            return
        taken = Apart(flow.id, (left, mine), (right, theirs))
        if self.rnd.random() < BACK:
            back = await self._do(
                slot, lambda db, by: identity.as_before(db, self.world.flows, by, "link", changed.entry, (one, two))
            )
            if back is not None:
                if not self._together(taken):
                    self.world.fail(6, f"taken back, {one} and {two} are not one thing again")
                return
        self.apart.append(taken)

    async def _do(self, slot: Slot, deed: Callable[[Db, By], Changed]) -> Changed | None:
        how, what = await slot.do(lambda ports: self._held(ports, deed))
        if how == "done":
            return what
        if how == "raised" and not isinstance(what, (UsageError, RetryLater)):
            await self.world.heard(how, what, slot)
        return None

    async def _held(self, ports: Ports, deed: Callable[[Db, By], Changed]) -> Changed:
        """While no flow runs, as the command does."""
        leases = [f"flow {flow.id}" for flow in self.world.flows]
        return await leasing.alone(
            ports, leases, lambda db, at: deed(db, By("person", at)), seconds=LEASE_SECONDS, patience=PATIENCE
        )

    def taken_apart(self) -> set[str]:
        """The ids of records taken apart and left so."""
        return {native for taken in self.apart for _, native in (taken.one, taken.two)}

    # --- the verdict --------------------------------------------------------------------------------------------------

    def judge(self) -> None:
        """What was taken apart is still apart, unless a person has said otherwise since."""
        for taken in self.apart:
            if self._together(taken) and not self._decided(taken):
                self.world.fail(
                    6, f"{taken.flow}: {taken.one[1]} and {taken.two[1]}, taken apart by a person, are one thing again"
                )

    def _together(self, taken: Apart) -> bool:
        seats = self.world.keeper.run(subjects.seats_of, [taken.one, taken.two])
        return len(seats) == 2 and seats[0].subject == seats[1].subject

    def _decided(self, taken: Apart) -> bool:
        """Whether a person answered about one of the two with a record of what is one thing now, or told that an operation had
        made one."""
        (seat, *_) = self.world.keeper.run(subjects.seats_of, [taken.one])
        fellows = {each.native for each in self.world.keeper.run(subjects.seats, [seat.subject])}
        return any(
            item.native in fellows and item.answer in fellows
            for which in ("ask", "parked")
            for state in ("answered", "closed")
            for item in self.world.keeper.run(work.listed, which, state=state)
        )


def _pairs(db: Db, left: int, right: int) -> list[tuple[str, str]]:
    """Records of two streams that are one thing."""
    mine = subjects.of_records(db, left, subjects.linked_natives(db, left))
    theirs = subjects.of_subjects(db, right, {member.subject for member in mine.values()})
    return sorted((native, t.native) for native, m in mine.items() for t in theirs.get(m.subject, []))
