"""KVKBase's wire: what a response means, and what it says is left."""

from __future__ import annotations

import json

import pytest

from koppel.model.problem import Bug
from koppel.systems.kvkbase import wire
from koppel.systems.kvkbase.auth import AUTH
from koppel.systems.kvkbase.resources import find, find_text
from koppel.systems.kvkbase.settings import Settings
from koppel.systems.spi import Absent, Found, NoReply, Request, Response, Site, Unknown, drive

NOW = 1_800_000_030.0
SETTINGS = Settings(apikey="kvk_test_made_up")
SITE = Site(connection="register", settings=SETTINGS, facts={}, as_of=NOW)
REQUEST = wire.lookup(SETTINGS, "01234567").request


def answered(body, status=200, **headers):
    return Response(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()
    )


def error(code, status, **headers):
    return answered({"error": {"code": code, "message": f"about {code}"}}, status, **headers)


def found_by(reply, value="01234567", look=find, kind="kvk"):
    return drive(look(SITE, kind, (value,)), lambda call: reply)[value]


def test_the_enriched_look_up_is_asked_for_in_the_address_and_has_a_price_of_its_own():
    full, basic = wire.lookup(SETTINGS, "01234567"), wire.lookup(Settings(apikey="x", enrich=False), "01234567")
    assert (full.request.url, full.kind) == (
        "https://api.kvkbase.nl/v1/lookup/01234567?enrich=true",
        "lookup_enriched",
    )
    assert (basic.request.url, basic.kind) == ("https://api.kvkbase.nl/v1/lookup/01234567", "lookup")


def test_the_key_travels_in_a_header_to_one_host_only():
    tokens = AUTH.tokens_from(SETTINGS)
    signed = AUTH.authorize(SETTINGS, tokens, REQUEST)
    assert signed.headers["Authorization"] == "Bearer kvk_test_made_up"
    assert "kvk_test_made_up" not in signed.url + repr(SETTINGS) + repr(signed)
    with pytest.raises(Bug):
        AUTH.authorize(SETTINGS, tokens, Request("GET", "https://elsewhere.example/v1/lookup/01234567"))


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("UNAUTHORIZED", 401, "sign_in"),
        ("INSUFFICIENT_TOKENS", 402, "setup"),
        ("QUOTA_EXCEEDED", 429, "setup"),
        ("FORBIDDEN", 403, "setup"),
        ("RATE_LIMITED", 429, "throttled"),
        ("RATE_LIMIT_EXCEEDED", 429, "throttled"),
        ("UPSTREAM_ERROR", 502, "unavailable"),
        ("INTERNAL_ERROR", 500, "unavailable"),
        ("NOT_FOUND", 404, "ok"),
        ("INVALID_KVK_NUMBER", 400, "ok"),
    ],
)
def test_each_error_is_judged_by_what_must_be_done(code, status, kind):
    verdict = wire.verdict(REQUEST, error(code, status), NOW)
    assert verdict.kind == kind
    if kind != "ok":
        assert (verdict.problem.vendor_code, verdict.problem.vendor_text) == (code, f"about {code}")


def test_a_retry_after_is_obeyed_and_without_one_the_minute_is_waited_for():
    assert wire.verdict(REQUEST, error("RATE_LIMITED", 429, retry_after="12"), NOW).retry_at == NOW + 12
    without = wire.verdict(REQUEST, error("RATE_LIMITED", 429), NOW)
    assert (without.retry_at, without.budget) == (None, "minute")


def test_what_is_left_is_read_from_the_headers():
    response = answered({}, x_tokens_remaining="499", x_ratelimit_limit="120", x_ratelimit_remaining="119")
    minute, tokens = wire.readings(REQUEST, response, NOW)
    assert (minute.remaining, minute.limit, minute.reset_at) == (119, 120, NOW + 30)
    assert (tokens.remaining, tokens.limit, tokens.reset_at) == (499, 499, NOW + 3600)


def test_an_empty_balance_locks_nothing_so_that_the_vendor_says_it_himself():
    assert wire.readings(REQUEST, answered({}, x_tokens_remaining="0"), NOW) == ()
    assert wire.readings(REQUEST, answered({}, x_tokens_remaining="none"), NOW) == ()
    assert wire.readings(REQUEST, answered({}), NOW) == ()


def test_only_the_vendors_own_not_found_is_absence():
    assert isinstance(found_by(error("NOT_FOUND", 404)), Absent)
    assert isinstance(found_by(error("INVALID_KVK_NUMBER", 400)), Absent)
    for reply in (
        answered({}, 404),  # a proxy's, or an address that no longer exists
        Response(404, {}, b"<html>"),
        error("INVALID_REQUEST", 400),
        answered({"kvkNumber": "76543210"}),
        answered(["01234567"]),
        Response(200, {}, b'{"kvkNumber": "0123'),
        NoReply("cut"),
    ):
        finding = found_by(reply)
        assert isinstance(finding, Unknown), reply
        assert finding.problem.retry_at > NOW


def test_a_number_that_is_none_costs_no_token():
    findings = drive(find(SITE, "kvk", ("9", "000037850001")), lambda call: pytest.fail("a call was made"))
    assert {type(finding) for finding in findings.values()} == {Absent}


def test_a_search_with_more_than_one_page_is_no_answer():
    row = {"kvkNumber": "01234567", "branchNumber": "000012345678", "name": "Voorbeeld B.V."}
    assert isinstance(found_by(answered({"results": [row], "total": 1}), "voorbeeld", find_text, "text"), Found)
    many = found_by(answered({"results": [row], "total": 60}), "voorbeeld", find_text, "text")
    assert isinstance(many, Unknown)
    assert many.problem.code == "too_many"
    assert isinstance(found_by(answered({"results": [], "total": 0}), "niets", find_text, "text"), Absent)
    assert isinstance(found_by(answered({}), "niets", find_text, "text"), Unknown)
    assert isinstance(found_by(answered({}), "x", find_text, "text"), Unknown)
