"""A value taken back may come again by way of a third system only where all of that story is on record."""

from __future__ import annotations

import pytest

from koppel.store.trail import Recorded
from koppel.testing.came_along import came_along
from koppel.testing.toy_servers import Edit, Written

FORM = "form"
ENDS = {
    "amber-birch": ("amber:shops:3", "birch:customers:3"),
    "cedar-birch": ("cedar:customers:1", "birch:customers:3"),
}
BACK = Written("amber", "3", FORM, "BV", "Stichting", 10.0, "undo", seen=True)
EMPTIED = Written("birch", "3", FORM, None, "Stichting", 20.0, "emptied", seen=True)
FOLLOWED = Written("amber", "3", FORM, None, "BV", 30.0, "followed", seen=True)
RESTORED = Written("birch", "3", FORM, "Stichting", None, 40.0, "restored", seen=True)
AGAIN = Written("amber", "3", FORM, "Stichting", None, 50.0, "again", seen=True)
TYPED = Edit("cedar", "1", FORM, None, 5.0)
FLOWS = {"undo": "amber-birch", "emptied": "cedar-birch", "followed": "amber-birch", "restored": "cedar-birch", "again": "amber-birch"}  # fmt: skip


def forgiven(*written: Written, typed: tuple[Edit, ...] = (TYPED,), flows: dict[str, str] = FLOWS) -> bool:
    """The verdict on AGAIN, with these writes and edits on record."""
    did = {
        ref: Recorded(1, 0.0, "koppel", "updated", 1, ref, None, "", {"flow": flow, "left": ENDS[flow][0], "right": ENDS[flow][1]})
        for ref, flow in flows.items()
    }  # fmt: skip
    return came_along(BACK, AGAIN, flow="amber-birch", written=[BACK, *written, AGAIN], typed=typed, did=did)


def test_what_a_person_typed_in_a_third_system_came_by_and_went_again() -> None:
    assert forgiven(EMPTIED, FOLLOWED, RESTORED)


@pytest.mark.parametrize("missing", [EMPTIED, FOLLOWED, RESTORED])
def test_each_step_of_it_has_to_be_on_record(missing: Written) -> None:
    assert not forgiven(*(w for w in (EMPTIED, FOLLOWED, RESTORED) if w is not missing))


def test_no_value_that_nobody_typed() -> None:
    assert not forgiven(EMPTIED, FOLLOWED, RESTORED, typed=())


@pytest.mark.parametrize(
    "edit",
    [
        Edit("cedar", "1", FORM, "NV", 5.0),  # another value
        Edit("cedar", "2", FORM, None, 5.0),  # another record
        Edit("amber", "1", FORM, None, 5.0),  # another system
        Edit("cedar", "1", "title", None, 5.0),  # another word
        Edit("cedar", "1", FORM, None, 25.0),  # after it was carried
    ],
)
def test_no_value_but_the_one_that_was_carried(edit: Edit) -> None:
    assert not forgiven(EMPTIED, FOLLOWED, RESTORED, typed=(edit,))


def test_what_was_typed_over_since_was_not_what_was_carried() -> None:
    assert not forgiven(EMPTIED, FOLLOWED, RESTORED, typed=(TYPED, Edit("cedar", "1", FORM, "NV", 6.0)))


@pytest.mark.parametrize("by", ["emptied", "restored"])
def test_what_the_flow_itself_did_to_the_counterpart_is_no_excuse(by: str) -> None:
    assert not forgiven(EMPTIED, FOLLOWED, RESTORED, flows={**FLOWS, by: "amber-birch"})


def test_what_had_been_carried_before_the_undo_is_no_excuse() -> None:
    early = Written("birch", "3", FORM, None, "Stichting", 9.0, "emptied", seen=True)
    assert not forgiven(early, FOLLOWED, RESTORED)
