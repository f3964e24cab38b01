"""`koppel docs`: a flow as a mapping document that a controller can read and sign."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from koppel.cli.terminal import DONE, Terminal, command, give_json, write_private


class Language(StrEnum):
    """Languages the document comes in."""

    en = "en"
    nl = "nl"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("docs")(docs)


@command
def docs(
    terminal: Terminal,
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's id.")],
    language: Annotated[Language, typer.Option("--language", "-l", help="English or Dutch.")] = Language.en,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the Markdown there.")] = None,
) -> int:
    """Write a flow as a mapping document to read and sign.

    It comes in Markdown, in English or Dutch.

    Example: koppel docs kvk-exact --language nl -o afspraken.md
    """
    with terminal.workspace() as ws:
        text = ws.document(flow, language=language.value)
    if out is not None:
        write_private(out, text)
        terminal.note(f"Written: {out}")
    if terminal.json:
        give_json({"flow": flow, "language": language.value, "markdown": text})
    elif out is None:
        print(text)
    return DONE
