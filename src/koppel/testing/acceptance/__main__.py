"""`python -m koppel.testing.acceptance FILE… [--json]`: play acceptance files; 0 when all is as expected, 1 when not, 2 for a wrong file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from koppel.model.problem import KoppelError
from koppel.testing.acceptance.present import show
from koppel.testing.acceptance.runner import play
from koppel.testing.acceptance.script import read_script


def main(arguments: Sequence[str] | None = None) -> int:
    """Play them; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m koppel.testing.acceptance", description="Play acceptance files.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON list on standard output")
    options = parser.parse_args(arguments)
    try:
        reports = [play(script, tell=_tell) for script in [read_script(file) for file in options.files]]
    except KoppelError as error:
        print(f"koppel: {error}", file=sys.stderr)  # noqa: T201 - a program of its own
        return error.exit_code
    if options.json:
        told = [{**msgspec.to_builtins(report), "ok": report.ok} for report in reports]
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n")
    else:
        for report in reports:
            show(report)
    return 0 if all(report.ok for report in reports) else 1


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(text, file=sys.stderr)  # noqa: T201 - a program of its own


if __name__ == "__main__":
    sys.exit(main())
