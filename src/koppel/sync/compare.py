"""What a full comparison finds about one real thing: the view of it and what would be decided, told as findings. Pure.

Nothing is decided here: a finding says what the ordinary decision comes to, so that the report and the next run never differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from koppel.mapping.flow import FieldRule, SideName, other
from koppel.model.values import Json
from koppel.sync.base import Base
from koppel.sync.decide import Policy
from koppel.sync.shapes import Shape
from koppel.sync.steps import Linked, Need, Side, Step, View

Kind = Literal["only_left", "only_right", "unlinked", "differs", "duplicate", "orphan"]
Verdict = Literal["mend", "person", "wait", "allowed", "outside"]
KINDS: tuple[Kind, ...] = ("only_left", "only_right", "unlinked", "differs", "duplicate", "orphan")
VERDICTS: tuple[Verdict, ...] = ("mend", "person", "wait", "allowed", "outside")
UNSETTLED: frozenset[Verdict] = frozenset({"mend", "person", "wait"})


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing on which the sides are not the same.

    `mend`: the next run puts it right, `person`: somebody must decide or look, `wait`: it is on its way, `allowed`: the flow's
    rules or a person let it be so, `outside`: it is outside the flow's scope. `rule` is what should have kept a field equal,
    `why` what comes of it, `item` the number of the question or parked step about it. `records`: of a duplicate, all of them.
    """

    kind: Kind
    verdict: Verdict
    left: str | None = None
    right: str | None = None
    label: str = ""
    field: str = ""
    left_value: Json = None
    right_value: Json = None
    rule: str = ""
    why: str = ""
    item: int | None = None
    records: tuple[str, ...] = ()


class Known(msgspec.Struct, frozen=True):
    """What else is known about a view: open items by field, and what was said when a difference was let be, by counterpart
    and field."""

    items: Mapping[str, int] = {}
    notes: Mapping[tuple[str, str], str] = {}


def of_view(policy: Policy, view: View, answer: Sequence[Step] | Need, known: Known) -> list[Finding]:
    """The findings about one view, from what was decided about it."""
    steps = () if isinstance(answer, Need) else answer
    if not view.linked:
        return _alone(policy, view, answer, known)
    found: list[Finding] = []
    for linked in view.linked:
        about = [step for step in steps if _native(step, other(view.anchor)) == linked.side.native]
        if view.own.gone or linked.side.gone:
            found.append(_gone(view, linked, about, known))
        elif view.own.excluded or linked.side.excluded:
            found.append(_outside(view, linked, [*about, *steps], known))
        else:
            found += _differences(policy, view, linked, about, known)
    return found


def undisturbed(policy: Policy, base: Base, *, follower: bool) -> bool:
    """Whether a pair that shows what was last agreed shows the same on both sides, in every field the flow compares."""
    for key, shape in compared(policy, follower=follower).items():
        if key not in base.left or key not in base.right:
            return False
        left, right = base.left[key], base.right[key]
        if left != right and not shape.plainly_same(left, right):
            return False
    return True


def compared(policy: Policy, *, follower: bool) -> dict[str, Shape]:
    """The fields that are compared for a record."""
    facts_only = follower and policy.flow.match.shared_key == "facts"
    return {
        key: shape
        for key, shape in policy.shapes.items()
        if shape.rule.when != "create" and shape.reaches(follower=follower, facts_only=facts_only)
    }


def unsettled(findings: Iterable[Finding]) -> bool:
    """Whether any of them is something that is still to be done or decided."""
    return any(finding.verdict in UNSETTLED for finding in findings)


# --- records without a counterpart ------------------------------------------------------------------------------------


def _alone(policy: Policy, view: View, answer: Sequence[Step] | Need, known: Known) -> list[Finding]:
    kind: Kind = "only_left" if view.anchor == "left" else "only_right"
    far = other(view.anchor)
    if view.own.gone or view.unseen:  # a counterpart that was never shown is told of by itself
        return []
    if view.waiting:
        return [_finding(kind, "wait", view, None, why="a write about it is under way")]
    if isinstance(answer, Need):
        return [_finding(kind, "wait", view, None, why=f"nobody has asked the {far} for it yet")]
    if not answer:
        why = f"this flow makes no new records on the {far}"
        return [_finding(kind, "allowed", view, None, why=why)]
    return [_of_step(kind, policy, view, step, known) for step in answer]


def _of_step(kind: Kind, policy: Policy, view: View, step: Step, known: Known) -> Finding:
    number = known.items.get(step.field)
    text = str(step.problem) if step.problem else step.because.get("", "")
    if step.kind == "link":
        return _finding("unlinked", "mend", view, _native(step, other(view.anchor)), why=f"would be linked: {text}")
    if step.kind == "create":
        return _finding(kind, "mend", view, None, why=text)
    if step.kind == "refuse":
        outside = step.problem is not None and step.problem.code == "out_of_scope"
        return _finding(kind, "outside" if outside else "allowed", view, None, why=text)
    offered = (*view.candidates, *view.parted, *view.proposals)
    if step.kind == "ask" and offered:
        counterpart = offered[0].side.native if len(offered) == 1 else None
        return _finding("unlinked", "person", view, counterpart, why=text, item=number)
    if step.kind in ("ask", "park"):
        return _finding(kind, "person", view, None, why=text, item=number)
    _ = policy
    return _finding("unlinked", "mend", view, _native(step, other(view.anchor)), why=text)


