"""Laws switched off, one at a time, for one world: what the simulation must notice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A law switched off: `apply` patches it away while its context lasts; `kind` is the world that must notice."""

    law: int
    text: str
    apply: Callable[[], contextlib.AbstractContextManager[None]]
    kind: str = "pair"


MUTANTS: dict[str, Mutant] = {}
_ = Iterator
