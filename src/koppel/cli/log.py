"""`koppel log`: the trail: what changed, when, why, by whom, before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koppel.cli.terminal import DONE, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.store.trail import Recorded


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("log")(log)


@command
def log(
    terminal: Terminal,
    run: Annotated[int | None, typer.Option("--run", metavar="N", help="Only what this run did.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most so many entries.")] = 50,
) -> int:
    """Show the trail: what changed, when, why and by whom; the latest entries come last.

    \b
    Example: koppel log --run 12
    """
    import msgspec

    with terminal.workspace() as ws:
        if run is not None:
            ws.run_numbered(run)
        entries = ws.log(run=run, limit=limit)[::-1]
    terminal.show(msgspec.to_builtins(entries), lambda: _human(entries, limit))
    return DONE


def _human(entries: Sequence[Recorded], limit: int) -> Iterator[RenderableType]:
    from rich.table import Table

    from koppel.cli.words import when

    if not entries:
        yield "The trail holds nothing about that yet."
        return
    table = Table(show_lines=True, expand=True)
    table.add_column("no.", justify="right", no_wrap=True)
    table.add_column("when, who", ratio=4, overflow="fold")
    table.add_column("what", ratio=12, overflow="fold")
    for entry in entries:
        run = f"\nrun {entry.run}" if entry.run else ""
        table.add_row(str(entry.seq), f"{when(entry.at)}\n{entry.actor}{run}", entry_text(entry.kind, entry.data))
    yield table
    if len(entries) == limit:
        yield f"The latest {limit}; more with --limit."


def entry_text(kind: str, data: dict[str, Any] | None) -> str:
    """One entry in words: the record, what changed on it, and why."""
    from koppel.cli.words import field_name, shown

    if data is None:
        return f"{kind} (the details were erased)"
    target = data.get(data.get("target", ""), "") or data.get("left") or data.get("right") or ""
    lines = [" ".join(part for part in (kind, str(data.get("label", "")), f"[{target}]" if target else "") if part)]
    for key, change in data.get("fields", {}).items():
        before = change.get("before")
        move = shown(change.get("after")) if before is None else f"{shown(before)} → {shown(change.get('after'))}"
        lines.append(f"{field_name(key)}: {move}{_reason(change.get('because'))}")
    for key, both in data.get("kept", {}).items():
        lines.append(f"{field_name(key)}: {shown(both[0])} and {shown(both[-1])} were taken for the same")
    problem = data.get("problem") or {}
    said = f" (the vendor says: {problem['vendor_text']})" if problem.get("vendor_text") else ""
    lines += [str(data[name]) for name in ("because", "question") if data.get(name)]
    if problem.get("text"):
        where = f"{field_name(problem['field'])}: " if problem.get("field") else ""
        lines.append(f"{where}{problem['text']}{said}")
    if "answer" in data:
        lines.append(f"answer: {shown(data['answer'])}")
    return "\n".join(lines)


def _reason(because: object) -> str:
    return f" ({because})" if because else ""
