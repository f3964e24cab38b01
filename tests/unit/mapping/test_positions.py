"""The locator agrees with tomllib on what there is, and says where it stands."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koppel.mapping.positions import Place, locate

TEXT = """\
# a comment with = and [brackets]
a = 1
"quoted key" = "x # no comment"   # a comment
b.c = 'lit'

[t."u v"]
inline = { p = 1, "q.r" = [1, { s = "}" }], t.u = 2 }
multi = \"\"\"
text with = and
[not a table]
\"\"\"
list = [
  "one",   # said
  { field = "x" },
]

[[rows]]
n = 1
[[rows]]
n = 2
[rows.deep]
m = 3
"""


def place(found: Place) -> tuple[int, int]:
    return found.line, found.column


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("a",), (2, 1), (2, 5)),
        (("quoted key",), (3, 1), (3, 16)),
        (("b", "c"), (4, 1), (4, 7)),
        (("t", "u v", "inline", "p"), (7, 12), (7, 16)),
        (("t", "u v", "inline", "q.r"), (7, 19), (7, 27)),
        (("t", "u v", "inline", "t", "u"), (7, 45), (7, 51)),
        (("t", "u v", "multi"), (8, 1), (8, 9)),
        (("rows", 1, "n"), (20, 1), (20, 5)),
        (("rows", 1, "deep", "m"), (22, 1), (22, 5)),
    ],
)
def test_keys_and_values_are_found(path, key, value):
    found = locate(TEXT, file="f")
    assert place(found.key(*path)) == key
    assert place(found.value(*path)) == value


def test_elements_of_lists_have_places_of_their_own():
    found = locate(TEXT, file="f")
    assert place(found.value("t", "u v", "list", 0)) == (13, 3)
    assert place(found.value("t", "u v", "list", 1, "field")) == (14, 13)
    assert place(found.value("t", "u v", "inline", "q.r", 1, "s")) == (7, 37)


def test_a_key_that_is_not_written_stands_where_its_table_does():
    found = locate(TEXT, file="f")
    assert place(found.key("t", "u v", "nowhere")) == (6, 2)
    assert place(found.value("absent", "key")) == (1, 1)


def test_the_offsets_hold_the_value_as_written():
    found = locate(TEXT, file="f").value("quoted key")
    assert TEXT[found.begin : found.end] == '"x # no comment"'


def test_windows_line_ends_change_nothing():
    assert place(locate(TEXT.replace("\n", "\r\n"), file="f").value("rows", 1, "n")) == (20, 5)


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, part in inner for found in ((*path, key), *_paths(part, (*path, key)))]


_NAME = st.sampled_from(["a", "b-c", '"d e"', "'f'", '"g.\\u0068"'])
_SCALAR = st.sampled_from(
    [
        "1",
        "-2.5e3",
        "true",
        '"t"',
        "'l#'",
        '"""m\n"x"\n"""',
        "'''n'''",
        "2026-11-01",
        "07:32:00",
        '"\\"]"',
        "inf",
        "0x1F",
    ]
)
_VALUE = st.recursive(
    _SCALAR,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[ " + " , # c\n ".join(items) + "\n]"),
        st.lists(inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"k{i} = {v}" for i, v in enumerate(items)) + "}"
        ),
    ),
    max_leaves=6,
)


@given(
    pairs=st.lists(st.tuples(_NAME, _VALUE), max_size=5, unique_by=lambda pair: pair[0]),
    table=st.sampled_from(["", "[x.'y z']\n", "[[z]]\n"]),
)
@settings(max_examples=150, deadline=None)
def test_every_path_that_tomllib_reads_has_a_place(pairs, table):
    text = table + "".join(f"  {name} = {value}\n" for name, value in pairs)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # an inline table may not run over lines
    found = locate(text, file="f")
    for path in _paths(document):
        assert path in found.keys or path in found.values, path


@given(text=st.text("a=[]{}\"'\\.,#\n ", max_size=40))
@settings(max_examples=200, deadline=None)
def test_no_text_at_all_makes_the_walk_raise(text):
    locate(text, file="f")
