"""`koppel sync`: plan and do it, for one flow or all. `report` tells what runs did, for every command that runs one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.plan import AllowOption
from koppel.cli.terminal import Terminal, command

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


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sync")(sync)


@command
def sync(
    terminal: Terminal,
    flow: Annotated[str | None, typer.Argument(metavar="[FLOW]", help="The flow's id.")] = None,
    all_flows: Annotated[bool, typer.Option("--all", help="Every flow of the workspace, one after the other.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Look every linked record up anew.")] = False,
    allow: AllowOption = [],  # noqa: B006 - typer reads the default
    html: RunHtmlOption = None,
) -> int:
    """Bring a flow up to date: plan it and do it.

    Its brakes hold: see --allow.

    With --all, one flow that fails does not keep the others from running.

    Example: koppel sync kvk-exact
             koppel sync --all --quiet
    """
    from koppel.cli.many import run_all
    from koppel.model.problem import UsageError

    if bool(flow) == all_flows:
        raise UsageError("Name one flow, or say --all.", remedy="For instance: koppel sync kvk-exact")
    with terminal.workspace() as ws:
        if flow is not None:
            return report(terminal, ws, [ws.sync(flow, refresh=refresh, allow=allow)], html=html)
        return run_all(terminal, ws, refresh=refresh, allow=allow, html=html)


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

    told = [RunTold(result, entries_of(ws, result), flow_of(ws, result)) for result in results]
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
