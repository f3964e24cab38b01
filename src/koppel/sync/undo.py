"""Undo, as a decision: what one run did to a pair of records, and how the pair stands now, in; steps and questions out.

A field that still shows what the run wrote (in the target's own spelling) gets back what stood there before the run's first
write. One that changed since is asked about, with all three values. What the run created is archived where the vendor can and
nobody worked on it since; a document is never archived: a correcting one is proposed. What the run linked is unlinked, what it
unlinked is linked again. The pair's base takes the two sides as they then are, so that the next run re-applies nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from koppel.mapping.flow import SideName, other
from koppel.model.documents import DOCUMENTS
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.sync.base import Base, Written
from koppel.sync.corrections import correction
from koppel.sync.decide import Policy
from koppel.sync.looks import is_look
from koppel.sync.merge import Visible
from koppel.sync.shapes import Shape
from koppel.sync.steps import Side, Step
from koppel.sync.united import shown_beside

MARK = "undo"  # on steps: what is taken apart or put together stays so
CODES = "undo_"  # how the codes of an undo's questions begin
FIELD, CREATED, RESTORED, DECIDED, DOCUMENT, BY_HAND = (
    f"{CODES}{what}" for what in ("field", "created", "restored", "decided", "document", "by_hand")
)
BEFORE, ARCHIVE, DONE, LEAVE = "before", "archive", "done", "leave"
_REASON = re.compile(r"undo of run (\d+)(?:;|$)")
_BY_HAND_CHOICES: tuple[dict[str, Json], ...] = ({"answer": DONE}, {"answer": LEAVE})


@dataclass(kw_only=True)
class Deed:
    """What one run did to one pair. `fields`: by side and rule key the value before its first write and after its last.
    `stayed`: fields on which a person decided in that run that both sides stay as they are. `why` goes before every reason."""

    run: int
    left: str
    right: str
    label: str = ""
    created: SideName | None = None
    archived: SideName | None = None
    linked: bool = False
    unlinked: bool = False
    fields: dict[SideName, dict[str, tuple[Json, Json]]] = field(default_factory=lambda: {"left": {}, "right": {}})
    made: dict[str, Json] = field(default_factory=dict)
    stayed: dict[str, tuple[Json, Json]] = field(default_factory=dict)
    why: str = ""

    @property
    def reason(self) -> str:
        """What steps say of themselves."""
        return self.why or f"undo of run {self.run}"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a pair stands now. `free`: neither record belongs to another one. `apart`: a person holds them apart. `parted`: by side, what was made there was taken
    out of use again since. `others`: by side and key, which other runs wrote it, in words. `waiting`: an operation about it
    is in doubt."""

    left: Side | None
    right: Side | None
    linked: bool
    free: bool = True
    apart: bool = False
    follower: bool = False
    base: Base | None = None
    archived: frozenset[SideName] = frozenset()
    before: dict[tuple[SideName, str], str] = field(default_factory=dict)
    since: dict[tuple[SideName, str], str] = field(default_factory=dict)
    waiting: bool = False

    def on(self, side: SideName) -> Side | None:
        """The record on that side, None when it was never seen."""
        return self.left if side == "left" else self.right


def undo(policy: Policy, deed: Deed, standing: Standing) -> list[Step]:
    """The steps and questions that take one deed back. An empty list: nothing is left to take back."""
    return _Undoing(policy, deed, standing).steps()


