"""The world of the KVK register and Exact Online: the real clients against the real imitations, in one process.

The register is edited, ended, shielded and busy; people work in Exact; numbers are taken in over days; divisions move.
"""

from __future__ import annotations

import asyncio
import re
import tomllib
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from random import Random
from typing import Any

import msgspec

from koppel.engine.flow import take
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import Brakes, Flow
from koppel.mapping.project import own_fields
from koppel.mapping.read import read_flow
from koppel.model.kinds import normalise
from koppel.model.values import Json
from koppel.sandbox.clock import SandboxClock
from koppel.sandbox.host import SandboxHost, contract, load
from koppel.sandbox.seeds import make_companies
from koppel.store import due, intents, streams, subjects, work
from koppel.systems.sandbox_spi import SeedCompany
from koppel.systems.spi import NoReply, Request, Response, System
from koppel.testing.worlds import START, World, everything_said

BASE = "http://sandbox.example"
GAP = 240.0
_ACCOUNT = re.compile(r"crm/Accounts\(guid'([0-9a-f-]{36})'\)")


def _system(name: str) -> System:
    return next(entry for entry in entry_points(group="koppel.systems") if entry.name == name).load()


def _flow(target: str, name: str) -> Flow:
    package = files(import_module(f"koppel.systems.{target}"))
    flow, problems = read_flow((package / "flows" / f"{name}.toml").read_text("utf-8"), file=f"{name}.toml")
    assert flow is not None, problems
    return flow


def _facts(name: str) -> dict[str, Json]:
    return tomllib.loads((files(import_module(f"koppel.systems.{name}")) / "facts.toml").read_text("utf-8"))


class _Hosted:
    """The imitations behind the wire; their clock follows the loop's."""

    def __init__(self, host: SandboxHost, world: World) -> None:
        self.host = host
        self.world = world
        self.over_budget = 0

    def follow(self) -> None:
        """Bring the imitations' clock to the world's time."""
        self.host.clock.set(max(self.host.clock.now(), self.world.clock.now()))

    def handle(self, request: Request) -> Response | NoReply:
        """Answer at the world's time."""
        self.follow()
        reply = self.host.handle(request)
        if isinstance(reply, Response) and reply.status == 429:
            self.over_budget += 1
        return reply


class _Writes:
    """How often Exact was written to."""

    redundant = 0

    def __init__(self, writes: int) -> None:
        self.writes = writes


