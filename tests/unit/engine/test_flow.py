"""Whole passes: what they do, what they cost in calls, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from koppel.model.problem import UsageError
from koppel.store import due, flows, secrets, trail, work
from koppel.systems.spi import Operation

PROFILE = "basisprofielen"


def called(company: Any) -> str:
    """The name the connection's setting takes: the statutory one where there is one."""
    return company.statutory_name or company.name


def seeded(desk: Any, **wanted: Any) -> list[Any]:
    return [c for c in desk.companies if all(getattr(c, name) == value for name, value in wanted.items())]


def new_ones(desk: Any) -> list[Any]:
    return seeded(desk, in_erp="none", shape="plain")


def settled(desk: Any) -> Any:
    """Everything taken in and done, and the day's look at the division and the token behind us."""
    desk.take()
    desk.sync()
    desk.sync()
    desk.host.reset_calls()
    return desk


# --- counts of calls --------------------------------------------------------------------------------------------------


def test_a_second_run_with_nothing_changed_writes_nothing_and_costs_one_call_a_stream(desk: Any) -> None:
    settled(desk)
    result = desk.sync()
    assert (result.state, result.streams) == ("done", 2)
    assert not any(result.counts[kind] for kind in ("create", "update", "link", "ask", "park", "refuse"))
    assert result.calls == {"exact": 2}
    assert desk.host.calls()["total"] == 2
    assert desk.count("kvk") == 0


def test_nothing_is_decided_when_nothing_changed(desk: Any) -> None:
    settled(desk)
    plan = desk.plan()
    assert (plan.steps, plan.unchanged) == ((), 0)


def test_taking_in_costs_one_look_up_a_number_and_one_write_a_record(desk: Any) -> None:
    desk.take()
    result = desk.sync()
    made, changed = result.counts["create"], result.counts["update"]
    assert made
    assert changed
    assert desk.count("kvk", path=PROFILE) == len(desk.numbers)
    assert desk.count("exact", "POST", "crm/Accounts") == made
    assert desk.count("exact", "PUT", "crm/Accounts") == changed


def test_a_changed_company_costs_its_look_up_and_one_write(desk: Any) -> None:
    settled(desk)
    company = new_ones(desk)[0]
    desk.kvk("edit", kvk=company.kvk, set={"statutory_name": "Bakkerij De Nieuwe Naam"})
    result = desk.sync(only=(company.kvk,), refresh=True)
    assert result.counts["update"] == 1
    assert (desk.count("kvk", path=PROFILE), desk.count("exact", "PUT")) == (1, 1)
    assert desk.account(company.kvk)["Name"] == "Bakkerij De Nieuwe Naam"


def test_edits_in_exact_come_with_the_stream_and_only_the_owned_ones_are_put_back(desk: Any) -> None:
    settled(desk)
    edited = new_ones(desk)[:3]
    for company in edited:
        desk.exact("edit", kvk=company.kvk, set={"Name": "Fout", "Phone": "0101234567"})
    result = desk.sync()
    assert result.counts["update"] == 3
    assert desk.count("exact", "PUT") == 3
    assert desk.count("kvk") == 0
    for company in edited:
        account = desk.account(company.kvk)
        assert account["Name"] == called(company)
        assert account["Phone"] == "0101234567"  # not in the flow: never touched


def test_our_own_write_is_no_news(desk: Any) -> None:
    settled(desk)
    desk.exact("edit", kvk=new_ones(desk)[0].kvk, set={"Name": "Fout"})
    desk.sync()
    desk.host.reset_calls()
    assert desk.sync().calls == {"exact": 2}
    assert desk.count("exact", "PUT") == 0


def test_an_edit_of_the_flow_examines_again_and_costs_no_call_beside_the_poll(desk: Any) -> None:
    settled(desk)
    company = new_ones(desk)[0]
    desk.edit_flow('name       = { owner = "left" }', 'name       = { owner = "left", drift = "leave" }')
    result = desk.sync()
    assert result.calls == {"exact": 2}
    assert desk.count("kvk") == 0
    assert not any(result.counts[kind] for kind in ("create", "update", "link", "ask"))
    desk.exact("edit", kvk=company.kvk, set={"Name": "Mag blijven"})
    assert desk.sync().counts["update"] == 0
    assert desk.account(company.kvk)["Name"] == "Mag blijven"


