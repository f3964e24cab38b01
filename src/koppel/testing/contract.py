"""The contract every system keeps, written once: subclass `Contract`, say how to build the bench, and run pytest.

    class TestAccounts(Contract):
        def make(self) -> Bench:
            return Bench(system=SYSTEM, resource_name="accounts", host=…, settings=…, edit=…, add=…)

What a resource's `Can` denies, or the bench cannot do, is skipped with the reason. To see why an assertion failed, a test
folder's conftest says `pytest.register_assert_rewrite("koppel.testing.contract", "koppel.testing.bench")`.
"""

# ruff: noqa: D102 - the tests' names are their sentences

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from koppel.formats import rsin, vat
from koppel.model.can import Field
from koppel.model.company import Company
from koppel.model.kinds import is_blank, normalise
from koppel.model.problem import SetupError
from koppel.model.record import Record
from koppel.model.values import Json
from koppel.model.versions import ENTITIES
from koppel.sandbox.host import Fault
from koppel.systems.spi import Absent, CannotTell, Found, Item, Landed, NotLanded, Page, Query, Unknown
from koppel.testing.bench import TOOK_EFFECT, WINDOWS, Bench, Loss, RefusedByVerdict

SEEDS = (1, 2, 3, 4, 5)
ROUNDS = 4  # pages after which people edit
LOSSES: tuple[Loss, ...] = ("request", "reply", "outage", "effect")
MOST_CALLS = 600  # to try an allowance out; what allows more is believed
VERDICTS: Mapping[int, frozenset[str]] = {
    401: frozenset({"sign_in", "setup"}),
    403: frozenset({"setup"}),
    429: frozenset({"throttled"}),
    503: frozenset({"unavailable"}),
}


