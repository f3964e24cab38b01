"""What a plan or a run says, as rows of plain text: one source for the terminal's tables and for the page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from koppel.cli.words import STEPS, field_name, shown, sided

if TYPE_CHECKING:
    from koppel.engine.plan import Plan, Planned
    from koppel.mapping.flow import Flow
    from koppel.store.trail import Recorded

ORDER = tuple(STEPS)
OF_ENTRY = {
    "created": "create",
    "linked": "link",
    "updated": "update",
    "archived": "archive",
    "unlinked": "unlink",
    "asked": "ask",
    "parked": "park",
    "refused": "park",  # by the vendor: it is parked
}
ANSWERS = {
    "left": "take the left value",
    "right": "take the right value",
    "leave": "leave it as it is",
    "create": "create a new record",
    "skip": "leave this record out",
    "drop": "drop what was answered: it goes along with the record that leads",
    "none": "none of these is the same",
    "unlink": "unlink: the records no longer follow each other",
    "archive": "archive the other record",
    "restore": "make the missing record again",
    "before": "write the earlier value back",
    "done": "a person has done it",
    "did_not": "it did not happen: decide it anew",
    "happened": "it did happen",
    "id": "it did happen: type",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line under a record: a field with its values, or a sentence. `reason` says why."""

    field: str = ""
    before: str | None = None
    after: str = ""
    reason: str = ""
    choice: bool = False

    @property
    def text(self) -> str:
        """The line without its reason."""
        name = f"{self.field}: " if self.field else ""
        return f"{name}{self.before} → {self.after}" if self.before is not None else f"{name}{self.after}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One step: what is (or was) done to which record, and why. `where` names it in the systems."""

    kind: str
    label: str
    where: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    calls: int = 0


def plan_rows(plan: Plan, flow: Flow | None) -> tuple[Row, ...]:
    """The steps worth showing, in the order people read them: what is only agreed upon is no news."""
    return _in_order(step_row(planned, flow) for planned in plan.steps if planned.step.kind in ORDER)


def run_rows(plan: Plan, entries: Iterable[Recorded], flow: Flow | None) -> tuple[Row, ...]:
    """What a run did: its entries in the trail, and the refusals, which change nothing and so are no entries."""
    refused = [step_row(planned, flow) for planned in plan.steps if planned.step.kind == "refuse"]
    return _in_order(
        [*(entry_row(entry.kind, entry.data or {}, flow) for entry in entries if entry.kind in OF_ENTRY), *refused]
    )


def _in_order(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: ORDER.index(row.kind)))


def step_row(planned: Planned, flow: Flow | None) -> Row:
    """A planned step; who is named in a value is said by name."""
    from koppel.engine.references import spoken

    step = planned.step
    left, right = names_of(flow)
    lines: list[Line] = []
    for key, value in step.values.items():
        before = spoken(step.before.get(key), step.names)
        written_over = key in step.before and step.before[key] != value if step.kind == "create" else True
        lines.append(
            Line(
                field=field_name(key),
                before=shown(before) if written_over else None,
                after=shown(spoken(value, step.names)),
                reason=sided(step.because.get(key, ""), left, right),
            )
        )
    if step.problem is not None:
        reason = step.because.get(step.field, "") if step.field else ""
        lines.append(Line(after=sided(str(step.problem), left, right), reason=sided(reason, left, right)))
    if step.because.get(""):
        lines.append(Line(reason=sided(step.because[""], left, right)))
    choices = [spoken(choice, step.names) for choice in step.choices]
    lines += [Line(after=sided(choice_words(choice), left, right), choice=True) for choice in choices]
    return Row(kind=step.kind, label=_label(step), where=_where(planned, flow), lines=tuple(lines), calls=planned.calls)


def _label(step: Any) -> str:
    return str(step.label or step.left or step.right or "")


def names_of(flow: Flow | None) -> tuple[str, str]:
    """What people call the two sides."""
    return (flow.left.connection, flow.right.connection) if flow else ("the left", "the right")


