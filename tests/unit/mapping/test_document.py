"""The document a controller signs says what the flow does: every field a row, every decision a sentence."""

from __future__ import annotations

import re

import pytest

from koppel.mapping.document import mapping_document
from koppel.mapping.document_words import FIELD_NAMES, WORDS
from koppel.mapping.paths import roots
from koppel.mapping.read import read_flow
from koppel.model.can import Can, Field

LEFT = Can(
    list=False,
    fields=(Field(path="name", kind="name", vendor=("naam",)), Field(path="legal_form", vendor=("rechtsvorm",))),
)
RIGHT = Can(
    fields=(
        Field(path="name", kind="name", vendor=("Name",)),
        Field(path="address", kind="address", vendor=("Line1", "City"), lossy="Number and suffix run together."),
        Field(path="Remarks", vendor=("Remarks",), own=True, note="Shown to every user | of the books."),
    )
)
TEXT = """\
koppel = 1
id = "kvk-books"
title = "From the register"
entity = "company"
left = "register:companies"
right = "books:accounts"
start = 2026-11-01
[scope]
take = "intake+right"
left = [{ field = "is_active", is = true }, { any = [{ field = "legal_form", in = ["BV", "NV"] }, { field = "kvk", filled = true }] }]
[match]
keys = ["kvk", "vat"]
propose = ["name+postcode"]
shared_key = "ask"
[create]
right = true
[fields]
name = { owner = "left" }
address = { owner = "left", empty = "clear", drift = "leave" }
phone = { owner = "newest" }
email = { owner = "left", default = "none@books.example" }
"right:Remarks" = { from = "legal_form", table = "forms", when = "create" }
"right:Class" = { const = true, when = "create" }
"right:Note" = { transform = "legal_form_and_sbi" }
"right:Short" = { from = "name", transform = "cut:20" }
[tables.forms]
BV = "Besloten | vennootschap"
[missing]
left = "archive"
right = "unlink"
[run]
schedule = "every 15 minutes"
window = "19:00-07:00"
reconcile = "weekly"
refresh = "30 days"
brakes = { creates = 50, share = false, money = "100.00 EUR" }
"""


def document(language="en", text=TEXT):
    flow, problems = read_flow(text, file="f")
    assert flow is not None, problems
    return flow, mapping_document(
        flow, left=LEFT, right=RIGHT, left_title="KVK", right_title="The books", language=language
    )


def row(page: str, field: str) -> list[str]:
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {field} |")]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_every_field_has_a_row_of_eight_cells():
    flow, page = document()
    rows = [line for line in page.split("## What takes part")[0].splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(flow.fields)
    assert {len(re.split(r"(?<!\\)\|", line)) - 2 for line in rows} == {8}


def test_a_row_tells_where_the_value_comes_from_and_whose_it_is():
    _, page = document()
    assert row(page, "name")[1:5] == ["`naam`", "`Name`", "KVK's value; an edit in The books is put back", "always"]
    assert row(page, "visit address")[2:7] == [
        "`Line1`, `City`",
        "KVK's value; an edit in The books is left as it is",
        "always",
        "an empty value empties the other side as well",
        "The books: Number and suffix run together.",
    ]
    assert row(page, "telephone")[3] == "the newest of the two; asked when that cannot be told"
    assert row(page, "e-mail address")[5] == "then “none@books.example”"


def test_made_values_are_described():
    _, page = document()
    assert row(page, "Remarks")[1:3] == ["`rechtsvorm`", "`Remarks`"]
    assert "BV → “Besloten \\| vennootschap”" in row(page, "Remarks")[7]
    assert row(page, "Class")[1:3] == ["always yes", "`Class`"]
    assert row(page, "Note")[1] == "the whole record"
    assert row(page, "Short")[7] == "the first 20 characters"


@pytest.mark.parametrize(
    "sentence",
    [
        "KVK cannot be listed: what is handed in takes part, and what The books already holds.",
        "From KVK: only records for which active is yes and (legal form is one of “BV”, “NV” or KVK number is filled).",
        "From The books: every record.",
        "Nothing dated before 2026-11-01 is created.",
        "Records with the same KVK number or VAT number are linked",
        "Likeness in name+postcode is only proposed",
        "When one record of KVK belongs to several of The books, a person is asked.",
        "Nothing is created in KVK.",
        "What is new in KVK is created in The books.",
        "Gone from KVK: it is archived in The books, never deleted.",
        "Gone from The books: the link ends; KVK keeps its record as it is.",
        "It runs: every 15 minutes.",
        "Only between 19:00-07:00.",
        "Both sides are compared in full: weekly.",
        "asked again when it is older than 30 days",
        "create more than 50 records, delete any record or book more than 100.00 EUR.",
        "A field that is not in this table is never touched.",
    ],
)
def test_every_decision_is_a_sentence(sentence):
    assert sentence in document()[1]


def test_the_document_is_bound_to_the_digest():
    flow, page = document()
    assert flow.digest in page


@pytest.mark.parametrize(
    "sentence",
    [
        "## Velden",
        "die van KVK; een wijziging in The books wordt teruggezet",
        "alleen records waarvoor geldt: actief is ja",
        "Het loopt: elke 15 minuten.",
        "geheel vergeleken: elke week.",
        "ouder is dan 30 dagen",
        "ook maar één record zou verwijderen",
        "de eerste 20 tekens",
        "| Naam | Datum | Handtekening |",
    ],
)
def test_it_is_dutch_when_asked(sentence):
    assert sentence in document("nl")[1]


def test_both_languages_say_the_same_things_with_the_same_blanks():
    assert WORDS["en"].keys() == WORDS["nl"].keys()
    for name, text in WORDS["en"].items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", WORDS["nl"][name])), name


def test_every_field_that_can_be_mapped_has_a_dutch_name():
    assert roots("company") - {"vat_candidate"} == FIELD_NAMES["nl"].keys()


def test_a_flow_without_schedule_keys_or_brakes_says_so():
    text = re.sub(
        r"(?s)\[run\].*", "[run]\nbrakes = { creates = false, deletes = false, share = false, first = false }\n", TEXT
    )
    text = text.replace('keys = ["kvk", "vat"]\n', "")
    page = document(text=text)[1]
    assert "No brakes are set." in page
    assert "It runs when a person or another program starts it." in page
    assert "No records are linked by themselves." in page
