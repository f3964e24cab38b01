"""Making a workspace: folder, key, ready-made flow, and what comes next."""

from __future__ import annotations

import stat

import pytest

from koppel.app import Workspace, ready_made


def test_a_folder_with_a_ready_made_flow(person, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = person(None)(
        "init", "books", "--name", "Jansen B.V.", "--flow", "kvk-exact", "--left", "kvk-main", "--right", "books-be"
    )
    assert said.code == 0, said.err
    flow = (tmp_path / "books" / "flows" / "kvk-exact.toml").read_text()
    assert '"kvk-main:companies"' in flow
    assert '"books-be:accounts"' in flow
    assert "koppel connect kvk-main --system kvk" in said.out
    assert "koppel connect books-be --system exact" in said.out
    assert stat.S_IMODE((tmp_path / "books" / "koppel.key").stat().st_mode) == 0o600
    with Workspace.open(tmp_path / "books") as ws:
        assert ws.config.name == "Jansen B.V."


def test_without_a_flow_the_ready_made_ones_are_listed(person, tmp_path):
    said = person(None)("init", str(tmp_path / "books"))
    for flow in ready_made():
        assert f"{flow.name}: {flow.title}" in " ".join(said.out.split())


def test_a_flow_is_added_to_a_workspace_that_stands(person, tmp_path, monkeypatch):
    Workspace.create(tmp_path).close()
    monkeypatch.chdir(tmp_path)
    said = person(None)("init", "--flow", "kvk-exact", "--json")
    assert said.code == 0, said.err
    assert said.json["made"] is False
    assert said.json["connect_next"] == ["books-nl", "register"]
    again = person(None)("init", "--flow", "kvk-exact")
    assert again.code == 2
    assert "exists already" in again.err


def test_a_workspace_is_never_made_over_another(person, tmp_path):
    Workspace.create(tmp_path).close()
    key = (tmp_path / "koppel.key").read_bytes()
    said = person(None)("init", str(tmp_path))
    assert said.code == 2
    assert "exists already" in said.err
    assert (tmp_path / "koppel.key").read_bytes() == key


def test_names_of_connections_are_checked_before_anything_is_made(person, tmp_path):
    said = person(None)("init", str(tmp_path / "books"), "--flow", "kvk-exact", "--left", "Not Good")
    assert said.code == 2
    assert not (tmp_path / "books").exists()
    assert person(None)("init", str(tmp_path / "books"), "--left", "a").code == 2


@pytest.mark.parametrize(
    ("address", "code", "said_so"),
    [
        ("mysql://db.example/koppel", 3, "There is no store on mysql."),
        ("postgresql://koppel:geheim@db.example/koppel", 2, "holds a password"),
        ("postgresql://koppel@/koppel?host=/nowhere-at-all", 3, "The store cannot be opened"),
    ],
)
def test_an_address_that_will_not_do_leaves_no_half_made_workspace(person, tmp_path, address, code, said_so):
    said = person(None)("init", str(tmp_path / "books"), "--database", address)
    assert said.code == code
    assert said_so in " ".join(said.err.split())
    assert "geheim" not in said.err
    assert not (tmp_path / "books").exists() or list((tmp_path / "books").iterdir()) == []
