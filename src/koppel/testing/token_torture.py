"""Torture of one login by many processes: thousands of refreshes of a single-use token, killed at every point of them.

Sixteen real processes on one workspace use one login of the imitated Exact at once, two divisions of it; between two rounds virtual
time passes, mostly so much that the token has a few seconds left. Whoever refreshes may be killed at any named point, or at the
vendor's door; requests and answers get lost. Every token call is written down at the vendor and judged there.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random

import msgspec

from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.model.problem import RetryLater
from koppel.store import secrets
from koppel.store.store import Store
from koppel.testing.token_child import ANYWHERE, Round, Shared, Turn, Wire, connections, opened, ports_of
from koppel.testing.token_host import AT_THE_DOOR, REPLY_LOST, TokenHost, serving

PROCESSES = 16
POINTS = ("refresh begun", "before send token", "after send token", "token received", "token stored")
# Between the vendor's answer and our write there is nothing anybody can do: the old token is dead and the new one is nowhere.
GAP = frozenset({"after send token", "token received", ANYWHERE, *AT_THE_DOOR})
DAY = 86_400.0
IDLE_MOST = 29 * DAY  # a sign-in dies of idleness after 30 days: no work of any kill
UNFORESEEN = "no cause"


class TokenReport(msgspec.Struct, frozen=True):
    """What it came to. `used_twice`, `asked_again`, `early`, `lost_updates`, `unauthorised`, `over_allowance` and `findings` must be nothing.

    `used_twice`: a token that was exchanged already was sent again, and its answer had not been lost. `asked_again`: a
    pair known to be dead was sent once more. `early`: refused because
    less than 570 seconds had passed. `lost_updates`: the store holds another pair than the one that counts at the vendor.
    `unauthorised`: a dead access token was used. `over_allowance`: token calls beyond the vendor's 200 a day. `lost`: sign-ins
    that a person had to renew, by what took the answer away. `deferred`: turns put off, because the allowance was spent.
    """

    database: str
    processes: int
    rounds: int
    refreshes: int
    kills: int
    by_point: dict[str, int]
    used_twice: int
    asked_again: int
    early: int
    lost_updates: int
    unauthorised: int
    over_allowance: int
    deferred: int
    lost: dict[str, int]
    days: float
    seed: int
    findings: tuple[str, ...] = ()

    @property
    def fine(self) -> bool:
        """Whether nothing happened that could have been kept from happening."""
        return not (
            self.asked_again
            or self.used_twice
            or self.early
            or self.lost_updates
            or self.unauthorised
            or self.over_allowance
            or self.findings
        )


class TokenTorture:
    """One world. `address` is the store's (a file in a temporary folder when none is given)."""

    def __init__(
        self,
        rounds: int,
        seed: int,
        tell: Callable[[str], object] = lambda _text: None,
        *,
        address: str | None = None,
        processes: int = PROCESSES,
    ) -> None:
        self.rounds, self.seed, self.tell, self.address, self.processes = rounds, seed, tell, address, processes
        self.random = Random(f"tokens {seed}")  # noqa: S311 - a campaign that can be run again
        self.host = TokenHost(seed)
        self.by_point: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.used_twice = self.asked_again = self.early = self.lost_updates = self.deferred = self.refreshes = 0
        self.findings: list[str] = []
        self.used_at = self.host.sandbox.clock.now()

    def whole(self) -> TokenReport:
        """Set up, kill, count."""
        begun = self.host.sandbox.clock.now()
        with ExitStack() as stack:
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="koppel-", ignore_cleanup_errors=True))
            )
            address = self.address or f"sqlite:///{folder / 'store.db'}"
            base = stack.enter_context(serving(self.host))
            self.store: Store = opened(address)
            stack.callback(self.store.close)
            self.shared = Shared.make(folder / "shared", begun)
            self.both: tuple[Connection, Connection] = connections(base)
            self._sign_in()
            command = [sys.executable, "-m", "koppel.testing.token_child", address, base, str(folder / "shared"), str(self.processes)]  # fmt: skip
            crew = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))  # noqa: S603 - our own module
            assert crew.stdin is not None and crew.stdout is not None  # noqa: PT018 - both are pipes
            stack.callback(crew.stdin.close)
            points = ["", *POINTS, ANYWHERE, *AT_THE_DOOR]
            for number in range(self.rounds):
                # Every other round somebody is killed, each point in its turn; the rounds between show that all is well again.
                point = points[number // 2 % len(points)] if number % 2 else ""
                self._let_time_pass()
                crew.stdin.write(msgspec.json.encode(self._order(point)) + b"\n")
                crew.stdin.flush()
                self._judge(point, msgspec.json.decode(crew.stdout.readline(), type=list[Turn]))
                if (number + 1) % 100 == 0:
                    self.tell(f"{number + 1} of {self.rounds} rounds, {self.refreshes} refreshes")
        return self._report(address, (self.host.sandbox.clock.now() - begun) / DAY)

    # --- what happens ---

    def _let_time_pass(self) -> None:
        """Mostly to where the token has seconds left; sometimes not so far, or much farther."""
        chance = self.random.random()
        if chance < 0.5:
            seconds = self.random.uniform(570.1, 599.0)
        elif chance < 0.6:
            seconds = self.random.uniform(535.0, 569.9)
        elif chance < 0.65:
            seconds = self.random.uniform(1.0, 535.0)
        elif chance < 0.97:
            seconds = self.random.uniform(600.0, 3000.0)
        else:
            seconds = self.random.uniform(1.0, 25.0) * DAY
        with self.host.lock:
            clock = self.host.sandbox.clock
            now = clock.advance(min(seconds, max(1.0, self.used_at + IDLE_MOST - clock.now())))
        self.shared.write(now, 0)

    def _order(self, point: str) -> Round:
        kills = self.random.choice((1, 1, 2, self.processes)) if point else 0
        if point in AT_THE_DOOR:
            self.host.moment = point
            return Round()
        self.shared.write(self.shared.now(), kills)
        return Round(point, kills)

    def _sign_in(self) -> None:
        """A person renews the sign-in; the day after, where the day's calls are used up."""
        for _ in range(2):
            code = self.host.new_code()

            async def redeem(ports: Ports, code: str = code) -> None:
                await Sender(ports).logins.redeem(self.both[0], code)

            try:
                self._alone(redeem)
            except RetryLater:
                with self.host.lock:
                    self.shared.write(self.host.sandbox.clock.advance(DAY), 0)
            else:
                self.used_at = self.shared.now()
                return
        raise RuntimeError(f"nobody can sign in; seed {self.seed}")

    def _alone(self, job: Callable[[Ports], object]) -> None:
        async def whole() -> None:
            wire = Wire()
            try:
                await job(ports_of(self.store, self.shared, self.both, wire))  # type: ignore[misc]
            finally:
                await wire.inner.close()

        asyncio.run(whole())

    # --- judging ---

    def _judge(self, point: str, turns: list[Turn]) -> None:
        """Look at the vendor's log of this round, at what the workers say, and at what the store holds now."""
        with self.host.lock:
            log, struck = self.host.refreshes, self.host.struck
            self.host.refreshes, self.host.struck, self.host.moment = [], set(), ""
        killed = {turn.pid for turn in turns if turn.signal == signal.SIGKILL}
        if struck - killed:
            self.findings.append(f"a worker that was struck lived on: {sorted(struck - killed)}")
        self.by_point[point] += len(killed)
        taken_away = point if point in GAP and (killed or point == REPLY_LOST) else ""
        exchanged: dict[str, int] = {}
        excused = ""
        heard: set[str] = set()  # dead tokens of which a worker that lives on was told
        for call in log:
            if call.new:
                self.refreshes += 1
                self.used_at = self.shared.now()
                exchanged[call.token] = call.pid
            elif "not expired" in call.said:
                self.early += 1
            elif "Old refresh token" in call.said:
                if taken_away and call.token in exchanged and (exchanged[call.token] in killed or point == REPLY_LOST):
                    excused = taken_away
                    self.asked_again += call.token in heard
                    if call.pid not in killed:
                        heard.add(call.token)
                else:
                    self.used_twice += 1
        if sum(1 for call in log if call.new) > 1:
            self.findings.append(f"{len(log)} refreshes in one round, at {point or 'no kill'}")
        self._hear(turns, excused)
        stored = self.store.run(secrets.get, f"tokens {self.both[0].login}")
        same = stored is not None and stored[0]["refresh"] == self.host.current
        dead = any(turn.state == "sign_in" for turn in turns)
        gone = not same and any(pid in killed for pid in exchanged.values()) and point in GAP  # and all others died too
        if dead or gone or excused:
            self.lost[excused or (point if gone else UNFORESEEN)] += 1
            self._sign_in()
        elif not same:
            self.lost_updates += 1
            self._sign_in()

    def _hear(self, turns: list[Turn], excused: str) -> None:
        for turn in turns:
            if turn.signal:
                if turn.signal != signal.SIGKILL:
                    self.findings.append(f"a worker ended by signal {turn.signal}")
            elif turn.state == "RetryLater":
                self.deferred += 1
            elif turn.state == "sign_in" and not excused:
                self.findings.append(f"a sign-in was lost for no reason: {turn.message}")
            elif turn.state not in ("done", "sign_in"):
                self.findings.append(f"{turn.state}: {turn.message}")

    def _report(self, address: str, days: float) -> TokenReport:
        return TokenReport(
            database=address.partition(":")[0].partition("+")[0], processes=self.processes, rounds=self.rounds, refreshes=self.refreshes,
            kills=sum(self.by_point.values()), by_point={point: n for point, n in sorted(self.by_point.items()) if n},
            used_twice=self.used_twice, asked_again=self.asked_again, early=self.early, lost_updates=self.lost_updates, unauthorised=self.host.unauthorised,
            over_allowance=self.host.over, deferred=self.deferred, lost=dict(sorted(self.lost.items())), days=round(days, 1), seed=self.seed,
            findings=tuple(dict.fromkeys(self.findings)),
        )  # fmt: skip
