"""Documents are linked on number and party, and nothing from before the flow's start is created (rule B15)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from koppel.mapping.flow import Endpoint, FieldRule, Flow, Match
from koppel.model.can import Can, Field
from koppel.model.problem import Problem
from koppel.sync.decide import Policy, decide
from koppel.sync.shapes import shapes
from koppel.sync.steps import Candidate, Side, Step, View

FIELDS = tuple(Field(path=path) for path in ("number", "party", "date"))
CAN = Can(create=True, update=True, fields=FIELDS)
OURS, THEIRS = "subject:korenaar", "subject:molen"


def flow(**given: Any) -> Flow:
    known = {
        "id": "f",
        "title": "F",
        "entity": "invoice",
        "left": Endpoint("a", "sales"),
        "right": Endpoint("b", "sales"),
        "fields": tuple(FieldRule(field.path) for field in FIELDS),
        "match": Match(keys=("number",)),
        "create_right": True,
        "start": "2026-11-01",
    }
    return Flow(**known | given)  # type: ignore[arg-type]


def paper(native: str, *, party: str | None = OURS, date: str | None = "2026-11-05", number: str = "17") -> Side:
    values = {"number": number, "party": party, "date": date}
    return Side(native, values, native, label=f"invoice {number} ({native})", keys=(("number", number),), dated=date)


def candidate(native: str, **given: Any) -> Candidate:
    return Candidate(paper(native, **given), ("number",))


def decided(own: Side, *candidates: Candidate, of: Flow | None = None, **given: Any) -> list[Step]:
    used = of or flow()
    policy = Policy(flow=used, shapes=shapes(used, CAN, CAN, frozenset()))
    steps = decide(policy, View("left", own, candidates=tuple(candidates), **given))
    assert isinstance(steps, list)
    return steps


def test_the_same_number_and_party_is_the_same_document_whatever_its_date() -> None:
    (link, *_) = decided(paper("L", date="2026-09-30"), candidate("R", date="2026-09-30"))
    assert (link.kind, link.left, link.right) == ("link", "L", "R")


def test_the_same_number_of_another_party_asks() -> None:
    (ask,) = decided(paper("L"), candidate("R", party=THEIRS))
    assert (ask.kind, ask.problem and ask.problem.code) == ("ask", "other_party")
    assert [choice["answer"] for choice in ask.choices] == ["R", "create", "skip"]


def test_a_party_that_cannot_be_told_asks() -> None:
    (ask,) = decided(paper("L"), candidate("R", party=None))
    assert (ask.kind, ask.problem and ask.problem.code) == ("ask", "party_unknown")


def test_a_document_whose_party_is_not_linked_yet_waits_for_it_and_asks_nobody() -> None:
    lacking = msgspec.structs.replace(
        paper("L", party="record:1/7"), lacks={"party": Problem("needs", "not there yet")}
    )
    (park,) = decided(lacking, candidate("R"))
    assert (park.kind, park.problem and park.problem.code) == ("park", "needs")


def test_of_several_with_one_number_the_one_of_the_same_party_is_linked() -> None:
    (link, *_) = decided(paper("L"), candidate("R1", party=THEIRS), candidate("R2"))
    assert (link.kind, link.right, link.follower) == ("link", "R2", False)


def test_a_document_of_another_party_that_belongs_elsewhere_does_not_stand_in_the_way() -> None:
    taken = msgspec.structs.replace(candidate("R", party=THEIRS), taken=True)
    (create,) = decided(paper("L"), taken)
    assert create.kind == "create"
    (ask,) = decided(paper("L"), msgspec.structs.replace(candidate("R"), taken=True))
    assert ask.problem is not None
    assert ask.problem.code == "taken"


def test_two_of_the_same_party_and_number_ask_for_a_document_is_never_two() -> None:
    (ask,) = decided(paper("L"), candidate("R1"), candidate("R2"))
    assert (ask.kind, ask.problem and ask.problem.code) == ("ask", "shared_key")


def test_a_flow_that_does_not_speak_of_the_party_goes_by_the_number() -> None:
    used = flow(fields=tuple(FieldRule(path) for path in ("number", "date")))
    (link, *_) = decided(paper("L"), candidate("R", party=THEIRS), of=used)
    assert link.kind == "link"


@pytest.mark.parametrize(
    ("date", "kind", "code"),
    [
        ("2026-10-31", "refuse", "before_start"),
        ("2026-10-31T23:59:59", "refuse", "before_start"),
        ("2026-11-01", "create", None),
        (None, "park", "no_date"),
    ],
)
def test_nothing_from_before_the_start_is_created(date: str | None, kind: str, code: str | None) -> None:
    (step,) = decided(paper("L", date=date))
    assert (step.kind, step.problem.code if step.problem else None) == (kind, code)


def test_a_person_cannot_create_what_lies_before_the_start_either() -> None:
    (step,) = decided(paper("L", date="2026-10-31"), candidate("R", party=THEIRS), answers={"": "create"})
    assert (step.kind, step.problem and step.problem.code) == ("refuse", "before_start")


def test_what_is_no_document_has_no_start() -> None:
    used = flow(entity="company", match=Match(keys=("kvk",)))
    (step,) = decided(paper("L", date=None), of=used)
    assert step.kind == "create"
