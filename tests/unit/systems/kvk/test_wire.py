"""KVK's wire: where a request goes, and what each answer means."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import msgspec
import pytest

from koppel.model.problem import Bug
from koppel.systems.kvk import SYSTEM, wire
from koppel.systems.kvk.settings import Settings
from koppel.systems.spi import Request, Response, Tokens

AS_OF = 1_700_000_000.0
KEY = "made-up-key-1"
SETTINGS = Settings(apikey=KEY, base_url="http://register.example/kvk/")
PROFILE = wire.basisprofiel(SETTINGS, "01234567").request


def refusal(status, code="", text="", *, wrapped=False, headers=None):
    body = {"fout": [{"code": code, "omschrijving": text}]}
    return Response(status, headers or {}, msgspec.json.encode({"meldingen": body} if wrapped else body))


def test_a_profile_is_asked_at_its_address_and_names_its_price():
    call = wire.basisprofiel(SETTINGS, "01234567")
    assert call.request.url == "http://register.example/kvk/api/v1/basisprofielen/01234567"
    assert call.request.headers == {"Accept": "application/hal+json"}
    assert call.kind == SYSTEM.resource("companies").can.prices[0].call
    assert call.carries == ()


def test_the_test_register_has_test_after_the_host():
    settings = Settings(apikey=KEY, test=True)
    assert (
        wire.basisprofiel(settings, "68750110").request.url == "https://api.kvk.nl/test/api/v1/basisprofielen/68750110"
    )


def test_a_search_escapes_what_people_type_and_repeats_type():
    criteria = [("naam", "Jansen & Zn"), ("type", "hoofdvestiging"), ("type", "rechtspersoon")]
    url = wire.zoeken(SETTINGS, criteria, pagina=2, resultatenPerPagina=100).request.url
    assert url.endswith(
        "/api/v2/zoeken?naam=Jansen+%26+Zn&type=hoofdvestiging&type=rechtspersoon&pagina=2&resultatenPerPagina=100"
    )


def test_the_key_travels_in_its_header_and_nowhere_else():
    tokens = SYSTEM.auth.tokens_from(SETTINGS)
    signed = SYSTEM.auth.authorize(SETTINGS, tokens, PROFILE)
    assert signed.headers["apikey"] == KEY
    assert KEY not in signed.url
    assert KEY not in repr(SETTINGS)
    assert SYSTEM.auth.due(tokens, AS_OF) == "fresh"
    assert SYSTEM.auth.due(Tokens(access=""), AS_OF) == "dead"


def test_the_key_never_goes_to_another_host():
    elsewhere = Request("GET", "http://elsewhere.example/kvk/api/v2/zoeken")
    with pytest.raises(Bug, match=r"elsewhere\.example"):
        SYSTEM.auth.authorize(SETTINGS, Tokens(access=KEY), elsewhere)


@pytest.mark.parametrize("wrapped", [False, True])
def test_both_error_envelopes_are_read(wrapped):
    assert wire.read_fout(refusal(404, "IPD5200", "niets", wrapped=wrapped)) == wire.Fout("IPD5200", "niets")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"fout": "x"}', b'{"fout": []}', b'{"meldingen": null}'])
def test_a_body_that_is_no_envelope_tells_nothing_and_breaks_nothing(body):
    assert wire.read_fout(Response(500, {}, body)) == wire.Fout()


@pytest.mark.parametrize(
    ("status", "code", "kind", "word"),
    [
        (401, "", "setup", "API key"),
        (403, "", "setup", "Basisprofiel"),
        (429, "", "throttled", "no more calls"),
        (500, "IPD9999", "unavailable", "fault"),
        (503, "", "unavailable", "fault"),
    ],
)
def test_what_a_response_means_by_what_must_be_done(status, code, kind, word):
    verdict = SYSTEM.verdict(PROFILE, refusal(status, code, "tekst"), AS_OF)
    assert verdict.kind == kind
    assert word in verdict.problem.text
    assert verdict.problem.status == status
    assert verdict.problem.vendor_text == "tekst"


@pytest.mark.parametrize(
    ("status", "code"), [(200, ""), (404, "IPD5200"), (404, "IPD1002"), (400, "IPD1999"), (406, "")]
)
def test_what_concerns_one_number_is_left_to_the_exchange(status, code):
    assert SYSTEM.verdict(PROFILE, refusal(status, code), AS_OF).kind == "ok"


def test_a_missing_subscription_names_the_api_that_was_asked():
    search = wire.zoeken(SETTINGS, [("naam", "x")], pagina=1, resultatenPerPagina=10).request
    assert "subscribe to the Zoeken API" in SYSTEM.verdict(search, refusal(403), AS_OF).problem.text


def test_a_named_wait_is_obeyed():
    verdict = SYSTEM.verdict(PROFILE, refusal(429, headers={"retry-after": "7"}), AS_OF)
    assert verdict.retry_at == AS_OF + 7
    assert verdict.budget in {budget.name for budget in SYSTEM.budgets}


def test_every_call_counts_in_both_budgets():
    assert [(budget.limit, budget.window, budget.key(PROFILE)) for budget in SYSTEM.budgets] == [
        (100, "second", "kvk"),
        (300_000, "month", "kvk"),
    ]


def test_an_address_that_is_none_is_refused_when_the_settings_are_read():
    with pytest.raises(msgspec.ValidationError, match="not a web address"):
        msgspec.convert({"apikey": KEY, "base_url": "api.example"}, Settings)


def test_the_host_and_the_ca_chain_come_from_the_settings():
    settings = Settings(apikey=KEY, ca_bundle="chain.pem")
    assert SYSTEM.hosts(settings) == ("api.kvk.nl",)
    assert SYSTEM.ca_bundle(settings) == "chain.pem"


def test_the_facts_say_what_the_code_does():
    facts = tomllib.loads(files("koppel.systems.kvk").joinpath("facts.toml").read_text())
    waits = {code: facts["retry"][code]["seconds"] for code in wire.BEING_PROCESSED}
    assert waits == dict(wire.BEING_PROCESSED)
    assert facts["retry"]["outage"]["seconds"] == wire.OUTAGE_WAIT
    assert {name: fact["limit"] for name, fact in facts["budgets"].items()} == {b.name: b.limit for b in SYSTEM.budgets}
    prices = {price.call: price.euros for resource in SYSTEM.resources for price in resource.can.prices}
    assert {name: fact["euros"] for name, fact in facts["prices"].items()} == prices
    assert facts["transport"]["accept"] == wire.ACCEPT
