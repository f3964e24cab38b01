"""Some worlds of each kind stay green, and one is the same world whenever it is lived through."""

import os
import subprocess
import sys

import pytest

from koppel.testing.simulate import added, run_world, simulate


@pytest.mark.parametrize("seed", range(1, 11))
def test_two_systems_are_kept_in_step_whatever_goes_wrong(seed):
    report = run_world(seed, kind="pair")
    assert not report.failures, report.failures
    assert report.runs > 5
    assert report.calls > 20


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_register_reaches_exact_whatever_goes_wrong(seed):
    report = run_world(seed, kind="register")
    assert not report.failures, report.failures
    assert report.runs > 5


@pytest.mark.parametrize("seed", range(2, 8))
def test_several_systems_in_one_graph_are_kept_in_step_whatever_goes_wrong(seed):
    report = run_world(seed, kind="graph")
    assert not report.failures, report.failures
    assert report.runs > 5


@pytest.mark.parametrize(("seed", "kind"), [(3, "pair"), (2, "register"), (4, "graph")])
def test_a_seed_is_the_same_world_again_to_the_last_hash(seed, kind):
    assert run_world(seed, kind=kind) == run_world(seed, kind=kind)


def test_processes_really_die_and_people_really_work():
    report = simulate(range(1, 5), kind="pair")
    assert report.kills > 0
    assert report.edits > 20
    assert report.writes > 20
    assert set(report.heads) == {1, 2, 3, 4}


def test_a_seed_is_the_same_world_in_another_process_too():
    """A set's order hangs on the process; nothing that matters may hang on a set's order."""
    code = "from koppel.testing.simulate import run_world as r; print([r(s, kind='pair').head for s in (5, 7)])"
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": number},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for number in ("0", "1")
    }
    assert len(said) == 1


def test_worlds_of_every_kind_are_mixed_and_each_has_its_figures():
    parts = [simulate(range(1, 4)), simulate(range(4, 6))]
    both = added(*parts)
    assert {kind: figures.seeds for kind, figures in both.kinds.items()} == {"pair": 3, "graph": 1, "register": 1}
    assert sum(figures.calls for figures in both.kinds.values()) == both.calls == sum(part.calls for part in parts)
    assert set(both.heads) == {1, 2, 3, 4, 5}
