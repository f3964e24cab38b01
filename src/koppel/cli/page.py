"""A plan or a run as one self-contained page for people who do not read terminals. Pure; every value is escaped.

No script and nothing from elsewhere: it can be mailed, archived and printed on A4, in light or dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from koppel.cli.render_plan import plan_sums, result_sums
from koppel.cli.rows import Line, Row, kinds_of, plan_rows, run_rows
from koppel.cli.words import BLANK, STEPS, when

if TYPE_CHECKING:
    from koppel.engine.flow import Result
    from koppel.engine.plan import Plan
    from koppel.mapping.flow import Flow
    from koppel.store.trail import Recorded


@dataclass(frozen=True)
class RunTold:
    """A run with what it wrote into the trail, and the flow it was of when that still stands."""

    result: Result
    entries: Sequence[Recorded]
    flow: Flow | None


DONE = {
    "create": "They were not there yet; nothing with their numbers was found.",
    "link": "They were there already. Linking wrote nothing; from now on they are kept right.",
    "update": "Only these fields were changed; everything else on the record stayed as it was.",
    "unlink": "The records stayed; they no longer follow each other.",
}
HEADINGS = {
    "create": ("New records", "They are not there yet; nothing with their numbers was found."),
    "link": ("Found and linked", "They are there already. Linking writes nothing; from then on they are kept right."),
    "update": (
        "Changes to existing records",
        "Only these fields change; everything else on the record stays as it is.",
    ),
    "archive": ("Archived records", "Gone on the other side; kept here, marked as no longer in use."),
    "unlink": ("Links that end", "The records stay; they no longer follow each other."),
    "ask": ("Questions for you", "Only a person can decide these. Nothing happens to them until somebody does."),
    "park": ("Could not be done", "Kept with their reason, and tried again when the cause may be gone."),
    "refuse": ("Left out", "Looked at, and left out for the reason given."),
}


def plan_page(plan: Plan, *, flow: Flow) -> str:
    """The page of a plan."""
    rows = plan_rows(plan, flow)
    lead = "This is what Koppel would do. Nothing has been written yet."
    if plan.guard is not None:
        lead = "This plan is held by a brake. Nothing is written until somebody lets it pass."
    body = [
        page_head(
            f"Plan: {flow.title}",
            f"Flow {plan.flow} in {plan.workspace or 'this workspace'}, from {flow.left} to {flow.right}; made {when(plan.made_at)}",
            lead,
        ),
        _tiles(plan.counts, unchanged=plan.unchanged, done=False),
    ]
    if plan.guard is not None:
        body.append(page_notice(f"{plan.guard.reason}. When that is right, it is let pass with: {plan.guard.allow}"))
    body.append(_sums(list(plan_sums(plan))[1:]))
    body += _sections(rows, done=False)
    if not rows:
        body.append("<p>There is nothing to do: both sides agree.</p>")
    return whole_page(f"Plan: {flow.title}", body)


def runs_page(told: Sequence[RunTold], *, workspace: str) -> str:
    """The page of one or more runs."""
    title = f"Run {told[0].result.run} of {told[0].result.plan.flow}" if len(told) == 1 else f"Runs of {workspace}"
    body: list[str] = []
    for one in told:
        result = one.result
        name = one.flow.title if one.flow else result.plan.flow
        ends = f", from {one.flow.left} to {one.flow.right}" if one.flow else ""
        lead = {"done": "The run is done.", "stopped": "The run stopped before its end.", "failed": "The run failed."}
        head = page_head(
            f"Run {result.run}: {name}",
            f"Flow {result.plan.flow} in {workspace}{ends}; {when(result.plan.made_at)}",
            lead.get(result.state, ""),
        )
        body += [head, _tiles(result.counts, unchanged=result.counts.get("unchanged", 0), done=True)]
        if result.state != "done" and result.message:
            body.append(page_notice(result.message))
        body.append(_sums([line for line in list(result_sums(result))[1:] if line != result.message]))
        for planned in result.moved:
            body.append(
                page_notice(f"Not done, it changed since the plan was made: {planned.step.kind} {planned.step.label}")
            )
        body += _sections(run_rows(result.plan, one.entries, one.flow), done=True)
    return whole_page(title, body)


# --- parts --------------------------------------------------------------------------------------------------------------


def page_head(title: str, about: str, lead: str) -> str:
    """The top of a page: its title, what it is about, and the one sentence to read."""
    return f'<header><h1>{escape(title)}</h1><p class="about">{escape(about)}</p><p class="lead">{escape(lead)}</p></header>'


def _tiles(counts: dict[str, int], *, unchanged: int, done: bool) -> str:
    named = [
        (kind, counts.get(kind, 0), word if done else f"to {kind}") for kind, word in STEPS.items() if counts.get(kind)
    ]
    if unchanged:
        named.append(("same", unchanged, "unchanged"))
    tiles = (f'<li class="{kind}"><b>{number}</b> {escape(word)}</li>' for kind, number, word in named)
    return f'<ul class="tiles">{"".join(tiles)}</ul>'


def _sums(lines: Sequence[str]) -> str:
    return f'<p class="sums">{"<br>".join(escape(line) for line in lines)}</p>' if lines else ""


def page_notice(text: str) -> str:
    """Something that must not be missed."""
    return f'<p class="notice">{escape(text)}</p>'


def _sections(rows: Sequence[Row], *, done: bool) -> Iterator[str]:
    for kind in kinds_of(rows):
        chosen = [row for row in rows if row.kind == kind]
        title, lead = HEADINGS[kind]
        lead = DONE.get(kind, lead) if done else lead
        price = "" if done or not any(row.calls for row in chosen) else '<th class="calls">Calls</th>'
        body = "".join(_row(row, price=bool(price)) for row in chosen)
        yield (
            f'<section class="{kind}"><h2>{escape(title)} <span>{len(chosen)}</span></h2><p>{escape(lead)}</p>'
            f"<table><thead><tr><th>Record</th><th>{'What, and why' if kind != 'update' else 'Change, and why'}</th>{price}</tr></thead>"
            f"<tbody>{body}</tbody></table></section>"
        )


def _row(row: Row, *, price: bool) -> str:
    where = "".join(f"<small>{escape(text)}</small>" for text in row.where)
    calls = f'<td class="calls">{row.calls or ""}</td>' if price else ""
    return f'<tr><th scope="row">{escape(row.label)}{where}</th><td>{"".join(_line(line) for line in row.lines)}</td>{calls}</tr>'


def _line(line: Line) -> str:
    reason = f'<span class="why">{escape(line.reason)}</span>' if line.reason else ""
    field = f"<dfn>{escape(line.field)}</dfn> " if line.field else ""
    if line.before is not None:
        before = f"<i>{escape(line.before)}</i>" if line.before == BLANK else f"<del>{escape(line.before)}</del>"
        said = f'{before} <span class="to">→</span> <ins>{escape(line.after)}</ins>'
    else:
        said = escape(line.after)
    return f'<div class="{"choice" if line.choice else "line"}">{field}{said} {reason}</div>'


def whole_page(title: str, body: Sequence[str]) -> str:
    """A page around its body, complete in itself."""
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<style>{STYLE}</style></head>\n<body><main>\n" + "\n".join(body) + "\n"
        "<footer>Made by Koppel. It holds data about companies and people: keep it as you keep your books.</footer>\n"
        "</main></body></html>\n"
    )


STYLE = """
:root{--ink:#1c2430;--soft:#5b6676;--line:#dde2e9;--paper:#fff;--back:#f4f6f9;--mark:#0b5cad;
--create:#1b7f3b;--link:#2563a8;--update:#0e7490;--archive:#7c3aed;--unlink:#7c3aed;--ask:#b45309;--park:#b91c1c;--refuse:#6b7280;--same:#6b7280}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b6;--line:#303a47;--paper:#171c23;--back:#0f1318;--mark:#7ab8f5;
--create:#5fce85;--link:#7ab8f5;--update:#5cc8dd;--archive:#b79cf7;--unlink:#b79cf7;--ask:#f0b35a;--park:#f08a8a;--refuse:#9aa6b6;--same:#9aa6b6}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:60rem;margin:2rem auto;padding:2.2rem 2.6rem;background:var(--paper);border:1px solid var(--line);border-radius:10px}
h1{margin:0;font-size:1.55rem;line-height:1.25;letter-spacing:-.01em}
.about{margin:.3rem 0 0;color:var(--soft);font-size:.9rem}
.lead{margin:1rem 0 0;font-size:1.05rem}
.tiles{display:flex;flex-wrap:wrap;gap:.6rem;margin:1.2rem 0;padding:0;list-style:none}
.tiles li{min-width:6.2rem;padding:.55rem .8rem;border:1px solid var(--line);border-top:3px solid var(--c,var(--same));border-radius:6px;color:var(--soft);font-size:.85rem}
.tiles b{display:block;color:var(--ink);font-size:1.35rem;line-height:1.2;font-variant-numeric:tabular-nums}
.create{--c:var(--create)}.link{--c:var(--link)}.update{--c:var(--update)}.archive,.unlink{--c:var(--archive)}.ask{--c:var(--ask)}.park{--c:var(--park)}.refuse,.same{--c:var(--refuse)}
.sums{color:var(--soft);font-size:.9rem}
.notice{padding:.7rem 1rem;border-left:4px solid var(--park);background:var(--back);border-radius:0 6px 6px 0}
section{margin-top:2rem}
h2{margin:0;padding-top:.2rem;font-size:1.1rem;color:var(--c)}
h2 span{display:inline-block;min-width:1.5em;padding:0 .45em;border:1px solid var(--line);border-radius:1em;color:var(--soft);font-size:.8rem;font-weight:500;text-align:center;vertical-align:.1em}
section>p{margin:.15rem 0 .6rem;color:var(--soft);font-size:.9rem}
table{width:100%;border-collapse:collapse;font-size:.92rem}
th,td{padding:.55rem .7rem .55rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;overflow-wrap:anywhere}
thead th{padding-bottom:.3rem;color:var(--soft);font-size:.78rem;font-weight:600;text-transform:uppercase;letter-spacing:.04em}
tbody th{width:34%;font-weight:600}
th small{display:block;color:var(--soft);font:.76rem/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.calls{width:4rem;padding-right:0;text-align:right;font-variant-numeric:tabular-nums}
dfn{color:var(--soft);font-style:normal}
dfn::after{content:":"}
i{color:var(--soft);font-style:normal}
del{color:var(--soft);text-decoration-thickness:1px}
ins{font-weight:600;text-decoration:none}
.to{color:var(--soft)}
.why{color:var(--soft);font-style:italic}
.choice{padding-left:1.1em}
.choice::before{content:"\\2022";display:inline-block;width:1.1em;margin-left:-1.1em;color:var(--c)}
footer{margin-top:2.4rem;padding-top:.8rem;border-top:1px solid var(--line);color:var(--soft);font-size:.8rem}
@media (max-width:40rem){main{margin:0;padding:1.2rem;border:0;border-radius:0}tbody th{width:40%}}
@page{size:A4;margin:16mm 14mm}
@media print{:root{--ink:#000;--soft:#444;--line:#bbb;--paper:#fff;--back:#fff}body{font-size:10.5pt}main{max-width:none;margin:0;padding:0;border:0}
tr,.tiles li{break-inside:avoid}h2,section>p,thead{break-after:avoid}thead{display:table-header-group}}
""".strip()
