"""What must hold in a world of toy systems once all is quiet: everything that can be asked of any number of them and of the
flows between. Each question names the law that did not hold.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import msgspec

from koppel.engine.anchors import TO_LEFT
from koppel.mapping.flow import FieldRule, Flow, SideName, other
from koppel.model.values import Json
from koppel.model.versions import FACTS
from koppel.store import flows, intents, observations, subjects, trail, work
from koppel.store.subjects import Member
from koppel.sync.base import Base
from koppel.sync.looks import is_look
from koppel.sync.shapes import shapes
from koppel.testing import toys
from koppel.testing.toy_servers import LedgerServer, Row, Server, TillServer
from koppel.testing.toy_world import Place, ToyWorld
from koppel.testing.worlds import everything_said

GAP = 240.0  # seconds between our looking and our writing that are the vendor's gap (no precondition there)
SIDES: tuple[SideName, SideName] = ("left", "right")
OPENLY_OWNED = ("newest", "ask", "union")


class Pair(NamedTuple):
    """Two records of one thing, one on either side of a flow; `follower`: one of several on the right, `quiet`: another record
    of the left leads, and the flow neither reads nor writes this one."""

    left: str
    right: str
    follower: bool
    quiet: bool


class Verdict:
    """The questions, and what they are asked of."""

    def __init__(self, world: ToyWorld) -> None:
        self.world = world
        self.servers: list[Server] = world.servers()
        self.deleted = world.people.deleted
        self.said = everything_said(world)
        self.trail = world.keeper.run(trail.read, limit=100_000)
        self.happened = [(e.kind, f"{(e.data or {}).get('left')} {(e.data or {}).get('right')}") for e in self.trail]
        self.open = [i for which in ("ask", "parked") for i in world.keeper.run(work.listed, which)]
        self.answered = [
            i
            for which in ("ask", "parked")
            for state in ("answered", "closed")
            for i in world.keeper.run(work.listed, which, state=state)
        ]
        self.pairs = {flow.id: self._pairs(flow) for flow in world.flows}

    def give(self) -> None:
        """Ask everything."""
        self._once()
        self._asked_of_what_is_open()
        self._nothing_unplanned()
        for flow in self.world.flows:
            self._agreed(flow)
            self._linked(flow)
        self._nothing_lost()
        self._numbers()
        self._known()
        self._tokens()
        self._budgets()
        self._deletions()
        self._no_fights()
        self.world.undoing.judge()
        self.world.deciding.judge()
        self._silent()

    def fail(self, law: int, text: str) -> None:
        """A law did not hold."""
        self.world.fail(law, text)

    def _pairs(self, flow: Flow) -> list[Pair]:
        keeper, world = self.world.keeper, self.world
        left, right = world.at(flow, "left"), world.at(flow, "right")
        mine = keeper.run(subjects.of_records, world.stream_of(left), list(left.server.rows))
        theirs = keeper.run(subjects.of_subjects, world.stream_of(right), {m.subject for m in mine.values()})
        led = keeper.run(subjects.of_subjects, world.stream_of(left), {m.subject for m in mine.values()})
        apart = self.world.undoing.taken_apart(flow)
        return [
            Pair(native, t.native, t.role == "follower", _quiet(m, led[m.subject][0].native, left.server))
            for native, m in mine.items()
            for t in theirs.get(m.subject, [])
            if t.native in right.server.rows and (native, t.native) not in apart
        ]

    # --- effects once ---------------------------------------------------------------------------------------------------

    def _asked_of_what_is_open(self) -> None:
        """Nobody is asked what became of an operation whose outcome is known."""
        over = self.world.doubts() - {intent.op for intent in self.world.keeper.run(intents.everything)}
        if over:
            self.fail(2, f"it is asked what became of {sorted(over)}, which is known")

    def _once(self) -> None:
        for server in self.servers:
            refs = Counter(ref for ref, _, _ in server.created)
            double = [ref for ref, n in refs.items() if n > 1]
            if double:
                self.fail(2, f"{server.name}: the operation {double[0]} took effect {refs[double[0]]} times")
            seen: dict[tuple[str, str], str] = {}
            for ref, number, native in server.created:
                row = server.rows.get(native)
                if row is None:
                    continue  # a person deleted it since
                if row.get("archived") and self.world.undoing.archived(server.name, native):
                    continue  # taken back: along another edge it may rightly come again
                if not number and any(e.native == native and e.word == "nr" for e in server.typed):
                    continue  # a person gave it a number: it is another company's record from then on
                key = ("nr", str(number)) if number else ("title", str(row.get("title")))
                unasked = key in seen and not self._made_again(key) and not self._parted(server, seen[key], key)
                if unasked and not self._chosen(seen[key], ref):
                    self.fail(2, f"{server.name}: {key} was created as {seen[key]} and as {native}")
                seen[key] = native

    def _parted(self, server: Server, native: str, key: tuple[str, str]) -> bool:
        """Whether a person took this record apart from what it was made from, and gave it another number: it is another thing,
        and the one it was made from gets a counterpart of its own."""
        stream = next(self.world.stream_of(place) for place in self.world.places if place.server is server)
        renumbered = key[0] == "nr" and str(server.rows[native].get("nr")) != key[1]
        return renumbered and any((stream, native) in (one, two) for _, one, two in self.world.deciding.apart)

    def _chosen(self, earlier: str, op: str) -> bool:
        """Whether a person was offered the earlier record and said to make another one, and this operation made it of the very
        record they were asked about; whatever number that carries since. An answer is good until its question closes, which is
        when it was carried out (the trail rounds to microseconds)."""
        made = next((e for e in self.trail if e.kind == "created" and e.op == op), None)
        if made is None or made.data is None:
            return False
        flow, source = made.data["flow"], other("left" if made.data["target"] == "left" else "right")
        native = str(made.data[source]).rpartition(":")[2]
        return any(
            (i.flow, i.side, i.native, i.field, i.answer) == (flow, source, native, "", "create")
            and any(choice["answer"] == earlier for choice in i.body.get("choices", []))
            and i.opened_at < made.at
            and (i.state == "answered" or (i.closed_at is not None and made.at <= round(i.closed_at, 6)))
            for i in self.answered
        )

    def _made_again(self, key: tuple[str, str]) -> bool:
        """Two creates of one number are right when people made two records with it, copied it, deleted one that had it, or were
        asked and said so."""
        titled = key[0] == "title"  # the systems have different words for a name
        typed = {
            (e.system, e.native)
            for server in self.servers
            for e in server.typed
            if str(e.value) == key[1] and (titled or e.word == key[0])
        }
        if len(typed) > 1 or any(str(row.get(key[0])) == key[1] for row in self.deleted.values()):
            return True
        about = {n for server in self.servers for n, row in server.rows.items() if str(row.get(key[0])) == key[1]}
        if titled and about & self.world.deciding.taken_apart():
            return True  # of no number, and two things since a person took them apart: each gets a counterpart
        return any(i.native in about and i.answer == "create" for i in self.answered)  # asked, and decided so

    # --- writes -----------------------------------------------------------------------------------------------------------

    def _nothing_unplanned(self) -> None:
        """A Ledger takes preconditions: nothing a person typed is overwritten there that we had not seen. And what a stored plan
        replaces is what it was made on."""
        for server in self.servers:
            if isinstance(server, LedgerServer):
                typed = {(e.native, e.word, repr(e.value)) for e in server.typed}
                for w in server.written:
                    if not w.seen and w.over is not None and (w.native, w.word, repr(w.over)) in typed:
                        name = f"{server.name} {w.native}"
                        self.fail(1, f"{w.over!r}, typed into {w.word} of {name}, was overwritten unseen")
        for began, ended, plan in self.world.applied:
            flow = next(flow for flow in self.world.flows if flow.id == plan.flow)
            for side in SIDES:
                server = self.world.at(flow, side).server
                if isinstance(server, TillServer):
                    before = {op.op: op.before for p in plan.steps for op in p.operations if p.step.side == side}
                    self._as_planned(server, before, began, ended)

    def _as_planned(self, server: Server, before: dict[str, Any], began: float, ended: float) -> None:
        for w in server.written:
            if w.ref not in before or not began <= w.at <= ended or w.word not in before[w.ref]:
                continue
            shown = server.shown.get((w.native, w.word, repr(w.over)))
            was = before[w.ref][w.word]
            moved = w.over is not None and not alike(w.word, w.over, was)
            if moved and shown is not None and shown < (w.at if len(self.world.flows) == 1 else began):
                name = f"{server.name} {w.native}"
                self.fail(1, f"a stored plan replaced {w.over!r} in {w.word} of {name}; it was made on {was!r}")

    def _agreed(self, flow: Flow) -> None:
        """Every field of every pair: equal as the sides can show it, or asked, or parked, or left as it is with a reason."""
        left, right = self.world.at(flow, "left").server, self.world.at(flow, "right").server
        for pair in self.pairs[flow.id]:
            one, two = left.rows[pair.left], right.rows[pair.right]
            if one.get("archived") or two.get("archived"):
                continue
            items = [i for i in self.open if i.flow == flow.id and i.native in (pair.left, pair.right)]
            about = {i.field for i in items}
            for rule in flow.fields:
                word = toys.WORD[rule.path]
                if not _applies(flow, rule, pair) or alike(word, one.get(word), two.get(word)):
                    continue
                if about & {"", TO_LEFT, rule.path, f"{pair.right} {rule.path}", "missing", "scope"}:
                    continue
                if pair.follower and about & {
                    f"{pair.right} ",
                    f"{pair.right} {TO_LEFT}",
                }:  # all of its write was refused
                    continue
                self._differ(flow, rule, pair, one.get(word), two.get(word))

    def _looks_as_it_was(self, flow: Flow, base: Base, path: str, left: Json, right: Json) -> bool:
        """The same where only looks are kept of what was agreed."""
        if path not in base.left or path not in base.prov:
            return False
        cans = [self.world.connections[flow.endpoint(side).connection].resource(flow.endpoint(side).resource).can for side in ("left", "right")]  # fmt: skip
        digest = self.world.keeper.vault.digest
        shape = shapes(flow, cans[0], cans[1], FACTS[flow.entity], digest=digest)[path]
        return shape.same_on("left", base.left[path], _value(path, left)) and shape.same_on(
            "right", base.right.get(path), _value(path, right)
        )

    def _differ(self, flow: Flow, rule: FieldRule, pair: Pair, left: Json, right: Json) -> None:
        stored = self.world.keeper.run(flows.bases_of, flow.id, left=[pair.left]).get((pair.left, pair.right))
        base = stored.base if stored else None
        if base is not None and (
            _left_as_it_is(base, rule.path, left, right) or self._looks_as_it_was(flow, base, rule.path, left, right)
        ):
            return
        law = 3 if rule.owner in OPENLY_OWNED else 1
        agreed = f"{base.left.get(rule.path)!r} / {base.right.get(rule.path)!r}" if base else "nothing"
        on_its_way = (base.written_left.get(rule.path), base.written_right.get(rule.path)) if base else None
        self.fail(
            law,
            f"{flow.id}: {rule.path} ({rule.owner}) of {pair.left}/{pair.right}: {left!r} and {right!r}, neither agreed nor"
            f" asked; base {agreed}, on its way {on_its_way}",
        )

    # --- nothing lost ----------------------------------------------------------------------------------------------------

    def _nothing_lost(self) -> None:
        """Every last human value that we could see stands on a side, in the trail, or on a work list."""
        standing = {text.casefold() for s in self.servers for row in s.rows.values() for text in _texts(row)}
        said = self.said.casefold()
        for server in self.servers:
            last = {(e.native, e.word): e for e in server.typed}
            for (native, word), edit in last.items():
                if (server.name, native) in self.deleted or not isinstance(edit.value, str):
                    continue
                seen = server.shown.get((native, word, repr(edit.value)))
                over = [
                    w
                    for w in server.written
                    if w.native == native and w.word == word and w.at >= edit.at and w.over == edit.value
                ]
                if not over or seen is None or over[0].at - seen < GAP:
                    continue
                if edit.value.casefold() not in standing and edit.value.casefold() not in said:
                    name = f"{server.name} {native}"
                    self.fail(3, f"{edit.value!r}, typed by a person into {word} of {name}, is nowhere any more")

    def _known(self) -> None:
        """Every record was taken in; one that shows something unreadable is on a list."""
        for place in self.world.places:
            server, stream = place.server, self.world.stream_of(place)
            known = self.world.keeper.run(observations.load, stream, list(server.rows), entity="company")
            for native, row in server.rows.items():
                if native not in known or known[native].gone:
                    self.fail(8, f"{server.name} {native} exists and was never taken in")
                elif not row.get("archived"):
                    self._readable(place, native, row)

    def _readable(self, place: Place, native: str, row: Row) -> None:
        """What cannot be read is told by each flow that compares that field of that pair."""
        broken = [w for w in ("tel", "legal") if isinstance(row.get(w), str) and row[w].startswith("??")]
        for flow, side in self._flows_at(place):
            for pair in self.pairs[flow.id]:
                if native != (pair.left if side == "left" else pair.right):
                    continue
                rules = [r for r in flow.fields if toys.WORD[r.path] in broken and _applies(flow, r, pair)]
                if rules and not any(i.flow == flow.id and i.native in (pair.left, pair.right) for i in self.open):
                    name = f"{place.server.name} {native}"
                    self.fail(4, f"{flow.id}: {name} shows a value that cannot be read, and nobody was told")

    def _flows_at(self, place: Place) -> list[tuple[Flow, SideName]]:
        return [(flow, side) for flow in self.world.flows for side in SIDES if self.world.at(flow, side) is place]

    def _linked(self, flow: Flow) -> None:
        """Every record has its counterpart where the flow makes them, or stands on a work list, or somebody decided."""
        for side in SIDES:
            server, far = self.world.at(flow, side).server, self.world.at(flow, other(side)).server
            if not flow.creates(other(side)):
                continue
            paired = {pair.left if side == "left" else pair.right for pair in self.pairs[flow.id]}
            listed = {n for i in self.open if i.flow == flow.id for n in _spoken_of(i)}
            for native, row in server.rows.items():
                if native in paired or native in listed or row.get("archived"):
                    continue
                if not self._decided(flow, native, str(row.get("nr")), (server, far)):
                    self.fail(
                        4, f"{flow.id}: {server.name} {native} ({row.get('nr')}) is neither linked nor on any list"
                    )

    def _decided(self, flow: Flow, native: str, number: str, servers: tuple[Server, Server]) -> bool:
        """A person said skip, unlink or leave; or a twin with the same number stands for it; or it came after an unlink."""
        twins = [n for s in servers for n, row in s.rows.items() if str(row.get("nr")) == number]
        about = {native, *twins}
        parted = any(kind == "unlinked" and any(f":{n}" in text for n in about) for kind, text in self.happened)
        return (
            parted
            or any(i.native in about and i.answer in ("skip", "unlink", "leave", "create") for i in self.answered)
            or "unlink" in (flow.missing_left, flow.missing_right)
            or any(i.native in about for i in self.open)
        )

    def _numbers(self) -> None:
        """A number is text: what was written of one is what somebody typed, zeros and all."""
        typed = {edit.value for server in self.servers for edit in server.typed if edit.word == "nr"}
        for server in self.servers:
            made = [number for _, number, _ in server.created] + [w.value for w in server.written if w.word == "nr"]
            if wrong := sorted({repr(number) for number in made if number and number not in typed}):
                self.fail(13, f"{server.name} was given numbers nobody typed: {', '.join(wrong)}")

    # --- manners ----------------------------------------------------------------------------------------------------------

    def _budgets(self) -> None:
        # What was counted falls away with the power, by design: a call must not wait for the disk, and the vendor's own answer
        # puts the count right.
        forgotten = self.world.machine.forgotten
        for server in self.servers:
            excused = 0
            if isinstance(server, TillServer):
                over = {minute: count - server.allowance for minute, count in server.minutes.items()}
                excused = sum(min(max(0, n), forgotten[(minute + 1) * 60.0]) for minute, n in over.items())
            if server.over_budget > excused:
                self.fail(10, f"{server.name} refused {server.over_budget} calls over its allowance, {excused} excused")

    def _tokens(self) -> None:
        for server in self.servers:
            if not isinstance(server, LedgerServer):
                continue
            if server.early:
                self.fail(9, f"a token of {server.name} was refreshed too early {server.early} times")
            # A pair that never arrived can only be mended by a person; but who uses the old one when the new one is here?
            at_once = [
                at
                for at, old in server.token_misuse
                if (new := server.rotated.get(old))
                and new[1] in self.world.arrived.get(server.name, ())
                and at - new[0] < 20
                and not any(new[0] - 1 <= death <= at for death in self.world.deaths)  # before it could be stored
                and at not in self.world.wire.late
            ]
            if at_once:
                self.fail(9, f"{server.name}: {len(at_once)} refreshes at once with another")

    def _deletions(self) -> None:
        for server in self.servers:
            elsewhere = any(name != server.name for name, _ in self.deleted)
            for row in server.rows.values():
                undone = self.world.undoing.archived(server.name, str(row["id"])) if row.get("archived") else False
                if row.get("archived") and not elsewhere and not undone:
                    self.fail(7, f"{server.name} {row['id']} was archived and nobody had deleted anything")

    def _no_fights(self) -> None:
        """A value is written, perhaps written again after a lost answer, and then left alone."""
        typed = Counter(e.word for s in self.servers for e in s.typed)
        for server in self.servers:
            for (native, word), n in Counter((w.native, w.word) for w in server.written).items():
                if n > 6 + 2 * typed[word]:
                    self.fail(6, f"{server.name} {native}: {word} was written {n} times")
        redundant, writes = sum(s.redundant for s in self.servers), sum(s.writes for s in self.servers)
        if redundant > 8 + 0.25 * writes:
            self.fail(6, f"{redundant} of {writes} writes changed nothing")

    def _silent(self) -> None:
        """A run with nothing to do lists each stream once and writes nothing; what only a person can end is asked about again,
        and what a vendor refused is tried again at the hours named for it, once what it concerns is read where values are not kept."""
        ends = [self.world.at(flow, side).server for flow in self.world.flows for side in SIDES]
        allowed = sum(
            2 if isinstance(server, TillServer) else 1 for server in ends
        )  # a Till lists what it buried apart
        allowed += 2 * len(self.world.doubts()) + self.world.idle_owed
        last = [result for result in self.world.last.values() if result]
        whole = any(result.counts["read_whole"] for result in last)  # it was time for that
        if self.world.idle_calls > allowed and not whole:
            self.fail(5, f"a run with nothing to do made {self.world.idle_calls} calls")
        if self.world.idle_writes:
            self.fail(5, f"a run with nothing to do wrote {self.world.idle_writes} times")


def _value(path: str, value: Json) -> Json:
    """A vendor's value as a flow sees it."""
    company, _ = toys.read_company({toys.WORD[path]: value})
    shown: dict[str, Json] = msgspec.to_builtins(company)
    return shown.get(path)


