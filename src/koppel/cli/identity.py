"""`koppel identity`: which records are one real thing, why, since when, by whom, and what was decided about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, Unbroken, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.engine.identity import Changed
    from koppel.engine.membership import Identity

AsBefore = Annotated[
    int | None,
    typer.Option("--as-before", metavar="N", help="Put back what entry N of the trail changed, exactly as it was."),
]
AsFollower = Annotated[
    bool,
    typer.Option(
        "--as-follower", help="A second record of one system comes second: it gets legal facts only, and gives nothing."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("identity")(identity)


@command
def identity(
    terminal: Terminal, ref: Annotated[str, typer.Argument(metavar="REF", help="connection:resource:id")]
) -> int:
    """Show the real thing a record is of.

    Its records with their roles, the evidence, since when and by whom; standing decisions; open questions; changes by hand with
    their numbers. Exit code 1 when the record was never seen.

    Example: koppel identity books-nl:accounts:71b9
    """
    import msgspec

    from koppel.app.identity import show

    with terminal.workspace() as ws:
        told = show(ws, ref)
    terminal.show(msgspec.to_builtins(told), lambda: _human(told))
    return DONE if told.known else LEFT_OVER


def tell_change(terminal: Terminal, changed: Changed) -> None:
    """What a change by hand came to, and the command that takes it back."""
    import msgspec

    terminal.show(msgspec.to_builtins(changed), lambda: _changed(changed))


def _changed(changed: Changed) -> Iterator[RenderableType]:
    together: dict[str, list[str]] = {}
    for place in changed.places:
        role = f", {place.role}" if place.role else ""
        together.setdefault(place.subject, []).append(f"{place.label} ({place.ref}{role})")
    alone = together.pop("", [])
    for several in together.values():
        yield "One thing: " + "; ".join(several) + "."
    for one in alone:
        yield f"Linked with nothing: {one}."
    for note in changed.notes:
        yield f"Mind: {note}."
    if changed.flows:
        yield f"The next run looks at them: koppel sync {changed.flows[0]}"
    yield "To take it back:"
    yield Unbroken("  " + " ".join(changed.inverse))


def _human(told: Identity) -> Iterator[RenderableType]:
    from rich.text import Text

    from koppel.cli.render_plan import grid
    from koppel.cli.words import when

    yield Text(f"{told.label} ({told.ref})", "bold")
    if not told.known:
        yield "It was never seen: a record is known once a run has read it."
        return
    if told.members:
        table = grid()
        table.add_column("record", ratio=6, overflow="fold")
        table.add_column("role", no_wrap=True)
        table.add_column("why, since when, by whom", ratio=6, overflow="fold")
        for member in told.members:
            names = "\n".join(dict.fromkeys((member.label, member.ref)))
            role = member.role + (", gone" if member.gone else "") + (", quiet" if member.quiet else "")
            by = f" by {member.by}" if member.by else ""
            table.add_row(names, role, f"{member.why or 'no reason kept'}\n{when(member.since)}{by}")
        yield table
    else:
        yield "It is linked with nothing."
    for decision in told.decisions:
        yield f"Decided: {decision.text}"
    for asked in told.open:
        yield Text(f"Open, no. {asked.number} ({asked.flow}): {asked.text}", "yellow")
    for entry in told.changes:
        yield f"Entry {entry.number}, {when(entry.at)} {entry.by}: {entry.text}"
