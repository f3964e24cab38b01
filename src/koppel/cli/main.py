"""`koppel`: the commands put together, and what every one of them promises when something is wrong.

One message that names the thing, the reason and the remedy; the exit code says what to do (see EXIT_CODES); a traceback
only for a mistake of ours.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from koppel.cli import (
    add,
    apply,
    asks,
    audit,
    check,
    connect,
    demo,
    docs,
    doctor,
    fields,
    find,
    identity,
    init,
    link,
    log,
    merge,
    new_system,
    parked,
    plan,
    privacy,
    promote,
    read,
    reconcile,
    runs,
    sandbox,
    simulate,
    split,
    sync,
    torture,
    totals,
    undo,
    unlink,
    unmapped,
    version,
    why,
    work,
    write,
)
from koppel.cli.terminal import (
    BUG,
    DONE,
    LEFT_OVER,
    SET_UP,
    STOPPED,
    JsonOption,
    QuietOption,
    WorkspaceOption,
    give_json,
)

EXIT_CODES = {
    0: "done",
    1: "something is left for you: parked, asked, refused, stopped, unexpected",
    2: "wrong use: what was typed, or a file, is wrong",
    3: "set-up: a connection, right, key or folder is wrong",
    4: "sign in again",
    70: "a fault in Koppel; please report it",
    130: "stopped with Ctrl-C; the next run carries on",
}

HELP = """Keep business software in step: read, compare, plan, and do exactly what the plan says.

\b
First steps:
  koppel init my-books --flow kvk-exact
  cd my-books
  koppel connect register --system kvk
  koppel connect books-nl --system exact
  koppel add 00100104 --to books-nl --plan
"""

ORDER = (
    "init", "connect", "doctor", "check", "docs", "fields", "find", "read", "write", "add", "plan", "apply", "sync", "reconcile", "totals", "work", "runs", "log", "undo", "parked", "unmapped", "asks", "decide", "retry", "why",
    "identity", "link", "unlink", "merge", "split",
    "audit", "privacy", "promote", "simulate", "torture", "sandbox", "new-system", "demo", "version",
)  # fmt: skip
EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:<4}{meaning}" for code, meaning in EXIT_CODES.items())


class Root(TyperGroup):
    """The group of all commands; every way in ends here, so that errors are told in one way."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order a newcomer meets them."""
        known = super().list_commands(ctx)
        return sorted(known, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, tell what is wrong, and leave with the exit code."""
        given = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(given, prog_name or "koppel", complete_var, False, windows_expand_args, **extra)
            code = code if isinstance(code, int) else DONE
            if code == STOPPED:
                raise KeyboardInterrupt
            sys.stdout.flush()
        except (KeyboardInterrupt, typer.Abort):
            print("\nStopped; the next run carries on.", file=sys.stderr)
            code = STOPPED
        except BrokenPipeError:  # `koppel log | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = LEFT_OVER
        except Exception as error:  # noqa: BLE001 - told to people, never swallowed: `tell` prints tracebacks of our own mistakes
            code = tell(error, json="--json" in given)
        if standalone_mode:
            sys.exit(code)
        return code


def tell(error: Exception, *, json: bool = False) -> int:
    """Say what is wrong on standard error (with `json` also as one object on standard output); returns the exit code."""
    show = getattr(error, "show", None)
    if callable(show):  # wrong use of an option or argument, in the parser's own words
        show()
        words = getattr(error, "format_message", error.__str__)
        code, message, remedy = int(getattr(error, "exit_code", 2)), str(words()), ""
    else:
        code, message, remedy = _read(error)
        message = message.removesuffix(".") if message.endswith(".).") else message
        if code == BUG:
            traceback.print_exception(error, file=sys.stderr)
        print(f"koppel: {message}", file=sys.stderr)
        if remedy:
            print(f"        {remedy}", file=sys.stderr)
    if json:
        give_json({"error": {"message": message, "remedy": remedy, "kind": type(error).__name__, "exit_code": code}})
    return code


def _read(error: Exception) -> tuple[int, str, str]:
    from koppel.model.problem import Bug, KoppelError

    if isinstance(error, KoppelError) and not isinstance(error, Bug):
        return error.exit_code, error.message, error.remedy
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return SET_UP, f"{where}{error.strerror or error}.", "Check the path, its rights and the space on the disk."
    if type(error).__module__.startswith("sqlalchemy.") and type(error).__name__ == "OperationalError":
        said = str(getattr(error, "orig", error)).strip()
        return (
            SET_UP,
            f"The store cannot be used: {said}.",
            "Check the database and the space on the disk, then run again.",
        )
    if type(error).__name__ == "LostLease":
        text = "Another worker took this flow over; what was done stays done."
        return LEFT_OVER, text, "Run again when it is finished."
    return (
        BUG,
        f"this is a fault in Koppel ({type(error).__name__}).",
        "Please report it with the lines above; nothing is lost, the next run carries on.",
    )


app = typer.Typer(
    cls=Root,
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)


@app.callback()
def options(
    ctx: typer.Context, workspace: WorkspaceOption = None, json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """The options every command takes, before or after its name."""
    ctx.obj = {"workspace": workspace, "json": json, "quiet": quiet}


for part in (
    init, connect, doctor, check, docs, fields, find, read, write, add, plan, apply, sync, reconcile, totals, work, runs, log, undo, parked, unmapped, asks, why,
    identity, link, unlink, merge, split,
    audit, privacy, promote, simulate, torture,
    sandbox, new_system, demo, version,
):  # fmt: skip
    part.register(app)


def main() -> None:
    """The program `koppel`."""
    app()
