"""One flow file while it is being read: its values, where they stand, and what is wrong with them so far.

Each method reads one value of one kind, says what is wrong with it at its place, and answers with something usable, so
that one pass finds everything there is to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any

import msgspec

from koppel.mapping.positions import Place, Positions
from koppel.mapping.problems import FlowProblem, Severity, did_you_mean
from koppel.mapping.transforms import Transform
from koppel.model.values import Json
from koppel.model.versions import ENTITIES

LARGEST = 2**63
UNSET = msgspec.UNSET


class Sheet:
    """A parsed document and its findings. Paths are key paths, as `koppel.mapping.positions` has them."""

    def __init__(self, document: dict[str, Any], positions: Positions, transforms: Mapping[str, Transform]) -> None:
        self.document = document
        self.positions = positions
        self.transforms = transforms
        self.problems: list[FlowProblem] = []

    # --- saying what is wrong -----------------------------------------------------------------------------------

    def say(self, place: Place, code: str, message: str, suggestion: str = "", *, severity: Severity = "error") -> None:
        """Note a finding."""
        file = self.positions.file
        self.problems.append(FlowProblem(file, place.line, place.column, code, message, suggestion, severity))

    def known_keys(self, table: dict[str, Any], known: tuple[str, ...], *path: str | int) -> None:
        """Note every key of a table that nobody knows."""
        for key in table:
            if key not in known:
                where = f"[{'.'.join(str(part) for part in path)}]" if path else "a flow file"
                place = self.positions.key(*path, key)
                self.say(place, "unknown-key", f"{where} has no key {key!r}", did_you_mean(key, known))

    def wrong(self, path: tuple[str | int, ...], message: str, suggestion: str = "") -> None:
        """Note that the value at a path cannot be."""
        self.say(self.positions.value(*path), "wrong-value", message, suggestion)

    # --- values of a kind ---------------------------------------------------------------------------------------

    def text(self, table: dict[str, Any], *path: str | int, required: bool = False) -> str | None:
        """A text that is not empty, or None."""
        key = path[-1]
        if key not in table:
            if required:
                self.say(
                    self.positions.key(*path[:-1]), "missing-key", f"the key {key!r} is missing", f'write {key} = "…"'
                )
            return None
        value = table[str(key)]
        if isinstance(value, str) and value.strip():
            return value
        self.wrong(path, f"{key!r} must be a text between quotes, not {shown(value)}")
        return None

    def choice(self, table: dict[str, Any], options: tuple[str, ...], default: str, *path: str | int) -> Any:
        """One of a closed list of words."""
        key = str(path[-1])
        if key not in table:
            return default
        value = table[key]
        if isinstance(value, str) and value in options:
            return value
        self.wrong(path, f"{key!r} cannot be {shown(value)}", did_you_mean(value, options))
        return default

    def switch(self, table: dict[str, Any], *path: str | int, default: bool = False) -> bool:
        """True or false."""
        key = str(path[-1])
        value = table.get(key, default)
        if isinstance(value, bool):
            return value
        self.wrong(path, f"{key!r} must be true or false, not {shown(value)}")
        return default

    def section(self, table: dict[str, Any], *path: str | int) -> dict[str, Any]:
        """A table of the file; empty when it is not there."""
        value = table.get(str(path[-1]), {})
        if isinstance(value, dict):
            return value
        self.wrong(path, f"{path[-1]!r} must be a table, not {shown(value)}", f"write [{path[-1]}]")
        return {}

    def plain(self, value: Any, *path: str | int) -> Json:
        """A constant: text, number, switch, date (as text) or a list of those. UNSET when it is something else."""
        if isinstance(value, (datetime, date, time)):
            return value.isoformat()
        if isinstance(value, list):
            items = [self.plain(item, *path, index) for index, item in enumerate(value)]
            return UNSET if any(item is UNSET or isinstance(item, list) for item in items) else items
        if isinstance(value, int) and abs(value) >= LARGEST:
            self.wrong(path, "this number is too large")
            return UNSET
        if isinstance(value, float) and (value != value or abs(value) == float("inf")):  # noqa: PLR0124 - nan alone differs from itself
            self.wrong(path, "this is not a number that can be written")
            return UNSET
        if isinstance(value, (str, bool, int, float)):
            return value
        self.wrong(path, f"{path[-1]!r} must be one plain value, not {shown(value)}")
        return UNSET

    def parsed(self, table: dict[str, Any], read: Callable[[str], object], *path: str | int) -> str | None:
        """A text that `read` understands; what it raises is said."""
        text = self.text(table, *path)
        if text is None:
            return None
        try:
            read(text)
        except ValueError as error:
            self.wrong(path, str(error))
            return None
        return text

    @property
    def entity(self) -> str | None:
        """The entity the file is about, when there is such a one."""
        name = self.document.get("entity")
        return name if isinstance(name, str) and name in ENTITIES else None


def shown(value: object) -> str:
    """A value of the file in a sentence, cut to what helps."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
