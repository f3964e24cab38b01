"""Reading whole: as often as the flow says, after doubt, and only a proven end of it calls anything gone; what is gone is dealt
with by the missing-rule, once, whichever way it was learnt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from koppel.engine.fetch import look_up
from koppel.engine.send import Sender
from koppel.mapping.flow import Brakes, RunRules
from koppel.store import observations, reconciled, streams
from koppel.systems.spi import Resource
from koppel.testing import toys
from koppel.testing.pair_desk import FLOW, QUARTER, PairDesk, company

WEEK = 7 * 86_400.0


def weekly(**given: Any) -> Any:
    run = RunRules(reconcile="weekly", brakes=Brakes(None, None, given.pop("share", None)))
    return msgspec.structs.replace(FLOW, run=run, **given)


def desk_of(count: int, flow: Any = None, *, page: int = 50) -> PairDesk:
    desk = PairDesk(flow or weekly(), page=page, pace=QUARTER)
    for number in range(1, count + 1):
        desk.both(company(number))
    assert desk.sync().state == "done"
    desk.later(200)
    desk.sync()
    return desk


def silently(desk: PairDesk, server: str, *natives: str) -> None:
    """Records vanish without any feed telling of it."""
    desk.hide(server, *natives)


def stream(desk: PairDesk, name: str, resource: str) -> streams.Stream:
    return desk.store.run(streams.ensure, name, resource)


def gone(desk: PairDesk, side: str) -> int:
    resource = {"left": "customers", "right": "shops"}[side]
    return desk.store.run(observations.vanished, stream(desk, side, resource).id)[0]


def said(desk: PairDesk) -> list[str]:
    return [text for text in desk.told if "reading all of it" in text]


def test_both_sides_are_read_whole_when_the_flow_says_it_is_time_and_it_is_said() -> None:
    desk = desk_of(3)
    assert said(desk) == []
    desk.later(WEEK)
    assert desk.sync().counts["read_whole"] == 2
    assert said(desk) == [
        "left:customers: reading all of it (weekly reconciliation)",
        "right:shops: reading all of it (weekly reconciliation)",
    ]
    assert desk.store.run(reconciled.get, "pair").at == desk.clock.at
    assert desk.sync().counts["read_whole"] == 0
    assert len(said(desk)) == 2


def test_a_flow_that_says_nothing_or_never_is_not_read_whole() -> None:
    for word in (None, "never"):
        desk = desk_of(1, msgspec.structs.replace(FLOW, run=RunRules(reconcile=word, brakes=Brakes(None, None, None))))
        desk.later(10 * WEEK)
        assert desk.sync().counts["read_whole"] == 0


def test_what_another_flow_had_read_whole_is_not_read_again() -> None:
    desk = desk_of(2)
    desk.later(WEEK)
    desk.sync()
    desk.flow = msgspec.structs.replace(weekly(), id="second", create_right=False)
    desk.later(WEEK / 2)
    assert desk.sync().counts["read_whole"] == 0
    desk.later(WEEK)
    assert desk.sync().counts["read_whole"] == 2


def test_what_vanished_without_a_word_is_found_by_the_whole_reading_only() -> None:
    desk = desk_of(12)
    silently(desk, "till", "3")
    desk.later(3600)
    assert desk.sync().counts["ask"] == 0
    assert gone(desk, "right") == 0
    desk.later(WEEK)
    assert desk.sync().counts["ask"] == 1
    assert [(ask.code, ask.body["right"]) for ask in desk.asks()] == [("missing", "3")]


@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_a_whole_reading_that_was_cut_short_calls_nothing_gone_and_is_carried_on(calls: int) -> None:
    desk = desk_of(12, page=3)
    silently(desk, "till", "3")
    desk.later(WEEK)
    desk.clock.at = desk.ledger.granted + 566  # signing in anew is no call of this test
    desk.later(WEEK)
    desk.sync(only=("none",), light=True)
    desk.wire.calls.clear()
    desk.wire.cut_after = calls
    assert desk.sync().state == "stopped"
    assert gone(desk, "right") == 0
    assert desk.store.run(reconciled.get, "pair").at is None
    desk.wire.cut_after = None
    desk.later(700)
    assert desk.sync().state == "done"
    assert gone(desk, "right") == 1
    assert len([url for url in desk.wire.calls if "/rows?after=0" in url]) == 1  # what was read of it is not read again


def test_a_listing_whose_end_is_not_proven_calls_nothing_gone() -> None:
    desk = desk_of(12)
    right = desk.connections["right"]

    def unproven(resource: Resource) -> Resource:
        def pages(site: Any, query: Any) -> Any:
            page = yield from toys.till_pages(site, query)
            return msgspec.structs.replace(page, complete=False)

        return replace(resource, pages=pages) if resource.name == "shops" else resource

    system = replace(right.system, resources=tuple(unproven(r) for r in right.system.resources))
    desk.connections["right"] = replace(right, system=system)
    silently(desk, "till", "3")
    desk.later(WEEK)
    assert desk.sync().counts["read_whole"] == 2
    assert gone(desk, "right") == 0


# --- much at once ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("left_over", [0, 8])
def test_a_side_that_shows_nothing_or_a_fifth_holds_until_a_person_lets_it_pass(side: str, left_over: int) -> None:
    flow = weekly(share=0.2, missing_left="archive", missing_right="restore", create_left=True)
    desk = desk_of(40, flow)
    server, rows = ("ledger", desk.ledger.rows) if side == "left" else ("till", desk.till.rows)
    silently(desk, server, *list(rows)[: 40 - left_over])
    desk.later(WEEK)
    writes = desk.ledger.writes + desk.till.writes
    stopped = desk.sync()
    assert (stopped.state, stopped.plan.guard.override) == ("stopped", "vanished")  # type: ignore[union-attr]
    for _ in range(3):  # nor does any ordinary run after it, which reads nothing whole again so soon
        again = desk.sync()
        assert (again.state, again.counts["read_whole"]) == ("stopped", 0)
    assert desk.sync().counts["read_whole"] > 0  # an hour after
    desk.later(WEEK)
    assert desk.sync().state == "stopped"
    assert desk.ledger.writes + desk.till.writes == writes
    allowed = desk.sync(override=("vanished",))
    assert allowed.state == "done"
    assert desk.ledger.writes + desk.till.writes > writes


def test_a_side_that_shows_all_again_is_read_whole_and_nothing_ever_happened() -> None:
    desk = desk_of(40, weekly(share=0.2, missing_right="restore"))
    silently(desk, "till", *list(desk.till.rows))
    desk.later(WEEK)
    assert desk.sync().state == "stopped"
    assert gone(desk, "right") == 40
    desk.later(1800)
    assert desk.sync().counts["read_whole"] == 0  # reading it whole is dear
    desk.wire.hidden.clear()  # the right is given back; no record changed, so that no listing of changes would show one
    desk.later(3600)
    run = desk.sync()
    assert (run.state, run.counts["read_whole"], gone(desk, "right")) == ("done", 1, 0)
    assert "much had vanished" in said(desk)[-1]
    assert {k: n for k, n in run.counts.items() if n and k not in ("unchanged", "read_whole")} == {}
    assert len(desk.till.rows) == 40
    assert desk.sync().counts["read_whole"] == 0


def test_a_few_linked_records_among_many_others_are_a_side_of_their_own() -> None:
    """All that a flow has linked vanished, though the side is full of records that are none of its business."""
    desk = desk_of(12, weekly(share=0.2, missing_right="restore", create_right=True))
    for number in range(1000, 1200):
        desk.till.add(company(number))
    silently(desk, "till", *[str(n) for n in range(1, 13)])
    desk.later(WEEK)
    run = desk.sync()
    assert run.plan.guard is not None
    assert (run.state, run.plan.guard.override) == ("stopped", "vanished")


def test_a_side_on_which_everything_changed_holds_until_a_person_lets_it_pass() -> None:
    desk = desk_of(40, weekly(share=0.2))
    desk.later(WEEK)
    for native in list(desk.ledger.rows):
        desk.ledger.edit(native, {"title": f"Other {native}"})
    names = {row["title"] for row in desk.till.rows.values()}
    for _ in range(3):
        run = desk.sync()
        assert run.plan.guard is not None
        assert (run.state, run.plan.guard.override) == ("stopped", "share")
    assert {row["title"] for row in desk.till.rows.values()} == names
    assert desk.sync(override=("share",)).counts["update"] == 40


# --- how a deletion is learnt, and undone ---------------------------------------------------------------------------------


def test_a_deletion_told_by_a_feed_is_dealt_with_at_once() -> None:
    desk = desk_of(12, weekly(missing_left="archive"))
    desk.ledger.delete("4")
    assert desk.sync().counts["archive"] == 1
    assert desk.till.rows["4"]["archived"] is True
    assert desk.sync().counts["archive"] == 0


def test_a_deletion_found_by_a_look_up_is_dealt_with_like_any_other() -> None:
    desk = desk_of(12)
    silently(desk, "till", "4")
    right = desk.connections["right"]
    desk.do(look_up(desk.ports, Sender(desk.ports), right, right.resource("shops"), "native", ["4"]))
    assert desk.sync().counts["ask"] == 1
    assert [ask.body["right"] for ask in desk.asks()] == ["4"]


def test_made_anew_under_a_new_id_is_linked_with_what_stayed_once_the_old_link_has_ended() -> None:
    desk = desk_of(12, weekly(missing_right="restore"))
    row = {word: value for word, value in desk.till.rows["4"].items() if word not in ("id", "ref")}
    desk.till.delete("4")
    new = desk.till.add(row)
    for _ in range(3):
        desk.sync()
    numbers = [row["nr"] for row in desk.till.rows.values()]
    assert len(numbers) == len(set(numbers)) == 12
    assert desk.scalar("select right_native from bases where left_native = '4'") == new


def test_deleted_on_both_sides_is_unlinked_and_nothing_else() -> None:
    desk = desk_of(12)
    desk.ledger.delete("4")
    desk.till.delete("4")
    writes = desk.till.writes
    run = desk.sync()
    assert (run.counts["unlink"], run.counts["ask"], run.counts["create"], desk.till.writes) == (1, 0, 0, writes)
    assert desk.scalar("select count(*) from bases where left_native = '4'") == 0


def test_what_comes_back_as_it_was_closes_its_question_and_stays_linked() -> None:
    desk = desk_of(12)
    row = desk.till.rows["3"]
    desk.till.delete("3")
    assert desk.sync().counts["ask"] == 1
    desk.till.rows["3"] = row
    desk.till._touch("3")
    desk.sync()
    assert desk.asks() == []
    assert desk.scalar("select count(*) from members where stream = 2 and native = '3'") == 1
    assert len(desk.till.rows) == 12


def test_what_comes_back_under_its_id_with_other_values_is_merged_like_any_edit() -> None:
    desk = desk_of(12)
    row = dict(desk.till.rows["3"])
    desk.till.delete("3")
    desk.sync()
    desk.till.rows["3"] = row | {"mail": "new@firm.example", "title": "Somebody else"}
    desk.till._touch("3")
    desk.sync()
    desk.sync()
    assert desk.asks() == []
    assert desk.ledger.rows["3"]["mail"] == "new@firm.example"  # the right owns it
    assert desk.till.rows["3"]["title"] == "Bedrijf 000003"  # the left owns it
