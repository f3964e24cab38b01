"""`numbers`: findings and records made of answers."""

from __future__ import annotations

import json

import pytest

from koppel.model.problem import UsageError
from koppel.systems.spi import Absent, Found, Item, NoReply, Response, Site, Unknown, drive
from koppel.systems.vies import wire
from koppel.systems.vies.codec import decode_answer
from koppel.systems.vies.resources import SYSTEM, find
from koppel.systems.vies.settings import Settings

NOW = 1_800_000_000.0
SITE = Site(connection="vies", settings=Settings(), facts={}, as_of=NOW)
YES = {"isValid": True, "userError": "VALID", "name": "VOORBEELD  B.V.", "address": "\nDORP 1\n1234AB DORP\n"}
NO = {"isValid": False, "userError": "INVALID", "name": "---", "address": "---"}


def ask(reply, *values):
    asked = []

    def answer(call):
        asked.append(call)
        return reply if isinstance(reply, NoReply) else Response(200, {}, json.dumps(reply).encode())

    return drive(find(SITE, "native", values), answer), asked


def test_one_number_in_two_spellings_is_asked_once():
    findings, asked = ask(YES, "NL800000006B01", "nl 8000.00.006 b01")
    assert len(asked) == 1
    assert {finding.items[0].native for finding in findings.values()} == {"NL800000006B01"}


def test_what_cannot_be_asked_costs_no_call():
    findings, asked = ask(YES, "GB123456789", "nonsense")
    assert asked == []
    assert {type(finding) for finding in findings.values()} == {Absent}


def test_a_yes_becomes_a_confirmed_number_with_its_proof():
    (item,) = ask(YES | {"requestIdentifier": "WAPI-1"}, "NL800000006B01")[0]["NL800000006B01"].items
    record = decode_answer(item).record
    assert (record.entity.vat_number, record.entity.vat_state) == ("NL800000006B01", "confirmed")
    assert record.entity.vat_candidate is None
    assert record.own == {"requestIdentifier": "WAPI-1", "name": "VOORBEELD B.V.", "address": "DORP 1\n1234AB DORP"}


def test_a_no_becomes_an_invalid_candidate_and_no_number():
    finding = ask(NO, "NL800000006B01")[0]["NL800000006B01"]
    assert isinstance(finding, Found)
    record = decode_answer(finding.items[0]).record
    assert (record.entity.vat_number, record.entity.vat_candidate) == (None, "NL800000006B01")
    assert (record.entity.vat_state, record.own) == ("invalid", {})


@pytest.mark.parametrize("code", [*wire.WAITS, "SOMETHING_NEW", ""])
def test_no_verdict_is_unknown_until_a_time(code):
    finding = ask({"isValid": False, "userError": code}, "NL800000006B01")[0]["NL800000006B01"]
    assert isinstance(finding, Unknown)
    assert finding.problem.retry_at == NOW + wire.WAITS.get(code, wire.USUAL_WAIT)


def test_silence_is_unknown():
    finding = ask(NoReply("cut"), "NL800000006B01")[0]["NL800000006B01"]
    assert isinstance(finding, Unknown)
    assert finding.problem.retry_at > NOW


def test_no_problem_repeats_what_vies_tells_of_a_firm():
    body = {"isValid": False, "userError": "TIMEOUT", "name": "GEHEIM B.V.", "address": "STILLEWEG 1"}
    finding = ask(body, "NL800000006B01")[0]["NL800000006B01"]
    assert "GEHEIM" not in repr(finding)
    assert "STILLEWEG" not in repr(finding)


def test_a_sole_traders_number_is_personal_data():
    record = decode_answer(Item("NL001234567B29", {"valid": True})).record
    assert record.entity.personal
    assert not decode_answer(Item("DE123456789", {"valid": True})).record.entity.personal


def test_only_numbers_can_be_asked():
    with pytest.raises(UsageError):
        drive(find(SITE, "kvk", ("01234567",)), lambda call: NoReply())


def test_the_budget_counts_every_call():
    (budget,) = SYSTEM.budgets
    assert budget.key(wire.check(Settings(), wire.Question("NL", "1")).request)
