"""`koppel read`: any resource of an account by the vendor's own name, as a table, CSV or JSON; nothing is taken in."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.app.reading import Answer
    from koppel.model.anything import Described, Kind

LONGEST = 60  # rows a table shows; --csv and --json give all
WIDEST = 12  # columns a table can hold before its cells become unreadable


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("read")(read)


@command
def read(
    terminal: Terminal,
    connection: Annotated[str, typer.Argument(metavar="CONN", help="The connection.")],
    resource: Annotated[
        str, typer.Argument(metavar="[RESOURCE]", help="The vendor's name of it; with --list part of a name.")
    ] = "",
    where: Annotated[str, typer.Option("--where", metavar="CONDITION", help="Which rows: Code = 8 and Blocked.")] = "",
    select: Annotated[
        list[str] | None, typer.Option("--select", metavar="A,B", help="Which columns; * is all of them.")
    ] = None,
    expand: Annotated[
        list[str] | None, typer.Option("--expand", metavar="LINES", help="With the records inside each.")
    ] = None,
    order: Annotated[
        list[str] | None, typer.Option("--order", metavar="A", help="In order of A; -A is downwards.")
    ] = None,
    top: Annotated[int | None, typer.Option("--top", metavar="N", min=1, help="The first so many.")] = None,
    given: Annotated[
        list[str] | None, typer.Option("--given", metavar="NAME=VALUE", help="A parameter the resource wants.")
    ] = None,
    calls: Annotated[int, typer.Option("--calls", metavar="N", min=1, help="Spend at most so many calls.")] = 100,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV on standard output, every row.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the resources there are.")] = False,
    described: Annotated[bool, typer.Option("--describe", help="Say what a resource holds and takes.")] = False,
) -> int:
    """Read any resource of an account by the vendor's own name.

    A condition compares properties with values: = != < <= > >=, in (A, B), is empty, contains, starts with, ends with; joined by
    and, or, not and brackets. Dates are written 2026-01-31. Nothing is kept or taken in. Exit code 1 when the calls allowed ran
    out before the end.

    Example: koppel read books-nl Accounts --where "Name contains bakker" --select Code,Name
             koppel read books-nl SalesInvoices --expand SalesInvoiceLines --top 5
             koppel read books-nl --list invoice
    """
    from koppel.app import reading
    from koppel.model.anything import Question
    from koppel.model.problem import UsageError

    if csv and terminal.json:
        raise UsageError("--csv and --json exclude each other.", remedy="Choose one.")
    with terminal.workspace() as ws:
        if listed:
            kinds = reading.kinds(ws, connection, resource)
            terminal.show(kinds, lambda: _kinds(kinds, resource))
            return DONE if kinds else LEFT_OVER
        if not resource:
            raise UsageError("Say what to read.", remedy=f"koppel read {connection} --list")
        if described:
            told = reading.describe(ws, connection, resource)
            terminal.show(told, lambda: _described(told))
            return DONE
        question = Question(
            resource,
            where=where,
            select=_words(select),
            expand=_words(expand),
            order=_words(order),
            top=top,
            given=pairs(given or []),
        )
        answer = reading.read(
            ws, connection, question, calls=calls, each=lambda rows: terminal.progress(f"{rows} rows …")
        )
    for note in answer.notes:
        terminal.note(note)
    if csv:
        terminal.clear()
        _csv(answer)
    else:
        terminal.show(_json(answer), lambda: _human(answer))
    if not answer.complete:
        terminal.complain(
            f"There is more: the {answer.calls} calls allowed are spent, after {len(answer.rows)} rows.",
            "Ask for less with --where or --top, or allow more with --calls.",
        )
    return DONE if answer.complete else LEFT_OVER


def _words(given: Sequence[str] | None) -> tuple[str, ...]:
    """Names as typed: the option more than once, or several in one, with commas."""
    return tuple(word.strip() for one in given or () for word in one.split(",") if word.strip())


def pairs(given: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE as typed. Raises UsageError."""
    from koppel.model.problem import UsageError

    found: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{one!r} is not NAME=VALUE.", remedy="For instance Name='Bakkerij Jansen'")
        if name.strip() in found:
            raise UsageError(f"{name.strip()} is given twice.", remedy="Give it once.")
        found[name.strip()] = value
    return found


