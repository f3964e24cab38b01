"""`koppel link`: two records are one real thing, a person says."""

from __future__ import annotations

from typing import Annotated

import typer

from koppel.cli.identity import AsBefore, AsFollower, tell_change
from koppel.cli.terminal import DONE, Terminal, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("link")(link)


@command
def link(
    terminal: Terminal,
    one: Annotated[str, typer.Argument(metavar="REF", help="connection:resource:id")],
    two: Annotated[str, typer.Argument(metavar="REF", help="The record that is the same thing.")],
    as_follower: AsFollower = False,
    as_before: AsBefore = None,
) -> int:
    """Say that two records are one thing, whatever their keys say.

    Nothing is written by this: the next run of the flows concerned compares the two. It lifts an earlier decision to hold them
    apart, and prints the command that takes it back.

    Example: koppel link crm:accounts:17 books-nl:accounts:71b9
    """
    from koppel.app import identity

    with terminal.workspace() as ws:
        changed = identity.link(ws, one, two, as_follower=as_follower, as_before=as_before)
    tell_change(terminal, changed)
    return DONE
