"""The imitation of Exact Online: `make` builds it. Nothing here is shared with the client it tests."""

from __future__ import annotations

from koppel.systems.exact.sandbox.door import ExactSandbox, make

__all__ = ["ExactSandbox", "make"]
