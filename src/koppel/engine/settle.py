"""Settling: what a receipt means for observations, membership, base, trail and work lists, in one transaction.

All functions are store functions (they take a `Db`); the caller decides which of them share a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from koppel.engine import provenance, references, worklist
from koppel.engine.fetch import take_items
from koppel.engine.frame import Frame, seen_of, sides_of
from koppel.engine.plan import Planned, as_json, path
from koppel.mapping.flow import SideName, other
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.store import apart, due, flows, intents, observations, standing, subjects, trail, work
from koppel.store.due import Due
from koppel.store.flows import StoredBase
from koppel.store.sql import Db
from koppel.sync.base import Base, Written
from koppel.sync.decide import EXISTS, NONE
from koppel.sync.looks import is_look
from koppel.sync.merge import Merged, Now, merge
from koppel.sync.newest import remembered
from koppel.sync.shapes import Shape
from koppel.sync.steps import Side, Step, View
from koppel.sync.undo import CODES, MARK, asked_again
from koppel.systems.spi import Item, Receipt

OUTAGES = frozenset({None, 408, 429, 502, 503, 504})  # statuses that tell of an outage, not of the record


class Hand(msgspec.Struct, frozen=True):
    """Who acts: a run, on whose behalf, at what instant."""

    run: int
    actor: str
    at: float


def _halves(left: str | None, right: str | None) -> tuple[tuple[SideName, str | None], ...]:
    return ("left", left), ("right", right)


# --- membership and bases -------------------------------------------------------------------------------------------


def join(db: Db, frame: Frame, hand: Hand, left: str, right: str, *, why: str, follower: bool) -> str:
    """Make two records members of one subject; returns it. The left is its main."""
    left_stream, right_stream = frame.streams["left"].id, frame.streams["right"].id
    mine = subjects.of_records(db, left_stream, [left]).get(left)
    theirs = subjects.of_records(db, right_stream, [right]).get(right)
    subject = mine.subject if mine else theirs.subject if theirs else subjects.create(db, at=hand.at)
    apart.lift(db, [((left_stream, left), (right_stream, right))])
    if mine is None:
        subjects.join(db, subject, left_stream, left, role="main", why=why, at=hand.at)
    if theirs is None:
        taken = any(m.role == "main" for m in subjects.of_subjects(db, right_stream, [subject]).get(subject, []))
        subjects.join(
            db, subject, right_stream, right, role="follower" if follower or taken else "main", why=why, at=hand.at
        )
    if (mine is None or theirs is None) and flows.others(db, frame.flow.id):
        observations.tell_again(db, right_stream, right)
    return subject


def joinable(db: Db, frame: Frame, left: str, right: str) -> bool:
    """Whether these two can be one real thing: neither belongs to another one already."""
    mine = subjects.of_records(db, frame.streams["left"].id, [left]).get(left)
    theirs = subjects.of_records(db, frame.streams["right"].id, [right]).get(right)
    if mine is None and theirs is not None:
        return not any(
            member.role == "main"
            for member in subjects.of_subjects(db, frame.streams["left"].id, [theirs.subject]).get(theirs.subject, [])
        )
    return mine is None or theirs is None or mine.subject == theirs.subject


def paired(db: Db, frame: Frame, step: Step) -> bool:
    """Whether what a write carries over still belongs together: a link may not have come about, or been undone since."""
    if step.left is None or step.right is None:
        return True
    mine = subjects.of_records(db, frame.streams["left"].id, [step.left]).get(step.left)
    theirs = subjects.of_records(db, frame.streams["right"].id, [step.right]).get(step.right)
    return mine is not None and theirs is not None and mine.subject == theirs.subject


def subject_of(db: Db, frame: Frame, left: str | None, right: str | None) -> str | None:
    """The subject a pair, or half of one, belongs to."""
    for side, native in _halves(left, right):
        if native is not None:
            found = subjects.of_records(db, frame.streams[side].id, [native]).get(native)
            if found:
                return found.subject
    return None


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

    `written` adds values on their way; `tell` records what is agreed and no entry of the trail explains yet. The fast-path digests are set only when nothing is left to do for the pair (P3); one
    step of a pair patches the base, never replaces it (P4).
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
        return record(db, frame, hand, "agreed", _agreement(step, news), subject=subject)

    rebase(db, frame, step.left, step.right, subject, tell=tell, follower=step.follower)


def _agreement(step: Step, agreed: dict[str, tuple[Json, Json]]) -> Step:
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


# --- the trail ------------------------------------------------------------------------------------------------------


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
    refs = {side: str(frame.ref(side, native)) for side, native in _halves(step.left, step.right) if native}
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
    agreed = {k: [one] if one == two else [one, two] for k, (one, two) in step.agreed.items() if k not in step.because}
    if agreed:
        said["agreed"] = agreed
    kept = {key: list(step.agreed[key]) for key in step.because if key in step.agreed}
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


# --- steps that send nothing -------------------------------------------------------------------------------------------


def settle_quietly(db: Db, frame: Frame, hand: Hand, step: Step) -> bool:
    """Do a step that writes to nobody; returns whether it is news (a work item newly opened, a link made)."""
    anchor = anchor_of(step)
    if step.kind == "agree":
        subject = subject_of(db, frame, step.left, step.right)
        assert subject is not None
        news, prov = _news(db, frame, step)
        if news.agreed:  # adopted, left as it is, or found the same: said once
            prov |= dict.fromkeys(news.agreed, record(db, frame, hand, "agreed", news, subject=subject))
        agree(db, frame, hand, step, subject, prov=prov)
        return False
    if step.kind == "link":
        assert step.left is not None and step.right is not None  # noqa: PT018
        if not joinable(db, frame, step.left, step.right):  # another flow linked one of them since
            look_again(db, frame, hand, step)
            return False
        subject = join(db, frame, hand, step.left, step.right, why=step.because.get("", ""), follower=step.follower)
        entry = record(db, frame, hand, "linked", step, subject=subject)
        agree(db, frame, hand, step, subject, prov=dict.fromkeys(step.agreed, entry), skipped=step.field == EXISTS)
        if step.field == MARK:
            _together_again(db, frame, hand, step)
        return True
    if step.kind == "unlink":
        return _unlink(db, frame, hand, step)
    if step.kind == "refuse":
        return True
    which: work.List = "ask" if step.kind == "ask" else "parked"
    assert step.problem is not None
    before = {item.id for item in work.about(db, frame.flow.id, anchor_side(step), [anchor]) if item.state == "open"}
    body = worklist.told(db, frame, step)
    if step.problem.code.startswith(CODES):
        body["step"] = as_json(step)
    number = worklist.put(
        db, frame, which, side=anchor_side(step), native=anchor, field=_item_field(step), problem=step.problem, body=body,
        at=hand.at, run=hand.run,
    )  # fmt: skip
    if number in before:
        return False
    record(
        db,
        frame,
        hand,
        "asked" if which == "ask" else "parked",
        step,
        subject=subject_of(db, frame, step.left, step.right),
    )
    return True


def _news(db: Db, frame: Frame, step: Step) -> tuple[Step, dict[str, int]]:
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


def anchor_of(step: Step) -> str:
    """The record a step's work items hang on: the left one where there is one."""
    return step.left or step.right or ""


