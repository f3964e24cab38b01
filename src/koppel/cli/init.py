"""`koppel init`: make a workspace folder, copy a ready-made flow into it, and say what comes next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.app import ReadyMade, Workspace


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


@command
def init(
    terminal: Terminal,
    folder: Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="Where (default: here).")] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The workspace's name (default: the folder's).")
    ] = None,
    flow: Annotated[str | None, typer.Option("--flow", metavar="NAME", help="Copy this ready-made flow.")] = None,
    left: Annotated[
        str | None, typer.Option("--left", metavar="CONN", help="The connection on the flow's left.")
    ] = None,
    right: Annotated[
        str | None, typer.Option("--right", metavar="CONN", help="The connection on the flow's right.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option("--database", metavar="URL", help="Keep the store in PostgreSQL (default: a file in the folder)."),
    ] = None,
) -> int:
    """Make a workspace, or add a ready-made flow to one.

    Without --flow it lists the ready-made ones. With --database several machines can work on it; the password is best
    left to PostgreSQL's own PGPASSFILE.

    Example: koppel init my-books --flow kvk-exact --right books-nl
             koppel init my-books --database "postgresql://koppel@db.example/koppel?schema=my_books"
    """
    from koppel.app import Workspace, ready_made
    from koppel.config.workspace_file import FILE, NAME
    from koppel.model.problem import UsageError

    flows = ready_made()
    chosen = next((one for one in flows if one.name == flow), None)
    if flow is not None and chosen is None:  # before a folder is made for it
        known = ", ".join(one.name for one in flows)
        raise UsageError(f"There is no ready-made flow {flow!r}.", remedy=f"There are: {known}.")
    if (left or right) and chosen is None:
        raise UsageError("--left and --right name connections of a flow.", remedy="Say which flow: --flow NAME")
    wrong = next((text for text in (left, right) if text and not NAME.fullmatch(text)), None)
    if wrong:
        raise UsageError(f"{wrong!r} is no name for a connection.", remedy="Use small letters, digits and hyphens.")
    target = folder or (Path(terminal.folder) if terminal.folder else Path())
    target = target.expanduser()
    exists = (target / FILE).is_file()
    if exists and database:
        raise UsageError(f"{target / FILE} exists already.", remedy="Its store is named there: [workspace] database.")
    opened = Workspace.open(target) if exists and chosen else Workspace.create(target, name=name, database=database)
    with opened as ws:
        file = _copy(ws, chosen, left, right) if chosen else None
        missing = _missing(ws)
        value = {
            "workspace": str(ws.config.path.resolve()),
            "name": ws.config.name,
            "made": not exists,
            "flow": str(file) if file else None,
            "ready_made": [one.name for one in flows],
            "connect_next": [connection for connection, _ in missing],
        }
        terminal.show(value, lambda: _human(ws, file, flows, missing, made=not exists))
    return DONE


def _copy(ws: Workspace, flow: ReadyMade, left: str | None, right: str | None) -> Path:
    return ws.add_flow(flow.name, {flow.left: left or flow.left, flow.right: right or flow.right})


def _missing(ws: Workspace) -> list[tuple[str, str]]:
    """Connections that flows speak of and that are not configured yet, with the resource they must have."""
    ends = [end for loaded in ws.flows.values() if loaded.flow for end in (loaded.flow.left, loaded.flow.right)]
    found = {end.connection: end.resource for end in ends if end.connection not in ws.config.connections}
    return sorted(found.items())


def _human(
    ws: Workspace, file: Path | None, flows: Sequence[ReadyMade], missing: Sequence[tuple[str, str]], *, made: bool
) -> Iterator[RenderableType]:
    from rich.text import Text

    folder = ws.config.path
    if made:
        yield f"Workspace {ws.config.name!r} is made in {folder.resolve()}."
        yield f"Keep its key file {folder / 'koppel.key'} safe: without it nothing in the store can be read."
    if file is not None:
        yield f"The flow stands in {file}."
    else:
        yield "Ready-made flows (koppel init --flow NAME):"
        for flow in flows:
            yield f"  {flow.name}: {flow.title}"
    yield Text("Next:", "bold")
    if made and folder != Path():
        yield f"  cd {folder}"
    if file is None and not ws.flows:
        yield "  koppel init --flow NAME"
    for connection, resource in missing:
        yield f"  koppel connect {connection} --system {_system(resource)}"
    if missing or file is not None:
        yield "  koppel check"


def _system(resource: str) -> str:
    from koppel.systems import registry

    fitting = [
        name for name in registry.names() if resource in {r.name for r in registry.load(name).resources if r.entity}
    ]
    return "|".join(fitting) or "|".join(registry.names())
