"""A connection that keeps digests, at the command line."""

from __future__ import annotations

import pytest


@pytest.fixture
def hashed(at, koppel):
    """The books with `cache = "hashes"`, and a company that is linked with a debtor there."""
    company = next(c for c in at.host.world.companies if c.in_erp == "kvk")
    file = at.folder / "koppel.toml"
    text = file.read_text("utf-8")
    assert "[connections.books-nl]\n" in text
    file.write_text(text.replace("[connections.books-nl]\n", '[connections.books-nl]\ncache = "hashes"\n'), "utf-8")
    assert koppel("add", company.kvk, "--to", "books-nl").code in (0, 1)
    for _ in range(2):
        koppel("sync", "kvk-exact")
    return company


def test_why_says_that_the_values_are_not_here_and_still_where_they_came_from(hashed, koppel, at):
    ref = f"books-nl:accounts:{at.account(hashed.kvk)['ID']}"
    calls = at.calls()
    said = koppel("why", ref, "--json")
    assert said.code == 0
    assert at.calls() == calls
    assert "let_go" in said.out
    assert hashed.name not in [field["right"] for field in said.json["fields"]]
    assert any(field["origin"] for field in said.json["fields"])


def test_a_person_is_found_by_ref_and_read_before_anything_is_shown(hashed, koppel, at):
    ref = f"books-nl:accounts:{at.account(hashed.kvk)['ID']}"
    calls = at.calls()
    said = koppel("privacy", "export", ref, "--json")
    assert said.code == 0
    assert at.calls() != calls
    values = [row["values"] for row in said.json["holdings"]["records"] if row["ref"] == ref]
    assert values[0]["name"]


def test_a_flow_that_needs_values_here_is_refused_by_check(hashed, koppel, at):
    assert koppel("check", "kvk-exact").code == 0
    file = at.folder / "flows" / "kvk-exact.toml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("[match]\n", '[match]\npropose = ["name"]\n'), "utf-8")
    said = koppel("check", "kvk-exact", "--json")
    assert said.code != 0
    assert "needs-values" in said.out
    file.write_text(text, "utf-8")
    toml = at.folder / "koppel.toml"
    toml.write_text(
        toml.read_text("utf-8").replace("[connections.register]\n", '[connections.register]\ncache = "hashes"\n'),
        "utf-8",
    )
    said = koppel("check", "kvk-exact", "--json")
    assert said.code != 0
    assert "cannot be listed and read again by id" in said.out


def test_doctor_says_which_flows_run_on_digests_and_what_that_gives_up(hashed, koppel):
    said = koppel("doctor", "--json")
    told = {one["connection"]: [r for r in one["remarks"] if r["code"] == "hashes"] for one in said.json}
    (remark,) = told.pop("books-nl")
    assert remark["level"] == "note"
    assert remark["text"].startswith('books-nl:accounts: only digests are kept (cache = "hashes"), for kvk-exact.')
    assert "gives up" in remark["text"]
    assert not any(told.values()), "values of a register stay"
