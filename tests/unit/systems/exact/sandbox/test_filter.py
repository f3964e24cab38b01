"""The sandbox's `$filter` says yes and no as OData v2 does, and names what is wrong in the vendor's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.systems.exact.sandbox.filter import QueryError, compile_filter, parse_datetime
from koppel.systems.exact.sandbox.table import entity

ACCOUNTS, SYNC_ACCOUNTS = entity("crm/Accounts"), entity("sync/CRM/Accounts")

ID = "71b961de-9c2b-4f6e-8a5d-0f1e2d3c4b5a"
ROW = {
    "ID": ID,
    "Name": "Bakkerij 't Hoekje B.V.",
    "Code": "                 8",
    "ChamberOfCommerce": "81234567",
    "City": "Ede ",
    "Email": "",
    "Modified": parse_datetime("2026-04-07T10:30:00"),
    "IsSupplier": True,
    "IsAccountant": 1,
    "CreditLineSales": 2500.5,
    "Timestamp": 4711,
}


@pytest.mark.parametrize(
    "text",
    [
        f"ID eq guid'{ID}'",
        f"ID eq guid'{ID.upper()}'",
        "Name eq 'Bakkerij ''t Hoekje B.V.'",
        "Name eq 'BAKKERIJ ''T HOEKJE B.V.'",
        "'81234567' eq ChamberOfCommerce",
        "Code eq '                 8'",
        "City eq 'Ede'",
        "VATNumber eq null",
        "Email ne null",
        "Email eq ''",
        "Name ne 'iets anders'",
        "substringof('hoekje',Name) eq true",
        "substringof('hoekje',Name)",
        "not substringof('slager',Name)",
        "startswith(Name,'Bakkerij') and endswith(Name,'B.V.')",
        "tolower(City) eq 'ede' or trim(City) eq 'x'",
        "toupper(Name) eq 'x' or (length(ChamberOfCommerce) eq 8 and IsSupplier eq true)",
        "IsSupplier",
        "IsAccountant eq 1",
        "CreditLineSales ge 2500.5m and CreditLineSales lt 3000",
        "CreditLineSales gt 2500d",
        "Modified gt datetime'2026-04-07T10:29:59' and Modified le datetime'2026-04-07T10:30:00'",
        "Modified ge datetime'2026-04-07'",
        "year(Modified) eq 2026 and month(Modified) eq 4 and day(Modified) eq 7",
        "Timestamp gt 4710 and Timestamp le 4711L",
        "Name eq 'x' or Name eq 'y' or ChamberOfCommerce eq '81234567'",
        "Name eq 'x' and Name eq 'y' or ChamberOfCommerce eq '81234567'",
    ],
)
def test_it_lets_the_row_through(text: str):
    assert compile_filter(SYNC_ACCOUNTS, text).matches(ROW)


@pytest.mark.parametrize(
    "text",
    [
        "Code eq '8'",
        "VATNumber eq 'NL001234560B01'",
        "VATNumber ne 'NL001234560B01'",  # a database compares nothing with an empty value
        "not (ChamberOfCommerce eq '81234567')",
        "ChamberOfCommerce eq '81234567' and (Name eq 'x' or Name eq 'y')",
        "Modified lt datetime'2026-04-07T10:30:00'",
        "Timestamp gt 4711L",
        "VATNumber gt null",
        "substringof('x',VATNumber) eq true",
        "Blocked eq true",
        "Blocked",
    ],
)
def test_it_keeps_the_row_out(text: str):
    assert not compile_filter(SYNC_ACCOUNTS, text).matches(ROW)


def test_an_unfilled_flag_is_false():
    assert compile_filter(ACCOUNTS, "Blocked eq false and not Blocked").matches(ROW)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ID eq 5", "Operator 'eq' incompatible with operand types 'System.Guid' and 'System.Int32' at position 3."),
        ("ID eq 'x'", "Operator 'eq' incompatible with operand types 'System.Guid' and 'System.String' at position 3."),
        ("IsCustomer eq true", "No property 'IsCustomer' exists in type 'Exact.Web.Api.Models.Account' at position 0."),
        ("Name eq 'x", "Unterminated string literal at position 10 in 'Name eq 'x'."),
        ("ID eq guid'nope'", "Unrecognized 'System.Guid' literal 'guid'nope'' at position 6 in 'ID eq guid'nope''."),
        ("Modified gt datetime'x'", "Unrecognized 'System.DateTime' literal 'datetime'x'' at position 12"),
        ("Name eq", "Expression expected at position 7."),
        ("Name eq 'x')", "Syntax error at position 11."),
        ("(Name eq 'x'", "')' or operator expected at position 12."),
        ("contains(Name,'x')", "Unknown function 'contains' at position 0."),
        ("substringof(Name)", "No applicable function exists for 'substringof' at position 0"),
        ("Name", "Expression of type 'System.Boolean' expected at position 0."),
        ("not Name", "Operator 'not' incompatible with operand type 'System.String' at position 0."),
        ("Name and true", "Operator 'and' incompatible with operand types 'System.String' and 'System.Boolean'"),
        ("Name eq City", "Comparing properties with each other is not supported at position 5."),
        ("BankAccounts/IBAN eq 'x'", "Filtering on 'BankAccounts/IBAN' is not supported at position 0."),
        ("Name = 'x'", "Syntax error '=' at position 5."),
        ("not " * 200 + "true", "Recursion limit reached."),
    ],
)
def test_what_is_wrong_is_named_in_the_vendors_words(text: str, says: str):
    with pytest.raises(QueryError) as caught:
        compile_filter(ACCOUNTS, text)
    assert str(caught.value).startswith(says)


def test_equalities_joined_by_or_are_known_for_the_index():
    found = compile_filter(ACCOUNTS, "ChamberOfCommerce eq '1' or (VATNumber eq 'NL2' and Blocked eq false)")
    assert found.any_of is not None
    assert ("ChamberOfCommerce", "1") in found.any_of
    assert len(found.any_of) == 2


def test_no_index_is_promised_when_one_branch_could_be_anything():
    assert compile_filter(ACCOUNTS, "ChamberOfCommerce eq '1' or Blocked ne true").any_of is None
    assert compile_filter(ACCOUNTS, "not (ChamberOfCommerce eq '1')").any_of is None


def test_a_lower_bound_is_known_only_when_it_must_hold():
    assert compile_filter(SYNC_ACCOUNTS, "Timestamp gt 5L").above == ("Timestamp", 5)
    assert compile_filter(SYNC_ACCOUNTS, "Timestamp ge 5").above == ("Timestamp", 4)
    assert compile_filter(SYNC_ACCOUNTS, "Timestamp gt 5 or Timestamp gt 1").above is None


_WORDS = st.sampled_from(
    [
        "Name",
        "ID",
        "Modified",
        "Blocked",
        "and",
        "or",
        "not",
        "eq",
        "gt",
        "(",
        ")",
        ",",
        "'x'",
        "''",
        "5",
        "5L",
        "1.5m",
        "null",
        "true",
        "substringof",
        "length",
        "year",
        f"guid'{ID}'",
        "datetime'2026-01-01T00:00:00'",
        "'",
        "-",
        "é",
        "BankAccounts/ID",
    ]
)


@given(st.lists(_WORDS, max_size=14).map(" ".join) | st.text(max_size=40))
def test_any_text_is_a_filter_or_named_wrong(text: str):
    try:
        found = compile_filter(ACCOUNTS, text)
    except QueryError:
        return
    assert found.matches(ROW) in {True, False}
