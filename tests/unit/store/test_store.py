from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import threading

import pytest
from sqlalchemy.exc import IntegrityError

from koppel.model.problem import RetryLater
from koppel.store import due, runs, secrets
from koppel.store import store as store_module
from koppel.store.due import Due
from koppel.store.store import open_store


def _begin(db, flow="f"):
    return runs.begin(db, flow, trigger="test", actor="a", at=1.0)


def test_a_transaction_that_raises_leaves_nothing(store):
    def half_way(db):
        _begin(db)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.run(half_way)
    assert store.run(runs.listed) == []
    assert store.run(_begin) > 0


def test_a_connection_serves_on_after_a_statement_failed(store):
    with pytest.raises(Exception, match="nonsense"):
        store.run(lambda db: db.run("select * from nonsense"))
    assert store.run(_begin) > 0


def test_what_fails_in_a_savepoint_is_undone_alone(store):
    def two_and_a_mistake(db):
        _begin(db, "before")
        with contextlib.suppress(IntegrityError), db.savepoint():
            _begin(db, "inside")
            db.run("insert into meta (key, value) values ('one', '1'), ('one', '2')")
        _begin(db, "after")

    store.run(two_and_a_mistake)
    assert sorted(run.flow for run in store.run(runs.listed)) == ["after", "before"]


def test_an_error_of_the_database_does_not_show_what_was_written(store):
    with pytest.raises(IntegrityError) as caught:
        store.run(lambda db: [db.run("insert into meta (key, value) values (:k, 'x')", k="0612345678") for _ in "ab"])
    assert "insert into meta" in str(caught.value)
    assert store.sqlite is False or "0612345678" not in str(caught.value)  # PostgreSQL itself names the key


def test_what_one_worker_committed_the_other_sees(opened):
    one, other = opened(), opened()
    one.run(_begin)
    assert [run.id for run in other.run(runs.listed)] == [1]


def test_with_a_writer_thread_the_event_loop_is_not_held_up(url, vault):
    store = open_store(url, vault, create=True)

    async def pass_of_two() -> list[int]:
        return await asyncio.gather(store.tx(_begin, "one"), store.durable(_begin, "two"), store.tx(_begin, "three"))

    assert sorted(asyncio.run(pass_of_two())) == [1, 2, 3]
    assert len(store.run(runs.listed)) == 3
    store.close()


def _durability(db) -> str:
    return db.scalar("pragma synchronous") if db.sqlite else db.scalar("show synchronous_commit")


def test_only_a_durable_transaction_waits_for_the_disk(store):
    """SQLite: 2 is FULL, which syncs the write-ahead log at each commit; 1 is NORMAL, which does not."""
    waits, does_not = (2, 1) if store.sqlite else ("on", "off")

    async def look() -> list:
        return [await store.tx(_durability), await store.durable(_durability), await store.tx(_durability)]

    assert asyncio.run(look()) == [does_not, waits, does_not]
    assert store.run_durable(_durability) == waits
    assert store.run(_durability) == does_not


def test_a_durable_commit_survives_the_process_being_killed_at_once(url, vault, opened):
    program = (
        "import os, signal; from koppel.store.store import open_store; from koppel.store.vault import Vault;"
        "from koppel.store import secrets;"
        f"store = open_store({url!r}, Vault(bytes(range(32))), inline=True, create=True);"
        "store.run_durable(secrets.put, 'books', {'refresh': 'r2'}, at=5.0);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert opened().run(secrets.get, "books") == ({"refresh": "r2"}, 1)


def test_names_and_ids_with_quotes_colons_and_other_scripts_travel_whole(store):
    odd = ["it's:a", 'b"c', "ключ", "%s :x", "\\'", "🥖"]
    store.run(due.add, "f", [Due("left", native, "asked") for native in odd], at=1.0)
    assert {entry.native for entry in store.run(due.ready, "f", at=1.0)} == set(odd)


def test_two_workers_that_touch_the_same_rows_in_opposite_order_never_block_each_other(opened):
    one, two = opened(), opened()
    for name in ("a", "b"):
        one.run(lambda db, n: db.run("insert into meta (key, value) values (:k, '0')", k=n), name)
    together = threading.Barrier(2)

    def touch(store, order):
        together.wait()
        for _ in range(20):
            store.run(
                lambda db: [db.run("update meta set value = value || '.' where key = :k", k=key) for key in order]
            )

    workers = [threading.Thread(target=touch, args=args) for args in ((one, "ab"), (two, "ba"))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {
        len(one.run(lambda db, k: db.scalar("select value from meta where key = :k", k=k), key)) for key in "ab"
    } == {41}


def test_a_database_that_another_program_holds_is_said_so_and_nothing_is_done(tmp_path, vault, monkeypatch):
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.05)
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", vault, inline=True, create=True)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(RetryLater, match="kept the store to itself"):
        store.run(lambda db: db.run("insert into meta (key, value) values ('x', '1')"))
    other.execute("rollback")
    other.close()
    assert store.run(lambda db: db.scalar("select count(*) from meta where key = 'x'")) == 0
    store.close()


def test_workers_go_by_the_databases_clock(store):
    assert abs(store.clock_offset()) < 5
    assert not store.sqlite or store.clock_offset() == 0.0
