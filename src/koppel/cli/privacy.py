"""`koppel privacy`: what is held about a person, erasing them, and how long things are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from koppel.cli.terminal import DONE, LEFT_OVER, Terminal, command, write_private

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.app.privacy import Erasing
    from koppel.store.suppression import Case

PersonArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PERSON", help="A name, e-mail address, phone or KVK number, or a ref: connection:resource:id."
    ),
]
PlanOption = Annotated[bool, typer.Option("--plan", help="Only say what would go and what would stay.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="What is held about a person: show, erase, keep no longer."
    )
    group.command("export")(export)
    group.command("erase")(erase)
    group.command("lift")(lift)
    group.command("list")(list_)
    group.command("sweep")(sweep)
    app.add_typer(group, name="privacy")


@command
def export(
    terminal: Terminal,
    person: PersonArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write it to a file: .json, .html or .md, by its ending."),
    ] = None,
) -> int:
    """Show everything that is held about a person.

    Records on every side, what was agreed, the trail, questions, where it came from and how long it is kept. Exit code 2
    when nobody or several people are meant.

    Example: koppel privacy export anna.smit@firm.example --out anna.html
             koppel privacy export crm:contacts:1042 --json
    """
    from koppel.app import privacy
    from koppel.cli.person import as_html, as_json, as_markdown
    from koppel.model.problem import UsageError

    writers = {".json": as_json, ".html": as_html, ".md": as_markdown}
    if out is not None and out.suffix not in writers:
        raise UsageError(f"{out} has no ending that says what to write.", remedy="Name a .json, .html or .md file.")
    with terminal.workspace() as ws:
        about = privacy.about(ws, " ".join(person))
    if out is not None:
        write_private(out, writers[out.suffix](about))
        terminal.show(
            {"file": str(out), "person": about.person.label}, lambda: [f"{about.person.label}: written to {out}."]
        )
        return DONE
    import msgspec

    terminal.show(msgspec.json.decode(as_json(about)) if terminal.json else None, lambda: [as_markdown(about)])
    return DONE


@command
def erase(
    terminal: Terminal,
    person: PersonArgument,
    plan: PlanOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
) -> int:
    """Erase a person, or keep them apart when documents must be kept.

    Their values go, the trail stays whole, and they do not come back with the next poll. When documents must be kept by law
    they are restricted instead: only kept, not shown or processed, and erased when the time is over. Vendors' own accounts,
    backups and files outside the store are yours. Exit code 1 when something of that is left for you.

    Example: koppel privacy erase crm:contacts:1042 --plan
             koppel privacy erase anna.smit@firm.example --yes
    """
    import msgspec

    from koppel.app import privacy
    from koppel.model.problem import UsageError

    text = " ".join(person)
    with terminal.workspace() as ws:
        planned = privacy.plan_erasing(ws, text)
        number: int | None = None
        if not plan:
            if not yes and not terminal.can_ask:
                raise UsageError("Nothing was erased: nobody confirmed it.", remedy="Look with --plan, then say --yes.")
            if not yes:
                for line in _told(planned, number):
                    terminal.note(line)
                if terminal.ask("Type yes to go on").lower() != "yes":
                    terminal.note("Nothing was erased.")
                    return DONE
            planned, number = privacy.erase(ws, text)
    value = {
        "person": planned.about.person.label if plan else None,
        "refs": list(planned.about.refs),
        "outcome": planned.outcome,
        "done": not plan,
        "case": number,
        "reason": planned.reason,
        "until": planned.until,
        "counts": planned.counts,
        "documents": msgspec.to_builtins(planned.about.holdings.documents),
        "files": list(planned.about.files),
    }
    terminal.show(value, lambda: _told(planned, number))
    return LEFT_OVER if planned.about.files and not plan else DONE


@command
def lift(
    terminal: Terminal,
    person: Annotated[
        list[str],
        typer.Argument(metavar="CASE", help="The case's number, a ref, a KVK or VAT number, or E-MAIL SURNAME."),
    ],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; it stands in the trail.")
    ] = "a customer again",
) -> int:
    """Let an erased or restricted person take part again.

    For instance when they become a customer again. What is listed is read from the start at the next run.

    Example: koppel privacy lift 3 --reason "ordered again"
    """
    import msgspec

    from koppel.app import privacy

    with terminal.workspace() as ws:
        lifted = privacy.lift(ws, " ".join(person), reason=reason)
    numbers = ", ".join(str(number) for number in lifted.cases)
    told = [f"Lifted: case {numbers}. Nobody is left out by it any more."]
    if lifted.streams:
        told.append(f"Read from the start at the next run: {', '.join(lifted.streams)}.")
    told.append("What is looked up by number is taken in again with: koppel add")
    terminal.show(msgspec.to_builtins(lifted), lambda: told)
    return DONE


@command
def list_(terminal: Terminal) -> int:
    """List who was erased or restricted, by number.

    Names are not kept: note the number when you erase somebody.

    Example: koppel privacy list
    """
    import msgspec

    from koppel.app import privacy

    with terminal.workspace() as ws:
        found = privacy.cases(ws)
    terminal.show(msgspec.to_builtins(found), lambda: _cases(found))
    return DONE


@command
def sweep(terminal: Terminal, plan: PlanOption = False) -> int:
    """Take away what need not be kept any more.

    By [retention] of koppel.toml. Runs do it by themselves, once a day.

    Example: koppel privacy sweep --plan
    """
    import msgspec

    from koppel.app import privacy

    with terminal.workspace() as ws:
        swept = privacy.sweep(ws, dry=plan)
    told = f"{'Would be taken' if plan else 'Taken'} away: {privacy.said(swept)}."
    terminal.show(msgspec.to_builtins(swept) | {"done": not plan}, lambda: [told])
    return DONE


def _told(planned: Erasing, number: int | None) -> Iterator[str]:
    from koppel.cli.words import counted, when

    about, done = planned.about, number is not None
    yield f"{about.person.label}: {counted(len(about.refs), 'record')}"
    for ref in about.refs:
        yield f"  {ref} ({about.person.why.get(ref, '')})"
    if not about.person.personal:
        yield "  Nothing says that these are a person's data: no contact, no sole trader. Look twice."
    if planned.outcome == "restrict":
        yield f"{'Restricted' if done else 'Cannot be erased, and would be restricted'} until {when(planned.until)}: {planned.reason}:"
        for document in about.holdings.documents[:20]:
            yield f"  {document.label}, {document.date} ({document.ref})"
        if len(about.holdings.documents) > 20:
            yield f"  and {len(about.holdings.documents) - 20} more"
        yield "Kept as it is: records, links, what was agreed, the trail. Nothing is done with it, and it is not shown."
        yield f"{'Gone' if done else 'Goes'}: {counted(planned.counts['work'], 'work item')}. Erased by itself when the time is over."
    else:
        names = {
            "records": ("record with its values and keys", "records with their values and keys"), "links": ("link", ""),
            "agreed": ("agreed pair", ""), "trail": ("entry of the trail made unreadable", "entries of the trail made unreadable"),
            "work": ("work item", ""), "due": ("waiting look", ""), "hints": ("hint", ""), "runs": ("note of a run", "notes of runs"),
            "notes": ("standing note", ""),
        }  # fmt: skip
        gone = [counted(planned.counts[key], one, many) for key, (one, many) in names.items() if planned.counts[key]]
        yield f"{'Gone' if done else 'Goes'}: {', '.join(gone) or 'nothing'}."
        yield "Stays: that something happened, when and by whom (without payload); keyed digests, so that they do not come back."
    if about.holdings.told.elsewhere:
        yield f"{counted(about.holdings.told.elsewhere, 'entry', 'entries')} of other records hold the same e-mail, phone or number as their own, and stay."
    yield "Yours to do: erase them in the vendors' own accounts; delete backups of the database, or their keys, taken until now."
    for file in about.files:
        yield f"Yours to do: {file} names them; delete it."
    if done:
        yield f"This is case {number}. Their name is not kept: note the number."


def _cases(found: Sequence[Case]) -> Iterator[RenderableType]:
    from koppel.cli.render_plan import grid
    from koppel.cli.words import when

    if not found:
        yield "Nobody was erased or restricted."
        return
    table = grid(lines=False)
    for heading in ("case", "state", "since", "until"):
        table.add_column(heading, no_wrap=True)
    table.add_column("why", ratio=5, overflow="fold")
    table.add_column("left out", justify="right", no_wrap=True)
    for case in found:
        seen = str(case.left_out) if case.left_out else ""
        table.add_row(str(case.id), case.state, when(case.at), when(case.until), case.reason, seen)
    yield table
