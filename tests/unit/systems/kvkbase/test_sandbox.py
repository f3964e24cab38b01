import json
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import pytest

from koppel.sandbox.seeds import make_companies
from koppel.systems.kvkbase.sandbox import APIKEY, KvkbaseSandbox
from koppel.systems.kvkbase.sandbox_company import checksum_valid
from koppel.systems.sandbox_spi import SeedCompany, World
from koppel.systems.spi import Request, Response
from koppel.systems.vies.sandbox import ViesSandbox

HOST = "http://127.0.0.1:8700/kvkbase"
START = 1793606400.0  # 2026-11-02T08:00:00Z
COMPANIES = make_companies(1, 60)
FIRST = COMPANIES[0]


class Wrapper:
    """A sandbox with a clock to move."""

    def __init__(self, companies: tuple[SeedCompany, ...] = COMPANIES) -> None:
        self.now = START
        self.sandbox = KvkbaseSandbox(World(seed=1, companies=companies, now=lambda: self.now))

    def get(self, path: str, headers: dict[str, str] | None = None) -> Response:
        signed = {"Authorization": f"Bearer {APIKEY}"} if headers is None else headers
        return self.sandbox.handle(urlsplit(path).path, Request("GET", HOST + path, signed))

    def json(self, path: str) -> Any:
        response = self.get(path)
        assert response.status == 200, response.body
        return json.loads(response.body)

    def refusal(self, path: str) -> tuple[int, str]:
        response = self.get(path)
        return response.status, json.loads(response.body)["error"]["code"]

    def batch(self, body: Any) -> Response:
        request = Request("POST", f"{HOST}/v1/batch", {"authorization": f"Bearer {APIKEY}"}, json.dumps(body).encode())
        return self.sandbox.handle("/v1/batch", request)

    def do(self, action: str, **body: Any) -> Any:
        return self.sandbox.control(action, body)

    @property
    def balance(self) -> int:
        return int(self.do("calls")["balance"])


@pytest.fixture
def wrapper() -> Wrapper:
    return Wrapper()


def one(**fits: Any) -> SeedCompany:
    """The first company that fits."""
    return next(c for c in COMPANIES if all(getattr(c, name) == value for name, value in fits.items()))


# --- the door ---


def test_the_key_travels_as_bearer_or_in_the_query(wrapper: Wrapper) -> None:
    path = f"/v1/lookup/{FIRST.kvk}"
    assert wrapper.get(path).status == 200
    assert wrapper.get(f"{path}?apikey={APIKEY}", {}).status == 200
    for headers in ({}, {"Authorization": "Bearer another"}, {"apikey": APIKEY}):
        response = wrapper.get(path, headers)
        assert (response.status, json.loads(response.body)["error"]["code"]) == (401, "UNAUTHORIZED")


def test_health_needs_no_key_and_costs_nothing(wrapper: Wrapper) -> None:
    before = wrapper.balance
    response = wrapper.get("/v1/health", {})
    assert json.loads(response.body)["status"] == "ok"
    assert wrapper.balance == before


def test_other_endpoints_and_methods_are_refused(wrapper: Wrapper) -> None:
    assert wrapper.refusal("/v1/nonsense") == (404, "NOT_FOUND")
    assert wrapper.get("/v1/batch").status == 405


# --- look-ups ---


def test_a_basic_look_up_tells_name_address_and_status(wrapper: Wrapper) -> None:
    company = wrapper.json(f"/v1/lookup/{FIRST.kvk}")
    assert company["kvkNumber"] == FIRST.kvk
    assert company["name"] == company["statutoryName"] == FIRST.statutory_name
    assert company["tradingNames"][0] == FIRST.name
    assert company["legalForm"] == "Onbekend"
    assert company["isActive"] is True
    assert company["mainBranchNumber"] == FIRST.branch
    assert company["registrationDate"] == FIRST.started_on
    house = f"{FIRST.number}{FIRST.letter or ''}{f'-{FIRST.addition}' if FIRST.addition else ''}"
    assert company["address"] == {
        "street": FIRST.street,
        "houseNumber": house,
        "postalCode": FIRST.postcode,
        "city": FIRST.city,
        "country": "Nederland",
    }
    assert not {"vat", "activities", "employees", "insolvency"} & set(company)


