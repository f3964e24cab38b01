"""A branch is looked up by its own number and is a record of its own."""

from __future__ import annotations

import msgspec
import pytest

from koppel.systems.kvk import SYSTEM
from koppel.systems.kvk.settings import Settings
from koppel.systems.spi import Absent, Found, Response, Site, Unknown, drive

SITE = Site(connection="register", settings=Settings(apikey="made-up-key-1"), facts={}, as_of=1_700_000_000.0)
COMPANIES = SYSTEM.resource("companies")
BRANCH = {
    "vestigingsnummer": "000012345678",
    "kvkNummer": "01234567",
    "rsin": "800000006",
    "eersteHandelsnaam": "De Korenaar Zuid",
    "statutaireNaam": "Bakkerij De Korenaar B.V.",
    "materieleRegistratie": {"datumAanvang": "20190501"},
    "adressen": [
        {"type": "bezoekadres", "straatnaam": "Kade", "huisnummer": 3, "postcode": "3451BJ", "plaats": "Vleuten"}
    ],
}


def ask(kind, value, status=200, body=BRANCH):
    asked = []

    def answer(call):
        asked.append(call)
        return Response(status, {}, msgspec.json.encode(body))

    return drive(COMPANIES.find(SITE, kind, (value,)), answer)[value], asked


def fout(code):
    return {"fout": [{"code": code, "omschrijving": "tekst"}]}


def test_the_branchs_address_becomes_the_visit_address():
    finding, (call,) = ask("branch", "000012345678")
    assert call.kind == "vestigingsprofiel"
    (item,) = finding.items
    company = COMPANIES.decode(SITE, item).record.entity
    assert item.native == "01234567/000012345678"
    assert (company.kvk, company.branch, company.rsin) == ("01234567", "000012345678", "800000006")
    assert (company.name, company.trade_name) == ("Bakkerij De Korenaar B.V.", "De Korenaar Zuid")
    assert (company.address.street, company.address.number) == ("Kade", "3")
    assert (company.is_active, company.started_on, company.personal) == (True, "2019-05-01", False)


def test_a_persons_branch_shows_no_rsin_and_is_personal():
    finding, _ = ask("branch", "000012345678", body={**BRANCH, "statutaireNaam": None})
    (item,) = finding.items
    company = COMPANIES.decode(SITE, item).record.entity
    assert "800000006" not in repr((item, company))
    assert (company.personal, company.name) == (True, "De Korenaar Zuid")


def test_a_closed_branch_is_not_active():
    body = BRANCH | {"materieleRegistratie": {"datumAanvang": "20190501", "datumEinde": "20260101"}}
    finding, _ = ask("branch", "000012345678", body=body)
    company = COMPANIES.decode(SITE, finding.items[0]).record.entity
    assert (company.is_active, company.ended_on) == (False, "2026-01-01")


def test_a_branch_is_found_again_by_its_own_id_unless_it_moved():
    finding, (call,) = ask("native", "01234567/000012345678")
    assert isinstance(finding, Found)
    assert call.request.url.endswith("/vestigingsprofielen/000012345678")
    finding, _ = ask("native", "76543210/000012345678")
    assert isinstance(finding, Absent)
    assert "01234567" in finding.problem.text


@pytest.mark.parametrize(("status", "code"), [(404, "IPD0007"), (400, "IPD0006"), (404, "IPD5200")])
def test_a_branch_kvk_does_not_know_is_absent(status, code):
    assert isinstance(ask("branch", "000012345678", status, fout(code))[0], Absent)


@pytest.mark.parametrize(("status", "code"), [(404, "IPD1002"), (404, "IPD1003"), (404, "IPD0001"), (400, "IPD1999")])
def test_other_refusals_are_no_absence(status, code):
    assert isinstance(ask("branch", "000012345678", status, fout(code))[0], Unknown)


def test_an_answer_about_another_branch_is_none():
    for body in (BRANCH | {"vestigingsnummer": "000099999999"}, BRANCH | {"kvkNummer": None}):
        assert isinstance(ask("branch", "000012345678", body=body)[0], Unknown)


def test_a_number_that_is_none_costs_no_call():
    for kind, value in (("branch", "12"), ("native", "01234567/12"), ("native", "12/000012345678")):
        finding, asked = ask(kind, value)
        assert isinstance(finding, Absent)
        assert asked == []
