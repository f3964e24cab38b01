"""`koppel version`: which Koppel this is, and which systems it knows."""

from __future__ import annotations

import typer

from koppel.cli.terminal import DONE, Terminal, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("version")(version)


@command
def version(terminal: Terminal) -> int:
    """Show the version and the installed systems.

    Example: koppel version --json
    """
    import platform
    from importlib.metadata import entry_points
    from importlib.metadata import version as installed

    value = {
        "koppel": installed("koppel"),
        "python": platform.python_version(),
        "systems": sorted({entry.name for entry in entry_points(group="koppel.systems")}),
    }
    told = f"Koppel {value['koppel']} on Python {value['python']}; systems: {', '.join(value['systems'])}"
    terminal.show(value, lambda: [told])
    return DONE
