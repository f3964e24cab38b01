import json
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from koppel.sandbox.seeds import make_companies
from koppel.systems.sandbox_spi import World
from koppel.systems.spi import Request, Response
from koppel.systems.vies.sandbox import ERRORS, ViesSandbox, fiscal_unit_members

HOST = "http://127.0.0.1:8700/vies"
PREFIX = "/taxation_customs/vies/rest-api"
START = 1793606400.0  # 2026-11-02T08:00:00Z
COMPANIES = make_companies(1, 24)
FIRST = COMPANIES[0]
REQUESTER = {"requesterMemberStateCode": "NL", "requesterNumber": "800000006B01"}


class Service:
    """A sandbox with a clock to move."""

    def __init__(self) -> None:
        self.now = START
        self.sandbox = ViesSandbox(World(seed=1, companies=COMPANIES, now=lambda: self.now))

    def get(self, country: str, number: str, query: str = "") -> Response:
        return self.send("GET", f"{PREFIX}/ms/{country}/vat/{number}{query}")

    def send(self, method: str, path: str, body: Any = None) -> Response:
        content = b"" if body is None else json.dumps(body).encode()
        return self.sandbox.handle(urlsplit(path).path, Request(method, HOST + path, {}, content))

    def ask(self, vat: str, query: str = "") -> Any:
        response = self.get(vat[:2], vat[2:], query)
        assert response.status == 200, response.body
        return json.loads(response.body)

    def post(self, vat: str, *, path: str = "/check-vat-number", **more: str) -> Any:
        response = self.send("POST", PREFIX + path, {"countryCode": vat[:2], "vatNumber": vat[2:], **more})
        assert response.status == 200, response.body
        return json.loads(response.body)

    def do(self, action: str, **body: Any) -> Any:
        return self.sandbox.control(action, body)


@pytest.fixture
def service() -> Service:
    return Service()


def vat_of(kind: str, **fits: Any) -> str:
    """The VAT number of the first company that fits."""
    for company in COMPANIES:
        if company.kind == kind and all(getattr(company, name) == value for name, value in fits.items()):
            assert company.vat
            return company.vat
    raise LookupError(kind)


# --- verdicts ---


def test_a_number_of_the_world_is_valid_with_name_address_and_date(service: Service) -> None:
    answer = service.ask(str(FIRST.vat))
    assert answer["isValid"] is True
    assert answer["userError"] == "VALID"
    assert answer["name"] == str(FIRST.statutory_name).upper()
    assert FIRST.city.upper() in answer["address"]
    assert str(FIRST.postcode) in answer["address"]
    assert answer["requestDate"] == "2026-11-02T08:00:00.000Z"
    assert answer["vatNumber"] == str(FIRST.vat)[2:]


def test_a_number_nobody_has_is_invalid_and_says_nothing_more(service: Service) -> None:
    answer = service.ask("NL800000018B01")
    assert (answer["isValid"], answer["userError"]) == (False, "INVALID")
    assert (answer["name"], answer["address"]) == ("---", "---")


def test_the_rsin_of_a_company_with_b02_is_no_number_with_b01(service: Service) -> None:
    company = next(c for c in COMPANIES if c.vat and c.vat.endswith("B02") and c.rsin)
    assert service.ask(f"NL{company.rsin}B01")["userError"] == "INVALID"
    assert service.ask(str(company.vat))["userError"] == "VALID"


def test_a_sole_traders_number_is_valid(service: Service) -> None:
    assert service.ask(vat_of("eenmanszaak", ended_on=None))["isValid"] is True


def test_an_ended_company_has_no_valid_number_left(service: Service) -> None:
    assert service.ask(vat_of("bv", shape="ended"))["userError"] == "INVALID"


def test_members_of_a_fiscal_unit_have_no_number_of_their_own(service: Service) -> None:
    members = fiscal_unit_members(COMPANIES)
    assert members
    for company in COMPANIES:
        if company.kvk in members:
            assert service.ask(f"NL{company.rsin}B01")["userError"] == "INVALID"


