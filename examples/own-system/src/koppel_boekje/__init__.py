"""Boekje, a made-up bookkeeping package, as a system of Koppel."""

from koppel_boekje.resources import SYSTEM

__all__ = ["SYSTEM"]
