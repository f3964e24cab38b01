"""`koppel runs`: the latest runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.store.runs import Run


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("runs")(runs)


@command
def runs(
    terminal: Terminal,
    flow: Annotated[str | None, typer.Option("--flow", metavar="FLOW", help="Only this flow's runs.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show at most so many.")] = 20,
) -> int:
    """List the latest runs, newest first.

    Example: koppel runs --flow kvk-exact
    """
    import msgspec

    with terminal.workspace() as ws:
        if flow is not None:
            ws.known_flow(flow)
        found = ws.runs(flow=flow, limit=limit)
    terminal.show(msgspec.to_builtins(found), lambda: _human(found))
    return DONE


def _human(found: Sequence[Run]) -> Iterator[RenderableType]:
    from rich.text import Text

    from koppel.cli.render_plan import grid
    from koppel.cli.words import tally, when

    if not found:
        yield "Nothing has run yet. Begin with: koppel plan FLOW"
        return
    table = grid(lines=False)
    table.add_column("run", justify="right", no_wrap=True)
    table.add_column("begun", no_wrap=True)
    table.add_column("flow", ratio=3, overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("what was done", ratio=6, overflow="fold")
    for run in found:
        calls = sum(run.counts.get("calls", {}).values())
        did = f"{tally(run.counts, done=True)}; {calls} calls" if run.counts else ""
        text = "\n".join(part for part in (did, run.message) if part)
        style = "" if run.state == "done" else "yellow" if run.state == "running" else "red"
        table.add_row(str(run.id), when(run.begun), run.flow, Text(run.state, style), text)
    yield table
    yield "One run in detail: koppel log --run N"
