"""`koppel simulate`: seeded worlds of made-up systems, killed and disturbed, in which every law must hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.testing.simulate import Report

PART = 10  # worlds between two lines of progress


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate")(simulate)


@command
def simulate(
    terminal: Terminal,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="How many worlds.")] = 20,
    first_seed: Annotated[
        int, typer.Option("--first-seed", metavar="SEED", min=0, help="The first world's seed; the others follow.")
    ] = 1,
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Only worlds of this kind.")] = None,
    mutant: Annotated[
        str | None, typer.Option("--mutant", metavar="LAW", help="Switch this law off: the simulation must notice.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", min=1, help="Processes (default: one per core).")
    ] = None,
) -> int:
    """Check every law in seeded worlds with faults and kills.

    Exit code 1 when one is broken.

    A failing seed replays identically: koppel simulate --seeds 1 --first-seed SEED

    Example: koppel simulate --seeds 200 --first-seed 1000
    """
    import msgspec

    from koppel.model.problem import UsageError
    from koppel.testing.mutants import MUTANTS
    from koppel.testing.simulate import KINDS, added
    from koppel.testing.simulate import simulate as live_through

    for word, known, what in ((kind, KINDS, "kind of world"), (mutant, MUTANTS, "mutant")):
        if word is not None and word not in known:
            raise UsageError(f"There is no {what} {word!r}.", remedy=f"There are: {', '.join(sorted(known))}.")
    processes = jobs or os.cpu_count() or 1
    size = PART * processes
    report: Report | None = None
    for start in range(first_seed, first_seed + seeds, size):
        part = live_through(
            range(start, min(start + size, first_seed + seeds)), mutant=mutant, kind=kind, jobs=processes
        )
        report = added(report, part) if report else part
        terminal.progress(f"{report.seeds} of {seeds} worlds, {report.green} green")
    assert report is not None
    terminal.show(msgspec.to_builtins(report, str_keys=True), lambda: _human(report))
    return DONE if not report.failures else LEFT_OVER


def _human(report: Report) -> Iterator[RenderableType]:
    from rich.text import Text

    style = "green" if not report.failures else "red"
    yield Text(f"{report.green} of {report.seeds} worlds green, in {report.seconds:.1f} s.", style)
    yield (
        f"{report.runs} runs, {report.calls} calls, {report.edits} edits by people, {report.kills} kills; "
        f"{report.writes} writes, {report.redundant} of them not needed."
    )
    if len(report.kinds) > 1:
        for kind, figures in report.kinds.items():
            yield f"  {kind}: {figures.green} of {figures.seeds} green; {figures.runs} runs, {figures.calls} calls, {figures.edits} edits, {figures.kills} kills, {figures.writes} writes."
    for failed in report.failures:
        yield Text(f"Seed {failed.seed} ({failed.kind}), law {failed.law}: {failed.text}", "red")
    if report.failures:
        yield f"The same again: koppel simulate --seeds 1 --first-seed {report.failures[0].seed}"
