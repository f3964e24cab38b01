"""`koppel retry`: what could not be done is tried again at the next run: these, those of a kind, or all."""

from __future__ import annotations

from typing import Annotated

import typer

from koppel.cli.terminal import DONE, FlowOption, Terminal, command


@command
def retry(
    terminal: Terminal,
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[N]...", help="Numbers from `koppel parked`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that is parked (as without numbers).")] = False,
    flow: FlowOption = None,
    code: Annotated[
        str | None, typer.Option("--code", metavar="CODE", help="Only of this kind, for instance refused.")
    ] = None,
    field: Annotated[str | None, typer.Option("--field", metavar="FIELD", help="Only about this field.")] = None,
) -> int:
    """Have parked records tried again at the next run.

    Those named, those that fit, or all.

    Tries that Koppel makes by itself are counted anew from then on.

    Example: koppel retry 3 4
             koppel retry --flow kvk-exact --code refused
             koppel parked retry 3
    """
    import msgspec

    from koppel.app import worklists
    from koppel.app.worklists import Which
    from koppel.cli.words import counted
    from koppel.model.problem import UsageError

    which = Which(flow, field, code)
    if numbers and (everything or which.named):
        raise UsageError("Name numbers, or say --all or which, not both.", remedy="koppel parked lists them.")
    with terminal.workspace() as ws:
        if flow is not None:
            ws.known_flow(flow)
        items = worklists.retry(ws, numbers or [], which)
    flows = sorted({item.flow for item in items})
    following = f" Next: koppel sync {flows[0]}" if len(flows) == 1 else ""
    terminal.show(
        msgspec.to_builtins(items), lambda: [f"{counted(len(items), 'record')} due at the next run.{following}"]
    )
    return DONE
