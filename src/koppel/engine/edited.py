"""An edit of a flow: what it touches is looked at anew; the vendor's cursor does not move."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from koppel.engine.one_pass import Pass
from koppel.engine.reading import keep_as_looks
from koppel.mapping.digest import rule_texts
from koppel.mapping.flow import SideName
from koppel.store import due, flows, work
from koppel.store.due import Due
from koppel.store.flows import Position, StoredBase
from koppel.store.sql import Db


async def follow_edits(pass_: Pass) -> None:
    """An edit of the flow re-examines what it touches; the vendor's cursor does not move."""
    rules = rule_texts(pass_.flow)
    await pass_.ports.store.tx(keep_as_looks, pass_.frame)
    pass_.place = await pass_.ports.store.tx(flows.position, pass_.flow.id)
    if pass_.place is None:
        start = _start(pass_)
        pass_.place = Position(pass_.flow.digest, rules, start["left"], start["right"])
        await pass_.ports.store.tx(flows.move, pass_.flow.id, pass_.place)
    elif pass_.place.digest != pass_.flow.digest:
        await pass_.ports.store.tx(_re_examine, pass_, rules, pass_.ports.clock.now())
        pass_.place = await pass_.ports.store.tx(flows.position, pass_.flow.id)


def _re_examine(db: Db, pass_: Pass, rules: dict[str, str], now: float) -> None:
    assert pass_.place is not None
    pairs = flows.pairs_of(db, pass_.flow.id)
    touched = {key for key, rule in rules.items() if pass_.place.fields.get(key, rule) != rule}
    _forget_differences(db, pass_, touched, [left for left, _ in pairs])
    due.add(
        db,
        pass_.flow.id,
        [Due("left", left, "flow edited") for left in dict.fromkeys(left for left, _ in pairs)],
        at=now,
    )
    parked = [item for item in work.listed(db, "parked", flow=pass_.flow.id) if item.code != "in_doubt"]
    due.add(db, pass_.flow.id, [Due(item.side, item.native, "flow edited") for item in parked], at=now)
    listed = pass_.frame.listable("left")
    flows.move(
        db,
        pass_.flow.id,
        Position(
            pass_.flow.digest, rules, 0 if listed else pass_.place.left_seq, 0 if listed else pass_.place.right_seq
        ),
    )


def _forget_differences(db: Db, pass_: Pass, keys: set[str], lefts: Sequence[str]) -> None:
    """Fields that were left different under a rule that has been edited since are looked at as if for the first time."""
    if not keys:
        return
    shapes = pass_.frame.policy.shapes
    anew: list[StoredBase] = []
    for stored in flows.bases_of(db, pass_.flow.id, left=lefts).values():
        base = stored.base
        gone = {k for k in keys & base.left.keys() if not shapes[k].same(base.left[k], base.right.get(k))}
        if gone:
            left = {key: value for key, value in base.left.items() if key not in gone}
            right = {key: value for key, value in base.right.items() if key not in gone}
            base = msgspec.structs.replace(base, left=left, right=right)
            anew.append(msgspec.structs.replace(stored, base=base, left_digest="", right_digest=""))
    flows.save_bases(db, pass_.flow.id, anew)


def _start(pass_: Pass) -> dict[SideName, int]:
    """Where a new flow begins to look: at the start; with `take = "intake"` only what is taken in from now on matters on
    the left (the store may hold look-ups of other flows)."""
    if pass_.flow.scope.take == "all" or pass_.frame.listable("left"):
        return {"left": 0, "right": 0}
    return {"left": pass_.frame.streams["left"].seq, "right": 0}
