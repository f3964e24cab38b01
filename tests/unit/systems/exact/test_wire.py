import json
import tomllib
from importlib.resources import files

import pytest

from koppel.systems.exact import auth, fields, resources, wire
from koppel.systems.exact.settings import SITES, Settings
from koppel.systems.exact.system import SYSTEM
from koppel.systems.spi import Request, Response

SETTINGS = Settings(
    client_id="a", client_secret="b", redirect_uri="https://c.example", base_url="https://books.example", division=7095
)
NOW = 1_790_000_005.0
ACCOUNTS = Request("GET", "https://books.example/api/v1/7095/crm/Accounts?$select=ID")
ONE = Request("PUT", "https://books.example/api/v1/7095/crm/Accounts(guid'71b961de-0000-4000-8000-000000000001')")
ME = Request("GET", "https://books.example/api/v1/current/Me")
TOKEN = Request("POST", "https://books.example/api/oauth2/token")
MINUTE = {
    "x-ratelimit-minutely-limit": "60",
    "x-ratelimit-minutely-remaining": "0",
    "x-ratelimit-minutely-reset": "1790000040000",
}
DAY = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4321", "x-ratelimit-reset": "1790035200000"}


def body(value):
    return json.dumps(value).encode()


def error(status, text, **headers):
    return Response(status, headers, body({"error": {"code": "", "message": {"lang": "", "value": text}}}))


@pytest.mark.parametrize("envelope", [{"results": [{"ID": "1"}]}, [{"ID": "1"}]])
def test_a_collection_is_read_in_both_its_envelopes(envelope):
    assert wire.read_rows(Response(200, {}, body({"d": envelope}))) == wire.Rows(({"ID": "1"},))


def test_the_next_page_is_where_the_vendor_says():
    page = {"d": {"results": [], "__next": "https://books.example/api/v1/7095/x?$skiptoken=1"}}
    assert wire.read_rows(Response(200, {}, body(page))).next == page["d"]["__next"]


@pytest.mark.parametrize("envelope", [{"ID": "1"}, {"results": [{"ID": "1"}]}, [{"ID": "1"}]])
def test_one_record_is_read_bare_or_as_a_collection_of_one(envelope):
    assert wire.read_entity(Response(201, {}, body({"d": envelope}))) == {"ID": "1"}


@pytest.mark.parametrize(
    "response",
    [
        Response(200, {}, b"<feed xmlns='atom'/>"),
        Response(200, {}, b""),
        Response(200, {}, b"\xff\xfe"),
        Response(200, {}, body([])),
        Response(200, {}, body({"d": None})),
        Response(200, {}, body({"d": {"results": ["x"]}})),
        Response(200, {}, body({"value": []})),
        error(500, "Verplicht: Naam"),
        Response(204),
    ],
)
def test_an_answer_that_is_no_collection_is_unreadable_and_never_empty(response):
    with pytest.raises(wire.Unreadable):
        wire.read_rows(response)


def test_a_link_to_another_site_is_not_followed_with_our_token():
    kept = "https://books.example/api/v1/7095/sync/Deleted?$skiptoken=5"
    assert wire.own_link(SETTINGS, kept) == kept
    for foreign in ("https://evil.example/api/v1/7095/x", "https://books.example.evil.example/api/v1/", "/api/v1/7095"):
        with pytest.raises(wire.Unreadable):
            wire.own_link(SETTINGS, foreign)


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (error(500, "Verplicht:  Naam"), "Verplicht: Naam"),
        (Response(401, {}, b"<html>Object moved to Login.aspx</html>"), ""),
        (Response(500, {}, b"Plain words"), "Plain words"),
        (Response(400, {}, body({"error": "short"})), "short"),
        (Response(400, {}, body(["odd"])), ""),
        (Response(429, {}, b""), ""),
    ],
)
def test_the_vendors_words_are_found_whatever_the_body_is(response, said):
    assert wire.error_text(response) == said


def test_writes_ask_for_json_and_for_the_record_back():
    call = wire.write("POST", ACCOUNTS.url, {"Name": "Bakker"}, op="op1", kind="crm/Accounts")
    assert call.request.headers == {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Prefer": "return=representation",
    }
    assert json.loads(call.request.body) == {"Name": "Bakker"}
    assert call.carries == ("op1",)
    assert wire.get(ACCOUNTS.url, "x").carries == ()


def test_calls_are_counted_per_division_and_errors_per_endpoint():
    minute, day, errors = wire.BUDGETS
    assert minute.key(ONE) == day.key(ONE) == "7095"
    assert errors.key(ONE) == errors.key(ACCOUNTS) == "7095:crm/Accounts"
    for free in (ME, TOKEN):
        assert [budget.key(free) for budget in wire.BUDGETS] == [None, None, None]


def test_the_six_headers_are_read_with_their_resets_in_milliseconds():
    minute, day = wire.readings(ACCOUNTS, Response(200, {**MINUTE, **DAY}), NOW)
    assert (minute.name, minute.key, minute.remaining, minute.limit, minute.reset_at) == (
        "minute",
        "7095",
        0,
        60,
        1_790_000_040.0,
    )
    assert (day.name, day.remaining, day.limit, day.reset_at) == ("day", 4321, 5000, 1_790_035_200.0)


def test_missing_or_odd_headers_say_nothing():
    assert wire.readings(ACCOUNTS, Response(200), NOW) == ()
    assert wire.readings(ME, Response(200, DAY), NOW) == ()
    assert wire.readings(ACCOUNTS, Response(200, {**DAY, "x-ratelimit-reset": "soon"}), NOW) == ()
    assert [found.name for found in wire.readings(ACCOUNTS, Response(429, MINUTE), NOW)] == ["minute"]


