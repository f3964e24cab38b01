"""A write by name is checked whole before anything leaves, sent once, read back, and never guessed to have arrived."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest

from koppel.model.anything import Draft, Prepared, Written
from koppel.model.problem import RetryLater, UsageError
from koppel.systems.exact import SYSTEM, drafts, edm, references
from koppel.systems.exact.settings import Settings
from koppel.systems.exact.vendor_table import resources
from koppel.systems.spi import (
    Anything,
    Call,
    CannotTell,
    Landed,
    NoReply,
    NotLanded,
    Reply,
    Response,
    Site,
    Trace,
    drive,
)

BASE = "https://books.example"
SETTINGS = Settings(client_id="a", client_secret="b", redirect_uri="https://c.example", base_url=BASE, division=7095)
SITE = Site(connection="books", settings=SETTINGS, facts={}, as_of=1_790_000_000.0)
assert SYSTEM.anything is not None
ANYTHING: Anything = SYSTEM.anything


def guid(number: int) -> str:
    return f"71b961de-0000-4000-8000-{number:012d}"


class Vendor:
    """Knows some records by id, answers what it is told to, and remembers what it was asked."""

    def __init__(self, *replies: Any, there: tuple[str, ...] = (), edmx: bytes = b"") -> None:
        self.replies, self.there, self.edmx = list(replies), there, edmx
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        self.carried: list[tuple[str, ...]] = []

    def __call__(self, call: Call) -> Reply:
        url = unquote(call.request.url.removeprefix(f"{BASE}/api/v1/7095/"))
        if url.endswith("/$metadata"):
            return Response(200, {}, self.edmx) if self.edmx else Response(403)
        self.asked.append((call.request.method, url))
        if call.request.method != "GET":
            self.bodies.append(call.request.body)
            self.carried.append(call.carries)
        if call.request.method == "GET" and " eq guid'" in url and "$select=" in url and self.there:
            key = url.partition("$select=")[2].partition("&")[0]
            return shown({"results": [{key: id_.upper()} for id_ in self.there if id_ in url]})
        reply = self.replies.pop(0)
        return reply if isinstance(reply, (Response, NoReply)) else shown(reply)


def shown(value: Any, status: int = 200) -> Response:
    return Response(status, {}, json.dumps({"d": value}).encode())


def error(status: int, text: str) -> Response:
    return Response(status, {}, json.dumps({"error": {"code": "", "message": {"lang": "", "value": text}}}).encode())


def prepare(vendor: Vendor, name: str, kind: Any = "create", **more: Any) -> Prepared:
    assert ANYTHING.prepare is not None
    return drive(ANYTHING.prepare(SITE, Draft(name=name, kind=kind, **more)), vendor)


def write(vendor: Vendor, prepared: Prepared) -> Written:
    assert ANYTHING.write is not None
    assert ANYTHING.read_back is not None
    done = drive(ANYTHING.write(SITE, prepared, "op-1"), vendor)
    return drive(ANYTHING.read_back(SITE, prepared, done), vendor) if done.status == "done" else done


def look(vendor: Vendor, prepared: Prepared) -> Trace:
    assert ANYTHING.look is not None
    return drive(ANYTHING.look(SITE, prepared), vendor)


ORDER = {
    "OrderedBy": guid(1),
    "OrderDate": "2026-04-07",
    "SalesOrderLines": [
        {"Item": guid(2), "Quantity": 3, "NetPrice": Decimal("19.95")},
        {"Item": guid(3), "Quantity": Decimal("0.5")},
    ],
}
THERE = (guid(1), guid(2), guid(3))


def test_a_document_with_its_lines_is_one_call_and_its_amounts_keep_their_digits() -> None:
    vendor = Vendor(there=THERE)
    prepared = prepare(vendor, "salesorders", values=ORDER)
    assert [url.partition("?")[0] for _, url in vendor.asked] == ["crm/Accounts", "logistics/Items"], (
        "two look-ups, batched"
    )
    lines = [{"Item": guid(2), "Quantity": 3, "NetPrice": 19.95}, {"Item": guid(3), "Quantity": 0.5}]
    sender = Vendor(
        shown({"OrderID": guid(9).upper()}, 201),
        {"OrderedBy": guid(1), "OrderDate": "/Date(1775520000000)/", "SalesOrderLines": {"results": lines[::-1]}},
    )
    done = write(sender, prepared)
    assert (done.status, done.native, done.differs) == ("done", guid(9), ())
    assert sender.asked[0] == ("POST", "salesorder/SalesOrders")
    assert sender.carried == [("op-1",)]
    assert b'"NetPrice":19.95' in sender.bodies[0]
    assert edm.read_json(sender.bodies[0]) == {**ORDER, "OrderDate": "2026-04-07T00:00:00"}


def test_a_line_the_vendor_dropped_and_a_reference_it_emptied_are_named() -> None:
    prepared = prepare(Vendor(there=THERE), "salesorder/SalesOrders", values=ORDER)
    kept = {
        "OrderedBy": None,
        "OrderDate": "/Date(1775520000000)/",
        "SalesOrderLines": {"results": [{"Item": guid(3), "Quantity": 0.5}]},
    }
    done = write(Vendor(shown({"OrderID": guid(9)}, 201), kept), prepared)
    assert done.status == "done"
    assert done.differs == ("OrderedBy", "SalesOrderLines[1]")


def test_of_two_equal_lines_one_kept_line_is_not_enough() -> None:
    line = {"Item": guid(2), "Quantity": 1}
    prepared = prepare(
        Vendor(there=THERE), "salesorders", values={"OrderedBy": guid(1), "SalesOrderLines": [line, line]}
    )
    kept = {"OrderedBy": guid(1), "SalesOrderLines": {"results": [line]}}
    assert write(Vendor(shown({"OrderID": guid(9)}, 201), kept), prepared).differs == ("SalesOrderLines[2]",)


def test_a_record_of_another_division_is_refused_by_name_and_nothing_is_sent() -> None:
    vendor = Vendor(there=(guid(1), guid(3)))
    with pytest.raises(UsageError) as caught:
        prepare(vendor, "salesorder/SalesOrders", values=ORDER)
    assert f"SalesOrderLines[1] Item {guid(2)} (logistics/Items)" in caught.value.message
    assert {method for method, _ in vendor.asked} == {"GET"}


def test_what_the_account_does_not_have_is_refused_before_it_is_sent() -> None:
    edmx = (
        b'<Edmx><Schema><EntityType Name="Account"><Property Name="ID" Type="Edm.Guid"/><Property Name="Name" Type="Edm.String"/>'
        b'<Property Name="Blocked" Type="Edm.String"/></EntityType>'
        b'<EntityContainer><EntitySet Name="Accounts" EntityType="E.Account"/></EntityContainer></Schema></Edmx>'
    )
    vendor = Vendor(edmx=edmx)
    with pytest.raises(UsageError, match="TradeName: this account does not have it") as caught:
        prepare(vendor, "crm/Accounts", values={"Name": "x", "TradeName": "y", "Blocked": True})
    assert "Blocked: String in this account, Boolean in our table" in caught.value.message
    assert vendor.asked == []
    assert prepare(Vendor(edmx=edmx), "crm/Accounts", values={"Name": "x"}).fields == {"Name": "x"}


def test_many_references_are_looked_up_in_few_calls_that_fit() -> None:
    lines = [{"Item": guid(number), "Quantity": 1} for number in range(100, 200)]
    vendor = Vendor(there=(guid(1), *(guid(number) for number in range(100, 200))))
    prepare(vendor, "salesorder/SalesOrders", values={"OrderedBy": guid(1), "SalesOrderLines": lines})
    assert len(vendor.asked) == 1 + 3
    assert all(len(url) < 6000 for _, url in vendor.asked)


@pytest.mark.parametrize(
    ("name", "kind", "values", "words"),
    [
        ("salesorder/SalesOrders", "create", {"OrderedBy": guid(1)}, "SalesOrderLines must be given"),
        ("salesorder/SalesOrders", "create", {**ORDER, "SalesOrderLines": [{"Item": guid(2), "Quantty": 1}]}, r"\[1\] salesorder/SalesOrderLines has no property 'Quantty'"),
        ("salesorder/SalesOrders", "create", {**ORDER, "SalesOrderLines": [{"Quantity": 1}]}, r"SalesOrderLines\[1\] Item must be given"),
        ("salesorder/SalesOrders", "create", {**ORDER, "SalesOrderLines": "x"}, "is a list of records"),
        ("salesorder/SalesOrders", "create", {**ORDER, "AmountDC": 5}, "AmountDC is read-only"),
        ("salesorder/SalesOrders", "create", {**ORDER, "OrderDate": "7-4-2026"}, "not a date"),
        ("salesorder/SalesOrders", "create", {**ORDER, "orderedby": guid(1)}, "OrderedBy is given twice"),
        ("salesorder/SalesOrderLines", "create", {"Item": guid(1), "OrderID": guid(2), "Quantity": "3"}, "write the number without quotes"),
        ("financialtransaction/TransactionLines", "create", {"AmountDC": 1}, "offers no create"),
        ("generaljournalentry/GeneralJournalEntries", "update", {"JournalCode": "90"}, "offers no update"),
        ("crm/Accounts", "create", {"Name": "x", "InvoiceAccount": f"guid'{guid(1)}'"}, "not a GUID"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_draft_is_said_before_any_call(name: str, kind: Any, values: Any, words: str) -> None:
    native = guid(1) if kind == "update" else None
    with pytest.raises(UsageError, match=words):
        prepare(Vendor(), name, kind, values=values, native=native)


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        prepare(Vendor(), "crm/Accounts", values={"Nam": "x", "Blocked": "yes", "IsSales": True})
    for part in ("no property 'Nam'", "Blocked", "IsSales is read-only", "Name must be given"):
        assert part in caught.value.message


def test_lines_of_a_document_that_exists_are_written_by_themselves() -> None:
    with pytest.raises(UsageError, match="written by themselves, as salesorder/SalesOrderLines"):
        prepare(Vendor(), "salesorder/SalesOrders", "update", native=guid(1), values={"SalesOrderLines": []})


def test_what_cannot_be_looked_up_needs_a_person_s_word() -> None:
    values = {"Name": "x", "BusinessType": guid(1)}
    with pytest.raises(UsageError) as caught:
        prepare(Vendor(), "crm/Accounts", values=values)
    assert "--unchecked BusinessType" in caught.value.remedy
    prepared = prepare(Vendor(), "crm/Accounts", values=values, unchecked=("BusinessType",))
    assert prepared.doubts == ("BusinessType: not looked up, as you said",)


def test_only_what_differs_is_put_and_what_stood_there_is_known() -> None:
    values = {"Name": "Nieuw", "Country": "NL", "StartDate": "2026-04-07", "CreditLineSales": Decimal("10.00")}
    now = {"Name": "Oud", "Country": "NL ", "StartDate": "/Date(1775520000000)/", "CreditLineSales": 10}
    vendor = Vendor(now)
    prepared = prepare(vendor, "crm/Accounts", "update", native=guid(7).upper(), values=values)
    assert (prepared.fields, prepared.before) == ({"Name": "Nieuw"}, {"Name": "Oud"})
    assert vendor.asked == [("GET", f"crm/Accounts(guid'{guid(7)}')?$select=Name,Country,StartDate,CreditLineSales")]
    sender = Vendor(Response(204), {"Name": "Nieuw "})
    assert write(sender, prepared).differs == ()
    assert sender.asked[0] == ("PUT", f"crm/Accounts(guid'{guid(7)}')")
    assert json.loads(sender.bodies[0]) == {"Name": "Nieuw"}


def test_a_delete_keeps_everything_but_no_citizen_number() -> None:
    vendor = Vendor({"Name": "Weg"})
    prepared = prepare(vendor, "crm/Accounts", "delete", native=guid(7))
    assert prepared.before == {"Name": "Weg"}
    assert "BSN" not in vendor.asked[0][1]
    sender = Vendor(Response(204))
    assert write(sender, prepared).status == "done"
    assert sender.bodies == [b""]


def test_an_action_says_that_it_cannot_be_looked_at() -> None:
    vendor = Vendor(there=(guid(5),))
    prepared = prepare(vendor, "salesinvoice/PrintedSalesInvoices", values={"InvoiceID": guid(5)})
    assert "an action" in prepared.doubts[0]
    assert vendor.asked[0][1].startswith("salesinvoice/SalesInvoices?")
    sender = Vendor(shown({"InvoiceID": guid(5)}, 201))
    assert write(sender, prepared).status == "done"
    assert len(sender.asked) == 1


def test_an_action_on_several_records_looks_each_of_them_up() -> None:
    modes = {"CreateMode": 1, "InvoiceMode": 1, "JournalCode": "70"}
    values = {**modes, "SalesOrderIDs": [{"ID": guid(1)}, {"ID": guid(2)}]}
    vendor = Vendor(there=(guid(1), guid(2)))
    prepared = prepare(vendor, "salesinvoice/InvoiceSalesOrders", values=values)
    assert prepared.fields == values
    assert vendor.asked[0][1].startswith("salesorder/SalesOrders?$filter=(OrderID eq guid'")
    with pytest.raises(UsageError, match=r"SalesOrderIDs\[2\] ID"):
        prepare(Vendor(there=(guid(1),)), "salesinvoice/InvoiceSalesOrders", values=values)


def test_batches_inside_a_line_need_not_say_which_line() -> None:
    batch = {"BatchNumber": "B1", "Quantity": 2, "StockTransactionType": 120, "Warehouse": guid(2)}
    line = {"PurchaseOrderLineID": guid(1), "QuantityReceived": 2, "BatchNumbers": [batch]}
    values = {"ReceiptDate": "2026-04-07", "GoodsReceiptLines": [line]}
    prepared = prepare(Vendor(there=THERE), "goodsreceipts", values=values)
    assert prepared.fields == {**values, "ReceiptDate": "2026-04-07T00:00:00"}
    kept = {
        "ReceiptDate": "/Date(1775520000000)/",
        "GoodsReceiptLines": [{"PurchaseOrderLineID": guid(1), "QuantityReceived": 2}],
    }
    done = write(Vendor(shown({"ID": guid(9), "GoodsReceiptID": guid(9)}, 201), kept), prepared)
    assert (done.status, done.differs) == ("done", ())
    assert done.problem is not None
    assert "inside its lines" in done.problem.text


ACCOUNT = Prepared(
    name="crm/Accounts", kind="create", method="POST", path="crm/Accounts", native=None, fields={"Name": "X"}, before={}
)
CHANGE = Prepared(
    name="crm/Accounts",
    kind="update",
    method="PUT",
    path=f"crm/Accounts(guid'{guid(7)}')",
    native=guid(7),
    fields={"Name": "Nieuw"},
    before={"Name": "Oud"},
)
DELETE = Prepared(
    name="crm/Accounts",
    kind="delete",
    method="DELETE",
    path=f"crm/Accounts(guid'{guid(7)}')",
    native=guid(7),
    fields={},
    before={"Name": "Oud"},
)


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (NoReply("cut"), "unknown", "no_reply"),
        (error(500, "Verplicht: Naam"), "refused", "mandatory"),
        (error(500, "Gegeven bestaat reeds."), "refused", "already_exists"),
        (error(500, "Er is iets misgegaan"), "unknown", "unclear_answer"),
        (Response(500), "unknown", "unclear_answer"),
        (Response(503), "unknown", "unclear_answer"),
        (Response(408), "unknown", "unclear_answer"),
        (error(400, "malformed"), "refused", "refused"),
        (Response(404), "refused", "refused"),
    ],
)
def test_only_what_surely_had_no_effect_counts_as_refused(reply: Reply, status: str, code: str) -> None:
    for prepared in (ACCOUNT, CHANGE):
        done = write(Vendor(reply), prepared)
        assert (done.status, done.problem.code if done.problem else "") == (status, code)


def test_a_record_taken_without_an_id_or_not_shown_again_is_done_but_says_so() -> None:
    done = write(Vendor(shown({}, 201)), ACCOUNT)
    assert (done.status, done.problem.code if done.problem else "") == ("done", "not_read_back")
    done = write(Vendor(shown({"ID": guid(3)}, 201), Response(503)), ACCOUNT)
    assert (done.status, done.native, done.problem.code if done.problem else "") == ("done", guid(3), "not_read_back")
    located = Response(201, {"location": f"{BASE}/api/v1/7095/crm/Accounts(guid'{guid(4).upper()}')"})
    assert write(Vendor(located, {"Name": "X"}), ACCOUNT).native == guid(4)


def test_a_change_in_doubt_is_told_by_what_the_record_shows() -> None:
    assert look(Vendor({"Name": "Nieuw"}), CHANGE) == Landed(guid(7))
    assert look(Vendor({"Name": "Oud"}), CHANGE) == NotLanded()
    assert isinstance(look(Vendor({"Name": "Anders"}), CHANGE), CannotTell)
    assert isinstance(look(Vendor(Response(404)), CHANGE), CannotTell)
    assert look(Vendor(Response(404)), DELETE) == Landed(guid(7))
    assert look(Vendor({"ID": guid(7)}), DELETE) == NotLanded()
    with pytest.raises(RetryLater):
        look(Vendor(NoReply("cut")), CHANGE)


def test_a_new_record_in_doubt_is_never_taken_for_ours_nor_for_missing() -> None:
    none = look(Vendor([]), ACCOUNT)
    assert isinstance(none, CannotTell)
    assert "may still appear" in none.problem.text
    one = look(Vendor([{"ID": guid(8)}]), ACCOUNT)
    assert isinstance(one, CannotTell)
    assert guid(8) in one.problem.text


def test_references_lead_to_resources_that_can_be_asked_by_one_id() -> None:
    named = 0
    for resource in resources().values():
        for name in resource.properties:
            path = references.target(resource, name)
            if path:
                named += 1
                target = resources()[path]
                assert "GET" in target.methods
                assert [target.properties[key].type for key in target.key] == ["Guid"], path
    assert named > 350


def test_every_writable_resource_can_be_drafted_or_says_why_not() -> None:
    """All of them, with a value of its type for everything that must be given."""
    values: dict[str, Any] = {
        "String": "x",
        "DateTime": "2026-01-01",
        "Boolean": True,
        "Double": Decimal(1),
        "Binary": "eA==",
    }
    made = 0
    for path, resource in resources().items():
        if "POST" not in resource.methods:
            continue

        def body(of: Any) -> dict[str, Any]:
            wanted = [p for p in of.properties.values() if p.mandatory and (p.posts or p.many)]
            return {p.name: [] if p.many else guid(1) if p.type == "Guid" else values.get(p.type, 1) for p in wanted}

        given = body(resource)
        unchecked = tuple(
            name for name in given if resource.properties[name].type == "Guid" and not references.target(resource, name)
        )
        draft = Draft(name=path, kind="create", values=given, unchecked=unchecked)
        wrong = refusal_of(draft)
        if wrong is None:
            made += 1
            assert drafts.check(draft).method == "POST"
        else:
            assert any(word in wrong for word in ("must be given", "what its records look like")), (path, wrong)
    assert made > 100


def refusal_of(draft: Draft) -> str | None:
    try:
        drafts.check(draft)
    except UsageError as error_:
        return error_.message
    return None
