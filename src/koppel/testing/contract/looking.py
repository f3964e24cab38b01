"""Looking up by key, and what a record reads like: never absent by mistake, always something that can be stored."""

# ruff: noqa: D102 - the tests' names are their sentences

from __future__ import annotations

import msgspec

from koppel.model.kinds import normalise
from koppel.model.versions import ENTITIES
from koppel.sandbox.host import Fault
from koppel.systems.spi import Absent, Found, Unknown
from koppel.testing.bench import Bench
from koppel.testing.contract.records import assert_no_secret, known, some_items
from koppel.testing.contract.tried import Tried, need


class Looking(Tried):
    """A resource that can be asked by key."""

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


class Translating(Tried):
    """A resource that holds an entity."""

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