class Contract:
    """One resource of one system. A subclass named `Test…` defines `make`."""

    def make(self) -> Bench:
        """A bench with a fresh sandbox: the same every time."""
        raise NotImplementedError

    def make_large(self) -> Bench:
        """A bench with more records than one page holds, when `make` has fewer."""
        return self.make()

    @pytest.fixture
    def bench(self) -> Bench:
        """The bench of one test."""
        return self.make()

    @pytest.fixture
    def large(self) -> Bench:
        """The bench of a test that turns pages."""
        return self.make_large()

    # --- listing ----------------------------------------------------------------------------------------------------

    def test_every_record_is_listed_exactly_once_over_several_pages(self, large: Bench) -> None:
        need(large.resource.can.list, "it cannot be listed")
        pages = large.pages()
        natives = [item.native for page in pages for item in page.items]
        assert natives, "the sandbox holds nothing: the bench proves nothing"
        assert len(natives) == len(set(natives)), "a record was listed twice"
        assert large.natives is None or set(natives) == large.natives(), "the listing is not what really exists"
        assert len(pages) > 1, "one page holds all: make `make_large` larger"

    def test_only_the_last_page_says_that_all_was_seen(self, large: Bench) -> None:
        need(large.resource.can.list, "it cannot be listed")
        complete = [page.complete for page in large.pages()]
        assert complete == [False] * (len(complete) - 1) + [True]

    def test_nothing_changed_costs_one_call_and_tells_nothing_new(self, bench: Bench) -> None:
        cursor, seen = listed(bench)
        before = len(bench.sent)
        pages = bench.pages(cursor)
        calls = [call for call, _ in bench.sent[before:]]
        again = {(item.native, item.version) for page in pages for item in page.items}
        assert len(calls) == 1, [call.request.url for call in calls]
        assert again <= seen, "a record came as new that did not change"
        assert not any(page.complete for page in pages), "a partial listing proves no absence"

    def test_a_change_is_seen_by_the_next_listing(self, bench: Bench) -> None:
        cursor, seen = listed(bench)
        native = min(native for native, _ in seen)
        assert bench.edit
        bench.host.clock.advance(1)
        bench.edit(native, "Gewijzigd B.V.")
        changed = [item for page in bench.pages(cursor) for item in page.items if item.native == native]
        assert changed, "the change was not seen"
        assert named(bench, changed[-1]) == normalise("name", "Gewijzigd B.V.")

    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize("pace", [0.0, 0.4, 30.0], ids=["equal stamps", "late stamps", "apart"])
    def test_nothing_is_missed_while_people_change_records_between_pages(
        self, large: Bench, seed: int, pace: float
    ) -> None:
        need(large.resource.can.since, "it cannot tell what changed")
        need(large.edit, "nobody edits on this bench")
        dice = random.Random(seed)  # noqa: S311 - a test's dice
        natives = sorted(item.native for item in large.items())
        view: dict[str, Item] = {}

        def disturb(number: int) -> None:
            if number > ROUNDS:
                return  # people who edit faster than pages come would keep a listing from ever ending
            for native in dice.sample(natives, min(3, len(natives))):
                assert large.edit
                large.edit(native, f"Ronde {number} {dice.randrange(1000)} B.V.")
            if large.add and dice.random() < 0.5:
                large.add(f"Nieuw {number} {dice.randrange(1000)} B.V.")
            large.host.clock.advance(pace)

        pages = large.pages(between=disturb)
        disturb(0)
        pages += large.pages(last_cursor(pages), between=disturb)
        large.settle()
        pages += large.pages(last_cursor(pages))
        for page in pages:
            view |= {item.native: item for item in page.items}
        truth = {item.native: large.record(item).builtins() for item in large.items()}
        assert set(truth) <= set(view), "a record was never seen"
        seen = {native: large.record(view[native]).builtins() for native in truth}
        assert {n: seen[n] for n in truth if seen[n] != truth[n]} == {}, "an older state of a record was kept"

    def test_a_listing_cut_off_after_a_page_goes_on_from_its_stored_cursor(self, large: Bench) -> None:
        need(large.resource.can.list, "it cannot be listed")
        everything = {item.native for item in large.items()}
        first: Page = large.run(large.resource.pages(large.site, Query(size=large.page)))
        assert first.next, "one page holds all: make `make_large` larger"
        rest = large.pages(first.cursor)
        seen = {item.native for page in (first, *rest) for item in page.items}
        assert seen == everything, "records between the stored page and the restart were lost"

    def test_a_page_asked_twice_is_the_same_page(self, large: Bench) -> None:
        need(large.resource.can.list, "it cannot be listed")
        query = Query(size=large.page)
        for _ in range(3):  # a run that was killed before it stored a page asks for it again
            page, again = (large.run(large.resource.pages(large.site, query)) for _ in range(2))
            assert [item.native for item in again.items] == [item.native for item in page.items]
            assert (again.next is None, again.complete) == (page.next is None, page.complete)
            if page.next is None:
                break
            query = Query(next=page.next, size=large.page)

    def test_what_was_saved_late_is_not_missed(self, bench: Bench) -> None:
        need(bench.late, "nobody saves late on this bench")
        cursor, seen = listed(bench)
        assert bench.edit
        assert bench.late
        early, late = sorted({native for native, _ in seen})[:2]
        bench.host.clock.advance(30)
        bench.edit(early, "Op Tijd B.V.")  # the listing has shown this stamp …
        cursor = last_cursor(bench.pages(cursor)) or cursor
        bench.late(late, "Te Laat Opgeslagen B.V.")  # … when an older one becomes visible
        items = [item for page in bench.pages(cursor) for item in page.items if item.native == late]
        assert items, "a record saved with an older stamp was never seen"
        assert named(bench, items[-1]) == normalise("name", "Te Laat Opgeslagen B.V.")

    def test_a_deleted_record_is_reported_as_gone(self, bench: Bench) -> None:
        need(bench.resource.can.tombstones, "it does not tell what was deleted")
        need(bench.delete, "nobody deletes on this bench")
        assert bench.delete
        feed = bench.resource.tombstones or bench.resource_name
        cursor = last_cursor(bench.pages(resource=feed))
        native = min(item.native for item in bench.items())
        bench.host.clock.advance(1)
        bench.delete(native)
        bench.settle()
        gone = [entry for page in bench.pages(cursor, resource=feed) for entry in page.gone]
        assert (bench.resource_name, native) in gone

    # --- finding ----------------------------------------------------------------------------------------------------

    def test_keys_that_exist_are_found_and_others_are_absent_in_bulk(self, bench: Bench) -> None:
        need(bench.resource.find, "it cannot be asked by key")
        for kind in bench.resource.can.find:
            present, absent = known(bench, kind), tuple(bench.absent.get(kind, ()))
            assert present, f"the bench knows no value of kind {kind!r} that exists"
            findings = bench.find(kind, *present, *absent)
            assert set(findings) == {*present, *absent}
            wrong = {value: findings[value] for value in present if not isinstance(findings[value], Found)}
            assert wrong == {}, "what exists was not found"
            believed = {value: findings[value] for value in absent if not isinstance(findings[value], Absent)}
            assert believed == {}, "what does not exist was not absent"

    def test_finding_many_stays_within_what_the_resource_says_one_look_up_takes(self, bench: Bench) -> None:
        need(bench.resource.find, "it cannot be asked by key")
        can = bench.resource.can
        kind = can.find[0]
        values = known(bench, kind)
        before = len(bench.sent)
        bench.find(kind, *values)
        chunks = -(-len(values) // max(1, can.find_batch))
        # A chunk is one call and, at most, a second page of it.
        assert len(bench.sent) - before <= 2 * chunks

    def test_a_record_found_by_key_reads_like_the_same_record_listed(self, bench: Bench) -> None:
        need(bench.resource.can.list, "it cannot be listed")
        need("native" in bench.resource.can.find, "it cannot be asked by id")
        listing = {item.native: bench.record(item).builtins() for item in bench.items()}
        findings = bench.find("native", *listing)
        found = {
            item.native: bench.record(item).builtins()
            for each in findings.values()
            if isinstance(each, Found)
            for item in each.items
        }
        assert found == listing

    def test_an_answer_cut_short_is_never_taken_for_absence(self, bench: Bench) -> None:
        need(bench.resource.find, "it cannot be asked by key")
        assert bench.resource.find
        kind = bench.resource.can.find[0]
        value = known(bench, kind)[0]
        bench.host.add_fault(Fault(system=bench.system.name, kind="truncate", times=20))
        try:
            finding = bench.run(bench.resource.find(bench.site, kind, (value,))).get(value)
        except Exception as error:  # noqa: BLE001 - whichever way it gives up, it must not say "absent"
            assert_no_secret(bench, str(error))
        else:
            assert finding is None or isinstance(finding, Unknown), finding

    # --- translating ------------------------------------------------------------------------------------------------

    def test_every_record_becomes_an_entity_that_can_be_stored(self, bench: Bench) -> None:
        need(bench.resource.decode, "it holds no entity")
        assert bench.resource.decode
        entity = ENTITIES[bench.resource.entity]
        for item in some_items(bench):
            decoded = bench.resource.decode(bench.site, item)
            assert isinstance(decoded.record.entity, entity)
            assert msgspec.convert(decoded.record.builtins(), entity) == decoded.record.entity
            assert msgspec.json.decode(msgspec.json.encode(item)) == msgspec.to_builtins(item)
            for problem in decoded.problems:
                assert problem.code
                assert_no_secret(bench, str(problem))

    def test_every_field_that_is_filled_stands_in_the_field_table(self, bench: Bench) -> None:
        need(bench.resource.decode, "it holds no entity")
        told = {path for item in some_items(bench) for path in bench.record(item).builtins()}
        table = {field.path for field in bench.resource.can.fields if field.readable and not field.own}
        assert told <= table, "fields that no flow could be checked against"

    def test_each_form_takes_whatever_the_resource_shows_and_nothing(self, bench: Bench) -> None:
        need(bench.resource.decode, "it holds no entity")
        for item in some_items(bench):
            shown = bench.record(item).builtins()
            for field in bench.resource.can.fields:
                formed = normalise(field.kind, field.form(shown.get(field.path)))
                assert msgspec.json.decode(msgspec.json.encode(formed)) == formed, field.path
                assert normalise(field.kind, field.form(None)) in {None, False}, (
                    f"{field.path}: nothing became something"
                )

    # --- writing ----------------------------------------------------------------------------------------------------

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

    def test_a_record_changed_by_a_person_in_the_meantime_makes_the_update_stale(self, bench: Bench) -> None:
        need(bench.resource.can.conditional, "no precondition can travel")
        need(bench.edit, "nobody edits on this bench")
        assert bench.edit
        native, _ = a_record(bench)
        change = bench.update(native, {bench.called: "Te Laat B.V."})
        bench.host.clock.advance(1)
        bench.edit(native, "Eerder B.V.")
        assert [receipt.status for receipt in bench.written(change).values()] == ["stale"]

    # --- errors, secrets, limits --------------------------------------------------------------------------------------

    @pytest.mark.parametrize("status", sorted(VERDICTS))
    def test_each_error_is_judged_by_what_must_be_done(self, bench: Bench, status: int) -> None:
        call = bench.reading_call()
        request = bench.signed(call)
        bench.host.add_fault(Fault(system=bench.system.name, kind="status", status=status))
        _, response = bench.answer(call)
        assert response.status == status
        verdict = bench.system.verdict(request, response, bench.host.clock.now())
        assert verdict.kind in VERDICTS[status]
        assert verdict.problem, "a person must be told"
        assert verdict.problem.text
        assert_no_secret(bench, str(verdict.problem))
        names = {budget.name for budget in bench.system.budgets}
        assert verdict.budget is None or verdict.budget in names
        assert verdict.retry_at is None or verdict.retry_at > bench.host.clock.now() - 1

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_passing_fault_is_waited_out_and_changes_no_answer(self, bench: Bench, status: int) -> None:
        truth = reading(self.make())
        bench.host.add_fault(Fault(system=bench.system.name, kind="status", status=status))
        assert reading(bench) == truth

    @pytest.mark.parametrize("status", [403])
    def test_a_missing_right_ends_the_exchange_instead_of_looking_like_nothing_there(
        self, bench: Bench, status: int
    ) -> None:
        bench.host.add_fault(Fault(system=bench.system.name, kind="status", status=status, times=20))
        with pytest.raises((RefusedByVerdict, SetupError)):  # the latter while it asks for a token
            reading(bench)

    def test_secrets_show_neither_in_addresses_nor_in_print(self, bench: Bench) -> None:
        reading(bench)
        if bench.resource.can.create:
            created(bench, sample(bench, 51))
        secrets = bench.all_secrets()
        assert secrets, "the bench holds no secret, so it proves nothing: mark the setting, or name it in `secrets`"
        for call, request in bench.sent:
            assert_no_secret(bench, request.url)
            assert_no_secret(bench, repr(call) if call.request.method == "GET" else call.request.url)
            assert_no_secret(bench, repr(request))
        assert_no_secret(bench, repr(bench.settings))
        assert_no_secret(bench, repr(bench.tokens))

    def test_what_goes_wrong_is_told_without_a_secret(self, bench: Bench) -> None:
        need(bench.resource.can.create, "it cannot create")
        told: list[str] = []
        for number, lost in enumerate(LOSSES):
            bench.lose(lost)
            receipts = bench.written(bench.create(sample(bench, 71 + number)))
            told += [repr(receipt) for receipt in receipts.values()]
        if bench.refuse:
            values = sample(bench, 79)
            bench.refuse(str(values[bench.called]))
            told += [repr(receipt) for receipt in bench.written(bench.create(values)).values()]
        for text in told:
            assert_no_secret(bench, text)

    def test_requests_stay_on_the_hosts_the_system_names(self, bench: Bench) -> None:
        reading(bench)
        hosts = bench.system.hosts(bench.settings)
        need(hosts, "it names no hosts")
        assert {urlsplit(request.url).hostname for _, request in bench.sent} <= set(hosts)

    def test_who_keeps_the_declared_allowances_is_never_throttled(self, bench: Bench) -> None:
        short = [each for each in bench.system.budgets if each.counts == "calls" and WINDOWS[each.window] <= WINDOWS["minute"]]  # fmt: skip
        need(short, "it declares no allowance by the minute")
        budget = min(short, key=lambda each: each.limit)
        need(budget.limit <= MOST_CALLS, "the allowance is too large to be tried out")
        call = bench.reading_call()
        assert budget.key(call.request) is not None, "reading is not counted"
        bench.pays = True
        bench.host.clock.advance(WINDOWS[budget.window])
        before = len(bench.verdicts)
        for _ in range(budget.limit + budget.limit // 2 + 2):
            with suppress(RefusedByVerdict):
                bench.reading_call()
            told = {verdict.kind for verdict in bench.verdicts[before:]}
            assert told == {"ok"}, "the vendor counts more than is declared"

    def test_what_an_answer_says_of_the_allowances_can_be_read(self, bench: Bench) -> None:
        call = bench.reading_call()
        request, response = bench.answer(call)
        budgets = {budget.name: budget for budget in bench.system.budgets}
        for budget in budgets.values():
            assert isinstance(budget.key(request), str | None)
            assert 0 <= budget.reserve < budget.limit
        readings = bench.system.readings(request, response, bench.host.clock.now())
        need(readings, "the vendor tells nothing of its allowances")
        for told in readings:
            assert told.key == budgets[told.name].key(request), "told of another account than the one that paid"
            assert 0 <= told.remaining <= told.limit
            assert told.reset_at >= bench.host.clock.now()
        _, after = bench.answer(call)
        left = {told.name: told.remaining for told in bench.system.readings(request, after, bench.host.clock.now())}
        assert left == {told.name: told.remaining - 1 for told in readings}, "two calls do not count as two"


# --- what the tests are made of -------------------------------------------------------------------------------------


def need(condition: object, reason: str) -> None:
    """Skip with the reason unless the condition holds."""
    if not condition:
        pytest.skip(reason)


def listed(bench: Bench) -> tuple[Any, set[tuple[str, str]]]:
    """List all once: the cursor to go on from, and what was seen."""
    need(bench.resource.can.since, "it cannot tell what changed")
    need(bench.edit, "nobody edits on this bench")
    pages = bench.pages()
    cursor = last_cursor(pages)
    assert cursor is not None, "a whole listing leaves a cursor to go on from"
    return cursor, {(item.native, item.version) for page in pages for item in page.items}


def last_cursor(pages: list[Page]) -> Any:
    """The cursor the store holds after these pages."""
    return next((page.cursor for page in reversed(pages) if page.cursor is not None), None)


def some_items(bench: Bench) -> list[Item]:
    """Every record, or those known by key of a resource that cannot be listed."""
    if bench.resource.can.list:
        return bench.items()
    kind = bench.resource.can.find[0]
    found = bench.find(kind, *known(bench, kind)).values()
    return [item for each in found if isinstance(each, Found) for item in each.items]


def reading(bench: Bench) -> dict[str, dict[str, Json]]:
    """Everything the resource shows, by id."""
    return {item.native: bench.record(item).builtins() for item in some_items(bench)}


def known(bench: Bench, kind: str) -> tuple[str, ...]:
    """Values of a kind of key that exist: named on the bench, else taken from the records."""
    if kind in bench.present:
        return tuple(bench.present[kind])
    if not bench.resource.can.list:
        return ()
    if kind == "native":
        return tuple(item.native for item in bench.items())
    keys = (key for item in bench.items() for key in bench.record(item).entity.match_keys())
    return tuple(dict.fromkeys(value for name, value in keys if name == kind))


def named(bench: Bench, item: Item) -> Json:
    """The record's name, normalised."""
    return normalise("name", bench.record(item).builtins().get(bench.called))


def field_of(bench: Bench, path: str) -> Field:
    """The field; a value for a path that is not in the table is a mistake on the bench."""
    field = bench.resource.can.field(path)
    assert field, f"{path} is not in the field table"
    return field


def writable(bench: Bench, path: str, when: str) -> bool:
    """Whether the field can be written then, and read back."""
    field = bench.resource.can.field(path)
    return bool(
        field and field.writable in {"always", when} and field.readable and path not in bench.resource.can.unread
    )


def same(field: Field, left: Json, right: Json) -> bool:
    """Whether two forms are one value."""
    return normalise(field.kind, left) == normalise(field.kind, right)


def differences(bench: Bench, values: dict[str, Json], record: Record) -> dict[str, tuple[Json, Json]]:
    """Fields the record does not show as they were sent, each in the resource's own form: (sent, shown)."""
    shown = record.builtins()
    found: dict[str, tuple[Json, Json]] = {}
    for path, value in values.items():
        field = field_of(bench, path)
        if path in bench.resource.can.unread or not field.readable:
            continue
        sent, kept = field.form(value), field.form(shown.get(path))
        if not same(field, sent, kept):
            found[path] = (sent, kept)
    return found


def created(bench: Bench, values: dict[str, Json]) -> str:
    """Create a record and return its id."""
    change = bench.create(values)
    receipts = bench.written(change)
    assert {receipt.status for receipt in receipts.values()} == {"done"}, receipts
    native = receipts[change.op].native
    assert native, "a create that is done names the record"
    bench.settle()
    return native


def a_record(bench: Bench) -> tuple[str, dict[str, Json]]:
    """A record to change: created when that is possible, else the first that exists."""
    if bench.resource.can.create:
        values = sample(bench, 1)
        return created(bench, values), values
    return known(bench, "native")[0], {}


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


def sample(bench: Bench, number: int) -> dict[str, Json]:
    """Made-up values for what the resource lets us write: the bench's own, else a company's."""
    if bench.values:
        return bench.values(number)
    assert bench.resource.entity == "company", "give the bench `values` for this entity"
    return {path: value for path, value in company_values(number).items() if writable(bench, path, "create")}


def company_values(number: int) -> dict[str, Json]:
    """A made-up company's canonical values, different for each number in every field."""
    rsin_number = made_up_rsin(number)
    values: dict[str, Json] = {
        "name": f"Voorbeeld {number} B.V.",
        "kvk": f"{90_100_000 + number:08}",
        "vat_number": vat.from_rsin(rsin_number),
        "rsin": rsin_number,
        "address": {
            "street": "Dorpsstraat",
            "number": str(number),
            "suffix": "A",
            "postcode": f"{1000 + number}AB",
            "city": f"Plaats {number}",
            "country": "NL",
        },
        "phone": f"+3120{5_550_000 + number}",
        "email": f"info{number}@voorbeeld.example",
        "website": f"https://voorbeeld{number}.example",
    }
    assert msgspec.convert(values, Company)
    return values


def made_up_rsin(number: int) -> str:
    """The number-th RSIN of a made-up range, with a check digit that fits."""
    found = (
        f"{body}{check}"
        for body in range(82_100_000, 82_200_000)
        for check in range(10)
        if rsin.is_valid(f"{body}{check}")
    )
    return next(value for position, value in enumerate(found) if position == number)


def assert_no_secret(bench: Bench, text: str) -> None:
    """No secret of the bench stands in the text; the failure names which, not what."""
    for position, secret in enumerate(bench.all_secrets()):
        assert secret not in text, f"secret {position} of the bench shows in a text of {len(text)} characters"
