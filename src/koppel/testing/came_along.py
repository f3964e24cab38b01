"""When a value that an undo had taken back may come again although nobody touched either record: it came along from a third
system.

Nothing is forgiven but this one story, all of which has to be on record: what a person typed in a record of a third system was
carried to the counterpart after the undo, and the flow took it over, in the place of what the undo had brought back; then the
counterpart was given its former value once more, by another flow again. The undo left a difference; both times its other end
changed, and that ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from koppel.store.trail import Recorded
from koppel.testing.toy_servers import Edit, Written

Place = tuple[str, str]  # system (also the name of its connection) and native


def came_along(
    back: Written,
    again: Written,
    *,
    flow: str,
    written: Sequence[Written],
    typed: Iterable[Edit],
    did: Mapping[str, Recorded],
) -> bool:
    """Whether the flow wrote `again` because its counterpart had changed and changed back since the undo wrote `back`, what a
    person typed in a third system being what it changed to. `did`: what the trail has of operations."""
    edits = list(typed)
    mine = (back.system, back.native)
    for taken_over in _between(written, mine, back.word, back.at, again.at):
        if _flow(did, taken_over) != flow or taken_over.value in (back.value, again.value):
            continue
        theirs = _other_end(did, taken_over, mine)
        if theirs is None:
            continue
        news = [w for w in _between(written, theirs, back.word, back.at, again.at) if _flow(did, w) not in (None, flow)]
        came = (w for w in news if w.at < taken_over.at and w.value == taken_over.value and _typed(w, mine, edits, did))
        gone_back = [w for w in news if w.at > taken_over.at and w.value == again.value]
        if gone_back and any(came):
            return True
    return False


def _typed(w: Written, mine: Place, typed: Sequence[Edit], did: Mapping[str, Recorded]) -> bool:
    """Whether what was carried is the last that a person had typed where it was carried from, a third system."""
    source = _other_end(did, w, (w.system, w.native))
    if source is None or source == mine:
        return False
    last = [e for e in typed if (e.system, e.native) == source and e.word == w.word and e.at < w.at][-1:]
    return any(e.value == w.value for e in last)


def _between(written: Sequence[Written], at: Place, word: str, after: float, before: float) -> Iterator[Written]:
    """The changes of one word of one record within a time."""
    for w in written:
        if (w.system, w.native) == at and w.word == word and after < w.at < before and w.value != w.over:
            yield w


def _flow(did: Mapping[str, Recorded], w: Written) -> str | None:
    entry = did.get(w.ref)
    return None if entry is None else str((entry.data or {}).get("flow"))


def _other_end(did: Mapping[str, Recorded], w: Written, one: Place) -> Place | None:
    """The record at the other end of the flow that wrote: where it came from."""
    data = (did[w.ref].data if w.ref in did else None) or {}
    ends = [
        (ref.partition(":")[0], ref.rpartition(":")[2]) for ref in (str(data.get(s, "")) for s in ("left", "right"))
    ]
    return next((end for end in ends if end != one), None) if one in ends else None
