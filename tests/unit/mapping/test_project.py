"""What each side of a flow shows, per rule: comparable with the other side, and never a guess."""

from __future__ import annotations

import pytest

from koppel.mapping.flow import Endpoint, FieldRule, Flow, Match
from koppel.mapping.paths import MATCH_KEYS, canonical_paths, look_up
from koppel.mapping.project import incoming, match_values, own_fields, project, values
from koppel.mapping.read import read_flow
from koppel.mapping.transforms import with_own
from koppel.model.address import Address
from koppel.model.company import Company, Sbi
from koppel.model.problem import Problem
from koppel.model.record import Record
from koppel.model.versions import ENTITIES

KORENAAR = Company(
    name="Bakkerij De Korenaar B.V.",
    kvk="68750110",
    branch="000037178598",
    rsin="857587973",
    vat_number="NL857587973B01",
    vat_candidate="NL857587973B01",
    legal_form="BV",
    sbi=(Sbi("4724", "Winkels in brood"), Sbi("10710", "Vervaardiging van brood", main=True)),
    is_active=True,
    address=Address(street="Dorpsstraat", number="12", postcode="1034WL", city="Amsterdam", country="NL"),
)


def flow_of(*rules: FieldRule, tables=None, match=None):
    return Flow(
        id="f",
        title="F",
        entity="company",
        left=Endpoint("a", "one"),
        right=Endpoint("b", "two"),
        fields=rules,
        tables=tables or {},
        match=match or Match(),
    )


def test_a_field_of_both_sides_is_shown_as_it_stands():
    flow = flow_of(FieldRule("name"), FieldRule("address"), FieldRule("address.city", owner="ask"))
    assert project(flow, "left", Record(KORENAAR)) == {
        "name": "Bakkerij De Korenaar B.V.",
        "address": {
            "street": "Dorpsstraat",
            "number": "12",
            "postcode": "1034WL",
            "city": "Amsterdam",
            "country": "NL",
        },
        "address.city": "Amsterdam",
    }


def test_blank_is_none_whatever_its_shape():
    empty = Record(Company(name="  ", sbi=(), address=Address(country="NL")), {"Remarks": ""})
    flow = flow_of(
        FieldRule("name"), FieldRule("sbi"), FieldRule("address"), FieldRule("Remarks", side="right", source="code")
    )
    assert project(flow, "right", empty) == {"name": None, "sbi": None, "address": None, "right:Remarks": None}


def test_a_switch_that_is_off_is_not_blank():
    flow = flow_of(FieldRule("is_active"), FieldRule("personal"))
    assert project(flow, "left", Record(Company(is_active=False))) == {"is_active": False, "personal": False}


def test_nothing_of_a_shielded_address_is_shown():
    """Rule B3, whichever part is asked for, even if a codec left it in."""
    hidden = Record(Company(address=Address(street="Dorpsstraat", city="Amsterdam", country="NL", shielded=True)))
    flow = flow_of(
        FieldRule("address"),
        FieldRule("address.city"),
        FieldRule("Remarks", side="right", source="address", transform="one_line"),
    )
    assert set(project(flow, "left", hidden).values()) == {None}


def test_a_one_sided_rule_compares_the_made_value_with_the_vendors_own_field():
    rule = FieldRule("Remarks", side="right", source="legal_form", table="forms")
    flow = flow_of(rule, tables={"forms": {"BV": "Besloten vennootschap"}})
    right = Record(KORENAAR, {"Remarks": "Besloten vennootschap"})
    assert (
        project(flow, "left", Record(KORENAAR))
        == project(flow, "right", right)
        == {"right:Remarks": "Besloten vennootschap"}
    )


def test_a_rule_of_the_left_alone_is_made_from_the_right():
    flow = flow_of(FieldRule("Note", side="left", owner="right", source="code", transform="lower"))
    assert project(flow, "right", Record(Company(code="AB"))) == {"left:Note": "ab"}
    assert project(flow, "left", Record(Company(code="AB"), {"Note": "zz"})) == {"left:Note": "zz"}


def test_a_one_sided_rule_may_name_one_of_our_own_fields():
    flow = flow_of(FieldRule("role", side="right", const="customer"))
    assert project(flow, "left", Record(Company())) == {"right:role": "customer"}
    assert project(flow, "right", Record(Company(role="prospect"))) == {"right:role": "prospect"}


def test_a_translated_field_of_both_sides_is_translated_on_its_owners_side_only():
    flow = flow_of(FieldRule("legal_form", owner="left", table="forms"), tables={"forms": {"BV": "B.V."}})
    assert project(flow, "left", Record(KORENAAR)) == {"legal_form": "B.V."}
    assert project(flow, "right", Record(KORENAAR)) == {"legal_form": "BV"}


def test_a_constant_is_the_same_for_every_record():
    flow = flow_of(FieldRule("Status", side="right", const="C"), FieldRule("Off", side="right", const=False))
    assert project(flow, "left", Record(Company())) == {"right:Status": "C", "right:Off": False}


