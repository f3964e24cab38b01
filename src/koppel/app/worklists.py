"""Questions and parked items, one or many at once: looked up, answered, taken back, tried again.

Many are decided in one transaction: all of them, or none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from koppel.app.answers import check_typed
from koppel.app.naming import said
from koppel.app.running import Running
from koppel.model.problem import UsageError
from koppel.model.values import Json
from koppel.store import due, intents, streams, subjects, trail, work
from koppel.store.due import Due
from koppel.store.sql import Db
from koppel.store.standing import ALONE
from koppel.store.work import Item

COLUMNS = (
    "no", "flow", "record", "left", "right", "field", "code", "left value", "right value", "agreed value", "question", "choices",
    "asked at", "answer",
)  # fmt: skip


class Which(msgspec.Struct, frozen=True):
    """Which items are meant: all that fit. Nothing given: every one."""

    flow: str | None = None
    field: str | None = None
    code: str | None = None

    def fits(self, item: Item) -> bool:
        """Whether the item is one of them."""
        return (
            (self.flow is None or item.flow == self.flow)
            and (self.field is None or field_of(item) == self.field)
            and (self.code is None or item.code == self.code)
        )

    @property
    def named(self) -> bool:
        """Whether anything narrows it down."""
        return any(part is not None for part in (self.flow, self.field, self.code))


EVERY = Which()


def field_of(item: Item) -> str:
    """The field a question is about; of one of several records that share a key without the record's id."""
    return item.field.rpartition(" ")[2]


# --- questions ----------------------------------------------------------------------------------------------------------


def questions(workspace: Running, which: Which = EVERY) -> list[Item]:
    """What waits for a person's decision; also writes in doubt of which no vendor can tell what became of them."""
    doubts = [item for item in workspace.store.run(work.listed, "parked") if item.body.get("choices")]
    asked = [*workspace.store.run(work.listed, "ask"), *doubts]
    return said(workspace, sorted((item for item in asked if which.fits(item)), key=lambda item: item.id))


def question(workspace: Running, number: int) -> Item:
    """One item, open or not. Raises UsageError for a number there is not."""
    found = workspace.store.run(work.get, number)
    if found is None:
        raise UsageError(f"There is no question no. {number}.", remedy="koppel asks lists them.")
    return said(workspace, [found])[0]


def check_answer(item: Item | None, number: int, answer: Json) -> None:
    """Raises UsageError when the question is not open, or does not offer that answer."""
    if item is None or item.state == "closed" or not item.body.get("choices"):
        raise UsageError(f"No question is open under no. {number}.", remedy="koppel asks lists them.")
    offered = [choice["answer"] for choice in item.body.get("choices", [])]
    third = isinstance(answer, dict) and "value" in answer and {"left", "right"} <= {*offered}
    named = "id" in offered and isinstance(answer, str) and answer not in ("", "id")
    if (answer not in offered or answer == "id") and not third and not named:
        raise UsageError(
            f"No. {number} cannot be answered with {answer!r}.",
            remedy=f"Possible: {', '.join(str(o) for o in dict.fromkeys(offered))}.",
        )


def decide_many(workspace: Running, answers: Mapping[int, Json]) -> list[Item]:
    """Answer questions; the next run carries them out. Raises UsageError for the first that cannot be answered so: then none is."""
    for number, answer in answers.items():
        item = workspace.store.run(work.get, number)
        if item is not None and isinstance(answer, dict) and "value" in answer:
            check_typed(workspace, item.flow, item.field, answer["value"])
    return workspace.store.run_durable(_decide, answers, workspace.actor, workspace.now())


def _decide(db: Db, answers: Mapping[int, Json], by: str, at: float) -> list[Item]:
    items = {number: work.get(db, number) for number in answers}
    for number, answer in answers.items():
        check_answer(items[number], number, answer)
    decided = [item for item in items.values() if item is not None]
    for item in decided:
        work.answer(db, item.id, answers[item.id], by=by, at=at)
        due.add(db, item.flow, [Due(item.side, item.native, "asked")], at=at)
    trail.append(db, [_entry(db, item, "decided", by, at, {"answer": answers[item.id]}) for item in decided])
    return decided


def take_back(workspace: Running, number: int) -> Item:
    """Undo an answer that was not carried out yet: the question is open again. What stands as a decision (left out, left alone)
    stands no longer. Raises UsageError when there is nothing to take back, or it is being carried out."""
    return workspace.store.run_durable(_take_back, number, workspace.actor, workspace.now())


def _take_back(db: Db, number: int, by: str, at: float) -> Item:
    item = work.get(db, number)
    if item is None or item.state == "open" or not item.body.get("choices"):
        raise UsageError(
            f"No. {number} has no answer that could be taken back.", remedy="koppel asks lists what is open."
        )
    if item.state == "closed":
        raise UsageError(
            f"No. {number} was carried out or is over.",
            remedy="koppel why says what became of it; koppel undo takes a run back.",
        )
    if any(item.native in (i.source_native, i.target_native) for i in intents.of_flow(db, item.flow)):
        raise UsageError(
            f"No. {number} is being carried out now.", remedy="When the run is over: koppel why, koppel undo."
        )
    again = [
        i for i in work.about(db, item.flow, item.side, [item.native]) if i.state == "open" and i.field == item.field
    ]
    if again or item.code == ALONE:  # asked anew meanwhile; or no question, but a decision that stood
        work.close(db, [number], by=by, at=at)
    else:
        work.reopen(db, number)
    due.add(db, item.flow, [Due(item.side, item.native, "asked")], at=at)
    trail.append(db, [_entry(db, item, "taken_back", by, at, {"answer": item.answer})])
    return item


