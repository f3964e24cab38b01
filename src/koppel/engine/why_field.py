"""Why a field of a pair is as it is now: asked of `sync.merge` itself, about what the store holds, without a call."""

from __future__ import annotations

import msgspec

from koppel.engine import provenance
from koppel.engine.frame import Frame
from koppel.engine.provenance import Provenance
from koppel.engine.reasons import code_of
from koppel.mapping.conditions import wanted
from koppel.mapping.flow import SideName, other
from koppel.mapping.project import UNMAPPED
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.store import trail
from koppel.store.sql import Db
from koppel.store.work import Item
from koppel.sync.base import Base, Written
from koppel.sync.merge import Merged, Now, merge
from koppel.sync.shapes import Shape
from koppel.sync.steps import Linked, Side, View

SIDES: tuple[SideName, SideName] = ("left", "right")


class FieldNow(msgspec.Struct, frozen=True):
    """One field of one pair in one flow: what both sides show, what they last agreed on, where that came from, and the one
    reason that nothing (or what) happens to it now."""

    flow: str
    field: str
    left_ref: str
    right_ref: str
    left: Json
    right: Json
    agreed: tuple[Json, ...]
    rule: dict[str, Json]
    code: str
    text: str
    at: float | None = None
    details: dict[str, Json] = {}
    origin: Provenance | None = None


def fields_now(db: Db, frame: Frame, view: View, linked: Linked, items: list[Item], only: str | None) -> list[FieldNow]:
    """Every field of a pair (or only that one)."""
    left, right = (view.own, linked.side) if view.anchor == "left" else (linked.side, view.own)
    base = linked.base or Base()
    told: list[FieldNow] = []
    for key, shape in frame.policy.shapes.items():
        if only not in (None, key):
            continue
        if {("left", left.native), ("right", right.native)} & frame.bare:
            code, text, at, details = _let_go(base, key, items, right.native)
        else:
            code, text, at, details = _reason(frame, view, linked, left, right, key, shape, items)
        origin = _origin(db, base, key)
        said = code_of(origin.because) if origin is not None else ""
        if origin is not None and code == "equal" and said == "owner_stands" and origin.kind == "updated":
            code, text, at = said, f"put back, or given over: {origin.because}", origin.at
        if origin is not None and code == "differs" and said:
            stays = ": both stay as they are until one of them changes" if said == "undone" else ""
            code, text, at = said, f"{origin.because}{stays}", origin.at
        if code == "differs":
            code, text = _settled_difference(shape, left, right, key)
        told.append(
            FieldNow(
                frame.flow.id,
                key,
                str(frame.ref("left", left.native)),
                str(frame.ref("right", right.native)),
                left.values.get(key),
                right.values.get(key),
                (
                    shape.told("left", base.left[key], left.values.get(key)),
                    shape.told("right", base.right.get(key), right.values.get(key)),
                )
                if key in base.left
                else (),
                frame.rules_said.get(key, {}),
                code,
                text,
                at,
                details,
                origin,
            )
        )
    return told


def _let_go(base: Base, key: str, items: list[Item], right: str) -> Told:
    item = next((i for i in items if i.field in (key, f"{right} {key}") and i.state == "open"), None)
    if item is not None:
        return _item(item)
    known = "agreed on, and " if key in base.left else ""
    return "let_go", f'{known}its values are not kept here (cache = "hashes")', None, {}


def _origin(db: Db, base: Base, key: str) -> Provenance | None:
    seq = base.prov.get(key)
    found = trail.read(db, after=seq - 1, limit=1) if seq else []
    return provenance.read(found[0], key) if found else None


Told = tuple[str, str, float | None, dict[str, Json]]


