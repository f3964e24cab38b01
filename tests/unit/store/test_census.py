"""Whole streams in parts, on both databases: a comparison finds the same, exactly, on each."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from koppel.engine import reconcile
from koppel.store import census, due, flows, observations, reconciled, signed, streams, subjects, trail, work
from koppel.store.due import Due
from koppel.store.flows import StoredBase
from koppel.store.reconciled import Reconciled
from koppel.sync.base import Base
from koppel.testing.pair_desk import PairDesk
from koppel.testing.planted import PLANTED, plant


def test_a_comparison_is_exact(store):
    desk = PairDesk(flow=PLANTED, store=store)
    expected = plant(desk, 720, every=20)
    found = []
    asyncio.run(reconcile.compare(desk.ports, PLANTED, found.append))
    told = Counter((f.kind, f.verdict, f.left, f.right, f.field, f.left_value, f.right_value) for f in found)
    assert told == Counter(expected)


def test_every_record_is_met_once_however_small_the_parts(store, stream, company):
    store.run(observations.take_in, stream, [company(f"{n:03}") for n in range(57)], at=1.0)
    store.run(observations.take_in, stream, [observations.Seen("013", None)], at=2.0)
    for size in (1, 7, 100):
        met, after = [], ""
        while part := store.run(census.present, stream, after=after, size=size):
            met += part
            after = part[-1]
        assert met == [f"{n:03}" for n in range(57) if n != 13]


def test_what_is_gone_is_met_while_it_is_linked(store, stream, company):
    store.run(observations.take_in, stream, [company("a"), company("b")], at=1.0)
    subject = store.run(subjects.create, at=1.0)
    store.run(subjects.join, subject, stream, "a", role="main", why="kvk", at=1.0)
    store.run(observations.take_in, stream, [observations.Seen("a", None), observations.Seen("b", None)], at=2.0)
    assert store.run(census.present, stream, after="", size=9) == ["a"]
    assert store.run(census.alone, stream, after="", size=9) == ["a"]


def test_a_key_is_shared_by_records_that_are_there_only(store, stream, company):
    seen = [company(name, kvk="00000019") for name in "abc"] + [company("d", kvk="00000020")]
    store.run(observations.take_in, stream, seen, at=1.0)
    (shared,) = store.run(census.shared_keys, stream, "kvk", after="", size=9, show=2)
    assert (shared.count, shared.natives) == (3, ("a", "b"))
    assert store.run(census.shared_keys, stream, "kvk", after=shared.digest, size=9, show=2) == []
    store.run(observations.take_in, stream, [observations.Seen(name, None) for name in "ab"], at=2.0)
    assert store.run(census.shared_keys, stream, "kvk", after="", size=9, show=2) == []


@pytest.mark.parametrize("moved", ["nothing", "due", "work", "changed", "gone", "unlinked", "parted"])
def test_a_pair_is_known_to_be_as_agreed_while_nothing_about_it_moved(store, stream, company, moved):
    right = store.run(streams.ensure, "shop", "customers").id

    def within(db):
        for number in (stream, right):
            observations.take_in(db, number, [company("a")], at=1.0)
        subject, other = subjects.create_many(db, 2, at=1.0)
        for number in (stream, right):
            subjects.join(db, subject, number, "a", role="main", why="kvk", at=1.0)
        left_digest, right_digest = (
            observations.load(db, number, ["a"], entity="company")["a"].digest for number in (stream, right)
        )
        flows.save_bases(db, "f", [StoredBase("a", "a", subject, Base(), left_digest, right_digest, 1)])
        if moved == "due":
            due.add(db, "f", [Due("left", "a", "asked")], at=2.0)
        if moved == "work":
            work.put(db, "ask", flow="f", side="left", native="a", code="conflict", body={}, at=2.0)
        if moved == "changed":
            observations.take_in(db, right, [company("a", version="2", name="Nieuw")], at=2.0)
        if moved == "gone":
            observations.take_in(db, right, [observations.Seen("a", None)], at=2.0)
        if moved == "unlinked":
            subjects.leave(db, right, "a")
        if moved == "parted":
            subjects.leave(db, right, "a")
            subjects.join(db, other, right, "a", role="main", why="kvk", at=2.0)
        return census.agreed(db, "f", stream, right, ["a", "b"])

    assert [*store.run(within)] == (["a"] if moved == "nothing" else [])


def test_shared_keys_are_one_query_however_many_there_are(store, stream, company):
    seen = [company(f"{n}{twin}", kvk=f"000000{n}") for n in range(10, 20) for twin in "abc"]
    store.run(observations.take_in, stream, seen, at=1.0)

    def counted(db):
        asked, rows = [], db.rows
        db.rows = lambda sql, **values: asked.append(sql) or rows(sql, **values)
        return census.shared_keys(db, stream, "kvk", after="", size=9, show=2), len(asked)

    shared, queries = store.run(counted)
    assert queries == 1
    assert [(one.count, len(one.natives)) for one in shared] == [(3, 2)] * 9
    assert [one.digest for one in shared] == sorted(one.digest for one in shared)
    assert all(one.natives[0][:2] == one.natives[1][:2] and one.natives[0][2:] == "a" for one in shared)


def test_when_both_sides_were_read_whole_is_kept_per_flow(store):
    assert store.run(reconciled.get, "f") == Reconciled(None, wanted=False)
    store.run(reconciled.want, "f")
    assert store.run(reconciled.get, "f") == Reconciled(None, wanted=True)
    store.run(reconciled.done, "f", at=5.0)
    store.run(reconciled.want, "f")
    assert store.run(reconciled.get, "f") == Reconciled(5.0, wanted=True)
    store.run(reconciled.done, "f", at=6.0)
    assert store.run(reconciled.get, "f") == Reconciled(6.0, wanted=False)
    assert store.run(reconciled.get, "another") == Reconciled()


def test_a_listing_from_the_start_says_when_it_was_begun_and_whether_it_is_under_way(store, stream):
    assert not store.run(streams.get, stream).scanning
    store.run(streams.begin_scan, stream, at=7.0)
    store.run(streams.move_cursor, stream, cursor=None, next_page="2", complete=False, at=8.0)
    assert (store.run(streams.get, stream).scan_at, store.run(streams.get, stream).scanning) == (7.0, True)
    store.run(streams.move_cursor, stream, cursor=None, next_page=None, complete=True, at=9.0)
    assert not store.run(streams.get, stream).scanning
    store.run(streams.begin_scan, stream)
    assert store.run(streams.get, stream).scan_at is None


def test_signatures_are_kept_per_flow_and_period_and_all_of_them_in_the_trail(store):
    for by, sums in (("A", [1]), ("B", [2])):
        store.run(signed.sign, "f", "2026-10", sums, by=by, actor="x", at=1.0, note="signed")
    store.run(signed.sign, "f", "2026-09", [3], by="A", actor="x", at=1.0, note="signed")
    assert [(one.period, one.by, one.totals) for one in store.run(signed.of_flow, "f")] == [
        ("2026-09", "A", [3]),
        ("2026-10", "B", [2]),
    ]
    assert store.run(signed.of_flow, "another") == []
    assert len(store.run(trail.read)) == 3
    assert store.run(trail.numbered, [3, 1])[0].seq == 1