def anchor_side(step: Step) -> SideName:
    """The side of that record."""
    return "left" if step.left else "right"


def keep_due(
    db: Db, frame: Frame, hand: Hand, side: SideName, native: str, why: str, *, not_before: float | None = None
) -> None:
    """Have a record looked at again, although the pass that says so is about to take it out of the due set."""
    entry = Due(side, native, why)
    due.add(db, frame.flow.id, [entry], at=hand.at, not_before=not_before)
    frame.again.append((entry, not_before))


def _item_field(step: Step) -> str:
    """Fields of followers are told apart by the record they are about."""
    return f"{step.right} {step.field}" if step.follower and step.field and step.right else step.field


def _refused_about(step: Step) -> str:
    """What was refused is about a whole record: of several followers each has an item, and tries, of its own."""
    return f"{step.right} " if step.follower and step.right else ""


def _unlink(db: Db, frame: Frame, hand: Hand, step: Step) -> bool:
    assert step.left is not None and step.right is not None  # noqa: PT018
    subject = subject_of(db, frame, step.left, step.right)
    record(db, frame, hand, "unlinked", step, subject=subject)
    _part(db, frame, step.left, step.right, subject)
    if step.field == "restore":
        stays = other(step.side)
        keep_due(db, frame, hand, stays, step.left if stays == "left" else step.right, "restore")
    if step.field == "missing":
        _leave_alone(db, frame, hand, step, step.side)
    if step.field == MARK:
        _leave_both_alone(db, frame, hand, step)
    return True


