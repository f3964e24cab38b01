"""Values, rows and choices in words."""

from __future__ import annotations

import doctest

import pytest

from koppel.cli import rows, words
from koppel.cli.rows import Line, choice_words, entry_row
from koppel.cli.words import shown, when


def test_the_examples_hold():
    assert doctest.testmod(words).failed == 0
    assert doctest.testmod(words).attempted > 5
    assert rows.ORDER[0] == "create"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"po_box": "90", "postcode": "1000AA", "city": "Amsterdam"}, "Postbus 90, 1000AA Amsterdam"),
        ({"lines": ["Rue 1", "Bte 2"], "country": "BE"}, "Rue 1, Bte 2, BE"),
        ({"shielded": True, "city": None}, "(empty)"),
        ({"code": "47610", "text": "Winkels"}, "code 47610, text Winkels"),
        (False, "no"),
        (0, "0"),
        ("a\n b", "a b"),
        ((), "(empty)"),
    ],
)
def test_values_stand_on_one_line(value, text):
    assert shown(value) == text


def test_times_are_the_dutch_clocks():
    assert when(1793609999.0) == when(1793609999.4)
    assert when(1782900000.0).endswith("12:00"), "summer time"
    assert when(None) == ""


def test_choices_speak():
    assert (
        choice_words({"answer": "a1", "label": "Bakkerij", "by": ["kvk", "vat"]})
        == "link with Bakkerij (same kvk and vat), a1"
    )
    assert (
        choice_words({"answer": "left", "value": {"city": "Ede", "street": "A", "number": "1"}})
        == "take the left value: A 1, Ede"
    )
    assert choice_words({"answer": "leave", "successor": "12345678"}).endswith("successor 12345678")


def test_an_erased_entry_is_a_row_too():
    row = entry_row("updated", {})
    assert row.label == "(erased)"
    assert row.lines == ()


def test_a_line_reads_as_a_sentence():
    assert Line(field="name", before="A", after="B").text == "name: A → B"
    assert Line(after="only this").text == "only this"