def test_an_enriched_look_up_adds_form_activities_employees_and_vat(wrapper: Wrapper) -> None:
    company = wrapper.json(f"/v1/lookup/{FIRST.kvk}?enrich=true")
    assert company["legalForm"] == "Besloten Vennootschap"
    assert company["employees"] == {"total": FIRST.employees}
    assert [a["sbiCode"] for a in company["activities"]] == [code for code, _ in FIRST.sbi]
    assert [a["isMain"] for a in company["activities"]] == [True, *(False for _ in FIRST.sbi[1:])]
    assert company["insolvency"] is None
    assert company["vat"] == {
        "number": FIRST.vat,
        "valid": True,
        "status": "valid",
        "validatedAt": "2026-11-02T08:00:00.000Z",
        "checksumValid": True,
    }


def test_a_sole_trader_has_no_vat_number_to_tell(wrapper: Wrapper) -> None:
    assert wrapper.json(f"/v1/lookup/{one(kind='eenmanszaak').kvk}?enrich=true")["vat"] is None


def test_a_company_with_b02_shows_an_invalid_candidate(wrapper: Wrapper) -> None:
    company = next(c for c in COMPANIES if c.rsin and c.vat and c.vat.endswith("B02"))
    vat = wrapper.json(f"/v1/lookup/{company.kvk}?enrich=true")["vat"]
    assert (vat["number"], vat["valid"], vat["status"]) == (f"NL{company.rsin}B01", False, "invalid")
    assert vat["checksumValid"] is True


def test_vies_being_down_is_told_as_open_and_not_as_invalid(wrapper: Wrapper) -> None:
    wrapper.do("settings", vies="down")
    vat = wrapper.json(f"/v1/lookup/{FIRST.kvk}?enrich=true")["vat"]
    assert (vat["valid"], vat["status"], vat["validatedAt"]) == (False, "unavailable", None)
    assert wrapper.refusal(f"/v1/validate/vat/{FIRST.vat}") == (502, "UPSTREAM_ERROR")
    assert json.loads(wrapper.get("/v1/health").body)["status"] == "degraded"


def test_is_active_is_null_for_some_and_never_wrong(wrapper: Wrapper) -> None:
    seen: set[bool | None] = set()
    for company in COMPANIES:
        basic = wrapper.json(f"/v1/lookup/{company.kvk}")["isActive"]
        more = wrapper.json(f"/v1/lookup/{company.kvk}?enrich=true")["isActive"]
        assert basic in {None, company.ended_on is None}
        assert more is False if company.ended_on else more in {None, True}
        seen |= {basic, more}
    assert seen == {None, True, False}


def test_null_for_is_active_can_be_switched_off(wrapper: Wrapper) -> None:
    wrapper.do("settings", null_active=False)
    assert {wrapper.json(f"/v1/lookup/{c.kvk}")["isActive"] for c in COMPANIES} == {True, False}


def test_a_shielded_address_tells_its_country_only(wrapper: Wrapper) -> None:
    told = wrapper.json(f"/v1/lookup/{one(shape='shielded').kvk}")["address"]
    assert told.pop("country") == "Nederland"
    assert set(told.values()) == {None}


def test_a_box_number_and_a_foreign_address_keep_the_five_fields(wrapper: Wrapper) -> None:
    box, abroad = one(shape="po_box"), one(shape="foreign", country="BE")
    told = wrapper.json(f"/v1/lookup/{box.kvk}")["address"]
    assert (told["street"], told["houseNumber"]) == ("Postbus", str(box.po_box))
    told = wrapper.json(f"/v1/lookup/{abroad.kvk}")["address"]
    assert (told["country"], told["postalCode"]) == ("België", None)
    assert told["city"] == f"{abroad.postcode} {abroad.city}"


