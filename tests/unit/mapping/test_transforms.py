"""Each transform of the closed list: what it gives, and what it refuses rather than guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.mapping.countries import country_code, country_name
from koppel.mapping.transforms import TRANSFORMS, Transform, apply, resolve, with_own
from koppel.model.kinds import KINDS
from koppel.model.problem import UsageError

ADDRESS = {
    "street": "Dorpsstraat",
    "number": "12",
    "suffix": "A",
    "postcode": "1034WL",
    "city": "Amsterdam",
    "country": "NL",
}
SBI = [{"code": "4724", "text": "Winkels in brood"}, {"code": "10710", "text": "Vervaardiging van brood", "main": True}]


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("upper", "de Korenaar", "DE KORENAAR"),
        ("lower", "INFO@Korenaar.example", "info@korenaar.example"),
        ("title", "VAN DER VEEN BV", "Van der Veen Bv"),
        ("title", "ijsselmeer-noord", "IJsselmeer-noord"),
        ("title", "anne-marie de wit", "Anne-Marie de Wit"),
        ("trim", "  De   Korenaar ", "De Korenaar"),
        ("digits", "KVK 6875 0110", "68750110"),
        ("digits", "none", None),
        ("first_word", " De Korenaar", "De"),
        ("cut:9", "De Korenaar", "De Korena"),
        ("cut:3", "De Korenaar", "De"),
        ("text", True, "true"),
        ("text", 12, "12"),
        ("country_code", "België", "BE"),
        ("country_code", "nl", "NL"),
        ("country_name", "DE", "Duitsland"),
        ("phone_e164", "020-123 45 67", "+31201234567"),
        ("date_only", "2026-11-01T23:30:00Z", "2026-11-01"),
        ("legal_form_short", "BeslotenVennootschap", "BV"),
        ("legal_form_short", "Besloten Vennootschap", "BV"),
        ("legal_form_short", "v.o.f.", "VOF"),
        ("legal_form_long", "BV", "Besloten vennootschap"),
        ("join_lines", ADDRESS, "Dorpsstraat 12 A\n1034 WL Amsterdam"),
        (
            "join_lines",
            {"lines": ["1 High Street"], "city": "Dover", "country": "GB"},
            "1 High Street\nDover\nVerenigd Koninkrijk",
        ),
        ("one_line", ADDRESS, "Dorpsstraat 12 A, 1034 WL Amsterdam"),
        ("one_line", "a\nb", "a, b"),
        ("one_line", {"country": "NL"}, None),
        ("join_words", ["a", "b"], "a, b"),
        (
            "legal_form_and_sbi",
            {"legal_form": "BV", "sbi": SBI},
            "Besloten vennootschap; SBI 10710 Vervaardiging van brood",
        ),
        ("legal_form_and_sbi", {"legal_form": "Rederij"}, "Rederij"),
        ("legal_form_and_sbi", {"sbi": [{"code": "10710"}]}, "SBI 10710"),
        ("legal_form_and_sbi", {}, None),
    ],
)
def test_a_transform_gives(name, value, result):
    assert apply(name, value, TRANSFORMS) == result


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("upper", {"a": 1}),
        ("country_code", "Atlantis"),
        ("country_name", "QQ"),
        ("phone_e164", "12"),
        ("date_only", "2018-03"),
        ("date_only", "yesterday"),
        ("legal_form_short", "Kapitaalvennootschap op afstand"),
        ("join_lines", {"street": 1}),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_not_guessed(name, value):
    with pytest.raises(ValueError, match=r"\w"):
        apply(name, value, TRANSFORMS)


@pytest.mark.parametrize("name", ["uper", "cut", "cut:0", "cut:x", "cut:-1", "upper:2"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="transform"):
        resolve(name, TRANSFORMS)


def test_every_transform_says_what_it_does_in_both_languages_and_gives_a_known_kind():
    for name, transform in TRANSFORMS.items():
        assert transform.name == name
        assert transform.en
        assert transform.nl
        assert {transform.gives, *transform.accepts} <= KINDS


@given(value=st.text(min_size=1), name=st.sampled_from(["upper", "trim", "digits", "cut:5", "text"]))
def test_doing_it_twice_changes_nothing(value, name):
    """Otherwise a value read back would look like an edit."""
    once = apply(name, value, TRANSFORMS)
    if once:
        assert apply(name, once, TRANSFORMS) == once


def test_a_customers_own_stand_beside_the_list():
    ours = Transform(name="whole", function=len, takes="record", gives="int")
    found = with_own({"shout": lambda value: f"{value}!", "whole": ours})
    assert apply("shout", "hi", found) == "hi!"
    assert found["whole"] is ours
    assert found.keys() > TRANSFORMS.keys()


def test_a_customers_own_cannot_take_the_place_of_one_of_ours():
    with pytest.raises(UsageError, match="upper"):
        with_own({"upper": str})


def test_every_country_is_found_by_the_name_that_is_given_back():
    for code in ("NL", "BE", "DE", "CH", "CW", "TR"):
        assert country_code(country_name(code)) == code
