"""A debtor made of an organisation that Profit had already: the plan shows what it writes over and binds to it (law 1), and what
stood there is kept, also when the reply is lost (law 3)."""

from __future__ import annotations

import json

import pytest

from koppel.sandbox.host import Fault
from koppel.testing.stand import AFAS_FLOW, DEBTORS, stand

pytestmark = pytest.mark.slow
OLD = {"Nm": "Zoals het vroeger heette", "Ad": "Oude Kade", "HmNr": 9, "ZpCd": "1034 WL", "Rs": "Amsterdam"}


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "the reply is lost"])
def test_what_an_organisation_showed_before_its_debtor_was_made_stands_in_the_trail(lost):
    with stand(afas=True) as office:
        company = next(
            one for one in office.host.world.companies if (one.in_erp, one.shape, one.kind) == ("none", "plain", "bv")
        )
        organisation = office.afas(
            "add", organisation_only=True, set=OLD | {"CcNr": company.kvk, "TeNr": "010-1234567"}
        )
        if lost:
            office.host.add_fault(Fault(kind="lose_reply", system="afas", method="POST", path="KnSalesRelationOrg"))
        result = office.workspace.add([company.kvk], to=AFAS_FLOW).result
        if lost:
            assert result.counts["create"] == 0
            office.wait(1_800)
            office.workspace.sync(AFAS_FLOW)
        (debtor,) = office.debtors(company.kvk)
        assert debtor["BcCo"] == organisation["BcCo"], "the organisation was used, not doubled"
        assert debtor["Nm"] != OLD["Nm"]
        (made,) = [entry for entry in office.workspace.log(limit=200) if entry.kind == "created"]
        told = made.data["fields"]
        assert told["name"]["before"] == OLD["Nm"]
        assert told["name"]["after"] == debtor["Nm"]
        assert (told["address"]["before"]["street"], told["address"]["before"]["number"]) == ("Oude Kade", "9")
        assert told["kvk"]["before"] == company.kvk
        assert "010-1234567" not in json.dumps(made.data), "what is not written over is not told"
        assert debtor["TeNr"] == "010-1234567"
        why = office.workspace.why(f"{DEBTORS}:debtors:{debtor['DbId']}", "name")
        assert OLD["Nm"] in str(why)
        assert office.workspace.audit_verify() is None


def a_plan_with_a_take_over(office):
    """A plan of three new debtors, the first of an organisation that Profit has; its KVK numbers, that one first."""
    shapes = [c for c in office.host.world.companies if (c.in_erp, c.shape, c.kind) == ("none", "plain", "bv")]
    numbers = [company.kvk for company in shapes[:3]]
    organisation = office.afas("add", organisation_only=True, set=OLD | {"CcNr": numbers[0]})
    office.workspace.sync(AFAS_FLOW, allow=("first",))  # everything else is settled before calls are counted
    office.workspace.take(numbers, to=AFAS_FLOW)
    office.host.reset_calls()
    return office.workspace.plan(AFAS_FLOW), numbers, organisation


def calls(office, method, connector):
    return office.host.count("afas", method, connector)


def test_the_plan_shows_what_it_takes_over_with_one_call_for_all_its_creates():
    with stand(afas=True) as office:
        plan, numbers, organisation = a_plan_with_a_take_over(office)
        assert calls(office, "GET", "Profit_OrgPer") == 1
        creates = {p.step.values["kvk"]: p.step for p in plan.steps if p.step.kind == "create"}
        assert creates.keys() == {*numbers}
        over = creates[numbers[0]]
        assert over.takes_over == f"organisation {organisation['BcCo']}"
        assert over.before["name"] == OLD["Nm"]
        assert over.before["address"]["street"] == "Oude Kade"
        assert not any(creates[number].takes_over or creates[number].before for number in numbers[1:])
        result = office.workspace.apply(plan)
        assert (result.counts["create"], result.moved) == (3, ())
        assert calls(office, "GET", "Profit_OrgPer") == 1 + 1 + 3, (
            "the plan, its being applied, and each right before it"
        )
        assert calls(office, "POST", "KnSalesRelationOrg") == 3
        assert office.debtor(numbers[0])["BcCo"] == organisation["BcCo"]
        office.host.reset_calls()
        office.workspace.sync(AFAS_FLOW)
        assert calls(office, "GET", "Profit_OrgPer") == 0, "nothing to create, nobody to ask about"


def test_an_organisation_that_was_edited_after_the_plan_is_not_written_over_by_it():
    with stand(afas=True) as office:
        plan, numbers, organisation = a_plan_with_a_take_over(office)
        office.afas("edit", organisation=organisation["BcCo"], set={"Nm": "Dit typte iemand gisteren"})
        result = office.workspace.apply(plan)
        assert [p.step.values["kvk"] for p in result.moved] == [numbers[0]]
        assert result.counts["create"] == 2
        assert office.debtors(numbers[0]) == []
        (shown,) = office.afas("organisations", kvk=numbers[0])["organisations"]
        assert shown["Nm"] == "Dit typte iemand gisteren"
        again = office.workspace.plan(AFAS_FLOW)
        (over,) = [p.step for p in again.steps if p.step.kind == "create"]
        assert over.before["name"] == "Dit typte iemand gisteren"
