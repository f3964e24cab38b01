"""A system that numbers its records anew in the middle of a run, so that a version comes to mean another state of its record."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.systems.spi import NoReply
from koppel.testing.pair_desk import PairDesk

from .two_way import two_sides

WORDS = ("Bakker", "Smid", "Kuiper")


def pairs(number: int) -> tuple[PairDesk, list[str]]:
    """So many companies in both, settled; then people edit each on both sides, so that each is written to on both."""
    sides = two_sides()
    row = {"mail": "info@firm.example", "tel": "0205550001"}
    natives = [
        sides.ledger.add({"title": WORDS[n], "nr": f"4210000{n}", "brand": WORDS[n].upper(), **row})
        for n in range(number)
    ]
    for n in range(number):
        sides.till.add({"title": WORDS[n], "nr": f"4210000{n}", "brand": WORDS[n].upper(), **row})
    sides.settle()
    for n, native in enumerate(natives):
        (right,) = [r for r, shown in sides.till.rows.items() if shown["nr"] == f"4210000{n}"]
        sides.ledger.edit(native, {"title": f"{WORDS[n]} BV"})
        sides.till.edit(right, {"brand": f"{WORDS[n]} NIEUW"})
    return sides, natives


def renumbered(sides: PairDesk, native: str, *, held: int) -> None:
    """The account is moved to another database, and somebody types into a record until it bears the version we hold of it."""
    sides.ledger.renumber()
    typed = 0
    while sides.ledger.versions[native] < held:
        typed += 1
        sides.ledger.edit(native, {"brand": f"Getypt {typed}"})
    assert sides.ledger.versions[native] == held


def overwritten(sides: PairDesk, native: str) -> list[tuple[Any, Any]]:
    """Of a field of a Ledger record: what stood there when it was written, and what the trail says stood there."""
    stood = [w.over for w in sides.ledger.written if (w.native, w.word) == (native, "brand")]
    told = [
        entry.data["fields"]["trade_name"]["before"]
        for entry in sides.trail()
        if entry.kind == "updated"
        and entry.data
        and entry.data["target"] == "left"
        and entry.data["left"].endswith(f":{native}")
        and "trade_name" in entry.data["fields"]
    ]
    return list(zip(stood, told, strict=True))


def test_what_a_person_typed_is_not_written_over_under_a_version_that_came_back() -> None:
    sides, (_, second) = pairs(2)
    held = sides.ledger.versions[second]
    sides.wire.before_write = lambda: renumbered(sides, second, held=held)
    sides.sync()
    assert all(stood == told for stood, told in overwritten(sides, second)), overwritten(sides, second)
    sides.settle()
    assert [stood for stood, _ in overwritten(sides, second)] == [f"Getypt {held - 2}"]
    assert sides.ledger.rows[second]["brand"] == "SMID NIEUW"


def test_after_the_sign_each_write_reads_its_record_first_and_what_is_as_it_was_is_written() -> None:
    sides, natives = pairs(3)
    sides.wire.before_write = sides.ledger.renumber
    sides.settle()
    assert [sides.ledger.rows[n]["brand"] for n in natives] == [f"{word.upper()} NIEUW" for word in WORDS]
    assert sides.ledger.redundant == 0


def test_a_record_that_was_edited_is_no_sign() -> None:
    sides, (first, second, third) = pairs(3)
    reads: list[str] = []
    answer = sides.ledger.handle

    def noted(request: Any) -> Any:
        reads.append(request.url.partition("?")[2]) if request.method == "GET" and "id=" in request.url else None
        return answer(request)

    sides.ledger.handle = noted  # type: ignore[method-assign]
    sides.wire.before_write = lambda: sides.ledger.edit(first, {"brand": "Getypt"})
    sides.sync()
    assert reads == [f"id={first}"]
    assert sides.ledger.rows[second]["brand"] == "SMID NIEUW"
    assert sides.ledger.rows[third]["brand"] == "KUIPER NIEUW"


@pytest.mark.parametrize("answer", ["deleted", "down"])
def test_what_does_not_show_any_more_is_not_written(answer: str) -> None:
    sides, (first, second) = pairs(2)
    held = sides.ledger.versions[second]
    plain = sides.ledger.handle

    def meddled(request: Any) -> Any:
        if request.method == "PUT" and request.url.endswith(f"/{first}"):
            reply = plain(request)
            if answer == "deleted" and second in sides.ledger.rows:
                sides.ledger.delete(second)
            return reply
        if answer == "down" and request.method == "GET" and f"id={second}" in request.url:
            return NoReply("lost")
        return plain(request)

    sides.ledger.handle = meddled  # type: ignore[method-assign]
    sides.wire.before_write = lambda: renumbered(sides, second, held=held)
    sides.sync()
    assert [w for w in sides.ledger.written if w.native == second] == []
