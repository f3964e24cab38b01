"""The sandbox serves nothing that the vendor does not have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from koppel.systems.exact.sandbox.tables import ACCOUNTS, EDM, SERVED, SYNC_ACCOUNTS, EntityType

ENDPOINTS = Path(__file__).resolve().parents[6] / "shared" / "vendor" / "exact" / "data" / "endpoints.json"


def test_accounts_have_the_documented_number_of_properties():
    assert len(ACCOUNTS.properties) == 164
    assert len(SYNC_ACCOUNTS.properties) == 165
    assert set(SYNC_ACCOUNTS.properties) - set(ACCOUNTS.properties) == {"Timestamp"}


def test_the_key_of_every_resource_is_one_of_its_properties():
    assert all(entity.key in entity.properties for entity in SERVED)


def test_there_is_no_is_customer():
    assert "IsCustomer" not in ACCOUNTS.properties


@pytest.fixture(scope="module")
def documented() -> dict[str, dict]:
    if not ENDPOINTS.exists():
        pytest.skip("the vendor's reference (../shared) is not beside this checkout")
    return {entry["path"]: entry for entry in json.loads(ENDPOINTS.read_text())["resources"]}


@pytest.mark.parametrize("entity", SERVED, ids=lambda entity: entity.path)
def test_every_property_served_exists_with_that_type(entity: EntityType, documented: dict[str, dict]):
    entry = documented[entity.path]
    types = {found["name"]: found["type"].removeprefix("Edm.") for found in entry["properties"]}
    assert {found.name: found.type for found in entity.properties.values()} == types
    assert all(found.is_collection == (types[found.name] not in EDM) for found in entity.properties.values())


@pytest.mark.parametrize("entity", SERVED, ids=lambda entity: entity.path)
def test_keys_and_methods_are_the_documented_ones(entity: EntityType, documented: dict[str, dict]):
    entry = documented[entity.path]
    assert entry["key"] == [entity.key]
    assert set(entity.methods) <= set(entry["methods"])


def test_what_may_be_written_and_filtered_is_what_the_reference_ticks(documented: dict[str, dict]):
    for found in documented["crm/Accounts"]["properties"]:
        ours = ACCOUNTS.properties[found["name"]]
        assert ours.writable == bool(found.get("post") or found.get("put")), found["name"]
        assert ours.filterable == bool(found.get("filter")), found["name"]
        assert ours.mandatory == bool(found.get("mandatory")), found["name"]