def test_an_edit_of_a_fields_rule_examines_what_was_left_different_under_the_old_one(desk: Any) -> None:
    desk.edit_flow('name       = { owner = "left" }', 'name       = { owner = "left", drift = "leave" }')
    settled(desk)
    company = new_ones(desk)[0]
    desk.exact("edit", kvk=company.kvk, set={"Name": "Mag blijven"})
    desk.sync()
    desk.edit_flow("# ", "# ")
    assert desk.sync().counts["update"] == 1
    assert desk.account(company.kvk)["Name"] == called(company)


def test_a_field_the_flow_learns_is_a_first_contact_of_that_field_only(desk: Any) -> None:
    settled(desk)
    company = new_ones(desk)[0]
    desk.exact("edit", kvk=company.kvk, set={"Website": "www.oud.example"})
    desk.sync()
    desk.edit_flow("[missing]", 'website = { owner = "left" }\n\n[missing]')
    plan = desk.plan()
    assert plan.writes()
    assert all(set(p.step.values) == {"website"} for p in plan.writes())
    assert all(p.step.because["website"].startswith("first contact") for p in plan.writes())


# --- what is parked, refused, asked -----------------------------------------------------------------------------------


def test_what_the_vendor_refuses_is_parked_with_its_words_and_retried_by_hand(desk: Any) -> None:
    company, *others = new_ones(desk)
    desk.exact("settings", refuse={company.kvk: "Verplicht: Relatiecode"})
    desk.take()
    result = desk.sync()
    assert result.counts["refused_by_vendor"] == 1
    (parked,) = desk.parked()
    assert "Verplicht: Relatiecode" in parked.body["text"]
    assert all(desk.accounts(other.kvk) for other in others)  # one bad record never stops a run (law 4)
    assert desk.sync().counts["refused_by_vendor"] == 0  # and is not tried again by itself
    desk.exact("settings", refuse={})
    desk.store.run(work.retry, [parked.id], at=desk.host.clock.now())
    assert desk.sync().counts["create"] == 1
    assert desk.parked() == []
    assert desk.sound()


def test_a_number_the_register_is_processing_is_parked_with_a_time_and_retried_by_itself(desk: Any) -> None:
    company = new_ones(desk)[0]
    desk.kvk("unavailable", kvk=company.kvk, code="IPD1003", seconds=200)
    desk.take(company.kvk)
    assert desk.sync().counts["park"] == 1
    (parked,) = desk.parked()
    assert parked.next_at == pytest.approx(desk.host.clock.now() + 300.0)
    desk.host.reset_calls()
    desk.sync()
    assert desk.count("kvk") == 0  # not before its time
    desk.later(301.0)
    assert desk.sync().counts["create"] == 1
    assert desk.parked() == []


def test_a_number_the_register_does_not_have_is_refused_with_its_words_and_never_created(desk: Any) -> None:
    desk.take("68727721")
    plan = desk.plan()
    (planned,) = plan.steps
    assert (planned.step.kind, planned.step.problem.code) == ("refuse", "not_deliverable")
    assert planned.step.problem.vendor_code == "IPD0005"
    desk.sync()
    assert desk.count("exact", "POST", "crm/") == 0


def test_a_company_that_ended_is_asked_about_in_words_and_stays_as_it_is(desk: Any) -> None:
    settled(desk)
    company = new_ones(desk)[0]
    desk.kvk("end", kvk=company.kvk, on="2026-10-31")
    result = desk.sync(only=(company.kvk,), refresh=True)
    assert result.counts["ask"] == 1
    (ask,) = desk.asks()
    assert ask.code == "left_scope"
    assert "is_active is false" in ask.body["text"]
    assert desk.account(company.kvk)["Name"] == called(company)
    assert desk.count("exact", "PUT") == 0


