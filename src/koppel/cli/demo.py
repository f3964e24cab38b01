"""`koppel demo`: the main job as a story in acts, against made-up companies on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command, give_json

if TYPE_CHECKING:
    from koppel.demo.report import Shown

NEXT = (
    "With your own accounts:",
    "  koppel init my-books --flow kvk-exact && cd my-books",
    "  koppel connect register --system kvk       # asks for your KVK API key",
    "  koppel connect books-nl --system exact     # shows a sign-in link",
    "  koppel add 12345678 --to books-nl --plan   # what would happen; nothing yet",
    "AFAS as well:",
    "  koppel init . --flow kvk-afas && koppel connect profit --system afas",
    "Step by step: docs/start.md. In make's .venv the command is .venv/bin/koppel.",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


@command
def demo(
    terminal: Terminal,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep the demo's workspace in this folder.")
    ] = None,
) -> int:
    """See Koppel work against made-up companies, in five acts.

    Everything happens on this machine: a made-up register, two made-up ERPs, and trouble on the way.

    Example: koppel demo --keep demo-workspace
    """
    import msgspec

    from koppel.demo import run_demo

    if terminal.json:

        def follow(shown: Shown) -> None:
            number, title = getattr(shown, "number", None), getattr(shown, "title", "")
            if number is not None:
                terminal.progress(f"{number}. {title}")

        report = run_demo(keep=keep, say=follow)
        terminal.clear()
        give_json(msgspec.to_builtins(report))
    else:
        from koppel.demo.present import Presenter

        present = Presenter()
        report = run_demo(keep=keep, say=present)
        present.closing(report, NEXT)
    return DONE if not report.duplicates and not report.lost and report.trail_ok else LEFT_OVER
