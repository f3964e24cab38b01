"""`koppel merge`: two things with their records are one, a person says."""

from __future__ import annotations

from typing import Annotated

import typer

from koppel.cli.identity import AsBefore, AsFollower, tell_change
from koppel.cli.terminal import DONE, Terminal, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("merge")(merge)


@command
def merge(
    terminal: Terminal,
    refs: Annotated[
        list[str], typer.Argument(metavar="REF REF", help="A record of the one that leads, and one of the other.")
    ],
    as_follower: AsFollower = False,
    as_before: AsBefore = None,
) -> int:
    """Say that two things are one; the first leads.

    The records linked with either belong to it from then on. Refused where a flow would then write two records of one system over one another, unless the second's come second
    (`--as-follower`). Prints the command that takes it back.

    Example: koppel merge crm:accounts:17 crm:accounts:23 --as-follower
    """
    from koppel.app import identity

    with terminal.workspace() as ws:
        changed = identity.merge(ws, *refs, as_follower=as_follower, as_before=as_before)
    tell_change(terminal, changed)
    return DONE
