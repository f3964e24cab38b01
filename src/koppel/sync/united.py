"""Sets that both sides hold together, while they are on their way: what stood where.

A union is sent to both sides at once, so what is written to one was not all shown by the other.
"""

from __future__ import annotations

from koppel.model.values import Json
from koppel.sync import looks
from koppel.sync.base import Written
from koppel.sync.merge import elements
from koppel.sync.shapes import Shape


def shown_beside(shape: Shape, written: Written, *, shown: Json, agreed: Json) -> Json:
    """What the other side shows beside a value written, where nothing was sent to that other side, or did not leave.

    `shown` is what that side shows now, `agreed` what was last agreed there. What only the side written to had before never
    came there: that it is missing is nobody's removal. Everything else that is missing, and all that is more, is an edit.
    """
    if shape.rule.owner != "union" or looks.is_look(written.source):
        return written.source
    digested = any(looks.is_look(value) for value in (written.before, shown, agreed))
    before, here, known, united = (
        elements(shape, value, digested=digested) for value in (written.before, shown, agreed, written.source)
    )
    never_came = before.keys() - here.keys() - known.keys()
    return [item for name, item in united.items() if name not in never_came]
