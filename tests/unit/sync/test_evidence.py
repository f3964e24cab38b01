"""What speaks for two records being one thing, how much, and what speaks against it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.model.address import Address
from koppel.model.company import Company
from koppel.model.contact import Contact
from koppel.sync.evidence import (
    FLOOR,
    Likeness,
    blocks,
    compare,
    features,
    kinds_for,
    name_likeness,
    significant,
    sound,
)

HERE = Address(street="Dorpsstraat", number="12", suffix="A", postcode="1034WL", city="Amsterdam")


def likeness(rule: str, one: dict[str, Any], two: dict[str, Any]) -> Likeness | None:
    return compare([rule], features(Company(**one)), features(Company(**two)))


def test_name_and_postcode_propose_with_both_as_reasons():
    found = likeness(
        "name+postcode",
        {"name": "Bakkerij De Korenaar B.V.", "address": HERE},
        {"name": "De Korenaar bakkerij", "address": Address(postcode="1034 wl")},
    )
    assert found is not None
    assert found.score >= 90
    assert found.reasons == (
        "name 100 % alike: Bakkerij De Korenaar B.V. / De Korenaar bakkerij",
        "same postcode 1034WL",
    )


def test_every_part_of_a_rule_must_hold():
    one, two = {"name": "De Korenaar", "address": HERE}, {"name": "De Korenaar", "address": Address(postcode="9999ZZ")}
    assert likeness("name+postcode", one, two) is None
    assert likeness("name", one, two) is not None


@pytest.mark.parametrize("rule", ["city", "postcode", "street", "city+postcode"])
def test_what_neighbours_share_is_too_little_by_itself(rule: str):
    assert likeness(rule, {"address": HERE}, {"address": HERE}) is None


@pytest.mark.parametrize(
    ("rule", "field", "one", "two"),
    [
        ("phone", "phone", "020-123 45 67", "+31 (0)20 1234567"),
        ("phone", "phone", "0031201234567", "020 1234567 tst 12"),
        ("email", "email", "Info@Korenaar.example", " info@korenaar.example"),
        ("email_domain", "email", "info@korenaar.example", "jan@Korenaar.example"),
        ("website", "website", "https://www.korenaar.example/contact", "korenaar.example"),
    ],
)
def test_spelling_is_no_difference(rule: str, field: str, one: str, two: str):
    assert likeness(rule, {field: one}, {field: two}) is not None


@pytest.mark.parametrize("domain", ["gmail.com", "ziggo.nl", "kpnmail.nl", "live.nl", "hotmail.com"])
def test_where_anybody_may_have_an_address_is_no_evidence(domain: str):
    assert likeness("email_domain", {"email": f"korenaar@{domain}"}, {"email": f"jan@{domain}"}) is None
    assert likeness("email", {"email": f"korenaar@{domain}"}, {"email": f"korenaar@{domain}"}) is not None


@pytest.mark.parametrize("field", ["kvk", "rsin", "vat_number"])
def test_numbers_that_contradict_exclude_everything_else(field: str):
    same = {"name": "De Korenaar", "address": HERE, "phone": "0201234567", "email": "info@korenaar.example"}
    assert likeness("name+postcode", same | {field: "00000019"}, same | {field: "00000027"}) is None
    assert likeness("name+postcode", same | {field: "00000019"}, same) is not None


def test_one_number_that_is_the_same_does_not_outweigh_another_that_contradicts():
    one = {"name": "De Korenaar", "address": HERE, "kvk": "00000019", "vat_number": "NL1"}
    assert likeness("name+postcode", one, one) is not None
    assert likeness("name+postcode", one, one | {"vat_number": "NL2"}) is None


def test_the_register_candidate_for_a_vat_number_contradicts_nothing_the_confirmed_one_says():
    one = {"name": "De Korenaar", "address": HERE, "vat_number": "NL1", "vat_candidate": "NL2"}
    assert likeness("name+postcode", one, {"name": "De Korenaar", "address": HERE, "vat_number": "NL2"}) is not None


def test_names_that_have_nothing_in_common_speak_against_a_shared_building():
    one, two = {"name": "Zuivel Noord", "address": HERE}, {"name": "Garage Bakker", "address": HERE}
    assert likeness("street+postcode", {"address": HERE}, {"address": HERE}) is not None
    assert likeness("street+postcode", one, two) is None


def test_a_trade_name_meets_a_statutory_name():
    one = {"name": "Jansen Beheer B.V.", "trade_name": "Café Het Hoekje", "address": HERE}
    assert likeness("name+postcode", one, {"name": "Cafe 't Hoekje", "address": HERE}) is not None


def test_people_are_compared_by_their_whole_name():
    one = features(Contact(first_name="Anna", prefix="de", last_name="Vries", mobile="0612345678"))
    two = features(Contact(first_name="A.", last_name="de Vries", phone="+31612345678"))
    assert compare(["name+phone"], one, two) is not None


def test_more_evidence_never_lowers_the_score():
    one, two = {"name": "De Korenaar", "address": HERE}, {"name": "De Korenaer", "address": HERE}
    less, more = (
        likeness("name+postcode", one, two),
        likeness("name+postcode", one | {"phone": "0201234567"}, two | {"phone": "0201234567"}),
    )
    assert less is not None
    assert more is not None
    assert FLOOR <= less.score < more.score <= 99


def test_the_words_that_tell_a_name_apart():
    assert significant("Stichting De Vrienden van het Bos") == ("vrienden", "bos")
    assert significant("B.V.") == ("bv",)
    assert significant("V.O.F. Jansen & Zn. (inkoop)") == ("jansen", "zn")
    assert significant("Café Crème") == ("cafe", "creme")


def test_a_part_of_a_name_is_much_and_a_different_word_is_not():
    assert name_likeness("De Korenaar", "Bakkerij De Korenaar") > 70
    assert name_likeness("Jansen Bouw", "Jansen Catering") < 70


@pytest.mark.parametrize(
    ("one", "two"), [("kruidenier", "kruydenier"), ("bakker", "baker"), ("Visser".lower(), "visscher"[:3] + "ser")]
)
def test_spellings_that_sound_alike_fall_in_one_block(one: str, two: str):
    assert sound(one) == sound(two)


def test_of_each_rule_only_its_rarest_part_is_looked_up():
    assert kinds_for(["name+postcode", "email_domain+name", "phone", "city"]) == ("postcode", "email_domain", "phone")
    found = features(Company(name="De Korenaar", phone="0201234567", address=HERE))
    assert blocks(found, kinds_for(["name+postcode", "phone"])) == (("postcode", "1034WL"), ("phone", "201234567"))


NAMES = st.text(alphabet="abcdefgh &.'-", max_size=20)
COMPANIES = st.builds(
    Company,
    name=NAMES,
    phone=st.sampled_from([None, "0201234567", "0301234567"]),
    email=st.sampled_from([None, "a@x.example", "b@x.example", "@", "a@b"]),
    address=st.sampled_from([None, HERE, Address(postcode="9999ZZ"), Address(po_box="12", city="Ede")]),
)
RULES = ("name+postcode", "email_domain", "phone+name", "street+city", "name")


@given(COMPANIES, COMPANIES)
def test_likeness_does_not_depend_on_who_is_asked(one: Company, two: Company):
    mine, theirs = features(one), features(two)
    found, mirrored = compare(RULES, mine, theirs), compare(RULES, theirs, mine)
    assert (found and found.score) == (mirrored and mirrored.score)
    assert found is None or FLOOR <= found.score <= 99


@given(COMPANIES, COMPANIES)
def test_whoever_is_proposed_shares_a_block_unless_only_the_name_speaks(one: Company, two: Company):
    rules = [rule for rule in RULES if rule != "name"]
    mine, theirs = features(one), features(two)
    if compare(rules, mine, theirs) is not None:
        kinds = kinds_for(rules)
        assert {*blocks(mine, kinds)} & {*blocks(theirs, kinds)}
