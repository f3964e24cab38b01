"""A key is changed without a gap: the next one is used from when the vendor refuses the first, and that is said once."""

from __future__ import annotations

import asyncio

import pytest

from koppel.engine.logins import PAUSE
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.model.problem import SignInNeeded
from koppel.sandbox.host import build, contract
from koppel.store.store import in_memory
from koppel.store.vault import Vault
from koppel.systems.afas import SYSTEM
from koppel.systems.afas.settings import Settings


class Desk:
    """A connection to a sandbox of Profit; `ask` is one pass of its own."""

    def __init__(self):
        self.host = build(companies=3, names=["afas"])
        self.base = contract(self.host, "http://sandbox.example")["systems"]["afas"]["base_url"]
        self.store, self.told, self.sent = in_memory(Vault(b"k" * 32)), [], 0

    def token(self):
        return self.host.control("afas", "token", {})["token"]

    def revoke(self, *tokens):
        for token in tokens:
            self.host.control("afas", "revoke", {"token": token})

    def now(self):
        return self.host.clock.now()

    async def sleep(self, seconds):
        self.host.clock.advance(seconds)

    async def send(self, request, *, timeout):  # noqa: ASYNC109
        self.sent += 1
        return self.host.handle(request)

    def sender(self):
        ports = Ports(store=self.store, clock=self, transport=self, connections={}, worker="me", tell=self.told.append)
        return Sender(ports)

    def ask(self, token, token_next="", sender=None):
        """How many calls it took."""
        settings = Settings(base_url=self.base, token=token, token_next=token_next)
        connection = Connection(name="profit", system=SYSTEM, settings=settings)
        before = self.sent
        exchange = SYSTEM.accounts(connection.site(self.now()))
        asyncio.run((sender or self.sender()).run(connection, exchange))
        return self.sent - before


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.store.close()


def test_the_next_key_is_used_from_the_refusal_on_and_that_is_said_once(desk):
    old, new = desk.token(), desk.token()
    sender = desk.sender()
    assert desk.ask(old, new, sender) == 1
    desk.revoke(old)
    assert [desk.ask(old, new, sender) for _ in range(2)] == [2, 1], "in the middle of a run it goes on"
    assert desk.ask(old, new) == 1, "a later run does not try the old one again"
    (said,) = desk.told
    assert "the next one is used" in said


def test_while_the_key_is_accepted_the_next_one_waits(desk):
    old, new = desk.token(), desk.token()
    desk.revoke(new)
    assert desk.ask(old, new) == 1
    assert desk.told == []


def test_the_next_key_becomes_the_key(desk):
    old, new = desk.token(), desk.token()
    desk.revoke(old)
    assert desk.ask(old, new) == 2
    assert desk.ask(new, new) == 1
    newest = desk.token()
    desk.revoke(new)
    assert [desk.ask(new, newest), desk.ask(new, newest)] == [2, 1]
    assert len(desk.told) == 2


def test_two_dead_keys_need_a_person_and_are_left_in_peace(desk):
    old, new = desk.token(), desk.token()
    desk.revoke(old, new)
    with pytest.raises(SignInNeeded, match="not accepted"):
        desk.ask(old, new)
    assert desk.sent == 2
    with pytest.raises(SignInNeeded, match="for an hour"):
        desk.ask(old, new)
    assert desk.sent == 2
    third = desk.token()
    assert desk.ask(old, third) == 1, "another next key mends it at once"
    assert desk.ask(third) == 1


def test_when_both_were_refused_the_first_is_tried_again_after_the_hour(desk):
    old = desk.token()
    new = desk.token()
    desk.revoke(old, new)
    with pytest.raises(SignInNeeded):
        desk.ask(old, new)
    desk.host.clock.advance(PAUSE + 1)
    with pytest.raises(SignInNeeded):
        desk.ask(old, new)
    assert desk.sent == 4, "both again, once"


def test_a_next_key_that_comes_after_the_refusal_is_used_at_once(desk):
    old = desk.token()
    desk.revoke(old)
    with pytest.raises(SignInNeeded):
        desk.ask(old)
    assert desk.ask(old, desk.token()) == 1
    assert len(desk.told) == 1
