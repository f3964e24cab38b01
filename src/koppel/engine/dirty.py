"""What a pass has to look at: changed since its flow last looked, asked for, retried, touched by an edit of the flow."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from koppel.engine import enrich
from koppel.engine.edited import follow_edits
from koppel.engine.fetch import look_up
from koppel.engine.frame import Frame, refresh, taking_part
from koppel.engine.matching import leaders
from koppel.engine.named import named_by_right
from koppel.engine.one_pass import SIDES, Pass
from koppel.engine.privacy import spare
from koppel.engine.reading import read_bare
from koppel.mapping.flow import SideName
from koppel.model.problem import Problem
from koppel.store import due, flows, needs, observations, subjects, work
from koppel.store.flows import Position
from koppel.store.sql import Db
from koppel.sync.decide import FOLLOWS
from koppel.systems.spi import Absent, Unknown

FRESH = 24 * 3600.0  # a look-up of an unlistable left is good for a day, unless the flow or a person says otherwise


async def find_dirty(pass_: Pass, *, first: bool) -> dict[SideName, list[str]]:
    """What has to be looked at: changed since this flow last looked, asked for, retried, touched by an edit of the flow."""
    await follow_edits(pass_)
    pass_.looked_at = pass_.ports.clock.now()
    found, due_lefts = await pass_.ports.store.tx(_dirty, pass_, pass_.ports.clock.now())
    if pass_.options.limited:
        chosen = [n for n in found["left"] if n in pass_.options.only]
        found["left"] = [*chosen, *(n for n in pass_.options.only if n not in chosen)]
        found["right"] = list(pass_.options.only_right)
    found = await pass_.ports.store.tx(spare, pass_.frame, found)
    await read_bare(pass_.ports, pass_.sender, pass_.frame, found)
    if not pass_.frame.listable("left") and pass_.flow.scope.take == "intake+right" and not pass_.options.limited:
        named = await named_by_right(pass_.ports, pass_.sender, pass_.frame, found["right"])
        found["left"] = list(dict.fromkeys([*found["left"], *named]))
    if not pass_.frame.listable("left") and first:
        await _look_up_left(pass_, found["left"], due_lefts)
        brought = await pass_.ports.store.tx(_brought, pass_)
        if not pass_.options.limited:
            found["left"] = list(dict.fromkeys([*found["left"], *brought]))
    if first and pass_.flow.enrich:
        stream = pass_.frame.streams["left"].id
        pass_.frame.again += await enrich.ask(pass_.ports, pass_.sender, pass_.flow, stream, found["left"])
    pass_.looked = found
    return found


def _brought(db: Db, pass_: Pass) -> list[str]:
    """What changed while this pass looked things up: its own look-ups, which are being looked at, and other flows'."""
    since, pass_.upto["left"] = pass_.upto["left"], pass_.frame.streams["left"].seq
    return _changed(db, pass_, "left", since)


def _changed(db: Db, pass_: Pass, side: SideName, since: int) -> list[str]:
    """Records of a side that changed and are not settled. Of a left that cannot be listed, only those that take part in
    this flow: another flow's look-ups are no intake of ours."""
    stream = pass_.frame.streams[side].id
    changed = observations.changed_since(db, stream, since, upto=pass_.upto[side])
    if side == "left" and not pass_.frame.listable("left") and pass_.flow.scope.take != "all":
        changed = taking_part(db, pass_.flow.id, changed)
    return flows.unsettled(db, pass_.flow.id, side, stream, changed)


def _dirty(db: Db, pass_: Pass, now: float) -> tuple[dict[SideName, list[str]], dict[str, str]]:
    frame, flow = pass_.frame, pass_.flow
    place = pass_.place or Position("", {}, 0, 0)
    pass_.upto = {side: frame.streams[side].seq for side in ("left", "right")}
    found: dict[SideName, dict[str, None]] = {}  # each once, in the order it was found
    for side in SIDES:
        since = place.left_seq if side == "left" else place.right_seq
        found[side] = dict.fromkeys(_changed(db, pass_, side, since))
    asked: dict[str, str] = {}
    for entry in due.ready(db, flow.id, at=now):
        side = _side(entry.side)
        if entry.why in due.WISHES:
            pass_.wished.add((side, entry.native))
        found[side].setdefault(entry.native)
        if side == "left":
            asked[entry.native] = entry.why
    for side in SIDES:
        found[side] |= dict.fromkeys(_led_no_more(db, frame, side))
    for side_name, native in needs.met(db, flow.id) if frame.references else ():
        found[_side(side_name)].setdefault(native)
    for item in work.ready_to_retry(db, flow.id, at=now):
        side = _side(item.side)
        pass_.retried.add(item.id)
        found[side].setdefault(item.native)
        if side == "left" and item.op is None:  # what the vendor refused was read well: it is only sent again
            asked.setdefault(item.native, "retry")
    if not frame.listable("left") and (pass_.options.refresh or flow.run.refresh is not None):
        linked = taking_part(db, flow.id, subjects.linked_natives(db, frame.streams["left"].id))
        old = (
            _not_yet_asked(pass_, linked)
            if pass_.options.refresh
            else observations.older_than(db, frame.streams["left"].id, linked, now - (flow.run.refresh or 0))
        )
        asked |= dict.fromkeys(old, "refresh")
        found["left"] |= dict.fromkeys(old)
    return {side: list(natives) for side, natives in found.items()}, asked


