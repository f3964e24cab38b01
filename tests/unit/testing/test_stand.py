"""A workspace on sandboxes is what a customer has after set-up, and both sides of its wire can be looked at."""

from __future__ import annotations

import pytest

from koppel.model.problem import UsageError
from koppel.testing.stand import BOOKS, FLOW, REGISTER, stand


@pytest.fixture(scope="module")
def at():
    with stand(companies=12, seed=4) as made:
        yield made


def test_it_is_set_up_as_a_customer_would(at):
    assert set(at.workspace.config.connections) == {REGISTER, BOOKS}
    assert at.workspace.flow(FLOW).right.connection == BOOKS
    assert not [problem for problem in at.workspace.check() if problem.severity == "error"]
    assert (
        at.division == at.host.state("exact")["divisions"][0] if "divisions" in at.host.state("exact") else at.division
    )
    assert at.base_url in (at.folder / "koppel.toml").read_text()


def test_no_secret_stands_in_its_file(at):
    text = (at.folder / "koppel.toml").read_text()
    assert "client_id" in text
    for secret in ("client_secret", "apikey", "sandbox-kvk"):
        assert secret not in text


def test_calls_and_writes_are_counted_at_the_vendors(at):
    calls, writes = at.calls(), at.writes()
    added = at.workspace.add(["0010 0104"], to=BOOKS)
    assert added.result.counts["create"] == 1
    assert at.writes() == writes + 1
    assert at.calls()["kvk"] == calls["kvk"] + 1
    assert at.calls()["exact"] > calls["exact"]
    assert at.account("00100104")["ChamberOfCommerce"] == "00100104"
    assert at.duplicates() == 0


def test_its_clock_follows_the_sandbox(at):
    at.kvk("unavailable", kvk=at.host.world.companies[1].kvk, seconds=600)
    at.workspace.add([at.host.world.companies[1].kvk], to=BOOKS)
    (item,) = at.workspace.parked()
    assert item.next_at == pytest.approx(at.host.clock.now() + 600, abs=60)


def test_a_fault_reaches_the_workspace(at):
    at.fault(system="exact", kind="status", status=503, headers={"Retry-After": "30"})
    began = at.host.clock.now()
    assert at.workspace.sync(FLOW).state == "done"
    assert at.host.clock.now() >= began + 30


def test_nobody_is_found_by_a_number_the_books_do_not_hold(at):
    with pytest.raises(LookupError):
        at.account("49999999")


def test_it_opens_again_as_another_process_would(at):
    with at.reopen() as other:
        assert [run.flow for run in other.runs(limit=1)] == [FLOW]


def test_a_kept_folder_stays_and_is_not_overwritten(tmp_path):
    kept = tmp_path / "kept"
    with stand(kept, companies=2):
        pass
    assert (kept / "koppel.toml").exists()
    with pytest.raises(UsageError), stand(kept, companies=2):
        pass
