"""Records that were looked at from another one, because a question about that one spoke of them: once it does not, they get their
own turn.

While a left record is asked about together with what carries its keys, or is merely alike, those right records are left to that
question. When it is over, whatever came of it and in whichever flow it was answered, they have not changed at all, and nobody
would look at them again; the same goes for what carries another number while a decision stands. What they are then is told by
looking at them (`frame.Loader`): still one with the left, or on their own. Of a left record that was removed nothing is let go:
whether what a person held apart from it is made there again is not told by its removal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from koppel.mapping.flow import SideName, other
from koppel.model.values import Json
from koppel.store import work
from koppel.store.due import Due
from koppel.sync.steps import Step, View


def let_go(view: View, item: work.Item, *, over: bool) -> list[Due]:
    """What an item about this record spoke of and does no more: all but its counterparts when it is `over`; while it stands,
    what carries none of its keys any more."""
    still = {one.side.native for one in view.linked}
    spoken_of = [] if view.own.gone else _for_its_keys(view.anchor, item)
    if over and item.code == "proposed":
        spoken_of += offered(item)
    if not over:
        still |= {one.side.native for one in view.candidates if one.by}
    return _but(still, view.anchor, spoken_of)


def let_go_by_asking(side: SideName, before: work.Item, step: Step) -> list[Due]:
    """What a question spoke of that now is asked otherwise, in its place."""
    return _but(_by_key(step.choices), side, _for_its_keys(side, before))


def let_go_by_hand(left: work.Item) -> list[Due]:
    """What an answer about a left record spoke of, which a person ended by linking that record."""
    alike = offered(left) if left.code == "proposed" else []
    return _but((), "left", [*_for_its_keys("left", left), *alike])


def offered(item: work.Item) -> list[str]:
    """The records that a question offered for being alike."""
    return [str(choice["answer"]) for choice in item.body.get("choices", []) if "score" in choice]


def _for_its_keys(side: SideName, item: work.Item) -> list[str]:
    """The records of the right that a question about a left one offered for its keys. Lefts are always looked at for themselves."""
    asked = side == "left" and item.list == "ask" and not item.field
    return _by_key(item.body.get("choices", [])) if asked else []


def _by_key(choices: Iterable[Mapping[str, Json]]) -> list[str]:
    return [str(choice["answer"]) for choice in choices if choice.get("by")]


def _but(still: Iterable[str], side: SideName, natives: Iterable[str]) -> list[Due]:
    there = {*still}
    return [Due(other(side), native, "let go") for native in dict.fromkeys(natives) if native not in there]
