"""`koppel add`: take numbers in and run for just these: one relation in seconds, or a file of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koppel.cli.plan import AllowOption, HtmlOption, OutOption, show_plan
from koppel.cli.report import human, write_page
from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command

if TYPE_CHECKING:
    from rich.text import Text

    from koppel.app import Added

MANY = 25  # more look-ups than that are asked about first, when a person sits there


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("add")(add)


@command
def add(
    terminal: Terminal,
    to: Annotated[str, typer.Option("--to", metavar="CONN|FLOW", help="Where to: a connection, or a flow's id.")],
    numbers: Annotated[
        list[str] | None, typer.Argument(metavar="[NUMBER]...", help="KVK numbers, as people type them.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="Numbers from a text or CSV file (first column); - reads standard input.",
        ),
    ] = None,
    later: Annotated[
        bool, typer.Option("--later", help="Only take them in; the next plan or sync deals with them.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    out: OutOption = None,
    html: HtmlOption = None,
    allow: AllowOption = [],  # noqa: B006 - typer reads the default
    yes: Annotated[bool, typer.Option("--yes", "-y", help=f"Do not ask before more than {MANY} look-ups.")] = False,
) -> int:
    """Take companies in by number, and create or link them.

    Runs the flow for just these numbers. What is no number is refused by name, and nothing is asked about it.

    Example: koppel add 00100104 --to books-nl
             koppel add --file numbers.csv --to books-nl --plan -o plan.json
    """
    from koppel.model.problem import UsageError

    typed = [*(numbers or []), *_from_file(file)]
    if not typed:
        raise UsageError("No number was given.", remedy="For instance: koppel add 00100104 --to books-nl")
    only_plan = plan or out is not None
    if later and (only_plan or html is not None or allow):
        raise UsageError(
            "--later takes numbers in and does nothing else.", remedy="Then: koppel plan FLOW -o plan.json"
        )
    if len(typed) > MANY and not yes and terminal.can_ask and not _agreed(terminal, len(typed)):
        terminal.note("Nothing was asked and nothing was done.")
        return LEFT_OVER
    if later:
        return _take(terminal, typed, to)
    with terminal.workspace() as ws:
        added = ws.add(typed, to=to, plan_only=only_plan, allow=allow)
        flow, remarks = ws.flow(added.flow), _remarks(added)
        if added.plan is not None:
            again = "the same command without --plan"
            show_plan(
                terminal, added.plan, flow, value=_value(added), out=out, html=html, otherwise=again, remarks=remarks
            )
        elif added.result is not None:
            write_page(terminal, ws, [added.result], html)
            result = added.result
            terminal.show(_value(added), lambda: [*remarks, *human(ws, [result])])
    return _code(added)


def _take(terminal: Terminal, typed: list[str], to: str) -> int:
    """Put numbers into the intake, without a call."""
    from koppel.cli.words import counted

    with terminal.workspace() as ws:
        added = ws.take(typed, to=to)
    told = f"{counted(len(added.taken), 'number')} taken in. Next: koppel plan {added.flow}"
    terminal.show(_value(added), lambda: [*_remarks(added), told])
    return LEFT_OVER if added.refused else DONE


def _from_file(file: str | None) -> list[str]:
    from koppel.app.numbers import read_number_file, read_number_lines

    if file is None:
        return []
    return read_number_lines(sys.stdin.read()) if file == "-" else read_number_file(Path(file).expanduser())


def _agreed(terminal: Terminal, number: int) -> bool:
    answer = terminal.ask(f"Look {number} numbers up at the register? It may charge for each. (yes/no)", default="no")
    return answer.lower() in ("y", "yes", "j", "ja")


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


def _remarks(added: Added) -> list[Text]:
    from rich.text import Text

    refused = [Text(f"Not taken in: {why}.", "red") for why in added.refused.values()]
    return [*refused, *(Text(f"{number}: {note}.", "yellow") for number, note in added.notes.items())]