class _Undoing:
    """One deed at work."""

    def __init__(self, policy: Policy, deed: Deed, standing: Standing) -> None:
        self.policy, self.deed, self.now = policy, deed, standing
        self.document = policy.flow.entity in DOCUMENTS

    def steps(self) -> list[Step]:
        deed, now = self.deed, self.now
        if now.waiting:
            text = f"{deed.reason}: an operation about this record is in doubt; run the flow first, then make this plan again"
            return [self.step("park", "right", problem=Problem("in_doubt", text))]
        if deed.created is not None:
            return self._created(deed.created)
        if deed.archived is not None:
            return self._archived(deed.archived)
        joined = self.joined() if deed.unlinked and not deed.linked else []
        written = self.fields(linked=now.linked or bool(joined))
        parted = self.parted() if deed.linked and not deed.unlinked else []
        return [*joined, *written, *self._stayed(), *parted]

    # --- what was created, archived, linked, unlinked -----------------------------------------------------------

    def _created(self, side: SideName) -> list[Step]:
        deed, now = self.deed, self.now
        record = now.on(side)
        if side in now.archived:
            return []
        if self.document:
            lines = correction(self.policy.flow.entity, deed.made)
            text = f"{deed.reason}: it made this document, and documents are never taken back. Make a correcting one, proposed here"
            return [self._ask(DOCUMENT, side, text, choices=({"answer": DONE, "document": lines}, {"answer": LEAVE}))]
        if record is not None and record.gone:
            return self.parted()  # somebody removed it: what made it must not make it again
        where = self.policy.flow.endpoint(side).connection
        if not now.linked:
            stands = "is linked to nothing by now" if now.free else "belongs to another one by now"
            text = (
                f"{deed.reason}: it made this record, which {stands}; archive it in {where} yourself if nobody needs it"
            )
            return [self._ask(BY_HAND, side, text, choices=_BY_HAND_CHOICES)]
        if side not in self.policy.archives:
            text = (
                f"{deed.reason}: it made this record, and {where} does not archive; block or remove it there yourself"
            )
            return [self._ask(CREATED, side, text, choices=_BY_HAND_CHOICES)]
        changed = self._changed_since(side)
        if changed:
            text = f"{deed.reason}: it made this record, and {', '.join(changed)} changed there since"
            choices = ({"answer": ARCHIVE}, {"answer": LEAVE})
            return [self._ask(CREATED, side, text, choices=choices)]
        return [self.archive(side)]

    def archive(self, side: SideName) -> Step:
        """Take out of use what a run made."""
        return self.step("archive", side, because={"": self.deed.reason}, field=MARK)

    def _changed_since(self, side: SideName) -> list[str]:
        record, base = self.now.on(side), self.now.base
        if record is None:
            return []
        given = self.deed.made | {key: after for key, (_, after) in self.deed.fields[side].items()}
        return [
            key
            for key, after in given.items()
            if (shape := self.policy.shapes.get(key)) is not None
            and key in record.values
            and shape.rule.when != "create"
            and not self._shows(shape, key, side, record.values.get(key), after, base)
        ]

    def _archived(self, side: SideName) -> list[Step]:
        """What the run took out of use is brought back where that is a field; else a person does it, and then says so."""
        now, where = self.now, self.policy.flow.endpoint(side).connection
        if now.linked:
            return []
        record, far = now.on(side), now.on(other(side))
        shape = self.policy.shapes.get("is_active")
        both = record is not None and not record.gone and far is not None and not far.gone
        if both and now.free and not now.apart and shape is not None and shape.may_write(side) and record is not None:
            if record.values.get("is_active") is False:
                agreed = self._forms({(side, "is_active"): True}, "is_active")
                step = self.step(
                    "update", side, values={"is_active": True}, before={"is_active": False}, agreed={"is_active": agreed},
                    because={"is_active": self.deed.reason},
                )  # fmt: skip
                return [*self.joined(), step]
            return self.joined()
        text = (
            f"{self.deed.reason}: it archived this record; bring it back in {where} yourself, then say that it is done"
        )
        return [self._ask(RESTORED, side, text, choices=_BY_HAND_CHOICES)]

    def joined(self) -> list[Step]:
        """Link again, both sides as they are."""
        left, right = self.now.left, self.now.right
        if self.now.linked or left is None or right is None or left.gone or right.gone:
            return []
        if not self.now.free or self.now.apart:
            why = "a person holds them apart" if self.now.free else "one of them is linked to another record by now"
            text = f"{self.deed.reason}: it unlinked these, and {why}"
            return [self._ask(BY_HAND, "right", text, choices=_BY_HAND_CHOICES)]
        agreed = {
            key: (left.values.get(key), right.values.get(key))
            for key, shape in self.policy.shapes.items()
            if shape.rule.when != "create" and key in left.values and key in right.values
        }
        return [self.step("link", "right", agreed=agreed, because={"": self.deed.reason}, field=MARK)]

    def parted(self) -> list[Step]:
        return [self.step("unlink", "right", because={"": self.deed.reason}, field=MARK)] if self.now.linked else []

    def _stayed(self) -> list[Step]:
        """A person let two values differ in that run: the question is open again."""
        asks: list[Step] = []
        for key in self.deed.stayed:
            left, right = self.value("left", key), self.value("right", key)
            shape = self.policy.shapes.get(key)
            if shape is None or not self.now.linked or shape.same(left, right):
                continue
            text = f"{self.deed.reason}: a person left {key} different; left {say(left)}, right {say(right)}"
            choices: tuple[dict[str, Json], ...] = (
                {"answer": "left", "value": left},
                {"answer": "right", "value": right},
                {"answer": LEAVE},
            )
            asks.append(self._ask(DECIDED, "right", text, key=key, choices=choices))
        return asks

    # --- fields ---------------------------------------------------------------------------------------------------

    def fields(self, *, linked: bool) -> list[Step]:
        restored: dict[tuple[SideName, str], Json] = {}
        agreed: set[str] = set()
        rest: list[Step] = []
        sides: tuple[SideName, SideName] = ("right", "left")
        for side in sides:
            for key, (before, after) in self.deed.fields[side].items():
                shape, shown = self.policy.shapes.get(key), self.value(side, key)
                record = self.now.on(side)
                if record is None or record.gone:
                    continue  # there is nothing left to write to; the missing-rule speaks of it
                if shape is None or key not in record.values or not shape.may_write(side) or not linked:
                    if shape is None or key not in record.values or not shape.same_on(side, shown, before):
                        rest.append(self._by_hand(side, key, before, after, shape, linked=linked))
                    continue
                fate = self._fate(shape, key, side, shown, before, after)
                if fate == "restore":
                    restored[side, key] = before
                elif fate == "agree":
                    agreed.add(key)
                elif fate == "later":
                    rest.append(self._not_yet(side, key))
                elif fate == "ask":
                    rest.append(self._changed(side, key, before, after, shown))
        steps = [step for side in sides if (step := self._restore(side, restored))]
        both = {key: self._forms({}, key) for key in agreed if not any(k == key for _, k in restored)}
        both = {key: forms for key, forms in both.items() if not self._agreed_so(key, forms)}
        if both:
            because = dict.fromkeys(both, f"{self.deed.reason}: it shows the earlier value already")
            steps.insert(0, self.step("agree", "right", agreed=both, because=because))
        return steps + rest

    def _fate(self, shape: Shape, key: str, side: SideName, shown: Json, before: Json, after: Json) -> str:
        """Restore | agree | ask | later | nothing: what becomes of one field."""
        base, visible = self.now.base, self.policy.visible
        written = _written(base, side, key)
        pending = written is not None and not visible.due(side, written)
        back = written is not None and shape.same_on(side, written.value, before)
        if back and (pending or shape.same_on(side, shown, before)):
            return "nothing"  # the earlier value is on its way already, or has just arrived
        if shape.same_on(side, shown, before):
            if written is not None and pending and shape.same_on(side, written.value, after):
                return "later"  # what the run wrote may still turn up
            return "agree"
        return "restore" if self._shows(shape, key, side, shown, after, base) else "ask"

    def _shows(self, shape: Shape, key: str, side: SideName, shown: Json, after: Json, base: Base | None) -> bool:
        """Whether a side shows what the run wrote, or what that side made of it (a spelling that was adopted)."""
        if shape.same_on(side, shown, after):
            return True
        if base is None or key not in base.left:
            return False
        mine, theirs = (base.left, base.right) if side == "left" else (base.right, base.left)
        return shape.same_on(side, shown, mine.get(key)) and shape.same_on(other(side), after, theirs.get(key))

    def _restore(self, side: SideName, restored: dict[tuple[SideName, str], Json]) -> Step | None:
        keys = [key for to, key in restored if to == side]
        if not keys:
            return None
        return self.step(
            "update",
            side,
            values={key: None if is_blank(restored[side, key]) else restored[side, key] for key in keys},
            before={key: self.value(side, key) for key in keys},
            agreed={key: self._forms(restored, key) for key in keys},
            because={key: self._because(side, key) for key in keys},
        )

    def _because(self, side: SideName, key: str) -> str:
        told = [self.deed.reason, self.now.before.get((side, key)), self.now.since.get((side, key))]
        return "; ".join(text for text in told if text)

    def _forms(self, restored: dict[tuple[SideName, str], Json], key: str) -> tuple[Json, Json]:
        """What both sides are to show of a field afterwards: what is restored, else what was last agreed there, so that a
        change of it since still goes its way."""
        base = self.now.base
        found: list[Json] = []
        sides: tuple[SideName, SideName] = ("left", "right")
        for side in sides:
            far_restored = (other(side), key) in restored
            if (side, key) in restored:
                found.append(restored[side, key])
            elif far_restored and base is not None and (written := _written(base, other(side), key)) is not None:
                found.append(self._beside(side, key, base, written))
            elif far_restored and base is not None and key in base.left:
                found.append(self._at_hand(side, key, (base.left if side == "left" else base.right).get(key)))
            else:
                found.append(self.value(side, key))
        return found[0], found[1]

    def _beside(self, side: SideName, key: str, base: Base, written: Written) -> Json:
        """What this side shows beside a value on its way to the other one."""
        if _written(base, side, key) is not None:
            return written.source  # it was sent here, too: what is missing of it was taken away
        agreed = (base.left if side == "left" else base.right).get(key)
        return shown_beside(self.policy.shapes[key], written, shown=self.value(side, key), agreed=agreed)

    def _at_hand(self, side: SideName, key: str, agreed: Json) -> Json:
        """What was agreed, as the side shows it where only its look is kept and that is still the same."""
        shown = self.value(side, key)
        return shown if is_look(agreed) and self.policy.shapes[key].same_on(side, shown, agreed) else agreed

    def _agreed_so(self, key: str, forms: tuple[Json, Json]) -> bool:
        base, shape = self.now.base, self.policy.shapes[key]
        return (
            base is not None
            and key in base.left
            and key not in base.written_left
            and key not in base.written_right
            and shape.same_on("left", base.left.get(key), forms[0])
            and shape.same_on("right", base.right.get(key), forms[1])
        )

    def _changed(self, side: SideName, key: str, before: Json, after: Json, shown: Json) -> Step:
        since = self.now.since.get((side, key))
        text = f"{self.deed.reason}: {key} changed there since. The run wrote {say(after)}, it shows {say(shown)}, it was {say(before)}"
        text += f" ({since})" if since else ""
        step = self._ask(FIELD, side, text, key=key, choices=({"answer": BEFORE, "value": before}, {"answer": LEAVE}))
        return _with(step, {key: before}, {key: shown})

    def _by_hand(
        self, side: SideName, key: str, before: Json, after: Json, shape: Shape | None, *, linked: bool
    ) -> Step:
        where = self.policy.flow.endpoint(side).connection
        why = (
            "the flow has no such field any more"
            if shape is None
            else "its record is linked to nothing by now"
            if not linked
            else f"{where} does not let it be changed"
            if not shape.may_write(side)
            else "it cannot be read now"
        )
        text = f"{self.deed.reason}: {key} was {say(before)} before it wrote {say(after)}; {why}, so write it in {where} yourself"
        return self._ask(BY_HAND, side, text, key=key, choices=_BY_HAND_CHOICES)

    def _not_yet(self, side: SideName, key: str) -> Step:
        written = _written(self.now.base, side, key)
        assert written is not None
        shows_by = written.at + _lag(self.policy.visible, side)
        text = f"{self.deed.reason}: what was written to {key} may still turn up; make this plan again then"
        return self.step("park", side, field=key, problem=Problem("on_its_way", text, retry_at=shows_by))

    # --- small makers -----------------------------------------------------------------------------------------------

    def value(self, side: SideName, key: str) -> Json:
        record = self.now.on(side)
        return record.values.get(key) if record is not None else None

    def _ask(
        self, code: str, side: SideName, text: str, *, key: str = "", choices: tuple[dict[str, Json], ...] = ()
    ) -> Step:
        about = " ".join(part for part in (MARK, str(self.deed.run), side if key else "", key) if part)
        return self.step("ask", side, field=about, problem=Problem(code, text), choices=choices)

    def step(self, kind: str, side: SideName, **more: object) -> Step:
        deed = self.deed
        return Step(kind, side, deed.left, deed.right, deed.label, follower=self.now.follower, **more)  # type: ignore[arg-type]


