"""Laws of the field merge, for any values, owners and bases."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from koppel.mapping.flow import FieldRule, SideName, other
from koppel.model.kinds import is_blank
from koppel.sync.base import Base, Stood, Written
from koppel.sync.merge import Merged, Now, Visible, merge
from koppel.sync.newest import remembered
from koppel.sync.shapes import Shape

ITEMS = ["vip", "Dealer", "Groothandel", "export"]
SETS = st.one_of(st.none(), st.lists(st.sampled_from(ITEMS), unique=True))
VALUES = st.sampled_from([None, "", "A", "a", "B", "Bakkerij De Korenaar", "Bakkerij", "C"])
OWNERS = st.sampled_from(["left", "right", "newest", "ask"])
STAMPS = st.sampled_from([None, 0.0, 100.0, 10_000.0])
LATER = Visible(as_of=1_000_000.0)
SWAP = {"left": "right", "right": "left"}


def cut(value: Any) -> Any:
    if isinstance(value, list):
        return [cut(item) for item in value]
    return value[:8] if isinstance(value, str) else value


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    rule = FieldRule(
        "x",
        owner=draw(OWNERS),
        empty=draw(st.sampled_from(["keep", "clear"])),
        drift=draw(st.sampled_from(["restore", "leave"])),
        forward=draw(st.sampled_from([(), ("A", "B", "C"), ("C", "A", "Bakkerij")])),
    )
    forms = st.sampled_from([lambda value: value, cut])
    return Shape(
        rule=rule,
        form_left=draw(forms),
        form_right=draw(forms),
        write_left=draw(st.booleans()),
        write_right=draw(st.booleans()),
    )


NOWS = st.builds(Now, left=VALUES, right=VALUES, left_at=STAMPS, right_at=STAMPS)
WRITTEN = st.builds(Written, VALUES, VALUES, at=st.just(0.0), count=st.integers(1, 3))
STOOD = st.one_of(st.just({}), st.fixed_dictionaries({"x": st.builds(Stood, VALUES, STAMPS)}))


@st.composite
def bases(draw: st.DrawFn) -> Base | None:
    known = draw(st.booleans())
    sides = [{"x": draw(VALUES)} if known else {} for _ in range(2)]
    return Base(
        sides[0],
        sides[1],
        draw(st.one_of(st.just({}), st.fixed_dictionaries({"x": WRITTEN}))),
        draw(st.one_of(st.just({}), st.fixed_dictionaries({"x": WRITTEN}))),
        stood_left=draw(STOOD),
        stood_right=draw(STOOD),
    )


@st.composite
def united(draw: st.DrawFn) -> tuple[Shape, Now, Base]:
    """Two sets that are united, with what was agreed in both forms; `agree` when they agreed on the same."""
    forms = st.sampled_from([lambda value: value, cut])
    shape = Shape(
        rule=FieldRule("x", owner="union", empty=draw(st.sampled_from(["keep", "clear"]))),
        kind="set",
        form_left=draw(forms),
        form_right=draw(forms),
        write_left=draw(st.booleans()),
        write_right=draw(st.booleans()),
    )
    now = Now(left=shape.form_left(draw(SETS)), right=shape.form_right(draw(SETS)))
    if draw(st.booleans()):
        return shape, now, Base()
    agreed = draw(SETS)
    return shape, now, Base({"x": shape.form_left(agreed)}, {"x": shape.form_right(agreed)})


def swapped(base: Base | None) -> Base | None:
    if base is None:
        return None
    turned = Base(base.right, base.left, base.written_right, base.written_left)
    return msgspec.structs.replace(turned, stood_left=base.stood_right, stood_right=base.stood_left)


def run(shape: Shape, now: Now, base: Base | None) -> Merged:
    return merge({"x": shape}, {"x": now}, base, visible=LATER)


def applied(shape: Shape, now: Now, base: Base | None, out: Merged) -> tuple[Now, Base]:
    """The world after the merge was carried out: vendors keep what is written in their own form."""
    base = base or Base()
    sides: dict[SideName, Any] = {"left": now.left, "right": now.right}
    written: dict[SideName, dict[str, Written]] = {
        "left": dict(base.written_left),
        "right": dict(base.written_right),
    }
    for side, values in out.to.items():
        if values:
            form = shape.form_left if side == "left" else shape.form_right
            sides[side] = form(values["x"])
            written[side] = {"x": Written(values["x"], now.on(other(side)), at=LATER.as_of - 1.0)}
    base = msgspec.structs.replace(base, written_left=written["left"], written_right=written["right"])
    for key, (left, right) in out.agreed.items():
        base = Base(base.left | {key: left}, base.right | {key: right})
    after = Now(left=sides["left"], right=sides["right"], left_at=now.left_at, right_at=now.right_at)
    return after, base


@given(shapes(), NOWS, bases())
def test_merging_again_after_the_result_was_applied_writes_nothing(shape: Shape, now: Now, base: Base | None) -> None:
    first = run(shape, now, base)
    second_now, second_base = applied(shape, now, base, first)
    second = run(shape, second_now, second_base)
    assert second.to == {"left": {}, "right": {}}, (first, second)
    third = run(shape, *applied(shape, second_now, second_base, second))
    assert third.to == {"left": {}, "right": {}}
    assert not third.agreed  # a fixed point is silent (law 5)


@given(shapes(), NOWS, bases())
def test_swapping_the_sides_swaps_the_result(shape: Shape, now: Now, base: Base | None) -> None:
    rule = shape.rule
    mirrored = Shape(
        rule=msgspec.structs.replace(rule, owner=SWAP.get(rule.owner, rule.owner)),
        form_left=shape.form_right,
        form_right=shape.form_left,
        write_left=shape.write_right,
        write_right=shape.write_left,
    )
    turned = Now(left=now.right, right=now.left, left_at=now.right_at, right_at=now.left_at)
    one, two = run(shape, now, base), run(mirrored, turned, swapped(base))
    assert one.to == {"left": two.to["right"], "right": two.to["left"]}
    assert one.agreed == {key: (left, right) for key, (right, left) in two.agreed.items()}
    assert one.asks.keys() == two.asks.keys()
    assert one.parks.keys() == two.parks.keys()
    assert one.waiting == two.waiting


@given(shapes(), VALUES, VALUES)
def test_no_change_in_means_no_write_out(shape: Shape, left: Any, right: Any) -> None:
    out = run(shape, Now(left=left, right=right), Base({"x": left}, {"x": right}))
    assert out == Merged()


@given(shapes(), NOWS, bases())
@example(
    Shape(rule=FieldRule("x", owner="right", empty="clear"), write_right=False),
    Now(left="A", right=None),
    Base(written_right={"x": Written("A")}),  # of an undo; it never arrived, and the left has shown another value since
)
def test_what_was_written_and_read_back_in_the_targets_form_is_agreed(
    shape: Shape, now: Now, base: Base | None
) -> None:
    first = run(shape, now, base)
    if not any(first.to.values()):
        return
    after, kept = applied(shape, now, base, first)
    second = run(shape, after, kept)
    assert second.agreed == {"x": (after.left, after.right)}
    assert not second.asks


@given(shapes(), NOWS, bases())
def test_a_field_is_never_written_and_agreed_at_once(shape: Shape, now: Now, base: Base | None) -> None:
    """What is on its way is agreed only when it was seen to arrive."""
    out = run(shape, now, base)
    assert not (out.agreed and any(out.to.values()))


@given(shapes(), NOWS, bases())
def test_every_write_says_why(shape: Shape, now: Now, base: Base | None) -> None:
    out = run(shape, now, base)
    for values in out.to.values():
        assert all(out.because.get(key) for key in values)


@given(shapes(), NOWS, bases())
def test_nothing_is_written_where_it_may_not_be(shape: Shape, now: Now, base: Base | None) -> None:
    out = run(shape, now, base)
    assert shape.write_left or not out.to["left"]
    assert shape.write_right or not out.to["right"]


@given(shapes(), NOWS, bases())
def test_what_goes_out_is_what_the_other_side_shows(shape: Shape, now: Now, base: Base | None) -> None:
    """Nothing is invented: without a person's answer a written value stands on the other side, or clears."""
    out = run(shape, now, base)
    for side, values in out.to.items():
        for value in values.values():
            assert value == now.on(other(side)) or (value is None and is_blank(now.on(other(side))))