def test_a_question_stays_open_until_it_is_answered_or_its_cause_is_gone(desk: Any) -> None:
    settled(desk)
    company, other = new_ones(desk)[:2]
    desk.kvk("end", kvk=company.kvk, on="2026-10-31")
    desk.sync(only=(company.kvk,), refresh=True)
    desk.exact("edit", kvk=other.kvk, set={"Name": "Fout"})
    desk.sync()
    assert len(desk.asks()) == 1  # a run about somebody else closes nothing
    desk.exact("edit", kvk=company.kvk, set={"Phone": "1"})
    assert desk.sync().counts["ask"] == 0  # asked already: said once
    assert len(desk.asks()) == 1
    desk.exact("delete", kvk=company.kvk)
    desk.sync()
    assert [ask.code for ask in desk.asks()] == ["missing"]  # what it was about is gone; there is another question now


def test_left_as_it_is_by_a_person_is_not_asked_again_even_after_an_edit_of_the_flow(desk: Any) -> None:
    settled(desk)
    company = new_ones(desk)[0]
    desk.kvk("end", kvk=company.kvk, on="2026-10-31")
    desk.sync(only=(company.kvk,), refresh=True)
    desk.answer("leave")
    desk.exact("edit", kvk=company.kvk, set={"Name": "Blijft"})
    assert desk.sync().counts["ask"] == 0
    desk.edit_flow("brakes    = { creates = 200", "brakes    = { creates = 100")
    assert desk.sync().counts["ask"] == 0
    assert desk.asks() == []
    assert desk.account(company.kvk)["Name"] == "Blijft"


def test_a_debtor_that_belongs_to_another_company_is_asked_about_and_not_taken_over(desk: Any) -> None:
    owner, other = new_ones(desk)[:2]
    desk.take(owner.kvk)
    desk.sync()
    account = desk.account(owner.kvk)
    desk.edit_flow('kvk        = { owner = "left" } ', 'kvk        = { owner = "left", drift = "leave" } ')
    desk.exact("edit", id=account["ID"], set={"ChamberOfCommerce": other.kvk})
    desk.take(other.kvk)
    result = desk.sync()
    assert (result.counts["ask"], result.counts["link"], result.counts["create"]) == (1, 0, 0)
    assert desk.asks()[0].code == "taken"


def test_skipped_by_a_person_stays_skipped(desk: Any) -> None:
    company = next(c for c in new_ones(desk) if c.vat)
    desk.exact("add", set={"Name": "Ander", "ChamberOfCommerce": "00000019", "VATNumber": company.vat})
    desk.take(company.kvk)
    assert desk.sync().counts["ask"] == 1
    assert desk.asks()[0].code == "keys_differ"
    desk.answer("skip")
    for _ in range(3):
        desk.store.run(due.add, desk.flow.id, [due.Due("left", company.kvk, "asked")], at=desk.host.clock.now())
        result = desk.sync()
        assert (result.counts["refuse"], result.counts["ask"], result.counts["create"]) == (1, 0, 0)
        desk.later(60.0)


def test_left_alone_while_out_of_scope_is_asked_about_again_when_it_leaves_another_time(desk: Any) -> None:
    desk.edit_flow('{ field = "is_active", is = true }', '{ field = "do_not_mail", is = false }')
    company = next(c for c in new_ones(desk) if not c.do_not_mail)
    desk.take(company.kvk)
    desk.sync()
    for asked in (1, 1):
        desk.kvk("edit", kvk=company.kvk, set={"do_not_mail": True})
        assert desk.sync(only=(company.kvk,), refresh=True).counts["ask"] == asked
        desk.answer("leave")
        assert desk.sync(only=(company.kvk,)).counts["ask"] == 0
        desk.kvk("edit", kvk=company.kvk, set={"do_not_mail": False})
        desk.sync(only=(company.kvk,), refresh=True)
        assert desk.scalar("select count(*) from work where state <> 'closed'") == 0


