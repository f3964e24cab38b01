"""Any resource can be read by name, from the address that costs least, and nothing of an answer is lost or guessed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from koppel.model.anything import Question, Sheet
from koppel.model.problem import RetryLater, SetupError, UsageError
from koppel.sandbox.host import build
from koppel.systems.exact import SYSTEM, catalogue
from koppel.systems.exact.settings import Settings
from koppel.systems.exact.vendor_table import resources
from koppel.systems.spi import Anything, Call, NoReply, Reply, Request, Response, Site, drive

BASE = "https://books.example"
SETTINGS = Settings(client_id="a", client_secret="b", redirect_uri="https://c.example", base_url=BASE, division=7095)
SITE = Site(connection="books", settings=SETTINGS, facts={}, as_of=1_790_000_000.0)
ID = "71b961de-9c2b-4f6e-8a5d-0f1e2d3c4b5a"
assert SYSTEM.anything is not None
ANYTHING: Anything = SYSTEM.anything


class Vendor:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self, *replies: Any) -> None:
        self.replies, self.asked = list(replies), list[str]()

    def __call__(self, call: Call) -> Reply:
        assert call.request.method == "GET"
        self.asked.append(unquote(call.request.url.removeprefix(f"{BASE}/api/v1/")))
        reply = self.replies.pop(0)
        if isinstance(reply, (Response, NoReply)):
            return reply
        return Response(200, {}, reply if isinstance(reply, bytes) else json.dumps({"d": reply}).encode())


def read(vendor: Callable[[Call], Reply], name: str, **asked: Any) -> Sheet:
    return drive(ANYTHING.read(SITE, Question(name, **asked)), vendor)


def read_all(vendor: Callable[[Call], Reply], name: str, **asked: Any) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    sheet = read(vendor, name, **asked)
    rows += sheet.rows
    while sheet.next:
        sheet = read(vendor, name, **asked, next=sheet.next)
        rows += sheet.rows
    return rows


# --- which address ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "asked", "endpoint"),
    [
        ("crm/Accounts", {}, "sync/CRM/Accounts"),
        ("crm/Accounts", {"where": "Code = 8"}, "bulk/CRM/Accounts"),
        ("crm/Accounts", {"order": ("Name",)}, "bulk/CRM/Accounts"),
        ("crm/Accounts", {"top": 5}, "bulk/CRM/Accounts"),
        ("crm/Accounts", {"top": 500}, "sync/CRM/Accounts"),
        ("salesinvoice/SalesInvoices", {}, "bulk/SalesInvoice/SalesInvoices"),
        ("salesinvoice/SalesInvoices", {"expand": ("SalesInvoiceLines",)}, "bulk/SalesInvoice/SalesInvoices"),
        ("purchaseorder/PurchaseOrders", {}, "purchaseorder/PurchaseOrders"),
        ("logistics/Units", {}, "logistics/Units"),
        ("inventory/ItemWarehouses", {"top": 5}, "sync/Inventory/ItemWarehouses"),
        ("sync/CRM/Accounts", {"where": "Timestamp > 5"}, "sync/CRM/Accounts"),
        ("hrm/Divisions", {}, "hrm/Divisions"),
    ],
)
def test_the_address_that_costs_least_and_can_answer_is_asked(name: str, asked: Any, endpoint: str) -> None:
    vendor = Vendor({"results": []})
    assert read(vendor, name, **asked).endpoint == endpoint
    assert vendor.asked[0].partition("?")[0] == f"7095/{endpoint}"
    assert "$select=" in vendor.asked[0]


def test_resources_before_and_beside_the_division_have_their_own_addresses() -> None:
    for name, address in (("me", "current/Me?"), ("beta/budget/BudgetScenarios", "beta/7095/budget/BudgetScenarios?")):
        vendor = Vendor({"results": []})
        read(vendor, name)
        assert vendor.asked[0].startswith(address)


def test_every_readable_resource_makes_a_question_the_vendor_can_take() -> None:
    """All of them: a path in the vendor's spelling, columns it has, one page, no bare list where one is refused."""
    made = 0
    for path, facts in resources().items():
        if facts.methods and "GET" not in facts.methods:
            continue
        types = catalogue.PARAMETERS.get(path, {})
        given = {name: {"Guid": ID, "DateTime": "2026-01-01"}.get(type_, "1") for name, type_ in types.items()}
        # The description that is asked for where types are not told gives none here.
        vendor = Vendor(*([Response(404)] if asks_for_types(path) else []), {"results": []})
        sheet = read(vendor, path, given=given)
        url = vendor.asked[-1]
        made += 1
        assert len(url) < 6000
        selected = parse_qs(urlsplit(url).query).get("$select", [""])[0].split(",")
        assert set(selected) - {""} <= resources()[sheet.endpoint].properties.keys()
        assert selected != [""] or given or not facts.properties, path
        assert not sheet.endpoint.startswith("sync/") or "Timestamp gt 1L" in url
    assert made == 453 - 19


