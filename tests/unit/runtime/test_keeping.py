"""Sign-ins that nobody uses, over virtual weeks: kept alive by one call of one worker, counted down, and told of once when dead."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from koppel.app import sign_ins
from koppel.app.working import Worked, work_on
from koppel.model.problem import SignInNeeded
from koppel.store import secrets
from koppel.testing.stand import BOOKS, DEBTORS, REGISTER, stand

DAY = 86_400.0
TOKEN = "oauth2/token"


@pytest.fixture
def at(tmp_path):
    with stand(tmp_path / "books", seed=0, companies=6) as made:
        made.workspace.flows = {}
        yield made


def refreshes(at):
    return at.host.count("exact", "POST", TOKEN)


def worked(at, workspace=None):
    """What a worker logs that looks in now; no flow has a schedule here."""
    log: list[Worked] = []
    work_on(workspace or at.workspace, threading.Event(), tell=log.append, once=True)
    return [one for one in log if not one.flow]


def test_a_sign_in_lives_through_31_quiet_days_with_a_call_a_week(at):
    at.host.reset_calls()
    log = []
    for _ in range(31):
        at.wait(DAY)
        log += worked(at)
    assert [one.state for one in log] == ["kept alive"] * 4
    assert BOOKS in log[0].why
    assert refreshes(at) == 4
    assert at.workspace.check_connection(BOOKS).accounts


def test_without_anybody_working_it_is_dead_after_31_days(at):
    at.wait(31 * DAY)
    with pytest.raises(SignInNeeded):
        at.workspace.check_connection(BOOKS)


def test_many_workers_keep_it_alive_with_one_call(at):
    at.wait(8 * DAY)
    at.host.reset_calls()
    workers = [at.reopen() for _ in range(5)]
    try:
        with ThreadPoolExecutor(5) as pool:
            found = list(pool.map(sign_ins.keep_alive, workers))
    finally:
        for worker in workers:
            worker.close()
    assert refreshes(at) == 1
    assert {kept.state for kept in sum(found, ())} == {"kept"}


def test_any_run_keeps_alive_what_other_flows_use_once_a_day(tmp_path):
    with stand(tmp_path / "books", seed=0, companies=6, afas=True) as at:
        at.wait(8 * DAY)
        at.host.reset_calls()
        at.workspace.sync("kvk-afas")
        at.workspace.sync("kvk-afas")
        assert refreshes(at) == 1


def test_a_dead_sign_in_is_told_once_with_its_link_and_the_others_carry_on(tmp_path):
    heard = tmp_path / "heard"
    with stand(tmp_path / "books", seed=0, companies=6, afas=True) as at:
        at.workspace.config = msgspec.structs.replace(at.workspace.config, on_alert=f"sh -c 'cat >> {heard}'")
        at.wait(31 * DAY)
        (told,) = worked(at)
        assert told.state == "failed to begin"
        assert f"koppel connect {BOOKS}" in told.error
        assert "/exact/api/oauth2/auth?client_id=" in told.error
        at.wait(DAY)
        assert worked(at) == []
        alert = msgspec.json.decode(heard.read_bytes())
        assert alert["kind"] == "sign_in"
        assert "/api/oauth2/auth?" in alert["remedy"]
        assert at.workspace.sync("kvk-afas").state == "done"
        assert at.workspace.check_connection(DEBTORS)
        assert at.workspace.check_connection(REGISTER)


def test_a_second_division_of_one_login_needs_no_new_sign_in(at):
    settings = dict(at.workspace.config.connections[BOOKS].settings)
    other = next(int(number) for number, _ in at.workspace.accounts(BOOKS) if int(number) != at.division)
    secret = at.workspace.store.run(secrets.get, f"settings {BOOKS}")[0]
    at.workspace.connect("books-two", system="exact", settings={**settings, **secret, "division": other})
    at.host.reset_calls()
    assert at.workspace.signed_in("books-two")
    assert str(other) in dict(at.workspace.check_connection("books-two").accounts)
    assert refreshes(at) == 0
    at.wait(601)
    for name in (BOOKS, "books-two"):
        at.workspace.check_connection(name)
    assert refreshes(at) == 1
    at.wait(8 * DAY)
    (kept,) = sign_ins.keep_alive(at.workspace)
    assert kept.connections == tuple(sorted((BOOKS, "books-two")))
    assert refreshes(at) == 2


@pytest.mark.parametrize(
    ("idle", "level", "left"), [(1, "ok", "28 days"), (22, "ok", "7 days"), (24, "attention", "5 days")]
)
def test_the_days_that_are_left_are_counted_and_short_of_seven_somebody_must_act(at, idle, level, left):
    at.wait(idle * DAY + 3600)
    remark = sign_ins.standing(at.workspace, BOOKS)
    assert (remark.level, left in remark.text) == (level, True)
    assert ("koppel work" in remark.remedy) == (level == "attention")
    assert sign_ins.standing(at.workspace, REGISTER) is None
