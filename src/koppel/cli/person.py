"""What is held about a person, as they are given it: JSON for machines, Markdown and HTML to read. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import msgspec

from koppel.cli.words import Json, field_name, shown, when

if TYPE_CHECKING:
    from koppel.app.privacy import About

NOT_SEARCHED = (
    "The vendors' own accounts: ask the firm for what stands there.",
    "Backups of Koppel's database: they hold what it held when they were made.",
    "Files outside Koppel's folder: plans and pages that somebody kept elsewhere.",
)
_STATES = {"erased": "erased", "restricted": "restricted: only kept", "lifted": "lifted"}


class Section(msgspec.Struct, frozen=True):
    """A heading, a sentence, and rows of (name, text)."""

    heading: str
    lead: str
    rows: tuple[tuple[str, str], ...]


def as_json(about: About) -> str:
    """Everything, as one JSON value."""
    body = msgspec.to_builtins(about)
    for row in body["holdings"]["records"]:
        row["came_from"], row["kept"] = _came_from(row), _kept(about, row)
    body["not_searched"] = list(NOT_SEARCHED)
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode() + "\n"


def as_markdown(about: About) -> str:
    """A text to read or print."""
    lines = [f"# {_title(about)}", "", _lead(about)]
    for section in sections(about):
        lines += ["", f"## {section.heading}", ""]
        lines += [section.lead, ""] if section.lead else []
        lines += [f"- **{name}**: {_flat(text)}" if name else f"- {_flat(text)}" for name, text in section.rows]
    return "\n".join(lines) + "\n"


def as_html(about: About) -> str:
    """One page without script, to be mailed or printed. Every value is escaped."""
    body = [f"<h1>{escape(_title(about))}</h1>", f"<p>{escape(_lead(about))}</p>"]
    for section in sections(about):
        body.append(f"<h2>{escape(section.heading)}</h2>")
        body += [f"<p>{escape(section.lead)}</p>"] if section.lead else []
        body.append("<table>")
        body += [f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in section.rows]
        body.append("</table>")
    style = (
        "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;"
        "border-bottom:1px solid #ccc}th{width:14rem;font-weight:600}"
    )
    head = f"<meta charset=utf-8><title>{escape(_title(about))}</title><style>{style}</style>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(body)}</body></html>\n"


def sections(about: About) -> Iterator[Section]:
    """What there is to say, in the order people ask for it."""
    holdings = about.holdings
    for row in holdings.records:
        values = {**row["values"], **row["own"]}
        told = [("came from", _came_from(row)), ("last seen", when(row["seen_at"])), ("kept", _kept(about, row))]
        told += [(field_name(name), shown(value)) for name, value in values.items()]
        yield Section(f"Record {row['ref']}", "Gone there; last values." if row["gone"] else "", tuple(told))
    yield from _section("Links", "Records that belong together.", [(r["ref"], f"{r['role']}; {r['why']}; since {when(r['since'])}") for r in holdings.links])  # fmt: skip
    agreed = [
        (f"flow {r['flow']}", f"{r['left']} and {r['right']}: {shown({**r['as_left_shows'], **r['as_right_shows']})}")
        for r in holdings.agreed
    ]
    yield from _section("What the sides agreed on", "", agreed)
    entries = [(f"{e.seq}, {when(e.at)}", f"{e.kind} by {e.actor}: {_entry(e.data)}") for e in holdings.told.entries]
    years = about.retention.trail_years
    yield from _section("History", f"The trail; its payloads are kept for {years} whole years after the year they are of.", entries)  # fmt: skip
    yield from _section("Questions and hindrances", f"Deleted {about.retention.technical_days} days after they are closed.", [(f"no. {r['number']}, {r['list']}, {r['state']}", str(r["body"].get("text", r["code"]))) for r in holdings.work])  # fmt: skip
    waiting = [(f"flow {r['flow']}", f"{r['native']} is to be looked at: {r['why']}") for r in holdings.due]
    waiting += [(r["ref"], "a vendor said it changed") for r in holdings.hints]
    waiting += [(f"flow {r['flow']}", f"an operation ({r['kind']}) is under way") for r in holdings.doubts]
    yield from _section("Waiting", "", waiting)
    yield from _section("Notes of runs", "", [(f"run {r['run']}", str(r["message"])) for r in holdings.runs])
    papers = [(d.ref, f"{d.label}, {d.date}; must be kept until {when(d.keep_until)}") for d in holdings.documents]
    yield from _section("Documents that must be kept", "Administrations must be kept by law.", papers)
    yield from _section("Decided before", "", [(f"case {c.id}", f"{_STATES[c.state]}, {when(c.at)}") for c in about.cases])  # fmt: skip
    yield from _section("Files in Koppel's folder that name this person", "", [("", file) for file in about.files])
    yield Section("Not searched", "", tuple(("", text) for text in NOT_SEARCHED))


def _section(heading: str, lead: str, rows: Sequence[tuple[str, str]]) -> Iterator[Section]:
    if rows:
        yield Section(heading, lead, tuple(rows))


def _title(about: About) -> str:
    return f"What Koppel holds about {about.person.label}"


def _lead(about: About) -> str:
    return f"Asked for by {about.asked!r} on {when(about.at)}. Found: {', '.join(about.refs)}."


def _came_from(row: Mapping[str, Json]) -> str:
    system = row["system"] or "a connection that is not there any more"
    return f"{system}, by the connection {str(row['ref']).split(':', 1)[0]}"


def _kept(about: About, row: Mapping[str, Json]) -> str:
    kept = about.retention
    if any(case.state == "restricted" for case in about.cases):
        return f"until {when(about.holdings.keep_until)}, when the documents need not be kept any more"
    if any(link["ref"] == row["ref"] for link in about.holdings.links):
        return f"while it is linked; {kept.personal_months} months after it was unlinked or gone"
    if row["gone"]:
        return f"{kept.technical_days} days after it was last seen"
    return "while the connected system shows it"


def _entry(data: Mapping[str, Json] | None) -> str:
    if data is None:
        return "(the details were erased)"
    fields = data.get("fields") or {}
    changes = [
        f"{field_name(name)}: {shown(change.get('before'))} → {shown(change.get('after'))}"
        for name, change in fields.items()
        if isinstance(change, Mapping)
    ]
    parts = [str(data[name]) for name in ("left", "right") if data.get(name)]
    parts += [str(data["seen"])] if isinstance(data.get("seen"), str) else []  # else: the versions that were seen
    why = data.get("because") or (data.get("problem") or {}).get("text") or data.get("question") or ""
    return "; ".join(part for part in (", ".join(parts), *changes, str(why)) if part)


def _flat(text: str) -> str:
    """One line, in which nothing reads as markup."""
    flat = " ".join(text.split())
    for sign in ("\\", "`", "*", "_", "[", "<"):
        flat = flat.replace(sign, f"\\{sign}")
    return flat
