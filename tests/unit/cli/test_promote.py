"""`koppel promote` shows first, and does it when told to."""

from __future__ import annotations

from koppel.app import Workspace


def test_it_shows_what_differs_then_copies_with_yes(at, koppel, tmp_path):
    prod = tmp_path / "prod"
    Workspace.create(prod).close()
    said = koppel("promote", str(at.folder), str(prod))
    assert said.code == 1
    told = " ".join(said.out.split())
    for words in (
        "kvk-exact",
        "new in production",
        "koppel connect books-nl --system exact",
        "Nothing was copied yet",
        "--yes",
    ):
        assert words in told
    assert not (prod / "flows" / "kvk-exact.toml").exists()
    done = koppel("promote", str(at.folder), str(prod), "--yes", "--json")
    assert done.code == 1, "the connections are still to be made"
    assert done.json["copied"] == ["kvk-exact"]
    assert (prod / "flows" / "kvk-exact.toml").exists()
    assert "the same in both" in koppel("promote", str(at.folder), str(prod)).out


def test_a_folder_that_is_no_workspace_is_said(at, koppel, tmp_path):
    said = koppel("promote", str(at.folder), str(tmp_path / "nothing"))
    assert said.code == 3
    assert "koppel init" in said.err
