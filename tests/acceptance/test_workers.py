"""Several processes on one workspace, on a file and on PostgreSQL: nothing is taken in, written or run twice, and what a
killed worker leaves is taken over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path

import pytest

from koppel.store import due, runs, streams, subjects, trail
from koppel.store.due import Due
from koppel.testing.pair_torture import PairTorture
from koppel.testing.stand import AFAS_FLOW, FLOW, REGISTER, stand

pytestmark = pytest.mark.slow
BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))]


@pytest.fixture(params=BOTH)
def at(request):
    """A workspace with two flows out of one register, and sixteen numbers taken in for both."""
    database = None
    if request.param == "postgresql":
        database = f"{request.getfixturevalue('postgres')}&schema=w_{uuid.uuid4().hex}"
    with stand(seed=11, companies=60, afas=True, database=database) as made:
        companies = [c for c in made.host.world.companies if c.ended_on is None and c.shape == "plain"][:16]
        for flow in (FLOW, AFAS_FLOW):
            entries = [Due("left", company.kvk, "taken in") for company in companies]
            made.workspace.store.run(due.add, flow, entries, at=made.host.clock.now())
        yield made


def _start(at, flow, *point):
    command = [sys.executable, "-m", "koppel.testing.child", str(at.folder), flow, *point]
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"KOPPEL_ACTOR": "koppel"})


def _end(*processes):
    return [(process.wait(120), process.stderr.read().decode(), process.stderr.close()) for process in processes]


def _finish(at):
    for _ in range(6):
        at.wait(900)
        results = [at.workspace.sync(flow) for flow in (FLOW, AFAS_FLOW)]
        if all(r.state == "done" and not r.counts["create"] and not r.counts["update"] for r in results):
            return
    raise AssertionError([r.message for r in results])


def _nothing_twice(at):
    assert at.duplicates() == 0
    kinds = Counter(entry.kind for entry in at.workspace.store.run(trail.read, limit=10**6))
    assert at.writes() == kinds["created"] + kinds["updated"]
    assert at.workspace.audit_verify() is None


def _linked(at):
    def natives(db):
        return subjects.linked_natives(db, streams.named(db, REGISTER, "companies").id)

    return at.workspace.store.run(natives)


def test_workers_started_at_once_on_the_same_flows_take_in_and_write_nothing_twice(at):
    for round_ in range(3):
        ends = _end(*(_start(at, flow) for flow in (FLOW, AFAS_FLOW, FLOW, AFAS_FLOW)))
        for code, said, _ in ends:
            assert code == 0 or "another worker" in said, said
            assert "Traceback" not in said
        at.wait(900)
        at.exact("edit", id=at.accounts()[round_]["ID"], set={"Phone": f"020-555000{round_}"})
    _finish(at)
    _nothing_twice(at)
    assert len(_linked(at)) == 16


@pytest.mark.parametrize(
    "point", ["chunk opened", "chunk answered", "page received", "look-up stored", "views settled"]
)
def test_the_flow_of_a_worker_that_was_killed_is_taken_over_by_another(at, point):
    victim = _start(at, FLOW, point)
    assert victim.wait(120) == -signal.SIGKILL
    victim.stderr.close()
    code, said, _ = _end(_start(at, FLOW))[0]
    assert code == 0, said  # at once: no lease of the dead one is waited for
    _finish(at)
    _nothing_twice(at)
    assert len(_linked(at)) == 16


def test_each_due_time_is_run_once_however_many_workers_there_are(at):
    for flow in (FLOW, AFAS_FLOW):
        file = at.folder / "flows" / f"{flow}.toml"
        text = file.read_text("utf-8")
        assert "\n[run]\n" in text
        lines = [line for line in text.splitlines() if not line.startswith(("schedule", "window"))]
        file.write_text("\n".join(lines).replace("[run]", '[run]\nschedule = "every 15 minutes"'), "utf-8")
    for round_ in range(1, 4):
        command = [Path(sys.executable).parent / "koppel", "work", "--once", "--json", "-w", str(at.folder)]
        ends = _end(*(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(3)))
        assert all("Traceback" not in said for _, said, _ in ends), ends
        found = Counter(run.flow for run in at.workspace.store.run(runs.listed, limit=100))
        assert found == {FLOW: round_, AFAS_FLOW: round_}, found
        at.wait(901)
    _nothing_twice(at)
    assert at.writes() > 10, "a world in which nothing happens proves nothing"


def test_a_worker_ends_when_it_is_asked_to(at):
    command = [Path(sys.executable).parent / "koppel", "work", "-w", str(at.folder)]
    worker = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert worker.stderr.readline(), "it says what it did or that it waits"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert "Traceback" not in worker.stderr.read().decode()
    worker.stderr.close()
    _finish(at)
    _nothing_twice(at)


def test_killed_beside_each_other_on_postgresql_two_workers_double_and_lose_nothing(postgres):
    world = PairTorture(8, 5, print, f"{postgres}&schema=w_{uuid.uuid4().hex}")
    report = world.whole()
    assert report.findings == ()
    assert (report.duplicated, report.lost, report.wrong_fields, report.unrecorded, report.restless) == (0, 0, 0, 0, 0)
    assert report.kills == 8
    assert world.beside, "two workers were at it at once"
