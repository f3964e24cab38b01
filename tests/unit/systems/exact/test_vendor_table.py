"""Our table of Exact's resources says what the vendor's reference says."""

import json
from pathlib import Path

import pytest

from koppel.systems.exact.vendor_table import resources

WITHOUT_PROPERTIES = {"read/crm/AccountDocumentsCount", "read/crm/OpportunityDocumentsCount", "users/UserHasRights"}
DATA = Path(__file__).parents[5] / "shared" / "vendor" / "exact" / "data"


def test_there_are_453_resources_each_with_properties_and_a_key_among_them() -> None:
    found = resources()
    assert len(found) == 453
    assert sum(len(resource.properties) for resource in found.values()) > 11_000
    for path, resource in found.items():
        assert resource.properties or path in WITHOUT_PROPERTIES, path
        assert set(resource.key) <= resource.properties.keys(), path


def test_an_account_is_as_known() -> None:
    account = resources()["crm/Accounts"]
    assert account.methods == {"GET", "POST", "PUT", "DELETE"}
    assert account.key == ("ID",)
    assert account.topics == ("Accounts",)
    name = account.properties["Name"]
    assert (name.type, name.mandatory, name.posts, name.puts, name.filters) == ("String", True, True, True, True)
    assert account.properties["BankAccounts"].many
    assert "IsCustomer" not in account.properties


def test_a_resource_of_the_whole_site_and_a_beta_one_are_told_apart() -> None:
    assert resources()["current/Me"].site
    assert resources()["beta/budget/BudgetScenarios"].beta


@pytest.mark.skipif(not DATA.exists(), reason="the collected vendor reference is not beside the project")
def test_names_types_methods_and_keys_agree_with_the_collected_reference() -> None:
    found = resources()
    told = {entry["path"]: entry for entry in json.loads((DATA / "endpoints.json").read_text())["resources"]}
    assert found.keys() == told.keys()
    for path, entry in told.items():
        ours = found[path]
        assert ours.methods == set(entry["methods"]), path
        assert ours.key == tuple(entry["key"]), path
        for prop in entry["properties"]:
            mine = ours.properties[prop["name"]]
            type_ = (prop["type"] or "Unknown").removeprefix("Edm.").removeprefix("collection:").removesuffix("[]")
            assert (mine.type, mine.many) == (type_, bool(prop.get("collection"))), (path, prop["name"])
            marks = (mine.mandatory, mine.posts, mine.puts, mine.filters)
            assert marks == tuple(bool(prop.get(name)) for name in ("mandatory", "post", "put", "filter")), (
                path,
                prop["name"],
            )
        assert len(ours.properties) == len({prop["name"] for prop in entry["properties"]}), path


@pytest.mark.skipif(not DATA.exists(), reason="the collected vendor reference is not beside the project")
def test_webhook_topics_agree_with_the_collected_reference() -> None:
    topics = json.loads((DATA / "webhook_topics.json").read_text())["topics"]
    told = {(topic, path.partition(" ")[0]) for topic, paths in topics.items() for path in paths}
    ours = {(topic, path) for path, resource in resources().items() for topic in resource.topics}
    assert ours == {(topic, path) for topic, path in told if path in resources()}
