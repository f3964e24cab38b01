"""A line written into a table of a flow file: read back it is there, and nothing else of the text has moved."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.mapping.amend import with_line
from koppel.model.problem import UsageError

TEXT = """\
# our flow
id = "x"   # for ever

[tables.forms]   # from the register
BV = "besloten"   # most of them
NV = "naamloos"

[tables.empty]
[tables]
# inside
inline = { a = "1" }   # on one line
dotted.a = "1"

[tables.numbers]
x = 1
y = 2.5
[tables.switches]
x = true
# the end"""


def tables(text: str) -> dict[str, dict[str, object]]:
    return tomllib.loads(text)["tables"]


@pytest.mark.parametrize(
    ("table", "code", "value", "read"),
    [
        ("forms", "CV", "commanditair", "commanditair"),
        ("forms", "BV", "anders", "anders"),
        ("forms", "een code", 'zegt "dag"', 'zegt "dag"'),
        ("empty", "5", "vijf", "vijf"),
        ("inline", "b", "2", "2"),
        ("inline", "a", "3", "3"),
        ("dotted", "a", "2", "2"),
        ("numbers", "z", "3", 3),
        ("numbers", "y", "3.5", 3.5),
        ("switches", "y", "false", False),
    ],
)
def test_the_line_is_there_and_everything_else_as_it_was(table: str, code: str, value: str, read: object) -> None:
    text = TEXT.replace("[tables.empty]\n[tables]", "[tables]") + "\n[tables.empty]"
    text = text.replace("[tables]\n# inside", "[tables]\n# inside")
    new = with_line(text, table, code, value)
    wanted = tables(text)
    wanted[table] = wanted[table] | {code: read}
    assert tables(new) == wanted
    lost = [line for line in text.splitlines() if line not in new.splitlines()]
    assert len(lost) <= (code in tables(text)[table] or table == "inline")
    for remark in ("# our flow", "# for ever", "# from the register", "# most of them", "# inside", "# the end"):
        assert remark in new


def test_windows_line_ends_stay_what_they_are() -> None:
    new = with_line('[tables.a]\r\nx = "1"\r\n[run]\r\n', "a", "y", "2")
    assert new == '[tables.a]\r\nx = "1"\r\ny = "2"\r\n[run]\r\n'


@pytest.mark.parametrize(
    ("table", "value", "said"),
    [("gone", "x", "no table 'gone'"), ("numbers", "x", "holds numbers"), ("switches", "ja", "true or false")],
)
def test_what_cannot_be_written_is_said(table: str, value: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        with_line("[tables.numbers]\nx = 1\n[tables.switches]\nx = true\n", table, "new", value)


def test_a_new_code_among_dotted_lines_is_left_to_the_person() -> None:
    with pytest.raises(UsageError, match=r"tables\.dotted\.CODE"):
        with_line('tables.dotted.a = "1"\n', "dotted", "b", "2")


@given(st.text(min_size=1).filter(lambda t: t.strip()), st.text())
def test_any_code_and_any_value_come_back_as_typed(code: str, value: str) -> None:
    try:
        new = with_line('[tables.a]\nx = "1"\n', "a", code, value)
        new.encode()
    except UnicodeEncodeError:
        return
    assert tables(new)["a"] == {"x": "1", code: value}
