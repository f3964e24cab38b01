"""Whether a record may be what a create in doubt made."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.engine.lookalikes import Sent, open_creates, sent
from koppel.engine.plan import Planned, as_json
from koppel.mapping.flow import FieldRule
from koppel.model.values import Json
from koppel.store.intents import Intent
from koppel.sync.shapes import Shape
from koppel.sync.steps import Step
from koppel.systems.spi import Operation

SHAPES = {path: Shape(rule=FieldRule(path)) for path in ("name", "phone", "email")}
VALUES: dict[str, Json] = {"name": "Bakker", "phone": "020", "email": "b@firm.example"}


def made(shown: dict[str, Json], *, seq: int = 8, values: dict[str, Json] = VALUES) -> bool:
    return Sent("op", 2, 7, values).made(SHAPES, "right", seq, shown)


@pytest.mark.parametrize(
    ("shown", "so"),
    [
        (VALUES, True),
        (VALUES | {"phone": "030"}, True),
        ({"name": "Bakker"}, False),
        ({}, False),
    ],
)
def test_more_than_half_of_what_was_sent_has_to_stand_there(shown: dict[str, Json], so: bool) -> None:
    assert made(shown) is so


def test_what_was_known_when_it_was_sent_is_not_what_it_made() -> None:
    assert not made(VALUES, seq=7)


@pytest.mark.parametrize("values", [{}, {"right:own": "x"}])
def test_where_nothing_can_be_compared_nothing_is_alike(values: dict[str, Json]) -> None:
    assert not made({"right:own": "x"}, values=values)


def intent(kind: str = "create", **body: Any) -> Intent:
    values: dict[str, Json] = {
        "name": "Bakker",
        "kvk": "42100001",
        "right:code": "D7",
        "phone": "",
        "place": {"city": "Z"},
    }
    step = Step("create", "right", "1", None, values=values)
    operation = Operation("op", "create", "shops", None, {}, keys=(("kvk", "42100001"), ("number", "D7")))
    whole = {"planned": as_json(Planned(step, "id", (operation,))), "operation": as_json(operation)} | body
    return Intent("op", 1, "pair", kind, 2, "right", "1", None, whole, "doubt", 0.0, 0.0)


def test_keys_and_blanks_are_left_aside() -> None:
    assert sent(intent(since=5)) == Sent("op", 2, 5, {"name": "Bakker", "place": {"city": "Z"}})


def test_of_one_opened_by_an_older_version_every_record_may_be_news() -> None:
    assert sent(intent()).since == 0


def test_only_creates_make_records() -> None:
    assert open_creates(None, [intent("update"), intent()]) == (sent(intent()),)  # type: ignore[arg-type]
