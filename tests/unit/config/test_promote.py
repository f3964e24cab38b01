"""Promoting flows: what is compared, what is copied, and what never travels."""

from __future__ import annotations

from pathlib import Path

import pytest

from koppel.app import Workspace
from koppel.config.promote import carry_out, compare
from koppel.model.problem import SetupError, UsageError
from koppel.store import subjects
from koppel.testing.stand import BOOKS, stand

KVK = {"apikey": "made-up"}
APP = {"client_id": "id", "client_secret": "hush-hush", "redirect_uri": "https://app.example/back"}


def made(folder: Path, *, division: int, flow: bool = True) -> Path:
    with Workspace.create(folder) as workspace:
        workspace.connect("register", system="kvk", settings=KVK)
        workspace.connect("books-nl", system="exact", settings=APP | {"division": division})
        if flow:
            workspace.add_flow("kvk-exact", {"register": "register", "books-nl": "books-nl"})
    return folder


@pytest.fixture
def both(tmp_path):
    return made(tmp_path / "test", division=111), made(tmp_path / "prod", division=222, flow=False)


def flow_file(folder: Path) -> Path:
    return folder / "flows" / "kvk-exact.toml"


def test_a_new_flow_is_shown_and_copied_only_when_told_to(both):
    test, prod = both
    found = compare(test, prod)
    assert [(flow.id, flow.state) for flow in found.flows] == [("kvk-exact", "new")]
    assert not flow_file(prod).exists()
    assert carry_out(found) == ("kvk-exact",)
    assert flow_file(prod).read_bytes() == flow_file(test).read_bytes()
    assert compare(test, prod).pending == ()


def test_a_changed_flow_is_shown_line_by_line(both):
    test, prod = both
    carry_out(compare(test, prod))
    flow_file(test).write_text(flow_file(test).read_text().replace("creates = 200", "creates = 20"))
    (flow,) = compare(test, prod).flows
    assert flow.state == "changed"
    assert "-brakes    = { creates = 200" in flow.diff
    assert "+brakes    = { creates = 20," in flow.diff


def test_settings_that_differ_are_shown_and_secrets_never(both):
    test, prod = both
    found = compare(test, prod)
    books = next(one for one in found.connections if one.name == "books-nl")
    assert [(s.name, s.test, s.production) for s in books.settings] == [("division", 111, 222)]
    assert not books.same_account
    assert "hush-hush" not in repr(found)
    assert "made-up" not in repr(found)


def test_one_account_behind_both_is_pointed_out_where_flows_write(tmp_path):
    test, prod = made(tmp_path / "test", division=111), made(tmp_path / "prod", division=111)
    same = {one.name: one.same_account for one in compare(test, prod).connections}
    assert same == {"books-nl": True, "register": False}


def test_a_connection_that_production_lacks_is_listed_and_the_flow_is_copied_all_the_same(tmp_path):
    test = made(tmp_path / "test", division=111)
    Workspace.create(tmp_path / "prod").close()
    found = compare(test, tmp_path / "prod")
    assert {one.name: one.state for one in found.connections} == {"books-nl": "missing", "register": "missing"}
    assert carry_out(found) == ("kvk-exact",)
    with Workspace.open(tmp_path / "prod") as workspace, pytest.raises(SetupError, match="not configured"):
        workspace.flow("kvk-exact")


def test_flows_that_only_production_has_stay(both):
    test, prod = both
    carry_out(compare(test, prod))
    other = flow_file(prod).read_text().replace('"kvk-exact"', '"their-own"')
    (prod / "flows" / "their-own.toml").write_text(other)
    found = compare(test, prod)
    assert {flow.id: flow.state for flow in found.flows} == {"kvk-exact": "same", "their-own": "only_there"}
    carry_out(found)
    assert (prod / "flows" / "their-own.toml").read_text() == other


def test_a_renamed_file_is_the_same_flow_by_its_id(both):
    test, prod = both
    carry_out(compare(test, prod))
    flow_file(prod).rename(prod / "flows" / "register.toml")
    flow_file(test).write_text(flow_file(test).read_text() + "# one more line\n")
    carry_out(compare(test, prod))
    assert [file.name for file in (prod / "flows").iterdir()] == ["register.toml"]
    assert "one more line" in (prod / "flows" / "register.toml").read_text()


def _other_system(test, prod):
    file = prod / "koppel.toml"
    file.write_text(file.read_text().replace('system = "kvk"', 'system = "vies"'))


def _broken(test, prod):
    flow_file(test).write_text(flow_file(test).read_text().replace("keys ", "keyz "))


def _name_taken(test, prod):
    (prod / "flows").mkdir(exist_ok=True)
    flow_file(prod).write_text(flow_file(test).read_text().replace('id     = "kvk-exact"', 'id     = "another"'))


@pytest.mark.parametrize(
    ("spoil", "says"), [(_other_system, "vies in production"), (_broken, "keyz"), (_name_taken, "another flow")]
)
def test_what_stands_in_the_way_keeps_everything_from_being_copied(both, spoil, says):
    test, prod = both
    spoil(test, prod)
    found = compare(test, prod)
    assert any(says in obstacle for obstacle in found.obstacles)
    before = sorted((file.name, file.read_text()) for file in (prod / "flows").glob("*"))
    with pytest.raises(UsageError, match="Nothing was copied"):
        carry_out(found)
    assert sorted((file.name, file.read_text()) for file in (prod / "flows").glob("*")) == before


def test_what_changed_since_it_was_shown_is_not_copied_unseen(both):
    test, prod = both
    found = compare(test, prod)
    flow_file(test).write_text(flow_file(test).read_text() + "# later\n")
    with pytest.raises(UsageError, match="has changed since"):
        carry_out(found)
    assert not flow_file(prod).exists()


def test_one_folder_twice_and_no_workspace_are_refused(both, tmp_path):
    with pytest.raises(UsageError, match="same folder"):
        compare(both[0], both[0])
    with pytest.raises(SetupError):
        compare(both[0], tmp_path / "nothing")


def test_two_folders_on_one_database_are_refused(both):
    test, prod = both
    for folder in both:
        file = folder / "koppel.toml"
        file.write_text(file.read_text().replace("[workspace]", '[workspace]\ndatabase = "postgresql://db.example/k"'))
    with pytest.raises(UsageError, match="same database"):
        compare(test, prod)


def test_links_and_agreed_values_stay_where_they_are(tmp_path):
    with stand(tmp_path / "test", companies=8) as at:
        at.workspace.take(["00100104"], to="kvk-exact")
        assert at.workspace.sync("kvk-exact").counts["create"] == 1
        prod = made(tmp_path / "prod", division=at.division + 1, flow=False)
        carry_out(compare(at.folder, prod))
        with Workspace.open(prod) as there:
            assert there.streams() == ()
            assert there.audit_head().seq == 0
            assert there.store.run(lambda db: db.scalar("select count(*) from bases")) == 0
            assert there.store.run(lambda db: db.scalar("select count(*) from members")) == 0
        linked = next(s for s in at.workspace.streams() if s.connection == BOOKS and s.resource == "accounts")
        assert at.workspace.store.run(subjects.linked_natives, linked.id)
