"""The world of two to five systems in one graph: Ledgers and Tills in a chain, a star or a triangle, a two-way flow along
each edge, people at work in all of them.

A field has one writer per system, as `check` demands: it begins at one system, or at one edge where both ends own it, and is
handed on outwards from there. In a triangle each field travels along two of the three edges, another two for another field.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from koppel.mapping.across import check_flows
from koppel.mapping.flow import Brakes, Endpoint, FieldRule, Flow, Match, Missing, Owner, RunRules
from koppel.testing.toy_verdict import Verdict
from koppel.testing.toy_world import ToyWorld

NAMES = ("amber", "birch", "cedar", "delft", "ebony")
SHAPES = ("chain", "chain", "star", "triangle")
MISSING: tuple[Missing, ...] = ("ask", "unlink", "archive", "restore")
AT_ONE: tuple[str, ...] = ("kvk", "name", "trade_name", "statutory_name", "legal_form", "address", "employees")
AT_BOTH: dict[str, Owner] = {"phone": "newest", "email": "ask", "website": "newest", "sbi": "union"}
NEEDED = ("name", "kvk")  # whoever creates must give what the other side requires, and what it is found by
Edge = tuple[str, str]  # the left and the right system of a flow


class GraphWorld(ToyWorld):
    """Some systems, the flows between them, and what each flow may write."""

    kind = "graph"
    hours = 3.0
    workers = 3

    def build(self) -> None:
        """Systems by the seed, edges by the shape, an owner for each field."""
        rnd = self.rnd
        self.shape = rnd.choice(SHAPES)
        names = NAMES[: 3 if self.shape == "triangle" else rnd.choice((2, 3, 3, 4, 5))]
        for number, name in enumerate(names):
            base, page = f"http://{name}.example", rnd.randint(3, 8)
            if (number + rnd.randint(0, 2)) % 2:
                self.add_till(name, name, base=base, page=page)
            else:
                self.add_ledger(name, name, base=base, page=page)
        self.begin()
        self.missing: Missing = rnd.choice(MISSING)
        self.reconcile = rnd.choice((None, None, "every 50 minutes"))
        self.flows = self._flows([self._turned(edge) for edge in edges_of(self.shape, names)])
        assert not (wrong := check_flows({f"{flow.id}.toml": flow for flow in self.flows})), wrong
        self._furnish()

    def judge(self) -> None:
        """Everything that must hold once all is quiet."""
        Verdict(self).give()

    def _turned(self, edge: Edge) -> Edge:
        return edge if self.rnd.random() < 0.5 else (edge[1], edge[0])

    def _furnish(self) -> None:
        """Companies that were there before: here, there, in several places, spelled differently."""
        people, rnd = self.people, self.rnd
        for _ in range(rnd.randint(3, 6)):
            row = people.row()
            for place in self.places:
                if rnd.random() < 0.45:
                    place.server.add(row if rnd.random() < 0.5 else row | {"title": people.word()})

    def _flows(self, edges: Sequence[Edge]) -> list[Flow]:
        rules: dict[Edge, list[FieldRule]] = {edge: [] for edge in edges}
        for path in AT_ONE:
            tree = self._tree(edges)
            first = self.rnd.choice(sorted({name for edge in tree for name in edge}))
            self._hand_on(path, tree, [first], rules)
        for path, owner in AT_BOTH.items():
            tree = self._tree(edges)
            core = self.rnd.choice(tree)
            rules[core].append(_rule(path, owner))
            self._hand_on(path, [edge for edge in tree if edge != core], list(core), rules)
        return [self._flow(edge, rules[edge]) for edge in edges]

    def _tree(self, edges: Sequence[Edge]) -> list[Edge]:
        """The edges a field travels along: all of them, but never in a circle."""
        chosen = list(edges)
        if self.shape == "triangle":
            chosen.remove(self.rnd.choice(chosen))
        return chosen

    def _hand_on(self, path: str, tree: Sequence[Edge], known: list[str], rules: dict[Edge, list[FieldRule]]) -> None:
        """From the systems that own a field along the tree to all others: who is nearer owns it on each edge."""
        left = list(tree)
        while left:
            edge = next(edge for edge in left if edge[0] in known or edge[1] in known)
            left.remove(edge)
            rules[edge].append(_rule(path, "left" if edge[0] in known else "right"))
            known.append(edge[1] if edge[0] in known else edge[0])

    def _flow(self, edge: Edge, rules: Iterable[FieldRule]) -> Flow:
        fields = tuple(rules)
        have = {rule.path for rule in fields}
        made = tuple(FieldRule(path, "left", when="create") for path in NEEDED if path not in have)
        name = "-".join(edge)
        ends = {place.connection: Endpoint(place.connection, place.resource) for place in self.places}
        return Flow(
            id=name, title=name, entity="company", left=ends[edge[0]], right=ends[edge[1]], fields=(*made, *fields),
            match=Match(keys=("kvk",)), create_left=True, create_right=True, missing_left=self.missing, missing_right=self.missing,
            run=RunRules(reconcile=self.reconcile, brakes=Brakes(None, None, None)), digest=name,
        )  # fmt: skip


def _rule(path: str, owner: Owner) -> FieldRule:
    return FieldRule(path, owner, empty="clear" if path in ("website", "legal_form") else "keep")


def edges_of(shape: str, names: Sequence[str]) -> list[Edge]:
    """Which systems a shape joins."""
    if shape == "star":
        return [(names[0], name) for name in names[1:]]
    line = list(pairwise(names))
    return [*line, (names[0], names[-1])] if shape == "triangle" else line
