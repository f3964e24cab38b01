"""Connecting an account: settings, secrets that never show, sign-in, division, one harmless read."""

from __future__ import annotations

import pytest

from koppel.app import Workspace
from koppel.cli.terminal import Terminal
from koppel.config.settings_form import read_setting, settings_form
from koppel.sandbox.host import build, contract
from koppel.sandbox.server import running

SECRETS = ("sandbox-Q7rT", "sandbox-kvk-apikey")


@pytest.fixture
def world():
    host = build(companies=24)
    with running(host) as base_url:
        yield contract(host, base_url)["systems"]


@pytest.fixture
def fresh(tmp_path, person):
    folder = tmp_path / "try"
    Workspace.create(folder).close()
    return person(folder)


def _app(world):
    exact = world["exact"]
    plain = ("base_url", "client_id", "redirect_uri")
    return [word for key in plain for word in ("--set", f"{key}={exact[key]}")]


def _shown_nowhere(folder, *said):
    for one in said:
        for secret in SECRETS:
            assert secret not in one.out + one.err
    for file in folder.rglob("*"):
        if file.is_file():
            assert not any(secret.encode() in file.read_bytes() for secret in SECRETS), file


def test_from_nothing_to_a_connection_that_works(world, fresh):
    key = fresh(
        "connect", "register", "--system", "kvk", "--set", f"base_url={world['kvk']['base_url']}",
        "--secret-stdin", "apikey", typed=world["kvk"]["apikey"] + "\n",
    )  # fmt: skip
    assert key.code == 0
    assert fresh("connect", "register", "--check").code == 0
    secret = world["exact"]["client_secret"] + "\n"
    made = fresh("connect", "books-nl", "-s", "exact", *_app(world), "--secret-stdin", "client_secret", typed=secret)
    assert made.code == 0
    link = next(line for line in made.out.splitlines() if line.startswith("http"))
    assert world["exact"]["client_id"] in link
    assert "redirect_uri" in link
    assert fresh("connect", "books-nl", "--check").code == 4, "not signed in yet"
    address = f"https://app.example/callback?code={world['exact']['authorization_code']}&state=x"
    signed = fresh("connect", "books-nl", "--code", address, "--json")
    assert signed.json["signed_in"] is True
    assert [account["id"] for account in signed.json["accounts"]] == [str(n) for n in world["exact"]["divisions"]]
    assert signed.json["unset"] == ["division"]
    chosen = fresh("connect", "books-nl", "--set", f"division={world['exact']['divisions'][1]}")
    assert chosen.code == 0
    checked = fresh("connect", "books-nl", "--check", "--json")
    assert checked.json["checked"]["calls"] == 2, "both lists of divisions"
    assert checked.json["settings"]["division"] == world["exact"]["divisions"][1]
    _shown_nowhere(fresh.folder, key, made, signed, chosen, checked)


def test_a_secret_may_stand_in_the_environment(world, fresh):
    env = {"KOPPEL_REGISTER_APIKEY": world["kvk"]["apikey"]}
    said = fresh("connect", "register", "-s", "kvk", "--set", f"base_url={world['kvk']['base_url']}", env=env)
    assert said.code == 0
    assert fresh("connect", "register", "--check", env=env).code == 0
    assert fresh("connect", "register", "--check").code == 3, "it was not stored"
    _shown_nowhere(fresh.folder, said)


def test_a_person_is_asked_and_secrets_are_typed_unseen(world, fresh, monkeypatch):
    monkeypatch.setattr(Terminal, "can_ask", property(lambda _self: True))
    exact = world["exact"]
    answers = [
        exact["client_id"],
        exact["client_secret"],
        exact["redirect_uri"],
        exact["base_url"],
        exact["authorization_code"],
        str(exact["divisions"][0]),
    ]
    said = fresh("connect", "books-nl", "--system", "exact", typed="\n".join(answers) + "\n")
    assert said.code == 0, said.err
    for question in ("Client ID", "Client secret", "Redirect URI", "Netherlands", "Paste the address", "which number"):
        assert question in said.out + said.err
    assert fresh("connect", "books-nl", "--json", "--check").json["settings"]["division"] == exact["divisions"][0]
    _shown_nowhere(fresh.folder, said)


