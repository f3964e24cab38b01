"""The reference page of the command line, made from the commands themselves: `python -m koppel.cli.reference`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from koppel.cli.main import EXIT_CODES, ORDER, app

HEAD = """# Commands

This page is made from the commands' own help: `python -m koppel.cli.reference > docs/reference/cli.md`.

Every command takes `--json` (one JSON value on standard output and nothing else there; notes and progress go to standard
error), `--quiet`, and `--workspace DIR` (or `KOPPEL_WORKSPACE`); without it, the workspace is the nearest folder above with
a `koppel.toml`. The options may stand before or after the command's name. Colours only on a terminal, and never with
`NO_COLOR`. When something is wrong there is one message: what, which, and the remedy; with `--json` also as
`{"error": {"message", "remedy", "kind", "exit_code"}}`.

## Exit codes

| code | meaning |
|---|---|
"""


def page() -> str:
    """The whole page, in Markdown."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    return HEAD + codes + "\n" + "\n".join(_commands())


def _commands() -> Iterator[str]:
    root: Any = typer.main.get_command(app)
    for name in ORDER:
        command = root.commands[name]
        yield from _one(f"koppel {name}", command)
        for below, inner in getattr(command, "commands", {}).items():
            yield from _one(f"koppel {name} {below}", inner)


def _one(path: str, command: Any) -> Iterator[str]:
    yield f"## {path}\n"
    for paragraph in (command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            yield f"```sh\n{_example(paragraph)}\n```\n"
        else:
            yield " ".join(paragraph.split()) + "\n"
    rows = [row for parameter in command.params if (row := _row(parameter))]
    if rows:
        yield "| | |\n|---|---|"
        yield "\n".join(rows) + "\n"


def _example(paragraph: str) -> str:
    lines = paragraph.removeprefix("\b\n").removeprefix("Example:").splitlines()
    return "\n".join(line.strip() for line in lines)


def _row(parameter: Any) -> str | None:
    if parameter.name in ("help", "workspace", "json", "quiet") or getattr(parameter, "hidden", False):
        return None
    if parameter.param_type_name == "argument":
        named = str(parameter.metavar or parameter.name)
    else:
        named = ", ".join(parameter.opts) + (f" {parameter.metavar}" if parameter.metavar else "")
    return f"| `{named}` | {parameter.help or ''} |".replace("|FLOW", "\\|FLOW").replace("|SEQ", "\\|SEQ")


if __name__ == "__main__":
    print(page(), end="")
