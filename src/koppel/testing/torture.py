"""Torture: real `kill -9` of real processes in the middle of real runs, again and again; nothing may be doubled or lost.

Each victim is a process that holds the SQLite file and sockets to the sandboxes. It kills itself at a named point of the
engine, or is killed from outside at a moment only the vendor knows: its request has arrived and nothing is done yet; the
effect has taken place and no answer was sent. Between kills people type, the register changes, replies get lost. Then
everything is counted at the sandboxes and in the store. The same seed kills at the same points.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec

from koppel.model.values import Json
from koppel.sandbox.host import Answer, Fault, SandboxHost
from koppel.store import due, observations, streams, subjects, trail, work
from koppel.store.due import Due
from koppel.store.sql import Db
from koppel.systems.sandbox_spi import SeedCompany
from koppel.systems.spi import NoReply, Request
from koppel.testing.child import Ended, Order
from koppel.testing.pair_torture import PairTorture
from koppel.testing.stand import BOOKS, FLOW, REGISTER, Stand, stand
from koppel.testing.torture_report import TortureReport, summed
from koppel.testing.victims import Nursery, nursery_of

# Moments of the vendor's side of a write, named as the report names them.
ARRIVED, TAKEN = "vendor: write arrived", "vendor: write done, no reply"
OUTSIDE = (ARRIVED, TAKEN)
# The engine's own points; `tests/acceptance/test_torture.py` compares them with the source.
POINTS = (
    "run begun", "page received", "page stored", "look-up received", "look-up stored", "quiet steps settled", "chunk opened",
    "chunk answered", "last chunk settled", "probe answered", "probe settled", "views settled", "run ended", "refresh begun", "token received",
    "token stored",
)  # fmt: skip
# Points of abilities that none of these worlds uses: postings of grouped documents, connections whose values are let go.
ELSEWHERE = ("documents grouped", "postings made", "values let go")
BETWEEN = 900.0  # seconds of sandbox time between runs: tokens run out, what is in doubt may be asked about
TRIES = 4  # runs that may pass before a point is called out of reach


def torture(
    kills: int, *, seed: int, jobs: int = 1, tell: Callable[[str], object] = lambda _text: None
) -> TortureReport:
    """Kill that many processes, in worlds of both kinds that share them; `jobs` worlds at once. Raises RuntimeError when a point
    cannot be reached."""
    batches = kills * 2 // 5  # between systems that write in batches and in two calls, often with two workers
    worlds: list[_World | PairTorture] = []
    for number in range(jobs):
        worlds.append(_World(_share(kills - batches, jobs, number), seed + number, tell))
        worlds.append(PairTorture(_share(batches, jobs, number), seed + number, tell))
    with ThreadPoolExecutor(jobs) as pool:
        reports = list(pool.map(lambda world: world.whole(), [world for world in worlds if world.kills]))
    return summed(reports, seed)


def _share(kills: int, jobs: int, number: int) -> int:
    return kills // jobs + (number < kills % jobs)


# --- victims ---------------------------------------------------------------------------------------------------------


@contextmanager
def nursery(folder: Path) -> Generator[Nursery, None, None]:
    """A nursery for a workspace folder."""
    with nursery_of("koppel.testing.child", "--nursery", str(folder), FLOW) as victims:
        yield victims


class Watch:
    """Stands between the server and the host, and has the victim killed when a write passes."""

    def __init__(self, host: SandboxHost, victims: Nursery) -> None:
        self._inner, self._victims = host.answer, victims
        self.moment: str | None = None
        host.answer = self._answer

    def _answer(self, request: Request) -> Answer:
        moment = self.moment if "/crm/Accounts" in request.url and request.method in ("POST", "PUT") else None
        if moment is None:
            return self._inner(request)
        self.moment = None
        if moment == TAKEN:
            self._inner(request)
        self._victims.kill()
        return Answer(NoReply(f"the client was killed: {moment}"))


# --- one world ----------------------------------------------------------------------------------------------------------


class _World:
    """A workspace, its vendors, and the plan of kills."""

    at: Stand
    victims: Nursery
    watch: Watch
    fresh: Iterator[tuple[SeedCompany, SeedCompany]]

    def __init__(self, kills: int, seed: int, tell: Callable[[str], object]) -> None:
        self.kills, self.seed, self.tell = kills, seed, tell
        self.random = Random(seed)  # noqa: S311 - a campaign that can be run again
        self.by_point: Counter[str] = Counter()
        self.taken: dict[str, None] = {}
        self.typed: dict[str, str] = {}
        self.sign_ins = self.runs = 0

    def whole(self) -> TortureReport:
        """Set up, kill, count."""
        companies = 80 + 5 * (self.kills + 12)
        with (
            stand(seed=self.seed, companies=companies, actor="koppel") as self.at,
            nursery(self.at.folder) as self.victims,
        ):
            self.watch = Watch(self.at.host, self.victims)
            self.fresh = self._numbers()
            points = self._survey()
            for number, point in enumerate(self._targets(points)):
                self._kill_at(point)
                if self.random.random() < 0.3:
                    self._survive()
                if (number + 1) % 10 == 0:
                    self.tell(f"{number + 1} of {self.kills} processes killed")
            return self._count()

    def _numbers(self) -> Iterator[tuple[SeedCompany, SeedCompany]]:
        """Companies to take in, two by two: one the books do not hold, one they do."""
        active = [c for c in self.at.host.world.companies if c.ended_on is None]
        return zip([c for c in active if c.in_erp == "none"], [c for c in active if c.in_erp != "none"], strict=False)

    def _survey(self) -> tuple[str, ...]:
        """Runs that survive tell which points there are on the way, besides the engine's own."""
        seen: set[str] = set()
        for first in (True, False):
            self._happen()
            self._lose_a_reply()
            self._end_a_company()
            passed = self._run(Order()).passed
            seen = set() if first else set(passed)  # a first run reads what no later one does
        return tuple(sorted({*POINTS, *seen})) + OUTSIDE

    def _targets(self, points: tuple[str, ...]) -> Iterator[str]:
        """Every point in turn, in an order the seed chooses anew each round."""
        left: list[str] = []
        for _ in range(self.kills):
            if not left:
                left = list(points)
                self.random.shuffle(left)
            yield left.pop()

    # --- killing ---

    def _kill_at(self, point: str) -> None:
        for _ in range(TRIES):
            self._happen()
            if "probe" in point or "crm/Accounts" in point or self.random.random() < 0.1:  # what became of it is asked
                self._lose_a_reply()
            if "zoeken" in point:
                self._end_a_company()
            ended = self._run_at(point)
            if ended.signal:
                self.by_point[point] += 1
                return
        raise RuntimeError(f"no run came by {point!r}; seed {self.seed}")

    def _run_at(self, point: str) -> Ended:
        if point not in OUTSIDE:
            return self._run(Order(point))
        self.watch.moment = point
        ended = self._run(Order())
        self.watch.moment = None
        return ended

    def _run(self, order: Order) -> Ended:
        self.at.wait(BETWEEN)
        self.runs += 1
        ended = self.victims.raise_one(order)
        if ended.state == "sign_in":  # a kill swallowed the new refresh token: only a person can mend that
            self.sign_ins += 1
            self.at.workspace.sign_in(BOOKS, str(self.at.exact("authorization_code")["code"]))
            return self._run(order)
        if ended.signal not in (0, signal.SIGKILL) or ended.state not in ("", "done", "stopped", "RetryLater"):
            raise RuntimeError(f"a run ended unexpectedly: {ended.state or ended.signal} {ended.message}")
        return ended

    def _survive(self) -> Ended:
        """Runs until one is done."""
        ended = Ended()
        for _ in range(10):
            ended = self._run(Order())
            if ended.state == "done":
                return ended
        raise RuntimeError(f"runs do not get done any more: {ended.state} {ended.message}")

    # --- what happens meanwhile ---

    def _happen(self) -> None:
        """Numbers come in, the register changes, a person edits the books."""
        self.at.host.clear_faults()
        new, known = next(self.fresh)
        self._take(new.kvk, known.kvk)
        if self.random.random() < 0.2:
            self._take(f"4999{self.random.randrange(10_000):04d}")
        linked = self._linked()
        if not linked:
            return
        for number in self.random.sample(linked, min(2, len(linked))):
            self._change_register(number)
        row = self.random.choice(self.at.accounts(self.random.choice(linked)) or self.at.accounts())
        if self.random.random() < 0.5:
            phone = f"020-555{self.random.randrange(10_000):04d}"
            self.at.exact("edit", id=row["ID"], set={"Phone": phone}, stamp=self.random.random() < 0.8)
            self.typed[str(row["ID"])] = phone
        else:
            self.at.exact("edit", id=row["ID"], set={"Name": f"Overgetypt {self.random.randrange(1000)}"})

    def _change_register(self, number: str) -> None:
        street = self.random.choice(("Nieuwe Markt", "Havenkade", "Lindelaan", "Molenweg"))
        self.at.kvk("edit", kvk=number, set={"street": street, "number": self.random.randrange(1, 200)})
        self._due([number], "refresh")

    def _end_a_company(self) -> None:
        """A linked company ends and goes on under a new number, which costs a search."""
        company = next(c for c in self._plain() if c.ended_on is None)
        self.at.kvk("end", kvk=company.kvk, successor=f"4998{len(self.at.host.calls()['systems']) + self.runs:04d}")
        self._due([company.kvk], "refresh")

    def _plain(self) -> list[SeedCompany]:
        companies = msgspec.convert(self.at.kvk("companies")["companies"], list[SeedCompany])
        return [c for c in companies if c.kvk in self.taken and c.shape == "plain" and c.country == "NL"]

    def _lose_a_reply(self) -> None:
        self.at.host.add_fault(Fault(system="exact", method="POST", path="crm/Accounts", kind="lose_reply"))

    def _take(self, *numbers: str) -> None:
        self._due(numbers, "taken in")
        self.taken |= dict.fromkeys(numbers)

    def _due(self, numbers: Sequence[str], why: str) -> None:
        """What `koppel add` and a look-up anew leave in the store."""
        entries = [Due("left", number, why) for number in numbers]
        self.at.workspace.store.run(due.add, FLOW, entries, at=self.at.host.clock.now())

    def _linked(self) -> list[str]:
        """Active Dutch companies that are linked to a debtor."""
        linked = set(self.at.workspace.store.run(_linked_natives))
        return [c.kvk for c in self._plain() if c.kvk in linked and c.ended_on is None]

    # --- counting ---

    def _count(self) -> TortureReport:
        """Mend every cause, let it finish, and look at both sides."""
        self.at.host.clear_faults()
        for _ in range(3):
            self.at.workspace.retry()
            self._survive()
        before = self.at.writes()
        self._survive()
        restless = self.at.writes() - before
        lost, wrong = self._lost(), self._wrong()
        written = self.at.exact("writes")["by_method"]
        kinds = Counter(entry.kind for entry in self.at.workspace.store.run(trail.read, limit=10**6))
        made = int(written.get("POST", 0))
        return TortureReport(
            kills=sum(self.by_point.values()), duplicated=self.at.duplicates(), lost=len(lost), by_point=dict(sorted(self.by_point.items())),
            wrong_fields=len(wrong), unrecorded=abs(made - kinds["created"]), restless=restless,
            trail_ok=self.at.workspace.audit_verify() is None, sign_ins=self.sign_ins, runs=self.runs, taken=len(self.taken), created=made,
            seed=self.seed, findings=(*lost, *wrong),
        )  # fmt: skip

    def _lost(self) -> list[str]:
        known = self.at.workspace.store.run(_spoken_for)
        lost = [number for number in self.taken if number not in known]
        rows = {str(row["ID"]): row for row in self.at.accounts()}
        return lost + [f"{native} Phone" for native, phone in self.typed.items() if rows[native].get("Phone") != phone]

    def _wrong(self) -> list[str]:
        """Linked debtors that do not show what the register says, where it is leading and nothing is open about them."""
        truth = {c["kvk"]: c for c in self.at.kvk("companies")["companies"]}
        rows = {str(row["ID"]): row for row in self.at.accounts()}
        wrong: list[str] = []
        for number, native in self.at.workspace.store.run(_main_pairs):
            company, row = truth[number], rows[native]
            if company["ended_on"]:
                continue
            wrong += [f"{number} {what}" for what, differs in _differences(company, row) if differs]
        return wrong


