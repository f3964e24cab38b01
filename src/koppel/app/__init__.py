"""Koppel as a library: a workspace opened from its folder, and everything the commands do with it.

from koppel.app import Workspace

with Workspace.open("my-workspace") as ws:
    plan = ws.add(["00100104"], to="books-nl", plan_only=True).plan
    print(plan.counts, plan.calls)
    print(ws.apply(plan).counts)
"""

from koppel.app.finding import Checked, Hit
from koppel.app.flow_files import ReadyMade, ready_made
from koppel.app.plan_files import read_plan, write_plan
from koppel.app.running import Added
from koppel.app.workspace import Workspace

__all__ = ["Added", "Checked", "Hit", "ReadyMade", "Workspace", "read_plan", "ready_made", "write_plan"]
