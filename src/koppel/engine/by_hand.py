"""One change by hand at work: who sits where before and after, and what it does to everything that hangs on that.

What each of the four deeds asks of it stands in `koppel.engine.identity`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from koppel.engine.own_turn import let_go_by_hand
from koppel.mapping.flow import Flow, SideName
from koppel.model.problem import UsageError
from koppel.model.values import Json, Ref
from koppel.store import apart, due, flows, intents, observations, streams, subjects, trail, work
from koppel.store.apart import Apart
from koppel.store.due import Due
from koppel.store.flows import StoredBase
from koppel.store.sql import Db
from koppel.store.subjects import MemberRole, Seat

Deed = Literal["link", "unlink", "merge", "split"]
KINDS: Mapping[Deed, str] = {
    "link": "linked by hand",
    "unlink": "unlinked by hand",
    "merge": "merged by hand",
    "split": "split by hand",
}
OPPOSITE: Mapping[Deed, Deed] = {"link": "unlink", "unlink": "link", "merge": "split", "split": "merge"}
Record = tuple[int, str]
_SIDES: tuple[SideName, SideName] = ("left", "right")


class By(msgspec.Struct, frozen=True):
    """Who decides, and when."""

    actor: str
    at: float


class Place(msgspec.Struct, frozen=True):
    """One record and where it sits: subject "" when it belongs with nobody."""

    ref: str
    label: str
    role: str = ""
    subject: str = ""


class Changed(msgspec.Struct, frozen=True):
    """What became of a change: where the records sit now, what is worth knowing, the flows that will look at them, and the
    words of the command that takes it back."""

    did: Deed
    entry: int
    places: tuple[Place, ...]
    notes: tuple[str, ...]
    flows: tuple[str, ...]
    inverse: tuple[str, ...]


class Aside(msgspec.Struct, frozen=True):
    """A base whose pair no longer belongs together."""

    flow: str
    base: StoredBase


class Part(msgspec.Struct, frozen=True):
    """What a change did to one subject. `bases`: set aside by it. The first part of a change also holds what is nobody's."""

    subject: str
    before: tuple[Seat, ...]
    after: tuple[Seat, ...]
    bases: tuple[Aside, ...] = ()
    absorbed: tuple[str, ...] = ()  # before it
    entries: int = 1
    held: tuple[Apart, ...] = ()  # decisions to hold apart, new with it
    lifted: tuple[Apart, ...] = ()  # decisions it lifted
    closed: tuple[int, ...] = ()  # answers about these records that are over with it, such as to leave one out
    stood: tuple[int, ...] = ()  # answers that stand again with it
    refs: tuple[str, ...] = ()


