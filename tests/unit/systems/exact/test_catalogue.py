"""Resources by the names people type, and which of their twins tell the same records."""

from __future__ import annotations

import pytest

from koppel.model.problem import UsageError
from koppel.systems.exact import catalogue
from koppel.systems.exact.vendor_table import resources


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("crm/Accounts", "crm/Accounts"),
        ("CRM/accounts", "crm/Accounts"),
        ("accounts", "crm/Accounts"),
        ("SalesInvoices", "salesinvoice/SalesInvoices"),
        ("sync/crm/accounts", "sync/CRM/Accounts"),
        ("stockposition", "read/logistics/StockPosition"),
        ("Deleted", "sync/Deleted"),
        ("me", "current/Me"),
    ],
)
def test_a_resource_is_found_by_what_people_type(typed: str, path: str) -> None:
    assert catalogue.found(typed).path == path


def test_every_resource_is_found_by_its_path_in_any_case() -> None:
    for path in catalogue.names():
        assert catalogue.found(path).path == path
        assert catalogue.found(path.upper()).path.casefold() == path.casefold()


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(UsageError, match="no resource called 'crm/Acounts'") as error:
        catalogue.found("crm/Acounts")
    assert "crm/Accounts" in error.value.remedy
    with pytest.raises(UsageError) as error:
        catalogue.found("qqqq")
    assert "--list" in error.value.remedy


def test_a_name_that_several_carry_is_asked_for_in_full() -> None:
    with pytest.raises(UsageError, match="2 resources called 'timetransactions'") as error:
        catalogue.found("timetransactions")
    assert "project/TimeTransactions" in error.value.remedy


def test_twins_are_found_and_what_is_no_twin_is_not() -> None:
    assert catalogue.twin("crm/Accounts", "sync") == "sync/CRM/Accounts"
    assert catalogue.twin("crm/Accounts", "bulk") == "bulk/CRM/Accounts"
    assert catalogue.twin("financialtransaction/TransactionLines", "sync") == "sync/Financial/TransactionLines"
    assert catalogue.twin("salesinvoice/SalesInvoices", "sync") is None, "its rows are lines"
    assert catalogue.twin("purchaseorder/PurchaseOrders", "sync") is None, "its rows are lines"
    assert catalogue.twin("salesinvoice/SalesInvoices", "bulk") == "bulk/SalesInvoice/SalesInvoices"
    assert catalogue.twin("crm/BankAccounts", "sync") is None, "those of payroll are others"
    assert catalogue.twin("sync/CRM/Accounts", "bulk") is None


def test_usual_columns_exist_begin_with_the_key_and_hold_nothing_personal() -> None:
    for resource in resources().values():
        columns = catalogue.usual_columns(resource)
        assert set(columns) <= resource.properties.keys()
        assert not any("BSN" in name or "SocialSecurity" in name for name in columns)
        if resource.properties:
            assert columns
        usable = [name for name in resource.key if catalogue.shown_unasked(resource.properties[name])]
        assert columns[: len(usable)] == tuple(usable)


def test_what_stands_in_a_collection_is_known_where_the_table_lists_it() -> None:
    invoices = resources()["salesinvoice/SalesInvoices"]
    child = catalogue.child_of(invoices, "SalesInvoiceLines")
    assert child is not None
    assert child.path == "salesinvoice/SalesInvoiceLines"
