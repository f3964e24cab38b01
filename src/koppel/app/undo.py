"""Taking a run back: a plan first, and then only that plan."""

from __future__ import annotations

from collections.abc import Sequence

from koppel.app.workspace import Workspace
from koppel.engine import undo as engine
from koppel.engine.flow import Options
from koppel.engine.plan import Plan
from koppel.model.problem import UsageError


def plan_undo(workspace: Workspace, run: int, *, allow: Sequence[str] = ()) -> Plan:
    """What taking run number `run` back would do; `Workspace.apply` does it. Reads, decides, writes nothing outside.

    Raises UsageError when there is no such run, it has not ended, or its flow is not there any more; KoppelError for what
    reading meets.
    """
    found = workspace.run_numbered(run)
    if found.flow not in workspace.flows:
        raise UsageError(
            f"Run {run} was of flow {found.flow}, which is not in this workspace any more.",
            remedy="Put its file back to undo the run.",
        )
    flow = workspace.flow(found.flow)
    options = Options(actor=workspace.actor, override=tuple(allow), workspace=workspace.config.name)
    return workspace.with_ports(
        lambda ports: engine.plan_undo(ports, flow, run, options, transforms=workspace.transforms)
    )
