"""What is seen after a step, set against what must be: the wire state at the vendors, the trail, the store, the words."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from koppel.engine.explain import Explanation
from koppel.model.problem import KoppelError
from koppel.model.values import Json
from koppel.store import flows, intents, observations, streams, trail, work
from koppel.store.sql import Db
from koppel.store.trail import Head, Recorded
from koppel.testing.acceptance.script import CallCount, Counts, Expect, Records, Told
from koppel.testing.acceptance.stage import ID, LISTS, Stage, holds, value_of
from koppel.testing.acceptance.verdict import Check

KINDS = ("created", "updated", "archived", "linked", "unlinked", "asked", "parked", "refused")
EFFECTS = frozenset({"created", "updated", "archived", "linked", "unlinked"})
ABOUT = EFFECTS | {"asked", "parked", "refused"}


@dataclass(kw_only=True)
class Before:
    """How things stood when a step began."""

    head: Head
    writes: dict[str, int]
    calls: dict[str, Json]
    rows: dict[str, dict[str, dict[str, Json]]] = field(default_factory=dict)


def look(stage: Stage) -> Before:
    """Note how things stand."""
    rows = {
        name: {str(row[ID[account.system]]): row for row in stage.rows(name)}
        for name, account in stage.fixtures.connections.items()
        if account.system in LISTS
    }
    return Before(head=stage.workspace.audit_head(), writes=stage.writes(), calls=stage.host.calls(), rows=rows)


def entries_since(stage: Stage, head: Head) -> list[Recorded]:
    """What the trail says has happened since."""
    return stage.workspace.store.run(trail.read, after=head.seq, limit=100_000)


def checks(stage: Stage, before: Before, expect: Expect) -> list[Check]:
    """Everything a step says must be seen."""
    entries = entries_since(stage, before.head)
    found: list[Check] = []
    for flow, state in expect.state.items():
        states = [ran.state for ran in stage.ran if ran.flow == flow] or ["did not run"]
        found.append(_same(f"{flow} ends", state, states[-1]))
    for flow, counts in expect.counts.items():
        found += _counts(stage, flow, counts, entries)
    writes = stage.writes()
    found += [_same(f"{name}: writes", n, writes[name] - before.writes[name]) for name, n in expect.writes.items()]
    found += [_calls(stage, before, call) for call in expect.calls]
    for wanted in expect.records:
        found += _records(stage, before, wanted)
    for name, items in (("asks", stage.workspace.asks), ("parked", stage.workspace.parked)):
        wanted_open = getattr(expect.open, name)
        if wanted_open is not None:
            what = "questions open" if name == "asks" else "parked"
            found.append(_same(what, wanted_open, len(items())))
    said = _said(stage)
    for text in expect.says:
        found.append(Check("says", text, text if text in said else _shorten(said) or "nothing", text in said))
    found += [_nowhere(stage, text) for text in expect.nowhere]
    found += [_told(stage, told) for told in expect.why]
    return found


def _same(what: str, expected: Json, seen: Json) -> Check:
    return Check(what, show(expected), show(seen), expected == seen)


def show(value: Json) -> str:
    """A value for people."""
    if value is None:
        return "empty"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _shorten(text: str, width: int = 200) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _counts(stage: Stage, flow: str, wanted: Counts, entries: list[Recorded]) -> list[Check]:
    runs = {run.id for run in stage.workspace.runs(flow=flow, limit=1_000)}
    kinds = Counter(entry.kind for entry in entries if entry.run in runs)
    found: list[Check] = []
    for name in (*KINDS, "turned_away"):
        expected = getattr(wanted, name)
        if expected is None:
            continue
        away = max((ran.turned_away for ran in stage.ran if ran.flow == flow), default=0)
        seen = away if name == "turned_away" else kinds[name]
        found.append(_same(f"{flow}: {name.replace('_', ' ')}", expected, seen))
    return found


def _calls(stage: Stage, before: Before, wanted: CallCount) -> Check:
    system = stage.system(wanted.at)
    now, then = (calls["systems"][system]["calls"] for calls in (stage.host.calls(), before.calls))

    def counted(calls: dict[str, int]) -> int:
        return sum(
            number
            for name, number in calls.items()
            if wanted.path in name.partition(" ")[2] and wanted.method in (None, name.partition(" ")[0])
        )

    number = counted(now) - counted(then)
    what = f"{wanted.at}: calls{f' to {wanted.path}' if wanted.path else ''}"
    if wanted.exactly is not None:
        return _same(what, wanted.exactly, number)
    assert wanted.at_most is not None
    return Check(what, f"at most {wanted.at_most}", str(number), number <= wanted.at_most)


def _records(stage: Stage, before: Before, wanted: Records) -> list[Check]:
    rows = [row for row in stage.rows(wanted.at, wanted.kvk) if holds(row, wanted.where)]
    which = f"{wanted.at} {wanted.kvk}" + (f" ({', '.join(map(show, wanted.where.values()))})" if wanted.where else "")
    found: list[Check] = []
    if wanted.count is not None:
        found.append(_same(f"{which}: records", wanted.count, len(rows)))
    if not rows and (wanted.fields or wanted.absent or wanted.kept):
        return [*found, Check(which, "a record", "none", False)]
    for row in rows:
        for name, value in wanted.fields.items():
            found.append(_same(f"{which}: {name}", value, value_of(row, name)))
        for name in wanted.absent:
            seen = value_of(row, name)
            found.append(Check(f"{which}: {name}", "empty", show(seen), seen in (None, "")))
        was = before.rows[wanted.at].get(str(row[ID[stage.system(wanted.at)]]), {})
        for name in wanted.kept:
            then, now = value_of(was, name), value_of(row, name)
            found.append(Check(f"{which}: {name}", f"as before: {show(then)}", show(now), then == now))
    return found


def _said(stage: Stage) -> str:
    """Everything that was told to people: messages, progress, and what lies open for them."""
    waiting = [*stage.workspace.asks(), *stage.workspace.parked()]
    return "\n".join(
        [*(ran.message for ran in stage.ran), *stage.told, *(str(item.body.get("text", "")) for item in waiting)]
    )


# --- nowhere ------------------------------------------------------------------------------------------------------------


def _nowhere(stage: Stage, text: str) -> Check:
    """A text that must stand neither in the store (opened and as it lies on the disk), nor in what was said, nor at an ERP."""
    plain = text.casefold()
    places = [f"the file {name}" for name in _files_with(stage.folder, text)]
    opened = stage.workspace.store.run(_opened)
    places += [f"the store ({name})" for name, content in opened.items() if plain in content.casefold()]
    if plain in "\n".join([_said(stage), *stage.log]).casefold():
        places.append("what was said")
    for system in sorted({account.system for account in stage.fixtures.connections.values()} & LISTS.keys()):
        if plain in msgspec.json.encode(stage.host.state(system)).decode().casefold():
            places.append(f"the books at {system}")
    return Check(f"{text!r} stands", "nowhere", ", ".join(places) or "nowhere", not places)


_SEARCH = """
import pathlib, sys
folder, needle = pathlib.Path(sys.argv[1]), sys.stdin.buffer.read()
print(*(path.name for path in sorted(folder.rglob("*")) if path.is_file() and needle in path.read_bytes()), sep="\\n")
"""


def _files_with(folder: Path, text: str) -> list[str]:
    """Files of the workspace that hold a text as it lies on the disk.

    Another process looks: closing SQLite's file in the process that has it open would take that process's locks away.
    """
    command = [sys.executable, "-c", _SEARCH, str(folder)]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True)  # noqa: S603 - our own words
    return done.stdout.decode().split("\n")[:-1] if done.stdout.strip() else []


def _opened(db: Db) -> dict[str, str]:
    """Every sealed value of the store, opened: what somebody with the key could read."""
    seen: list[Json] = []
    for stream in streams.every(db):
        natives = [row[0] for row in db.rows("select native from observations where stream = :s", s=stream.id)]
        known = observations.load(db, stream.id, natives, entity="company")
        seen += [[one.record, one.problems] for one in known.values()]
    agreed: list[Json] = []
    for (flow,) in db.rows("select id from flows"):
        lefts = [left for left, _ in flows.pairs_of(db, flow)]
        agreed += [stored.base for stored in flows.bases_of(db, flow, left=lefts).values()]
    lists = [work.listed(db, which, state=state) for which in ("ask", "parked") for state in ("open", "closed")]
    parts: dict[str, Json] = {
        "observations": seen,
        "agreed values": agreed,
        "work lists": [item.body for items in lists for item in items],
        "trail": [entry.data for entry in trail.read(db, limit=1_000_000)],
        "operations": intents.everything(db),
    }
    return {name: msgspec.json.encode(part).decode() for name, part in parts.items()}


# --- why ----------------------------------------------------------------------------------------------------------------


def _told(stage: Stage, wanted: Told) -> Check:
    answer = explained(stage, wanted.ref, wanted.field)
    said = "" if answer is None else "; ".join(reason.text for reason in (*answer.history, *answer.open))
    what = f"why {wanted.ref}{f' {wanted.field}' if wanted.field else ''}"
    return Check(what, wanted.says, wanted.says if wanted.says in said else _shorten(said), wanted.says in said)


def explained(stage: Stage, ref: str, field_: str | None = None) -> Explanation | None:
    """`koppel why`; None when it fails."""
    try:
        return stage.workspace.why(ref, field_)
    except KoppelError:
        return None


def touched(entries: list[Recorded]) -> list[str]:
    """The records a step was about, by the trail."""
    refs = {
        str(entry.data[side]): None
        for entry in entries
        if entry.kind in ABOUT and entry.data is not None
        for side in ("left", "right")
        if entry.data.get(side)
    }
    return list(refs)