def test_most_companies_with_a_number_are_valid() -> None:
    world = make_companies(7, 400)
    members = fiscal_unit_members(world)
    with_number = [c for c in world if c.vat and not c.ended_on]
    assert 0 < len(members) < len(with_number) / 10
    assert FIRST.kvk not in members


def test_a_larger_world_has_the_same_members_first() -> None:
    small, large = fiscal_unit_members(make_companies(3, 100)), fiscal_unit_members(make_companies(3, 300))
    assert small < large


def test_no_member_is_known_by_its_number_in_the_erp() -> None:
    world = make_companies(5, 300)
    members = fiscal_unit_members(world)
    assert {c.in_erp for c in world if c.kvk in members} <= {"none", "kvk"}


def test_post_speaks_its_own_dialect(service: Service) -> None:
    answer = service.post(str(FIRST.vat))
    assert answer["valid"] is True
    assert "isValid" not in answer
    assert "userError" not in answer
    assert answer["countryCode"] == "NL"
    assert answer["traderNameMatch"] == "NOT_PROCESSED"


def test_get_takes_a_number_that_repeats_its_country_and_post_does_not(service: Service) -> None:
    vat = str(FIRST.vat)
    got = json.loads(service.get("NL", vat).body)
    assert (got["isValid"], got["originalVatNumber"], got["vatNumber"]) == (True, vat, vat[2:])
    refused = service.send("POST", f"{PREFIX}/check-vat-number", {"countryCode": "NL", "vatNumber": vat})
    assert json.loads(refused.body) == {"actionSucceed": False, "errorWrappers": [{"error": "INVALID_INPUT"}]}


def test_the_path_prefix_may_be_left_off(service: Service) -> None:
    vat = str(FIRST.vat)
    response = service.send("GET", f"/ms/NL/vat/{vat[2:]}")
    assert json.loads(response.body)["isValid"] is True


def test_a_member_state_may_withhold_name_and_address(service: Service) -> None:
    service.do("settings", details=False)
    answer = service.ask(str(FIRST.vat))
    assert (answer["isValid"], answer["name"], answer["address"]) == (True, "---", "---")


# --- consultation numbers ---


def test_whoever_says_who_asks_gets_a_consultation_number(service: Service) -> None:
    query = "?" + "&".join(f"{name}={value}" for name, value in REQUESTER.items())
    first, second = service.ask(str(FIRST.vat), query), service.post(str(FIRST.vat), **REQUESTER)
    kept = service.do("consultations")["consultations"]
    assert [c["requestIdentifier"] for c in kept] == [first["requestIdentifier"], second["requestIdentifier"]]
    assert first["requestIdentifier"] != second["requestIdentifier"]
    assert kept[0]["requester"] == "NL800000006B01"


def test_who_asks_without_a_name_gets_no_consultation_number(service: Service) -> None:
    assert service.ask(str(FIRST.vat))["requestIdentifier"] == ""
    assert service.do("consultations") == {"consultations": []}


def test_a_requester_that_repeats_its_country_is_refused(service: Service) -> None:
    query = "?requesterMemberStateCode=NL&requesterNumber=NL800000006B01"
    answer = service.ask(str(FIRST.vat), query)
    assert (answer["isValid"], answer["userError"]) == (False, "INVALID_REQUESTER_INFO")


def test_half_a_requester_is_a_bad_request(service: Service) -> None:
    body = {"countryCode": "NL", "vatNumber": str(FIRST.vat)[2:], "requesterMemberStateCode": "NL"}
    response = service.send("POST", f"{PREFIX}/check-vat-number", body)
    assert response.status == 400
    assert json.loads(response.body)["errorWrappers"] == [{"error": "VOW-ERR-11"}]


# --- errors ---


def test_the_numbers_of_the_test_service_mean_the_errors_in_order(service: Service) -> None:
    numbers = ["201", "202", "300", "301", "302", "400", "401", "500", "501", "600", "601"]
    assert [service.ask(f"NL{number}")["userError"] for number in numbers] == list(ERRORS)
    assert service.ask("NL100")["userError"] == "VALID"
    assert service.ask("NL200")["userError"] == "INVALID"


