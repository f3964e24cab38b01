"""Which answers still hold: a person decided about what they were shown, and not about what stands there since.

An answer that can no longer be carried out as it was meant is set aside; when the question still is one, it is asked anew and
says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from koppel.mapping.flow import SideName, other
from koppel.model.values import Json
from koppel.store.work import Item
from koppel.sync.decide import DROP, FOLLOWS, NONE
from koppel.sync.shapes import Shape
from koppel.sync.steps import Candidate, Linked, Side, Step
from koppel.sync.undo import CODES

SIDES: tuple[SideName, SideName] = ("left", "right")


def standing(
    items: Iterable[Item],
    shapes: Mapping[str, Shape],
    anchor: SideName,
    own: Side,
    linked: Sequence[Linked],
    candidates: Sequence[Candidate],
    *,
    follows: bool = False,
) -> tuple[dict[str, Json], dict[str, str]]:
    """The answers that hold, by field of the question; and why the others do not. Of a record that follows another one none
    can be carried out."""
    answers: dict[str, Json] = {}
    moved: dict[str, str] = {}
    for item in items:
        if item.state != "answered":
            continue
        if follows:
            if _waits(item, linked):
                said = f"no. {item.id} was answered {_said(item.answer)} by {item.closed_by}, but cannot be carried out"
                moved[item.field] = said
            continue
        why = _moved(item, shapes, anchor, own, linked, candidates)
        if why is None:
            answers[item.field] = item.answer
        else:
            moved[item.field] = f"no. {item.id} was answered {_said(item.answer)} by {item.closed_by}, but {why}"
    return answers, moved


def withdrawn(items: Iterable[Item]) -> set[int]:
    """Answers that a person let go when told that another record leads: they are carried out no more, also when none leads."""
    items = [item for item in items if item.state == "answered"]
    dropped = [item.closed_at or 0.0 for item in items if item.field == FOLLOWS and item.answer == DROP]
    if not dropped:
        return set()
    return {item.id for item in items if _waits(item, None) and (item.closed_at or 0.0) <= max(dropped)}


def _waits(item: Item, linked: Sequence[Linked] | None) -> bool:
    """Whether an answer asks for something that is not done to a record that follows another one, nor shows in these links
    already (None: whatever they are)."""
    if item.field == FOLLOWS or item.code == "in_doubt" or item.code.startswith(CODES):
        return False
    if item.field:  # that a link is left alone is what happens
        return not (item.field.rpartition(" ")[2] == "scope" and item.answer == "leave")
    if item.answer == "skip" or linked is None:
        return item.answer != "skip"
    with_it = {one.side.native for one in linked}
    if item.answer == NONE:  # what was offered is held apart from it, unless it is one with it by now
        return bool(with_it & {str(choice["answer"]) for choice in item.body.get("choices", [])})
    chosen = {*item.answer} if isinstance(item.answer, list) else {item.answer}
    return item.answer == "create" or not chosen <= with_it


def asked_anew(steps: Sequence[Step], moved: Mapping[str, str]) -> list[Step]:
    """Questions whose answer was set aside, saying so."""
    return [_with_note(step, moved) if moved and step.kind == "ask" else step for step in steps]


def _with_note(step: Step, moved: Mapping[str, str]) -> Step:
    why = moved.get(f"{step.right} {step.field}" if step.follower and step.field else step.field)
    if why is None or step.problem is None:
        return step
    problem = msgspec.structs.replace(step.problem, text=f"{step.problem.text} (asked anew: {why})")
    return msgspec.structs.replace(step, problem=problem)


def _moved(
    item: Item,
    shapes: Mapping[str, Shape],
    anchor: SideName,
    own: Side,
    linked: Sequence[Linked],
    candidates: Sequence[Candidate],
) -> str | None:
    field = item.field.rpartition(" ")[2]
    if not field:
        return _turned_up(item, candidates)
    pair = next((one for one in linked if one.side.native == item.body.get(other(anchor))), None)
    if pair is None:
        return None
    if field == "missing" and item.answer == "archive":
        return _edited(item, anchor, own, pair)
    if field in shapes:
        return _changed(item, shapes[field], field, anchor, own, pair)
    return None


def _turned_up(item: Item, candidates: Sequence[Candidate]) -> str | None:
    """A person said to make a new record, and one that nobody offered carries its keys by now: it would be doubled."""
    if item.answer != "create" or not item.body.get("choices"):
        return None
    offered = {choice["answer"] for choice in item.body["choices"]}
    news = next((c for c in candidates if c.by and not c.taken and not c.apart and c.side.native not in offered), None)
    return f"{news.side.label} has turned up since and carries its {' and '.join(news.by)}" if news else None


def _edited(item: Item, anchor: SideName, own: Side, pair: Linked) -> str | None:
    """What is to be archived was changed after a person looked at it."""
    stays = {anchor: own, other(anchor): pair.side}
    for side, record in stays.items():
        shown = item.body.get("changed", {}).get(side, {}).get("digest")
        if shown and not record.gone and record.digest != shown:
            return f"{record.label} has been changed since"
    return None


def _changed(item: Item, shape: Shape, field: str, anchor: SideName, own: Side, pair: Linked) -> str | None:
    """One of the two values a person chose from is another by now, and not because the choice is being carried out."""
    shown: Mapping[str, Json] = item.body.get("values") or {}
    if pair.base is not None and (field in pair.base.written_left or field in pair.base.written_right):
        return None  # the answer is on its way
    third = isinstance(item.answer, dict) and "value" in item.answer
    meant = item.answer["value"] if third else shown.get(str(item.answer))
    now = {anchor: own.values.get(field), other(anchor): pair.side.values.get(field)}
    if shape.same(now["left"], now["right"]):
        return None
    for side in SIDES:
        carried_out = meant is not None and shape.same_on(side, now[side], meant)
        if side in shown and not carried_out and not shape.same_on(side, now[side], shown[side]):
            return f"the {side} has changed since"
    return None


def _said(answer: Json) -> str:
    if isinstance(answer, dict) and "value" in answer:
        return f"with {answer['value']!r}"
    return str(answer)
