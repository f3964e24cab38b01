"""What was last agreed for one pair, in two forms."""

from __future__ import annotations

import msgspec

from koppel.model.values import Json


class Written(msgspec.Struct, frozen=True):
    """A value we wrote to one side and have not read back: the value, what the other side showed then, when, how often,
    what it was to replace, and the trail entry that tells of the write."""

    value: Json
    source: Json = None
    at: float = 0.0
    count: int = 1
    before: Json = None
    entry: int = 0


class Stood(msgspec.Struct, frozen=True):
    """What a side shows since when: the record's stamp at which this value was first seen there (None: it showed none)."""

    value: Json
    at: float | None


class Base(msgspec.Struct, frozen=True, omit_defaults=True):
    """Per field the last agreed value as the left shows it (`left`) and as the right shows it (`right`).

    A field is in both or in neither. `written_left`/`written_right`: on its way, not yet seen to have arrived.
    `prov`: number of the trail entry that tells where a field's value came from. `stood_left`/`stood_right`: for fields whose
    newest value stands and on which nobody has agreed yet. `skipped`: the pair existed before the flow met it, and a flow that
    skips what exists leaves it alone.
    """

    left: dict[str, Json] = {}
    right: dict[str, Json] = {}
    written_left: dict[str, Written] = {}
    written_right: dict[str, Written] = {}
    prov: dict[str, int] = {}
    stood_left: dict[str, Stood] = {}
    stood_right: dict[str, Stood] = {}
    skipped: bool = False
