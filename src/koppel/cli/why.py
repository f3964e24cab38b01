"""`koppel why`: why a record, or one of its fields, is as it is; answered from the store, without a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.engine.explain import Explanation
    from koppel.engine.provenance import Provenance
    from koppel.engine.reasons import Reason
    from koppel.mapping.flow import Flow


NAMED = 20  # documents of a posting that are named on the screen; --json names all


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("why")(why)


@command
def why(
    terminal: Terminal,
    ref: Annotated[str, typer.Argument(metavar="REF", help="connection:resource:id, or a KVK number.")],
    field: Annotated[str | None, typer.Argument(metavar="[FIELD]", help="One field, for instance address.")] = None,
) -> int:
    """Tell why a record, or one field of it, is as it is.

    Or why nothing happened to it: every reason has a code, the first is what stands in the way. Exit code 1 when it was
    never seen.

    Example: koppel why 00100104 address
    """
    import msgspec

    with terminal.workspace() as ws:
        told = ws.why(ref, field)
        flows = {name: loaded.flow for name, loaded in ws.flows.items()}
    terminal.show(msgspec.to_builtins(told), lambda: _human(told, field, flows))
    return DONE if told.known else LEFT_OVER


def _human(told: Explanation, field: str | None, flows: Mapping[str, Flow | None]) -> Iterator[RenderableType]:
    from rich.text import Text

    from koppel.cli.render_plan import grid
    from koppel.cli.rows import names_of
    from koppel.cli.words import field_name, shown, sided

    about = f", field {field_name(field)}" if field else ""
    yield Text(f"{told.label} ({told.ref}){about}", "bold")
    for member in told.members:
        yield f"  belongs together with {member}"
    if told.documents:
        more = len(told.documents) - NAMED
        count = f"{len(told.documents)} document{'' if len(told.documents) == 1 else 's'}"
        yield f"  holds {count}: {', '.join(told.documents[:NAMED])}" + (f" and {more} more" if more > 0 else "")
    if told.history:
        table = grid()
        table.add_column("entry", justify="right", no_wrap=True)
        table.add_column("when, who", ratio=4, overflow="fold")
        table.add_column("what and why", ratio=10, overflow="fold")
        for reason in told.history:
            table.add_row(str(reason.entry or ""), _signed(reason), _line(reason, flows, whole=field is not None))
        yield table
    if told.fields and field is None:
        table = grid()
        table.add_column("field now", ratio=3, overflow="fold")
        table.add_column("left, right", ratio=5, overflow="fold")
        table.add_column("why", ratio=6, overflow="fold")
        for now in told.fields:
            same = now.left == now.right
            values = shown(now.left) if same else f"{shown(now.left)}\n{shown(now.right)}"
            why_so = sided(now.text, *names_of(flows.get(now.flow)))
            table.add_row(field_name(now.field), values, f"{why_so}\n{_source(now.origin)}".strip())
        yield table
    for reason in told.open:
        where = f"{reason.flow}: " if reason.flow else ""
        yield Text(f"Now: {where}{_line(reason, flows)}" + (f" [{reason.code}]" if reason.code else ""), "yellow")
    if not told.history and not told.open:
        yield "Nothing is recorded about it."


def _signed(reason: Reason) -> str:
    from koppel.cli.words import when

    return "\n".join(part for part in (when(reason.at), reason.actor) if part)


def _line(reason: Reason, flows: Mapping[str, Flow | None], *, whole: bool = True) -> str:
    """What and why; `whole`: with where the value came from and how its arrival is known."""
    from koppel.cli.rows import names_of
    from koppel.cli.words import field_name, shown, sided

    said = sided(reason.text, *names_of(flows.get(reason.flow)))
    if not reason.field:
        return said
    change = f"{field_name(reason.field)}"
    if reason.before is not None or reason.after is not None:
        change += (
            f": {shown(reason.before)} → {shown(reason.after)}"
            if reason.before != reason.after
            else f": {shown(reason.after)}"
        )
    more = (_source(reason.origin), _receipt(reason)) if whole else ()
    return "\n".join(part for part in (change, said, *more) if part)


def _source(origin: Provenance | None) -> str:
    """Observation and rule: where the value was seen, and what made it stand."""
    from koppel.cli.words import when

    if origin is None:
        return ""
    if origin.person:
        by = f"decided by {origin.person}" + (f" (no. {origin.ask})" if origin.ask else "")
    else:
        said = ", ".join(f"{name} = {value}" for name, value in origin.rule.items() if name != "const")
        by = f"rule {said}" if said else ""
    if origin.source == "flow":
        seen = "a constant of the flow"
    elif origin.ref:
        version = f", version {origin.version}" if origin.version else ""
        seen = f"{'both sides; ' if origin.source == 'both' else ''}from {origin.ref}{version}"
        seen += f", seen {when(origin.seen_at)}" if origin.seen_at is not None else ""
    else:
        seen = ""
    run = f"run {origin.run}" if origin.run else ""
    return "; ".join(part for part in (seen, by, run) if part)


def _receipt(reason: Reason) -> str:
    """Operation and receipt: by which id it travelled, and how its arrival is known."""
    known = {
        "reply": "the vendor confirmed it",
        "probe": "its reply was lost; it was found to have arrived",
        "refused": "",
    }
    details = reason.details
    if not details.get("op"):
        return ""
    said = known.get(str(details.get("receipt")), "")
    version = f" as version {details['version']}" if details.get("version") else ""
    return f"operation {details['op']}" + (f": {said}{version}" if said else "")
