"""A token withdrawn in the middle of a run: the next one takes over, nobody is alerted and nothing is written twice."""

from __future__ import annotations

import pytest

from koppel.model.problem import SignInNeeded
from koppel.sandbox.host import contract
from koppel.testing.stand import AFAS_FLOW, DEBTORS, stand


@pytest.fixture
def at(tmp_path):
    with stand(tmp_path / "books", seed=0, companies=16, afas=True) as made:
        old = contract(made.host, made.base_url)["systems"]["afas"]["token"]
        new = made.afas("token")["token"]
        made.workspace.connect(DEBTORS, settings={"client_id": "", "client_secret": "", "token": old})
        made.workspace.connect(DEBTORS, settings={"token_next": new})
        living = [company.kvk for company in made.host.world.companies if company.ended_on is None]
        made.workspace.take(living, to=AFAS_FLOW)
        yield made, old, new


def withdraw_at(made, point, *tokens):
    left = list(tokens)

    async def passed(name):
        while left and name == point:
            made.afas("revoke", token=left.pop())

    made.workspace.point = passed


def test_the_run_goes_on_with_the_next_token(at):
    made, old, _ = at
    said, alerts = [], []
    made.workspace.tell = said.append
    made.workspace._alert = lambda *a, **k: alerts.append(a)
    withdraw_at(made, "before send write", old)
    assert made.workspace.sync(AFAS_FLOW).state == "done"
    assert made.writes("afas") > 0
    assert made.duplicates() == 0
    assert sum("the next one is used" in text for text in said) == 1
    assert alerts == []
    assert made.workspace.plan(AFAS_FLOW).steps == ()


def test_without_a_living_token_a_person_is_needed_and_the_run_carries_on_later(at):
    made, old, new = at
    withdraw_at(made, "before send write", old, new)
    with pytest.raises(SignInNeeded):
        made.workspace.sync(AFAS_FLOW)
    made.workspace.connect(DEBTORS, settings={"token": made.afas("token")["token"], "token_next": ""})
    assert made.workspace.sync(AFAS_FLOW).state == "done"
    assert made.writes("afas") > 0
    assert made.duplicates() == 0
