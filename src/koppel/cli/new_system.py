"""`koppel new-system`: begin a system package of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, Terminal, Unbroken, command

if TYPE_CHECKING:
    from rich.console import RenderableType


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("new-system")(new_system)


@command
def new_system(
    terminal: Terminal,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The system's name, for instance my-shop.")],
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where the package's folder is made (default: here).")
    ] = Path(),
) -> int:
    """Write a package for a system nobody has written yet.

    It has one resource, its sandbox, and a contract test that fails and says what to write next. It is installed with pip
    and found by entry point; nothing in Koppel is edited. Nothing is ever overwritten.

    Example: koppel new-system my-shop --folder ~/work
    """
    from koppel.scaffold.package import write_package
    from koppel.systems import registry

    target, *files = write_package(name, folder.expanduser(), installed=registry.names())
    value = {"system": name, "folder": str(target), "files": [str(file.relative_to(target)) for file in files]}
    terminal.show(value, lambda: _human(target, files))
    return DONE


def _human(target: Path, files: list[Path]) -> Iterator[RenderableType]:
    from rich.text import Text

    yield f"{len(files)} files are written in {target}."
    yield Text("Next:", "bold")
    yield Unbroken(f"  cd {target}")
    yield "  pip install --editable .   (in the environment where Koppel is)"
    yield "  pytest                     (says what to write next)"
