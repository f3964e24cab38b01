"""A sole trader asks what is held about them, and to be erased."""

from __future__ import annotations

import json

import pytest

from koppel.store import suppression

ME = "piet@zwaluwstaart.example"


@pytest.fixture
def trader(at, koppel):
    """A sole trader who is linked with a debtor in the books, to whom somebody gave an e-mail address."""
    company = next(c for c in at.host.world.companies if c.kind == "eenmanszaak" and c.in_erp == "kvk")
    assert koppel("add", company.kvk, "--to", "books-nl").code in (0, 1)
    account = at.account(company.kvk)
    at.exact("edit", id=account["ID"], set={"Email": ME})
    assert koppel("sync", "kvk-exact").code in (0, 1)
    return company


def test_everything_held_is_shown_in_three_forms(trader, koppel, at):
    said = koppel("privacy", "export", ME, "--json")
    assert said.code == 0
    refs = {row["ref"] for row in said.json["holdings"]["records"]}
    assert {ref.rpartition(":")[0] for ref in refs} == {"register:companies", "books-nl:accounts"}
    assert f"register:companies:{trader.kvk}" in refs
    assert said.json["person"]["personal"] is True
    came = {row["came_from"] for row in said.json["holdings"]["records"]}
    assert any("KVK" in text for text in came)
    assert {entry["kind"] for entry in said.json["holdings"]["told"]["entries"]} >= {"linked"}
    told = koppel("privacy", "export", trader.kvk).out
    assert "# What Koppel holds about" in told
    assert "piet@zwaluwstaart.example" in told
    page = at.folder.parent / "me.html"
    assert koppel("privacy", "export", ME, "--out", str(page)).code == 0
    assert page.stat().st_mode & 0o777 == 0o600
    assert "<h2>History</h2>" in page.read_text("utf-8")


def test_an_erased_trader_is_gone_from_every_file_and_does_not_come_back(trader, koppel, at):
    plan = at.folder / "plan.json"
    assert koppel("privacy", "erase", ME).code == 2  # nobody confirmed
    dry = koppel("privacy", "erase", ME, "--plan", "--json")
    assert (dry.code, dry.json["outcome"], dry.json["done"], dry.json["files"]) == (0, "erase", False, [])
    plan.write_text(json.dumps({"to": trader.kvk, "name": ME}))
    calls, writes = at.calls(), at.writes()
    done = koppel("privacy", "erase", ME, "--yes", "--json")
    assert (done.code, done.json["outcome"], done.json["files"]) == (1, "erase", ["plan.json"])
    assert at.calls() == calls
    plan.unlink()
    held = b"".join(path.read_bytes() for path in at.folder.rglob("*") if path.is_file())
    for secret in (ME, trader.kvk, trader.name):
        assert secret.encode() not in held
    assert koppel("audit", "verify").code == 0
    at.exact("edit", id=at.account(trader.kvk)["ID"], set={"Email": "new@zwaluwstaart.example"})
    synced = koppel("sync", "kvk-exact")
    assert "1 left out, of erased or restricted people" in synced.err
    assert at.writes() == writes
    assert koppel("privacy", "export", trader.kvk).code == 2
    refused = koppel("add", trader.kvk, "--to", "books-nl")
    assert (refused.code, "koppel privacy lift" in refused.err) == (2, True)
    assert "left out" in koppel("find", "register", trader.kvk).err
    (case,) = koppel("privacy", "list", "--json").json
    assert (case["state"], case["left_out"] > 0) == ("erased", True)


def test_who_is_a_customer_again_is_lifted_and_linked_to_the_debtor_that_is_there(trader, koppel, at):
    assert koppel("privacy", "erase", ME, "--yes").code == 0
    writes = at.writes()
    assert koppel("privacy", "lift", "4711").code == 2
    lifted = koppel("privacy", "lift", trader.kvk, "--reason", "ordered again", "--json")
    assert (lifted.code, lifted.json["streams"]) == (0, ["books-nl:accounts"])
    assert koppel("add", trader.kvk, "--to", "books-nl").code in (0, 1)
    assert koppel("sync", "kvk-exact").code in (0, 1)
    assert len(at.accounts(trader.kvk)) == 1
    assert at.writes() == writes
    assert not at.workspace.store.run(suppression.anybody)
    assert any(entry["kind"] == "lifted" for entry in koppel("log", "--json").json)


def test_who_is_not_known_and_a_file_of_no_kind_are_refused(trader, koppel):
    assert "Nobody is known by" in koppel("privacy", "export", "nobody at all").err
    assert koppel("privacy", "export", ME, "--out", "me.txt").code == 2


def test_retention_is_swept_and_wrong_numbers_are_refused(trader, koppel, at):
    said = koppel("privacy", "sweep", "--plan", "--json")
    assert (said.code, said.json["done"]) == (0, False)
    assert koppel("privacy", "sweep").out == "Taken away: nothing.\n"
    file = at.folder / "koppel.toml"
    text = file.read_text("utf-8")
    for wrong in ("trail_years = 6", "technical_days = 0", 'personal_months = "x"', "years = 7"):
        file.write_text(f"{text}\n[retention]\n{wrong}\n", "utf-8")
        said = koppel("privacy", "list")
        assert (said.code, wrong.split(" ")[0] in said.err) == (3, True)
    file.write_text(f"{text}\n[retention]\ntrail_years = 10\n", "utf-8")
    assert koppel("privacy", "list").code == 0
