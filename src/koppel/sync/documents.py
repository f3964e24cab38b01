"""Documents: one is taken for another on number *and* party, and nothing from before the flow's start is created (rule B15).

Numbers alone prove little: suppliers number as they please, and two administrations may both have an invoice 2026-001. The
party is compared in the form the flow's values show it, in which a reference names the same firm on both sides.
"""

from __future__ import annotations

import msgspec

from koppel.mapping.flow import Flow
from koppel.model.documents import DOCUMENTS, PARTIES
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem
from koppel.sync.shapes import Shape
from koppel.sync.steps import Candidate, Side, View


def too_early(flow: Flow, own: Side) -> Problem | None:
    """Why a document is not created: it is dated before the flow's start, or has no date to tell."""
    if flow.start is None or flow.entity not in DOCUMENTS:
        return None
    if own.dated is None:
        return Problem("no_date", f"it has no date, so nobody can tell whether it lies before {flow.start}")
    if own.dated[:10] < flow.start:
        return Problem("before_start", f"dated {own.dated[:10]}, before the flow's start on {flow.start}")
    return None


def of_the_same_party(flow: Flow, shapes: dict[str, Shape], view: View) -> tuple[View, Problem | None]:
    """The view with only those candidates that are of the same party; or the question whether one of another party is meant.

    While its own party is not known on the other side, nobody is asked: the document waits for it (code `needs`).

    A document of another party that belongs elsewhere already is no candidate at all. A flow that does not speak of the party
    compares the number alone.
    """
    shape = party_shape(flow, shapes)
    if shape is None or not view.candidates:
        return view, None
    same = tuple(c for c in view.candidates if _same_party(shape, view.own, c) is True)
    apart = tuple(c for c in view.candidates if c.apart and c not in same)
    if same or view.linked:
        return msgspec.structs.replace(view, candidates=same + apart), None
    open_ = [c for c in view.candidates if not c.taken and not c.apart]
    unknown = [c for c in open_ if _same_party(shape, view.own, c) is None]
    if unknown and shape.rule.key in view.own.lacks:
        return view, view.own.lacks[shape.rule.key]
    if unknown:
        text = f"{unknown[0].side.label} has the same number; whether it is of the same {_word(flow)} cannot be told"
        return view, Problem("party_unknown", text)
    if open_:
        return view, Problem("other_party", f"{open_[0].side.label} has the same number, but another {_word(flow)}")
    return msgspec.structs.replace(view, candidates=apart), None


def party_shape(flow: Flow, shapes: dict[str, Shape]) -> Shape | None:
    """The field by which the flow tells whose document it is."""
    party = PARTIES.get(flow.entity)
    return next((shape for shape in shapes.values() if party and shape.rule.path == party), None)


def _same_party(shape: Shape, own: Side, candidate: Candidate) -> bool | None:
    """Whether both name one party; None when either names none, or one that is not known on the other side yet."""
    key = shape.rule.key
    mine, theirs = own.values.get(key), candidate.side.values.get(key)
    if is_blank(mine) or is_blank(theirs):
        return None
    same = shape.same(mine, theirs)
    return None if not same and (key in own.lacks or key in candidate.side.lacks) else same


def _word(flow: Flow) -> str:
    return PARTIES[flow.entity]
