"""Descriptions: a whole one is read, a wrong one is told with its line, its key and what was probably meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from koppel.model.problem import SetupError
from koppel.systems.rest.description import read

PAGE = Path(__file__).parents[4] / "docs" / "systems" / "rest.md"
SMALL = """
koppel   = 1
title    = "Voorbeeld"
base_url = "https://api.voorbeeld.example"

[resources.companies]
path   = "/companies"
paging = { style = "page", page = "p", size = "n", most = 10 }

[resources.companies.find]
native = { path = "/companies/{value}" }

[resources.companies.write]
create = { method = "POST", path = "/companies" }
update = { method = "PATCH", path = "/companies/{id}" }

[resources.companies.fields]
name    = "company_name"
kvk     = "kvk"
address = { street = "street", city = "town" }
"""


def example() -> str:
    found = re.search(r"```toml\n(koppel.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found
    return found[1]


def wrong(text: str) -> SetupError:
    with pytest.raises(SetupError) as caught:
        read(text)
    return caught.value


def test_the_example_on_the_page_is_a_whole_description():
    found = read(example())
    companies = found.resources["companies"]
    assert (found.auth.kind, found.calls_per_minute, companies.paging.style) == ("header", 100, "cursor")
    assert companies.fields["address.postcode"].field == "visit.zip"
    assert companies.own["Remarks"].max_length == 1000


def test_what_is_not_written_has_the_usual_value():
    found = read(SMALL).resources["companies"]
    assert (found.key, found.since, found.write.refused.status) == ("id", None, (400, 409, 422))
    assert found.fields["address.city"].field == "town"


@pytest.mark.parametrize(
    ("before", "after", "line", "told", "remedy"),
    [
        ("koppel   = 1", "koppel = 2", 2, "koppel: this Koppel reads descriptions of format 1", "koppel = 1"),
        ('title    = "Voorbeeld"', "", None, "title: the API has no title", "title ="),
        ("https://api", "api", 4, "base_url: it is not a web address", "base_url ="),
        ('path   = "/comp', 'paths = "/comp', 7, "resources.companies.paths: 'paths' is no key here", "'path'"),
        ('style = "page"', 'style = "pages"', 8, "resources.companies.paging.style: invalid enum value 'pages'", "none, page, offset, cursor, link"),
        ("most = 10", 'most = "10"', 8, "resources.companies.paging.most: expected `int`, got `str`", "Mend"),
        (', size = "n"', "", 8, "resources.companies.paging.size: the parameter for the size of a page is missing", "size ="),
        ('style = "page"', 'style = "cursor"', 8, "resources.companies.paging.next: a cursor must be found somewhere", "next ="),
        ("/{value}", "/one", 11, "resources.companies.find.native.path: it has no {value}", "{value}"),
        ('native = { path = "/companies/{value}" }', "", 10, "resources.companies.find.native: what is written must be read back", "native ="),
        ("native =", "naive =", 11, "resources.companies.find.naive: 'naive' is no key here", "'native'"),
        ('"POST"', '"PUSH"', 14, "resources.companies.write.create.method: invalid enum value 'PUSH'", "POST, PUT, PATCH"),
        ("/companies/{id}", "/companies", 15, "resources.companies.write.update.path: it has no {id}", "{id}"),
        ("kvk     =", "kvk_number =", 19, "resources.companies.fields.kvk_number: 'kvk_number' is no field of a company", "companies.own"),
        ("street = ", "straat = ", 20, "resources.companies.fields.address.straat: 'address.straat' is no field", "address.street"),
        ("[resources.companies.fields]", "[resources.companies.velden]", 17, "resources.companies.velden: 'velden' is no key here", "Known here"),
        ("[resources.companies]", "[resources.Companies]", 6, "'Companies' is no name for a resource", "small letters"),
        ("koppel   = 1", "koppel = ", None, "the description is not TOML", "Mend"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_what_was_meant(before, after, line, told, remedy):
    assert before in SMALL
    error = wrong(SMALL.replace(before, after, 1))
    assert told in error.message
    assert remedy in error.remedy
    assert error.exit_code == 3
    if line:
        assert error.message.startswith(f"line {line}, ")


def test_a_look_up_by_a_number_that_is_not_described_is_refused():
    error = wrong(SMALL.replace('{value}" }\n', '{value}" }\nvat = { query = "vat" }\n'))
    assert "find.vat: the field vat_number is not described" in error.message


def test_a_token_address_is_needed_for_client_credentials():
    error = wrong(SMALL.replace("[resources.companies]", '[auth]\nkind = "client_credentials"\n[resources.companies]'))
    assert "auth.token_url" in error.message


def test_a_secret_in_the_headers_is_refused():
    error = wrong(SMALL.replace("[resources.companies]", 'headers = { Authorization = "x" }\n[resources.companies]', 1))
    assert "headers.Authorization: a secret does not belong in a file" in error.message


TRADE = (Path(__file__).parents[4] / "src" / "koppel" / "testing" / "trade.toml").read_text("utf-8")


def test_a_description_may_hold_any_entity_with_references_and_lines():
    found = read(TRADE).resources
    assert {name: each.entity for name, each in found.items()} == {
        "customers": "company", "contacts": "contact", "products": "product", "orders": "order",
    }  # fmt: skip
    lines = found["orders"].fields["lines"]
    assert (lines.field, lines.parts["product"].refers_to, lines.parts["quantity"].as_number) == (
        "regels",
        "products",
        True,
    )
    assert found["customers"].own["Hoofdcontact"].refers_to == "contacts"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('refers_to = "products"', 'refers_to = "producs"', "no resource 'producs' is described.*products"),
        ('refers_to = "products"', 'refers_to = "contacts"', "lines.product names a product.*products"),
        (', refers_to = "products"', "", "nothing says of which resource"),
        ('number    = { field = "nummer", required = true }', 'sku = "nummer"', "'sku' is no field of an order"),
        ("number = { query", "sku = { query", "an order cannot be found by 'sku'.*number"),
        ("quantity    = {", "amounts    = {", "'amounts' is nothing a line holds.*amount"),
        ('name  = { field = "omschrijving", required = true }', 'name = { field = "x", parts = { vat = "y" } }', "only they"),
        ('entity  = "order"', 'entity  = "orders"', "It takes company, contact"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_references_lines_and_entities_is_told(old, new, said):
    assert old in TRADE
    error = wrong(TRADE.replace(old, new))
    assert re.search(said, f"{error.message} {error.remedy}")
