import json
import tomllib
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from koppel.mapping.read import read_flow
from koppel.model.company import Company
from koppel.model.problem import RetryLater, SetupError, UsageError
from koppel.model.record import Record
from koppel.model.values import Cursor
from koppel.systems.exact import SYSTEM, fields, resources
from koppel.systems.exact.settings import Settings
from koppel.systems.exact.system import read_metadata
from koppel.systems.spi import (
    Absent,
    Batch,
    CannotTell,
    Change,
    Found,
    Landed,
    NoReply,
    NotLanded,
    Operation,
    Page,
    Query,
    Response,
    Site,
    Unknown,
    drive,
)

SETTINGS = Settings(
    client_id="a", client_secret="b", redirect_uri="https://c.example", base_url="https://books.example", division=7095
)
API = "https://books.example/api/v1/7095"
NOW = 1_790_000_000.0
DAY = 86_400.0
ACCOUNTS, DELETED = SYSTEM.resource("accounts"), SYSTEM.resource("deleted")


def site(*own, as_of=NOW, settings=SETTINGS):
    return Site(connection="books", settings=settings, facts={}, as_of=as_of, own=own)


def guid(number):
    return f"71b961de-0000-4000-8000-{number:012d}"


def row(number, **changes):
    shown = dict.fromkeys(fields.properties((), sync=True))
    shown |= {"ID": guid(number), "Name": f"Firm {number}", "Timestamp": str(1000 + number), "Country": "NL "}
    return shown | changes


def plain(number, **changes):
    return {key: value for key, value in row(number, **changes).items() if key != "Timestamp"}


