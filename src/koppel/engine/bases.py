"""Bases: writing down what the two records of a pair agree on, and what is on its way to one of them.

Store functions: they take a `Db`; the caller decides which of them share a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from koppel.engine import entries
from koppel.engine.frame import Frame, seen_of, sides_of
from koppel.engine.hand import Hand
from koppel.mapping.flow import SideName
from koppel.model.values import Json
from koppel.store import due, flows
from koppel.store.due import Due
from koppel.store.flows import StoredBase
from koppel.store.sql import Db
from koppel.sync.base import Base, Written
from koppel.sync.looks import is_look
from koppel.sync.merge import Merged, Now, merge
from koppel.sync.newest import remembered
from koppel.sync.shapes import Shape
from koppel.sync.steps import Side, Step, View


def rebase(
    db: Db,
    frame: Frame,
    left: str,
    right: str,
    subject: str,
    *,
    written: dict[SideName, dict[str, Written]] | None = None,
    prov: dict[str, int] | None = None,
    tell: Callable[[dict[str, tuple[Json, Json]]], int] | None = None,
    follower: bool = False,
) -> Merged:
    """Merge the pair as it is in the store now and write down what is agreed; returns the merge.

    `written` adds values on their way; `tell` records what is agreed and no entry of the trail explains yet. The fast-path
    digests are set only when nothing is left to do for the pair (P3); one step of a pair patches the base, never replaces
    it (P4).
    """
    stored = flows.bases_of(db, frame.flow.id, left=[left]).get((left, right))
    base = stored.base if stored else Base()
    if written:
        base = msgspec.structs.replace(
            base,
            written_left=base.written_left | written.get("left", {}),
            written_right=base.written_right | written.get("right", {}),
            prov=base.prov | (prov or {}),
        )
    sides: dict[SideName, Side] = {}
    pair: tuple[tuple[SideName, str], ...] = (("left", left), ("right", right))
    bare = False
    for side, native in pair:
        seen = seen_of(db, frame, side, [native])
        bare = bare or any(one.bare for one in seen.values())
        sides[side] = sides_of(db, frame, side, seen).get(native) or Side(native, {}, "")
    known = all(side.digest for side in sides.values())
    if bare:  # let go meanwhile: looked at again, once it is read
        _look_once_read(db, frame, left)
    facts_only = frame.flow.match.shared_key == "facts"
    wanted = {
        k: s
        for k, s in frame.policy.shapes.items()
        if s.rule.when != "create" and s.reaches(follower=follower, facts_only=facts_only)
    }
    broken = {p.field for side in sides.values() for p in side.problems}
    unheld = {key for side in sides.values() for key in side.unheld}
    readable = {key: shape for key, shape in wanted.items() if key not in broken | unheld}
    skipped = base.skipped and frame.flow.exists == "skip"
    merged = Merged()
    if known and not skipped:
        one, two = sides["left"], sides["right"]
        stamps = {"left_at": one.modified_at, "right_at": two.modified_at}
        now = {
            key: Now(
                left=one.values.get(key), right=two.values.get(key), left_lacks=one.lacks.get(key), right_lacks=two.lacks.get(key), **stamps
            )
            for key in readable
        }  # fmt: skip
        merged = merge(readable, now, base, visible=frame.policy.visible)
        quietly = {key: both for key, both in merged.agreed.items() if key not in merged.because}
        from_now = (prov or {}) | {
            key: entry for key, both in quietly.items() if (entry := _entry_of(readable[key], key, base, both))
        }
        news = {key: both for key, both in quietly.items() if key not in from_now}
        if news and tell is not None:
            from_now |= dict.fromkeys(news, tell(news))
        base = _agreed(frame, base, quietly, from_now)
        base = remembered(readable, *_shown(one, two), base)
    settled = (
        known
        and not (
            merged.to["left"]
            or merged.to["right"]
            or merged.asks
            or merged.parks
            or merged.waiting
            or merged.agreed.keys() & merged.because.keys()
            or (broken & {*wanted} and not skipped)
        )
        and not any(s.excluded or s.gone for s in sides.values())
    )
    digests = (sides["left"].digest, sides["right"].digest) if settled else ("", "")
    flows.save_bases(
        db, frame.flow.id, [StoredBase(left, right, subject, base, *digests, (stored.generation if stored else 0) + 1)]
    )
    return merged


def _look_once_read(db: Db, frame: Frame, left: str) -> None:
    entry = Due("left", left, "read")
    due.add(db, frame.flow.id, [entry], at=frame.policy.visible.as_of)
    frame.again.append((entry, None))


def agree(
    db: Db, frame: Frame, hand: Hand, step: Step, subject: str, *, prov: dict[str, int], skipped: bool = False
) -> None:
    """Write down fields a step found agreed, including what a person decided to leave as it is."""
    assert step.left is not None and step.right is not None  # noqa: PT018 - both are needed below
    stored = flows.bases_of(db, frame.flow.id, left=[step.left]).get((step.left, step.right))
    base = _agreed(frame, stored.base if stored else Base(), step.agreed, prov)
    base = msgspec.structs.replace(base, skipped=base.skipped or skipped)
    flows.save_bases(
        db,
        frame.flow.id,
        [StoredBase(step.left, step.right, subject, base, "", "", stored.generation if stored else 0)],
    )

    def tell(news: dict[str, tuple[Json, Json]]) -> int:
        return entries.record(db, frame, hand, "agreed", agreement(step, news), subject=subject)

    rebase(db, frame, step.left, step.right, subject, tell=tell, follower=step.follower)


def agreement(step: Step, agreed: dict[str, tuple[Json, Json]]) -> Step:
    """What a step found agreed besides what it was for."""
    return Step("agree", step.side, step.left, step.right, step.label, agreed=agreed, follower=step.follower)


def _entry_of(shape: Shape, key: str, base: Base, both: tuple[Json, Json]) -> int | None:
    """The entry of the trail that tells already where an agreed value came from: it was agreed before, or it is what was
    written and has arrived."""
    arrived: tuple[tuple[SideName, Written | None, Json], ...] = (
        ("left", base.written_left.get(key), both[0]),
        ("right", base.written_right.get(key), both[1]),
    )
    for side, written, value in arrived:
        if written is not None and written.entry and shape.same_on(side, value, written.value):
            return written.entry
    same = key in base.left and _as_agreed(shape, base, key, both)
    return base.prov.get(key) if same else None


def _as_agreed(shape: Shape, base: Base, key: str, both: tuple[Json, Json]) -> bool:
    """Whether this is what was agreed: letter for letter, or by its look where only that is kept."""
    sides: tuple[SideName, SideName] = ("left", "right")
    known = (base.left[key], base.right.get(key))
    return all(
        shape.same_on(side, then, now) if is_look(then) else then == now
        for side, then, now in zip(sides, known, both, strict=True)
    )


def _shown(left: Side, right: Side) -> tuple[dict[SideName, dict[str, Json]], dict[SideName, float | None]]:
    return {"left": left.values, "right": right.values}, {"left": left.modified_at, "right": right.modified_at}


def news(db: Db, frame: Frame, step: Step) -> tuple[Step, dict[str, int]]:
    """Of what a step found agreed, only what the trail does not tell yet; and the entries that tell of the rest."""
    assert step.left is not None and step.right is not None  # noqa: PT018 - two records agree
    stored = flows.bases_of(db, frame.flow.id, left=[step.left]).get((step.left, step.right))
    base, shapes = (stored.base if stored else Base()), frame.policy.shapes
    known = {
        key: entry
        for key, both in step.agreed.items()
        if key in shapes and not step.because.get(key) and (entry := _entry_of(shapes[key], key, base, both))
    }
    agreed = {key: both for key, both in step.agreed.items() if key not in known}
    because = {key: why for key, why in step.because.items() if key in agreed or not key}
    return msgspec.structs.replace(step, agreed=agreed, because=because), known


def keep_stamps(db: Db, frame: Frame, views: Iterable[View]) -> None:
    """Remember since when values stand that nobody agreed on yet, where the newest one is to stand: the records' own stamps
    move on with every other edit."""
    newest = {key: shape for key, shape in frame.policy.shapes.items() if shape.rule.owner == "newest"}
    if not newest:
        return
    pairs: dict[tuple[str, str], tuple[Side, Side]] = {}
    for view in views:
        for linked in view.linked:
            left, right = (view.own, linked.side) if view.anchor == "left" else (linked.side, view.own)
            if not (left.gone or right.gone) and left.digest and right.digest:
                pairs[left.native, right.native] = left, right
    kept: list[StoredBase] = []
    for pair, stored in flows.bases_of(db, frame.flow.id, left={left for left, _ in pairs}).items():
        if pair in pairs:
            base = remembered(newest, *_shown(*pairs[pair]), stored.base)
            if base != stored.base:
                kept.append(msgspec.structs.replace(stored, base=base))
    flows.save_bases(db, frame.flow.id, kept)


def as_kept(frame: Frame, side: SideName, values: dict[str, Json]) -> dict[str, Json]:
    """What was agreed, as a base keeps it of a side: the values, or only their looks."""
    if side not in frame.hashed:
        return values
    shapes = frame.policy.shapes
    return {key: shapes[key].look(value) for key, value in values.items() if key in shapes}


def _agreed(frame: Frame, base: Base, agreed: dict[str, tuple[Json, Json]], prov: dict[str, int]) -> Base:
    return msgspec.structs.replace(
        base,
        left=base.left | as_kept(frame, "left", {key: both[0] for key, both in agreed.items()}),
        right=base.right | as_kept(frame, "right", {key: both[1] for key, both in agreed.items()}),
        written_left={key: value for key, value in base.written_left.items() if key not in agreed},
        written_right={key: value for key, value in base.written_right.items() if key not in agreed},
        prov=base.prov | prov,
        stood_left={key: value for key, value in base.stood_left.items() if key not in agreed},
        stood_right={key: value for key, value in base.stood_right.items() if key not in agreed},
    )