def _json(answer: Answer) -> dict[str, object]:
    from koppel.app.reading import as_json

    return {
        "resource": answer.name,
        "endpoint": answer.endpoint,
        "complete": answer.complete,
        "calls": answer.calls,
        "columns": [{"name": column.name, "type": column.type} for column in answer.columns],
        "rows": [as_json(row) for row in answer.rows],
        "notes": list(answer.notes),
    }


def _csv(answer: Answer) -> None:
    import csv

    from koppel.app.reading import as_text

    writer = csv.writer(sys.stdout, lineterminator="\n")
    names = [column.name for column in answer.columns]
    writer.writerow(names)
    writer.writerows([as_text(row.get(name)) for name in names] for row in answer.rows)
    sys.stdout.flush()


def _human(answer: Answer) -> Iterator[RenderableType]:
    from koppel.app.reading import as_text
    from koppel.cli.render_plan import grid
    from koppel.cli.words import counted

    if not answer.rows:
        yield f"{answer.name} has no such row."
        return
    table = grid(lines=False)
    shown = answer.columns[:WIDEST]
    for column in shown:
        numbers = column.type in ("Double", "Decimal", "Int16", "Int32", "Int64", "Byte")
        table.add_column(column.name, justify="right" if numbers else "left", overflow="fold")
    for row in answer.rows[:LONGEST]:
        table.add_row(*(as_text(row.get(column.name)).strip() for column in shown))
    yield table
    more = [f"the first {LONGEST} are shown"] if len(answer.rows) > LONGEST else []
    more += [f"{WIDEST} of {len(answer.columns)} columns"] if len(answer.columns) > WIDEST else []
    left_out = f" ({', '.join(more)}; all with --csv or --json)" if more else ""
    yield f"{counted(len(answer.rows), 'row')} of {answer.endpoint} in {counted(answer.calls, 'call')}{left_out}."


def _kinds(kinds: Sequence[Kind], pattern: str) -> Iterator[RenderableType]:
    from koppel.cli.render_plan import grid
    from koppel.cli.words import counted

    if not kinds:
        yield f"No resource has {pattern!r} in its name."
        return
    table = grid(lines=False)
    table.add_column("resource", ratio=3, overflow="fold")
    table.add_column("properties", justify="right", no_wrap=True)
    table.add_column("can be", ratio=2, overflow="fold")
    past = {"read": "read", "create": "created", "update": "updated", "delete": "deleted"}
    for kind in kinds:
        table.add_row(kind.name, str(kind.properties), ", ".join(past[word] for word in kind.does) or "not known")
    yield table
    yield f"{counted(len(kinds), 'resource')}."


def _described(told: Described) -> Iterator[RenderableType]:
    from koppel.cli.render_plan import grid
    from koppel.cli.words import counted

    table = grid(lines=False, title=told.name)
    for name in ("property", "type", "given", "names a record of"):
        table.add_column(name, overflow="fold")
    for trait in told.traits:
        marks = ["key"] if trait.key else []
        marks += ["must"] if trait.required else []
        marks += ["create"] if trait.create else []
        marks += ["update"] if trait.update else []
        marks += ["obsolete"] if trait.obsolete else []
        marks += (
            [{"lacks": "not in this account", "adds": "only in this account"}[trait.account]] if trait.account else []
        )
        table.add_row(trait.name, f"list of {trait.type}" if trait.many else trait.type, ", ".join(marks), trait.names)
    yield table
    yield f"{told.name} can be: {', '.join(told.does) or 'not known'}. Key: {', '.join(told.key) or 'none'}."
    if len(told.ways) > 1:
        yield f"Read by: {', then '.join(told.ways)}; the first that can answer is asked."
    if told.given:
        yield "It wants: " + " ".join(f"--given {name}=… ({type_})" for name, type_ in told.given.items())
    for note in told.notes:
        yield f"Mind: {note}"
    if told.differences:
        yield f"This account departs from the table in {counted(len(told.differences), 'property', 'properties')}:"
        for line in told.differences:
            yield f"  {line}"
