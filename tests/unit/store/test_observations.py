from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.model.company import Company
from koppel.model.record import Record
from koppel.model.values import Cursor
from koppel.store import observations, streams
from koppel.store.observations import Seen, Taken
from koppel.store.store import in_memory
from koppel.store.vault import Vault

GONE = None


def _take(store, stream, *seen, at=100.0, scan=0):
    return store.run(observations.take_in, stream, seen, at=at, scan=scan)


def _load(store, stream, *natives):
    return store.run(observations.load, stream, natives, entity="company")


def _seq(store, stream):
    return store.run(streams.get, stream).seq


def test_new_records_get_the_next_numbers_in_the_order_of_the_page(store, stream, company):
    assert _take(store, stream, company("b"), company("a")) == Taken(new=("b", "a"))
    assert _seq(store, stream) == 2
    assert store.run(observations.changed_since, stream, 0, upto=2) == ["b", "a"]
    assert store.run(observations.changed_since, stream, 1, upto=2) == ["a"]
    assert store.run(observations.changed_since, stream, 0, upto=1) == ["b"]


def test_a_record_comes_back_as_it_was_taken_in(store, stream):
    entity = Company(name="Bakkerij De Korenaar B.V.", kvk="90000001", phone="+31201234567", is_active=True)
    seen = Seen(
        "a",
        Record(entity, {"Remarks": "belt altijd terug", "Discount": 0.5}),
        version="v7",
        modified_at=99.5,
        raw_digest="raw",
    )
    _take(store, stream, seen, at=100.25)
    found = _load(store, stream, "a", "unknown")
    assert set(found) == {"a"}
    a = found["a"]
    assert a.record == seen.record
    assert (a.version, a.raw_digest, a.modified_at, a.seen_at, a.gone, a.seq) == ("v7", "raw", 99.5, 100.25, False, 1)


def test_a_changed_record_gets_a_new_number_and_a_new_digest(store, stream, company):
    _take(store, stream, company("a"), company("b"))
    before = _load(store, stream, "a")["a"]
    assert _take(store, stream, company("a", phone="+31201234567")) == Taken(changed=("a",))
    after = _load(store, stream, "a")["a"]
    assert after.seq == 3
    assert after.digest != before.digest
    assert after.record.entity.phone == "+31201234567"


def test_an_unchanged_record_keeps_its_number_but_its_version_is_refreshed(store, stream, company):
    """P6: with a stale version the next precondition would fail for ever."""
    _take(store, stream, company("a", version="1", raw="r1"), at=100.0)
    assert _take(store, stream, company("a", version="2", raw="r2"), at=200.0) == Taken()
    a = _load(store, stream, "a")["a"]
    assert (a.seq, a.version, a.raw_digest, a.seen_at) == (1, "2", "r2", 200.0)
    assert _seq(store, stream) == 1


def test_a_way_of_reading_that_shows_no_version_does_not_wipe_the_one_we_have(store, stream, company):
    _take(store, stream, company("a", version="7", raw="r7"))
    _take(store, stream, company("a", version="", raw=""), at=200.0)
    a = _load(store, stream, "a")["a"]
    assert (a.version, a.raw_digest, a.seen_at) == ("7", "r7", 200.0)


def test_the_same_page_taken_in_twice_changes_nothing(store, stream, company):
    page = [company(str(n), kvk=f"9000000{n}") for n in range(5)]
    _take(store, stream, *page)
    assert _take(store, stream, *page, at=200.0) == Taken()
    assert _seq(store, stream) == 5
    assert store.run(observations.population, stream) == 5
    assert store.run(observations.carriers, stream, [("kvk", "90000003")]) == {("kvk", "90000003"): ("3",)}


def test_of_a_record_twice_on_one_page_the_last_counts_and_gets_one_number(store, stream, company):
    assert _take(store, stream, company("a"), company("a", name="Later B.V.")) == Taken(new=("a",))
    assert _load(store, stream, "a")["a"].record.entity.name == "Later B.V."
    assert _seq(store, stream) == 1


