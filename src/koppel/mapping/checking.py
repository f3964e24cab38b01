"""One check under way: a flow, what its sides can do, what the account said, and what was found so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from koppel.mapping.flow import FieldRule, Flow, SideName
from koppel.mapping.paths import canonical_paths, is_canonical
from koppel.mapping.positions import Place, Positions
from koppel.mapping.problems import FlowProblem, Severity, did_you_mean
from koppel.mapping.transforms import Transform
from koppel.model.can import Can, Field
from koppel.model.values import Json

UNSET = msgspec.UNSET
SIDES: tuple[SideName, SideName] = ("left", "right")


@dataclass
class Check:
    """What is checked against what, and what was found so far."""

    flow: Flow
    cans: Mapping[SideName, Can]
    positions: Positions | None
    live: Mapping[SideName, tuple[Field, ...]]
    transforms: Mapping[str, Transform]
    problems: list[FlowProblem] = field(default_factory=list[FlowProblem])
    tables: dict[SideName, dict[str, Field]] = field(default_factory=dict[SideName, dict[str, Field]])

    def __post_init__(self) -> None:
        for side in SIDES:
            # What the account itself says of its own fields outranks our table.
            self.tables[side] = {f.path: f for f in (*self.cans[side].fields, *self.live.get(side, ()))}

    def say(self, place: Place, code: str, message: str, suggestion: str = "", *, severity: Severity = "error") -> None:
        """Note a finding."""
        file = self.positions.file if self.positions else self.flow.id
        self.problems.append(FlowProblem(file, place.line, place.column, code, message, suggestion, severity))

    def value(self, *path: str | int) -> Place:
        """Where the value of a key stands."""
        return self.positions.value(*path) if self.positions else Place(1, 1)

    def key(self, *path: str | int) -> Place:
        """Where a key stands."""
        return self.positions.key(*path) if self.positions else Place(1, 1)

    def of_rule(self, rule: FieldRule, *inside: str | int) -> Place:
        """Where a rule stands, or a key inside it."""
        if self.positions is None:
            return Place(max(rule.line, 1), 1)
        path = ("fields", rule.key)
        if path not in self.positions.keys:
            path = ("fields", *rule.key.split("."))
        if rule.number is not None:
            path = (*path, rule.number)
            return self.positions.value(*path, *inside)
        return self.positions.value(*path, *inside) if inside else self.positions.key(*path)

    def name(self, side: SideName) -> str:
        """A side as people name it: connection and resource."""
        return str(self.flow.endpoint(side))


def find_field(check: Check, side: SideName, path: str, place: Place, *, writing: bool) -> Field | None:
    """The field of a side, or None after saying that there is none."""
    table, entity = check.tables[side], check.flow.entity
    if path in table:
        return table[path]
    root = path.split(".", 1)[0]
    if root in table and path in canonical_paths(entity):
        if not writing:
            return Field(path=path, readable=table[root].readable)
        message = f"{check.name(side)} keeps {root!r} as a whole; {path!r} cannot be written alone"
        check.say(place, "unknown-field", message, f"write {root!r}")
        return None
    if is_canonical(entity, path) or side in check.live:
        known = [name for name in table if not writing or table[name].writable != "never"]
        check.say(place, "unknown-field", f"{check.name(side)} has no field {path!r}", did_you_mean(path, known))
        return None
    message = f"{check.name(side)} has no field {path!r} that we know of, and the account was not asked"
    hint = did_you_mean(path, (name for name in table if table[name].own or not writing))
    check.say(place, "unverified-field", message, hint, severity="warning")
    return None


def each(value: Json) -> Iterable[Json]:
    """The items of a list, or the one value."""
    return value if isinstance(value, (list, tuple)) else (value,)
