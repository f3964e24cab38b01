"""Connections to made-up systems with a cache mode, as a workspace would make them of its koppel.toml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from koppel.engine.ports import Connection
from koppel.mapping.flow import Endpoint, Flow, SideName
from koppel.mapping.kept import kept_fields

SIDES: tuple[SideName, SideName] = ("left", "right")


def kept(connection: Connection, mode: str, flows: Sequence[Flow]) -> Connection:
    """The connection, keeping of its records what the mode (full, mapped, hashes) keeps with these flows."""
    resources = [r for r in connection.system.resources if r.entity]
    ends = {r.name: Endpoint(connection.name, r.name) for r in resources}
    using = {r.name: [flow for flow in flows if ends[r.name] in (flow.left, flow.right)] for r in resources}
    keeps = {r.name: kept_fields(r.entity, using[r.name], can=r.can) for r in resources}
    watchers = {
        name: tuple((flow.id, side) for flow in several for side in SIDES if flow.endpoint(side) == ends[name])
        for name, several in using.items()
    }
    return replace(connection, keeps={} if mode == "full" else keeps, lets_go=watchers if mode == "hashes" else {})
