"""The [enrich] section: read whole, wrong lines said at their place."""

import pytest

from koppel.mapping.read import read_flow

HEAD = """
koppel = 1
id = "f"
title = "F"
entity = "company"
left = "register:companies"
right = "books:accounts"
[fields]
name = { owner = "left" }
[enrich]
"""


def problems(line: str) -> list[tuple[int, str]]:
    _, found = read_flow(HEAD + line, file="f.toml")
    return [(problem.line, problem.message) for problem in found if problem.severity == "error"]


def test_a_line_names_source_key_and_what_it_gives():
    flow, found = read_flow(
        HEAD + 'vat = { from = "vies:numbers", by = "vat_candidate", gives = ["vat_number"], refresh = "7 days" }',
        file="f.toml",
    )
    assert found == ()
    assert flow is not None
    (line,) = flow.enrich
    assert (line.name, str(line.source), line.by, line.gives) == (
        "vat",
        "vies:numbers",
        "vat_candidate",
        ("vat_number",),
    )
    assert line.refresh == 7 * 86400


def test_an_edited_line_is_another_flow():
    one, _ = read_flow(HEAD + 'v = { from = "vies:numbers", by = "vat_candidate", gives = ["vat_number"] }', file="f")
    two, _ = read_flow(HEAD + 'v = { from = "vies:numbers", by = "vat_candidate", gives = ["vat_state"] }', file="f")
    assert one is not None
    assert two is not None
    assert one.digest != two.digest


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('vat = { by = "vat_candidate", gives = ["vat_number"] }', "'from' is missing"),
        ('vat = { from = "vies", by = "vat_candidate", gives = ["vat_number"] }', "does not name a resource"),
        ('vat = { from = "vies:numbers", by = "vat_candidat", gives = ["vat_number"] }', "no field 'vat_candidat'"),
        ('vat = { from = "vies:numbers", by = "vat_candidate", gives = ["vat_nr"] }', "no field 'vat_nr'"),
        ('vat = { from = "vies:numbers", by = "vat_candidate", gives = "vat_number" }', "'gives' must be a list"),
        ('vat = { from = "vies:numbers", by = "kvk", gives = ["vat_number"], refresh = "soon" }', "soon"),
        ('vat = { from = "vies:numbers", by = "kvk", gives = ["vat_number"], often = true }', "no key 'often'"),
        ("vat = 3", "must be a table"),
    ],
)
def test_what_is_wrong_is_said_on_its_line(line: str, said: str):
    found = problems(line)
    assert found, line
    assert any(said in message and number == HEAD.count("\n") + 1 for number, message in found), found