# --- pairs --------------------------------------------------------------------------------------------------------------


def _gone(view: View, linked: Linked, steps: Sequence[Step], known: Known) -> Finding:
    both = view.own.gone and linked.side.gone
    side = view.anchor if view.own.gone else other(view.anchor)
    what = "gone on both sides" if both else f"gone on the {side}, still linked"
    step = next(iter(steps), None)
    if view.waiting or step is None:
        return _finding("orphan", "wait", view, linked.side.native, why=what)
    said = str(step.problem) if step.problem else f"{what}; would be {_DONE.get(step.kind, step.kind)}"
    verdict: Verdict = "person" if step.kind in ("ask", "park", "refuse") else "mend"
    return _finding("orphan", verdict, view, linked.side.native, why=said, item=known.items.get(step.field))


_DONE = {"archive": "archived on the other side", "unlink": "unlinked"}


def _outside(view: View, linked: Linked, steps: Sequence[Step], known: Known) -> Finding:
    asked = next((step for step in steps if step.field == "scope"), None)
    why = f"linked, but outside the flow: {view.own.excluded or linked.side.excluded}"
    verdict: Verdict = "person" if asked is not None else "outside"
    return _finding("orphan", verdict, view, linked.side.native, why=why, item=known.items.get("scope"))


def _differences(policy: Policy, view: View, linked: Linked, steps: Sequence[Step], known: Known) -> list[Finding]:
    left, right = _sides(view, linked)
    found: list[Finding] = []
    broken = {p.field: p for p in (*left.problems, *right.problems) if p.field}
    for key, shape in compared(policy, follower=linked.follower).items():
        if key in left.unheld or key in right.unheld:
            continue  # a rule for other records
        one, two = left.values.get(key), right.values.get(key)
        if key in broken:
            verdict, why = "person", broken[key].text
        elif one == two or shape.plainly_same(one, two):
            continue
        else:
            verdict, why = _verdict(policy, view, linked, shape, steps, known, one, two)
        item = known.items.get(key) or known.items.get(f"{right.native} {key}")
        found.append(
            _finding(
                "differs", verdict, view, linked.side.native, field=key, left_value=one, right_value=two,
                rule=rule_words(shape.rule), why=why, item=item if verdict == "person" else None,
            )
        )  # fmt: skip
    return found


def _verdict(
    policy: Policy,
    view: View,
    linked: Linked,
    shape: Shape,
    steps: Sequence[Step],
    known: Known,
    left: Json,
    right: Json,
) -> tuple[Verdict, str]:
    key = shape.rule.key
    for step in steps:
        if step.kind == "update" and key in step.values:
            return "mend", step.because.get(key, "")
    for step in steps:
        if step.kind in ("ask", "park") and step.field == key:
            return "person", step.problem.text if step.problem else ""
    if view.waiting:
        return "wait", "a write about it is under way"
    if linked.base is not None and linked.base.skipped and policy.flow.exists == "skip":
        return "allowed", "it existed already; this flow leaves what exists alone"
    if shape.same(left, right):
        return "allowed", "the same in the form one side keeps it in"
    note = next((step.because[key] for step in steps if step.kind == "agree" and key in step.because), None)
    note = note or known.notes.get((linked.side.native, key))
    if note:
        return "allowed", note
    base = linked.base
    if base is not None and (key in base.written_left or key in base.written_right):
        return "wait", "written, and not seen to have arrived yet"
    if shape.rule.drift == "leave":
        return "allowed", 'drift = "leave": only the owner\'s own changes are pushed'
    return "allowed", "both sides have shown this since they were last compared"


def rule_words(rule: FieldRule) -> str:
    """Whose value should stand, in words.

    >>> rule_words(FieldRule("name", "left"))
    'the left owns it'
    """
    words = {"newest": "the newest value stands", "ask": "a person decides", "union": "both sides hold everything"}
    said = words.get(rule.owner, f"the {rule.owner} owns it")
    return f"{said}, drift is left" if rule.drift == "leave" else said


# --- small makers -------------------------------------------------------------------------------------------------------


def _finding(kind: Kind, verdict: Verdict, view: View, counterpart: str | None, **given: Json) -> Finding:
    left, right = (view.own.native, counterpart) if view.anchor == "left" else (counterpart, view.own.native)
    paired = next((linked.side.label for linked in view.linked if linked.side.native == counterpart), "")
    return Finding(kind, verdict, left, right, view.own.label or paired or view.own.native, **given)


def _native(step: Step, side: SideName) -> str | None:
    return step.left if side == "left" else step.right


def _sides(view: View, linked: Linked) -> tuple[Side, Side]:
    return (view.own, linked.side) if view.anchor == "left" else (linked.side, view.own)