def asks_for_types(path: str) -> bool:
    facts = resources()[path]
    return any(facts.properties[name].type == "Unknown" for name in catalogue.usual_columns(facts) if facts.properties)


def test_a_list_whose_twin_makes_a_filter_mandatory_gets_one_that_leaves_nothing_out() -> None:
    vendor = Vendor({"results": []})
    read(vendor, "purchaseorder/PurchaseOrders")
    assert "(Modified ge datetime'1753-01-01T00:00:00' or Modified eq null)" in vendor.asked[0]


# --- what is refused before anything is asked ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("crm/Acounts", {}, "no resource called"),
        ("salesinvoice/PrintedSalesInvoices", {}, "cannot be read"),
        ("crm/Accounts", {"select": ("Nam",)}, "no property 'Nam'"),
        ("crm/Accounts", {"expand": ("Name",)}, "cannot be expanded"),
        ("crm/Accounts", {"order": ("BankAccounts",)}, "is a collection"),
        ("crm/Accounts", {"order": ("Name upwards",)}, "is no order"),
        ("crm/Accounts", {"top": 0}, "1 or more"),
        ("sync/CRM/Accounts", {"where": "Name = x"}, "no condition but on Timestamp"),
        ("read/logistics/StockPosition", {}, "needs itemId"),
        ("read/logistics/StockPosition", {"given": {"itemId": "8"}}, "not a GUID"),
        ("read/logistics/StockPosition", {"given": {"itemId": ID, "when": "x"}}, "takes no parameter 'when'"),
        ("read/financial/JournalStatusByFinancialPeriod", {"given": {"year": "2026"}}, "needs period"),
        ("sync/Deleted", {"order": ("DeletedDate",)}, "no order"),
    ],
)
def test_what_the_vendor_would_refuse_is_refused_here_without_a_call(name: str, asked: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(Vendor(), name, **asked)


def test_parameters_travel_as_literals_of_their_type() -> None:
    cases = [
        ("read/logistics/StockPosition", {"itemid": ID.upper()}, f"?itemId=guid'{ID}'"),
        ("read/financial/JournalStatusByFinancialPeriod", {"year": "2026", "period": "3"}, "?year=2026&period=3"),
        (
            "read/sync/Sync/SyncTimestamp",
            {"modified": "2026-01-01", "endPoint": "SalesOrderHeaders"},
            "?modified=datetime'2026-01-01T00:00:00'&endPoint='SalesOrderHeaders'",
        ),
        ("read/project/HoursByDate", {"checkDate": "2026-01-01"}, "?checkDate=datetime'2026-01-01T00:00:00'"),
    ]
    for name, given, query in cases:
        vendor = Vendor({"results": []})
        read(vendor, name, given=given)
        assert vendor.asked[0] == f"7095/{name}{query}"


# --- what comes back ----------------------------------------------------------------------------------------------


def test_values_are_typed_and_an_amount_keeps_its_digits() -> None:
    body = (
        b'{"d":{"results":[{"__metadata":{"uri":"x"},"InvoiceID":"'
        + ID.upper().encode()
        + b'","AmountDC":100000000000000.10,'
        b'"InvoiceDate":"\\/Date(1351209600000)\\/","Status":50,"InvoiceNumber":null}]}}'
    )
    names = ("InvoiceID", "AmountDC", "InvoiceDate", "Status", "InvoiceNumber")
    sheet = read(Vendor(body), "SalesInvoices", select=names)
    assert sheet.rows == (
        {
            "InvoiceID": ID,
            "AmountDC": Decimal("100000000000000.10"),
            "InvoiceDate": datetime(2012, 10, 26),  # noqa: DTZ001
            "Status": 50,
            "InvoiceNumber": None,
        },
    )
    assert str(sheet.rows[0]["AmountDC"]) == "100000000000000.10"
    assert [(c.name, c.type) for c in sheet.columns][:2] == [("InvoiceID", "Guid"), ("AmountDC", "Double")]


def test_a_value_that_cannot_be_read_is_left_out_and_named_never_shown() -> None:
    sheet = read(Vendor([{"ID": "secret", "Name": "A"}]), "crm/Accounts", select=("ID", "Name"), top=1)
    assert sheet.rows == ({"ID": None, "Name": "A"},)
    assert sheet.notes == ("ID: could not be read in 1 row(s), and is left out",)


def test_pages_are_followed_in_either_envelope_up_to_the_number_asked_for() -> None:
    def page(first: int, onward: str | None) -> dict[str, Any]:
        shown = {"results": [{"Code": str(n)} for n in range(first, first + 60)]}
        return shown | ({"__next": f"{BASE}/api/v1/7095/logistics/Units?$skiptoken={onward}"} if onward else {})

    vendor = Vendor(page(0, "a"), page(60, "b"), page(120, None))
    assert [row["Code"] for row in read_all(vendor, "logistics/Units", select=("Code",))] == [
        str(n) for n in range(180)
    ]
    vendor = Vendor(page(0, "a"), page(60, "b"))
    assert len(read_all(vendor, "logistics/Units", select=("Code",), top=100)) == 100
    assert "$top" not in vendor.asked[0], "more than a page: it would be cut there"
    vendor = Vendor([{"Code": "1"}])
    assert read_all(vendor, "logistics/Units", select=("Code",), top=3) == [{"Code": "1"}]
    assert "$top=3" in vendor.asked[0]


def test_a_page_on_another_site_is_never_followed() -> None:
    vendor = Vendor({"results": [], "__next": "https://elsewhere.example/api/v1/7095/logistics/Units"})
    with pytest.raises(SetupError, match="another site"):
        read_all(vendor, "logistics/Units")
    assert len(vendor.asked) == 1
    forged = json.dumps({"endpoint": "logistics/Units", "links": ["https://elsewhere.example/x"], "left": None})
    with pytest.raises(SetupError, match="another site"):
        read(Vendor(), "logistics/Units", next=forged)


def test_a_collection_cut_at_a_page_is_read_to_its_end() -> None:
    inner = f"{BASE}/api/v1/7095/salesinvoice/SalesInvoices(guid'{ID}')/SalesInvoiceLines?$skiptoken=1"
    lines = {"results": [{"Quantity": 1.5}], "__next": inner}
    vendor = Vendor({"results": [{"InvoiceID": ID, "SalesInvoiceLines": lines}]}, {"results": [{"Quantity": 2}]})
    sheet = read(vendor, "SalesInvoices", select=("InvoiceID", "SalesInvoiceLines/Quantity"))
    assert sheet.rows[0]["SalesInvoiceLines"] == ({"Quantity": Decimal("1.5")}, {"Quantity": Decimal(2)})
    assert "$select=InvoiceID,SalesInvoiceLines/Quantity&$expand=SalesInvoiceLines" in vendor.asked[0]
    elsewhere = {"results": [], "__next": "https://elsewhere.example/x"}
    with pytest.raises(SetupError, match="another site"):
        read(
            Vendor({"results": [{"InvoiceID": ID, "SalesInvoiceLines": elsewhere}]}),
            "SalesInvoices",
            expand=("SalesInvoiceLines",),
        )


def test_a_long_list_of_values_is_asked_in_parts_and_each_url_fits() -> None:
    vendor = Vendor(*([{"results": [{"Code": "1"}]}] * 5))
    names = ",".join(f"'{'item number':>30}{n}'" for n in range(200))
    rows = read_all(vendor, "logistics/Units", select=("Code",), where=f"Code in ({names})")
    assert (len(rows), len(vendor.asked)) == (5, 5)
    with pytest.raises(UsageError, match="one order"):
        read(Vendor(), "logistics/Units", where=f"Code in ({names})", order=("Code",))
    with pytest.raises(UsageError, match="too long"):
        read(Vendor(), "logistics/Units", where=f"Code = '{'x' * 6000}'")


def test_where_the_table_does_not_know_a_type_the_account_is_asked() -> None:
    edmx = (
        b'<Edmx><Schema><EntityType Name="User"><Property Name="UserID" Type="Edm.Guid"/>'
        b'<Property Name="Created" Type="Edm.DateTime"/></EntityType><EntityContainer>'
        b'<EntitySet Name="Users" EntityType="Exact.User"/></EntityContainer></Schema></Edmx>'
    )
    vendor = Vendor(edmx, {"results": [{"UserID": ID.upper(), "Created": "/Date(0)/"}]})
    sheet = read(vendor, "users/Users", select=("UserID", "Created"))
    assert sheet.rows == ({"UserID": ID, "Created": datetime(1970, 1, 1)},)  # noqa: DTZ001
    assert vendor.asked[0] == "7095/users/$metadata"


def test_a_column_the_account_lacks_fails_no_question_that_did_not_name_it() -> None:
    edmx = (
        b'<Edmx><Schema><EntityType Name="Unit"><Property Name="ID" Type="Edm.Guid"/><Property Name="Code" Type="Edm.String"/>'
        b'</EntityType><EntityContainer><EntitySet Name="Units" EntityType="Exact.Unit"/></EntityContainer></Schema></Edmx>'
    )
    refused = Response(400, {}, b'{"error":{"code":"","message":{"lang":"","value":"No property"}}}')
    onward = {"results": [{"ID": ID, "Code": "st"}], "__next": f"{BASE}/api/v1/7095/logistics/Units?$skiptoken=1"}
    vendor = Vendor(refused, edmx, onward, {"results": [{"ID": ID, "Code": "kg"}]})
    rows = read_all(vendor, "logistics/Units", select=("*",))
    assert rows == [{"ID": ID, "Code": "st"}, {"ID": ID, "Code": "kg"}]
    assert vendor.asked[2].endswith("?$select=ID,Code")
    vendor = Vendor(refused)
    with pytest.raises(UsageError, match="No property"):
        read(vendor, "logistics/Units", select=("Description",))


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (
            Response(400, {}, b'{"error":{"code":"","message":{"lang":"","value":"No property X"}}}'),
            UsageError,
            "No property X",
        ),
        (Response(404, {}, b""), UsageError, "answers 404"),
        (
            Response(500, {}, b'{"error":{"code":"","message":{"lang":"","value":"Verplicht: Serie"}}}'),
            UsageError,
            "Verplicht",
        ),
        (Response(500, {}, b""), RetryLater, "500"),
        (Response(200, {}, b"<html>"), RetryLater, "cannot be read"),
        (NoReply("cut"), RetryLater, "did not answer"),
    ],
)
def test_an_answer_that_is_none_says_what_to_do(reply: Reply, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read(Vendor(reply), "logistics/Units", select=("Code",))


# --- against the sandbox ------------------------------------------------------------------------------------------


@pytest.fixture
def sandbox() -> tuple[Site, Callable[[Call], Reply]]:
    host = build(companies=120, names=["exact"])
    address = "http://localhost/exact"
    told = host.sandboxes["exact"].contract(address)
    token = host.control("exact", "refresh_token", {"age": 0})["access_token"]
    settings = Settings(
        client_id="a",
        client_secret="b",
        redirect_uri="https://c.example",
        base_url=address,
        division=told["divisions"][0],
    )

    def answer(call: Call) -> Reply:
        signed = {**call.request.headers, "Authorization": f"Bearer {token}"}
        return host.handle(Request(call.request.method, call.request.url, signed, call.request.body))

    return Site(connection="books", settings=settings, facts={}, as_of=host.clock.now()), answer


def test_the_sandbox_gives_the_same_accounts_by_every_way(sandbox: tuple[Site, Callable[[Call], Reply]]) -> None:
    site, answer = sandbox
    found: dict[str, set[object]] = {}
    for name, where in (
        ("crm/Accounts", "Name is not null"),
        ("bulk/CRM/Accounts", ""),
        ("sync/CRM/Accounts", ""),
        ("accounts", ""),
    ):
        ids: set[object] = set()
        question: Question | None = Question(name, where=where, select=("ID", "Name"))
        while question is not None:
            sheet = drive(ANYTHING.read(site, question), answer)
            ids |= {row["ID"] for row in sheet.rows}
            question = Question(name, where=where, select=("ID", "Name"), next=sheet.next) if sheet.next else None
        found[name] = ids
    assert len(set(map(frozenset, found.values()))) == 1
    assert len(found["crm/Accounts"]) > 60, "more than a plain page holds"


def test_the_account_s_own_description_agrees_with_our_table(sandbox: tuple[Site, Callable[[Call], Reply]]) -> None:
    site, answer = sandbox
    told = drive(ANYTHING.describe(site, "accounts"), answer)
    assert (told.name, told.differences) == ("crm/Accounts", ())
    assert told.ways == ("sync/CRM/Accounts", "bulk/CRM/Accounts", "crm/Accounts")
    invoice_account = next(trait for trait in told.traits if trait.name == "InvoiceAccount")
    assert invoice_account.names == "crm/Accounts"


def test_where_account_and_table_differ_it_is_said() -> None:
    edmx = (
        b'<Edmx><Schema><EntityType Name="Unit"><Property Name="ID" Type="Edm.String"/><Property Name="Extra" Type="Edm.Int32"/>'
        b'</EntityType><EntityContainer><EntitySet Name="Units" EntityType="Exact.Unit"/></EntityContainer></Schema></Edmx>'
    )
    told = drive(ANYTHING.describe(SITE, "units"), Vendor(edmx))
    assert "ID: String in this account, Guid in our table" in told.differences
    assert "Code: this account does not have it" in told.differences
    assert "Extra: only in this account (Int32)" in told.differences
    assert {trait.name: trait.account for trait in told.traits}["Extra"] == "adds"
    alone = drive(ANYTHING.describe(SITE, "units"), Vendor(Response(403)))
    assert "the table stands alone" in alone.notes[-1]


def test_all_453_are_listed_with_what_may_be_done() -> None:
    kinds = {kind.name: kind for kind in ANYTHING.kinds(SETTINGS)}
    assert len(kinds) == 453
    assert kinds["crm/Accounts"].does == ("read", "create", "update", "delete")
    assert kinds["financialtransaction/TransactionLines"].does == ("read",)
