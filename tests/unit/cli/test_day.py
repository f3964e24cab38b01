"""A working day at the command line: plan, apply, sync, and looking at what was done."""

from __future__ import annotations

import json
import stat

import pytest

from koppel.sandbox.seeds import make_companies

NEW = "00100104"


@pytest.fixture
def numbers():
    return [company.kvk for company in make_companies(1, 24)]


def _fits(text):
    return max(map(len, text.splitlines()), default=0) <= 80


def test_one_number_becomes_one_relation(at, koppel):
    said = koppel("add", NEW, "--to", "books-nl")
    assert said.code == 0, said.err
    assert "created" in said.out
    assert "Boekhandel De Nieuwe Zonnewijzer" in said.out
    assert len(at.accounts(NEW)) == 1
    again = koppel("add", NEW, "--to", "kvk-exact")
    assert again.code == 0
    assert at.writes() == 1


def test_add_tells_all_as_json(at, koppel):
    said = koppel("add", NEW, " 00 10 01 04", "123", "--to", "books-nl", "--json")
    assert said.code == 1, "123 is no number"
    assert said.json["taken"] == [NEW]
    assert list(said.json["refused"]) == ["123"]
    assert said.json["result"]["counts"]["create"] == 1


def test_an_unknown_number_is_told_with_the_vendors_words(at, koppel):
    said = koppel("add", "99999990", "--to", "books-nl")
    assert said.code == 1
    assert "refused" in said.out
    assert "99999990" in said.out
    assert at.writes() == 0


def test_a_plan_shows_everything_and_writes_nothing(at, koppel, numbers, tmp_path):
    file, page = tmp_path / "plan.json", tmp_path / "plan.html"
    typed = "kvk;name\n" + "\n".join(f"{number};x" for number in numbers)
    said = koppel("add", "--file", "-", "--to", "books-nl", "-o", str(file), "--html", str(page), typed=typed)
    assert said.code == 0, said.err
    assert at.writes() == 0
    assert _fits(said.out)
    plan = json.loads(file.read_text())
    for planned in plan["steps"]:
        if planned["step"]["kind"] != "agree":
            assert planned["step"]["label"].split(" (")[0][:20] in " ".join(said.out.split())
    for words in ("→", "same kvk", "not there yet", "to create", "look-ups", "€ 0.", "Next: koppel apply"):
        assert words in said.out
    squeezed = "".join(said.out.split())
    links = [p["step"]["right"] for p in plan["steps"] if p["step"]["kind"] == "link"]
    assert links
    assert all(right in squeezed for right in links), "ids are wrapped, never cut off"
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(page.stat().st_mode) == 0o600


def test_apply_does_exactly_the_plan_and_then_all_is_silent(at, koppel, numbers, tmp_path):
    file = str(tmp_path / "plan.json")
    assert koppel("add", *numbers, "--to", "books-nl", "-o", file).code == 0
    plan = json.loads((tmp_path / "plan.json").read_text())
    done = koppel("apply", file, "--json", "--html", str(tmp_path / "run.html"))
    assert done.code == 0, done.err
    for kind in ("create", "update", "link"):
        assert done.json["counts"][kind] == plan["counts"][kind]
    assert at.writes() == sum(plan["calls"].values())
    assert "created" in (tmp_path / "run.html").read_text()
    koppel("sync", "kvk-exact")
    before = at.writes()
    again = koppel("sync", "kvk-exact", "--json")
    assert (again.code, at.writes()) == (0, before)
    assert koppel("plan", "kvk-exact", "--expect-empty").code == 0
    assert "nothing to do" in koppel("plan", "kvk-exact").out
    assert koppel("apply", file, "--json").json["already"] > 0, "a plan applied twice does nothing twice"
    assert at.writes() == before


def test_what_moved_since_the_plan_is_refused_and_named(at, koppel, tmp_path):
    file = str(tmp_path / "plan.json")
    assert koppel("add", NEW, "--to", "books-nl", "-o", file).code == 0
    at.exact("add", set={"Name": "Somebody was quicker", "ChamberOfCommerce": NEW, "Status": "C"})
    said = koppel("apply", file)
    assert said.code == 1
    assert "changed since the plan was made: create" in said.out
    assert len(at.accounts(NEW)) == 1


def test_a_plan_that_is_not_empty_is_noticed(at, koppel):
    assert koppel("add", NEW, "--to", "books-nl", "--later").code == 0
    assert koppel("plan", "kvk-exact", "--expect-empty").code == 1
    assert koppel("plan", "kvk-exact").code == 0
    assert at.writes() == 0


def test_taking_in_for_later_makes_no_call(at, koppel):
    before = at.calls()
    said = koppel("add", NEW, "123", "--to", "books-nl", "--later", "--json")
    assert said.code == 1
    assert said.json["taken"] == [NEW]
    assert at.calls() == before


def test_a_brake_stops_a_run_until_it_is_let_pass(at, koppel, numbers):
    flow = at.folder / "flows" / "kvk-exact.toml"
    flow.write_text(flow.read_text().replace("creates = 200", "creates = 1"))
    koppel("add", *numbers, "--to", "books-nl", "--later")
    plan = koppel("plan", "kvk-exact")
    assert plan.code == 1
    assert "--allow creates" in plan.out
    stopped = koppel("sync", "kvk-exact")
    assert stopped.code == 1
    assert "stopped" in stopped.out
    assert at.writes() == 0
    passed = koppel("sync", "kvk-exact", "--allow", "creates")
    assert passed.code == 0, passed.out
    assert at.writes() > 1


