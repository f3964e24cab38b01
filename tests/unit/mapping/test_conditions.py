"""Who takes part in a flow, and why not, in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.mapping.conditions import fields_named, holds, reason
from koppel.mapping.flow import Condition
from koppel.model.company import Company, Sbi
from koppel.model.record import Record

CUSTOMER = Record(
    Company(name="De Korenaar", role="customer", is_active=True, employees=1, sbi=(Sbi("10710"), Sbi("4724"))),
    {"Class": "A", "Tags": ["x", "y"], "Flag": 1},
)


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        (Condition(field="is_active", is_=True), True),
        (Condition(field="is_active", is_=False), False),
        (Condition(field="role", in_=("customer", "prospect")), True),
        (Condition(field="role", not_in=("customer",)), False),
        (Condition(field="role", is_not="supplier"), True),
        (Condition(field="phone", filled=False), True),
        (Condition(field="name", filled=True), True),
        (Condition(field="name", is_="De  Korenaar "), True),
        (Condition(field="name", is_="de korenaar"), False),
        (Condition(field="Class", is_="A"), True),
        (Condition(field="Tags", is_="y"), True),
        (Condition(field="sbi.code", in_=("4724",)), True),
        (Condition(field="sbi.code", not_in=("4724",)), False),
        (Condition(any=(Condition(field="role", is_="none"), Condition(field="employees", is_=1))), True),
    ],
)
def test_a_condition_holds_or_not(condition, answer):
    assert holds((condition,), CUSTOMER) is answer
    assert (reason((condition,), CUSTOMER) is None) is answer


def test_a_number_is_no_switch():
    assert not holds((Condition(field="Flag", is_=True),), CUSTOMER)
    assert not holds((Condition(field="is_active", is_=1),), CUSTOMER)


def test_an_empty_value_is_neither_true_nor_false():
    unknown = Record(Company())
    assert not holds((Condition(field="is_active", is_=True),), unknown)
    assert not holds((Condition(field="is_active", is_=False),), unknown)
    assert holds((Condition(field="is_active", is_not=True),), unknown)


def test_conditions_are_anded_and_none_at_all_hold():
    assert holds((), CUSTOMER)
    assert not holds((Condition(field="role", is_="customer"), Condition(field="is_active", is_=False)), CUSTOMER)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (Condition(field="is_active", is_=False), "is_active is true, the flow wants false"),
        (Condition(field="phone", filled=True), "phone is empty, the flow wants filled"),
        (Condition(field="role", in_=("supplier", "none")), "role is customer, the flow wants one of supplier, none"),
        (Condition(field="role", is_not="customer"), "role is customer, the flow wants not customer"),
        (
            Condition(any=(Condition(field="role", is_="none"), Condition(field="phone", filled=True))),
            "none of these holds: role is none or phone is filled",
        ),
    ],
)
def test_the_reason_is_said_in_words(condition, said):
    assert reason((Condition(field="name", filled=True), condition), CUSTOMER) == said


def test_the_fields_looked_at_are_named_once():
    conditions = (
        Condition(field="a", is_=1),
        Condition(any=(Condition(field="b", is_=1), Condition(field="a", is_=2))),
    )
    assert fields_named(conditions) == ("a", "b")


@given(value=st.sampled_from([None, "customer", "prospect", "none"]), wanted=st.sampled_from(["customer", "none"]))
def test_a_test_and_its_denial_never_agree(value, wanted):
    record = Record(Company(role=value))
    assert holds((Condition(field="role", is_=wanted),), record) != holds(
        (Condition(field="role", is_not=wanted),), record
    )
    assert holds((Condition(field="role", in_=(wanted,)),), record) != holds(
        (Condition(field="role", not_in=(wanted,)),), record
    )
