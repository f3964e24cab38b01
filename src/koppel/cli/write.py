"""`koppel write`: one record by the vendor's own names: shown first, sent once, recorded; never repeated blindly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.app.writing_by_name import Outcome
    from koppel.model.anything import Draft, Prepared

DOING = {"create": "make a new record of", "update": "change", "delete": "delete"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("write")(write)


@command
def write(
    terminal: Terminal,
    connection: Annotated[str, typer.Argument(metavar="CONN", help="The connection.")],
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help="The vendor's name of it.")],
    native: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The record to change (default: a new one).")
    ] = None,
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A property; null empties it.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="BODY.json", help="The properties as JSON, lines included.")
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the record.")] = False,
    unchecked: Annotated[
        list[str] | None,
        typer.Option("--unchecked", metavar="NAME", help="You have looked up yourself what this names."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send it without asking.")] = False,
    again: Annotated[bool, typer.Option("--again", help="You have looked: what was in doubt did not arrive.")] = False,
    arrived: Annotated[
        str | None, typer.Option("--arrived", metavar="ID", help="You have looked: what was in doubt is this record.")
    ] = None,
) -> int:
    """Write one record of an account by the vendor's own names.

    Everything is checked first: names, types, what must be given, and that records it names are in this division. It is shown,
    and sent once after a yes. What stood there before is kept in the trail. When the answer is lost it is not sent again by
    itself. Exit code 1 when it was refused or is in doubt.

    Example: koppel write books-nl Accounts --id 71b961de-0000-4000-8000-000000000001 --set "Name=Bakkerij Jansen" --plan
             koppel write books-nl SalesInvoices --file invoice.json
    """
    from koppel.app import writing_by_name
    from koppel.model.problem import UsageError

    draft = _draft(resource, native, values or [], file, delete=delete, unchecked=tuple(unchecked or ()))
    with terminal.workspace() as ws:
        prepared = writing_by_name.prepare(ws, connection, draft)
        if arrived is not None:
            outcome = writing_by_name.arrived(ws, connection, draft, arrived)
            terminal.show(_outcome_json(prepared, outcome), lambda: _outcome(connection, prepared, outcome))
            return DONE if not outcome.written.differs else LEFT_OVER
        nothing = not prepared.fields and prepared.kind != "delete"
        if plan or nothing:
            terminal.show(_plan_json(prepared), lambda: _plan(connection, prepared))
            return DONE
        if not yes:
            if not terminal.can_ask:
                raise UsageError(
                    "Nobody can be asked here; nothing was written.", remedy="Look with --plan, then say --yes."
                )
            for part in _plan(connection, prepared):
                terminal.console().print(part)
            if terminal.ask("Send this? Type yes").lower() not in ("yes", "y", "ja", "j"):
                terminal.note("Nothing was written.")
                return DONE
        outcome = writing_by_name.write(ws, connection, draft, prepared, again=again)
    terminal.show(_outcome_json(prepared, outcome), lambda: _outcome(connection, prepared, outcome))
    return DONE if outcome.written.status == "done" and not outcome.written.differs else LEFT_OVER


def _draft(
    resource: str, native: str | None, values: list[str], file: Path | None, *, delete: bool, unchecked: tuple[str, ...]
) -> Draft:
    from koppel.cli.read import pairs
    from koppel.model.anything import Draft
    from koppel.model.problem import UsageError

    if file is not None and values:
        raise UsageError("--set and --file exclude each other.", remedy="Put everything into the file.")
    given: dict[str, object] = dict(pairs(values))
    if file is not None:
        given = _body(file)
    kind = "delete" if delete else "create" if native is None else "update"
    return Draft(name=resource, kind=kind, native=native, values=given, typed=file is None, unchecked=unchecked)


def _body(file: Path) -> dict[str, object]:
    """A body out of a JSON file, its numbers digit for digit. Raises UsageError."""
    from decimal import Decimal

    import msgspec

    from koppel.model.problem import UsageError

    try:
        found = msgspec.json.Decoder(float_hook=Decimal).decode(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", remedy="Name a JSON file.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is no JSON: {error}.", remedy='For instance: {"Name": "Bakkerij Jansen"}') from None
    if not isinstance(found, dict):
        raise UsageError(f"{file} holds no object.", remedy='For instance: {"Name": "Bakkerij Jansen"}')
    return cast("dict[str, object]", found)


def _plan_json(prepared: Prepared) -> dict[str, object]:
    from koppel.app.reading import as_json

    return {
        "resource": prepared.name,
        "kind": prepared.kind,
        "request": f"{prepared.method} {prepared.path}",
        "fields": as_json(prepared.fields),
        "before": as_json(prepared.before),
        "doubts": list(prepared.doubts),
    }


def _outcome_json(prepared: Prepared, outcome: Outcome) -> dict[str, object]:
    import msgspec

    from koppel.app.reading import as_json

    written = outcome.written
    return {
        **_plan_json(prepared),
        "status": written.status,
        "id": written.native,
        "differs": list(written.differs),
        "shown": as_json(written.shown),
        "problem": None if written.problem is None else msgspec.to_builtins(written.problem),
        "looked": outcome.looked,
        "entry": outcome.entry,
    }


def _plan(connection: str, prepared: Prepared) -> Iterator[RenderableType]:
    from koppel.app.reading import as_text
    from koppel.cli.render_plan import grid

    if not prepared.fields and prepared.kind != "delete":
        yield f"There is nothing to send: {prepared.path} in {connection} shows this already."
        return
    yield f"This would {DOING[prepared.kind]} {prepared.path} in {connection}:"
    table = grid(lines=False)
    table.add_column("property", overflow="fold")
    if prepared.kind != "create":
        table.add_column("stands there now", overflow="fold")
    if prepared.kind != "delete":
        table.add_column("is sent", overflow="fold")
    for name in prepared.before if prepared.kind == "delete" else prepared.fields:
        before = [as_text(prepared.before.get(name)) or "(empty)"] if prepared.kind != "create" else []
        after = [as_text(prepared.fields.get(name)) or "(empty)"] if prepared.kind != "delete" else []
        if prepared.kind == "delete" and before == ["(empty)"]:
            continue
        table.add_row(name, *before, *after)
    yield table
    for doubt in prepared.doubts:
        yield f"Mind: {doubt}."


def _outcome(connection: str, prepared: Prepared, outcome: Outcome) -> Iterator[RenderableType]:
    from koppel.app.reading import as_text

    written = outcome.written
    named = f"{prepared.name} {written.native or ''}".strip()
    if written.status == "done":
        word = {"create": "Made", "update": "Changed", "delete": "Deleted"}[prepared.kind]
        kept = "tells of it" if prepared.kind == "create" else "keeps what stood there before"
        yield f"{word}: {named} in {connection}. Entry {outcome.entry} of the trail {kept}."
        if written.problem is not None:
            yield f"Mind: {written.problem.text}"
        for name in written.differs:
            kept = written.shown.get(name) if "[" not in name else None
            yield f"Mind: {name} was sent, and the record shows {as_text(kept) or 'nothing like it'}."
        return
    said = written.problem.text if written.problem else ""
    if written.status == "refused":
        yield f"Refused, nothing was written. {said}"
        return
    yield f"In doubt: whether it arrived is not known. {said} {outcome.looked}".rstrip()
    yield "Look in the account before anything else. The same command with --arrived ID says it is there; only with "
    yield "--again it is sent once more."
