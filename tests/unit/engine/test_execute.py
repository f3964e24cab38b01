"""Doing a plan: chunks, receipts, and what becomes of a chunk that breaks off half-way."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from koppel.engine import execute as executor
from koppel.engine.plan import Planned
from koppel.store import leases
from koppel.sync.steps import Step
from koppel.systems.spi import Operation, Receipt


def planned(left: str, right: str | None, *ops: Operation, kind: str = "update", **given: Any) -> Planned:
    return Planned(Step(kind, "right", left, right, **given), f"{left} {right}", ops)  # type: ignore[arg-type]


def frame(batch: int) -> Any:
    resource = SimpleNamespace(can=SimpleNamespace(batch=batch))
    return SimpleNamespace(resources={"left": resource, "right": resource})


def chunks(batch: int, *writes: Planned) -> list[list[str]]:
    return [[p.id for p in chunk] for chunk in executor._chunks(frame(batch), writes)]


# --- chunks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "sizes"), [(1, [20, 20, 5]), (2, [40, 5]), (100, [45])])
def test_a_chunk_holds_as_many_batches_as_the_window(batch: int, sizes: list[int]) -> None:
    assert [len(chunk) for chunk in chunks(batch, *[planned(f"L{n}", f"R{n}") for n in range(45)])] == sizes


def test_two_steps_about_one_record_never_share_a_chunk() -> None:
    assert chunks(9, planned("L", "R1"), planned("L", "R2"), planned("M", "R3")) == [["L R1"], ["L R2", "M R3"]]
    assert chunks(9, planned("L", "R"), planned("M", "R")) == [["L R"], ["M R"]]


def test_creates_share_a_chunk_although_none_has_an_id_yet() -> None:
    assert chunks(9, planned("L", None), planned("M", None)) == [["L None", "M None"]]


def test_no_writes_are_no_chunks() -> None:
    assert chunks(9) == []


def test_a_step_of_two_operations_is_kept_part_by_part() -> None:
    first = Operation("a", "create", "accounts", None, {}, covers=("name",))
    second = Operation("b", "update", "accounts", None, {}, needs=("a",), covers=("phone",))
    values = {"name": "N", "right:phone": "1"}
    one, two = executor.split(planned("L", None, first, second, kind="create", values=values))
    assert (one.step.kind, one.step.values) == ("create", {"name": "N"})
    assert (two.step.kind, two.step.values) == ("update", {"right:phone": "1"})
    assert (one.step.later, two.step.later) == ({"right:phone": "1"}, {}), (
        "what is still to come is known from the first part on"
    )
    outcome = executor.Outcome()
    assert outcome.ready(two) is None
    outcome.learn(one, Receipt("a", "done", "R"))
    ready = outcome.ready(two)
    assert ready is not None
    assert (ready.step.right, ready.operations[0].native) == ("R", "R")
    outcome.learn(two, Receipt("b", "done", "R"))
    assert outcome.done == {"create": 1}  # one step, counted once


# --- receipts -------------------------------------------------------------------------------------------------------------


def batched(desk: Any, answer: Any) -> None:
    """Have Exact's accounts go out in batches of three, and its receipts pass through `answer`."""
    connection = desk.connections["books-nl"]
    real = connection.resource("accounts")

    def group(operations: Any) -> Any:
        from koppel.systems.spi import Batch

        return tuple(Batch(operations[n : n + 3]) for n in range(0, len(operations), 3))

    def send(site: Any, batch: Any) -> Any:
        receipts = yield from real.send(site, batch)
        return answer(receipts)

    mine = replace(real, group=group, send=send, can=replace(real.can, batch=3))
    others = tuple(mine if r.name == "accounts" else r for r in connection.system.resources)
    desk.connections["books-nl"] = replace(connection, system=replace(connection.system, resources=others))


def taken(desk: Any) -> list[Any]:
    companies = [c for c in desk.companies if c.in_erp == "none" and c.shape == "plain"]
    desk.take(*[c.kvk for c in companies])
    return companies


def test_receipts_are_matched_by_operation_never_by_order(desk: Any) -> None:
    companies = taken(desk)
    batched(desk, lambda receipts: tuple(reversed(receipts)))
    desk.sync()
    assert desk.count("exact", "POST", "crm/Accounts") == len(companies)
    for company in companies:
        account = desk.account(company.kvk)
        assert desk.scalar("select count(*) from members where native = :n", n=account["ID"]) == 1
        assert account["Name"] in (company.name, company.statutory_name)
    assert desk.sound()