def ask_about_phone(desk: Any) -> Any:
    desk.edit_flow("[missing]", 'website = { owner = "ask" }\n\n[missing]')
    company = next(c for c in new_ones(desk) if c.website)
    desk.take()
    desk.sync()
    desk.kvk("edit", kvk=company.kvk, set={"website": "www.links.example"})
    desk.exact("edit", kvk=company.kvk, set={"Website": "www.rechts.example"})
    desk.sync(only=(company.kvk,), refresh=True)
    return company


def test_a_conflict_is_answered_and_carried_out_once(desk: Any) -> None:
    company = ask_about_phone(desk)
    (ask,) = desk.asks()
    assert (ask.field, ask.code) == ("website", "conflict")
    desk.answer("left")
    desk.store.run(due.add, desk.flow.id, [due.Due("left", company.kvk, "asked")], at=desk.host.clock.now())
    assert desk.sync().counts["update"] == 1
    assert "links" in desk.account(company.kvk)["Website"]
    assert desk.asks() == []
    assert desk.scalar("select count(*) from work where state <> 'closed'") == 0


def test_both_left_as_they_are_is_done_with_and_a_later_change_asks_anew(desk: Any) -> None:
    company = ask_about_phone(desk)
    desk.answer("leave")
    desk.store.run(due.add, desk.flow.id, [due.Due("left", company.kvk, "asked")], at=desk.host.clock.now())
    assert not any(desk.sync().counts[kind] for kind in ("update", "ask"))
    assert desk.scalar("select count(*) from work where state <> 'closed'") == 0
    desk.kvk("edit", kvk=company.kvk, set={"website": "www.links2.example"})
    desk.exact("edit", kvk=company.kvk, set={"Website": "www.rechts2.example"})
    assert desk.sync(only=(company.kvk,), refresh=True).counts["ask"] == 1


def test_an_answer_survives_a_vendor_that_refuses_it_for_now(desk: Any) -> None:
    company = ask_about_phone(desk)
    desk.answer("left")
    desk.exact("settings", refuse={company.kvk: "Ongeldig: Website"})
    desk.store.run(due.add, desk.flow.id, [due.Due("left", company.kvk, "asked")], at=desk.host.clock.now())
    assert desk.sync().counts["refused_by_vendor"] == 1
    desk.exact("settings", refuse={})
    desk.store.run(work.retry, [desk.parked()[0].id], at=desk.host.clock.now())
    assert desk.sync().counts["update"] == 1
    assert (desk.asks(), desk.parked()) == ([], [])


# --- values -------------------------------------------------------------------------------------------------------------


def test_a_shielded_address_never_reaches_the_store_or_exact(make_desk: Any) -> None:
    desk = make_desk(companies=40)
    shielded = seeded(desk, shape="shielded")
    assert shielded
    desk.take(*[c.kvk for c in shielded])
    desk.sync()
    for company in shielded:
        for account in desk.accounts(company.kvk):
            if company.in_erp == "none":
                assert company.street not in str(account)
    kept = desk.store.run(lambda db: [db.vault.unseal_json(row[1], about=row[0]) for row in db.rows(
        "select o.native, o.vals from observations o join streams s on s.id = o.stream where s.connection = 'register'")])  # fmt: skip
    assert len(kept) == len(shielded)
    for company in shielded:
        assert company.street not in str(kept)
        assert company.postcode not in str(kept)


def test_a_derived_vat_number_matches_and_is_never_written(make_desk: Any) -> None:
    desk = make_desk(companies=40)
    by_vat = seeded(desk, in_erp="vat")
    assert by_vat
    desk.take(*[c.kvk for c in desk.companies])
    plan = desk.plan()
    linked = [p.step for p in plan.steps if p.step.kind == "link" and p.step.because[""] == "same vat"]
    assert {step.left for step in linked} >= {c.kvk for c in by_vat if c.shape != "ended"}
    assert all("vat_number" not in p.step.values for p in plan.writes())
    assert all("VATNumber" not in op.fields for p in plan.writes() for op in p.operations)


def test_leading_zeros_are_kept(make_desk: Any) -> None:
    desk = make_desk(companies=40)
    company = next(c for c in seeded(desk, in_erp="none") if c.kvk.startswith("0") and c.shape != "ended")
    desk.take(company.kvk)
    desk.sync()
    assert desk.account(company.kvk)["ChamberOfCommerce"] == company.kvk


