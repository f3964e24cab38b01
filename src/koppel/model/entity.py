"""What every canonical entity can say of itself."""

from __future__ import annotations

import msgspec


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """A thing both sides of a flow hold. Entities are told apart by their class; `koppel.model.versions` names them."""

    def match_keys(self) -> tuple[tuple[str, str], ...]:
        """Strong keys as (kind, compact value), strongest first (rule B17)."""
        return ()

    def label(self) -> str:
        """What people call it: empty when it says nothing of itself."""
        return ""
