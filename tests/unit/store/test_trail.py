from __future__ import annotations

import sqlite3
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.store import subjects, trail
from koppel.store.store import Store, in_memory, open_store
from koppel.store.trail import Entry, Head
from koppel.store.vault import Vault

KEY = bytes(range(32))


def _write(store, *kinds, subject=None, at=1763650000.123456):
    entries = [
        Entry(at + n, "run 7", kind, {"name": kind, "before": None}, 7, f"op{n}", subject)
        for n, kind in enumerate(kinds)
    ]
    return store.run(trail.append, entries)


def _verify(store, against=None):
    return store.run(trail.verify, against=against)


def _tamper(store, sql):
    store.run(lambda db: db.run(sql))


def test_an_empty_trail_holds(store):
    assert _verify(store) is None
    assert store.run(trail.head) == Head(0, trail.GENESIS)
    assert _write(store) == []


def test_entries_are_numbered_without_gaps_across_transactions(store):
    assert _write(store, "create", "update") == [1, 2]
    assert _write(store, "link") == [3]
    assert _verify(store) is None
    assert store.run(trail.head).seq == 3


def test_a_transaction_that_failed_leaves_no_gap(store):
    def fails(db):
        trail.append(db, [Entry(1.0, "a", "create", {})])
        raise ValueError

    _write(store, "one")
    with pytest.raises(ValueError):  # noqa: PT011
        store.run(fails)
    assert _write(store, "two") == [2]
    assert _verify(store) is None


def test_an_entry_is_read_back_as_it_was_told(store):
    subject = store.run(subjects.create, at=1.0)
    entry = Entry(1763650000.123456, "jan", "update", {"phone": {"before": "020-1", "after": None}}, 7, "op1", subject)
    store.run(trail.append, [entry, Entry(2.0, "jan", "login", {"connection": "books"})])
    first, second = store.run(trail.read)
    assert [getattr(first, name) for name in Entry.__struct_fields__] == [
        getattr(entry, name) for name in Entry.__struct_fields__
    ]
    assert (second.data, second.subject, second.run, second.op) == ({"connection": "books"}, None, None, None)


def test_the_trail_can_be_read_by_run_subject_and_place(store):
    subject = store.run(subjects.create, at=1.0)
    _write(store, "a", "b", subject=subject)
    store.run(trail.append, [Entry(1.0, "x", "c", {}, run=8)])
    read = lambda **wanted: [entry.kind for entry in store.run(trail.read, **wanted)]  # noqa: E731
    assert read(run=7) == ["a", "b"]
    assert read(subject=subject, after=1) == ["b"]
    assert read(newest_first=True, limit=2) == ["c", "b"]
    assert read(run=8, subject=subject) == []


# --- tampering ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "first_bad"),
    [
        ("update trail set actor = 'nobody' where seq = 3", 3),
        ("update trail set at_us = at_us + 1 where seq = 2", 2),
        ("update trail set run = null where seq = 4", 4),
        ("update trail set op = 'other' where seq = 1", 1),
        ("update trail set kind = 'creata' where seq = 5", 5),
        ("update trail set version = 2 where seq = 2", 2),
        ("update trail set subject = 'someone' where seq = 2", 2),
        ("update trail set data = '' where seq = 3", 3),
        ("update trail set commitment = hash where seq = 3", 3),
        ("update trail set hash = commitment where seq = 3", 3),
        ("delete from trail where seq = 3", 3),
        ("delete from trail where seq = 1", 1),
        ("delete from trail where seq = 5", 6 - 1),
        ("delete from trail", 1),
        ("delete from trail_head", 6),
        ("update trail_head set seq = 4", 6),
        ("update trail set seq = 6 where seq = 3", 3),
        ("update trail set seq = -6 where seq = 3", 1),
        (
            "insert into trail select 6, version, at_us, actor, run, op, kind, subject, data, commitment, hash from trail where seq = 5",
            6,
        ),
        (
            "insert into trail select 0, version, at_us, actor, run, op, kind, subject, data, commitment, hash from trail where seq = 1",
            1,
        ),
    ],
)
def test_verify_names_the_first_entry_that_does_not_hold(store, sql, first_bad):
    _write(store, "one", "two", "three", "four", "five")
    assert _verify(store) is None
    _tamper(store, sql)
    assert _verify(store).seq == first_bad


