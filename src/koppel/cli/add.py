"""`koppel add`: take numbers in and run for just these: one relation in seconds, or a file of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koppel.cli.plan import AllowOption, HtmlOption, OutOption
from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.app import Added

MANY = 25  # more look-ups than that are asked about first, when a person sits there


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("add")(add)


@command
def add(
    terminal: Terminal,
    to: Annotated[str, typer.Option("--to", metavar="CONN|FLOW", help="Where to: a connection, or a flow's id.")],
    numbers: Annotated[list[str] | None, typer.Argument(metavar="[NUMBER]...", help="KVK numbers, as people type them.")] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", metavar="FILE", help="Numbers from a text or CSV file (first column); - reads standard input.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    out: OutOption = None,
    html: HtmlOption = None,
    allow: AllowOption = [],  # noqa: B006 - typer reads the default
    yes: Annotated[bool, typer.Option("--yes", "-y", help=f"Do not ask before more than {MANY} look-ups.")] = False,
) -> int:
    """Take companies in by number and create, link or update them at once.

    Numbers that are none are refused by name, and nothing is asked about them.

    \b
    Example: koppel add 00100104 --to books-nl
             koppel add --file numbers.csv --to books-nl --plan -o plan.json
    """
    from koppel.app import write_plan
    from koppel.model.problem import UsageError

    typed = [*(numbers or []), *_from_file(file)]
    if not typed:
        raise UsageError("No number was given.", remedy="For instance: koppel add 00100104 --to books-nl")
    only_plan = plan or out is not None
    if len(typed) > MANY and not yes and terminal.can_ask and not _agreed(terminal, len(typed)):
        terminal.note("Nothing was asked and nothing was done.")
        return LEFT_OVER
    with terminal.workspace() as ws:
        added = ws.add(typed, to=to, plan_only=only_plan, allow=allow)
        title = ws.flow(added.flow).title
        name = ws.config.name
    if out is not None and added.plan is not None:
        write_plan(added.plan, out)
    if html is not None:
        _write_page(html, added, title=title, workspace=name)
    terminal.show(_value(added), lambda: _human(added, title, out))
    for path in (out, html):
        if path is not None:
            terminal.note(f"Written: {path}")
    return _code(added)


def _from_file(file: str | None) -> list[str]:
    from koppel.app import read_number_file, read_number_lines

    if file is None:
        return []
    return read_number_lines(sys.stdin.read()) if file == "-" else read_number_file(Path(file).expanduser())


def _agreed(terminal: Terminal, number: int) -> bool:
    answer = terminal.ask(f"Look {number} numbers up at the register? It may charge for each. (yes/no)", default="no")
    return answer.lower() in ("y", "yes", "j", "ja")


def _write_page(html: Path, added: Added, *, title: str, workspace: str) -> None:
    from koppel.cli.page import plan_page, runs_page
    from koppel.cli.terminal import write_private

    if added.plan is not None:
        write_private(html, plan_page(added.plan, title=title))
    elif added.result is not None:
        write_private(html, runs_page([added.result], workspace=workspace))


def _value(added: Added) -> dict[str, Any]:
    import msgspec

    return msgspec.to_builtins(added)


def _code(added: Added) -> int:
    from koppel.cli.outcome import plan_code, run_code

    if added.plan is not None:
        return LEFT_OVER if added.refused else plan_code(added.plan)
    assert added.result is not None
    refused = bool(added.refused) or bool(added.result.counts.get("refuse"))
    return LEFT_OVER if refused else run_code(added.result) or DONE


def _human(added: Added, title: str, out: Path | None) -> Iterator[RenderableType]:
    from rich.text import Text

    from koppel.cli.render_plan import render_plan, render_result

    if added.plan is not None:
        allow = f" --allow {added.plan.guard.override}" if added.plan.guard else ""
        next_step = f"koppel apply {out}{allow}" if out else f"koppel sync {added.flow}{allow}, or the same command without --plan"
        yield from render_plan(added.plan, title=title, next_step=next_step)
    elif added.result is not None:
        yield from render_result(added.result, flow=added.flow)
    for why in added.refused.values():
        yield Text(f"Not taken in: {why}.", "red")
    for number, note in added.notes.items():
        yield Text(f"{number}: {note}.", "yellow")
