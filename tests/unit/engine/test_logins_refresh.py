"""Refreshing a single-use token: by one worker at a time, inside the vendor's window, stored before it is used (law 9)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from koppel.engine.logins import Logins
from koppel.engine.send import Sender
from koppel.model.problem import RetryLater, SignInNeeded
from koppel.store import leases, notes, secrets
from koppel.systems.spi import NoReply, Tokens

TOKEN = "oauth2/token"


def books(desk: Any) -> Any:
    return desk.connections["books-nl"]


def logins(desk: Any, worker: str = "one") -> Logins:
    return Sender(desk.new_ports(worker)).logins


def stored(desk: Any) -> Tokens:
    return msgspec.convert(desk.store.run(secrets.get, f"tokens {books(desk).login}")[0], Tokens)


def tokens(desk: Any) -> Tokens:
    return asyncio.run(logins(desk).tokens(books(desk)))


def refreshes(desk: Any) -> int:
    return desk.count("exact", "POST", TOKEN)


@pytest.mark.parametrize(("age", "calls"), [(0, 0), (400, 0), (569, 0), (571, 1), (3600, 1)])
def test_a_token_is_refreshed_inside_the_vendors_window_only(desk: Any, age: float, calls: int) -> None:
    before = stored(desk)
    desk.later(age)
    used = tokens(desk)
    assert refreshes(desk) == calls
    assert (used.access != before.access) == bool(calls)


def test_the_new_pair_is_stored_before_anybody_uses_it_and_the_old_one_is_kept(desk: Any) -> None:
    before = stored(desk)
    desk.later(580.0)
    seen: list[str] = []

    async def point(name: str) -> None:
        if name in ("token received", "token stored"):
            seen.append(f"{name}: {stored(desk).access == before.access}")

    ports = desk.new_ports("one")
    ports.point = point
    used = asyncio.run(Sender(ports).logins.tokens(books(desk)))
    assert seen == ["token received: True", "token stored: False"]
    assert stored(desk) == used
    kept = desk.store.run(secrets.get, f"tokens {books(desk).login}:previous")
    assert kept[0]["access"] == before.access


def test_two_workers_make_one_refresh(desk: Any) -> None:
    desk.later(580.0)
    one, two = logins(desk, "one"), logins(desk, "two")

    async def both() -> list[Tokens]:
        return await asyncio.gather(one.tokens(books(desk)), two.tokens(books(desk)), one.tokens(books(desk)))

    pairs = asyncio.run(both())
    assert refreshes(desk) == 1
    assert {pair.access for pair in pairs} == {stored(desk).access}


def test_a_worker_that_finds_the_lease_taken_uses_what_the_other_stored(desk: Any) -> None:
    desk.later(580.0)
    lease = f"login {books(desk).login}"
    desk.store.run(leases.take, lease, "two", at=desk.host.clock.now(), seconds=3600.0)
    ports = desk.new_ports("one")
    sleep = ports.clock.sleep

    async def meanwhile(seconds: float) -> None:
        await sleep(seconds)
        if desk.host.clock.now() > 0 and stored(desk).access != "theirs":
            now = desk.host.clock.now()
            pair = Tokens("theirs", "r", obtained_at=now, expires_at=now + 600)
            desk.store.run(secrets.put, f"tokens {books(desk).login}", msgspec.to_builtins(pair), at=now)

    ports.clock.sleep = meanwhile  # type: ignore[method-assign]
    assert asyncio.run(Sender(ports).logins.tokens(books(desk))).access == "theirs"
    assert refreshes(desk) == 0


def test_a_worker_that_comes_when_the_other_is_done_refreshes_no_more(desk: Any) -> None:
    """It read the old pair, and got the lease only after the new one was stored: the old one is worth nothing any more."""
    before = stored(desk)
    desk.later(580.0)
    after = tokens(desk)
    assert asyncio.run(logins(desk, "two")._refresh(books(desk), before)) == after
    assert refreshes(desk) == 1


def test_a_worker_that_never_lets_go_does_not_hold_up_for_ever(desk: Any) -> None:
    desk.later(580.0)
    lease = f"login {books(desk).login}"
    desk.store.run(leases.take, lease, "two", at=desk.host.clock.now(), seconds=36_000.0)
    with pytest.raises(RetryLater, match="another worker"):
        tokens(desk)
    assert refreshes(desk) == 0


def test_a_refusal_as_too_early_means_that_the_stored_token_is_good(desk: Any) -> None:
    before = stored(desk)
    desk.later(580.0)
    desk.fault(
        system="exact", method="POST", path=TOKEN, kind="status", status=400,
        body={"error": "invalid_request", "error_description": "Rate limit exceeded: access_token not expired"},
    )  # fmt: skip
    assert tokens(desk) == before
    assert refreshes(desk) == 1


def test_a_lost_answer_is_asked_for_once_more(desk: Any) -> None:
    desk.later(580.0)
    desk.fault(system="exact", method="POST", path=TOKEN, kind="lose_request")
    assert tokens(desk).access == stored(desk).access
    assert refreshes(desk) == 2


def test_a_dead_login_asks_for_a_person_and_says_what_to_do(desk: Any) -> None:
    desk.later(31 * 24 * 3600.0)
    with pytest.raises(SignInNeeded, match="books-nl") as caught:
        tokens(desk)
    assert "koppel connect books-nl" in caught.value.remedy
    assert caught.value.login == books(desk).login
    assert refreshes(desk) == 0


def test_a_refused_refresh_token_is_dead_and_is_not_asked_again_by_guess(desk: Any) -> None:
    desk.later(580.0)
    pair = msgspec.structs.replace(stored(desk), refresh="made up")
    desk.store.run(secrets.put, f"tokens {books(desk).login}", msgspec.to_builtins(pair), at=desk.host.clock.now())
    with pytest.raises(SignInNeeded):
        tokens(desk)
    assert refreshes(desk) == 1


def test_a_login_nobody_signed_in_says_so(desk: Any) -> None:
    desk.store.run(secrets.forget, f"tokens {books(desk).login}")
    with pytest.raises(SignInNeeded, match="not signed in"):
        tokens(desk)


def test_a_code_that_is_refused_says_what_to_do(desk: Any) -> None:
    with pytest.raises(SignInNeeded, match="not accepted") as caught:
        asyncio.run(logins(desk).redeem(books(desk), "made up"))
    assert "sign-in link" in caught.value.remedy


def test_the_lease_is_given_back_after_an_error(desk: Any) -> None:
    desk.later(580.0)
    ports = desk.new_ports("one")

    async def silent(request: Any, *, timeout: float) -> NoReply:  # noqa: ASYNC109
        return NoReply("nobody there")

    ports.transport.send = silent  # type: ignore[method-assign]
    with pytest.raises(RetryLater):
        asyncio.run(Sender(ports).logins.tokens(books(desk)))
    assert tokens(desk).access == stored(desk).access
    assert refreshes(desk) == 1


def at_the_point(desk: Any, name: str, act: Any) -> Logins:
    """A worker for whom something happens at a point of its refresh."""
    ports = desk.new_ports("one")

    async def point(passed: str) -> None:
        if passed == name:
            act()

    ports.point = point
    return Sender(ports).logins


def sign_in_anew(desk: Any) -> None:
    now = desk.host.clock.now()
    pair = Tokens("of a person", "r-person", obtained_at=now, expires_at=now + 600)
    desk.store.run(secrets.put, f"tokens {books(desk).login}", msgspec.to_builtins(pair), at=now)


def test_a_refresh_that_was_under_way_does_not_overwrite_a_newer_sign_in(desk: Any) -> None:
    desk.later(580.0)
    worker = at_the_point(desk, "token received", lambda: sign_in_anew(desk))
    assert asyncio.run(worker.tokens(books(desk))).access == "of a person"
    assert stored(desk).access == "of a person"


def test_a_worker_that_slept_through_its_lease_keeps_the_good_pair_it_got(desk: Any) -> None:
    """Another took the lease meanwhile and was told that the token is used: the pair in hand is the only good one."""
    desk.later(580.0)
    lease = f"login {books(desk).login}"

    def slept() -> None:
        desk.later(400.0)
        assert desk.store.run(leases.take, lease, "two", at=desk.host.clock.now(), seconds=300.0) is not None

    worker = at_the_point(desk, "token received", slept)
    used = asyncio.run(worker.tokens(books(desk)))
    assert stored(desk) == used
    assert refreshes(desk) == 1


def test_a_worker_that_is_refused_uses_the_pair_a_slow_one_stored_meanwhile(desk: Any) -> None:
    desk.later(580.0)
    pair = msgspec.structs.replace(stored(desk), refresh="used up")
    desk.store.run(secrets.put, f"tokens {books(desk).login}", msgspec.to_builtins(pair), at=desk.host.clock.now())
    worker = at_the_point(desk, "after send token", lambda: sign_in_anew(desk))
    assert asyncio.run(worker.tokens(books(desk))).access == "of a person"


def test_the_lease_outlives_two_calls_that_time_out(desk: Any) -> None:
    desk.later(580.0)
    lease = f"login {books(desk).login}"
    until: list[float] = []
    worker = at_the_point(desk, "before send token", lambda: until.append(desk.store.run(leases.holder, lease)[1]))
    begun = desk.host.clock.now()
    asyncio.run(worker.tokens(books(desk)))
    assert until[0] - begun > 2 * (desk.new_ports("one").timeout + 15.0)


def test_a_pair_is_dated_by_when_its_answer_was_here(desk: Any) -> None:
    """Counted from when it was asked for, the next refresh could be too early by as long as this answer took."""
    desk.later(580.0)
    begun = desk.host.clock.now()
    worker = at_the_point(desk, "after send token", lambda: desk.later(20.0))
    asyncio.run(worker.tokens(books(desk)))
    assert stored(desk).obtained_at == begun + 20.0


def test_a_dead_sign_in_is_asked_about_once_an_hour_whatever_runs(desk: Any) -> None:
    desk.later(580.0)
    pair = msgspec.structs.replace(stored(desk), refresh="made up")
    desk.store.run(secrets.put, f"tokens {books(desk).login}", msgspec.to_builtins(pair), at=desk.host.clock.now())
    for _ in range(4):
        with pytest.raises(SignInNeeded, match="dead"):
            tokens(desk)
    assert refreshes(desk) == 1
    desk.later(3601.0)
    with pytest.raises(SignInNeeded):
        tokens(desk)
    assert refreshes(desk) == 2
    sign_in_anew(desk)
    assert tokens(desk).access == "of a person"


def test_after_too_early_the_vendor_is_left_in_peace_for_half_a_minute(desk: Any) -> None:
    desk.later(580.0)
    early = {"error": "invalid_request", "error_description": "Rate limit exceeded: access_token not expired"}
    desk.fault(system="exact", method="POST", path=TOKEN, kind="status", status=400, body=early)
    before = tokens(desk)
    assert [tokens(desk) for _ in range(3)] == [before] * 3
    assert refreshes(desk) == 1
    desk.later(31.0)
    assert tokens(desk) != before
    assert refreshes(desk) == 2


def test_sign_in_calls_are_counted_and_stop_before_the_vendors_limit_but_a_person_gets_in(desk: Any) -> None:
    allowance = books(desk).system.auth.allowance
    assert allowance is not None
    assert (allowance.limit, allowance.window) == (200, "day")
    desk.later(86_400.0 - desk.host.clock.now() % 86_400.0 + 1.0)  # a new day
    begun = refreshes(desk)

    def refresh_for_ever() -> None:
        while refreshes(desk) < 300:
            desk.store.run(notes.drop, f"early {books(desk).login}")
            tokens(desk)
            now = desk.host.clock.now()
            old = msgspec.structs.replace(stored(desk), obtained_at=now - 599.0, expires_at=now)
            desk.store.run(secrets.put, f"tokens {books(desk).login}", msgspec.to_builtins(old), at=now)

    with pytest.raises(RetryLater, match="200 sign-in calls") as caught:
        refresh_for_ever()
    assert refreshes(desk) - begun == 180
    assert caught.value.at % 86_400.0 == 0.0
    code = desk.host.control("exact", "authorization_code", {})["code"]
    asyncio.run(logins(desk).redeem(books(desk), code))
    assert refreshes(desk) - begun == 181
