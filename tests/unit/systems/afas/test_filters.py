"""Filters say what was meant: built here, read back by a parser of the test's own, and judged row by row."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.systems.afas import filters
from koppel.systems.afas.filters import Condition, Operator, both, query, spelled, where

VALUELESS = {Operator.EMPTY, Operator.NOT_EMPTY}
# A naive reading of the vendor's page, in the sandbox's place: (operator, value, what the row shows) -> selected.
MEANINGS = {
    1: lambda value, shown: shown == value,
    2: lambda value, shown: shown >= value,
    3: lambda value, shown: shown <= value,
    4: lambda value, shown: shown > value,
    5: lambda value, shown: shown < value,
    6: lambda value, shown: value in shown,
    7: lambda value, shown: shown != value,
    8: lambda value, shown: shown == "",
    9: lambda value, shown: shown != "",
    10: lambda value, shown: shown.startswith(value),
    11: lambda value, shown: value not in shown,
    12: lambda value, shown: not shown.startswith(value),
    13: lambda value, shown: shown.endswith(value),
    14: lambda value, shown: not shown.endswith(value),
    15: lambda value, shown: value in shown,
}


def parsed(text):
    """(field, operator, value) by group, out of a query string, as the vendor's page describes both spellings."""
    given_ = dict(part.split("=", 1) for part in text.split("&"))
    if "filterjson" in given_:
        body = json.loads(unquote(given_["filterjson"]))
        return [
            [(each["@FieldId"], int(each["@OperatorType"]), each["#text"]) for each in group["Field"]]
            for group in body["Filters"]["Filter"]
        ]
    lists = [
        [unquote(group).split(",") for group in given_[name].split(";")]
        for name in ("filterfieldids", "operatortypes", "filtervalues")
    ]
    shapes = {tuple(len(group) for group in each) for each in lists}
    assert len(shapes) == 1, "the three lists must have one shape"
    return [
        [(field, int(operator), value) for field, operator, value in zip(*groups, strict=True)]
        for groups in zip(*lists, strict=True)
    ]


def selects(groups, row):
    return any(all(MEANINGS[operator](value, row[field]) for field, operator, value in group) for group in groups)


HOSTILE = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [",", ";", "a,b", "x;y", "&filtervalues=1", "=", "%41", "100%", '"}]', "+", " ", "é€", "#text", "'", "%"]
    ),
)


@st.composite
def conditions(draw):
    operator = draw(st.sampled_from(list(Operator)))
    value = draw(HOSTILE)
    field = draw(st.sampled_from(["Naam", "Btw-nummer", "A_Toev_Huisnr."]))
    try:
        return Condition(field, operator, value)
    except ValueError:
        return Condition(field, operator, "gewoon")


FILTERS = st.lists(st.lists(conditions(), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)
ROWS = st.fixed_dictionaries(dict.fromkeys(("Naam", "Btw-nummer", "A_Toev_Huisnr."), HOSTILE))


@given(wanted=FILTERS, row=ROWS)
def test_what_is_built_selects_what_was_meant(wanted, row):
    meant = any(all(MEANINGS[int(c.operator)](c.value, row[c.field]) for c in group) for group in wanted)
    assert selects(parsed("&".join(spelled(wanted))), row) == meant


@given(wanted=FILTERS)
def test_every_condition_comes_back_as_it_was_given(wanted):
    back = parsed("&".join(spelled(wanted)))
    for group, read in zip(wanted, back, strict=True):
        for condition, (field, operator, value) in zip(group, read, strict=True):
            assert (field, operator) == (condition.field, int(condition.operator))
            assert condition.operator in VALUELESS or value == condition.value


@given(left=FILTERS, right=FILTERS, row=ROWS)
def test_both_selects_what_each_selects(left, right, row):
    def chosen(wanted):
        return selects(parsed("&".join(spelled(wanted))), row)

    assert chosen(both(left, right)) == (chosen(left) and chosen(right))


def test_a_filter_that_selects_all_leaves_the_other_as_it_is():
    some = where("A", Operator.EQUALS, "1")
    assert both((), some) == both(some, ()) == some
    assert both((), ()) == ()
    assert "filter" not in query(both((), ()), order=("DebtorId",), take=1)


@pytest.mark.parametrize("operator", list(Operator))
def test_all_fifteen_operators_can_be_asked(operator):
    (group,) = parsed("&".join(spelled(where("Naam", operator, "x"))))
    assert group[0][1] == int(operator)


def test_a_plain_value_takes_the_list_form_and_a_comma_or_semicolon_takes_json():
    assert spelled(where("Naam", Operator.EQUALS, "Bakkerij"))[0].startswith("filterfieldids=")
    for value in ("Bakkerij, Zoon", "a;b"):
        (form,) = spelled(where("Naam", Operator.EQUALS, value))
        assert form.startswith("filterjson=")


def test_or_is_a_semicolon_and_and_is_a_comma():
    wanted = both(where("A", Operator.EQUALS, "1") + where("A", Operator.EQUALS, "2"), where("B", Operator.EMPTY))
    assert spelled(wanted)[0] == "filterfieldids=A,B;A,B"
    assert spelled(wanted)[2] == "operatortypes=1,8;1,8"


@pytest.mark.parametrize(
    "operator", [Operator.CONTAINS, Operator.NOT_EQUAL, Operator.STARTS_WITH, Operator.NOT_ENDS_WITH]
)
def test_a_percent_sign_that_would_be_a_wildcard_is_refused(operator):
    with pytest.raises(ValueError, match="wildcard"):
        Condition("Naam", operator, "100%")
    assert Condition("Naam", Operator.EQUALS, "100%").value == "100%"


def test_an_empty_value_is_refused_where_it_would_compare():
    with pytest.raises(ValueError, match="EMPTY"):
        Condition("Naam", Operator.EQUALS, "")
    assert Condition("Naam", Operator.EMPTY).value == ""


def test_a_time_in_a_filter_bears_no_z_and_no_fraction():
    assert filters.moment(datetime(2026, 4, 7, 9, 0, 1, 999, tzinfo=UTC)) == "2026-04-07T09:00:01"


def test_a_query_too_long_to_be_answered_is_refused():
    with pytest.raises(ValueError, match="2049"):
        query(where("Naam", Operator.EQUALS, "x" * 2100), order=("DebtorId",), take=1)


def test_an_order_is_always_sent():
    assert "orderbyfieldids=-ModifiedDate,DebtorId" in query(order=("-ModifiedDate", "DebtorId"), take=1)


def test_many_look_ups_are_split_into_queries_that_are_short_enough():
    wanted = [(number, where("ChOfCommNr", Operator.EQUALS, f"{number:08}")) for number in range(200)]

    def fits(alternatives):
        try:
            return bool(query(alternatives, order=("DebtorId",), take=1000))
        except ValueError:
            return False

    found = list(filters.chunks(wanted, fits, most=500))
    assert [name for names, _ in found for name in names] == list(range(200))
    assert all(fits(alternatives) for _, alternatives in found)
    assert len(found) < 10
    assert [len(names) for names, _ in filters.chunks(wanted, lambda _: True, most=40)] == [40] * 5
    with pytest.raises(ValueError, match="too long"):
        list(filters.chunks(wanted, lambda _: False, most=40))
