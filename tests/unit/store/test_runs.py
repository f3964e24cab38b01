from __future__ import annotations

from koppel.store import runs


def _begin(store, flow="f", at=1.0):
    return store.run(runs.begin, flow, trigger="schedule", actor="koppel", at=at)


def test_a_run_tells_what_it_did(store):
    run = _begin(store)
    assert store.run(runs.get, run).state == "running"
    store.run(runs.end, run, state="done", counts={"created": 2, "prices": {"call": 3}}, message="", at=5.0)
    found = store.run(runs.get, run)
    assert (found.state, found.counts, found.begun, found.ended) == (
        "done",
        {"created": 2, "prices": {"call": 3}},
        1.0,
        5.0,
    )
    assert store.run(runs.get, run + 1) is None


def test_a_run_that_a_killed_process_left_behind_is_closed_as_interrupted_by_the_next_of_its_flow(store):
    left, other = _begin(store), _begin(store, "g")
    following = _begin(store, at=9.0)
    found = store.run(runs.get, left)
    assert (found.state, found.ended) == ("interrupted", 9.0)
    assert "carried on" in found.message
    assert [store.run(runs.get, run).state for run in (other, following)] == ["running", "running"]


def test_a_run_that_ended_stays_as_it_ended(store):
    run = _begin(store)
    store.run(runs.end, run, state="stopped", counts={}, message="the guard", at=2.0)
    _begin(store, at=9.0)
    assert (store.run(runs.get, run).state, store.run(runs.get, run).message) == ("stopped", "the guard")


def test_the_latest_runs_come_first_and_as_many_as_wanted(store):
    ids = [_begin(store, flow) for flow in "fgfgf"]
    assert [run.id for run in store.run(runs.listed, limit=3)] == ids[:1:-1]
    assert [run.id for run in store.run(runs.listed, flow="g")] == [ids[3], ids[1]]
