"""Telling what runs did: tables, JSON, a page, and the exit code; for every command that runs a flow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import Terminal

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.app import Workspace
    from koppel.engine.flow import Result
    from koppel.mapping.flow import Flow
    from koppel.store.trail import Recorded

MOST = 5_000  # entries shown of one run; all of them are in the trail

RunHtmlOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the run as a page for people who do not read terminals."),
]


def report(terminal: Terminal, ws: Workspace, results: Sequence[Result], *, html: Path | None = None) -> int:
    """Tell what runs did; returns the exit code."""
    from koppel.cli.outcome import run_code
    from koppel.engine.plan import as_json

    write_page(terminal, ws, results, html)
    values = [as_json(result) for result in results]
    terminal.show(values[0] if len(values) == 1 else values, lambda: human(ws, results))
    return max((run_code(result) for result in results), default=0)


def write_page(terminal: Terminal, ws: Workspace, results: Sequence[Result], html: Path | None) -> None:
    """Write the runs as one page, when asked to."""
    if html is None:
        return
    from koppel.cli.page import RunTold, runs_page
    from koppel.cli.terminal import write_private

    told = [RunTold(result, entries_of(ws, result), flow_of(ws, result)) for result in results if result.run]
    write_private(html, runs_page(told, workspace=ws.config.name))
    terminal.note(f"Written: {html}")


def human(ws: Workspace, results: Sequence[Result]) -> Iterator[RenderableType]:
    """Runs as tables, one after the other."""
    from koppel.cli.render_plan import render_result

    for number, result in enumerate(results):
        if number:
            yield ""
        yield from render_result(result, entries_of(ws, result), flow=flow_of(ws, result))


def entries_of(ws: Workspace, result: Result) -> list[Recorded]:
    """What a run wrote into the trail."""
    return ws.log(run=result.run, limit=MOST, newest_first=False)


def flow_of(ws: Workspace, result: Result) -> Flow | None:
    """The flow a run was of."""
    loaded = ws.flows.get(result.plan.flow)
    return loaded.flow if loaded else None