def test_a_value_the_vendor_drops_is_written_again_and_then_parked_not_fought_over(desk: Any) -> None:
    settled(desk)
    company = new_ones(desk)[0]
    desk.exact("settings", silent_drop=["Name"])
    desk.exact("edit", kvk=company.kvk, set={"Name": "Fout"})
    for _ in range(5):
        desk.sync()
        desk.later(120.0)
    assert desk.count("exact", "PUT") == 2
    (parked,) = desk.parked()
    assert (parked.code, parked.field) == ("not_kept", "name")


# --- stored plans -------------------------------------------------------------------------------------------------------


def test_apply_does_exactly_the_plan(desk: Any) -> None:
    first, second = new_ones(desk)[:2]
    desk.take(first.kvk)
    plan = desk.plan()
    desk.take(second.kvk)
    result = desk.apply(plan)
    assert result.counts["create"] == 1
    assert desk.accounts(first.kvk)
    assert not desk.accounts(second.kvk)
    assert desk.sync().counts["create"] == 1  # what came meanwhile is still due


def test_a_plan_applied_twice_answers_done_already(desk: Any) -> None:
    desk.take()
    plan = desk.plan()
    wanted = [p for p in plan.steps if p.step.kind in ("create", "update", "link")]
    first = desk.apply(plan)
    assert (first.moved, first.already) == ((), 0)
    desk.host.reset_calls()
    second = desk.apply(plan)
    assert (second.moved, second.already) == ((), len(wanted))
    assert desk.count("exact", "POST", "crm/") + desk.count("exact", "PUT") == 0
    assert desk.sound()


def test_a_plan_applied_twice_is_known_again_although_others_worked_in_between(desk: Any) -> None:
    desk.take()
    plan = desk.plan()
    entry = trail.Entry(desk.host.clock.now(), "mieke", "note", {})
    desk.store.run(trail.append, [entry])
    first = desk.apply(plan)
    second = desk.apply(plan)
    done = sum(first.counts[kind] for kind in ("create", "update", "link"))
    assert (first.moved, second.moved, second.already) == ((), (), done)


def test_a_record_edited_between_plan_and_apply_refuses_exactly_that_step(desk: Any) -> None:
    settled(desk)
    edited = new_ones(desk)[:3]
    for company in edited:
        desk.exact("edit", kvk=company.kvk, set={"Name": "Fout"})
    plan = desk.plan()
    assert len(plan.writes()) == 3
    desk.exact("edit", kvk=edited[1].kvk, set={"Name": "Anders fout"})
    result = desk.apply(plan)
    assert [p.step.left for p in result.moved] == [edited[1].kvk]
    assert result.counts["update"] == 2
    assert desk.account(edited[1].kvk)["Name"] == "Anders fout"
    assert desk.sync().counts["update"] == 1  # decided anew, by a run that may


def test_a_plan_of_an_edited_flow_is_refused_whole(desk: Any) -> None:
    desk.take()
    plan = desk.plan()
    desk.edit_flow("creates = 200", "creates = 100")
    desk.host.reset_calls()
    with pytest.raises(UsageError, match="edited"):
        desk.apply(plan)
    assert desk.host.calls()["total"] == 0


def test_a_plan_of_another_workspace_is_refused(desk: Any) -> None:
    desk.take()
    plan = desk.plan(workspace="/a")
    with pytest.raises(UsageError, match="another workspace"):
        desk.apply(plan, workspace="/b")


def test_a_dry_run_writes_nothing_outside_and_can_be_repeated(desk: Any) -> None:
    desk.take()
    before = desk.host.checksum("exact")
    one, two = desk.plan(), desk.plan()
    assert [p.id for p in one.steps] == [p.id for p in two.steps]
    assert [op.op for p in one.steps for op in p.operations] == [op.op for p in two.steps for op in p.operations]
    assert desk.host.checksum("exact") == before
    assert desk.count("kvk", path=PROFILE) == len(desk.numbers)  # the second plan paid for nothing


