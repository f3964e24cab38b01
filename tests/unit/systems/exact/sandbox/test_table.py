"""The sandbox serves everything the vendor has, with the names and types the reference tells, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from koppel.systems.exact.sandbox.lines import child_of, owner_of
from koppel.systems.exact.sandbox.table import EDM, EntityType, at, entities, entity, plain_twin

ENDPOINTS = Path(__file__).resolve().parents[6] / "shared" / "vendor" / "exact" / "data" / "endpoints.json"


def test_every_resource_is_known():
    assert len(entities()) == 453


def test_accounts_have_the_documented_number_of_properties():
    assert len(entity("crm/Accounts").properties) == 164
    more = set(entity("sync/CRM/Accounts").properties) - set(entity("crm/Accounts").properties)
    assert more == {"Timestamp"}


def test_the_key_of_every_resource_is_among_its_properties():
    assert all(key in one.properties for one in entities().values() for key in one.keys)


def test_there_is_no_is_customer():
    assert "IsCustomer" not in entity("crm/Accounts").properties


def test_class_names_are_told_apart():
    names = [one.clr for one in entities().values()]
    assert len(set(names)) == len(names)


def test_a_resource_is_found_with_its_service_in_any_case_and_its_name_as_spelled():
    assert at("CRM/Accounts") is at("crm/Accounts") is entity("crm/Accounts")
    assert at("crm/accounts") is None


def test_twins_know_each_other():
    assert plain_twin(entity("sync/CRM/Accounts")) is entity("crm/Accounts")
    assert plain_twin(entity("bulk/SalesOrder/SalesOrders")) is entity("salesorder/SalesOrders")
    assert plain_twin(entity("sync/Deleted")) is None


@pytest.mark.parametrize(
    ("owner", "name", "lines", "binds"),
    [
        ("salesinvoice/SalesInvoices", "SalesInvoiceLines", "salesinvoice/SalesInvoiceLines", "InvoiceID"),
        ("bulk/SalesInvoice/SalesInvoices", "SalesInvoiceLines", "salesinvoice/SalesInvoiceLines", "InvoiceID"),
        ("purchaseorder/GoodsReceipts", "GoodsReceiptLines", "purchaseorder/GoodsReceiptLines", "GoodsReceiptID"),
        ("purchase/PurchaseInvoices", "PurchaseInvoiceLines", "purchase/PurchaseInvoiceLines", "InvoiceID"),
        ("vat/VATCodes", "VATPercentages", "vat/VatPercentages", "VATCodeID"),
        ("crm/Accounts", "BankAccounts", "crm/BankAccounts", "Account"),
    ],
)
def test_lines_are_bound_to_their_document(owner: str, name: str, lines: str, binds: str):
    assert child_of(entity(owner), name) == (entity(lines), binds)


def test_a_line_knows_the_document_it_stands_in():
    assert owner_of(entity("salesorder/SalesOrderLines")) == (entity("salesorder/SalesOrders"), "OrderID")
    assert owner_of(entity("crm/Contacts")) is None


@pytest.fixture(scope="module")
def documented() -> dict[str, dict]:
    if not ENDPOINTS.exists():
        pytest.skip("the vendor's reference (../shared) is not beside this checkout")
    return {entry["path"]: entry for entry in json.loads(ENDPOINTS.read_text())["resources"]}


@pytest.mark.parametrize("path", entities())
def test_what_is_served_is_what_the_reference_tells(path: str, documented: dict[str, dict]):
    ours, entry = entity(path), documented[path]
    told = {found["name"]: found.get("type") or "" for found in entry["properties"]}
    assert list(ours.keys) == (entry["key"] or [])
    assert set(ours.methods) == set(entry["methods"] or ["GET"])
    assert set(ours.properties) == set(told)
    for name, found in ours.properties.items():
        if found.is_collection:
            assert found.type in told[name]
            continue
        assert found.type in EDM
        assert not found.told or found.type == told[name].removeprefix("Edm."), name


def test_what_may_be_written_and_filtered_is_what_the_reference_ticks(documented: dict[str, dict]):
    accounts: EntityType = entity("crm/Accounts")
    for found in documented["crm/Accounts"]["properties"]:
        ours = accounts.properties[found["name"]]
        assert (ours.posts, ours.puts) == (bool(found.get("post")), bool(found.get("put"))), found["name"]
        assert ours.filterable == bool(found.get("filter")), found["name"]
        assert ours.mandatory == bool(found.get("mandatory")), found["name"]
