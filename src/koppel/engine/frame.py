"""A flow at work: its policy, its two streams, and the views the core decides on, loaded from the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from koppel.engine.answers import standing, withdrawn
from koppel.engine.caching import bare_note, lacks, needed
from koppel.engine.enrich import laid_over
from koppel.engine.grouping import refuse_regrouping
from koppel.engine.lookalikes import open_creates
from koppel.engine.matching import Matching, parted_for_good
from koppel.engine.ports import Connection, Ports
from koppel.engine.proposals import Proposed, propose
from koppel.engine.provenance import Sighting, rule_said, sighting
from koppel.engine.references import References, tokens_for
from koppel.mapping.conditions import reason
from koppel.mapping.flow import FieldRule, Flow, SideName, other
from koppel.mapping.paths import look_up
from koppel.mapping.project import match_values, unheld, values
from koppel.mapping.references import references_of
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.model.documents import PARTIES
from koppel.model.problem import Problem
from koppel.model.record import Record
from koppel.model.values import Json, Ref
from koppel.model.versions import FACTS
from koppel.store import flows, intents, notes, observations, streams, subjects, suppression, work
from koppel.store.due import Due
from koppel.store.observations import Observation
from koppel.store.sql import Db, as_list
from koppel.store.standing import between as is_between
from koppel.store.standing import elsewhere as decided_elsewhere
from koppel.store.standing import left_alone
from koppel.store.streams import Stream
from koppel.store.subjects import Member
from koppel.sync.base import Base
from koppel.sync.decide import Policy
from koppel.sync.merge import Visible
from koppel.sync.shapes import shapes
from koppel.sync.steps import Candidate, Linked, Side, View
from koppel.systems.spi import Resource


@dataclass(kw_only=True)
class Frame:
    """One flow with everything that its pass needs. `absent`: keys the right (or left) was asked for and surely lacks;
    `again`: what must stay due although this pass looked at it, and not before when; `sightings`: how each record looked that was
    decided on, for the trail. `references`: the rules that name other records. `hashed`: sides of which only looks are kept of what
    was agreed; `maybe_bare`: sides on which values may have been let go; `bare`: records met whose values were let go; `read_by_id`: calls made to read such, by connection."""

    flow: Flow
    policy: Policy
    references: References
    connections: Mapping[SideName, Connection]
    resources: Mapping[SideName, Resource]
    streams: dict[SideName, Stream]
    transforms: Mapping[str, Transform] = field(default_factory=lambda: TRANSFORMS)
    absent: dict[SideName, set[tuple[str, str]]] = field(default_factory=lambda: {"left": set(), "right": set()})
    unfound: dict[str, Problem] = field(default_factory=dict)
    again: list[tuple[Due, float | None]] = field(default_factory=list)
    sources: Mapping[str, Connection] = field(default_factory=dict)
    named: int = 0
    held: set[tuple[SideName, str, str]] = field(default_factory=set)
    sightings: dict[tuple[str, str], Sighting] = field(default_factory=dict)
    rules: dict[str, FieldRule] = field(default_factory=dict)
    rules_said: dict[str, dict[str, Json]] = field(default_factory=dict)
    hashed: frozenset[SideName] = frozenset()
    maybe_bare: frozenset[SideName] = frozenset()
    bare: set[tuple[SideName, str]] = field(default_factory=set)
    read_by_id: Counter[str] = field(default_factory=Counter)

    def ref(self, side: SideName, native: str) -> Ref:
        """The full reference of a record."""
        return Ref(self.connections[side].name, self.resources[side].name, native)

    def listable(self, side: SideName) -> bool:
        """Whether that side can be listed."""
        return self.resources[side].can.list


def make_frame(ports: Ports, flow: Flow, *, transforms: Mapping[str, Transform] = TRANSFORMS) -> Frame:
    """Gather what the pass of a flow needs. Raises KeyError for an endpoint that is not configured."""
    left, right = ports.at(flow.left), ports.at(flow.right)
    ports.store.run(refuse_regrouping, flow)
    settle = Visible(as_of=ports.clock.now(), left=left[1].can.settles_after, right=right[1].can.settles_after)
    digest = ports.store.vault.digest
    made = shapes(flow, left[1].can, right[1].can, FACTS[flow.entity], digest=digest)
    ends: tuple[tuple[SideName, Resource], ...] = (("left", left[1]), ("right", right[1]))
    archives: frozenset[SideName] = frozenset(side for side, resource in ends if resource.can.archive)
    connections: dict[SideName, Connection] = {"left": left[0], "right": right[0]}
    named = references_of(flow, left[1].can, right[1].can)
    others: set[tuple[SideName, str]] = {
        (side, part.on(side)) for parts in named.values() for part in parts for side in connections
    }
    between: dict[SideName, Stream] = {
        "left": ports.store.run(streams.ensure, left[0].name, left[1].name),
        "right": ports.store.run(streams.ensure, right[0].name, right[1].name),
    }
    ports.store.run(is_between, flow.id, between["left"].id, between["right"].id)
    return Frame(
        flow=flow,
        policy=Policy(flow=flow, shapes=made, visible=settle, archives=archives),
        connections=connections,
        resources={"left": left[1], "right": right[1]},
        streams=between,
        transforms=transforms,
        sources=ports.connections,
        rules={rule.key: rule for rule in flow.fields},
        rules_said={rule.key: rule_said(rule) for rule in flow.fields},
        maybe_bare=frozenset(
            side
            for side, resource in ends
            if ports.store.run(notes.get, bare_note(connections[side].name, resource.name)) is not None
        ),
        hashed=frozenset(side for side, resource in ends if resource.name in connections[side].lets_go),
        references=References(
            flow=flow,
            transforms=transforms,
            parts=named,
            streams={
                (s, name): ports.store.run(streams.ensure, connections[s].name, name) for s, name in sorted(others)
            },
            entities={(s, name): connections[s].resource(name).entity or flow.entity for s, name in others},
            connections={side: connection.name for side, connection in connections.items()},
        ),
    )


def seen_of(db: Db, frame: Frame, side: SideName, natives: Iterable[str]) -> dict[str, Observation]:
    """What is known of these records, with what enriching resources know laid over the left's."""
    seen = met(db, frame, side, natives)
    return laid_over(db, frame.flow, frame.sources, seen) if side == "left" else seen


