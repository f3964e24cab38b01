"""VIES keeps the contract, against its sandbox: a VAT number is confirmed, invalid, or not told about now."""

from __future__ import annotations

import pytest

from koppel.sandbox.host import build
from koppel.systems.spi import Found, Unknown
from koppel.systems.vies import SYSTEM
from koppel.systems.vies.settings import Settings
from koppel.testing.bench import Bench, RefusedByVerdict
from koppel.testing.contract import Contract


def bench(**settings):
    host = build(companies=25, names=["vies"])
    told = host.sandboxes["vies"].contract("http://localhost/vies")
    numbers = tuple(company.vat for company in host.world.companies if company.vat)[:8]
    names = tuple(company.name for company in host.world.companies)  # no secret, but nobody's business in a log
    return Bench(
        system=SYSTEM,
        resource_name="numbers",
        host=host,
        settings=Settings(base_url=told["base_url"], **settings),
        secrets=names,
        present={"native": numbers},
        absent={"native": ("GB123456789", "NL", "12")},
    )


class TestNumbers(Contract):
    def make(self):
        return bench()


def record(made, number):
    finding = made.find("native", number)[number]
    assert isinstance(finding, Found), finding
    return made.record(finding.items[0])


def test_a_number_in_use_is_confirmed_and_the_proof_is_kept():
    made = bench(requester="NL800000006B01")
    number = made.present["native"][0]
    told = record(made, number)
    assert (told.entity.vat_number, told.entity.vat_candidate, told.entity.vat_state) == (number, None, "confirmed")
    (kept,) = made.host.control("vies", "consultations", {})["consultations"]
    assert told.own["requestIdentifier"] == kept["requestIdentifier"]
    assert told.own["requestDate"]
    assert told.own["name"]


def test_a_number_nobody_has_is_an_invalid_candidate():
    told = record(bench(), "NL800000018B01").entity
    assert (told.vat_number, told.vat_candidate, told.vat_state) == (None, "NL800000018B01", "invalid")


def test_whoever_does_not_say_who_asks_gets_no_consultation_number():
    made = bench()
    assert "requestIdentifier" not in record(made, made.present["native"][0]).own


@pytest.mark.parametrize("number", ["201", "300", "301", "302", "400", "401", "500", "501", "600", "601"])
def test_no_error_of_the_service_is_an_answer_and_each_says_when_to_ask_again(number):
    made = bench()
    finding = made.find("native", f"NL{number}")[f"NL{number}"]
    assert isinstance(finding, Unknown)
    assert finding.problem.retry_at > made.host.clock.now()
    assert finding.problem.vendor_code


def test_a_refused_requester_is_for_a_person_to_mend():
    with pytest.raises(RefusedByVerdict) as caught:
        bench().find("native", "NL202")
    assert caught.value.verdict.kind == "setup"
    assert "requester" in caught.value.verdict.problem.text


def test_withheld_names_and_addresses_are_not_kept():
    made = bench()
    made.host.control("vies", "settings", {"details": False})
    assert set(record(made, made.present["native"][0]).own) == {"requestDate"}
