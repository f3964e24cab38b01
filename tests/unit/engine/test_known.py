"""Before a run writes, it knows which fields the account takes: one that is not there parks its record, without a call."""

from __future__ import annotations

import pytest

from koppel.engine.known import HOLDS, _lacks
from koppel.engine.plan import Planned
from koppel.sync.steps import Step
from koppel.systems.afas import SYSTEM
from koppel.systems.spi import Operation
from koppel.testing.stand import AFAS_FLOW, DEBTORS, stand


@pytest.fixture
def at(tmp_path):
    with stand(tmp_path / "books", seed=0, companies=16, afas=True) as made:
        living = [company.kvk for company in made.host.world.companies if company.ended_on is None]
        made.workspace.take(living, to=AFAS_FLOW)
        yield made


def asked(made):
    return made.host.count("afas", "GET", "metainfo")


def refused(made):
    return made.afas("writes")["refused"]


def test_what_the_account_takes_is_asked_once_a_day_and_only_before_a_write(at):
    at.workspace.plan(AFAS_FLOW)
    assert asked(at) == 0
    assert at.workspace.sync(AFAS_FLOW).state == "done"
    first = asked(at)
    assert 0 < first <= 3
    at.workspace.sync(AFAS_FLOW, refresh=True)
    assert asked(at) == first, "nothing to write"
    company = next(c for c in at.host.world.companies if c.ended_on is None and at.debtors(c.kvk))
    for wait, calls in ((0, 0), (HOLDS + 1, first)):
        at.wait(wait)
        before, writes = asked(at), at.writes("afas")
        at.afas("edit", kvk=company.kvk, set={"Nm": f"Verkeerd {wait:.0f}"})
        at.workspace.sync(AFAS_FLOW)
        assert at.writes("afas") > writes
        assert asked(at) - before == calls


def test_a_field_that_is_not_there_parks_its_records_and_costs_no_refused_call(at):
    at.afas("settings", drop_field={"KnSalesRelationOrg": ["CuId"]})
    result = at.workspace.sync(AFAS_FLOW)
    assert refused(at) == 0
    parked = [item for item in at.workspace.parked() if item.code == "field_missing"]
    assert parked
    assert all("has no CuId; add it in Profit" in item.body["text"] for item in parked)
    assert result.counts["update"] > 0, "what does not need the field is written"
    assert at.workspace.audit_verify() is None
    at.afas("settings", drop_field={"KnSalesRelationOrg": []})
    at.workspace.retry()
    at.workspace.sync(AFAS_FLOW)
    assert [item for item in at.workspace.parked() if item.code == "field_missing"] == [], "it was asked again"
    assert at.duplicates() == 0


def write(field):
    operation = Operation("op", "update", "debtors", "10001", {})
    return Planned(Step("update", "right", "L", "R", values={f"right:{field}": "x"}), "id", (operation,))


@pytest.mark.parametrize(
    ("field", "known", "lacks"),
    [
        ("PaCd", {"PaCd": ""}, False),
        ("PaCd", {"PaCd": "no"}, True),
        ("PaCd", {"name": ""}, True),
        ("U0ADAEF064E146F33F155E69216E67DA2", {"name": ""}, True),
        ("U0ADAEF064E146F33F155E69216E67DA2", {}, False),
        ("name", {"PaCd": ""}, False),
        ("address.city", {"PaCd": ""}, False),
    ],
)
def test_a_field_is_lacking_when_the_account_told_so_and_never_by_silence(field, known, lacks):
    found = dict(_lacks("profit", SYSTEM.resource("debtors").can, known, [write(field)]))
    assert (set(found) == {"op"}) == lacks
    assert not lacks or found["op"].field == field


def test_where_the_account_cannot_be_asked_the_write_says_what_is_wrong(at):
    at.fault(system="afas", method="GET", path="metainfo", kind="status", status=500, times=100, body={})
    assert at.workspace.sync(AFAS_FLOW).state == "done"
    assert at.writes("afas") > 0
    at.host.clear_faults()
    before = asked(at)
    company = next(c for c in at.host.world.companies if c.ended_on is None and at.debtors(c.kvk))
    at.afas("edit", kvk=company.kvk, set={"Nm": "Verkeerd"})
    at.workspace.sync(AFAS_FLOW)
    assert asked(at) > before, "an answer that described nothing is not kept"


def test_what_one_environment_told_is_not_believed_of_another(at):
    at.workspace.sync(AFAS_FLOW)
    first = asked(at)
    token = at.afas("token")["token"]
    at.workspace.connect(DEBTORS, settings={"client_id": "", "client_secret": "", "token": token})
    company = next(c for c in at.host.world.companies if c.ended_on is None and at.debtors(c.kvk))
    at.afas("edit", kvk=company.kvk, set={"Nm": "Verkeerd"})
    at.workspace.sync(AFAS_FLOW)
    assert asked(at) > first
