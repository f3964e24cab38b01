"""`koppel decide`: answer questions, one or many at once, from a table as well; and take an answer back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, FlowOption, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.app import Workspace
    from koppel.store.work import Item

PREVIEW = 12  # questions shown before many are decided at once


@command
def decide(
    terminal: Terminal,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[N]... [ANSWER]", help="Numbers of questions, then the choice's number or word."),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(
            "--value", metavar="TEXT", help="Neither side is right: this is (fields only; JSON for an address)."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All questions that the options below leave.")] = False,
    flow: FlowOption = None,
    field: Annotated[str | None, typer.Option("--field", metavar="FIELD", help="Only about this field.")] = None,
    code: Annotated[
        str | None, typer.Option("--code", metavar="CODE", help="Only of this kind, for instance conflict.")
    ] = None,
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Answers from a table of `koppel asks --csv`.")
    ] = None,
    take_back: Annotated[bool, typer.Option("--take-back", help="Undo an answer before it is carried out.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before many are decided at once.")] = False,
) -> int:
    """Answer one question, or several at once.

    The next run carries it out. With --all and --csv it is shown first what would be decided; all of it is, or nothing.

    Example: koppel decide 7 1
             koppel decide 7 8 9 leave
             koppel decide 7 --value "De Korenaar B.V."
             koppel decide --all --flow kvk-exact --field phone --code conflict left
             koppel decide --csv questions.csv
             koppel decide 7 --take-back
             koppel asks decide 7 1
    """
    typed = list(words or [])
    with terminal.workspace() as ws:
        if flow is not None:
            ws.known_flow(flow)
        if take_back:
            _alone(typed, others=bool(value or everything or csv))
            return _taken_back(terminal, ws, _numbers(typed))
        if csv is not None:
            _none(typed, value, everything)
            answers = _from_csv(ws, csv)
        elif everything:
            answers = _of_all(ws, typed, value, flow, field, code)
        else:
            answers = _named(ws, typed, value)
        if everything or csv is not None:
            if not answers:
                terminal.show([], lambda: ["No question fits; nothing was decided."])
                return DONE
            if not yes and not _sure(terminal, ws, answers):
                return LEFT_OVER
        from koppel.app.worklists import decide_many

        decided = decide_many(ws, answers)
    flows = sorted({item.flow for item in decided})
    following = f" Next: koppel sync {flows[0]}" if len(flows) == 1 else ""
    shown = [{"number": item.id, "flow": item.flow, "answer": answers[item.id]} for item in decided]
    told = ", ".join(f"no. {item.id}" for item in decided) if len(decided) <= PREVIEW else f"{len(decided)} questions"
    terminal.show(shown, lambda: [f"Decided: {told}. The next run carries it out.{following}"])
    return DONE


def _named(ws: Workspace, typed: Sequence[str], value: str | None) -> dict[int, Any]:
    *first, last = [*typed] if value is None else [*typed, ""]
    numbers = _numbers(first) if typed else _numbers([])
    items = {item.id: item for item in ws.asks()}
    return {number: answer_of(items.get(number), number, last, value) for number in numbers}


def _of_all(
    ws: Workspace, typed: Sequence[str], value: str | None, flow: str | None, field: str | None, code: str | None
) -> dict[int, Any]:
    from koppel.app.worklists import Which, check_answer, questions
    from koppel.model.problem import UsageError

    if (len(typed) != 1) if value is None else typed:
        raise UsageError(
            "With --all give one answer and no numbers.", remedy="For instance: koppel decide --all --field phone left"
        )
    if typed and typed[0].isdigit():
        raise UsageError(
            "With --all give the answer as a word: the same number is another choice elsewhere.",
            remedy="For instance left, right, leave, create or skip.",
        )
    items = questions(ws, Which(flow, field, code))
    answers = {item.id: answer_of(item, item.id, typed[0] if typed else "", value) for item in items}
    for item in items:
        check_answer(item, item.id, answers[item.id])
    return answers


def _from_csv(ws: Workspace, file: str) -> dict[int, Any]:
    import sys
    from pathlib import Path

    from koppel.app.worklists import read_csv
    from koppel.model.problem import UsageError

    try:
        text = sys.stdin.read() if file == "-" else Path(file).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.", remedy="Name a CSV file in UTF-8.") from None
    return read_csv(ws, text, file=file, answer_of=answer_of)


def _sure(terminal: Terminal, ws: Workspace, answers: Mapping[int, Any]) -> bool:
    """Show what would be decided, and ask. Raises UsageError where nobody can be asked."""
    from koppel.model.problem import UsageError

    items = [item for item in ws.asks() if item.id in answers]
    if not terminal.can_ask:
        raise UsageError(
            f"{len(items)} questions would be decided; nothing was.", remedy="When that is meant, say so with --yes."
        )
    console = terminal.console()
    for part in _preview(items, answers):
        console.print(part)
    said = terminal.ask(f"Decide {len(items)}? (yes/no)", default="no")
    if said.lower() not in ("y", "yes", "j", "ja"):
        terminal.note("Nothing was decided.")
        return False
    return True


def _preview(items: Sequence[Item], answers: Mapping[int, Any]) -> Iterator[RenderableType]:
    from koppel.cli.render_plan import grid
    from koppel.cli.words import field_name, shown

    table = grid()
    table.add_column("no.", justify="right", no_wrap=True)
    table.add_column("record", ratio=4, overflow="fold")
    table.add_column("question", ratio=6, overflow="fold")
    table.add_column("answer", ratio=3, overflow="fold")
    for item in items[:PREVIEW]:
        name = f"{field_name(item.field)}: " if item.field else ""
        table.add_row(
            str(item.id),
            str(item.body.get("label") or item.native),
            f"{name}{item.body.get('text', '')}",
            shown(answers[item.id]),
        )
    yield table
    if len(items) > PREVIEW:
        yield f"… and {len(items) - PREVIEW} more"


def _taken_back(terminal: Terminal, ws: Workspace, numbers: Sequence[int]) -> int:
    from koppel.app.worklists import take_back

    items = [take_back(ws, number) for number in numbers]
    told = ", ".join(f"no. {item.id}" for item in items)
    shown = [{"number": item.id, "flow": item.flow, "taken_back": item.answer} for item in items]
    terminal.show(
        shown, lambda: [f"Taken back: {told}. Nothing of it was carried out; koppel asks shows the question again."]
    )
    return DONE


def _alone(typed: Sequence[str], *, others: bool) -> None:
    from koppel.model.problem import UsageError

    if others or not typed:
        raise UsageError(
            "--take-back goes with numbers and nothing else.", remedy="For instance: koppel decide 7 --take-back"
        )


def _none(typed: Sequence[str], value: str | None, everything: bool) -> None:
    from koppel.model.problem import UsageError

    if typed or value is not None or everything:
        raise UsageError(
            "With --csv the answers come from the table alone.",
            remedy="For instance: koppel decide --csv questions.csv",
        )


def _numbers(typed: Sequence[str]) -> list[int]:
    from koppel.model.problem import UsageError

    if not typed:
        raise UsageError("Say which question, and the answer.", remedy="For instance: koppel decide 7 1")
    wrong = next((word for word in typed if not word.isdigit()), None)
    if wrong is not None:
        raise UsageError(f"{wrong!r} is not the number of a question.", remedy="koppel asks lists them.")
    return list(dict.fromkeys(int(word) for word in typed))


def answer_of(item: Item | None, number: int, word: str, value: str | None) -> Any:
    """What a typed answer means for this question: a choice's number, its word, an id or the name of a record. Raises UsageError."""
    import msgspec

    from koppel.model.problem import UsageError

    if item is None:
        raise UsageError(f"No question is open under no. {number}.", remedy="koppel asks lists them.")
    if value is not None:
        try:
            return {"value": msgspec.json.decode(value)} if value[:1] in ("{", "[") else {"value": value}
        except msgspec.DecodeError as error:
            raise UsageError(f"The value is not JSON: {error}.") from None
    choices = item.body.get("choices", [])
    offered = [choice["answer"] for choice in choices]
    if word in offered and word != "id":
        return word
    if word.isdigit() and 1 <= int(word) <= len(choices) and offered[int(word) - 1] != "id":
        return offered[int(word) - 1]
    if "id" in offered and word != "id" and len(word) > 1:
        return word  # the id of the record that was made
    named = [choice["answer"] for choice in choices if word.lower() == str(choice.get("label", "")).lower()]
    if len(named) == 1:
        return named[0]
    raise UsageError(
        f"No. {number} has no choice {word!r}.",
        remedy=f"Type 1 to {len(choices)}, or one of: {', '.join(str(answer) for answer in dict.fromkeys(offered))}.",
    )
