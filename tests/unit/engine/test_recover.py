"""Killed at any point, or left without a reply: nothing doubled, nothing lost, nothing guessed."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.store import work

COMPANIES = 10


def world(make_desk: Any) -> Any:
    desk = make_desk(companies=COMPANIES)
    desk.take()
    return desk


def points(make_desk: Any) -> dict[str, int]:
    """Every named point of a whole run, with how often it is passed."""
    desk = world(make_desk)
    desk.points.clear()
    desk.sync()
    return {name: desk.points.count(name) for name in desk.points}


def finished(desk: Any) -> list[Any]:
    """What the books show after two more runs, ids and stamps aside."""
    for _ in range(2):
        assert desk.sync().state == "done"
        desk.later(100.0)
    assert desk.sound()
    shown = [{k: a.get(k) for k in ("Name", "ChamberOfCommerce", "VATNumber", "AddressLine1", "City", "Status")} for a in desk.exact("accounts")["accounts"]]  # fmt: skip
    return sorted(shown, key=repr)


@pytest.fixture(scope="module")
def undisturbed(new_desk: Any) -> Any:
    desk = new_desk(companies=COMPANIES)
    desk.take()
    return finished(desk)


POINTS = [
    "run begun",
    "page received",
    "page stored",
    "look-up received",
    "look-up stored",
    "quiet steps settled",
    "chunk opened",
    "before send write",
    "after send write",
    "chunk answered",
    "last chunk settled",
    "views settled",
    "run ended",
]


def test_the_points_are_all_there_are(make_desk: Any) -> None:
    """A new point must be killed at too."""
    passed = {name for name in points(make_desk) if not name.startswith(("before send ", "after send "))}
    assert passed == {name for name in POINTS if "send" not in name}


@pytest.mark.parametrize("passing", [0, 1, 4])
@pytest.mark.parametrize("point", POINTS)
def test_killed_there_nothing_is_doubled_and_nothing_lost(
    make_desk: Any, undisturbed: list[Any], point: str, passing: int
) -> None:
    desk = world(make_desk)
    if not desk.killed_at(point, passing):
        assert passing > 0, f"the run never came to {point!r}"
        return
    assert finished(desk) == undisturbed


@pytest.mark.parametrize("point", ["probe answered", "probe settled"])
def test_killed_while_recovering(make_desk: Any, undisturbed: list[Any], point: str) -> None:
    desk = world(make_desk)
    assert desk.killed_at("after send write", 1)
    assert desk.killed_at(point)
    assert finished(desk) == undisturbed


def test_killed_again_and_again(make_desk: Any, undisturbed: list[Any]) -> None:
    desk = world(make_desk)
    for point, passing in (("page stored", 0), ("before send write", 1), ("after send write", 0), ("views settled", 0)):
        assert desk.killed_at(point, passing)
    assert finished(desk) == undisturbed


def test_a_create_that_arrived_before_the_kill_is_found_and_linked(make_desk: Any) -> None:
    desk = world(make_desk)
    assert desk.killed_at("after send write")
    made = desk.count("exact", "POST", "crm/Accounts") + desk.count("exact", "PUT")
    assert made == 1
    result = desk.sync()
    assert result.recovered["landed"] + result.recovered["dropped"] >= 1
    assert desk.sound()


# --- lost replies -----------------------------------------------------------------------------------------------------


def lost(desk: Any, kind: str, method: str = "POST", **given: Any) -> None:
    desk.fault(system="exact", method=method, path="crm/Accounts", kind=kind, **given)


def one_new(desk: Any) -> Any:
    company = next(c for c in desk.companies if c.in_erp == "none" and c.shape == "plain")
    desk.take(company.kvk)
    return company


def test_a_lost_reply_of_a_create_is_found_by_probe_within_the_run(desk: Any) -> None:
    company = one_new(desk)
    lost(desk, "lose_reply")
    result = desk.sync()
    assert result.recovered == {"landed": 1, "dropped": 0, "parked": 0}
    assert desk.count("exact", "POST", "crm/Accounts") == 1
    assert desk.account(company.kvk)
    assert [entry.data.get("by_probe") for entry in desk.trail("created")] == [True]
    assert desk.sound()


def test_a_lost_request_of_a_create_is_decided_anew_after_the_wait(desk: Any) -> None:
    one_new(desk)
    lost(desk, "lose_request")
    before = desk.host.clock.now()
    result = desk.sync()
    assert result.recovered == {"landed": 0, "dropped": 1, "parked": 0}
    assert desk.count("exact", "POST", "crm/Accounts") == 2
    assert desk.host.clock.now() - before >= desk.ports.timeout + 60.0  # our patience and the vendor's delay
    assert desk.sound()


def test_an_effect_that_comes_late_is_still_one_record(desk: Any) -> None:
    one_new(desk)
    lost(desk, "lose_request", late=45.0)
    desk.sync()
    assert desk.count("exact", "POST", "crm/Accounts") == 1
    assert desk.sound()


def test_an_update_in_doubt_that_arrived_is_told_with_what_was_there_before(desk: Any) -> None:
    company = one_new(desk)
    desk.sync()
    desk.exact("edit", kvk=company.kvk, set={"Name": "Fout"})
    lost(desk, "lose_reply", "PUT")
    result = desk.sync()
    assert result.recovered["landed"] == 1
    entry = desk.trail("updated")[-1]
    assert (entry.data["by_probe"], entry.data["fields"]["name"]["before"]) == (True, "Fout")
    assert desk.count("exact", "PUT") == 1
    assert desk.sound()


def test_an_update_in_doubt_that_did_not_arrive_is_sent_again(desk: Any) -> None:
    company = one_new(desk)
    desk.sync()
    desk.exact("edit", kvk=company.kvk, set={"Name": "Fout"})
    lost(desk, "lose_request", "PUT")
    assert desk.sync().recovered["dropped"] == 1
    assert desk.account(company.kvk)["Name"] == (company.statutory_name or company.name)
    assert desk.count("exact", "PUT") == 2
    assert desk.sound()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run does not wait for what is in doubt: the next one asks."""
    monkeypatch.setattr("koppel.engine.flow.SHORT_WAIT", -10_000.0)


