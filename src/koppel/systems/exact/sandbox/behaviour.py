"""What writing a kind of record brings about in the books."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft


def _nothing(desk: Desk, *given: Any) -> None:
    """No consequence."""


@dataclass(frozen=True)
class Behaviour:
    """The moments of a record's life. Those before (`adding`, `changing`, `removing`) may refuse and must not store.

    `adding` may fill in the draft; `changed` also comes after a line was touched;
    `removed` is told which lines went along; `acts` makes the resource an action:
    nothing is stored under its path, and what it returns is the answer.
    """

    adding: Callable[[Desk, Draft], None] = _nothing
    added: Callable[[Desk, Row], None] = _nothing
    changing: Callable[[Desk, Row, dict[str, Any]], None] = _nothing
    changed: Callable[[Desk, Row], None] = _nothing
    removing: Callable[[Desk, Row], None] = _nothing
    removed: Callable[[Desk, Row, list[Row]], None] = _nothing
    acts: Callable[[Desk, Draft], Row] | None = None
