"""`koppel unlink`: a record does not belong to what it is linked with, a person says."""

from __future__ import annotations

from typing import Annotated

import typer

from koppel.cli.identity import AsBefore, tell_change
from koppel.cli.terminal import DONE, Terminal, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("unlink")(unlink)


@command
def unlink(
    terminal: Terminal,
    one: Annotated[str, typer.Argument(metavar="REF", help="connection:resource:id")],
    two: Annotated[
        str | None, typer.Argument(metavar="[REF]", help="Hold it apart from this record only (default: from all).")
    ] = None,
    as_before: AsBefore = None,
) -> int:
    """Take a record out of what it is linked with.

    The same keys do not link it again by themselves: that decision stands until `koppel link`. Where a flow would create it
    anew, a question is asked instead. Prints the command that takes it back.

    Example: koppel unlink crm:accounts:17 books-nl:accounts:71b9
    """
    from koppel.app import identity

    with terminal.workspace() as ws:
        changed = identity.unlink(ws, one, two, as_before=as_before)
    tell_change(terminal, changed)
    return DONE
