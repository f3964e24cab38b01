"""A record: a translated entity together with the vendor's own fields a flow asked for."""

from __future__ import annotations

import msgspec

from koppel.model.entity import Entity
from koppel.model.values import Json


class Record(msgspec.Struct, frozen=True):
    """`own` holds vendor fields by the vendor's name (`Remarks`), as plain JSON values."""

    entity: Entity
    own: dict[str, Json] = {}

    def builtins(self) -> dict[str, Json]:
        """The entity as plain JSON values; absent values are left out."""
        return msgspec.to_builtins(self.entity)
