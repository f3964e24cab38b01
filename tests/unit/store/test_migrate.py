from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from koppel.model.problem import SetupError
from koppel.store import flows, migrate, runs
from koppel.store.flows import StoredBase
from koppel.store.store import in_memory, make_engine, open_store
from koppel.store.tables import metadata
from koppel.store.vault import Vault
from koppel.sync.base import Base

KEY = bytes(range(32))


@pytest.fixture
def url(new_url):
    """Here each test makes its tables anew."""
    return new_url


def test_the_constant_head_is_the_last_migration_and_every_migration_is_known():
    script = ScriptDirectory(str(resources.files("koppel.store") / "migrations"))
    assert script.get_heads() == [migrate.HEAD]
    assert tuple(r.revision for r in reversed(list(script.walk_revisions()))) == migrate.REVISIONS


def test_migrated_tables_are_exactly_those_the_code_expects(store):
    with store.engine.connect() as connection:
        opts = {"version_table": migrate.VERSION_TABLE, "compare_server_default": not store.sqlite}  # SQLite: see below
        assert compare_metadata(MigrationContext.configure(connection, opts=opts), metadata) == []


def test_the_comparison_would_notice_a_missing_column_and_index(store):
    with store.engine.begin() as connection:
        connection.exec_driver_sql("drop index trail_run")
        connection.exec_driver_sql("alter table due drop column asked_at")
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": migrate.VERSION_TABLE})
        assert {change[0] for change in compare_metadata(context, metadata)} == {"add_column", "add_index"}


def _shape(engine: sa.Engine) -> set[str]:
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "select type, name, tbl_name, sql from sqlite_master where name not like 'sqlite_%'"
        )
        return {
            " ".join(str(part).replace(", \n", ",\n") for part in row)
            for row in found
            if migrate.VERSION_TABLE not in row
        }


def test_a_store_in_memory_has_letter_for_letter_the_tables_of_a_migrated_one(tmp_path, vault):
    """The simulation's store is made without migrations: without-rowid and partial indexes must be there too."""
    migrated = open_store(f"sqlite:///{tmp_path / 's.db'}", vault, inline=True, create=True)
    direct = in_memory(vault)
    try:
        ours, theirs = _shape(direct.engine), _shape(migrated.engine)
        tidy = lambda shapes: {" ".join(shape.replace("(", " ( ").replace(")", " ) ").split()) for shape in shapes}  # noqa: E731
        assert tidy(ours) == tidy(theirs)
        wanted = [t for t in metadata.tables.values() if not t.dialect_options["sqlite"]["with_rowid"]]
        assert sum("WITHOUT ROWID" in shape for shape in ours) == len(wanted) > 10
        assert sum("WHERE" in shape for shape in ours) == 2
    finally:
        migrated.close()
        direct.close()


