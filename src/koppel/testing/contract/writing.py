"""Writing: what is sent reads back, one refusal spoils no neighbour, and nobody is written over."""

# ruff: noqa: D102 - the tests' names are their sentences

from __future__ import annotations

from koppel.model.kinds import is_blank
from koppel.testing.bench import Bench
from koppel.testing.contract.records import a_record, created, differences, field_of, known, sample, writable
from koppel.testing.contract.tried import Tried, need


class Writing(Tried):
    """A resource that can be written to."""

    def test_what_is_created_reads_back_as_the_resource_says_it_keeps_it(self, bench: Bench) -> None:
        need(bench.resource.can.create, "it cannot create")
        values = sample(bench, 1)
        native = created(bench, values)
        assert differences(bench, values, bench.read(native)[1]) == {}

    def test_each_field_can_be_changed_alone_and_the_others_stay(self, bench: Bench) -> None:
        need(bench.resource.can.update, "it cannot update")
        native, _ = a_record(bench)
        wanted = sample(bench, 2)
        for path in [path for path in wanted if writable(bench, path, "update")]:
            before = bench.read(native)[1].builtins()
            change = bench.update(native, {path: wanted[path]})
            receipts = bench.written(change)
            assert {receipt.status for receipt in receipts.values()} <= {"done"}, (path, receipts)
            bench.settle()
            record = bench.read(native)[1]
            assert differences(bench, {path: wanted[path]}, record) == {}, path
            vendor = set(field_of(bench, path).vendor)
            others = {
                f.path: before.get(f.path)
                for f in bench.resource.can.fields
                if f.readable and not f.own and f.path != path and not vendor & set(f.vendor)
            }
            assert differences(bench, others, record) == {}, f"changing {path} changed something else"

    def test_a_field_that_is_emptied_reads_back_empty(self, bench: Bench) -> None:
        need(bench.resource.can.update, "it cannot update")
        native, _ = a_record(bench)
        for path in ("phone", "email", "website", "vat_number"):
            field = bench.resource.can.field(path)
            if field is None or field.required or not writable(bench, path, "update"):
                continue
            if not bench.read(native)[1].builtins().get(path):
                continue
            receipts = bench.written(bench.update(native, {path: None}))
            assert {receipt.status for receipt in receipts.values()} == {"done"}, (path, receipts)
            bench.settle()
            assert is_blank(bench.read(native)[1].builtins().get(path)), f"{path} was not emptied"

    def test_many_creates_keep_an_outcome_each_and_a_refused_one_spoils_no_neighbour(self, bench: Bench) -> None:
        need(bench.resource.can.create, "it cannot create")
        need(bench.refuse, "the vendor cannot be made to refuse on this bench")
        assert bench.refuse
        wanted = [sample(bench, number) for number in (11, 12, 13)]
        bench.refuse(str(wanted[1][bench.called]))
        changes = [bench.create(values) for values in wanted]
        receipts = bench.written(*changes)
        statuses = [receipts[change.op].status for change in changes]
        assert statuses == ["done", "refused", "done"]
        problem = receipts[changes[1].op].problem
        assert problem, "a refusal says why"
        assert problem.vendor_text, "a refusal carries the vendor's words"
        natives = [str(receipts[changes[number].op].native) for number in (0, 2)]
        assert [
            differences(bench, wanted[number], bench.read(native)[1])
            for number, native in zip((0, 2), natives, strict=True)
        ] == [{}, {}]

    def test_a_refused_update_leaves_the_record_as_it_was(self, bench: Bench) -> None:
        need(bench.resource.can.update, "it cannot update")
        need(bench.refuse, "the vendor cannot be made to refuse on this bench")
        assert bench.refuse
        native, _ = a_record(bench)
        before = bench.read(native)[1]
        bench.refuse("Geweigerd B.V.")
        change = bench.update(native, {bench.called: "Geweigerd B.V."})
        assert [receipt.status for receipt in bench.written(change).values()] == ["refused"]
        assert bench.read(native)[1] == before

    def test_a_change_to_a_record_that_is_gone_does_not_pass_for_done(self, bench: Bench) -> None:
        need(bench.resource.can.update, "it cannot update")
        need(bench.delete, "nobody deletes on this bench")
        assert bench.delete
        native, _ = a_record(bench)
        change = bench.update(native, {bench.called: "Te Laat B.V."})
        bench.delete(native)
        bench.settle()
        receipts = bench.written(change)
        assert {receipt.status for receipt in receipts.values()} <= {"stale", "refused"}, receipts

    def test_every_operation_travels_in_exactly_one_call_that_names_it(self, bench: Bench) -> None:
        need(bench.resource.can.create, "it cannot create")
        operations = bench.lower(*(bench.create(sample(bench, number)) for number in (21, 22, 23)))
        before = len(bench.sent)
        receipts = bench.send(operations)
        carried = [op for call, _ in bench.sent[before:] for op in call.carries]
        assert sorted(carried) == sorted(operation.op for operation in operations)
        assert set(receipts) == set(carried)
        assert len({operation.op for operation in operations}) == len(operations)

    def test_reading_never_claims_to_carry_an_operation(self, bench: Bench) -> None:
        if bench.resource.can.list:
            bench.items()
        if bench.resource.find:
            kind = bench.resource.can.find[0]
            bench.find(kind, *known(bench, kind)[:2])
        assert bench.sent
        assert [call.carries for call, _ in bench.sent if call.carries] == []

    def test_batches_are_no_larger_than_the_resource_says(self, bench: Bench) -> None:
        need(bench.resource.can.create, "it cannot create")
        count = bench.resource.can.batch * 2 + 1
        operations = bench.lower(*(bench.create(sample(bench, 100 + number)) for number in range(count)))
        batches = bench.resource.group(tuple(operation for operation in operations if not operation.needs))
        assert max(len(batch.operations) for batch in batches) <= max(1, bench.resource.can.batch)
        assert sum(len(batch.operations) for batch in batches) == sum(not operation.needs for operation in operations)

    def test_a_record_changed_by_a_person_in_the_meantime_makes_the_update_stale(self, bench: Bench) -> None:
        need(bench.resource.can.conditional, "no precondition can travel")
        need(bench.edit, "nobody edits on this bench")
        assert bench.edit
        native, _ = a_record(bench)
        change = bench.update(native, {bench.called: "Te Laat B.V."})
        bench.host.clock.advance(1)
        bench.edit(native, "Eerder B.V.")
        assert [receipt.status for receipt in bench.written(change).values()] == ["stale"]