@pytest.mark.usefixtures("impatient")
def test_an_operation_the_reply_does_not_mention_is_unknown_and_probed(desk: Any) -> None:
    companies = taken(desk)
    batched(desk, lambda receipts: receipts[:-1])
    result = desk.sync()
    assert result.counts["unknown"] == -(-len(companies) // 3)
    assert result.counts["create"] == len(companies) - result.counts["unknown"]
    desk.later(121.0)
    assert desk.sync().recovered["landed"] == result.counts["unknown"]
    assert desk.count("exact", "POST", "crm/Accounts") == len(companies)
    assert desk.sound()


def test_a_receipt_of_nobody_is_not_believed(desk: Any) -> None:
    taken(desk)
    batched(desk, lambda receipts: (*receipts, Receipt("nobody's", "done", "x")))
    assert desk.sync().state == "done"
    assert desk.sound()


def test_a_receipt_that_was_settled_by_somebody_else_counts_no_more(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken(desk)
    turns: list[tuple[Any, ...]] = []
    turn = executor._turn

    def watched(db: Any, *given: Any) -> Any:
        turns.append(given)
        return turn(db, *given)

    monkeypatch.setattr(executor, "_turn", watched)
    desk.sync()
    settled = next(given for given in turns if given[2])
    told = len(desk.trail())
    frame, hand, receipts = settled[:3]
    again = executor.Outcome()
    desk.store.run(turn, frame, hand, receipts, [], again, None)
    assert (again.done, len(desk.trail())) == ({}, told)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("koppel.engine.flow.SHORT_WAIT", -10_000.0)


# --- broken off ---------------------------------------------------------------------------------------------------------------


def test_a_limit_in_the_middle_settles_what_was_done_and_says_when_it_goes_on(desk: Any) -> None:
    companies = taken(desk)
    desk.fault(
        system="exact", method="POST", path="crm/Accounts", kind="status", status=429, after=2, times=99,
        headers={"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int((desk.host.clock.now() + 40_000) * 1000))},
    )  # fmt: skip
    result = desk.sync()
    assert (result.state, result.counts["create"]) == ("stopped", 2)
    assert result.next_at is not None
    assert result.next_at > desk.host.clock.now() + 30_000
    assert "nothing is lost" in result.message
    assert desk.scalar("select count(*) from intents") == 0  # what did not leave is in nobody's doubt
    assert desk.count("exact", "POST", "crm/Accounts") == 3
    desk.host.clear_faults()
    desk.later(40_001.0)
    assert desk.sync().counts["create"] == len(companies) - 2
    assert desk.sound()


def test_a_dead_sign_in_in_the_middle_settles_what_was_done(desk: Any) -> None:
    from koppel.model.problem import SignInNeeded

    companies = taken(desk)
    desk.fault(system="exact", method="POST", path="crm/Accounts", kind="status", status=401, after=1, times=99)
    with pytest.raises(SignInNeeded):
        desk.sync()
    assert desk.scalar("select count(*) from intents") == 0
    assert desk.scalar("select state from runs order by id desc") == "failed"
    desk.host.clear_faults()
    desk.later(600.0)
    assert desk.sync().counts["create"] == len(companies) - 1
    assert desk.sound()


def test_a_fault_of_our_own_in_the_middle_loses_no_neighbours_receipt(desk: Any) -> None:
    companies = taken(desk)
    seen: list[Any] = []

    def answer(receipts: Any) -> Any:
        seen.append(receipts)
        if len(seen) == 2:
            raise ZeroDivisionError
        return receipts

    batched(desk, answer)
    with pytest.raises(ZeroDivisionError):
        desk.sync()
    assert desk.scalar("select count(*) from trail where kind = 'created'") == 3
    assert desk.scalar("select count(*) from intents") == len(companies) - 3  # sent, and then nobody knows
    desk.later(121.0)
    desk.sync()
    assert desk.count("exact", "POST", "crm/Accounts") == len(companies)
    assert desk.sound()


def test_a_worker_that_lost_the_flow_stops_before_the_next_chunk(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "WINDOW", 1)
    taken(desk)
    point = desk.ports.point

    async def stolen(name: str) -> None:
        if name == "chunk answered":
            desk.store.run(
                lambda db: db.run("update leases set owner = 'thief', fence = fence + 1 where name like 'flow %'")
            )
        await point(name)

    desk.ports.point = stolen
    result = desk.sync()
    assert result.state == "stopped"
    assert "took this flow over" in result.message
    assert desk.count("exact", "POST", "crm/Accounts") == 1
    assert result.counts["create"] == 1  # what was answered is settled all the same
    assert desk.store.run(leases.holder, "flow kvk-exact")[0] == "thief"


def test_a_long_run_keeps_its_flow(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "WINDOW", 1)
    taken(desk)
    point, ends = desk.ports.point, []

    async def slow(name: str) -> None:
        if name == "chunk opened":
            ends.append(desk.store.run(leases.holder, "flow kvk-exact")[1] - desk.host.clock.now())
            desk.later(400.0)
        await point(name)

    desk.ports.point = slow
    assert desk.sync().state == "done"
    assert len(ends) > 2
    assert min(ends) > 500.0
