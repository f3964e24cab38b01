"""The trail's entries about steps: what was done, of which values, why, and where each came from.

Store functions: they take a `Db`; the caller decides which of them share a transaction.
"""

from __future__ import annotations

from koppel.engine import provenance, references
from koppel.engine.anchors import anchor_of, anchor_side, halves
from koppel.engine.frame import Frame
from koppel.engine.hand import Hand
from koppel.engine.plan import as_json
from koppel.model.values import Json
from koppel.store import trail, work
from koppel.store.sql import Db
from koppel.sync import looks
from koppel.sync.steps import Step


def record(
    db: Db,
    frame: Frame,
    hand: Hand,
    kind: str,
    step: Step,
    *,
    subject: str | None,
    op: str | None = None,
    extra: dict[str, Json] | None = None,
) -> int:
    """One trail entry about a step; refs, values, reasons and where each value came from lie in the sealed payload."""
    refs = {side: str(frame.ref(side, native)) for side, native in halves(step.left, step.right) if native}
    data: dict[str, Json] = {"flow": frame.flow.id, "label": step.label, "target": step.side, **refs}
    seen = provenance.seen_said(frame.sightings, step.left, step.right)
    if seen:
        data["seen"] = seen
    people = _people(db, frame, step)
    changed = {
        key: {
            "before": step.before.get(key),
            "after": value,
            "because": step.because.get(key, ""),
            "from": provenance.from_said(frame.rules.get(key), frame.sightings, step, key),
            "rule": frame.rules_said.get(key, {}),
            **({"by": people[key]} if key in people else {}),
        }
        for key, value in step.values.items()
    }
    if changed:
        data["fields"] = changed
    if step.takes_over:
        data["takes_over"] = step.takes_over
    if step.agreed:
        data |= _agreement_said(frame, step, people)
    if step.because.get(""):
        data["because"] = step.because[""]
    if step.problem:
        data["problem"] = as_json(references.unspoken(step.problem, step.names))
    return trail.append(db, [trail.Entry(hand.at, hand.actor, kind, data | (extra or {}), hand.run, op, subject)])[0]


def _agreement_said(frame: Frame, step: Step, people: dict[str, dict[str, Json]]) -> dict[str, Json]:
    """What was agreed without a write: each value once, or in both spellings; `kept` holds what was said about one."""
    said: dict[str, Json] = {}
    told = {key: [looks.told(value) for value in both] for key, both in step.agreed.items()}
    agreed = {k: [one] if one == two else [one, two] for k, (one, two) in told.items() if k not in step.because}
    if agreed:
        said["agreed"] = agreed
    kept = {key: told[key] for key in step.because if key in told}
    if kept:
        said["kept"] = kept
        said["notes"] = {key: step.because[key] for key in kept}
    said["rules"] = {key: frame.rules_said[key] for key in step.agreed if key in frame.rules_said}
    by = {key: people[key] for key in step.agreed if key in people}
    return said | ({"by": by} if by else {})


def _people(db: Db, frame: Frame, step: Step) -> dict[str, dict[str, Json]]:
    """Who decided about those fields of a step that a person decided about."""
    keys = [key for key, why in step.because.items() if key and why.startswith(provenance.PERSON)]
    if not keys:
        return {}
    items = work.about(db, frame.flow.id, anchor_side(step), [anchor_of(step)])
    found = {key: provenance.by_whom(items, key, step.right) for key in keys}
    return {key: by for key, by in found.items() if by is not None}
