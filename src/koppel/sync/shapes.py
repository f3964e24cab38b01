"""How a field's values are compared: after normalising, in the form the target keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from koppel.mapping.flow import FieldRule, Flow, SideName
from koppel.mapping.references import references_of
from koppel.model.can import Can, Field
from koppel.model.kinds import is_blank, normalise
from koppel.model.values import Json
from koppel.sync import looks


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
    digest: Callable[[bytes], str] | None = None  # keyed; only where a side's values are not kept

    def shown(self, side: SideName, value: Json) -> Json:
        """How that side would show the value, normalised: what comparisons are made on."""
        if is_blank(value):
            return None
        form = self.form_left if side == "left" else self.form_right
        return normalise(self.kind, form(value))

    def same_on(self, side: SideName, one: Json, two: Json) -> bool:
        """Whether two values look the same on that side."""
        if looks.is_look(one) or looks.is_look(two):
            way = looks.WAYS.index(side)
            return self._digested(way, one) == self._digested(way, two)
        return self.shown(side, one) == self.shown(side, two)

    def same(self, one: Json, two: Json) -> bool:
        """Whether two values look the same on either side: then there is nothing either could show better."""
        return self.plainly_same(one, two) or self.same_on("right", one, two) or self.same_on("left", one, two)

    def plainly_same(self, one: Json, two: Json) -> bool:
        """Whether two values differ in formatting at most."""
        if looks.is_look(one) or looks.is_look(two):
            return self._digested(0, one) == self._digested(0, two)
        return normalise(self.kind, one) == normalise(self.kind, two)

    def look(self, value: Json) -> Json:
        """What is kept of a value that is not to be kept; a blank one, and a look, as they are."""
        if is_blank(value) or looks.is_look(value):
            return value
        each = None
        if self.rule.owner == "union" or isinstance(value, (list, tuple)):
            several = value if isinstance(value, (list, tuple)) else [value]
            each = [self.element(item, digested=True) for item in several if not is_blank(item)]
        plain, left, right = (self._digested(way, value) for way in range(len(looks.WAYS)))
        return looks.look(plain, left, right, each)

    def told(self, side: SideName, agreed: Json, shown: Json) -> Json:
        """What was agreed, as a person can read it: of a look only whether it is what the side shows."""
        return shown if looks.is_look(agreed) and self.same_on(side, shown, agreed) else looks.told(agreed)

    def element(self, item: Json, *, digested: bool) -> str:
        """What tells an element of a set apart: how both sides would show it."""
        name = repr(self.shown("right", self.shown("left", [item])))
        return self._digest(name.encode()) if digested else name

    def _digested(self, way: int, value: Json) -> Json:
        """How a value, or a look, shows one way: as a digest, None when blank."""
        if looks.is_look(value):
            return looks.shown_as(value, way)
        side = looks.WAYS[way]
        shown = (
            normalise(self.kind, value) if side == "plain" else self.shown("left" if side == "left" else "right", value)
        )
        return None if shown is None else self._digest(looks.comparable(shown))

    def _digest(self, data: bytes) -> str:
        assert self.digest is not None, f"{self.rule.key} has no key to make digests with"
        return self.digest(self.rule.key.encode() + b"\0" + data)

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


def shapes(
    flow: Flow, left: Can, right: Can, facts: frozenset[str], *, digest: Callable[[bytes], str] | None = None
) -> dict[str, Shape]:
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
            digest=digest,
        )
    return made
