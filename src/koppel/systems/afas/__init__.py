"""AFAS Profit: one environment's customers behind one app connector."""

from koppel.systems.afas.system import SYSTEM

__all__ = ["SYSTEM"]
