"""Signing calls: which header, when a token is asked for anew, what a refusal means, and a token by e-mail."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs

import pytest

from koppel.model.problem import RetryLater, SetupError, UsageError
from koppel.sandbox.host import build
from koppel.systems.afas import auth
from koppel.systems.afas.settings import Settings
from koppel.systems.spi import Dead, NoReply, Refreshed, Request, Response, Tokens, drive

XML = "<token><version>1</version><data>AD2D42B854E2809D19A89EC3D56A6F57</data></token>"
CLASSIC = Settings(member="12345", token=XML)
OAUTH = Settings(member="12345", client_id="app", client_secret="s3cret+&/=")
KEYS = {"api_key": "a" * 32, "environment_key": "b" * 32, "user": "12345.koppel"}


def answers(*replies):
    left = list(replies)
    calls = []

    def answer(call):
        calls.append(call)
        return left.pop(0)

    return answer, calls


def body(status, **told):
    return Response(status, {}, json.dumps(told).encode())


def test_a_classic_token_travels_as_base64_of_its_xml():
    tokens = auth.tokens_from(CLASSIC)
    signed = auth.authorize(CLASSIC, tokens, Request("GET", "https://x.example"))
    scheme, value = signed.headers["Authorization"].split(" ")
    assert scheme == "AfasToken"
    assert base64.b64decode(value).decode() == XML
    assert auth.due(tokens, 10.0**10) == "fresh"


def test_an_oauth_token_travels_as_bearer_and_the_settings_hold_none():
    assert auth.tokens_from(OAUTH) is None
    signed = auth.authorize(OAUTH, Tokens("abc"), Request("GET", "https://x.example"))
    assert signed.headers["Authorization"] == "Bearer abc"


@pytest.mark.parametrize(("age", "state"), [(0, "fresh"), (3_539, "fresh"), (3_541, "refresh"), (9_999, "refresh")])
def test_a_token_is_asked_anew_when_a_minute_is_left(age, state):
    assert auth.due(Tokens("abc", obtained_at=0.0, expires_at=3_600.0), float(age)) == state
    assert auth.due(Tokens(""), 0.0) == "refresh"


def test_a_token_is_asked_with_the_secret_in_the_body_alone():
    answer, calls = answers(body(200, access_token="new", token_type="Bearer", expires_in=3600))
    outcome = drive(auth.refresh(OAUTH, Tokens(""), 1_000.0), answer)
    assert isinstance(outcome, Refreshed)
    assert (outcome.tokens.access, outcome.tokens.expires_at) == ("new", 4_600.0)
    request = calls[0].request
    assert request.url == "https://12345.rest.afas.online/ProfitRestServices/oauth/token"
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["app"],
        "client_secret": ["s3cret+&/="],
    }
    assert "Authorization" not in request.headers, "two methods at once are refused"


def test_silence_is_followed_by_one_more_try_and_then_by_later():
    answer, calls = answers(NoReply(), body(200, access_token="new"))
    assert isinstance(drive(auth.refresh(OAUTH, Tokens(""), 0.0), answer), Refreshed)
    answer, calls = answers(NoReply(), Response(503))
    with pytest.raises(RetryLater):
        drive(auth.refresh(OAUTH, Tokens(""), 0.0), answer)
    assert len(calls) == 2


@pytest.mark.parametrize("status", [400, 401])
def test_an_unknown_client_is_dead_after_one_call(status):
    answer, calls = answers(body(status, error="invalid_client", error_description="secret expired"))
    outcome = drive(auth.refresh(OAUTH, Tokens("old"), 0.0), answer)
    assert isinstance(outcome, Dead)
    assert "secret expired" in outcome.reason
    assert len(calls) == 1


def test_any_other_refusal_is_for_the_operator():
    answer, _ = answers(body(400, error="unauthorized_client"))
    with pytest.raises(SetupError, match="unauthorized_client"):
        drive(auth.refresh(OAUTH, Tokens(""), 0.0), answer)


def test_a_classic_token_cannot_be_renewed():
    answer, calls = answers()
    assert isinstance(drive(auth.refresh(CLASSIC, auth.tokens_from(CLASSIC), 0.0), answer), Dead)
    assert calls == []


def test_a_code_by_e_mail_becomes_a_token_that_is_accepted():
    host = build(companies=3, names=["afas"])
    told = host.sandboxes["afas"].contract("http://localhost/afas")
    there = told["environments"]["production"]
    keys = {"api_key": there["api_key"], "environment_key": there["environment_key"], "user": there["user_id"]}
    settings = Settings(base_url=told["base_url"], token=told["token"])

    def answer(call):
        return host.handle(call.request)

    drive(auth.otp_request(settings, **keys), answer)
    (code,) = host.control("afas", "otp", {})["codes"]
    token = drive(auth.otp_validate(settings, **keys, code=f" {code} "), answer)
    fresh = Settings(base_url=told["base_url"], token=token)
    request = auth.authorize(fresh, auth.tokens_from(fresh), Request("GET", f"{told['base_url']}/metainfo"))
    assert host.handle(request).status == 200


def test_a_wrong_code_is_refused_in_words():
    for reply in (Response(204), body(200), Response(200, {}, b"<html>"), body(400)):
        answer, calls = answers(reply)
        with pytest.raises(UsageError, match="code"):
            drive(auth.otp_validate(CLASSIC, **KEYS, code="123456"), answer)
        assert "Authorization" not in calls[0].request.headers


def test_a_code_that_could_not_be_asked_for_is_said():
    for reply in (NoReply(), Response(503)):
        answer, _ = answers(reply)
        with pytest.raises(RetryLater):
            drive(auth.otp_request(CLASSIC, **KEYS), answer)
    answer, _ = answers(Response(403))
    with pytest.raises(UsageError, match="403"):
        drive(auth.otp_request(CLASSIC, **KEYS), answer)
