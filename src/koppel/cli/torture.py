"""`koppel torture`: real processes killed with SIGKILL in the middle of a pass; nothing may be doubled or lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.testing.torture_report import TortureReport


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("torture")(torture)


@command
def torture(
    terminal: Terminal,
    kills: Annotated[int, typer.Option("--kills", metavar="N", min=1, help="How many processes are killed.")] = 25,
    seed: Annotated[int, typer.Option("--seed", metavar="SEED", help="The same seed kills at the same points.")] = 1,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=1, help="Worlds that share the kills, at the same time.")
    ] = 1,
) -> int:
    """Kill real runs, and count what is doubled or lost.

    They are killed with SIGKILL at every kind of moment. Exit code 1 when anything is doubled or lost.

    Example: koppel torture --kills 25 --seed 7
    """
    import msgspec

    from koppel.testing.torture import torture as kill_many

    report = kill_many(kills, seed=seed, jobs=jobs, tell=terminal.progress)
    terminal.show(msgspec.to_builtins(report), lambda: _human(report))
    return DONE if fine(report) else LEFT_OVER


def fine(report: TortureReport) -> bool:
    """Whether nothing was doubled, lost, wrong or left out of the trail."""
    wrong = report.duplicated or report.lost or report.wrong_fields or report.unrecorded or report.restless
    return report.trail_ok and not wrong


def _human(report: TortureReport) -> Iterator[RenderableType]:
    from rich.text import Text

    from koppel.cli.render_plan import grid

    table = grid(lines=False)
    table.add_column("killed at", ratio=1, overflow="fold")
    table.add_column("times", justify="right", no_wrap=True)
    for point, times in sorted(report.by_point.items()):
        table.add_row(point, str(times))
    yield table
    style = "green" if fine(report) else "bold red"
    yield Text(f"{report.kills} kills in {report.runs} runs: {report.duplicated} doubled, {report.lost} lost.", style)
    trail = "whole" if report.trail_ok else "broken"
    yield (
        f"{report.wrong_fields} wrong fields, {report.unrecorded} writes not recorded, {report.restless} needless writes "
        f"at rest; the trail is {trail}; somebody had to sign in again {report.sign_ins} times."
    )
    for finding in report.findings:
        yield Text(finding, "red")
