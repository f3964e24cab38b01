"""What a full comparison found, as people and programs read it: a table, a page, JSON, CSV. Files are written as they are read, so
that the longest report needs no memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from koppel.cli.words import counted, field_name, shown, sided, when

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.app.findings import Findings
    from koppel.engine.reconcile import Read, Summary
    from koppel.mapping.flow import Flow
    from koppel.sync.compare import Finding

KIND_WORDS = {
    "only_left": "Only in {left}",
    "only_right": "Only in {right}",
    "unlinked": "In both, not linked",
    "differs": "Linked, but different",
    "duplicate": "The same number more than once",
    "orphan": "Links that are none",
}
VERDICT_WORDS = {
    "mend": "the next run does it",
    "person": "for a person",
    "wait": "on its way",
    "allowed": "allowed",
    "outside": "outside the flow",
}
STYLES = {"mend": "cyan", "person": "yellow", "wait": "blue", "allowed": "dim", "outside": "dim"}
COLUMNS = (
    "kind", "verdict", "left", "right", "label", "field", "left_value", "right_value", "rule", "why", "item", "records"
)  # fmt: skip
_FORMULA = ("=", "@", "\t", "\r")  # how a cell begins that a spreadsheet would run


def kind_words(kind: str, flow: Flow) -> str:
    """A kind of finding as a heading."""
    return KIND_WORDS[kind].format(left=flow.left.connection, right=flow.right.connection)


def sums(summary: Summary, flow: Flow) -> Iterator[str]:
    """The comparison in sentences: what was compared, how fresh it is, what was found."""
    yield _side(summary.left, flow.left.connection)
    yield _side(summary.right, flow.right.connection)
    yield f"{counted(summary.pairs, 'linked pair')}; {summary.same} of them the same in every field."
    for kind, by in summary.counts.items():
        told = ", ".join(f"{number} {VERDICT_WORDS[verdict]}" for verdict, number in by.items())
        yield f"{kind_words(kind, flow)}: {sum(by.values())} ({told})."


def _side(read: Read, name: str) -> str:
    if not read.listed:
        return f"{name}: {counted(read.records, 'record')} known; it cannot be listed, so they are as last looked up."
    whole = f"read whole {when(read.whole_at)}" if read.whole_at else "never read whole"
    return f"{name}: {counted(read.records, 'record')}; {whole}, last read {when(read.read_at) or 'never'}."


# --- on a terminal ----------------------------------------------------------------------------------------------------


def human(summary: Summary, findings: Findings, flow: Flow, *, most: int) -> Iterator[RenderableType]:
    """Tables, one per kind, each with its first lines."""
    from rich.text import Text

    from koppel.cli.render_plan import grid
    from koppel.sync.compare import KINDS

    for kind in KINDS:
        total = findings.count(kind)
        if not total:
            continue
        table = grid(title=f"{kind_words(kind, flow)}: {total}")
        table.add_column("record", ratio=5, overflow="fold")
        table.add_column("what, and why", ratio=9, overflow="fold")
        table.add_column("", ratio=3, overflow="fold")
        for finding in findings.of(kind, most=most):
            table.add_row(record(finding, flow), told(finding, flow), Text(verdict(finding), STYLES[finding.verdict]))
        yield table
        if total > most:
            yield Text(f"and {total - most} more; all of them: --out FILE.html, .csv or .json", "dim")
        yield ""
    yield from (Text(line) for line in sums(summary, flow))


def verdict(finding: Finding) -> str:
    """What comes of it, with the number of the question."""
    number = f" (no. {finding.item})" if finding.item else ""
    return f"{VERDICT_WORDS[finding.verdict]}{number}"


def record(finding: Finding, flow: Flow) -> str:
    """A record's name, and its ids."""
    refs = [
        f"{name} {native}"
        for name, native in ((flow.left.connection, finding.left), (flow.right.connection, finding.right))
        if native and native != finding.label
    ]
    return "\n".join([finding.label, *refs])


def told(finding: Finding, flow: Flow) -> str:
    """Both values, the rule and the reason."""
    left, right = flow.left.connection, flow.right.connection
    lines: list[str] = []
    if finding.kind == "differs":
        lines = [
            f"{field_name(finding.field)}: {left} {shown(finding.left_value)}",
            f"{right} {shown(finding.right_value)}",
        ]
        lines.append(sided(finding.rule, left, right))
    elif finding.field:
        value = finding.left_value if finding.left_value is not None else finding.right_value
        lines = [f"{field_name(finding.field)} {shown(value)}"]
    return "\n".join([*lines, sided(finding.why, left, right)])


# --- files --------------------------------------------------------------------------------------------------------------


def as_json(summary: Summary, findings: Iterable[Finding]) -> Iterator[str]:
    """One JSON object: the figures, then every finding."""
    import msgspec

    yield '{"summary": ' + msgspec.json.encode(summary).decode() + ',\n"findings": ['
    between = "\n"
    for finding in findings:
        yield between + msgspec.json.encode(finding).decode()
        between = ",\n"
    yield "\n]}\n"


def as_csv(findings: Iterable[Finding]) -> Iterator[str]:
    """One line per finding; what a spreadsheet would run as a formula is made text."""
    yield ",".join(COLUMNS) + "\r\n"
    for finding in findings:
        line = io.StringIO()
        csv.writer(line).writerow([_cell(getattr(finding, name)) for name in COLUMNS])
        yield line.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = shown(value) if isinstance(value, (dict, list, tuple)) and value else "" if value == () else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def as_page(summary: Summary, findings: Findings, flow: Flow) -> Iterator[str]:
    """A page for people who do not read terminals: complete in itself, every value escaped."""
    from koppel.cli.page import page_head, whole_page
    from koppel.sync.compare import KINDS, UNSETTLED

    open_ = sum(n for by in summary.counts.values() for verdict_, n in by.items() if verdict_ in UNSETTLED)
    lead = "Both sides agree on everything the flow keeps in step."
    if open_:
        lead = f"{counted(open_, 'thing')} on which the two sides do not agree."
    title = f"Reconciliation: {flow.title}"
    about = f"Flow {flow.id}, {flow.left} and {flow.right}; compared {when(summary.at)}"
    top, bottom = whole_page(title, [page_head(title, about, lead), "\0"]).split("\0")
    yield top
    yield f'<p class="sums">{"<br>".join(escape(line) for line in sums(summary, flow))}</p>'
    for kind in KINDS:
        if findings.count(kind):
            yield f'<section class="update"><h2>{escape(kind_words(kind, flow))} <span>{findings.count(kind)}</span></h2>'
            yield "<table><thead><tr><th>Record</th><th>What, and why</th><th>Then</th></tr></thead><tbody>"
            yield from (_row(finding, flow) for finding in findings.of(kind))
            yield "</tbody></table></section>"
    yield bottom


def _row(finding: Finding, flow: Flow) -> str:
    name, *refs = record(finding, flow).split("\n")
    where = "".join(f"<small>{escape(ref)}</small>" for ref in refs)
    lines = "".join(f'<div class="line">{escape(line)}</div>' for line in told(finding, flow).split("\n"))
    return f'<tr><th scope="row">{escape(name)}{where}</th><td>{lines}</td><td>{escape(verdict(finding))}</td></tr>\n'
