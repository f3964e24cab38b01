from __future__ import annotations

from koppel.store import work

BODY = {"label": "Bakkerij De Korenaar B.V.", "left": "020-1234567", "right": None, "said": "Ongeldig"}


def _put(store, which="parked", native="a", field="", code="refused", flow="f", side="left", at=1.0, **more):
    return store.run(
        work.put, which, flow=flow, side=side, native=native, field=field, code=code, body=BODY, at=at, **more
    )


def test_an_item_says_everything_a_person_needs(store):
    number = _put(store, "ask", field="phone", code="conflict", run=3, op="op1", at=5.0, next_at=9.0)
    item = store.run(work.get, number)
    assert (item.list, item.flow, item.side, item.native, item.field) == ("ask", "f", "left", "a", "phone")
    assert (item.state, item.code, item.body, item.run, item.op) == ("open", "conflict", BODY, 3, "op1")
    assert (item.tries, item.opened_at, item.next_at, item.answer, item.closed_at) == (1, 5.0, 9.0, None, None)
    assert store.run(work.get, number + 1) is None


def test_the_same_trouble_again_refreshes_the_open_item_and_counts(store):
    number = _put(store, at=1.0, next_at=10.0)
    assert _put(store, at=2.0, next_at=20.0, code="missing", run=4) == number
    item = store.run(work.get, number)
    assert (item.tries, item.code, item.run, item.opened_at, item.next_at) == (2, "missing", 4, 1.0, 20.0)


def test_another_field_list_side_flow_or_record_is_another_item(store):
    numbers = [
        _put(store),
        _put(store, field="phone"),
        _put(store, "ask"),
        _put(store, side="right"),
        _put(store, flow="g"),
        _put(store, native="b"),
    ]
    assert len(set(numbers)) == 6
    assert [item.id for item in store.run(work.listed, "parked")] == [n for n in numbers if n != numbers[2]]
    assert [item.id for item in store.run(work.listed, "ask", flow="f")] == [numbers[2]]
    assert store.run(work.counts) == {"parked": 5, "ask": 1}
    assert store.run(work.counts, "g") == {"parked": 1, "ask": 0}


def test_a_closed_item_stays_in_the_books_and_the_same_trouble_opens_a_new_one(store):
    first = _put(store)
    store.run(work.close, [first], by="jan", at=3.0)
    second = _put(store, at=4.0)
    assert second != first
    closed = store.run(work.listed, "parked", state="closed")
    assert [(item.id, item.closed_by, item.closed_at) for item in closed] == [(first, "jan", 3.0)]
    assert store.run(work.counts) == {"parked": 1, "ask": 0}


def test_an_answer_waits_to_be_carried_out_and_is_then_closed_in_the_name_of_who_gave_it(store):
    number = _put(store, "ask", field="phone")
    store.run(work.answer, number, {"choice": "left", "value": "020-7654321"}, by="jan", at=5.0)
    assert store.run(work.listed, "ask") == []
    waiting = store.run(work.about, "f", "left", ["a"])
    assert [(item.state, item.answer, item.closed_by) for item in waiting] == [
        ("answered", {"choice": "left", "value": "020-7654321"}, "jan")
    ]
    store.run(work.close, [number], by="run 7", at=6.0)
    assert store.run(work.about, "f", "left", ["a"]) == []
    assert store.run(work.get, number).closed_by == "jan"


def test_an_answer_of_nothing_is_told_from_no_answer_by_its_state(store):
    number = _put(store, "ask")
    store.run(work.answer, number, None, by="jan", at=5.0)
    assert (store.run(work.get, number).state, store.run(work.get, number).answer) == ("answered", None)


def test_open_items_about_some_records_are_found_together(store):
    one, two = _put(store, native="a"), _put(store, "ask", native="b")
    _put(store, native="c")
    _put(store, native="a", side="right")
    assert [item.id for item in store.run(work.about, "f", "left", ["b", "a", "x"])] == [one, two]


def test_a_parked_item_is_retried_when_its_time_has_come_or_a_person_says_so(store):
    timed, untimed = _put(store, native="a", next_at=10.0), _put(store, native="b")
    assert store.run(work.ready_to_retry, "f", at=9.0) == []
    assert [item.id for item in store.run(work.ready_to_retry, "f", at=10.0)] == [timed]
    store.run(work.retry, [untimed], at=5.0)
    assert [item.id for item in store.run(work.ready_to_retry, "f", at=5.0)] == [untimed]
    store.run(work.close, [untimed], by="jan", at=6.0)
    store.run(work.retry, [untimed], at=7.0)
    assert store.run(work.ready_to_retry, "f", at=8.0) == []


def test_answered_questions_are_found_by_how_their_code_begins(store):
    one = _put(store, "ask", native="a", code="undo_field")
    two = _put(store, "ask", native="b", code="undo_created")
    other = _put(store, "ask", native="c", code="conflict")
    elsewhere = _put(store, "ask", native="d", code="undo_field", flow="g")
    _put(store, "ask", native="e", code="undo_field")  # still open
    for number in (two, one, other, elsewhere):
        store.run(work.answer, number, "leave", by="mieke", at=2.0)
    assert [item.id for item in store.run(work.answered, "f", "undo_")] == [one, two]
