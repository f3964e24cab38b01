"""What a person took apart does not come together again by way of a third system: another flow may link one of two records
after a step about the other was decided, or while the answer to its create was lost."""

from __future__ import annotations

from koppel.engine.frame import make_frame
from koppel.engine.hand import Hand
from koppel.engine.quiet import settle_quietly
from koppel.store import apart, runs, streams, subjects
from koppel.store.sql import Db
from koppel.testing.pair_desk import PairDesk

NUMBER = "42100001"


def numbers(db: Db) -> tuple[int, int, int]:
    """The streams of the left, the right, and of a third system between which and these other flows run."""
    ends = (("left", "customers"), ("right", "shops"), ("third", "customers"))
    first, second, third = (streams.ensure(db, *end).id for end in ends)
    return first, second, third


def held(db: Db, desk: PairDesk, left: str) -> None:
    """A person has taken the left record apart from what is record 1 of the third system."""
    stream, _, third = numbers(db)
    apart.hold(db, [((stream, left), (third, "1"))], at=desk.clock.now(), by="mieke", why="unlinked")


def linked_there(db: Db, desk: PairDesk, right: str) -> None:
    """Another flow links the right record with record 1 of the third system."""
    _, stream, third = numbers(db)
    subject = subjects.create(db, at=desk.clock.now())
    for at, native in ((third, "1"), (stream, right)):
        subjects.join(db, subject, at, native, role="main", why="same kvk", at=desk.clock.now())


def together(db: Db, left: str) -> bool:
    stream, _, third = numbers(db)
    seats = subjects.seats_of(db, [(stream, left), (third, "1")])
    return len({seat.subject for seat in seats}) < len(seats)


def test_a_create_whose_answer_was_lost_is_not_joined_with_what_was_linked_meanwhile() -> None:
    desk = PairDesk()
    left = desk.ledger.add({"title": "Bakker", "nr": NUMBER})
    desk.store.run(held, desk, left)
    desk.wire.lose_after = 1

    async def another_flow_runs(point: str) -> None:
        if point == "chunk answered":
            ((_, _, made),) = desk.till.created
            desk.store.run(linked_there, desk, made)

    desk.ports.point = another_flow_runs
    desk.sync()
    assert not desk.store.run(together, left)
    assert {(item.native, item.code) for item in desk.asks()} == {(left, "apart")}
    desk.later()
    desk.sync()
    assert len(desk.till.created) == 1
    assert len(desk.asks()) == 1


def test_a_link_decided_before_another_flow_linked_one_of_them_is_decided_anew() -> None:
    desk = PairDesk()
    left, right = desk.both({"title": "Bakker", "nr": NUMBER})
    desk.store.run(held, desk, left)
    (link,) = [planned.step for planned in desk.plan().steps if planned.step.kind == "link"]
    desk.store.run(linked_there, desk, right)
    frame = make_frame(desk.ports, desk.flow)
    hand = Hand(
        desk.store.run(runs.begin, desk.flow.id, trigger="test", actor="koppel", at=desk.clock.now()),
        "koppel",
        desk.clock.now(),
    )
    assert not desk.store.run(settle_quietly, frame, hand, link)
    assert not desk.store.run(together, left)
    desk.sync()
    assert not desk.store.run(together, left)
    assert [item.code for item in desk.asks()] == ["apart"]


def test_who_answers_with_that_record_has_them_linked() -> None:
    desk = PairDesk()
    left, right = desk.both({"title": "Bakker", "nr": NUMBER})
    desk.store.run(held, desk, left)
    desk.store.run(linked_there, desk, right)
    desk.sync()
    assert [item.code for item in desk.asks()] == ["apart"]
    desk.answer(right)
    desk.sync()
    assert desk.store.run(together, left)
