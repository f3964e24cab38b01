"""`koppel sync` keeps to a flow's window, and reads what flows share once."""

from __future__ import annotations

NEW = "00100104"


def in_the_morning(at):
    at.wait(12 * 3600)


def test_outside_the_window_nothing_is_done_and_it_is_said(at, koppel):
    koppel("add", NEW, "--to", "books-nl", "--later")
    in_the_morning(at)
    before = at.calls()
    said = koppel("sync", "kvk-exact")
    assert said.code == 0
    told = " ".join(said.out.split())
    assert "19:00-07:00" in told
    assert "opens 2026-11-03 19:00" in told
    assert "--now" in told
    assert at.calls() == before, "not even a call"
    assert "Nothing has run yet" in koppel("runs").out


def test_a_person_can_run_all_the_same(at, koppel):
    koppel("add", NEW, "--to", "books-nl", "--later")
    in_the_morning(at)
    assert koppel("sync", "--all", "--json").json[0]["state"] == "waiting"
    assert at.writes() == 0
    assert koppel("sync", "kvk-exact", "--now").code == 0
    assert at.writes() == 1


def test_a_page_of_runs_leaves_those_out_that_did_not_begin(at, koppel, tmp_path):
    in_the_morning(at)
    assert koppel("sync", "--all", "--html", str(tmp_path / "runs.html")).code == 0
    assert (tmp_path / "runs.html").exists()


def test_flows_run_together_read_what_they_share_once(at, koppel):
    file = at.folder / "flows" / "kvk-exact.toml"
    second = file.read_text().replace('id     = "kvk-exact"', 'id     = "kvk-second"')
    koppel("add", NEW, "--to", "books-nl")
    other = at.exact("authorization_code")["code"]
    koppel("connect", "books-two", "--system", "exact", *_app(at), "--set", "division=123457", "--code", other)
    (at.folder / "flows" / "kvk-second.toml").write_text(second.replace("books-nl:", "books-two:"))
    koppel("add", NEW, "--to", "books-two")
    at.wait(24 * 3600)
    at.host.reset_calls()
    assert koppel("sync", "--all", "--refresh").code == 0
    assert at.host.count("kvk", path="basisprofielen") == 1
    at.wait(60)
    assert koppel("sync", "kvk-exact", "--refresh").code == 0
    assert at.host.count("kvk", path="basisprofielen") == 2, "the next go looks again"


def _app(at):
    from koppel.sandbox.host import contract

    told = contract(at.host, at.base_url)["systems"]["exact"]
    names = ("base_url", "client_id", "client_secret", "redirect_uri")
    return [word for name in names for word in ("--set", f"{name}={told[name]}")]
