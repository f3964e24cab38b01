"""KVKBase: a commercial door to the Dutch trade register, with VAT numbers confirmed in VIES, paid in tokens."""

from koppel.systems.kvkbase.resources import SYSTEM

__all__ = ["SYSTEM"]
