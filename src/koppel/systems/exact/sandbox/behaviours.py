"""Which behaviour belongs to which resource."""

from __future__ import annotations

from koppel.systems.exact.sandbox.behaviour import Behaviour

BEHAVIOURS: dict[str, Behaviour] = {}
