"""The world of two opposite systems kept in step both ways, people working in both."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

import msgspec

from koppel.engine.plan import Plan
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.mapping.flow import Brakes, Endpoint, FieldRule, Flow, Match, Missing, Owner, RunRules
from koppel.model.values import Json
from koppel.store import due, flows, intents, observations, streams, subjects, trail, work
from koppel.store.due import Due
from koppel.systems.spi import Request, Response
from koppel.testing import toys
from koppel.testing.toy_servers import LedgerServer, Row, TillServer
from koppel.testing.worlds import World, everything_said

OWNERS: dict[str, Owner] = {
    "name": "left",
    "kvk": "left",
    "phone": "newest",
    "email": "ask",
    "trade_name": "right",
    "statutory_name": "left",
    "website": "newest",
    "legal_form": "right",
    "address": "left",
    "sbi": "union",
}
SECOND: dict[str, Owner] = {"employees": "left", "do_not_mail": "right"}
MISSING: tuple[Missing, ...] = ("ask", "unlink", "archive", "restore")
GAP = 240.0  # seconds between our looking and our writing that are the vendor's gap (no precondition there)
_SYLLABLES = ("ba", "de", "ko", "li", "mo", "nu", "pe", "ra", "si", "to", "vu", "wa", "ze")


class PairWorld(World):
    """Ledger on the left, Till on the right."""

    kind = "pair"

    def build(self) -> None:
        """Two servers, some companies in both, one or two flows."""
        self.ledger = LedgerServer(now=self.clock.now)
        lags = Random(f"lag:{self.seed}")  # noqa: S311
        self.till = TillServer(
            now=self.clock.now,
            apikey="till-key-000777",
            lag=lambda: lags.choice((0.0, 2.0, lags.uniform(0, toys.TILL_LAG))),
        )
        self.wire.hosts = {toys.LEDGER: self.ledger, toys.TILL: self.till}
        self.wire.served = self._served
        self.wire.meddle = self._meddle
        self.connections = {
            "left": Connection(name="left", system=toys.LEDGER_SYSTEM, settings=toys.LedgerSettings("ledger-secret-9")),
            "right": Connection(name="right", system=toys.TILL_SYSTEM, settings=toys.TillSettings("till-key-000777")),
        }
        self.numbers = 0
        self.tokens_arrived: set[str] = set()
        self.tokens = 0
        self.human_deletes: set[tuple[str, str]] = set()
        self.missing: Missing = self.rnd.choice(MISSING)
        self.reconcile = Random(f"whole:{self.seed}").choice((None, "every 50 minutes"))  # noqa: S311
        self.flows = [self._flow("pair", OWNERS)]
        if self.mischief.has("second flow"):
            self.flows.append(self._flow("extra", SECOND))
        for _ in range(self.rnd.randint(4, 9)):
            row = self._row()
            where = self.rnd.random()
            if where < 0.7:
                self.ledger.add(row)
            if where > 0.4:
                self.till.add(row if self.rnd.random() < 0.5 else row | {"title": self._word(), "tel": self._phone()})

    def _flow(self, name: str, owners: dict[str, Owner]) -> Flow:
        fields = tuple(
            FieldRule(path, owner, empty="clear" if path in ("website", "legal_form") else "keep")
            for path, owner in owners.items()
        )
        if name == "extra":  # whoever creates must give what the other side requires
            fields = (FieldRule("name", "left", when="create"), FieldRule("kvk", "left", when="create"), *fields)
        return Flow(
            id=name, title=name, entity="company", left=Endpoint("left", "customers"), right=Endpoint("right", "shops"), fields=fields, match=Match(keys=("kvk",)),
            create_left=name == "pair", create_right=True, missing_left=self.missing if name == "pair" else "unlink", missing_right=self.missing if name == "pair" else "unlink",
            run=RunRules(reconcile=self.reconcile, brakes=Brakes(None, None, None)), digest=name,
        )  # fmt: skip

    async def sign_in(self, ports: Ports) -> None:
        """A person signs in to Ledger."""
        self.sign_ins += 1
        await Sender(ports).logins.redeem(self.connections["left"], self.ledger.new_code())

    async def first_sign_in(self) -> None:
        """Until it works."""
        for _ in range(50):
            how, _what = await self.slots[0].do(self.sign_in)
            if how == "done":
                return
            await asyncio.sleep(5)

    # --- people -------------------------------------------------------------------------------------------------

    def _word(self) -> str:
        self.tokens += 1
        return "".join(self.rnd.choice(_SYLLABLES) for _ in range(3)).title() + f" {self.tokens:04}"

    def _phone(self) -> str:
        self.tokens += 1
        return f"020555{self.tokens:04}"

    def _number(self) -> str:
        self.numbers += 1
        head = "000" if self.mischief.has("leading zero") and self.rnd.random() < 0.5 else "421"
        return f"{head}{self.seed % 97:02}{self.numbers:03}"

    def _row(self) -> Row:
        row: Row = {
            "title": self._word(),
            "tel": self._phone(),
            "mail": f"{self._word().replace(' ', '').lower()}@firm.example",
            "brand": self._word(),
        }
        row |= {
            "legal": f"{self._word()} Holding",
            "form": self.rnd.choice(("BV", "NV", "Stichting")),
            "place": {"street": self._word(), "number": "1", "city": "Zwolle"},
        }
        if self.rnd.random() < 0.7:
            row["web"] = f"www.{self._word().replace(' ', '').lower()}.example"
        if self.rnd.random() < 0.5:
            row["codes"] = [{"code": str(self.rnd.randint(10000, 10009))}]
        if self.rnd.random() < 0.6:
            row |= {"staff": self.rnd.randint(1, 500), "nomail": self.rnd.random() < 0.5}
        if not (self.mischief.has("no number") and self.rnd.random() < 0.4):
            row["nr"] = self._number()
        return row

    def _value(self, word: str, server: Any, native: str) -> Json:
        if self.mischief.strikes("cleared"):
            return None if word in ("web", "form", "tel", "mail") else self._plain(word, server, native)
        if word in ("title", "brand", "legal") and self.mischief.strikes("bad value"):
            return f"nee:{self._word()}"
        if word in ("tel", "legal") and self.mischief.strikes("unreadable"):
            return f"??{self._word()}"
        return self._plain(word, server, native)

    def _plain(self, word: str, server: Any, native: str) -> Json:
        match word:
            case "tel":
                return self._phone()
            case "mail":
                return f"{self._word().replace(' ', '').lower()}@firm.example"
            case "web":
                return f"www.{self._word().replace(' ', '').lower()}.example"
            case "place":
                return {"street": self._word(), "number": str(self.rnd.randint(1, 99)), "city": "Zwolle"}
            case "codes":
                return [*server.rows[native].get("codes", []), {"code": str(self.rnd.randint(10010, 99999))}]
            case "staff":
                return self.rnd.randint(501, 99999)
            case "nomail":
                return not server.rows[native].get("nomail", False)
            case "legal":
                return f"{self._word()} {self.rnd.choice(('BV', 'Beheer en Vastgoed', 'Holding'))}"
            case _:
                return self._word()

    def person(self) -> None:
        """Somebody edits, adds or deletes, on either side."""
        rnd, roll = self.rnd, self.rnd.random()
        server = rnd.choice((self.ledger, self.till))
        if roll < 0.12 or not server.rows:
            row = self._row()
            server.add(row)
            if self.mischief.strikes("same company twice") and "nr" in row:
                other = self.till if server is self.ledger else self.ledger
                other.add(row | {"title": self._word()})
            return
        native = rnd.choice(sorted(server.rows))
        if roll < 0.2 and self.mischief.strikes("deleted"):
            self.human_deletes.add((server.name, native))
            server.delete(native)
            return
        if roll < 0.23 and self.mischief.strikes("renumbered"):
            self.ledger.renumber()
            return
        if roll < 0.25 and self.mischief.strikes("copied number"):
            number = server.rows[rnd.choice(sorted(server.rows))].get("nr")
            if number:
                server.edit(native, {"nr": number})
            return
        if roll < 0.28 and self.mischief.strikes("deaf field"):
            self.till.deaf.add((rnd.choice(sorted(self.till.rows) or ["0"]), rnd.choice(("title", "legal"))))
        if roll < 0.35 and self.mischief.strikes("webhook"):
            for flow in self.flows:
                self.keeper.run(
                    due.add,
                    flow.id,
                    [Due("left" if server is self.ledger else "right", native, "webhook")],
                    at=self.clock.now(),
                )
        word = rnd.choice(sorted(toys.PATH.keys() - {"nr"}))
        server.edit(native, {word: self._value(word, server, native)})
        if self.mischief.strikes("both sides"):
            self._both(server, native, word)

    def _both(self, server: Any, native: str, word: str) -> None:
        other = self.till if server is self.ledger else self.ledger
        number = server.rows[native].get("nr")
        twin = next((n for n, row in other.rows.items() if number and row.get("nr") == number), None)
        if twin is not None:
            other.edit(twin, {word: self._value(word, other, twin)})

    def between(self, plan: Plan) -> None:
        """Somebody edits the very field that the plan is about to write."""
        for planned in plan.steps:
            native = planned.step.target
            server = self.till if planned.step.side == "right" else self.ledger
            written = sorted(word for op in planned.operations for word in op.fields if word != "nr")
            if planned.step.kind == "update" and native in server.rows and written and self.rnd.random() < 0.5:
                word = self.rnd.choice(written)
                server.edit(native, {word: self._plain(word, server, native)})

    def _meddle(self, request: Request) -> None:
        """Between our reading and our write a person is quicker."""
        if (
            request.method not in ("PUT", "POST")
            or request.url.endswith("/token")
            or not self.mischief.strikes("edit in flight")
        ):
            return
        body = msgspec.json.decode(request.body)
        if isinstance(body, dict):
            native, words, server = request.url.rpartition("/")[2], sorted(body["fields"]), self.ledger
        else:
            line = self.rnd.choice(body)
            native, words, server = line["id"], sorted(line["fields"]), self.till
        if native in server.rows and words:
            word = self.rnd.choice(words)
            if word != "nr":
                server.edit(native, {word: self._plain(word, server, native)})

    def _served(self, request: Request, response: Response) -> None:
        if request.url.endswith("/token") and response.status == 200:
            self.tokens_arrived.add(msgspec.json.decode(response.body)["refresh"])
        server = self.ledger if request.url.startswith(toys.LEDGER) else self.till
        server.delivered(response.body)

    def truth(self, item: work.Item, choices: list[Json]) -> Json:
        """Whether the operation took effect, and where."""
        for server in self.servers():
            made = next((native for ref, _, native in server.created if ref == item.op), None)
            if made is not None or any(w.ref == item.op for w in server.written):
                return made if "id" in choices else "happened"
        return "did_not"

    # --- rest -----------------------------------------------------------------------------------------------------

    def servers(self) -> list[Any]:
        """Both."""
        return [self.ledger, self.till]

    def secret_texts(self) -> set[str]:
        """Tokens, keys, telephone numbers, KVK numbers."""
        found = {
            "till-key-000777",
            "ledger-secret-9",
            self.ledger.access,
            self.ledger.refresh,
            "ledger-access-00001",
            "ledger-refresh-00001",
        }
        for server in self.servers():
            found |= {str(row[word]) for row in server.rows.values() for word in ("tel", "nr") if row.get(word)}
        return found - {""}

    def loose_ends(self) -> bool:
        """Whether something still moves by itself."""
        return bool(self.unrest())

    def unrest(self) -> str:
        """What still moves."""
        open_ = [i for i in self.keeper.run(intents.everything) if i.op not in self._for_people()]
        waiting = [self.keeper.run(due.waiting, flow.id) for flow in self.flows]
        parts = [
            f"{len(open_)} intents" if open_ else "",
            f"due {waiting}" if any(waiting) and not self._for_people() else "",
            self.unfinished(),
        ]
        return ", ".join(part for part in parts if part)

    def _for_people(self) -> set[str]:
        return {
            i.op
            for state in ("open", "answered")
            for which in ("ask", "parked")
            for i in self.keeper.run(work.listed, which, state=state)
            if i.code == "in_doubt" and i.op
        }

    # --- the oracle ---------------------------------------------------------------------------------------------------

    def judge(self) -> None:
        """Everything that must hold once all is quiet."""
        self.said = everything_said(self)
        entries = self.keeper.run(trail.read, limit=100_000)
        self.happened = [(e.kind, f"{(e.data or {}).get('left')} {(e.data or {}).get('right')}") for e in entries]
        self.open_items = [i for which in ("ask", "parked") for i in self.keeper.run(work.listed, which)]
        self._once()
        self._nothing_unplanned()
        self._agreed()
        self._nothing_lost()
        self._known()
        self._budget_and_login()
        self._deletions()
        self._no_fights()
        if self.grades_silence:
            self._silent()

    grades_silence = True

    def _once(self) -> None:
        for server in self.servers():
            refs = Counter(ref for ref, _, _ in server.created)
            double = [ref for ref, n in refs.items() if n > 1]
            if double:
                self.fail(2, f"{server.name}: the operation {double[0]} took effect {refs[double[0]]} times")
            seen: dict[tuple[str, ...], str] = {}
            for _ref, number, native in server.created:
                row = server.rows.get(native)
                if row is None:
                    continue  # a person deleted it since
                if not number and any(e.native == native and e.word == "nr" for e in server.typed):
                    continue  # a person gave it a number: it is another company's record from then on
                key = ("nr", str(number)) if number else ("title", str(row.get("title")))
                if key in seen and not self._made_again(server, key):
                    self.fail(2, f"{server.name}: {key} was created as {seen[key]} and as {native}")
                seen[key] = native

    def _nothing_unplanned(self) -> None:
        """Ledger takes preconditions: nothing a person typed is overwritten there that we had not seen. And what a stored plan
        replaces is what it was made on."""
        typed = {(e.system, e.native, e.word, repr(e.value)) for s in self.servers() for e in s.typed}
        for w in self.ledger.written:
            if not w.seen and w.over is not None and ("ledger", w.native, w.word, repr(w.over)) in typed:
                self.fail(1, f"{w.over!r}, typed into {w.word} of ledger {w.native}, was overwritten unseen")
        for began, ended, plan in self.applied:
            before = {op.op: op.before for p in plan.steps for op in p.operations if p.step.side == "right"}
            for w in self.till.written:
                if w.ref not in before or not began <= w.at <= ended or w.word not in before[w.ref]:
                    continue
                shown = self.till.shown.get((w.native, w.word, repr(w.over)))
                moved = w.over is not None and not _alike(w.word, w.over, before[w.ref][w.word])
                if moved and shown is not None and shown < (w.at if len(self.flows) == 1 else began):
                    self.fail(
                        1,
                        f"a stored plan replaced {w.over!r} in {w.word} of till {w.native}; it was made on {before[w.ref][w.word]!r}",
                    )

    def _made_again(self, server: Any, key: tuple[str, ...]) -> bool:
        """Two creates of one number are right when a person copied the number or made two records with it."""
        other = self.till if server is self.ledger else self.ledger
        titled = key[0] == "title"  # the two systems have different words for a name
        typed = [e for e in (*other.typed, *server.typed) if str(e.value) == key[1] and (titled or e.word == key[0])]
        return len({(e.system, e.native) for e in typed}) > 1 or bool(self.human_deletes)

    def _pairs(self, flow: Flow) -> list[tuple[str, str, str]]:
        left = self.keeper.run(streams.ensure, "left", "customers").id
        right = self.keeper.run(streams.ensure, "right", "shops").id
        mine = self.keeper.run(subjects.of_records, left, list(self.ledger.rows))
        theirs = self.keeper.run(subjects.of_subjects, right, {m.subject for m in mine.values()})
        _ = flow
        return [
            (n, t.native, t.role)
            for n, m in mine.items()
            for t in theirs.get(m.subject, [])
            if t.native in self.till.rows
        ]

    def _agreed(self) -> None:
        """Every field of every pair: equal as the sides can show it, or asked, or parked, or left as it is with a reason."""
        rules = {rule.path: rule for flow in self.flows for rule in flow.fields if rule.when == "always"}
        flow_of = {rule.path: flow.id for flow in self.flows for rule in flow.fields if rule.when == "always"}
        for native, twin, role in self._pairs(self.flows[0]):
            one, two = self.ledger.rows[native], self.till.rows[twin]
            if one.get("archived") or two.get("archived"):
                continue
            for path, rule in rules.items():
                if role == "follower" and (
                    path not in ("kvk", "statutory_name", "legal_form") or rule.owner == "right"
                ):
                    continue
                word = toys.WORD[path]
                if _alike(word, one.get(word), two.get(word)):
                    continue
                about = {i.field for i in self.open_items if i.native in (native, twin) and i.flow == flow_of[path]}
                if about & {"", path, f"{twin} {path}", "missing", "scope"}:
                    continue
                base = self.keeper.run(flows.bases_of, flow_of[path], left=[native]).get((native, twin))
                if base is not None and self._left_as_it_is(base.base, path, one.get(word), two.get(word)):
                    continue
                law = 3 if rule.owner in ("newest", "ask", "union") else 1
                self.fail(
                    law,
                    f"{path} ({rule.owner}) of {native}/{twin}: {one.get(word)!r} and {two.get(word)!r}, neither agreed nor asked; base {base.base.left.get(path) if base else None!r} / {base.base.right.get(path) if base else None!r}, on its way {(base.base.written_left.get(path), base.base.written_right.get(path)) if base else None}",
                )

    def _left_as_it_is(self, base: Any, path: str, left: Json, right: Json) -> bool:
        """Agreed to differ: both forms stand in the base, and somebody said why."""
        if path not in base.left and path not in base.right:
            return False
        same = _alike(toys.WORD[path], base.left.get(path), left) and _alike(
            toys.WORD[path], base.right.get(path), right
        )
        return same and path in base.prov

    def _nothing_lost(self) -> None:
        """Every last human value that we could see stands on a side, in the trail, or on a work list."""
        for server in self.servers():
            last = {(e.native, e.word): e for e in server.typed}
            standing = {text for s in self.servers() for row in s.rows.values() for text in _texts(row)}
            for (native, word), edit in last.items():
                if (server.name, native) in self.human_deletes or not isinstance(edit.value, str):
                    continue
                seen = server.shown.get((native, word, repr(edit.value)))
                over = [
                    w
                    for w in server.written
                    if w.native == native and w.word == word and w.at >= edit.at and w.over == edit.value
                ]
                if not over or seen is None or over[0].at - seen < GAP:
                    continue
                value = edit.value.casefold()
                if value in {text.casefold() for text in standing} or value in self.said.casefold():
                    continue
                self.fail(
                    3, f"{edit.value!r}, typed by a person into {word} of {server.name} {native}, is nowhere any more"
                )

    def _known(self) -> None:
        """Every record is linked, or stands on a work list."""
        left = self.keeper.run(streams.ensure, "left", "customers")
        right = self.keeper.run(streams.ensure, "right", "shops")
        listed = {i.native for i in self.open_items}
        for server, stream in ((self.ledger, left), (self.till, right)):
            members = self.keeper.run(subjects.of_records, stream.id, list(server.rows))
            known = self.keeper.run(observations.load, stream.id, list(server.rows), entity="company")
            for native, row in server.rows.items():
                if native not in known or known[native].gone:
                    self.fail(8, f"{server.name} {native} exists and was never taken in")
                elif row.get("archived"):
                    continue  # put out of use because its counterpart was gone
                elif (
                    native not in members
                    and native not in listed
                    and not self._standing_decision(native, str(row.get("nr")))
                ):
                    self.fail(4, f"{server.name} {native} ({row.get('nr')}) is neither linked nor on any list")
                elif (
                    any(isinstance(v, str) and v.startswith("??") for w, v in row.items() if w in ("tel", "legal"))
                    and native in members
                    and not self._parked(server.name, native)
                ):
                    self.fail(4, f"{server.name} {native} shows a value that cannot be read, and nobody was told")

    def _parked(self, name: str, native: str) -> bool:
        pairs = self._pairs(self.flows[0])
        about = {native} | {
            one if name == "till" else two for one, two, _ in pairs if native == (two if name == "till" else one)
        }
        mine = [two for one, two, role in pairs if role == "follower" and native in (one, two)]
        return (
            bool(mine)
            or not any(native == (one if name == "ledger" else two) for one, two, _ in pairs)
            or any(i.native in about for i in self.open_items)
        )

    def _standing_decision(self, native: str, number: str) -> bool:
        """A person said skip, unlink or leave; or a twin with the same number stands for it; or it came after an unlink."""
        answered = [
            i
            for which in ("ask", "parked")
            for state in ("answered", "closed")
            for i in self.keeper.run(work.listed, which, state=state)
        ]
        twins = [n for s in self.servers() for n, row in s.rows.items() if str(row.get("nr")) == number]
        about = {native, *twins}
        parted = any(kind == "unlinked" and any(f":{n}" in text for n in about) for kind, text in self.happened)
        return (
            parted
            or any(i.native in about and i.answer in ("skip", "unlink", "leave") for i in answered)
            or self.missing == "unlink"
            or bool({i.native for i in self.open_items} & about)
        )

    def _budget_and_login(self) -> None:
        if self.till.over_budget:
            self.fail(10, f"Till refused {self.till.over_budget} calls over its allowance")
        if self.ledger.early:
            self.fail(9, f"a token was refreshed too early {self.ledger.early} times")
        # A pair that never arrived can only be mended by a person; but who uses the old one while the new one is here already?
        at_once = [
            at
            for at, old in self.ledger.token_misuse
            if (new := self.ledger.rotated.get(old))
            and new[1] in self.tokens_arrived
            and at - new[0] < 20
            and not any(new[0] - 1 <= death <= at for death in self.deaths)  # before it could be stored
            and at not in self.wire.late
        ]
        if at_once:
            self.fail(9, f"{len(at_once)} refreshes at once with another")

    def _deletions(self) -> None:
        for server in self.servers():
            other = self.till if server is self.ledger else self.ledger
            for w in server.rows.values():
                if w.get("archived") and not any(name == other.name for name, _ in self.human_deletes):
                    self.fail(7, f"{server.name} {w['id']} was archived and nobody had deleted anything")

    def _no_fights(self) -> None:
        """A value is written, perhaps written again after a lost answer, and then left alone."""
        for server in self.servers():
            times = Counter((w.native, w.word) for w in server.written)
            typed = Counter((e.native, e.word) for s in self.servers() for e in s.typed)
            for (native, word), n in times.items():
                human = sum(count for (_, w), count in typed.items() if w == word)
                if n > 6 + 2 * human:
                    self.fail(6, f"{server.name} {native}: {word} was written {n} times")
        redundant, writes = sum(s.redundant for s in self.servers()), sum(s.writes for s in self.servers())
        if redundant > 8 + 0.25 * writes:
            self.fail(6, f"{redundant} of {writes} writes changed nothing")

    def _silent(self) -> None:
        whole = any(result.counts["read_whole"] for result in self.last.values() if result)  # then it was time for that
        if self.last_calls > 3 * len(self.flows) and not whole:
            self.fail(5, f"a run with nothing to do made {self.last_calls} calls")
        if self.last_writes:
            self.fail(5, f"a run with nothing to do wrote {self.last_writes} times")

    last_calls = 0
    last_writes = 0

    async def settle_down(self) -> None:
        """As every world; then one more run, which must be silent."""
        await super().settle_down()
        await asyncio.sleep(60 - self.clock.now() % 60)
        calls, writes = self.wire.calls, sum(s.writes for s in self.servers())
        tokens = self.ledger.tokens_made
        for i, flow in enumerate(self.flows):
            await self.run(flow, self.slots[min(i, len(self.slots) - 1)])
        self.last_calls = self.wire.calls - calls - (self.ledger.tokens_made - tokens)
        self.last_writes = sum(s.writes for s in self.servers()) - writes
        if self._for_people():
            self.last_calls = self.last_writes = 0  # what a person must decide is probed again, and others wait for it


def _alike(word: str, one: Json, two: Json) -> bool:
    """Whether two values are one value as both systems can keep it: cut at 20 characters, in capitals, in any order."""
    return _form(word, one) == _form(word, two)


def _form(word: str, value: Json) -> Json:
    if value in (None, "", []):
        return None
    match word:
        case "legal":
            return " ".join(str(value)[:20].split())
        case "brand" | "title":
            return " ".join(str(value).casefold().split())
        case "codes":
            return sorted(str(entry.get("code")) for entry in value)
        case "place":
            return {name: part for name, part in sorted(value.items()) if part}
        case _:
            return value


def _texts(row: Row) -> list[str]:
    return [str(value) for value in row.values()] + [
        str(part) for value in row.values() if isinstance(value, dict) for part in value.values()
    ]
