"""A debtor made of an organisation that Profit had already: what stood there before is kept, also when the reply is lost (law 3)."""

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
