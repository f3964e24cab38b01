"""Promoting: the same flows onto another environment. Compares two workspace folders, and copies flow files.

Only texts of flows travel. Connections stay each folder's own, and so does memory: links, agreed values, cursors and the trail
lie in the store, which is never opened here.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal

import msgspec

from koppel.config.workspace_file import FLOWS, Config, read_config
from koppel.mapping.flow import Flow, SideName
from koppel.mapping.problems import has_errors
from koppel.mapping.read import read_flow
from koppel.mapping.transforms import Transform, with_own
from koppel.model.problem import UsageError
from koppel.model.values import Json
from koppel.systems import registry


class Setting(msgspec.Struct, frozen=True):
    """A plain setting that differs; None: not set there. Secrets are in no file and never shown."""

    name: str
    test: Json
    production: Json


class ConnectionCompared(msgspec.Struct, frozen=True):
    """A connection the flows speak of. `missing`: to be connected in production. `same_account`: both write to one account."""

    name: str
    system: str
    state: Literal["ready", "missing", "other_system"]
    settings: tuple[Setting, ...] = ()
    same_account: bool = False


class FlowCompared(msgspec.Struct, frozen=True):
    """A flow: what promoting would do with its file, and the difference in the text. `only_there`: only production has it."""

    id: str
    file: str
    state: Literal["new", "changed", "same", "only_there"]
    diff: str = ""


class Promotion(msgspec.Struct, frozen=True):
    """Everything promoting would do, and what keeps it from being done."""

    test: str
    production: str
    connections: tuple[ConnectionCompared, ...]
    flows: tuple[FlowCompared, ...]
    obstacles: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[FlowCompared, ...]:
        """Flows whose file would be written."""
        return tuple(flow for flow in self.flows if flow.state in ("new", "changed"))


def compare(test: Path, production: Path) -> Promotion:
    """What promoting would do. Raises SetupError for a folder that is no workspace, UsageError for one folder or store twice."""
    if test.resolve() == production.resolve():
        raise UsageError("Both are the same folder.", remedy="Name the test workspace first, then the production one.")
    here, there = read_config(test), read_config(production)
    if here.database == there.database:
        raise UsageError(
            "Both workspaces use the same database, so they would share links and agreed values.",
            remedy="Give production a database of its own.",
        )
    ours, theirs = _texts(test), _texts(production)
    flows = [_flow(name, ours.get(name), theirs.get(name)) for name in sorted(ours.keys() | theirs.keys())]
    read = {name: read_flow(text, file=str(path), transforms=_transforms())[0] for name, (path, text) in ours.items()}
    writes = {end for flow in read.values() if flow for end in _written(flow)}
    names = sorted({name for flow in read.values() if flow for name in _connections(flow)})
    connections = [_connection(name, here, there, writes=name in writes) for name in names]
    return Promotion(
        str(test), str(production), tuple(connections), tuple(flows), tuple(_obstacles(ours, theirs, connections))
    )


def carry_out(promotion: Promotion) -> tuple[str, ...]:
    """Copy the flow files that are new or changed; returns their names. Raises UsageError when something stands in the way."""
    if promotion.obstacles:
        raise UsageError(f"Nothing was copied: {promotion.obstacles[0]}", remedy="Mend that first.")
    test, production = Path(promotion.test), Path(promotion.production)
    if compare(test, production) != promotion:
        raise UsageError("A file has changed since the difference was shown.", remedy="Look at it again.")
    ours, theirs = _texts(test), _texts(production)
    (production / FLOWS).mkdir(exist_ok=True)
    for flow in promotion.pending:
        source, text = ours[flow.id]
        target = theirs[flow.id][0] if flow.id in theirs else production / FLOWS / source.name
        replacement = target.with_suffix(".new")
        replacement.write_text(text, encoding="utf-8")
        replacement.replace(target)
    return tuple(flow.id for flow in promotion.pending)


def _transforms() -> dict[str, Transform]:
    """The transforms there are, a customer's own included."""
    return dict(with_own({entry.name: entry.load() for entry in entry_points(group="koppel.transforms")}))


def _texts(folder: Path) -> dict[str, tuple[Path, str]]:
    """Flow files by the flow's id; by file name where none can be read."""
    found: dict[str, tuple[Path, str]] = {}
    for file in sorted((folder / FLOWS).glob("*.toml")):
        text = file.read_text(encoding="utf-8", errors="replace")
        found[_id_of(text) or file.stem] = (file, text)
    return found


def _id_of(text: str) -> str | None:
    try:
        id_ = tomllib.loads(text).get("id")
    except tomllib.TOMLDecodeError:
        return None
    return id_ if isinstance(id_, str) else None


def _flow(name: str, ours: tuple[Path, str] | None, theirs: tuple[Path, str] | None) -> FlowCompared:
    if ours is None:
        assert theirs is not None
        return FlowCompared(name, f"{FLOWS}/{theirs[0].name}", "only_there")
    file = f"{FLOWS}/{(theirs or ours)[0].name}"
    before = "" if theirs is None else theirs[1]
    if theirs is not None and before == ours[1]:
        return FlowCompared(name, file, "same")
    lines = difflib.unified_diff(
        before.splitlines(), ours[1].splitlines(), f"production/{file}", f"test/{file}", lineterm="", n=2
    )
    return FlowCompared(name, file, "new" if theirs is None else "changed", "\n".join(lines))


def _connections(flow: Flow) -> Iterable[str]:
    return (flow.left.connection, flow.right.connection, *(line.source.connection for line in flow.enrich))


def _written(flow: Flow) -> Iterable[str]:
    """Connections a flow may write to."""
    sides: set[SideName] = {side for rule in flow.fields for side in rule.to_sides}
    if flow.create_left:
        sides.add("left")
    if flow.create_right:
        sides.add("right")
    return [flow.endpoint(side).connection for side in sides]


def _connection(name: str, here: Config, there: Config, *, writes: bool) -> ConnectionCompared:
    ours, theirs = here.connections.get(name), there.connections.get(name)
    if theirs is None:
        return ConnectionCompared(name, ours.system if ours else "?", "missing")
    if ours is None:
        return ConnectionCompared(name, theirs.system, "ready")
    if ours.system != theirs.system:
        return ConnectionCompared(name, f"{ours.system} in test, {theirs.system} in production", "other_system")
    keys = sorted(ours.settings.keys() | theirs.settings.keys())
    differ = [
        Setting(key, ours.settings.get(key), theirs.settings.get(key))
        for key in keys
        if ours.settings.get(key) != theirs.settings.get(key)
    ]
    can_write = writes and any(
        resource.can.create or resource.can.update for resource in registry.load(ours.system).resources
    )
    return ConnectionCompared(name, ours.system, "ready", tuple(differ), same_account=can_write and not differ)


def _obstacles(
    ours: dict[str, tuple[Path, str]], theirs: dict[str, tuple[Path, str]], connections: list[ConnectionCompared]
) -> Iterable[str]:
    for path, text in ours.values():
        flow, problems = read_flow(text, file=f"{FLOWS}/{path.name}", transforms=_transforms())
        if flow is None or has_errors(problems):
            first = next(problem for problem in problems if problem.severity == "error")
            yield f"{first.file}:{first.line}: {first.message} (in test)."
    for one in connections:
        if one.state == "other_system":
            yield f"The connection {one.name} is {one.system}: the flows would mean something else."
    taken = {path.name: id_ for id_, (path, _) in theirs.items()}
    for id_, (path, _) in ours.items():
        if id_ not in theirs and path.name in taken:
            yield f"{FLOWS}/{path.name} is another flow in production ({taken[path.name]}); rename one of the files."
