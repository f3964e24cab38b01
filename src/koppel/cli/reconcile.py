"""`koppel reconcile`: both sides read whole and compared, every difference with its rule and reason, and the plan to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command, write_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from koppel.app.findings import Findings
    from koppel.engine.reconcile import Summary
    from koppel.mapping.flow import Flow

ENDINGS = (".html", ".csv", ".json")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reconcile")(reconcile)


@command
def reconcile(
    terminal: Terminal,
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's id.")],
    no_read: Annotated[bool, typer.Option("--no-read", help="Compare what was read last; call nobody.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write the whole report: FILE.html, FILE.csv or FILE.json."),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan", metavar="FILE", help="Store the plan that mends what the rules allow, for `koppel apply`."
        ),
    ] = None,
    most: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show this many of each kind.")] = 20,
) -> int:
    """Read both sides whole and say where they differ.

    Nothing is written to the systems. Exit code 0 when the sides are the same but for what the rules, a person or the flow's
    scope lets differ; 1 when something is to be mended, decided or still on its way.

    Example: koppel reconcile kvk-exact -o report.html --plan mend.json
    """
    import msgspec

    from koppel.app import write_plan
    from koppel.app.findings import Findings
    from koppel.app.reconcile import reconcile as run
    from koppel.cli import tell_findings
    from koppel.model.problem import UsageError
    from koppel.sync.compare import KINDS, UNSETTLED
    from koppel.sync.guard import FIRST

    if out is not None and out.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"{out} says nothing of what is to be written.", remedy=f"Let its name end in {', '.join(ENDINGS)}."
        )
    with terminal.workspace() as ws, Findings(ws.config.path) as findings:
        read = ws.flow(flow)
        summary, made = run(ws, flow, findings, read=not no_read, plan=plan is not None)
        if out is not None:
            write_lines(out, _written(out, summary, findings, read))
        if plan is not None and made is not None:
            write_plan(made, plan)
        first = {kind: list(findings.of(kind, most=most)) for kind in KINDS if findings.count(kind)}
        value: dict[str, Any] = {"summary": msgspec.to_builtins(summary), "findings": msgspec.to_builtins(first)}
        if made is not None:
            value["plan"] = {"counts": made.counts, "calls": made.calls, "guard": msgspec.to_builtins(made.guard)}
        terminal.show(value, lambda: tell_findings.human(summary, findings, read, most=most))
    for file in (out, plan):
        if file is not None:
            terminal.note(f"Written: {file}")
    if plan is not None and made is not None:
        held = made.guard is not None and made.guard.override != FIRST  # a plan that was looked at is no first look
        allow = f" --allow {made.guard.override}" if held and made.guard else ""
        terminal.note(f"Next: koppel apply {plan}{allow}")
    open_ = any(verdict in UNSETTLED for by in summary.counts.values() for verdict in by)
    return LEFT_OVER if open_ else DONE


def _written(out: Path, summary: Summary, findings: Findings, flow: Flow) -> Iterable[str]:
    from koppel.cli import tell_findings

    if out.suffix.lower() == ".html":
        return tell_findings.as_page(summary, findings, flow)
    return tell_findings.as_csv(findings) if out.suffix.lower() == ".csv" else tell_findings.as_json(summary, findings)
