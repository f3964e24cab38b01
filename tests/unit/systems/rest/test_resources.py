"""What a description makes: paging that proves no more than it can, look-ups that do not believe everything, limits."""

from __future__ import annotations

import msgspec
import pytest

from koppel.model.address import Address
from koppel.model.problem import Bug, SetupError, UsageError
from koppel.systems.rest import SYSTEM, auth
from koppel.systems.rest.settings import Settings, hosts
from koppel.systems.spi import (
    Absent,
    Batch,
    Change,
    Found,
    Query,
    Request,
    Response,
    Site,
    Tokens,
    Unknown,
    drive,
)

NOW = 1_800_000_000.0
TEXT = """
koppel   = 1
title    = "Voorbeeld"
base_url = "https://api.voorbeeld.example/v1"
calls_per_minute = 60

[auth]
kind = "bearer"

[resources.firms]
path   = "/firms"
paging = { style = "offset", size = "limit", most = 2 }
since  = { parameter = "since", field = "at", margin = 60 }

[resources.firms.find]
native = { path = "/firms/{value}" }
kvk    = { query = "kvk" }

[resources.firms.write]
create  = { method = "POST", path = "/firms" }
update  = { method = "PUT", path = "/firms/{id}" }
refused = { status = [422, 500], message = "error.text", when = "error" }

[resources.firms.fields]
name       = { field = "name", max_length = 12 }
kvk        = "kvk"
started_on = { field = "since_day", date_format = "%d-%m-%Y" }
address    = { street = "a.street", number = "a.no", city = "a.city" }
"""


def described(text=TEXT, **settings):
    given = Settings(description=text, **{"key": "made-up-key", **settings})
    system = SYSTEM.for_settings(given)
    return system.resources[0], Site(connection="shop", settings=given, facts={}, as_of=NOW), system


def answers(*replies):
    """Plays these answers and keeps the calls."""
    left, calls = list(replies), []

    def answer(call):
        calls.append(call)
        status, body, *headers = left.pop(0)
        return Response(status, dict(headers[0]) if headers else {}, msgspec.json.encode(body))

    return calls, answer


def row(number, at="2027-01-15T07:00:00Z", **more):
    return {"id": number, "name": f"Firma {number}", "kvk": None, "at": at, **more}


# --- listing ----------------------------------------------------------------------------------------------------------


def test_a_list_that_is_not_steady_never_proves_absence():
    firms, site, _ = described()
    _, answer = answers((200, [row(1)]))
    assert drive(firms.pages(site, Query()), answer).complete is False
    firms, site, _ = described(TEXT.replace("most = 2 }", "most = 2, steady = true }"))
    _, answer = answers((200, [row(1)]))
    assert drive(firms.pages(site, Query()), answer).complete is True


def test_a_total_ends_the_listing_even_when_the_vendor_caps_its_pages_lower():
    text = TEXT.replace("most = 2 }", 'most = 50, total = "n", steady = true }').replace('path   = "/firms"', 'path = "/firms"\nrecords = "rows"')  # fmt: skip
    firms, site, _ = described(text)
    calls, answer = answers((200, {"rows": [row(1), row(2)], "n": 3}), (200, {"rows": [row(3)], "n": 3}))
    first = drive(firms.pages(site, Query()), answer)
    assert first.next
    last = drive(firms.pages(site, Query(next=first.next)), answer)
    assert (last.next, last.complete) == (None, True)
    assert "offset=2" in calls[1].request.url


def test_the_cursor_never_passes_the_moment_the_listing_began_by_the_vendors_clock():
    firms, site, _ = described()
    date = {"date": "Fri, 15 Jan 2027 08:00:00 GMT"}
    _, answer = answers((200, [row(1), row(2)], date), (200, [row(3, "2027-01-15T09:30:00Z")]))
    first = drive(firms.pages(site, Query()), answer)
    last = drive(firms.pages(site, Query(next=first.next)), answer)
    assert first.cursor is None
    assert last.cursor
    assert (last.cursor.kind, last.cursor.value) == ("modified", "1800000000.0")


def listed(firms, site):
    """The cursor of a listing that is done."""
    _, answer = answers((200, [], {"date": "Fri, 15 Jan 2027 08:00:00 GMT"}))
    return drive(firms.pages(site, Query()), answer).cursor


def test_the_next_listing_asks_a_margin_earlier():
    firms, site, _ = described()
    calls, answer = answers((200, []))
    page = drive(firms.pages(site, Query(cursor=listed(firms, site))), answer)
    assert "since=2027-01-15T07%3A59%3A00%2B00%3A00" in calls[0].request.url
    assert page.complete is False


def test_what_was_read_by_another_description_is_read_again():
    firms, site, _ = described()
    cursor = listed(firms, site)
    edited, site, _ = described(TEXT.replace('name       = { field = "name"', 'name = { field = "title"'))
    calls, answer = answers()
    assert drive(edited.pages(site, Query(cursor=cursor)), answer).restart
    assert calls == []
    _, answer = answers((200, [row(1, title="Andere naam")]), (200, [row(1, title="Andere naam")]))
    before = drive(firms.pages(site, Query()), answer).items[0]
    after = drive(edited.pages(site, Query()), answer).items[0]
    assert before.fields != after.fields


