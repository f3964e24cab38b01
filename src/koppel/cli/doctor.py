"""`koppel doctor`: what is well with each connection, what is worth knowing, and what must be mended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.runtime.doctor import Examined

_MARKS = {"ok": ("✓", "green"), "note": ("i", "cyan"), "attention": ("!", "bold red")}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


@command
def doctor(
    terminal: Terminal,
    connection: Annotated[
        str | None, typer.Argument(metavar="[CONNECTION]", help="One connection (default: all of them).")
    ] = None,
) -> int:
    """Look at connections and say what must be mended.

    That is: sign-in, rights, fields, rows that went missing, budgets and clock. Asks little
    and nothing that costs, writes nothing. Exits with 1 when somebody must act.

    Example: koppel doctor books-nl
             koppel doctor --json
    """
    import msgspec

    with terminal.workspace() as ws:
        found = ws.doctor(connection)
    terminal.show(
        [{**msgspec.to_builtins(one), "well": one.well} for one in found],
        lambda: _human(found),
    )
    return DONE if all(one.well for one in found) else LEFT_OVER


def _human(found: Sequence[Examined]) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    from koppel.cli.words import counted

    if not found:
        yield "There is no connection yet. Make one: koppel connect NAME --system SYSTEM"
        return
    for one in found:
        yield Text(f"{one.connection} ({one.system})", "bold")
        for remark in one.remarks:
            mark, style = _MARKS[remark.level]
            yield Padding(Text.assemble((f"{mark} ", style), remark.text), (0, 0, 0, 2))
            if remark.remedy:
                yield Padding(Text(remark.remedy, "dim"), (0, 0, 0, 4))
        yield ""
    acts = sum(remark.level == "attention" for one in found for remark in one.remarks)
    yield f"{counted(acts, 'thing')} to act upon." if acts else "Nothing to act upon."
