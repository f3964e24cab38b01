"""What a create in doubt may have made, although no key says so: somebody may have given it another number before we saw it.

A record bears what was sent when most of it, the keys left aside, stands there as that side would show it. One that belongs to
nobody, and is news since the operation was opened, may then be what it made: as long as nobody can tell, nothing else is made of
it, and "there is none" is not believed of its number (law 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from koppel.mapping.flow import SideName
from koppel.model.kinds import is_blank
from koppel.model.values import Json
from koppel.store import intents
from koppel.store.intents import Intent
from koppel.store.sql import Db
from koppel.sync.shapes import Shape
from koppel.sync.steps import Step
from koppel.systems.spi import Operation


class Sent(msgspec.Struct, frozen=True):
    """What an open create gave to its record, besides keys: what came into `stream` after number `since` may be that."""

    op: str
    stream: int
    since: int
    values: dict[str, Json]

    def made(self, shapes: Mapping[str, Shape], side: SideName, seq: int, shown: Mapping[str, Json]) -> bool:
        """Whether a record that shows this, since it got the number `seq`, may be what was made."""
        if seq <= self.since:
            return False
        known = [key for key in self.values if key in shapes]
        alike = [key for key in known if shapes[key].same_on(side, shown.get(key), self.values[key])]
        return 2 * len(alike) > len(known)


def sent(intent: Intent) -> Sent:
    """What an open create gave to its record."""
    operation = msgspec.convert(intent.body["operation"], Operation)
    step = msgspec.convert(intent.body["planned"]["step"], Step)
    kinds = {kind for kind, _ in operation.keys}
    keys = [value for _, value in operation.keys]
    values = {
        key: value
        for key, value in step.values.items()
        if key.rpartition(":")[2] not in kinds and value not in keys and not is_blank(value)
    }
    return Sent(intent.op, intent.stream, int(intent.body.get("since", 0)), values)


def open_creates(db: Db, open_: Iterable[Intent] | None = None) -> tuple[Sent, ...]:
    """What every open create of the workspace gave to its record."""
    every = intents.everything(db) if open_ is None else open_
    return tuple(sent(intent) for intent in every if intent.kind == "create")
