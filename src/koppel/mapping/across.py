"""All flows of a workspace judged together: one writer per target field, no circles of ownership, every id once (law 11)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from koppel.mapping.conditions import say
from koppel.mapping.flow import Condition, Endpoint, FieldRule, Flow, SideName, other
from koppel.mapping.paths import is_canonical, overlap, scalar_roots
from koppel.mapping.problems import FlowProblem
from koppel.model.values import Json


class _Edge(msgspec.Struct, frozen=True):
    """One flow carries one field from an endpoint to another."""

    file: str
    flow: Flow
    rule: FieldRule
    side: SideName  # the side that is written
    begin: tuple[Endpoint, str] | None
    end: tuple[Endpoint, str]


def check_flows(flows: Mapping[str, Flow]) -> tuple[FlowProblem, ...]:
    """What is wrong between the flows of one workspace; `flows` is by file name, as the problems name them."""
    edges = [
        edge
        for file, flow in flows.items()
        for first in flow.fields
        for rule in first.alternatives
        for edge in _edges(file, flow, rule)
    ]
    return (*_twice(flows), *_second_writers(edges), *_circles(edges))


def _twice(flows: Mapping[str, Flow]) -> list[FlowProblem]:
    problems: list[FlowProblem] = []
    first: dict[str, str] = {}
    for file, flow in flows.items():
        if first.setdefault(flow.id, file) != file:
            message = f"the id {flow.id!r} is already that of {first[flow.id]}; everything remembered hangs on it"
            problems.append(FlowProblem(file, 1, 1, "duplicate-id", message, "give this flow an id of its own"))
    return problems


def _edges(file: str, flow: Flow, rule: FieldRule) -> list[_Edge]:
    found: list[_Edge] = []
    for side in rule.to_sides:
        source = None if rule.const is not msgspec.UNSET else (rule.source or (None if rule.side else rule.path))
        begin = (flow.endpoint(other(side)), source) if source else None
        found.append(_Edge(file, flow, rule, side, begin, (flow.endpoint(side), rule.path)))
    return found


def _second_writers(edges: list[_Edge]) -> list[FlowProblem]:
    problems: list[FlowProblem] = []
    said: set[tuple[str, str, str]] = set()
    for index, edge in enumerate(edges):
        for earlier in edges[:index]:
            if not _fight(edge, earlier) or (edge.file, edge.rule.key, earlier.file) in said:
                continue
            said.add((edge.file, edge.rule.key, earlier.file))
            field = f"{edge.end[1]!r} of {edge.end[0]}"
            message = f"{field} is already written by the flow {earlier.flow.id!r} ({earlier.file}:{earlier.rule.line})"
            hint = "one flow writes a field: leave it out of one of the two"
            problems.append(FlowProblem(edge.file, max(edge.rule.line, 1), 1, "second-writer", message, hint))
    return problems


def _fight(one: _Edge, two: _Edge) -> bool:
    """Whether two flows would overwrite each other; a value given once, at creation, is nobody's afterwards."""
    if one.file == two.file or one.end[0] != two.end[0] or not overlap(one.end[1], two.end[1]):
        return False
    if "create" in {one.rule.when, two.rule.when}:
        return False
    return not _apart(one, two)


def _apart(one: _Edge, two: _Edge) -> bool:
    """Whether the scopes on the written side can never hold for one record: the same field, other values."""
    mine, theirs = _allowed(one), _allowed(two)
    return any(not (mine[field] & theirs[field]) for field in mine.keys() & theirs.keys())


def _allowed(edge: _Edge) -> dict[str, frozenset[str]]:
    """Per one-valued field the values the scope of the written side allows."""
    conditions = edge.flow.scope.left if edge.side == "left" else edge.flow.scope.right
    scalar = scalar_roots(edge.flow.entity)
    found: dict[str, frozenset[str]] = {}
    for condition in conditions:
        values = _values(condition)
        if values is None or (is_canonical(edge.flow.entity, condition.field) and condition.field not in scalar):
            continue
        allowed = frozenset(say(value) for value in values)
        found[condition.field] = found.get(condition.field, allowed) & allowed
    return found


def _values(condition: Condition) -> tuple[Json, ...] | None:
    if condition.is_ is not msgspec.UNSET:
        return (condition.is_,)
    return condition.in_ if condition.in_ is not msgspec.UNSET else None


def _circles(edges: list[_Edge]) -> list[FlowProblem]:
    """A field that comes back to where it began by other flows has no owner: every round would write it again."""
    lasting = [edge for edge in edges if edge.begin is not None and edge.rule.when != "create"]
    problems: list[FlowProblem] = []
    said: set[frozenset[tuple[str, str]]] = set()
    for edge in lasting:
        way = _way_back(edge, lasting)
        if way is None:
            continue
        circle = frozenset((step.file, step.rule.key) for step in (edge, *way))
        if circle in said:
            continue
        said.add(circle)
        stations = " → ".join(str(step.begin[0]) for step in (edge, *way) if step.begin)
        message = f"{edge.rule.key!r} goes round in a circle: {stations} → {edge.begin[0] if edge.begin else ''}"
        names = ", ".join(dict.fromkeys(step.flow.id for step in (edge, *way)))
        hint = f"leave it out of one of the flows {names}"
        problems.append(FlowProblem(edge.file, max(edge.rule.line, 1), 1, "ownership-cycle", message, hint))
    return problems


def _way_back(edge: _Edge, edges: list[_Edge]) -> list[_Edge] | None:
    """The shortest way from where an edge ends to where it begins, by other flows than its own."""
    queue: deque[tuple[tuple[Endpoint, str], list[_Edge]]] = deque([(edge.end, [])])
    seen = {edge.end}
    while queue:
        node, way = queue.popleft()
        for step in edges:
            if step.file == edge.file or step.begin is None or not _meets(node, step.begin) or step.end in seen:
                continue
            if edge.begin is not None and _meets(step.end, edge.begin):
                return [*way, step]
            seen.add(step.end)
            queue.append((step.end, [*way, step]))
    return None


def _meets(one: tuple[Endpoint, str], two: tuple[Endpoint, str]) -> bool:
    return one[0] == two[0] and overlap(one[1], two[1])
