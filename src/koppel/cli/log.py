"""`koppel log`: the trail: what changed, when, why, by whom, before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.mapping.flow import Flow
    from koppel.store.trail import Recorded


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("log")(log)


@command
def log(
    terminal: Terminal,
    run: Annotated[int | None, typer.Option("--run", metavar="N", help="Only what this run did.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show at most so many entries.")] = 50,
) -> int:
    """Show what changed, when, why and by whom.

    It is read from the trail; the latest entries come last.

    Example: koppel log --run 12
    """
    import msgspec

    with terminal.workspace() as ws:
        if run is not None:
            ws.run_numbered(run)
        entries = ws.log(run=run, limit=limit)[::-1]
        flows = {name: loaded.flow for name, loaded in ws.flows.items()}
    terminal.show(msgspec.to_builtins(entries), lambda: _human(entries, limit, flows))
    return DONE


def _human(entries: Sequence[Recorded], limit: int, flows: Mapping[str, Flow | None]) -> Iterator[RenderableType]:
    from rich.text import Text

    from koppel.cli.render_plan import details, grid
    from koppel.cli.rows import entry_row
    from koppel.cli.words import when

    if not entries:
        yield "The trail holds nothing about that yet."
        return
    table = grid()
    table.add_column("no.", justify="right", no_wrap=True)
    table.add_column("when, who", min_width=16, max_width=20, overflow="fold")
    table.add_column("what", ratio=1, overflow="fold")
    for entry in entries:
        run = f"\nrun {entry.run}" if entry.run else ""
        told = Text(f"{entry.kind} ", "cyan")
        told.append_text(
            details(entry_row(entry.kind, entry.data, flows.get(entry.data.get("flow", ""))))
            if entry.data is not None
            else Text("(the details were erased)")
        )
        table.add_row(str(entry.seq), f"{when(entry.at)}\n{entry.actor}{run}", told)
    yield table
    if len(entries) == limit:
        yield f"The latest {limit}; more with --limit."
