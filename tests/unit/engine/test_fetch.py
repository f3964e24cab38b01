"""Taking in: a page is stored with the cursor that follows it; a kill loses no page; absence counts only after a whole listing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from koppel.engine.fetch import fetch, look_up, take_items, unknown_of
from koppel.engine.ports import Connection, NotSent, Ports
from koppel.engine.send import Sender
from koppel.model.can import Can
from koppel.model.company import Company
from koppel.model.problem import Bug, Problem, RetryLater
from koppel.model.record import Record
from koppel.model.values import Cursor
from koppel.store import leases, observations, streams
from koppel.store.store import in_memory
from koppel.store.vault import Vault
from koppel.systems.spi import (
    Absent,
    Auth,
    Call,
    Decoded,
    Found,
    Item,
    Page,
    Request,
    Resource,
    Response,
    System,
    Tokens,
    Unknown,
    Verdict,
)

SIZE = 2


class Settings(msgspec.Struct, frozen=True):
    pass


class Vendor:
    """A vendor with a version per record; lists in order of version, two a page; a log of deletions beside it."""

    def __init__(self, *natives: str) -> None:
        self.version = 0
        self.rows: dict[str, tuple[int, str]] = {}
        self.deleted: list[str] = []
        self.asked: list[tuple[int, str]] = []
        self.renumbered = False
        self.truncated = False
        for native in natives:
            self.put(native)

    def put(self, native: str, name: str = "n") -> None:
        self.version += 1
        self.rows[native] = (self.version, name)

    def pages(self, site: Any, query: Any) -> Any:
        whole = query.cursor is None if query.next is None else query.next.startswith("whole")
        since = int(query.next.partition(" ")[2]) if query.next else int(query.cursor.value) if query.cursor else 0
        if self.renumbered and query.cursor is not None:
            return Page(restart=True)
        reply = yield Call(Request("GET", f"https://v.example/?{since}"), kind="list")
        rows = msgspec.json.decode(reply.body)
        items = tuple(Item(native, {"name": name}, str(version)) for version, native, name in rows[:SIZE])
        high = rows[: len(items)][-1][0] if rows else since
        if len(rows) > SIZE:
            return Page(items, next=f"{'whole' if whole else 'part'} {high}")
        return Page(items, cursor=Cursor("version", str(high)), complete=whole and not self.truncated)

    def tombstones(self, site: Any, query: Any) -> Any:
        yield Call(Request("GET", "https://v.example/deleted"), kind="deleted")
        return Page(gone=tuple(("things", native) for native in self.deleted), cursor=Cursor("version", "1"))

    def answer(self, request: Request) -> Response:
        since = int(request.url.partition("?")[2] or 0)
        self.asked.append((since, request.url))
        rows = sorted((version, native, name) for native, (version, name) in self.rows.items() if version > since)
        return Response(200, {}, msgspec.json.encode(rows[: SIZE + 1]))


def decode(site: Any, item: Item) -> Decoded:
    return Decoded(Record(Company(name=item.fields["name"], kvk=f"0000000{item.native[-1]}")))


class Desk:
    def __init__(self, vendor: Vendor, *, tombstones: bool = False, **resource: Any) -> None:
        self.vendor, self.store, self.now = vendor, in_memory(Vault(bytes(32))), 1000.0
        self.kill: str | None = None
        self.worker = "w"
        things = Resource(
            name="things",
            entity="company",
            can=Can(find=("native", "kvk"), find_batch=2),
            pages=vendor.pages,
            decode=decode,
            tombstones="deleted" if tombstones else None,
        )
        things = replace(things, **resource)
        deleted = Resource(name="deleted", entity="", can=Can(), pages=vendor.tombstones)
        auth = Auth(
            kind="key",
            authorize=lambda settings, tokens, request: request,
            due=lambda tokens, as_of: "fresh",
            tokens_from=lambda settings: Tokens("k"),
        )
        system = System(
            name="toy",
            title="Toy",
            settings=Settings,
            resources=(things, deleted),
            auth=auth,
            verdict=lambda request, response, as_of: Verdict("ok"),
        )
        self.connection = Connection(name="c", system=system, settings=Settings())

    def ports(self) -> Ports:
        desk = self

        class Clock:
            def now(self) -> float:
                return desk.now

            async def sleep(self, seconds: float) -> None:
                desk.now += seconds

        class Wire:
            async def send(self, request: Request, *, timeout: float) -> Response | NotSent:  # noqa: ASYNC109
                return desk.vendor.answer(request)

        async def point(name: str) -> None:
            if name == desk.kill:
                desk.kill = None
                raise KeyboardInterrupt

        return Ports(store=self.store, clock=Clock(), transport=Wire(), connections={}, worker=self.worker, point=point)

    def fetch(self) -> Any:
        self.now += 1
        ports = self.ports()
        return asyncio.run(fetch(ports, Sender(ports), self.connection, self.connection.resource("things")))

    def look_up(self, kind: str, *values: str) -> Any:
        ports = self.ports()
        resource = self.connection.resource("things")
        return asyncio.run(look_up(ports, Sender(ports), self.connection, resource, kind, values))

    @property
    def stream(self) -> streams.Stream:
        return self.store.run(streams.ensure, "c", "things")

    def known(self) -> dict[str, bool]:
        """Native -> whether it is gone."""
        natives = self.store.run(lambda db: [row[0] for row in db.rows("select native from observations")])
        found = self.store.run(observations.load, self.stream.id, natives, entity="company")
        return {native: seen.gone for native, seen in sorted(found.items())}


def test_all_pages_are_read_the_first_time_and_only_what_changed_after_that() -> None:
    desk = Desk(Vendor("a", "b", "c", "d", "e"))
    first = desk.fetch()
    assert (first.pages, first.new, first.changed, first.gone) == (3, 5, 0, 0)
    assert desk.stream.complete_at == desk.now
    desk.vendor.put("b", "other")
    desk.vendor.put("f")
    second = desk.fetch()
    assert (second.pages, second.new, second.changed) == (1, 1, 1)
    assert desk.vendor.asked[-1][0] == 5


def test_nothing_changed_is_one_call_and_no_new_number() -> None:
    desk = Desk(Vendor("a"))
    desk.fetch()
    seq = desk.stream.seq
    desk.vendor.put("a")  # a new version of the same content
    desk.fetch()
    assert (len(desk.vendor.asked), desk.stream.seq) == (2, seq)
    assert desk.store.run(observations.load, desk.stream.id, ["a"], entity="company")["a"].version == "2"


@pytest.mark.parametrize("point", ["page received", "page stored"])
def test_killed_between_pages_no_page_is_lost_and_none_read_more_than_twice(point: str) -> None:
    desk = Desk(Vendor("a", "b", "c", "d", "e"))
    desk.kill = point
    with pytest.raises(KeyboardInterrupt):
        desk.fetch()
    desk.fetch()
    assert desk.known() == dict.fromkeys("abcde", False)
    since = [since for since, _ in desk.vendor.asked]
    assert since == ([0, 0, 2, 4] if point == "page received" else [0, 2, 4])
    assert desk.stream.complete_at is not None


def test_the_cursor_stands_in_the_same_transaction_as_its_page() -> None:
    """A page that cannot be stored whole moves nothing."""
    vendor = Vendor("a", "b", "c")
    broken = {"b"}

    def fragile(site: Any, item: Item) -> Decoded:
        if item.native in broken:
            raise ZeroDivisionError
        return decode(site, item)

    desk = Desk(vendor, decode=fragile)
    with pytest.raises(ZeroDivisionError):
        desk.fetch()
    assert (desk.known(), desk.stream.next, desk.stream.cursor, desk.stream.seq) == ({}, None, None, 0)
    broken.clear()
    desk.fetch()
    assert desk.known() == dict.fromkeys("abc", False)


def renumber(desk: Desk) -> None:
    """The vendor numbers its stream anew: all must be read again."""
    desk.vendor.renumbered = True
    desk.fetch()
    desk.vendor.renumbered = False


def test_what_a_complete_listing_does_not_show_is_gone() -> None:
    desk = Desk(Vendor("a", "b", "c"))
    desk.fetch()
    del desk.vendor.rows["b"]
    assert desk.fetch().gone == 0  # changes alone prove nothing
    renumber(desk)
    assert desk.known() == {"a": False, "b": True, "c": False}


def test_what_an_incomplete_listing_does_not_show_is_not_gone() -> None:
    desk = Desk(Vendor("a", "b", "c"))
    desk.fetch()
    del desk.vendor.rows["b"]
    desk.vendor.truncated = True
    renumber(desk)
    assert desk.known() == dict.fromkeys("abc", False)
    assert desk.stream.complete_at is None  # and what is not known is no proof of absence either


def test_a_scan_that_was_killed_calls_nothing_gone_until_it_is_whole() -> None:
    desk = Desk(Vendor("a", "b", "c", "d", "e"))
    desk.fetch()
    del desk.vendor.rows["e"]
    desk.vendor.renumbered, desk.kill = True, "page stored"
    with pytest.raises(KeyboardInterrupt):
        desk.fetch()
    desk.vendor.renumbered = False
    assert desk.known() == dict.fromkeys("abcde", False)
    desk.fetch()
    assert desk.known() == dict.fromkeys("abcd", False) | {"e": True}


def test_what_was_seen_just_before_the_listing_began_may_not_be_listed_yet_and_is_spared_this_once() -> None:
    desk = Desk(Vendor("a", "b"), can=Can(find=("native",), settles_after=30.0))
    desk.fetch()
    desk.now += 100
    with_us = Item("new", {"name": "made by us"})
    desk.store.run(take_items, desk.connection, desk.connection.resource("things"), desk.stream, [with_us], at=desk.now)
    del desk.vendor.rows["b"]
    renumber(desk)
    assert desk.known() == {"a": False, "b": True, "new": False}
    desk.now += 100
    renumber(desk)
    assert desk.known() == {"a": False, "b": True, "new": True}


def test_a_restart_is_said_and_reads_all_again() -> None:
    desk = Desk(Vendor("a", "b", "c"))
    desk.fetch()
    desk.vendor.asked.clear()
    renumber(desk)
    assert [since for since, _ in desk.vendor.asked] == [0, 2]


def test_a_vendor_that_restarts_for_ever_is_left_in_peace_and_makes_no_loop() -> None:
    desk = Desk(Vendor("a"))

    def always(site: Any, query: Any) -> Any:
        yield Call(Request("GET", "https://v.example/?0"))
        return Page(restart=True, next="x")

    desk = Desk(Vendor("a"), pages=always)
    with pytest.raises(RetryLater):
        desk.fetch()


def test_deletions_come_from_their_own_feed_and_are_news_once() -> None:
    desk = Desk(Vendor("a", "b"), tombstones=True)
    desk.fetch()
    desk.vendor.deleted = ["a", "never seen"]
    desk.fetch()
    assert desk.known() == {"a": True, "b": False}
    seq = desk.stream.seq
    desk.fetch()
    assert desk.stream.seq == seq


def test_a_stream_that_is_being_read_elsewhere_is_left_alone() -> None:
    desk = Desk(Vendor("a"))
    desk.store.run(leases.take, "stream c:things", "another", at=desk.now, seconds=300.0)
    with pytest.raises(RetryLater, match="another worker"):
        desk.fetch()
    assert desk.vendor.asked == []


def test_a_page_of_a_reader_that_lost_its_stream_is_not_stored() -> None:
    desk = Desk(Vendor("a", "b", "c"))
    answer = desk.vendor.answer

    def slow(request: Request) -> Response:
        desk.store.run(lambda db: db.run("update leases set owner = 'thief', fence = fence + 1"))
        return answer(request)

    desk.vendor.answer = slow  # type: ignore[method-assign]
    with pytest.raises(RetryLater, match="taken over"):
        desk.fetch()
    assert desk.known() == {}


# --- look-ups -------------------------------------------------------------------------------------------------------------


def finder(asked: list[tuple[str, ...]]) -> Any:
    def find(site: Any, kind: str, values: tuple[str, ...]) -> Any:
        asked.append(values)
        yield Call(Request("GET", "https://v.example/?0"), kind="find")
        found = {"a": Found((Item("a", {"name": "A"}),)), "?": Unknown(Problem("busy", "later", retry_at=9.0))}
        return {value: found.get(value, Absent()) for value in values}

    return find


def test_look_ups_go_in_bulk_and_what_is_found_is_stored() -> None:
    asked: list[tuple[str, ...]] = []
    desk = Desk(Vendor(), find=finder(asked))
    answers = desk.look_up("native", "a", "b", "?")
    assert asked == [("a", "b"), ("?",)]
    assert desk.known() == {"a": False, "b": True}  # "not there" is remembered of a look-up by id; not knowing is not
    assert set(unknown_of(answers)) == {"?"}


def test_not_found_by_another_key_says_nothing_about_any_record() -> None:
    desk = Desk(Vendor(), find=finder([]))
    desk.look_up("kvk", "b")
    assert desk.known() == {}


def test_a_key_the_vendor_cannot_be_asked_by_is_our_fault() -> None:
    with pytest.raises(Bug):
        Desk(Vendor(), find=finder([])).look_up("vat", "x")