def test_a_record_that_is_gone_is_news_once_and_keeps_its_last_values(store, stream, company):
    _take(store, stream, company("a", kvk="90000001", raw="r"))
    assert _take(store, stream, Seen("a", GONE)) == Taken(gone=("a",))
    assert _take(store, stream, Seen("a", GONE)) == Taken()
    a = _load(store, stream, "a")["a"]
    assert (a.gone, a.seq) == (True, 2)
    assert a.record.entity.kvk == "90000001"
    assert store.run(observations.population, stream) == 0
    assert store.run(observations.raw_digests, stream, ["a"]) == {}


def test_a_record_we_never_knew_and_that_is_gone_is_no_news(store, stream):
    assert _take(store, stream, Seen("a", GONE)) == Taken()
    assert _seq(store, stream) == 0


def test_a_record_that_comes_back_is_a_change_even_with_its_old_values(store, stream, company):
    _take(store, stream, company("a", kvk="90000001"))
    _take(store, stream, Seen("a", GONE))
    assert store.run(observations.carriers, stream, [("kvk", "90000001")]) == {("kvk", "90000001"): ()}
    assert _take(store, stream, company("a", kvk="90000001")) == Taken(changed=("a",))
    a = _load(store, stream, "a")["a"]
    assert (a.gone, a.seq) == (False, 3)
    assert store.run(observations.carriers, stream, [("kvk", "90000001")]) == {("kvk", "90000001"): ("a",)}


def test_a_gone_record_keeps_the_entity_version_its_values_are_written_in(store, stream, company):
    _take(store, stream, company("a"))
    store.run(lambda db: db.run("update observations set entity_version = 7"))
    _take(store, stream, Seen("a", GONE))
    assert store.run(lambda db: db.scalar("select entity_version from observations")) == 7


def test_values_moved_to_another_record_do_not_open(store, stream, company):
    _take(store, stream, company("a"), company("b"))
    store.run(
        lambda db: db.run(
            "update observations set vals = (select vals from observations where native = 'b') where native = 'a'"
        )
    )
    with pytest.raises(Exception, match="altered"):
        _load(store, stream, "a")


def test_streams_do_not_mix(store, stream, company):
    other = store.run(streams.ensure, "register", "companies").id
    _take(store, stream, company("a", kvk="90000001"))
    _take(store, other, company("a", kvk="90000001"), company("b"))
    assert (_seq(store, stream), _seq(store, other)) == (1, 2)
    assert store.run(observations.carriers, stream, [("kvk", "90000001")]) == {("kvk", "90000001"): ("a",)}
    _take(store, other, Seen("a", GONE))
    assert not _load(store, stream, "a")["a"].gone


# --- keys ---------------------------------------------------------------------------------------------------------


def test_every_carrier_of_a_key_is_found_and_unknown_keys_are_answered_with_nobody(store, stream, company):
    _take(store, stream, company("b", kvk="90000001"), company("a", kvk="90000001"), company("c", kvk="90000002"))
    wanted = [("kvk", "90000001"), ("kvk", "90000009"), ("rsin", "90000001")]
    assert store.run(observations.carriers, stream, wanted) == {
        ("kvk", "90000001"): ("a", "b"),
        ("kvk", "90000009"): (),
        ("rsin", "90000001"): (),
    }
    assert store.run(observations.carriers, stream, []) == {}


def test_a_record_whose_key_changed_is_no_longer_found_by_the_old_one(store, stream, company):
    _take(store, stream, company("a", kvk="90000001"))
    _take(store, stream, company("a", kvk="90000002"))
    found = store.run(observations.carriers, stream, [("kvk", "90000001"), ("kvk", "90000002")])
    assert found == {("kvk", "90000001"): (), ("kvk", "90000002"): ("a",)}


