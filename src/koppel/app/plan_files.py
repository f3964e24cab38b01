"""A plan as a file."""

from __future__ import annotations

import os
from pathlib import Path

from koppel.engine import plan as plans
from koppel.engine.plan import Plan
from koppel.model.problem import UsageError


def write_plan(plan: Plan, path: Path) -> None:
    """Store a plan as canonical JSON, mode 0600: it holds what will be written about whom. Raises UsageError."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", remedy="Name another file.") from None
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(plans.encode(plan))


def read_plan(path: Path) -> Plan:
    """Read a stored plan. Raises UsageError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", remedy="Make a plan with `koppel plan FLOW -o plan.json`."
        ) from None
    return plans.decode(data, file=str(path))
