"""Codes that no table of a flow has a line for: which, how many records wait for each, and the line that mends them."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec

from koppel.app.flow_files import load_flows
from koppel.app.workspace import Workspace
from koppel.mapping.amend import with_line
from koppel.mapping.flow import Flow
from koppel.mapping.problems import FlowProblem
from koppel.mapping.read import read_flow
from koppel.model.problem import UsageError
from koppel.store.work import Item

SAMPLES = 3  # records named for each code


class Unmapped(msgspec.Struct, frozen=True):
    """One code without a line: of which flow and table, what is needed to go on, how many records wait, and some of them."""

    flow: str
    table: str
    code: str
    field: str
    count: int
    samples: tuple[str, ...]
    remedy: str


class Mapped(msgspec.Struct, frozen=True):
    """A line that was written, and how many records the next run looks at again for it."""

    flow: str
    table: str
    code: str
    value: str
    file: str
    waiting: int


def unmapped(workspace: Workspace, flow_id: str | None = None) -> tuple[Unmapped, ...]:
    """What waits for a line, the most wanted first. Raises UsageError for a flow there is none of."""
    if flow_id is not None:
        workspace.known_flow(flow_id)
    waiting: dict[tuple[str, str, str], list[Item]] = {}
    for item in workspace.parked(flow=flow_id):
        about = _about(item)
        if about is not None:
            waiting.setdefault((item.flow, *about), []).append(item)
    found = [_one(flow, table, code, items) for (flow, table, code), items in waiting.items()]
    return tuple(sorted(found, key=lambda one: (-one.count, one.flow, one.table, one.code)))


def _about(item: Item) -> tuple[str, str] | None:
    """The table and code a parked record waits for."""
    problem = item.body.get("problem")
    about = problem.get("about") if isinstance(problem, dict) and item.code == "unmapped" else None
    return (str(about[0]), str(about[1])) if isinstance(about, list) and len(about) == 2 else None


def _one(flow: str, table: str, code: str, items: list[Item]) -> Unmapped:
    records = list(dict.fromkeys((item.side, item.native) for item in items))
    samples = list(dict.fromkeys(str(item.body.get("label") or item.native) for item in items))
    field = str((items[0].body.get("problem") or {}).get("field") or items[0].field)
    remedy = f"koppel unmapped {shlex.join((flow, table, code))} VALUE"
    return Unmapped(flow, table, code, field, len(records), tuple(samples[:SAMPLES]), remedy)


def map_code(workspace: Workspace, flow_id: str, table: str, code: str, value: str) -> Mapped:
    """Write the line into the flow file, keeping everything else as it stands; the edit makes what waited due at the next run.

    Raises UsageError, and writes nothing, when the file has errors, there is no such table, or the value does not fit.
    """
    loaded = workspace.known_flow(flow_id)
    file = workspace.config.path / loaded.file
    text = file.read_bytes().decode("utf-8")
    before, said = read_flow(text, file=loaded.file, transforms=workspace.transforms)
    if before is None:
        first = next(problem for problem in said if problem.severity == "error")
        raise UsageError(f"{first}.", remedy=f"Mend the file first; koppel check {flow_id} shows everything.")
    new = with_line(text, table, code, value)
    flow, problems = read_flow(new, file=loaded.file, transforms=workspace.transforms)
    wrong = [problem for problem in problems if problem.severity == "error"]
    wrong = wrong or (_misfits(workspace, before, flow) if flow else [])
    if flow is None or wrong:
        raise UsageError(f"{wrong[0].message}.", remedy=f"{wrong[0].suggestion or 'Nothing was written.'}")
    waiting = next((one.count for one in unmapped(workspace, flow_id) if (one.table, one.code) == (table, code)), 0)
    _replace(file, new)
    workspace.flows = load_flows(workspace.config.path, workspace.transforms)
    return Mapped(flow_id, table, code, value, loaded.file, waiting)


def _misfits(workspace: Workspace, before: Flow, after: Flow) -> list[FlowProblem]:
    """Errors that the new line brings: a value the target does not have."""
    known = {problem.message for problem in workspace.check_read(before)}
    return [p for p in workspace.check_read(after) if p.severity == "error" and p.message not in known]


def _replace(file: Path, text: str) -> None:
    """The whole file or the old one, whatever happens meanwhile."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_bytes(text.encode("utf-8"))
    beside.chmod(file.stat().st_mode)
    beside.replace(file)