def _leave_both_alone(db: Db, frame: Frame, hand: Hand, step: Step) -> None:
    """What an undo took apart is neither linked nor made again by itself, from whichever side it is looked at."""
    for side in ("left", "right"):
        native = step.left if side == "left" else step.right
        if native and not any(i.code == standing.ALONE for i in work.about(db, frame.flow.id, side, [native])):
            _leave_alone(db, frame, hand, step, side)


def _together_again(db: Db, frame: Frame, hand: Hand, step: Step) -> None:
    """An undo put a pair together again: that it is left alone holds no more."""
    for side, native in _halves(step.left, step.right):
        standing.lift(db, frame.flow.id, side, [native] if native else [], by=hand.actor, at=hand.at)


def _leave_alone(db: Db, frame: Frame, hand: Hand, step: Step, side: SideName) -> None:
    """Whose counterpart was removed over there is not made again by itself: a standing decision, until it is taken in anew."""
    native = step.left if side == "left" else step.right
    assert native is not None
    text = f"{step.because.get('', '')}; unlinked, and left alone from then on"
    body: dict[str, Json] = {"label": step.label, "text": text, "choices": [{"answer": "skip"}]}
    body |= {"left": step.left, "right": step.right}
    flow = frame.flow.id
    number = work.put(
        db, "ask", flow=flow, side=side, native=native, code=standing.ALONE, body=body, at=hand.at, run=hand.run
    )
    work.answer(db, number, "skip", by=hand.actor, at=hand.at)


def _part(db: Db, frame: Frame, left: str, right: str, subject: str | None) -> None:
    """Take a pair apart: what was agreed is forgotten, and one of the two leaves the subject.

    It is the right one, unless other flows still keep that in step with something: they have their own missing-rule to follow,
    and what lives must not lose its other counterparts. The left leaves with its last counterpart.
    """
    flows.drop_base(db, frame.flow.id, left, right)
    kept = _kept_by_others(db, frame, subject)
    left_stream, right_stream = frame.streams["left"].id, frame.streams["right"].id
    left_kept, right_kept = (left_stream, left) in kept, (right_stream, right) in kept
    if right_kept and (not left_kept or _is_gone(db, left_stream, left, frame.flow.entity)):
        subjects.leave(db, left_stream, left)
        return
    subjects.leave(db, right_stream, right)
    if subject and not left_kept and not subjects.of_subjects(db, right_stream, [subject]):
        subjects.leave(db, left_stream, left)


def _kept_by_others(db: Db, frame: Frame, subject: str | None) -> set[tuple[int, str]]:
    """Records of a subject, each with its stream, that other flows have agreed something about: two systems may well give the
    same id. A flow that has not said yet which streams it is between keeps what bears its ids on either of ours."""
    if subject is None or not flows.others(db, frame.flow.id):
        return set()
    ours = tuple(stream.id for stream in frame.streams.values())
    ends = standing.ends(db)
    kept: set[tuple[int, str]] = set()
    for flow, stored in flows.of_subjects(db, [subject]):
        if flow == frame.flow.id:
            continue
        if flow in ends:
            left, right = ends[flow]
            kept |= {(left, stored.left_native), (right, stored.right_native)}
        else:
            kept |= {(stream, native) for stream in ours for native in (stored.left_native, stored.right_native)}
    return kept


def _is_gone(db: Db, stream: int, native: str, entity: str) -> bool:
    seen = observations.load(db, stream, [native], entity=entity).get(native)
    return seen is not None and seen.gone


# --- receipts ------------------------------------------------------------------------------------------------------------


def made_meanwhile(db: Db, frame: Frame, step: Step) -> bool:
    """Whether the record a create comes from has got its counterpart since the step was decided (law 11)."""
    if step.kind != "create" or step.source is None:
        return False
    source: SideName = "left" if step.side == "right" else "right"
    member = subjects.of_records(db, frame.streams[source].id, [step.source]).get(step.source)
    return member is not None and bool(subjects.of_subjects(db, frame.streams[step.side].id, [member.subject]))


def look_again(db: Db, frame: Frame, hand: Hand, step: Step) -> None:
    """The state moved under a step: its record is due once more."""
    keep_due(db, frame, hand, anchor_side(step), anchor_of(step), "moved")


