"""Writes whose request or answer is lost: they are unknown, and a probe tells what became of them."""

# ruff: noqa: D102 - the tests' names are their sentences

from __future__ import annotations

from typing import Any

import pytest

from koppel.systems.spi import CannotTell, Landed, NotLanded
from koppel.testing.bench import TOOK_EFFECT, Bench, Loss
from koppel.testing.contract.records import a_record, sample
from koppel.testing.contract.tried import LOSSES, Tried, need


class Lost(Tried):
    """A resource that can be written to, over a wire that loses things."""

    @pytest.mark.parametrize("lost", LOSSES)
    def test_a_lost_create_is_unknown_and_a_probe_tells_whether_it_landed(self, bench: Bench, lost: Loss) -> None:
        need(bench.resource.can.create, "it cannot create")
        operations = bench.lower(bench.create(sample(bench, 31)))
        first = tuple(operation for operation in operations if not operation.needs)
        bench.lose(lost)
        receipts = bench.send(first)
        assert {receipt.status for receipt in receipts.values()} == {"unknown"}
        check_traces(bench, first, landed=lost in TOOK_EFFECT)

    @pytest.mark.parametrize("lost", LOSSES)
    def test_a_lost_update_is_unknown_and_a_probe_tells_whether_it_landed(self, bench: Bench, lost: Loss) -> None:
        need(bench.resource.can.update, "it cannot update")
        native, _ = a_record(bench)
        operations = bench.lower(bench.update(native, {bench.called: "Onderweg B.V."}))
        bench.lose(lost)
        receipts = bench.send(operations)
        assert {receipt.status for receipt in receipts.values()} == {"unknown"}
        check_traces(bench, operations, landed=lost in TOOK_EFFECT)

    def test_a_batch_whose_reply_is_lost_is_unknown_as_a_whole_and_probed_record_by_record(self, bench: Bench) -> None:
        need(bench.resource.can.create and bench.resource.can.batch > 1, "it takes one record a call")
        operations = bench.lower(*(bench.create(sample(bench, number)) for number in (41, 42)))
        bench.lose("reply")
        assert {receipt.status for receipt in bench.send(operations).values()} == {"unknown"}
        check_traces(bench, operations, landed=True)

    def test_a_write_whose_answer_is_cut_short_is_never_taken_for_refused(self, bench: Bench) -> None:
        need(bench.resource.can.create, "it cannot create")
        operations = bench.lower(bench.create(sample(bench, 32)))
        first = tuple(operation for operation in operations if not operation.needs)
        bench.lose("half")
        receipts = bench.send(first)
        assert {receipt.status for receipt in receipts.values()} <= {"unknown", "done"}
        assert all(receipt.native for receipt in receipts.values() if receipt.status == "done")
        check_traces(bench, first, landed=True)

    def test_a_probe_of_several_tells_each_by_itself(self, bench: Bench) -> None:
        need(bench.resource.can.create, "it cannot create")
        need(bench.resource.can.probe != "none", "it has no means to tell")
        assert bench.resource.probe
        changes = [bench.create(sample(bench, number)) for number in (61, 62, 63)]
        operations = [tuple(each for each in bench.lower(change) if not each.needs) for change in changes]
        bench.send(operations[0])
        bench.send(operations[2])
        bench.settle()
        traces = bench.run(bench.resource.probe(bench.site, tuple(each for some in operations for each in some)))
        told = [{type(traces[each.op]) for each in some} for some in operations]
        assert told == [{Landed}, {NotLanded}, {Landed}]

    def test_what_a_person_made_alike_is_not_taken_for_ours(self, bench: Bench) -> None:
        need(bench.resource.can.create, "it cannot create")
        need(bench.resource.can.probe == "operation_id", "nothing of ours stands in a record")
        need(bench.add, "nobody adds on this bench")
        assert bench.add
        assert bench.resource.probe
        values = sample(bench, 33)
        operations = bench.lower(bench.create(values))
        bench.lose("request")
        bench.send(operations)
        bench.add(str(values[bench.called]))
        bench.settle()
        traces = bench.run(bench.resource.probe(bench.site, operations))
        assert {type(trace) for trace in traces.values()} == {NotLanded}


def check_traces(bench: Bench, operations: tuple[Any, ...], *, landed: bool) -> None:
    """Probe, once a write is surely visible, and compare with what really happened."""
    assert bench.resource.probe, "a resource that writes can be probed"
    bench.settle()
    before = len(bench.sent)
    traces = bench.run(bench.resource.probe(bench.site, operations))
    assert not any(call.carries for call, _ in bench.sent[before:]), "a probe has no effect"
    assert set(traces) == {operation.op for operation in operations}
    if bench.resource.can.probe == "none":
        expected: type[Any] = CannotTell
    else:
        expected = Landed if landed else NotLanded
    assert {type(trace) for trace in traces.values()} == {expected}, traces
    for operation in operations:
        trace = traces[operation.op]
        if isinstance(trace, Landed):
            assert operation.native in {None, trace.native}
            bench.read(trace.native)
