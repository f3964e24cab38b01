"""Automatic links are never wrong, and most doubles without a number are proposed: on a labelled set of made-up firms."""

from __future__ import annotations

import pytest

from koppel.testing.matching_set import Measured, labelled, measure

SEEN = 0.85  # the recall of proposals in docs/benchmarks.md; a set this small swings by a few per cent
MARGIN = 0.05


@pytest.fixture(scope="module", params=[1, 2])
def measured(request: pytest.FixtureRequest) -> Measured:
    return measure(labelled(seed=request.param, firms=300))


def test_no_automatic_link_is_wrong(measured: Measured) -> None:
    assert measured.linked > 100
    assert measured.link_precision == 1.0


def test_most_true_pairs_without_a_key_are_proposed(measured: Measured) -> None:
    assert measured.findable > 80
    assert measured.recall > SEEN - MARGIN, measured.missed


def test_a_person_is_not_shown_mostly_strangers(measured: Measured) -> None:
    assert measured.precision > 0.3


def test_the_same_seed_makes_the_same_set_and_another_another() -> None:
    assert labelled(seed=3, firms=40) == labelled(seed=3, firms=40)
    assert labelled(seed=3, firms=40) != labelled(seed=4, firms=40)


def test_the_set_holds_its_traps() -> None:
    made = labelled(seed=1, firms=400)
    by_vat: dict[str, set[str]] = {}
    by_kvk: dict[str, int] = {}
    for company in made.right.values():
        if company.vat_number:
            by_vat.setdefault(company.vat_number, set()).add(company.kvk or "")
        if company.kvk:
            by_kvk[company.kvk] = by_kvk.get(company.kvk, 0) + 1
    lefts = {c.kvk: c for c in made.left.values()}
    copied = [
        c for c in made.right.values() if c.kvk in lefts and c.vat_number != lefts[c.kvk].vat_number and c.vat_number
    ]
    assert copied  # the parent's number on the daughter
    assert any(count > 1 for count in by_kvk.values())  # one number, several debtors
    assert any(len(several) > 1 for several in by_vat.values()) or any(
        c.vat_number == lefts[k].vat_number and c.kvk != k for c in made.right.values() if c.vat_number for k in lefts
    )  # a fiscal unity