@given(shapes(), NOWS, bases())
def test_an_empty_value_wipes_nothing_unless_the_flow_says_clear(shape: Shape, now: Now, base: Base | None) -> None:
    out = run(shape, now, base)
    if shape.rule.empty == "keep":
        assert all(not is_blank(value) for values in out.to.values() for value in values.values())


@given(NOWS, bases())
def test_with_owner_ask_no_value_is_overwritten_that_changed(now: Now, base: Base | None) -> None:
    """A conflict keeps both values (law 3)."""
    shape = Shape(rule=FieldRule("x", owner="ask"))
    out = run(shape, now, base)
    if base and base.left and not base.written_left and not base.written_right:
        changed = [
            side for side in ("left", "right") if not shape.same_on(side, now.on(side), getattr(base, side)["x"])
        ]  # type: ignore[arg-type]
        if len(changed) == 2:
            assert out.to == {"left": {}, "right": {}}


# --- sets that are united ---------------------------------------------------------------------------------------------


@given(united())
def test_united_sets_come_to_rest_in_one_round(case: tuple[Shape, Now, Base]) -> None:
    shape, now, base = case
    after, kept = applied(shape, now, base, run(shape, now, base))
    second = run(shape, after, kept)
    assert second.to == {"left": {}, "right": {}}
    third = run(shape, *applied(shape, after, kept, second))
    assert third.to == {"left": {}, "right": {}}
    assert not third.agreed


