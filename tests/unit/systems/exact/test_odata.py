import re
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qs, quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koppel.systems.exact import odata

PROPERTIES = ("Name", "City")
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8) | st.sampled_from(
    ("' or 1 eq 1", "''", "a'b", "&$top=1", "and", ")", "+ %27")
)
LEAVES = st.tuples(st.sampled_from(PROPERTIES), st.sampled_from(("eq", "ne")), TEXTS)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(("and", "or")), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("not"), inner),
    ),
    max_leaves=8,
)


def rendered(tree):
    if tree[0] == "and":
        return odata.all_of(map(rendered, tree[1]))
    if tree[0] == "or":
        return odata.any_of(map(rendered, tree[1]))
    if tree[0] == "not":
        return odata.negate(rendered(tree[1]))
    return odata.compare(odata.prop(tree[0]), tree[1], odata.text(tree[2]))


def truth(tree, row):
    if tree[0] == "and":
        return all(truth(part, row) for part in tree[1])
    if tree[0] == "or":
        return any(truth(part, row) for part in tree[1])
    if tree[0] == "not":
        return not truth(tree[1], row)
    return (row[tree[0]] == tree[2]) == (tree[1] == "eq")


class Reader:
    """Reads a filter the way the specification says, knowing nothing of how it was written."""

    TOKEN = re.compile(r"\s*('(?:[^']|'')*'|[()]|\w+)", re.DOTALL)

    def __init__(self, text, row):
        self.tokens = self.TOKEN.findall(text)
        assert "".join(self.tokens) == re.sub(r"('(?:[^']|'')*')|\s", lambda m: m[1] or "", text)
        self.row = row

    def whole(self):
        value = self.either()
        assert not self.tokens
        return value

    def either(self):
        value = self.both()
        while self.tokens and self.tokens[0] == "or":
            self.tokens.pop(0)
            value = self.both() or value
        return value

    def both(self):
        value = self.one()
        while self.tokens and self.tokens[0] == "and":
            self.tokens.pop(0)
            value = self.one() and value
        return value

    def one(self):
        token = self.tokens.pop(0)
        if token == "not":
            return not self.one()
        if token == "(":
            value = self.either()
            assert self.tokens.pop(0) == ")"
            return value
        operator, literal = self.tokens.pop(0), self.tokens.pop(0)
        assert operator in {"eq", "ne"}
        return (self.row[token] == literal[1:-1].replace("''", "'")) == (operator == "eq")


@settings(max_examples=150, deadline=None)
@given(TREES, st.fixed_dictionaries(dict.fromkeys(PROPERTIES, TEXTS)))
def test_a_filter_means_what_was_asked_whatever_the_values_hold(tree, row):
    assert Reader(rendered(tree), row).whole() == truth(tree, row)


@settings(max_examples=100, deadline=None)
@given(TREES)
def test_the_encoded_query_gives_back_the_filter_and_nothing_else(tree):
    where = rendered(tree)
    query = odata.options(where=where, select=("ID", "Name"), top=1)
    query.encode("ascii")
    assert parse_qs(query, strict_parsing=True, keep_blank_values=True) == {
        "$filter": [where],
        "$select": ["ID,Name"],
        "$top": ["1"],
    }


def test_every_option_is_written_under_its_own_name_and_nothing_when_not_asked():
    assert odata.options() == ""
    assert odata.options(orderby=("Code desc",), count=True) == "$orderby=Code%20desc&$inlinecount=allpages"


@pytest.mark.parametrize("wrong", ["", "guid'x'", "71b961de", "71b961de-0000-4000-8000-00000000000g", "x" * 36])
def test_what_is_no_guid_never_becomes_a_literal(wrong):
    with pytest.raises(ValueError, match="is not a GUID"):
        odata.guid(wrong)


def test_a_property_name_cannot_carry_a_condition():
    with pytest.raises(ValueError, match="not a property name"):
        odata.prop("Name eq 'x' or ID")
    assert odata.prop("Lines/AmountFC") == "Lines/AmountFC"


def test_a_time_with_a_zone_is_refused_because_the_vendor_keeps_wall_clock_time():
    with pytest.raises(ValueError, match="without a zone"):
        odata.moment(datetime(2026, 4, 7, tzinfo=UTC))


def test_an_empty_filter_is_refused_because_it_would_list_everything():
    with pytest.raises(ValueError, match="at least one"):
        odata.any_of(())


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 4), max_size=40), st.integers(40, 400), st.integers(1, 10))
def test_chunks_keep_every_group_whole_in_order_and_within_bounds(sizes, room, most):
    groups = [
        (str(place), tuple(odata.compare(odata.prop("Name"), "eq", odata.text(f"é{place}.{n}")) for n in range(size)))
        for place, size in enumerate(sizes)
    ]
    chunks = list(odata.chunks(groups, room=room, most=most))
    assert [group for chunk in chunks for group in chunk] == groups
    for chunk in chunks:
        conditions = [condition for _, group in chunk for condition in group]
        where = odata.any_of(conditions)
        if len(chunk) > 1:
            assert len(conditions) <= most
            assert len(quote(where.strip("()"), safe="(),':/")) <= room


def test_literals_are_written_as_version_2_wants_them():
    assert odata.int32(4) == "4"
    assert odata.boolean(value=False) == "false"
    assert odata.compare(odata.prop("EndDate"), "ne", odata.NULL) == "EndDate ne null"
    year = odata.function("year", odata.prop("Created"))
    assert odata.compare(year, "ge", odata.int32(2026)) == "year(Created) ge 2026"


def test_a_path_is_selected_only_from_what_is_expanded():
    query = odata.options(select=("InvoiceID", "SalesInvoiceLines/Item"), expand=("SalesInvoiceLines",))
    assert query == "$select=InvoiceID,SalesInvoiceLines/Item&$expand=SalesInvoiceLines"
    with pytest.raises(ValueError, match="only when 'SalesInvoiceLines' is expanded"):
        odata.options(select=("InvoiceID", "SalesInvoiceLines/Item"))


def test_a_column_or_an_order_cannot_carry_another_option():
    for wrong in (
        {"select": ("ID&$top=1",)},
        {"expand": ("A/",)},
        {"orderby": ("ID desc,Name",)},
        {"more": {"a b": "1"}},
    ):
        with pytest.raises(ValueError, match="not a property name"):
            odata.options(**wrong)
    with pytest.raises(ValueError, match="negative"):
        odata.options(top=-1)


def test_a_resource_s_own_parameters_come_first():
    query = odata.options(more={"itemId": odata.guid("71b961de-0000-4000-8000-000000000001")}, top=5, skip=10)
    assert query == "itemId=guid'71b961de-0000-4000-8000-000000000001'&$top=5&$skip=10"


@pytest.mark.parametrize("wrong", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_not_sent_as_one(wrong):
    with pytest.raises(ValueError, match="not a number"):
        odata.double(Decimal(wrong))