def open_operations(db: Db, frame: Frame, hand: Hand, planned: Iterable[Planned]) -> None:
    """Commit intents before their calls leave."""
    rows = [
        intents.Intent(op.op, hand.run, frame.flow.id, p.step.kind, frame.streams[p.step.side].id, p.step.side, p.step.source, op.native or p.step.target,
                       {"planned": as_json(p), "operation": as_json(op), "seen": _seen(frame, p.step)}, "sent", hand.at, hand.at,
                       source_stream=frame.streams[other(p.step.side)].id)
        for p in planned for op in p.operations
    ]  # fmt: skip
    intents.open_intents(db, rows)


def _seen(frame: Frame, step: Step) -> dict[str, Json]:
    """How the records of a step were seen: whoever recovers it must be able to tell."""
    known = {side: frame.sightings.get((side, native)) for side, native in _halves(step.left, step.right) if native}
    return {side: as_json(seen) for side, seen in known.items() if seen is not None}


def remember(frame: Frame, intent: intents.Intent) -> None:
    """Take over how another run saw the records of an operation it left open."""
    step = msgspec.convert(intent.body["planned"], Planned).step
    for side, native in _halves(step.left, step.right):
        seen = intent.body.get("seen", {}).get(side)
        if native and seen:
            frame.sightings[side, native] = msgspec.convert(seen, provenance.Sighting)


def settle_receipt(
    db: Db, frame: Frame, hand: Hand, planned: Planned, receipt: Receipt, *, probed: bool = False
) -> str:
    """What became of an operation; returns done | refused | stale | unknown."""
    step = planned.step
    if receipt.status == "unknown":
        intents.mark_doubt(db, [receipt.op], at=hand.at)
        if receipt.before:
            intents.note_overwritten(db, receipt.op, receipt.before)
        if receipt.problem is not None and receipt.problem.status not in OUTAGES:
            intents.note_answer(db, receipt.op, as_json(receipt.problem))
        return "unknown"
    sent_at = None if probed else intents.sent_at(db, receipt.op)
    if not intents.close(db, [receipt.op], run=None if probed else hand.run):
        return "stale"  # settled by whoever took over
    if receipt.status == "done":
        _settle_done(db, frame, hand, step, receipt, probed=probed, sent_at=sent_at)
        return "done"
    anchor = anchor_of(step)
    if receipt.status == "stale":
        look_again(db, frame, hand, step)
        return "stale"
    problem = receipt.problem or Problem("refused", "the vendor refused it without saying why")
    told = msgspec.structs.replace(step, problem=problem, field="", choices=())
    body = worklist.told(db, frame, told) | {"values": step.values, "before": step.before, "identity": planned.id}
    worklist.put(
        db, frame, "parked", side=anchor_side(step), native=anchor, field=_refused_about(step), problem=problem, body=body,
        at=hand.at, run=hand.run, op=receipt.op,
    )  # fmt: skip
    record(
        db,
        frame,
        hand,
        "refused",
        step,
        subject=subject_of(db, frame, step.left, step.right),
        op=receipt.op,
        extra={"problem": as_json(problem)},
    )
    return "refused"


