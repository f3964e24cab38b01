"""Which value is the newest: by the stamp of the record when the value first stood there, not by the stamp it has now.

A record's stamp moves with every edit, also with edits of other fields. While a difference stays unresolved (asked, refused,
held by a brake) the base therefore keeps, per field and side, since when the value stands that stands there.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from koppel.mapping.flow import SideName
from koppel.model.values import Json
from koppel.sync.base import Base, Stood
from koppel.sync.shapes import Shape

SIDES: tuple[SideName, SideName] = ("left", "right")


def since(shape: Shape, side: SideName, key: str, value: Json, at: float | None, base: Base) -> float | None:
    """Since when that side shows this value: what the base remembers of it, else the record's present stamp."""
    known = (base.stood_left if side == "left" else base.stood_right).get(key)
    return known.at if known is not None and shape.same_on(side, known.value, value) else at


def remembered(
    shapes: Mapping[str, Shape],
    shown: Mapping[SideName, Mapping[str, Json]],
    stamps: Mapping[SideName, float | None],
    base: Base,
) -> Base:
    """The base with, for every field whose newest value stands, since when each side shows what nobody agreed on yet."""
    stood: dict[SideName, dict[str, Stood]] = {"left": {}, "right": {}}
    for key, shape in shapes.items():
        if shape.rule.owner != "newest" or any(key not in shown[side] for side in SIDES):
            continue
        if shape.same(shown["left"][key], shown["right"][key]):
            continue
        for side in SIDES:
            value, agreed = shown[side][key], base.left if side == "left" else base.right
            if key not in agreed or not shape.same_on(side, value, agreed[key]):
                stood[side][key] = Stood(value, since(shape, side, key, value, stamps[side], base))
    if stood["left"] == base.stood_left and stood["right"] == base.stood_right:
        return base
    return msgspec.structs.replace(base, stood_left=stood["left"], stood_right=stood["right"])
