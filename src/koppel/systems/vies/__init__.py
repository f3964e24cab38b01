"""VIES: the European Commission's confirmation of VAT numbers, asked one number at a time; it needs no key."""

from koppel.systems.vies.resources import SYSTEM

__all__ = ["SYSTEM"]