def test_an_answer_without_the_list_is_a_mistake_in_the_description_and_no_empty_list():
    firms, site, _ = described()
    _, answer = answers((200, {"rows": []}))
    with pytest.raises(SetupError, match="no list of records"):
        drive(firms.pages(site, Query()), answer)


def test_a_link_to_another_host_is_refused():
    firms, site, _ = described(TEXT.replace('style = "offset"', 'style = "link"'))
    link = {"link": '<https://elsewhere.example/firms?p=2>; rel="next"'}
    _, answer = answers((200, [row(1)], link))
    with pytest.raises(SetupError, match="another host"):
        drive(firms.pages(site, Query()), answer)


# --- finding ----------------------------------------------------------------------------------------------------------


def test_a_vendor_that_does_not_know_the_parameter_makes_no_stranger_match():
    firms, site, _ = described()
    _, answer = answers((200, [row(1, kvk=12345678), row(2, kvk=1234567)]), (200, []))
    found = drive(firms.find(site, "kvk", ("01234567",)), answer)["01234567"]
    assert isinstance(found, Found)
    assert [item.native for item in found.items] == ["2"]


def test_only_404_and_410_mean_not_there():
    firms, site, _ = described()
    for status, kind in ((404, Absent), (410, Absent), (400, Unknown), (302, Unknown)):
        _, answer = answers((status, {}))
        assert isinstance(drive(firms.find(site, "native", ("7",)), answer)["7"], kind)


def test_another_record_than_was_asked_for_is_no_answer():
    firms, site, _ = described()
    _, answer = answers((200, row(8)))
    assert isinstance(drive(firms.find(site, "native", ("7",)), answer)["7"], Unknown)


def test_an_id_stays_one_piece_of_the_path():
    firms, site, _ = described()
    calls, answer = answers((404, {}))
    drive(firms.find(site, "native", ("../users?x=1",)), answer)
    assert calls[0].request.url.endswith("/v1/firms/..%2Fusers%3Fx%3D1")


# --- writing ----------------------------------------------------------------------------------------------------------


def create(values):
    return Change("op1", "create", None, values)


def sent(firms, site, operations, reply):
    calls, answer = answers(reply)
    receipts = drive(firms.send(site, Batch(operations)), answer)
    return calls, receipts[0]


def test_a_change_is_sent_in_their_words():
    firms, site, _ = described()
    values = {"name": "Bakkerij  De Korenaar", "started_on": "2018-03-01", "address": {"street": "Kade", "number": "2"}}
    calls, receipt = sent(firms, site, firms.lower(site, create(values)), (201, row(5)))
    body = {"name": "Bakkerij De", "since_day": "01-03-2018", "a": {"street": "Kade", "no": "2"}}
    assert msgspec.json.decode(calls[0].request.body) == body
    assert (receipt.status, receipt.native) == ("done", "5")
    assert receipt.item is None, "the answer left out what was described"


def test_a_shielded_address_is_written_nowhere_and_wipes_nothing():
    firms, site, _ = described()
    change = Change("op1", "update", "5", {"address": msgspec.to_builtins(Address(shielded=True))})
    assert firms.lower(site, change) == ()


def test_a_refusal_is_told_where_the_description_says_whatever_its_status():
    firms, site, _ = described()
    operations = firms.lower(site, create({"name": "Firma"}))
    for status in (422, 500, 200):
        _, receipt = sent(firms, site, operations, (status, {"error": {"text": "mag niet"}}))
        assert receipt.status == "refused"
    assert receipt.problem
    assert sent(firms, site, operations, (422, {"error": {"text": "mag niet"}}))[1].problem.vendor_text == "mag niet"
    assert sent(firms, site, operations, (503, {}))[1].status == "unknown"


def test_what_the_description_does_not_name_cannot_be_written():
    firms, site, _ = described()
    with pytest.raises(UsageError, match="phone"):
        firms.lower(site, create({"phone": "020"}))
    with pytest.raises(UsageError, match="archive"):
        firms.lower(site, Change("op1", "archive", "5", {}))


# --- signing in and limits ----------------------------------------------------------------------------------------------


def test_the_limit_of_calls_is_counted_per_host():
    _, _, system = described()
    (budget,) = system.budgets
    assert (budget.limit, budget.window) == (60, "minute")
    assert budget.key(Request("GET", "https://api.voorbeeld.example/v1/firms")) == "api.voorbeeld.example"


def test_a_missing_secret_is_named_and_the_key_goes_to_no_other_host():
    settings = Settings(description=TEXT)
    with pytest.raises(SetupError, match="the setting key is missing"):
        auth.tokens_from(settings)
    with pytest.raises(Bug):
        auth.authorize(settings, Tokens("made-up-key"), Request("GET", "https://elsewhere.example/"))


def test_another_address_moves_everything_along():
    text = TEXT.replace('kind = "bearer"', 'kind = "client_credentials"\ntoken_url = "https://api.voorbeeld.example/v1/token"')  # fmt: skip
    settings = Settings(description=text, base_url="http://localhost:9/voorbeeld/")
    assert hosts(settings) == ("localhost",)
    calls, answer = answers((200, {"access_token": "t", "expires_in": 60}))
    made = drive(auth.refresh(settings, Tokens(""), NOW), answer)
    assert calls[0].request.url == "http://localhost:9/voorbeeld/token"
    assert auth.due(made.tokens, NOW) == "fresh"
    assert auth.due(made.tokens, NOW + 1) == "refresh"
