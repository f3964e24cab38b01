"""`koppel torture`: real processes killed with SIGKILL in the middle of a pass; nothing may be doubled or lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.testing.token_torture import TokenReport
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
    tokens: Annotated[
        int,
        typer.Option(
            "--tokens",
            metavar="ROUNDS",
            min=0,
            help="Instead: so many rounds of sixteen processes that use one sign-in.",
        ),
    ] = 0,
) -> int:
    """Kill real runs, and count what is doubled or lost.

    They are killed with SIGKILL at every kind of moment. Exit code 1 when anything is doubled or lost.

    With --tokens sixteen processes share one sign-in of the imitated Exact and are killed at every point of a refresh; on
    SQLite, then on PostgreSQL where one can be started. Exit code 1 when a token is used twice or too early, or a stored
    pair is not the one that counts.

    Example: koppel torture --kills 25 --seed 7
             koppel torture --tokens 200
    """
    import msgspec

    if tokens:
        return _tokens(terminal, tokens, seed)
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


# --- one sign-in, many processes -------------------------------------------------------------------------------------------


def _tokens(terminal: Terminal, rounds: int, seed: int) -> int:
    import msgspec

    from koppel.testing.postgres import CannotRunError, running_postgres
    from koppel.testing.token_torture import TokenTorture

    reports = [TokenTorture(rounds, seed, terminal.progress).whole()]
    try:
        with running_postgres() as address:
            reports.append(TokenTorture(rounds, seed, terminal.progress, address=address).whole())
    except CannotRunError as error:
        terminal.note(f"Not on PostgreSQL: {error}.")
    terminal.show(msgspec.to_builtins(reports), lambda: [line for report in reports for line in _of_tokens(report)])
    return DONE if all(report.fine for report in reports) else LEFT_OVER


def _of_tokens(report: TokenReport) -> Iterator[RenderableType]:
    from rich.text import Text

    from koppel.cli.render_plan import grid

    table = grid(lines=False)
    table.add_column(f"killed at ({report.database})", ratio=1, overflow="fold")
    table.add_column("times", justify="right", no_wrap=True)
    for point, times in report.by_point.items():
        table.add_row(point, str(times))
    yield table
    style = "green" if report.fine else "bold red"
    yield Text(
        f"{report.refreshes} refreshes by {report.processes} processes in {report.days:.0f} days, {report.kills} kills: "
        f"{report.used_twice} tokens used twice, {report.early} early, {report.lost_updates} lost updates.",
        style,
    )
    yield (
        f"{report.unauthorised} calls with a dead token, {report.asked_again} with a pair known to be dead, "
        f"{report.over_allowance} beyond the allowance, {report.deferred} put off; "
        f"somebody had to sign in again {sum(report.lost.values())} times, after:"
    )
    for cause, times in report.lost.items():
        yield f"  {cause}: {times}"
    for finding in report.findings:
        yield Text(finding, "red")
