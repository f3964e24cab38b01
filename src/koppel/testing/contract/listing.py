"""Listing: nothing is missed, nothing is doubled, and what is gone is told."""

# ruff: noqa: D102 - the tests' names are their sentences

from __future__ import annotations

import random
from typing import Any

import pytest

from koppel.model.kinds import normalise
from koppel.systems.spi import Item, Page, Query
from koppel.testing.bench import Bench
from koppel.testing.contract.records import named
from koppel.testing.contract.tried import Tried, need

SEEDS = (1, 2, 3, 4, 5)
ROUNDS = 4  # pages after which people edit


class Listing(Tried):
    """A resource that can be listed."""

    def test_every_record_is_listed_exactly_once_over_several_pages(self, large: Bench) -> None:
        need(large.resource.can.list, "it cannot be listed")
        pages = large.pages()
        natives = [item.native for page in pages for item in page.items]
        assert natives, "the sandbox holds nothing: the bench proves nothing"
        assert len(natives) == len(set(natives)), "a record was listed twice"
        assert large.natives is None or set(natives) == large.natives(), "the listing is not what really exists"
        assert len(pages) > 1, "one page holds all: make `make_large` larger"

    def test_only_the_last_page_says_that_all_was_seen(self, large: Bench) -> None:
        need(large.resource.can.list, "it cannot be listed")
        complete = [page.complete for page in large.pages()]
        assert complete == [False] * (len(complete) - 1) + [True]

    def test_nothing_changed_costs_one_call_and_tells_nothing_new(self, bench: Bench) -> None:
        cursor, seen = listed(bench)
        before = len(bench.sent)
        pages = bench.pages(cursor)
        calls = [call for call, _ in bench.sent[before:]]
        again = {(item.native, item.version) for page in pages for item in page.items}
        assert len(calls) == 1, [call.request.url for call in calls]
        assert again <= seen, "a record came as new that did not change"
        assert not any(page.complete for page in pages), "a partial listing proves no absence"

    def test_a_change_is_seen_by_the_next_listing(self, bench: Bench) -> None:
        cursor, seen = listed(bench)
        native = min(native for native, _ in seen)
        assert bench.edit
        bench.host.clock.advance(1)
        bench.edit(native, "Gewijzigd B.V.")
        changed = [item for page in bench.pages(cursor) for item in page.items if item.native == native]
        assert changed, "the change was not seen"
        assert named(bench, changed[-1]) == normalise("name", "Gewijzigd B.V.")

    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize("pace", [0.0, 0.4, 30.0], ids=["equal stamps", "late stamps", "apart"])
    def test_nothing_is_missed_while_people_change_records_between_pages(
        self, large: Bench, seed: int, pace: float
    ) -> None:
        need(large.resource.can.since, "it cannot tell what changed")
        need(large.edit, "nobody edits on this bench")
        dice = random.Random(seed)  # noqa: S311 - a test's dice
        natives = sorted(item.native for item in large.items())
        view: dict[str, Item] = {}

        def disturb(number: int) -> None:
            if number > ROUNDS:
                return  # people who edit faster than pages come would keep a listing from ever ending
            for native in dice.sample(natives, min(3, len(natives))):
                assert large.edit
                large.edit(native, f"Ronde {number} {dice.randrange(1000)} B.V.")
            if large.add and dice.random() < 0.5:
                large.add(f"Nieuw {number} {dice.randrange(1000)} B.V.")
            large.host.clock.advance(pace)

        pages = large.pages(between=disturb)
        disturb(0)
        pages += large.pages(last_cursor(pages), between=disturb)
        large.settle()
        pages += large.pages(last_cursor(pages))
        for page in pages:
            view |= {item.native: item for item in page.items}
        truth = {item.native: large.record(item).builtins() for item in large.items()}
        assert set(truth) <= set(view), "a record was never seen"
        seen = {native: large.record(view[native]).builtins() for native in truth}
        assert {n: seen[n] for n in truth if seen[n] != truth[n]} == {}, "an older state of a record was kept"

    def test_a_listing_cut_off_after_a_page_goes_on_from_its_stored_cursor(self, large: Bench) -> None:
        need(large.resource.can.list, "it cannot be listed")
        everything = {item.native for item in large.items()}
        first: Page = large.run(large.resource.pages(large.site, Query(size=large.page)))
        assert first.next, "one page holds all: make `make_large` larger"
        rest = large.pages(first.cursor)
        seen = {item.native for page in (first, *rest) for item in page.items}
        assert seen == everything, "records between the stored page and the restart were lost"

    def test_a_page_asked_twice_is_the_same_page(self, large: Bench) -> None:
        need(large.resource.can.list, "it cannot be listed")
        query = Query(size=large.page)
        for _ in range(3):  # a run that was killed before it stored a page asks for it again
            page, again = (large.run(large.resource.pages(large.site, query)) for _ in range(2))
            assert [item.native for item in again.items] == [item.native for item in page.items]
            assert (again.next is None, again.complete) == (page.next is None, page.complete)
            if page.next is None:
                break
            query = Query(next=page.next, size=large.page)

    def test_what_was_saved_late_is_not_missed(self, bench: Bench) -> None:
        need(bench.late, "nobody saves late on this bench")
        cursor, seen = listed(bench)
        assert bench.edit
        assert bench.late
        early, late = sorted({native for native, _ in seen})[:2]
        bench.host.clock.advance(30)
        bench.edit(early, "Op Tijd B.V.")  # the listing has shown this stamp …
        cursor = last_cursor(bench.pages(cursor)) or cursor
        bench.late(late, "Te Laat Opgeslagen B.V.")  # … when an older one becomes visible
        items = [item for page in bench.pages(cursor) for item in page.items if item.native == late]
        assert items, "a record saved with an older stamp was never seen"
        assert named(bench, items[-1]) == normalise("name", "Te Laat Opgeslagen B.V.")

    def test_a_deleted_record_is_reported_as_gone(self, bench: Bench) -> None:
        need(bench.resource.can.tombstones, "it does not tell what was deleted")
        need(bench.delete, "nobody deletes on this bench")
        assert bench.delete
        feed = bench.resource.tombstones or bench.resource_name
        cursor = last_cursor(bench.pages(resource=feed))
        native = min(item.native for item in bench.items())
        bench.host.clock.advance(1)
        bench.delete(native)
        bench.settle()
        gone = [entry for page in bench.pages(cursor, resource=feed) for entry in page.gone]
        assert (bench.resource_name, native) in gone


def listed(bench: Bench) -> tuple[Any, set[tuple[str, str]]]:
    """List all once: the cursor to go on from, and what was seen."""
    need(bench.resource.can.since, "it cannot tell what changed")
    need(bench.edit, "nobody edits on this bench")
    pages = bench.pages()
    cursor = last_cursor(pages)
    assert cursor is not None, "a whole listing leaves a cursor to go on from"
    return cursor, {(item.native, item.version) for page in pages for item in page.items}


def last_cursor(pages: list[Page]) -> Any:
    """The cursor the store holds after these pages."""
    return next((page.cursor for page in reversed(pages) if page.cursor is not None), None)
