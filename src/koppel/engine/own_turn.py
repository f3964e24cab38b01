"""Records of the right that were looked at from a left one because it carries their key: once it does not, they get their own turn.

While a left record carries its key, a right one is left to the question about that left one. When the key is changed there, the
right one has not changed at all, and nobody would look at it again. Of a left record that was removed nothing is let go: whether
what a person held apart from it is made there again is not told by its removal.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from koppel.engine.frame import Frame
from koppel.engine.hand import Hand
from koppel.mapping.flow import SideName
from koppel.store import due, work
from koppel.store.due import Due
from koppel.store.sql import Db
from koppel.sync.steps import View


def looked_at_with(view: View) -> set[str]:
    """What of the other side is looked at together with a record: its counterparts, and what carries a key of it."""
    return {one.side.native for one in view.linked} | {one.side.native for one in view.candidates if one.by}


def look_at_let_go(
    db: Db, frame: Frame, hand: Hand, side: SideName, items: Iterable[work.Item], *, still: Container[str]
) -> None:
    """Make due what these questions about a record offered for its key, but for what it is still looked at with (`still`).
    Lefts are always looked at for themselves."""
    offered = [
        str(choice["answer"])
        for item in items
        if side == "left" and item.list == "ask" and not item.field
        for choice in item.body.get("choices", [])
        if choice.get("by")
    ]
    let_go = [Due("right", native, "let go") for native in dict.fromkeys(offered) if native not in still]
    due.add(db, frame.flow.id, let_go, at=hand.at)
