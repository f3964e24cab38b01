"""What a system says when it fails: each error by what must be done, no secret shown, no allowance overrun."""

# ruff: noqa: D102 - the tests' names are their sentences

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from koppel.model.problem import SetupError
from koppel.sandbox.host import Fault
from koppel.testing.bench import WINDOWS, Bench, RefusedByVerdict
from koppel.testing.contract.records import assert_no_secret, created, reading, sample
from koppel.testing.contract.tried import LOSSES, Tried, need

MOST_CALLS = 600  # to try an allowance out; what allows more is believed
VERDICTS: Mapping[int, frozenset[str]] = {
    401: frozenset({"sign_in", "setup"}),
    403: frozenset({"setup"}),
    429: frozenset({"throttled"}),
    503: frozenset({"unavailable"}),
}


class Failing(Tried):
    """A system with its errors, its secrets and its limits."""

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
