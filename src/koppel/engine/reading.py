"""Reading by id, in bulk, the values that were let go (`cache = "hashes"`): before anything is decided on them, never after.

What a part of a pass looks at and finds bare is read, and the part is looked at again. A record that cannot be read stays due:
nothing is decided on a digest alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from koppel.engine import caching
from koppel.engine.bases import as_kept
from koppel.engine.fetch import look_up
from koppel.engine.frame import Frame, refresh
from koppel.engine.ports import Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import SideName
from koppel.store import flows, notes, observations
from koppel.store.sql import Db

T = TypeVar("T")
SIDES: tuple[SideName, SideName] = ("left", "right")
TRIES = 5  # a record leads to another: its counterpart, what carries its keys, what shares them


async def read_bare(ports: Ports, sender: Sender, frame: Frame, natives: Mapping[SideName, Iterable[str]]) -> bool:
    """Read by id those of these records whose values were let go; whether any were. Raises RetryLater."""
    asked = False
    for side in SIDES:
        wanted = list(natives.get(side, ())) if side in frame.hashed | frame.maybe_bare else []
        bare = await ports.store.tx(observations.bare, frame.streams[side].id, wanted) if wanted else []
        if not bare:
            continue
        connection, resource = frame.connections[side], frame.resources[side]
        calls = sum(sender.calls.values())
        await look_up(ports, sender, connection, resource, "native", bare)
        frame.read_by_id[connection.name] += sum(sender.calls.values()) - calls
        asked = True
    if asked:
        refresh(ports, frame)
    return asked


def let_go_of(db: Db, frame: Frame, at: float) -> int:
    """Let go of the values of both sides that no flow has a use for any more; returns of how many records."""
    sides = [(frame.connections[side], frame.resources[side]) for side in sorted(frame.hashed)]
    return sum(caching.let_go(db, *side, flow=frame.flow.id, at=at) for side in sides)


def keep_as_looks(db: Db, frame: Frame, *, size: int = 500) -> int:
    """Turn what was agreed while values were kept into looks, once; returns how many pairs were. The other way needs nothing:
    a look is compared with whatever is read."""
    name = f"looks {frame.flow.id}"
    done = notes.get(db, name)
    if done == sorted(frame.hashed) or (done is None and not frame.hashed):
        return 0
    if not frame.hashed:
        notes.drop(db, name)
        return 0
    lefts = list(dict.fromkeys(left for left, _ in flows.pairs_of(db, frame.flow.id)))
    count = 0
    for start in range(0, len(lefts), size):
        turned = [
            msgspec.structs.replace(
                one,
                base=msgspec.structs.replace(
                    one.base, left=as_kept(frame, "left", one.base.left), right=as_kept(frame, "right", one.base.right)
                ),
            )
            for one in flows.bases_of(db, frame.flow.id, left=lefts[start : start + size]).values()
        ]
        flows.save_bases(db, frame.flow.id, turned)
        count += len(turned)
    notes.put(db, name, sorted(frame.hashed))
    return count


async def with_values(
    ports: Ports,
    sender: Sender,
    frame: Frame,
    look: Callable[..., T],
    *args: object,
    reset: Callable[[], None] | None = None,
) -> T:
    """What a store function makes of records once their values are there: what it met bare is read, and it is asked again.
    `reset` is called before each further time."""
    tried: set[tuple[SideName, str]] = set()
    for _ in range(TRIES):
        frame.bare.clear()
        made = await ports.store.tx(look, *args)
        new = {one for one in frame.bare if one not in tried}
        if not new:
            break
        tried |= new
        if not await read_bare(ports, sender, frame, {s: sorted(n for side, n in new if side == s) for s in SIDES}):
            break
        if reset is not None:
            reset()
    else:
        made = await ports.store.tx(look, *args)
    return made