def reply(body, status=200, **headers):
    return Response(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def rows(*found, onward=None):
    return reply({"d": {"results": list(found)} | ({"__next": onward} if onward else {})})


def error(status, text=""):
    return reply({"error": {"code": "", "message": {"lang": "", "value": text}}}, status)


def moves(**dates):
    return rows({"Code": 7095, "DivisionMoveDate": None, "DivisionHRLinkUnlinkDate": None, **dates})


class Vendor:
    """Answers from a list, first come first served, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers, self.calls = list(answers), []

    def __call__(self, call):
        self.calls.append(call)
        return self.answers.pop(0)

    @property
    def paths(self):
        return [urlsplit(call.request.url).path.removeprefix("/api/v1/") for call in self.calls]

    def options(self, place=-1):
        query = parse_qs(urlsplit(self.calls[place].request.url).query)
        return {name: values[0] for name, values in query.items()}


def run(exchange, *answers):
    vendor = Vendor(*answers)
    found = drive(exchange, vendor)
    assert vendor.answers == [], "every answer was wanted"
    return found, vendor


def cursor(value="1000", *, read=NOW - 600, checked=NOW - 600, **extra):
    stamps = {"read_at": f"{read:.0f}", "checked_at": f"{checked:.0f}"}
    return Cursor("timestamp", value, extra={**stamps, "DivisionMoveDate": "", "DivisionHRLinkUnlinkDate": "", **extra})


# --- listing ------------------------------------------------------------------------------------------------------


def test_a_first_listing_begins_at_one_and_is_complete_at_its_last_page():
    onward = f"{API}/sync/CRM/Accounts?$filter=x&$skiptoken=1"
    vendor = Vendor(moves(), rows(row(5), row(2), onward=onward), rows(row(3)))
    first = drive(ACCOUNTS.pages(site(), Query()), vendor)
    assert vendor.paths == ["7095/system/Divisions", "7095/sync/CRM/Accounts"]
    assert vendor.options()["$filter"] == "Timestamp gt 1L"
    assert [item.native for item in first.items] == [guid(5), guid(2)]
    assert (first.complete, first.cursor) == (False, None)
    assert first.next

    last = drive(ACCOUNTS.pages(site(), Query(next=first.next)), vendor)
    assert vendor.calls[-1].request.url == onward
    assert [item.version for item in last.items] == ["1003"]
    assert last.complete
    assert last.next is None
    assert last.cursor == cursor("1005", read=NOW, checked=NOW)


def test_only_what_is_mapped_or_asked_for_is_selected():
    _, vendor = run(ACCOUNTS.pages(site("Remarks", "BSN", "CustomField"), Query(cursor=cursor())), rows())
    selected = vendor.options()["$select"].split(",")
    assert {"ID", "Timestamp", "Modified", "Name", "ChamberOfCommerce", "Remarks"} <= set(selected)
    assert not {"BSN", "CustomField"} & set(selected)
    assert len(selected) == len(set(selected))
    assert vendor.calls[0].request.headers == {"Accept": "application/json"}
    assert vendor.calls[0].carries == ()


@pytest.mark.parametrize("resource", [ACCOUNTS, DELETED], ids=lambda resource: resource.name)
def test_nothing_changed_costs_one_call_and_keeps_the_place(resource):
    page, vendor = run(resource.pages(site(), Query(cursor=cursor("1234"))), rows())
    assert len(vendor.calls) == 1
    assert vendor.options()["$filter"] == "Timestamp gt 1234L"
    assert page == Page(cursor=cursor("1234", read=NOW))


def test_the_cursor_moves_to_the_highest_timestamp_by_number_not_by_text():
    page, _ = run(
        ACCOUNTS.pages(site(), Query(cursor=cursor("999"))), rows(row(1, Timestamp="1000"), row(2, Timestamp=999))
    )
    assert page.cursor.value == "1000"
    assert not page.complete


def test_a_bare_array_is_read_as_well():
    page, _ = run(ACCOUNTS.pages(site(), Query(cursor=cursor())), reply({"d": [row(1)]}))
    assert len(page.items) == 1


def test_the_division_is_looked_at_once_a_day():
    late = cursor(checked=NOW - DAY)
    page, vendor = run(ACCOUNTS.pages(site(), Query(cursor=late)), moves(), rows())
    assert vendor.paths == ["7095/system/Divisions", "7095/sync/CRM/Accounts"]
    assert page.cursor == cursor(checked=NOW, read=NOW)
    assert vendor.options(0)["$filter"] == "Code eq 7095"


@pytest.mark.parametrize("name", resources.MOVES)
@pytest.mark.parametrize("resource", [ACCOUNTS, DELETED], ids=lambda resource: resource.name)
def test_a_moved_division_is_read_all_again(resource, name):
    moved = moves(**{name: "/Date(1790000000000)/"})
    page, _ = run(resource.pages(site(), Query(cursor=cursor(checked=NOW - DAY))), moved)
    assert page == Page(restart=True)


def test_a_division_that_was_moved_before_we_came_is_no_news():
    known = cursor(checked=NOW - DAY, DivisionMoveDate="/Date(5)/")
    page, _ = run(ACCOUNTS.pages(site(), Query(cursor=known)), moves(DivisionMoveDate="/Date(5)/"), rows())
    assert not page.restart


@pytest.mark.parametrize(
    ("refused", "checked"),
    [(error(403, "Forbidden"), NOW), (rows(), NOW), (error(500), NOW - DAY), (reply(b"<html>"), NOW - DAY)],
)
def test_a_division_list_that_is_closed_to_us_stops_nothing_and_forgets_nothing(refused, checked):
    late = cursor(checked=NOW - DAY, DivisionMoveDate="/Date(5)/")
    page, _ = run(ACCOUNTS.pages(site(), Query(cursor=late)), refused, rows(row(1)))
    assert len(page.items) == 1
    assert page.cursor.extra["DivisionMoveDate"] == "/Date(5)/"
    assert page.cursor.extra["checked_at"] == f"{checked:.0f}"  # no answer is no check: asked again next time


def test_a_move_that_becomes_known_only_later_is_read_all_again():
    stamps = {"read_at": f"{NOW - DAY:.0f}"}
    page, _ = run(
        ACCOUNTS.pages(site(), Query(cursor=Cursor("timestamp", "1000", extra=stamps))),
        moves(DivisionMoveDate="/Date(5)/"),
    )
    assert page == Page(restart=True)


def test_after_a_pause_longer_than_the_log_of_deletions_all_is_read_again():
    for resource in (ACCOUNTS, DELETED):
        asleep = Query(cursor=cursor(read=NOW - 59 * DAY - 1))
        assert run(resource.pages(site(), asleep))[0] == Page(restart=True)
        awake = Query(cursor=cursor(read=NOW - 59 * DAY))
        assert not run(resource.pages(site(), awake), rows())[0].restart


def test_deletions_name_accounts_and_leave_other_records_out():
    page, vendor = run(
        DELETED.pages(site(), Query(cursor=cursor())),
        rows(
            {"Timestamp": "2001", "EntityType": 2, "EntityKey": guid(1).upper()},
            {"Timestamp": "2003", "EntityType": 5, "EntityKey": guid(2)},
            {"Timestamp": "2002", "EntityType": 12, "EntityKey": guid(3)},
        ),
    )
    assert page.gone == (("accounts", guid(1)),)
    assert page.cursor.value == "2003"
    assert "EntityType" not in vendor.options()["$filter"]


@pytest.mark.parametrize(
    "broken",
    [reply(b"<feed/>"), error(500, "Timeout"), reply({"d": {}}), rows({"ID": guid(1)}), rows({"Timestamp": "5"})],
)
def test_an_unreadable_page_is_tried_again_and_never_taken_for_empty(broken):
    with pytest.raises(RetryLater) as caught:
        run(ACCOUNTS.pages(site(), Query(cursor=cursor())), broken)
    assert caught.value.at > NOW


@pytest.mark.parametrize("status", [400, 404])
def test_a_refused_listing_is_for_the_operator_and_carries_the_vendors_words(status):
    with pytest.raises(SetupError, match="No property"):
        run(ACCOUNTS.pages(site(), Query(cursor=cursor())), error(status, "No property 'X' exists"))


def test_a_next_page_on_another_site_is_not_followed():
    with pytest.raises(SetupError):
        run(
            ACCOUNTS.pages(site(), Query(cursor=cursor())), rows(row(1), onward="https://evil.example/api/v1/7095/sync")
        )


def test_without_a_division_nothing_is_guessed():
    nowhere = site(settings=msgspec.structs.replace(SETTINGS, division=None))
    with pytest.raises(SetupError, match="division"):
        drive(ACCOUNTS.pages(nowhere, Query(cursor=cursor())), Vendor())


# --- finding ------------------------------------------------------------------------------------------------------


def test_many_numbers_are_asked_in_one_filter_and_each_gets_its_answer():
    found, vendor = run(
        ACCOUNTS.find(site(), "kvk", ("68750110", "69599084", "68750110")),
        rows(plain(1, ChamberOfCommerce="68750110"), plain(2, ChamberOfCommerce="68750110")),
    )
    assert vendor.options()["$filter"] == "(ChamberOfCommerce eq '68750110' or ChamberOfCommerce eq '69599084')"
    assert "Timestamp" not in vendor.options()["$select"]
    assert [item.native for item in found["68750110"].items] == [guid(1), guid(2)]
    assert found["69599084"] == Absent()


def test_numbers_are_found_in_the_spellings_people_store():
    found, vendor = run(ACCOUNTS.find(site(), "kvk", ("01234567",)), rows(plain(1, ChamberOfCommerce="1234567")))
    assert "'1234567'" in vendor.options()["$filter"]
    assert isinstance(found["01234567"], Found)
    found, vendor = run(
        ACCOUNTS.find(site(), "vat", ("NL800000006B01",)), rows(plain(1, VATNumber="NL8000.00.006.B01"))
    )
    assert "'NL8000.00.006.B01'" in vendor.options()["$filter"]
    assert "'800000006B01'" in vendor.options()["$filter"]
    assert isinstance(found["NL800000006B01"], Found)


def test_records_are_found_by_id_without_ever_asking_for_a_404():
    found, vendor = run(ACCOUNTS.find(site(), "native", (guid(1).upper(), guid(2))), rows(plain(1)))
    assert vendor.options()["$filter"] == f"(ID eq guid'{guid(1)}' or ID eq guid'{guid(2)}')"
    assert found[guid(1).upper()].items[0].native == guid(1)
    assert found[guid(2)] == Absent()


def test_a_find_that_fills_a_page_follows_the_next_one():
    onward = f"{API}/crm/Accounts?$skiptoken=guid'{guid(1)}'"
    found, vendor = run(
        ACCOUNTS.find(site(), "kvk", ("68750110",)),
        rows(plain(1, ChamberOfCommerce="68750110"), onward=onward),
        rows(plain(2, ChamberOfCommerce="68750110")),
    )
    assert vendor.calls[1].request.url == onward
    assert len(found["68750110"].items) == 2


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("kvk", tuple(f"{n:08d}" for n in range(1, 201))),
        ("native", tuple(map(guid, range(200)))),
        ("vat", tuple(f"NL{n:09d}B01" for n in range(200))),
    ],
)
def test_no_address_is_longer_than_the_vendor_takes_and_no_filter_is_huge(kind, values):
    urls = []

    def answer(call):
        urls.append(call.request.url)
        return rows()

    everything = site(*fields.OWN_NAMES)
    found = drive(ACCOUNTS.find(everything, kind, values), answer)
    assert found == dict.fromkeys(values, Absent())
    assert max(map(len, urls)) <= 6000
    assert max(url.count("%20eq%20") for url in urls) <= 40


@pytest.mark.parametrize("broken", [error(500), reply(b"<html>"), NoReply("silence"), reply({"value": []})])
def test_an_unreadable_answer_is_unknown_with_a_time_and_licenses_nothing(broken):
    found, _ = run(ACCOUNTS.find(site(), "kvk", ("68750110",)), broken)
    assert isinstance(found["68750110"], Unknown)
    assert found["68750110"].problem.retry_at > NOW


@pytest.mark.parametrize("status", [400, 404])
def test_a_refused_search_is_unknown_and_never_absent(status):
    found, _ = run(ACCOUNTS.find(site(), "kvk", ("68750110",)), error(status, "no"))
    assert isinstance(found["68750110"], Unknown)


def test_a_failing_later_page_leaves_even_the_found_unknown():
    page = rows(plain(1, ChamberOfCommerce="68750110"), onward=f"{API}/crm/Accounts?$skiptoken=1")
    found, _ = run(ACCOUNTS.find(site(), "kvk", ("68750110",)), page, error(500))
    assert isinstance(found["68750110"], Unknown)


def test_what_cannot_be_asked_is_unknown_and_costs_no_call():
    found, vendor = run(ACCOUNTS.find(site(), "native", ("not-a-guid",)))
    assert isinstance(found["not-a-guid"], Unknown)
    assert vendor.calls == []


# --- lower --------------------------------------------------------------------------------------------------------

HOME = {
    "street": "Dorpsstraat",
    "number": "12",
    "suffix": "A",
    "postcode": "1034WL",
    "city": "Amsterdam",
    "country": "NL",
}


def update(values, before=None, **more):
    return ACCOUNTS.lower(site(), Change("op1", "update", guid(1), values, before or {}, **more))


def test_a_new_company_is_one_call_with_keys_a_probe_can_use():
    (operation,) = ACCOUNTS.lower(
        site(),
        Change(
            "op1",
            "create",
            None,
            {
                "name": "Bakker",
                "kvk": "68750110",
                "vat_number": "NL800000006B01",
                "address": HOME,
                "phone": None,
                "Status": "C",
                "Remarks": "Besloten vennootschap",
            },
        ),
    )
    assert operation == Operation(
        op="op1",
        kind="create",
        resource="accounts",
        native=None,
        fields={
            "Name": "Bakker",
            "ChamberOfCommerce": "68750110",
            "VATNumber": "NL800000006B01",
            "AddressLine1": "Dorpsstraat 12 A",
            "Postcode": "1034 WL",
            "City": "Amsterdam",
            "Country": "NL",
            "Status": "C",
            "Remarks": "Besloten vennootschap",
        },
        keys=(("kvk", "68750110"), ("vat", "NL800000006B01")),
    )


def test_a_new_house_number_sends_the_address_line_and_nothing_else():
    (operation,) = update({"address": {**HOME, "number": "14"}}, {"address": HOME}, version="1001")
    assert operation.fields == {"AddressLine1": "Dorpsstraat 14 A"}
    assert operation.before == {"AddressLine1": "Dorpsstraat 12 A"}
    assert (operation.native, operation.keys, operation.expect) == (guid(1), (), "1001")


def test_a_change_of_spelling_alone_sends_nothing():
    assert update({"address": {**HOME, "suffix": "a", "postcode": "1034 wl"}}, {"address": HOME}) == ()


def test_what_is_not_said_before_is_taken_from_the_record_as_last_seen():
    current = Record(Company(name="Bakker", phone="1"), {"Remarks": "oud"})
    (operation,) = update({"name": "Bakker", "phone": "2", "Remarks": "nieuw"}, current=current)
    assert operation.fields == {"Phone": "2", "Remarks": "nieuw"}
    assert operation.before == {"Phone": "1", "Remarks": "oud"}


def test_emptying_sends_null_and_a_create_sends_no_nulls():
    (operation,) = update({"phone": None, "address": None}, {"phone": "1", "address": HOME})
    assert operation.fields == {"Phone": None, "AddressLine1": None, "Postcode": None, "City": None}
    (operation,) = ACCOUNTS.lower(site(), Change("op1", "create", None, {"name": "X", "phone": None, "address": None}))
    assert operation.fields == {"Name": "X"}


def test_a_foreign_address_that_becomes_dutch_leaves_no_old_lines_behind():
    abroad = {"lines": ["Rue Haute 5", "Bte 3"], "postcode": "1000", "city": "Bruxelles", "country": "BE"}
    (operation,) = update({"address": HOME}, {"address": abroad})
    assert operation.fields["AddressLine2"] is None
    assert "AddressLine3" not in operation.fields
    (operation,) = update({"address": abroad}, {"address": HOME})
    assert operation.fields["AddressLine2"] == "Bte 3"


def test_a_shielded_address_is_written_nowhere():
    assert update({"address": {"shielded": True, "street": "Geheim"}}, {"address": HOME}) == ()


def test_an_account_is_never_archived():
    with pytest.raises(UsageError):
        ACCOUNTS.lower(site(), Change("op1", "archive", guid(1), {}))


# --- send ---------------------------------------------------------------------------------------------------------

CREATE = Operation(
    op="op1",
    kind="create",
    resource="accounts",
    native=None,
    fields={"Name": "Firm 1", "ChamberOfCommerce": "68750110", "City": "Amsterdam"},
    keys=(("kvk", "68750110"), ("vat", "NL800000006B01")),
)
UPDATE = Operation(op="op2", kind="update", resource="accounts", native=guid(1), fields={"Phone": "2"})


def sent(operation, answer, *own):
    (receipt,), vendor = run(ACCOUNTS.send(site(*own), Batch((operation,))), answer)
    assert receipt.op == operation.op
    return receipt, vendor.calls[0]


def test_a_create_is_posted_and_its_receipt_holds_the_record():
    receipt, call = sent(CREATE, reply({"d": {**plain(1), "BSN": "123456782"}}, 201))
    assert (call.request.method, call.request.url) == ("POST", f"{API}/crm/Accounts")
    assert json.loads(call.request.body) == CREATE.fields
    assert call.carries == ("op1",)
    assert (receipt.status, receipt.native) == ("done", guid(1))
    assert (receipt.item.version, receipt.item.fields["Name"]) == ("", "Firm 1")
    assert "BSN" not in receipt.item.fields


def test_an_update_is_put_on_the_guid_and_done_without_a_body():
    receipt, call = sent(UPDATE, Response(204))
    assert (call.request.method, call.request.url) == ("PUT", f"{API}/crm/Accounts(guid'{guid(1)}')")
    assert (receipt.status, receipt.native, receipt.item) == ("done", guid(1), None)


def test_an_update_that_shows_the_record_passes_it_on():
    receipt, _ = sent(UPDATE, reply({"d": plain(1, Phone="2")}))
    assert receipt.item.fields["Phone"] == "2"


def test_a_record_shown_in_part_is_not_compared_with():
    receipt, _ = sent(CREATE, reply({"d": {"ID": guid(1), "Name": "Firm 1"}}, 201))
    assert (receipt.status, receipt.native, receipt.item) == ("done", guid(1), None)


def test_a_create_whose_answer_shows_no_id_is_in_doubt_unless_its_location_does():
    assert sent(CREATE, reply(b"", 201))[0].status == "unknown"
    receipt, _ = sent(CREATE, reply(b"", 201, location=f"{API}/crm/Accounts(guid'{guid(7)}')"))
    assert (receipt.status, receipt.native) == ("done", guid(7))


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("Verplicht: Naam", "mandatory", "Name"),
        ("Mandatory: Name", "mandatory", "Name"),
        ("Ongeldig: Postcode", "invalid_value", None),
        ("Gegeven bestaat reeds.", "already_exists", None),
        ("Data already exists", "already_exists", None),
        ("Bestaat reeds: KvK-nummer", "already_exists", "ChamberOfCommerce"),
        ("Error in converting value for property 'City' to type 'Guid'", "invalid_value", "City"),
    ],
)
def test_a_business_refusal_in_a_500_is_refused_with_the_vendors_words(text, code, field):
    receipt, _ = sent(CREATE, error(500, text))
    assert (receipt.status, receipt.problem.code, receipt.problem.field) == ("refused", code, field)
    assert receipt.problem.vendor_text == text
    assert receipt.problem.status == 500


@pytest.mark.parametrize(
    "answer",
    [
        error(500, "Timeout expired"),
        error(500, "Its state is invalid"),
        reply(b"<html>", 500),
        error(503),
        error(408),
        NoReply("silence"),
        error(502),
    ],
)
@pytest.mark.parametrize("operation", [CREATE, UPDATE], ids=["create", "update"])
def test_any_other_failure_leaves_the_write_in_doubt(operation, answer):
    assert sent(operation, answer)[0].status == "unknown"


@pytest.mark.parametrize("status", [400, 403, 405])
def test_a_4xx_surely_had_no_effect(status):
    receipt, _ = sent(CREATE, error(status, "No property 'X' exists in type 'Account' at position 3."))
    assert receipt.status == "refused"


def test_a_404_on_an_update_means_that_the_record_is_gone():
    receipt, _ = sent(UPDATE, error(404, "Not found"))
    assert (receipt.status, receipt.native) == ("stale", guid(1))
    assert sent(CREATE, error(404))[0].status == "refused"


def test_a_request_id_is_kept_when_there_is_one():
    refused = Response(400, {"x-request-id": "r-1"}, b"")
    assert sent(CREATE, refused)[0].problem.request_id == "r-1"


# --- probe --------------------------------------------------------------------------------------------------------


def traced(operation, *answers):
    found, vendor = run(ACCOUNTS.probe(site(), (operation,)), *answers)
    return found[operation.op], vendor


def ours(number, **changes):
    return plain(number, Name="Firm 1", ChamberOfCommerce="68750110", City="Amsterdam", **changes)


def test_the_only_record_with_our_number_and_name_is_ours():
    trace, vendor = traced(CREATE, rows(ours(3)))
    assert isinstance(trace, Landed)
    assert (trace.native, trace.item.fields["Name"]) == (guid(3), "Firm 1")
    assert "ChamberOfCommerce" in vendor.options()["$filter"]


def test_no_record_with_our_number_means_that_nothing_landed():
    assert traced(CREATE, rows())[0] == NotLanded()


def test_a_record_with_our_number_and_another_name_tells_nothing():
    trace, _ = traced(CREATE, rows(plain(3, Name="Other", ChamberOfCommerce="68750110")))
    assert isinstance(trace, CannotTell)


def test_of_several_records_only_one_alike_in_full_is_ours():
    other = plain(4, Name="Firm 1", ChamberOfCommerce="68750110", City="Utrecht")
    assert traced(CREATE, rows(other, ours(3)))[0].native == guid(3)
    assert isinstance(traced(CREATE, rows(ours(4), ours(3)))[0], CannotTell)
    assert isinstance(traced(CREATE, rows(other, {**other, "ID": guid(5)}))[0], CannotTell)


def test_without_a_kvk_number_the_vat_number_is_looked_for():
    by_vat = msgspec.structs.replace(CREATE, fields={"Name": "Firm 1"}, keys=(("vat", "NL800000006B01"),))
    trace, vendor = traced(by_vat, rows(plain(3, Name="Firm 1", VATNumber="NL800000006B01")))
    assert trace.native == guid(3)
    assert "VATNumber" in vendor.options()["$filter"]


def test_without_a_number_only_a_person_can_tell():
    trace, vendor = traced(msgspec.structs.replace(CREATE, keys=()))
    assert isinstance(trace, CannotTell)
    assert vendor.calls == []


def test_an_update_is_looked_up_by_id_and_shown_as_it_is_now():
    trace, _ = traced(UPDATE, rows(plain(1, Phone="2")))
    assert (trace.native, trace.item.fields["Phone"]) == (guid(1), "2")
    assert traced(UPDATE, rows())[0] == NotLanded()


def test_an_update_that_shows_what_was_there_before_did_not_land():
    both = msgspec.structs.replace(UPDATE, fields={"Phone": "2", "City": "A"}, before={"Phone": "1", "City": None})
    untouched = traced(both, rows(plain(1, Phone="1 ", City="", Name="Anders")))[0]
    assert isinstance(untouched, NotLanded)
    assert untouched.item.fields["Name"] == "Anders", "what it shows meanwhile is told, too"
    assert isinstance(traced(both, rows(plain(1, Phone="1", City="A")))[0], Landed)
    assert isinstance(traced(both, rows(plain(1, Phone="3")))[0], Landed)
    assert isinstance(traced(UPDATE, rows(plain(1, Phone="1")))[0], Landed), "what was there before is not known"


def test_an_account_looks_the_same_listed_and_found():
    (listed,) = run(ACCOUNTS.pages(site(), Query(cursor=cursor())), rows(row(1)))[0].items
    found, _ = run(ACCOUNTS.find(site(), "native", (guid(1),)), rows(plain(1)))
    assert found[guid(1)].items[0].fields == listed.fields
    assert (listed.version, found[guid(1)].items[0].version) == ("1001", "")


def test_a_probe_without_a_usable_answer_is_repeated_and_decides_nothing():
    with pytest.raises(RetryLater):
        traced(CREATE, error(500))
    assert isinstance(traced(CREATE, error(400, "bad filter"))[0], CannotTell)


def test_many_writes_in_doubt_are_looked_up_together():
    second = msgspec.structs.replace(CREATE, op="op3", keys=(("kvk", "69599084"),))
    found, vendor = run(ACCOUNTS.probe(site(), (CREATE, second)), rows(ours(3)))
    assert len(vendor.calls) == 1
    assert isinstance(found["op1"], Landed)
    assert found["op3"] == NotLanded()


# --- what a login reaches, what an account has ----------------------------------------------------------------------

UNCHOSEN = msgspec.structs.replace(SETTINGS, division=None)


def test_divisions_are_listed_through_the_users_current_one():
    found, vendor = run(
        SYSTEM.accounts(site(settings=UNCHOSEN)),
        rows({"CurrentDivision": 42}),
        rows({"Code": 7095, "Description": "Bakkerij", "CustomerName": "Korenaar Groep"}, {"Code": 7096}),
        rows({"Code": 7096, "Description": "Molen"}, {"Code": 8001, "Description": "Klant van een accountant"}),
    )
    assert vendor.paths == ["current/Me", "42/hrm/Divisions", "42/system/Divisions"]
    assert found == (
        ("7095", "Bakkerij (Korenaar Groep)"), ("7096", "7096"), ("8001", "Klant van een accountant"),
    )  # fmt: skip


@pytest.mark.parametrize("refused", [error(403, "Forbidden"), error(404), rows(), reply(b"<html>")])
def test_the_other_list_of_divisions_is_tried_when_one_is_closed(refused):
    found, vendor = run(SYSTEM.accounts(site()), refused, rows({"Code": 7095, "Description": "Bakkerij"}))
    assert vendor.paths == ["7095/hrm/Divisions", "7095/system/Divisions"]
    assert found == (("7095", "Bakkerij"),)


def test_no_list_at_all_is_a_matter_of_rights():
    with pytest.raises(SetupError):
        run(SYSTEM.accounts(site()), error(403), error(403))


EDMX = b"""<?xml version="1.0"?><edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">
<edmx:DataServices><Schema Namespace="Exact" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">
<EntityType Name="Contact"><Property Name="ID" Type="Edm.Guid"/><Property Name="Fax" Type="Edm.String"/></EntityType>
<EntityType Name="Account"><Key><PropertyRef Name="ID"/></Key><Property Name="ID" Type="Edm.Guid"/>
<Property Name="Name" Type="Edm.String"/><Property Name="ChamberOfCommerce" Type="Edm.String"/>
<Property Name="Remarks" Type="Edm.String" MaxLength="4000"/><Property Name="SearchCode" Type="Edm.String" MaxLength="Max"/>
<NavigationProperty Name="CustomField"/></EntityType></Schema></edmx:DataServices></edmx:Edmx>"""


def test_own_fields_are_those_the_division_really_has_writable_as_our_table_says():
    found, vendor = run(SYSTEM.metadata(site()), reply(EDMX))
    assert vendor.paths == ["7095/crm/$metadata"]
    assert "Accept" not in vendor.calls[0].request.headers
    assert {field.path: (field.max_length, field.writable) for field in found} == {
        "Remarks": (4000, "always"),
        "SearchCode": (20, "always"),
        "CustomField": (None, "never"),
    }


@pytest.mark.parametrize("closed", [error(403), reply(b"not xml"), reply(b"<a/>"), NoReply("silence")])
def test_a_closed_description_leaves_our_own_table(closed):
    assert run(SYSTEM.metadata(site()), closed)[0] == fields.OWN


def test_a_description_with_a_document_type_is_not_read():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + EDMX.split(b"?>", 1)[1]
    assert read_metadata(bomb) is None


# --- the system as a value ------------------------------------------------------------------------------------------


def test_the_system_is_found_whole():
    assert (SYSTEM.name, SYSTEM.title) == ("exact", "Exact Online")
    assert [resource.name for resource in SYSTEM.resources] == ["accounts", "deleted"]
    assert ACCOUNTS.tombstones == "deleted"
    assert SYSTEM.hosts(SETTINGS) == ("books.example",)
    assert set(ACCOUNTS.can.find) == {"native", "kvk", "vat"}


def test_the_settings_form_knows_its_titles_its_choices_and_its_one_secret():
    described = {field.name: field.type for field in msgspec.inspect.type_info(Settings).fields}
    assert [name for name, kind in described.items() if kind.extra.get("secret")] == ["client_secret"]
    assert "https://start.exactonline.be" in described["base_url"].extra["choices"]
    assert all(kind.extra_json_schema["title"] for kind in described.values())


def test_settings_show_no_secret_and_refuse_addresses_that_cannot_be_right():
    assert "hush" not in repr(msgspec.structs.replace(SETTINGS, client_secret="hush"))
    given = msgspec.to_builtins(SETTINGS)
    assert msgspec.convert(given, Settings) == SETTINGS
    for wrong in ({"base_url": "start.exactonline.nl"}, {"redirect_uri": "http://c.example"}, {"divsion": 1}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(given | wrong, Settings)


def test_the_ready_made_flow_reads_without_a_word():
    text = (files("koppel.systems.exact") / "flows" / "kvk-exact.toml").read_text()
    flow, problems = read_flow(text, file="kvk-exact.toml")
    assert problems == ()
    assert (flow.id, str(flow.left), str(flow.right)) == ("kvk-exact", "register:companies", "books-nl:accounts")
    assert (flow.creates("right"), flow.creates("left")) == (True, False)
    assert {rule.owner for rule in flow.fields} == {"left"}


def test_the_ready_made_flow_names_only_fields_that_can_be_written():
    flow = tomllib.loads((files("koppel.systems.exact") / "flows" / "kvk-exact.toml").read_text())
    for name in flow["fields"]:
        field = ACCOUNTS.can.field(name.removeprefix("right:"))
        assert field is not None, name
        assert field.writable == "always"
        assert field.own == name.startswith("right:")
    assert set(flow["match"]["keys"]) <= set(ACCOUNTS.can.find)
    assert not {"phone", "email", "vat_candidate", "invoice_address"} & set(flow["fields"])
