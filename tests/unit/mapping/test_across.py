"""Flows of one workspace together: one writer per field, no circles, every id once (law 11)."""

from __future__ import annotations

import pytest

from koppel.mapping.across import check_flows
from koppel.mapping.flow import Condition, Endpoint, FieldRule, Flow, Scope


def flow(name: str, left: str, right: str, *rules: FieldRule, scope: Scope | None = None) -> Flow:
    return Flow(
        id=name,
        title=name,
        entity="company",
        left=Endpoint(left, "r"),
        right=Endpoint(right, "r"),
        fields=rules,
        scope=scope or Scope(),
    )


def found(*flows: Flow):
    return [(problem.file, problem.code, problem.line) for problem in check_flows({f"{f.id}.toml": f for f in flows})]


def only(field: str, *values: str) -> Scope:
    return Scope(right=(Condition(field=field, in_=values),))


def test_flows_that_keep_out_of_each_others_way_are_silent():
    one = flow("one", "a", "b", FieldRule("name", line=1), FieldRule("phone", owner="newest", line=2))
    two = flow("two", "b", "c", FieldRule("name", line=1))
    three = flow("three", "a", "c", FieldRule("kvk", line=1))
    assert found(one, two, three) == []


def test_an_id_stands_once():
    one = flow("one", "a", "b", FieldRule("name"))
    problems = check_flows({"a.toml": one, "b.toml": flow("one", "c", "d", FieldRule("name"))})
    assert [(problem.file, problem.code) for problem in problems] == [("b.toml", "duplicate-id")]
    assert "a.toml" in problems[0].message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FieldRule("name", line=3), FieldRule("name", line=4)),
        (FieldRule("address", line=3), FieldRule("address.city", line=4)),
        (FieldRule("name", line=3), FieldRule("name", owner="newest", line=4)),
        (
            FieldRule("Remarks", side="right", source="code", line=3),
            FieldRule("Remarks", side="right", const="x", line=4),
        ),
    ],
)
def test_two_flows_that_write_one_field_are_refused(first, second):
    problems = found(flow("one", "a", "z", first), flow("two", "b", "z", second))
    assert problems == [("two.toml", "second-writer", 4)]


def test_the_side_matters_not_left_or_right():
    """The same connection is the right of one flow and the left of another."""
    one = flow("one", "a", "z", FieldRule("name", line=3))
    two = flow("two", "z", "b", FieldRule("name", owner="right", line=4))
    assert found(one, two) == [("two.toml", "second-writer", 4)]


def test_a_value_given_at_creation_is_nobodys_afterwards():
    one = flow("one", "a", "z", FieldRule("name"))
    two = flow("two", "b", "z", FieldRule("name", when="create"))
    assert found(one, two) == []


def test_flows_with_scopes_that_never_meet_may_write_one_field():
    one = flow("one", "a", "z", FieldRule("name"), scope=only("role", "customer"))
    two = flow("two", "b", "z", FieldRule("name"), scope=only("role", "prospect", "none"))
    three = flow("three", "c", "z", FieldRule("name", line=7), scope=only("role", "customer", "suspect"))
    assert found(one, two) == []
    assert found(one, three) == [("three.toml", "second-writer", 7)]


def test_a_list_can_hold_both_values_so_its_scopes_do_meet():
    one = flow("one", "a", "z", FieldRule("name"), scope=only("sbi.code", "1"))
    two = flow("two", "b", "z", FieldRule("name", line=7), scope=only("sbi.code", "2"))
    assert found(one, two) == [("two.toml", "second-writer", 7)]


def test_a_circle_of_three_is_found_once():
    circle = (
        flow("one", "a", "b", FieldRule("phone", line=1)),
        flow("two", "b", "c", FieldRule("phone", line=2)),
        flow("three", "c", "a", FieldRule("phone", line=3)),
    )
    problems = check_flows({f"{f.id}.toml": f for f in circle})
    assert [problem.code for problem in problems] == ["ownership-cycle"]
    assert "a:r → b:r → c:r → a:r" in problems[0].message


def test_a_circle_through_a_vendors_own_field_is_found():
    one = flow("one", "a", "b", FieldRule("Remarks", side="right", source="phone", line=1))
    two = flow("two", "b", "a", FieldRule("phone", owner="left", line=2))
    three = flow("three", "b", "a", FieldRule("phone", side="right", source="Remarks", line=3))
    assert found(one, two) == []
    assert ("one.toml", "ownership-cycle", 1) in found(one, three)


def test_a_circle_of_three_flows_by_way_of_a_made_field_is_found():
    """The phone goes through a vendor's own field, under another name, and comes back as what it was."""
    circle = (
        flow("one", "a", "b", FieldRule("Remarks", side="right", source="phone", transform="cut:20", line=1)),
        flow("two", "b", "c", FieldRule("phone", side="right", source="Remarks", line=2)),
        flow("three", "c", "a", FieldRule("phone", line=3)),
    )
    assert [code for _, code, _ in found(*circle)] == ["ownership-cycle"]
    assert found(*circle[:2]) == []


def test_a_circle_of_five_flows_is_found_whatever_their_order_and_none_when_one_gives_it_only_at_creation():
    ends = "abcde"
    flows = [flow(end, end, ends[(i + 1) % 5], FieldRule("phone", line=1)) for i, end in enumerate(ends)]
    assert [code for _, code, _ in found(*flows[::-1])] == ["ownership-cycle"]
    flows[3] = flow("d", "d", "e", FieldRule("phone", when="create"))
    assert found(*flows) == []


def test_two_flows_that_hand_a_field_to_and_fro_are_a_circle():
    one = flow("one", "a", "b", FieldRule("name", line=1))
    two = flow("two", "b", "a", FieldRule("name", line=2))
    assert found(one, two) == [("one.toml", "ownership-cycle", 1)]


def test_a_chain_and_a_two_way_flow_are_no_circle():
    one = flow("one", "a", "b", FieldRule("name"))
    two = flow("two", "c", "d", FieldRule("name", owner="newest"))
    three = flow("three", "b", "e", FieldRule("name"))
    assert found(one, two, three) == []