# --- brakes -------------------------------------------------------------------------------------------------------------


def test_a_brake_stops_before_the_first_write(desk: Any) -> None:
    desk.edit_flow("creates = 200", "creates = 1")
    desk.take()
    result = desk.sync(override=("share",))
    assert result.state == "stopped"
    assert "--allow creates" in result.message
    assert desk.count("exact", "POST", "crm/") + desk.count("exact", "PUT") == 0
    assert desk.scalar("select count(*) from members") == 0
    assert desk.sync().counts["create"] > 1


def test_a_held_plan_is_applied_only_when_its_brake_is_named(desk: Any) -> None:
    desk.edit_flow("creates = 200", "creates = 1")
    desk.take()
    plan = desk.plan(override=("share",))
    assert plan.guard is not None
    with pytest.raises(UsageError, match="--allow creates"):
        desk.apply(plan, override=())
    assert desk.apply(plan, override=("creates",)).state == "done"


# --- deletions ----------------------------------------------------------------------------------------------------------


def test_a_debtor_deleted_in_exact_is_asked_about_and_not_made_again_by_itself(desk: Any) -> None:
    settled(desk)
    company = new_ones(desk)[0]
    desk.exact("delete", kvk=company.kvk)
    assert desk.sync().counts["ask"] == 1
    assert desk.asks()[0].code == "missing"
    assert desk.count("exact", "POST", "crm/") == 0
    desk.sync()
    assert not desk.accounts(company.kvk)


def test_a_deleted_debtor_is_made_again_when_a_person_says_restore(desk: Any) -> None:
    settled(desk)
    company = new_ones(desk)[0]
    desk.exact("delete", kvk=company.kvk)
    desk.sync()
    desk.answer("restore")
    desk.store.run(due.add, desk.flow.id, [due.Due("left", company.kvk, "asked")], at=desk.host.clock.now())
    desk.sync()  # parted and made again in one run
    assert desk.account(company.kvk)["Name"] == called(company)
    assert desk.asks() == []


# --- bookkeeping --------------------------------------------------------------------------------------------------------


def test_a_webhook_that_comes_during_the_run_is_not_forgotten(desk: Any) -> None:
    company = seeded(desk, in_erp="thrice")[0]
    desk.take(company.kvk)
    point = desk.ports.point

    async def hook(name: str) -> None:
        if name == "quiet steps settled" and desk.trail("linked"):
            desk.later(1.0)
            desk.store.run(due.add, desk.flow.id, [due.Due("left", company.kvk, "webhook")], at=desk.host.clock.now())
        await point(name)

    desk.ports.point = hook
    desk.sync()
    assert desk.store.run(due.waiting, desk.flow.id) == 1


def test_the_position_of_the_flow_follows_the_streams(desk: Any) -> None:
    settled(desk)
    place = desk.store.run(flows.position, desk.flow.id)
    seqs = desk.store.run(lambda db: dict(db.rows("select connection, seq from streams where resource <> 'deleted'")))  # type: ignore[arg-type]
    assert (place.left_seq, place.right_seq) == (seqs["register"], seqs["books-nl"])


def test_every_write_stands_in_the_trail_with_what_was_there_before(desk: Any) -> None:
    settled(desk)
    company = new_ones(desk)[0]
    desk.exact("edit", kvk=company.kvk, set={"Name": "Fout"})
    desk.sync()
    entry = desk.trail("updated")[-1]
    assert entry.data["fields"]["name"]["before"] == "Fout"
    assert entry.data["fields"]["name"]["after"] == called(company)
    assert entry.data["fields"]["name"]["because"]


def test_no_token_number_or_name_lies_in_the_store_in_clear(desk: Any) -> None:
    settled(desk)
    raw = b"".join(
        msgspec.json.encode([str(cell) for cell in row])
        for table in ("observations", "match_keys", "bases", "trail", "work", "intents", "secrets")
        for row in desk.store.run(lambda db, table=table: db.rows(f"select * from {table}"))
    )
    tokens, _ = desk.store.run(secrets.get, "tokens exact:" + desk.connections["books-nl"].login.partition(":")[2])
    assert tokens["access"].encode() not in raw
    assert new_ones(desk)[0].name.encode() not in raw