def _settle_done(
    db: Db, frame: Frame, hand: Hand, step: Step, receipt: Receipt, *, probed: bool, sent_at: float | None
) -> None:
    native = receipt.native or step.target
    assert native is not None, "a receipt that is done names its record"
    if receipt.item is not None:
        take_items(
            db,
            frame.connections[step.side],
            frame.resources[step.side],
            frame.streams[step.side],
            [receipt.item],
            at=hand.at,
            asked_at=sent_at,
        )
    elif step.kind == "create" and step.source is not None:
        source = frame.streams[other(step.side)].id
        observations.expect(db, frame.streams[step.side].id, native, source, step.source)
    left, right = (native, step.right) if step.side == "left" else (step.left, native)
    assert left is not None and right is not None  # noqa: PT018 - a write has both: it came from somewhere
    overwritten = {
        key: references.token_of(db, frame.references, step.side, key, receipt.before[path(key)])
        for key in step.values
        if path(key) in receipt.before
    }
    done = msgspec.structs.replace(step, left=left, right=right, before=step.before | overwritten)
    if step.kind == "create" and not joinable(db, frame, left, right):
        # While nobody knew of this record, somebody linked it to another one: a person must see both.
        record(db, frame, hand, "created", done, subject=subject_of(db, frame, left, right), op=receipt.op)
        _taken_meanwhile(db, frame, hand, step, native)
        look_again(db, frame, hand, step)
        return
    subject = (
        join(db, frame, hand, left, right, why="created by Koppel", follower=step.follower)
        if step.kind == "create"
        else subject_of(db, frame, left, right)
    )
    kind = {"create": "created", "update": "updated", "archive": "archived"}[step.kind]
    extra: dict[str, Json] = {"by_probe": True} if probed else {}
    if receipt.item is not None and receipt.item.version:
        extra["receipt"] = receipt.item.version
    entry = record(db, frame, hand, kind, done, subject=subject, op=receipt.op, extra=extra)
    _done_after_all(db, frame, hand, step)
    if step.kind == "archive":  # its counterpart is gone and it is out of use: there is no pair any more
        _part(db, frame, left, right, subject)
        if step.field == MARK:
            _leave_both_alone(db, frame, hand, done)
        else:  # a system that goes on listing it, out of use, is no reason to make its counterpart again
            _leave_alone(db, frame, hand, done, step.side)
        return
    if subject is None:
        return
    stored = flows.bases_of(db, frame.flow.id, left=[left]).get((left, right))
    earlier = (stored.base.written_left if step.side == "left" else stored.base.written_right) if stored else {}
    on_their_way = {
        key: Written(  # the source showed this value when it was decided on; what it shows by now may be newer
            value,
            _shown_by_source(step, key, value),
            hand.at,
            earlier[key].count + 1 if key in earlier and earlier[key].value == value else 1,
            step.before.get(key),
            entry,
        )
        for key, value in step.values.items()
        if key in frame.policy.shapes and frame.policy.shapes[key].rule.when != "create"
    }
    # What a create still has to give is promised: if its next operation never leaves, it is written by ordinary merge.
    on_their_way |= {
        key: Written(value, value, hand.at, 0, None, entry)
        for key, value in step.later.items()
        if key in frame.policy.shapes and frame.policy.shapes[key].rule.when != "create"
    }
    written: dict[SideName, dict[str, Written]] = {step.side: on_their_way}
    prov = dict.fromkeys(
        step.values.keys() - on_their_way.keys(), entry
    )  # what is on its way is accepted when it shows

    def tell(news: dict[str, tuple[Json, Json]]) -> int:
        if step.kind == "create" and all(is_blank(value) for both in news.values() for value in both):
            return entry  # it was made without them
        return record(db, frame, hand, "agreed", _agreement(done, news), subject=subject)

    merged = rebase(db, frame, left, right, subject, written=written, prov=prov, tell=tell, follower=step.follower)
    if (
        on_their_way.keys() - merged.agreed.keys()
    ):  # not seen to have arrived: looked at when it must show at the latest
        shows_by = hand.at + frame.resources[step.side].can.settles_after + 1.0
        keep_due(db, frame, hand, "left", left, "read back", not_before=shows_by)


def _done_after_all(db: Db, frame: Frame, hand: Hand, step: Step) -> None:
    """What was asked about a step of an undo when its answer was lost is answered by doing it."""
    questions = asked_again(step)
    if questions:
        items = work.about(db, frame.flow.id, anchor_side(step), [anchor_of(step)])
        over = [i.id for i in items if i.code.startswith(CODES) and i.state == "open" and i.field in questions]
        work.close(db, over, by=hand.actor, at=hand.at)


def _shown_by_source(step: Step, key: str, value: Json) -> Json:
    """What the other side is to show beside a value written: the same, unless an undo leaves them different."""
    if key not in step.agreed:
        return value
    left, right = step.agreed[key]
    return right if step.side == "left" else left


def _taken_meanwhile(db: Db, frame: Frame, hand: Hand, step: Step, native: str) -> None:
    problem = Problem("taken", f"the record made for this ({native}) has been linked to another one meanwhile")
    body: dict[str, Json] = {"label": step.label, "text": str(problem), "problem": as_json(problem)}
    body |= {"choices": [{"answer": "skip"}], "left": step.left, "right": step.right}
    side, anchor = anchor_side(step), anchor_of(step)
    work.put(db, "ask", flow=frame.flow.id, side=side, native=anchor, code="taken", body=body, at=hand.at, run=hand.run)


