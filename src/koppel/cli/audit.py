"""`koppel audit`: whether the trail is whole, and its head, to be kept where nobody can change it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command, write_private

if TYPE_CHECKING:
    from koppel.store.trail import Head


def register(app: typer.Typer) -> None:
    """Add both commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Verify the trail, and export its head.")
    group.command("verify")(verify)
    group.command("head")(head)
    app.add_typer(group, name="audit")


@command
def verify(
    terminal: Terminal,
    against: Annotated[
        str | None,
        typer.Option(
            "--head", metavar="FILE|SEQ:HASH", help="A head exported earlier: shows whether the end was cut off."
        ),
    ] = None,
) -> int:
    """Check that the trail is whole and unaltered.

    Every entry must follow from the one before. Exit code 1 when one does not.

    Example: koppel audit verify --head head.json
    """
    import msgspec

    wanted = read_head(against) if against else None
    with terminal.workspace() as ws:
        broken = ws.audit_verify(against=wanted)
        end = ws.audit_head()
    value = {
        "ok": broken is None,
        "entries": end.seq,
        "hash": end.hash,
        "broken": msgspec.to_builtins(broken),
        "against": msgspec.to_builtins(wanted),
    }
    if broken is None:
        passed = f", through the exported head at {wanted.seq}" if wanted else ""
        told = f"The trail is whole: {end.seq} entries{passed}."
    else:
        told = f"The trail is broken at entry {broken.seq}: {broken.why}. Keep a copy of the store and find out who changed it."
    terminal.show(value, lambda: [told])
    return DONE if broken is None else LEFT_OVER


@command
def head(
    terminal: Terminal,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it there, as JSON.")] = None,
) -> int:
    """Show the end of the trail, to be kept elsewhere.

    Against it a cut-off end can be noticed.

    Example: koppel audit head -o head.json
    """
    import msgspec

    with terminal.workspace() as ws:
        end = ws.audit_head()
    value = msgspec.to_builtins(end)
    if out is not None:
        write_private(out, msgspec.json.encode(value).decode() + "\n")
        terminal.note(f"Written: {out}")
    terminal.show(value, lambda: [f"{end.seq}:{end.hash}"])
    return DONE


def read_head(text: str) -> Head:
    """A head as `audit head` gave it: its file, or `seq:hash`. Raises UsageError."""
    import msgspec

    from koppel.model.problem import UsageError
    from koppel.store.trail import Head

    seq, colon, digest = text.partition(":")
    if colon and seq.isdigit() and len(digest) == 64:
        return Head(int(seq), digest)
    try:
        return msgspec.json.decode(Path(text).expanduser().read_bytes(), type=Head)
    except OSError as error:
        raise UsageError(
            f"{text} is no exported head and cannot be read as a file: {error.strerror}.",
            remedy="Make one with: koppel audit head -o head.json",
        ) from None
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise UsageError(
            f"{text} is no exported head: {error}.", remedy="Make one with: koppel audit head -o head.json"
        ) from None
