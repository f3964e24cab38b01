"""The field merge: left now, right now, and what both were when they last agreed.

    left vs its base | right vs its base | result
    same             | same              | nothing
    changed          | same              | to the right if the left may own the field, else the left is restored
    same             | changed           | mirror
    changed          | changed, equal    | agreed, no write
    changed          | changed           | the owner rule
    first contact                        | equal: agreed · one empty: filled if the owner may · different: the owner rule
Each side is compared with *its own* form of the base, so that what a vendor keeps differently is no change (law 6).
Fields that are written are not agreed until their arrival is seen. Sets with the owner `union` merge by element: what one
side added is added on the other, what one side removed since both agreed is removed there; at first contact all stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from koppel.mapping.flow import SideName, other
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.sync import looks
from koppel.sync.base import Base, Written
from koppel.sync.newest import since
from koppel.sync.shapes import Shape

SIDES: tuple[SideName, SideName] = ("left", "right")
NEWEST_MARGIN = 300.0  # stamps closer than five minutes do not tell who was last
GIVE_UP_AFTER = 2  # rewrites of a value the vendor does not keep


@dataclass
class Merged:
    """What became of each field. `asks` and `parks` hold problems by key; `kept` marks values a vendor keeps differently."""

    to: dict[SideName, dict[str, Json]] = field(default_factory=lambda: {"left": {}, "right": {}})
    agreed: dict[str, tuple[Json, Json]] = field(default_factory=dict)
    asks: dict[str, Problem] = field(default_factory=dict)
    parks: dict[str, Problem] = field(default_factory=dict)
    because: dict[str, str] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    kept: dict[str, tuple[Json, Json]] = field(default_factory=dict)
    differs: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Now:
    """Both sides of one field now, with stamps and a person's answer. `left_lacks`: why the left's value cannot be carried over
    yet (what it names is not on the right)."""

    left: Json
    right: Json
    left_at: float | None = None
    right_at: float | None = None
    answer: Json = None
    left_lacks: Problem | None = None
    right_lacks: Problem | None = None

    def lacks(self, side: SideName) -> Problem | None:
        """Why that side's value cannot be carried over; None when it can."""
        return self.left_lacks if side == "left" else self.right_lacks

    def on(self, side: SideName) -> Json:
        """The value on that side."""
        return self.left if side == "left" else self.right


@dataclass(frozen=True, kw_only=True)
class Visible:
    """When writes can be seen: the instant at which reading a side began, and per side how long a write may take to show
    (seconds). What was read may be as old as that, however long the reading waited its turn; `as_of` holds where a side's own
    instant is not given."""

    as_of: float = 0.0
    left: float = 0.0
    right: float = 0.0
    left_read: float | None = None
    right_read: float | None = None

    def read(self, side: SideName) -> float:
        """When reading that side began."""
        began = self.left_read if side == "left" else self.right_read
        return self.as_of if began is None else began

    def due(self, side: SideName, written: Written) -> bool:
        """Whether a write of that side should show by now."""
        return self.read(side) - written.at > (self.left if side == "left" else self.right)


def merge(shapes: dict[str, Shape], now: dict[str, Now], base: Base | None, *, visible: Visible = Visible()) -> Merged:
    """Merge every field; fields that apply only once at creation (`when = "create"`) are never compared."""
    merged = Merged()
    for key, shape in shapes.items():
        if shape.rule.when != "create":
            agreed = base or Base()
            _merge_field(key, shape, _since(key, shape, now[key], agreed), agreed, visible, merged)
    return merged


def _since(key: str, shape: Shape, now: Now, base: Base) -> Now:
    """With the stamps at which both values came to stand, where the newest one counts."""
    if shape.rule.owner != "newest":
        return now
    left_at = since(shape, "left", key, now.left, now.left_at, base)
    return replace(now, left_at=left_at, right_at=since(shape, "right", key, now.right, now.right_at, base))


