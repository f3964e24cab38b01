"""Before a flow makes a record that names others: the flows that join those others run for just what is missing.

Each is a run of its own, under its own lease, brakes and window, with its own entries in the runs; one that may not create, or
stops, makes nothing, and what needed it waits. Flows that need each other are not run in a circle: what is being run already is
left alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from koppel.engine.flow import Options, Result, plan_flow, sync_flow
from koppel.engine.plan import Plan
from koppel.engine.ports import Ports
from koppel.engine.references import Wanted
from koppel.mapping.flow import Flow
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.model.problem import Bug, KoppelError

Watch = Callable[[Flow, Callable[[Ports], Awaitable[Result]]], Awaitable[Result]]


@dataclass(kw_only=True)
class First:
    """What may run before `flow`: `flows`, in the order of what they need. `watch` runs one and tells people when it fails."""

    ports: Ports
    flow: Flow
    flows: Sequence[Flow]
    options: Options
    watch: Watch
    transforms: Mapping[str, Transform] = field(default_factory=lambda: TRANSFORMS)
    running: set[str] = field(default_factory=set[str])
    asked: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def __post_init__(self) -> None:
        self.running.add(self.flow.id)

    async def sync(self, wanted: Sequence[Wanted]) -> bool:
        """Run what joins the missing records, for just these; whether anything ran."""
        ran = False
        for flow, options in self._for(wanted):
            self.running.add(flow.id)
            try:
                result = await self.watch(flow, self._run(flow, options))
                ran = True
                self._tell(flow, result)
            except Bug:
                raise
            except KoppelError as error:  # what needed it waits; the flow's own run has said why
                self.ports.tell(f"{flow.id}, which goes first, did not run: {error.message}")
            finally:
                self.running.discard(flow.id)
        return ran

    async def plan(self, wanted: Sequence[Wanted]) -> tuple[Plan, ...]:
        """What those flows would do, for just these."""
        plans: list[Plan] = []
        for flow, options in self._for(wanted):
            self.running.add(flow.id)
            try:
                made = await plan_flow(self.ports, flow, options, transforms=self.transforms, before=self.plan)
                if made.steps or made.first:
                    plans.append(made)
            except Bug:
                raise
            except KoppelError as error:
                self.ports.tell(f"{flow.id}, which goes first, cannot be planned: {error.message}")
            finally:
                self.running.discard(flow.id)
        return tuple(plans)

    def _run(self, flow: Flow, options: Options) -> Callable[[Ports], Awaitable[Result]]:
        return lambda ports: sync_flow(ports, flow, options, transforms=self.transforms, before=self.sync)

    def _tell(self, flow: Flow, result: Result) -> None:
        done = ", ".join(
            f"{result.counts[kind]} {kind}" for kind in ("create", "link", "update") if result.counts[kind]
        )
        said = result.message if result.state != "done" else done or "nothing to do"
        self.ports.tell(f"{flow.id} went first: {said}")

    def _for(self, wanted: Sequence[Wanted]) -> Iterator[tuple[Flow, Options]]:
        for flow in self.flows:
            if flow.id in self.running:
                continue
            left = [w.native for w in wanted if (w.near, w.far) == (flow.left, flow.right)]
            right = [w.native for w in wanted if (w.near, w.far) == (flow.right, flow.left)]
            new = {(side, native) for side, natives in (("left", left), ("right", right)) for native in natives}
            if not {(f"{flow.id} {side}", native) for side, native in new} - self.asked:
                continue
            self.asked |= {(f"{flow.id} {side}", native) for side, native in new}
            trigger = f"needed by {self.flow.id}"
            yield (
                flow,
                msgspec.structs.replace(
                    self.options, only=tuple(left), only_right=tuple(right), trigger=trigger, override=(), after=None
                ),
            )
