"""`koppel plan`: what a run would do, as a table, a file or a page. Writes nothing to the systems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import Terminal, command, write_private

if TYPE_CHECKING:
    from rich.text import Text

    from koppel.engine.plan import Plan
    from koppel.mapping.flow import Flow

OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Store the plan, for `koppel apply`.")
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page for people who do not read terminals.")
]
AllowOption = Annotated[
    list[str],
    typer.Option(
        "--allow",
        metavar="BRAKE",
        help="Let this brake pass: creates, deletes, share, money, first, vanished, renumbered.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(plan)


@command
def plan(
    terminal: Terminal,
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's id.")],
    refresh: Annotated[bool, typer.Option("--refresh", help="Look every linked record up anew.")] = False,
    out: OutOption = None,
    html: HtmlOption = None,
    allow: AllowOption = [],  # noqa: B006 - typer reads the default
    expect_empty: Annotated[
        bool, typer.Option("--expect-empty", help="Exit with 1 when there is anything to do.")
    ] = False,
) -> int:
    """Show what a run would do, with reasons and price.

    Nothing is written to the systems.

    Example: koppel plan kvk-exact -o plan.json --html plan.html
    """
    from koppel.cli.outcome import plan_code
    from koppel.engine.plan import as_json

    with terminal.workspace() as ws:
        made = ws.plan(flow, refresh=refresh, allow=allow)
        read = ws.flow(flow)
    show_plan(terminal, made, read, value=as_json(made), out=out, html=html)
    return plan_code(made, expect_empty=expect_empty)


def show_plan(
    terminal: Terminal, made: Plan, flow: Flow, *, value: object, out: Path | None, html: Path | None,
    otherwise: str = "store the plan with -o plan.json", remarks: Sequence[Text] = (),
) -> None:  # fmt: skip
    """Store a plan and its page where asked, and show it. `otherwise` says what else can be done next."""
    from koppel.app import write_plan
    from koppel.cli.render_plan import render_plan

    if out is not None:
        write_plan(made, out)
    if html is not None:
        from koppel.cli.page import plan_page

        write_private(html, plan_page(made, flow=flow))
    allow = f" {made.guard.allow}" if made.guard else ""
    at_once = f"koppel undo {made.undo_of} --apply" if made.undo_of else f"koppel sync {made.flow}"
    next_step = f"koppel apply {out}{allow}" if out else f"{at_once}{allow}, or {otherwise}"
    terminal.show(value, lambda: [*remarks, *render_plan(made, flow=flow, title=flow.title, next_step=next_step)])
    for file in (out, html):
        if file is not None:
            terminal.note(f"Written: {file}")
