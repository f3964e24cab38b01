"""Makers of small views and policies."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.mapping.flow import Endpoint, FieldRule, Flow, Match
from koppel.sync.base import Base
from koppel.sync.decide import Policy, decide
from koppel.sync.shapes import Shape
from koppel.sync.steps import Candidate, Linked, Side, Step, View

KVK = "00000019"
FACTS = {"kvk", "vat_number"}


class Makers:
    """Reached as the fixture `make`: tests read `make.view(...)`."""

    def flow(self, **given: Any) -> Flow:
        fields = given.pop("fields", (FieldRule("name"), FieldRule("kvk"), FieldRule("phone")))
        match = given.pop("match", Match(keys=("kvk", "vat")))
        given = {"create_right": True} | given
        return Flow("f", "F", "company", Endpoint("l", "r"), Endpoint("r", "r"), fields, match=match, **given)

    def policy(
        self, *, archives: tuple[str, ...] = (), shape: dict[str, dict[str, Any]] | None = None, **flow: Any
    ) -> Policy:
        made = self.flow(**flow)
        shapes = {
            rule.key: Shape(rule=rule, fact=rule.path in FACTS, **(shape or {}).get(rule.key, {}))
            for rule in made.fields
        }
        return Policy(flow=made, shapes=shapes, archives=frozenset(archives))  # type: ignore[arg-type]

    def side(self, native: str, *, kvk: str | None = KVK, vat: str | None = None, **given: Any) -> Side:
        values = {"name": "Bakkerij", "kvk": kvk, "phone": "1"} | given.pop("values", {})
        keys = tuple((kind, value) for kind, value in (("kvk", kvk), ("vat", vat)) if value)
        given = {"label": native, "digest": f"d {native}", "keys": keys} | given
        return Side(native, {key: value for key, value in values.items() if value is not ...}, **given)

    def candidate(
        self, native: str = "R", *, by: tuple[str, ...] = ("kvk",), taken: bool = False, **given: Any
    ) -> Candidate:
        held = {name: given.pop(name) for name in ("apart", "news") if name in given}
        return Candidate(self.side(native, **given), by, taken=taken, **held)

    def linked(self, native: str = "R", *, base: Any = ..., follower: bool = False, **given: Any) -> Linked:
        side = self.side(native, **given)
        agreed = {"name": "Bakkerij", "kvk": KVK, "phone": "1"}
        return Linked(side, Base(agreed, agreed) if base is ... else base, follower=follower)

    def view(self, *, own: Side | None = None, anchor: str = "left", **given: Any) -> View:
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        return View(anchor, own or self.side("L"), **given)  # type: ignore[arg-type]

    def steps(self, view: View, policy: Policy | None = None, **flow: Any) -> list[Step]:
        made = decide(policy or self.policy(**flow), view)
        assert isinstance(made, list), made
        return made

    def kinds(self, view: View, policy: Policy | None = None, **flow: Any) -> list[str]:
        return [step.kind for step in self.steps(view, policy, **flow)]

    def asked(self, view: View, policy: Policy | None = None, **flow: Any) -> str:
        """The code of the only thing that comes of a view: a question."""
        (step,) = self.steps(view, policy, **flow)
        assert step.kind == "ask"
        assert step.problem is not None
        assert step.choices
        return step.problem.code


@pytest.fixture
def make() -> Makers:
    return Makers()
