"""`koppel parked`: what could not be done, with field and reason; `koppel parked retry` makes it due again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.store.work import Item

FlowOption = Annotated[str | None, typer.Option("--flow", metavar="FLOW", help="Only this flow's.")]


def register(app: typer.Typer) -> None:
    """Add the command with its subcommand."""
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    group.callback()(parked)
    group.command("retry")(retry)
    app.add_typer(group, name="parked")


@command
def parked(terminal: Terminal, flow: FlowOption = None) -> int:
    """List what could not be done, with the reason.

    `retry` makes it due again.

    Example: koppel parked
             koppel parked retry 3 4
    """
    if terminal.subcommand is not None:
        return DONE
    import msgspec

    with terminal.workspace() as ws:
        if flow is not None:
            ws.known_flow(flow)
        items = ws.parked(flow=flow)
    terminal.show(msgspec.to_builtins(items), lambda: _human(items))
    return DONE


@command
def retry(
    terminal: Terminal,
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[N]...", help="Numbers from `koppel parked`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that is parked (as without numbers).")] = False,
) -> int:
    """Make parked records due at the next run: those named, or all.

    Example: koppel parked retry 3 4
    """
    import msgspec

    from koppel.cli.words import counted
    from koppel.model.problem import UsageError

    if numbers and everything:
        raise UsageError("Name numbers, or say --all, not both.", remedy="koppel parked lists them.")
    with terminal.workspace() as ws:
        items = ws.retry(numbers or [])
    flows = sorted({item.flow for item in items})
    following = f" Next: koppel sync {flows[0]}" if len(flows) == 1 else ""
    terminal.show(
        msgspec.to_builtins(items), lambda: [f"{counted(len(items), 'record')} due at the next run.{following}"]
    )
    return DONE


def _human(items: Sequence[Item]) -> Iterator[RenderableType]:

    from koppel.cli.render_plan import grid
    from koppel.cli.words import counted, field_name, when
    from koppel.engine.references import NEEDS

    if not items:
        yield "Nothing is parked."
        return
    table = grid()
    table.add_column("no.", justify="right", no_wrap=True)
    table.add_column("record", ratio=4, overflow="fold")
    table.add_column("why it could not be done", ratio=8, overflow="fold")
    for item in items:
        ids = [str(part) for part in (item.body.get("left"), item.body.get("right")) if part]
        record = "\n".join(dict.fromkeys([str(item.body.get("label") or item.native), *ids]))
        again = (
            f"only you can tell: koppel asks decide {item.id}"
            if item.body.get("choices")
            else f"tried again by itself after {when(item.next_at)}"
            if item.next_at
            else "comes by itself once that is there"
            if item.code == NEEDS
            else "waits for you: koppel parked retry " + str(item.id)
        )
        field = (
            f"{field_name(item.field)}: "
            if item.field and item.code != NEEDS and not str(item.body.get("text", "")).startswith(item.field)
            else ""
        )
        tries = f"; {counted(item.tries, 'try', 'tries')} so far" if item.tries > 1 else ""
        table.add_row(str(item.id), record, f"{field}{item.body.get('text', item.code)}\n{again}{tries}")
    yield table
    yield "When the cause is mended: koppel parked retry N"
