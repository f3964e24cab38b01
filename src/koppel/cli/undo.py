"""`koppel undo`: the plan that takes a run back, and with --apply doing it."""

from __future__ import annotations

from typing import Annotated

import typer

from koppel.cli.plan import AllowOption, HtmlOption, OutOption
from koppel.cli.terminal import Terminal, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("undo")(undo)


@command
def undo(
    terminal: Terminal,
    run: Annotated[int, typer.Argument(metavar="RUN", min=1, help="The run's number; koppel runs lists them.")],
    out: OutOption = None,
    html: HtmlOption = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it at once, under the brakes.")] = False,
    allow: AllowOption = [],  # noqa: B006 - typer reads the default
) -> int:
    """Show what taking a run back would do.

    Fields that still show what the run wrote get their earlier values; what changed since is asked. Nothing is
    written before the plan is applied. An undo is a run, and can be undone.

    Example: koppel undo 12 -o undo.json
             koppel apply undo.json
    """
    from koppel.app.undo import plan_undo
    from koppel.cli.outcome import plan_code
    from koppel.cli.plan import show_plan
    from koppel.cli.report import report
    from koppel.engine.plan import as_json
    from koppel.model.problem import UsageError

    if apply and out is not None:
        raise UsageError("--apply does the plan at once; -o stores it.", remedy="Give one of the two.")
    with terminal.workspace() as ws:
        made = plan_undo(ws, run, allow=allow)
        if apply and made.guard is None:
            return report(terminal, ws, [ws.apply(made, allow=allow)], html=html)
        flow = ws.flow(made.flow)
    show_plan(terminal, made, flow, value=as_json(made), out=out, html=html)
    return plan_code(made)
