import re
from collections import Counter

import phonenumbers
import pytest
from stdnum.nl import bsn, btw

from koppel.sandbox.seeds import FIRST_KVK, KVK_TEST_SET, make_companies

MANY = make_companies(7, 1500)
SMALL = make_companies(7, 22)


def test_a_world_is_the_same_for_a_seed_and_another_for_another_seed():
    assert make_companies(7, 60) == make_companies(7, 60)
    assert make_companies(8, 60)[1:] != make_companies(7, 60)[1:]


def test_a_small_world_is_the_beginning_of_a_large_one():
    assert MANY[:22] == SMALL


def test_a_negative_count_is_refused_and_zero_is_an_empty_world():
    assert make_companies(1, 0) == ()
    with pytest.raises(ValueError, match="negative"):
        make_companies(1, -1)


def test_the_first_company_is_the_known_one():
    first = SMALL[0]
    assert (first.kvk, first.kind, first.shape, first.in_erp) == (FIRST_KVK, "bv", "plain", "none")
    assert first.vat == f"NL{first.rsin}B01"


def test_the_opening_shows_every_kind_and_every_shape_and_every_way_the_erp_knows_one():
    assert {c.kind for c in SMALL} == {"bv", "nv", "eenmanszaak", "vof", "stichting", "vereniging", "cooperatie"}
    assert {c.shape for c in SMALL} == {"plain", "shielded", "po_box", "foreign", "ended", "no_branch"}
    assert {c.in_erp for c in SMALL} == {"none", "kvk", "vat", "both", "thrice"}


def test_numbers_are_unique_and_well_formed():
    for numbers, pattern in (
        ([c.kvk for c in MANY], r"\d{8}"),
        ([c.branch for c in MANY if c.branch], r"\d{12}"),
        ([c.rsin for c in MANY if c.rsin], r"\d{9}"),
        ([c.vat for c in MANY if c.vat], r"NL\d{9}B\d\d"),
    ):
        assert len(set(numbers)) == len(numbers)
        assert all(re.fullmatch(pattern, number) for number in numbers)
    assert not KVK_TEST_SET & {c.kvk for c in MANY}
    assert sum(c.kvk.startswith("0") for c in SMALL) >= 3


def test_rsin_and_vat_numbers_keep_their_check_digits():
    assert all(bsn.is_valid(c.rsin) for c in MANY if c.rsin)  # the same 11-proof
    assert all(btw.is_valid(c.vat) for c in MANY if c.vat)


def test_a_sole_trader_has_no_rsin_and_a_vat_number_that_cannot_be_derived():
    traders = [c for c in MANY if c.kind == "eenmanszaak"]
    assert traders
    assert all(c.rsin is None and c.statutory_name is None and c.vat and not bsn.is_valid(c.vat[2:11]) for c in traders)


def test_a_few_legal_entities_have_another_suffix_or_no_vat_number():
    legal = [c for c in MANY if c.rsin]
    suffixes = Counter(c.vat[-3:] if c.vat else "none" for c in legal)
    assert suffixes["B01"] > 0.85 * len(legal)
    assert suffixes["B02"]
    assert suffixes["none"]


def test_ended_companies_name_a_living_successor_that_exists():
    living = {c.kvk for c in MANY if c.ended_on is None}
    ended = [c for c in MANY if c.shape == "ended"]
    assert all(c.ended_on and c.started_on < c.ended_on < "2026-11-02" for c in ended)
    assert {c.successor for c in ended} - {None} <= living
    assert any(c.successor for c in ended)
    assert any(c.successor is None for c in ended)
    assert any(c.successor for c in SMALL)


def test_shapes_carry_what_makes_them_special():
    for c in MANY:
        assert (c.po_box is not None) == (c.shape == "po_box")
        assert (c.branch == "") == (c.shape == "no_branch")
        assert (c.country != "NL") == (c.shape == "foreign")
        assert c.shape != "no_branch" or c.kind in {"stichting", "vereniging"}


def test_about_two_thirds_are_known_to_the_erp_and_none_by_a_number_it_lacks():
    known = Counter(c.in_erp for c in MANY)
    assert 0.58 < 1 - known["none"] / len(MANY) < 0.74
    assert 1 <= known["thrice"] <= 2
    assert all(c.vat for c in MANY if c.in_erp in {"vat", "both"})


def test_hosts_are_made_up_and_phone_numbers_are_dutch():
    for c in MANY[:300]:
        assert c.email.endswith(".example")
        assert c.person.email.endswith(".example")
        assert c.website.endswith(".example")
        for number in (c.phone, c.person.phone):
            assert phonenumbers.is_valid_number(phonenumbers.parse(number, "NL")), number


def test_names_are_told_apart():
    assert len({c.name for c in MANY}) == len(MANY)
