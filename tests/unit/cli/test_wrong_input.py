"""What bad input gets: one clear message, the documented exit code, no traceback, nothing written, nothing lost."""

from __future__ import annotations

import pytest

from koppel.app import Workspace
from koppel.testing.stand import stand


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A workspace in which nothing ever happens."""
    with stand(tmp_path_factory.mktemp("calm") / "books", companies=24) as made:
        yield made


@pytest.fixture
def nothing_happens(calm, person):
    """Commands after which all is as before: the books, the register, the workspace's files, its runs and its trail."""

    def state():
        files = {p.name: p.read_bytes() for p in calm.folder.rglob("*") if p.is_file() and "koppel.db" not in p.name}
        return calm.host.checksum(), calm.writes(), calm.workspace.runs(), calm.workspace.audit_head(), files

    before = state()
    yield person(calm.folder)
    assert state() == before


def _one_message(said, code, *named):
    assert said.code == code, said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert said.err.count("koppel: ") >= 1
    for word in named:
        assert word in said.err


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["add", "123", "--to", "books-nl"], 2, ["'123'", "3 digits", "KVK register"]),
        (["add", "00100104", "--to", "nowhere"], 2, ["nowhere", "books-nl, register"]),
        (["add", "00100104", "--to", "register"], 2, ["register", "koppel init"]),
        (["add", "--to", "books-nl"], 2, ["No number"]),
        (["add", "--file", "nofile.csv", "--to", "books-nl"], 2, ["nofile.csv", "No such file"]),
        (["add", "00100104", "--to", "books-nl", "--later", "--plan"], 2, ["--later"]),
        (["plan", "nope"], 2, ["'nope'", "kvk-exact"]),
        (["sync", "nope"], 2, ["'nope'", "kvk-exact"]),
        (["sync"], 2, ["--all"]),
        (["sync", "kvk-exact", "--all"], 2, ["--all"]),
        (["docs", "nope"], 2, ["'nope'"]),
        (["check", "nope"], 2, ["'nope'"]),
        (["runs", "--flow", "nope"], 2, ["'nope'"]),
        (["log", "--run", "7"], 2, ["run 7", "koppel runs"]),
        (["apply", "nofile.json"], 2, ["nofile.json", "koppel plan"]),
        (["find", "nowhere", "x"], 2, ["nowhere"]),
        (["find", "books-nl", "bakkerij"], 2, ["kvk, vat"]),
        (["parked", "retry", "9"], 2, ["no. 9"]),
        (["parked", "retry", "9", "--all"], 2, ["--all"]),
        (["asks", "decide", "9", "1"], 2, ["no. 9", "koppel asks"]),
        (["asks", "decide", "9"], 2, ["which question"]),
        (["asks", "decide", "nine", "1"], 2, ["'nine'"]),
        (["why", "bakkerij"], 2, ["'bakkerij'", "connection:resource:id"]),
        (["why", "a:b"], 2, ["a:b"]),
        (["audit", "verify", "--head", "nofile"], 2, ["nofile", "audit head"]),
        (["init", "elsewhere", "--flow", "nope"], 2, ["'nope'", "kvk-exact"]),
        (["simulate", "--kind", "nope"], 2, ["'nope'"]),
        (["simulate", "--mutant", "nope"], 2, ["'nope'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_it_is_named_with_reason_and_remedy(nothing_happens, tmp_path, monkeypatch, words, code, named):
    monkeypatch.chdir(tmp_path)
    _one_message(nothing_happens(*words), code, *named)
    assert not (tmp_path / "elsewhere").exists()


def test_no_workspace(person, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _one_message(person(None)("runs"), 3, "no workspace", "koppel init")
    _one_message(person(tmp_path / "gone")("runs"), 3, "gone", "koppel init")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_workspace_file(at, koppel):
    file = at.folder / "koppel.toml"
    file.write_text(file.read_text() + '\n[connections."x"\n')
    _one_message(koppel("plan", "kvk-exact"), 3, "koppel.toml", "line")


def test_a_secret_in_the_workspace_file(at, koppel):
    file = at.folder / "koppel.toml"
    file.write_text(file.read_text().replace('system = "kvk"', 'system = "kvk"\napikey = "very-secret"'))
    said = koppel("plan", "kvk-exact")
    _one_message(said, 3, "apikey", "koppel connect register")
    assert "very-secret" not in said.err


def test_a_missing_key(at, koppel):
    (at.folder / "koppel.key").rename(at.folder / "elsewhere")
    _one_message(koppel("runs"), 3, "koppel.key", "backup")


def test_a_key_that_others_can_read(at, koppel):
    (at.folder / "koppel.key").chmod(0o644)
    _one_message(koppel("runs"), 3, "chmod 600")


def test_a_damaged_store(tmp_path, person):
    Workspace.create(tmp_path / "books").close()
    (tmp_path / "books" / "koppel.db").write_bytes(b"not a database, but long enough to be looked at" * 50)
    _one_message(person(tmp_path / "books")("runs"), 3, "store")


def test_a_damaged_flow_names_the_line(at, koppel):
    file = at.folder / "flows" / "kvk-exact.toml"
    file.write_text(file.read_text().replace('owner = "left" }', 'ownr = "left" }', 1))
    _one_message(koppel("plan", "kvk-exact"), 2, "flows/kvk-exact.toml:", "koppel check kvk-exact")
    said = koppel("check")
    assert said.code == 2
    assert "did you mean 'owner'?" in said.out


def test_a_wrong_key(at, koppel):
    assert koppel("connect", "register", "--set", "apikey=wrong").code == 0
    _one_message(koppel("add", "00100104", "--to", "books-nl"), 3, "register", "API key")
    assert at.writes() == 0


def test_a_dead_sign_in(at, koppel):
    at.wait(31 * 86_400)
    said = koppel("plan", "kvk-exact")
    _one_message(said, 4, "books-nl", "koppel connect books-nl")


def test_a_division_that_was_not_granted(at, koppel):
    at.exact("settings", scope=[123457])
    _one_message(koppel("add", "00100104", "--to", "books-nl"), 3, "books-nl", "division")
    assert at.writes() == 0


def test_a_vendor_that_does_not_answer_is_later(at, koppel):
    at.fault(system="kvk", kind="status", status=503, times=1000)
    said = koppel("find", "register", "bakkerij")
    _one_message(said, 1, "register", "later" if "later" in said.err else "nothing is lost")


def test_a_plan_of_an_edited_flow(at, koppel, tmp_path):
    plan = tmp_path / "plan.json"
    assert koppel("add", "00100104", "--to", "books-nl", "-o", str(plan)).code == 0
    file = at.folder / "flows" / "kvk-exact.toml"
    file.write_text(file.read_text().replace('const = "C"', 'const = "P"'))
    _one_message(koppel("apply", str(plan)), 2, "edited since", "koppel plan kvk-exact")
    assert at.writes() == 0


def test_a_plan_of_another_workspace(at, koppel, tmp_path):
    plan = tmp_path / "plan.json"
    assert koppel("add", "00100104", "--to", "books-nl", "-o", str(plan)).code == 0
    file = at.folder / "koppel.toml"
    file.write_text(file.read_text().replace('name = "demo"', 'name = "other"'))
    _one_message(koppel("apply", str(plan)), 2, "another workspace")
    assert at.writes() == 0


def test_a_file_that_is_no_plan(nothing_happens, tmp_path):
    for text in ("{}", "not json", '{"format": 99}', "[]"):
        (tmp_path / "x.json").write_text(text)
        _one_message(nothing_happens("apply", str(tmp_path / "x.json")), 2, "x.json", "koppel plan")


def test_a_file_of_numbers_that_is_no_text(nothing_happens, tmp_path):
    (tmp_path / "n.xlsx").write_bytes(bytes(range(128, 256)))
    _one_message(nothing_happens("add", "--file", str(tmp_path / "n.xlsx"), "--to", "books-nl"), 2, "n.xlsx", "CSV")


def test_a_plan_that_cannot_be_stored(koppel, at, tmp_path):
    _one_message(koppel("plan", "kvk-exact", "-o", str(tmp_path / "no" / "plan.json")), 2, "plan.json")
    assert at.writes() == 0


def test_a_folder_that_cannot_be_made(person, tmp_path):
    (tmp_path / "file").write_text("in the way")
    _one_message(person(None)("init", str(tmp_path / "file" / "books")), 2, "books")


def test_a_folder_with_the_key_of_another_workspace(person, tmp_path):
    Workspace.create(tmp_path / "books").close()
    (tmp_path / "books" / "koppel.toml").unlink()
    _one_message(person(None)("init", str(tmp_path / "books")), 2, "koppel.key", "another workspace")
    assert not (tmp_path / "books" / "koppel.toml").exists()
