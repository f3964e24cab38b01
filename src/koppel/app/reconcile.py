"""Full reconciliation of a flow: both sides read whole, compared, and the plan that mends what the rules allow."""

from __future__ import annotations

import msgspec

from koppel.app.findings import Findings
from koppel.app.workspace import Workspace
from koppel.engine import reconcile as engine
from koppel.engine.flow import Options
from koppel.engine.plan import Plan
from koppel.engine.ports import Ports
from koppel.engine.reconcile import Summary
from koppel.sync.compare import Finding


class Mend(msgspec.Struct):
    """The records that the next run would put right, by side."""

    left: dict[str, None] = {}
    right: dict[str, None] = {}

    def note(self, finding: Finding) -> None:
        """Take a finding into account."""
        if finding.verdict == "mend" and finding.left is not None:
            self.left[finding.left] = None
        elif finding.verdict == "mend" and finding.right is not None:
            self.right[finding.right] = None


def reconcile(
    workspace: Workspace, flow_id: str, findings: Findings, *, read: bool = True, plan: bool = False
) -> tuple[Summary, Plan | None]:
    """Compare both sides of a flow; what is found goes into `findings`. `read`: read both sides whole first. With `plan`, also
    the ordinary plan for exactly the records that it can put right.

    Raises UsageError for an unknown flow; RetryLater, SetupError and SignInNeeded from the reading.
    """
    flow = workspace.flow(flow_id)
    options = Options(actor=workspace.actor, workspace=workspace.config.name)
    mend = Mend()

    def put(finding: Finding) -> None:
        findings.put(finding)
        if plan:
            mend.note(finding)

    async def job(ports: Ports) -> tuple[Summary, Plan | None]:
        if read:
            await engine.read_whole(ports, flow, options, transforms=workspace.transforms)
        summary = await engine.compare(ports, flow, put, transforms=workspace.transforms)
        if not plan:
            return summary, None
        left, right = tuple(mend.left), tuple(mend.right)
        made = await engine.mending(ports, flow, options, left=left, right=right, transforms=workspace.transforms)
        return summary, made

    return workspace.with_ports(job)
