"""A worker: runs the flows of a workspace when they are due, until it is asked to end. Any number of them may work side by side.

A worker keeps nothing. What is due is worked out anew from the flow files and the store; a run that another worker began
meanwhile is not begun again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from koppel.app import sign_ins
from koppel.app.flow_files import load_flows
from koppel.app.workspace import Workspace
from koppel.engine.flow import Result
from koppel.mapping.flow import Flow
from koppel.mapping.problems import has_errors
from koppel.model.problem import Bug, KoppelError
from koppel.runtime.keeping import LOOK_AGAIN as LOOK_AT_SIGN_INS
from koppel.runtime.keeping import Kept
from koppel.runtime.schedules import Known, Upcoming, upcoming
from koppel.store import due, flows, runs, streams, work
from koppel.store.sql import Db

LOOK_AGAIN = 30.0  # seconds after which the flow files and the store are looked at anew, at the latest
SANDBOX_PAUSE = 1.0  # on a sandbox's clock, which others move


class Worked(msgspec.Struct, frozen=True):
    """One thing a worker did, for its log: what a flow's run came to, or a sign-in (`flow` is empty, `why` says of whom).
    `error` when it could not run at all."""

    at: float
    flow: str
    why: str
    state: str
    message: str = ""
    run: int = 0
    counts: dict[str, int] = {}
    calls: dict[str, int] = {}
    error: str = ""


def agenda(workspace: Workspace) -> list[Upcoming]:
    """When each flow runs next by itself, soonest first. A flow whose file has errors is left out."""
    now = workspace.now()
    found: list[Upcoming] = []
    for loaded in workspace.flows.values():
        if loaded.flow is None or has_errors(loaded.problems):
            continue
        entry = upcoming(loaded.flow, workspace.store.run(_known, loaded.flow), now=now)
        if entry is not None:
            found.append(entry)
    return sorted(found, key=lambda entry: (entry.at, entry.flow))


def unfit(workspace: Workspace) -> list[tuple[str, str]]:
    """Flows that never run because their file has errors: (file, id). Somebody must be told, since no run of theirs fails."""
    return [
        (loaded.file, name)
        for name, loaded in workspace.flows.items()
        if loaded.flow is None or has_errors(loaded.problems)
    ]


def work_on(workspace: Workspace, stop: threading.Event, *, tell: Callable[[Worked], None], once: bool = False) -> int:
    """Run what is due, and go on until `stop` is set (or, `once`, until nothing is due now). Returns how many runs were made.

    A failing flow is told and does not keep the others from running; it comes round again with its schedule. Sign-ins that
    nobody used for long are kept alive meanwhile; one that is dead is told once, and the other connections carry on.
    """
    made = 0
    workspace.stopping = stop.is_set
    done: set[tuple[str, int]] = set()
    look_at = 0.0
    while not stop.is_set():
        workspace.flows = load_flows(workspace.config.path, workspace.transforms)
        now = workspace.now()
        if now >= look_at:
            look_at = now + LOOK_AT_SIGN_INS
            for kept in sign_ins.keep_alive(workspace):
                tell(_of_sign_in(now, kept))
        plan = agenda(workspace)
        ready = [entry for entry in plan if entry.at <= now and (entry.flow, entry.run) not in done]
        for entry in ready:
            if stop.is_set():
                break
            worked = _run(workspace, entry)
            made += worked.state not in ("waiting", "failed to begin")
            done.add((entry.flow, entry.run))  # whatever came of it: from here only a newer run makes it due
            tell(worked)
        if ready:
            continue
        if once:
            break
        done.clear()
        soonest = min((entry.at for entry in plan if entry.at > now), default=now + LOOK_AGAIN)
        stop.wait(SANDBOX_PAUSE if workspace.config.clock else max(0.2, min(soonest - now, LOOK_AGAIN)))
    return made


def _run(workspace: Workspace, entry: Upcoming) -> Worked:
    at = workspace.now()
    try:
        result: Result = workspace.sync(entry.flow, trigger="schedule", in_window=True, after=entry.run)
    except Bug:
        raise
    except KoppelError as error:
        return Worked(at, entry.flow, entry.why, "failed to begin", error=str(error))
    return Worked(at, entry.flow, entry.why, result.state, result.message, result.run, result.counts, result.calls)


def _of_sign_in(at: float, kept: Kept) -> Worked:
    why = f"sign-in of {', '.join(kept.connections)}"
    if kept.state == "kept":
        return Worked(at, "", why, "kept alive", kept.message)
    return Worked(at, "", why, "failed to begin", error=f"{kept.message} {kept.remedy}".strip())


def _known(db: Db, flow: Flow) -> Known:
    last = runs.listed(db, flow=flow.id, limit=1)
    waiting = [at for at in (due.next_at(db, flow.id), work.next_retry(db, flow.id)) if at is not None]
    run = last[0] if last else None
    return Known(
        begun=run.begun if run else None,
        run=run.id if run else 0,
        state=run.state if run else "done",
        back_at=run.counts.get("back_at") if run else None,
        waiting_at=min(waiting, default=None),
        changed=_changed(db, flow),
    )


def _changed(db: Db, flow: Flow) -> bool:
    place = flows.position(db, flow.id)
    if place is None or due.waiting(db, flow.id):
        return True
    for end, looked_at in ((flow.left, place.left_seq), (flow.right, place.right_seq)):
        stream = streams.named(db, end.connection, end.resource)
        if stream is not None and stream.seq > looked_at:
            return True
    return False
