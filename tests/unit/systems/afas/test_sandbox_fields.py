"""The sandbox serves nothing that the vendor does not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from koppel.systems.afas.sandbox_fields import COUNTRIES, DEBTOR, LOOKUPS, ORGANISATION, UPDATES, Entity
from koppel.systems.afas.sandbox_rows import CONNECTORS, OWN_CONNECTORS

DATA = Path(__file__).resolve().parents[5] / "shared" / "vendor" / "afas" / "data"
STANDARD = [connector for id_, connector in CONNECTORS.items() if id_ not in OWN_CONNECTORS]
# metainfo's types as the vendor's JSON schema writes them
JSON_TYPES = {"string": "string", "date": "string", "int": "integer", "decimal": "number", "boolean": "boolean"}
SCHEMA_TYPES = JSON_TYPES | {"blob": "string"}


def data(name: str) -> dict[str, Any]:
    path = DATA / name
    if not path.exists():
        pytest.skip("the vendor's reference (../shared) is not beside this checkout")
    return json.loads(path.read_text())["connectors"]


@pytest.mark.parametrize("connector", STANDARD, ids=lambda connector: connector.id)
def test_every_column_served_exists_with_that_type(connector):
    documented = data("get_connectors.json")[connector.id]["fields"]
    ours = {column.name: JSON_TYPES[column.type] for column in connector.columns.values()}
    assert ours == {name: found["type"] for name, found in documented.items()}


@pytest.mark.parametrize("connector", STANDARD, ids=lambda connector: connector.id)
def test_labels_and_the_stamp_are_the_documented_ones(connector):
    documented = data("get_connectors.json")[connector.id]
    assert {name: column.label.en for name, column in connector.columns.items()} == {
        name: found["label"] for name, found in documented["fields"].items()
    }
    stamp = documented["modifiedField"]
    assert stamp is None or connector.columns[stamp].type == "date"
    assert stamp is None or stamp in connector.since


def same(entity: Entity, documented: dict[str, Any]) -> None:
    for name, found in entity.fields.items():
        theirs = documented["fields"][name]
        assert SCHEMA_TYPES[found.type] == theirs["type"], name
        assert found.length == theirs.get("maxLength", 0), name
        assert found.mandatory == theirs.get("mandatory", False), name
        assert (found.type == "date") == (theirs.get("format") == "date"), name
        assert (found.codes or {}).keys() == theirs.get("values", {}).keys(), name
    assert set(entity.fields) == set(documented["fields"])
    for name, below in entity.objects.items():
        same(below, documented["objects"][name])


@pytest.mark.parametrize("entity", UPDATES.values(), ids=lambda entity: entity.name)
def test_every_field_that_can_be_written_exists_with_type_length_and_codes(entity):
    same(entity, data("update_connectors.json")[entity.name]["post"])


def test_the_nested_organisation_lacks_fields_the_one_alone_has():
    nested = DEBTOR.objects["KnOrganisation"]
    assert set(ORGANISATION.fields) - set(nested.fields) == {"BrNr", "EmAm", "CrIb", "XpRe", "SBIc", "FileId"}
    assert "9" in (nested.fields["MatchOga"].codes or {})
    assert "9" not in (ORGANISATION.fields["MatchOga"].codes or {})


def test_country_codes_are_the_tenants_and_unique():
    assert len({country.code for country in COUNTRIES}) == len(COUNTRIES) == len({country.iso for country in COUNTRIES})
    assert "B" in LOOKUPS["CoId"]
    assert "BE" not in LOOKUPS["CoId"]
