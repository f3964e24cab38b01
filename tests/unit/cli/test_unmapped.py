"""Codes without a line: listed with what waits for them, and mended by a line in the file."""

from __future__ import annotations

import shlex
from types import SimpleNamespace

import pytest

from koppel.app.unmapped import unmapped
from koppel.sandbox.seeds import make_companies
from koppel.store.work import Item

FLOW = "kvk-exact.toml"
LINE = '"right:Remarks" = { from = "legal_form", table = "forms", when = "create" }\n'
TABLE = '\n[tables.forms]   # as our controller wants them\nVOF = "Vennootschap"   # a remark\n'


@pytest.fixture
def file(at):
    file = at.folder / "flows" / FLOW
    kept = [line for line in file.read_text().splitlines(keepends=True) if not line.startswith('"right:Remarks"')]
    text = "".join(kept).replace("[fields]", f"[fields]\n{LINE.rstrip()}", 1)
    file.write_text(text + TABLE)
    return file


@pytest.fixture
def waiting(at, file, koppel):
    """Two private companies that wait for the line of their legal form."""
    two = [c for c in make_companies(1, 24) if c.in_erp == "none" and c.shape == "plain" and c.kind == "bv"][:2]
    assert len(two) == 2
    said = koppel("add", *(company.kvk for company in two), "--to", "books-nl")
    assert said.code == 1, said.out
    return two


def test_each_code_is_listed_once_with_how_many_wait_for_it(waiting, koppel):
    (one,) = koppel("unmapped", "--json").json
    assert (one["flow"], one["table"], one["count"]) == ("kvk-exact", "forms", 2)
    assert len(one["samples"]) == 2
    said = koppel("unmapped", "kvk-exact")
    assert said.code == 0
    assert max(map(len, said.out.splitlines())) <= 80
    assert one["remedy"] == f"koppel unmapped kvk-exact forms '{one['code']}' VALUE"
    assert all(sample.split()[0] in said.out for sample in one["samples"])


def test_the_command_that_mends_a_code_can_be_pasted_whatever_the_code_holds():
    body = {"problem": {"about": ["forms", "Piet's vof"], "field": "legal_form"}, "label": "Piet"}
    item = Item(1, "parked", FLOW, "left", "1", "", "open", "unmapped", body, None, None, 1, 1, 0.0, None, None, None)
    (one,) = unmapped(SimpleNamespace(parked=lambda flow: [item]))
    assert shlex.split(one.remedy) == ["koppel", "unmapped", FLOW, "forms", "Piet's vof", "VALUE"]


def test_the_line_is_written_with_every_comment_kept_and_the_records_go_on(waiting, at, file, koppel):
    code = koppel("unmapped", "--json").json[0]["code"]
    before, writes = file.read_text(), at.writes()
    said = koppel("unmapped", "kvk-exact", "forms", code, "Besloten vennootschap")
    assert said.code == 0
    assert "2 records looked at again" in said.out
    assert [line for line in before.splitlines() if line not in file.read_text().splitlines()] == []
    assert koppel("sync", "kvk-exact").code == 0
    assert at.writes() == writes + 2
    assert koppel("unmapped").out == "No code waits for a line in a table.\n"
    assert {at.account(company.kvk)["Remarks"] for company in waiting} == {"Besloten vennootschap"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("kvk-exact", "forms", "BV"), "a code and a value"),
        (("kvk-exact", "other", "BV", "x"), "no table 'other'"),
        (("other",), "no flow 'other'"),
    ],
)
def test_wrong_input_is_said_and_nothing_is_written(file, koppel, words, said):
    before = file.read_text()
    answer = koppel("unmapped", *words)
    assert answer.code == 2
    assert said in answer.err
    assert file.read_text() == before


def test_a_value_the_target_does_not_have_is_refused(file, koppel):
    lines = [line for line in file.read_text().splitlines() if not line.startswith(("role", '"right:Status"'))]
    rule = '"right:Status" = { from = "legal_form", table = "forms", when = "create" }'
    text = "\n".join(lines).replace(LINE.rstrip(), rule).replace('"Vennootschap"', '"C"')
    file.write_text(text)
    answer = koppel("unmapped", "kvk-exact", "forms", "BV", "Onzin")
    assert answer.code == 2, answer.out
    assert "is not a value of 'Status'" in answer.err
    assert file.read_text() == text
