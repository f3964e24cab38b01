"""A question is read the same in both spellings, and no question whatever brings the reader down."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.systems.afas.sandbox_filter import Condition, QueryError, compile_filter, moment, parse

TYPES = {"Name": "string", "Number": "int", "Amount": "decimal", "Blocked": "boolean", "Changed": "date"}
ROW: dict[str, Any] = {"Name": "Bakkerij Zoë", "Number": 12, "Amount": 12.5, "Blocked": False, "Changed": 1_000}
NONE = dict.fromkeys(TYPES)


def holds(field: str, operator: int, value: str, row: dict[str, Any] = ROW) -> bool:
    groups = parse({"filterfieldids": field, "filtervalues": value, "operatortypes": str(operator)})
    return compile_filter(groups, TYPES).matches(row)


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        (1, "bakkerij zoë", True),
        (1, "bakkerij", False),
        (2, "bakkerij zoë", True),
        (2, "c", False),
        (3, "a", False),
        (3, "bakkerij zoë", True),
        (4, "bakkerij", True),
        (4, "bakkerij zoë", False),
        (5, "c", True),
        (5, "bakkerij zoë", False),
        (6, "KERIJ", True),
        (6, "%kerij%", True),
        (6, "slager", False),
        (7, "slager", True),
        (7, "bakkerij zoë", False),
        (7, "%kerij%", False),
        (7, "%slager%", True),
        (7, "bak%zoë", False),
        (7, "bak%zo", True),
        (8, "", False),
        (8, "[is leeg]", False),
        (9, "null", True),
        (10, "bak", True),
        (10, "bak%", True),
        (10, "kerij", False),
        (11, "slager", True),
        (11, "%kerij%", False),
        (12, "kerij", True),
        (12, "bak%", False),
        (13, "zoë", True),
        (13, "%bakkerij", False),
        (14, "bak", True),
        (14, "%zoë", False),
        (15, "zoë", True),
    ],
)
def test_every_operator_on_text(operator, value, expected):
    assert holds("Name", operator, value) is expected


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("Number", 1, "12", True),
        ("Number", 2, "13", False),
        ("Number", 3, "12.0", True),
        ("Number", 6, "2", True),
        ("Amount", 4, "12.49", True),
        ("Amount", 5, "12.5", False),
        ("Amount", 7, "12.50", False),
        ("Blocked", 1, "false", True),
        ("Blocked", 1, "0", True),
        ("Blocked", 7, "1", True),
        ("Changed", 2, "1970-01-01T00:00:01", True),
        ("Changed", 4, "1970-01-01T00:00:01", False),
        ("Changed", 5, "1970-01-02", True),
    ],
)
def test_operators_on_other_types(field, operator, value, expected):
    assert holds(field, operator, value) is expected


@pytest.mark.parametrize("operator", [1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15])
def test_an_empty_field_answers_only_the_operators_for_emptiness(operator):
    assert not holds("Name", operator, "a", NONE)
    assert holds("Name", 8, "", NONE)
    assert not holds("Name", 9, "", NONE)


def test_comma_is_and_and_semicolon_is_or():
    query = {"filterfieldids": "Name,Number;Blocked", "filtervalues": "bak,99;0", "operatortypes": "10,1;1"}
    assert parse(query) == (
        (Condition("Name", 10, "bak"), Condition("Number", 1, "99")),
        (Condition("Blocked", 1, "0"),),
    )
    assert compile_filter(parse(query), TYPES).matches(ROW)


@pytest.mark.parametrize("as_list", [True, False])
def test_the_json_form_may_use_arrays_or_single_objects(as_list):
    field: Any = {"@FieldId": "Name", "@OperatorType": "1", "#text": "a,b;c"}
    group: Any = {"@FilterId": "Filter 1", "Field": [field] if as_list else field}
    text = json.dumps({"Filters": {"Filter": [group] if as_list else group}})
    assert parse({"filterjson": text}) == ((Condition("Name", 1, "a,b;c"),),)


def test_several_filters_in_json_are_or_and_fields_are_and():
    one = {"@FieldId": "Number", "@OperatorType": 1, "#text": 12}
    two = {"@FieldId": "Blocked", "@OperatorType": "1", "#text": True}
    three = {"@FieldId": "Name", "@OperatorType": "8"}
    groups = parse({"filterjson": json.dumps({"Filters": {"Filter": [{"Field": [one, two]}, {"Field": three}]}})})
    assert [len(group) for group in groups] == [2, 1]
    assert not compile_filter(groups, TYPES).matches(ROW)
    assert compile_filter(groups, TYPES).matches(NONE)


@pytest.mark.parametrize(
    "query",
    [
        {"filterfieldids": "Name", "filtervalues": "a,b", "operatortypes": "1"},
        {"filterfieldids": "Name,Number", "filtervalues": "a;1", "operatortypes": "1,1"},
        {"filterfieldids": "Name", "filtervalues": "a"},
        {"filterfieldids": "Name", "filtervalues": "a", "operatortypes": "16"},
        {"filterfieldids": "Name", "filtervalues": "a", "operatortypes": "x"},
        {"filtervalues": "a", "operatortypes": "1"},
        {"filterfieldids": "Number", "filtervalues": "twelve", "operatortypes": "1"},
        {"filterfieldids": "Blocked", "filtervalues": "yes", "operatortypes": "1"},
        {"filterfieldids": "Changed", "filtervalues": "2017-07-01T00:00:02Z", "operatortypes": "2"},
        {"filterjson": "{"},
        {"filterjson": "[]"},
        {"filterjson": '{"Filters":{"Filter":[{"Field":[]}]}}'},
        {"filterjson": '{"Filters":{"Filter":[{"Field":[{"@FieldId":"Name","@OperatorType":"1","#text":[]}]}]}}'},
    ],
)
def test_what_cannot_be_read_is_refused(query):
    with pytest.raises(QueryError) as caught:
        compile_filter(parse(query), TYPES)
    assert caught.value.field is None


def test_an_unknown_field_is_named():
    with pytest.raises(QueryError) as caught:
        holds("Naam", 1, "a")
    assert caught.value.field == "Naam"


def test_narrowing_tells_what_an_index_may_answer():
    groups = parse({"filterfieldids": "Name,Changed", "filtervalues": "A,1970-01-02", "operatortypes": "1,2"})
    narrowing = compile_filter(groups, TYPES).narrowings[0]
    assert narrowing.equal == (("Name", "a"),)
    assert narrowing.since == (("Changed", moment("1970-01-02")),)


def plain(operator: int, value: str, text: str) -> bool:
    """What the operators mean, said again in the simplest way."""
    value, text = value.casefold(), text.casefold()
    if operator in {1, 2, 3, 4, 5, 7}:
        value, text = value.rstrip(" "), text.rstrip(" ")
    return {
        1: text == value, 2: text >= value, 3: text <= value, 4: text > value, 5: text < value, 6: value in text,
        7: text != value, 8: False, 9: True, 10: text.startswith(value), 11: value not in text,
        12: not text.startswith(value), 13: text.endswith(value), 14: not text.endswith(value), 15: value in text,
    }[operator]  # fmt: skip


hostile = st.text(alphabet=st.sampled_from("abAB ,;'\"{}\\#@é&=+"), min_size=1, max_size=6)


@given(operator=st.integers(1, 15), value=hostile, text=hostile)
def test_the_json_form_carries_any_value_to_the_same_verdict(operator, value, text):
    field = {"@FieldId": "Name", "@OperatorType": str(operator), "#text": value}
    groups = parse({"filterjson": json.dumps({"Filters": {"Filter": [{"Field": [field]}]}})})
    assert compile_filter(groups, TYPES).matches({"Name": text}) is plain(operator, value, text)


anything = st.dictionaries(
    st.sampled_from(("filterfieldids", "filtervalues", "operatortypes", "filterjson")),
    st.one_of(
        st.text(max_size=30),
        st.lists(st.sampled_from((*TYPES, "12", "1", "%", ",", ";", "2017-07-01", "{}", "9" * 50)), max_size=6).map(
            "".join
        ),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False), st.text(max_size=5)),
            lambda below: st.one_of(
                st.lists(below, max_size=3),
                st.dictionaries(
                    st.sampled_from(("Filters", "Filter", "Field", "@FieldId", "@OperatorType", "#text")),
                    below,
                    max_size=4,
                ),
            ),
        ).map(json.dumps),
    ),
)


@given(query=anything)
def test_no_question_brings_the_reader_down(query):
    try:
        found = compile_filter(parse(query), TYPES)
    except QueryError:
        return
    assert found.matches(ROW) in {True, False}
    assert found.matches(NONE) in {True, False}
