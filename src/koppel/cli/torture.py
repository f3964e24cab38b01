"""`koppel torture`: real processes killed with SIGKILL in the middle of a pass; nothing may be doubled or lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("torture")(torture)


@command
def torture(
    terminal: Terminal,
    kills: Annotated[int, typer.Option("--kills", min=1, help="How many processes are killed.")] = 25,
    seed: Annotated[int, typer.Option("--seed", help="The same seed kills at the same points.")] = 1,
) -> int:
    """Kill real runs with SIGKILL at every kind of moment, and count what is doubled or lost. Exit code 1 when anything is.

    \b
    Example: koppel torture --kills 25 --seed 7
    """
    import msgspec

    from koppel.testing.torture import torture as kill_many

    value: dict[str, Any] = msgspec.to_builtins(kill_many(kills, seed=seed, tell=terminal.progress))
    terminal.show(value, lambda: _human(value))
    return LEFT_OVER if value["duplicated"] or value["lost"] else DONE


def _human(value: dict[str, Any]) -> Iterator[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    table = Table(expand=False)
    table.add_column("killed at")
    table.add_column("times", justify="right")
    for point, times in sorted(value["by_point"].items()):
        table.add_row(point, str(times))
    yield table
    fine = not value["duplicated"] and not value["lost"]
    told = f"{value['kills']} kills: {value['duplicated']} doubled, {value['lost']} lost."
    yield Text(told, "green" if fine else "bold red")