def test_a_code_without_a_line_in_the_table_is_left_out_and_named():
    flow = flow_of(
        FieldRule("Remarks", side="right", source="legal_form", table="forms"), FieldRule("name"), tables={"forms": {}}
    )
    shown, problems = values(flow, "left", Record(KORENAAR))
    assert shown == {"name": KORENAAR.name}
    assert [(problem.code, problem.field) for problem in problems] == [("unmapped", "right:Remarks")]
    assert "'BV'" in problems[0].text


def test_an_empty_code_is_empty_and_needs_no_line():
    flow = flow_of(FieldRule("Remarks", side="right", source="legal_form", table="forms"), tables={"forms": {}})
    assert values(flow, "left", Record(Company())) == ({"right:Remarks": None}, ())


def test_switches_and_numbers_are_found_in_a_table_by_how_they_are_written():
    flow = flow_of(
        FieldRule("A", side="right", source="is_active", table="t"),
        FieldRule("B", side="right", source="employees", table="t"),
        tables={"t": {"true": "J", "5": "five"}},
    )
    assert project(flow, "left", Record(Company(is_active=True, employees=5))) == {"right:A": "J", "right:B": "five"}


def test_a_default_stands_for_the_owners_empty_value_only():
    flow = flow_of(FieldRule("phone", owner="left", default="unknown"))
    assert project(flow, "left", Record(Company())) == {"phone": "unknown"}
    assert project(flow, "left", Record(Company(phone="1"))) == {"phone": "1"}
    assert project(flow, "right", Record(Company())) == {"phone": None}


def test_a_table_comes_before_the_transform():
    rule = FieldRule("X", side="right", source="legal_form", table="forms", transform="upper")
    assert incoming(flow_of(rule, tables={"forms": {"BV": "besloten"}}), rule, "left", Record(KORENAAR)) == "BESLOTEN"


def test_a_value_that_cannot_be_transformed_is_a_problem_of_its_field():
    rule = FieldRule("X", side="right", source="phone", transform="phone_e164")
    found = incoming(flow_of(rule), rule, "left", Record(Company(phone="call me")))
    assert isinstance(found, Problem)
    assert (found.code, found.field) == ("transform_failed", "right:X")


def test_a_customers_own_transform_that_crashes_stops_no_run():
    def crash(value: object) -> object:
        raise KeyError(value)

    rule = FieldRule("X", side="right", source="name", transform="mine")
    shown, problems = values(flow_of(rule), "left", Record(KORENAAR), transforms=with_own({"mine": crash}))
    assert shown == {}
    assert problems[0].field == "right:X"
    assert "KeyError" in problems[0].text


def test_a_whole_record_transform_sees_the_company_without_its_vat_candidate():
    """Rule B4: what is derived from the RSIN is not written, by no way round."""
    seen: list[set[str]] = []

    def spy(record: dict[str, object]) -> str:
        seen.append(set(record))
        return "x"

    from koppel.mapping.transforms import Transform

    rule = FieldRule("X", side="right", transform="spy")
    own = with_own({"spy": Transform(name="spy", function=spy, takes="record")})
    assert incoming(flow_of(rule), rule, "left", Record(KORENAAR), transforms=own) == "x"
    assert "vat_number" in seen[0]
    assert "vat_candidate" not in seen[0]


def test_own_fields_are_what_the_flow_reads_or_writes_of_that_vendor():
    text = """
koppel = 1
id = "x"
title = "X"
entity = "company"
left = "a:one"
right = "b:two"
[scope]
right = [{ any = [{ field = "Blocked", is = false }, { field = "role", is = "customer" }] }]
[fields]
name = { owner = "left" }
"right:Remarks" = { from = "legal_form" }
"right:Fax" = { from = "FaxNumber" }
"right:role" = { const = "customer" }
"left:Note" = { from = "SearchCode" }
"""
    flow, problems = read_flow(text, file="f")
    assert flow is not None, problems
    assert own_fields(flow, "right") == ("Remarks", "Fax", "SearchCode", "Blocked")
    assert own_fields(flow, "left") == ("FaxNumber", "Note")


def test_match_values_are_the_flows_kinds_in_the_flows_order():
    flow = flow_of(match=Match(keys=("vat", "kvk")))
    assert match_values(flow, Record(KORENAAR)) == (("vat", "NL857587973B01"), ("kvk", "68750110"))


def test_the_listed_match_keys_are_those_the_entity_answers():
    kinds = {kind for kind, _ in KORENAAR.match_keys()}
    assert kinds == set(MATCH_KEYS["company"])
    for paths in MATCH_KEYS["company"].values():
        assert set(paths) <= canonical_paths("company")
    assert MATCH_KEYS.keys() == ENTITIES.keys()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("sbi.code", ["4724", "10710"]),
        ("sbi.nothing", None),
        ("name.first", None),
        ("address.street", "Dorpsstraat"),
        ("invoice_address.city", None),
    ],
)
def test_a_path_leads_into_structs_and_lists(path, shown):
    assert look_up(Record(KORENAAR), path) == shown