def _led_no_more(db: Db, frame: Frame, side: SideName) -> list[str]:
    """Records about which an answer waits because another one leads, and of which none does any more: whoever took them apart,
    that is no change of the record itself."""
    stream, waiting = frame.streams[side].id, work.asked_about(db, frame.flow.id, side, FOLLOWS)
    members = subjects.of_records(db, stream, waiting)
    led = leaders(members, subjects.of_subjects(db, stream, {m.subject for m in members.values()}))
    return [native for native in waiting if native not in led]


def _not_yet_asked(pass_: Pass, natives: list[str]) -> list[str]:
    """Of left records to look up anew those that another flow of the same go has not looked up already."""
    read, stream = pass_.ports.read or {}, pass_.frame.streams["left"].name
    return [native for native in natives if f"{stream}:{native}" not in read]


async def _look_up_left(pass_: Pass, natives: list[str], why: dict[str, str]) -> None:
    """Look up what is due on a left that cannot be listed; a look-up of less than a day ago is still good."""
    connection, resource, now = pass_.frame.connections["left"], pass_.frame.resources["left"], pass_.ports.clock.now()
    seen = await pass_.ports.store.tx(
        observations.load, pass_.frame.streams["left"].id, natives, entity=pass_.flow.entity
    )
    forced = {"refresh", "retry"}
    told = await pass_.ports.store.tx(_told_to_wait, pass_.flow.id, natives, now)
    pass_.frame.unfound |= {n: problem for n, problem in told.items() if n not in seen and why.get(n) not in forced}
    shared = {} if pass_.ports.unanswered is None else pass_.ports.unanswered
    in_vain = {n: problem for n in natives if (problem := shared.get(pass_.frame.ref("left", n)))}
    pass_.frame.unfound |= {n: p for n, p in in_vain.items() if p.retry_at is None or p.retry_at > now}
    keep = FRESH if pass_.flow.run.refresh is None else pass_.flow.run.refresh
    good = now - keep
    anew = set(_not_yet_asked(pass_, [n for n in natives if why.get(n) in forced]))
    wanted = [n for n in natives if n in why and (n not in seen or n in anew or seen[n].seen_at < good)]
    wanted += [n for n in natives if n not in why and n not in seen]
    wanted = [n for n in wanted if n not in pass_.frame.unfound]
    if not wanted:
        return
    began = pass_.ports.clock.now()
    answers = await look_up(pass_.ports, pass_.sender, connection, resource, "native", wanted)
    unknown = {value: answer.problem for value, answer in answers.items() if isinstance(answer, Unknown)}
    for value in answers.keys() - unknown.keys():
        pass_.note_read(f"{pass_.frame.streams['left'].name}:{value}", began)
    pass_.frame.unfound |= unknown
    shared |= {pass_.frame.ref("left", value): problem for value, problem in unknown.items()}
    pass_.absent_problems = {
        value: answer.problem for value, answer in answers.items() if isinstance(answer, Absent) and answer.problem
    }
    refresh(pass_.ports, pass_.frame)


def _told_to_wait(db: Db, flow: str, natives: Sequence[str], now: float) -> dict[str, Problem]:
    """Look-ups the vendor could not answer yet and named a time for: asking earlier costs a call and brings nothing."""
    return {
        item.native: msgspec.convert(item.body["problem"], Problem)
        for item in work.about(db, flow, "left", natives)
        if item.list == "parked"
        and not item.field
        and item.op is None
        and item.next_at is not None
        and item.next_at > now
    }


def _side(name: str) -> SideName:
    return "left" if name == "left" else "right"
