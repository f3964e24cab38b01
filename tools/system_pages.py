"""Writes docs/systems/<name>.md for each system of our own: what the code says it can do, its facts, and its help text.

    python tools/system_pages.py            # write the pages
    python tools/system_pages.py --check    # say which are out of date; exit 1 when any is

Nothing on those pages is written by hand: figures come from `Can`, budgets and prices, doubts from facts.toml, words from help.md.
"""

# ruff: noqa: INP001, T201 - a script
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from koppel.model.anything import Kind
from koppel.model.can import Can, Field
from koppel.model.values import Json
from koppel.systems import registry
from koppel.systems.spi import Budget, Resource, System

PAGES = ("afas", "exact", "kvk", "kvkbase", "vies")
FOLDER = Path(__file__).parent.parent / "docs" / "systems"
_NEVER_SKIPS = {
    "row_version": "what changed, by the vendor's own row version: nothing can be skipped",
    "clock_with_margin": "what changed, by its modified stamp less a margin, so that what was saved late is not missed",
    "signal_time": "hints at what changed, read with an overlap; the records themselves are then looked up",
    "unlisted": "cannot be listed: records are looked up by key, and again when they are hinted at or old enough",
}
_PROBE = {
    "operation_id": "looked up by the operation id that Koppel left in it",
    "natural_key": "looked up by its id, or by KVK or VAT number when it is new",
    "none": "cannot be looked up",
}
_WRITABLE = {"always": "yes", "create": "when made", "update": "when changed", "never": "no"}
_WINDOWS = {"second": "second", "minute": "clock minute", "hour": "clock hour", "day": "day", "month": "month"}


def page(name: str) -> str:
    """The page of a system. Raises SetupError for one that is not installed."""
    system, facts = registry.load(name), registry.facts(name)
    title, intro, sections = _parts(registry.help_text(name))
    note = f"<!-- Made by tools/system_pages.py from koppel.systems.{name}: change it there. -->"
    mine = [
        f"# {title}",
        note,
        intro,
        _glance(system),
        *map(_fields, _with_fields(system)),
        _by_name(system),
        _prices(system),
    ]
    return "\n\n".join(filter(None, (*mine, *sections, _doubts(facts)))) + "\n"


def _parts(text: str) -> tuple[str, str, list[str]]:
    """A help text's title, first paragraphs and sections."""
    head, *rest = text.strip().split("\n## ")
    title, _, intro = head.partition("\n")
    return title.removeprefix("# ").strip(), intro.strip(), [f"## {section.strip()}" for section in rest]


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


# --- what it can do -----------------------------------------------------------------------------------------------


def _glance(system: System) -> str:
    rows = (row for resource in system.resources for row in _facts_of(resource))
    limits = "\n".join(f"- {_limit(budget)}" for budget in system.budgets)
    kept = f"\n\nAllowances that Koppel keeps, one account for all flows and workers:\n\n{limits}" if limits else ""
    return f"## What it reads and writes\n\n{_table(('resource', 'what', 'how'), rows)}{kept}"


def _facts_of(resource: Resource) -> Iterator[tuple[str, str, str]]:
    can, name = resource.can, f"`{resource.name}`"
    yield name, "reading", _reading(resource)
    if can.find:
        keys = ", ".join("its id" if kind == "native" else kind for kind in can.find)
        yield name, "looking up", f"by {keys}{f'; up to {can.find_batch} in one go' if can.find_batch > 1 else ''}"
    yield name, "writing", _writing(can)
    if can.create or can.update:
        yield name, "a lost reply", f"{_PROBE[can.probe]}, not before {can.settles_after:g} seconds have passed"
    if can.gap:
        yield name, "gap", can.gap


def _reading(resource: Resource) -> str:
    can = resource.can
    if not can.list:
        followed = (
            f"; changes are hinted at by `{resource.signals}`, where the account has it" if resource.signals else ""
        )
        return _NEVER_SKIPS["unlisted"] + followed
    deleted = f"; deletions from `{resource.tombstones}`" if resource.tombstones else ""
    if not resource.entity:
        return f"deletions, {can.page:,} a page"
    delta = _NEVER_SKIPS[can.never_skips] if can.since else "all of it, every time"
    return f"{delta}; {can.page:,} a page{deleted}"


def _writing(can: Can) -> str:
    kinds = [
        word for allowed, word in ((can.create, "create"), (can.update, "update"), (can.archive, "archive")) if allowed
    ]
    if not kinds:
        return "never"
    each = "one record a call" if can.batch == 1 else f"up to {can.batch} records a call"
    stale = "a precondition travels with it" if can.conditional else "no precondition can travel with it"
    return (
        f"{', '.join(kinds)}; {each}; {stale}; never deleted"
        if not can.delete
        else f"{', '.join(kinds)}; {each}; {stale}"
    )


