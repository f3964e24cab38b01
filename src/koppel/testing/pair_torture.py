"""Torture of writers in batches, of creates in two calls, and of two workers at once.

People work in both of two made-up systems; one or two processes keep them in step, on one store; one of them is killed at a
point of the engine, or at a moment only the vendor knows, half-way through a batch included. Then everything is counted at
the vendors: each company once on either side, each field as its owner has it, what people typed still there.
"""

from __future__ import annotations

import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random

import msgspec

from koppel.model.values import Json
from koppel.store import trail
from koppel.store.store import Store
from koppel.testing import toys
from koppel.testing.child import Ended, Order
from koppel.testing.pair_child import EXTRA, OWNERS, opened, sign_in
from koppel.testing.pair_host import MOMENTS, PairHost, row_of, serving
from koppel.testing.torture_report import TortureReport
from koppel.testing.toy_servers import Row, Server
from koppel.testing.victims import Nursery, nursery_of

BETWEEN = 900.0
TRIES = 6
EDITS: dict[str, tuple[str, ...]] = {
    "ledger": ("title", "tel", "legal", "staff"),
    "till": ("mail", "brand", "web", "nomail"),
}


class PairTorture:
    """One world. `address` is the store's (a file in a temporary folder when none is given)."""

    victims: tuple[Nursery, Nursery]
    store: Store
    base: str

    def __init__(self, kills: int, seed: int, tell: Callable[[str], object], address: str | None = None) -> None:
        self.kills, self.seed, self.tell, self.address = kills, seed, tell, address
        self.random = Random(f"pair {seed}")  # noqa: S311 - a campaign that can be run again
        self.host = PairHost(seed)
        self.by_point: Counter[str] = Counter()
        self.number = self.runs = self.sign_ins = self.beside = 0
        self.complaints: list[str] = []

    def whole(self) -> TortureReport:
        """Set up, kill, count."""
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="koppel-", ignore_cleanup_errors=True))
            address = self.address or f"sqlite:///{Path(folder) / 'store.db'}"
            self.base = stack.enter_context(serving(self.host))
            self.store = opened(address)
            stack.callback(self.store.close)
            raised = [stack.enter_context(nursery_of("koppel.testing.pair_child", address, self.base)) for _ in "ab"]
            self.victims = (raised[0], raised[1])
            self._sign_in()
            points = self._survey()
            while sum(self.by_point.values()) < self.kills:
                points = self._round(points)
            return self._count()

    def _round(self, points: tuple[str, ...]) -> tuple[str, ...]:
        """Kill at every point once, in an order the seed chooses anew; returns those that can be reached."""
        reached: list[str] = []
        tried = 0
        for point in self.random.sample(points, len(points)):
            count = sum(self.by_point.values())
            if count == self.kills:
                break
            tried += 1
            if not self._kill_at(point):
                continue
            reached.append(point)
            if self.random.random() < 0.3:
                self._survive()
            if (count + 1) % 10 == 0:
                self.tell(f"{count + 1} of {self.kills} processes killed between Ledger and Till")
        if len(reached) < tried // 2:
            raise RuntimeError(f"most points are not passed any more; seed {self.seed}")
        return tuple(sorted(reached)) if tried == len(points) else points

    def _survey(self) -> tuple[str, ...]:
        """Runs that survive tell which points there are, also where a reply is lost and a token is old."""
        seen: set[str] = set()
        for _ in range(3):
            self._happen()
            self.host.swallow = 1
            for flow in ("pair", "extra"):
                seen |= set(self._run(0, Order(flow=flow)).passed)
        return (*sorted(seen), *MOMENTS)

    # --- killing ---

    def _kill_at(self, point: str) -> bool:
        """Kill somebody there; False when no run came by."""
        for _ in range(TRIES):
            self._happen()
            if "probe" in point or self.random.random() < 0.1:
                self.host.swallow = 1
                self._run(1, Order(flow="pair"))
                self._happen()
            flow = "pair" if self.random.random() < 0.8 else "extra"
            order = Order(flow=flow) if point in MOMENTS else Order(point, self.random.choice((1, 1, 2)), flow)
            if point in MOMENTS:
                self.host.strike = self.victims[0].kill
                self.host.moment = point
            # What the vendor strikes in the middle of a write must hit the writer: there the other worker stays at home.
            together = point not in MOMENTS and self.random.random() < 0.6
            ended = self._both(order, Order(flow=self._other(flow))) if together else self._run(0, order)
            self.host.moment = None
            if ended.signal:
                self.by_point[point] += 1
                self.beside += together
                return True
        return False

    def _both(self, one: Order, other: Order) -> Ended:
        """Two workers at once; returns how the first one ended."""
        with ThreadPoolExecutor(1) as pool:
            beside = pool.submit(self._run, 1, other)
            ended = self._run(0, one, wait=False)
            beside.result()
        return ended

    def _other(self, flow: str) -> str:
        """Two workers on one flow, or on two flows over the same records."""
        return flow if self.random.random() < 0.5 else ("extra" if flow == "pair" else "pair")

    def _run(self, worker: int, order: Order, *, wait: bool = True) -> Ended:
        if wait:
            with self.host.lock:
                self.host.time += BETWEEN
        self.runs += 1
        ended = self.victims[worker].raise_one(order)
        if ended.state == "sign_in":  # a kill swallowed the new refresh token: only a person can mend that
            self.sign_ins += 1
            self._sign_in()
            return self._run(worker, order)
        if ended.signal not in (0, signal.SIGKILL) or ended.state not in ("", "done", "stopped", "RetryLater"):
            raise RuntimeError(
                f"a run ended unexpectedly: {ended.state or ended.signal} {ended.message}; seed {self.seed}"
            )
        return ended

    def _sign_in(self) -> None:
        with self.host.lock:
            code = self.host.ledger.new_code()
        sign_in(self.store, self.base, code)

    def _survive(self) -> int:
        """Runs of both flows until both are done; returns how many writes that took."""
        with self.host.lock:
            before = self.host.ledger.writes + self.host.till.writes
        for _ in range(20):
            ends = [self._run(0, Order(flow=flow)) for flow in ("pair", "extra")]
            if all(ended.state == "done" for ended in ends):
                return self.host.ledger.writes + self.host.till.writes - before
        raise RuntimeError(f"runs do not get done any more; seed {self.seed}")

    # --- what happens meanwhile ---

    def _happen(self) -> None:
        """New companies on both sides, often several, and edits of what an owner may say."""
        with self.host.lock:
            self.host.swallow = 0
            for server in self.host.servers:
                for _ in range(self.random.randint(1, 3)):
                    self.number += 1
                    server.add(row_of(self.random, self.number))
                for _ in range(2):
                    native = self.random.choice(sorted(server.rows))
                    server.edit(native, {word: self._value(word) for word in self.random.sample(EDITS[server.name], 2)})

    def _value(self, word: str) -> Json:
        self.number += 1
        if word == "staff":
            return self.random.randint(501, 99999)
        if word == "nomail":
            return self.random.random() < 0.5
        if word == "tel":
            return f"020777{self.number:04}"
        return f"{'www.' if word == 'web' else ''}nieuw{self.number}{'@firm.example' if word == 'mail' else '.example' if word == 'web' else ''}"

    # --- counting ---

    def _count(self) -> TortureReport:
        for _ in range(4):
            self._survive()
        restless = self._survive()
        doubled, lost, wrong = self._doubled(), self._lost(), self._wrong()
        kinds = Counter(entry.kind for entry in self.store.run(trail.read, limit=10**6))
        created = sum(len(server.created) for server in self.host.servers)
        if self.host.till.over_budget:
            self.complaints.append(f"{self.host.till.over_budget} calls beyond Till's allowance")
        if self.host.ledger.early:
            self.complaints.append(f"{self.host.ledger.early} refreshes too early")
        return TortureReport(
            kills=sum(self.by_point.values()), duplicated=len(doubled), lost=len(lost), by_point=dict(sorted(self.by_point.items())),
            wrong_fields=len(wrong), unrecorded=abs(created - kinds["created"]), restless=restless, trail_ok=self.store.run(trail.verify) is None,
            sign_ins=self.sign_ins, runs=self.runs, taken=len(self.host.ledger.rows), created=created, seed=self.seed,
            findings=(*doubled, *lost, *wrong, *self.complaints),
        )  # fmt: skip

    def _doubled(self) -> list[str]:
        return [
            f"{server.name}: {number} {count} times"
            for server in self.host.servers
            for number, count in Counter(row.get("nr") for row in server.rows.values()).items()
            if count > 1
        ]

    def _lost(self) -> list[str]:
        there = [{row.get("nr") for row in server.rows.values()} for server in self.host.servers]
        lost = [f"{number} is on one side only" for number in sorted(map(str, there[0] ^ there[1]))]
        for server in self.host.servers:
            last = {(edit.native, edit.word): edit.value for edit in server.typed if edit.word in EDITS[server.name]}
            lost += [
                f"{server.name} {native} {word}: typed {value!r}, there is {server.rows[native].get(word)!r}"
                for (native, word), value in last.items()
                if server.rows[native].get(word) != value
            ]
        return lost

    def _wrong(self) -> list[str]:
        ledger, till = (_by_number(server) for server in self.host.servers)
        wrong: list[str] = []
        for number in sorted(ledger.keys() & till.keys()):
            for path, owner in {**OWNERS, **EXTRA}.items():
                word = toys.WORD[path]
                one, two = ledger[number].get(word), till[number].get(word)
                if owner != "union" and (one if owner == "left" else two) in (None, ""):
                    continue  # an empty value wipes nothing
                if owner == "union":
                    same = _codes(one) == _codes(two)
                elif owner == "left":
                    same = self.host.till.form(word, one) == two
                else:
                    same = self.host.ledger.form(word, two) == one or self.host.till.form(word, one) == two
                if not same:
                    wrong.append(f"{number} {word}: Ledger {one!r}, Till {two!r}")
        return wrong


def _by_number(server: Server) -> dict[str, Row]:
    return {str(row["nr"]): row for row in server.rows.values()}


def _codes(value: Json) -> list[str]:
    return sorted(msgspec.json.encode(item).decode() for item in value or [])