def test_a_number_another_flow_took_in_is_no_intake_of_this_one(desk: Any) -> None:
    """Two divisions on one register: what is taken in for the one is not created in the other."""
    first, second = new_ones(desk)[:2]
    desk.take(first.kvk)
    desk.sync()
    mine = desk.flow
    desk.flow = msgspec.structs.replace(mine, id="other-flow", digest="other")
    desk.take(second.kvk)
    desk.plan()  # looked up, and so in the store, but not created yet
    desk.flow, other = mine, desk.flow
    desk.sync()
    assert not desk.accounts(second.kvk)
    desk.exact("add", set={"Name": "Van hand", "ChamberOfCommerce": second.kvk})
    assert desk.sync().counts["link"] == 0  # a record that turns up for it is no intake either
    desk.exact("delete", kvk=second.kvk)
    desk.sync()
    desk.flow = other
    assert desk.sync().counts["create"] == 1
    desk.flow = mine
    desk.host.reset_calls()
    result = desk.sync()
    assert not any(result.counts[kind] for kind in ("create", "link", "update", "ask"))
    assert desk.count("kvk") == 0


def test_what_was_refused_is_not_sent_again_in_the_same_run(desk: Any) -> None:
    company = new_ones(desk)[0]
    desk.exact("settings", refuse={company.kvk: "Verplicht: Relatiecode"})
    desk.take()
    desk.sync()
    assert desk.exact("writes")["refused"] == 1
    assert desk.parked()[0].tries == 1


def test_what_was_archived_is_no_pair_any_more_and_is_archived_once(desk: Any) -> None:
    desk.edit_flow('left  = "ask" ', 'left  = "archive" ')
    archives(desk)
    company = new_ones(desk)[0]
    desk.take(company.kvk)
    desk.sync()
    desk.kvk("undeliverable", kvk=company.kvk)
    desk.host.reset_calls()
    refused = desk.sync(only=(company.kvk,), refresh=True)
    assert (refused.state, "--allow deletes" in refused.message) == ("stopped", True)
    assert desk.count("exact", "PUT") == 0
    result = desk.sync(only=(company.kvk,), refresh=True, override=(*FREELY, "deletes"))
    assert result.counts["archive"] == 1
    assert desk.account(company.kvk)["Blocked"] is True
    assert desk.scalar("select count(*) from members") == 0
    desk.exact("edit", kvk=company.kvk, set={"Phone": "1"})
    desk.sync(override=(*FREELY, "deletes"))
    assert desk.count("exact", "PUT") == 1
    assert [entry.kind for entry in desk.trail()][-1] == "archived"


FREELY = ("creates", "share", "vanished", "first")


def archives(desk: Any) -> None:
    """Have Exact's accounts be archived by blocking them, as another vendor might."""
    connection = desk.connections["books-nl"]
    real = connection.resource("accounts")

    def lower(site: Any, change: Any) -> Any:
        if change.kind != "archive":
            return real.lower(site, change)
        return (Operation(change.op, "archive", "accounts", change.native, {"Blocked": True}),)

    mine = replace(real, lower=lower, can=replace(real.can, archive=True))
    resources = tuple(mine if r.name == "accounts" else r for r in connection.system.resources)
    desk.connections["books-nl"] = replace(connection, system=replace(connection.system, resources=resources))


def test_a_record_that_cannot_be_written_parks_and_the_others_go_on(desk: Any) -> None:
    connection = desk.connections["books-nl"]
    real = connection.resource("accounts")
    first = new_ones(desk)[0]

    def lower(site: Any, change: Any) -> Any:
        if change.values.get("kvk") == first.kvk:
            raise UsageError("a month is no date.", remedy="Give a day.")
        return real.lower(site, change)

    resources = tuple(replace(real, lower=lower) if r is real else r for r in connection.system.resources)
    desk.connections["books-nl"] = replace(connection, system=replace(connection.system, resources=resources))
    desk.take()
    result = desk.sync()
    assert (result.state, result.counts["park"]) == ("done", 1)
    assert not desk.accounts(first.kvk)
    assert all(desk.accounts(other.kvk) for other in new_ones(desk)[1:])
    assert "a month is no date" in desk.parked()[0].body["text"]


