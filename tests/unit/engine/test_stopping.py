"""A process that is asked to end begins no further chunk; what it answered is settled, and the next run carries on."""

from __future__ import annotations

from koppel.engine import execute as executor


def test_a_run_that_is_asked_to_end_stops_between_two_chunks_and_the_next_one_does_the_rest(desk, monkeypatch):
    monkeypatch.setattr(executor, "WINDOW", 2)
    desk.take()
    desk.ports.stopping = lambda: desk.points.count("chunk answered") >= 1
    first = desk.sync()
    assert (first.state, first.message.split(";")[0]) == ("stopped", "Stopped between two chunks")
    assert 0 < first.counts["create"] + first.counts["update"] <= 2
    assert desk.points.count("chunk opened") == 1
    desk.ports.stopping = lambda: False
    second = desk.sync()
    assert second.state == "done"
    assert second.recovered == {"landed": 0, "dropped": 0, "parked": 0}, "nothing was left in doubt"
    assert desk.exact("duplicates")["count"] == 0


def test_a_run_is_not_begun_when_another_worker_has_run_the_flow_since_it_was_due(desk):
    desk.take()
    assert desk.sync(after=0).state == "done"
    again = desk.sync(after=0)
    assert (again.state, again.run) == ("waiting", 0)
    assert desk.sync(after=1).state == "done"