def test_sync_all_runs_every_flow_and_tells_the_gravest_code(at, koppel):
    koppel("add", NEW, "--to", "books-nl", "--later")
    broken = at.folder / "flows" / "other.toml"
    broken.write_text(
        (at.folder / "flows" / "kvk-exact.toml").read_text().replace('"kvk-exact"', '"other"').replace("const", "cost")
    )
    said = koppel("sync", "--all", "--json")
    assert said.code == 2
    assert {type(one.get("error")) for one in said.json} == {dict, type(None)}
    assert "other" in said.err
    assert at.writes() == 1


def test_runs_and_the_log_tell_what_happened(at, koppel):
    assert "Nothing has run yet" in koppel("runs").out
    assert "nothing" in koppel("log").out
    koppel("add", NEW, "--to", "books-nl")
    runs = koppel("runs")
    assert "1 created" in runs.out
    assert _fits(runs.out)
    assert koppel("runs", "--json", "--flow", "kvk-exact").json[0]["state"] == "done"
    log = koppel("log", "--run", "1")
    assert "created" in log.out
    assert "Besloten vennootschap" in " ".join(log.out.split())
    assert _fits(log.out)
    assert koppel("log", "--json").json[0]["kind"] == "created"
    assert len(koppel("log", "--limit", "1", "--json").json) == 1


def test_why_tells_a_record_and_a_field(at, koppel):
    koppel("add", NEW, "--to", "books-nl")
    said = koppel("why", NEW)
    assert said.code == 0
    assert "books-nl:accounts:" in "".join(said.out.split())
    assert _fits(said.out)
    field = koppel("why", NEW, "address", "--json")
    assert {reason["field"] for reason in field.json["history"]} == {"address"}
    assert koppel("why", "register:companies:12345678").code == 1


def test_the_trail_is_verified_against_an_exported_head(at, koppel, tmp_path):
    head = tmp_path / "head.json"
    koppel("add", NEW, "--to", "books-nl")
    assert koppel("audit", "head", "-o", str(head)).code == 0
    assert koppel("audit", "verify", "--head", str(head)).code == 0
    told = koppel("audit", "head").out.strip()
    assert koppel("audit", "verify", "--head", told, "--json").json["ok"] is True
    at.workspace.store.run(lambda db: db.run("update trail set actor = 'nobody' where seq = 1"))
    broken = koppel("audit", "verify")
    assert broken.code == 1
    assert "entry 1" in broken.out
    assert koppel("audit", "verify", "--json").json["broken"]["seq"] == 1


def test_a_register_is_searched_by_name_number_and_address(at, koppel):
    company = next(c for c in make_companies(1, 24) if c.shape == "plain" and c.kind == "bv")
    by_number = koppel("find", "register", company.kvk)
    assert by_number.code == 0
    assert company.kvk in by_number.out
    assert f"koppel add {company.kvk} --to books-nl" in by_number.out
    assert _fits(by_number.out)
    words = company.name.removesuffix("B.V.").split()
    assert company.kvk in {hit["kvk"] for hit in koppel("find", "register", *words, "--json").json}
    address = koppel("find", "register", company.postcode, f"{company.number}", "--json")
    assert company.kvk in {hit["kvk"] for hit in address.json}
    nothing = koppel("find", "register", "xyzzy")
    assert nothing.code == 1
    assert "xyzzy" in nothing.out
    assert koppel("find", "register", "xyzzy", "--json").json == []


def test_books_are_searched_by_number(at, koppel):
    company = next(c for c in make_companies(1, 24) if c.in_erp == "kvk" and c.shape == "plain")
    assert koppel("find", "books-nl", company.kvk, "--json").json[0]["kvk"] == company.kvk


def test_a_flow_is_checked_and_documented(at, koppel, tmp_path):
    said = koppel("check", "kvk-exact", "--live")
    assert said.code == 0
    assert "0 errors" in said.out
    assert koppel("check", "--json").json["errors"] == 0
    text = koppel("docs", "kvk-exact", "--language", "nl").out
    assert text.startswith("# ")
    assert koppel("docs", "kvk-exact", "-o", str(tmp_path / "d.md")).code == 0
    assert koppel("docs", "kvk-exact", "--json").json["markdown"] == (tmp_path / "d.md").read_text()
    assert koppel("docs", "kvk-exact", "--language", "fr").code == 2


def test_the_fields_of_an_account_are_listed(at, koppel):
    said = koppel("fields", "books-nl")
    assert said.code == 0
    assert _fits(said.out)
    listed = {field["path"]: field for field in koppel("fields", "books-nl", "--json").json["accounts"]}
    assert listed["kvk"]["vendor"] == ["ChamberOfCommerce"]
    assert listed["Remarks"]["own"] is True
    assert koppel("fields", "nowhere").code == 2


def test_a_flow_without_its_connection_is_set_up(at, koppel):
    flow = at.folder / "flows" / "kvk-exact.toml"
    flow.write_text(flow.read_text().replace("register:companies", "elsewhere:companies"))
    said = koppel("check")
    assert said.code == 3
    assert "elsewhere" in said.out


def test_many_look_ups_are_asked_about_first(at, koppel, monkeypatch):
    monkeypatch.setattr("koppel.cli.terminal.Terminal.can_ask", property(lambda _self: True))
    before = at.calls()
    typed = [f"{number:08}" for number in range(11000000, 11000026)]
    said = koppel("add", *typed, "--to", "books-nl", typed="no\n")
    assert said.code == 1
    assert at.calls() == before
    assert "nothing was done" in said.err
