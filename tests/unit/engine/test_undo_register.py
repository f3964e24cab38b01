"""Taking back a run of the register flow: the left cannot be listed, the right cannot archive, and the owner's rule restores."""

from __future__ import annotations

from typing import Any

from koppel.engine import undo
from koppel.engine.flow import Options, Result
from koppel.engine.plan import Plan
from koppel.store import due, work
from koppel.store.due import Due


def seeded(desk: Any, **wanted: Any) -> list[Any]:
    return [c for c in desk.companies if all(getattr(c, name) == value for name, value in wanted.items())]


def settled(desk: Any) -> Any:
    desk.take()
    desk.sync()
    desk.later(3600)
    desk.sync()
    desk.host.reset_calls()
    return desk


def plan_undo(desk: Any, run: int, **options: Any) -> Plan:
    desk.later(900)
    return desk.do(undo.plan_undo(desk.ports, desk.flow, run, Options(**options)))


def take_back(desk: Any, run: int) -> Result:
    return desk.apply(plan_undo(desk, run))


def writes(desk: Any) -> int:
    return desk.count("exact", "PUT") + desk.count("exact", "POST", "crm/Accounts")


def silent(desk: Any) -> None:
    before = writes(desk)
    for _ in range(2):
        desk.later(3600)
        result = desk.sync()
        assert not any(result.counts[kind] for kind in ("create", "update", "link", "unlink", "ask", "park"))
    assert writes(desk) == before


def renamed(desk: Any) -> tuple[Any, str, int]:
    """A company whose new name a run has brought to the account; its old name, and the run."""
    company = seeded(settled(desk), in_erp="none", shape="plain")[0]
    old = desk.account(company.kvk)["Name"]
    desk.kvk("edit", kvk=company.kvk, set={"statutory_name": "Bakkerij De Nieuwe Naam"})
    run = desk.sync(only=(company.kvk,), refresh=True).run
    assert desk.account(company.kvk)["Name"] == "Bakkerij De Nieuwe Naam"
    desk.host.reset_calls()
    return company, old, run


def test_the_earlier_value_stands_although_the_register_owns_the_field(desk: Any) -> None:
    company, old, run = renamed(desk)
    result = take_back(desk, run)
    assert (result.state, result.counts["update"]) == ("done", 1)
    assert desk.account(company.kvk)["Name"] == old
    silent(desk)
    assert desk.account(company.kvk)["Name"] == old
    assert desk.count("kvk") == 0  # the register was not asked again for it


def test_looking_the_company_up_anew_brings_nothing_back_until_the_register_changes(desk: Any) -> None:
    company, old, run = renamed(desk)
    take_back(desk, run)
    desk.later(3600)
    assert desk.sync(only=(company.kvk,), refresh=True).counts["update"] == 0
    assert desk.account(company.kvk)["Name"] == old
    desk.kvk("edit", kvk=company.kvk, set={"statutory_name": "Bakkerij De Nieuwste Naam"})
    desk.later(3600)
    assert desk.sync(only=(company.kvk,), refresh=True).counts["update"] == 1
    assert desk.account(company.kvk)["Name"] == "Bakkerij De Nieuwste Naam"


def test_undoing_the_undo_brings_it_back(desk: Any) -> None:
    company, _old, run = renamed(desk)
    back = take_back(desk, run)
    take_back(desk, back.run)
    assert desk.account(company.kvk)["Name"] == "Bakkerij De Nieuwe Naam"
    silent(desk)


def test_what_exact_cannot_archive_is_asked_by_name_and_not_made_again(desk: Any) -> None:
    company = seeded(desk, in_erp="none", shape="plain")[0]
    desk.take(company.kvk)
    run = desk.sync(light=True).run
    result = take_back(desk, run)
    assert (result.counts["archive"], result.counts["ask"]) == (0, 1)
    (item,) = desk.asks()
    assert "books-nl does not archive; block or remove it there yourself" in item.body["text"]
    desk.answer("done")
    desk.store.run(due.add, item.flow, [Due(item.side, item.native, "asked")], at=desk.host.clock.now())
    desk.later(3600)
    assert desk.sync(light=True).counts["unlink"] == 1
    desk.later(3600)
    result = desk.sync(light=True)
    assert not any(result.counts[kind] for kind in ("create", "link", "update", "ask"))
    assert len(desk.accounts(company.kvk)) == 1


def test_an_account_that_was_linked_and_written_gets_its_values_back_and_is_unlinked(desk: Any) -> None:
    company = next(c for c in desk.companies if c.in_erp != "none" and len(desk.accounts(c.kvk)) == 1)
    before = desk.account(company.kvk)
    desk.take(company.kvk)
    result = desk.sync()
    if not result.counts["link"]:
        raise AssertionError(f"the seed changed: {result.counts}")
    take_back(desk, result.run)
    after = desk.account(company.kvk)
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"Modified", "Timestamp"}, changed
    silent(desk)


def test_an_edit_between_plan_and_apply_refuses_exactly_that_step(desk: Any) -> None:
    companies = seeded(settled(desk), in_erp="none", shape="plain")[:3]
    old = [desk.account(company.kvk)["Name"] for company in companies]
    for company in companies:
        desk.kvk("edit", kvk=company.kvk, set={"statutory_name": f"Nieuw {company.kvk}"})
    run = desk.sync(only=tuple(c.kvk for c in companies), refresh=True).run
    plan = plan_undo(desk, run)
    desk.later(10)
    desk.exact("edit", kvk=companies[1].kvk, set={"Name": "Met de hand"})
    desk.later(3600)
    result = desk.apply(plan)
    assert [p.step.left for p in result.moved] == [companies[1].kvk]
    shown = [desk.account(company.kvk)["Name"] for company in companies]
    assert shown == [old[0], "Met de hand", old[2]]
    _ = work
