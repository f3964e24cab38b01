"""The plan as data: canonical, deterministic, and with operation ids that fit a vendor's reference field."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.engine import plan as plans
from koppel.engine.plan import decode, encode, operation_id, path
from koppel.model.problem import UsageError
from koppel.sync.steps import Step

CREATE = Step("create", "right", "L", None, values={"name": "A"})
UPDATE = Step("update", "right", "L", "R", values={"name": "A"}, before={"name": "B"})


def test_a_plan_survives_its_file_and_is_canonical(desk: Any) -> None:
    desk.take()
    plan = desk.plan()
    assert plan.steps
    text = encode(plan)
    assert decode(text, file="plan.json") == msgspec.json.decode(msgspec.json.encode(plan), type=plans.Plan)
    assert encode(decode(text, file="plan.json")) == text
    keys = re.findall(rb'\n "([a-z_]+)":', text)
    assert keys == sorted(keys)


def test_two_plans_of_one_state_are_alike_but_for_their_time(desk: Any) -> None:
    desk.take()
    one, two = desk.plan(), desk.plan()
    assert encode(msgspec.structs.replace(one, made_at=0.0, look_ups=(), quotas=())) == encode(
        msgspec.structs.replace(two, made_at=0.0, look_ups=(), quotas=())
    )


def test_a_plan_states_its_price_in_calls_and_in_euros(desk: Any) -> None:
    desk.take()
    plan = desk.plan()
    assert plan.calls == {"books-nl": len(plan.writes())}
    (paid,) = [look_up for look_up in plan.look_ups if look_up.kind == "basisprofiel"]
    assert paid.count == len(desk.numbers)
    assert paid.euros is not None
    assert float(paid.euros) > 0
    assert desk.plan().look_ups == ()  # nothing was paid for the second


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"format": 1}', b"\xff"])
def test_what_is_no_plan_is_said_with_the_files_name(text: bytes) -> None:
    with pytest.raises(UsageError, match=r"plan\.json"):
        decode(text, file="plan.json")


def test_a_plan_of_another_format_is_refused(desk: Any) -> None:
    other = msgspec.structs.replace(desk.plan(), format=99)
    with pytest.raises(UsageError, match="format 99"):
        decode(encode(other), file="plan.json")


@given(st.text(), st.text(), st.integers(0, 2**40))
def test_an_operation_id_is_20_base_32_characters_and_always_the_same(flow: str, left: str, generation: int) -> None:
    step = msgspec.structs.replace(CREATE, left=left)
    op = operation_id(flow, step, "c:r", generation)
    assert re.fullmatch(r"[a-z2-7]{20}", op)
    assert op == operation_id(flow, step, "c:r", generation)


def test_operation_ids_never_change_by_accident() -> None:
    """They lie in vendors' fields: another release must find what this one wrote."""
    assert operation_id("f", CREATE, "c:r", 7) == "mq6hluqg2x5b6v7iyoxo"
    assert operation_id("f", UPDATE, "c:r", 7) == "f5i4fq42djndr46ryijh"


def test_a_create_keeps_its_id_whatever_it_says_and_an_update_does_not() -> None:
    """A create in doubt is looked for by its id although the source was edited meanwhile; an update of another value is another."""
    renamed = msgspec.structs.replace(CREATE, values={"name": "Z"})
    assert operation_id("f", renamed, "c:r", 7) == operation_id("f", CREATE, "c:r", 7)
    renamed = msgspec.structs.replace(UPDATE, values={"name": "Z"})
    assert operation_id("f", renamed, "c:r", 7) != operation_id("f", UPDATE, "c:r", 7)


def test_creating_anew_after_an_unlink_and_another_flow_or_target_have_other_ids() -> None:
    ids = {
        operation_id("f", CREATE, "c:r", 7),
        operation_id("f", CREATE, "c:r", 8),
        operation_id("g", CREATE, "c:r", 7),
        operation_id("f", CREATE, "d:r", 7),
        operation_id("f", msgspec.structs.replace(CREATE, left="M"), "c:r", 7),
    }
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("key", "name"), [("right:Remarks", "Remarks"), ("left:x", "x"), ("address", "address"), ("other:x", "other:x")]
)
def test_a_rules_key_is_known_to_the_system_by_its_own_name(key: str, name: str) -> None:
    assert path(key) == name
