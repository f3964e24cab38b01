"""`koppel unmapped`: codes that no table has a line for, with how many records wait; and the line that mends them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.app.unmapped import Unmapped


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("unmapped")(unmapped)


@command
def unmapped(
    terminal: Terminal,
    flow: Annotated[str | None, typer.Argument(metavar="[FLOW]", help="Only this flow's.")] = None,
    line: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TABLE CODE VALUE]", help="Write this line into the flow file."),
    ] = None,
) -> int:
    """List the codes that no table has a line for, or write a line.

    Comments and layout of the flow file stay. The next run looks at the records that waited.

    Example: koppel unmapped
             koppel unmapped kvk-exact legal_forms CV "Commanditaire vennootschap"
    """
    import msgspec

    from koppel.app.unmapped import map_code
    from koppel.app.unmapped import unmapped as listed
    from koppel.cli.words import counted
    from koppel.model.problem import UsageError

    if line and (flow is None or len(line) != 3):
        raise UsageError("A line has a table, a code and a value.", remedy="koppel unmapped FLOW TABLE CODE VALUE")
    with terminal.workspace() as ws:
        if line:
            assert flow is not None
            made = map_code(ws, flow, *line)
            said = f"{made.file}: [tables.{made.table}] {made.code} = {made.value}"
            more = f"{counted(made.waiting, 'record')} looked at again by: koppel sync {made.flow}"
            terminal.show(msgspec.to_builtins(made), lambda: [said, more])
            return DONE
        found = listed(ws, flow)
    terminal.show(msgspec.to_builtins(found), lambda: _human(found))
    return DONE


def _human(found: Sequence[Unmapped]) -> Iterator[RenderableType]:
    from koppel.cli.render_plan import grid
    from koppel.cli.words import field_name

    if not found:
        yield "No code waits for a line in a table."
        return
    table = grid()
    table.add_column("records", justify="right", no_wrap=True)
    table.add_column("code", ratio=3, overflow="fold")
    table.add_column("for", ratio=5, overflow="fold")
    for one in found:
        more = f" and {one.count - len(one.samples)} more" if one.count > len(one.samples) else ""
        waiting = f"{field_name(one.field)} of {', '.join(one.samples)}{more}"
        table.add_row(str(one.count), f"{one.code}\nin {one.flow}: {one.table}", f"{waiting}\n{one.remedy}")
    yield table
    yield "A line in the flow file mends them: koppel unmapped FLOW TABLE CODE VALUE"