def test_neither_names_nor_numbers_lie_readable_in_the_database_files(tmp_path, vault):
    from koppel.store import intents, secrets, subjects, trail, work
    from koppel.store.intents import Intent
    from koppel.store.store import open_store
    from koppel.store.trail import Entry

    secret = {
        "name": b"Bakkerij De Gouden Korenaar",
        "kvk": b"90871234",
        "phone": b"+31207654321",
        "token": b"refresh-9f8e7d",
    }
    plain = {key: value.decode() for key, value in secret.items()}
    entity = Company(name=plain["name"], kvk=plain["kvk"], phone=plain["phone"])
    store = open_store(f"sqlite:///{tmp_path / 's.db'}", vault, inline=True, create=True)

    def write(db):
        stream = streams.ensure(db, "books", "accounts").id
        observations.take_in(
            db, stream, [Seen("a", Record(entity, {"Remarks": plain["name"]}), keys=entity.match_keys())], at=1.0
        )
        subject = subjects.create(db, at=1.0)
        trail.append(db, [Entry(1.0, "jan", "update", plain, subject=subject), Entry(1.0, "jan", "login", plain)])
        work.put(db, "ask", flow="f", side="left", native="a", field="phone", code="conflict", body=plain, at=1.0)
        work.answer(db, 1, plain["phone"], by="jan", at=2.0)
        secrets.put(db, "books", plain, at=1.0)
        secrets.put(db, "books", plain, at=2.0)
        intents.open_intents(db, [Intent("op", 1, "f", "create", stream, "right", "a", None, plain, "sent", 1.0, 1.0)])

    store.run(write)
    files = sorted(tmp_path.glob("s.db*"))
    assert [file.name for file in files] == ["s.db", "s.db-shm", "s.db-wal"]
    everything = b"".join(file.read_bytes() for file in files)
    assert b"conflict" in everything  # what is not secret can be found: we did look at the right bytes
    assert [name for name, value in secret.items() if value in everything] == []
    store.close()
    assert [name for name, value in secret.items() if value in (tmp_path / "s.db").read_bytes()] == []


# --- absence ------------------------------------------------------------------------------------------------------


def test_what_a_complete_listing_did_not_show_is_gone(store, stream, company):
    scan = store.run(streams.begin_scan, stream)
    _take(store, stream, company("a"), company("b"), company("c"), scan=scan)
    assert store.run(observations.mark_unseen_gone, stream, scan, at=150.0) == Taken()
    scan = store.run(streams.begin_scan, stream)
    _take(store, stream, company("a"), company("b", name="Changed B.V."), scan=scan)
    assert store.run(observations.mark_unseen_gone, stream, scan, at=200.0) == Taken(gone=("c",))
    assert store.run(observations.mark_unseen_gone, stream, scan, at=201.0) == Taken()
    assert _load(store, stream, "c")["c"].gone


def test_unchanged_raw_records_count_as_shown(store, stream, company):
    scan = store.run(streams.begin_scan, stream)
    _take(store, stream, company("a", raw="r1"), company("b", raw="r2"), scan=scan)
    scan = store.run(streams.begin_scan, stream)
    assert store.run(observations.raw_digests, stream, ["a", "b", "x"]) == {"a": "r1", "b": "r2"}
    store.run(observations.touch_known, stream, [("a", "9", "r1")], at=200.0, scan=scan)
    store.run(observations.touch_known, stream, [], at=200.0, scan=scan)
    assert store.run(observations.mark_unseen_gone, stream, scan, at=201.0) == Taken(gone=("b",))
    assert _load(store, stream, "a")["a"].version == "9"


