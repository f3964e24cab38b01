"""Answers about a record that another one has come to lead: carried out, or told; never gone without a word."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from koppel.engine import flow as engine
from koppel.engine import identity
from koppel.engine.answers import standing, withdrawn
from koppel.engine.by_hand import By
from koppel.engine.flow import Options
from koppel.mapping.flow import Endpoint
from koppel.model.values import Json, Ref
from koppel.store import apart, streams, subjects, work
from koppel.store.sql import Db
from koppel.store.work import Item
from koppel.sync.steps import Linked, Side
from koppel.testing.pair_desk import START, PairDesk, pair_flow

NUMBER = "42100001"
FACING = pair_flow(id="facing", left=Endpoint("right", "shops"), right=Endpoint("left", "customers"))

_ITEM: dict[str, Any] = {
    "id": 7, "list": "ask", "flow": "f", "side": "left", "native": "1", "field": "", "state": "answered", "code": "twins", "body": {},
    "answer": "create", "op": None, "run": None, "tries": 0, "opened_at": 0.0, "next_at": None, "closed_at": 1.0, "closed_by": "mieke",
}  # fmt: skip


def twins(answer: Json) -> tuple[PairDesk, str, str]:
    """Two records with one number, and nothing over there; about the second one a person has said what is to be done."""
    desk = PairDesk()
    first, second = (desk.ledger.add({"title": name, "nr": NUMBER}) for name in ("Bakker", "Bakker Zuid"))
    desk.sync()
    desk.answer("skip")
    (item,) = desk.asks()
    assert (item.native, item.code) == (second, "twins")
    desk.answer(answer)
    return desk, first, second


def linked_by_another_flow(desk: PairDesk) -> str:
    """A shop with the number turns up, and the flow that goes the other way gives it both customers, one of them leading."""
    shop = desk.till.add({"title": "Bakker", "nr": NUMBER})
    desk.later()
    assert desk.do(engine.sync_flow(desk.ports, FACING, Options())).counts["link"] == 2
    return shop


def asked(desk: PairDesk) -> list[tuple[str, str]]:
    return [(item.native, item.code) for item in desk.asks()]


def by_hand(desk: PairDesk, did: Any, *refs: str) -> None:
    known = [desk.flow, FACING]
    desk.store.run(did, known, By("mieke", desk.clock.at), *(Ref.parse(ref) for ref in refs))


def test_an_answer_that_cannot_be_carried_out_is_told_and_asked_about_for_as_long_as_another_one_leads() -> None:
    desk, first, second = twins("create")
    linked_by_another_flow(desk)
    assert desk.sync().counts["ask"] == 1
    assert asked(desk) == [(second, "follows")]
    text = desk.asks()[0].body["text"]
    assert text.startswith("Bakker")
    assert f"(left:customers:{first}) leads" in text
    assert "answered create by mieke" in text
    assert f"koppel split left:customers:{second}" in text
    assert desk.trail("asked")[-1].data["problem"]["code"] == "follows"
    assert desk.till.created == []
    desk.ledger.edit(second, {"title": "Bakker Zuid en zonen"})
    for _ in range(2):
        desk.later()
        assert desk.sync().counts["create"] == 0
        assert asked(desk) == [(second, "follows")]
    assert len([e for e in desk.trail("asked") if e.data["problem"]["code"] == "follows"]) == 1


@pytest.mark.parametrize("deed", [identity.split, identity.unlink])
def test_taken_out_by_hand_it_is_made_after_all_and_the_question_is_over(deed: Any) -> None:
    desk, _, second = twins("create")
    linked_by_another_flow(desk)
    desk.sync()
    by_hand(desk, deed, f"left:customers:{second}")
    desk.later()
    assert desk.sync().counts["create"] == 1
    assert (asked(desk), len(desk.partners(second))) == ([], 1)
    desk.later()
    assert desk.sync().counts["create"] == 0


def test_whoever_takes_it_out_it_is_looked_at_again() -> None:
    desk, _, second = twins("create")
    linked_by_another_flow(desk)
    desk.sync()
    desk.settle()
    stream = desk.store.run(streams.ensure, "left", "customers")
    desk.store.run(subjects.leave, stream.id, second)
    desk.later()
    desk.sync()
    assert (second, "follows") not in asked(desk)


def test_a_record_of_the_right_that_another_one_leads_is_told_of_too() -> None:
    desk = PairDesk(pair_flow(create_left=True, create_right=False))
    first, second = (desk.till.add({"title": name, "nr": NUMBER}) for name in ("Bakker", "Bakker Zuid"))
    desk.sync()
    desk.answer("skip")
    desk.answer("create")
    desk.store.run(of_one_thing, first, second, "right", "shops")
    desk.later()
    desk.sync()
    assert (asked(desk), desk.ledger.created) == ([(second, "follows")], [])
    by_hand(desk, identity.split, f"right:shops:{second}")
    desk.later()
    assert desk.sync().counts["create"] == 1
    assert asked(desk) == []


def test_that_it_is_none_of_what_was_offered_is_told_when_it_is_one_with_that_by_now() -> None:
    offered: list[dict[str, Json]] = [{"answer": "77", "score": 80, "reasons": []}, {"answer": "none"}]
    given = {"answer": "none", "code": "proposed", "field": "", "body": {"choices": offered}, "closed_at": 5.0}
    item = Item(**(_ITEM | given))
    for native, told in (("77", True), ("78", False)):
        linked = [Linked(Side(native, {}, "e"), None)]
        answers, moved = standing([item], {}, "left", Side("1", {}, "d"), linked, [], follows=True)
        assert (answers, bool(moved)) == ({}, told)


@pytest.mark.parametrize(("given", "over"), [
    ({"answer": "create", "closed_at": 5.0}, True), ({"answer": "create", "closed_at": 7.0}, False), ({"answer": "skip", "closed_at": 5.0}, False),
    ({"answer": "leave", "field": "scope", "code": "left_scope"}, False), ({"answer": "archive", "code": "undo_created", "field": "undo 1"}, False),
    ({"answer": "right", "field": "name", "code": "conflict"}, True), ({"state": "open", "answer": None}, False),
])  # fmt: skip
def test_dropping_lets_go_of_what_was_answered_before_and_asks_for_something(given: dict[str, Any], over: bool) -> None:
    dropped = Item(**(_ITEM | {"id": 8, "field": "follows", "code": "follows", "answer": "drop", "closed_at": 6.0}))
    item = Item(**(_ITEM | given))
    assert withdrawn([item, dropped]) == ({item.id} if over else set())
    assert withdrawn([item]) == set()


def test_dropped_by_a_person_the_answer_is_over_also_when_it_follows_no_more() -> None:
    desk, _, second = twins("create")
    linked_by_another_flow(desk)
    desk.sync()
    desk.answer("drop")
    desk.later()
    assert (desk.sync().counts["create"], asked(desk)) == (0, [])
    by_hand(desk, identity.split, f"left:customers:{second}")
    desk.later()
    assert desk.sync().counts["create"] == 0
    assert [native for native, _ in asked(desk)] == [second]


def test_dropped_in_the_moment_it_is_taken_out_it_is_asked_anew_and_not_made() -> None:
    desk, _, second = twins("create")
    linked_by_another_flow(desk)
    desk.sync()
    desk.answer("drop")
    by_hand(desk, identity.split, f"left:customers:{second}")
    desk.later()
    assert desk.sync().counts["create"] == 0
    ((native, code),) = asked(desk)
    assert native == second
    assert code != "follows"


def test_left_out_it_stays_left_out_and_nobody_is_asked() -> None:
    desk, _, second = twins("skip")
    linked_by_another_flow(desk)
    assert (desk.sync().counts["ask"], asked(desk)) == (0, [])
    by_hand(desk, identity.split, f"left:customers:{second}")
    desk.later()
    assert (desk.sync().counts["create"], asked(desk)) == (0, [])


def test_linked_with_what_was_chosen_by_the_one_that_leads_the_answer_is_carried_out() -> None:
    desk = PairDesk()
    shop = desk.till.add({"title": "Bakker", "nr": NUMBER})
    _, second = (desk.ledger.add({"title": name, "nr": NUMBER}) for name in ("Bakker", "Bakker Zuid"))
    desk.sync()
    desk.answer("skip")
    desk.answer(shop)
    desk.later()
    assert desk.do(engine.sync_flow(desk.ports, FACING, Options())).counts["link"] == 2
    assert desk.partners(second) == {shop}
    assert (desk.sync().counts["ask"], asked(desk)) == (0, [])


def test_a_record_chosen_that_the_one_that_leads_does_not_belong_with_is_told() -> None:
    desk = PairDesk()
    shop = desk.till.add({"title": "Bakker", "nr": NUMBER})
    first, second = (desk.ledger.add({"title": name, "nr": NUMBER}) for name in ("Bakker", "Bakker Zuid"))
    desk.sync()
    desk.answer("skip")
    desk.answer(shop)
    desk.store.run(of_one_thing, first, second)
    desk.later()
    assert (desk.sync().counts["link"], asked(desk)) == (0, [(second, "follows")])
    assert f"answered {shop} by mieke" in desk.asks()[0].body["text"]
    by_hand(desk, identity.split, f"left:customers:{second}")
    desk.later()
    assert (desk.sync().counts["link"], asked(desk)) == (1, [])
    assert desk.partners(second) == {shop}


def of_one_thing(db: Db, leads: str, follows: str, connection: str = "left", resource: str = "customers") -> None:
    """What a flow to a third system makes of two customers."""
    subject = subjects.create(db, at=START)
    stream, elsewhere = streams.ensure(db, connection, resource), streams.ensure(db, "third", "customers")
    subjects.join(db, subject, elsewhere.id, "1", role="main", why="by hand", at=START)
    subjects.join(db, subject, stream.id, leads, role="main", why="by hand", at=START)
    subjects.join(db, subject, stream.id, follows, role="follower", why="by hand", at=START)


def test_a_choice_between_two_values_is_told_as_well() -> None:
    flow = pair_flow()
    asks = tuple(msgspec.structs.replace(rule, owner="ask") if rule.key == "name" else rule for rule in flow.fields)
    desk = PairDesk(pair_flow(*asks))
    one, _ = desk.both({"title": "Aannemer", "nr": "42100009"})
    two, right = desk.both({"title": "Bakker", "nr": NUMBER})
    desk.settle()
    desk.ledger.edit(two, {"title": "Links"})
    desk.till.edit(right, {"title": "Rechts"})
    desk.sync()
    desk.answer("left", field="name")
    known = [desk.flow]
    refs = [Ref.parse(f"left:customers:{native}") for native in (one, two)]
    desk.store.run(lambda db: identity.merge(db, known, By("mieke", desk.clock.at), *refs, as_follower=True))
    desk.later()
    desk.sync()
    told: list[Item] = [item for item in desk.asks() if item.code == "follows"]
    assert [item.native for item in told] == [two]
    assert "answered left by mieke" in told[0].body["text"]


def test_once_it_is_gone_there_is_nothing_left_to_ask() -> None:
    desk, _, second = twins("create")
    linked_by_another_flow(desk)
    desk.sync()
    desk.ledger.delete(second)
    desk.later()
    desk.sync()
    assert asked(desk) == []
    answered = desk.store.run(work.listed, "ask", state="answered")
    assert second not in {item.native for item in answered}


def test_dropped_about_a_likeness_nothing_is_held_apart_for_it() -> None:
    desk = PairDesk()
    first, second = (desk.ledger.add({"title": name}) for name in ("Aannemer", "Bakker"))
    shop = desk.till.add({"title": "Bakker"})
    desk.store.run(of_one_thing, first, second)
    body: dict[str, Json] = {"choices": [{"answer": shop, "score": 80}, {"answer": "create"}, {"answer": "skip"}]}
    about: dict[str, Any] = {"flow": "pair", "side": "left", "native": second, "code": "proposed", "body": body}
    number = desk.store.run(lambda db: work.put(db, "ask", **about, at=START))
    desk.store.run(work.answer, number, "create", by="mieke", at=START)
    desk.sync()
    assert asked(desk) == [(second, "follows")]
    desk.answer("drop")
    desk.later()
    desk.sync()
    assert (asked(desk), desk.store.run(apart.any_held)) == ([], False)
