"""A login that needs no person: its first token is fetched when it is wanted; a key in the settings is used as it is."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from koppel.engine.logins import Logins
from koppel.engine.ports import Connection, Ports
from koppel.model.problem import SignInNeeded
from koppel.store.store import in_memory
from koppel.store.vault import Vault
from koppel.systems.spi import Auth, Call, Dead, Refreshed, Request, Response, System, Tokens, Verdict


class Settings(msgspec.Struct, frozen=True):
    key: str = ""


class Still:
    def __init__(self):
        self.time = 1_000.0

    def now(self):
        return self.time

    async def sleep(self, seconds):
        self.time += seconds
        await asyncio.sleep(0)


def refresh(settings, tokens, now):
    reply = yield Call(Request("POST", "https://login.example/token"))
    if reply.status != 200:
        return Dead("no such client")
    return Refreshed(Tokens(reply.body.decode(), obtained_at=now, expires_at=now + 3_600))


def due(tokens, now):
    return "fresh" if tokens.access and (tokens.expires_at is None or tokens.expires_at - now > 60) else "refresh"


class Desk:
    def __init__(self, *, key="", status=200, unattended=True):
        self.asked, self.status, self.clock = 0, status, Still()
        auth = Auth(
            kind="key",
            authorize=lambda settings, tokens, request: request,
            due=due,
            refresh=refresh,
            tokens_from=lambda settings: Tokens(settings.key) if settings.key else None,
            unattended=unattended,
        )
        system = System(
            name="made-up",
            title="Made up",
            settings=Settings,
            resources=(),
            auth=auth,
            verdict=lambda *_: Verdict("ok"),
        )
        self.connection = Connection(name="books", system=system, settings=Settings(key))
        store = in_memory(Vault(b"k" * 32))
        self.logins = Logins(
            Ports(store=store, clock=self.clock, transport=None, connections={}, worker="me"), self.bare
        )

    async def bare(self, connection, call):
        self.asked += 1
        await asyncio.sleep(0)
        return Response(self.status, {}, f"token {self.asked}".encode())

    def tokens(self):
        return asyncio.run(self.logins.tokens(self.connection)).access


def test_the_first_token_of_an_unattended_login_needs_no_sign_in_and_is_kept():
    desk = Desk()
    assert [desk.tokens(), desk.tokens()] == ["token 1", "token 1"]
    assert desk.asked == 1


def test_an_unattended_login_asks_again_when_its_token_is_about_to_end():
    desk = Desk()
    desk.tokens()
    desk.clock.time += 3_550
    assert desk.tokens() == "token 2"


def test_several_calls_at_once_ask_for_one_first_token():
    desk = Desk()

    async def many():
        return await asyncio.gather(*(desk.logins.tokens(desk.connection) for _ in range(4)))

    assert {tokens.access for tokens in asyncio.run(many())} == {"token 1"}
    assert desk.asked == 1


def test_a_refused_client_is_a_dead_login_and_is_asked_once():
    desk = Desk(status=401)
    with pytest.raises(SignInNeeded, match="no such client"):
        desk.tokens()
    assert desk.asked == 1


def test_a_key_in_the_settings_is_used_as_it_is_and_cannot_be_renewed():
    desk = Desk(key="classic")
    assert desk.tokens() == "classic"
    assert not asyncio.run(desk.logins.renew(desk.connection, Tokens("classic")))
    assert desk.asked == 0


def test_a_login_that_a_person_signs_in_to_is_not_started_by_itself():
    desk = Desk(unattended=False)
    with pytest.raises(SignInNeeded, match="not signed in"):
        desk.tokens()
    assert desk.asked == 0