def test_a_record_we_made_or_read_back_while_a_listing_was_under_way_is_not_called_gone_at_its_end(
    store, stream, company
):
    """Receipts and look-ups come without a scan number; the listing may have passed their place already."""
    _take(
        store,
        stream,
        company("old"),
        company("same", raw="r"),
        company("raw", raw="r"),
        scan=store.run(streams.begin_scan, stream),
    )
    scan = store.run(streams.begin_scan, stream)
    _take(store, stream, company("made by us"), at=150.0)
    _take(store, stream, company("old", name="Changed by us B.V."), at=150.0)
    _take(store, stream, company("same", raw="r"), at=150.0)
    store.run(observations.touch_known, stream, [("raw", "2", "r")], at=150.0, scan=0)
    assert store.run(observations.mark_unseen_gone, stream, scan, at=200.0) == Taken()


def test_seen_under_the_listing_and_then_changed_by_us_stays_seen(store, stream, company):
    scan = store.run(streams.begin_scan, stream)
    _take(store, stream, company("a"), scan=scan)
    _take(store, stream, company("a", name="Changed by us B.V."))
    assert store.run(observations.mark_unseen_gone, stream, scan, at=200.0) == Taken()


def test_records_not_seen_lately_can_be_picked_out(store, stream, company):
    _take(store, stream, company("a"), company("b"), at=100.0)
    _take(store, stream, company("b"), at=200.0)
    assert store.run(observations.older_than, stream, ["a", "b", "x"], 150.0) == ["a"]


# --- streams ------------------------------------------------------------------------------------------------------


def test_a_stream_is_made_once_and_found_again(store):
    first = store.run(streams.ensure, "books", "accounts")
    assert store.run(streams.ensure, "books", "accounts") == first
    assert store.run(streams.ensure, "books", "items").id == first.id + 1
    assert [s.name for s in store.run(streams.every)] == ["books:accounts", "books:items"]
    with pytest.raises(KeyError):
        store.run(streams.get, 99)


def test_a_cursor_moves_on_stays_when_a_page_brings_none_and_falls_back_with_a_new_scan(store, stream):
    cursor = Cursor("timestamp", "0x99", tie="b", extra={"moved": "no"})
    store.run(streams.move_cursor, stream, cursor=cursor, next_page="p2", complete=False, at=1.0)
    store.run(streams.move_cursor, stream, cursor=None, next_page=None, complete=True, at=2.0)
    s = store.run(streams.get, stream)
    assert (s.cursor, s.next, s.complete_at, s.read_at) == (cursor, None, 2.0, 2.0)
    store.run(streams.move_cursor, stream, cursor=None, next_page=None, complete=False, at=3.0)
    assert store.run(streams.get, stream).complete_at == 2.0
    assert store.run(streams.begin_scan, stream) == 1
    s = store.run(streams.get, stream)
    assert (s.cursor, s.next, s.complete_at) == (None, None, None)


# --- any history --------------------------------------------------------------------------------------------------

_EVENTS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["gone", "one", "two"])), min_size=1, max_size=6)


@given(st.lists(_EVENTS, max_size=12))
def test_whatever_pages_come_each_real_change_gets_exactly_one_number_and_none_is_skipped(pages):
    store = in_memory(Vault(bytes(range(32))))
    stream = store.run(streams.ensure, "books", "accounts").id
    truth: dict[str, str] = {}
    changes = 0
    for page in pages:
        latest = dict(page)
        news = {n: state for n, state in latest.items() if truth.get(n, "gone") != state}
        before = _seq(store, stream)
        seen = [Seen(n, None if state == "gone" else Record(Company(name=state))) for n, state in page]
        taken = _take(store, stream, *seen)
        changes += len(news)
        assert set(taken.new + taken.changed + taken.gone) == set(news)
        assert set(store.run(observations.changed_since, stream, before, upto=before + 99)) == set(news)
        truth |= latest
    assert _seq(store, stream) == changes
    alive = {n for n, state in truth.items() if state != "gone"}
    assert store.run(observations.population, stream) == len(alive)
    assert {n: o.record.entity.name for n, o in _load(store, stream, *alive).items()} == {n: truth[n] for n in alive}
    store.close()
