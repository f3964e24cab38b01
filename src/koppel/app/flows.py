"""Flows: found, checked, told as a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from koppel.app.connecting import Connecting
from koppel.app.flow_files import SIDES, LoadedFlow, ReadyMade, load_flows, ready_made
from koppel.config.workspace_file import (
    FLOWS,
)
from koppel.engine import caching
from koppel.engine.grouping import read_end
from koppel.engine.send import Sender
from koppel.mapping.across import check_flows
from koppel.mapping.check import check_flow
from koppel.mapping.document import mapping_document
from koppel.mapping.flow import Flow, SideName
from koppel.mapping.order import check_order, in_order
from koppel.mapping.problems import FlowProblem, has_errors
from koppel.mapping.template import fill
from koppel.model.can import Can
from koppel.model.problem import SetupError, UsageError
from koppel.systems import registry
from koppel.systems.spi import Remark

if TYPE_CHECKING:
    from koppel.mapping.positions import Positions


def cans_of(flows: Mapping[str, Flow], workspace: Connecting) -> dict[str, dict[SideName, Can]]:
    """What both sides of each flow can do; without flows whose ends are not there."""
    found: dict[str, dict[SideName, Can]] = {}
    for name, flow in flows.items():
        try:
            found[name] = {side: workspace.end_of(flow, side).can for side in SIDES}
        except (KeyError, SetupError):
            continue  # said by the check of the flow itself
    return found


class Flows(Connecting):
    """What is done with flow files."""

    def flow(self, flow_id: str) -> Flow:
        """A flow that can be run. Raises UsageError when there is none of that id, or its file has errors."""
        loaded = self.known_flow(flow_id)
        if loaded.flow is None or has_errors(loaded.problems):
            first = next(p for p in loaded.problems if p.severity == "error")
            raise UsageError(
                f"{first.file}:{first.line}:{first.column}: {first.message}.",
                remedy=f"Mend the file; koppel check {flow_id} shows everything.",
            )
        for side in SIDES:
            end = read_end(loaded.flow) if side == "left" else loaded.flow.right
            if end.connection not in self.config.connections:
                raise SetupError(
                    f"Flow {flow_id} speaks of the connection {end.connection!r}, which is not configured.",
                    remedy=f"koppel connect {end.connection} --system …",
                )
            resources = {r.name for r in self.system_of(end.connection).resources if r.entity}
            if end.resource not in resources:
                raise SetupError(
                    f"Flow {flow_id}: {end.connection} has no resource {end.resource!r}.",
                    remedy=f"It has: {', '.join(sorted(resources))}.",
                )
        return loaded.flow

    @staticmethod
    def ready_made() -> tuple[ReadyMade, ...]:
        """The flows that come with the installed systems."""
        return ready_made()

    def known_flow(self, flow_id: str) -> LoadedFlow:
        """A flow of this workspace, right or wrong. Raises UsageError when there is none of that id."""
        loaded = self.flows.get(flow_id)
        if loaded is None:
            known = ", ".join(sorted(self.flows)) or "none yet; koppel init --flow kvk-exact copies a ready-made one"
            raise UsageError(f"There is no flow {flow_id!r} in {self.config.path / FLOWS}.", remedy=f"Known: {known}.")
        return loaded

    def add_flow(self, name: str, connections: Mapping[str, str]) -> Path:
        """Copy a ready-made flow into the workspace with connection names filled in. Raises UsageError."""
        texts = {flow: text for system in registry.names() for flow, text in registry.ready_made_flows(system).items()}
        if name not in texts:
            raise UsageError(f"There is no ready-made flow {name!r}.", remedy=f"There are: {', '.join(sorted(texts))}.")
        target = self.config.path / FLOWS / f"{name}.toml"
        if target.exists():
            raise UsageError(f"{target} exists already.", remedy="Edit it, or remove it first.")
        target.write_text(fill(texts[name], dict(connections)), encoding="utf-8")
        self.flows = load_flows(self.config.path, self.transforms)
        return target

    def check(self, flow_id: str | None = None, *, live: bool = False) -> tuple[FlowProblem, ...]:
        """Everything that is wrong with one flow or all of them; `live` asks the accounts for their fields."""
        found: list[FlowProblem] = []
        chosen = {flow_id: self.known_flow(flow_id)} if flow_id else dict(self.flows)
        for loaded in chosen.values():
            found += loaded.problems
            if loaded.flow is not None:
                found += self._check_sides(loaded.flow, loaded, live=live)
        by_file = {item.file: item.flow for item in self.flows.values() if item.flow is not None}
        found += check_flows(by_file)
        found += check_order(by_file, cans_of(by_file, self))
        return tuple(found)

    def check_read(self, flow: Flow) -> tuple[FlowProblem, ...]:
        """What is wrong between a flow and its sides, as far as their field tables tell; places do not matter here."""
        found = self._check_sides(flow, LoadedFlow(flow.id, "", flow, ()), live=False)
        return tuple(found)

    def in_order(self) -> tuple[str, ...]:
        """Every flow by id, what others need first; a flow that cannot be read comes where its id says."""
        known = {name: loaded.flow for name, loaded in self.flows.items() if loaded.flow is not None}
        order = in_order(known, cans_of(known, self))
        return (*order, *sorted(self.flows.keys() - {*order}))

    def _check_sides(self, flow: Flow, loaded: LoadedFlow, *, live: bool) -> Sequence[FlowProblem]:
        from koppel.mapping.positions import locate  # noqa: PLC0415 - only a check needs places

        cans, own = {}, {}
        positions = locate(loaded.text, file=loaded.file)
        found: list[FlowProblem] = []
        for side in SIDES:
            end = read_end(flow) if side == "left" else flow.right
            config = self.config.connections.get(end.connection)
            if config is None:
                return [
                    FlowProblem(
                        loaded.file,
                        1,
                        1,
                        "no_connection",
                        f"the connection {end.connection!r} is not configured",
                        f"koppel connect {end.connection}",
                        "error",
                    )
                ]
            try:
                cans[side] = self.end_of(flow, side).can
            except KeyError:
                return [
                    FlowProblem(
                        loaded.file,
                        1,
                        1,
                        "no_resource",
                        f"{end.connection} has no resource {end.resource!r}",
                        "",
                        "error",
                    )
                ]
            if live:
                place = positions.value(side)
                said = [
                    FlowProblem(
                        loaded.file, place.line, place.column, remark.code, f"{end.connection}: {remark.text.rstrip('.')}",
                        remark.remedy, "warning" if remark.ends_at else "error",
                    )
                    for remark in self._remarks(end.connection)
                    if remark.level == "attention"
                ]  # fmt: skip
                found += said
                try:
                    own[side] = self.own_fields(end.connection)
                except SetupError:
                    if not has_errors(said):  # what was said just now is why
                        raise
        found += check_flow(
            flow,
            left=cans["left"],
            right=cans["right"],
            positions=positions,
            own_fields=own or None,
            entity=flow.entity,
            documents=None
            if flow.group is None
            else self.system_of(flow.group.source.connection).resource(flow.group.source.resource).entity,
            transforms=self.transforms,
        )
        return found + self._kept_as_digests(flow, loaded, positions)

    def _kept_as_digests(self, flow: Flow, loaded: LoadedFlow, positions: Positions) -> list[FlowProblem]:
        """What keeps a flow from going with `cache = "hashes"` of one of its connections."""
        places = [(read_end(flow), positions.value("left")), (flow.right, positions.value("right"))]
        places += [(line.source, positions.value("enrich")) for line in flow.enrich]
        found: list[FlowProblem] = []
        for end, place in places:
            config = self.config.connections.get(end.connection)
            if config is None or config.cache != "hashes":
                continue
            why = caching.needs_values(flow, end)
            if not why and not caching.can_let_go(self.system_of(end.connection).resource(end.resource).can):
                why = f"{end} cannot be listed and read again by id"
            if why:
                message = f'{end.connection} has cache = "hashes", and {why}'
                hint = f'write cache = "mapped" for {end.connection} in koppel.toml'
                found.append(FlowProblem(loaded.file, place.line, place.column, "needs-values", message, hint))
        return found

    def _remarks(self, name: str) -> tuple[Remark, ...]:
        """What the vendor says of this account, asked now: rights and connectors that are missing, tokens that end."""
        connection = self.connection(name)
        return self.with_ports(
            lambda ports: Sender(ports).run(connection, connection.system.status(connection.site(ports.clock.now())))
        )

    def document(self, flow_id: str, *, language: str = "en") -> str:
        """The flow as a mapping document a controller can sign, in Markdown."""
        flow = self.flow(flow_id)
        left, right = self.system_of(flow.left.connection), self.system_of(flow.right.connection)
        cans = cans_of({flow.id: flow}, self)[flow.id]
        return mapping_document(
            flow, left=cans["left"], right=cans["right"], left_title=f"{left.title} ({flow.left})", right_title=f"{right.title} ({flow.right})", language="nl" if language == "nl" else "en"
        )  # fmt: skip