def met(db: Db, frame: Frame, side: SideName, natives: Iterable[str]) -> dict[str, Observation]:
    """What is known of these records; those whose values were let go are noted, to be read."""
    seen = observations.load(db, frame.streams[side].id, natives, entity=frame.flow.entity)
    frame.bare.update((side, native) for native, one in seen.items() if one.bare)
    return seen


def refresh(ports: Ports, frame: Frame) -> None:
    """Read the streams' rows again: after pages were taken in, before deciding."""
    for side in ("left", "right"):
        frame.streams[side] = ports.store.run(streams.get, frame.streams[side].id)


def read_since(frame: Frame, side: SideName, began: float) -> None:
    """Note when reading a side began: what should show by then is judged by that instant. The reading may have waited for an
    allowance, and shown what was there before it."""
    visible = frame.policy.visible
    visible = replace(visible, left_read=began) if side == "left" else replace(visible, right_read=began)
    frame.policy = replace(frame.policy, visible=visible)


def label(record: Record | None, native: str) -> str:
    """A record's name for people: name and KVK number or code."""
    if record is None:
        return native
    return record.entity.label() or native


def sides_of(db: Db, frame: Frame, side: SideName, seen: Mapping[str, Observation]) -> dict[str, Side]:
    """Observations of one side as this flow sees them."""
    shown = {native: _side_of(frame, side, observation) for native, observation in seen.items()}
    return tokens_for(db, frame.references, side, shown)


