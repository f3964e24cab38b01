"""Which records of the other side may belong to these: by strong keys, with what speaks against it, and by weak evidence.

All of it is store-wide and in bulk: how records are cut into parts cannot matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from koppel.engine.proposals import Proposed, propose, taken_by
from koppel.mapping.flow import Flow, SideName
from koppel.model.record import Record
from koppel.store import apart, subjects
from koppel.store.apart import Apart
from koppel.store.sql import Db
from koppel.store.subjects import Member
from koppel.store.work import Item
from koppel.sync.decide import NONE
from koppel.sync.evidence import Likeness

Key = tuple[str, str]
ZONE = ZoneInfo("Europe/Amsterdam")


class Match(msgspec.Struct, frozen=True):
    """A record of the other side that carries keys of ours (`by`: kinds). See `sync.steps.Candidate`."""

    native: str
    by: tuple[str, ...]
    taken: bool = False
    apart: str = ""
    news: bool = False


class Matching:
    """What may belong to which record of one side. `natives`: those records; `keys`: their strong keys; `carriers`: who carries a key over there."""

    def __init__(
        self,
        db: Db,
        flow: Flow,
        anchor: SideName,
        streams: tuple[int, int],
        natives: Iterable[str],
        keys: Mapping[str, Sequence[Key]],
        carriers: Mapping[Key, Sequence[str]],
    ) -> None:
        self.db, self.flow, self.carriers = db, flow, carriers
        self.anchor: SideName = anchor
        self.near, self.far = streams
        natives = list(natives)
        self.members = subjects.of_records(db, self.near, natives)
        self._fellows = subjects.of_subjects(db, self.near, {m.subject for m in self.members.values()})
        self.by = {native: self._by(several) for native, several in keys.items()}
        strong = {n for several in self.by.values() for n in several}
        self.far_members = subjects.of_records(db, self.far, strong)
        self.owners = subjects.of_subjects(db, self.near, {m.subject for m in self.far_members.values()})
        both = [*self.members.values(), *self.far_members.values()]
        records = [
            *((self.near, native) for native in natives),
            *((self.far, n) for n in strong),
        ]
        self.held = _Held(db, records, {(m.stream, m.native): m.subject for m in both})
        self._parted = {
            native: [n for n in several if n not in self.by.get(native, ())]
            for native in natives
            if (several := self.held.taken_apart((self.near, native), self.far))
        }
        if self._parted:
            more = {n for several in self._parted.values() for n in several} - strong
            self.far_members |= subjects.of_records(db, self.far, more)
            theirs = {m.subject for m in self.far_members.values()} - self.owners.keys()
            self.owners |= subjects.of_subjects(db, self.near, theirs)

    def _by(self, keys: Iterable[Key]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key in keys:
            for native in self.carriers.get(key, ()):
                kinds = found.setdefault(native, [])
                if key[0] not in kinds:
                    kinds.append(key[0])
        return found

    def natives(self) -> set[str]:
        """Every record over there that carries a key of these, or that a person took apart from one of them."""
        return {native for found in (self.by, self._parted) for several in found.values() for native in several}

    def strong(self, native: str, *, paired: set[str]) -> list[Match]:
        """What carries this record's keys over there, but for what it is linked with; by native id."""
        found: list[Match] = []
        for candidate, kinds in sorted(self.by.get(native, {}).items()):
            if candidate in paired:
                continue
            words, news = self.held.between((self.near, native), (self.far, candidate))
            found.append(Match(candidate, tuple(kinds), self._taken(native, candidate), words, news))
        return found

    def parted(self, native: str) -> list[Match]:
        """What belonged with this record until a person took them apart, and carries none of its keys; by native id."""
        near = (self.near, native)
        return [
            Match(candidate, (), self._taken(native, candidate), self.held.between(near, (self.far, candidate))[0])
            for candidate in sorted(self._parted.get(native, ()))
        ]

    def _taken(self, native: str, candidate: str) -> bool:
        """Whether the candidate belongs to another thing: one that has a record on this side already, or is not our own."""
        theirs, mine = self.far_members.get(candidate), self.members.get(native)
        if theirs is None:
            return False
        return mine is not None or theirs.subject in self.owners

    def fellow(self, native: str, twin: str) -> bool:
        """Whether two records of this side are known to be one thing: that they share a key is no question then."""
        member = self.members.get(native)
        return member is not None and twin in {other.native for other in self._fellows.get(member.subject, ())}

    def follows(self) -> dict[str, str]:
        """Those of these records whose subject another record of this side leads, and which one does."""
        return leaders(self.members, self._fellows)

    def weak(self, records: Mapping[str, Record], items: Mapping[str, Sequence[Item]]) -> dict[str, list[Proposed]]:
        """What may be the same thing as these records, of which nothing is linked over there and nobody carries a key.

        Not what a person just said is none of it, which the end of this pass writes down for good.
        """
        found = propose(self.db, self.flow, self.anchor, self.near, self.far, records)
        declined = {
            native: {str(c["answer"]) for i in several if i.answer == NONE for c in i.body.get("choices", [])}
            for native, several in items.items()
        }
        chosen = {
            native: str(i.answer)
            for native in records
            for i in items.get(native, ())
            if i.code == "proposed" and isinstance(i.answer, str) and i.answer != NONE
        }
        taken = taken_by(self.db, self.near, self.far, chosen.values())
        for native, answer in chosen.items():  # a person's word counts, also when less speaks for it by now
            if answer not in taken and answer not in {p.native for p in found.setdefault(native, [])}:
                found[native].append(Proposed(answer, Likeness(0, ())))
        return {n: [p for p in several if p.native not in declined.get(n, ())] for n, several in found.items()}