def _limit(budget: Budget) -> str:
    what = "refusals" if budget.counts == "errors" else "calls"
    kept = f", {budget.reserve:,} of them kept for people who wait" if budget.reserve else ""
    zone = f" ({budget.zone})" if budget.window in {"day", "month"} else ""
    return f"`{budget.name}`: {budget.limit:,} {what} a {_WINDOWS[budget.window]}{zone}{kept}"


# --- fields -------------------------------------------------------------------------------------------------------


def _with_fields(system: System) -> list[Resource]:
    return [resource for resource in system.resources if resource.can.fields]


def _fields(resource: Resource) -> str:
    rows = (
        (
            f"`{field.path}`",
            ", ".join(f"`{name}`" for name in field.vendor),
            field.kind,
            "yes" if field.readable else "no",
            _WRITABLE[field.writable] if resource.can.create or resource.can.update else "no",
            _remarks(field),
        )
        for field in resource.can.fields
    )
    return f"## Fields of `{resource.name}`\n\n{_table(('field', 'there', 'kind', 'read', 'written', 'remarks'), rows)}"


def _remarks(field: Field) -> str:
    said = (
        "Required." if field.required else "",
        f"At most {field.max_length} characters." if field.max_length else "",
        field.lossy or "",
        field.note or "",
    )
    return " ".join(filter(None, said))


# --- price and doubt ----------------------------------------------------------------------------------------------


def _by_name(system: System) -> str:
    """What can be read and written by the vendor's own names, counted by service."""
    if system.anything is None:
        return ""
    services: dict[str, list[Kind]] = {}
    for kind in system.anything.kinds(None):
        services.setdefault(kind.name.rpartition("/")[0], []).append(kind)
    rows = (
        (f"`{service}`", str(len(kinds)), *(str(sum(word in kind.does for kind in kinds) or "") for word in _DOING))
        for service, kinds in sorted(services.items(), key=lambda pair: pair[0].lower())
    )
    every = [kind for kinds in services.values() for kind in kinds]
    counts = {word: sum(word in kind.does for kind in every) for word in _DOING}
    untold = sum(not kind.does for kind in every)
    told = (
        f"Of the {len(every)} resources in the vendor's reference {counts['read']} can be read by name; records of "
        f"{counts['create']} can be made, of {counts['update']} changed, of {counts['delete']} deleted. Of {untold} no listing "
        "tells what they take: reading is tried. `koppel read CONN --list` names them all, `koppel read CONN RESOURCE "
        "--describe` says what one holds; `koppel write` shows what it would send first."
    )
    return f"## Everything else, by name\n\n{told}\n\n{_table(('service', 'resources', *_DOING.values()), rows)}"


_DOING = {"read": "read", "create": "made", "update": "changed", "delete": "deleted"}


def _prices(system: System) -> str:
    prices = {p.call: p for resource in system.resources for p in resource.can.prices}
    if not prices:
        return "## What a call costs\n\nNothing that Koppel knows of beyond the vendor's subscription."
    rows = (
        (p.call, f"{p.tokens} token{'s'[: p.tokens != 1]}" if p.tokens else f"€ {p.euros}", p.source)
        for p in prices.values()
    )
    return f"## What a call costs\n\n{_table(('call', 'price', 'source'), rows)}"


def _doubts(facts: Mapping[str, Json]) -> str:
    """What nobody has seen with their own eyes yet, as facts.toml marks it."""
    found = [f"- `{name}`: {_told(fact)}" for name, fact in _unverified(facts)]
    if not found:
        return ""
    opening = "Taken from the sources named; nobody of us has seen it at the vendor. Tell us when you have."
    return f"## Unverified\n\n{opening}\n\n" + "\n".join(found)


def _unverified(facts: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Json]]]:
    for name, fact in facts.items():
        if isinstance(fact, dict):
            if fact.get("verified") is False:
                yield f"{prefix}{name}", fact
            yield from _unverified(fact, f"{prefix}{name}.")


def _told(fact: Mapping[str, Json]) -> str:
    values = [
        f"{name} = {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in fact.items()
        if name not in {"verified", "source"} and not isinstance(value, dict)
    ]
    return f"{'; '.join(values)}. Source: {fact.get('source', 'none')}."


# --- the command --------------------------------------------------------------------------------------------------


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is out of date")
    checking = parser.parse_args().check
    old = 0
    for name in PAGES:
        file, text = FOLDER / f"{name}.md", page(name)
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        old += 1
        if checking:
            print(f"{file.name} is out of date: python tools/system_pages.py")
        else:
            file.write_text(text, encoding="utf-8")
            print(f"{file.name} written")
    return 1 if checking and old else 0


if __name__ == "__main__":
    sys.exit(main())
