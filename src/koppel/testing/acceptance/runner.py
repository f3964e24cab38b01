"""Playing a script: each step done and looked at, and after each step that ran a flow, what must always hold.

Always: the same again writes nothing; nothing was entered twice; `audit verify` holds and passes through the trail as it
stood; `why` answers for every record the step touched. The same again is left out where a run did not reach its end.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from koppel.model.problem import KoppelError
from koppel.testing.acceptance import script as words
from koppel.testing.acceptance.script import Script, Step
from koppel.testing.acceptance.seen import EFFECTS, Before, checks, entries_since, explained, look, touched
from koppel.testing.acceptance.stage import LISTS, Stage, stage
from koppel.testing.acceptance.verdict import Check, Report, StepReport

_RUNS = (words.Sync, words.PlanApply, words.KillAt)


def play(script: Script, *, folder: Path | None = None, tell: Callable[[str], None] = lambda _text: None) -> Report:
    """Play a script to its end, whatever is found on the way. `folder` (which must not exist yet) keeps the workspace.

    Raises UsageError when the fixtures cannot be set up.
    """
    steps: list[StepReport] = []
    broke_off = ""
    with stage(script.fixtures, folder) as on:
        for number, (step, line) in enumerate(zip(script.steps, script.lines, strict=True), start=1):
            tell(f"step {number} of {len(script.steps)} …")
            try:
                steps.append(_played(on, step, number, line))
            except KoppelError as error:
                broke_off = f"{script.file}:{line}: step {number} could not be played: {error}"
                break
    digest = sha256(Path(script.file).read_bytes()).hexdigest()
    return Report(script.file, script.title, script.about, digest, version("koppel"), tuple(steps), broke_off)


def _played(on: Stage, step: Step, number: int, line: int) -> StepReport:
    on.ran.clear()
    on.told.clear()
    before = look(on)
    for action in step.do:
        on.act(action)
    at = on.now_text()
    found = checks(on, before, step.expect)
    if any(isinstance(action, _RUNS) for action in step.do):
        found += _always(on, step, before)
    on.log += [*on.told, *(ran.message for ran in on.ran)]
    return StepReport(number, line, " ".join(step.words.split()), at, tuple(found))


def _always(on: Stage, step: Step, before: Before) -> list[Check]:
    entries = entries_since(on, before.head)
    refs = touched(entries)
    silent = [ref for ref in refs if not _answers(on, ref)]
    broken = on.workspace.audit_verify(against=before.head)
    again = [] if all(ran.state == "waiting" for ran in on.ran) else [_again(on, step)]
    return [
        *again,
        _once(on),
        Check("audit verify", "holds", f"entry {broken.seq}: {broken.why}" if broken else "holds", broken is None),
        Check(
            "why answers for every record touched",
            str(len(refs)),
            f"{len(refs) - len(silent)}{f'; not for {silent[0]}' if silent else ''}",
            not silent,
        ),
    ]


def _once(on: Stage) -> Check:
    """No number was created twice by a program, nor beside a record that carried it already; the vendors count."""
    twice: list[str] = []
    for system in sorted({account.system for account in on.fixtures.connections.values()} & LISTS.keys()):
        told = on.host.control(system, "duplicates", {})
        twice += [f"{system} {one['kvk']}" for one in (*told["duplicates"], *told["existing"])]
    return Check("entered twice", "nothing", ", ".join(twice) or "nothing", not twice)


def _answers(on: Stage, ref: str) -> bool:
    answer = explained(on, ref)
    return answer is not None and answer.known and bool(answer.history or answer.open)


def _again(on: Stage, step: Step) -> Check:
    """The same run once more: nothing may be written."""
    what, expected = "the same again", "writes nothing"
    ran = {one.flow: one.state for one in on.ran}
    unfinished = [flow for flow, state in ran.items() if state != "done"]
    if unfinished:
        return Check(what, expected, f"{unfinished[0]} did not reach its end; comes with the next step", None)
    before, said = look(on), list(on.ran)
    for action in step.do:
        if isinstance(action, words.TakeIn):
            on.act(action)
    on.sync(tuple(ran), now=True)
    on.ran[:] = said
    writes = {name: count - before.writes[name] for name, count in on.writes().items()}
    effects = [entry.kind for entry in entries_since(on, before.head) if entry.kind in EFFECTS]
    wrote = [f"{name}: {count} writes" for name, count in writes.items() if count]
    seen = ", ".join([*wrote, *(f"trail: {kind}" for kind in effects)]) or expected
    return Check(what, expected, seen, seen == expected)
