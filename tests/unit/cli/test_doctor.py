"""`koppel doctor` on a terminal and as JSON."""

from __future__ import annotations


def test_a_well_workspace_exits_with_0_and_says_what_was_looked_at(koppel):
    said = koppel("doctor")
    assert said.code == 0, said.out
    told = " ".join(said.out.split())
    for words in ("books-nl (exact)", "register (kvk)", "Signed in", "Nothing to act upon"):
        assert words in told


def test_what_must_be_mended_exits_with_1_and_says_how(at, koppel):
    at.kvk("settings", entitlements=["basisprofiel"])
    said = koppel("doctor", "register", "--json")
    assert said.code == 1
    (one,) = said.json
    assert one["well"] is False
    assert any(remark["level"] == "attention" and remark["remedy"] for remark in one["remarks"])
    assert "1 thing to act upon" in koppel("doctor").out


def test_an_empty_workspace_and_an_unknown_name_are_said(person, tmp_path):
    nobody = person(tmp_path / "new")
    assert person(None)("init", str(tmp_path / "new")).code == 0
    assert "no connection yet" in nobody("doctor").out
    assert nobody("doctor", "nope").code == 2
