"""The end of a pass: what was looked at is due no more, and work items whose cause is gone are closed.

Store functions: they take a `Db`; the caller decides which of them share a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from koppel.engine import bases, references
from koppel.engine.anchors import anchor_of, anchor_side, item_field
from koppel.engine.answers import withdrawn
from koppel.engine.frame import Frame
from koppel.engine.hand import Hand
from koppel.engine.own_turn import let_go, offered
from koppel.mapping.flow import SideName, other
from koppel.store import apart, due, flows, subjects, work
from koppel.store.due import Due
from koppel.store.sql import Db
from koppel.sync.base import Written
from koppel.sync.decide import NONE
from koppel.sync.steps import Step, View
from koppel.sync.undo import CODES

_LISTS = {"ask": "ask", "park": "parked"}


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
    still = {(_LISTS[s.kind], anchor_side(s), anchor_of(s), item_field(s)) for s in steps if s.kind in _LISTS}
    bases.keep_stamps(db, frame, views)
    again, frame.again = frame.again, []
    unsettled = {(entry.side, entry.native) for entry, not_before in again if not_before is None}
    outside = {
        (view.anchor, view.own.native)
        for view in views
        if view.own.excluded or any(linked.side.excluded for linked in view.linked)
    }
    aside = {  # answers that wait while another record leads, which a person is asked about
        (view.anchor, view.own.native, field)
        for view in views
        if view.follows and not view.own.gone
        for field in view.moved
    }
    own_turn: list[Due] = []
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
        by_record: dict[str, list[work.Item]] = {}
        for item in items:
            by_record.setdefault(item.native, []).append(item)
        dropped = {number for several in by_record.values() for number in withdrawn(several)}
        for item in items:
            if item.native in waiting[side] or item.code == "in_doubt" or item.code.startswith(CODES):
                continue
            if item.state == "answered":
                undone = item.native in refused or (side, item.native) in unsettled
                undone = undone or ((side, item.native, item.field) in aside)
                keep = undone or _stands(item, outside=(side, item.native) in outside)
            else:
                keep = (item.list, side, item.native, item.field) in still or item in refused_now
                keep = keep or (side, item.native, item.field) in frame.held
            if not keep:
                over.append(item.id)
                if item.id not in dropped:
                    _after_proposal(db, frame, hand, item)
        work.close(db, over, by=hand.actor, at=hand.at)
        for view in views:
            # Where nothing is made on the left, what was offered needs nothing of its own: it would be asked about once more.
            if view.anchor == side and frame.flow.creates("left"):
                about = by_record.get(view.own.native, ())
                for item in about:
                    asked_anew = ("ask", side, item.native, item.field) in still
                    own_turn += let_go(view, item, over=item.id in over and not asked_anew)
    due.add(db, frame.flow.id, own_turn, at=hand.at)  # by now: what was looked at on either side is due no more
    _answered_by_linking(db, frame, hand, views, steps)
    for entry, not_before in again:
        due.add(db, frame.flow.id, [entry], at=hand.at, not_before=not_before)


def _answered_by_linking(db: Db, frame: Frame, hand: Hand, views: Sequence[View], steps: Sequence[Step]) -> None:
    """Which record a right one is has been answered once it has its counterpart: from then on it is looked at from there."""
    joined = {linked.side.native for view in views if view.anchor == "left" for linked in view.linked}
    joined |= {step.right for step in steps if step.kind == "link" and step.right}
    asked = [
        item
        for item in work.about(db, frame.flow.id, "right", sorted(joined))
        if item.list == "ask" and item.state == "open" and not item.field and not item.code.startswith(CODES)
    ]
    if not asked:
        return
    members = subjects.of_records(db, frame.streams["right"].id, [item.native for item in asked])
    lefts = subjects.of_subjects(db, frame.streams["left"].id, {member.subject for member in members.values()})
    over = [i.id for i in asked if i.native in members and members[i.native].subject in lefts]
    work.close(db, over, by=hand.actor, at=hand.at)


def _after_proposal(db: Db, frame: Frame, hand: Hand, item: work.Item) -> None:
    """A question about weak evidence is over: what was declined is not proposed again."""
    if item.code != "proposed" or item.answer not in (NONE, "create"):
        return
    near: SideName = "left" if item.side == "left" else "right"
    record_, far = (frame.streams[near].id, item.native), frame.streams[other(near)].id
    by, declined = item.closed_by or hand.actor, offered(item)
    apart.hold(db, [(record_, (far, native)) for native in declined], at=hand.at, by=by, why="said not to be the same")


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
