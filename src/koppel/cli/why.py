"""`koppel why`: why a record, or one of its fields, is as it is; answered from the store, without a call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.engine.explain import Explanation, Reason


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("why")(why)


@command
def why(
    terminal: Terminal,
    ref: Annotated[str, typer.Argument(metavar="REF", help="connection:resource:id, or a KVK number.")],
    field: Annotated[str | None, typer.Argument(metavar="[FIELD]", help="One field, for instance address.")] = None,
) -> int:
    """Tell why a record, or one field of it, is as it is.

    Or why nothing happened to it. Exit code 1 when it was never seen.

    Example: koppel why 00100104 address
    """
    import msgspec

    with terminal.workspace() as ws:
        told = ws.why(ref, field)
    terminal.show(msgspec.to_builtins(told), lambda: _human(told, field))
    return DONE if told.known else LEFT_OVER


def _human(told: Explanation, field: str | None) -> Iterator[RenderableType]:
    from rich.text import Text

    from koppel.cli.render_plan import grid
    from koppel.cli.words import field_name

    about = f", field {field_name(field)}" if field else ""
    yield Text(f"{told.label} ({told.ref}){about}", "bold")
    for member in told.members:
        yield f"  belongs together with {member}"
    if told.history:
        table = grid()
        table.add_column("entry", justify="right", no_wrap=True)
        table.add_column("when, who", ratio=4, overflow="fold")
        table.add_column("what and why", ratio=10, overflow="fold")
        for reason in told.history:
            table.add_row(str(reason.entry or ""), _signed(reason), _line(reason))
        yield table
    for reason in told.open:
        yield Text(f"Now: {_line(reason)}", "yellow")
    if not told.history and not told.open:
        yield "Nothing is recorded about it."


def _signed(reason: Reason) -> str:
    from koppel.cli.words import when

    return "\n".join(part for part in (when(reason.at), reason.actor) if part)


def _line(reason: Reason) -> str:
    from koppel.cli.words import field_name, shown

    if not reason.field:
        return reason.text
    change = f"{field_name(reason.field)}"
    if reason.before is not None or reason.after is not None:
        change += f": {shown(reason.before)} → {shown(reason.after)}"
    return f"{change}\n{reason.text}"
