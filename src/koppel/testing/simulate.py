"""Simulated worlds by the number: run seeds, report what failed, and show that a law switched off is noticed."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Generator, Iterable
from concurrent.futures import ProcessPoolExecutor

import msgspec

from koppel.testing.graph_world import GraphWorld
from koppel.testing.loop import StuckError, run_virtual
from koppel.testing.mutants import MUTANTS
from koppel.testing.pair_world import PairWorld
from koppel.testing.register_world import RegisterWorld
from koppel.testing.worlds import Failure, World, WorldReport

KINDS: dict[str, type[World]] = {"pair": PairWorld, "register": RegisterWorld, "graph": GraphWorld}


class Failed(msgspec.Struct, frozen=True):
    """One law that did not hold in one world."""

    seed: int
    kind: str
    law: int
    text: str


class Report(msgspec.Struct, frozen=True):
    """What became of many worlds; `heads` are their trails' hashes by seed."""

    seeds: int
    green: int
    failures: tuple[Failed, ...]
    runs: int
    calls: int
    edits: int
    kills: int
    writes: int
    redundant: int
    seconds: float
    heads: dict[int, str]
    mutant: str | None = None


def kind_of(seed: int) -> str:
    """Which kind of world a seed makes when nobody says."""
    return "register" if seed % 4 == 0 and "register" in KINDS else "pair"


def run_world(
    seed: int, *, kind: str | None = None, mutant: str | None = None, exclude: frozenset[str] = frozenset()
) -> WorldReport:
    """Live through one world. The same arguments give the same report, to the last hash.

    Raises KeyError for an unknown kind or mutant.
    """
    made = KINDS[kind or kind_of(seed)]
    switched_off = MUTANTS[mutant].apply() if mutant else contextlib.nullcontext()
    with switched_off, _collected_once():
        world = made(seed, exclude=exclude)
        try:
            run_virtual(world.live())
        except StuckError as error:
            world.fail(0, str(error))
        except Exception as error:  # noqa: BLE001 -- a world that breaks is a finding, whatever broke it
            world.fail(0, f"{type(error).__name__}: {error}")
        finally:
            for process in world.processes:
                process.over = True
        report = world.report()
        world.machine.close()
        world.keeper.close()
        return report


@contextlib.contextmanager
def _collected_once() -> Generator[None]:
    """One collection of garbage, at the end of a world, and only of what the world made: it costs a tenth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


def simulate(seeds: Iterable[int], *, mutant: str | None = None, kind: str | None = None, jobs: int = 1) -> Report:
    """Live through many worlds, on `jobs` processes."""
    began = time.perf_counter()
    chosen = list(seeds)
    if jobs > 1:
        with ProcessPoolExecutor(jobs) as pool:
            reports = list(pool.map(_one, [(seed, kind, mutant) for seed in chosen], chunksize=4))
    else:
        reports = [run_world(seed, kind=kind, mutant=mutant) for seed in chosen]
    return _summed(reports, seconds=time.perf_counter() - began, mutant=mutant)


def _one(given: tuple[int, str | None, str | None]) -> WorldReport:
    seed, kind, mutant = given
    return run_world(seed, kind=kind, mutant=mutant)


def _summed(reports: list[WorldReport], *, seconds: float, mutant: str | None) -> Report:
    failures = tuple(Failed(r.seed, r.kind, f.law, f.text) for r in reports for f in r.failures)
    return Report(
        seeds=len(reports),
        green=sum(not r.failures for r in reports),
        failures=failures,
        runs=sum(r.runs for r in reports),
        calls=sum(r.calls for r in reports),
        edits=sum(r.edits for r in reports),
        kills=sum(r.kills for r in reports),
        writes=sum(r.writes for r in reports),
        redundant=sum(r.redundant for r in reports),
        seconds=seconds,
        heads={r.seed: r.head for r in reports},
        mutant=mutant,
    )


class Caught(msgspec.Struct, frozen=True):
    """How many worlds noticed that a law was switched off, and the first that did."""

    mutant: str
    law: int
    text: str
    worlds: int
    caught: int
    first: int | None


def mutant_table(seeds: Iterable[int], *, names: Iterable[str] = tuple(MUTANTS), jobs: int = 1) -> tuple[Caught, ...]:
    """Every mutant against every seed. A world that is red without any mutant proves nothing and is left out."""
    chosen = list(seeds)
    table: list[Caught] = []
    sane: dict[str, list[int]] = {}
    for name in names:
        mutant = MUTANTS[name]
        if mutant.kind not in sane:
            red = {failed.seed for failed in simulate(chosen, kind=mutant.kind, jobs=jobs).failures}
            sane[mutant.kind] = [seed for seed in chosen if seed not in red]
        report = simulate(sane[mutant.kind], mutant=name, kind=mutant.kind, jobs=jobs)
        found = sorted({failed.seed for failed in report.failures})
        table.append(Caught(name, mutant.law, mutant.text, report.seeds, len(found), found[0] if found else None))
    return tuple(table)


__all__ = ["Caught", "Failed", "Failure", "Report", "mutant_table", "run_world", "simulate"]