class Work:
    """One change: the records it names, where they sit, and what it does to everything that hangs on that."""

    def __init__(self, db: Db, known: Sequence[Flow], by: By, did: Deed, refs: Sequence[Ref]) -> None:
        self.db, self.by, self.refs = db, by, refs
        self.did: Deed = did
        self.named = tuple(str(ref) for ref in refs)  # whom a change was about, for taking it back
        self.streams = {stream.name: stream.id for stream in streams.every(db)}
        self.names = {number: name for name, number in self.streams.items()}
        self.flows = {
            flow.id: (flow, self.streams[str(flow.left)], self.streams[str(flow.right)])
            for flow in known
            if str(flow.left) in self.streams and str(flow.right) in self.streams
        }
        self.entities = {stream: flow.entity for flow, *ends in self.flows.values() for stream in ends}
        self.records = [self._record(ref) for ref in refs]
        self.seats = {seat.record: seat for seat in subjects.seats_of(db, self.records)}
        self.notes: list[str] = []

    def _record(self, ref: Ref) -> Record:
        stream = self.streams.get(f"{ref.connection}:{ref.resource}")
        seen = None if stream is None else self._seen(stream, ref.native)
        if stream is None or seen is None:
            raise UsageError(
                f"{ref} was never seen.", remedy="Check it; a record is known once a run has read it: koppel sync FLOW"
            )
        return stream, ref.native

    def _seen(self, stream: int, native: str) -> observations.Observation | None:
        return observations.load(self.db, stream, [native], entity=self.entities.get(stream, "company")).get(native)

    def seat(self, record: Record) -> Seat | None:
        """Where a record named sits."""
        return self.seats.get(record)

    def belonging(self, number: int) -> Seat:
        """Where the n-th record named sits. Raises UsageError when it belongs with nobody."""
        seat = self.seats.get(self.records[number])
        if seat is None:
            raise UsageError(
                f"{self.refs[number]} is linked with nothing.",
                remedy=f"koppel link {self.refs[number]} OTHER links it.",
            )
        return seat

    def ref(self, record: Record) -> str:
        """What a record is called."""
        return f"{self.names[record[0]]}:{record[1]}"

    def must_be_there(self) -> None:
        """Raises UsageError for one record named twice, or one that is gone."""
        if len({*self.records}) < len(self.records):
            raise UsageError("That is one record, named twice.", remedy="Name two.")
        for ref, (stream, native) in zip(self.refs, self.records, strict=True):
            seen = self._seen(stream, native)
            if seen is not None and seen.gone:
                raise UsageError(f"{ref} is gone there.", remedy="Nothing can be linked with it.")

    def role(self, there: Sequence[Seat], stream: int, *, as_follower: bool) -> MemberRole:
        """The role of one more record of a stream. Raises UsageError where a flow would take turns between two mains."""
        leader = next((seat for seat in there if seat.stream == stream), None)
        if leader is None:
            return "main"
        if as_follower:
            return "follower"
        turns = sorted(name for name, (_, *ends) in self.flows.items() if stream in ends)
        if not turns:
            return "follower"
        raise UsageError(
            f"{self.names[stream]}:{leader.native} is there already: flow {turns[0]} would write two records of"
            f" {self.names[stream]} over one another.",
            remedy="With --as-follower the other one comes second: flows give it only legal facts, and take nothing from it.",
        )

    def led(self, seats: Sequence[Seat], *, anew: bool = False) -> list[Seat]:
        """The same seats, where the main of a stream has left with the first of its followers in its place; `anew`: in a thing
        of their own, where every stream has a main."""
        before = subjects.seats(self.db, {seat.subject for seat in self.seats.values()})
        was_led = {seat.stream for seat in before if seat.role == "main"}
        after: list[Seat] = []
        for seat in sorted(seats, key=lambda seat: (seat.stream, seat.role != "main", seat.native)):
            leads = (anew or seat.stream in was_led) and not any(s.stream == seat.stream for s in after)
            if leads and seat.role != "main" and not anew:
                self.notes.append(f"{self.names[seat.stream]}:{seat.native} leads now")
            after.append(msgspec.structs.replace(seat, role="main") if leads else seat)
        return after

    def do(
        self,
        after: Sequence[Seat],
        *,
        subjects_: tuple[str, ...],
        hold: Sequence[tuple[Record, Record]] = (),
        lift: Sequence[tuple[Record, Record]] = (),
        why: str = "",
        restore: Sequence[Part] = (),
    ) -> Changed:
        """Seat everybody anew, and say so."""
        before = sorted({*subjects.seats(self.db, subjects_), *self.seats.values()})
        everybody = list(dict.fromkeys(seat.record for seat in (*before, *after)))
        self._must_not_be_in_doubt(everybody)
        held_before = {(held.one, held.two): held for held in apart.of_records(self.db, everybody)}
        was_absorbed = {subject: tuple(subjects.absorbed(self.db, subject)) for subject in subjects_}
        subjects.reseat(self.db, before, after, at=self.by.at)
        aside = self._rebase(before, after, [base for part in restore for base in part.bases])
        self._absorb(subjects_, restore)
        closed, stood = self._hold(hold, lift, why, restore)
        held_now = {(held.one, held.two): held for held in apart.of_records(self.db, everybody)}
        number = self._tell(
            [
                Part(
                    subject,
                    tuple(seat for seat in before if seat.subject == subject),
                    tuple(sorted(seat for seat in after if seat.subject == subject)),
                    tuple(one for one in aside if one.base.subject == subject),
                    was_absorbed[subject],
                    len(subjects_),
                )
                for subject in subjects_
            ],
            held=tuple(held for pair, held in held_now.items() if held_before.get(pair) != held),
            lifted=tuple(held for pair, held in held_before.items() if held_now.get(pair) != held),
            closed=closed,
            stood=stood,
        )
        told = self._due(everybody)
        self._differ(after)
        places = tuple(self._place(record, after) for record in everybody)
        back = OPPOSITE[self.did]
        inverse = ("koppel", back, *self.named[1 if back == "split" else 0 :], "--as-before", str(number))
        return Changed(self.did, number, places, tuple(self.notes), told, inverse)

    def _must_not_be_in_doubt(self, records: Iterable[Record]) -> None:
        open_ = intents.slots(self.db)
        creating = {slot for _, slot in open_}
        for stream, native in records:
            if (stream, f"record {native}") in open_ or intents.slot_from(stream, native) in creating:
                raise UsageError(
                    f"A write about {self.names[stream]}:{native} is in doubt.",
                    remedy="Run its flow first (koppel sync FLOW): it finds out what became of it.",
                )

    def _rebase(self, before: Sequence[Seat], after: Sequence[Seat], put_back: Sequence[Aside]) -> list[Aside]:
        """Bases of pairs that still belong together move with them; those of others are set aside. Returns the latter."""
        now = {seat.record: seat.subject for seat in after}
        aside: list[Aside] = []
        there: set[tuple[str, str, str]] = set()
        for flow, base in flows.of_subjects(self.db, {seat.subject for seat in before}):
            subject = self._together(flow, base, now)
            if subject is None:
                flows.drop_base(self.db, flow, base.left_native, base.right_native)
                aside.append(Aside(flow, base))
                continue
            there.add((flow, base.left_native, base.right_native))
            if subject != base.subject:
                flows.save_bases(self.db, flow, [msgspec.structs.replace(base, subject=subject)])
        for one in put_back:
            subject = self._together(one.flow, one.base, now)
            if subject is not None and (one.flow, one.base.left_native, one.base.right_native) not in there:
                flows.save_bases(self.db, one.flow, [msgspec.structs.replace(one.base, subject=subject)])
        return aside

    def _together(self, flow: str, base: StoredBase, now: Mapping[Record, str]) -> str | None:
        if flow not in self.flows:
            return None  # its file is gone: nobody can tell any more which records these were
        _, left, right = self.flows[flow]
        mine, theirs = now.get((left, base.left_native)), now.get((right, base.right_native))
        return mine if mine is not None and mine == theirs else None

    def _absorb(self, touched: Sequence[str], restore: Sequence[Part]) -> None:
        """Whose trail belongs to whom: what was merged away is erased together with what it was merged into."""
        if restore:
            for part in restore:
                subjects.absorb(self.db, part.subject, part.absorbed)
        elif self.did == "merge":
            kept, gone = touched
            subjects.absorb(self.db, kept, {*subjects.absorbed(self.db, kept), gone})

    def _hold(
        self,
        hold: Sequence[tuple[Record, Record]],
        lift: Sequence[tuple[Record, Record]],
        why: str,
        restore: Sequence[Part],
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Write down what is held apart from now on, lift what is not; returns the answers that end, and those that stand again."""
        apart.lift(self.db, lift)
        apart.hold(self.db, hold, at=self.by.at, by=self.by.actor, why=why)
        if restore:
            apart.restore(self.db, restore[0].lifted)
            work.stand_again(self.db, restore[0].closed)
            work.close(self.db, restore[0].stood, by=self.by.actor, at=self.by.at)
            return restore[0].stood, restore[0].closed
        if self.did not in ("link", "merge"):
            return (), ()
        over: list[int] = []
        for name, (_, *ends) in self.flows.items():
            for side, stream in zip(_SIDES, ends, strict=True):
                about = work.about(self.db, name, side, [native for at, native in self.records if at == stream])
                answered = [item for item in about if item.state == "answered" and not item.field]
                over += [item.id for item in answered]
                own_turn = [entry for item in answered if side == "left" for entry in let_go_by_hand(item)]
                due.add(self.db, name, own_turn, at=self.by.at)
        work.close(self.db, over, by=self.by.actor, at=self.by.at)
        return tuple(over), ()

    def _tell(
        self,
        parts: Sequence[Part],
        *,
        held: tuple[Apart, ...],
        lifted: tuple[Apart, ...],
        closed: tuple[int, ...],
        stood: tuple[int, ...],
    ) -> int:
        refs = self.named
        entries: list[trail.Entry] = []
        for number, part in enumerate(parts):
            whole = msgspec.structs.replace(part, held=held, lifted=lifted, closed=closed, stood=stood, refs=refs)
            shown = whole if number == 0 else part
            data: dict[str, Json] = {
                "label": self._label(self.records[0]),
                "because": f"{KINDS[self.did]}: {self._said(part.before)} → {self._said(part.after)}",
                "change": msgspec.to_builtins(shown),
            }
            entries.append(trail.Entry(self.by.at, self.by.actor, KINDS[self.did], data, subject=part.subject))
        return trail.append(self.db, entries)[0]

    def _said(self, seats: Sequence[Seat]) -> str:
        return ", ".join(f"{self.names[s.stream]}:{s.native} ({s.role})" for s in seats) or "nothing"

    def _due(self, records: Sequence[Record]) -> tuple[str, ...]:
        """Have the flows look at the records. One that a flow never took in is not taken in by this."""
        told: list[str] = []
        for name, (flow, *ends) in self.flows.items():
            for side, stream in zip(_SIDES, ends, strict=True):
                natives = [native for at, native in records if at == stream]
                if side == "left" and flow.scope.take != "all":
                    natives = self._taking_part(flow, ends[0], ends[1], natives)
                due.add(self.db, name, [Due(side, native, "asked") for native in natives], at=self.by.at)
                told += [name] if natives else []
        return tuple(dict.fromkeys(told))

    def _taking_part(self, flow: Flow, left: int, right: int, natives: Sequence[str]) -> list[str]:
        members = subjects.of_records(self.db, left, natives)
        partners = subjects.of_subjects(self.db, right, {member.subject for member in members.values()})
        based = {pair[0] for pair in flows.bases_of(self.db, flow.id, left=natives)}
        asked = {item.native for item in work.about(self.db, flow.id, "left", natives)}
        return [n for n in natives if n in based | asked or (n in members and members[n].subject in partners)]

    def _differ(self, after: Sequence[Seat]) -> None:
        """Say where numbers contradict each other: the flow that owns them will write one over the other."""
        by_subject: dict[str, dict[str, dict[str, str]]] = {}
        for seat in after if self.did in ("link", "merge") else ():
            seen = self._seen(seat.stream, seat.native)
            for kind, value in seen.record.entity.match_keys() if seen is not None and seen.record is not None else ():
                if kind in ("kvk", "vat", "rsin"):
                    by_subject.setdefault(seat.subject, {}).setdefault(kind, {}).setdefault(
                        value, self.names[seat.stream]
                    )
        for kinds in by_subject.values():
            for kind, values in kinds.items():
                if len(values) > 1:
                    told = " and ".join(f"{value} in {name}" for value, name in values.items())
                    self.notes.append(f"they carry different {kind} numbers: {told}")

    def _place(self, record: Record, after: Sequence[Seat]) -> Place:
        seat = next((seat for seat in after if seat.record == record), None)
        name, label = f"{self.names[record[0]]}:{record[1]}", self._label(record)
        return Place(name, label) if seat is None else Place(name, label, seat.role, seat.subject)

    def _label(self, record: Record) -> str:
        seen = self._seen(*record)
        return (seen.record.entity.label() if seen is not None and seen.record is not None else "") or record[1]
