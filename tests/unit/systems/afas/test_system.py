"""What a login says of itself, which fields this environment really has, and a debtor as a company."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files

import pytest

from koppel.mapping.read import read_flow
from koppel.model.problem import RetryLater
from koppel.sandbox.host import build
from koppel.systems.afas import SYSTEM, fields, filters, resources, system, wire
from koppel.systems.afas.settings import ENVIRONMENTS, Settings, base
from koppel.systems.spi import Item, Response, Site, drive

NOON = 1_795_518_000.0  # 2026-11-24 12:00 in Amsterdam
TOKEN = "AD2D42B854E2809D19A89EC3D56A6F57"
ALL = ("Profit_Debtor", "Profit_OrgPer", "KnSalesRelationOrg", "KnOrganisation")


def metainfo(*ids, **info):
    told = {"updateConnectors": [], "getConnectors": [{"id": name} for name in ids], "info": info}
    return Response(200, {}, json.dumps(told).encode())


def status(reply, **settings):
    made = Settings(**({"member": "12345", "token": TOKEN} | settings))
    return drive(system.status(Site(connection="x", settings=made, facts={}, as_of=NOON)), lambda call: reply)


@pytest.fixture
def world():
    """(site, answer) of a sandbox."""
    host = build(companies=12, names=["afas"])
    told = host.sandboxes["afas"].contract("http://localhost/afas")
    settings = Settings(base_url=told["base_url"], token=told["token"])

    def answer(call):
        return host.handle(SYSTEM.auth.authorize(settings, SYSTEM.auth.tokens_from(settings), call.request))

    return Site(connection="profit", settings=settings, facts={}, as_of=host.clock.now()), answer


# --- status -----------------------------------------------------------------------------------------------------------


def test_a_login_tells_its_environment_its_connectors_and_when_it_ends(world):
    found = drive(system.status(world[0]), world[1])
    assert found.environment == "O12345AA"
    assert (found.expires_on, found.missing) == ("2027-05-01", ())
    assert found.days_left > 100
    assert "Profit_Debtor" in found.get_connectors
    assert drive(SYSTEM.accounts(world[0]), world[1])[0][0] == "O12345AA"


def test_connectors_that_are_missing_are_named():
    found = status(metainfo("profit_debtor", "KnSalesRelationOrg", envid="O12345AA"))
    assert found.missing == ("Profit_OrgPer", "KnOrganisation")
    assert {problem.field for problem in found.problems if problem.code == "connector_missing"} == set(found.missing)


@pytest.mark.parametrize(
    ("shown", "expires_on"),
    [
        ("0", "2027-05-01"),
        (None, "2027-05-01"),
        ("20270101", "2027-01-01"),
        ("2027-01-01T00:00:00Z", "2027-01-01"),
        ("1798761600", "2027-01-01"),
        ("ooit", "2027-05-01"),
    ],
)
def test_a_classic_token_ends_when_it_says_and_else_when_all_of_them_do(shown, expires_on):
    assert status(metainfo(*ALL, tokenExpiry=shown)).expires_on == expires_on


def test_an_end_that_is_near_is_another_problem_than_one_that_is_far():
    assert [p.code for p in status(metainfo(*ALL, tokenExpiry="20261231")).problems] == ["token_ends"]
    assert [p.code for p in status(metainfo(*ALL)).problems] == ["token_ends_later"]


def test_an_oauth_login_has_no_end_of_its_own():
    found = status(metainfo(*ALL, tokenExpiry="0"), token="", client_id="a", client_secret="b")
    assert (found.expires_on, found.days_left, found.problems) == (None, None, ())


def test_a_login_of_another_environment_is_told():
    codes = [p.code for p in status(metainfo(*ALL, envid="T12345AA"), environment="production").problems]
    assert "wrong_environment" in codes
    assert "wrong_environment" not in [
        p.code for p in status(metainfo(*ALL, envid="T12345AA"), environment="test").problems
    ]


def test_a_status_that_cannot_be_read_is_asked_again():
    with pytest.raises(RetryLater):
        status(Response(200, {}, b"["))


# --- fields -----------------------------------------------------------------------------------------------------------


def test_an_environment_tells_which_own_fields_it_has_and_its_free_ones(world):
    found = {field.path: field for field in drive(SYSTEM.metadata(world[0]), world[1])}
    assert found["PaCd"].writable == "always"
    assert found["PaCd"].readable
    assert found["BcCo"].writable == "never"
    assert found["KnOrganisation/BrNr"].writable == "update"
    assert {field.path for field in found.values() if not field.own} == {
        field.path for field in fields.CANONICAL if field.writable != "never"
    }, "what was described, canonical or not"
    canonical = {name for field in fields.CANONICAL for name in field.vendor}
    assert not canonical & found.keys(), "what has a path of ours is not offered twice"
    assert not {"MatchOga", "BSN", "KnOrganisation/SoSe", "Iban"} & found.keys()


def test_our_table_stands_in_for_a_description_that_cannot_be_had(world):
    found = drive(SYSTEM.metadata(world[0]), lambda call: Response(500, {}, b'{"externalMessage":"x"}'))
    assert {field.path for field in found} == {field.path for field in fields.OWN}


def test_free_fields_come_from_both_descriptions():
    free = "U5F08630D77AB483DA576C513B14FE7C6"
    written = {
        "fields": [
            {"fieldId": free, "label": "Klantgroep", "dataType": "string", "length": 20, "values": [{"id": "01"}]}
        ],
        "objects": [{"name": "KnOrganisation", "fields": [{"fieldId": free, "label": "Bron", "dataType": "boolean"}]}],
    }
    shown = {"fields": [{"id": "Klantgroep", "label": "Klantgroep", "dataType": "string"}, {"id": "DebtorId"}]}

    def answer(call):
        name = call.request.url.rsplit("/", 1)[1]
        told = {"KnSalesRelationOrg": written, "Profit_Debtor": shown, "KnOrganisation": {"fields": []}}[name]
        return Response(200, {}, json.dumps(told).encode())

    made = Settings(member="12345", token=TOKEN)
    found = {
        f.path: f for f in drive(SYSTEM.metadata(Site(connection="x", settings=made, facts={}, as_of=NOON)), answer)
    }
    assert (found[free].kind, found[free].values, found[free].max_length) == ("code", ("01",), 20)
    assert found[free].note == "Klantgroep"
    assert found[f"KnOrganisation/{free}"].kind == "bool"
    assert found["Klantgroep"].writable == "never"
    assert found["PaCd"].writable == "never", "what this environment does not describe is not written"
    assert "no PaCd" in found["PaCd"].note


# --- a debtor as a company --------------------------------------------------------------------------------------------


def test_a_debtor_is_read_as_a_company_with_its_organisations_number(profit):
    row = profit.debtor(100, ChOfCommNr="1234567", VatNr="NL800000006B01", Blocked="1", PayCon="14", CreditLimit=1000.0)
    site = profit.site(own=("PaCd", "Krli", "KnOrganisation/ViLe"))
    decoded = SYSTEM.resource("debtors").decode(site, Item("100", row))
    company = decoded.record.entity
    assert (company.kvk, company.vat_number, company.blocked, company.code) == (
        "01234567",
        "NL800000006B01",
        True,
        "100",
    )
    assert decoded.record.own == {"PaCd": "14", "Krli": "1000", "BcCo": "7100"}
    assert [problem.code for problem in decoded.problems] == ["number_mended"]


def test_numbers_that_are_none_are_named_without_being_shown(profit):
    row = profit.debtor(100, ChOfCommNr="onbekend", VatNr="NL111111111B99")
    decoded = SYSTEM.resource("debtors").decode(profit.site(), Item("100", row))
    assert (decoded.record.entity.kvk, decoded.record.entity.vat_number) == (None, None)
    assert {problem.field for problem in decoded.problems} == {"ChOfCommNr", "VatNr"}


# --- what is shipped ----------------------------------------------------------------------------------------------------

PACKAGE = files("koppel.systems.afas")


def test_the_facts_say_what_the_code_does():
    facts = tomllib.loads((PACKAGE / "facts.toml").read_text("utf-8"))
    assert facts["limits"]["parallel"] == wire.PARALLEL == resources.CAN.parallel
    assert facts["limits"]["query_characters"] == filters.QUERY_ROOM
    assert facts["limits"]["cells"] == resources.CELLS
    assert facts["pages"]["rows"] == resources.PAGE
    assert facts["delta"]["margin_seconds"] == resources.MARGIN.total_seconds()
    assert facts["writes"]["settles_after_seconds"] == resources.CAN.settles_after
    assert set(facts["writes"]["apart"]["fields"]) == fields.APART
    assert facts["sign_in"]["classic"]["ends"] == system.CLASSIC_ENDS
    for environment in ENVIRONMENTS:
        made = Settings(member="12345", environment=environment, token=TOKEN)
        assert base(made) == facts["environments"][environment].format(member="12345")


def test_the_ready_made_flow_can_be_read_and_writes_only_what_can_be_written():
    flow, problems = read_flow((PACKAGE / "flows" / "kvk-afas.toml").read_text("utf-8"), file="kvk-afas.toml")
    assert not problems
    assert str(flow.right).endswith(":debtors")
    for rule in flow.fields:
        field = resources.CAN.field(rule.path)
        assert field, rule.path
        assert field.writable in {"always", rule.when}
