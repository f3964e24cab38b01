"""One pass of one flow at work: how it is to go, what it knows so far, and the taking in that it begins with.

What it looks at stands in `koppel.engine.dirty`, what is decided in `deciding`, what comes of that in `planning`; what is done
with a plan, and in how many rounds, in `koppel.engine.flow`. Up to the plan nothing is written outside.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from koppel.engine import caching, grouping, whole
from koppel.engine.fetch import fetch, follow_signals
from koppel.engine.frame import Frame, make_frame, read_since, refresh
from koppel.engine.ports import Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import Flow, SideName
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.model.problem import Problem
from koppel.store.flows import Position

SIDES: tuple[SideName, SideName] = ("left", "right")


class Options(msgspec.Struct, frozen=True):
    """How a run is to go. `only` and `only_right` limit it to these records; `refresh` looks everything up anew; `whole` reads both sides
    from the start; `light` asks for keys instead of reading a side that was never read; `override` names a brake that may be
    passed; `trigger` and `actor` go into the trail; `after` runs only while that is still the flow's last run (0: it never
    ran)."""

    actor: str = "koppel"
    trigger: str = "command"
    only: tuple[str, ...] = ()
    only_right: tuple[str, ...] = ()
    refresh: bool = False
    light: bool = False
    whole: bool = False
    override: tuple[str, ...] = ()
    workspace: str = ""
    after: int | None = None

    @property
    def limited(self) -> bool:
        """Whether the run is for some records only."""
        return bool(self.only or self.only_right)


PLAIN = Options()


class Pass:
    """One pass at work: the frame, the sender with its counters, what was looked at."""

    def __init__(
        self, ports: Ports, flow: Flow, options: Options, *, transforms: Mapping[str, Transform] = TRANSFORMS
    ) -> None:
        self.ports, self.flow, self.options = ports, flow, options
        self.sender = Sender(ports)
        self.frame: Frame = make_frame(ports, flow, transforms=transforms)
        self.streams_read = 0
        self.place: Position | None = None
        self.upto: dict[SideName, int] = {}
        self.looked_at = ports.clock.now()
        self.looked: dict[SideName, list[str]] = {"left": [], "right": []}
        self.read_whole = whole.NOT
        self.absent_problems: dict[str, Problem] = {}
        self.wished: set[tuple[SideName, str]] = set()  # records a person wants looked at
        self.retried: set[int] = set()  # parked items whose next try is now
        self.leased = False

    async def take_in(self) -> None:
        """Read both sides' streams, once; a side that cannot be listed is looked up by what is due."""
        due = await whole.due(
            self.ports,
            self.frame,
            asked=self.options.whole,
            light=self.options.light,
            allowed="vanished" in self.options.override,
        )
        for side in ("left", "right"):
            connection, resource = self.frame.connections[side], self.frame.resources[side]
            if side == "left":
                connection, resource = self.ports.at(grouping.read_end(self.flow))
            stream = f"{connection.name}:{resource.name}"
            read_since(self.frame, side, self.ports.clock.now())
            if side not in due.sides and self.ports.read is not None and stream in self.ports.read:
                read_since(self.frame, side, self.ports.read[stream])
                continue  # a flow that runs together with this one has read it
            if not resource.can.list:
                await self.ports.store.tx(caching.follow, connection, resource, self.ports.clock.now())
                began = self.ports.clock.now()
                self.streams_read += await follow_signals(self.ports, self.sender, connection, resource)
                self.note_read(stream, began)
            if not resource.can.list or (self.options.light and self.frame.streams[side].complete_at is None):
                continue
            if side in due.sides:
                self.ports.tell(f"{stream}: reading all of it ({due.why})")
            began = self.ports.clock.now()
            await fetch(self.ports, self.sender, connection, resource, whole=side in due.sides)
            self.streams_read += 2 if resource.tombstones else 1
            self.note_read(stream, began)
        await grouping.bring_up_to_date(self.ports, self.flow, leased=self.leased)
        await whole.done(self.ports, self.frame, due)
        self.read_whole = due
        refresh(self.ports, self.frame)

    def note_read(self, what: str, began: float) -> None:
        """For flows that run together with this one: a stream was read, or a record of it looked up, and since when."""
        if self.ports.read is not None:
            self.ports.read[what] = began

    async def read_again(self, sides: set[SideName]) -> None:
        """Poll the streams written to, once: what is seen becomes the target's form of the base."""
        await grouping.note_posted(self.ports, self.flow)
        for side in sorted(sides):
            read_since(self.frame, side, self.ports.clock.now())
            if self.frame.listable(side) and not (self.options.light and self.frame.streams[side].complete_at is None):
                await fetch(
                    self.ports, self.sender, self.frame.connections[side], self.frame.resources[side], tombstones=False
                )
        refresh(self.ports, self.frame)