def carried_out(policy: Policy, deed: Deed, standing: Standing, code: str, answer: Json) -> list[Step]:
    """What a person's answer to one of these questions still asks for; an empty list when it is carried out. `deed` is the
    part of it the question was about: for a field, what it was before and what it showed when it was asked."""
    deed.why = f"undo of run {deed.run}, decided by a person"
    at_work = _Undoing(policy, deed, standing)
    if answer == LEAVE or standing.waiting:
        return []
    if code == FIELD and answer == BEFORE:
        return at_work.fields(linked=standing.linked)
    if code == CREATED and deed.created is not None:
        if not standing.linked:
            return []
        return [at_work.archive(deed.created)] if answer == ARCHIVE else at_work.parted()
    if code == RESTORED and answer == DONE:
        return at_work.joined()
    if code == DECIDED and answer in ("left", "right"):
        return _stands(at_work, "left" if answer == "left" else "right")
    return []


def _stands(at_work: _Undoing, stands: SideName) -> list[Step]:
    """The value of one side goes to the other, as a person decided."""
    side, now = other(stands), at_work.now
    steps: list[Step] = []
    for key in at_work.deed.stayed:
        shape, left, right = at_work.policy.shapes.get(key), at_work.value("left", key), at_work.value("right", key)
        value = left if stands == "left" else right
        if shape is None or not now.linked or not shape.may_write(side) or shape.same(left, right):
            continue
        written = _written(now.base, side, key)
        if written is not None and shape.same_on(side, written.value, value):
            continue
        shown = right if stands == "left" else left
        steps.append(
            at_work.step("update", side, values={key: value}, before={key: shown}, because={key: at_work.deed.reason})
        )
    return steps


