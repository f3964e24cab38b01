"""KVK: the Dutch trade register (Handelsregister), read per number through Basisprofiel and searched through Zoeken."""

from koppel.systems.kvk.resources import SYSTEM

__all__ = ["SYSTEM"]
