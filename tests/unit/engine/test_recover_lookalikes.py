"""A create in doubt whose record got another number before it was ever seen: its number is nowhere, and yet it was made."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from koppel.mapping.flow import FieldRule
from koppel.model.values import Json
from koppel.testing.pair_desk import PairDesk, pair_flow

NUMBER, ANOTHER = "42100001", "42100099"
BAKKER: dict[str, Json] = {"title": "Bakker", "nr": NUMBER, "tel": "0205550001", "mail": "info@bakker.example"}
RULES = tuple(FieldRule(path) for path in ("name", "kvk", "phone", "email"))


def lost(*, then: dict[str, Json] | None, made: bool = True, **flow: Any) -> tuple[PairDesk, str]:
    """The answer to a create is lost, and at once somebody changes the record it made, or makes one like it."""
    desk = PairDesk(pair_flow(*RULES, **flow))
    left = desk.ledger.add(BAKKER)
    plain = desk.till.handle

    def meddled(request: Any) -> Any:
        if not request.url.endswith("/batch"):
            return plain(request)
        desk.till.handle = plain  # type: ignore[method-assign]
        desk.wire.lose_after = 1
        if not made:
            desk.till.add(then) if then else None
            return plain(msgspec.structs.replace(request, body=b"[]"))
        reply = plain(request)
        (native,) = [native for _, _, native in desk.till.created]
        desk.till.edit(native, then or {})
        return reply

    desk.till.handle = meddled  # type: ignore[method-assign]
    desk.settle()
    return desk, left


@pytest.mark.parametrize("then", [{"nr": ANOTHER}, {"nr": None}, {"nr": ANOTHER, "tel": "0205550002"}])
def test_it_is_asked_about_and_not_made_again(then: dict[str, Json]) -> None:
    desk, left = lost(then=then)
    (made,) = [native for _, _, native in desk.till.created]
    (item,) = desk.doubts()
    assert f"right:shops:{made} came about since" in item.body["text"]
    assert desk.partners(left) == set()


def test_who_names_the_record_that_was_made_has_it_linked() -> None:
    desk, left = lost(then={"nr": ANOTHER})
    (made,) = [native for _, _, native in desk.till.created]
    desk.tell(made)
    desk.settle()
    assert desk.partners(left) == {made}
    assert len(desk.till.created) == 1
    assert desk.doubts() == []


def test_who_says_that_it_did_not_happen_has_one_made() -> None:
    desk, left = lost(then={**BAKKER, "nr": ANOTHER}, made=False)
    (theirs,) = desk.till.rows
    assert len(desk.doubts()) == 1
    desk.tell("did_not")
    desk.settle()
    (made,) = [native for _, _, native in desk.till.created]
    assert desk.partners(left) == {made}
    assert made != theirs
    assert desk.doubts() == []


def test_meanwhile_nothing_is_made_of_it_on_the_other_side() -> None:
    desk, _ = lost(then={"nr": ANOTHER}, create_left=True)
    assert len(desk.doubts()) == 1
    assert len(desk.ledger.rows) == 1
    desk.tell("did_not")
    desk.settle()
    assert sorted(str(row["nr"]) for row in desk.ledger.rows.values()) == [NUMBER, ANOTHER], "its turn comes after all"


def test_meanwhile_it_is_not_linked_with_what_carries_its_new_number() -> None:
    desk = PairDesk(pair_flow(*RULES))
    desk.both({"title": "Smid", "nr": ANOTHER})
    desk.settle()
    smid, smids = next(iter(desk.ledger.rows)), set(desk.till.rows)
    desk.ledger.add(BAKKER)
    plain = desk.till.handle

    def meddled(request: Any) -> Any:
        reply = plain(request)
        if request.url.endswith("/batch") and len(desk.till.created) == 1:
            desk.till.handle = plain  # type: ignore[method-assign]
            desk.wire.lose_after = 1
            desk.till.edit(desk.till.created[0][2], {"nr": ANOTHER})
        return reply

    desk.till.handle = meddled  # type: ignore[method-assign]
    desk.settle()
    assert len(desk.doubts()) == 1
    assert len(desk.till.created) == 1
    assert desk.partners(smid) == smids


@pytest.mark.parametrize("then", [None, {"title": "Kuiper", "nr": ANOTHER, "mail": "info@bakker.example"}])
def test_what_bears_little_of_what_was_sent_is_no_reason_to_ask(then: dict[str, Json] | None) -> None:
    desk, left = lost(then=then, made=False)
    (made,) = [native for _, _, native in desk.till.created]
    assert desk.partners(left) == {made}
    assert desk.parked() == []


def test_what_was_known_before_it_was_sent_cannot_be_what_it_made() -> None:
    desk = PairDesk(pair_flow(*RULES))
    desk.till.add({**BAKKER, "nr": ANOTHER})
    desk.settle()
    left = desk.ledger.add(BAKKER)
    desk.wire.lose_before = 1
    desk.settle()
    (made,) = [native for _, _, native in desk.till.created]
    assert desk.partners(left) == {made}
    assert desk.parked() == []