def settle_views(
    db: Db,
    frame: Frame,
    hand: Hand,
    views: Sequence[View],
    steps: Sequence[Step],
    *,
    waiting: dict[SideName, set[str]],
    looked: dict[SideName, list[str]] | None = None,
    upto: float | None = None,
) -> None:
    """At the end of a pass: records that were looked at leave the due set, unless something about them is still under way
    or they were asked for again after `upto`; work items whose cause is gone are closed."""
    references.remember(db, frame.references, views)
    still = {(anchor_side(s), anchor_of(s), _item_field(s)) for s in steps if s.kind in ("ask", "park")} | frame.held
    keep_stamps(db, frame, views)
    again, frame.again = frame.again, []
    unsettled = {(entry.side, entry.native) for entry, not_before in again if not_before is None}
    outside = {
        (view.anchor, view.own.native)
        for view in views
        if view.own.excluded or any(linked.side.excluded for linked in view.linked)
    }
    sides: tuple[SideName, SideName] = ("left", "right")
    for side in sides:
        natives = [view.own.native for view in views if view.anchor == side]
        # a record named on one side may have been looked at from the other
        over_with = dict.fromkeys([*natives, *(looked[side] if looked else ())])
        asked = due.among(db, frame.flow.id, side, over_with)
        due.done(db, frame.flow.id, side, [native for native in over_with if native not in waiting[side]], upto=upto)
        if side == "left":
            _still_on_their_way(db, frame, hand, asked)
        held = [Due(side, native, "waiting") for native in natives if native in waiting[side]]
        due.add(db, frame.flow.id, held, at=hand.at)
        items = work.about(db, frame.flow.id, side, natives)
        refused_now = [i for i in items if i.list == "parked" and i.run == hand.run and i.op]  # by this very run
        refused = {i.native for i in refused_now}
        over: list[int] = []
        for item in items:
            if item.native in waiting[side] or item.code == "in_doubt" or item.code.startswith(CODES):
                continue
            if item.state == "answered":
                undone = item.native in refused or (side, item.native) in unsettled
                keep = undone or _stands(item, outside=(side, item.native) in outside)
            else:
                keep = (side, item.native, item.field) in still or item in refused_now
            if not keep:
                over.append(item.id)
                _after_proposal(db, frame, hand, item)
        work.close(db, over, by=hand.actor, at=hand.at)
    for entry, not_before in again:
        due.add(db, frame.flow.id, [entry], at=hand.at, not_before=not_before)


def _after_proposal(db: Db, frame: Frame, hand: Hand, item: work.Item) -> None:
    """A question about weak evidence is over: what was declined is not proposed again, and what it held up gets its own turn."""
    if item.code != "proposed":
        return
    near: SideName = "left" if item.side == "left" else "right"
    offered = [str(choice["answer"]) for choice in item.body.get("choices", []) if "score" in choice]
    if item.answer in (NONE, "create"):
        record_, far = (frame.streams[near].id, item.native), frame.streams[other(near)].id
        by = item.closed_by or hand.actor
        apart.hold(
            db, [(record_, (far, native)) for native in offered], at=hand.at, by=by, why="said not to be the same"
        )
    due.add(db, frame.flow.id, [Due(other(near), native, "asked") for native in offered], at=hand.at)


def _still_on_their_way(db: Db, frame: Frame, hand: Hand, lefts: Sequence[str]) -> None:
    """Values written and not yet seen are read back at their time, also when the record was looked at before it."""
    lags = {side: resource.can.settles_after + 1.0 for side, resource in frame.resources.items()}
    for (left, _), stored in flows.bases_of(db, frame.flow.id, left=lefts).items():
        on_their_way: tuple[tuple[SideName, dict[str, Written]], ...] = (
            ("left", stored.base.written_left),
            ("right", stored.base.written_right),
        )
        # By the instant at which reading that side began: what was decided on may be as old as that.
        later = [
            shows_by
            for side, written in on_their_way
            for w in written.values()
            if (shows_by := w.at + lags[side]) > min(hand.at, frame.policy.visible.read(side))
        ]
        if later:
            due.add(db, frame.flow.id, [Due("left", left, "read back")], at=hand.at, not_before=max(later))


def _stands(item: work.Item, *, outside: bool) -> bool:
    """Whether a decision goes on counting after it was carried out: left out for good, or left alone while out of scope."""
    if item.field == "":
        return item.answer == "skip"
    return item.answer == "leave" and item.field.rpartition(" ")[2] == "scope" and outside


def keep_item(db: Db, frame: Frame, side: SideName, item: Item, *, at: float) -> None:
    """Store a record that a probe or a look-up showed."""
    take_items(db, frame.connections[side], frame.resources[side], frame.streams[side], [item], at=at)
