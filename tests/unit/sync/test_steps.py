"""A step's identity: what a stored plan binds to (law 1)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from koppel.model.problem import Problem
from koppel.sync.steps import Step

STEP = Step("update", "right", "L", "R", "Bakkerij", {"name": "B", "phone": "1"}, {"name": "A", "phone": None})


def test_the_same_decision_about_the_same_state_has_the_same_identity() -> None:
    turned = Step("update", "right", "L", "R", "Bakkerij", {"phone": "1", "name": "B"}, {"phone": None, "name": "A"})
    assert turned.identity() == STEP.identity()
    assert STEP.identity() == "d600d85f274d5653e3420e27"  # stored plans outlive a release: never changes by accident


def test_identity_survives_json() -> None:
    back = msgspec.json.decode(msgspec.json.encode(STEP), type=Step)
    assert back.identity() == STEP.identity()


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "create"},
        {"side": "left"},
        {"left": "L2"},
        {"right": None},
        {"values": {"name": "C", "phone": "1"}},
        {"before": {"name": "Z", "phone": None}},
        {"field": "name"},
        {"follower": True},
        {"agreed": {"kvk": ("1", "1")}},
    ],
)
def test_whatever_was_decided_on_is_part_of_it(changed: dict[str, Any]) -> None:
    assert msgspec.structs.replace(STEP, **changed).identity() != STEP.identity()


def test_words_for_people_are_no_part_of_it() -> None:
    told = msgspec.structs.replace(STEP, label="Other", because={"": "said otherwise"}, problem=Problem("x", "y"))
    assert told.identity() == STEP.identity()


def test_target_and_source_follow_the_side() -> None:
    assert (STEP.target, STEP.source) == ("R", "L")
    back = msgspec.structs.replace(STEP, side="left")
    assert (back.target, back.source) == ("L", "R")
