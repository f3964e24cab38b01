"""Which flow goes before which: what a record names is brought over before the record itself.

A flow depends on another when one of its rules names records that the other flow joins (either way round). Pure; promises: the
same flows give the same order, whatever order they are given in; a flow that only needs itself is no circle (a parent company is
made before its daughters, run by run); and what can never be translated is said by `check`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from koppel.mapping.flow import Endpoint, FieldRule, Flow, SideName, other
from koppel.mapping.problems import FlowProblem
from koppel.mapping.references import Part, references_of, refs_of
from koppel.model.can import Can

SIDES: tuple[SideName, SideName] = ("left", "right")
Cans = Mapping[SideName, Can]


class Dependency(msgspec.Struct, frozen=True):
    """One rule of a flow names records that another flow joins. `lasting`: it is not only written later, as an update, so that
    the other flow has to go first."""

    flow: str
    on: str
    rule: FieldRule
    lasting: bool


def joins(flow: Flow, one: Endpoint, two: Endpoint) -> bool:
    """Whether a flow joins two resources, either way round."""
    return (flow.left, flow.right) in ((one, two), (two, one))


def dependencies(flows: Mapping[str, Flow], cans: Mapping[str, Cans]) -> tuple[Dependency, ...]:
    """Every dependency between these flows (by id), in the order of their rules; flows without `cans` cannot be told."""
    found: list[Dependency] = []
    for name in sorted(flows.keys() & cans.keys()):
        flow, can = flows[name], cans[name]
        for rule in flow.fields:
            for part in references_of(flow, can["left"], can["right"]).get(rule.key, ()):
                one, two = ends(flow, part)
                found += [
                    Dependency(name, each, rule, rule.when != "update" and any(flow.creates(s) for s in rule.to_sides))
                    for each in sorted(flows)
                    if joins(flows[each], one, two)
                ]
    return tuple({(d.flow, d.on, d.rule.key): d for d in found}.values())


def ends(flow: Flow, part: Part) -> tuple[Endpoint, Endpoint]:
    """The two resources that a reference names, as endpoints: of the left's connection and of the right's."""
    return Endpoint(flow.left.connection, part.left), Endpoint(flow.right.connection, part.right)


def in_order(flows: Mapping[str, Flow], cans: Mapping[str, Cans]) -> tuple[str, ...]:
    """Ids of flows, what others need first; by id where it does not matter. A circle is cut where the ids say."""
    needs: dict[str, set[str]] = {name: set() for name in flows}
    for dependency in dependencies(flows, cans):
        if dependency.lasting and dependency.on != dependency.flow:
            needs[dependency.flow].add(dependency.on)
    done: dict[str, None] = {}

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in done or name in way:
            return
        for needed in sorted(needs[name]):
            visit(needed, (*way, name))
        done[name] = None

    for name in sorted(flows):
        visit(name, ())
    return tuple(done)


# --- checking -----------------------------------------------------------------------------------------------------------


def check_order(flows: Mapping[str, Flow], cans: Mapping[str, Cans]) -> tuple[FlowProblem, ...]:
    """What is wrong between flows that name each other's records; both by file name, as the problems name them."""
    return (*_circles(flows, cans), *_unlinked(flows, cans))


def _circles(flows: Mapping[str, Flow], cans: Mapping[str, Cans]) -> list[FlowProblem]:
    """Flows of which none can go first: the record of each would have to exist before the other's."""
    edges = [d for d in dependencies(flows, cans) if d.lasting and d.on != d.flow]
    problems: list[FlowProblem] = []
    said: set[frozenset[str]] = set()
    for edge in edges:
        way = _way_back(edge, edges)
        circle = frozenset(step.flow for step in way)
        if not way or circle in said:
            continue
        said.add(circle)
        names = " → ".join(flows[step.flow].id for step in way)
        message = f"{edge.rule.key!r} closes a circle of flows that need each other: {names} → {flows[edge.flow].id}"
        hint = (
            f'write when = "update" at {edge.rule.key!r} or another of them: it is then written once both records exist'
        )
        problems.append(FlowProblem(edge.flow, max(edge.rule.line, 1), 1, "dependency-cycle", message, hint))
    return problems


def _way_back(edge: Dependency, edges: list[Dependency]) -> list[Dependency]:
    """The shortest circle that begins with an edge; empty when there is none."""
    ways: list[list[Dependency]] = [[edge]]
    seen = {edge.on}
    while ways:
        way = ways.pop(0)
        for step in edges:
            if step.flow != way[-1].on:
                continue
            if step.on == edge.flow:
                return [*way, step]
            if step.on not in seen:
                seen.add(step.on)
                ways.append([*way, step])
    return []


def _unlinked(flows: Mapping[str, Flow], cans: Mapping[str, Cans]) -> list[FlowProblem]:
    """References that nobody can translate: no flow joins what they name, or only one side says what is named."""
    problems: list[FlowProblem] = []
    for file in sorted(flows.keys() & cans.keys()):
        flow, can = flows[file], cans[file]
        parts = references_of(flow, can["left"], can["right"])
        for rule in flow.fields:
            place = (file, max(rule.line, 1), 1, "unlinked-reference")
            named = [ends(flow, part) for part in parts.get(rule.key, ())]
            for one, two in named:
                if any(joins(each, one, two) for each in flows.values()):
                    continue
                needed: list[SideName] = [
                    side for side in rule.to_sides if flow.creates(side) and _required(rule, can[side])
                ]
                message = f"{rule.key!r} names records of {one} and {two}, which no flow joins" + (
                    f"; {flow.endpoint(needed[0])} refuses a new record without it"
                    if needed
                    else "; it will wait for ever"
                )
                hint = f"add a flow between {one} and {two}"
                problems.append(FlowProblem(*place, message, hint, "error" if needed else "warning"))
            problems += _one_sided(flow, rule, can, place)
    return problems


def _one_sided(flow: Flow, rule: FieldRule, can: Cans, place: tuple[str, int, int, str]) -> list[FlowProblem]:
    """An id of one system means nothing in another: it is only carried over where both sides say what is named."""
    if rule.derived:
        return []  # somebody chose where it comes from: an id kept as text, a constant, a table
    told: list[tuple[SideName, str]] = [
        (side, refs[0][1]) for side in SIDES if (refs := refs_of(rule, side, can[side]))
    ]
    if len(told) != 1 or can[other(told[0][0])].field(rule.path) is None:
        return []
    side, resource = told[0]
    here, there = flow.endpoint(side), flow.endpoint(other(side))
    message = f"{rule.key!r} names records of {here.connection}:{resource} in {here}, and nothing says what it names in {there}"
    return [FlowProblem(*place, message, f"leave {rule.key!r} out", "error")]


def _required(rule: FieldRule, can: Can) -> bool:
    field = can.field(rule.path)
    return bool(field and field.required)