@given(united())
def test_swapping_the_sides_of_united_sets_swaps_the_result(case: tuple[Shape, Now, Base]) -> None:
    shape, now, base = case
    mirrored = Shape(
        rule=shape.rule,
        kind="set",
        form_left=shape.form_right,
        form_right=shape.form_left,
        write_left=shape.write_right,
        write_right=shape.write_left,
    )
    one = run(shape, now, base)
    two = run(mirrored, Now(left=now.right, right=now.left), swapped(base))
    assert as_sets(one.to["left"]) == as_sets(two.to["right"])
    assert as_sets(one.to["right"]) == as_sets(two.to["left"])


def as_sets(values: dict[str, Any]) -> dict[str, set[str]]:
    return {key: set(value or ()) for key, value in values.items()}


@given(united())
def test_united_sets_hold_what_was_added_and_lack_what_was_removed(case: tuple[Shape, Now, Base]) -> None:
    shape, now, base = case
    if not (shape.write_left and shape.write_right):
        return
    after, _ = applied(shape, now, base, run(shape, now, base))
    left, right = set(now.left or ()), set(now.right or ())
    if shape.same(now.left, now.right):
        wanted = left  # whatever became of it, both agree on it
    elif not base.left:
        wanted = left | right
    else:
        was = {"left": set(base.left["x"] or ()), "right": set(base.right["x"] or ())}
        kept = shape.rule.empty == "keep"
        stands = {
            "left": was["left"] if kept and not left else left,
            "right": was["right"] if kept and not right else right,
        }
        short = {side: {item[:8] for item in items} for side, items in stands.items()}
        before = {side: {item[:8] for item in items} for side, items in was.items()}
        removed = (before["left"] - short["left"]) | (before["right"] - short["right"])
        wanted = {item for item in stands["left"] | stands["right"] if item[:8] not in removed}
    for side in (after.left, after.right):
        assert {item[:8] for item in side or ()} == {item[:8] for item in wanted}


@given(VALUES, VALUES, STAMPS, STAMPS)
def test_a_value_that_stood_earlier_is_not_made_newer_by_edits_of_other_fields(
    left: Any, right: Any, left_at: float | None, right_at: float | None
) -> None:
    """Newest counts from when the value came to stand, whatever the record's stamp says by now."""
    shape = Shape(rule=FieldRule("x", owner="newest"))
    base = Base({"x": "was"}, {"x": "was"})
    first = {"left": left_at, "right": right_at}
    kept = remembered({"x": shape}, {"left": {"x": left}, "right": {"x": right}}, first, base)  # type: ignore[arg-type]
    before = run(shape, Now(left=left, right=right, left_at=left_at, right_at=right_at), base)
    later = run(shape, Now(left=left, right=right, left_at=9e9, right_at=1.0), kept)
    assert (later.to, later.asks.keys(), later.agreed) == (before.to, before.asks.keys(), before.agreed)


@given(st.sampled_from(["left", "right", "newest", "ask"]), VALUES, VALUES, STAMPS, STAMPS, bases())
def test_a_status_never_goes_back(
    owner: Any, left: Any, right: Any, left_at: float | None, right_at: float | None, base: Base | None
) -> None:
    order = ("A", "B", "C")
    shape = Shape(rule=FieldRule("x", owner=owner, forward=order, empty="clear"))
    now = Now(left=left, right=right, left_at=left_at, right_at=right_at)
    out = run(shape, now, base)
    for side, values in out.to.items():
        for value in values.values():
            there = now.on(side)
            assert is_blank(there) or order.index(value) > order.index(there)