def _side_of(frame: Frame, side: SideName, seen: Observation) -> Side:
    """One observation, naming other records by their ids."""
    record = seen.record
    if record is None:
        digest = "" if seen.bare else seen.digest  # nothing is settled on what was not read
        return Side(seen.native, {}, digest, label=seen.native, gone=seen.gone, problems=seen.problems)
    shown, problems = values(frame.flow, side, record, transforms=frame.transforms)
    conditions = frame.flow.scope.left if side == "left" else frame.flow.scope.right
    return Side(
        seen.native,
        shown,
        seen.digest,
        label=_held(frame, side, record, label(record, seen.native)),
        keys=match_values(frame.flow, record),
        gone=seen.gone,
        excluded=reason(conditions, record),
        problems=(*problems, *seen.problems),
        modified_at=seen.modified_at,
        successor=getattr(record.entity, "successor", None),
        successor_known="successor" in seen.given,
        unheld=unheld(frame.flow, shown, problems),
        dated=getattr(record.entity, "date", None),
    )


def _held(frame: Frame, side: SideName, record: Record, name: str) -> str:
    """A posting's name with how many documents it holds."""
    if side == "right" or frame.flow.group is None:
        return name
    count = record.own.get("documents", 0)
    return f"{name} ({count} document{'' if count == 1 else 's'})"


def taking_part(db: Db, flow: str, natives: Iterable[str]) -> list[str]:
    """Those left records that take part in a flow: linked by it, due in it, or on its work lists."""
    asked = list(natives)
    found = {
        row[0]
        for row in db.rows(
            f"select given.v from {db.values()}"
            " where exists (select 1 from bases b where b.flow = :f and b.left_native = given.v)"
            " or exists (select 1 from due d where d.flow = :f and d.side = 'left' and d.native = given.v)"
            " or exists (select 1 from work w where w.flow = :f and w.side = 'left' and w.native = given.v"
            " and w.state in ('open', 'answered'))",
            f=flow,
            list=as_list(asked),
        )
    } if asked else set()  # fmt: skip
    return [native for native in asked if native in found]