def test_a_company_without_a_branch_has_no_main_branch_number(wrapper: Wrapper) -> None:
    assert wrapper.json(f"/v1/lookup/{one(shape='no_branch').kvk}")["mainBranchNumber"] is None


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("/v1/lookup/99999999", (404, "NOT_FOUND")),
        ("/v1/lookup/100104", (400, "INVALID_KVK_NUMBER")),
        (f"/v1/lookup/{FIRST.kvk}?enrich=perhaps", (400, "INVALID_REQUEST")),
        ("/v1/branches/99999999", (404, "NOT_FOUND")),
        ("/v1/search?q=x", (400, "INVALID_REQUEST")),
        ("/v1/search", (400, "INVALID_REQUEST")),
        ("/v1/search?q=bakkerij&pageSize=0", (400, "INVALID_REQUEST")),
        ("/v1/search?q=qwertyuiop", (404, "NOT_FOUND")),
        ("/v1/validate/vat/NL123", (400, "INVALID_VAT_NUMBER")),
    ],
)
def test_bad_questions_are_told_apart_and_cost_nothing(wrapper: Wrapper, path: str, refusal: tuple[int, str]) -> None:
    before = wrapper.balance
    assert wrapper.refusal(path) == refusal
    assert wrapper.balance == before


# --- searches, branches, VAT, batches ---


def test_a_search_finds_every_branch_of_a_company_by_all_words(wrapper: Wrapper) -> None:
    two = next(c for c in make_companies(1, 400) if int(c.kvk) % 11 == 5 and c.employees >= 5 and c.branch)
    wrapper = Wrapper((two,))
    answer = wrapper.json(f"/v1/search?q={quote(two.name)}")
    assert [row["kvkNumber"] for row in answer["results"]] == [two.kvk, two.kvk]
    assert answer["total"] == 2
    branches = wrapper.json(f"/v1/branches/{two.kvk}")
    assert [b["isMainBranch"] for b in branches["branches"]] == [True, False]
    assert {row["branchNumber"] for row in answer["results"]} == {b["branchNumber"] for b in branches["branches"]}


def test_a_search_is_paged(wrapper: Wrapper) -> None:
    first = wrapper.json("/v1/search?q=de&pageSize=3")
    second = wrapper.json("/v1/search?q=de&pageSize=3&page=2")
    assert first["total"] == second["total"] > 3
    assert len(first["results"]) == 3
    assert first["results"] != second["results"]


def test_a_search_wants_whole_words_and_type_ahead_takes_beginnings(wrapper: Wrapper) -> None:
    beginning = FIRST.name[:-2]
    assert wrapper.refusal(f"/v1/search?q={quote(beginning)}") == (404, "NOT_FOUND")
    found = wrapper.json(f"/v1/autocomplete?q={quote(beginning)}&limit=5")["results"]
    assert FIRST.kvk in {row["kvkNumber"] for row in found}
    assert wrapper.json("/v1/autocomplete?q=qwertyuiop") == {"results": []}


def test_a_vat_number_is_validated_with_name_and_address(wrapper: Wrapper) -> None:
    answer = wrapper.json(f"/v1/validate/vat/{FIRST.vat}")
    assert (answer["vatNumber"], answer["valid"], answer["status"]) == (FIRST.vat, True, "valid")
    assert answer["name"] == FIRST.statutory_name
    assert FIRST.city in answer["address"]
    unknown = wrapper.json("/v1/validate/vat/NL800000018B01")
    assert (unknown["valid"], unknown["name"], unknown["checksumValid"]) == (False, None, True)


def test_the_wrapper_and_vies_say_the_same_of_every_candidate(wrapper: Wrapper) -> None:
    vies = ViesSandbox(World(seed=1, companies=COMPANIES, now=lambda: START))
    asked = {c.vat for c in COMPANIES if c.vat} | {f"NL{c.rsin}B01" for c in COMPANIES if c.rsin}
    verdicts: set[bool] = set()
    for vat in sorted(asked):
        url = f"http://127.0.0.1:8700/vies/ms/NL/vat/{vat[2:]}"
        said = json.loads(vies.handle(f"/ms/NL/vat/{vat[2:]}", Request("GET", url)).body)["isValid"]
        assert wrapper.json(f"/v1/validate/vat/{vat}")["valid"] is said
        verdicts.add(said)
    assert verdicts == {True, False}


@pytest.mark.parametrize(
    ("number", "right"),
    [("NL004495445B01", True), ("NL002455799B11", True), ("NL004495446B01", False), ("NL002455799B12", False)],
)
def test_check_digits_follow_either_rule(number: str, right: bool) -> None:
    assert checksum_valid(number) is right


