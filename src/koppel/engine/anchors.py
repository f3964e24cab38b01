"""The record a step hangs on: where its work items stand, and having it looked at again."""

from __future__ import annotations

from koppel.engine.frame import Frame
from koppel.engine.hand import Hand
from koppel.mapping.flow import SideName
from koppel.store import due
from koppel.store.due import Due
from koppel.store.sql import Db
from koppel.sync.steps import Step

TO_LEFT = "to the left "  # ends in a blank, as all that is about a whole record; no system has blanks in its ids


def anchor_of(step: Step) -> str:
    """The record a step's work items hang on: the left one where there is one."""
    return step.left or step.right or ""


def anchor_side(step: Step) -> SideName:
    """The side of that record."""
    return "left" if step.left else "right"


def halves(left: str | None, right: str | None) -> tuple[tuple[SideName, str | None], ...]:
    """Both records of a pair, each with its side."""
    return ("left", left), ("right", right)


def item_field(step: Step) -> str:
    """Fields of followers are told apart by the record they are about."""
    return f"{step.right} {step.field}" if step.follower and step.field and step.right else step.field


def refused_about(step: Step) -> str:
    """What was refused is about a whole record: of several followers each has an item, and tries, of its own; so have the two
    writes of a pair, of which neither hides the other."""
    one_of_several = f"{step.right} " if step.follower and step.right else ""
    return f"{one_of_several}{TO_LEFT}" if step.side == "left" and step.left else one_of_several


def keep_due(
    db: Db, frame: Frame, hand: Hand, side: SideName, native: str, why: str, *, not_before: float | None = None
) -> None:
    """Have a record looked at again, although the pass that says so is about to take it out of the due set."""
    entry = Due(side, native, why)
    due.add(db, frame.flow.id, [entry], at=hand.at, not_before=not_before)
    frame.again.append((entry, not_before))


def look_again(db: Db, frame: Frame, hand: Hand, step: Step) -> None:
    """The state moved under a step: its record is due once more."""
    keep_due(db, frame, hand, anchor_side(step), anchor_of(step), "moved")
