"""The imitation of AFAS Profit behaves as the vendor does: sign-in, lists, metainfo, writes, refusals, people."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from koppel.systems.afas.sandbox import AfasSandbox, make
from koppel.systems.sandbox_spi import SeedCompany, SeedPerson, World
from koppel.systems.spi import Request, Response

HOST = "http://vendor.example/afas"
START = 1_793_606_400.0  # 2026-11-02 09:00:00 in Amsterdam
DAY = 86_400.0
UNEXPECTED, NO_SUCH_VALUE, RULE = -2147180999, -2147220469, -2147180996
JSON = {"Content-Type": "application/json;charset=utf-8"}


def company(number: int, in_erp: str = "both", **changed: Any) -> SeedCompany:
    values: dict[str, Any] = {
        "kvk": f"8{number:07d}",
        "branch": f"0000{number:08d}",
        "rsin": "001234560",
        "vat": f"NL00123{number:04d}B01",
        "name": f"Bakkerij {number}",
        "statutory_name": f"Bakkerij {number} B.V.",
        "kind": "bv",
        "shape": "plain",
        "street": "Dorpsstraat",
        "number": number,
        "letter": "A",
        "addition": None,
        "postcode": "6711AB",
        "city": "Ede",
        "country": "NL",
        "po_box": None,
        "phone": "0318-555123",
        "email": f"info@bakkerij{number}.example",
        "website": f"www.bakkerij{number}.example",
        "sbi": (("10710", "Vervaardiging van brood"),),
        "started_on": "2010-01-01",
        "ended_on": None,
        "successor": None,
        "employees": 4,
        "do_not_mail": False,
        "person": SeedPerson("Roos", "Duinkraan", f"roos@bakkerij{number}.example", "06-55501234"),
        "in_erp": in_erp,
    }
    return SeedCompany(**(values | changed))


SMALL = (*(company(number) for number in range(1, 9)), company(20, "thrice"), company(21, "vat"), company(22, "none"))


class Office:
    """A client that knows nothing but HTTP."""

    def __init__(self, companies: tuple[SeedCompany, ...] = SMALL, seed: int = 1) -> None:
        self.time = START
        self.sandbox = make(World(seed, companies, lambda: self.time))
        assert isinstance(self.sandbox, AfasSandbox)
        self.contract = self.sandbox.contract(HOST)
        self.language = "en-us"

    def send(self, method: str, url: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Response:
        return self.sandbox.handle(urlsplit(url).path.removeprefix("/afas"), Request(method, url, headers or {}, body))

    def base(self, environment: str = "production") -> str:
        return self.contract["environments"][environment]["base_url"]

    def header(self, environment: str = "production") -> str:
        return classic(self.contract["environments"][environment]["token"])

    def call(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | str = "",
        body: Any = None,
        *,
        environment: str = "production",
        headers: dict[str, str] | None = None,
    ) -> Response:
        text = query if isinstance(query, str) else urlencode(query)
        url = f"{self.base(environment)}/{path}" + (f"?{text}" if text else "")
        sent = {"Authorization": self.header(environment), "Accept-Language": self.language, **JSON, **(headers or {})}
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        )
        return self.send(method, url, sent, raw)

    def rows(
        self, connector: str, query: dict[str, Any] | str = "", environment: str = "production"
    ) -> list[dict[str, Any]]:
        reply = self.call("GET", f"connectors/{connector}", query, environment=environment)
        assert reply.status == 200, (reply.status, reply.body)
        return content(reply)["rows"]

    def find(self, connector: str, field: str, value: str, operator: int = 1) -> list[dict[str, Any]]:
        return self.rows(connector, {"filterfieldids": field, "filtervalues": value, "operatortypes": operator})

    def debtor(self, number: str) -> dict[str, Any]:
        (row,) = self.find("Profit_Debtor", "DebtorId", number)
        return row

    def place(self, bcco: str, kind: str = "ADR") -> dict[str, Any]:
        (row,) = (row for row in self.find("Profit_Deliveryaddress", "OrgId", bcco) if row["Adrestype_code_2"] == kind)
        return row

    def write(self, method: str, connector: str, element: Any, path: str = "") -> Response:
        return self.call(method, f"connectors/{path or connector}", body={connector: {"Element": element}})

    def create(self, **changed: Any) -> dict[str, str]:
        reply = self.write("POST", "KnSalesRelationOrg", new_debtor(**changed))
        assert reply.status == 201, reply.body
        return content(reply)["results"]["KnSalesRelationOrg"]

    def control(self, action: str, **given: Any) -> dict[str, Any]:
        return self.sandbox.control(action, given)

    def settings(self, **given: Any) -> None:
        self.control("settings", **given)

    def first(self) -> dict[str, Any]:
        """A debtor that is there from the start."""
        return self.rows("Profit_Debtor", {"orderbyfieldids": "DebtorId", "take": 1})[0]


def classic(xml: str) -> str:
    return "AfasToken " + base64.b64encode(xml.encode()).decode()


def content(reply: Response) -> Any:
    return json.loads(reply.body)


def refusal(reply: Response, status: int = 500) -> tuple[str, int]:
    assert reply.status == status, (reply.status, reply.body)
    body = content(reply)
    assert set(body) == {"externalMessage", "errorNumber", "profitLogReference"}
    assert len(body["profitLogReference"]) == 32
    return body["externalMessage"], body["errorNumber"]


ADDRESS = {
    "CoId": "NL",
    "PbAd": False,
    "ResZip": False,
    "Ad": "Kade",
    "HmNr": "7",
    "HmAd": "bis",
    "ZpCd": "3511ab",
    "Rs": "Utrecht",
}


def new_organisation(
    address: dict[str, Any] | None = None, pad: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    values = {"MatchOga": "6", "AutoNum": True, "PadAdr": pad is None, "Nm": "Nieuw B.V.", "CcNr": "81234567"} | fields
    objects: dict[str, Any] = {"KnBasicAddressAdr": {"Element": {"Fields": address or ADDRESS}}}
    if pad is not None:
        objects["KnBasicAddressPad"] = {"Element": {"Fields": pad}}
    return {"Fields": {name: value for name, value in values.items() if value is not ...}, "Objects": objects}


def new_debtor(address: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    own = {name: fields.pop(name) for name in ("DbId", "VaId", "PaCd") if name in fields}
    below = {"KnOrganisation": {"Element": new_organisation(address, **fields)}}
    return {"Fields": {"CuId": "EUR", **own}, "Objects": [below]}


@pytest.fixture
def office() -> Office:
    return Office()


# --- where it is and what it looks like ---------------------------------------------------------------------------


def test_the_contract_tells_where_each_environment_is_and_how_to_get_in(office: Office):
    contract = office.contract
    assert contract["base_url"] == f"{HOST}/12345/production/ProfitRestServices"
    assert list(contract["environments"]) == ["production", "test", "accept"]
    assert contract["token"] == contract["environments"]["production"]["token"]
    assert contract["token"].startswith("<token><version>1</version><data>")
    assert len({one["token"] for one in contract["environments"].values()}) == 3
    json.dumps(contract)


@pytest.mark.parametrize("path", ["metainfo", "MetaInfo", "METAINFO/", "ProfitVersion", "Connectors/Profit_Debtor"])
def test_case_does_not_count_in_the_fixed_parts(office: Office, path: str):
    url = office.base().replace("ProfitRestServices", "profitrestservices").replace("production", "Production")
    assert office.send("GET", f"{url}/{path}", {"Authorization": office.header()}).status == 200


def test_another_member_or_environment_is_nowhere(office: Office):
    for part, other in (("12345", "54321"), ("production", "cursus"), ("ProfitRestServices", "ProfitServices")):
        assert office.send("GET", office.base().replace(part, other) + "/metainfo").status == 404


def test_answers_carry_the_vendors_headers(office: Office):
    headers = office.call("GET", "metainfo").headers
    assert headers["x-afas-proxy-version"] == "4.3.0.0"
    assert headers["cache-control"] == "no-store, no-cache"
    assert headers["content-type"] == "application/json; charset=utf-8"


def test_profitversion_needs_its_connector(office: Office):
    assert content(office.call("GET", "profitversion")) == {"version": "8.0.12"}
    office.settings(hide_connector=["AppConnectorVersion"])
    assert office.call("GET", "profitversion").status == 401


def test_the_same_seed_makes_the_same_environments_and_another_seed_others():
    assert Office().sandbox.snapshot() == Office().sandbox.snapshot()
    assert Office().sandbox.snapshot() != Office(seed=2).sandbox.snapshot()


def test_the_slice_of_the_world_that_afas_knows():
    office = Office(tuple(company(number) for number in range(1, 200)))
    organisations = office.control("organisations")["organisations"]
    debtors = office.control("debtors")["debtors"]
    assert 100 < len(organisations) < 165
    assert 0.7 * len(organisations) < len(debtors) < len(organisations)
    assert 0 < len(office.control("debtors", environment="test")["debtors"]) < len(debtors) / 2
    assert 0 < len(office.control("debtors", environment="accept")["debtors"]) < len(debtors) / 2


def test_one_number_stands_on_three_debtors_and_one_contact_has_only_a_vat_number(office: Office):
    thrice = office.find("Profit_Debtor", "ChOfCommNr", "80000020")
    assert len({row["DebtorId"] for row in thrice}) == len({row["BcCo"] for row in thrice}) == 3
    (by_vat,) = office.find("Profit_Debtor", "VatNr", "NL001230021B01")
    assert by_vat["ChOfCommNr"] is None
    assert not office.find("Profit_OrgPer", "ChOfCommNr", "80000022")


# --- signing in ---------------------------------------------------------------------------------------------------


def status(office: Office, authorization: str, environment: str = "production") -> int:
    return office.send("GET", office.base(environment) + "/metainfo", {"Authorization": authorization}).status


def test_a_classic_token_opens_its_own_environment_only(office: Office):
    assert status(office, office.header()) == 200
    assert status(office, office.header("test")) == 401
    assert status(office, office.header("test"), "test") == 200


@pytest.mark.parametrize(
    "wrong", ["{}\r\n", " {}", "<token>{}</token>", "{{'token':'{}'}}"], ids=["crlf", "blank", "nested", "json"]
)
def test_only_the_xml_as_it_is_written_counts(office: Office, wrong: str):
    assert status(office, classic(wrong.format(office.contract["token"]))) == 401


def test_a_401_of_the_sign_in_has_a_challenge_and_no_body(office: Office):
    reply = office.send("GET", office.base() + "/metainfo", {"Authorization": classic("<token/>")})
    assert (reply.status, reply.body) == (401, b"")
    assert reply.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert office.send("GET", office.base() + "/metainfo").headers["www-authenticate"] == "Bearer, DPoP"


def test_tokens_expire_and_are_revoked(office: Office):
    fresh = office.control("token", expires=START + 100)
    assert status(office, classic(fresh["token"])) == 200
    office.time += 101
    assert status(office, classic(fresh["token"])) == 401
    assert status(office, office.header()) == 200
    assert office.control("revoke", token=office.contract["token"]) == {"revoked": 1}
    assert status(office, office.header()) == 401
    office.contract = office.sandbox.contract(HOST)
    assert status(office, office.header()) == 200


def test_the_first_tokens_end_on_the_first_of_may_2027(office: Office):
    assert content(office.call("GET", "metainfo"))["info"]["tokenExpiry"] == "2027-05-01T00:00:00Z"
    office.time = 1_809_122_401.0
    assert status(office, office.header()) == 401


def otp(office: Office, path: str, **given: str) -> Response:
    keys = office.contract["environments"]["production"]
    asked = {"apiKey": keys["api_key"], "apiToken": keys["environment_key"], "userid": keys["user_id"], **given}
    return office.send("POST", f"{office.base()}/{path}", {}, json.dumps(asked).encode())


def test_an_otp_code_comes_by_mail_and_gives_a_token_with_a_trailing_crlf(office: Office):
    reply = otp(office, "OtpRequest")
    assert (reply.status, reply.body) == (201, b"")
    (code,) = office.control("otp")["codes"]
    assert otp(office, "OtpValidation", otp="000000x").status == 204
    token = content(otp(office, "otpvalidation", otp=code))["token"]
    assert token.endswith("</token>\r\n")
    assert status(office, classic(token)) == 401
    assert status(office, classic(token.strip())) == 200
    assert otp(office, "OtpValidation", otp=code).status == 204, "a code works once"


def test_wrong_keys_look_like_success_but_mail_nothing(office: Office):
    assert otp(office, "OtpRequest", apiKey="0" * 32).status == 201
    assert office.send("POST", f"{office.base()}/OtpRequest", {}, b"no json").status == 201
    assert office.control("otp")["codes"] == []


def test_an_otp_code_does_not_hold_for_ever(office: Office):
    otp(office, "OtpRequest")
    (code,) = office.control("otp")["codes"]
    office.time += 901
    assert otp(office, "OtpValidation", otp=code).status == 204


def oauth(office: Office, form: dict[str, str] | str, **headers: str) -> Response:
    body = form if isinstance(form, str) else urlencode(form)
    return office.send("POST", f"{office.base()}/oauth/token", headers, body.encode())


def grant(office: Office) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": office.contract["client_id"],
        "client_secret": office.contract["client_secret"],
    }


def test_client_credentials_give_a_bearer_token_for_an_hour(office: Office):
    reply = content(oauth(office, grant(office)))
    assert set(reply) == {"access_token", "token_type", "expires_in"}
    assert reply["expires_in"] == 3600
    bearer = f"Bearer {reply['access_token']}"
    assert status(office, bearer) == 200
    assert status(office, bearer, "test") == 401
    assert content(office.call("GET", "metainfo", headers={"Authorization": bearer}))["info"]["tokenExpiry"] == "0"
    office.time += 3601
    assert status(office, bearer) == 401


def test_basic_halves_are_form_encoded(office: Office):
    asked = grant(office)
    name, secret = asked.pop("client_id"), asked.pop("client_secret")
    plain = base64.b64encode(f"{name}:{secret}".encode()).decode()
    coded = base64.b64encode(f"{quote_plus(name)}:{quote_plus(secret)}".encode()).decode()
    assert oauth(office, asked, Authorization=f"Basic {coded}").status == 200
    refused = oauth(office, asked, Authorization=f"Basic {plain}")
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == "Basic"
    assert content(refused) == {"error": "invalid_client"}


def test_refusals_of_the_token_endpoint(office: Office):
    good = grant(office)
    assert content(oauth(office, good | {"client_secret": "x"})) == {"error": "invalid_client"}
    assert content(oauth(office, good, Authorization="Basic eDp5")) == {"error": "invalid_request"}, "two methods"
    assert content(oauth(office, urlencode(good) + "&client_id=again")) == {"error": "invalid_request"}
    assert content(oauth(office, good | {"grant_type": "password"})) == {"error": "unsupported_grant_type"}
    office.settings(secret_expired=True)
    reply = oauth(office, good)
    assert (reply.status, content(reply)) == (400, {"error": "invalid_client"})


def segment(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def asserted(office: Office, sign: Any, algorithm: str, **changed: Any) -> Response:
    client = office.contract["client_id"]
    claims = {"iss": client, "sub": client, "aud": f"{office.base()}/oauth/token", "jti": "1", "exp": office.time + 200}
    signed = f"{segment({'alg': algorithm})}.{segment(claims | changed)}"
    form = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": f"{signed}.{segment(sign(signed.encode()))}",
    }
    return oauth(office, form)


def pem(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_signed_assertion_is_accepted_once(office: Office):
    key = ec.generate_private_key(ec.SECP256R1())

    def sign(data: bytes) -> bytes:
        return b"".join(half.to_bytes(32) for half in decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256()))))

    assert asserted(office, sign, "ES256").status == 400, "no key registered"
    office.settings(public_key=pem(key))
    assert asserted(office, sign, "ES256").status == 200
    assert asserted(office, sign, "ES256").status == 400, "the jti was used"
    assert asserted(office, sign, "ES256", jti="2", aud=office.base()).status == 200
    assert asserted(office, sign, "ES256", jti="3", aud="https://other.example").status == 400
    assert asserted(office, sign, "ES256", jti="4", exp=office.time + 400).status == 400
    assert asserted(office, sign, "ES256", jti="5", exp=office.time - 61).status == 400
    assert asserted(office, lambda data: b"x" * 64, "ES256", jti="6").status == 400
    assert asserted(office, sign, "RS256", jti="7").status == 400


def test_rsa_assertions_in_both_paddings(office: Office):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    office.settings(public_key=pem(key))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    assert asserted(office, lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256()), "RS256").status == 200
    assert asserted(office, lambda data: key.sign(data, pss, hashes.SHA256()), "PS256", jti="2").status == 200


def test_an_app_connector_may_take_one_kind_only(office: Office):
    bearer = f"Bearer {content(oauth(office, grant(office)))['access_token']}"
    office.settings(accepts="classic")
    assert (status(office, office.header()), status(office, bearer)) == (200, 401)
    office.settings(accepts="oauth")
    assert (status(office, office.header()), status(office, bearer)) == (401, 200)


# --- metainfo -----------------------------------------------------------------------------------------------------


def test_metainfo_lists_only_what_may_be_used(office: Office):
    body = office.call("GET", "metainfo").body
    assert b": " not in body, "compact since Profit 7"
    listed = json.loads(body)
    assert listed["info"]["envid"] == "O12345AA"
    assert {one["id"] for one in listed["updateConnectors"]} == {"KnSalesRelationOrg", "KnOrganisation"}
    assert "Profit_Debtor" in {one["id"] for one in listed["getConnectors"]}
    office.settings(hide_connector=["Profit_Debtor", "KnOrganisation"])
    listed = content(office.call("GET", "metainfo"))
    assert {one["id"] for one in listed["updateConnectors"]} == {"KnSalesRelationOrg"}
    assert "Profit_Debtor" not in {one["id"] for one in listed["getConnectors"]}
    assert refusal(office.call("GET", "metainfo/get/Profit_Debtor"), 401)[1] == RULE


def test_the_fields_of_a_get_connector_in_the_language_asked_for(office: Office):
    fields = content(office.call("GET", "metainfo/get/Profit_Debtor"))["fields"]
    by_id = {field["id"]: field for field in fields}
    assert by_id["ModifiedDate"]["dataType"] == "date"
    assert by_id["Blocked"]["dataType"] == "boolean"
    assert by_id["ChOfCommNr"] | {"fieldId": ""} == {
        "id": "ChOfCommNr", "fieldId": "", "dataType": "string", "label": "COC number", "length": 30, "controlType": 1,
        "decimals": 0, "decimalsFieldId": "",
    }  # fmt: skip
    office.language = "nl-nl"
    fields = content(office.call("GET", "metainfo/get/Profit_Debtor"))["fields"]
    assert "KvK-nummer" in {field["label"] for field in fields}


def free_field(office: Office, environment: str = "production") -> str:
    fields = content(office.call("GET", "metainfo/update/KnOrganisation", environment=environment))["fields"]
    (found,) = (field["fieldId"] for field in fields if field["label"] == "KvK gecontroleerd op")
    return found


def test_free_fields_have_another_id_in_each_environment(office: Office):
    ids = {free_field(office, name) for name in office.contract["environments"]}
    assert len(ids) == 3
    assert all(len(id_) == 33 and id_[0] == "U" for id_ in ids)


def test_a_free_field_is_written_by_its_id_and_read_from_the_tenants_own_connector(office: Office):
    debtor, own = office.first(), free_field(office)
    element = {"Fields": {"MatchOga": "0", "BcCo": debtor["BcCo"], own: "2026-11-02"}}
    assert office.write("PUT", "KnOrganisation", element).status == 200
    (row,) = office.find("Hub_Debiteuren", "Debiteurnummer", debtor["DebtorId"])
    assert row["KvK_gecontroleerd_op"] == "2026-11-02T00:00:00Z"
    fields = content(office.call("GET", "metainfo/get/Hub_Debiteuren"))["fields"]
    assert own in {field["fieldId"] for field in fields}


def test_a_mark_left_in_the_debtors_free_field_is_found_again(office: Office):
    fields = content(office.call("GET", "metainfo/update/KnSalesRelationOrg"))["fields"]
    (mark,) = (field for field in fields if field["label"] == "Kenmerk koppeling")
    assert (mark["dataType"], mark["length"]) == ("string", 40)
    element = new_debtor()
    element["Fields"][mark["fieldId"]] = "op-0001"
    made = content(office.write("POST", "KnSalesRelationOrg", element))["results"]["KnSalesRelationOrg"]
    (row,) = office.find("Hub_Debiteuren", "Kenmerk_koppeling", "op-0001")
    assert row["Debiteurnummer"] == made["DbId"]


def test_the_fields_of_an_update_connector(office: Office):
    meta = content(office.call("GET", "MetaInfo/Update/KnSalesRelationOrg"))
    by_id = {field["fieldId"]: field for field in meta["fields"]}
    assert (meta["id"], meta["name"]) == ("KnSalesRelationOrg", "KnSalesRelationOrg")
    assert by_id["DbId"]["primaryKey"]
    assert by_id["CuId"]["mandatory"]
    assert {"id": "B", "description": "B2B"} in by_id["VaDt"]["values"]
    assert by_id["VaId"]["values"] is None
    (below,) = meta["objects"]
    assert below["name"] == "KnOrganisation"
    assert {one["name"] for one in below["objects"]} == {"KnBasicAddressAdr", "KnBasicAddressPad", "KnBankAccount"}


def test_a_field_this_tenant_lacks_is_nowhere(office: Office):
    number = office.first()["DebtorId"]
    office.settings(drop_field={"Profit_Debtor": ["ChOfCommNr"], "KnSalesRelationOrg": ["VaId"]})
    assert "ChOfCommNr" not in office.first()
    asked = {"filterfieldids": "ChOfCommNr", "filtervalues": "1", "operatortypes": "1"}
    reply = office.call("GET", "connectors/Profit_Debtor", asked)
    assert refusal(reply) == ("Connector field 'ChOfCommNr' not found", UNEXPECTED)
    element = {"@DbId": number, "Fields": {"VaId": "NL1"}}
    assert refusal(office.write("PUT", "KnSalesRelationOrg", element))[0] == "Connector field 'VaId' not found"


# --- lists --------------------------------------------------------------------------------------------------------


def test_a_page_echoes_what_was_asked_and_every_field_is_there():
    office = Office(tuple(company(number) for number in range(1, 260)))
    page = content(office.call("GET", "connectors/Profit_Debtor", "orderbyfieldids=DebtorId"))
    assert (page["skip"], page["take"], len(page["rows"])) == (0, 100, 100)
    assert all(set(row) == set(page["rows"][0]) for row in page["rows"])
    assert any(row["Email"] is None for row in page["rows"])
    page = content(office.call("GET", "connectors/Profit_Debtor", "skip=-1&take=-1"))
    assert (page["skip"], page["take"]) == (-1, -1)
    assert len(page["rows"]) == len(office.control("debtors")["debtors"]) > 100


@pytest.mark.parametrize(
    ("query", "count"), [("take=0", 1), ("skip=x&take=2", 2), ("skip=99999999999", 0), ("take=3", 3)]
)
def test_odd_values_of_skip_and_take(office: Office, query: str, count: int):
    assert len(office.rows("Profit_Debtor", query)) == count


def test_skip_minus_one_is_everything_whatever_take_says(office: Office):
    assert len(office.rows("Profit_Debtor", "skip=-1&take=2")) == len(office.control("debtors")["debtors"]) > 2


@pytest.mark.parametrize("query", ["skip=2&take=-1", "skip=-2", "take=-5"])
def test_a_bad_combination_is_an_unexpected_error(office: Office, query: str):
    reply = office.call("GET", "connectors/Profit_Debtor", query)
    assert refusal(reply) == ("An unexpected error has occurred.", UNEXPECTED)
    office.language = "nl-nl"
    reply = office.call("GET", "connectors/Profit_Debtor", query)
    assert refusal(reply)[0] == "Er is een onverwachte fout opgetreden."


def test_order_goes_up_and_with_a_minus_down(office: Office):
    up = [row["DebtorId"] for row in office.rows("Profit_Debtor", "orderbyfieldids=DebtorId")]
    assert up == sorted(up)
    assert [row["DebtorId"] for row in office.rows("Profit_Debtor", "orderbyfieldids=-DebtorId")] == up[::-1]
    by_number = office.rows("Profit_Debtor", "orderbyfieldids=-ChOfCommNr,DebtorId")
    assert by_number[-1]["ChOfCommNr"] is None
    thrice = [row["DebtorId"] for row in by_number if row["ChOfCommNr"] == "80000020"]
    assert thrice == sorted(thrice)
    reply = office.call("GET", "connectors/Profit_Debtor", "orderbyfieldids=Nope")
    assert refusal(reply)[0] == "Connector field 'Nope' not found"


def paged(office: Office, order: str) -> list[str]:
    found: list[str] = []
    for skip in range(0, 40, 2):
        found += [row["DebtorId"] for row in office.rows("Profit_Debtor", f"skip={skip}&take=2{order}")]
    return found


def test_paging_is_whole_only_with_a_unique_order(office: Office):
    everybody = sorted(row["DbId"] for row in office.control("debtors")["debtors"])
    assert paged(office, "&orderbyfieldids=DebtorId") == everybody
    for order in ("", "&orderbyfieldids=CurrencyId"):
        pages = paged(office, order)
        assert len(pages) == len(everybody)
        assert set(pages) < set(everybody), "one is lost, another came twice"
    office.settings(unstable_order=False)
    assert sorted(paged(office, "")) == everybody


def test_a_query_of_2050_characters_is_a_404_without_a_body(office: Office):
    room = 2049 - len("?x=")
    assert office.call("GET", "connectors/Profit_Debtor", "x=" + "a" * room).status == 200
    reply = office.call("GET", "connectors/Profit_Debtor", "x=" + "a" * (room + 1))
    assert (reply.status, reply.body) == (404, b"")


def test_filters_as_lists_and_as_json_give_the_same_rows(office: Office):
    listed = office.rows(
        "Profit_Debtor",
        {
            "filterfieldids": "ChOfCommNr,DebtorName;VatNr",
            "filtervalues": "80000020,vest;NL001230021B01",
            "operatortypes": "1,6;1",
        },
    )
    fields = [
        {"Field": [{"@FieldId": "ChOfCommNr", "@OperatorType": "1", "#text": "80000020"}, {"@FieldId": "DebtorName", "@OperatorType": "6", "#text": "%vest%"}]},
        {"Field": {"@FieldId": "VatNr", "@OperatorType": "1", "#text": "NL001230021B01"}},
    ]  # fmt: skip
    by_json = office.rows("Profit_Debtor", {"filterjson": json.dumps({"Filters": {"Filter": fields}})})
    assert {row["DebtorId"] for row in listed} == {row["DebtorId"] for row in by_json}
    assert len(listed) == 2


FIELDS = ("DebtorId", "BcCo", "ChOfCommNr", "VatNr", "DebtorName", "ModifiedDate", "CurrencyId")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chosen=st.lists(
        st.tuples(st.sampled_from(FIELDS), st.sampled_from((1, 2, 4)), st.integers(0, 30)), min_size=1, max_size=3
    ),
    together=st.booleans(),
)
def test_an_index_never_changes_the_answer(office: Office, chosen: list[tuple[str, int, int]], together: bool):
    rows = office.rows("Profit_Debtor", "skip=-1&take=-1&orderbyfieldids=DebtorId")
    fields = [
        {
            "@FieldId": field,
            "@OperatorType": str(operator),
            "#text": (rows[number % len(rows)][field] or "none").removesuffix("Z"),
        }
        for field, operator, number in chosen
    ]
    groups = [{"Field": fields}] if together else [{"Field": [field]} for field in fields]
    by_index = found(office, groups)
    # a group no index can answer, and that no row fulfils, makes it look at every row
    assert found(office, [*groups, {"Field": {"@FieldId": "DebtorId", "@OperatorType": "8"}}]) == by_index


def found(office: Office, groups: list[Any]) -> list[str]:
    query = {"filterjson": json.dumps({"Filters": {"Filter": groups}}), "orderbyfieldids": "DebtorId", "skip": "-1"}
    return [row["DebtorId"] for row in office.rows("Profit_Debtor", query)]


def test_a_connector_without_rights_is_a_401(office: Office):
    reply = office.call("GET", "connectors/Profit_Employees")
    assert refusal(reply, 401)[0] == "GetConnector not supported for this app or the user is not authorized"
    office.settings(block_connector=["Profit_Debtor"])
    assert refusal(office.call("GET", "connectors/Profit_Debtor"))[0] == "This GetConnector (definition) is blocked"


def test_the_users_authorisation_shortens_lists_silently():
    office = Office(tuple(company(number) for number in range(1, 60)))
    debtors, contacts = len(office.rows("Profit_Debtor")), len(office.rows("Profit_OrgPer"))
    office.settings(authorisation_filter=True)
    assert 0 < len(office.rows("Profit_Debtor")) < debtors
    assert len(office.rows("Profit_OrgPer")) == contacts, "that one is without authorisation"
    assert len(office.control("debtors")["debtors"]) == debtors


def test_an_answer_can_be_too_big(office: Office):
    office.settings(largest=21 * 2)
    assert len(office.rows("Profit_Debtor", "take=2")) == 2
    assert refusal(office.call("GET", "connectors/Profit_Debtor", "take=3"))[0] == "Out of memory"


def test_stamps_are_the_amsterdam_wall_clock_and_rounded(office: Office):
    made = office.create()
    shown = office.debtor(made["DbId"])["ModifiedDate"]
    assert shown in {"2026-11-02T09:00:00Z", "2026-11-02T08:59:59Z"}, "Amsterdam, though it says Z"
    office.time += 150 * DAY + 60
    later = office.debtor(office.create(CcNr="82222222")["DbId"])["ModifiedDate"]
    assert later[:13] == "2027-04-01T10", "summer time"


def test_a_filter_on_the_shown_moment_may_miss_the_row(office: Office):
    missed = 0
    for number in range(6):
        made = office.create(CcNr=f"8333333{number}")
        shown = office.debtor(made["DbId"])["ModifiedDate"].removesuffix("Z")
        found = office.find("Profit_Debtor", "ModifiedDate", shown, 2)
        missed += made["DbId"] not in {row["DebtorId"] for row in found}
    assert 0 < missed < 6, "stamps are finer than what is shown"


def test_addresses_come_in_parts_with_the_iso_country():
    office = Office((company(1, "vat", country="DE", city="Kleve", postcode="47533", po_box=12),))
    debtor = office.first()
    visit, post = office.place(debtor["BcCo"]), office.place(debtor["BcCo"], "PAD")
    assert visit["A_Land"] == "DE"
    assert debtor["AdressLine4"] == "Duitsland"
    assert (post["A_Straat"], post["A_Huisnummer"]) == ("Postbus", 12)
    assert {"CoId": "D", "Co": "Duitsland"} in office.rows("ProfitCountries")
    addresses = {row["AddressId"]: row for row in office.rows("Profit_Address")}
    assert addresses[post["Adres_ID"]]["PoBox"] is True
    assert addresses[visit["Adres_ID"]]["Country"] == "D"


def test_people_stand_among_the_contacts_with_numbers_nobody_asked_for():
    office = Office((company(1, "vat", kind="eenmanszaak"),))
    (person,) = office.find("Profit_OrgPer", "Type", "PER")
    assert person["BSN"].startswith("999")
    assert person["DateBirth"].endswith("T00:00:00Z")


# --- writing debtors ----------------------------------------------------------------------------------------------


def test_a_new_debtor_with_its_organisation_and_address(office: Office):
    made = office.create(VaId="NL001234560B01", PaCd="14")
    assert set(made) == {"DbId", "BcCo"}
    row = office.debtor(made["DbId"])
    assert (row["DebtorName"], row["ChOfCommNr"], row["VatNr"]) == ("Nieuw B.V.", "81234567", "NL001234560B01")
    assert (row["AdressLine1"], row["AdressLine3"]) == ("Kade 7 bis", "3511 AB Utrecht")
    place = office.place(made["BcCo"])
    assert (place["A_Straat"], place["A_Huisnummer"], place["A_Toev_Huisnr."]) == ("Kade", 7, "bis")
    assert place["DebiteurID"] == made["DbId"]


def test_objects_may_be_an_object_and_elements_an_array(office: Office):
    one = new_debtor()
    one["Objects"] = one["Objects"][0]
    one["Objects"]["KnOrganisation"]["Element"] = [one["Objects"]["KnOrganisation"]["Element"]]
    reply = office.write("POST", "KnSalesRelationOrg", [one, new_debtor(CcNr="81111111")])
    results = content(reply)["results"]["KnSalesRelationOrg"]
    assert len(results) == 2
    assert office.debtor(results[1]["DbId"])["ChOfCommNr"] == "81111111"


def test_an_array_is_one_transaction(office: Office):
    before = office.sandbox.snapshot()
    reply = office.write("POST", "KnSalesRelationOrg", [new_debtor(), new_debtor(CcNr="8" * 31)])
    assert refusal(reply)[0] == "The value for 'COC number' is longer than 30 characters."
    reply = office.write("POST", "KnSalesRelationOrg", [new_debtor(), new_debtor(Nm=...)])
    assert refusal(reply) == ("Enter a value for 'Name'.", RULE)
    assert office.sandbox.snapshot() == before
    assert office.control("writes")["count"] == 0
    assert office.control("writes")["refused"] == 2
    highest = max(int(row["DbId"]) for row in office.control("debtors")["debtors"])
    assert int(office.create()["DbId"]) == highest + 1, "the numbers were given back"


@pytest.mark.parametrize("place", ["beside", "inside", "plain"])
def test_a_put_writes_only_what_it_holds(office: Office, place: str):
    made = office.create(VaId="NL1", PaCd="14")
    element: dict[str, Any] = {"Fields": {"PaCd": "30"}}
    key = "DbId" if place == "plain" else "@DbId"
    (element if place == "beside" else element["Fields"])[key] = made["DbId"]
    reply = office.write("PUT", "KnSalesRelationOrg", element)
    assert (reply.status, reply.body) == (200, b"")
    row = office.debtor(made["DbId"])
    assert (row["PayCon"], row["VatNr"], row["DebtorName"]) == ("30", "NL1", "Nieuw B.V.")


def test_an_empty_text_clears(office: Office):
    made = office.create(VaId="NL1", EmAd="info@nieuw.example")
    below = {"KnOrganisation": {"Element": {"Fields": {"MatchOga": "0", "BcCo": made["BcCo"], "EmAd": ""}}}}
    element = {"@DbId": made["DbId"], "Fields": {"VaId": ""}, "Objects": [below]}
    assert office.write("PUT", "KnSalesRelationOrg", element).status == 200
    row = office.debtor(made["DbId"])
    assert (row["VatNr"], row["Email"]) == (None, None)
    mandatory = {"@DbId": made["DbId"], "Fields": {"CuId": ""}}
    assert refusal(office.write("PUT", "KnSalesRelationOrg", mandatory))[0] == "Enter a value for 'Currency'."


@pytest.mark.parametrize(
    ("fields", "message", "number"),
    [
        ({"PaCd": "99"}, "The entered value for 'Payment condition' does not exist.", NO_SUCH_VALUE),
        ({"VaDt": "Z"}, "The entered value for 'VaDt' does not exist.", NO_SUCH_VALUE),
        ({"VaId": "1" * 22}, "The value for 'VAT identification number' is longer than 21 characters.", RULE),
        ({"Bl": "perhaps"}, "The value entered for 'Blocked for delivery' is not valid.", RULE),
        ({"Krli": "much"}, "The value entered for 'Credit limit' is not valid.", RULE),
        ({"BtwNr": "1"}, "Connector field 'BtwNr' not found", UNEXPECTED),
        ({"CuId": "XXX"}, "The entered value for 'Currency' does not exist.", NO_SUCH_VALUE),
    ],
)
def test_values_that_are_refused(office: Office, fields: dict[str, str], message: str, number: int):
    element = {"@DbId": office.first()["DebtorId"], "Fields": fields}
    assert refusal(office.write("PUT", "KnSalesRelationOrg", element)) == (message, number)


def test_types_are_lenient(office: Office):
    number = office.first()["DebtorId"]
    for value, shown in (("1", True), ("false", False), (True, True), (0, False)):
        office.write("PUT", "KnSalesRelationOrg", {"@DbId": number, "Fields": {"Bl": value, "Krli": "12.50"}})
        assert office.debtor(number)["Blocked"] is shown
    assert office.debtor(number)["CreditLimit"] == 12.5
    assert office.write("PUT", "KnSalesRelationOrg", {"@DbId": number, "Fields": {"VaDu": True}}).status == 200
    assert office.debtor(number)["VatDuty"] == "1"


def test_refusals_come_in_the_language_asked_for(office: Office):
    element = {"@DbId": "1", "Fields": {"PaCd": "14"}}
    assert refusal(office.write("PUT", "KnSalesRelationOrg", element))[0] == (
        "The entered value for 'Debtor number' does not exist."
    )
    office.language = "nl-nl"
    assert refusal(office.write("PUT", "KnSalesRelationOrg", element))[0] == (
        "De ingevoerde waarde bij 'Nummer debiteur' bestaat niet."
    )


def test_what_a_new_debtor_must_hold(office: Office):
    without = new_debtor()
    del without["Fields"]["CuId"]
    assert refusal(office.write("POST", "KnSalesRelationOrg", without))[0] == "Enter a value for 'Currency'."
    alone = {"Fields": {"CuId": "EUR"}}
    assert refusal(office.write("POST", "KnSalesRelationOrg", alone))[0] == "Enter a value for 'Organisation'."
    for name in ("MatchOga", "PadAdr", "Nm", "AutoNum"):
        reply = office.write("POST", "KnSalesRelationOrg", new_debtor(**{name: ...}))
        assert refusal(reply)[0].startswith("Enter a value for '"), name
    for name in ("CoId", "PbAd", "ResZip"):
        address = {field: value for field, value in ADDRESS.items() if field != name}
        assert refusal(office.write("POST", "KnSalesRelationOrg", new_debtor(address)))[0].startswith("Enter a value")
    taken = new_debtor(DbId=office.first()["DebtorId"])
    assert refusal(office.write("POST", "KnSalesRelationOrg", taken))[0] == "'Debtor number' already exists."


def test_fields_the_nested_organisation_lacks_need_the_other_connector(office: Office):
    made = office.create()
    below = {"KnOrganisation": {"Element": {"Fields": {"BcCo": made["BcCo"], "MatchOga": "0", "BrNr": "000012345678"}}}}
    reply = office.write("PUT", "KnSalesRelationOrg", {"@DbId": made["DbId"], "Objects": [below]})
    assert refusal(reply)[0] == "Connector field 'BrNr' not found"
    alone = {"Fields": {"BcCo": made["BcCo"], "MatchOga": "0", "BrNr": "000012345678"}}
    assert office.write("PUT", "KnOrganisation", alone).status == 200
    (row,) = office.find("Hub_Debiteuren", "Debiteurnummer", made["DbId"])
    assert row["Vestigingsnummer"] == "000012345678"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"KnOrganisation":{}}',
        b'{"KnSalesRelationOrg":{}}',
        b'{"KnSalesRelationOrg":{"Element":[]}}',
    ],
)
def test_bodies_that_are_no_bodies(office: Office, body: bytes):
    reply = office.call("POST", "connectors/KnSalesRelationOrg", body=body)
    assert reply.status in {400, 500}
    assert reply.status == 500 or content(reply) == {"message": "Invalid json"}


def test_an_update_connector_without_rights_is_a_401(office: Office):
    reply = office.write("POST", "KnPerson", {"Fields": {}})
    assert refusal(reply, 401)[1] == RULE
    office.settings(hide_connector=["KnSalesRelationOrg"])
    assert office.write("POST", "KnSalesRelationOrg", new_debtor()).status == 401
    assert office.call("DELETE", "connectors/KnOrganisation/KnOrganisation/@BcCo/1").status == 500


def test_letters_are_lost_without_a_charset(office: Office):
    body = {"KnSalesRelationOrg": {"Element": new_debtor(Nm="Café Zoë")}}
    plain = office.call("POST", "connectors/KnSalesRelationOrg", body=body, headers={"Content-Type": "text/plain"})
    made = content(plain)["results"]["KnSalesRelationOrg"]
    assert "?" in office.debtor(made["DbId"])["DebtorName"]
    made = office.create(Nm="Café Zoë")
    assert office.debtor(made["DbId"])["DebtorName"] == "Café Zoë"


# --- match values -------------------------------------------------------------------------------------------------


def test_match_6_always_adds_though_the_number_exists(office: Office):
    office.create()
    office.create()
    assert len(office.find("Profit_OrgPer", "ChOfCommNr", "81234567")) == 2
    told = office.control("duplicates")
    assert told["count"] == 2, "the organisation and the debtor"
    assert {one["kind"] for one in told["duplicates"]} == {"organisation", "debtor"}
    assert len(told["existing"]) == 2


def test_match_0_finds_by_bcco(office: Office):
    only = office.control("add", set={"Nm": "Alleen Organisatie", "CcNr": "85555555"}, organisation_only=True)
    fields = {"MatchOga": "0", "BcCo": only["BcCo"], "TeNr": "030-5550000"}
    element = {"Fields": {"CuId": "EUR"}, "Objects": [{"KnOrganisation": {"Element": {"Fields": fields}}}]}
    made = content(office.write("POST", "KnSalesRelationOrg", element))["results"]["KnSalesRelationOrg"]
    assert made["BcCo"] == only["BcCo"]
    row = office.debtor(made["DbId"])
    assert (row["DebtorName"], row["TelNr"]) == ("Alleen Organisatie", "030-5550000")
    assert office.control("duplicates") == {"count": 0, "duplicates": [], "existing": []}


def test_match_0_that_finds_nothing_is_an_error_on_put_and_an_insert_on_post(office: Office):
    nobody = {"Fields": {"MatchOga": "0", "BcCo": "7777777", "Nm": "Niemand"}}
    assert refusal(office.write("PUT", "KnOrganisation", nobody))[1] == NO_SUCH_VALUE
    empty = {"Fields": {"MatchOga": "0", "Nm": "Niemand"}}
    assert refusal(office.write("PUT", "KnOrganisation", empty))[0] == "Enter a value for 'Number'."
    own_number = new_organisation(MatchOga="0", BcCo="7777777", AutoNum=False)
    made = content(office.write("POST", "KnOrganisation", own_number))["results"]["KnOrganisation"]
    assert made["BcCo"] == "7777777"
    assert set(made) == {"BcCo", "BcId"}


def test_match_1_updates_the_one_it_finds_adds_when_there_is_none_and_refuses_several(office: Office):
    first = office.write("POST", "KnOrganisation", new_organisation(MatchOga="1"))
    again = office.write("POST", "KnOrganisation", new_organisation(MatchOga="1", Nm="Ander B.V."))
    assert content(first)["results"] == content(again)["results"]
    (row,) = office.find("Profit_OrgPer", "ChOfCommNr", "81234567")
    assert row["Name"] == "Ander B.V."
    several = office.write("POST", "KnOrganisation", new_organisation(MatchOga="1", CcNr="80000020"))
    assert refusal(several) == ("More than one organisation was found on 'COC number'.", RULE)


@pytest.mark.parametrize(("match", "field", "value"), [("2", "FiNr", "001234560"), ("3", "Nm", "Gezocht B.V.")])
def test_match_on_another_field(office: Office, match: str, field: str, value: str):
    made = content(office.write("POST", "KnOrganisation", new_organisation(FiNr="899999999", Nm="Gezocht B.V.")))
    bcco = made["results"]["KnOrganisation"]["BcCo"]
    found = new_organisation(MatchOga=match, FiNr="899999999", Nm="Gezocht B.V.", CcNr="87654321")
    assert content(office.write("POST", "KnOrganisation", found))["results"]["KnOrganisation"]["BcCo"] == bcco


def test_match_6_on_a_put_makes_a_new_organisation_and_moves_the_debtor_to_it(office: Office):
    made = office.create()
    element = {"@DbId": made["DbId"], "Objects": {"KnOrganisation": {"Element": new_organisation(Nm="Dubbel B.V.")}}}
    assert office.write("PUT", "KnSalesRelationOrg", element).status == 200
    row = office.debtor(made["DbId"])
    assert (row["DebtorName"], row["BcCo"] != made["BcCo"]) == ("Dubbel B.V.", True)
    assert office.control("duplicates")["count"] == 1


def test_an_organisation_is_never_matched_with_a_person():
    office = Office((company(1, "vat", kind="eenmanszaak"),))
    (person,) = office.find("Profit_OrgPer", "Type", "PER")
    made = content(office.write("POST", "KnOrganisation", new_organisation(MatchOga="3", Nm=person["Name"])))
    assert made["results"]["KnOrganisation"]["BcCo"] != person["BcCo"]


def test_match_on_the_address_and_equal_addresses_are_kept_once(office: Office):
    made = office.create()
    other = office.create(CcNr="86666666")
    assert office.place(made["BcCo"])["Adres_ID"] == office.place(other["BcCo"])["Adres_ID"]
    several = office.write("POST", "KnOrganisation", new_organisation(MatchOga="4"))
    assert refusal(several)[1] == RULE
    lonely = new_organisation({**ADDRESS, "HmNr": 99}, MatchOga="4")
    assert office.write("POST", "KnOrganisation", lonely).status == 201


def test_the_nested_form_may_use_its_parent_and_no_other_contact(office: Office):
    made, other = office.create(), office.first()
    below = {"Fields": {"MatchOga": "9", "TeNr": "030-5551111"}}
    element = {"@DbId": made["DbId"], "Objects": {"KnOrganisation": {"Element": below}}}
    assert office.write("PUT", "KnSalesRelationOrg", element).status == 200
    assert office.debtor(made["DbId"])["TelNr"] == "030-5551111"
    below["Fields"] = {"MatchOga": "0", "BcCo": other["BcCo"], "TeNr": "x"}
    assert refusal(office.write("PUT", "KnSalesRelationOrg", element))[1] == NO_SUCH_VALUE
    assert office.debtor(other["DebtorId"])["TelNr"] != "x"
    alone = {"Fields": {"MatchOga": "9", "BcCo": other["BcCo"]}}
    assert refusal(office.write("PUT", "KnOrganisation", alone))[1] == NO_SUCH_VALUE


# --- addresses ----------------------------------------------------------------------------------------------------


def move(office: Office, bcco: str, side: str = "Adr", **fields: Any) -> Response:
    below = {f"KnBasicAddress{side}": {"Element": {"Fields": fields}}}
    return office.write("PUT", "KnOrganisation", {"Fields": {"MatchOga": "0", "BcCo": bcco}, "Objects": below})


def test_an_address_change_keeps_what_it_does_not_hold(office: Office):
    made = office.create()
    assert move(office, made["BcCo"], HmNr=8).status == 200
    place = office.place(made["BcCo"])
    assert (place["A_Straat"], place["A_Huisnummer"], place["A_Toev_Huisnr."]) == ("Kade", 8, "bis")
    move(office, made["BcCo"], HmAd="")
    assert office.place(made["BcCo"])["A_Toev_Huisnr."] is None


def test_a_neighbour_at_the_same_address_does_not_move_along(office: Office):
    made, other = office.create(), office.create(CcNr="86666666")
    move(office, made["BcCo"], Ad="Gracht")
    assert office.place(other["BcCo"])["A_Straat"] == "Kade"


def test_a_later_begin_date_takes_effect_on_that_day(office: Office):
    made = office.create()
    move(office, made["BcCo"], Ad="Gracht", BeginDate="2026-11-05")
    assert office.place(made["BcCo"])["A_Straat"] == "Kade"
    office.time += 3 * DAY
    place = office.place(made["BcCo"])
    assert place["A_Straat"] == "Gracht"
    assert place["Gewijzigd_op_2"].startswith("2026-11-05")


def test_an_earlier_begin_date_only_changes_the_past(office: Office):
    made = office.create()
    move(office, made["BcCo"], Ad="Gracht", BeginDate="2020-01-01")
    assert office.place(made["BcCo"])["A_Straat"] == "Kade"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"CoId": "BE"}, "The entered value for 'Country' does not exist."),
        ({"CoId": ""}, "Enter a value for 'Country'."),
        ({"HmNr": "12A"}, "The value entered for 'House number' is not valid."),
        ({"Ad": "x" * 61}, "The value for 'Street' is longer than 60 characters."),
        ({"BeginDate": "02-11-2026"}, "The value entered for 'Ingangsdatum adreswijziging' is not valid."),
        ({"BeginDate": "2026-02-30"}, "The value entered for 'Ingangsdatum adreswijziging' is not valid."),
    ],
)
def test_addresses_that_are_refused(office: Office, fields: dict[str, str], message: str):
    made = office.create()
    assert refusal(move(office, made["BcCo"], **fields))[0] == message


def test_the_tenants_own_country_code_is_taken(office: Office):
    made = office.create()
    assert move(office, made["BcCo"], CoId="B", ZpCd="2000", Rs="Antwerpen").status == 200
    assert office.place(made["BcCo"])["A_Land"] == "BE"
    assert office.debtor(made["DbId"])["AdressLine3"] == "2000 Antwerpen"


def test_reszip_looks_up_the_city(office: Office):
    made = office.create()
    move(office, made["BcCo"], ZpCd="6711ab", Rs="Elders", ResZip=True)
    assert (office.place(made["BcCo"])["A_Postcode"], office.place(made["BcCo"])["A_Woonplaats"]) == ("6711 AB", "Ede")


def test_the_postal_address_is_ignored_while_it_equals_the_other(office: Office):
    made = office.create()
    post = {**ADDRESS, "Ad": "Postbus", "HmNr": 5, "PbAd": True}
    move(office, made["BcCo"], "Pad", **post)
    assert len(office.find("Profit_Deliveryaddress", "OrgId", made["BcCo"])) == 1
    office.write("PUT", "KnOrganisation", {"Fields": {"MatchOga": "0", "BcCo": made["BcCo"], "PadAdr": False}})
    assert len(office.find("Profit_Deliveryaddress", "OrgId", made["BcCo"])) == 1, "it was not kept either"
    element = {
        "Fields": {"MatchOga": "0", "BcCo": made["BcCo"], "PadAdr": False},
        "Objects": {"KnBasicAddressPad": {"Element": {"Fields": post}}},
    }
    assert office.write("PUT", "KnOrganisation", element).status == 200
    assert office.place(made["BcCo"], "PAD")["A_Straat"] == "Postbus"
    move(office, made["BcCo"], Ad="Gracht")
    assert office.place(made["BcCo"], "PAD")["A_Straat"] == "Postbus"


def test_an_address_change_moves_the_contacts_stamp_and_not_the_debtors(office: Office):
    made = office.create()
    before = office.debtor(made["DbId"])["ModifiedDate"]
    office.time += DAY
    move(office, made["BcCo"], Ad="Gracht")
    assert office.debtor(made["DbId"])["ModifiedDate"] == before
    assert office.place(made["BcCo"])["Gewijzigd_op"] > before
    assert office.place(made["BcCo"])["Gewijzigd_op_2"] > before
    for field in ("Gewijzigd_op", "Gewijzigd_op_2"):
        assert [row["OrgId"] for row in office.find("Profit_Deliveryaddress", field, "2026-11-03", 2)] == [made["BcCo"]]
    office.write("PUT", "KnOrganisation", {"Fields": {"MatchOga": "0", "BcCo": made["BcCo"], "TeNr": "1"}})
    assert office.debtor(made["DbId"])["ModifiedDate"] > before, "a field of the organisation does"
    office.settings(joined_stamps=True)
    office.time += DAY
    move(office, made["BcCo"], Ad="Singel")
    assert office.debtor(made["DbId"])["ModifiedDate"].startswith("2026-11-0")
    assert office.find("Profit_Debtor", "ModifiedDate", "2026-11-04", 2)


def test_a_sub_row_can_be_posted_below_its_parent(office: Office):
    made = office.create()
    element = {
        "Fields": {"MatchOga": "0", "BcCo": made["BcCo"]},
        "Objects": [{"KnBankAccount": {"Element": {"Fields": {"CoId": "NL", "Iban": "NL02VRBD0123456789"}}}}],
    }
    reply = office.write("POST", "KnOrganisation", element, "KnOrganisation/KnBankAccount")
    assert content(reply)["results"]["KnOrganisation"]["BcCo"] == made["BcCo"]
    assert office.debtor(made["DbId"])["IBAN"] == "NL02VRBD0123456789"
    element["Objects"][0]["KnBankAccount"]["Element"]["@Action"] = "update"
    assert (
        refusal(office.write("PUT", "KnOrganisation", element))[0] == "Only inserting is allowed for 'KnBankAccount'."
    )
    element["Objects"].append(element["Objects"][0])
    assert refusal(office.write("PUT", "KnOrganisation", element))[0] == "Only one line of 'KnBankAccount' is allowed."


@pytest.mark.parametrize("spelling", ["@Action", "@action"])
@pytest.mark.parametrize("place", ["element", "fields"])
def test_the_action_of_a_nested_row_in_every_spelling(office: Office, spelling: str, place: str):
    made = office.create()
    nested: dict[str, Any] = {"Fields": {"CoId": "NL", "Iban": "NL02VRBD0123456789"}}
    (nested if place == "element" else nested["Fields"])[spelling] = "delete"
    element = {"@BcCo": made["BcCo"], "Fields": {"MatchOga": "0"}, "Objects": {"KnBankAccount": {"Element": nested}}}
    assert refusal(office.write("PUT", "KnOrganisation", element))[0].startswith("Only inserting")


# --- people and the vendor ----------------------------------------------------------------------------------------


def test_a_person_edits_a_debtor_its_organisation_and_its_address(office: Office):
    debtor = office.first()
    office.time += DAY
    told = office.control(
        "edit", debtor=debtor["DebtorId"], set={"Nm": "Anders", "VaId": "NL9", "Ad": "Plein", "HmNr": 3}
    )
    assert (told["Nm"], told["VaId"], told["Adr"]["Ad"]) == ("Anders", "NL9", "Plein")
    row = office.debtor(debtor["DebtorId"])
    assert (row["DebtorName"], row["VatNr"]) == ("Anders", "NL9")
    assert row["AdressLine1"].startswith("Plein 3")
    assert row["ModifiedDate"].startswith("2026-11-03")


def test_an_edit_may_leave_no_stamp(office: Office):
    debtor = office.first()
    place = office.place(debtor["BcCo"])
    office.time += DAY
    office.control("edit", kvk=debtor["ChOfCommNr"], set={"Nm": "Stil", "Ad": "Stilstraat"}, stamp=False)
    row, now = office.debtor(debtor["DebtorId"]), office.place(debtor["BcCo"])
    assert now["A_Straat"] == "Stilstraat"
    assert [now[name] for name in ("Gewijzigd_op", "Gewijzigd_op_2")] == [
        place[name] for name in ("Gewijzigd_op", "Gewijzigd_op_2")
    ]
    assert (row["DebtorName"], row["ModifiedDate"]) == ("Stil", debtor["ModifiedDate"])
    office.control("edit", organisation=debtor["BcCo"], set={"KnBasicAddressPad.Ad": "Postweg", "EmAd": ""})
    assert office.place(debtor["BcCo"], "PAD")["A_Straat"] == "Postweg"
    assert office.debtor(debtor["DebtorId"])["Email"] is None


def test_people_add_and_delete_and_only_the_log_tells(office: Office):
    made = office.control("add", set={"Nm": "Balie", "CcNr": "84444444", "Ad": "Plein", "HmNr": 1, "VaId": "NL3"})
    assert office.debtor(made["DbId"])["AdressLine1"] == "Plein 1"
    gone = office.control("delete", debtor=made["DbId"])
    assert gone == {"BcCo": made["BcCo"], "DbId": [made["DbId"]]}
    assert not office.find("Profit_Debtor", "DebtorId", made["DbId"])
    assert not office.find("Profit_OrgPer", "BcCo", made["BcCo"])
    assert office.sandbox.snapshot()["production"]["removed"] == [gone]
    assert office.control("duplicates")["count"] == 0, "what people type is not the API's doing"


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("dance", {}),
        ("edit", {"debtor": "1", "set": {"Nm": "x"}}),
        ("edit", {"debtor": "10001", "set": {"Naam": "x"}}),
        ("edit", {"debtor": "10001", "set": {"CoId": "BE"}}),
        ("edit", {"debtor": "10001", "set": {"DbId": "2"}}),
        ("add", {"set": {"CcNr": "1"}}),
        ("add", {"set": {"Nm": "x", "HmNr": "y"}}),
        ("token", {"environment": "cursus"}),
        ("revoke", {"token": "x"}),
        ("refresh_copy", {}),
        ("fill", {"debtors": -1}),
        ("settings", {"language": "fr"}),
        ("settings", {"nope": 1}),
    ],
)
def test_a_bad_action_is_a_value_error_and_changes_nothing(office: Office, action: str, given: dict[str, Any]):
    before = office.sandbox.snapshot()
    with pytest.raises(ValueError):  # noqa: PT011  the message is for people
        office.sandbox.control(action, given)
    assert office.sandbox.snapshot() == before


def test_writes_are_counted_and_told(office: Office):
    made = office.create()
    office.write("PUT", "KnSalesRelationOrg", {"@DbId": made["DbId"], "Fields": {"PaCd": "30"}})
    told = office.control("writes")
    assert (told["count"], told["by_method"], told["by_environment"]) == (2, {"POST": 1, "PUT": 1}, {"production": 2})
    assert told["writes"][1]["records"] == [
        {"kind": "debtor", "id": made["DbId"], "created": False, "fields": ["PaCd"]}
    ]


def test_a_refusal_somebody_ordered(office: Office):
    made = office.create()
    office.settings(refuse={"81234567": "Verkooprelatie is geblokkeerd.", "Bonkig B.V.": "Nee."})
    update = {"@DbId": made["DbId"], "Fields": {"PaCd": "30"}}
    assert refusal(office.write("PUT", "KnSalesRelationOrg", update)) == ("Verkooprelatie is geblokkeerd.", RULE)
    reply = office.write("POST", "KnSalesRelationOrg", new_debtor(CcNr="82222222", Nm="Bonkig B.V."))
    assert refusal(reply)[0] == "Nee."


def test_fields_can_be_lost_in_silence(office: Office):
    office.settings(lose=["EmAd", "HmAd"])
    made = office.create(EmAd="info@nieuw.example")
    assert office.debtor(made["DbId"])["Email"] is None
    assert office.place(made["BcCo"])["A_Toev_Huisnr."] is None


def test_answers_may_come_without_results_or_with_them(office: Office):
    office.settings(empty_post=True, put_results=True)
    reply = office.write("POST", "KnSalesRelationOrg", new_debtor())
    assert (reply.status, reply.body) == (201, b"")
    number = office.first()["DebtorId"]
    reply = office.write("PUT", "KnSalesRelationOrg", {"@DbId": number, "Fields": {"PaCd": "30"}})
    assert content(reply)["results"]["KnSalesRelationOrg"]["DbId"] == number


def test_maintenance_ip_restriction_size_and_too_many_at_once(office: Office):
    office.settings(maintenance=True)
    reply = office.call("GET", "metainfo")
    assert (reply.status, reply.headers["retry-after"], content(reply)["retry_after"]) == (503, "7200", 7200)
    office.settings(maintenance=False, ip_restricted=True)
    assert office.call("GET", "metainfo").status == 403
    office.settings(ip_restricted=False, in_flight=7)
    assert office.call("GET", "metainfo").status == 200
    office.settings(in_flight=8)
    assert refusal(office.call("GET", "metainfo"))[1] == UNEXPECTED
    office.settings(in_flight=0)
    assert office.call("POST", "connectors/KnOrganisation", body=b" " * (75 * 2**20 + 1)).status == 413


def test_after_a_timeout_the_effect_took_place(office: Office):
    office.settings(timeout=True)
    reply = office.write("POST", "KnSalesRelationOrg", new_debtor())
    assert refusal(reply)[0] == "Command timeout expired."
    office.settings(timeout=False)
    assert len(office.find("Profit_Debtor", "ChOfCommNr", "81234567")) == 1


def test_environments_are_apart_until_a_copy_is_refreshed(office: Office):
    made, ids = office.create(), {name: free_field(office, name) for name in ("production", "test")}
    asked = {"filterfieldids": "DebtorId", "filtervalues": made["DbId"], "operatortypes": 1}
    assert not office.rows("Profit_Debtor", asked, "test")
    office.control("refresh_copy", environment="test")
    assert office.rows("Profit_Debtor", asked, "test")
    assert free_field(office, "test") == ids["production"] != ids["test"]
    office.write("PUT", "KnSalesRelationOrg", {"@DbId": made["DbId"], "Fields": {"VaId": "NL7"}})
    assert office.rows("Profit_Debtor", asked, "test")[0]["VatNr"] is None
    assert content(office.call("GET", "metainfo", environment="test"))["info"]["envid"] == "T12345AA"


def test_the_snapshot_says_nothing_of_when():
    one, two = Office(), Office()
    two.time += 5
    one.create()
    two.create()
    assert one.sandbox.snapshot() == two.sandbox.snapshot()
    json.dumps(one.sandbox.snapshot())


def test_many_debtors_are_served_in_pages_and_their_changes_at_once(office: Office):
    office.control("fill", debtors=3000)
    total = len(office.control("debtors")["debtors"])
    seen: set[str] = set()
    for skip in range(0, 4000, 1000):
        seen |= {
            row["DebtorId"] for row in office.rows("Profit_Debtor", f"skip={skip}&take=1000&orderbyfieldids=DebtorId")
        }
    assert len(seen) == total
    made = office.create()
    changed = office.find("Profit_Debtor", "ModifiedDate", "2026-11-02T08:59:58", 2)
    assert [row["DebtorId"] for row in changed] == [made["DbId"]]
    (row,) = office.find("Profit_Debtor", "ChOfCommNr", "70000007")
    assert row["DebtorName"] == "Vulbedrijf 7 B.V."


# --- nothing brings it down ---------------------------------------------------------------------------------------

words = st.one_of(
    st.sampled_from(
        ("KnSalesRelationOrg", "KnOrganisation", "Element", "Fields", "Objects", "@DbId", "DbId", "MatchOga", "CcNr")
    ),
    st.sampled_from(
        ("Nm", "PadAdr", "AutoNum", "CuId", "KnBasicAddressAdr", "CoId", "HmNr", "BeginDate", "@Action", "")
    ),
)
values = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=4),
    st.sampled_from(("EUR", "NL", "0", "1", "6", "9", "2026-11-02", "10001", "true")),
)  # fmt: skip
trees = st.recursive(
    values,
    lambda below: st.one_of(st.lists(below, max_size=2), st.dictionaries(words, below, max_size=5)),
    max_leaves=25,
)
shaped = st.fixed_dictionaries(
    {"Fields": st.dictionaries(words, values, max_size=6)}, optional={"Objects": trees, "@DbId": values}
)
bodies = st.one_of(
    st.binary(max_size=20),
    trees.map(lambda tree: json.dumps(tree).encode()),
    st.tuples(st.sampled_from(("KnSalesRelationOrg", "KnOrganisation")), st.one_of(trees, shaped)).map(
        lambda pair: json.dumps({pair[0]: {"Element": pair[1]}}).encode()
    ),
)
SHARED = Office()


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(("POST", "PUT", "DELETE")),
    connector=st.sampled_from(("KnSalesRelationOrg", "KnOrganisation")),
    raw=bodies,
)
def test_no_body_brings_it_down_and_a_refused_one_has_no_effect(method: str, connector: str, raw: bytes):
    before = SHARED.sandbox.snapshot()
    reply = SHARED.call(method, f"connectors/{connector}", body=raw)
    assert reply.status in {200, 201, 400, 500}
    assert reply.status < 400 or SHARED.sandbox.snapshot() == before


@settings(deadline=None, max_examples=80)
@given(
    path=st.one_of(
        st.text(max_size=12),
        st.sampled_from(
            (
                "metainfo/get/",
                "metainfo/update/KnOrganisation",
                "connectors/",
                "connectors/Profit_Debtor/x",
                "oauth/token",
            )
        ),
    ),
    query=st.dictionaries(
        st.sampled_from(
            ("skip", "take", "orderbyfieldids", "filterfieldids", "filtervalues", "operatortypes", "filterjson")
        ),
        st.text(max_size=12),
    ),
    header=st.one_of(
        st.text(max_size=12), st.binary(max_size=9).map(lambda raw: "AfasToken " + base64.b64encode(raw).decode())
    ),
)
def test_no_request_brings_it_down(path: str, query: dict[str, str], header: str):
    for method in ("GET", "POST", "OPTIONS"):
        for asked, sent in ((path, header), ("connectors/Profit_Debtor", SHARED.header())):
            url = f"{SHARED.base()}/{asked}?{urlencode(query)}"
            reply = SHARED.sandbox.handle(
                f"/12345/production/ProfitRestServices/{asked}", Request(method, url, {"Authorization": sent})
            )
            assert reply.status in {200, 201, 204, 400, 401, 404, 500}
