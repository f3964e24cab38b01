"""Where a value came from: what the trail says of every field that was written or agreed on.

Promises: for each field of each base it can be told which record of which connection showed the value, in which version,
seen when, in which run, and by which rule or person. An entry of the trail holds, once, how its records were seen when it
was decided (`seen`), and per field where the value is `from`, the `rule` that made it stand, and `by` whom when a person
decided. `read` puts the parts together again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from koppel.mapping.flow import FieldRule, SideName, other
from koppel.model.values import Json
from koppel.store.observations import Observation

if TYPE_CHECKING:
    from koppel.store.trail import Recorded
    from koppel.store.work import Item
    from koppel.sync.steps import Step

PERSON = "decided by a person"
SIDES: tuple[SideName, SideName] = ("left", "right")


class Sighting(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a record looked from when it was decided on: the vendor's version, when we saw it, the vendor's own stamp.

    `given`: for fields that another resource laid over it, the record they come from.
    """

    version: str = ""
    seen_at: float = 0.0
    modified_at: float | None = None
    given: dict[str, tuple[str, str, float]] = {}
    digest: str = ""


class Provenance(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where one field's value came from. `source` = record | flow | person | both | unknown; `ref`, `version` and `seen_at` belong
    to a record; `person` and `ask` to a decision; `rule` is the flow's rule as it was then."""

    entry: int
    at: float
    kind: str
    source: str = "unknown"
    side: str = ""
    ref: str = ""
    version: str = ""
    seen_at: float | None = None
    modified_at: float | None = None
    run: int | None = None
    actor: str = ""
    op: str | None = None
    because: str = ""
    rule: dict[str, Json] = {}
    person: str = ""
    ask: int | None = None
    spellings: tuple[Json, ...] = ()


Sightings = Mapping[tuple[str, str], Sighting]  # by side and native id


def sighting(seen: Observation) -> Sighting:
    """How an observation is remembered for the trail."""
    return Sighting(seen.version, seen.seen_at, seen.modified_at, seen.givers, seen.digest)


def rule_said(rule: FieldRule) -> dict[str, Json]:
    """The rule as the trail keeps it: whose value stands, and what is not as usual."""
    said: dict[str, Json] = {"owner": rule.owner}
    for name, usual in (("when", "always"), ("empty", "keep"), ("drift", "restore")):
        value = getattr(rule, name)
        if value != usual:
            said[name] = value
    for name in ("source", "table", "transform"):
        if getattr(rule, name):
            said[name] = getattr(rule, name)
    if rule.const is not msgspec.UNSET:
        said["const"] = True
    if rule.forward:
        said["forward"] = list(rule.forward)
    if rule.where or rule.otherwise:
        said["alternatives"] = len(rule.alternatives)
    return said


def seen_said(sightings: Sightings, left: str | None, right: str | None) -> dict[str, Json]:
    """How the records of a step were seen when it was decided."""
    said: dict[str, Json] = {}
    for side, native in (("left", left), ("right", right)):
        known = sightings.get((side, native)) if native else None
        if known is not None:
            entry: dict[str, Json] = {"version": known.version, "at": known.seen_at}
            if known.modified_at is not None:
                entry["modified"] = known.modified_at
            said[side] = entry
    return said


def from_said(rule: FieldRule | None, sightings: Sightings, step: Step, key: str) -> Json:
    """Where a written field's value is from: a side's name, `flow`, `both`, `person`, or another record that was laid over."""
    if step.because.get(key) == PERSON:
        return "person"
    if rule is None:
        return other(step.side)
    if rule.const is not msgspec.UNSET:
        return "flow"
    if rule.owner == "union":
        return "both"
    source = other(step.side)
    native = step.source
    known = sightings.get((source, native)) if native else None
    given = known.given.get(rule.source or rule.path) if known else None
    return {"ref": given[0], "version": given[1], "at": given[2]} if given else source


def by_whom(items: Iterable[Item], field: str, follower: str | None) -> dict[str, Json] | None:
    """Who decided about a field: the answered question about it."""
    for item in items:
        if item.state == "answered" and item.field in (field, f"{follower} {field}"):
            return {"person": item.closed_by or "", "ask": item.id, "at": item.closed_at}
    return None


def read(entry: Recorded, field: str) -> Provenance | None:
    """What an entry of the trail says about where a field's value came from; None when it was erased or says nothing."""
    data = entry.data
    if data is None:
        return None
    change: Mapping[str, Json] = data.get("fields", {}).get(field, {})
    both = data.get("agreed", {}).get(field) or data.get("kept", {}).get(field)
    rule = change.get("rule") or data.get("rules", {}).get(field) or {}
    by = change.get("by") or data.get("by", {}).get(field) or {}
    told = Provenance(
        entry.seq,
        entry.at,
        entry.kind,
        run=entry.run,
        actor=entry.actor,
        op=entry.op,
        because=change.get("because") or data.get("notes", {}).get(field) or data.get("because") or "",
        rule=rule,
        person=by.get("person", ""),
        ask=by.get("ask"),
        spellings=() if both is None or len(both) < 2 else tuple(both),
    )
    origin = change.get("from")
    if isinstance(origin, dict):
        return msgspec.structs.replace(
            told, source="record", ref=origin["ref"], version=origin["version"], seen_at=origin["at"]
        )
    if origin in SIDES:
        return _from_side(told, data, origin)
    if origin is not None:
        return msgspec.structs.replace(told, source=origin)
    if both is not None or (
        entry.kind == "created" and not change
    ):  # both showed it, or nothing, when they were joined
        return msgspec.structs.replace(_from_side(told, data, _owner_side(rule)), source="both")
    return told


def _owner_side(rule: Mapping[str, Json]) -> str:
    return "right" if rule.get("owner") == "right" else "left"


def _from_side(told: Provenance, data: Mapping[str, Json], side: str) -> Provenance:
    said = data.get("seen", {})
    seen = said.get(side, {}) if isinstance(said, dict) else {}  # what was noticed names its record there
    return msgspec.structs.replace(
        told,
        source="record",
        side=side,
        ref=data.get(side, ""),
        version=seen.get("version", ""),
        seen_at=seen.get("at"),
        modified_at=seen.get("modified"),
    )
