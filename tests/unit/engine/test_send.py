"""Sending: what is waited for, what is sent again, what is left to the exchange; and the vendors' allowances."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from koppel.engine.ports import Connection, NotSent, Ports
from koppel.engine.send import Sender, gather_limited, window_end
from koppel.model.problem import Problem, RetryLater, SetupError, SignInNeeded
from koppel.store import budgets
from koppel.store.store import in_memory
from koppel.store.vault import Vault
from koppel.systems.spi import (
    Auth,
    Budget,
    BudgetReading,
    Call,
    NoReply,
    Refreshed,
    Request,
    Response,
    StillGood,
    System,
    Tokens,
    Verdict,
)

START = 1_000_020.0  # twenty seconds into a clock minute
MINUTE_END = 1_000_020.0 - 1_000_020.0 % 60 + 60


class Settings(msgspec.Struct, frozen=True):
    pass


def verdict(request: Request, response: Response, as_of: float) -> Verdict:
    said = Problem("said", "no", vendor_text=response.headers.get("said"))
    after = response.headers.get("retry-after")
    at = as_of + float(after) if after else None
    match response.status:
        case 429:
            return Verdict("throttled", said, at, budget="minute")
        case 503:
            return Verdict("unavailable", said, at)
        case 401:
            return Verdict("sign_in", said)
        case 403:
            return Verdict("setup", said)
        case 400:
            return Verdict("ok", counts_as_error=True)
        case _:
            return Verdict("ok")


def readings(request: Request, response: Response, as_of: float) -> tuple[BudgetReading, ...]:
    if "left" not in response.headers:
        return ()
    return (BudgetReading("minute", "one", int(response.headers["left"]), 100, as_of - as_of % 60 + 60),)


class Bench:
    """A vendor that answers as told, and senders that share a store and a clock."""

    def __init__(
        self, *replies: Any, limits: tuple[Budget, ...] = (), refresh: Callable[..., Any] | None = None
    ) -> None:
        self.replies: Iterator[Any] = iter(replies)
        self.sent: list[tuple[float, Request]] = []
        self.now = START
        self.waits: list[float] = []
        self.store = in_memory(Vault(bytes(32)))
        self.told: list[str] = []
        self.refreshes = 0
        auth = Auth(
            kind="oauth_code" if refresh else "key",
            authorize=lambda settings, tokens, request: msgspec.structs.replace(
                request, headers={"Authorization": tokens.access}
            ),
            due=lambda tokens, as_of: "fresh",
            refresh=refresh,
            tokens_from=None if refresh else (lambda settings: Tokens("key")),
        )
        system = System(
            name="toy",
            title="Toy",
            settings=Settings,
            resources=(),
            auth=auth,
            verdict=verdict,
            readings=readings,
            budgets=limits,
        )
        self.connection = Connection(name="books", system=system, settings=Settings())
        self.sender = self.new_sender()
        if refresh:
            asyncio.run(self.sender.logins.keep(self.connection, Tokens("old", "r1")))

    def new_sender(self, *, interactive: bool = False) -> Sender:
        bench = self

        class Clock:
            def now(self) -> float:
                return bench.now

            async def sleep(self, seconds: float) -> None:
                bench.waits.append(seconds)
                bench.now += seconds

        class Wire:
            async def send(self, request: Request, *, timeout: float) -> Any:  # noqa: ASYNC109
                bench.sent.append((bench.now, request))
                return next(bench.replies)

        ports = Ports(
            store=self.store,
            clock=Clock(),
            transport=Wire(),
            connections={},
            worker="w",
            interactive=interactive,
            tell=self.told.append,
        )
        return Sender(ports)

    def call(self, *carries: str, sender: Sender | None = None) -> Any:
        def exchange() -> Any:
            return (yield Call(Request("GET", "https://toy.example/x"), carries, kind="thing"))

        return asyncio.run((sender or self.sender).run(self.connection, exchange()))


def said(status: int = 200, **headers: str) -> Response:
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()})


# --- waiting and repeating ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("carries", [(), ("op",)])
def test_a_429_waits_exactly_to_the_reset_given_and_sends_again_a_write_too(carries: tuple[str, ...]) -> None:
    bench = Bench(said(429, retry_after="17"), said())
    assert bench.call(*carries).status == 200
    assert [at - START for at, _ in bench.sent] == [0.0, pytest.approx(17.0, abs=0.1)]
    assert bench.sent[1][0] >= START + 17.0  # not a moment too early


def test_a_429_without_a_time_waits_for_the_end_of_the_vendors_window() -> None:
    limit = Budget(name="minute", limit=60, window="minute", key=lambda request: "one")
    bench = Bench(said(429), said(), limits=(limit,))
    bench.call()
    assert bench.sent[1][0] == pytest.approx(MINUTE_END, abs=0.1)


def test_a_429_that_never_ends_ends_the_run_with_a_time() -> None:
    bench = Bench(*[said(429, retry_after="100") for _ in range(50)])
    with pytest.raises(RetryLater) as caught:
        bench.call("op")
    assert bench.now - START <= bench.sender.ports.patience + 200
    assert caught.value.at > bench.now
    assert bench.sender.out["op"] == 0  # surely without effect


def test_a_wait_longer_than_anybody_wants_ends_the_run_at_once() -> None:
    bench = Bench(said(429, retry_after="5000", said="dagquota"))
    with pytest.raises(RetryLater, match="dagquota") as caught:
        bench.call()
    assert (bench.waits, caught.value.at) == ([], START + 5000)
    assert "1970-01-12" in str(caught.value)  # it says when it goes on


def test_a_503_on_a_read_is_repeated_after_its_retry_after() -> None:
    bench = Bench(said(503, retry_after="9"), said(503, retry_after="9"), said())
    assert bench.call().status == 200
    assert [round(at - START) for at, _ in bench.sent] == [0, 9, 18]


def test_a_503_on_a_write_reaches_the_exchange_unrepeated() -> None:
    bench = Bench(said(503, retry_after="9"))
    assert bench.call("op").status == 503
    assert len(bench.sent) == 1
    assert bench.sender.out["op"] == 1  # it may have had an effect


def test_silence_on_a_write_reaches_the_exchange() -> None:
    bench = Bench(NoReply("lost"))
    assert bench.call("op") == NoReply("lost")
    assert (len(bench.sent), bench.sender.out["op"]) == (1, 1)


def test_silence_on_a_read_is_repeated_with_growing_pauses() -> None:
    bench = Bench(NoReply(), NoReply(), said())
    assert bench.call().status == 200
    assert [round(wait) for wait in bench.waits] == [2, 10]


def test_silence_without_end_ends_the_run_and_says_that_nothing_is_lost() -> None:
    bench = Bench(*[NoReply("lost") for _ in range(9)])
    with pytest.raises(RetryLater, match="nothing is lost"):
        bench.call()
    assert len(bench.sent) == 5


def test_what_never_left_is_sent_again_a_write_too() -> None:
    bench = Bench(NotSent("refused"), said())
    assert bench.call("op").status == 200
    assert bench.sender.out["op"] == 1


def test_a_missing_right_ends_the_run_with_the_vendors_words() -> None:
    bench = Bench(said(403, said="geen rechten"))
    with pytest.raises(SetupError, match="geen rechten"):
        bench.call("op")
    assert bench.sender.out["op"] == 0


def test_every_call_is_counted_by_its_kind() -> None:
    bench = Bench(said(429, retry_after="1"), said(), said())
    bench.call()
    bench.call()
    assert bench.sender.calls == {("toy", "thing"): 3}


# --- signing in -----------------------------------------------------------------------------------------------------------


def renews(settings: Any, tokens: Tokens, as_of: float) -> Any:
    reply = yield Call(Request("POST", "https://toy.example/token"), ("token",), kind="token")
    assert isinstance(reply, Response)
    return Refreshed(Tokens("new", "r2", obtained_at=as_of)) if reply.status == 200 else StillGood()


def test_a_401_leads_to_one_refresh_and_one_repetition_with_the_new_token() -> None:
    bench = Bench(said(401), said(), said(), refresh=renews)
    assert bench.call("op").status == 200
    assert [r.headers.get("Authorization") for _, r in bench.sent] == ["old", None, "new"]
    assert bench.sender.out["op"] == 1


def test_a_pair_that_somebody_stored_meanwhile_is_used_and_not_refreshed_away() -> None:
    bench = Bench(refresh=renews)
    logins = bench.sender.logins
    asyncio.run(logins.keep(bench.connection, Tokens("theirs", "r9")))
    found = asyncio.run(logins._refresh(bench.connection, Tokens("old", "r1"), forced=True))
    assert (found.access, bench.sent) == ("theirs", [])


def test_a_second_401_asks_for_a_person() -> None:
    bench = Bench(said(401), said(), said(401, said="verlopen"), refresh=renews)
    with pytest.raises(SignInNeeded, match="verlopen") as caught:
        bench.call()
    assert len(bench.sent) == 3
    assert caught.value.remedy
    assert caught.value.login


def test_a_401_of_a_token_the_vendor_calls_good_asks_for_a_person() -> None:
    bench = Bench(said(401), said(400), refresh=renews)
    with pytest.raises(SignInNeeded):
        bench.call()


def test_a_401_of_a_key_asks_for_a_person() -> None:
    bench = Bench(said(401))
    with pytest.raises(SignInNeeded, match="not accepted"):
        bench.call()
    assert len(bench.sent) == 1


# --- allowances -----------------------------------------------------------------------------------------------------------


def per_minute(limit: int, **given: Any) -> Budget:
    return Budget(**{"name": "minute", "limit": limit, "window": "minute", "key": lambda request: "one"} | given)


def in_minutes(bench: Bench) -> list[int]:
    minutes: dict[float, int] = {}
    for at, _ in bench.sent:
        minutes[at // 60] = minutes.get(at // 60, 0) + 1
    return list(minutes.values())


def test_two_senders_on_one_store_share_one_allowance_of_the_clock_minute() -> None:
    bench = Bench(*[said()] * 25, limits=(per_minute(10),))
    other = bench.new_sender()
    for number in range(25):
        bench.call(sender=other if number % 2 else None)
    assert in_minutes(bench) == [10, 10, 5]
    assert bench.sent[10][0] == pytest.approx(MINUTE_END, abs=0.1)


def test_what_the_vendor_says_is_left_outranks_our_count() -> None:
    bench = Bench(said(left="1"), *[said()] * 3, limits=(per_minute(10),))
    for _ in range(3):
        bench.call()
    assert in_minutes(bench) == [2, 1]


def test_a_reserve_is_kept_for_people() -> None:
    bench = Bench(*[said()] * 11, limits=(per_minute(10, reserve=4),))
    for _ in range(6):
        bench.call()
    person = bench.new_sender(interactive=True)
    for _ in range(3):
        bench.call(sender=person)
    bench.call()
    assert in_minutes(bench) == [9, 1]  # one of the reserve was still there, but not for a machine


def test_errors_close_their_own_allowance_and_good_calls_do_not_use_it() -> None:
    errors = Budget(name="errors", limit=3, window="hour", key=lambda request: "one", counts="errors")
    bench = Bench(said(), said(), said(400), said(400), said(400), limits=(errors,))
    bench.sender.ports.patience = 100.0
    for _ in range(5):
        bench.call()
    with pytest.raises(RetryLater) as caught:
        bench.call()
    assert len(bench.sent) == 5
    assert caught.value.at == window_end(errors, START)


def test_a_day_that_is_used_up_ends_the_run_with_the_time_it_goes_on() -> None:
    day = Budget(name="day", limit=2, window="day", key=lambda request: "one", zone="Europe/Amsterdam")
    bench = Bench(said(), said(), limits=(day,))
    bench.call()
    bench.call()
    with pytest.raises(RetryLater, match="used up") as caught:
        bench.call("op")
    assert caught.value.at == window_end(day, START)
    assert len(bench.sent) == 2
    assert bench.sender.out["op"] == 0


def test_a_call_that_is_not_counted_is_never_held_up() -> None:
    bench = Bench(*[said()] * 3, limits=(per_minute(1, key=lambda request: None),))
    for _ in range(3):
        bench.call()
    assert bench.waits == []


def test_a_call_takes_from_all_of_its_allowances_or_from_none() -> None:
    both = (per_minute(1), per_minute(5, name="other"))
    bench = Bench(said(), said(), limits=both)
    bench.call()
    bench.call()  # waits for the first allowance, and takes one of the second only when it goes
    used = {account.name: account.used for account in bench.store.run(budgets.listed)}
    assert used == {"minute": 1, "other": 1}


@pytest.mark.parametrize(
    ("window", "zone", "at", "end"),
    [
        ("second", "UTC", 1_700_000_000.25, 1_700_000_001),
        ("minute", "UTC", 1_700_000_000, 1_700_000_040),
        ("hour", "UTC", 1_700_000_000, 1_700_002_800),
        ("day", "UTC", 1_700_000_000, 1_700_006_400),
        ("day", "Europe/Amsterdam", 1_774_738_800, 1_774_821_600),  # the night summer time begins: 23 hours
        ("month", "UTC", 1_700_000_000, 1_701_388_800),
        ("month", "UTC", 1_704_000_000, 1_704_067_200),  # December
    ],
)
def test_windows_end_where_the_vendors_clock_says(window: Any, zone: str, at: float, end: float) -> None:
    assert window_end(Budget(name="x", limit=1, window=window, key=lambda request: "", zone=zone), at) == end


# --- side by side ---------------------------------------------------------------------------------------------------------


def test_no_more_than_the_limit_run_at_once_and_results_keep_their_order() -> None:
    running, most = 0, 0

    async def job(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number

    assert asyncio.run(gather_limited(3, [job(n) for n in range(10)])) == list(range(10))
    assert most == 3


def test_after_the_first_error_nothing_goes_on_in_the_background() -> None:
    begun: list[int] = []

    async def job(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0)
        if number == 1:
            raise ValueError("one")
        await asyncio.sleep(0)
        begun.append(number + 100)

    async def both() -> None:
        with pytest.raises(ValueError, match="one"):
            await gather_limited(2, [job(n) for n in range(6)])
        before = list(begun)
        for _ in range(10):
            await asyncio.sleep(0)
        assert begun == before

    asyncio.run(both())
