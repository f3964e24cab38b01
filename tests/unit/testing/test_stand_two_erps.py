"""Two ERPs beside one register: flows that run together ask it once, and it says itself what changed."""

from __future__ import annotations

import pytest

from koppel.testing.stand import AFAS_FLOW, BOOKS, DEBTORS, FLOW, REGISTER, stand

FLOWS = (FLOW, AFAS_FLOW)
UNKNOWN, SUCCESSOR = "49999990", "49999980"


@pytest.fixture
def at():
    with stand(companies=14, seed=4, afas=True, signals=True) as made:
        yield made


def take(at, *numbers):
    for flow in FLOWS:
        at.workspace.take(numbers, to=flow)


def sync(at):
    with at.workspace.together():
        return [at.workspace.sync(flow) for flow in FLOWS]


def refusals(result):
    return {p.step.left: p.step.problem.text for p in result.plan.steps if p.step.kind == "refuse"}


def profiles(at):
    return at.host.count("kvk", path="basisprofielen")


def test_it_is_set_up_as_a_customer_would(at):
    assert set(at.workspace.config.connections) == {REGISTER, BOOKS, DEBTORS}
    assert [at.workspace.flow(flow).right.connection for flow in FLOWS] == [BOOKS, DEBTORS]
    assert not [problem for problem in at.workspace.check() if problem.severity == "error"]
    assert at.erps == ("exact", "afas")


def test_no_secret_stands_in_its_file(at):
    text = (at.folder / "koppel.toml").read_text()
    secret = at.workspace.connection(DEBTORS).settings.client_secret
    assert secret
    assert secret not in text


def test_one_look_up_serves_both_and_each_writes_its_own(at):
    take(at, "00100104")
    assert [result.counts["create"] for result in sync(at)] == [1, 1]
    assert profiles(at) == 1
    assert at.account("00100104")["ChamberOfCommerce"] == at.debtor("00100104")["CcNr"] == "00100104"
    assert (at.writes(), at.writes("exact"), at.writes("afas")) == (2, 1, 1)
    assert at.duplicates() == 0


def test_a_register_that_is_busy_is_asked_once_and_what_it_said_is_told_to_both(at):
    at.kvk("unavailable", kvk="00100104", seconds=600)
    take(at, "00100104")
    assert [result.counts["park"] for result in sync(at)] == [1, 1]
    assert profiles(at) == 1
    assert {item.body["problem"]["code"] for item in at.workspace.parked()} == {"being_processed"}
    at.wait(601)
    assert [result.counts["create"] for result in sync(at)] == [1, 1]
    assert profiles(at) == 2


def test_why_a_number_is_refused_is_known_to_the_flow_that_did_not_ask_and_at_the_next_run(at):
    take(at, UNKNOWN)
    first, second = (refusals(result)[UNKNOWN] for result in sync(at))
    assert profiles(at) == 1
    assert "check the number" in first
    assert second == first
    take(at, UNKNOWN)
    assert [refusals(result)[UNKNOWN] for result in sync(at)] == [first, first]


def test_only_what_the_register_says_has_changed_is_looked_up(at):
    company, other = at.host.world.companies[0], at.host.world.companies[11]
    take(at, company.kvk, other.kvk)
    sync(at)
    before, writes = profiles(at), at.writes()
    at.kvk("edit", kvk=company.kvk, set={"street": "Nieuwe Markt", "number": 7, "letter": None, "addition": None})
    at.wait(60)
    assert [result.counts["update"] for result in sync(at)] == [1, 1]
    assert profiles(at) == before + 1
    assert at.writes() == writes + 2
    assert at.account(company.kvk)["AddressLine1"] == "Nieuwe Markt 7"


@pytest.mark.parametrize("signals", [True, False])
def test_a_successor_the_register_names_is_no_mere_proposal(signals):
    with stand(companies=12, seed=4, signals=signals) as at:
        at.workspace.add(["00100104"], to=BOOKS)
        at.kvk("end", kvk="00100104", successor=SUCCESSOR)
        at.wait(60)
        at.workspace.sync(FLOW, refresh=not signals)
        (item,) = at.workspace.asks()
    said = f"names {SUCCESSOR} as its successor" if signals else f"names {SUCCESSOR} as a possible successor"
    assert said in item.body["text"] + str(item.body.get("problem"))
