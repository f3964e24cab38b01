"""The wire: what a status means, what an error says, and both envelopes of a result."""

from __future__ import annotations

import json

import pytest

from koppel.model.problem import Bug, RetryLater, SetupError
from koppel.systems.afas import wire
from koppel.systems.afas.settings import Settings
from koppel.systems.spi import NoReply, Request, Response

SETTINGS = Settings(member="12345", token="AD2D42B854E2809D19A89EC3D56A6F57", integration_id="77_hub", language="nl-nl")
GET = Request("GET", "https://x.example/ProfitRestServices/connectors/Profit_Debtor?skip=0")
PUT = Request("PUT", "https://x.example/ProfitRestServices/connectors/KnOrganisation")
NOW = 1_000.0


def error(status, text=None, **headers):
    body = (
        b""
        if text is None
        else json.dumps({"externalMessage": text, "errorNumber": -1, "profitLogReference": "AB"}).encode()
    )
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


NOT_HELD = "General message: Deze UpdateConnector wordt niet ondersteund of de gebruiker is niet geautoriseerd."


@pytest.mark.parametrize(
    ("request_", "response", "kind"),
    [
        (GET, Response(200, {}, b"{}"), "ok"),
        (GET, error(401), "sign_in"),
        (GET, error(401, "GetConnector not supported for this app or the user is not authorized"), "setup"),
        (PUT, error(401, NOT_HELD), "setup"),
        (GET, error(403), "setup"),
        (PUT, error(500, "Vul een waarde in voor 'Naam'."), "ok"),
        (GET, error(500, "Connector field 'X' not found"), "ok"),
        (GET, error(500, "This GetConnector (definition) is blocked"), "setup"),
        (PUT, error(500, "Command timeout expired."), "unavailable"),
        (GET, error(500), "unavailable"),
        (GET, Response(500, {}, b"<html>oops</html>"), "unavailable"),
        (GET, error(502), "unavailable"),
        (GET, error(429), "throttled"),
        (GET, error(404), "ok"),
        (PUT, error(413), "ok"),
    ],
)
def test_each_status_is_judged_by_what_must_be_done(request_, response, kind):
    assert wire.verdict(request_, response, NOW).kind == kind


def test_maintenance_says_when_to_come_back_in_its_header_or_its_body():
    assert wire.verdict(GET, error(503, None, retry_after="7200"), NOW).retry_at == NOW + 7200
    told = Response(503, {}, b'{"error":{"code":"503","message":"Onderhoud"},"retry_after":60}')
    found = wire.verdict(GET, told, NOW)
    assert (found.retry_at, found.problem.vendor_text) == (NOW + 60, "Onderhoud")
    assert wire.verdict(GET, error(503), NOW).retry_at is None


def test_a_problem_carries_the_vendors_words_number_and_log_reference():
    found = wire.problem("refused", "No.", error(500, "Vul een  waarde in."))
    assert (found.vendor_text, found.vendor_code, found.request_id, found.status) == (
        "Vul een waarde in.",
        "-1",
        "AB",
        500,
    )


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[1]", b'"x"', b'{"externalMessage":null}', b"{"])
def test_an_error_that_says_nothing_is_no_error_of_ours(body):
    assert wire.said(Response(500, {}, body)).text == ""


@pytest.mark.parametrize(
    "told",
    [b'{"message":"Invalid json"}', b'{"externalMessage":"Invalid json"}', b'{"error":{"message":"Invalid json"}}'],
)
def test_the_message_is_found_wherever_it_stands(told):
    assert wire.said(Response(400, {}, told)).text == "Invalid json"


@pytest.mark.parametrize(
    "body",
    [
        {"results": {"KnSalesRelationOrg": {"DbId": "1", "BcCo": "2"}}},
        {"KnSalesRelationOrg": {"DbId": "1", "BcCo": "2"}},
        {"results": {"knsalesrelationorg": [{"DbId": "1", "BcCo": "2"}]}},
    ],
)
def test_the_keys_of_a_write_are_read_in_each_of_their_envelopes(body):
    assert wire.read_results(Response(201, {}, json.dumps(body).encode()), "KnSalesRelationOrg")["DbId"] == "1"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"results":null}', b'{"results":{"KnSalesRelationOrg":[]}}', b"[]"])
def test_a_write_that_answers_without_keys_shows_none(body):
    assert wire.read_results(Response(201, {}, body), "KnSalesRelationOrg") == {}


@pytest.mark.parametrize(
    "reply",
    [
        NoReply(),
        Response(200, {}, b'{"rows":[1]}'),
        Response(200, {}, b'{"rows":'),
        Response(200, {}, b"{}"),
        error(500, "x"),
    ],
)
def test_rows_that_cannot_be_read_are_never_no_rows(reply):
    with pytest.raises(wire.Unreadable):
        wire.read_rows(reply)


@pytest.mark.parametrize(
    ("response", "family"),
    [
        (error(404), SetupError),
        (error(500, "Connectorveld 'X' is niet gevonden"), SetupError),
        (error(400, "x"), Bug),
        (error(500, "Er is een onverwachte fout opgetreden."), RetryLater),
        (Response(200, {}, b"{"), RetryLater),
    ],
)
def test_a_reading_that_cannot_be_done_ends_by_who_must_act(response, family):
    assert isinstance(wire.failure(wire.unreadable(response), NOW), family)


def test_every_call_says_its_language_and_who_the_partner_is_and_never_closes_the_connection():
    for call in (
        wire.get(SETTINGS, "Profit_Debtor", "skip=0"),
        wire.metainfo(SETTINGS),
        wire.write(SETTINGS, "PUT", "X", {}, op="o"),
    ):
        assert call.request.headers["Accept-Language"] == "nl-nl"
        assert call.request.headers["IntegrationId"] == "77_hub"
        assert "Connection" not in call.request.headers
    assert (
        wire.write(SETTINGS, "PUT", "X", {"Nm": "é"}, op="o").request.headers["Content-Type"].endswith("charset=utf-8")
    )


def test_a_nested_body_has_its_key_beside_its_fields():
    body = wire.element(
        "KnSalesRelationOrg", {"VaId": "x"}, key={"DbId": "1"}, objects={"KnOrganisation": {"Element": {}}}
    )
    assert body == {
        "KnSalesRelationOrg": {
            "Element": {"@DbId": "1", "Fields": {"VaId": "x"}, "Objects": [{"KnOrganisation": {"Element": {}}}]}
        }
    }