def refused(run: int, step: Step, why: str) -> list[Step]:
    """What is asked when the vendor did not take a step of an undo: nothing of it is forgotten, and it can be tried again."""

    def ask(code: str, about: str, text: str, again: dict[str, Json]) -> Step:
        problem = Problem(code, f"undo of run {run}: {text}: {why}")
        choices: tuple[dict[str, Json], ...] = (again, {"answer": LEAVE})
        return msgspec.structs.replace(
            step, kind="ask", values={}, before={}, because={}, field=about, problem=problem, choices=choices
        )

    if step.kind == "archive":
        return [ask(CREATED, f"{MARK} {run}", "what the run made was not archived", {"answer": ARCHIVE})]
    return [
        _with(
            ask(
                FIELD,
                f"{MARK} {run} {step.side} {key}",
                f"{key} was not written back",
                {"answer": BEFORE, "value": value},
            ),
            {key: value},
            {key: step.before.get(key)},
        )
        for key, value in step.values.items()
    ]


def undoes(step: Step) -> int | None:
    """The run that a step of an undo's plan takes back; None for every other step, also for one that a person's answer asks for:
    that is decided anew until it is carried out."""
    found = next((said for why in step.because.values() if (said := _REASON.match(why))), None)
    return int(found[1]) if found else None