class RegisterWorld(World):
    """Companies from the register into Exact, by the ready-made flow."""

    kind = "register"
    hours = 16.0
    interval = (1200.0, 5400.0)

    def build(self) -> None:
        """One host, both clients, the flow with its brakes off."""
        rnd = Random(f"companies:{self.seed}")  # noqa: S311
        clock = SandboxClock(START)
        self.host = SandboxHost(
            load(["exact", "kvk"]),
            seed=self.seed,
            companies=make_companies(self.seed, rnd.randint(12, 24)),
            clock=clock,
        )
        self.hosted = _Hosted(self.host, self)
        self.wire.hosts = {BASE: self.hosted}
        self.wire.served = self._served
        self.wire.meddle = self._meddle
        systems = contract(self.host, BASE)["systems"]
        exact, kvk = systems["exact"], systems["kvk"]
        flow = _flow("exact", "kvk-exact")
        rules = msgspec.structs.replace(flow.run, brakes=Brakes(None, None, None), refresh=6 * 3600.0)
        self.flows = [msgspec.structs.replace(flow, run=rules)]
        given = {name: exact[name] for name in ("base_url", "client_id", "client_secret", "redirect_uri")} | {
            "division": exact["divisions"][0]
        }
        books, register = _system("exact"), _system("kvk")
        self.connections = {
            "register": Connection(name="register", system=register, settings=msgspec.convert({"base_url": kvk["base_url"], "apikey": kvk["apikey"]}, register.settings), facts=_facts("kvk")),
            "books-nl": Connection(
                name="books-nl", system=books, settings=msgspec.convert(given, books.settings), facts=_facts("exact"), own={"accounts": own_fields(flow, "right")}
            ),
        }  # fmt: skip
        self.secrets = {exact["client_secret"], kvk["apikey"]}
        self.to_take = [company.kvk for company in self.host.world.companies]
        self.rnd.shuffle(self.to_take)
        self.taken: set[str] = set()
        self.typed: list[tuple[str, str, str, float]] = []
        self.seen: dict[str, float] = {}
        self.puts: list[tuple[str, float]] = []
        self.moves: list[float] = []
        self.api_writes = 0
        self.words = 0
        self.tokens_sent = self.tokens_arrived = 0

    async def sign_in(self, ports: Ports) -> None:
        """A person signs in to Exact."""
        self.hosted.follow()
        code = str(self.host.control("exact", "authorization_code", {})["code"])
        await Sender(ports).logins.redeem(self.connections["books-nl"], code)
        self.sign_ins += 1

    async def first_sign_in(self) -> None:
        """Until it works; then the first numbers are taken in."""
        for _ in range(50):
            how, _what = await self.slots[0].do(self.sign_in)
            if how == "done":
                break
            await asyncio.sleep(5)
        await self._take_in(6)

    async def _take_in(self, count: int) -> None:
        numbers, self.to_take = self.to_take[:count], self.to_take[count:]
        if numbers:
            how = "killed"
            while how != "done":  # a person who got no answer asks again
                how, _ = await self.slots[0].do(lambda ports: take(ports, self.flows[0], numbers))
            self.machine.flushed()
            self.taken |= set(numbers)

    async def settle_down(self) -> None:
        """All numbers are in, the register is asked once more about all of them."""
        while self.to_take:
            await self._take_in(10)
        # temporary unavailability and blocked endpoints are over, and a moved division is noticed, which takes a day
        await asyncio.sleep(26 * 3600)
        await self.run(self.flows[0], self.slots[0], refresh=True)
        await super().settle_down()
        await self.run(self.flows[0], self.slots[0], refresh=True)
        await super().settle_down()
        calls, writes = self.wire.calls, self.api_writes
        tokens = self.tokens_arrived
        await self.run(self.flows[0], self.slots[0])
        self.last_calls = self.wire.calls - calls - (self.tokens_arrived - tokens)
        self.last_writes = self.api_writes - writes

    # --- people ---------------------------------------------------------------------------------------------------

    def _word(self) -> str:
        self.words += 1
        return f"{self.rnd.choice(('Bakkerij', 'Fietsen', 'Drukkerij', 'Haven', 'Molen'))} Zorvek{self.seed % 1000:03}x{self.words:03}"

    def _companies(self) -> dict[str, SeedCompany]:
        return {
            c["kvk"]: msgspec.convert(c, SeedCompany) for c in self.host.control("kvk", "companies", {})["companies"]
        }

    def _accounts(self) -> list[dict[str, Json]]:
        return self.host.control("exact", "accounts", {})["accounts"]

    def person(self) -> None:
        """The register, or somebody in Exact, does something."""
        self.hosted.follow()
        rnd, roll = self.rnd, self.rnd.random()
        if roll < 0.12:
            self.task = asyncio.get_running_loop().create_task(self._take_in(rnd.randint(1, 3)))
        elif roll < 0.45:
            self._clerk()
        else:
            self._bookkeeper()

    def _clerk(self) -> None:
        rnd, companies = self.rnd, self._companies()
        kvk = rnd.choice(sorted(companies))
        roll = rnd.random()
        if roll < 0.4:
            self.host.control("kvk", "edit", {"kvk": kvk, "set": {"name": self._word()}})
        elif roll < 0.7:
            self.host.control(
                "kvk",
                "edit",
                {
                    "kvk": kvk,
                    "set": {
                        "street": "Lindelaan",
                        "number": rnd.randint(1, 200),
                        "city": "Zwolle",
                        "postcode": "8011AB",
                    },
                },
            )
        elif roll < 0.78 and companies[kvk].ended_on is None:
            self.host.control("kvk", "end", {"kvk": kvk})
        elif roll < 0.86:
            self.host.control("kvk", "shield", {"kvk": kvk})
        else:
            self.host.control(
                "kvk",
                "unavailable",
                {"kvk": kvk, "code": rnd.choice(("IPD1002", "IPD1003")), "seconds": rnd.choice((300, 3000))},
            )

    def _bookkeeper(self) -> None:
        rnd, accounts = self.rnd, self._accounts()
        roll = rnd.random()
        if roll < 0.15 or not accounts:
            known = rnd.choice(sorted(self._companies())) if rnd.random() < 0.6 else None
            self.host.control(
                "exact",
                "add",
                {"set": {"Name": self._word(), "Status": "C"} | ({"ChamberOfCommerce": known} if known else {})},
            )
            return
        account = rnd.choice(accounts)
        if roll < 0.25 and self.mischief.strikes("deleted"):
            self.host.control("exact", "delete", {"id": account["ID"]})
        elif roll < 0.3 and self.mischief.strikes("renumbered"):
            self.host.control("exact", "move_division", {})
            self.moves.append(self.host.clock.now())
        elif roll < 0.4:
            self.host.control("exact", "edit", {"id": account["ID"], "set": {"Phone": "0205550000"}, "stamp": False})
        else:
            self._type(account["ID"], rnd.choice(("Name", "City")))

    def _type(self, account: str, word: str) -> None:
        value = self._word()[:30]
        self.host.control("exact", "edit", {"id": account, "set": {word: value}})
        self.typed.append((account, word, value, self.clock.now()))

    def _meddle(self, request: Request) -> None:
        found = _ACCOUNT.search(request.url.replace("%27", "'"))
        if request.method == "PUT" and found and self.mischief.strikes("edit in flight"):
            self.hosted.follow()
            if any(a["ID"] == found[1] for a in self._accounts()):
                self._type(found[1], "Name")

    def _served(self, request: Request, response: Response) -> None:
        if "/oauth2/token" in request.url:
            self.tokens_arrived += response.status == 200
            return
        if request.method in ("PUT", "POST"):
            found = _ACCOUNT.search(request.url.replace("%27", "'"))
            self.api_writes += 1
            if found:
                self.puts.append((found[1], self.clock.now()))
        text = response.body.decode("utf-8", "replace")
        for _account, _word, value, _at in self.typed:
            if value not in self.seen and value in text:
                self.seen[value] = self.clock.now()

    # --- rest and verdict ---------------------------------------------------------------------------------------------

    def truth(self, item: work.Item, choices: list[Json]) -> Json:
        """Whether the operation took effect in Exact, and where."""
        found = self.host.control("exact", "duplicates", {})
        books = self.keeper.run(streams.ensure, "books-nl", "accounts")
        by_api = {w.get("id") for w in self.host.control("exact", "writes", {})["writes"] if w.get("method") == "POST"}
        by_api |= {id_ for double in found["duplicates"] for id_ in double["ids"]}
        numbered = [a["ID"] for a in self.host.control("exact", "accounts", {"kvk": item.native})["accounts"]]
        members = self.keeper.run(subjects.of_records, books.id, numbered)
        ours = [id_ for id_ in numbered if id_ in by_api and id_ not in members]
        if "id" in choices:
            return ours[0] if ours else "did_not"
        return "happened"

    def secret_texts(self) -> set[str]:
        """The app's secret and the register's key."""
        return self.secrets

    def servers(self) -> list[Any]:
        """Counts of writes."""
        return [_Writes(self.api_writes)]

    def loose_ends(self) -> bool:
        """Whether something still moves by itself."""
        return bool(self.unrest())

    def unrest(self) -> str:
        """What still moves."""
        doubt = {
            i.op
            for state in ("open", "answered")
            for which in ("ask", "parked")
            for i in self.keeper.run(work.listed, which, state=state)
            if i.code == "in_doubt"
        }
        open_ = [i for i in self.keeper.run(intents.everything) if i.op not in doubt]
        waiting = self.keeper.run(due.waiting, self.flows[0].id)
        parts = (
            f"{len(open_)} intents" if open_ else "",
            f"{waiting} due" if waiting and not doubt else "",
            self.unfinished(),
        )
        return ", ".join(part for part in parts if part)

    def judge(self) -> None:
        """Everything that must hold once all is quiet."""
        self.hosted.follow()
        found = self.host.control("exact", "duplicates", {})
        standing = {account["ID"] for account in self._accounts()}  # what a person deleted may be made again
        double = [d for d in found["duplicates"] if len(standing & set(d["ids"])) > 1]
        if double:
            self.fail(2, f"numbers created more than once in Exact: {double}")
        self._all_accounted_for()
        self._nothing_lost()
        if self.last_writes:
            self.fail(5, f"a run with nothing to do wrote {self.last_writes} times")
        if self.last_calls > 3:
            self.fail(5, f"a run with nothing to do made {self.last_calls} calls")

    def _all_accounted_for(self) -> None:
        register = self.keeper.run(streams.ensure, "register", "companies")
        books = self.keeper.run(streams.ensure, "books-nl", "accounts")
        members = self.keeper.run(subjects.of_records, register.id, list(self.taken))
        theirs = self.keeper.run(subjects.of_subjects, books.id, {m.subject for m in members.values()})
        items = [i for which in ("ask", "parked") for i in self.keeper.run(work.listed, which)]
        answered = [
            i
            for which in ("ask", "parked")
            for state in ("answered", "closed")
            for i in self.keeper.run(work.listed, which, state=state)
            if i.answer is not None
        ]
        about = {i.native for i in (*items, *answered)}
        accounts = {a["ID"]: a for a in self._accounts()}
        companies = self._companies()
        for kvk in sorted(self.taken):
            company = companies[kvk]
            if kvk not in members:
                if company.ended_on is None and kvk not in about:
                    self.fail(8, f"{kvk} was taken in, is active, and is neither linked nor on any list")
                continue
            for member in theirs.get(members[kvk].subject, []):
                account = accounts.get(member.native)
                if account is None:
                    if kvk not in about and member.native not in about:
                        self.fail(7, f"{kvk} is linked to {member.native}, which is gone, and nobody was told")
                    continue
                if company.ended_on is None:
                    self._right(kvk, company, account, follower=member.role == "follower", asked=kvk in about)

    def _right(self, kvk: str, company: SeedCompany, account: dict[str, Json], *, follower: bool, asked: bool) -> None:
        if asked:
            return
        if account.get("ChamberOfCommerce") != kvk:
            self.fail(13, f"{kvk} stands in Exact as {account.get('ChamberOfCommerce')!r}")
        names = {normalise("name", name) for name in (company.name, company.statutory_name) if name}
        if not follower and normalise("name", account["Name"]) not in names:
            self.fail(1, f"{kvk} is called {account['Name']!r} in Exact and {sorted(map(str, names))} in the register")
        if not follower and company.shape == "plain" and account.get("City") != company.city:
            self.fail(1, f"{kvk} lies in {account.get('City')!r} in Exact and in {company.city!r} in the register")

    def _nothing_lost(self) -> None:
        said = everything_said(self)
        standing = {str(value) for account in self._accounts() for value in account.values()}
        gone = {native for native, *_ in self.typed} - {a["ID"] for a in self._accounts()}
        last = {(native, word): (value, at) for native, word, value, at in self.typed}
        for (native, word), (value, _at) in last.items():
            if value in standing or value in said or native in gone or value not in self.seen:
                continue
            writes = [at for account, at in self.puts if account == native and at >= self.seen[value]]
            if writes and self._forgotten(self.seen[value], writes[0]):
                continue
            if writes and writes[0] - self.seen[value] > GAP:
                self.fail(3, f"{value!r}, typed by a person into {word} of {native}, is nowhere any more")

    def _forgotten(self, seen: float, written: float) -> bool:
        """Whether what left the house was lost again before it was stored for good, and could not be shown a second time: the
        process that read it died, or the power went, and Exact renumbered its stream in the meantime, as nobody hears before the
        daily look. Both are needed: who lives stores what they read, and without a move the listing shows it once more.
        """
        return any(seen <= at <= written for at in self.deaths) and any(seen <= at <= written for at in self.moves)
