"""`koppel split`: records leave the thing they are part of for one of their own, a person says."""

from __future__ import annotations

from typing import Annotated

import typer

from koppel.cli.identity import AsBefore, tell_change
from koppel.cli.terminal import DONE, Terminal, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("split")(split)


@command
def split(
    terminal: Terminal,
    refs: Annotated[list[str], typer.Argument(metavar="REF...", help="The records that are something else.")],
    as_before: AsBefore = None,
) -> int:
    """Take records out, into a thing of their own.

    They are not linked with the rest again by themselves; their own links among each other stay. Where the record that leads
    leaves, the next one of its system leads. Prints the command that takes it back.

    Example: koppel split books-nl:accounts:71b9
    """
    from koppel.app import identity

    with terminal.workspace() as ws:
        changed = identity.split(ws, *refs, as_before=as_before)
    tell_change(terminal, changed)
    return DONE