def _quiet(member: Member, leader: str, server: Server) -> bool:
    """Whether another record of its system, which is there, leads the thing this one is a follower of."""
    return member.role == "follower" and leader != member.native and leader in server.rows


def _applies(flow: Flow, rule: FieldRule, pair: Pair) -> bool:
    """Whether a flow keeps this field of this pair in step: of several records with one key it keeps the facts, one way."""
    if rule.when != "always" or pair.quiet:
        return False
    return not pair.follower or (rule.path in FACTS[flow.entity] and rule.owner != "right")


def _spoken_of(item: work.Item) -> set[str]:
    """The records an item of a work list is about: a question about a counterpart that is gone hangs on that one."""
    refs = (item.native, item.body.get("left"), item.body.get("right"))
    return {str(ref).rpartition(":")[2] for ref in refs if ref}


def _left_as_it_is(base: Base, path: str, left: Json, right: Json) -> bool:
    """Agreed to differ: both forms stand in the base, and somebody said why."""
    if path not in base.left and path not in base.right:
        return False
    if is_look(base.left.get(path)) or is_look(base.right.get(path)):
        return False  # told by their looks
    word = toys.WORD[path]
    return alike(word, base.left.get(path), left) and alike(word, base.right.get(path), right) and path in base.prov


def alike(word: str, one: Json, two: Json) -> bool:
    """Whether two values are one value as all toy systems can keep it: cut at 20 characters, in capitals, in any order."""
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
