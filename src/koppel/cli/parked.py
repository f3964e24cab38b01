"""`koppel parked`: what could not be done, with field and reason; `koppel retry` makes it due again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.retry import retry
from koppel.cli.terminal import DONE, FlowOption, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.store.work import Item


def register(app: typer.Typer) -> None:
    """Add the command with its subcommand, which also goes by a name of its own."""
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    group.callback()(parked)
    group.command("retry")(retry)
    app.add_typer(group, name="parked")
    app.command("retry")(retry)


@command
def parked(
    terminal: Terminal,
    flow: FlowOption = None,
    code: Annotated[
        str | None, typer.Option("--code", metavar="CODE", help="Only of this kind, for instance refused.")
    ] = None,
) -> int:
    """List what could not be done, with the reason.

    `koppel retry` makes it due again.

    Example: koppel parked
             koppel retry 3 4
    """
    if terminal.subcommand is not None:
        return DONE
    import msgspec

    from koppel.app import worklists
    from koppel.app.worklists import Which

    with terminal.workspace() as ws:
        if flow is not None:
            ws.known_flow(flow)
        items = worklists.parked(ws, Which(flow, None, code))
        now = ws.now()
    terminal.show(msgspec.to_builtins(items), lambda: _human(items, now))
    return DONE


def _human(items: Sequence[Item], now: float) -> Iterator[RenderableType]:

    from koppel.app.worklists import field_of
    from koppel.cli.render_plan import grid
    from koppel.cli.words import age, counted, field_name, when
    from koppel.engine.references import NEEDS
    from koppel.engine.worklist import given_up

    if not items:
        yield "Nothing is parked."
        return
    table = grid()
    table.add_column("no.", justify="right", no_wrap=True)
    table.add_column("record", ratio=4, overflow="fold")
    table.add_column("why it could not be done", ratio=8, overflow="fold")
    for item in items:
        ids = [str(part) for part in (item.body.get("left"), item.body.get("right")) if part]
        since = f"for {age(now - item.opened_at)}"
        record = "\n".join(dict.fromkeys([str(item.body.get("label") or item.native), *ids, since]))
        again = (
            f"only you can tell: koppel decide {item.id}"
            if item.body.get("choices")
            else f"tried again by itself after {when(item.next_at)}"
            if item.next_at
            else "comes by itself once that is there"
            if item.code == NEEDS
            else f"no more by itself after so many tries; waits for you: koppel retry {item.id}"
            if given_up(item)
            else f"waits for you; looked at again when the record or the flow changes, or: koppel retry {item.id}"
        )
        field = (
            f"{field_name(item.field)}: "
            if field_of(item) and item.code != NEEDS and not str(item.body.get("text", "")).startswith(item.field)
            else ""
        )
        tries = f"; {counted(item.tries, 'try', 'tries')} so far" if item.tries > 1 else ""
        table.add_row(str(item.id), record, f"{field}{item.body.get('text', item.code)}\n{again}{tries}")
    yield table
    yield "When the cause is mended: koppel retry N, or many: koppel retry --code CODE"
