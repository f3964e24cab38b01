"""The brakes: counts above which a run stops before its first write."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.mapping.flow import Brakes, RunRules
from koppel.sync.guard import SMALL, Counts, guard


def refused(make: Any, counts: Counts, **brakes: Any) -> str | None:
    flow = make.flow(run=RunRules(brakes=Brakes(**brakes)))
    found = guard(flow, counts)
    return found.override if found else None


def test_an_ordinary_plan_passes(make: Any) -> None:
    assert refused(make, Counts(creates=200, updates=20, known={"left": 100, "right": 100})) is None


@pytest.mark.parametrize(("creates", "word"), [(5, None), (6, "creates")])
def test_more_creates_than_the_brake_stop(make: Any, creates: int, word: str | None) -> None:
    assert refused(make, Counts(creates=creates), creates=5) == word


def test_a_single_archive_stops_by_default(make: Any) -> None:
    assert refused(make, Counts(archives=1)) == "deletes"
    assert refused(make, Counts(archives=1), deletes=1) is None


@pytest.mark.parametrize(("updates", "word"), [(20, None), (21, "share")])
def test_a_change_of_more_than_the_share_stops(make: Any, updates: int, word: str | None) -> None:
    assert refused(make, Counts(updates=updates, known={"right": 100})) == word


def test_shares_of_a_handful_say_nothing(make: Any) -> None:
    assert refused(make, Counts(updates=SMALL, known={"right": 11})) is None
    assert refused(make, Counts(updates=SMALL, known={"right": SMALL})) is None
    assert refused(make, Counts(updates=SMALL + 1, known={"right": SMALL + 1})) == "share"


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_emptied_side_stops_and_is_named(make: Any, side: Any) -> None:
    counts = Counts(vanished={side: SMALL}, known={side: SMALL})
    found = guard(make.flow(), counts)
    assert found is not None
    assert found.override == "vanished"
    assert str(make.flow().endpoint(side)) in found.reason
    assert guard(make.flow(), Counts(vanished={side: SMALL - 1}, known={side: 0})) is None


def test_what_vanished_is_measured_by_what_is_linked_where_that_is_known(make: Any) -> None:
    """Ten thousand other records on the same side make the loss of all one's own no smaller."""
    many = {"known": {"right": 10_000}, "vanished": {"right": SMALL}}
    assert refused(make, Counts(**many)) is None
    assert refused(make, Counts(**many, linked={"right": SMALL})) == "vanished"
    assert refused(make, Counts(**many, linked={"right": SMALL}), share=None) == "vanished"
    assert refused(make, Counts(**many, linked={"right": 5 * SMALL})) is None
    assert refused(make, Counts(**many, linked={"right": 2 * SMALL}), share=0.4) == "vanished"


def test_a_word_that_lets_both_sides_pass_is_said_once(make: Any) -> None:
    sides = {"left": SMALL, "right": SMALL}
    found = guard(make.flow(), Counts(vanished=sides, known=dict.fromkeys(sides, 0)))
    assert found is not None
    assert (found.allow, found.reason.count("vanished from")) == ("--allow vanished", 2)


@pytest.mark.parametrize(("left_over", "word"), [(39, "vanished"), (40, None)])
def test_a_side_that_lost_more_than_the_share_stops(make: Any, left_over: int, word: str | None) -> None:
    assert refused(make, Counts(vanished={"right": SMALL}, known={"right": left_over})) == word
    assert refused(make, Counts(vanished={"right": SMALL}, known={"right": SMALL}), share=None) == "vanished"
    assert refused(make, Counts(vanished={"right": SMALL}, known={"right": SMALL + 1}), share=None) is None


def test_a_brake_that_is_taken_off_never_stops(make: Any) -> None:
    none = {"creates": None, "deletes": None, "share": None}
    counts = Counts(creates=9999, updates=9999, archives=9999, known={"right": 9999})
    assert refused(make, counts, **none) is None


@pytest.mark.parametrize(("renumbered", "word"), [(2, None), (3, "renumbered")])
def test_several_linked_records_under_another_companys_number_stop(
    make: Any, renumbered: int, word: str | None
) -> None:
    counts = Counts(updates=renumbered, known={"right": 10_000}, renumbered=renumbered)
    assert refused(make, counts) == word
    assert refused(make, counts, creates=None, deletes=None, share=None) == word, "it is no matter of how many"
