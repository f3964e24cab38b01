"""Why a record is as it is: every flow that touches it is asked, also when another one's connection is broken."""

from __future__ import annotations

from koppel.app.flow_files import connections_of
from koppel.app.running import Running
from koppel.engine.explain import Explanation, explain
from koppel.engine.ports import Ports
from koppel.model.problem import SetupError, UsageError
from koppel.model.values import Ref


def why(workspace: Running, ref: Ref, field: str | None = None) -> Explanation:
    """Explain a record, or one field of it, without a call to any vendor. Raises UsageError for an unknown connection."""
    if ref.connection not in workspace.config.connections:
        known = ", ".join(sorted(workspace.config.connections)) or "none yet"
        raise UsageError(f"There is no connection called {ref.connection!r}.", remedy=f"Known: {known}.")
    flows = {name: loaded.flow for name, loaded in workspace.flows.items() if loaded.flow is not None}
    usable, troubles = _usable(workspace)
    broken = {
        name: troubles[connection]
        for name, flow in flows.items()
        for connection in connections_of(flow)
        if connection in troubles
    }

    async def asked(ports: Ports) -> Explanation:
        return explain(ports, flows, ref, field=field, transforms=workspace.transforms, broken=broken)

    return workspace.with_ports(asked, only=usable)


def _usable(workspace: Running) -> tuple[list[str], dict[str, str]]:
    """Connections that can be opened, and why the others cannot."""
    usable: list[str] = []
    troubles: dict[str, str] = {}
    for name in workspace.config.connections:
        try:
            workspace.connection(name)
        except SetupError as error:
            troubles[name] = str(error)
        else:
            usable.append(name)
    for loaded in workspace.flows.values():
        for name in connections_of(loaded.flow) if loaded.flow else ():
            if name not in workspace.config.connections:
                troubles[name] = f"There is no connection called {name!r}."
    return usable, troubles
