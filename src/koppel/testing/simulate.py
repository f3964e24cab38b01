"""Simulated worlds by the number: run seeds, report what failed, and show that a law switched off is noticed."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

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


class Figures(msgspec.Struct, frozen=True):
    """What happened in the worlds of one kind."""

    seeds: int
    green: int
    runs: int
    calls: int
    edits: int
    kills: int
    writes: int
    redundant: int


class Report(msgspec.Struct, frozen=True):
    """What became of many worlds; `heads` are their trails' hashes by seed, `kinds` the figures of each kind of world."""

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
    kinds: dict[str, Figures] = {}


def kind_of(seed: int) -> str:
    """Which kind of world a seed makes when nobody says: of four, two pairs, a register and a graph."""
    return ("register", "pair", "graph", "pair")[seed % 4]


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
    kinds = {kind: _figures([r for r in reports if r.kind == kind]) for kind in sorted({r.kind for r in reports})}
    return Report(
        **msgspec.structs.asdict(_figures(reports)),
        failures=tuple(Failed(r.seed, r.kind, f.law, f.text) for r in reports for f in r.failures),
        seconds=seconds,
        heads={r.seed: r.head for r in reports},
        mutant=mutant,
        kinds=kinds,
    )


def _figures(reports: list[WorldReport]) -> Figures:
    return Figures(
        seeds=len(reports),
        green=sum(not r.failures for r in reports),
        runs=sum(r.runs for r in reports),
        calls=sum(r.calls for r in reports),
        edits=sum(r.edits for r in reports),
        kills=sum(r.kills for r in reports),
        writes=sum(r.writes for r in reports),
        redundant=sum(r.redundant for r in reports),
    )


def added(one: Report, two: Report) -> Report:
    """Two reports as one."""
    kinds = dict(one.kinds)
    for kind, more in two.kinds.items():
        kinds[kind] = Figures(**_sums(kinds[kind], more)) if kind in kinds else more
    sums = _sums(one, two, of=(*Figures.__struct_fields__, "seconds"))
    both = {"failures": one.failures + two.failures, "heads": one.heads | two.heads, "kinds": kinds}
    return msgspec.structs.replace(one, **sums, **both)


def _sums(one: msgspec.Struct, two: msgspec.Struct, of: Iterable[str] = Figures.__struct_fields__) -> dict[str, Any]:
    return {name: getattr(one, name) + getattr(two, name) for name in of}


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


__all__ = ["Caught", "Failed", "Failure", "Figures", "Report", "added", "mutant_table", "run_world", "simulate"]
