"""[retention] of koppel.toml: how long what is kept may lie, per class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from koppel.model.problem import SetupError
from koppel.model.values import Json
from koppel.store.retention import KEEP_AT_LEAST, Retention

LEAST = {"technical_days": 1, "personal_months": 1, "trail_years": KEEP_AT_LEAST}


def read_retention(table: Mapping[str, Json], file: Path) -> Retention:
    """The table as written, with what it leaves out as usual. Raises SetupError naming the key."""
    for key, value in table.items():
        if key not in LEAST:
            raise SetupError(
                f"{file}: retention.{key} is not a setting of retention.", remedy=f"Known here: {', '.join(LEAST)}."
            )
        if isinstance(value, bool) or not isinstance(value, int) or value > 1000:
            raise SetupError(f"{file}: retention.{key} must be a whole number.", remedy=f"For instance: {key} = 10")
        if value < LEAST[key]:
            why = ": a firm's books are kept seven years after their year" if key == "trail_years" else ""
            raise SetupError(
                f"{file}: retention.{key} is {value}, less than {LEAST[key]}{why}.",
                remedy=f"Write {LEAST[key]} or more.",
            )
    return msgspec.convert(dict(table), Retention)