def _merge_field(key: str, shape: Shape, now: Now, base: Base, visible: Visible, out: Merged) -> None:
    known = key in base.left or key in base.right
    left_base, right_base = base.left.get(key), base.right.get(key)
    to_left, to_right = base.written_left.get(key), base.written_right.get(key)
    sides: tuple[tuple[SideName, Written | None], ...] = (("left", to_left), ("right", to_right))
    on_their_way: list[tuple[SideName, Written]] = [(side, written) for side, written in sides if written]
    if (
        on_their_way
        and shape.same(now.left, now.right)
        and all(visible.due(side, written) for side, written in on_their_way)
        and not any(_missed(s, shape, now, w, to_right if s == "left" else to_left) for s, w in on_their_way)
    ):
        out.agreed[key] = (now.left, now.right)  # whatever was sent, both sides show the same by now
        return
    left_seen, left_pending = _pending("left", key, shape, now, to_left, left_base, visible, out)
    right_seen, right_pending = _pending("right", key, shape, now, to_right, right_base, visible, out)
    if key in out.waiting or key in out.parks or key in out.because:
        return
    # With values on their way both ways the later one was decided knowing the earlier: it tells what both sides should show.
    later_right = to_right is not None and right_pending and not (to_left and left_pending and to_left.at > to_right.at)
    later_left = to_left is not None and left_pending and not (to_right and right_pending and to_right.at > to_left.at)
    left_base = to_right.source if to_right and later_right else left_seen
    right_base = to_left.source if to_left and later_left else right_seen
    known = known or left_pending or right_pending
    if key in out.kept:
        out.agreed[key] = (now.left, now.right)
        out.because[key] = "kept in the vendor's own spelling"
        return
    if now.answer is not None:
        _answered(key, shape, now, out)
        return
    if not known:
        _first_contact(key, shape, now, base, out)
        return
    left_moved = not shape.same_on("left", now.left, left_base)
    right_moved = not shape.same_on("right", now.right, right_base)
    if shape.same(now.left, now.right):
        if left_moved or right_moved or left_pending or right_pending:
            out.agreed[key] = (now.left, now.right)
        return
    if left_moved and right_moved:
        _by_owner(key, shape, now, base, out, why="changed on both sides")
    elif left_moved:
        _one_moved(key, shape, now, base, out, moved="left")
    elif right_moved:
        _one_moved(key, shape, now, base, out, moved="right")
    elif left_pending or right_pending:
        out.agreed[key] = (now.left, now.right)  # arrived, and left different on purpose: an undo


def _left_different(shape: Shape, written: Written) -> bool:
    """Whether a value was written to stand beside another one: an undo takes back what the other side goes on showing."""
    return not shape.same(written.value, written.source)


def _missed(side: SideName, shape: Shape, now: Now, written: Written, back: Written | None) -> bool:
    """Whether a value that was to stand beside another one did not arrive, and nobody has decided otherwise since: a later write
    the other way (`back`) was decided on what this side showed instead."""
    if not _left_different(shape, written) or shape.same_on(side, now.on(side), written.value):
        return False
    return back is None or back.at <= written.at or shape.same_on(side, back.source, written.value)


def _pending(
    side: SideName, key: str, shape: Shape, now: Now, written: Written | None, base: Json, visible: Visible, out: Merged
) -> tuple[Json, bool]:
    """What a value on its way means for one side's base: arrived, not yet visible, kept differently, not kept, given up."""
    if written is None:
        return base, False
    seen = now.on(side)
    if shape.same_on(side, seen, written.value):
        return written.value, True
    unmoved = shape.same_on(side, seen, base) or shape.same_on(side, seen, written.before)
    if unmoved and not visible.due(side, written):
        out.waiting.add(key)  # not visible yet: nothing is decided on it
        return base, True
    sent, shows = shape.shown(side, written.value), shape.shown(side, seen)
    if _respelled(sent, shows) and (not unmoved or _same_letters(sent, shows)):
        if shape.same_on(other(side), now.on(other(side)), written.source):
            out.kept[key] = (now.left, now.right)  # also when it stood there in that spelling already: a first contact
        return seen, True  # and when the other side shows something newer by now, that is what moved
    if unmoved and not shape.same_on(other(side), now.on(other(side)), written.source):
        return (
            base,
            False,
        )  # it did not arrive, and meanwhile there is a newer value to send: that one gets its own tries
    if written.count >= GIVE_UP_AFTER or (unmoved and _left_different(shape, written)):
        text = f"the vendor does not keep the value written ({written.count} times): sent {_say(written.value)}, it shows {_say(seen)}"
        out.parks[key] = Problem("not_kept", text, field=key)
    elif unmoved:
        _write(key, shape, now, out, to=side, why="written before, but the vendor did not keep it")
    return written.value, True


