"""The [enrich] section: what third resources add to the left record.

[enrich]
vat = { from = "vies:numbers", by = "vat_candidate", gives = ["vat_number", "vat_state"], refresh = "30 days" }
"""

from __future__ import annotations

from typing import Any

from koppel.mapping.flow import Endpoint, Enrich
from koppel.mapping.paths import canonical_paths
from koppel.mapping.problems import did_you_mean
from koppel.mapping.schedule import read_duration
from koppel.mapping.sheet import Sheet, shown

KEYS = ("from", "by", "gives", "refresh")


def read_enrich(sheet: Sheet) -> tuple[Enrich, ...]:
    """Every line of the section; a wrong one is said and left out."""
    table = sheet.section(sheet.document, "enrich")
    found = [_line(sheet, name, sheet.section(table, "enrich", name)) for name in table]
    return tuple(line for line in found if line is not None)


def _line(sheet: Sheet, name: str, table: dict[str, Any]) -> Enrich | None:
    sheet.known_keys(table, KEYS, "enrich", name)
    source = sheet.text(table, "enrich", name, "from", required=True)
    by = _path(sheet, sheet.text(table, "enrich", name, "by", required=True), "enrich", name, "by")
    gives = _gives(sheet, table, name)
    refresh = sheet.parsed(table, read_duration, "enrich", name, "refresh")
    connection, _, resource = (source or "").partition(":")
    if source is not None and not (connection and resource):
        hint = 'write "connection:resource", such as "vies:numbers"'
        sheet.wrong(("enrich", name, "from"), f"{source!r} does not name a resource", hint)
        return None
    if source is None or by is None or not gives:
        return None
    usual = Enrich(name, Endpoint(connection, resource), by, gives)
    return Enrich(name, usual.source, by, gives, read_duration(refresh)) if refresh else usual


def _gives(sheet: Sheet, table: dict[str, Any], name: str) -> tuple[str, ...]:
    given = table.get("gives")
    if not isinstance(given, list) or not given:
        sheet.wrong(
            ("enrich", name, "gives"), f"'gives' must be a list of fields, not {shown(given)}", 'write ["vat_number"]'
        )
        return ()
    paths = [
        _path(sheet, path if isinstance(path, str) else None, "enrich", name, "gives", n)
        for n, path in enumerate(given)
    ]
    return tuple(path for path in paths if path is not None)


def _path(sheet: Sheet, path: str | None, *place: str | int) -> str | None:
    known = canonical_paths(sheet.entity) if sheet.entity else frozenset[str]()
    if path is None or path in known:
        return path
    sheet.wrong(place, f"a {sheet.entity} has no field {path!r}", did_you_mean(path, sorted(known)))
    return None
