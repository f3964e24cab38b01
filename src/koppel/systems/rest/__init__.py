"""Any REST API that can be described: resources, paging, look-ups and writes come from a TOML file of the workspace."""

from koppel.systems.rest.system import SYSTEM

__all__ = ["SYSTEM"]
