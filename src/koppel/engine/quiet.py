"""Steps that write to nobody: agreeing, linking, taking apart, asking, parking.

Store functions: they take a `Db`; the caller decides which of them share a transaction.
"""

from __future__ import annotations

from koppel.engine import anchors, bases, entries, pairs, worklist
from koppel.engine.anchors import anchor_of, anchor_side, halves, item_field
from koppel.engine.frame import Frame
from koppel.engine.hand import Hand
from koppel.engine.own_turn import let_go_by_asking
from koppel.engine.plan import as_json
from koppel.mapping.flow import SideName, other
from koppel.model.values import Json
from koppel.store import due, standing, work
from koppel.store.sql import Db
from koppel.sync.decide import EXISTS
from koppel.sync.steps import Step
from koppel.sync.undo import CODES, MARK, RESTORED


def settle_quietly(db: Db, frame: Frame, hand: Hand, step: Step) -> bool:
    """Do a step that writes to nobody; returns whether it is news (a work item newly opened, a link made)."""
    anchor = anchor_of(step)
    if step.kind == "agree":
        subject = pairs.subject_of(db, frame, step.left, step.right)
        assert subject is not None
        news, prov = bases.news(db, frame, step)
        if news.agreed:  # adopted, left as it is, or found the same: said once
            prov |= dict.fromkeys(news.agreed, entries.record(db, frame, hand, "agreed", news, subject=subject))
        bases.agree(db, frame, hand, step, subject, prov=prov)
        return False
    if step.kind == "link":
        assert step.left is not None and step.right is not None  # noqa: PT018
        if not pairs.joinable(db, frame, step.left, step.right) or (  # another flow linked one of them since
            pairs.kept_apart(db, frame, step.left, step.right)
            and not pairs.linked_by_a_person(db, frame, step.left, step.right)
        ):
            anchors.look_again(db, frame, hand, step)
            return False
        subject = pairs.join(
            db, frame, hand, step.left, step.right, why=step.because.get("", ""), follower=step.follower
        )
        entry = entries.record(db, frame, hand, "linked", step, subject=subject)
        bases.agree(
            db, frame, hand, step, subject, prov=dict.fromkeys(step.agreed, entry), skipped=step.field == EXISTS
        )
        if step.field == MARK:
            _together_again(db, frame, hand, step)
        return True
    if step.kind == "unlink":
        return _unlink(db, frame, hand, step)
    if step.kind == "refuse":
        return True
    which: work.List = "ask" if step.kind == "ask" else "parked"
    assert step.problem is not None
    earlier = [item for item in work.about(db, frame.flow.id, anchor_side(step), [anchor]) if item.state == "open"]
    body = worklist.told(db, frame, step)
    if step.problem.code.startswith(CODES):
        body["step"] = as_json(step)
    number = worklist.put(
        db, frame, which, side=anchor_side(step), native=anchor, field=item_field(step), problem=step.problem, body=body,
        at=hand.at, run=hand.run,
    )  # fmt: skip
    if number in {item.id for item in earlier}:
        replaced = [item for item in earlier if item.id == number and which == "ask"]
        let_go = [entry for item in replaced for entry in let_go_by_asking(anchor_side(step), item, step)]
        due.add(db, frame.flow.id, let_go, at=hand.at)
        return False
    entries.record(
        db,
        frame,
        hand,
        "asked" if which == "ask" else "parked",
        step,
        subject=pairs.subject_of(db, frame, step.left, step.right),
    )
    return True


def _unlink(db: Db, frame: Frame, hand: Hand, step: Step) -> bool:
    assert step.left is not None and step.right is not None  # noqa: PT018
    subject = pairs.subject_of(db, frame, step.left, step.right)
    entries.record(db, frame, hand, "unlinked", step, subject=subject)
    made_again = step.side if step.field == "restore" else None
    pairs.part(
        db, frame, step.left, step.right, subject, at=hand.at, left_alone=step.field == MARK, made_again=made_again
    )
    if step.field == "restore":
        stays = other(step.side)
        anchors.keep_due(db, frame, hand, stays, step.left if stays == "left" else step.right, "restore")
    if step.field == "missing":
        leave_alone(db, frame, hand, step, step.side)
    if step.field == MARK:
        leave_both_alone(db, frame, hand, step)
    return True


def leave_both_alone(db: Db, frame: Frame, hand: Hand, step: Step) -> None:
    """What an undo took apart is neither linked nor made again by itself, from whichever side it is looked at."""
    for side in ("left", "right"):
        native = step.left if side == "left" else step.right
        archived = step.kind == "archive" and side == step.side  # that holds for more flows than one
        if native and (
            archived or not any(_says_so(item, step) for item in work.about(db, frame.flow.id, side, [native]))
        ):
            leave_alone(db, frame, hand, step, side)


def _says_so(item: work.Item, step: Step) -> bool:
    """Whether a decision leaves this very pair alone."""
    return item.code == standing.ALONE and (item.body.get("left"), item.body.get("right")) == (step.left, step.right)


def _together_again(db: Db, frame: Frame, hand: Hand, step: Step) -> None:
    """An undo put a pair together again: that it is left alone holds no more, and the answer that asked for it is carried out.
    Said here and now, or it would be carried out once more when a person takes them apart before the run's end is reached."""
    for side, native in halves(step.left, step.right):
        standing.lift(db, frame.flow.id, side, [native] if native else [], by=hand.actor, at=hand.at)
    pair = (step.left, step.right)
    answered = [i for i in work.answered(db, frame.flow.id, CODES) if i.code == RESTORED]
    over = [i.id for i in answered if (i.body.get("left"), i.body.get("right")) == pair]
    work.close(db, over, by=hand.actor, at=hand.at)


def leave_alone(db: Db, frame: Frame, hand: Hand, step: Step, side: SideName) -> None:
    """Whose counterpart was removed over there is not made again by itself: a standing decision, until it is taken in anew.
    Of what was archived nothing is made in any flow: there it may still be listed."""
    native = step.left if side == "left" else step.right
    assert native is not None
    text = f"{step.because.get('', '')}; unlinked, and left alone from then on"
    body: dict[str, Json] = {"label": step.label, "text": text, "choices": [{"answer": "skip"}]}
    body |= {"left": step.left, "right": step.right}
    if step.kind == "archive" and side == step.side:
        body[standing.OUT_OF_USE] = True
    flow = frame.flow.id
    number = work.put(
        db, "ask", flow=flow, side=side, native=native, code=standing.ALONE, body=body, at=hand.at, run=hand.run
    )
    work.answer(db, number, "skip", by=hand.actor, at=hand.at)