def leaders(members: Mapping[str, Member], fellows: Mapping[str, Sequence[Member]]) -> dict[str, str]:
    """Who leads the subject of each of these members of one side, where it is another one of `fellows`, by subject."""
    return {
        native: leader
        for native, member in members.items()
        if member.role != "main" and (leader := fellows[member.subject][0].native) != native
    }


class _Held:
    """What people hold apart: a decision about one member counts for all of its subject."""

    def __init__(self, db: Db, records: Iterable[apart.Record], subject_of: Mapping[apart.Record, str]) -> None:
        self.db, self.subject_of = db, {**subject_of}
        self.decisions: dict[tuple[apart.Record, apart.Record], Apart] = {}
        self.parted: dict[apart.Record, list[apart.Record]] = {}
        self.members: dict[str, list[Member]] = {}
        if apart.any_held(db):
            self.members = subjects.everyone(db, set(subject_of.values()))
            fellows = [(m.stream, m.native) for several in self.members.values() for m in several]
            self.decisions = {(held.one, held.two): held for held in apart.of_records(db, [*records, *fellows])}
            for held in self.decisions.values():
                if held.why in apart.TAKEN_APART:
                    self.parted.setdefault(held.one, []).append(held.two)
                    self.parted.setdefault(held.two, []).append(held.one)
            seats = subjects.seats_of(db, self.parted.keys() - self.subject_of.keys())
            self.subject_of |= {seat.record: seat.subject for seat in seats}
            self.members |= subjects.everyone(db, {seat.subject for seat in seats} - self.members.keys())

    def taken_apart(self, record: apart.Record, far: int) -> set[str]:
        """Records of the far side that belonged with this one, or with one of its own, until a person took them apart."""
        return {
            native
            for mine in (self._with(record) if self.parted else ())
            for partner in self.parted.get(mine, ())
            for stream, native in self._with(partner)
            if stream == far
        }

    def between(self, one: apart.Record, two: apart.Record) -> tuple[str, bool]:
        """Who decided what when, in words (empty: nobody), and whether the two have come to share a key since."""
        if not self.decisions:
            return "", False
        for mine in self._with(one):
            for theirs in self._with(two):
                held = self.decisions.get((min(mine, theirs), max(mine, theirs)))
                if held is not None:
                    direct = {mine, theirs} == {one, two}
                    return said(held), direct and not {*apart.shared_keys(self.db, one, two)} <= {*held.keys}
        return "", False

    def _with(self, record: apart.Record) -> list[apart.Record]:
        fellows = self.members.get(self.subject_of.get(record, ""), [])
        return list(dict.fromkeys([record, *((m.stream, m.native) for m in fellows)]))


def held_apart(db: Db, one: apart.Record, two: apart.Record) -> str:
    """Who decided that two records, or what each is one thing with by now, are not one thing, in words; empty: nobody, or
    they are one already."""
    if not apart.any_held(db):
        return ""
    subject_of = {seat.record: seat.subject for seat in subjects.seats_of(db, [one, two])}
    if one in subject_of and subject_of[one] == subject_of.get(two):
        return ""
    return _Held(db, [one, two], subject_of).between(one, two)[0]


def parted_for_good(
    db: Db, flow: Flow, streams: tuple[int, int], carriers: Mapping[str, Iterable[str]]
) -> set[tuple[str, str]]:
    """Of right records and the left ones that carry their keys: those that people hold apart, where the left one asks nothing
    about it, because it has a counterpart or the flow makes none for it. The right one stands for itself then, or nobody would
    ever be asked about it."""
    left, right = streams
    if not apart.any_held(db):
        return set()
    mine = subjects.of_records(db, left, {c for several in carriers.values() for c in several})
    if flow.create_right:
        with_one = subjects.of_subjects(db, right, {m.subject for m in mine.values()})
        quiet = {native for native, m in mine.items() if m.subject in with_one}
        carriers = {native: [c for c in several if c in quiet] for native, several in carriers.items()}
    theirs = subjects.of_records(db, right, carriers)
    records = [(left, c) for several in carriers.values() for c in several] + [(right, n) for n in carriers]
    subject_of = {(m.stream, m.native): m.subject for m in (*mine.values(), *theirs.values())}
    held = _Held(db, records, subject_of)
    return {
        (native, carrier)
        for native, several in carriers.items()
        for carrier in several
        if held.between((left, carrier), (right, native))[0]
    }


def said(held: Apart) -> str:
    """A standing decision in words.

    >>> said(Apart((1, "a"), (2, "b"), 0.0, "mieke", "unlinked"))
    'unlinked by mieke on 1970-01-01'
    """
    return f"{held.why} by {held.by} on {datetime.fromtimestamp(held.at, ZONE):%Y-%m-%d}"
