"""`koppel fields`: the vendor's own fields that an account really has, to be used in a flow by the vendor's name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.model.can import Field


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fields")(fields)


@command
def fields(
    terminal: Terminal,
    connection: Annotated[str, typer.Argument(metavar="CONN", help="The connection.")],
) -> int:
    """List the fields of an account, for use in a flow.

    First what every account of the system has, then what this one really has besides, asked from it now.

    Example: koppel fields books-nl
    """
    with terminal.workspace() as ws:
        known = ws.fields(connection)
    value = {
        resource: [
            {
                "path": one.path,
                "kind": one.kind,
                "vendor": list(one.vendor),
                "own": one.own,
                "writable": one.writable,
                "required": one.required,
                "note": one.note or one.lossy,
            }
            for one in each
        ]
        for resource, each in known.items()
    }
    terminal.show(value, lambda: _human(connection, known))
    return DONE


def _human(connection: str, known: Mapping[str, Sequence[Field]]) -> Iterator[RenderableType]:
    from koppel.cli.render_plan import grid

    for resource, each in known.items():
        table = grid(lines=False, title=f"{connection}:{resource}")
        table.add_column("field in a flow", ratio=3, overflow="fold")
        table.add_column("kind", no_wrap=True)
        table.add_column("at the vendor", ratio=4, overflow="fold")
        table.add_column("written", no_wrap=True)
        table.add_column("note", ratio=4, overflow="fold")
        for one in each:
            vendor = "" if one.own else ", ".join(one.vendor)
            table.add_row(one.path, one.kind, vendor, one.writable, one.note or one.lossy or "")
        yield table
    yield 'A field of the vendor\'s own is named by its side: "right:NAME".'