def test_a_batch_tells_each_number_on_its_own_and_is_paid_by_item_found(wrapper: Wrapper) -> None:
    before = wrapper.balance
    response = wrapper.batch({"kvkNumbers": [FIRST.kvk, "99999999", "12"], "enrich": True})
    results = json.loads(response.body)["results"]
    assert [r["kvkNumber"] for r in results] == [FIRST.kvk, "99999999", "12"]
    assert results[0]["data"] == wrapper.json(f"/v1/lookup/{FIRST.kvk}?enrich=true")
    assert [r["error"]["code"] for r in results[1:]] == ["NOT_FOUND", "INVALID_KVK_NUMBER"]
    assert before - wrapper.balance == 5 + 5


@pytest.mark.parametrize("body", [{}, {"kvkNumbers": []}, {"kvkNumbers": [1]}, {"kvkNumbers": ["00000000"] * 101}])
def test_a_bad_batch_is_refused_whole(wrapper: Wrapper, body: Any) -> None:
    response = wrapper.batch(body)
    assert (response.status, json.loads(response.body)["error"]["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]"])
def test_a_batch_that_is_no_json_object_is_refused(wrapper: Wrapper, body: bytes) -> None:
    request = Request("POST", f"{HOST}/v1/batch", {"authorization": f"Bearer {APIKEY}"}, body)
    assert wrapper.sandbox.handle("/v1/batch", request).status == 400


# --- tokens and limits ---


@pytest.mark.parametrize(
    ("path", "price"),
    [
        (f"/v1/lookup/{FIRST.kvk}", 1),
        (f"/v1/lookup/{FIRST.kvk}?enrich=true", 5),
        (f"/v1/search?q={FIRST.kvk}", 1),
        (f"/v1/autocomplete?q={FIRST.kvk[:4]}", 1),
        (f"/v1/validate/vat/{FIRST.vat}", 1),
        (f"/v1/branches/{FIRST.kvk}", 5),
    ],
)
def test_each_answer_has_its_price(wrapper: Wrapper, path: str, price: int) -> None:
    wrapper.do("tokens", balance=price)
    response = wrapper.get(path)
    assert (response.status, response.headers["x-tokens-remaining"]) == (200, "0")
    assert wrapper.refusal(path) == (402, "INSUFFICIENT_TOKENS")


def test_a_batch_needs_tokens_for_all_it_asks(wrapper: Wrapper) -> None:
    wrapper.do("tokens", balance=1)
    assert wrapper.batch({"kvkNumbers": [FIRST.kvk, COMPANIES[1].kvk]}).status == 402
    assert wrapper.balance == 1


def test_a_new_month_brings_a_new_allowance(wrapper: Wrapper) -> None:
    wrapper.do("settings", allowance=7)
    wrapper.do("tokens", balance=0)
    assert wrapper.refusal(f"/v1/lookup/{FIRST.kvk}") == (402, "INSUFFICIENT_TOKENS")
    wrapper.now += 31 * 86_400
    assert wrapper.get(f"/v1/lookup/{FIRST.kvk}").headers["x-tokens-remaining"] == "6"


def test_the_rate_is_counted_by_the_clock_minute(wrapper: Wrapper) -> None:
    wrapper.do("settings", rate_limit=1)
    wrapper.now += 20
    assert wrapper.get(f"/v1/lookup/{FIRST.kvk}").headers["x-ratelimit-remaining"] == "0"
    refused = wrapper.get(f"/v1/lookup/{FIRST.kvk}")
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (429, "RATE_LIMITED")
    assert refused.headers["retry-after"] == "40"
    wrapper.now += 40
    assert wrapper.get(f"/v1/lookup/{FIRST.kvk}").status == 200


def test_quota_and_rate_can_be_told_as_the_vendors_pages_do(wrapper: Wrapper) -> None:
    wrapper.do("settings", codes="documented")
    wrapper.do("tokens", balance=0)
    assert wrapper.refusal(f"/v1/lookup/{FIRST.kvk}") == (429, "QUOTA_EXCEEDED")
    wrapper.do("settings", rate_limit=1)
    refused = wrapper.get(f"/v1/lookup/{FIRST.kvk}")
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (429, "RATE_LIMIT_EXCEEDED")
    assert "retry-after" in refused.headers


def test_so_many_calls_fail_first_and_cost_nothing(wrapper: Wrapper) -> None:
    before = wrapper.balance
    wrapper.do("settings", failing=1)
    assert wrapper.refusal(f"/v1/lookup/{FIRST.kvk}") == (502, "UPSTREAM_ERROR")
    assert wrapper.balance == before
    assert wrapper.get(f"/v1/lookup/{FIRST.kvk}").status == 200