def test_the_test_service_answers_its_numbers_only(service: Service) -> None:
    path = "/check-vat-test-service"
    assert service.post("NL100", path=path)["valid"] is True
    assert service.post("NL200", path=path)["valid"] is False
    assert service.post("NL301", path=path)["errorWrappers"] == [{"error": "MS_UNAVAILABLE"}]
    assert service.post(str(FIRST.vat), path=path)["errorWrappers"] == [{"error": "SERVICE_UNAVAILABLE"}]


def test_test_numbers_can_be_kept_to_the_test_service(service: Service) -> None:
    service.do("settings", test_numbers=False)
    assert service.ask("NL100")["userError"] == "INVALID"
    assert service.post("NL100", path="/check-vat-test-service")["valid"] is True


@pytest.mark.parametrize(("country", "number"), [("GR", "123456789"), ("NL", "1"), ("GB", "123456789")])
def test_what_is_no_question_is_invalid_input(service: Service, country: str, number: str) -> None:
    assert json.loads(service.get(country, number).body)["userError"] == "INVALID_INPUT"


def test_an_unavailable_member_state_is_no_verdict(service: Service) -> None:
    service.do("outage", country="NL", seconds=60)
    answer = service.ask(str(FIRST.vat))
    assert (answer["isValid"], answer["userError"], answer["name"]) == (False, "MS_UNAVAILABLE", "---")
    assert service.ask("DE123456789")["userError"] == "INVALID"
    service.now += 60
    assert service.ask(str(FIRST.vat))["userError"] == "VALID"


def test_an_outage_without_end_lasts_until_it_is_lifted(service: Service) -> None:
    service.do("outage", country="*", code="SERVICE_UNAVAILABLE")
    service.now += 1_000_000
    assert service.ask(str(FIRST.vat))["userError"] == "SERVICE_UNAVAILABLE"
    service.do("lift", country="*")
    assert service.ask(str(FIRST.vat))["userError"] == "VALID"


@pytest.mark.parametrize(
    ("limit", "code"), [("ms_limit", "MS_MAX_CONCURRENT_REQ"), ("global_limit", "GLOBAL_MAX_CONCURRENT_REQ")]
)
def test_a_limit_is_counted_anew_each_second(service: Service, limit: str, code: str) -> None:
    service.do("settings", **{limit: 1})
    assert [service.ask(str(FIRST.vat))["userError"] for _ in range(2)] == ["VALID", code]
    service.now += 1
    assert service.ask(str(FIRST.vat))["userError"] == "VALID"


def test_a_member_states_limit_leaves_the_others_alone(service: Service) -> None:
    service.do("settings", ms_limit=1)
    service.ask(str(FIRST.vat))
    assert service.ask("DE123456789")["userError"] == "INVALID"


def test_numbers_and_callers_can_be_blocked(service: Service) -> None:
    service.do("settings", blocked=[FIRST.vat])
    assert service.ask(str(FIRST.vat))["userError"] == "VAT_BLOCKED"
    service.do("settings", ip_blocked=True)
    assert service.ask("NL800000018B01")["userError"] == "IP_BLOCKED"


def test_so_many_checks_fail_first(service: Service) -> None:
    service.do("settings", failing=1, failing_code="TIMEOUT")
    assert [service.ask(str(FIRST.vat))["userError"] for _ in range(2)] == ["TIMEOUT", "VALID"]


@pytest.mark.parametrize(
    ("told", "get_status", "get_key", "post_key"),
    [
        ("observed", 200, "userError", "errorWrappers"),
        ("user_error", 200, "userError", "userError"),
        ("wrappers", 200, "errorWrappers", "errorWrappers"),
        ("status", 503, "errorWrappers", "errorWrappers"),
    ],
)
def test_how_an_error_is_told_can_be_switched(
    service: Service, told: str, get_status: int, get_key: str, post_key: str
) -> None:
    service.do("settings", errors=told)
    got = service.get("NL", "301")
    posted = service.send("POST", f"{PREFIX}/check-vat-number", {"countryCode": "NL", "vatNumber": "301"})
    assert (got.status, posted.status) == (get_status, get_status)
    assert get_key in json.loads(got.body)
    assert post_key in json.loads(posted.body)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]"])
