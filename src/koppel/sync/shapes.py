"""How a field's values are compared: after normalising, in the form the target keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from koppel.mapping.flow import FieldRule, Flow, SideName
from koppel.mapping.references import references_of
from koppel.model.can import Can, Field
from koppel.model.kinds import is_blank, normalise
from koppel.model.values import Json


def _same(value: Json) -> Json:
    return value


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One field's rule with both sides' forms and rights. `write_left`/`write_right`: may be updated there; `fact`: a legal
    fact that reaches every record sharing a key (rule B1)."""

    rule: FieldRule
    kind: str = "text"
    form_left: Callable[[Json], Json] = _same
    form_right: Callable[[Json], Json] = _same
    write_left: bool = True
    write_right: bool = True
    create_left: bool = True
    create_right: bool = True
    fact: bool = False
    required_left: bool = field(default=False)
    required_right: bool = field(default=False)

    def shown(self, side: SideName, value: Json) -> Json:
        """How that side would show the value, normalised: what comparisons are made on."""
        if is_blank(value):
            return None
        form = self.form_left if side == "left" else self.form_right
        return normalise(self.kind, form(value))

    def same_on(self, side: SideName, one: Json, two: Json) -> bool:
        """Whether two values look the same on that side."""
        return self.shown(side, one) == self.shown(side, two)

    def same(self, one: Json, two: Json) -> bool:
        """Whether two values look the same on either side: then there is nothing either could show better."""
        return (
            normalise(self.kind, one) == normalise(self.kind, two)
            or self.same_on("right", one, two)
            or self.same_on("left", one, two)
        )

    def may_write(self, side: SideName) -> bool:
        """Whether the field can be updated on that side."""
        return self.write_left if side == "left" else self.write_right

    def may_create(self, side: SideName) -> bool:
        """Whether the field can be given to a new record on that side."""
        return self.create_left if side == "left" else self.create_right

    def reaches(self, *, follower: bool, facts_only: bool) -> bool:
        """Whether the rule holds for a record: of many that share a key (followers) none owns a field, or they would take turns."""
        return not follower or ((self.fact or not facts_only) and self.rule.owner != "right")

    def required(self, side: SideName) -> bool:
        """Whether a new record on that side must have it."""
        return self.required_left if side == "left" else self.required_right


def _field(can: Can, rule: FieldRule, side: SideName) -> Field | None:
    """The field a rule writes on a side. One of the account's own that no table of ours knows (a free field) is taken as the
    flow names it: its metadata has been checked, and the vendor has the last word."""
    if rule.side not in (None, side):
        return None
    return can.field(rule.path) or (Field(path=rule.path, own=True) if rule.side == side else None)


def shapes(flow: Flow, left: Can, right: Can, facts: frozenset[str]) -> dict[str, Shape]:
    """The shapes of a flow's fields, by rule key.

    What names a record is compared as who it names, which no vendor re-spells. Inside lists a form must leave the part that
    names a record as it is.
    """
    whole = {key for key, parts in references_of(flow, left, right).items() if any(not part.path for part in parts)}
    made: dict[str, Shape] = {}
    for rule in flow.fields:
        on_left = _field(left, rule, "left")
        on_right = _field(right, rule, "right")
        known = on_right or on_left
        made[rule.key] = Shape(
            rule=rule,
            kind="ref" if rule.key in whole else known.kind if known else "text",
            form_left=on_left.form if on_left and rule.key not in whole else _same,
            form_right=on_right.form if on_right and rule.key not in whole else _same,
            write_left=left.update and on_left is not None and on_left.writable in {"always", "update"},
            write_right=right.update and on_right is not None and on_right.writable in {"always", "update"},
            create_left=left.create and on_left is not None and on_left.writable in {"always", "create"},
            create_right=right.create and on_right is not None and on_right.writable in {"always", "create"},
            fact=rule.path.split(".", 1)[0] in facts and rule.side is None,
            required_left=bool(on_left and on_left.required),
            required_right=bool(on_right and on_right.required),
        )
    return made
