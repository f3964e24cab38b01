"""`koppel sandbox up`: every system's imitation on one loopback port, to try things without a real account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koppel.cli.terminal import DONE, Terminal, Unbroken, command, give_json

if TYPE_CHECKING:
    from rich.console import RenderableType


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Imitations of all systems, to try things on.",
    )
    group.command("up")(up)
    group.callback()(_only)
    app.add_typer(group, name="sandbox")


def _only() -> None:
    """Keeps `up` a word of its own: a group of one command would swallow it."""


@command
def up(
    terminal: Terminal,
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option("--seed", metavar="SEED", help="The same seed makes the same world.")] = 1,
    companies: Annotated[
        int,
        typer.Option(
            "--companies",
            metavar="N",
            min=1,
            help="Companies in the register; about two thirds are relations in the ERP too.",
        ),
    ] = 25,
    still: Annotated[
        bool, typer.Option("--still", help="A clock that stands still until it is moved at /_sandbox/clock.")
    ] = False,
) -> int:
    """Serve the sandboxes of all systems on 127.0.0.1.

    They are served until Ctrl-C or SIGTERM.

    With --json one line is printed when they are ready: addresses, made-up keys, numbers that exist.

    Example: koppel sandbox up --port 8090 --companies 200
    """
    import time

    from koppel.sandbox.host import build, contract
    from koppel.sandbox.server import serve

    host = build(seed, companies, None if still else time.time(), ticking=not still)

    def ready(base_url: str) -> None:
        told = contract(host, base_url)
        if terminal.json:
            give_json(told, line=True)
        else:
            terminal.show(told, lambda: _human(told))

    serve(host, port, ready)
    return DONE


def _human(told: dict[str, Any]) -> Iterator[RenderableType]:
    yield f"Sandboxes are served at {told['base_url']} until Ctrl-C."
    for name, values in told["systems"].items():
        yield f"\n{name}"
        for key, value in values.items():
            shown = " ".join(str(item) for item in value) if isinstance(value, list) else str(value)
            yield Unbroken(f"  {key}: {shown}")
    yield ""
    for line in _steps(told):
        yield Unbroken(line)


def _steps(told: dict[str, Any]) -> Iterator[str]:
    """How to try things against these sandboxes, from another terminal."""
    from koppel.app import ready_made
    from koppel.config.settings_form import settings_form

    yield "From another terminal:"
    yield f"  koppel init try-out --flow NAME && cd try-out     # NAME: {', '.join(flow.name for flow in ready_made())}"
    for name, values in told["systems"].items():
        plain = [s.name for s in settings_form(name) if s.name in values and not s.secret]
        # What is yours to give: the description of an API, say.
        yours = [s.name for s in settings_form(name) if s.required and s.name not in values]
        sets = "".join(f" --set {key}={values.get(key, '...')}" for key in (*yours, *plain))
        secret = next((s.name for s in settings_form(name) if s.secret and s.name in values), None)
        given = f"echo {values[secret]} | " if secret else ""
        yield f"  {given}koppel connect NAME --system {name}{sets}{f' --secret-stdin {secret}' if secret else ''}"
    yield "The NAME of a connection is what the flow calls it."
    for name in (name for name, values in told["systems"].items() if "authorization_code" in values):
        yield f"The sign-in code of {name} is good for minutes; a fresh one:"
        yield f"  curl -X POST {told['base_url']}/_sandbox/control/{name}/authorization_code"
