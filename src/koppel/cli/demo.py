"""`koppel demo`: the main job as a story in acts, against made-up companies on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command, give_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


@command
def demo(
    terminal: Terminal,
    keep: Annotated[Path | None, typer.Option("--keep", metavar="DIR", help="Keep the demo's workspace in this folder.")] = None,
) -> int:
    """See Koppel work: companies from a made-up register into a made-up ERP, with trouble on the way.

    \b
    Example: koppel demo --keep demo-workspace
    """
    import msgspec

    from koppel.demo import run_demo

    report = run_demo(keep=keep)
    if terminal.json:
        give_json(msgspec.to_builtins(report))
    return DONE if not report.duplicates and not report.lost and report.trail_ok else LEFT_OVER
