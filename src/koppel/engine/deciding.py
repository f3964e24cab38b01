"""Deciding everything due, part by part; what the store lacks is asked for in bulk, by key, and decided again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from koppel.engine import proposals, references
from koppel.engine.answers import asked_anew
from koppel.engine.fetch import look_up
from koppel.engine.frame import Frame, Loader, refresh
from koppel.engine.one_pass import SIDES, Pass
from koppel.engine.reading import with_values
from koppel.mapping.flow import SideName, other
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.store import subjects
from koppel.store.sql import Db
from koppel.sync.decide import decide
from koppel.sync.steps import Need, Step, View
from koppel.systems.spi import Absent, Found

PART = 500  # records decided at once; the number cannot matter
T = TypeVar("T")
V = TypeVar("V")


async def decide_all(pass_: Pass, dirty: dict[SideName, list[str]]) -> tuple[list[Step], list[View]]:
    """Steps for everything due; what the store lacks is fetched in bulk, by key, and decided again."""
    steps: list[Step] = []
    views: list[View] = []
    await _bring_blocks_up_to_date(pass_)
    lefts, rights = dirty["left"], await _all_leading(pass_, dirty["right"])
    for start in range(0, max(len(lefts), 1), PART):
        part: dict[SideName, list[str]] = {
            "left": lefts[start : start + PART],
            "right": rights if start == 0 else [],
        }
        made, looked = await _decide_part(pass_, part)
        steps += made
        views += looked
    decided = _once(steps)
    if pass_.frame.references:
        decided = await pass_.ports.store.tx(references.with_names, pass_.frame.references, decided)
    return decided, views


async def _bring_blocks_up_to_date(pass_: Pass) -> None:
    """What may be the same thing on weak evidence is looked for among all that is known by now."""
    numbers = [pass_.frame.streams[side].id for side in SIDES]
    await proposals.bring_up_to_date(pass_.ports.store, pass_.flow, numbers)


async def _all_leading(pass_: Pass, rights: list[str]) -> list[str]:
    """The right records that need a decision, found part by part: memory does not follow the size of an administration."""
    leading: list[str] = []
    for start in range(0, len(rights), PART):
        leading += await _with_values(pass_, _leading, rights[start : start + PART])
    return leading


async def _with_values(pass_: Pass, look: Callable[[Db, Frame, V], T], about: V) -> T:
    """What is made of records whose values are there: those that were let go are read by id, in bulk."""
    return await with_values(pass_.ports, pass_.sender, pass_.frame, look, pass_.frame, about)


async def _decide_part(pass_: Pass, part: dict[SideName, list[str]]) -> tuple[list[Step], list[View]]:
    views = await _with_values(pass_, _load, part)
    if await _look_for_unseen(pass_, views):
        views = await _with_values(pass_, _load, part)
    steps, needs = _decided(pass_, views)
    if needs:
        await _ask_for(pass_, needs)
        await _bring_blocks_up_to_date(pass_)
        again: dict[SideName, list[str]] = {
            side: [need.native for need in needs if need.anchor == side] for side in SIDES
        }
        anew = await _with_values(pass_, _load, again)
        more, still = _decided(pass_, anew)
        unclear = {need.native for need in still}
        more += [_unclear(pass_, view) for view in anew if view.own.native in unclear]
        steps += more
        views = [view for view in views if view.own.native not in {need.native for need in needs}] + anew
    return steps, views


async def _look_for_unseen(pass_: Pass, views: Sequence[View]) -> bool:
    """Ask by id for counterparts that were made so long ago that they must show by now: somebody may have removed them
    before they were ever seen. Whether any was asked for."""
    asked = False
    for anchor in SIDES:
        far = other(anchor)
        connection, resource = pass_.frame.connections[far], pass_.frame.resources[far]
        unseen = sorted({native for view in views if view.anchor == anchor for native in view.unseen})
        if not unseen or resource.find is None or "native" not in resource.can.find:
            continue
        shown_by = pass_.ports.clock.now() - resource.can.settles_after - pass_.ports.timeout
        old = await pass_.ports.store.tx(subjects.joined_before, pass_.frame.streams[far].id, unseen, shown_by)
        if old:
            await look_up(pass_.ports, pass_.sender, connection, resource, "native", old)
            refresh(pass_.ports, pass_.frame)
            asked = True
    return asked


def _decided(pass_: Pass, views: Sequence[View]) -> tuple[list[Step], list[Need]]:
    steps: list[Step] = []
    needs: list[Need] = []
    for view in views:
        if view.own.gone and not view.linked and view.own.native in pass_.absent_problems:
            view = msgspec.structs.replace(view, unfound=pass_.absent_problems[view.own.native])  # noqa: PLW2901 - the same view, with the vendor's reason
        answer = decide(pass_.frame.policy, view)
        if isinstance(answer, Need):
            needs.append(answer)
        else:
            steps += asked_anew(answer, view.moved)
    return steps, needs


async def _ask_for(pass_: Pass, needs: Sequence[Need]) -> None:
    for anchor in ("left", "right"):
        far = other(anchor)
        connection, resource = pass_.frame.connections[far], pass_.frame.resources[far]
        by_kind: dict[str, dict[str, None]] = {}
        for need in needs:
            if need.anchor == anchor:
                for kind, value in need.keys:
                    by_kind.setdefault(kind, {})[value] = None
        for kind, values in by_kind.items():
            if kind not in resource.can.find:
                continue
            answers = await look_up(pass_.ports, pass_.sender, connection, resource, kind, list(values))
            pass_.frame.absent[far] |= {
                (kind, value) for value, answer in answers.items() if isinstance(answer, (Absent, Found))
            }


def _unclear(pass_: Pass, view: View) -> Step:
    problem = Problem(
        "unavailable",
        "the other side could not say whether it is there already; nothing is created on a guess",
        retry_at=pass_.ports.clock.now() + 600,
    )
    left, right = (view.own.native, None) if view.anchor == "left" else (None, view.own.native)
    return Step("park", other(view.anchor), left, right, label=view.own.label, problem=problem)


def _leading(db: Db, frame: Frame, rights: list[str]) -> list[str]:
    return Loader(db, frame).leading(rights)


def _load(db: Db, frame: Frame, part: dict[SideName, list[str]]) -> list[View]:
    return Loader(db, frame).views(left=part["left"], right=part["right"])


def _once(steps: Sequence[Step]) -> list[Step]:
    """Each step once: a record that is dirty on both sides is looked at from one anchor, but parts may overlap, and a link may
    be decided on from both sides."""
    seen: dict[tuple[Json, ...], Step] = {}
    for step in steps:
        side = "" if step.kind == "link" else step.side
        seen.setdefault((step.kind, side, step.left, step.right, step.field), step)
    return list(seen.values())
