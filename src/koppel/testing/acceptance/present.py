"""The table a buyer signs, for a terminal or paper: at most 110 columns, readable without colour."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import ASCII2
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from koppel.testing.acceptance.verdict import Check, Report, StepReport

WIDTH = 110
_MARKS = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("-", "dim")}


def show(report: Report, console: Console | None = None) -> None:
    """Print one report."""
    to = console or Console(highlight=False, markup=False, emoji=False, width=WIDTH)
    for part in page(report):
        to.print(part)


def page(report: Report) -> Iterator[RenderableType]:
    """The report in parts: head, table, sum, place to sign."""
    yield Text(report.title, "bold")
    if report.about:
        yield Text(" ".join(report.about.split()))
    yield Text(f"{report.file} ({report.digest[:12]}), Koppel {report.version}, against made-up vendors", "dim")
    yield ""
    table = Table(box=ASCII2, show_lines=False, pad_edge=False, width=WIDTH)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("what happened / what is looked at", ratio=5, overflow="fold")
    table.add_column("expected", ratio=3, overflow="fold")
    table.add_column("seen", ratio=3, overflow="fold")
    table.add_column("", no_wrap=True)
    for step in report.steps:
        _add(table, step)
    yield table
    yield Text(sums(report), "bold green" if report.ok else "bold red")
    if report.broke_off:
        yield Text(report.broke_off, "bold red")
    yield ""
    for who in ("For the buyer", "For the supplier"):
        yield Text(f"{who:<18}name ____________________   signature ____________________   date ______________")
    yield ""


def _add(table: Table, step: StepReport) -> None:
    table.add_section()
    mark, style = _MARKS[step.ok]
    table.add_row(str(step.number), Text(f"{step.words} [{step.at}]", "bold"), "", "", Text(mark, style))
    for check in step.checks:
        mark, style = _MARKS[check.ok]
        table.add_row("", Text(f"  {check.what}"), Text(check.expected), Text(check.seen), Text(mark, style))


def sums(report: Report) -> str:
    """What it comes to, in one line."""
    every: list[Check] = [check for step in report.steps for check in step.checks]
    wrong = sum(check.ok is False for check in every)
    looked = sum(check.ok is not None for check in every)
    if report.ok:
        return f"Accepted by the program: {len(report.steps)} steps, {looked} things looked at, all as expected."
    return f"NOT as expected: {wrong} of {looked} things looked at, in {sum(not s.ok for s in report.steps)} steps."
