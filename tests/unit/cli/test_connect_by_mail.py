"""A token by e-mail: keys and code are typed, the token is kept sealed, and what AFAS does not say is said."""

from __future__ import annotations

import pytest

from koppel.app import Workspace
from koppel.cli.terminal import Terminal
from koppel.sandbox.host import build, contract
from koppel.sandbox.server import running
from koppel.store import secrets


@pytest.fixture
def host():
    return build(companies=3, names=["afas"])


@pytest.fixture
def profit(host):
    with running(host) as base_url:
        yield contract(host, base_url)["systems"]["afas"]["environments"]["production"]


@pytest.fixture
def fresh(tmp_path, person):
    Workspace.create(tmp_path / "try").close()
    return person(tmp_path / "try")


def codes(host):
    return host.control("afas", "otp", {})["codes"]


def keys(profit, **other):
    return {
        "KOPPEL_PROFIT_API_KEY": profit["api_key"],
        "KOPPEL_PROFIT_ENVIRONMENT_KEY": profit["environment_key"],
        **other,
    }


def words(profit, *more):
    return ("connect", "profit", "-s", "afas", "--by-mail", "--set", f"user={profit['user_id']}", *more)


def with_site(profit, *more):
    return words(profit, "--set", f"base_url={profit['base_url']}", *more)


def kept(folder):
    with Workspace.open(folder) as ws:
        found = ws.store.run(secrets.get, "settings profit")
        return found[0] if found else {}


def nowhere(folder, *texts):
    for file in folder.rglob("*"):
        if file.is_file():
            assert not any(text.encode() in file.read_bytes() for text in texts), file


def test_a_code_is_asked_for_and_exchanged_for_a_token_that_works(host, profit, fresh):
    asked = fresh(*with_site(profit), env=keys(profit))
    assert asked.code == 0, asked.err
    assert "koppel connect profit --by-mail --code CODE" in asked.out
    assert "No e-mail within a few minutes" in " ".join(asked.out.split())
    (code,) = codes(host)
    done = fresh(*words(profit, "--code", code), env=keys(profit))
    assert done.code == 0, done.err
    assert "It works" in done.out
    assert set(kept(fresh.folder)) == {"token"}
    assert kept(fresh.folder)["token"].startswith("<token>")
    assert fresh("connect", "profit", "--check").code == 0
    nowhere(fresh.folder, profit["api_key"], profit["environment_key"], kept(fresh.folder)["token"])


def test_two_keys_may_come_from_standard_input_one_line_each(host, profit, fresh):
    typed = f"{profit['environment_key']}\n{profit['api_key']}\n"
    both = ("--secret-stdin", "environment_key", "--secret-stdin", "api_key")
    assert fresh(*with_site(profit, *both), typed=typed).code == 0
    assert len(codes(host)) == 1


def test_a_person_is_asked_for_keys_and_code(host, profit, fresh, monkeypatch):
    monkeypatch.setattr(Terminal, "can_ask", property(lambda _self: True))
    hidden = {}

    def answered(_self, question, *, default="", secret=False):
        hidden[question] = secret
        if "API key" in question:
            return profit["api_key"]
        if "Environment key" in question:
            return profit["environment_key"]
        if "code" in question:
            return codes(host)[0]
        raise AssertionError(question)

    monkeypatch.setattr(Terminal, "ask", answered)
    said = fresh(*with_site(profit))
    assert said.code == 0, said.err
    assert list(hidden.values()) == [True, True, False]
    assert "token" in kept(fresh.folder)


def test_wrong_keys_are_answered_alike_and_it_is_said_that_no_mail_may_come(host, profit, fresh):
    said = fresh(*with_site(profit), env=keys(profit, KOPPEL_PROFIT_API_KEY="0" * 32))
    assert said.code == 0
    assert codes(host) == []
    assert "AFAS answers alike when a key or the user is wrong" in " ".join(said.out.split())


def test_a_wrong_code_is_refused_and_nothing_is_kept(host, profit, fresh):
    fresh(*with_site(profit), env=keys(profit))
    wrong = "000000" if codes(host) != ["000000"] else "000001"
    said = fresh(*words(profit, "--code", wrong), env=keys(profit))
    assert said.code == 2
    assert "does not accept this code" in said.err
    assert kept(fresh.folder) == {}
    assert fresh("connect", "profit", "--check").code == 4, "no token is no reason to complain of settings"


def test_what_is_missing_is_named(profit, fresh):
    said = fresh(*with_site(profit))
    assert said.code == 2
    assert "--secret-stdin api_key --secret-stdin environment_key" in " ".join(said.err.split())


def test_an_oauth_connection_gets_no_token_beside_its_client(host, profit, fresh):
    client = ("--set", "client_id=a", "--set", "client_secret=b")
    said = fresh(*with_site(profit, *client), env=keys(profit))
    assert said.code == 2
    assert "OAuth" in said.err
    assert codes(host) == []


def test_a_system_that_mails_no_codes_says_so(fresh):
    said = fresh("connect", "register", "-s", "kvk", "--set", "apikey=x", "--by-mail")
    assert said.code == 2
    assert "no codes by e-mail" in said.err
