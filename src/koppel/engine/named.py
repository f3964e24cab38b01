"""`take = "intake+right"`: records of the right that carry a key bring their counterpart of a left nobody can list into the flow.

Looking up costs money at some vendors, so that at most `AT_ONCE` are asked for in one run; the others stay due for the next.
"""

from __future__ import annotations

from collections.abc import Sequence

from koppel.engine.fetch import look_up
from koppel.engine.frame import Frame
from koppel.engine.ports import Ports
from koppel.engine.send import Sender
from koppel.mapping.conditions import reason
from koppel.mapping.project import match_values
from koppel.store import due, observations, subjects, suppression
from koppel.store.due import Due
from koppel.store.sql import Db
from koppel.systems.spi import Found, Unknown

AT_ONCE = 200
WHY = "named on the right"
ASK_AGAIN = 3600.0


async def named_by_right(ports: Ports, sender: Sender, frame: Frame, rights: Sequence[str]) -> list[str]:
    """Look up what dirty right records name by their strongest key that the left can be asked by; returns the left natives."""
    wanted = await ports.store.tx(_wanted, frame, rights)
    natives: list[str] = []
    for kind, by_value in wanted.items():
        chosen = dict(list(by_value.items())[: max(0, AT_ONCE - frame.named)])
        frame.named += len(chosen)
        rest = [native for value, several in by_value.items() if value not in chosen for native in several]
        if rest and chosen:
            ports.tell(f"{len(by_value) - len(chosen)} of {len(by_value)} look-ups are left for the next run")
        frame.again += [(Due("right", native, WHY), ports.clock.now()) for native in rest]
        connection, resource = frame.connections["left"], frame.resources["left"]
        answers = await look_up(ports, sender, connection, resource, kind, list(chosen))
        for value, answer in answers.items():
            if isinstance(answer, Found):
                natives += [item.native for item in answer.items]
            elif isinstance(answer, Unknown):
                at = answer.problem.retry_at or ports.clock.now() + ASK_AGAIN
                frame.again += [(Due("right", native, WHY), at) for native in chosen[value]]
    found = await ports.store.tx(suppression.spared, frame.streams["left"].id, list(dict.fromkeys(natives)))
    await ports.store.tx(due.add, frame.flow.id, [Due("left", native, WHY) for native in found], at=ports.clock.now())
    return found


def _wanted(db: Db, frame: Frame, rights: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Per kind of key the values to ask the left for, each with the right records that carry it: unlinked, in scope, and
    not known to the left already."""
    flow, left, right = frame.flow, frame.streams["left"].id, frame.streams["right"].id
    members = subjects.of_records(db, right, rights)
    askable = [kind for kind in flow.match.keys if kind in frame.resources["left"].can.find]
    wanted: dict[str, dict[str, list[str]]] = {}
    for native, seen in observations.load(db, right, rights, entity=flow.entity).items():
        if native in members or seen.gone or seen.record is None or reason(flow.scope.right, seen.record):
            continue
        keys = match_values(flow, seen.record)
        if any(observations.carriers(db, left, keys).values()):
            continue
        value = next(((kind, value) for wish in askable for kind, value in keys if kind == wish), None)
        if value is not None:
            wanted.setdefault(value[0], {}).setdefault(value[1], []).append(native)
    return wanted
