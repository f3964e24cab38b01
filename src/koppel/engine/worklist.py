"""What a work item says: both values, what was last agreed, who changed what when; and how often it was tried.

One place puts items on the lists, so that tries are counted truly (an attempt is a call that was answered, not a decision made
again) and what is tried again by itself comes to an end.
"""

from __future__ import annotations

from collections.abc import Mapping

from koppel.engine import provenance
from koppel.engine.frame import Frame, seen_of, sides_of
from koppel.engine.plan import as_json
from koppel.engine.references import unspoken
from koppel.mapping.flow import SideName
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.store import flows, trail, work
from koppel.store.sql import Db
from koppel.store.work import Item
from koppel.sync.base import Base
from koppel.sync.retry import MAX_TRIES, next_try
from koppel.sync.steps import Step

SIDES: tuple[SideName, SideName] = ("left", "right")


def told(db: Db, frame: Frame, step: Step) -> dict[str, Json]:
    """What a person needs to know about a step that cannot be done, or not without them."""
    assert step.problem is not None
    problem = unspoken(step.problem, step.names)
    body: dict[str, Json] = {
        "label": step.label,
        "text": str(problem),
        "problem": as_json(problem),
        "choices": list(step.choices),
        "left": step.left,
        "right": step.right,
        "title": frame.flow.title,
    }
    refs = {side: str(frame.ref(side, native)) for side, native in _natives(step).items()}
    body["refs"] = refs
    changed = {
        side: {"version": seen.version, "seen_at": seen.seen_at, "modified_at": seen.modified_at, "digest": seen.digest}
        for side, native in _natives(step).items()
        if (seen := frame.sightings.get((side, native))) is not None
    }
    if changed:
        body["changed"] = changed
    return body | (_of_field(db, frame, step) if step.field in frame.policy.shapes else {})


def _natives(step: Step) -> dict[SideName, str]:
    given: dict[SideName, str | None] = {"left": step.left, "right": step.right}
    return {side: native for side, native in given.items() if native}


def _of_field(db: Db, frame: Frame, step: Step) -> dict[str, Json]:
    """Both values, what was agreed, and the entry of the trail that tells how that came about."""
    natives = _natives(step)
    values: dict[str, Json] = {}
    for side, native in natives.items():
        record = sides_of(db, frame, side, seen_of(db, frame, side, [native])).get(native)
        if record is not None:
            values[side] = record.values.get(step.field)
    said: dict[str, Json] = {"values": values, "rule": frame.rules_said.get(step.field, {})}
    stored = (
        flows.bases_of(db, frame.flow.id, left=[step.left]).get((step.left, step.right or "")) if step.left else None
    )
    base = stored.base if stored else Base()
    if step.field in base.left:
        shape, agreed = frame.policy.shapes[step.field], {"left": base.left, "right": base.right}
        said["base"] = {side: shape.told(side, agreed[side].get(step.field), values.get(side)) for side in SIDES}
        seq = base.prov.get(step.field)
        found = trail.read(db, after=seq - 1, limit=1) if seq else []
        origin = provenance.read(found[0], step.field) if found else None
        if origin is not None:
            said["agreed"] = {
                "entry": origin.entry,
                "at": origin.at,
                "run": origin.run,
                "by": origin.person or origin.actor,
                "because": origin.because,
            }
    return said


def put(
    db: Db,
    frame: Frame,
    which: work.List,
    *,
    side: SideName,
    native: str,
    field: str,
    problem: Problem,
    body: dict[str, Json],
    at: float,
    run: int,
    op: str | None = None,
) -> int:
    """Open an item or refresh the open one; a failure of the same thing counts on towards the last automatic try."""
    earlier = _open(db, frame, which, side, native, field)
    if which == "ask":
        return work.put(
            db, which, flow=frame.flow.id, side=side, native=native, field=field, code=problem.code, body=body, at=at, run=run,
            tries=0,
        )  # fmt: skip
    tried = op is not None or _asked_again(earlier, problem)
    tries = (earlier.tries if earlier and (earlier.op is None) == (op is None) else 0) + int(tried)
    same = earlier is not None and _series(earlier.body, earlier.op) == _series(body, op)
    failed = (earlier.body.get("failed", 0) if earlier is not None and same else 0) + int(tried)
    next_at = earlier.next_at if earlier is not None and same and not tried else None
    if tried:
        next_at = next_try(failed, at=at, told=problem.retry_at, refused=op is not None)
    said = body | {"failed": failed} if failed else body
    return work.put(
        db, which, flow=frame.flow.id, side=side, native=native, field=field, code=problem.code, body=said, at=at, run=run,
        op=op, next_at=next_at, tries=tries,
    )  # fmt: skip


def given_up(item: Item) -> bool:
    """Whether it was tried so often by itself that it now waits for a person."""
    return item.list == "parked" and item.next_at is None and item.body.get("failed", 0) > MAX_TRIES


def _open(db: Db, frame: Frame, which: work.List, side: SideName, native: str, field: str) -> Item | None:
    items = work.about(db, frame.flow.id, side, [native])
    return next((i for i in items if i.list == which and i.field == field and i.state == "open"), None)


def _asked_again(earlier: Item | None, problem: Problem) -> bool:
    """Whether a problem that time may mend comes from a new try: each names a time of its own."""
    if problem.retry_at is None:
        return False
    before = earlier.body.get("problem") if earlier else None
    return not (isinstance(before, Mapping) and before.get("retry_at") == problem.retry_at)


def _series(body: Mapping[str, Json], op: str | None) -> Json:
    """What is tried: the same operation, or the same look-up. Anything else is a new thing, with tries of its own."""
    return body.get("identity") if op is not None else "look-up"
