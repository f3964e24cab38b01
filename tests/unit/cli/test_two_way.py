"""A flow in two directions at the command line: which side is written, who is meant by a number, what may be answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koppel.cli.words import sided
from koppel.testing.stand import Stand, stand

FLOW = """
koppel = 1
id = "customers"
title = "Customers"
entity = "company"
left = "books-nl:accounts"
right = "debtors-afas:debtors"
[match]
keys = ["kvk"]
[fields]
phone = { owner = "newest" }
email = { owner = "ask" }
"""


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stand]:
    """Two programs that hold the same three firms, in step."""
    with stand(tmp_path / "books", companies=4, seed=5, afas=True) as made:
        for file in (made.folder / "flows").glob("*.toml"):
            file.unlink()
        (made.folder / "flows" / "customers.toml").write_text(FLOW)
        yield made


def test_the_written_side_is_named_and_a_number_finds_the_record(at: Stand, koppel: Any) -> None:
    assert koppel("sync", "customers", "--allow", "first", "--quiet").code == 0
    at.wait(3600)
    at.afas("edit", kvk="00082156", set={"TeNr": "077-5551000"})
    at.wait(3600)
    number = at.account("00082156")["ID"]
    assert f"written to books-nl {number}" in koppel("plan", "customers").out
    assert f"written to books-nl accounts {number}" in koppel("sync", "customers", "--quiet").out
    why = koppel("why", "00082156", "phone")
    assert f"books-nl:accounts:{number}" in why.out
    assert "changed on debtors-afas" in " ".join(why.out.split())
    unknown = koppel("why", "12345678")
    assert (unknown.code, unknown.err.split("\n")[0]) == (2, "koppel: No record with number 12345678 was seen.")
    run = koppel("runs", "--json").json[0]["id"]
    assert koppel("undo", str(run), "--apply", "--quiet").code == 0
    assert [reason["code"] for reason in koppel("why", "00082156", "phone", "--json").json["open"]][-1] == "undone"
    at.exact("add", set={"Name": "Another", "ChamberOfCommerce": "00082156"})
    koppel("sync", "customers", "--quiet")
    several = koppel("why", "00082156")
    assert several.code == 2
    assert "they are not one thing" in " ".join(several.err.split())


def test_a_typed_value_has_to_fit_the_field(at: Stand, koppel: Any) -> None:
    koppel("sync", "customers", "--allow", "first", "--quiet")
    at.wait(3600)
    at.exact("edit", kvk="00082156", set={"Email": "one@firm.example"})
    at.afas("edit", kvk="00082156", set={"EmAd": "two@firm.example"})
    at.wait(3600)
    assert koppel("sync", "customers", "--quiet").code == 1
    (asked,) = koppel("asks", "--json").json
    said = koppel("asks", "decide", str(asked["id"]), "--value", "077-5551000")
    assert said.code == 2
    assert "it does not look like an email" in said.err
    long = f"{'x' * 100}@firm.example"
    assert "room for 100 characters" in " ".join(
        koppel("asks", "decide", str(asked["id"]), "--value", long).err.split()
    )
    assert koppel("asks", "--json").json[0]["state"] == "open"
    assert koppel("asks", "decide", str(asked["id"]), "--value", "three@firm.example").code == 0
    koppel("sync", "customers", "--quiet")
    assert (at.account("00082156")["Email"], at.debtor("00082156")["EmAd"]) == ("three@firm.example",) * 2


def test_values_are_not_taken_for_sides() -> None:
    said = "changed on both sides: left 'the old', right 'right one'"
    assert sided(said, "crm", "erp") == "changed on both sides: crm 'the old', erp 'right one'"


def test_a_flow_that_cannot_run_for_its_errors_is_said_by_the_worker(at: Stand, koppel: Any) -> None:
    (at.folder / "flows" / "broken.toml").write_text(FLOW.replace('"customers"', '"broken"').replace("newest", "newst"))
    for words in (("work", "--agenda"), ("work", "--once")):
        said = koppel(*words)
        assert "flows/broken.toml has errors, so broken is not run." in said.err, words
    assert said.code == 1