def test_two_entries_that_changed_places_are_noticed_at_the_first(store):
    _write(store, "one", "two", "three", "four")
    for sql in (
        "update trail set seq = 99 where seq = 2",
        "update trail set seq = 2 where seq = 3",
        "update trail set seq = 3 where seq = 99",
    ):
        _tamper(store, sql)
    assert _verify(store).seq == 2


def test_a_tail_cut_off_with_its_head_is_noticed_against_an_exported_head_only(store):
    _write(store, "one", "two", "three")
    before = store.run(trail.head)
    _write(store, "four", "five")
    exported = store.run(trail.head)
    _tamper(store, "delete from trail where seq > 3")
    _tamper(store, f"update trail_head set seq = 3, hash = '{before.hash}'")
    assert _verify(store) is None
    assert _verify(store, exported).seq == 4
    assert _verify(store, before) is None


def test_a_past_rewritten_in_full_is_noticed_against_an_exported_head(store):
    _write(store, "one", "two", "three")
    exported = store.run(trail.head)
    _tamper(store, "delete from trail")
    _tamper(store, f"update trail_head set seq = 0, hash = '{trail.GENESIS}'")
    _write(store, "one", "something else", "three", "four")
    assert _verify(store) is None
    assert _verify(store, exported).seq == 3


def test_a_trail_that_grew_since_still_passes_through_the_exported_head(store):
    _write(store, "one")
    exported = store.run(trail.head)
    _write(store, *"abc")
    assert _verify(store, exported) is None
    assert _verify(store, Head(0, trail.GENESIS)) is None


@pytest.fixture(scope="module")
def written() -> tuple[Store, list[tuple]]:
    store = in_memory(Vault(KEY))
    subject = store.run(subjects.create, at=1.0)
    _write(store, "one", "two", "three", subject=subject)
    _write(store, "four", "five", "six")
    return store, [tuple(row) for row in store.run(lambda db: db.rows("select * from trail order by seq"))]


@given(st.data())
def test_any_change_of_one_character_or_number_anywhere_is_found_at_its_entry(written, data):
    store, rows = written
    columns = list(
        msgspec.to_builtins(
            ["seq", "version", "at_us", "actor", "run", "op", "kind", "subject", "data", "commitment", "hash"]
        )
    )
    row = data.draw(st.sampled_from(rows))
    column = data.draw(
        st.sampled_from([name for name, value in zip(columns, row, strict=True) if value is not None and name != "seq"])
    )
    old = row[columns.index(column)]
    if isinstance(old, int):
        new = data.draw(st.integers(-(2**40), 2**40).filter(lambda n: n != old))
    else:
        place = data.draw(st.integers(0, len(old) - 1))
        new = (
            old[:place]
            + data.draw(st.characters(codec="utf-8", exclude_characters="\0" + old[place]))
            + old[place + 1 :]
        )
    store.run(lambda db: db.run(f"update trail set {column} = :v where seq = :s", v=new, s=row[0]))
    try:
        assert _verify(store).seq == row[0]
    finally:
        store.run(lambda db: db.run(f"update trail set {column} = :v where seq = :s", v=old, s=row[0]))
    assert _verify(store) is None


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_entries_in_another_order_or_left_out_are_found_at_the_first_that_is_out_of_place(written, order, left_out):
    store, rows = written
    kept = [rows[n] for n in order if n not in left_out]
    if kept == rows:
        return

    def put(db, what):
        db.run("delete from trail")
        for seq, row in enumerate(what, start=1):
            values = {f"v{n}": value for n, value in enumerate((seq, *row[1:]))}
            db.run(f"insert into trail values ({', '.join(':' + name for name in values)})", **values)

    store.run(put, kept)
    first = next((n for n, (a, b) in enumerate(zip(kept, rows, strict=False)) if a != b), len(kept))
    assert _verify(store).seq == first + 1
    store.run(put, rows)
    assert _verify(store) is None


