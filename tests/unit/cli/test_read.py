"""`koppel read`: what is in an account, by the vendor's own names."""

from __future__ import annotations

import csv
import io
from typing import Any


def test_rows_are_shown_as_a_table_with_what_they_cost(koppel: Any) -> None:
    said = koppel("read", "books-nl", "Accounts", "--select", "Code,Name", "--order", "-Code", "--top", "3")
    assert said.code == 0, said.err
    assert "Code" in said.out
    assert "3 rows of bulk/CRM/Accounts in 1 call." in " ".join(said.out.split())


def test_json_holds_every_row_and_where_it_was_read(at: Any, koppel: Any) -> None:
    said = koppel("read", "books-nl", "accounts", "--select", "ID,Name,CreditLineSales", "--json")
    assert said.code == 0, said.err
    assert said.json["endpoint"] == "sync/CRM/Accounts"
    assert said.json["complete"] is True
    shown = {row["ID"] for row in said.json["rows"]}
    assert shown == {account["ID"].lower() for account in at.accounts()}


def test_csv_holds_the_same_rows(koppel: Any) -> None:
    said = koppel("read", "books-nl", "Accounts", "--select", "ID", "--select", "Name,Modified", "--csv")
    assert said.code == 0, said.err
    rows = list(csv.reader(io.StringIO(said.out)))
    assert rows[0] == ["ID", "Name", "Modified"]
    assert len(rows) > 10
    assert len(rows) - 1 == len(koppel("read", "books-nl", "Accounts", "--json").json["rows"])


def test_a_condition_chooses_and_a_wrong_one_is_one_message_with_its_place(at: Any, koppel: Any) -> None:
    name = at.accounts()[0]["Name"]
    said = koppel("read", "books-nl", "Accounts", "--where", f'Name = "{name}"', "--json")
    assert {row["Name"] for row in said.json["rows"]} == {name}
    before = at.calls()["exact"]
    said = koppel("read", "books-nl", "Accounts", "--where", "Nam = x")
    assert said.code == 2
    assert "position 1" in said.err
    assert "Nearest: Name" in said.err
    assert "^" in said.err
    assert at.calls()["exact"] == before, "nothing is asked for a question that is wrong"


def test_nothing_found_is_said(koppel: Any) -> None:
    said = koppel("read", "books-nl", "Accounts", "--where", "Name = Nobody")
    assert said.code == 0
    assert "no such row" in said.out


def test_when_the_calls_allowed_run_out_it_is_said_and_the_exit_code_tells(koppel: Any) -> None:
    said = koppel("read", "books-nl", "Accounts", "--where", "Name in (a, b) or Name is not null", "--select", "Name")
    assert said.code == 0
    names = ", ".join(f"'{number:>300}'" for number in range(60))
    said = koppel("read", "books-nl", "Accounts", "--where", f"Name in ({names})", "--calls", "1", "--json")
    assert said.code == 1
    assert said.json["complete"] is False
    assert "more with --calls" in said.err


def test_the_list_of_resources_costs_nothing(at: Any, koppel: Any) -> None:
    before = at.calls()["exact"]
    said = koppel("read", "books-nl", "--list", "--json")
    assert len(said.json) == 453
    said = koppel("read", "books-nl", "salesinvoicelines", "--list")
    assert "salesinvoice/SalesInvoiceLines" in "".join(said.out.split())
    assert koppel("read", "books-nl", "qqq", "--list").code == 1
    assert at.calls()["exact"] == before


def test_a_resource_is_described_with_what_it_names(koppel: Any) -> None:
    said = koppel("read", "books-nl", "accounts", "--describe", "--json")
    assert said.code == 0, said.err
    traits = {trait["name"]: trait for trait in said.json["traits"]}
    assert traits["InvoiceAccount"]["names"] == "crm/Accounts"
    assert traits["Name"]["required"] is True
    said = koppel("read", "books-nl", "stockposition", "--describe")
    assert "--given itemId=" in said.out


def test_wrong_use_is_told_in_one_message(koppel: Any) -> None:
    for words, text in (
        (("read", "books-nl"), "Say what to read"),
        (("read", "books-nl", "Acounts"), "no resource called"),
        (("read", "register", "x"), "cannot be read by a resource's name"),
        (("read", "nobody", "x"), "no connection called"),
        (("read", "books-nl", "stockposition"), "needs itemId"),
        (("read", "books-nl", "accounts", "--given", "x"), "not NAME=VALUE"),
        (("read", "books-nl", "accounts", "--csv", "--json"), "exclude each other"),
    ):
        said = koppel(*words)
        assert said.code == 2, words
        assert text in said.err
        assert "Traceback" not in said.err


def test_what_the_vendor_refuses_is_said_in_its_words(at: Any, koppel: Any) -> None:
    at.fault(
        system="exact",
        kind="status",
        path="Units",
        status=400,
        body={"error": {"code": "", "message": {"lang": "", "value": "No property 'Main' exists"}}},
    )
    said = koppel("read", "books-nl", "logistics/Units")
    assert said.code == 2
    assert "No property 'Main' exists" in said.err