class Loader:
    """Loads views in one transaction. Anchors on the left wherever a left record exists."""

    def __init__(self, db: Db, frame: Frame) -> None:
        self.db, self.frame = db, frame
        self.entity = frame.flow.entity
        self.slots = intents.slots(db)
        # A create in doubt that sent no key can only be recognised by people: what shows up without a key may be it.
        open_ = intents.everything(db) if self.slots else []
        self.unshown: list[str] = []  # left records of a listed side that were asked for and never seen
        self.unclear = {i.stream for i in open_ if i.kind == "create" and not i.body["operation"].get("keys")}
        self.sent = open_creates(db, open_)

    def views(self, *, left: Iterable[str], right: Iterable[str]) -> list[View]:
        """The views for these dirty records, each real thing once, in a stable order."""
        left = suppression.spared(self.db, self.frame.streams["left"].id, left)  # whoever named them
        right = suppression.spared(self.db, self.frame.streams["right"].id, right)
        left_anchors = dict.fromkeys(left)
        lonely: dict[str, None] = {}
        for native, anchors in self._anchors(list(dict.fromkeys(right))).items():
            if anchors:
                left_anchors.update(dict.fromkeys(anchors))
            else:
                lonely[native] = None
        left_anchors.update((native, None) for several in self._alike(list(lonely)).values() for native in several)
        made = self._views("left", list(left_anchors))
        made += self._views("right", self._counterparts(self.unshown))
        if self.frame.flow.create_left:  # what a left record's question is about waits for its answer
            asked = {p.side.native for view in made if not view.waiting for p in view.proposals}
            made += self._views("right", [native for native in lonely if native not in asked])
        return made

    def _counterparts(self, lefts: list[str]) -> list[str]:
        """What left records were made from that never showed: it is looked at instead, or nobody would ask what became of them."""
        streams_ = self.frame.streams
        members = subjects.of_records(self.db, streams_["left"].id, lefts)
        rights = subjects.of_subjects(self.db, streams_["right"].id, {m.subject for m in members.values()})
        return list(dict.fromkeys(m.native for several in rights.values() for m in several))

    def lefts_of(self, right: list[str]) -> dict[str, list[str]]:
        """For right records, the left ones they belong with: by membership, else by key."""
        return self._anchors(right)

    def leading(self, right: list[str]) -> list[str]:
        """Those right records that any view comes from: of a large administration most belong to nobody on the left."""
        found = self._anchors(right)
        near = self._alike([native for native in right if not found[native]])
        return [native for native in right if found[native] or native in near or self.frame.flow.create_left]

    def _alike(self, lonely: list[str]) -> dict[str, list[str]]:
        """For right records nobody shares a key with: unlinked left records that may be the same thing, and must be asked about."""
        frame = self.frame
        if not frame.flow.match.propose or not lonely:
            return {}
        left, right = frame.streams["left"].id, frame.streams["right"].id
        seen = met(self.db, frame, "right", lonely)
        alike = propose(self.db, frame.flow, "right", right, left, _in_scope(frame, "right", seen))
        known = {proposed.native for several in alike.values() for proposed in several}
        if not frame.listable("left") and frame.flow.scope.take == "intake":
            known = set(taking_part(self.db, frame.flow.id, known))
        near = {native: [p.native for p in several if p.native in known] for native, several in alike.items()}
        return {native: several for native, several in near.items() if several}

    def _anchors(self, right: list[str]) -> dict[str, list[str]]:
        """For right records, the left records they belong with: by membership, else by key."""
        db, streams_ = self.db, self.frame.streams
        members = subjects.of_records(db, streams_["right"].id, right)
        lefts = subjects.of_subjects(db, streams_["left"].id, {m.subject for m in members.values()})
        found = {native: [m.native for m in lefts.get(member.subject, [])] for native, member in members.items()}
        free = [native for native in right if not found.get(native)]
        seen = met(db, self.frame, "right", free)
        keys = {
            native: match_values(self.frame.flow, o.record) for native, o in seen.items() if o.record and not o.gone
        }
        carriers = observations.carriers(db, streams_["left"].id, {key for several in keys.values() for key in several})
        known = {c for several in carriers.values() for c in several}
        if not self.frame.listable("left") and self.frame.flow.scope.take == "intake":
            known = set(taking_part(db, self.frame.flow.id, sorted(known)))
        # What belongs to another thing already is nobody's counterpart for carrying the same key: it stands for itself, or
        # nobody would ever be asked about it.
        settled = set(subjects.of_records(db, streams_["left"].id, known)) if members.keys() & free else set[str]()
        near = {
            native: {c for key in keys.get(native, ()) for c in carriers.get(key, ())}
            & (known - settled if native in members else known)
            for native in free
        }
        if self.frame.flow.create_left:
            ends = (streams_["left"].id, streams_["right"].id)
            for native, carrier in parted_for_good(db, self.frame.flow, ends, near):
                near[native].discard(carrier)
        return found | {native: sorted(several) for native, several in near.items()}

    def _views(self, anchor: SideName, natives: list[str]) -> list[View]:
        db, frame, far = self.db, self.frame, other(anchor)
        near_stream, far_stream = frame.streams[anchor].id, frame.streams[far].id
        own = seen_of(db, frame, anchor, natives)
        keys = {native: match_values(frame.flow, o.record) for native, o in own.items() if o.record}
        wanted = {key for several in keys.values() for key in several}
        twins = observations.carriers(db, near_stream, wanted)
        carriers = observations.carriers(db, far_stream, wanted)
        matching = Matching(db, frame.flow, anchor, (near_stream, far_stream), natives, keys, carriers)
        members, follows = matching.members, matching.follows()
        partners = subjects.of_subjects(db, far_stream, {m.subject for m in members.values()})
        items = self._items(anchor, natives)
        lonely = {
            native: seen
            for native, seen in own.items()
            if not matching.by.get(native)
            and not ((member := members.get(native)) and partners.get(member.subject))
            and not any(item.answer in ("skip", "create") and not item.field for item in items.get(native, ()))
        }
        weak = matching.weak(_in_scope(frame, anchor, lonely), items)
        far_natives = {m.native for several in partners.values() for m in several} | matching.natives()
        far_natives |= {proposed.native for several in weak.values() for proposed in several}
        far_seen = seen_of(db, frame, far, far_natives)
        frame.sightings |= {(anchor, native): sighting(o) for native, o in own.items()}
        frame.sightings |= {(far, native): sighting(o) for native, o in far_seen.items()}
        twin_seen = met(db, frame, anchor, {n for several in twins.values() for n in several} - {*own})
        near_sides, far_sides = sides_of(db, frame, anchor, own), sides_of(db, frame, far, far_seen)
        bases = flows.bases_of(db, frame.flow.id, **{anchor: natives})
        mates = self._mates(anchor, members, partners, bases)
        partly = any(o.kept is not None for o in (*own.values(), *far_seen.values()))
        near_needs, far_needs = (
            (needed(frame.flow, frame.resources[side].can, frame.transforms) if partly else None)
            for side in (anchor, far)
        )
        made: list[View] = []
        for native in natives:
            mine = own.get(native)
            unread = mine is None and native not in frame.unfound
            if unread and frame.listable(anchor):
                if anchor == "left":
                    self.unshown.append(native)
                continue  # named before it was ever listed: it comes with its stream, or does not exist
            side = near_sides[native] if mine else Side(native, {}, "", label=native, gone=False)
            member = members.get(native)
            unseen = tuple(p.native for p in mates.get(native, ()) if p.native not in far_seen)
            linked = [
                Linked(
                    far_sides[p.native],
                    _base(bases, anchor, native, p.native),
                    follower=p.role == "follower",
                )
                for p in mates.get(native, ())
                if p.native in far_seen
            ]
            paired = {entry.side.native for entry in linked}
            same = {
                n for key in side.keys for n in twins.get(key, ()) if n != native and not matching.fellow(native, n)
            }
            concerned = {*paired, *(m.native for m in matching.strong(native, paired=paired))}
            concerned |= {p.native for p in weak.get(native, ())}
            parted = tuple(
                Candidate(far_sides[m.native], m.by, m.taken, m.apart)
                for m in (() if linked or unseen else matching.parted(native))
                if m.native in far_seen and not far_sides[m.native].gone
            )
            concerned |= {candidate.side.native for candidate in parted}
            strong = tuple(
                Candidate(far_sides[m.native], m.by, m.taken, m.apart, m.news)
                for m in matching.strong(native, paired=paired)
                if m.native in far_seen
            )
            others = concerned - paired - {candidate.side.native for candidate in strong if candidate.taken}
            free = {far: {n: far_seen[n] for n in others if n in far_seen}, anchor: {}}
            if mine is not None and member is None:
                free[anchor] = {native: mine}
            answers, moved = standing(
                items.get(native, ()), frame.policy.shapes, anchor, side, linked, strong, follows=native in follows
            )
            same = {n for n in same if not _of_another_party(frame.flow, mine, twin_seen.get(n) or own.get(n))}
            made.append(
                View(
                    anchor,
                    side,
                    tuple(linked),
                    strong,
                    twins=tuple(
                        label((twin_seen.get(n) or own[n]).record, n)
                        for n in sorted(same)
                        if n in twin_seen or n in own
                    ),
                    absence_known=frame.streams[far].complete_at is not None
                    or all(key in frame.absent[far] for key in side.keys),
                    waiting=unread
                    or bool(unseen)
                    or (mine is not None and lacks(mine, near_needs))
                    or any(lacks(far_seen[n], far_needs) for n in concerned if n in far_seen)
                    or any(twin_seen[n].bare for n in same if n in twin_seen)
                    or self._waiting(anchor, native, paired)
                    or self._may_be_made(anchor, free[anchor], near_sides)
                    or self._may_be_made(far, free[far], far_sides)
                    or (near_stream in self.unclear and not side.keys and member is None),
                    answers=answers,
                    moved=moved,
                    unfound=frame.unfound.get(native) if anchor == "left" else None,
                    unseen=unseen,
                    proposals=tuple(
                        _proposed(far_sides[p.native], p) for p in weak.get(native, ()) if p.native in far_seen
                    ),
                    follows=native in follows,
                    parted=parted,
                    leader=self._named(anchor, follows[native]) if native in follows and moved else "",
                )
            )
        return made

    def _named(self, side: SideName, native: str) -> str:
        """A record as people are told of it: its name and where it is."""
        seen = observations.load(self.db, self.frame.streams[side].id, [native], entity=self.entity).get(native)
        return f"{label(seen.record if seen else None, native)} ({self.frame.ref(side, native)})"

    def _mates(
        self,
        anchor: SideName,
        members: Mapping[str, Member],
        partners: Mapping[str, Sequence[Member]],
        bases: Iterable[tuple[str, str]],
    ) -> dict[str, list[Member]]:
        """What each of these records is a pair with. What an undo took apart is none, although others may have made both members
        of one thing again."""
        found = {native: list(partners.get(member.subject, ())) for native, member in members.items()}
        pairs = {
            (native, mate.native): (native, mate.native) if anchor == "left" else (mate.native, native)
            for native, several in found.items()
            for mate in several
        }
        new = set(pairs.values()).difference(bases)
        alone = left_alone(self.db, self.frame.flow.id, new)
        return {
            native: [mate for mate in several if pairs[native, mate.native] not in alone]
            for native, several in found.items()
        }

    def _may_be_made(self, side: SideName, free: Mapping[str, Observation], shown: Mapping[str, Side]) -> bool:
        """Whether one of these, which belong to nobody, may be what a create in doubt made: before that is clear nothing else is
        made of it."""
        made = [each for each in self.sent if each.stream == self.frame.streams[side].id] if free else ()
        shapes_ = self.frame.policy.shapes
        return any(each.made(shapes_, side, seen.seq, shown[n].values) for n, seen in free.items() for each in made)

    def _waiting(self, anchor: SideName, native: str, paired: set[str]) -> bool:
        near, far = self.frame.streams[anchor].id, self.frame.streams[other(anchor)].id
        return (
            (far, intents.slot_from(near, native)) in self.slots
            or (near, f"record {native}") in self.slots
            or any(
                (far, f"record {n}") in self.slots or (near, intents.slot_from(far, n)) in self.slots for n in paired
            )
        )

    def _items(self, anchor: SideName, natives: list[str]) -> dict[str, list[work.Item]]:
        found: dict[str, list[work.Item]] = {}
        for item in work.about(self.db, self.frame.flow.id, anchor, natives):
            found.setdefault(item.native, []).append(item)
        for native, several in found.items():
            over = withdrawn(several)
            found[native] = [item for item in several if item.id not in over]
        for item in decided_elsewhere(self.db, self.frame.flow.id, anchor, natives):
            mine = found.setdefault(item.native, [])
            if not any(
                i.state == "answered" and not i.field for i in mine
            ):  # what was decided in this flow comes first
                mine.append(item)
        return found


def _in_scope(frame: Frame, side: SideName, seen: Mapping[str, Observation]) -> dict[str, Record]:
    """Those that are there and take part in the flow."""
    conditions = frame.flow.scope.left if side == "left" else frame.flow.scope.right
    return {
        native: one.record
        for native, one in seen.items()
        if one.record is not None and not one.gone and reason(conditions, one.record) is None
    }


def _proposed(side: Side, proposed: Proposed) -> Candidate:
    return Candidate(side, (), score=proposed.likeness.score, reasons=proposed.likeness.reasons)


def _of_another_party(flow: Flow, one: Observation | None, two: Observation | None) -> bool:
    """Whether two documents of one side are surely of different parties: the same number is no coincidence worth asking about."""
    party = PARTIES.get(flow.entity)
    if party is None or one is None or two is None or one.record is None or two.record is None:
        return False
    mine, theirs = look_up(one.record, party), look_up(two.record, party)
    return mine is not None and theirs is not None and mine != theirs


def _base(bases: dict[tuple[str, str], flows.StoredBase], anchor: SideName, own: str, far: str) -> Base | None:
    stored = bases.get((own, far) if anchor == "left" else (far, own))
    return stored.base if stored else None
