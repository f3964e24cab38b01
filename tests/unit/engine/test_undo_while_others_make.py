"""While another flow makes something of a record, and nobody knows whether it did, that record is neither taken back nor taken
apart; and what a person answered about it waits instead of being lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koppel.engine import identity
from koppel.engine.flow import Options, sync_flow
from koppel.engine.identity import By
from koppel.mapping.flow import Endpoint
from koppel.model.problem import UsageError
from koppel.model.values import Json, Ref
from koppel.store import due, work
from koppel.store.due import Due
from koppel.testing.pair_desk import PairDesk, pair_flow

ONWARDS = pair_flow(id="onwards", right=Endpoint("third", "shops"))


def made() -> tuple[PairDesk, int, str, str]:
    """A company without a number, made on the left from the right by a run."""
    desk = PairDesk(pair_flow(create_left=True, create_right=False))
    desk.connections["third"] = replace(desk.connections["right"], name="third")
    right = desk.till.add({"title": "Bakker"})
    run = desk.sync().run
    ((_, _, left),) = desk.ledger.created
    desk.later()
    return desk, run, left, right


def onwards(desk: PairDesk, *, lost: bool = False) -> None:
    desk.wire.lose_before = int(lost)
    desk.do(sync_flow(desk.ports, ONWARDS, Options()))
    desk.later()


def say(desk: PairDesk, answer: Json) -> None:
    """A person says what became of the operation in doubt."""
    (item,) = [item for item in desk.parked() if item.code == "in_doubt"]
    desk.store.run(work.answer, item.id, answer, by="mieke", at=desk.clock.at)
    desk.store.run(due.add, item.flow, [Due(item.side, item.native, "asked")], at=desk.clock.at)


def test_a_run_is_not_taken_back_while_something_may_have_been_made_of_what_it_made() -> None:
    desk, run, _, _ = made()
    onwards(desk, lost=True)
    (step,) = [planned.step for planned in desk.plan_undo(run).steps]
    assert step.kind == "park"
    assert step.problem is not None
    assert step.problem.code == "in_doubt"


def test_a_pair_is_not_taken_apart_by_hand_meanwhile() -> None:
    desk, _, left, right = made()
    onwards(desk, lost=True)
    one, two = Ref.parse(f"left:customers:{left}"), Ref.parse(f"right:shops:{right}")
    with pytest.raises(UsageError, match="in doubt"):
        desk.store.run(lambda db: identity.unlink(db, [desk.flow, ONWARDS], By("mieke", desk.clock.at), one, two))


def test_an_answer_given_meanwhile_is_carried_out_when_the_doubt_is_over() -> None:
    desk, run, left, _ = made()
    desk.ledger.edit(left, {"title": "Bakkerij"})
    desk.sync()
    desk.later()
    desk.undo(run)
    (question,) = desk.asks()
    assert question.code == "undo_created"
    onwards(desk, lost=True)
    desk.answer("archive")
    desk.sync()
    assert not desk.ledger.rows[left].get("archived")
    say(desk, "did_not")
    onwards(desk)
    desk.sync()
    assert desk.ledger.rows[left].get("archived")
