"""Who acts."""

from __future__ import annotations

import msgspec


class Hand(msgspec.Struct, frozen=True):
    """Who acts: a run, on whose behalf, at what instant."""

    run: int
    actor: str
    at: float