@pytest.mark.usefixtures("impatient")
def test_what_a_probe_shows_of_a_record_is_kept_also_where_the_write_did_not_arrive(desk: Any) -> None:
    """The division has moved, so that no listing tells before tomorrow what somebody typed there meanwhile: only the probe does."""
    company = one_new(desk)
    desk.sync()
    desk.exact("edit", kvk=company.kvk, set={"Name": "Fout"})
    lost(desk, "lose_request", "PUT")
    assert desk.sync().state == "done"
    desk.exact("move_division")
    desk.exact("edit", kvk=company.kvk, set={"City": "Elders"})
    desk.kvk("edit", kvk=company.kvk, set={"street": "Lindelaan", "number": 7, "city": "Zwolle", "postcode": "8011AB"})
    desk.later(700.0)
    assert desk.sync(refresh=True).recovered["dropped"] == 1
    assert desk.account(company.kvk)["City"] == "Zwolle"
    before = [entry.data["fields"]["address"]["before"]["city"] for entry in desk.trail("updated") if "address" in entry.data["fields"]]  # fmt: skip
    assert before == ["Elders"]


@pytest.mark.usefixtures("impatient")
def test_a_record_in_doubt_waits_and_the_others_go_on(make_desk: Any) -> None:
    desk = world(make_desk)
    lost(desk, "lose_reply")
    result = desk.sync()
    assert result.counts["unknown"] == 1
    assert result.counts["create"] + result.counts["update"] > 0
    assert result.next_at is not None
    assert desk.scalar("select count(*) from intents") == 1
    desk.host.reset_calls()
    desk.sync()
    assert desk.count("exact", "POST", "crm/Accounts") == 0
    desk.later(121.0)
    assert desk.sync().recovered["landed"] == 1
    assert desk.sound()


@pytest.mark.usefixtures("impatient")
def test_what_nobody_can_tell_is_parked_and_never_sent_again_on_a_guess(desk: Any) -> None:
    company = unclear(desk)
    (parked,) = desk.parked()
    assert parked.code == "in_doubt"
    desk.host.reset_calls()
    for _ in range(3):
        desk.later(200.0)
        desk.sync()
    assert desk.count("exact", "POST", "crm/Accounts") == 0
    assert len(desk.accounts(company.kvk)) == 1
    assert len(desk.parked()) == 1


def unclear(desk: Any) -> Any:
    """A create whose reply was lost, and whose number stands on a record with another name by now."""
    company = one_new(desk)
    lost(desk, "lose_reply")
    desk.sync()
    desk.exact("edit", kvk=company.kvk, set={"Name": "Heel anders"})
    desk.later(121.0)
    assert desk.sync().recovered["parked"] == 1
    return company


@pytest.mark.usefixtures("impatient")
def test_a_person_says_which_record_was_made(desk: Any) -> None:
    company = unclear(desk)
    account = desk.account(company.kvk)
    desk.store.run(work.answer, desk.parked()[0].id, account["ID"], by="mieke", at=desk.host.clock.now())
    assert desk.sync().recovered["landed"] == 1
    assert desk.parked() == []
    assert desk.count("exact", "POST", "crm/Accounts") == 1
    assert desk.account(company.kvk)["Name"] == (company.statutory_name or company.name)
    assert desk.sound()


@pytest.mark.usefixtures("impatient")
def test_an_id_that_does_not_exist_leaves_it_in_doubt(desk: Any) -> None:
    unclear(desk)
    no_such = "00000000-0000-4000-8000-000000000000"
    desk.store.run(work.answer, desk.parked()[0].id, no_such, by="mieke", at=desk.host.clock.now())
    desk.sync()
    (parked,) = desk.parked()
    assert (parked.code, parked.state) == ("in_doubt", "open")
    assert desk.count("exact", "POST", "crm/Accounts") == 1


@pytest.mark.usefixtures("impatient")
def test_a_person_says_it_did_not_happen(desk: Any) -> None:
    company = unclear(desk)
    desk.exact("delete", kvk=company.kvk)
    desk.store.run(work.answer, desk.parked()[0].id, "did_not", by="mieke", at=desk.host.clock.now())
    assert desk.sync().counts["create"] == 1
    assert len(desk.accounts(company.kvk)) == 1
    assert desk.parked() == []


def test_an_answer_nobody_can_read_is_a_refusal_once_it_is_sure_that_nothing_was_done(desk: Any) -> None:
    desk.exact("settings", refuse={"00100104": "Etwas ist schiefgegangen"})
    desk.take("00100104")
    desk.sync()
    desk.later(600.0)
    desk.sync()
    (parked,) = desk.store.run(work.listed, "parked")
    assert "Etwas ist schiefgegangen" in parked.body["text"]
    assert parked.next_at is not None
    before = len(desk.exact("writes")["writes"])
    desk.sync()
    assert len(desk.exact("writes")["writes"]) == before
    assert desk.exact("duplicates")["count"] == 0
