"""The flow files of a workspace, and those that come with the systems."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from koppel.config.workspace_file import (
    FLOWS,
)
from koppel.mapping.flow import Flow, SideName
from koppel.mapping.problems import FlowProblem
from koppel.mapping.read import read_flow
from koppel.mapping.transforms import Transform
from koppel.systems import registry

SIDES: tuple[SideName, SideName] = ("left", "right")


class LoadedFlow(msgspec.Struct, frozen=True):
    """A flow file of the workspace: its text, what it became, and what is wrong with it."""

    file: str
    text: str
    flow: Flow | None
    problems: tuple[FlowProblem, ...]


class ReadyMade(msgspec.Struct, frozen=True):
    """A flow that comes with a system: the connection names it uses until others are given."""

    name: str
    title: str
    system: str
    left: str
    right: str


def ready_made() -> tuple[ReadyMade, ...]:
    """The flows that come with the installed systems, by name."""
    found: list[ReadyMade] = []
    for system in registry.names():
        for name, text in registry.ready_made_flows(system).items():
            document = tomllib.loads(text)
            left, right = (str(document.get(side, "")).partition(":")[0] for side in ("left", "right"))
            found.append(ReadyMade(name, str(document.get("title", name)), system, left, right))
    return tuple(sorted(found, key=lambda flow: flow.name))


def load_flows(folder: Path, transforms: Mapping[str, Transform]) -> dict[str, LoadedFlow]:
    """Every flow file of a workspace, by flow id (by file name when it has none)."""
    loaded: dict[str, LoadedFlow] = {}
    for file in sorted((folder / FLOWS).glob("*.toml")):
        text = file.read_text(encoding="utf-8", errors="replace")
        flow, problems = read_flow(text, file=str(file.relative_to(folder)), transforms=transforms)
        name = flow.id if flow else file.stem
        loaded[name if name not in loaded else file.stem] = LoadedFlow(
            str(file.relative_to(folder)), text, flow, problems
        )
    return loaded


def connections_of(flow: Flow) -> set[str]:
    """Every connection a flow speaks of."""
    return {flow.left.connection, flow.right.connection, *(line.source.connection for line in flow.enrich)}
