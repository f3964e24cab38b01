"""The table of the field merge, row by row, and what is on its way to a vendor."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.mapping.flow import FieldRule
from koppel.model.problem import Problem
from koppel.sync.base import Base, Written
from koppel.sync.merge import GIVE_UP_AFTER, NEWEST_MARGIN, Merged, Now, Visible, merge
from koppel.sync.shapes import Shape

NOTHING: dict[str, dict[str, Any]] = {"left": {}, "right": {}}


def cut(length: int) -> Any:
    return lambda value: value[:length] if isinstance(value, str) else value


def rule(**given: Any) -> FieldRule:
    return FieldRule("name", **given)


def merged(
    left: Any,
    right: Any,
    base: Any = None,
    *,
    shape: Shape | None = None,
    at: tuple[float | None, float | None] = (None, None),
    answer: Any = None,
    visible: Visible | None = None,
    **given: Any,
) -> Merged:
    """Merge one field `name`; `base` is the value both agreed on, a pair of forms, or a whole Base."""
    kept = base if isinstance(base, Base) or base is None else Base(*[{"name": form} for form in _pair(base)])
    now = Now(left=left, right=right, left_at=at[0], right_at=at[1], answer=answer)
    return merge({"name": shape or Shape(rule=rule(**given))}, {"name": now}, kept, visible=visible or Visible())


def _pair(base: Any) -> tuple[Any, Any]:
    return base if isinstance(base, tuple) else (base, base)


def to(side: str, value: Any) -> dict[str, dict[str, Any]]:
    return NOTHING | {side: {"name": value}}


def silent(out: Merged) -> bool:
    return out.to == NOTHING and not out.asks and not out.parks and not out.agreed


# --- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["left", "right", "newest", "ask", "union"])
def test_same_on_both_sides_is_nothing(owner: str) -> None:
    assert silent(merged("A", "A", "A", owner=owner))


@pytest.mark.parametrize("owner", ["left", "newest", "ask"])
def test_a_change_on_the_left_goes_right_when_the_left_may_own_it(owner: str) -> None:
    assert merged("B", "A", "A", owner=owner).to == to("right", "B")


@pytest.mark.parametrize("owner", ["right", "newest", "ask"])
def test_a_change_on_the_right_goes_left_when_the_right_may_own_it(owner: str) -> None:
    assert merged("A", "B", "A", owner=owner).to == to("left", "B")


def test_a_change_that_the_owner_did_not_make_is_put_back() -> None:
    assert merged("B", "A", "A", owner="right").to == to("left", "A")
    assert merged("A", "B", "A", owner="left").to == to("right", "A")


def test_with_drift_leave_it_stays_and_is_agreed_in_both_forms() -> None:
    out = merged("A", "B", "A", owner="left", drift="leave")
    assert out.to == NOTHING
    assert out.agreed == {"name": ("A", "B")}
    assert silent(merged("A", "B", ("A", "B"), owner="left", drift="leave"))


def test_with_drift_leave_the_owners_own_change_is_still_pushed() -> None:
    assert merged("C", "B", ("A", "B"), owner="left", drift="leave").to == to("right", "C")


@pytest.mark.parametrize("owner", ["left", "right", "newest", "ask", "union"])
def test_both_changed_to_the_same_is_agreed_without_a_write(owner: str) -> None:
    out = merged("B", "B", "A", owner=owner)
    assert out.to == NOTHING
    assert out.agreed == {"name": ("B", "B")}


def test_both_changed_to_the_same_after_normalising_is_agreed() -> None:
    out = merged("020-1234567", "+31 20 123 45 67", "010-7654321", shape=Shape(rule=rule(), kind="phone"))
    assert (out.to, out.agreed) == (NOTHING, {"name": ("020-1234567", "+31 20 123 45 67")})


def test_both_changed_and_the_owner_stands() -> None:
    assert merged("B", "C", "A", owner="left").to == to("right", "B")
    assert merged("B", "C", "A", owner="right").to == to("left", "C")


def test_both_changed_and_a_person_is_asked_for_the_field() -> None:
    out = merged("B", "C", "A", owner="ask")
    assert out.to == NOTHING
    assert out.asks["name"].code == "conflict"
    assert "'B'" in out.asks["name"].text
    assert "'C'" in out.asks["name"].text


@pytest.mark.parametrize(("stamps", "side", "value"), [((1000.0, 0.0), "right", "B"), ((0.0, 1000.0), "left", "C")])
def test_both_changed_and_the_newest_stands(stamps: tuple[float, float], side: str, value: str) -> None:
    assert merged("B", "C", "A", owner="newest", at=stamps).to == to(side, value)


@pytest.mark.parametrize("stamps", [(None, 5.0), (5.0, None), (None, None), (0.0, NEWEST_MARGIN - 1)])
def test_newest_asks_without_stamps_or_with_stamps_too_close(stamps: tuple[float | None, float | None]) -> None:
    out = merged("B", "C", "A", owner="newest", at=stamps)
    assert out.to == NOTHING
    assert "name" in out.asks


def test_newest_decides_from_the_margin_on() -> None:
    assert merged("B", "C", "A", owner="newest", at=(NEWEST_MARGIN, 0.0)).to == to("right", "B")


def test_a_union_gives_both_sides_everything() -> None:
    out = merged(["a", "b"], ["b", "c"], (["b"], ["b"]), shape=Shape(rule=rule(owner="union"), kind="set"))
    assert out.to == {"left": {"name": ["a", "b", "c"]}, "right": {"name": ["a", "b", "c"]}}


def test_a_union_writes_only_to_the_side_that_lacks_something() -> None:
    out = merged(["a", "b"], ["b"], (["b"], ["b"]), shape=Shape(rule=rule(owner="union"), kind="set"))
    assert out.to == to("right", ["a", "b"])


# --- first contact ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["left", "right", "newest", "ask", "union"])
def test_first_contact_of_equals_is_agreed(owner: str) -> None:
    assert merged("A B.V.", "A BV", shape=Shape(rule=rule(owner=owner), kind="name")).agreed == {
        "name": ("A B.V.", "A BV")
    }


@pytest.mark.parametrize("owner", ["left", "newest", "ask"])
def test_first_contact_fills_an_empty_right(owner: str) -> None:
    out = merged("A", None, owner=owner)
    assert out.to == to("right", "A")
    assert out.because["name"].startswith("first contact")


@pytest.mark.parametrize("owner", ["right", "newest", "ask"])
def test_first_contact_fills_an_empty_left(owner: str) -> None:
    assert merged(None, "A", owner=owner).to == to("left", "A")


def test_first_contact_keeps_a_value_whose_owner_has_none() -> None:
    out = merged(None, "A", owner="left")
    assert (out.to, out.agreed) == (NOTHING, {"name": (None, "A")})


def test_first_contact_clears_it_only_when_the_flow_says_clear() -> None:
    assert merged(None, "A", owner="left", empty="clear").to == to("right", None)


def test_first_contact_of_different_values_follows_the_owner_and_says_so() -> None:
    out = merged("A", "B", owner="left")
    assert out.to == to("right", "A")
    assert out.because["name"] == "first contact: different; the left owns it"
    assert "name" in merged("A", "B", owner="ask").asks
    assert "first contact" in merged("A", "B", owner="ask").asks["name"].text


def test_a_field_the_flow_learnt_later_is_a_first_contact_of_that_field_only() -> None:
    shapes = {"name": Shape(rule=rule()), "phone": Shape(rule=FieldRule("phone"))}
    now = {"name": Now(left="A", right="A"), "phone": Now(left="1", right="2")}
    out = merge(shapes, now, Base({"name": "A"}, {"name": "A"}))
    assert out.to == {"left": {}, "right": {"phone": "1"}}
    assert out.because["phone"].startswith("first contact")


# --- empty, when, rights ------------------------------------------------------------------------------------------------


def test_an_emptied_value_wipes_nothing_by_default() -> None:
    out = merged(None, "A", "A", owner="left")
    assert (out.to, out.agreed) == (NOTHING, {"name": (None, "A")})
    assert out.because["name"] == "an empty value wipes nothing"


def test_an_emptied_value_clears_when_the_flow_says_so() -> None:
    assert merged("", "A", "A", owner="left", empty="clear").to == to("right", None)


def test_after_an_empty_value_was_kept_nothing_happens_until_it_is_filled_again() -> None:
    assert silent(merged(None, "A", (None, "A"), owner="left"))
    assert merged("B", "A", (None, "A"), owner="left").to == to("right", "B")


def test_a_field_of_creation_is_never_compared() -> None:
    assert silent(merged("A", "B", owner="left", when="create"))
    assert silent(merged("A", "B", "C", owner="left", when="create"))


@pytest.mark.parametrize("when", ["always", "update"])
def test_a_field_of_updates_is_compared(when: str) -> None:
    assert merged("A", "B", "B", owner="left", when=when).to == to("right", "A")


def test_what_cannot_be_written_there_stays_different_and_is_agreed() -> None:
    out = merged("B", "A", "A", shape=Shape(rule=rule(owner="left"), write_right=False))
    assert (out.to, out.agreed, out.differs) == (NOTHING, {"name": ("B", "A")}, {"name"})
    assert out.because["name"] == "the right cannot be written here"


# --- two forms of one base ------------------------------------------------------------------------------------------------


def test_each_side_is_compared_with_its_own_form_of_the_base() -> None:
    """What the vendor keeps differently is no change (law 6)."""
    assert silent(merged("Bakkerij De Korenaar", "Bakkerij", ("Bakkerij De Korenaar", "Bakkerij"), owner="left"))
    assert silent(merged("Bakkerij De Korenaar", "Bakkerij", ("Bakkerij De Korenaar", "Bakkerij"), owner="right"))


def test_values_that_look_the_same_in_the_targets_form_are_equal() -> None:
    shape = Shape(rule=rule(), form_right=cut(8))
    assert merged("Bakkerij De Korenaar", "Bakkerij", shape=shape).agreed == {
        "name": ("Bakkerij De Korenaar", "Bakkerij")
    }
    assert silent(merged("Bakkerij De Ekster", "Bakkerij", ("Bakkerij De Ekster", "Bakkerij"), shape=shape))


def test_a_change_behind_the_cut_is_agreed_and_not_written() -> None:
    shape = Shape(rule=rule(), form_right=cut(8))
    out = merged("Bakkerij De Ekster", "Bakkerij", ("Bakkerij De Korenaar", "Bakkerij"), shape=shape)
    assert (out.to, out.agreed) == (NOTHING, {"name": ("Bakkerij De Ekster", "Bakkerij")})


# --- on its way -----------------------------------------------------------------------------------------------------------


def on_its_way(value: Any = "B", *, source: Any = ..., old: Any = "A", count: int = 1, at: float = 100.0) -> Base:
    written = Written(value, value if source is ... else source, at=at, count=count)
    return Base(left={"name": old}, right={"name": old}, written_right={"name": written})


NOT_YET = Visible(as_of=130.0, right=60.0)
BY_NOW = Visible(as_of=161.0, right=60.0)


def test_a_value_that_arrived_is_agreed() -> None:
    out = merged("B", "B", on_its_way(), visible=NOT_YET)
    assert (out.to, out.agreed) == (NOTHING, {"name": ("B", "B")})


def test_a_value_that_does_not_show_yet_is_waited_for() -> None:
    out = merged("B", "A", on_its_way(), visible=NOT_YET)
    assert (out.to, out.agreed, out.waiting) == (NOTHING, {}, {"name"})


def test_a_value_that_was_cut_is_adopted_and_said() -> None:
    out = merged("Bakkerij De Korenaar", "Bakkerij", on_its_way("Bakkerij De Korenaar"), visible=NOT_YET)
    assert (out.to, out.agreed) == (NOTHING, {"name": ("Bakkerij De Korenaar", "Bakkerij")})
    assert out.because["name"] == "kept in the vendor's own spelling"


def test_a_value_that_was_cut_does_not_hide_that_its_source_moved_on() -> None:
    """What was cut belongs to the value sent; the newer one is no part of that bargain (torture, seed 1)."""
    sent = "Bakkerij De Korenaar"
    out = merged("Slager", "Bakkerij", on_its_way(sent, source=sent), visible=NOT_YET)
    assert (out.to, out.agreed) == (to("right", "Slager"), {})


def test_an_old_value_that_begins_the_new_one_is_no_cut() -> None:
    base = on_its_way("Bakkerij De Korenaar", source="Bakkerij De Korenaar", old="Bakkerij")
    assert merged("Bakkerij De Korenaar", "Bakkerij", base, visible=NOT_YET).waiting == {"name"}
    out = merged("Bakkerij De Korenaar", "Bakkerij", base, visible=BY_NOW)
    assert (out.to, out.agreed) == (to("right", "Bakkerij De Korenaar"), {})


def test_a_value_that_was_respelled_is_adopted_once_and_never_fought_over() -> None:
    first = merged("bakkerij", "BAKKERIJ", on_its_way("bakkerij", old="Slager"), visible=NOT_YET)
    assert first.agreed == {"name": ("bakkerij", "BAKKERIJ")}
    assert silent(merged("bakkerij", "BAKKERIJ", ("bakkerij", "BAKKERIJ")))


def test_a_struct_with_one_part_cut_is_adopted() -> None:
    sent = {"street": "Prins Bernhardlaan", "city": "Ede"}
    seen = {"street": "Prins Bern", "city": "Ede"}
    out = merged(sent, seen, on_its_way(sent, old={"city": "Epe"}), shape=Shape(rule=rule(), kind="address"))
    assert out.agreed == {"name": (sent, seen)}


def test_a_value_not_kept_is_written_again() -> None:
    out = merged("B", "A", on_its_way(), visible=BY_NOW)
    assert out.to == to("right", "B")
    assert "did not keep it" in out.because["name"]


def test_after_two_times_a_value_not_kept_is_parked_with_both_values() -> None:
    out = merged("B", "A", on_its_way(count=GIVE_UP_AFTER), visible=BY_NOW)
    assert out.to == NOTHING
    assert out.parks["name"].code == "not_kept"
    assert "'B'" in out.parks["name"].text
    assert "'A'" in out.parks["name"].text


def test_a_newer_value_of_the_owner_is_sent_although_the_last_was_not_kept() -> None:
    """What could not be kept was the old value; the new one deserves its own try."""
    out = merged("C", "A", on_its_way("B", count=GIVE_UP_AFTER), visible=BY_NOW)
    assert not out.parks
    assert out.to == to("right", "C")


def test_a_third_value_seen_after_our_write_is_somebodys_edit() -> None:
    assert merged("B", "X", on_its_way(), owner="left", visible=NOT_YET).to == to("right", "B")
    assert merged("B", "X", on_its_way(), owner="right", visible=NOT_YET).to == to("left", "X")
    assert merged("B", "X", on_its_way(), owner="ask", visible=NOT_YET).to == to("left", "X")


def test_an_edit_of_the_source_after_our_write_is_sent_on() -> None:
    out = merged("C", "B", on_its_way(), owner="left", visible=NOT_YET)
    assert out.to == to("right", "C")


def apart(right: Written, left: Written | None = None) -> Base:
    """An undo wrote the right a value to stand beside another one on the left; `left`: what was written there since."""
    return Base({"name": "A"}, {"name": "A"}, {"name": left} if left else {}, {"name": right})


def test_a_value_that_was_to_stand_beside_another_and_never_came_is_parked() -> None:
    out = merged("A", "A", apart(Written("B", "A", at=100.0, before="A")), visible=BY_NOW)
    assert (out.to, out.agreed, out.parks["name"].code) == (NOTHING, {}, "not_kept")


@pytest.mark.parametrize("at", [99.0, 100.0])
def test_what_was_decided_no_later_is_no_decision_against_it(at: float) -> None:
    out = merged("A", "A", apart(Written("B", "A", at=100.0, before="A"), Written("A", "A", at=at)), visible=BY_NOW)
    assert out.parks["name"].code == "not_kept"


def test_what_never_came_is_over_once_it_was_decided_otherwise() -> None:
    """The left was edited since and set back to what the right shows: both show that, and nobody waits for the rest."""
    back = Written("A", "A", at=150.0, before="X")
    out = merged("A", "A", apart(Written("B", "A", at=100.0, before="A"), back), visible=BY_NOW)
    assert (out.to, out.agreed, out.parks) == (NOTHING, {"name": ("A", "A")}, {})


def test_what_one_undo_wrote_on_both_sides_is_no_decision_against_itself() -> None:
    back = Written("A", "B", at=101.0, before="X")
    out = merged("A", "A", apart(Written("B", "A", at=100.0, before="A"), back), visible=BY_NOW)
    assert (out.to, out.agreed, out.parks["name"].code) == (NOTHING, {}, "not_kept")


def test_an_edit_on_both_sides_after_our_write_is_a_conflict() -> None:
    assert "name" in merged("C", "X", on_its_way(), owner="ask", visible=NOT_YET).asks


def test_what_was_written_to_the_left_is_watched_alike() -> None:
    base = Base({"name": "A"}, {"name": "A"}, written_left={"name": Written("B", "B", at=100.0)})
    assert merged("A", "B", base, owner="right", visible=Visible(as_of=130.0, left=60.0)).waiting == {"name"}
    assert merged("B", "B", base, owner="right").agreed == {"name": ("B", "B")}


@pytest.mark.parametrize("first", ["left", "right"])
def test_of_values_on_their_way_both_ways_the_later_one_tells_what_is_news(first: str) -> None:
    """B went one way, D came back the other; then the side D came from was edited: that is one edit, no conflict."""
    early, late = {"name": Written("B", "B", at=100.0)}, {"name": Written("D", "D", at=200.0)}
    if first == "right":
        base = Base({"name": "A"}, {"name": "A"}, written_left=late, written_right=early)
        assert merged("D", "E", base, owner="ask", visible=Visible(as_of=1000.0)).to == to("left", "E")
    else:
        base = Base({"name": "A"}, {"name": "A"}, written_left=early, written_right=late)
        assert merged("E", "D", base, owner="ask", visible=Visible(as_of=1000.0)).to == to("right", "E")


# --- a person's answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "side", "value"), [("left", "right", "B"), ("right", "left", "C")])
def test_a_person_says_which_side_stands(answer: str, side: str, value: str) -> None:
    out = merged("B", "C", "A", owner="ask", answer=answer)
    assert out.to == to(side, value)
    assert not out.asks
    assert "decided by a person" in out.because["name"]


def test_a_person_gives_a_third_value() -> None:
    out = merged("B", "C", "A", owner="ask", answer={"value": "D"})
    assert out.to == {"left": {"name": "D"}, "right": {"name": "D"}}


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_third_value_goes_only_where_it_may_be_written(side: str) -> None:
    shape = Shape(rule=rule(owner="ask"), write_left=side == "left", write_right=side == "right")
    assert merged("B", "C", "A", shape=shape, answer={"value": "D"}).to == to(side, "D")


def test_a_person_leaves_both_as_they_are() -> None:
    out = merged("B", "C", "A", owner="ask", answer="leave")
    assert (out.to, out.agreed) == (NOTHING, {"name": ("B", "C")})
    assert silent(merged("B", "C", ("B", "C"), owner="ask"))


def test_an_answer_that_agrees_with_what_is_there_by_now_is_done() -> None:
    out = merged("B", "B", "A", owner="ask", answer="left")
    assert (out.to, out.agreed, out.asks) == (NOTHING, {"name": ("B", "B")}, {})


def test_a_persons_empty_choice_clears_what_the_other_side_holds() -> None:
    """Choosing the empty side is a decision; the rule that an empty value wipes nothing is for machines."""
    assert merged(None, "C", "A", owner="ask", answer="left").to == to("right", None)


def test_emptying_a_reference_waits_for_nobody() -> None:
    shape = Shape(rule=rule(empty="clear"))
    missing = Problem("needs", "who is meant is not there yet")
    now = Now(left=None, right="A", left_lacks=missing)
    assert merge({"name": shape}, {"name": now}, Base({"name": "A"}, {"name": "A"})).to == to("right", None)
