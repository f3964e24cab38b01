"""`koppel apply`: do exactly a stored plan; steps whose record moved since are refused and named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from koppel.cli.plan import AllowOption
from koppel.cli.report import RunHtmlOption, report
from koppel.cli.terminal import Terminal, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("apply")(apply)


@command
def apply(
    terminal: Terminal,
    plan: Annotated[Path, typer.Argument(metavar="PLAN.json", help="A plan that `koppel plan -o` stored.")],
    allow: AllowOption = [],  # noqa: B006 - typer reads the default
    html: RunHtmlOption = None,
) -> int:
    """Do exactly a stored plan.

    What changed since it was made is refused and named.

    Example: koppel apply plan.json
    """
    from koppel.app import read_plan

    stored = read_plan(plan)
    with terminal.workspace() as ws:
        result = ws.apply(stored, allow=allow)
        return report(terminal, ws, [result], html=html)
