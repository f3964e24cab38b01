"""`koppel asks`: what only a person can decide, with numbered choices; `koppel asks decide` answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koppel.cli.parked import FlowOption
from koppel.cli.terminal import DONE, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.mapping.flow import Flow
    from koppel.store.work import Item


def register(app: typer.Typer) -> None:
    """Add the command with its subcommand."""
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    group.callback()(asks)
    group.command("decide")(decide)
    app.add_typer(group, name="asks")


@command
def asks(terminal: Terminal, flow: FlowOption = None) -> int:
    """List the questions that wait for your decision.

    Example: koppel asks
             koppel asks decide 7 1
    """
    if terminal.subcommand is not None:
        return DONE
    import msgspec

    with terminal.workspace() as ws:
        if flow is not None:
            ws.known_flow(flow)
        items = ws.asks(flow=flow)
        flows = {name: loaded.flow for name, loaded in ws.flows.items()}
    terminal.show(msgspec.to_builtins(items), lambda: _human(items, flows))
    return DONE


@command
def decide(
    terminal: Terminal,
    words: Annotated[
        list[str], typer.Argument(metavar="N... ANSWER", help="Numbers of questions, then the choice's number or word.")
    ],
    value: Annotated[
        str | None,
        typer.Option(
            "--value", metavar="TEXT", help="Neither side is right: this is (fields only; JSON for an address)."
        ),
    ] = None,
) -> int:
    """Answer one question, or several at once.

    The next run carries it out.

    Example: koppel asks decide 7 1
             koppel asks decide 7 8 9 leave
             koppel asks decide 7 --value "De Korenaar B.V."
    """
    *typed, last = words if value is None else [*words, ""]
    with terminal.workspace() as ws:
        numbers = _numbers(typed)
        items = {item.id: item for item in ws.asks()}
        answers = {number: answer_of(items.get(number), number, last, value) for number in numbers}
        for number, answer in answers.items():  # all are checked before the first is stored
            ws.check_answer(number, answer)
        decided = [ws.decide(number, answer) for number, answer in answers.items()]
    flows = sorted({item.flow for item in decided})
    following = f" Next: koppel sync {flows[0]}" if len(flows) == 1 else ""
    shown = [{"number": item.id, "flow": item.flow, "answer": answers[item.id]} for item in decided]
    told = ", ".join(f"no. {item.id}" for item in decided)
    terminal.show(shown, lambda: [f"Decided: {told}. The next run carries it out.{following}"])
    return DONE


def _numbers(typed: Sequence[str]) -> list[int]:
    from koppel.model.problem import UsageError

    if not typed:
        raise UsageError("Say which question, and the answer.", remedy="For instance: koppel asks decide 7 1")
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


def _human(items: Sequence[Item], flows: Mapping[str, Flow | None]) -> Iterator[RenderableType]:
    from rich.text import Text

    from koppel.cli.render_plan import grid
    from koppel.cli.rows import choice_words, names_of
    from koppel.cli.words import field_name, sided

    if not items:
        yield "Nothing waits for your decision."
        return
    table = grid()
    table.add_column("no.", justify="right", no_wrap=True)
    table.add_column("record", ratio=4, overflow="fold")
    table.add_column("question and choices", ratio=8, overflow="fold")
    for item in items:
        record = "\n".join(dict.fromkeys([str(item.body.get("label") or item.native), item.native]))
        text, (left, right) = Text(), names_of(flows.get(item.flow))
        if item.field and item.field not in ("missing", "scope"):
            text.append(f"{field_name(item.field)}: ", "bold")
        text.append(sided(str(item.body.get("text", item.code)), left, right))
        for number, choice in enumerate(item.body.get("choices", []), start=1):
            text.append(f"\n{number} ", "bold")
            text.append(sided(choice_words(choice), left, right))
        table.add_row(str(item.id), record, text)
    yield table
    first = items[0].id
    yield f"Answer with the number of the question and of the choice: koppel asks decide {first} 1"