# --- control and host ---


def test_edits_of_the_register_are_seen(wrapper: Wrapper) -> None:
    assert wrapper.do("edit", kvk=FIRST.kvk, set={"city": "Assen", "kind": FIRST.kind})["changed"] == ["city"]
    assert wrapper.json(f"/v1/lookup/{FIRST.kvk}")["address"]["city"] == "Assen"


def test_a_company_can_end_fail_and_be_forgotten(wrapper: Wrapper) -> None:
    wrapper.do("insolvent", kvk=FIRST.kvk)
    wrapper.do("end", kvk=FIRST.kvk, on="2026-11-01")
    company = wrapper.json(f"/v1/lookup/{FIRST.kvk}?enrich=true")
    assert company["isActive"] is False
    assert company["insolvency"] == {"type": "faillissement", "since": "2026-11-02"}
    wrapper.do("forget", kvk=FIRST.kvk)
    assert wrapper.refusal(f"/v1/lookup/{FIRST.kvk}") == (404, "NOT_FOUND")
    assert wrapper.refusal(f"/v1/search?q={FIRST.kvk}") == (404, "NOT_FOUND")
    wrapper.do("forget", kvk=FIRST.kvk, lift=True)
    assert wrapper.get(f"/v1/lookup/{FIRST.kvk}").status == 200


def test_a_vat_number_can_be_withdrawn_and_given_back(wrapper: Wrapper) -> None:
    before = wrapper.sandbox.snapshot()
    wrapper.do("invalidate", vat=FIRST.vat)
    assert wrapper.json(f"/v1/validate/vat/{FIRST.vat}")["status"] == "invalid"
    assert wrapper.sandbox.snapshot() != before
    wrapper.do("validate", vat=FIRST.vat)
    assert wrapper.json(f"/v1/validate/vat/{FIRST.vat}")["name"] == FIRST.statutory_name
    assert wrapper.sandbox.snapshot() == before


def test_calls_are_logged_with_what_they_cost_and_without_the_key(wrapper: Wrapper) -> None:
    wrapper.get(f"/v1/lookup/{FIRST.kvk}?enrich=true&apikey={APIKEY}")
    wrapper.get("/v1/lookup/99999999")
    log = wrapper.do("calls")["calls"]
    assert [(call["status"], call["code"], call["tokens"]) for call in log] == [(200, "", 5), (404, "NOT_FOUND", 0)]
    assert APIKEY not in json.dumps(log)


def test_reading_changes_no_business_state(wrapper: Wrapper) -> None:
    before = msgspec.json.encode(wrapper.sandbox.snapshot())
    wrapper.json(f"/v1/lookup/{FIRST.kvk}?enrich=true")
    assert msgspec.json.encode(wrapper.sandbox.snapshot()) == before


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("nonsense", {}),
        ("tokens", {"balance": -1}),
        ("tokens", {"balance": True}),
        ("tokens", {}),
        ("edit", {"kvk": "99999999", "set": {}}),
        ("edit", {"kvk": FIRST.kvk, "set": {"kvk": "00000001"}}),
        ("edit", {"kvk": FIRST.kvk, "set": {"kind": "plc"}}),
        ("edit", {"kvk": FIRST.kvk}),
        ("end", {"kvk": FIRST.kvk, "on": "yesterday"}),
        ("end", {"kvk": FIRST.kvk, "on": None}),
        ("insolvent", {"kvk": FIRST.kvk, "type": 3}),
        ("invalidate", {"vat": "800000006B01"}),
        ("settings", {"vies": "sideways"}),
        ("settings", {"volume": 11}),
    ],
)
def test_bad_control_is_refused(wrapper: Wrapper, action: str, body: dict[str, Any]) -> None:
    before = wrapper.sandbox.snapshot()
    with pytest.raises(ValueError, match=r".+"):
        wrapper.sandbox.control(action, body)
    assert wrapper.sandbox.snapshot() == before


def test_the_contract_names_address_and_key(wrapper: Wrapper) -> None:
    assert wrapper.sandbox.contract(HOST) == {"base_url": HOST, "apikey": APIKEY}