def test_bytes_that_are_no_text_any_more_are_named_and_not_a_crash(tmp_path, vault):
    store = open_store(f"sqlite:///{tmp_path / 's.db'}", vault, inline=True, create=True)
    _write(store, "one", "two", "three", "four")
    _tamper(store, "update trail set actor = cast(x'ff00fe' as text) where seq = 3")
    broken = _verify(store)
    assert (broken.seq, broken.why) == (3, "entry 3 cannot be read")
    _tamper(store, "update trail set data = x'00ff' where seq = 2")
    assert _verify(store).seq == 2
    store.close()


def test_a_long_trail_is_walked_to_its_end(store):
    store.run(trail.append, [Entry(float(n), "a", "k", {}) for n in range(4500)])
    assert _verify(store) is None
    _tamper(store, "update trail set kind = 'x' where seq = 4321")
    assert _verify(store).seq == 4321


# --- erasure ------------------------------------------------------------------------------------------------------


def test_an_erased_subject_cannot_be_read_and_the_chain_holds(store):
    erased, kept = store.run(subjects.create_many, 2, at=1.0)
    _write(store, "one", subject=erased)
    _write(store, "two", subject=kept)
    exported = store.run(trail.head)
    store.run(subjects.erase, erased)
    assert _verify(store, exported) is None
    assert [entry.data for entry in store.run(trail.read)] == [None, {"name": "two", "before": None}]
    _write(store, "three", subject=erased)
    assert _verify(store, exported) is None
    assert [entry.data is None for entry in store.run(trail.read)] == [True, False, True]


def test_a_payload_sealed_for_one_subject_does_not_open_for_another(store):
    one, two = store.run(subjects.create_many, 2, at=1.0)
    _write(store, "one", subject=one)
    _tamper(store, f"update trail set subject = '{two}'")
    assert [entry.data for entry in store.run(trail.read)] == [None]


def test_no_byte_of_an_erased_key_is_left_in_the_files(tmp_path, vault):
    """Among many subjects, made in many transactions, so that pages were split and rows moved about."""
    path = tmp_path / "s.db"
    store = open_store(f"sqlite:///{path}", vault, inline=True, create=True)
    ids = [subject for _ in range(10) for subject in store.run(subjects.create_many, 50, at=1.0)]
    erased = ids[::7]
    wrapped = dict(store.run(lambda db: [tuple(row) for row in db.rows("select id, key from subjects")]))

    def left() -> list[str]:
        content = b"".join(file.read_bytes() for file in tmp_path.glob("s.db*"))
        return [subject for subject in ids if wrapped[subject][20:60].encode() in content]

    assert left() == ids
    for subject in erased:
        store.run(subjects.erase, subject)
    store.scrub()
    assert left() == [subject for subject in ids if subject not in erased]
    store.close()


def test_clearing_the_files_works_on_both_databases_and_loses_nothing(store):
    subject = store.run(subjects.create, at=1.0)
    _write(store, "one", subject=subject)
    store.scrub()
    assert _verify(store) is None
    assert store.run(trail.read)[0].data == {"name": "one", "before": None}


# --- several writers ----------------------------------------------------------------------------------------------


def test_workers_that_write_at_once_make_one_chain(opened):
    stores = [opened() for _ in range(3)]
    line = threading.Barrier(len(stores))

    def write(store):
        line.wait()
        for _ in range(8):
            _write(store, "one", "two")

    threads = [threading.Thread(target=write, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _verify(stores[0]) is None
    assert stores[0].run(trail.head).seq == 48


def test_the_file_can_be_checked_with_nothing_but_sqlite_and_a_hash(tmp_path, vault):
    """The chain is documented by this test: whoever audits needs no Koppel."""
    import json
    from hashlib import sha256

    store = open_store(f"sqlite:///{tmp_path / 's.db'}", vault, inline=True, create=True)
    _write(store, "one", "twéé")
    expected = store.run(trail.head).hash
    store.close()
    last = "0" * 64
    with sqlite3.connect(tmp_path / "s.db") as file:
        for seq, *told, data, _commitment, stored in file.execute(
            "select seq, version, at_us, actor, run, op, kind, subject, data, commitment, hash from trail order by seq"
        ):
            commitment = sha256(data.encode()).hexdigest()
            plain = json.dumps([last, seq, *told, commitment], separators=(",", ":"), ensure_ascii=False)
            last = sha256(plain.encode()).hexdigest()
            assert last == stored
    file.close()
    assert last == expected
