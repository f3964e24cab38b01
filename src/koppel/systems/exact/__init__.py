"""Exact Online: the bookkeeping of one division behind one connection."""

from koppel.systems.exact.system import SYSTEM

__all__ = ["SYSTEM"]
