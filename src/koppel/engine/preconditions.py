"""Preconditions that cannot be relied on: a system that numbers its records anew gives out versions it has given out before.

It happens where a database is moved, or put back from a backup. From then on "only while it is still version 14" may be said of
another state of the record, and a person's edit is written over although the system was asked not to (law 1). The sign of it: a
write is stale though its record is as it was, only under another version. After that sign, for the rest of the run, a write
leaves only when its record, read right before, shows the version and the content it was decided on; all else is decided anew.
What leaves before there is any sign has nothing but the vendor's word.
"""

from __future__ import annotations

from collections.abc import Sequence

from koppel.engine.fetch import look_up
from koppel.engine.frame import Frame
from koppel.engine.plan import Planned
from koppel.engine.ports import Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import SideName
from koppel.model.problem import RetryLater
from koppel.store import observations
from koppel.store.observations import Observation
from koppel.systems.spi import Found, Receipt

SIDES: tuple[SideName, SideName] = ("left", "right")


class Preconditions:
    """What the preconditions of both sides are worth in this run; `doubted` are the sides that numbered their records anew."""

    def __init__(self, ports: Ports, sender: Sender, frame: Frame) -> None:
        self.ports, self.sender, self.frame = ports, sender, frame
        self.doubted: set[SideName] = set()

    async def learn(self, answered: Sequence[tuple[Planned, Receipt]]) -> None:
        """Read records again whose precondition failed: a version we hold may be one that no listing will ever correct. Were they
        given another version and nothing else, so may all others be."""
        for side in SIDES:
            stale = [p for p, receipt in answered if receipt.status == "stale" and p.step.side == side]
            moved = list(dict.fromkeys(p.step.target for p in stale if p.step.target))
            if not moved or not self._can_be_asked(side):
                continue
            try:
                shown = await self._read(side, moved)
            except RetryLater as later:
                self.ports.tell(later.message)  # they are due once more in any case
                continue
            if any(self._renumbered(p, shown) for p in stale):
                self.doubted.add(side)

    async def failing(self, chunk: Sequence[Planned]) -> frozenset[str]:
        """Of what is about to be written to a side in doubt: the ids of those whose record no longer shows what they were decided
        on, or does not show at all. Raises RetryLater, SignInNeeded or SetupError."""
        found: set[str] = set()
        for side in SIDES:
            bound = [p for p in chunk if p.step.side == side and p.step.target and p.operations[0].expect]
            if side not in self.doubted or not bound:
                continue
            shown = await self._read(side, list(dict.fromkeys(str(p.step.target) for p in bound)))
            found |= {p.id for p in bound if not self._as_decided(p, shown)}
        return frozenset(found)

    def _can_be_asked(self, side: SideName) -> bool:
        resource = self.frame.resources[side]
        return resource.find is not None and "native" in resource.can.find

    async def _read(self, side: SideName, natives: Sequence[str]) -> dict[str, Observation]:
        """How these records look now, of those that could be read."""
        connection, resource = self.frame.connections[side], self.frame.resources[side]
        answers = await look_up(self.ports, self.sender, connection, resource, "native", natives)
        there = [native for native, answer in answers.items() if isinstance(answer, Found)]
        stream, entity = self.frame.streams[side].id, self.frame.flow.entity
        return await self.ports.store.tx(observations.load, stream, there, entity=entity)

    def _as_decided(self, planned: Planned, shown: dict[str, Observation]) -> bool:
        now = shown.get(str(planned.step.target))
        return now is not None and self._alike(planned, now) and now.version == planned.operations[0].expect

    def _renumbered(self, planned: Planned, shown: dict[str, Observation]) -> bool:
        now, expect = shown.get(str(planned.step.target)), planned.operations[0].expect
        return bool(expect) and now is not None and self._alike(planned, now) and now.version != expect

    def _alike(self, planned: Planned, now: Observation) -> bool:
        """Whether a record's content is what its write was decided on."""
        decided_on = self.frame.sightings.get((planned.step.side, str(planned.step.target)))
        return decided_on is not None and decided_on.digest == now.digest


__all__ = ["Preconditions"]
