"""Plans, runs and intake, and who is told when one fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from koppel.app import privacy, sign_ins
from koppel.app.flow_files import connections_of
from koppel.app.flows import Flows
from koppel.app.numbers import read_numbers
from koppel.app.opened import Go
from koppel.engine import flow as engine
from koppel.engine.first import First
from koppel.engine.flow import Options, Result
from koppel.engine.plan import Plan
from koppel.engine.ports import Ports
from koppel.mapping.flow import Flow
from koppel.mapping.problems import has_errors
from koppel.model.problem import Bug, KoppelError, SignInNeeded, UsageError
from koppel.runtime import alerts, windows
from koppel.runtime.alerts import Alert, deliver


class Added(msgspec.Struct, frozen=True):
    """What became of an intake: numbers that were none (as typed → why), notes about others, and the plan or the run."""

    flow: str
    taken: tuple[str, ...]
    refused: dict[str, str]
    notes: dict[str, str]
    plan: Plan | None = None
    result: Result | None = None


class Running(Flows):
    """What makes something happen."""

    def plan(self, flow_id: str, *, refresh: bool = False, allow: Sequence[str] = ()) -> Plan:
        """What a run would do. Reads, decides, writes nothing outside."""
        flow = self.flow(flow_id)
        options = self._options(refresh=refresh, allow=allow)

        async def dry(ports: Ports) -> Plan:
            before = self._first(ports, flow, options).plan
            return await engine.plan_flow(ports, flow, options, transforms=self.transforms, before=before)

        return self.with_ports(dry)

    def sync(
        self,
        flow_id: str,
        *,
        refresh: bool = False,
        allow: Sequence[str] = (),
        trigger: str = "command",
        in_window: bool = False,
        after: int | None = None,
    ) -> Result:
        """Plan and do it, under the brakes. A failure is told to `on_alert` at once. `after`: only while that is the flow's last run.

        With `in_window` nothing is done outside the flow's window: the result's state is `waiting`, and its run is none (0).
        """
        flow = self.flow(flow_id)
        opening = windows.opens_at(flow, self.now()) if in_window and flow.run.window else None
        if opening is not None:
            return engine.not_now(flow, windows.outside(flow, opening), at=opening)
        options = self._options(refresh=refresh, allow=allow, trigger=trigger, after=after)

        async def wet(ports: Ports) -> Result:
            before = self._first(ports, flow, options, in_window=in_window).sync
            return await engine.sync_flow(ports, flow, options, transforms=self.transforms, before=before)

        result = self._run(flow, wet)
        if self._go is not None:
            self._go.ran.add(flow.id)
        return result

    def _first(self, ports: Ports, flow: Flow, options: Options, *, in_window: bool = False) -> First:
        """What may run before a flow, for records that are named and missing: flows that are right, whose connections are there,
        whose window is open, and that did not run in this go already."""
        ran = self._go.ran if self._go is not None else set[str]()
        flows = [
            loaded.flow
            for name in self.in_order()
            if (loaded := self.flows[name]).flow is not None
            and not has_errors(loaded.problems)
            and name not in ran
            and all(connection in ports.connections for connection in connections_of(loaded.flow))
            and not (in_window and windows.opens_at(loaded.flow, ports.clock.now()) is not None)
        ]

        async def watch(which: Flow, run: Callable[[Ports], Awaitable[Result]]) -> Result:
            return await self._watched(ports, which, run)

        return First(
            ports=ports, flow=flow, flows=flows, options=options, watch=watch, transforms=self.transforms
        )  # fmt: skip

    @contextmanager
    def together(self) -> Generator[None, None, None]:
        """Flows run in the block are one go: streams are read once for all of them, and a refresh looks each record up once."""
        before, self._go = self._go, self._go or Go()
        try:
            yield
        finally:
            self._go = before

    def apply(self, plan: Plan, *, allow: Sequence[str] = ()) -> Result:
        """Do exactly a plan; steps whose state moved are refused and named. What other flows make first is done first, as
        planned; what waited for it was in no plan, and is done by the next run."""
        flow = self.flow(plan.flow)
        for needed in plan.first:
            try:
                result = self.apply(needed)
            except Bug:
                raise
            except KoppelError as error:
                self.tell(f"{needed.flow}, which goes first, was not done: {error.message}")
            else:
                self.tell(f"{needed.flow} went first: {result.message or result.state}")
        return self._run(
            flow,
            lambda ports: engine.apply_plan(ports, flow, plan, self._options(allow=allow), transforms=self.transforms),
        )

    def add(self, numbers: Sequence[str], *, to: str, plan_only: bool = False, allow: Sequence[str] = ()) -> Added:
        """Take KVK numbers (or other left ids) in, into the flow that ends at connection or flow `to`, and run for just these.

        Numbers that are none are refused by name and nothing is asked about them. Raises UsageError when none is left.
        """
        flow = self._flow_into(to)
        taken, refused, notes = read_numbers(numbers)
        if not taken:
            raise UsageError(f"{'; '.join(refused.values()) or 'No number was given'}.", remedy="Nothing was taken in.")
        options = self._options(allow=allow, light=True, only=tuple(taken))
        if plan_only:

            async def dry(ports: Ports) -> Plan:
                await engine.take(ports, flow, taken)
                return await engine.plan_flow(ports, flow, options, transforms=self.transforms)

            return Added(flow.id, tuple(taken), refused, notes, plan=self.with_ports(dry))

        async def wet(ports: Ports) -> Result:
            await engine.take(ports, flow, taken)
            return await engine.sync_flow(ports, flow, options, transforms=self.transforms)

        return Added(flow.id, tuple(taken), refused, notes, result=self._run(flow, wet))

    def take(self, numbers: Sequence[str], *, to: str) -> Added:
        """Take numbers in without running: they are looked up and dealt with by the next plan, sync or scheduled run.

        Raises UsageError when none of them is a number.
        """
        flow = self._flow_into(to)
        taken, refused, notes = read_numbers(numbers)
        if not taken:
            raise UsageError(f"{'; '.join(refused.values()) or 'No number was given'}.", remedy="Nothing was taken in.")
        self.with_ports(lambda ports: engine.take(ports, flow, taken))
        return Added(flow.id, tuple(taken), refused, notes)

    def targets_of(self, name: str) -> tuple[str, ...]:
        """Connections into which records of this one can be taken in by id."""
        flows = [loaded.flow for loaded in self.flows.values() if loaded.flow and loaded.flow.scope.take != "all"]
        return tuple(sorted({flow.right.connection for flow in flows if flow.left.connection == name}))

    def _flow_into(self, to: str) -> Flow:
        if to in self.flows:
            return self.flow(to)
        fitting = [
            name
            for name, loaded in self.flows.items()
            if loaded.flow and loaded.flow.right.connection == to and loaded.flow.scope.take != "all"
        ]
        if len(fitting) == 1:
            return self.flow(fitting[0])
        if not fitting:
            self.connection(to)
            raise UsageError(
                f"No flow takes records in for {to}.", remedy="Copy a ready-made one: koppel init --flow kvk-exact"
            )
        raise UsageError(
            f"Several flows take records in for {to}: {', '.join(fitting)}.",
            remedy="Name the flow instead of the connection.",
        )

    def _options(
        self,
        *,
        refresh: bool = False,
        allow: Sequence[str] = (),
        trigger: str = "command",
        light: bool = False,
        only: tuple[str, ...] = (),
        after: int | None = None,
    ) -> Options:
        return Options(
            actor=self.actor,
            trigger=trigger,
            only=only,
            refresh=refresh,
            light=light,
            override=tuple(allow),
            workspace=self.config.name,
            after=after,
        )

    def _run(self, flow: Flow, run: Callable[[Ports], Coroutine[Any, Any, Result]]) -> Result:
        return self.with_ports(lambda ports: self._watched(ports, flow, run))

    async def _watched(self, ports: Ports, flow: Flow, run: Callable[[Ports], Awaitable[Result]]) -> Result:
        """A run, of which people are told when it fails and when it goes well again."""
        try:
            result = await run(ports)
        except SignInNeeded as error:
            await self._alert(ports, "sign_in", flow, error, about=f"login {error.login}")
            raise
        except KoppelError as error:
            if not isinstance(error, UsageError):
                await self._alert(ports, "failed", flow, error, about=f"flow {flow.id}")
            raise
        if result.state in ("failed", "stopped"):
            await self._alert(ports, result.state, flow, KoppelError(result.message), about=f"flow {flow.id}")
        else:
            await self._recovered(ports, flow)
        self._sweep(ports.clock.now())
        await sign_ins.keep_daily(self, ports)
        return result

    def _sweep(self, at: float) -> None:
        """Once a day a run takes away what is over by [retention]."""
        swept = privacy.sweep_daily(self, at=at)
        if swept is not None and swept.anything:
            self.tell(f"By [retention], taken away: {privacy.said(swept)}.")

    async def _alert(self, ports: Ports, kind: str, flow: Flow, error: KoppelError, *, about: str) -> None:
        """Tell people at once, and once: the same trouble is no news at the next run."""
        alert = Alert(kind, self.config.name, flow.id, error.message, error.remedy, ports.clock.now())
        if self.config.on_alert and await ports.store.tx(alerts.news, alert, about):
            await self._deliver(ports, alert)

    async def _recovered(self, ports: Ports, flow: Flow) -> None:
        """A run went well: what people were told about it or its sign-ins is over, and they are told that too."""
        if not self.config.on_alert:
            return
        logins = {
            f"login {ports.connections[name].login}" for name in connections_of(flow) if name in ports.connections
        }
        ended = await ports.store.tx(alerts.over, sorted({f"flow {flow.id}", *logins}))
        if ended:
            said = f"{flow.id} runs again"
            await self._deliver(ports, Alert("recovered", self.config.name, flow.id, said, "", ports.clock.now()))

    async def _deliver(self, ports: Ports, alert: Alert) -> None:
        trouble = await deliver(self.config.on_alert or "", alert, ports.transport)
        if trouble:
            self.tell(f"The alert could not be delivered: {trouble}")