def test_a_wrong_answer_is_asked_again(world, fresh, monkeypatch):
    monkeypatch.setattr(Terminal, "can_ask", property(lambda _self: True))
    right = {"apikey": world["kvk"]["apikey"], "name": "trade"}
    answers: list[str] = []
    for setting in settings_form("kvk"):
        if setting.name in ("name", "test"):
            answers.append("perhaps")  # neither a name to use nor yes or no
        if not setting.advanced:
            answers.append(right.get(setting.name, ""))
    said = fresh("connect", "register", "--system", "kvk", typed="\n".join(answers) + "\n")
    assert said.code == 0, said.err
    assert "It takes one of: " in said.err
    assert "It takes yes or no." in said.err
    assert 'name = "trade"' in (fresh.folder / "koppel.toml").read_text()
    _shown_nowhere(fresh.folder, said)


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["nix"], 2, "--system"),
        (["nix", "--system", "afs"], 3, "afs"),
        (["Not A Name", "--system", "kvk", "--set", "apikey=x"], 2, "Not A Name"),
        (["nix", "--system", "kvk"], 2, "--secret-stdin apikey"),
        (["nix", "--system", "kvk", "--set", "apikey"], 2, "KEY=VALUE"),
        (["nix", "--system", "kvk", "--set", "apikey=x", "--set", "colour=red"], 2, "colour"),
        (["nix", "--system", "kvk", "--set", "apikey=x", "--set", "test=perhaps"], 2, "yes or no"),
        (["nix", "--system", "kvk", "--set", "apikey=x", "--set", "base_url=nowhere"], 2, "not a web address"),
        (["nix", "--system", "kvk", "--secret-stdin", "name"], 2, "apikey"),
        (["nix", "--system", "kvk", "--secret-stdin", "apikey"], 2, "apikey"),
        (["nix", "--check"], 2, "--system"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_wrong_is_named_and_nothing_is_stored(fresh, words, code, named):
    before = (fresh.folder / "koppel.toml").read_text()
    said = fresh("connect", *words)
    assert said.code == code
    assert named in said.err
    assert said.out == ""
    assert (fresh.folder / "koppel.toml").read_text() == before


def test_a_connection_keeps_its_system(at, koppel):
    said = koppel("connect", "register", "--system", "exact")
    assert said.code == 2
    assert "kvk already" in said.err


def test_a_division_that_cannot_be_reached_is_refused_before_it_is_stored(at, koppel):
    said = koppel("connect", "books-nl", "--set", "division=999")
    assert said.code == 3
    assert "123456" in said.err
    assert koppel("connect", "books-nl", "--check").code == 0


def test_how_long_a_sign_in_lasts_is_said(at, koppel):
    said = " ".join(koppel("connect", "books-nl").out.split())
    assert "Signed in; unless it is used before, that ends in 29 days" in said
    at.wait(25 * 86_400)
    told = koppel("connect", "books-nl", "--json").json
    assert told["standing"]["level"] == "attention"
    assert "ends in 4 days" in told["standing"]["text"]
    at.wait(25 * 86_400)
    assert "has expired" in koppel("connect", "books-nl").out
    assert koppel("doctor", "books-nl").code == 1


def test_a_used_code_asks_for_a_new_sign_in(at, koppel):
    code = at.exact("authorization_code")["code"]
    assert koppel("connect", "books-nl", "--code", code).code == 0
    said = koppel("connect", "books-nl", "--code", code)
    assert said.code == 4
    assert "paste" in said.err


def test_a_key_needs_no_sign_in(at, koppel):
    assert koppel("connect", "register", "--code", "x").code == 2


def test_the_real_account_set_up_is_explained(fresh):
    said = fresh("connect", "nix", "--system", "kvk", "--help-text")
    assert said.code == 0
    assert "developers.kvk.nl" in said.out


def test_the_form_follows_the_settings_struct():
    form = {setting.name: setting for setting in settings_form("exact")}
    assert list(form) == ["client_id", "client_secret", "redirect_uri", "base_url", "division", "login"]
    assert form["client_secret"].secret
    assert form["division"].chosen_from == "accounts"
    assert form["division"].kind == "number"
    assert form["base_url"].open_choices
    assert not form["login"].required


def test_typed_settings_become_their_own_type():
    assert read_setting("exact", "division", "123") == 123
    assert read_setting("kvk", "test", "yes") is True
    assert read_setting("kvk", "name", "statutory") == "statutory"
