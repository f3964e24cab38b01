"""Which flow goes before which, and what `check` says of flows that name each other's records."""

from __future__ import annotations

from itertools import permutations

import pytest

from koppel.mapping.flow import Endpoint, FieldRule, Flow
from koppel.mapping.order import check_order, dependencies, in_order
from koppel.mapping.references import references_of
from koppel.model.can import Can, Field

CUSTOMER = Field(path="customer", kind="ref", required=True, refs=(("", "customers"),))
LINES = Field(path="lines", kind="lines", refs=(("product", "products"),))
COMPANY = Field(path="company", kind="ref", refs=(("", "customers"),))
PARENT = Field(path="Parent", kind="ref", own=True, refs=(("", "customers"),))
MAIN = Field(path="Main", kind="ref", own=True, refs=(("", "contacts"),))
PLAIN = Field(path="customer")
OWN = FieldRule("Main", side="right", source="Main", line=4)


def flow(name: str, *rules: FieldRule, turned: bool = False, creates: bool = True) -> Flow:
    ends = (Endpoint("crm", name), Endpoint("shop", name))
    left, right = reversed(ends) if turned else ends
    return Flow(name, name, "company", left, right, rules, create_right=creates)


def can(*fields: Field) -> dict:
    both = Can(create=True, update=True, fields=fields)
    return {"left": both, "right": both}


def world(*flows: Flow, **fields) -> tuple[dict, dict]:
    return {each.id: each for each in flows}, {each.id: can(*fields.get(each.id, ())) for each in flows}


def told(flows, cans):
    return [(p.file, p.line, p.code, p.severity) for p in check_order(flows, cans)]


ORDERS = flow("orders", FieldRule("customer", line=2), FieldRule("lines", line=3))
FOUR = world(
    ORDERS,
    flow("contacts", FieldRule("company", line=2)),
    flow("customers", turned=True),
    flow("products"),
    orders=(CUSTOMER, LINES),
    contacts=(COMPANY,),
)


def test_what_is_named_goes_first_whatever_order_the_flows_are_given_in():
    flows, cans = FOUR
    orders = {in_order({name: flows[name] for name in names}, cans) for names in permutations(flows)}
    assert orders == {("customers", "contacts", "products", "orders")}


def test_a_flow_that_faces_the_other_way_joins_the_same_records():
    assert [(d.flow, d.on, d.rule.key) for d in dependencies(*FOUR)] == [
        ("contacts", "customers", "company"),
        ("orders", "customers", "customer"),
        ("orders", "products", "lines"),
    ]
    assert told(*FOUR) == []


def test_a_rule_is_a_reference_when_both_sides_name_records_and_its_value_is_not_made():
    (both,) = references_of(ORDERS, can(CUSTOMER)["left"], can(CUSTOMER)["right"])["customer"]
    assert (both.path, both.left, both.right) == ("", "customers", "customers")
    assert references_of(ORDERS, can(CUSTOMER)["left"], can(PLAIN)["right"]) == {}
    made = flow("orders", FieldRule("customer", table="customers"))
    assert references_of(made, can(CUSTOMER)["left"], can(CUSTOMER)["right"]) == {}
    other = flow("orders", FieldRule("Debtor", side="right", source="customer"))
    debtor = Field(path="Debtor", own=True, refs=(("", "accounts"),))
    assert references_of(other, can(CUSTOMER)["left"], can(debtor)["right"])["right:Debtor"][0].right == "accounts"


def test_flows_that_need_each_other_are_a_circle():
    flows, cans = world(
        flow("contacts", FieldRule("company", line=2)), flow("customers", OWN), contacts=(COMPANY,), customers=(MAIN,)
    )
    (problem,) = check_order(flows, cans)
    assert (problem.file, problem.line, problem.code, problem.severity) == ("contacts", 2, "dependency-cycle", "error")
    assert "contacts → customers → contacts" in problem.message
    assert 'when = "update"' in problem.suggestion
    assert set(in_order(flows, cans)) == {"contacts", "customers"}


def test_a_circle_of_three_flows_is_said_once():
    fields = {
        "a": Field(path="x", refs=(("", "b"),)),
        "b": Field(path="x", refs=(("", "c"),)),
        "c": Field(path="x", refs=(("", "a"),)),
    }
    flows, cans = world(
        *(flow(name, FieldRule("x", line=5)) for name in "abc"), **{name: (f,) for name, f in fields.items()}
    )
    (problem,) = check_order(flows, cans)
    assert "a → b → c → a" in problem.message


def test_a_reference_written_later_or_by_a_flow_that_makes_nothing_closes_no_circle():
    later = FieldRule("Main", side="right", source="Main", when="update")
    contacts = flow("contacts", FieldRule("company"))
    for customers in (flow("customers", later), flow("customers", OWN, creates=False)):
        flows, cans = world(contacts, customers, contacts=(COMPANY,), customers=(MAIN,))
        assert told(flows, cans) == []
        assert in_order(flows, cans) == ("customers", "contacts")


def test_what_is_only_written_later_does_not_turn_the_order_round():
    main = Field(path="Main", kind="ref", own=True, refs=(("", "people"),))
    later = FieldRule("Main", side="right", source="Main", when="update")
    flows, cans = world(
        flow("customers", later), flow("people", FieldRule("company")), people=(COMPANY,), customers=(main,)
    )
    assert in_order(flows, cans) == ("customers", "people")


def test_a_flow_may_name_its_own_records():
    parent = FieldRule("Parent", side="right", source="Parent")
    flows, cans = world(flow("customers", parent), customers=(PARENT,))
    assert told(flows, cans) == []
    assert in_order(flows, cans) == ("customers",)


@pytest.mark.parametrize(("creates", "severity"), [(True, "error"), (False, "warning")])
def test_a_reference_that_no_flow_can_translate_is_said(creates, severity):
    flows, cans = world(flow("orders", FieldRule("customer", line=2), creates=creates), orders=(CUSTOMER,))
    assert told(flows, cans) == [("orders", 2, "unlinked-reference", severity)]
    flows["customers"], cans["customers"] = flow("customers"), can()
    assert told(flows, cans) == []


def test_a_reference_that_is_not_required_only_warns():
    flows, cans = world(flow("contacts", FieldRule("company", line=2)), contacts=(COMPANY,))
    assert told(flows, cans) == [("contacts", 2, "unlinked-reference", "warning")]


def test_an_id_is_not_carried_into_a_field_that_names_nobody():
    flows = {"orders": ORDERS, "customers": flow("customers")}
    cans = {"orders": {"left": can(CUSTOMER)["left"], "right": can(PLAIN)["right"]}, "customers": can()}
    assert told(flows, cans) == [("orders", 2, "unlinked-reference", "error")]
    chosen = flow("orders", FieldRule("Klant", side="right", source="customer"))
    cans["orders"]["right"] = can(Field(path="Klant", own=True))["right"]
    assert told({"orders": chosen, "customers": flow("customers")}, cans) == []


def test_a_flow_whose_ends_are_unknown_has_no_place_in_the_order_but_runs():
    assert in_order({"orders": ORDERS, "alone": flow("alone")}, {}) == ("alone", "orders")
