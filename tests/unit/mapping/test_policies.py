"""Rules for some records only, defaults per country, statuses that only move forward: read, judged, shown and told."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.mapping.check import check_flow
from koppel.mapping.document import mapping_document
from koppel.mapping.flow import Condition, Flow
from koppel.mapping.positions import locate
from koppel.mapping.project import own_fields, values
from koppel.mapping.read import read_flow
from koppel.model.address import Address
from koppel.model.can import Can, Field
from koppel.model.company import Company
from koppel.model.record import Record

HEAD = """\
koppel = 1
id = "x"
title = "X"
entity = "company"
left = "crm:firms"
right = "books:accounts"
match.keys = ["kvk"]
[create]
right = true
[fields]
name = { owner = "left" }
"""
FIRMS = Can(
    since=True,
    fields=(
        Field(path="name", kind="name"),
        Field(path="kvk", kind="kvk"),
        Field(path="role", kind="code", values=("customer", "prospect", "none")),
        Field(path="address", kind="address"),
        Field(path="Stage", own=True),
        Field(path="Land", own=True),
    ),
)
BOOKS = Can(
    create=True,
    update=True,
    fields=(
        Field(path="name", kind="name", required=True),
        Field(path="kvk", kind="kvk"),
        Field(path="Terms", own=True, values=("00", "14", "30")),
        Field(path="Stage", own=True, values=("lead", "customer", "former")),
    ),
)
TERMS = """\
"right:Terms" = [
  { const = "00", where = [{ field = "role", is = "prospect" }] },
  { const = "14", where = [{ field = "address.country", in = ["NL", "BE"] }] },
  { const = "30" },
]
"""


def read(text: str) -> Flow:
    flow, problems = read_flow(HEAD + text, file="x.toml")
    assert flow is not None, problems
    return flow


def said(text: str) -> list[tuple[int, str]]:
    """Line (from the first of the fields on) and code of everything `check` says."""
    flow, problems = read_flow(HEAD + text, file="x.toml")
    found = problems
    if flow is not None:
        positions = locate(HEAD + text, file="x.toml")
        live: dict[Any, Any] = {"left": FIRMS.fields[4:], "right": BOOKS.fields[2:]}
        found = (*problems, *check_flow(flow, left=FIRMS, right=BOOKS, positions=positions, own_fields=live))
    return [(problem.line - HEAD.count("\n"), problem.code) for problem in found]


def firm(**given: Any) -> Record:
    own = {name: given.pop(name) for name in ("Stage", "Land") if name in given}
    return Record(Company(name="Bakker", **given), own)


def shown(flow: Flow, record: Record) -> dict[str, Any]:
    return values(flow, "left", record)[0]


# --- rules for some records only ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ({"role": "prospect", "address": Address(city="Gent", country="BE")}, "00"),
        ({"role": "customer", "address": Address(city="Gent", country="BE")}, "14"),
        ({"role": "customer", "address": Address(city="Bonn", country="DE")}, "30"),
        ({}, "30"),
    ],
)
def test_of_several_rules_the_first_whose_conditions_hold_counts(record: dict[str, Any], wanted: str) -> None:
    assert shown(read(TERMS), firm(**record))["right:Terms"] == wanted


def test_where_no_rule_holds_the_field_is_left_out_and_not_empty() -> None:
    flow = read('"right:Terms" = { const = "14", where = [{ field = "role", is = "customer" }] }')
    assert "right:Terms" not in shown(flow, firm(role="prospect"))
    assert shown(flow, firm(role="customer"))["right:Terms"] == "14"
    assert "right:Terms" in values(flow, "right", firm(role="prospect"))[0], "the other side shows what it has"


def test_what_conditions_and_defaults_look_at_is_asked_of_the_system() -> None:
    flow = read('"right:Stage" = { from = "Stage", default = { NL = "lead" }, default_by = "Land", where = [{ field = "Extra", filled = true }] }')  # fmt: skip
    assert set(own_fields(flow, "left")) == {"Stage", "Land", "Extra"}
    assert own_fields(flow, "right") == ("Stage",)


def test_a_sound_list_of_rules_is_silent() -> None:
    assert said(TERMS) == []


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ('"right:Terms" = [\n  { const = "30" },\n  { const = "14", where = [{ field = "role", is = "customer" }] },\n]', 3, "unreachable"),
        ('"right:Terms" = [\n  { const = "30", where = [{ field = "role", in = ["customer", "none"] }] },\n  { const = "14", where = [{ field = "role", is = "customer" }] },\n]', 3, "unreachable"),
        ('"right:Terms" = [\n  { const = "30", where = [{ field = "role", in = ["customer", "none"] }] },\n  { const = "14", where = [{ field = "role", in = ["prospect", "none"] }] },\n]', 3, "overlapping"),
        ('"right:Terms" = { const = "14", where = [\n  { field = "rol", is = "customer" }] }', 2, "unknown-field"),
        ('"right:Terms" = { const = "14", where = [\n  { field = "role", is = "klant" }] }', 2, "unknown-code"),
        ('"right:Terms" = [\n  { const = "14" },\n  { const = "15", where = [{ field = "role", is = "none" }] },\n]', 3, "unmapped-code"),
        ('"right:Terms" = [\n  { const = "14", where = [{ field = "role", is = "none" }] },\n  { const = "30", when = "create" },\n]', 3, "contradiction"),
        ('phone = { owner = "newest", where = [{ field = "role", is = "none" }] }', 1, "contradiction"),
        ('"right:Terms" = { const = "14", where = { field = "role", is = "none" } }', 1, "wrong-value"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_meant_are_named_at_their_place(text: str, line: int, code: str) -> None:
    assert (line, code) in said(text)


def test_the_order_of_rules_and_their_conditions_are_part_of_the_meaning() -> None:
    digests = {
        read(text).digest for text in (TERMS, TERMS.replace('"14"', '"30"'), TERMS.replace('["NL", "BE"]', '["NL"]'))
    }
    assert len(digests) == 3
    assert read("\n\n# a remark\n" + TERMS).digest == read(TERMS).digest


# --- defaults per value ----------------------------------------------------------------------------------------------

BY_COUNTRY = '"right:Stage" = { from = "Stage", default = { NL = "lead", "*" = "former" }, default_by = "address.country" }'  # fmt: skip


@pytest.mark.parametrize(("country", "wanted"), [("NL", "lead"), ("DE", "former"), (None, "former")])
def test_an_empty_value_gets_the_default_of_its_country(country: str | None, wanted: str) -> None:
    address = Address(city="Ergens", country=country) if country else Address()
    assert shown(read(BY_COUNTRY), firm(address=address))["right:Stage"] == wanted
    assert shown(read(BY_COUNTRY), firm(address=address, Stage="customer"))["right:Stage"] == "customer"


def test_without_a_line_for_the_country_the_value_stays_empty() -> None:
    flow = read(BY_COUNTRY.replace(', "*" = "former"', ""))
    assert shown(flow, firm(address=Address(city="Bonn", country="DE")))["right:Stage"] is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (BY_COUNTRY.replace(', default_by = "address.country"', ""), "wrong-value"),
        (BY_COUNTRY.replace('{ NL = "lead", "*" = "former" }', '"lead"'), "wrong-value"),
        (BY_COUNTRY.replace("address.country", "address.county"), "unknown-field"),
        (BY_COUNTRY.replace('"former"', '"gone"'), "unmapped-code"),
    ],
)
def test_defaults_that_cannot_be_are_named(text: str, code: str) -> None:
    assert code in [found for _, found in said(text)]


# --- statuses that only move forward ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('"right:Stage" = { from = "Stage", forward = ["lead", "custommer"] }', "unmapped-code"),
        ('"right:Stage" = { from = "Stage", forward = ["lead"] }', "wrong-value"),
        ('"right:Stage" = { from = "Stage", forward = ["lead", "lead"] }', "wrong-value"),
        ('"right:Stage" = { from = "Stage", forward = "lead" }', "wrong-value"),
        ('sbi = { owner = "union", forward = ["a", "b"] }', "contradiction"),
    ],
)
def test_an_order_that_is_none_is_named(text: str, code: str) -> None:
    assert code in [found for _, found in said(text)]


# --- records that exist -----------------------------------------------------------------------------------------------


def test_what_exists_can_be_skipped_only_by_a_flow_that_creates() -> None:
    text = (HEAD + "kvk = { owner = 'left' }").replace("[fields]", 'exists = "skip"\n[fields]')
    flow, problems = read_flow(text, file="x.toml")
    assert flow is not None
    assert flow.exists == "skip"
    flow, problems = read_flow(text.replace("right = true", "right = false"), file="x.toml")
    assert flow is None
    assert [(p.code, p.line) for p in problems] == [("wrong-value", 10)]


# --- the document -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["only where rol", "otherwise, where", "by visit address (country): NL: “lead”", "only moves forward: lead → former", "linked and left as it is"]),
        ("nl", ["alleen als geldt", "anders, als geldt", "in alle andere gevallen", "naar bezoekadres (country)", "gaat alleen vooruit", "blijft zoals het is"]),
    ],
)  # fmt: skip
def test_the_document_says_it_in_words(language: Any, sentences: list[str]) -> None:
    order = '"right:Code" = { from = "Stage", forward = ["lead", "former"] }\n'
    text = (HEAD + TERMS + BY_COUNTRY + "\n" + order).replace("[fields]", 'exists = "skip"\n[fields]')
    flow, problems = read_flow(text, file="x.toml")
    assert flow is not None, problems
    page = mapping_document(flow, left=FIRMS, right=BOOKS, left_title="CRM", right_title="Books", language=language)
    for sentence in sentences:
        assert sentence in page


def test_conditions_are_the_same_struct_as_a_scopes() -> None:
    assert read(TERMS).fields[1].where == (Condition(field="role", is_="prospect"),)
    assert [rule.number for rule in read(TERMS).fields[1].alternatives] == [0, 1, 2]


# --- documents --------------------------------------------------------------------------------------------------------

PAPERS = Can(create=True, update=True, fields=tuple(Field(path=path) for path in ("number", "party", "date")))
PAPER = """\
koppel = 1
id = "x"
title = "X"
entity = "invoice"
left = "shop:invoices"
right = "books:invoices"
start = 2026-11-01
match.keys = ["number"]
create.right = true
[fields]
number = { owner = "left" }
party = { owner = "left" }
"""


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("", "", None),
        ("start = 2026-11-01\n", "", "no-start"),
        ('party = { owner = "left" }\n', "", "party-not-compared"),
    ],
)
def test_a_flow_of_documents_begins_at_a_day_and_compares_the_party(old: str, new: str, code: str | None) -> None:
    flow, problems = read_flow(PAPER.replace(old, new), file="x.toml")
    assert flow is not None, problems
    found = check_flow(flow, left=PAPERS, right=PAPERS, positions=locate(PAPER, file="x.toml"))
    assert [(p.code, p.severity) for p in found] == ([(code, "warning")] if code else [])


def test_a_start_where_nothing_has_a_date_is_said() -> None:
    text = HEAD.replace('right = "books', 'start = 2026-11-01\nright = "books')
    flow, problems = read_flow(text, file="x.toml")
    assert flow is not None, problems
    found = check_flow(flow, left=FIRMS, right=BOOKS, positions=locate(text, file="x.toml"))
    assert [(p.code, p.line) for p in found] == [("unused-start", 6)]
