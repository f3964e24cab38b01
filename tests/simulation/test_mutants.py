"""Laws switched off one at a time, on seeds that notice; the whole table is `mutant_table`."""

import pytest

from koppel.testing.mutants import MUTANTS
from koppel.testing.simulate import mutant_table, run_world


@pytest.mark.parametrize(
    ("mutant", "first"),
    [
        ("no precondition", 2),
        ("blind repeat", 3),
        ("the frozen send", 4),
        ("before not kept", 1),
        ("refusal forgotten", 10),
        ("reads all again", 1),
        ("absent is gone", 1),
        ("two runs at once", 1),
        ("same thing by another flow", 24),
        ("requests in messages", 1),
        ("number as int", 1),
    ],
)
def test_a_law_switched_off_is_noticed(mutant, first):
    """By the first seed or by one of the next: which one, changes with every change of the worlds."""
    kind = MUTANTS[mutant].kind
    assert any(run_world(seed, kind=kind, mutant=mutant).failures for seed in range(first, first + 12))


def test_every_law_that_exists_so_far_has_a_mutant():
    assert {mutant.law for mutant in MUTANTS.values()} == set(range(1, 14))


def test_a_mutant_is_gone_when_its_world_is_over():
    run_world(1, kind="pair", mutant="number as int")
    assert not run_world(1, kind="pair").failures


def test_the_table_counts_who_noticed():
    (row,) = mutant_table([1, 2], names=["requests in messages"])
    assert (row.worlds, row.caught, row.first, row.law) == (2, 2, 1, 12)