def test_a_malformed_body_is_the_services_own_error(service: Service, body: bytes) -> None:
    request = Request("POST", f"{HOST}{PREFIX}/check-vat-number", {}, body)
    response = service.sandbox.handle(f"{PREFIX}/check-vat-number", request)
    assert (response.status, json.loads(response.body)["errorWrappers"]) == (500, [{"error": "VOW-ERR-1"}])


def test_an_empty_number_is_a_missing_field(service: Service) -> None:
    response = service.send("POST", f"{PREFIX}/check-vat-number", {"countryCode": "NL", "vatNumber": ""})
    assert response.status == 400


def test_other_paths_and_methods_are_refused(service: Service) -> None:
    assert service.send("GET", "/elsewhere").status == 404
    assert service.send("GET", f"{PREFIX}/check-vat-number").status == 405


def test_the_status_names_who_is_out(service: Service) -> None:
    service.do("outage", country="DE")
    status = json.loads(service.send("GET", f"{PREFIX}/check-status").body)
    assert status["vow"] == {"available": True}
    out = [c["countryCode"] for c in status["countries"] if c["availability"] != "Available"]
    assert out == ["DE"]


# --- control and host ---


def test_a_number_can_be_withdrawn_and_given_back(service: Service) -> None:
    before = service.sandbox.snapshot()
    service.do("invalidate", vat=FIRST.vat)
    assert service.ask(str(FIRST.vat))["userError"] == "INVALID"
    assert service.sandbox.snapshot() != before
    service.do("validate", vat=FIRST.vat)
    assert service.ask(str(FIRST.vat))["name"] == str(FIRST.statutory_name).upper()
    assert service.sandbox.snapshot() == before


def test_a_number_of_another_country_can_be_given(service: Service) -> None:
    service.do("validate", vat="DE123456789", name="MUSTERFIRMA GMBH", address="HAUPTSTR. 1\n50667 KÖLN")
    answer = service.ask("DE123456789")
    assert (answer["isValid"], answer["name"]) == (True, "MUSTERFIRMA GMBH")


def test_calls_are_logged_with_their_answer(service: Service) -> None:
    service.ask(str(FIRST.vat))
    service.ask("NL301")
    assert [call["answer"] for call in service.do("calls")["calls"]] == ["VALID", "MS_UNAVAILABLE"]


def test_asking_changes_no_business_state(service: Service) -> None:
    before = service.sandbox.snapshot()
    service.post(str(FIRST.vat), **REQUESTER)
    assert service.sandbox.snapshot() == before


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("nonsense", {}),
        ("invalidate", {"vat": "800000006B01"}),
        ("validate", {"vat": "NL800000006B01", "valid": True}),
        ("validate", {"vat": "NL800000006B01", "name": 3}),
        ("outage", {"country": "GR"}),
        ("outage", {"country": "NL", "code": "BUSY"}),
        ("outage", {"country": "NL", "seconds": -1}),
        ("settings", {"errors": "loudly"}),
        ("settings", {"failing_code": "BUSY"}),
        ("settings", {"volume": 11}),
    ],
)
def test_bad_control_is_refused(service: Service, action: str, body: dict[str, Any]) -> None:
    before = service.sandbox.snapshot()
    with pytest.raises(ValueError, match=r".+"):
        service.sandbox.control(action, body)
    assert service.sandbox.snapshot() == before


def test_the_contract_names_only_the_address(service: Service) -> None:
    assert service.sandbox.contract(HOST) == {"base_url": HOST}


def test_what_it_keeps_can_be_written_down(service: Service) -> None:
    assert msgspec.json.decode(msgspec.json.encode(service.sandbox.snapshot())) == service.sandbox.snapshot()
