"""How records are cut into parts, and in which order they come, cannot matter; what two records both claim goes to one."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from koppel.engine import deciding
from koppel.engine import execute as executor
from koppel.engine.one_pass import Options, Pass
from koppel.engine.plan import Planned
from koppel.engine.send import Sender
from koppel.sync.steps import Step


@pytest.fixture(scope="module")
def clashing(new_desk: Any) -> Any:
    """Everything is in the store, much of it with clashing keys; nothing is linked yet."""
    desk = new_desk(companies=40)
    numbers = desk.numbers
    for number, other in zip(numbers[::5], numbers[1::5], strict=False):
        for account in desk.accounts(number):
            desk.exact("edit", id=account["ID"], set={"ChamberOfCommerce": other})
    desk.take()
    desk.plan()
    yield desk
    desk.store.close()


def decided(desk: Any, *, lefts: list[str], rights: list[str]) -> list[str]:
    work = Pass(desk.ports, desk.flow, Options())
    steps, _ = asyncio.run(deciding.decide_all(work, {"left": lefts, "right": rights}))
    return sorted(step.identity() for step in steps)


def rights(desk: Any) -> list[str]:
    return desk.store.run(
        lambda db: [r[0] for r in db.rows("select o.native from observations o join streams s on s.id = o.stream where s.resource = 'accounts' order by 1")]
    )  # fmt: skip


@pytest.mark.parametrize("part", [1, 3, 7, 1000])
def test_any_partition_gives_the_same_steps(clashing: Any, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    whole = decided(clashing, lefts=clashing.numbers, rights=rights(clashing))
    assert len(whole) > 40
    monkeypatch.setattr(deciding, "PART", part)
    assert decided(clashing, lefts=clashing.numbers, rights=rights(clashing)) == whole


@pytest.mark.parametrize("seed", range(5))
def test_any_order_gives_the_same_steps(clashing: Any, seed: int) -> None:
    whole = decided(clashing, lefts=clashing.numbers, rights=rights(clashing))
    lefts, others = list(clashing.numbers), rights(clashing)
    random.Random(seed).shuffle(lefts)
    random.Random(seed).shuffle(others)
    assert decided(clashing, lefts=lefts, rights=others) == whole


def test_one_by_one_gives_the_same_steps(clashing: Any) -> None:
    whole = decided(clashing, lefts=clashing.numbers, rights=[])
    assert sorted(i for number in clashing.numbers for i in decided(clashing, lefts=[number], rights=[])) == whole


def test_a_record_two_others_claim_goes_to_one_and_the_other_writes_nothing(desk: Any) -> None:
    one, two = desk.numbers[:2]
    desk.take(one, two)
    desk.plan()
    right = desk.exact("accounts")["accounts"][0]["ID"]
    before = desk.exact("accounts")["accounts"][0]["Name"]
    frame = Pass(desk.ports, desk.flow, Options()).frame
    steps = [
        Planned(Step("link", "right", one, right), "1"),
        Planned(Step("link", "right", two, right), "2"),
        lowered(frame, desk, Step("update", "right", two, right, values={"name": "Van twee"}, before={"name": before})),
    ]
    outcome = asyncio.run(executor.execute(desk.ports, Sender(desk.ports), frame, (1, "test"), steps))
    assert (outcome.done, outcome.stale) == ({"link": 1}, 1)
    assert desk.count("exact", "PUT") == 0
    assert desk.scalar("select count(*) from due where native = :n", n=two) == 1


def lowered(frame: Any, desk: Any, step: Step) -> Planned:
    from koppel.engine.plan import lower

    planned = lower(frame, step, None, generation=0, as_of=desk.host.clock.now())
    assert planned.operations
    return planned
