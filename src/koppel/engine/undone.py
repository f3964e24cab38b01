"""What a run did, read from its trail entries, and how the same pairs stand now: what an undo is decided on."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from koppel.engine.frame import Frame, seen_of, sides_of
from koppel.engine.pairs import joinable, kept_apart, subject_of
from koppel.mapping.flow import SideName
from koppel.model.values import Json, Ref
from koppel.store import flows, intents, standing, subjects, trail, work
from koppel.store.sql import Db
from koppel.sync.steps import Step
from koppel.sync.undo import CODES, CREATED, DECIDED, FIELD, Deed, Standing, carried_out

SIDES: tuple[SideName, SideName] = ("left", "right")
PAGE = 2000  # trail entries read at once
TAKEN_BACK = ("created", "updated", "archived", "linked", "unlinked", "agreed")
BY_A_PERSON = "decided by a person: both stay"


class Done(msgspec.Struct, frozen=True):
    """What a run did, by pair (left, right); `erased` counts entries that speak of somebody who was erased."""

    run: int
    deeds: dict[tuple[str, str], Deed]
    subjects: dict[tuple[str, str], str]
    erased: int = 0


def done_by(db: Db, frame: Frame, run: int) -> Done:
    """Put a run's entries together, by pair; of several writes to a field the first before and the last after count."""
    deeds: dict[tuple[str, str], Deed] = {}
    about: dict[tuple[str, str], str] = {}
    erased, after = 0, 0
    while entries := trail.read(db, run=run, after=after, limit=PAGE):
        after = entries[-1].seq
        for entry in entries:
            if entry.data is None:
                erased += 1
                continue
            pair = pair_of(frame, entry.data)
            if pair is None or entry.kind not in TAKEN_BACK:
                continue
            deed = deeds.setdefault(pair, Deed(run=run, left=pair[0], right=pair[1]))
            if entry.subject:
                about[pair] = entry.subject
            put_together(deed, entry.kind, entry.data)
    return Done(run, deeds, about, erased)


def pair_of(frame: Frame, data: Mapping[str, Json]) -> tuple[str, str] | None:
    """The pair an entry is about, when it names both records as this flow knows them."""
    natives: list[str] = []
    for side in SIDES:
        try:
            ref = Ref.parse(str(data.get(side, "")))
        except ValueError:
            return None
        if ref != frame.ref(side, ref.native):
            return None
        natives.append(ref.native)
    return natives[0], natives[1]


def put_together(deed: Deed, kind: str, data: Mapping[str, Json]) -> None:
    """Add one entry to what is known of a deed."""
    side: SideName = "left" if data.get("target") == "left" else "right"
    deed.label = str(data.get("label") or deed.label)
    fields: dict[str, dict[str, Json]] = data.get("fields", {})
    if kind == "created":
        deed.created = side
        deed.made |= {key: change.get("after") for key, change in fields.items()}
    elif kind == "updated":
        for key, change in fields.items():
            first = deed.fields[side].get(key, (change.get("before"), None))[0]
            deed.fields[side][key] = (first, change.get("after"))
    elif kind == "archived":
        deed.archived = side
    elif kind == "linked":
        deed.linked, deed.unlinked = not deed.unlinked, False
    elif kind == "unlinked":
        deed.linked, deed.unlinked = False, not deed.linked
    else:
        why = data.get("notes") or {}
        deed.stayed |= {
            key: (both[0], both[1]) for key, both in data.get("kept", {}).items() if why.get(key) == BY_A_PERSON
        }


class Standings:
    """How pairs stand now, by what the store holds."""

    def __init__(self, db: Db, frame: Frame, run: int) -> None:
        self.db, self.frame, self.run = db, frame, run
        self.slots = intents.slots(db)

    def of(self, deed: Deed, subject: str | None) -> Standing:
        """The pair of a deed; `subject` is the one its entries stand under."""
        db, frame = self.db, self.frame
        natives: dict[SideName, str] = {"left": deed.left, "right": deed.right}
        seen = {side: seen_of(db, frame, side, [native]) for side, native in natives.items()}
        shown = {side: sides_of(db, frame, side, seen[side]).get(native) for side, native in natives.items()}
        members = {
            side: subjects.of_records(db, frame.streams[side].id, [native]).get(native)
            for side, native in natives.items()
        }
        left, right = members["left"], members["right"]
        stored = flows.bases_of(db, frame.flow.id, left=[deed.left]).get((deed.left, deed.right))
        subject = subject or subject_of(db, frame, deed.left, deed.right)
        archived, before, since = self._others(deed, subject)
        return Standing(
            left=shown["left"],
            right=shown["right"],
            linked=left is not None
            and right is not None
            and left.subject == right.subject
            and not standing.left_alone(db, frame.flow.id, [(deed.left, deed.right)]),
            free=joinable(db, frame, deed.left, deed.right),
            apart=kept_apart(db, frame, deed.left, deed.right),
            follower=right is not None and right.role == "follower",
            base=stored.base if stored else None,
            archived=archived,
            before=before,
            since=since,
            waiting=self._waiting(natives) or any(one.bare for several in seen.values() for one in several.values()),
        )  # fmt: skip

    def _waiting(self, natives: Mapping[SideName, str]) -> bool:
        """Whether an operation is in doubt that writes to one of the two, or makes something of one of them, in any flow."""
        streams = self.frame.streams
        made_from = {intents.slot_from(streams[side].id, natives[side]) for side in SIDES}
        return any((streams[side].id, f"record {natives[side]}") in self.slots for side in SIDES) or any(
            slot in made_from for _, slot in self.slots
        )

    def _others(
        self, deed: Deed, subject: str | None
    ) -> tuple[frozenset[SideName], dict[tuple[SideName, str], str], dict[tuple[SideName, str], str]]:
        """What other runs did to the same records: what was archived since, and who wrote the same fields before and since."""
        archived: set[SideName] = set()
        before: dict[tuple[SideName, str], str] = {}
        since: dict[tuple[SideName, str], str] = {}
        if subject is None:
            return frozenset(), before, since
        entries = trail.read(self.db, subject=subject, limit=100_000)
        last = max((entry.seq for entry in entries if entry.run == self.run), default=0)
        for entry in entries:
            data = entry.data or {}
            side: SideName = "left" if data.get("target") == "left" else "right"
            if entry.kind not in ("updated", "archived") or pair_of(self.frame, data) != (deed.left, deed.right):
                continue
            if entry.kind == "archived" and entry.seq > last and side == deed.created:
                archived.add(side)
            if entry.kind == "updated" and entry.run != self.run:
                for key in data.get("fields", {}):
                    if entry.seq > last:
                        since[side, key] = f"run {entry.run} wrote it since"
                    else:
                        before[side, key] = f"the earlier value is what run {entry.run} wrote"
        return frozenset(archived), before, since


# --- answers -----------------------------------------------------------------------------------------------------------


def answered(db: Db, frame: Frame) -> list[tuple[work.Item, list[Step]]]:
    """Questions of an undo that a person answered, each with the steps its answer still asks for: none when it is carried out,
    another question when the record shows something else by now."""
    found: list[tuple[work.Item, list[Step]]] = []
    for item in work.answered(db, frame.flow.id, CODES):
        if "step" not in item.body:
            continue
        asked = msgspec.convert(item.body["step"], Step)
        deed = deed_of(asked, item.code)
        stands = Standings(db, frame, deed.run).of(deed, None)
        if stands.waiting:
            continue  # an operation about it is in doubt, or its values are not here: neither carried out nor over
        found.append((item, carried_out(frame.policy, deed, stands, item.code, item.answer)))
    return found


def asked_about(db: Db, frame: Frame) -> dict[SideName, list[str]]:
    """The records that answered questions of undos are about."""
    about = [msgspec.convert(i.body["step"], Step) for i in work.answered(db, frame.flow.id, CODES) if "step" in i.body]
    return {"left": [s.left for s in about if s.left], "right": [s.right for s in about if s.right]}


def deed_of(asked: Step, code: str) -> Deed:
    """The part of a deed that a question was about. A field's `after` is what it showed when it was asked: what the person
    who answered has seen."""
    words = asked.field.split(" ")
    number = words[1]
    deed = Deed(run=int(number), left=asked.left or "", right=asked.right or "", label=asked.label)
    key = " ".join(words[3:])
    if code == FIELD:
        deed.fields[asked.side] = {key: (asked.values.get(key), asked.before.get(key))}
    elif code == CREATED:
        deed.created = asked.side
    elif code == DECIDED:
        deed.stayed = {key: (None, None)}
    return deed


def settle_answers(db: Db, frame: Frame, *, by: str, at: float) -> None:
    """Close the answered questions of undos that are carried out, or were asked again because the state had moved."""
    over = [
        item.id for item, steps in answered(db, frame) if not any(step.kind not in ("ask", "agree") for step in steps)
    ]
    work.close(db, over, by=by, at=at)
