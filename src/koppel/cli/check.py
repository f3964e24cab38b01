"""`koppel check`: everything that is wrong with the flow files, with file, line, column and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, SET_UP, WRONG_USE, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.mapping.problems import FlowProblem

OPERATOR = frozenset({"no_connection", "no_resource"})


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


@command
def check(
    terminal: Terminal,
    flow: Annotated[str | None, typer.Argument(metavar="[FLOW]", help="One flow's id (default: all flows).")] = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the accounts which fields they really have.")] = False,
) -> int:
    """Check flow files against both sides and each other.

    Warnings leave the exit code 0.

    Example: koppel check kvk-exact --live
    """
    import msgspec

    with terminal.workspace() as ws:
        problems = ws.check(flow, live=live)
        checked = [flow] if flow else sorted(ws.flows)
    errors = [problem for problem in problems if problem.severity == "error"]
    value = {
        "flows": checked,
        "errors": len(errors),
        "warnings": len(problems) - len(errors),
        "problems": msgspec.to_builtins(problems),
    }
    terminal.show(value, lambda: _human(problems, checked))
    if not errors:
        return DONE
    return SET_UP if all(problem.code in OPERATOR for problem in errors) else WRONG_USE


def _human(problems: Sequence[FlowProblem], checked: Sequence[str]) -> Iterator[RenderableType]:
    from rich.text import Text

    from koppel.cli.words import counted

    for problem in problems:
        where = f"{problem.file}:{problem.line}:{problem.column}"
        style = "red" if problem.severity == "error" else "yellow"
        yield Text.assemble(
            (where, "bold"), " ", (f"{problem.severity}: ", style), f"{problem.message} [{problem.code}]"
        )
        if problem.suggestion:
            yield Text(f"    {problem.suggestion}", "dim")
    errors = sum(problem.severity == "error" for problem in problems)
    names = ", ".join(checked) or "no flow"
    if problems:
        yield f"{counted(errors, 'error')}, {counted(len(problems) - errors, 'warning')} in {names}."
    else:
        yield f"Nothing is wrong with {names}."