def asked_again(step: Step) -> set[str]:
    """The fields of the questions that `refused` asks about a step: doing it answers them."""
    run = undoes(step)
    return {f"{MARK} {run}"} | {f"{MARK} {run} {step.side} {key}" for key in step.values} if run else set()


def without(steps: list[Step], keys: set[tuple[str | None, str | None, str]]) -> list[Step]:
    """Ordinary steps without the fields that a person's answer decides in the same plan: (left, right, key)."""
    kept: list[Step] = []
    for step in steps:
        mine = {key for left, right, key in keys if (left, right) == (step.left, step.right)}
        if step.kind == "update" and mine & step.values.keys():
            values = {key: value for key, value in step.values.items() if key not in mine}
            if values:
                kept.append(_with(step, values, {key: step.before.get(key) for key in values}))
        elif not (step.kind in ("ask", "park") and step.field in mine):
            kept.append(step)
    return kept


def say(value: Json) -> str:
    """A value in a sentence."""
    if is_blank(value):
        return "(empty)"
    if isinstance(value, dict):
        return ", ".join(str(part) for part in value.values() if not is_blank(part))
    return repr(value) if isinstance(value, str) else str(value)


def _written(base: Base | None, side: SideName, key: str) -> Written | None:
    if base is None:
        return None
    return (base.written_left if side == "left" else base.written_right).get(key)


def _lag(visible: Visible, side: SideName) -> float:
    return visible.left if side == "left" else visible.right


def _with(step: Step, values: dict[str, Json], before: dict[str, Json]) -> Step:
    return msgspec.structs.replace(step, values=values, before=before)