EMPTY_DAY = {**DAY, "x-ratelimit-remaining": "0"}
SPURIOUS = {**MINUTE, "x-ratelimit-minutely-remaining": "49"}


@pytest.mark.parametrize(
    ("headers", "budget", "retry_at"),
    [
        (MINUTE, "minute", 1_790_000_040.0),
        (EMPTY_DAY, "day", 1_790_035_200.0),
        ({**MINUTE, **DAY}, "minute", 1_790_000_040.0),
        ({**SPURIOUS, **EMPTY_DAY}, "day", 1_790_035_200.0),
        ({**MINUTE, **EMPTY_DAY}, "day", 1_790_035_200.0),
        (SPURIOUS, "minute", 1_790_000_040.0),
        ({**SPURIOUS, **DAY}, "minute", 1_790_000_040.0),
        ({}, None, None),
        ({"retry-after": "7"}, None, NOW + 7),
        ({**MINUTE, "x-ratelimit-minutely-reset": "1789999980000"}, "minute", 1_790_000_040.0),
    ],
)
def test_a_429_waits_for_the_reset_of_the_exceeded_allowance(headers, budget, retry_at):
    found = wire.verdict(ACCOUNTS, Response(429, headers), NOW)
    assert (found.kind, found.budget, found.retry_at, found.counts_as_error) == ("throttled", budget, retry_at, False)


@pytest.mark.parametrize(
    ("request_", "response", "kind", "counts"),
    [
        (ACCOUNTS, Response(200), "ok", False),
        (ACCOUNTS, Response(401, {}, b"Unauthorized"), "sign_in", True),
        (ACCOUNTS, Response(302, {"location": "https://books.example/docs/Login.aspx?R=1"}), "sign_in", False),
        (ACCOUNTS, error(403, "Forbidden"), "setup", True),
        (ACCOUNTS, Response(400), "ok", True),
        (ACCOUNTS, Response(404), "ok", True),
        (ACCOUNTS, error(500, "Gegeven bestaat reeds."), "ok", False),
        (ACCOUNTS, Response(503), "unavailable", False),
        (ACCOUNTS, Response(408), "unavailable", False),
        (ME, Response(401), "sign_in", False),
        (TOKEN, Response(401), "ok", False),
        (TOKEN, Response(503), "ok", False),
    ],
)
def test_each_status_has_its_verdict(request_, response, kind, counts):
    found = wire.verdict(request_, response, NOW)
    assert (found.kind, found.counts_as_error) == (kind, counts)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (error(403, "Forbidden", reason="LicenseExpired"), "licence has expired"),
        (error(403, "Forbidden", reason="Something"), "Something"),
        (error(403, "Forbidden - User division is not within division scope."), "granted at sign-in"),
        (error(401, "", reason="BlockedUser"), "blocked"),
    ],
)
def test_a_missing_right_is_said_in_plain_words(response, words):
    found = wire.verdict(ACCOUNTS, response, NOW)
    assert found.kind == "setup"
    assert words in found.problem.text
    assert found.problem.status == response.status


@pytest.mark.parametrize("path", ["7095/hrm/Divisions", "7095/system/Divisions?$select=Code", "7095/crm/$metadata"])
def test_what_can_be_done_without_may_be_refused(path):
    found = wire.verdict(Request("GET", f"https://books.example/api/v1/{path}"), error(403, "Forbidden"), NOW)
    assert (found.kind, found.counts_as_error) == ("ok", True)


@pytest.mark.parametrize(
    ("header", "at"),
    [("120", NOW + 120), ("Mon, 21 Sep 2026 14:00:00 GMT", 1_789_999_200.0), ("", None), ("soon", None)],
)
def test_an_outage_ends_when_it_says_so(header, at):
    assert wire.verdict(ACCOUNTS, Response(503, {"retry-after": header}), NOW).retry_at == at


FACTS = tomllib.loads((files("koppel.systems.exact") / "facts.toml").read_text())


def test_the_code_keeps_to_the_facts_it_is_published_with():
    limits = {budget.name: budget for budget in SYSTEM.budgets}
    assert {name: limits[name].limit for name in limits} == {
        name: FACTS["limits"][name]["limit"] for name in ("minute", "day", "errors")
    }
    assert {name: limits[name].window for name in limits} == {
        name: FACTS["limits"][name]["window"] for name in ("minute", "day", "errors")
    }
    assert limits["day"].zone == FACTS["limits"]["day"]["zone"]
    assert FACTS["limits"]["url"]["characters"] == wire.URL_ROOM
    assert FACTS["limits"]["filter"]["conditions"] == resources.MOST_CONDITIONS
    assert FACTS["sign_in"]["access_seconds"] == auth.ACCESS_LIFE
    assert FACTS["sign_in"]["earliest_refresh_seconds"] == auth.EARLIEST_REFRESH
    assert FACTS["sign_in"]["refresh_idle_days"] * 86_400 == auth.REFRESH_LIFE
    assert FACTS["sign_in"]["code_minutes"] == auth.CODE_LIFE_MINUTES
    assert FACTS["pages"]["sync"] == resources.SYNC_PAGE
    assert FACTS["windows"]["deleted_days"] == resources.KEPT_DAYS
    assert FACTS["windows"]["division_check_seconds"] == resources.DAY
    accounts = SYSTEM.resource("accounts").can
    assert FACTS["writes"]["settles_after_seconds"] == accounts.settles_after
    assert FACTS["writes"]["gap"]["text"] == accounts.gap
    assert {f"https://{host}" for host in FACTS["sites"]["hosts"]} == set(SITES)
    references = {name for name in fields.OWN_NAMES if fields.BY_PATH[name].kind == "guid"}
    assert references == {*(f"Classification{n}" for n in range(1, 9)), "InvoiceAccount"}
