"""VIES' wire: questions, the two dialects of an answer, and what a response means."""

from __future__ import annotations

import json

import pytest

from koppel.model.problem import Bug
from koppel.systems.spi import Request, Response, Tokens
from koppel.systems.vies import wire
from koppel.systems.vies.auth import AUTH
from koppel.systems.vies.settings import Settings
from koppel.systems.vies.wire import Answer, Question

NOW = 1_800_000_000.0
ASKED = Question("NL", "800000006B01")
REQUEST = wire.check(Settings(), ASKED).request


def answered(body, status=200, headers=None):
    return Response(status, headers or {}, json.dumps(body).encode())


def read(body, status=200):
    return wire.read_answer(answered(body, status), ASKED)


def test_the_country_stands_apart_and_greece_is_el():
    assert wire.check(Settings(base_url="https://vies.example/"), Question("EL", "123456789")).request.url == (
        "https://vies.example/taxation_customs/vies/rest-api/ms/EL/vat/123456789"
    )
    assert wire.read_number("el 123456789") == wire.read_number("GR123456789") == Question("EL", "123456789")


@pytest.mark.parametrize("text", ["", "NL", "NL1", "GB123456789", "US123456789", "NL1234567890123", "NL12/34?5"])
def test_what_vies_cannot_be_asked_is_no_question(text):
    found = wire.read_number(text)
    assert found is None or found == Question("NL", "12345?")


def test_a_number_without_country_is_dutch_when_it_looks_so():
    assert wire.read_number("800000006B01") == ASKED


def test_the_requester_goes_along_without_its_country():
    url = wire.check(Settings(requester="NL 8000.00.018.B01"), ASKED).request.url
    assert url.endswith("?requesterMemberStateCode=NL&requesterNumber=800000018B01")


def test_half_a_requester_cannot_be_set_up():
    for wrong in ("", "800000006", "NL80"):
        with pytest.raises(ValueError, match="VAT number"):
            Settings(requester=wrong)


def test_yes_in_either_dialect():
    kept = {"requestDate": "2026-11-02T08:00:00.000Z", "name": "VOORBEELD B.V.", "address": "DORP 1"}
    more = {"vatNumber": "800000006B01", **kept, "userError": "VALID"}
    assert read({"isValid": True, **more}) == Answer("valid", "VALID", kept)
    assert read({"valid": True, "countryCode": "NL", "vatNumber": "800000006B01", **kept}) == Answer("valid", "", kept)


def test_no_in_either_dialect():
    assert read({"isValid": False, "userError": "INVALID"}).state == "invalid"
    assert read({"valid": False, "vatNumber": "800000006B01"}).state == "invalid"


@pytest.mark.parametrize(
    "body",
    [
        {"isValid": False, "userError": "MS_UNAVAILABLE"},
        {"isValid": False},
        {"isValid": False, "userError": ""},
        {"isValid": True, "userError": "INVALID"},
        {"isValid": True, "userError": "SERVICE_UNAVAILABLE"},
        {"valid": False, "userError": "TIMEOUT"},
        {"valid": False, "errorWrappers": [{"error": "MS_MAX_CONCURRENT_REQ"}]},
        {"actionSucceed": False, "errorWrappers": [{"error": "SERVICE_UNAVAILABLE"}]},
        {"actionSucceed": False, "errorWrappers": []},
        {"isValid": "yes", "userError": "VALID"},
        {"isValid": True, "userError": "VALID", "vatNumber": "800000018B01"},
        {"isValid": False, "userError": "INVALID", "vatNumber": "800000018B01"},
        {},
    ],
)
def test_anything_else_is_no_answer(body):
    assert read(body).state == "none"


def test_a_yes_with_another_status_or_cut_short_is_no_answer():
    assert read({"isValid": True, "userError": "VALID"}, status=400).state == "none"
    assert wire.read_answer(Response(200, {}, b'{"isValid": tr'), ASKED).state == "none"
    assert wire.read_answer(Response(200, {}, b'["isValid"]'), ASKED).state == "none"


def test_the_number_may_come_back_with_its_country():
    assert read({"isValid": True, "userError": "VALID", "vatNumber": "NL800000006B01"}).state == "valid"


def test_every_code_the_service_documents_has_a_wait_or_a_person():
    documented = {"INVALID_INPUT", "SERVICE_UNAVAILABLE", "MS_UNAVAILABLE", "TIMEOUT", "VAT_BLOCKED", "IP_BLOCKED"}
    documented |= {f"{who}_MAX_CONCURRENT_REQ{what}" for who in ("GLOBAL", "MS") for what in ("", "_TIME")}
    assert set(wire.WAITS) == documented


def test_an_error_about_one_number_never_stops_a_run():
    for code in wire.WAITS:
        body = {"actionSucceed": False, "errorWrappers": [{"error": code}]}
        assert wire.verdict(REQUEST, answered(body), NOW).kind == "ok"
        assert wire.verdict(REQUEST, answered({"isValid": False, "userError": code}), NOW).kind == "ok"


def test_a_refused_requester_is_the_set_ups_fault_in_either_dialect():
    for body in (
        {"isValid": False, "userError": "INVALID_REQUESTER_INFO"},
        {"errorWrappers": [{"error": "INVALID_REQUESTER_INFO"}]},
    ):
        assert wire.verdict(REQUEST, answered(body), NOW).kind == "setup"


def test_a_retry_after_is_obeyed():
    verdict = wire.verdict(REQUEST, answered({}, 429, {"retry-after": "7"}), NOW)
    assert (verdict.kind, verdict.retry_at) == ("throttled", NOW + 7)
    assert wire.verdict(REQUEST, answered({}, 502), NOW).retry_at == NOW + wire.OUTAGE_WAIT


def test_nothing_is_signed_and_nothing_goes_elsewhere():
    settings = Settings()
    tokens = AUTH.tokens_from(settings)
    assert AUTH.due(tokens, NOW) == "fresh"
    assert AUTH.authorize(settings, tokens, REQUEST) == REQUEST
    with pytest.raises(Bug):
        AUTH.authorize(settings, Tokens(""), Request("GET", "https://elsewhere.example/ms/NL/vat/1"))


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ValueError, match="not a web address"):
        Settings(base_url="ftp://vies.example")
