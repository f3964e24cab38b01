"""Reading debtors: whole and since a stamp, ordered, split over pages and feeds; and looking them up by key."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from koppel.model.problem import RetryLater, SetupError
from koppel.sandbox.host import build
from koppel.systems.afas import SYSTEM, resources
from koppel.systems.afas.settings import Settings
from koppel.systems.spi import Absent, Found, Query, Response, Site, Unknown, drive

FEED = {"addresses": "Eigen_Adres"}
NOON = 1_795_518_000.0  # 2026-11-24 12:00 in Amsterdam


def parts(number, stamp="2026-11-24T09:00:00Z", street="Kerkstraat"):
    return {"BcCo": f"7{number}", "Street": street, "HouseNumber": number, "City": "Utrecht", "ModifiedDate": stamp}


def natives(items):
    return [item.native for item in items]


# --- the whole ------------------------------------------------------------------------------------------------------


def test_every_call_is_ordered_and_none_skips(profit):
    profit.tables["Profit_Debtor"] = [profit.debtor(100 + number) for number in range(25)]
    items, cursor, pages = profit.read(size=10)
    assert (len(items), pages) == (25, 3)
    assert cursor.value == "2026-11-24T09:00:00"
    for call in profit.calls:
        asked = parse_qs(urlsplit(call.request.url).query)
        assert "DebtorId" in asked["orderbyfieldids"][0]
        assert asked["skip"] == ["0"]


def test_what_is_edited_while_the_whole_is_read_comes_with_the_next_delta(profit):
    rows = profit.tables["Profit_Debtor"] = [profit.debtor(100 + number) for number in range(30)]

    def between(number):
        rows[number] |= {"DebtorName": f"Later {number}", "ModifiedDate": f"2026-11-24T11:59:0{number}Z"}

    items, cursor, _ = profit.read(size=10, between=between)
    assert len(natives(items)) == len(set(natives(items))) == 30
    later, _, _ = profit.read(cursor)
    assert {"101", "102"} <= set(natives(later))


def test_the_last_page_of_a_whole_listing_says_that_all_was_seen_and_a_deltas_does_not(profit):
    profit.tables["Profit_Debtor"] = [profit.debtor(100)]
    page = profit.run(resources.pages(profit.site(), Query()))
    assert page.complete
    assert not profit.run(resources.pages(profit.site(), Query(cursor=page.cursor))).complete


def test_an_environment_without_debtors_is_read_again_whole_at_no_cost(profit):
    items, cursor, _ = profit.read()
    assert items == []
    profit.tables["Profit_Debtor"] = [profit.debtor(100)]
    assert natives(profit.read(cursor)[0]) == ["100"]


def test_a_connector_without_a_modified_column_is_read_whole_every_time(profit):
    profit.tables["Profit_Debtor"] = [{key: v for key, v in profit.debtor(100).items() if key != "ModifiedDate"}]
    items, cursor, _ = profit.read(debtors_modified="")
    page = profit.run(resources.pages(profit.site(debtors_modified=""), Query(cursor=cursor)))
    assert natives(items) == natives(page.items) == ["100"]
    assert page.complete, "what is no longer there is gone"


# --- since a stamp --------------------------------------------------------------------------------------------------


def test_nothing_changed_costs_one_call_and_shows_nothing_once_the_stamp_is_old(profit):
    profit.tables["Profit_Debtor"] = [profit.debtor(100 + number) for number in range(50)]
    _, cursor, _ = profit.read()
    profit.kinds()
    items, after, _ = profit.read(cursor)
    assert profit.kinds() == ["Profit_Debtor"]
    assert items == []
    assert after == cursor


def test_many_debtors_of_one_fresh_stamp_are_read_again_until_it_is_old_and_then_no_more(profit):
    stamp = "2026-11-24T11:59:50Z"
    profit.tables["Profit_Debtor"] = [profit.debtor(100 + number, stamp) for number in range(30)]
    _, cursor, _ = profit.read(size=10)
    again, cursor, pages = profit.read(cursor, size=10, as_of=NOON + 1)
    assert (len(again), pages) == (30, 4)
    _, cursor, _ = profit.read(cursor, size=10, as_of=NOON + 300)
    profit.kinds()
    assert profit.read(cursor, size=10, as_of=NOON + 600)[0] == []
    assert profit.kinds() == ["Profit_Debtor"]


def test_a_row_that_becomes_visible_late_with_an_older_stamp_is_not_missed(profit):
    rows = profit.tables["Profit_Debtor"] = [profit.debtor(100, "2026-11-24T11:59:58Z")]
    _, cursor, _ = profit.read()
    rows.append(profit.debtor(101, "2026-11-24T11:59:55Z"))
    assert "101" in natives(profit.read(cursor, as_of=NOON + 20)[0])


def test_a_second_edit_within_the_second_of_the_stamp_is_not_missed(profit):
    rows = profit.tables["Profit_Debtor"] = [profit.debtor(100, "2026-11-24T11:59:59Z")]
    _, cursor, _ = profit.read()
    rows[0] |= {"DebtorName": "Toch anders"}
    (item,) = profit.read(cursor, as_of=NOON + 900)[0]
    assert item.fields["DebtorName"] == "Toch anders"


def test_only_the_first_pages_stamps_move_the_cursor(profit):
    rows = profit.tables["Profit_Debtor"] = [
        profit.debtor(100 + number, "2026-11-24T09:00:00Z") for number in range(20)
    ]
    _, cursor, _ = profit.read()
    for row in rows:
        row["ModifiedDate"] = "2026-11-24T11:00:00Z"

    def between(number):
        if number == 1:
            rows[0] |= {"DebtorName": "Gemist?", "ModifiedDate": "2026-11-24T11:57:00Z"}
            rows[19] |= {"ModifiedDate": "2026-11-24T11:59:59Z"}

    _, cursor, _ = profit.read(cursor, size=10, between=between)
    later = {item.native: item for item in profit.read(cursor)[0]}
    assert later["100"].fields["DebtorName"] == "Gemist?"


def test_the_hour_that_comes_twice_is_read_again_whole(profit):
    second_pass = datetime(2026, 10, 25, 1, 40, tzinfo=UTC).timestamp()  # 02:40, winter time
    rows = profit.tables["Profit_Debtor"] = [profit.debtor(100, "2026-10-25T02:55:00Z")]  # summer time, an hour earlier
    _, cursor, _ = profit.read(as_of=second_pass)
    rows.append(profit.debtor(101, "2026-10-25T02:41:00Z"))  # winter time: later, though its clock says otherwise
    items, cursor, _ = profit.read(cursor, as_of=second_pass + 120)
    assert "101" in natives(items)
    _, cursor, _ = profit.read(cursor, as_of=second_pass + 7_200)
    assert profit.read(cursor, as_of=second_pass + 9_000)[0] == []


def test_a_stamp_far_in_the_future_does_not_hide_what_comes_before_it(profit):
    rows = profit.tables["Profit_Debtor"] = [profit.debtor(100, "2031-01-01T00:00:00Z")]
    _, cursor, _ = profit.read()
    rows.append(profit.debtor(101, "2026-11-24T12:30:00Z"))
    assert "101" in natives(profit.read(cursor, as_of=NOON + 3_600)[0])


def test_a_modified_column_that_holds_no_time_is_said(profit):
    profit.tables["Profit_Debtor"] = [profit.debtor(100, "vorige week")]
    with pytest.raises(RetryLater, match="ModifiedDate"):
        profit.read()


def test_a_hundred_thousand_debtors_with_fifty_changed_take_one_call(profit):
    row = profit.debtor(1)
    changed = [row | {"DebtorId": f"{number:06}"} for number in range(50)]
    calls = []

    def answer(call):
        calls.append(call)
        asked = parse_qs(urlsplit(call.request.url).query)
        assert asked["filterfieldids"] == ["ModifiedDate"]
        return Response(200, {}, json.dumps({"skip": 0, "take": 1000, "rows": changed}).encode())

    settings = Settings(member="12345", token="AD2D42B854E2809D19A89EC3D56A6F57")
    site = Site(connection="profit", settings=settings, facts={}, as_of=NOON)
    cursor = resources.Cursor("modified", "2026-11-23T22:00:00", "past")
    page = drive(resources.pages(site, Query(cursor=cursor)), answer)
    assert (len(page.items), len(calls), page.next) == (50, 1, None)


# --- size and failure -----------------------------------------------------------------------------------------------


def test_a_page_too_large_for_profit_is_asked_for_by_halves(profit):
    profit.tables["Profit_Debtor"] = [profit.debtor(100 + number) for number in range(60)]
    _, cursor, _ = profit.read(debtors_modified="ModifiedDate")
    profit.replies["Profit_Debtor"] = [profit.refusal("Out of memory")]
    for row in profit.tables["Profit_Debtor"]:
        row["ModifiedDate"] = "2026-11-24T11:00:00Z"
    items, _, pages = profit.read(cursor, size=50)
    assert len(set(natives(items))) == 60
    assert pages == 3  # 25, 25 and 10


def test_wide_rows_come_in_smaller_pages(profit):
    wide = {f"Kolom{number}": None for number in range(990)}
    profit.tables["Profit_Debtor"] = [profit.debtor(1_000 + number, **wide) for number in range(1_200)]
    items, _, _ = profit.read()
    assert len(set(natives(items))) == 1_200
    takes = [int(parse_qs(urlsplit(call.request.url).query)["take"][0]) for call in profit.calls]
    assert takes[:2] == [1, 1_000]
    assert max(takes[2:]) < 160


def test_a_blocked_or_misnamed_connector_is_for_the_operator(profit):
    profit.replies["Profit_Debtor"] = [profit.refusal("Connector field 'ModifiedDate' not found")]
    with pytest.raises(SetupError, match="ModifiedDate"):
        profit.read()
    profit.replies["Profit_Debtor"] = [Response(404)]
    with pytest.raises(SetupError, match="connector's name"):
        profit.read()


def test_a_row_without_a_number_is_no_debtor_and_never_silently_dropped(profit):
    profit.replies["Profit_Debtor"] = [
        Response(200, {}, b'{"rows":[]}'),
        Response(200, {}, b'{"rows":[{"DebtorName":"X"}]}'),
    ]
    with pytest.raises(RetryLater, match="DebtorId"):
        profit.read()


# --- addresses in parts -----------------------------------------------------------------------------------------------


def test_a_feed_of_parts_replaces_the_lines_alike_in_listing_and_look_up(profit):
    profit.tables |= {"Profit_Debtor": [profit.debtor(100), profit.debtor(101)], "Eigen_Adres": [parts(100)]}
    listed = {item.native: item for item in profit.read(**FEED)[0]}
    found = profit.run(resources.find(profit.site(**FEED), "native", ("100", "101")))
    assert {key: finding.items[0] for key, finding in found.items()} == listed
    decoded = SYSTEM.resource("debtors").decode(profit.site(**FEED), listed["100"])
    assert decoded.record.entity.address.street == "Kerkstraat"
    assert "AdressLine1" not in listed["100"].fields
    none = SYSTEM.resource("debtors").decode(profit.site(**FEED), listed["101"])
    assert none.record.entity.address is None, "the feed is the word on addresses"


def test_an_address_that_moves_without_its_debtor_is_seen_at_one_call_a_feed(profit):
    profit.tables |= {
        "Profit_Debtor": [profit.debtor(100), profit.debtor(101)],
        "Eigen_Adres": [parts(100), parts(101)],
    }
    _, cursor, _ = profit.read(**FEED)
    profit.kinds()
    assert profit.read(cursor, **FEED)[0] == []
    assert profit.kinds() == ["Profit_Debtor", "Eigen_Adres"]
    profit.tables["Eigen_Adres"][1] = parts(101, "2026-11-24T11:30:00Z", "Nieuwstraat")
    (item,), cursor, _ = profit.read(cursor, **FEED)
    assert item.native == "101"
    assert item.fields["Address"]["street"] == "Nieuwstraat"
    profit.kinds()
    assert profit.read(cursor, **FEED)[0] == []
    assert profit.kinds() == ["Profit_Debtor", "Eigen_Adres"]


def test_many_moved_addresses_come_in_pages_of_their_own(profit):
    profit.tables |= {
        "Profit_Debtor": [profit.debtor(100 + number) for number in range(40)],
        "Eigen_Adres": [parts(100 + number) for number in range(40)],
    }
    _, cursor, _ = profit.read(**FEED)
    profit.tables["Eigen_Adres"] = [parts(100 + number, "2026-11-24T11:00:00Z") for number in range(40)]
    items, _, pages = profit.read(cursor, size=30, **FEED)
    assert len(set(natives(items))) == 40
    assert pages == 2


def test_a_feed_that_knows_no_street_and_city_is_for_the_operator(profit):
    profit.tables |= {"Profit_Debtor": [profit.debtor(100)], "Eigen_Adres": [{"BcCo": "7100", "ModifiedDate": None}]}
    with pytest.raises(SetupError, match="street and city"):
        profit.read(**FEED)


# --- by key -----------------------------------------------------------------------------------------------------------


def test_many_numbers_are_looked_up_in_queries_that_profit_can_read(profit):
    profit.tables["Profit_Debtor"] = [
        profit.debtor(number, ChOfCommNr=f"{90_000_000 + number}") for number in range(100, 180)
    ]
    wanted = tuple(f"{90_000_000 + number}" for number in range(100, 200))
    found = profit.run(resources.find(profit.site(), "kvk", wanted))
    assert sum(isinstance(finding, Found) for finding in found.values()) == 80
    assert sum(isinstance(finding, Absent) for finding in found.values()) == 20
    assert all(len(urlsplit(call.request.url).query) < 2_049 for call in profit.calls)
    assert len(profit.calls) < 6


def test_a_kvk_number_is_found_without_its_leading_zero_and_shared_ones_are_all_found(profit):
    profit.tables["Profit_Debtor"] = [
        profit.debtor(100, ChOfCommNr="01234567"),
        profit.debtor(101, ChOfCommNr="1234567"),
        profit.debtor(102, ChOfCommNr="12345678"),
    ]
    found = profit.run(resources.find(profit.site(), "kvk", ("01234567",)))
    assert natives(found["01234567"].items) == ["100", "101"]


def test_a_vat_number_is_found_in_the_spellings_people_store_it_in(profit):
    profit.tables["Profit_Debtor"] = [
        profit.debtor(100, VatNr="NL800000006B01"),
        profit.debtor(101, VatNr="800000006B01"),
        profit.debtor(102, VatNr="NL8000.00.006.B01"),
    ]
    found = profit.run(resources.find(profit.site(), "vat", ("NL800000006B01",)))
    assert natives(found["NL800000006B01"].items) == ["100", "101", "102"]


def test_a_value_that_cannot_be_asked_for_is_unknown_and_never_absent(profit):
    found = profit.run(resources.find(profit.site(), "vat", ("", "x" * 3_000)))
    assert {type(finding) for finding in found.values()} == {Unknown}
    assert profit.calls == []


def test_an_answer_that_cannot_be_read_is_unknown_with_a_time_to_ask_again(profit):
    profit.replies["Profit_Debtor"] = [Response(200, {}, b'{"rows":[{"Debt')]
    found = profit.run(resources.find(profit.site(), "native", ("100",)))
    assert found["100"].problem.retry_at > NOON


# --- a connector of the tenant's own --------------------------------------------------------------------------------


def test_a_connector_with_columns_of_its_own_is_read_filtered_and_looked_up_in_by_them():
    host = build(companies=12, names=["afas"])
    told = host.sandboxes["afas"].contract("http://localhost/afas")
    own = Settings(
        base_url=told["base_url"],
        token=told["token"],
        debtors="Hub_Debiteuren",
        debtors_modified="Gewijzigd_op",
        columns="DebtorId=Debiteurnummer, DebtorName=Naam, BcCo=Organisatienummer, ChOfCommNr=KvK_nummer, VatNr=Btw_nummer, "
        "Blocked=Geblokkeerd",
    )
    site = Site(connection="profit", settings=own, facts={}, as_of=host.clock.now())

    def answer(call):
        return host.handle(SYSTEM.auth.authorize(own, SYSTEM.auth.tokens_from(own), call.request))

    page = drive(resources.pages(site, Query()), answer)
    decode = SYSTEM.resource("debtors").decode
    read = {item.native: decode(site, item).record.entity for item in page.items}
    truth = {row["DbId"]: row for row in host.control("afas", "debtors", {})["debtors"]}
    assert {native: company.name for native, company in read.items()} == {n: row["Nm"] for n, row in truth.items()}
    assert all(company.address is None or company.address.city for company in read.values())
    numbered = next(company for company in read.values() if company.kvk)
    found = drive(resources.find(site, "kvk", (numbered.kvk,)), answer)[numbered.kvk]
    assert numbered.code in natives(found.items)
    assert drive(resources.pages(site, Query(cursor=page.cursor)), answer).next is None


# --- private ----------------------------------------------------------------------------------------------------------


def test_a_bsn_is_never_kept_not_even_when_a_flow_asks_for_it(profit):
    profit.tables["Profit_Debtor"] = [profit.debtor(100, BSN="123456782", IBAN="NL00BANK0123456789")]
    items, _, _ = profit.read(own=("BSN", "PaCd"))
    assert "123456782" not in repr(items)
    assert "NL00BANK0123456789" not in repr(items), "what no flow asks for is not kept"
