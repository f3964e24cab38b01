"""`koppel asks`: what only a person can decide, with both values and numbered choices; `koppel decide` answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from koppel.cli.decide import decide
from koppel.cli.terminal import DONE, FlowOption, Terminal, command

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from koppel.mapping.flow import Flow
    from koppel.store.work import Item

FieldOption = Annotated[str | None, typer.Option("--field", metavar="FIELD", help="Only about this field.")]
CodeOption = Annotated[
    str | None, typer.Option("--code", metavar="CODE", help="Only of this kind, for instance conflict.")
]


def register(app: typer.Typer) -> None:
    """Add the command with its subcommand, which also goes by a name of its own."""
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    group.callback()(asks)
    group.command("decide")(decide)
    app.add_typer(group, name="asks")
    app.command("decide")(decide)


@command
def asks(
    terminal: Terminal,
    flow: FlowOption = None,
    field: FieldOption = None,
    code: CodeOption = None,
    show: Annotated[int | None, typer.Option("--show", metavar="N", help="Everything about this question.")] = None,
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Write them as a table, to fill in the answers.")
    ] = None,
) -> int:
    """List the questions that wait for your decision.

    With --csv they are written as a table with a column for the answer; koppel decide --csv takes it back.

    Example: koppel asks
             koppel asks --show 7
             koppel asks --flow kvk-exact --csv questions.csv
    """
    if terminal.subcommand is not None:
        return DONE
    import msgspec

    from koppel.app.worklists import Which, question, questions

    with terminal.workspace() as ws:
        if flow is not None:
            ws.known_flow(flow)
        items = [question(ws, show)] if show is not None else questions(ws, Which(flow, field, code))
        flows = {name: loaded.flow for name, loaded in ws.flows.items()}
        now = ws.now()
    if csv is not None:
        return _table(terminal, items, csv)
    human = (lambda: _whole(items[0], flows, now)) if show is not None else (lambda: _human(items, flows, now))
    terminal.show(msgspec.to_builtins(items), human)
    return DONE


def _table(terminal: Terminal, items: Sequence[Item], file: str) -> int:
    from pathlib import Path

    from koppel.app.worklists import as_csv
    from koppel.cli.terminal import write_private
    from koppel.cli.words import counted, shown, when

    write_private(Path(file).expanduser(), as_csv(items, shown, when))
    told = f"{counted(len(items), 'question')} written to {file}. Fill in the last column, then: koppel decide --csv {file}"
    terminal.show({"file": file, "questions": len(items)}, lambda: [told])
    return DONE


def _human(items: Sequence[Item], flows: Mapping[str, Flow | None], now: float) -> Iterator[RenderableType]:
    from koppel.cli.render_plan import grid

    if not items:
        yield "Nothing waits for your decision."
        return
    table = grid()
    table.add_column("no.", justify="right", no_wrap=True)
    table.add_column("record", ratio=4, overflow="fold")
    table.add_column("question and choices", ratio=8, overflow="fold")
    for item in items:
        record = "\n".join(dict.fromkeys([str(item.body.get("label") or item.native), item.native, _age(item, now)]))
        table.add_row(str(item.id), record, _question(item, flows))
    yield table
    first = items[0].id
    yield f"Answer with the number of the question and of the choice: koppel decide {first} 1"
    if len(items) > 1:
        yield "Many at once: koppel decide --all --field FIELD ANSWER, or a table: koppel asks --csv FILE"


def _question(item: Item, flows: Mapping[str, Flow | None]) -> Text:
    from rich.text import Text

    from koppel.cli.rows import choice_words, names_of
    from koppel.cli.words import field_name, sided

    text, (left, right) = Text(), names_of(flows.get(item.flow))
    question = str(item.body.get("text", item.code))
    if item.field and item.field not in ("missing", "scope") and not item.field.startswith("undo "):
        question = question.removeprefix(f"{item.field}: ")
        text.append(f"{field_name(item.field)}: ", "bold")
    text.append(sided(question, left, right))
    for number, choice in enumerate(item.body.get("choices", []), start=1):
        text.append(f"\n{number} ", "bold")
        text.append(sided(choice_words(choice), left, right))
    return text


def _age(item: Item, now: float) -> str:
    from koppel.cli.words import age

    return f"open for {age(now - item.opened_at)}"


def _whole(item: Item, flows: Mapping[str, Flow | None], now: float) -> Iterator[RenderableType]:
    """Everything about one question: both values, the base, who changed what when."""
    from rich.text import Text

    from koppel.cli.render_plan import grid
    from koppel.cli.rows import names_of
    from koppel.cli.words import field_name, shown, when

    body = item.body
    left, right = names_of(flows.get(item.flow))
    yield Text(f"No. {item.id}: {body.get('label') or item.native}", "bold")
    about = field_name(item.field.rpartition(" ")[2]) if item.field else "which record it is"
    yield f"Flow {item.flow} ({body.get('title', '')}); about {about}; {item.code}; asked {when(item.opened_at)}"
    table = grid()
    table.add_column("", no_wrap=True)
    table.add_column("shows", ratio=5, overflow="fold")
    table.add_column("record, since", ratio=6, overflow="fold")
    values, base = body.get("values", {}), body.get("base", {})
    for side, name in (("left", left), ("right", right)):
        table.add_row(name, shown(values[side]) if side in values else "", _since(body, side))
    if base:
        spellings = list(dict.fromkeys([shown(base.get("left")), shown(base.get("right"))]))
        table.add_row("agreed", "\n".join(spellings), _agreed(body.get("agreed", {})))
    yield table
    yield _question(item, flows)
    if item.state == "answered":
        yield f"Answered {shown(item.answer)} by {item.closed_by} at {when(item.closed_at)}; the next run carries it out. Take it back: koppel decide {item.id} --take-back"
    elif item.state == "closed":
        yield f"Over since {when(item.closed_at)} ({item.closed_by})."
    else:
        yield f"{_age(item, now).capitalize()}. Answer: koppel decide {item.id} 1"


def _since(body: Mapping[str, Any], side: str) -> str:
    from koppel.cli.words import when

    changed = body.get("changed", {}).get(side, {})
    lines = [str(body.get("refs", {}).get(side, "") or "")]
    if changed.get("modified_at"):
        lines.append(f"changed there {when(changed['modified_at'])}")
    if changed.get("seen_at"):
        version = f", version {changed['version']}" if changed.get("version") else ""
        lines.append(f"seen {when(changed['seen_at'])}{version}")
    return "\n".join(line for line in lines if line)


def _agreed(agreed: Mapping[str, Any]) -> str:
    from koppel.cli.words import when

    if not agreed:
        return ""
    run = f", run {agreed['run']}" if agreed.get("run") else ""
    because = f"\n{agreed['because']}" if agreed.get("because") else ""
    return f"{when(agreed.get('at'))} by {agreed.get('by')}{run} (entry {agreed.get('entry')}){because}"