def _respelled(sent: Json, seen: Json) -> bool:
    """Truncated, or the same letters in another case: the vendor's spelling of what we sent."""
    if isinstance(sent, dict) and isinstance(seen, dict):
        return all(
            _respelled(sent.get(name), seen.get(name)) or sent.get(name) == seen.get(name) for name in {*sent, *seen}
        )
    if not (isinstance(sent, str) and isinstance(seen, str)) or not seen:
        return False
    return sent.casefold() == seen.casefold() or sent.startswith(seen)


def _same_letters(sent: Json, seen: Json) -> bool:
    return isinstance(sent, str) and isinstance(seen, str) and sent.casefold() == seen.casefold()


def _one_moved(key: str, shape: Shape, now: Now, base: Base, out: Merged, *, moved: SideName) -> None:
    rule = shape.rule
    ahead = _ahead(shape, now) if rule.owner in ("newest", "ask") else None
    if ahead:
        _write(key, shape, now, out, to=other(ahead), why="a status moves forward")
    elif rule.owner in (moved, "newest", "ask", "union"):
        if rule.owner == "union":
            _union(key, shape, now, base, out)
        else:
            _write(key, shape, now, out, to=other(moved), why=f"{moved} changed")
    elif rule.drift == "leave":
        out.agreed[key] = (now.left, now.right)
        out.because[key] = "an edit the owner did not make is left alone"
    else:
        _write(key, shape, now, out, to=moved, why=f"changed on the {moved}; the {rule.owner} owns it")


def _first_contact(key: str, shape: Shape, now: Now, base: Base, out: Merged) -> None:
    if shape.same(now.left, now.right):
        out.agreed[key] = (now.left, now.right)
        return
    if is_blank(now.left) or is_blank(now.right):
        filled: SideName = "right" if is_blank(now.left) else "left"
        if shape.rule.owner in (filled, "newest", "ask", "union"):
            _write(key, shape, now, out, to=other(filled), why="first contact: empty there")
        else:
            _write(key, shape, now, out, to=filled, why="first contact")
        return
    _by_owner(key, shape, now, base, out, why="first contact: different")


def _by_owner(key: str, shape: Shape, now: Now, base: Base, out: Merged, *, why: str) -> None:
    owner = shape.rule.owner
    ahead = _ahead(shape, now) if owner in ("newest", "ask") else None
    if ahead:
        owner, why = ahead, f"{why}; a status moves forward"
    elif owner == "newest":
        if now.left_at is None or now.right_at is None or abs(now.left_at - now.right_at) < NEWEST_MARGIN:
            _ask(key, now, out, f"{why}, and the stamps do not tell which is newer")
            return
        owner = "left" if now.left_at > now.right_at else "right"
        why += f"; the {owner} is newer"
    if owner == "ask":
        _ask(key, now, out, why)
    elif owner == "union":
        _union(key, shape, now, base, out)
    else:
        _write(key, shape, now, out, to=other(owner), why=f"{why}; the {owner} owns it")


def _write(key: str, shape: Shape, now: Now, out: Merged, *, to: SideName, why: str, wipe: bool = False) -> None:
    """Send the other side's value there, unless the empty rule or the vendor forbids; then both stay as they are, agreed.

    `wipe`: a person chose the empty side, which the empty rule (made for machines) does not forbid.
    """
    value = now.on(other(to))
    if is_blank(value):
        if shape.rule.empty == "keep" and not wipe:
            out.agreed[key] = (now.left, now.right)
            out.because[key] = "an empty value wipes nothing"
            return
        value = None
    if shape.rule.forward and not wipe and _held_back(key, shape, now, out, value, now.on(to)):
        return
    if not shape.may_write(to):
        out.agreed[key] = (now.left, now.right)
        out.differs.add(key)
        out.because[key] = f"the {to} cannot be written here"
        return
    lack = now.lacks(other(to))
    if lack is not None and value is not None:
        out.parks[key] = lack
        return
    out.to[to][key] = value
    out.because[key] = why


def _held_back(key: str, shape: Shape, now: Now, out: Merged, value: Json, there: Json) -> bool:
    """Whether the order of statuses keeps a value from being written over another: it would go back, or has no place in it."""
    for each in (value, there):
        if not is_blank(each) and _place(shape, each) is None:
            _ask(key, now, out, f"{_say(each)} has no place in the order of statuses")
            return True
    place, reached = _place(shape, value), _place(shape, there)
    if reached is None or (place is not None and place > reached):
        return False
    out.agreed[key] = (now.left, now.right)
    out.because[key] = "a status only moves forward"
    return True


