"""Looks: what is kept of a value that is not kept, so that a later value can still be compared with it.

Every comparison the merge makes is "do these look the same": plainly, as the left would show them, as the right would. A look
is therefore three keyed digests of one normalised value, and of a set that is united one digest per element besides. It travels
as plain JSON in the place of the value; blank values stay as they are.
"""

from __future__ import annotations

import msgspec

from koppel.model.values import Json

MARK = "koppel:looks"
EACH = "each"
UNTOLD = "(only a digest is kept)"
WAYS = ("plain", "left", "right")
_ENCODER = msgspec.json.Encoder(order="sorted")


def is_look(value: Json) -> bool:
    """Whether a look stands in the place of a value."""
    return type(value) is dict and MARK in value


def told(value: Json) -> Json:
    """What a person is shown of a value, where a look may stand in its place."""
    return UNTOLD if is_look(value) else value


def look(plain: Json, left: Json, right: Json, each: list[str] | None = None) -> dict[str, Json]:
    """The look made of three digests (None: blank, shown that way); equal ones are kept once."""
    ways: Json = [plain] if plain == left == right else [plain, left, right]
    return {MARK: ways} if each is None else {MARK: ways, EACH: each}


def shown_as(value: dict[str, Json], way: int) -> Json:
    """The digest of one way to show it."""
    ways: list[Json] = value[MARK]
    return ways[0] if len(ways) == 1 else ways[way]


def comparable(value: Json) -> bytes:
    """Bytes that are the same for values which are equal.

    >>> comparable([1, True]) == comparable([1.0, 1])
    True
    >>> comparable({"b": "x", "a": None}) == comparable({"a": None, "b": "x"})
    True
    """
    return _ENCODER.encode(_plain(value))


def _plain(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
