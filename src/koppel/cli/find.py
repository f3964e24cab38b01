"""`koppel find`: search a register or account for a company; nothing is taken in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.app import Hit


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("find")(find)


@command
def find(
    terminal: Terminal,
    connection: Annotated[str, typer.Argument(metavar="CONN", help="The connection to search.")],
    text: Annotated[
        list[str], typer.Argument(metavar="TEXT...", help="A name, a number, or postcode and house number.")
    ],
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show at most so many.")] = 50,
) -> int:
    """Search a register by name, number or address.

    An address is a postcode and a house number. Exit code 1 when nothing is found.

    Example: koppel find register bakkerij korenaar
             koppel find register 3451BJ 12
    """
    import msgspec

    wanted = " ".join(text)
    with terminal.workspace() as ws:
        hits = ws.find(connection, wanted)
        targets = ws.targets_of(connection)
    terminal.show(msgspec.to_builtins(hits), lambda: _human(hits, connection, wanted, limit, targets))
    return DONE if hits else LEFT_OVER


def _human(
    hits: Sequence[Hit], connection: str, wanted: str, limit: int, targets: Sequence[str]
) -> Iterator[RenderableType]:

    from koppel.cli.render_plan import grid
    from koppel.cli.words import counted

    if not hits:
        yield f"{connection} knows nothing by {wanted!r}. Names are matched by whole words."
        return
    table = grid(lines=False)
    table.add_column("number", no_wrap=True)
    table.add_column("name", ratio=5, overflow="fold")
    table.add_column("where", ratio=5, overflow="fold")
    table.add_column("state", no_wrap=True)
    for hit in hits[:limit]:
        number = "\n".join(part for part in (hit.kvk or hit.ref.rpartition(":")[2], hit.branch) if part)
        town = " ".join(part for part in (hit.postcode, hit.city) if part)
        where = "\n".join(part for part in (hit.street, town) if part)
        state = "" if hit.is_active is None else "active" if hit.is_active else "ended"
        table.add_row(number, hit.name, where, state)
    yield table
    yield f"{counted(len(hits), 'hit')}{f', the first {limit} are shown' if len(hits) > limit else ''}."
    number = next((hit.kvk for hit in hits if hit.kvk), None)
    if number and targets:
        yield f"Next: koppel add {number} --to {targets[0]}"
