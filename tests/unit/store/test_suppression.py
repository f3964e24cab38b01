from __future__ import annotations

import pytest

from koppel.store import blocks, hints, observations, streams, suppression
from koppel.store.observations import Seen


@pytest.fixture
def erased(store, stream):
    """A case that knows one record by its id and its KVK number."""

    def make(native: str = "1", kvk: str = "00100104", state: suppression.State = "erased") -> int:
        def within(db):
            case = suppression.open_case(db, state, at=1.0, by="mieke", until=None, reason="")
            suppression.suppress(
                db, case, natives=[(stream, native)], keys=[("kvk", db.vault.digest_key("kvk", kvk)), ("code", "x")]
            )
            return case

        return store.run(within)

    return make


def natives(store, stream):
    return set(store.run(observations.load, stream, ["1", "2", "3"], entity="company"))


def test_an_erased_record_is_dropped_before_it_is_stored_by_its_id_or_by_its_key(store, stream, company, erased):
    erased()
    seen = [company("1"), company("2", kvk="00100104"), company("3", kvk="00200208")]
    taken = store.run(observations.take_in, stream, seen, at=2.0)
    assert (taken.new, taken.left_out) == (("3",), 2)
    assert natives(store, stream) == {"3"}
    assert store.run(observations.carriers, stream, [("kvk", "00100104")]) == {("kvk", "00100104"): ()}


def test_an_id_means_something_in_its_own_stream_only(store, stream, company, erased):
    erased()
    elsewhere = store.run(streams.ensure, "other", "accounts").id
    assert store.run(observations.take_in, elsewhere, [company("1")], at=2.0).new == ("1",)


def test_a_record_known_by_its_key_only_is_known_by_its_id_from_then_on(store, stream, company, erased):
    erased()
    assert store.run(suppression.spared, stream, ["2"]) == ["2"]
    store.run(observations.take_in, stream, [company("2", kvk="00100104")], at=2.0)
    assert store.run(suppression.spared, stream, ["2", "3"]) == ["3"]


def test_its_absence_is_not_remembered_and_no_hint_names_it(store, stream, erased):
    erased()
    store.run(observations.take_in, stream, [Seen("1", None, remember=True)], at=2.0)
    store.run(hints.put, stream, ["1", "2"], at=2.0)
    assert natives(store, stream) == set()
    assert store.run(lambda db: [row[0] for row in db.rows("select native from hints")]) == ["2"]


def test_what_is_left_out_is_counted(store, stream, company, erased):
    case = erased()
    store.run(observations.take_in, stream, [company("1"), company("2", kvk="00100104")], at=2.0)
    store.run(suppression.spared, stream, ["1"])  # asking is not seeing
    (told,) = store.run(suppression.cases)
    assert (told.id, told.left_out, told.left_out_at) == (case, 2, 2.0)


def test_a_restricted_record_stays_as_it_was_and_is_not_gone(store, stream, company, erased):
    store.run(observations.take_in, stream, [company("1", name="Jansen"), company("2")], at=1.0)
    case = erased(state="restricted")
    store.run(suppression.restrict, case, [(stream, "1")])
    scan = store.run(streams.begin_scan, stream)
    assert store.run(observations.take_in, stream, [company("1", name="Pietersen")], at=2.0, scan=scan).changed == ()
    swept = store.run(observations.mark_unseen_gone, stream, scan, at=3.0)
    assert swept.gone == ("2",)
    kept = store.run(observations.load, stream, ["1"], entity="company")["1"]
    assert (kept.record.entity.name, kept.gone) == ("Jansen", False)
    assert store.run(suppression.hidden, stream) == {"1"}
    scan = store.run(streams.begin_scan, stream)  # no longer listed there: it is kept all the same
    assert store.run(observations.mark_unseen_gone, stream, scan, at=4.0).gone == ()


def test_a_case_that_is_let_go_names_its_streams_and_leaves_nothing_out(store, stream, company, erased):
    case = erased()
    assert store.run(suppression.case_of, keys=[("kvk", "00100104")]) == [case]
    assert store.run(suppression.let_go, case) == [stream]
    assert not store.run(suppression.anybody)
    assert store.run(observations.take_in, stream, [company("1")], at=2.0).new == ("1",)


def test_a_key_that_two_cases_hold_is_left_out_until_both_are_lifted(store, stream, company, erased):
    one, two = erased(), erased("9")
    store.run(suppression.let_go, one)
    assert store.run(observations.take_in, stream, [company("2", kvk="00100104")], at=2.0).left_out == 1
    store.run(suppression.let_go, two)
    assert store.run(observations.take_in, stream, [company("2", kvk="00100104")], at=3.0).new == ("2",)


def test_what_is_only_kept_of_a_restricted_person_is_put_into_no_block(store, stream, company, erased):
    store.run(observations.take_in, stream, [company("1"), company("2")], at=1.0)
    store.run(suppression.restrict, erased(state="restricted"), [(stream, "1")])
    assert [native for native, _ in store.run(blocks.newer, stream, 0, limit=9)] == ["2"]