def test_a_store_at_head_opens_without_importing_alembic(tmp_path, vault):
    url = f"sqlite:///{tmp_path / 's.db'}"
    open_store(url, vault, inline=True, create=True).close()
    program = (
        "import sys; from koppel.store.store import open_store; from koppel.store.vault import Vault;"
        f"open_store({url!r}, Vault(bytes(range(32))), inline=True).close(); print('alembic' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_opening_a_fresh_store_takes_less_than_half_a_second(url, vault):
    begun = time.process_time()
    open_store(url, vault, inline=True, create=True).close()
    assert time.process_time() - begun < 0.5


def test_a_store_written_by_a_newer_koppel_is_refused_and_left_alone(store, url, vault):
    with store.engine.begin() as connection:
        connection.exec_driver_sql(f"update {migrate.VERSION_TABLE} set version_num = '9999'")
    with pytest.raises(SetupError, match=r"newer Koppel.*9999.*Install"):
        open_store(url, vault)
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql(f"select version_num from {migrate.VERSION_TABLE}").scalar() == "9999"


def test_a_migration_that_was_killed_half_way_leaves_nothing_and_is_made_good(url, vault, monkeypatch, opened):
    real = migrate._migrate

    def killed(connection):
        real(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(migrate, "_migrate", killed)
    with pytest.raises(KeyboardInterrupt):
        open_store(url, vault, create=True)
    engine = make_engine(url)
    assert migrate.standing(engine) is None
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == []
    engine.dispose()
    monkeypatch.undo()
    assert opened().run(runs.begin, "f", trigger="test", actor="a", at=1.0) == 1


def test_what_an_older_store_holds_is_there_after_it_was_brought_up_to_date(url, vault, monkeypatch, opened):
    """Revision 0002 is the last one that was released before the flows of two directions."""
    real = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _to: real(config, "0002"))
    engine = make_engine(url)
    migrate.upgrade(engine)
    agreed = Base(left={"name": "Bakkerij"}, right={"name": "Bakkerij"})
    body = vault.seal(msgspec.json.encode(agreed))
    with engine.begin() as connection:
        for flow in ("linked", "new"):
            connection.exec_driver_sql(
                f"insert into flows (id, digest, left_seq, right_seq) values ('{flow}', 'd', 3, 4)"
            )
        connection.exec_driver_sql(
            "insert into bases (flow, left_native, right_native, subject, body, left_digest, right_digest, generation, norm_version)"
            f" values ('linked', 'a', 'b', 's', '{body}', 'l', 'r', 7, 1)"
        )
    assert migrate.standing(engine) == "0002"
    engine.dispose()
    monkeypatch.undo()
    store = opened()
    assert store.run(flows.bases_of, "linked", left=["a"])["a", "b"] == StoredBase("a", "b", "s", agreed, "l", "r", 7)
    assert store.run(flows.position, "linked") == flows.Position("d", {}, 3, 4)
    # a flow that linked anything has begun; of a new one the first run is looked at by a person
    assert [store.run(flows.has_begun, flow) for flow in ("linked", "new")] == [True, False]


def test_four_that_open_a_new_store_at_once_make_it_once(url, vault):
    failures: list[BaseException] = []
    line = threading.Barrier(4)

    def one() -> None:
        try:
            line.wait()
            open_store(url, vault, create=True).close()
        except BaseException as error:  # noqa: BLE001 - a thread's error must reach the test
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    engine = make_engine(url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql(f"select count(*) from {migrate.VERSION_TABLE}").scalar() == 1
    engine.dispose()


def test_threads_that_open_different_new_stores_at_once_do_not_trip_over_each_other(tmp_path, vault):
    urls = [f"sqlite:///{tmp_path}/{number}.db" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for opened_store in pool.map(lambda url: open_store(url, vault, create=True), urls):
            opened_store.close()
    for url in urls:
        engine = make_engine(url)
        assert migrate.standing(engine) == migrate.HEAD
        engine.dispose()


def test_processes_that_open_a_new_file_at_once_do_not_trip_over_each_other(tmp_path):
    program = (
        "import sys; from koppel.store.store import open_store; from koppel.store.vault import Vault;"
        f"open_store('sqlite:///{tmp_path / 's.db'}', Vault(bytes(range(32))), create=True).close()"
    )
    children = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [child.communicate()[1] for child in children] == ["", "", ""]


def test_an_open_store_does_not_wait_for_a_writer_to_learn_that_it_is_up_to_date(store, url):
    other = make_engine(url)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("delete from due")
        assert migrate.standing(other) == migrate.HEAD
    other.dispose()


def test_a_missing_store_says_how_to_make_one(tmp_path, vault):
    with pytest.raises(SetupError, match="koppel init"):
        open_store(f"sqlite:///{tmp_path / 'none.db'}", vault)
    with pytest.raises(SetupError, match="cannot be made"):
        open_store(f"sqlite:///{tmp_path / 'no' / 'folder.db'}", vault, create=True)


def test_a_file_that_is_no_store_is_refused_in_words(tmp_path, vault):
    (tmp_path / "s.db").write_text("a shopping list, and not a database at all" * 100)
    with pytest.raises(SetupError, match="cannot be opened"):
        open_store(f"sqlite:///{tmp_path / 's.db'}", vault)


def test_a_server_that_does_not_run_is_named(tmp_path, vault):
    with pytest.raises(SetupError, match="server runs"):
        open_store(f"postgresql+psycopg://koppel@/postgres?host={tmp_path}", vault)


@pytest.mark.parametrize("address", ["mysql://u@127.0.0.1/d", "nonsense", "postgresql+psycopg://u@/d?schema=No-Good"])
def test_an_address_that_is_no_store_is_refused(address):
    with pytest.raises(SetupError):
        make_engine(address)


def test_a_new_file_can_be_read_by_its_owner_only(tmp_path, vault):
    path = Path(tmp_path / "s.db")
    store = open_store(f"sqlite:///{path}", vault, inline=True, create=True)
    store.run(runs.begin, "f", trigger="test", actor="a", at=1.0)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("s.db*")} == {0o600}
    store.close()


def test_another_key_is_refused_at_the_door(store, url):
    with pytest.raises(SetupError, match="key does not fit"):
        open_store(url, Vault(b"x" * 32))
    store.run(runs.begin, "f", trigger="test", actor="a", at=1.0)


def test_two_workspaces_in_one_postgresql_do_not_see_each_other(postgres, vault):
    one = open_store(f"{postgres}&schema=shop_one", vault, inline=True, create=True)
    two = open_store(f"{postgres}&schema=shop_two", vault, inline=True, create=True)
    one.run(runs.begin, "f", trigger="test", actor="a", at=1.0)
    assert len(one.run(runs.listed)) == 1
    assert two.run(runs.listed) == []
    one.close()
    two.close()
