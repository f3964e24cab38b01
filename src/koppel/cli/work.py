"""`koppel work`: run flows when they are due, until stopped. Any number may work on one workspace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command, give_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.app.working import Worked
    from koppel.runtime.schedules import Upcoming


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("work")(work)


@command
def work(
    terminal: Terminal,
    once: Annotated[bool, typer.Option("--once", help="Run what is due now, then end.")] = False,
    agenda: Annotated[bool, typer.Option("--agenda", help="Only show when each flow runs next.")] = False,
) -> int:
    """Run flows by their schedules, until stopped.

    Windows are kept, and what was put aside is taken up when its time comes.

    Start it as a service, as many as you like: they share the work and do nothing twice. Ctrl-C or a TERM signal ends it
    between two chunks of writes; the next run carries on. With --json every run is one line of JSON.

    Example: koppel work --agenda
             koppel work --once --quiet
             koppel work
    """
    import signal
    import threading

    import msgspec

    from koppel.app import working

    with terminal.workspace() as ws:
        unfit = working.unfit(ws)
        for file, name in unfit:
            terminal.complain(f"{file} has errors, so {name} is not run.", f"koppel check {name}")
        if agenda:
            plan, now = working.agenda(ws), ws.now()
            terminal.show(msgspec.to_builtins(plan), lambda: _agenda(plan, now))
            return DONE
        stop = threading.Event()
        failed: list[str] = []

        def told(worked: Worked) -> None:
            if worked.state in ("failed", "failed to begin"):
                failed.append(worked.flow or worked.why)
            if terminal.json:
                give_json(worked, line=True)
            else:
                _line(terminal, worked)

        before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            if not once:
                terminal.note(_beginning(working.agenda(ws), ws.now()))
            working.work_on(ws, stop, tell=told, once=once)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return LEFT_OVER if once and (failed or unfit) else DONE


def _beginning(plan: Sequence[Upcoming], now: float) -> str:
    from koppel.cli.words import counted, when

    if not plan:
        return 'No flow of this workspace has a schedule yet: [run] schedule = "every 15 minutes". Waiting.'
    soonest = "now" if plan[0].at <= now else when(plan[0].at)
    return f"{counted(len(plan), 'flow')} by schedule; the next is {plan[0].flow}, {soonest}. Ctrl-C ends this."


def _line(terminal: Terminal, worked: Worked) -> None:
    from koppel.cli.words import tally, when

    terminal.clear()
    did = worked.error or worked.message or tally(worked.counts, done=True) or "nothing to do"
    said = f"{when(worked.at)}  {worked.flow or worked.why}  {worked.state}: {did}"
    if worked.state in ("failed", "failed to begin"):
        terminal.complain(said)
    else:
        terminal.note(said)


def _agenda(plan: Sequence[Upcoming], now: float) -> Iterator[RenderableType]:
    from koppel.cli.render_plan import grid
    from koppel.cli.words import when

    if not plan:
        yield 'No flow of this workspace runs by itself. In its file: [run] schedule = "every 15 minutes"'
        return
    table = grid(lines=False)
    table.add_column("next run", no_wrap=True)
    table.add_column("flow", ratio=3, overflow="fold")
    table.add_column("why", ratio=4, overflow="fold")
    for entry in plan:
        table.add_row("now" if entry.at <= now else when(entry.at), entry.flow, entry.why)
    yield table
