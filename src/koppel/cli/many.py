"""Running every flow of a workspace, what others need first: one that fails does not keep the others from running."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from koppel.cli.terminal import DONE, Terminal

if TYPE_CHECKING:
    from koppel.app import Workspace
    from koppel.engine.flow import Result


def run_all(
    terminal: Terminal, ws: Workspace, *, refresh: bool, allow: Sequence[str], in_window: bool, html: Path | None
) -> int:
    """Run all flows in one go, then tell. The exit code is the gravest. Raises UsageError when there is no flow."""
    from koppel.cli.outcome import run_code
    from koppel.cli.report import human, write_page
    from koppel.engine.plan import as_json
    from koppel.model.problem import Bug, KoppelError, UsageError

    if not ws.flows:
        raise UsageError(
            "This workspace has no flow yet.", remedy="Copy a ready-made one: koppel init --flow kvk-exact"
        )
    results: list[Result] = []
    values: list[Any] = []
    errors: list[tuple[str, KoppelError]] = []
    code = DONE
    with ws.together():
        for flow in ws.in_order():
            terminal.progress(f"{flow} …")
            try:
                result = ws.sync(flow, refresh=refresh, allow=allow, in_window=in_window)
            except Bug:
                raise
            except KoppelError as error:
                errors.append((flow, error))
                values.append(
                    {
                        "flow": flow,
                        "error": {"message": error.message, "remedy": error.remedy, "exit_code": error.exit_code},
                    }
                )
                code = max(code, error.exit_code)
                continue
            results.append(result)
            values.append(as_json(result))
            code = max(code, run_code(result))
    write_page(terminal, ws, results, html)
    terminal.show(values, lambda: human(ws, results))
    for flow, error in errors:
        terminal.complain(f"{flow}: {error.message}", error.remedy)
    return code
