from __future__ import annotations

import pytest

from koppel.store import flows, observations
from koppel.store.flows import Position, StoredBase
from koppel.store.observations import Seen
from koppel.sync.base import Base, Written


def _base(left, right, /, left_digest="", right_digest="", generation=0, **fields):
    return StoredBase(left, right, "subject", Base(**fields), left_digest, right_digest, generation)


def test_a_flow_that_never_ran_has_no_position_and_one_that_did_stands_where_it_was_put(store):
    assert store.run(flows.position, "f") is None
    store.run(flows.move, "f", Position("d1", {"phone": "x"}, 3, 4))
    store.run(flows.move, "g", Position("d9", {}, 9, 9))
    place = Position("d2", {"phone": "y", "name": "z"}, 5, 4)
    store.run(flows.move, "f", place)
    assert store.run(flows.position, "f") == place


def test_a_base_keeps_both_forms_and_what_is_on_its_way(store):
    base = _base(
        "l", "r", "dl", "dr", 7,
        left={"name": "Bakkerij De Korenaar B.V.", "active": True, "empty": None},
        right={"name": "BAKKERIJ DE KOREN", "active": True, "empty": None},
        written_left={"phone": Written("+31201234567", count=2)},
        written_right={"tags": Written(["a", "b"])},
        prov={"*": 512, "phone": 733},
    )  # fmt: skip
    store.run(flows.save_bases, "f", [base])
    assert store.run(flows.bases_of, "f", left=["l"]) == {("l", "r"): base}
    assert store.run(flows.bases_of, "f", right=["r"]) == {("l", "r"): base}
    assert store.run(flows.bases_of, "f", left=["l"], right=["r"]) == {("l", "r"): base}
    assert store.run(flows.bases_of, "f", left=["r"]) == store.run(flows.bases_of, "g", left=["l"]) == {}


def test_a_saved_base_replaces_the_one_before_and_of_two_at_once_the_last_counts(store):
    store.run(flows.save_bases, "f", [_base("l", "r", left={"a": 1})])
    store.run(
        flows.save_bases,
        "f",
        [_base("l", "r", left={"a": 2}), _base("l", "r2"), _base("l", "r", left={"a": 3}, generation=2)],
    )
    found = store.run(flows.bases_of, "f", left=["l"])
    assert found["l", "r"].base.left == {"a": 3}
    assert found["l", "r"].generation == 2
    assert store.run(flows.pairs_of, "f") == [("l", "r"), ("l", "r2")]
    store.run(flows.save_bases, "f", [])


def test_one_left_record_with_many_right_ones_has_a_base_for_each(store):
    store.run(flows.save_bases, "f", [_base("register", debtor) for debtor in ("d1", "d2")])
    assert set(store.run(flows.bases_of, "f", left=["register"])) == {("register", "d1"), ("register", "d2")}
    store.run(flows.drop_base, "f", "register", "d1")
    assert store.run(flows.pairs_of, "f") == [("register", "d2")]


# --- the fast path ------------------------------------------------------------------------------------------------


@pytest.fixture
def digests(store, stream, company):
    store.run(observations.take_in, stream, [company("a"), company("b")], at=1.0)
    found = store.run(observations.load, stream, ["a", "b"], entity="company")
    return {native: observation.digest for native, observation in found.items()}


def _unsettled(store, stream, *natives, side="left"):
    return store.run(flows.unsettled, "f", side, stream, iter(natives))


def test_a_record_without_a_base_is_unsettled(store, stream, digests):
    assert _unsettled(store, stream, "b", "a", "never seen") == ["b", "a", "never seen"]


def test_a_record_whose_base_holds_its_digest_of_today_is_settled_on_that_side_only(store, stream, digests):
    store.run(flows.save_bases, "f", [_base("a", "r", left_digest=digests["a"], right_digest="other")])
    assert _unsettled(store, stream, "a", "b") == ["b"]
    store.run(flows.save_bases, "f", [_base("l", "b", left_digest="other", right_digest=digests["b"])])
    assert _unsettled(store, stream, "a", "b", side="right") == ["a"]


def test_an_empty_digest_means_unsettled_whatever_the_record_says(store, stream, digests):
    """P3: the digest is set only when every field is agreed."""
    store.run(flows.save_bases, "f", [_base("a", "r", left_digest="")])
    assert _unsettled(store, stream, "a") == ["a"]


def test_a_record_is_settled_only_when_it_is_in_every_pair(store, stream, digests):
    store.run(flows.save_bases, "f", [_base("a", "r1", digests["a"]), _base("a", "r2", "")])
    assert _unsettled(store, stream, "a") == ["a"]
    store.run(flows.save_bases, "f", [_base("a", "r2", digests["a"])])
    assert _unsettled(store, stream, "a") == []


def test_a_record_that_changed_or_went_is_unsettled(store, stream, company, digests):
    store.run(flows.save_bases, "f", [_base("a", "r1", digests["a"]), _base("b", "r2", digests["b"])])
    store.run(observations.take_in, stream, [company("a", phone="+31201234567"), Seen("b", None)], at=2.0)
    assert _unsettled(store, stream, "a", "b") == ["a", "b"]
