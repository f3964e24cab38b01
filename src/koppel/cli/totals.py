"""`koppel totals`: what a period comes to on both sides, and a person's signature under it (rule B20)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command, write_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from koppel.engine.totals import Totals
    from koppel.mapping.flow import Flow

ENDINGS = (".html", ".csv", ".json")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("totals")(totals)


@command
def totals(
    terminal: Terminal,
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's id.")],
    period: Annotated[
        str | None,
        typer.Option("--period", "-p", metavar="PERIOD", help="2026-10, 2026-Q3, 2026 or 2026-10-05."),
    ] = None,
    signed: Annotated[
        bool, typer.Option("--signed", help="Every period that was signed off: has it changed since?")
    ] = False,
    sign_off: Annotated[
        str | None, typer.Option("--sign-off", metavar="NAME", help="Sign the period off; it goes into the trail.")
    ] = None,
    with_differences: Annotated[
        bool, typer.Option("--with-differences", help="Sign although the two sides differ.")
    ] = False,
    no_read: Annotated[bool, typer.Option("--no-read", help="Add up what was read last; call nobody.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write them to FILE.html, FILE.csv or FILE.json.")
    ] = None,
) -> int:
    """Add up what a period comes to on both sides.

    Invoices and orders per day, VAT meaning and payment method; journal entries per day in debit and credit; of anything else
    how many were changed on a day. Nothing is written to the systems. Exit code 1 when the sides differ, or a period has
    changed since it was signed off.

    Example: koppel totals orders --period 2026-10 -o october.html
             koppel totals orders --period 2026-10 --sign-off "A. de Vries"
             koppel totals orders --signed
    """
    import msgspec

    from koppel.app.totals import totals as run
    from koppel.cli import tell_totals
    from koppel.model.problem import UsageError

    if (period is None) != signed:
        raise UsageError("Name a period, or say --signed.", remedy="For instance: --period 2026-10")
    if out is not None and out.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"{out} says nothing of what is to be written.", remedy=f"Let its name end in {', '.join(ENDINGS)}."
        )
    with terminal.workspace() as ws:
        read = ws.flow(flow)
        told = run(ws, flow, period, read=not no_read, sign_off=sign_off, with_differences=with_differences)
    if out is not None:
        write_lines(out, _written(out, told, read))
    terminal.show(msgspec.to_builtins(told), lambda: tell_totals.human(told, read))
    if out is not None:
        terminal.note(f"Written: {out}")
    return LEFT_OVER if any(one.different or one.changed for one in told) else DONE


def _written(out: Path, told: Sequence[Totals], flow: Flow) -> Iterable[str]:
    import msgspec

    from koppel.cli import tell_totals

    if out.suffix.lower() == ".html":
        return tell_totals.as_page(told, flow)
    if out.suffix.lower() == ".csv":
        return tell_totals.as_csv(told)
    return (msgspec.json.format(msgspec.json.encode(told), indent=1).decode() + "\n",)