def _where(planned: Planned, flow: Flow | None) -> tuple[str, ...]:
    step = planned.step
    left, right = names_of(flow)
    named: list[str] = []
    for side, name, native in (("left", left, step.left), ("right", right, step.right)):
        written = step.kind in ("update", "archive") and step.side == side
        if native and (written or native not in step.label):
            named.append(f"{'written to ' if written else ''}{name} {native}")
    if step.takes_over:
        named.append(f"takes over {step.takes_over} in {right if step.side == 'right' else left}")
    elif step.kind == "create":
        named.append(f"new in {right if step.side == 'right' else left}")
    return tuple(named)


def entry_row(kind: str, data: Mapping[str, Any], flow: Flow | None = None) -> Row:
    """An entry of the trail."""
    left, right = names_of(flow)
    label = str(data.get("label", "")) or "(erased)"
    where = tuple(_places(kind, data, label))
    lines: list[Line] = []
    for key, change in data.get("fields", {}).items():
        before = change.get("before")
        nothing = kind in ("created", "refused") and before is None  # there was no record yet
        kept = kind == "created" and before == change.get("after")  # what was taken over showed it already
        lines.append(
            Line(
                field=field_name(key),
                before=None if nothing or kept else shown(before),
                after=shown(change.get("after")),
                reason=sided(str(change.get("because") or ""), left, right),
            )
        )
    notes = data.get("notes", {})
    for key, both in data.get("kept", {}).items():
        if key not in data.get("fields", {}):  # what was written says its reason itself
            stays = str(notes.get(key, "")).startswith("undo of run")
            end = "both stay as they are" if stays else "were taken for the same"
            lines.append(Line(field=field_name(key), after=f"{shown(both[0])} and {shown(both[-1])} {end}"))
    problem = data.get("problem") or {}
    if problem.get("text"):
        vendor = problem.get("vendor_text")
        said = f" (the vendor says: {vendor})" if vendor and vendor not in problem["text"] else ""
        lines.append(Line(field=field_name(problem.get("field") or ""), after=f"{problem['text']}{said}"))
    if data.get("question"):
        lines.append(Line(after=sided(str(data["question"]), left, right)))
    if "answer" in data:
        lines.append(Line(field="answer", after=shown(data["answer"])))
    if data.get("takes_over"):
        lines.append(Line(reason=f"made of {data['takes_over']}, which was there already"))
    if data.get("by_probe"):
        lines.append(Line(reason="its reply was lost; it was found to have arrived"))
    if data.get("because"):
        lines.append(Line(reason=sided(str(data["because"]), left, right)))
    return Row(kind=OF_ENTRY.get(kind, kind), label=label, where=where, lines=tuple(lines))


def _places(kind: str, data: Mapping[str, Any], label: str) -> Iterator[str]:
    """The two records of an entry of the trail; the one that was written is always named, and named as such."""
    word = {"created": "made in", "updated": "written to", "archived": "archived in"}.get(kind)
    for side in ("left", "right"):
        ref = str(data.get(side) or "")
        written = f"{word} " if word and data.get("target") == side else ""
        if ref and (written or ref.rpartition(":")[2] not in label):
            yield written + ref.replace(":", " ", 2)


def choice_words(choice: Mapping[str, Any]) -> str:
    """One choice of a question, in words."""
    answer = str(choice.get("answer", ""))
    if answer == "id":
        return f"{ANSWERS[answer]} {choice.get('label', 'its id')}"
    if "label" in choice:
        by = choice.get("by")
        evidence = f" (same {' and '.join(by)})" if by else ""
        if "score" in choice:
            evidence = f" ({choice['score']} of 100: {'; '.join(choice.get('reasons', []))})"
        return f"link with {choice['label']}{evidence}, {answer}"
    words = ANSWERS.get(answer, answer)
    if "value" in choice:
        words += f": {shown(choice['value'])}"
    return f"{words}; successor {choice['successor']}" if choice.get("successor") else words


def kinds_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """The kinds that occur, in order."""
    return tuple(kind for kind in ORDER if any(row.kind == kind for row in rows))
