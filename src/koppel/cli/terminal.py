"""Where a command's words go: results to standard output, notes and progress to standard error.

With `--json` standard output gets exactly one JSON value. Nothing heavy is imported until something is shown.
"""

from __future__ import annotations

import functools
import inspect
import os
import shutil
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from koppel.app import Workspace

DONE, LEFT_OVER, WRONG_USE, SET_UP, SIGN_IN, BUG, STOPPED = 0, 1, 2, 3, 4, 70, 130

WorkspaceOption = Annotated[
    str | None,
    typer.Option(
        "--workspace",
        "-w",
        metavar="DIR",
        envvar="KOPPEL_WORKSPACE",
        help="The workspace's folder (default: this one, or the nearest above).",
    ),
]
FlowOption = Annotated[str | None, typer.Option("--flow", metavar="FLOW", help="Only this flow's.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON value on standard output, nothing else there.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]


class Unbroken(str):
    """A line to be copied, such as an address: never broken, whatever the width."""

    __slots__ = ()


class Terminal:
    """One command's way of speaking. `json` and `quiet` are the options of that name; `subcommand` is what a group was called for."""

    def __init__(self, *, folder: str | None = None, json: bool = False, quiet: bool = False) -> None:
        self.folder, self.json, self.quiet = folder, json, quiet
        self.subcommand: str | None = None
        self._line_open = False

    # --- results ------------------------------------------------------------------------------------------------------

    def show(self, value: Any, human: Callable[[], Iterable[RenderableType]]) -> None:
        """The command's result: `value` as JSON, or what `human` makes of it."""
        self.clear()
        if self.json:
            give_json(value)
            return
        console = self.console()
        for part in human():
            console.print(part, soft_wrap=isinstance(part, Unbroken))

    def console(self, file: TextIO | None = None) -> Console:
        """Rich's console, for data: no markup, no emoji, no guessing of colours inside values."""
        from rich.console import Console

        return Console(file=file or sys.stdout, highlight=False, markup=False, emoji=False)

    # --- notes and progress -------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Something worth knowing besides the result."""
        self.clear()
        if not self.quiet:
            self.console(sys.stderr).print(text)

    def copyable(self, text: str) -> None:
        """A line to be copied, such as an address: it stands by itself and is never broken."""
        self.clear()
        print(text, file=sys.stderr, flush=True)

    def complain(self, message: str, remedy: str = "") -> None:
        """Something that went wrong beside the rest; said even when quiet."""
        self.clear()
        print(f"koppel: {message}", *([f"        {remedy}"] if remedy else []), sep="\n", file=sys.stderr, flush=True)

    def progress(self, text: str) -> None:
        """What is going on: one line that is overwritten on a terminal, plain lines elsewhere."""
        if self.quiet:
            return
        if not sys.stderr.isatty():
            print(text, file=sys.stderr, flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        shown = text if len(text) <= width else text[: width - 1] + "…"
        print(f"\r\x1b[2K{shown}", end="", file=sys.stderr, flush=True)
        self._line_open = True

    def clear(self) -> None:
        """Take the progress line away."""
        if self._line_open:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
            self._line_open = False

    # --- asking -------------------------------------------------------------------------------------------------------

    @property
    def can_ask(self) -> bool:
        """Whether a person sits there who can answer."""
        return not self.json and not self.quiet and sys.stdin.isatty() and sys.stderr.isatty()

    def ask(self, question: str, *, default: str = "", secret: bool = False) -> str:
        """Ask on standard error; what is typed for a secret is not shown."""
        self.clear()
        answer: str = typer.prompt(question, default=default, hide_input=secret, show_default=bool(default), err=True)
        return answer.strip()

    # --- the workspace ------------------------------------------------------------------------------------------------

    @contextmanager
    def workspace(self) -> Generator[Workspace]:
        """The workspace that is meant. Raises SetupError."""
        from koppel.app import Workspace

        folder = Path(self.folder).expanduser() if self.folder else None
        with Workspace.open(folder, tell=self.progress) as opened:
            yield opened
        self.clear()


def give_json(value: Any, *, line: bool = False) -> None:
    """One JSON value on standard output."""
    import msgspec

    data = msgspec.json.encode(value)
    if not line:
        data = msgspec.json.format(data, indent=2)
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()


def write_private(path: Path, text: str) -> None:
    """Write a file only its owner can read: plans and pages tell about companies and people. Raises UsageError."""
    write_lines(path, (text,))


def write_lines(path: Path, parts: Iterable[str]) -> None:
    """`write_private`, part by part as they come. Raises UsageError."""
    from koppel.model.problem import UsageError

    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), 0o600)
            file.writelines(parts)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", remedy="Name another file.") from None


def as_help(text: str) -> str:
    """A docstring as `--help` shows it: paragraphs that begin with Example keep their lines."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(f"\b\n{part}" if part.startswith("Example") else part for part in paragraphs)


def command(function: Callable[..., int | None]) -> Callable[..., int]:
    """Give a command the options every command has, and a Terminal as its first argument. It returns its exit code."""
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]

    @functools.wraps(function)
    def wrapped(*, ctx: typer.Context, workspace: str | None, json: bool, quiet: bool, **given: Any) -> int:
        root = ctx.find_root()
        before: dict[str, Any] = root.obj or {}
        terminal = Terminal(
            folder=workspace or before.get("workspace"),
            json=json or before.get("json", False),
            quiet=quiet or before.get("quiet", False),
        )
        terminal.subcommand = ctx.invoked_subcommand
        root.obj = {"workspace": terminal.folder, "json": terminal.json, "quiet": terminal.quiet}
        try:
            return function(terminal, **given) or DONE
        finally:
            terminal.clear()

    kind = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter("ctx", kind, annotation=typer.Context),
        inspect.Parameter("workspace", kind, annotation=WorkspaceOption, default=None),
        inspect.Parameter("json", kind, annotation=JsonOption, default=False),
        inspect.Parameter("quiet", kind, annotation=QuietOption, default=False),
    ]
    parameters = [*(parameter.replace(kind=kind) for parameter in own), *added]
    wrapped.__doc__ = as_help(function.__doc__ or "")
    wrapped.__signature__ = signature.replace(parameters=parameters, return_annotation=int)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped
