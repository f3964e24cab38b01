"""Values that name other records: said as who they name while both sides are compared, as an id just before they are sent.

A side shows `customer = "1042"`, the other `customer = "8b1f…"`: ids of records of two systems. `tokens_for` puts in the place
of each id the subject its record is a member of (`subject:…`), so that both sides are compared, agreed and remembered as who is
meant, whatever either side calls it; an id whose record belongs to nobody stays told apart (`record:…`) and equals nothing on
the other side. `Natives` turns subjects back into ids of the side that is written to; what has no record there is never guessed
nor left out: its step or field waits, under the code `needs`. `spoken` says a token by the record's name, for people.

All functions are store functions and ask once per stream for a whole page of records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import msgspec

from koppel.mapping.flow import Endpoint, Flow, SideName, other
from koppel.mapping.project import incoming
from koppel.mapping.references import Part, named, renamed
from koppel.mapping.transforms import Transform
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.store import needs, observations, subjects
from koppel.store.due import Due
from koppel.store.needs import Need
from koppel.store.observations import Observation
from koppel.store.sql import Db
from koppel.store.streams import Stream
from koppel.sync.steps import WRITES, Side, Step, View

NEEDS = "needs"
SIDES: tuple[SideName, SideName] = ("left", "right")
_SUBJECT, _RECORD = "subject:", "record:"
TOKEN = re.compile(r"'?(subject:[a-z2-7]{16}|record:\d+/[^\s,']+)'?")


class Wanted(msgspec.Struct, frozen=True):
    """A record that something waits for: its id where it is (`near`), and where its counterpart is missing (`far`)."""

    near: Endpoint
    far: Endpoint
    native: str


@dataclass(frozen=True, kw_only=True)
class References:
    """What a flow's references need: which rules are some (`parts`), the streams and entities of the resources they name, what
    the two connections are called. `refers` is filled while records are looked at: what each of them names."""

    flow: Flow
    transforms: Mapping[str, Transform]
    parts: Mapping[str, tuple[Part, ...]]
    streams: Mapping[tuple[SideName, str], Stream]
    entities: Mapping[tuple[SideName, str], str]
    connections: Mapping[SideName, str]
    refers: dict[tuple[SideName, str], tuple[Need, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.parts)

    def places(self) -> list[tuple[str, Part]]:
        """Every place in a value that names a record, by rule key."""
        return [(key, part) for key, parts in self.parts.items() for part in parts]

    def wanted(self, steps: Iterable[Step]) -> tuple[Wanted, ...]:
        """What parked steps wait for."""
        parked = [step for step in steps if step.kind == "park" and step.problem and step.problem.code == NEEDS]
        ends = {s.id: Endpoint(self.connections[side], name) for (side, name), s in self.streams.items()}
        natives = [(side, native) for step in parked for side, native in (("left", step.left), ("right", step.right))]
        found = [need for side, native in natives if native for need in self.refers.get((_side(side), native), ())]
        return tuple(dict.fromkeys(Wanted(ends[n.stream], ends[n.wanted], n.target) for n in found if not n.met))


class _Known(msgspec.Struct, frozen=True):
    """What is known of an id that stands in a value: who it is, and whether it can be carried over."""

    token: str
    need: Need


_AllKnown: TypeAlias = Mapping[tuple[str, str], Mapping[str, _Known]]

# --- comparing --------------------------------------------------------------------------------------------------------


def tokens_for(db: Db, refs: References, side: SideName, sides: Mapping[str, Side]) -> dict[str, Side]:
    """Records of one side with who they name in the place of ids; notes in `refers` what each refers to."""
    if not refs:
        return dict(sides)
    known = _known(db, refs, side, ((part, named(s.values.get(key), part.path)) for s in sides.values() for key, part in refs.places()))  # fmt: skip
    return {native: _with_tokens(refs, side, one, known) for native, one in sides.items()}


def token_of(db: Db, refs: References, side: SideName, key: str, value: Json) -> Json:
    """One value of a side as who it names; any other value as it is."""
    parts = refs.parts.get(key, ())
    known = _known(db, refs, side, ((part, named(value, part.path)) for part in parts))
    return _renamed(parts, value, side, known)


def _side(name: str) -> SideName:
    return "left" if name == "left" else "right"


def _where(part: Part, side: SideName) -> tuple[str, str]:
    return part.on(side), part.on(other(side))


def _renamed(parts: Sequence[Part], value: Json, side: SideName, known: _AllKnown) -> Json:
    for part in parts:
        value = renamed(value, part.path, partial(_token, known.get(_where(part, side), {})))
    return value


def _token(known: Mapping[str, _Known], native: str) -> str:
    return known[native].token


def _known(db: Db, refs: References, side: SideName, stated: Iterable[tuple[Part, Iterable[str]]]) -> _AllKnown:
    """What is known of every id that is stated: by the resources it is named in, here and there, then by id."""
    wanted: dict[tuple[str, str], dict[str, None]] = {}
    for part, natives in stated:
        wanted.setdefault(_where(part, side), {}).update(dict.fromkeys(natives))
    found: dict[tuple[str, str], dict[str, _Known]] = {}
    for (near, far), ids in wanted.items():
        near_stream, far_stream = refs.streams[side, near], refs.streams[other(side), far]
        members = subjects.of_records(db, near_stream.id, ids)
        there = subjects.of_subjects(db, far_stream.id, {m.subject for m in members.values()})
        for native in ids:
            member = members.get(native)
            token = f"{_SUBJECT}{member.subject}" if member else f"{_RECORD}{near_stream.id}/{native}"
            met = member is not None and member.subject in there
            need = Need(near_stream.id, native, far_stream.id, met)
            found.setdefault((near, far), {})[native] = _Known(token, need)
    return found


def _with_tokens(refs: References, side: SideName, one: Side, known: _AllKnown) -> Side:
    values, lacks = dict(one.values), dict(one.lacks)
    refers: dict[Need, None] = {}
    for key, parts in refs.parts.items():
        if key not in values:
            continue
        missing: dict[str, None] = {}
        for part in parts:
            for native in named(values[key], part.path):
                entry = known[_where(part, side)][native]
                refers[entry.need] = None
                if not entry.need.met:
                    missing[f"its {_word(key, part)} {entry.token}"] = None
        values[key] = _renamed(parts, values[key], side, known)
        if missing:
            lacks[key] = lack(refs, side, missing)
    refs.refers[side, one.native] = tuple(refers)
    return msgspec.structs.replace(one, values=values, lacks=lacks)


def lack(refs: References, side: SideName, missing: Iterable[str]) -> Problem:
    """That what a value of this side names is not on the other side yet."""
    names = list(missing)
    where = refs.connections[other(side)]
    return Problem(NEEDS, f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not in {where} yet")


def _word(key: str, part: Part) -> str:
    """What people call the thing named: the last word of where it stands."""
    return (part.path or key.partition(":")[2] or key).rpartition(".")[2].replace("_", " ")


def labels(db: Db, refs: References, side: SideName, resource: str, natives: Iterable[str]) -> dict[str, str]:
    """What people call these records, of those that were ever seen."""
    entity = refs.entities[side, resource]
    seen = observations.load(db, refs.streams[side, resource].id, natives, entity=entity)
    return {native: o.record.entity.label() or native for native, o in seen.items() if o.record}


# --- remembering what is waited for -------------------------------------------------------------------------------------


def remember(db: Db, refs: References, views: Sequence[View]) -> None:
    """At the end of a pass: what the records that were looked at refer to, and which of that is missing."""
    if not refs:
        return
    for side in SIDES:
        mine = [view for view in views if view.anchor == side]
        needs.replace(
            db,
            refs.flow.id,
            side,
            {
                view.own.native: {
                    *refs.refers.get((side, view.own.native), ()),
                    *(n for one in view.linked for n in refs.refers.get((other(side), one.side.native), ())),
                }
                for view in mine
            },
        )
    refs.refers.clear()


# --- sending ------------------------------------------------------------------------------------------------------------


class Natives:
    """Who is named in a page of steps, as the ids of the sides that are written to."""

    def __init__(self, db: Db, refs: References, steps: Iterable[Step]) -> None:
        self.refs = refs
        self.moved: list[Due] = []
        wanted: dict[tuple[SideName, str], set[str]] = {}
        for step in steps:
            if step.kind in WRITES:
                for key, part in refs.places():
                    for token in named(step.values.get(key), part.path):
                        wanted.setdefault((step.side, part.on(step.side)), set()).add(token)
        self._mains: dict[tuple[SideName, str], dict[str, str]] = {}
        for (side, resource), tokens in wanted.items():
            ids = {token.removeprefix(_SUBJECT) for token in tokens if token.startswith(_SUBJECT)}
            there = subjects.of_subjects(db, refs.streams[side, resource].id, ids)  # mains come first
            self._mains[side, resource] = {
                f"{_SUBJECT}{subject}": members[0].native for subject, members in there.items()
            }

    def carried(self, steps: Iterable[Step]) -> Iterator[Step]:
        """The steps, with what lost its counterpart since it was decided taken out and parked."""
        for step in steps:
            lacks = self.lacking(step) if step.kind in WRITES else {}
            rest = {key: value for key, value in step.values.items() if key not in lacks}
            pair = (step.side, step.left, step.right, step.label)
            if not lacks:
                yield step
                continue
            anchor: SideName = "left" if step.left else "right"
            self.moved.append(Due(anchor, step.left or step.right or "", "moved"))
            if step.kind == "create":
                yield Step("park", *pair, problem=next(iter(lacks.values())), follower=step.follower)
                continue
            if rest:
                before = {key: value for key, value in step.before.items() if key in rest}
                yield msgspec.structs.replace(step, values=rest, before=before)
            for key, problem in lacks.items():
                yield Step("park", *pair, field=key, problem=problem, follower=step.follower)

    def lacking(self, step: Step) -> dict[str, Problem]:
        """By rule key: what the side that is written to does not have (any more)."""
        found: dict[str, Problem] = {}
        for key, part in self.refs.places():
            for token in named(step.values.get(key), part.path):
                if token not in self._mains[step.side, part.on(step.side)]:
                    missing = [f"its {_word(key, part)} {step.names.get(token, token)}"]
                    found[key] = lack(self.refs, other(step.side), missing)
        return found

    def values(self, step: Step) -> dict[str, Json]:
        """A step's values as they are sent. Raises KeyError for what `lacking` names."""
        values = dict(step.values)
        for key, part in self.refs.places():
            if key in values:
                mains = self._mains[step.side, part.on(step.side)]
                values[key] = renamed(values[key], part.path, mains.__getitem__)
        return values

    def before(self, step: Step, target: Observation | None) -> dict[str, Json]:
        """What the target shows now for a step's fields, in its own ids."""
        before = dict(step.before)
        for rule in self.refs.flow.fields:
            if rule.key in before and rule.key in self.refs.parts:
                seen = target.record if target else None
                raw = incoming(self.refs.flow, rule, step.side, seen, transforms=self.refs.transforms) if seen else None
                before[rule.key] = None if isinstance(raw, Problem) else raw
        return before


# --- saying ---------------------------------------------------------------------------------------------------------------


def with_names(db: Db, refs: References, steps: Sequence[Step]) -> list[Step]:
    """Steps that know how people call the records their values name; what is asked or told says it so."""
    if not refs:
        return list(steps)
    tokens = {token for step in steps for token in _tokens_in(step)}
    if not tokens:
        return list(steps)
    names = names_of(db, refs, tokens)
    return [_named(step, names) for step in steps]


def _tokens_in(step: Step) -> set[str]:
    shown = [step.values, step.before, step.agreed, [choice.get("value") for choice in step.choices]]
    text = step.problem.text if step.problem else ""
    return {match[1] for match in TOKEN.finditer(f"{shown!r} {text}")}


def _named(step: Step, names: Mapping[str, str]) -> Step:
    mine = {token: names[token] for token in _tokens_in(step) if token in names}
    if not mine:
        return step
    problem = step.problem
    if problem is not None:
        problem = msgspec.structs.replace(problem, text=spoken(problem.text, mine))
    return msgspec.structs.replace(step, names=mine, problem=problem)


def names_of(db: Db, refs: References, tokens: Iterable[str]) -> dict[str, str]:
    """What people call what these tokens name: as the left shows it, else the right."""
    wanted = {*tokens}
    ids = {token.removeprefix(_SUBJECT) for token in wanted if token.startswith(_SUBJECT)}
    found: dict[str, str] = {}
    for (side, resource), stream in sorted(refs.streams.items()):
        by_native: dict[str, str] = {}
        for subject, members in subjects.of_subjects(db, stream.id, ids).items():
            token = f"{_SUBJECT}{subject}"
            if token not in found and members:
                by_native[members[0].native] = token
        for token in wanted:
            number, _, native = token.removeprefix(_RECORD).partition("/")
            if token.startswith(_RECORD) and number == str(stream.id):
                by_native[native] = token
        said = labels(db, refs, side, resource, by_native)
        found |= {token: said.get(native, native) for native, token in by_native.items()}
    return found


def spoken(value: Json, names: Mapping[str, str]) -> Json:
    """A value or text in which people read names instead of tokens."""
    if isinstance(value, str):
        return TOKEN.sub(lambda match: names.get(match[1], match[0]), value)
    if isinstance(value, dict):
        return {key: spoken(part, names) for key, part in value.items()}
    return [spoken(part, names) for part in value] if isinstance(value, (list, tuple)) else value


def unspoken(problem: Problem, names: Mapping[str, str]) -> Problem:
    """A problem as it is stored: what is kept about one record does not hold the name of another."""
    text = problem.text
    for token, name in sorted(names.items(), key=lambda pair: -len(pair[1])):
        text = text.replace(name, token)
    return msgspec.structs.replace(problem, text=text)
