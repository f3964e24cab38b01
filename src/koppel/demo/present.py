"""The demo on a terminal: at most 80 columns, readable without colour."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from koppel.demo.report import Act, DemoReport, Grid, Heading, Line, Shown

WIDTH = 80
_STYLES = {"note": "", "command": "bold cyan", "good": "green", "wait": "dim"}
_FIGURES = ("created", "updated", "linked", "refused", "parked", "asked", "unchanged", "writes")


class Presenter:
    """Shows what the demo says as it goes, on standard output unless told otherwise."""

    def __init__(self, console: Console | None = None) -> None:
        found = console or Console(highlight=False)
        found.width = min(found.width, WIDTH)
        self._console = found

    def __call__(self, shown: Shown) -> None:
        """Show one thing."""
        if isinstance(shown, Heading):
            self._console.print()
            self._console.rule(Text(f"{shown.number}. {shown.title}", style="bold"), align="left")
            self._console.print(Text(shown.text))
        elif isinstance(shown, Line):
            mark = "$ " if shown.kind == "command" else ""
            self._console.print(Padding(Text(mark + shown.text, style=_STYLES[shown.kind]), (0, 0, 0, 2)))
        else:
            self._grid(shown)

    def _grid(self, shown: Grid) -> None:
        table = Table(
            box=SIMPLE_HEAD,
            title=shown.title,
            title_justify="left",
            title_style="bold",
            pad_edge=False,
            show_edge=False,
        )
        for heading in shown.columns:
            table.add_column(heading, overflow="fold", justify="right" if heading in shown.figures else "left")
        for row in shown.rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print()
        self._console.print(table)
        if shown.foot:
            self._console.print(Text(shown.foot, style="italic"))

    def closing(self, report: DemoReport, next_steps: tuple[str, ...]) -> None:
        """The figures of all acts side by side, and what to do next."""
        rows = tuple((figure, *(str(getattr(act, figure)) for act in report.acts)) for figure in _FIGURES) + _calls(
            report.acts
        )
        acts = tuple(f"act {number + 1}" for number in range(len(report.acts)))
        self._grid(Grid("What it came to", ("counted at the sandboxes", *acts), rows, figures=frozenset(acts)))
        ok = report.duplicates == 0 and report.lost == 0 and report.trail_ok
        self._console.print(
            Text(
                f"Doubled: {report.duplicates}. Lost: {report.lost}. The trail {'holds' if report.trail_ok else 'IS BROKEN'}.",
                style="bold green" if ok else "bold red",
            )
        )
        self._console.print()
        for line in next_steps:
            self._console.print(Text(line))


def _calls(acts: tuple[Act, ...]) -> tuple[tuple[str, ...], ...]:
    systems = sorted({system for act in acts for system in act.calls})
    return tuple((f"calls to {system}", *(str(act.calls.get(system, 0)) for act in acts)) for system in systems)