def _differences(company: dict[str, Json], row: dict[str, Json]) -> Iterator[tuple[str, bool]]:
    yield "ChamberOfCommerce", row.get("ChamberOfCommerce") != company["kvk"]
    yield "Name", _letters(row.get("Name")) != _letters((company["statutory_name"] or company["name"])[:50])
    if company["shape"] == "plain" and company["country"] == "NL":
        house = f"{company['street']}{company['number']}{company['letter'] or ''}{company['addition'] or ''}"
        yield "AddressLine1", _letters(row.get("AddressLine1")) != _letters(house)


def _letters(text: Json) -> str:
    return "".join(character for character in str(text or "").lower() if character.isalnum())


# --- store functions ---------------------------------------------------------------------------------------------------


def _stream(db: Db, connection: str) -> int | None:
    return next((s.id for s in streams.every(db) if s.connection == connection), None)


def _linked_natives(db: Db) -> list[str]:
    left = _stream(db, REGISTER)
    return subjects.linked_natives(db, left) if left is not None else []


def _spoken_for(db: Db) -> set[str]:
    """Left records that are linked, known to be absent or ended, parked or asked about."""
    left = _stream(db, REGISTER)
    if left is None:
        return set()
    listed = {item.native for which in ("parked", "ask") for item in work.listed(db, which)}
    seen = observations.load(
        db,
        left,
        [row[0] for row in db.rows("select native from observations where stream = :s", s=left)],
        entity="company",
    )
    refused = {
        native
        for native, o in seen.items()
        if o.gone or (o.record is not None and getattr(o.record.entity, "is_active", None) is False)
    }
    return set(subjects.linked_natives(db, left)) | listed | refused


def _main_pairs(db: Db) -> list[tuple[str, str]]:
    """(KVK number, account) of every pair that is not one of several, and about which nothing is open."""
    left, right = (
        _stream(db, REGISTER),
        next(s.id for s in streams.every(db) if s.connection == BOOKS and s.resource == "accounts"),
    )
    members = subjects.of_records(db, left or 0, subjects.linked_natives(db, left or 0))
    partners = subjects.of_subjects(db, right, {m.subject for m in members.values()})
    listed = {item.native for which in ("parked", "ask") for item in work.listed(db, which)}
    return [
        (native, partners[m.subject][0].native)
        for native, m in members.items()
        if len(partners.get(m.subject, [])) == 1 and partners[m.subject][0].role == "main" and native not in listed
    ]
