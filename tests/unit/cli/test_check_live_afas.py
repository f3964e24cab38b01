"""`koppel check --live` asks Profit what it has: what is missing is told with the place in the flow that needs it."""

from __future__ import annotations

import pytest

from koppel.testing.stand import AFAS_FLOW, stand


@pytest.fixture
def checked(tmp_path, person):
    with stand(tmp_path / "books", seed=0, companies=3, afas=True) as made:

        def check():
            said = person(made.folder)("check", AFAS_FLOW, "--live", "--json")
            return said.code, {problem["code"]: problem for problem in said.json["problems"]}

        yield made, check


def line_of(made, text):
    lines = (made.folder / "flows" / f"{AFAS_FLOW}.toml").read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(text))


@pytest.mark.parametrize(
    ("connector", "field", "line"),
    [
        ("KnOrganisation", "CcNr", "kvk "),
        ("KnOrganisation", "Nm", "name "),
        ("KnSalesRelationOrg", "VaId", "vat_number "),
        ("KnSalesRelationOrg", "CuId", '"right:CuId"'),
        ("KnBasicAddressAdr", "HmNr", "address "),
    ],
)
def test_a_field_this_environment_does_not_have_is_named_where_the_flow_writes_it(checked, connector, field, line):
    made, check = checked
    made.afas("settings", drop_field={connector: [field]})
    code, problems = check()
    assert code != 0
    found = problems["not-writable"]
    assert found["file"] == f"flows/{AFAS_FLOW}.toml"
    assert found["line"] == line_of(made, line)
    assert f"has no {field};" in found["message"]
    assert found["severity"] == "error"


@pytest.mark.parametrize("connector", ["KnSalesRelationOrg", "KnOrganisation", "Profit_Debtor"])
def test_a_connector_that_is_missing_is_named_at_the_side_that_needs_it(checked, connector):
    made, check = checked
    made.afas("settings", hide_connector=[connector])
    code, problems = check()
    assert code != 0
    found = problems["connector_missing"]
    assert found["line"] == line_of(made, "right")
    assert connector in found["message"]


def test_a_well_environment_has_nothing_wrong(checked):
    code, problems = checked[1]()
    assert code == 0
    assert not [problem for problem in problems.values() if problem["severity"] == "error"]
