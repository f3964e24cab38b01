"""Standing decisions and blocks, on both databases."""

from __future__ import annotations

from koppel.store import apart, blocks, observations, streams


def test_a_decision_is_found_from_either_record_and_lifted_by_the_pair(store, stream, company):
    other = store.run(streams.ensure, "crm", "accounts").id
    for native, in_stream in (("a", stream), ("b", other)):
        store.run(observations.take_in, in_stream, [company(native, kvk="00000019")], at=1.0)
    assert not store.run(apart.any_held)
    store.run(apart.hold, [((stream, "a"), (other, "b"))], at=5.0, by="mieke", why="unlinked")
    assert store.run(apart.any_held)
    (held,) = store.run(apart.of_records, [(other, "b")])
    assert store.run(apart.of_records, [(stream, "a")]) == [held]
    assert (held.at, held.by, held.why, len(held.keys)) == (5.0, "mieke", "unlinked", 1)
    assert held.other((stream, "a")) == (other, "b")
    assert store.run(apart.of_records, [(stream, "b")]) == []
    store.run(apart.lift, [((other, "b"), (stream, "a"))])
    assert not store.run(apart.any_held)
    store.run(apart.restore, [held])
    assert store.run(apart.of_records, [(stream, "a")]) == [held]


def test_a_block_too_wide_to_tell_anybody_apart_is_left_out(store, stream):
    many = {f"n{number}": [("email_domain", "big.example")] for number in range(blocks.WIDE + 1)}
    store.run(
        blocks.put, stream, many | {"a": [("email_domain", "firm.example"), ("phone", "1")], "b": [("phone", "1")]}
    )
    wanted = [("email_domain", "big.example"), ("email_domain", "firm.example"), ("phone", "1"), ("phone", "2")]
    assert store.run(blocks.sharing, stream, wanted) == {
        ("email_domain", "firm.example"): ("a",),
        ("phone", "1"): ("a", "b"),
    }
    store.run(blocks.put, stream, {"n0": []})
    found = store.run(blocks.sharing, stream, wanted)
    assert len(found["email_domain", "big.example"]) == blocks.WIDE


def test_values_of_blocks_lie_as_digests(store, stream):
    store.run(blocks.put, stream, {"a": [("email_domain", "firm.example")]})
    assert store.run(lambda db: db.scalar("select value from blocks")) != "firm.example"


def test_how_far_the_blocks_go_is_kept_per_stream(store, stream):
    assert store.run(blocks.position, stream) == (0, frozenset())
    store.run(blocks.move, stream, 7, {"phone", "name"})
    assert store.run(blocks.position, stream) == (7, frozenset({"phone", "name"}))