def _reason(
    frame: Frame, view: View, linked: Linked, left: Side, right: Side, key: str, shape: Shape, items: list[Item]
) -> Told:
    """The code, the sentence, since when, and details."""
    rule, base = shape.rule, linked.base or Base()
    if base.skipped and frame.flow.exists == "skip":
        return "exists_skipped", "it was there before the flow met it, and the flow skips what exists", None, {}
    if rule.when == "create":
        return (
            "when_create",
            "the rule says when = create: it is given to a new record and never compared again",
            None,
            {},
        )
    facts_only = linked.follower and frame.flow.match.shared_key == "facts"
    if not shape.reaches(follower=linked.follower, facts_only=facts_only):
        return (
            "not_for_followers",
            "one of several records that share a key: this field is not kept in step there",
            None,
            {},
        )
    if key in (*left.unheld, *right.unheld):
        asked: list[Json] = [wanted(condition) for each in rule.alternatives for condition in each.where]
        text = f"the rule is for other records: {' or '.join(map(str, asked))}"
        return "rule_not_held", text, None, {"where": asked}
    broken = next((p for side in (left, right) for p in side.problems if p.field == key), None)
    if broken is not None:
        return _broken(broken)
    item = next((i for i in items if i.field in (key, f"{right.native} {key}") and i.state == "open"), None)
    if item is not None:
        return _item(item)
    now = Now(
        left=left.values.get(key),
        right=right.values.get(key),
        left_at=left.modified_at,
        right_at=right.modified_at,
        answer=view.answers.get(f"{right.native} {key}", view.answers.get(key)),
    )
    merged = merge({key: shape}, {key: now}, base, visible=frame.policy.visible)
    on_way = _on_its_way(base, key, merged, shape, now)
    if on_way is not None:
        return on_way
    return _merged(key, shape, now, merged)


def _broken(problem: Problem) -> Told:
    code = "unmapped" if problem.code == UNMAPPED else "unreadable"
    return code, str(problem), None, {"problem": problem.code}


def _item(item: Item) -> Told:
    code = "asked" if item.list == "ask" else "parked"
    words = "waiting for a decision" if item.list == "ask" else "parked"
    return code, f"{words} (no. {item.id}): {item.body.get('text', '')}", item.opened_at, {"number": item.id}


def _on_its_way(base: Base, key: str, merged: Merged, shape: Shape, now: Now) -> Told | None:
    for side in SIDES:
        written: Written | None = (base.written_left if side == "left" else base.written_right).get(key)
        if written is None or merged.to["left"] or merged.to["right"] or key in merged.parks:
            continue
        if key in merged.waiting or not shape.same_on(side, now.on(side), written.value):
            if key in merged.agreed or key in merged.asks:
                continue
            return (
                "on_its_way",
                f"written to the {side}, and not seen there yet",
                written.at,
                {"side": side, "value": written.value, "times": written.count},
            )
    return None


def _merged(key: str, shape: Shape, now: Now, merged: Merged) -> Told:
    because = merged.because.get(key, "")
    for side in SIDES:
        if key in merged.to[side]:
            text = f"a run would write it to the {side}: {because}"
            return "to_be_written", text, None, {"to": side, "because": code_of(because)}
    if key in merged.asks:
        return "to_be_asked", f"a run would ask: {merged.asks[key].text}", None, {}
    if key in merged.parks:
        return "to_be_parked", merged.parks[key].text, None, {}
    if shape.same(now.left, now.right):
        same = now.left == now.right
        text = "both sides show the same" if same else "both sides show the same, each in its own spelling"
        return "equal", text, None, {"left": now.left, "right": now.right}
    if key in merged.agreed and because:
        return code_of(because) or "to_be_agreed", because, None, {}
    return "differs", "", None, {}


def _settled_difference(shape: Shape, left: Side, right: Side, key: str) -> tuple[str, str]:
    """Why two different values are agreed on although no entry says so: what the rule would make of them if they met now."""
    rule = shape.rule
    now = Now(left=left.values.get(key), right=right.values.get(key))
    first = merge({key: shape}, {key: now}, None)
    said = first.because.get(key, "")
    if key in first.agreed and code_of(said):
        return code_of(said), said
    if rule.drift == "leave" and rule.owner in SIDES:
        side = other(rule.owner)
        return "drift_leave", f"drift = leave: an edit on the {side} is left alone until the {rule.owner} changes it"
    if is_blank(now.left) or is_blank(now.right):
        return "empty_keeps", "an empty value wipes nothing"
    return "kept_differently", "each side keeps it in a spelling of its own"
