"""`koppel sync`: plan and do it, for one flow or all."""

from __future__ import annotations

from typing import Annotated

import typer

from koppel.cli.plan import AllowOption
from koppel.cli.report import RunHtmlOption, report
from koppel.cli.terminal import Terminal, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sync")(sync)


@command
def sync(
    terminal: Terminal,
    flow: Annotated[str | None, typer.Argument(metavar="[FLOW]", help="The flow's id.")] = None,
    all_flows: Annotated[bool, typer.Option("--all", help="Every flow of the workspace, one after the other.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Look every linked record up anew.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Run outside the flow's window as well.")] = False,
    allow: AllowOption = [],  # noqa: B006 - typer reads the default
    html: RunHtmlOption = None,
) -> int:
    """Bring a flow up to date: plan it and do it.

    Its brakes hold: see --allow. Outside its window nothing is done: see --now.

    With --all, what flows share is read once; one that fails does not keep the others from running.

    Example: koppel sync kvk-exact
             koppel sync --all --quiet
    """
    from koppel.cli.many import run_all
    from koppel.model.problem import UsageError

    if bool(flow) == all_flows:
        raise UsageError("Name one flow, or say --all.", remedy="For instance: koppel sync kvk-exact")
    with terminal.workspace() as ws:
        if flow is not None:
            return report(terminal, ws, [ws.sync(flow, refresh=refresh, allow=allow, in_window=not now)], html=html)
        return run_all(terminal, ws, refresh=refresh, allow=allow, in_window=not now, html=html)
