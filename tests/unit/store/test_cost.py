"""What a page costs does not grow with what the store holds: counted in steps of SQLite's machine, not in seconds."""

from __future__ import annotations

import pytest

from koppel.model.company import Company
from koppel.model.record import Record
from koppel.store import due, flows, intents, observations, streams, subjects, trail, work
from koppel.store.due import Due
from koppel.store.flows import StoredBase
from koppel.store.intents import Intent
from koppel.store.observations import Seen
from koppel.store.store import Store, in_memory
from koppel.store.subjects import Member
from koppel.store.trail import Entry
from koppel.store.vault import Vault
from koppel.sync.base import Base

PAGE = 50
STEPS = 20  # how finely steps are counted


def _seen(n: int) -> Seen:
    entity = Company(name=f"Bakkerij {n} B.V.", kvk=f"{90000000 + n}")
    return Seen(f"n{n}", Record(entity), version="1", raw_digest="r", keys=entity.match_keys())


def _filled(count: int) -> Store:
    store = in_memory(Vault(bytes(range(32))))

    def fill(db):
        stream = streams.ensure(db, "books", "accounts").id
        observations.take_in(db, stream, [_seen(n) for n in range(count)], at=1.0)
        ids = subjects.create_many(db, count, at=1.0)
        natives = [f"n{n}" for n in range(count)]
        subjects.join_many(db, [Member(stream, n, i, "main", "kvk") for n, i in zip(natives, ids, strict=True)], at=1.0)
        flows.save_bases(db, "f", [StoredBase(n, n, i, Base(), "d", "d", 1) for n, i in zip(natives, ids, strict=True)])
        trail.append(db, [Entry(1.0, "a", "create", {}, 1, None, i) for i in ids])
        due.add(db, "f", [Due("left", n, "asked") for n in natives], at=1.0)
        intents.open_intents(
            db, [Intent(n, 1, "f", "create", stream, "right", n, None, {}, "sent", 1.0, 1.0) for n in natives]
        )
        for native in natives:
            work.put(db, "parked", flow="f", side="left", native=native, code="refused", body={}, at=1.0)

    store.run(fill)
    return store


@pytest.fixture(scope="module")
def small() -> Store:
    return _filled(200)


@pytest.fixture(scope="module")
def large() -> Store:
    return _filled(2000)


def _steps(store: Store, function) -> int:
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    raw = store._connection.connection.driver_connection
    subject_ids = store.run(
        lambda db: [row[0] for row in db.rows("select subject from members where native in ('n3', 'n4')")]
    )
    raw.set_progress_handler(count, STEPS)
    try:
        store.run(lambda db: function(db, subject_ids))
    finally:
        raw.set_progress_handler(None, 0)
    return counted


NATIVES = [f"n{n}" for n in range(PAGE)]
KEYS = [("kvk", f"{90000000 + n}") for n in range(PAGE)]
ACTS = {
    "a page of unchanged records": lambda db, ids: observations.take_in(db, 1, [_seen(n) for n in range(PAGE)], at=2.0),
    "a page of changed records": lambda db, ids: observations.take_in(
        db, 1, [Seen(n, Record(Company(name=f"{db.vault.random(4)!r}"))) for n in NATIVES], at=2.0
    ),
    "raw records known already": lambda db, ids: observations.touch_known(db, 1, [(n, "2", "r") for n in NATIVES], at=2.0, scan=0),
    "raw digests": lambda db, ids: observations.raw_digests(db, 1, NATIVES),
    "loading": lambda db, ids: observations.load(db, 1, NATIVES, entity="company"),
    "finding carriers": lambda db, ids: observations.carriers(db, 1, KEYS),
    "finding the old": lambda db, ids: observations.older_than(db, 1, NATIVES, 9.0),
    "changes since": lambda db, ids: observations.changed_since(db, 1, 100, upto=150),
    "bases from the left": lambda db, ids: flows.bases_of(db, "f", left=NATIVES),
    "bases from the right": lambda db, ids: flows.bases_of(db, "f", right=NATIVES),
    "saving bases": lambda db, ids: flows.save_bases(db, "f", [StoredBase(n, n, "s", Base(), "", "", 2) for n in NATIVES]),
    "the fast path from the left": lambda db, ids: flows.unsettled(db, "f", "left", 1, NATIVES),
    "the fast path from the right": lambda db, ids: flows.unsettled(db, "f", "right", 1, NATIVES),
    "members by record": lambda db, ids: subjects.of_records(db, 1, NATIVES),
    "members by subject": lambda db, ids: subjects.of_subjects(db, 1, ids),
    "keys of subjects": subjects.keys,
    "the trail of a subject": lambda db, ids: trail.read(db, subject=ids[0]),
    "writing the trail": lambda db, ids: trail.append(db, [Entry(1.0, "a", "k", {}, 1, None, i) for i in ids]),
    "work about records": lambda db, ids: work.about(db, "f", "left", NATIVES),
    "parking again": lambda db, ids: work.put(db, "parked", flow="f", side="left", native="n7", code="c", body={}, at=1.0),
    "due and done": lambda db, ids: due.done(db, "f", "left", NATIVES),
    "closing intents": lambda db, ids: intents.close(db, NATIVES),
    "intents in doubt": lambda db, ids: intents.mark_doubt(db, NATIVES, at=3.0),
}  # fmt: skip


@pytest.mark.parametrize("act", ACTS)
def test_a_page_costs_the_same_in_a_store_ten_times_as_large(small, large, act):
    in_small, in_large = _steps(small, ACTS[act]), _steps(large, ACTS[act])
    assert in_small > 0 or in_large == 0
    assert in_large <= in_small * 1.5 + 5
