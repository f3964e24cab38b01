"""What the demo counted, and what it shows on the way: plain values, so that a table, JSON and a test see the same."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Act(msgspec.Struct, frozen=True):
    """One act in figures, summed over both ERPs.

    From the store's trail: `created`, `updated`, `linked` (links made), `asked` and `parked` (newly opened), and what the
    vendor refused: that is parked too, so it counts as both. From the runs: numbers `refused` with a reason, `unchanged`
    (records looked at that needed nothing), `streams` read. From the sandboxes: `writes` that took effect, `calls` per system.
    """

    name: str
    created: int
    updated: int
    linked: int
    refused: int
    parked: int
    asked: int
    unchanged: int
    writes: int
    calls: dict[str, int]
    streams: int
    seconds: float


class DemoReport(msgspec.Struct, frozen=True):
    """The whole demo. `duplicates` is counted in the imitated books; `lost` counts numbers taken in of which a flow can say
    nothing, and what people typed in the books that is gone."""

    acts: tuple[Act, ...]
    duplicates: int
    lost: int
    trail_ok: bool


class Heading(msgspec.Struct, frozen=True):
    """An act begins."""

    number: int
    title: str
    text: str


class Line(msgspec.Struct, frozen=True):
    """Something happens. `kind`: note | command | good | wait."""

    text: str
    kind: str = "note"


class Grid(msgspec.Struct, frozen=True):
    """A table of plain text; `figures` names the columns that hold numbers. `foot` is said below it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: str = ""
    figures: frozenset[str] = frozenset()


Shown: TypeAlias = Heading | Line | Grid