def _place(shape: Shape, value: Json) -> int | None:
    """Where a status stands in the order of the rule, compared as the field is."""
    if is_blank(value):
        return None
    order = shape.rule.forward
    return next((place for place, known in enumerate(order) if shape.same(known, value)), None)


def _ahead(shape: Shape, now: Now) -> SideName | None:
    """The side whose status is further on; None where there is no order, or it does not tell."""
    if not shape.rule.forward:
        return None
    left, right = _place(shape, now.left), _place(shape, now.right)
    if left is None or right is None or left == right:
        return None
    return "left" if left > right else "right"


def _union(key: str, shape: Shape, now: Now, base: Base, out: Merged) -> None:
    """What one side added or removed since both agreed happens on the other too. Each side is compared with its own form of
    the agreement itself: what is merely on its way was nobody's removal."""
    lack = now.left_lacks or now.right_lacks
    if lack is not None:
        out.parks[key] = lack
        return
    digested = looks.is_look(base.left.get(key)) or looks.is_look(base.right.get(key))
    bases = {"left": base.left.get(key), "right": base.right.get(key)}
    agreed = {side: elements(shape, value, digested=digested) for side, value in bases.items()}
    known = key in base.left or key in base.right
    stands: dict[SideName, dict[str, Json]] = {}
    for side in SIDES:
        shown = elements(shape, now.on(side), digested=digested)
        wiped = known and not shown and shape.rule.empty == "keep"  # an empty value wipes nothing: it is filled again
        stands[side] = agreed[side] if wiped else shown
    for side in SIDES:
        far = other(side)
        removed = agreed[far].keys() - stands[far].keys()
        added = stands[far].keys() - agreed[far].keys()
        kept = {name for name in stands[side] if name not in removed} | added
        spelled = _said(stands[far]) | _said(stands[side])
        if kept - spelled.keys():  # wiped there, never held here: nobody is left to say what it was
            out.to["left"].pop(key, None)
            out.because.pop(key, None)
            _ask(key, now, out, "emptied, and what it held is not kept here")
            return
        wanted = [spelled[name] for name in {**stands["left"], **stands["right"]} if name in kept]
        if not shape.same_on(side, now.on(side), wanted) and shape.may_write(side):
            out.to[side][key] = wanted or None
            out.because[key] = "what both sides added and removed" if known else "everything both sides hold"
    if key not in out.because:
        out.agreed[key] = (now.left, now.right)


def _said(elements: dict[str, Json]) -> dict[str, Json]:
    """Those elements of which more than a look is there."""
    return {name: item for name, item in elements.items() if not looks.is_look(item)}


def elements(shape: Shape, value: Json, *, digested: bool) -> dict[str, Json]:
    """The elements of a set by what tells them apart: how both sides would show them, or digests of that. Of a look only these
    are known."""
    if looks.is_look(value):
        return dict.fromkeys(value.get(looks.EACH, ()), value)
    items = _as_list(value)
    return {shape.element(item, digested=digested): item for item in items if not is_blank(item)}


def _answered(key: str, shape: Shape, now: Now, out: Merged) -> None:
    """Carry out a person's decision: `left` and `right` name the side whose value stands; {"value": …} gives a third."""
    if shape.same(now.left, now.right):
        out.agreed[key] = (now.left, now.right)
    elif isinstance(now.answer, dict) and "value" in now.answer:
        for side in SIDES:
            if not shape.same_on(side, now.on(side), now.answer["value"]) and shape.may_write(side):
                out.to[side][key] = now.answer["value"]
        out.because[key] = "decided by a person"
    elif now.answer in ("left", "right"):
        why = f"decided by a person: the {now.answer} stands"
        _write(key, shape, now, out, to=other(now.answer), why=why, wipe=True)
    else:  # leave: both stay as they are
        out.agreed[key] = (now.left, now.right)
        out.because[key] = "decided by a person: both stay"


def _ask(key: str, now: Now, out: Merged, why: str) -> None:
    lack = now.left_lacks or now.right_lacks
    if lack is not None:  # who is meant may turn out to be the same: nothing to ask yet
        out.parks[key] = lack
        return
    out.asks[key] = Problem("conflict", f"{why}: left {_say(now.left)}, right {_say(now.right)}", field=key)
    out.because[key] = why


def _as_list(value: Json) -> list[Json]:
    if is_blank(value):
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _say(value: Json) -> str:
    if is_blank(value):
        return "(empty)"
    if isinstance(value, dict):
        return ", ".join(str(part) for part in value.values() if not is_blank(part))
    return repr(value) if isinstance(value, str) else str(value)
