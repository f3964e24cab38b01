"""`koppel promote`: the same flows onto another environment; shows the difference first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, Unbroken, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.config.promote import ConnectionCompared, Promotion


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("promote")(promote)


@command
def promote(
    terminal: Terminal,
    test: Annotated[Path, typer.Argument(metavar="TEST", help="The folder of the workspace that was tested.")],
    production: Annotated[
        Path, typer.Argument(metavar="PROD", help="The folder of the workspace that gets its flows.")
    ],
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Copy the flows; without it they are only compared.")
    ] = False,
) -> int:
    """Bring flows from a test workspace to another one.

    Shows how connections and flows differ. Only flow files are copied, with --yes: links, agreed values and
    cursors are each workspace's own. Exits with 1 when something is left to be copied or connected.

    Example: koppel promote books-test books
             koppel promote books-test books --yes
    """
    import msgspec

    from koppel.config.promote import carry_out, compare

    found = compare(test.expanduser(), production.expanduser())
    copied = carry_out(found) if yes else ()
    value = {**msgspec.to_builtins(found), "copied": copied}
    terminal.show(value, lambda: _human(found, copied, yes=yes))
    left = any(one.state == "missing" for one in found.connections) or bool(found.obstacles)
    return LEFT_OVER if left or (found.pending and not yes) else DONE


def _human(found: Promotion, copied: tuple[str, ...], *, yes: bool) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text("Connections", "bold")
    for one in found.connections:
        yield from _connection(one)
    yield ""
    yield Text("Flows", "bold")
    words = {
        "new": "new in production",
        "changed": "changed",
        "same": "the same in both",
        "only_there": "only in production; it stays as it is",
    }
    for flow in found.flows:
        yield f"  {flow.id} ({flow.file}): {words[flow.state]}"
        for line in flow.diff.splitlines() if flow.state == "changed" else ():
            yield Unbroken(f"    {line}")
    yield ""
    for obstacle in found.obstacles:
        yield Text(f"In the way: {obstacle}", "bold red")
    if yes:
        yield Text(f"Copied: {', '.join(copied)}." if copied else "Nothing had to be copied.", "bold")
    elif found.pending:
        again = f"koppel promote {found.test} {found.production} --yes"
        yield Text("Nothing was copied yet. To do it:", "bold")
        yield Unbroken(f"  {again}")
    else:
        yield Text("Nothing has to be copied.", "bold")
    yield "Links, agreed values and cursors are never copied: production looks for itself, and its first plan shows what it found."
    if yes or not found.pending:
        yield f"Next: koppel -w {found.production} check --live, koppel -w {found.production} doctor, then a plan."


def _connection(one: ConnectionCompared) -> Iterator[RenderableType]:
    from rich.text import Text

    if one.state == "missing":
        yield Text(f"  {one.name} ({one.system}): not in production yet: koppel connect {one.name} --system {one.system}", "yellow")  # fmt: skip
        return
    if one.state == "other_system":
        yield Text(f"  {one.name}: {one.system}", "bold red")
        return
    yield f"  {one.name} ({one.system})"
    for setting in one.settings:
        yield f"    {setting.name}: {_shown(setting.test)} in test, {_shown(setting.production)} in production"
    if one.same_account:
        text = "the settings are the same in both: test and production would write to one account"
        yield Text(f"    Look twice: {text}.", "bold yellow")


def _shown(value: object) -> str:
    return "not set" if value is None else str(value)