def _entry(db: Db, item: Item, kind: str, by: str, at: float, more: dict[str, Json]) -> trail.Entry:
    refs = item.body.get("refs", {})
    data: dict[str, Json] = {
        "flow": item.flow,
        "question": item.body.get("text", ""),
        "label": item.body.get("label", ""),
        "field": item.field,
        "number": item.id,
        **refs,
    }
    return trail.Entry(at, by, kind, data | more, subject=_subject(db, refs))


def _subject(db: Db, refs: Mapping[str, Json]) -> str | None:
    """The subject of a record the question is about, so that an erasure takes the answer along."""
    by_name = {stream.name: stream.id for stream in streams.every(db)}
    for ref in refs.values():
        connection, resource, native = str(ref).split(":", 2)
        stream = by_name.get(f"{connection}:{resource}")
        member = subjects.of_records(db, stream, [native]).get(native) if stream is not None else None
        if member is not None:
            return member.subject
    return None


# --- answers in a table ---------------------------------------------------------------------------------------------------


def as_csv(items: Sequence[Item], say: Callable[[Json], str], when: Callable[[float], str]) -> str:
    """Questions as a table with an empty column for the answer. `say` shows a value, `when` an instant."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for item in items:
        body = item.body
        values, base, refs = body.get("values", {}), body.get("base", {}), body.get("refs", {})
        choices = " | ".join(_choice(choice) for choice in body.get("choices", []))
        table.writerow(
            _safe(cell)
            for cell in (
                str(item.id),
                item.flow,
                str(body.get("label") or item.native),
                str(refs.get("left", "")),
                str(refs.get("right", "")),
                field_of(item),
                item.code,
                say(values["left"]) if "left" in values else "",
                say(values["right"]) if "right" in values else "",
                say(base.get("left")) if base else "",
                str(body.get("text", "")),
                choices,
                when(item.opened_at),
                "",
            )
        )
    return out.getvalue()


def _choice(choice: Mapping[str, Json]) -> str:
    return f"{choice['answer']} ({choice['label']})" if choice.get("label") else str(choice["answer"])


def _safe(cell: str) -> str:
    """A spreadsheet must not take a value of a record for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def read_csv(
    workspace: Running, text: str, *, file: str, answer_of: Callable[[Item | None, int, str, str | None], Any]
) -> dict[int, Json]:
    """The answers of a filled-in table; lines without an answer are left open. Raises UsageError naming every line that is
    wrong: then nothing of it counts."""
    lines = list(csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=_delimiter(text)))
    head = [cell.strip().lower() for cell in lines[0]] if lines else []
    if "no" not in head or "answer" not in head:
        raise UsageError(f"{file} has no columns no and answer.", remedy="Make it with: koppel asks --csv FILE")
    number_at, answer_at = head.index("no"), head.index("answer")
    items = {item.id: item for item in questions(workspace)}
    answers: dict[int, Json] = {}
    wrong: list[str] = []
    for place, cells in enumerate(lines[1:], start=2):
        word = cells[answer_at].strip() if len(cells) > answer_at else ""
        if not word:
            continue
        typed = cells[number_at].strip() if len(cells) > number_at else ""
        try:
            if not typed.isdigit():
                raise UsageError(f"{typed!r} is not the number of a question")
            number = int(typed)
            if number in answers:
                raise UsageError(f"no. {number} stands there twice")
            answer = answer_of(items.get(number), number, word, None)
            check_answer(items.get(number), number, answer)
            answers[number] = answer
        except UsageError as error:
            wrong.append(f"line {place}: {error.message.rstrip('.')}")
    if wrong:
        more = f"; and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise UsageError(
            f"{file}: {'; '.join(wrong[:10])}{more}. Nothing was decided.", remedy="Mend these lines, and try again."
        )
    return answers


def _delimiter(text: str) -> str:
    """Dutch spreadsheets write semicolons."""
    first = text.split("\n", 1)[0]
    return ";" if first.count(";") > first.count(",") else ","


# --- what could not be done -----------------------------------------------------------------------------------------------


def parked(workspace: Running, which: Which = EVERY) -> list[Item]:
    """What could not be done."""
    return said(workspace, [item for item in workspace.store.run(work.listed, "parked") if which.fits(item)])


def retry(workspace: Running, numbers: Sequence[int] = (), which: Which = EVERY) -> list[Item]:
    """Make parked items due at the next run: these, those that fit, or all. Raises UsageError for a number that is not parked."""
    items = {item.id: item for item in workspace.store.run(work.listed, "parked")}
    unknown = next((n for n in numbers if n not in items), None)
    if unknown is not None:
        raise UsageError(f"Nothing is parked under no. {unknown}.", remedy="koppel parked lists what is.")
    chosen = [items[n] for n in dict.fromkeys(numbers)] if numbers else [i for i in items.values() if which.fits(i)]
    workspace.store.run_durable(_retry, chosen, workspace.now())
    return chosen


def _retry(db: Db, items: Sequence[Item], at: float) -> None:
    for item in items:
        due.add(db, item.flow, [Due(item.side, item.native, "retry")], at=at)
    work.retry(db, [item.id for item in items], at=0.0)