def test_one_refused_debtor_of_three_is_not_tried_again_because_the_others_were_written(desk: Any) -> None:
    company = seeded(desk, in_erp="thrice")[0]
    desk.take(company.kvk)
    desk.sync()
    three = desk.accounts(company.kvk)
    for account in three:
        desk.exact("edit", id=account["ID"], set={"ChamberOfCommerce": None})
    desk.exact("settings", refuse={three[0]["Name"]: "Ongeldig: KvK"})
    result = desk.sync()
    assert (result.counts["update"], result.counts["refused_by_vendor"]) == (2, 1)
    assert desk.exact("writes")["refused"] == 1
    (parked,) = desk.parked()
    assert parked.body["right"] == three[0]["ID"]


def test_of_three_debtors_of_one_number_each_refused_one_waits_for_its_own_time(desk: Any) -> None:
    company = seeded(desk, in_erp="thrice")[0]
    desk.take(company.kvk)
    desk.sync()
    three = desk.accounts(company.kvk)
    for account in three:
        desk.exact("edit", id=account["ID"], set={"ChamberOfCommerce": None})
    desk.exact("settings", refuse={account["Name"]: "Ongeldig: KvK" for account in three[:2]})
    assert desk.sync().counts["refused_by_vendor"] == 2
    assert {item.body["right"] for item in desk.parked()} == {account["ID"] for account in three[:2]}
    desk.exact("edit", id=three[2]["ID"], set={"ChamberOfCommerce": None})  # has all three looked at again
    desk.sync()
    assert desk.exact("writes")["refused"] == 2
    desk.later(3700.0)
    desk.sync()
    assert desk.exact("writes")["refused"] == 4
    assert [item.tries for item in desk.parked()] == [2, 2]
    desk.exact("settings", refuse={three[0]["Name"]: "Ongeldig: KvK"})
    desk.later(7300.0)
    desk.sync()
    assert [item.body["right"] for item in desk.parked()] == [three[0]["ID"]]


def test_what_was_refused_beside_what_was_written_leaves_the_due_set_and_waits_for_its_time(desk: Any) -> None:
    desk.take()
    desk.sync()
    numbers = tuple(company.kvk for company in seeded(desk, in_erp="kvk")[:2])
    one, two = (desk.accounts(kvk)[0] for kvk in numbers)
    for account in (one, two):
        desk.exact("edit", id=account["ID"], set={"Name": f"Anders {account['Name']}"[:50]})
    desk.exact("settings", refuse={one["Name"]: "Ongeldig: Name"})
    before = desk.exact("writes")["refused"]
    desk.take(*numbers)
    result = desk.sync(only=numbers)  # looks at both again when the one is written
    assert (result.counts["update"], result.counts["refused_by_vendor"]) == (1, 1)
    assert desk.store.run(due.waiting, desk.flow.id) == 0
    desk.later(600.0)
    desk.sync()
    assert desk.exact("writes")["refused"] == before + 1
    desk.later(3600.0)
    desk.sync()
    assert desk.exact("writes")["refused"] == before + 2


@pytest.mark.parametrize(("why", "sent"), [("read back", 0), ("webhook", 0), ("taken in", 1), ("asked", 1)])
def test_only_the_wish_of_a_person_sends_before_its_time_what_was_refused(desk: Any, why: str, sent: int) -> None:
    company = new_ones(desk)[0]
    desk.exact("settings", refuse={company.kvk: "Verplicht: Relatiecode"})
    desk.take(company.kvk)
    desk.sync()
    desk.store.run(due.add, desk.flow.id, [due.Due("left", company.kvk, why)], at=desk.ports.clock.now())
    assert desk.sync().counts["refused_by_vendor"] == sent
    assert len(desk.parked()) == 1
