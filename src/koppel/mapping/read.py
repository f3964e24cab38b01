"""Reading a flow file: text in, a compiled `Flow` and what is wrong with the text out. No I/O, never a traceback.

Everything that can be judged from the file alone is judged here: shape, words, numbers, and rules that contradict
themselves. Whether the two sides really have the fields is for `koppel.mapping.check`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, get_args

import msgspec

from koppel.mapping import schedule
from koppel.mapping.digest import digest_of
from koppel.mapping.flow import (
    FORMAT,
    Brakes,
    Endpoint,
    Exists,
    Flow,
    Match,
    Missing,
    RunRules,
    Scope,
    SharedKey,
    SideName,
)
from koppel.mapping.paths import EVIDENCE, MATCH_KEYS
from koppel.mapping.positions import BOM, locate
from koppel.mapping.problems import FlowProblem, did_you_mean, has_errors
from koppel.mapping.read_conditions import read_conditions
from koppel.mapping.read_enrich import read_enrich
from koppel.mapping.read_group import read_group
from koppel.mapping.read_rules import SIDES, read_fields, read_tables
from koppel.mapping.sheet import LARGEST, Sheet, shown
from koppel.mapping.transforms import TRANSFORMS, Transform
from koppel.model.values import Money
from koppel.model.versions import ENTITIES

UNSET = msgspec.UNSET
TOP_KEYS = (
    "koppel",
    "id",
    "title",
    "entity",
    "left",
    "right",
    "start",
    "scope",
    "match",
    "create",
    "fields",
    "tables",
    "missing",
    "run",
    "enrich",
    "group",
)
CREATE_KEYS = ("left", "right", "exists")
SCOPE_KEYS = ("take", "left", "right")
TAKES = ("intake", "intake+right", "all")
MATCH_SECTION_KEYS = ("keys", "propose", "shared_key")
RUN_KEYS = ("schedule", "window", "reconcile", "refresh", "brakes")
BRAKE_KEYS = ("creates", "deletes", "share", "money", "first")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_AT = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_flow(
    text: str, *, file: str, transforms: Mapping[str, Transform] = TRANSFORMS
) -> tuple[Flow | None, tuple[FlowProblem, ...]]:
    """Read a flow file. The flow is None when a problem is an error; warnings come with a flow. Never raises."""
    try:
        document = tomllib.loads(text.removeprefix(BOM))
    except (ValueError, RecursionError) as error:
        return None, (_syntax(text, error, file=file),)
    sheet = Sheet(document, locate(text, file=file), transforms)
    flow = _flow(sheet)
    problems = tuple(sorted(sheet.problems, key=lambda problem: (problem.line, problem.column)))
    if flow is None or has_errors(problems):
        return None, problems
    return msgspec.structs.replace(flow, digest=digest_of(flow)), problems


def _syntax(text: str, error: Exception, *, file: str) -> FlowProblem:
    """What TOML itself refuses, in our form."""
    if isinstance(error, RecursionError):
        return FlowProblem(file, 1, 1, "toml", "brackets are nested too deeply to be read")
    said = str(error)
    match = _AT.search(said)
    line, column = (int(match[1]), int(match[2])) if match and match[1] else (max(1, len(text.splitlines())), 1)
    if not isinstance(error, tomllib.TOMLDecodeError):
        line, column = 1, 1
    message = f"this is not TOML: {_AT.sub('', said)}"
    hint = "a text stands between quotes; a key stands once" if "Cannot overwrite" in said or "Invalid" in said else ""
    return FlowProblem(file, line, column, "toml", message, hint)


def _entity(sheet: Sheet) -> str | None:
    name = sheet.text(sheet.document, "entity", required=True)
    if name is None or name in ENTITIES:
        return name
    sheet.wrong(("entity",), f"there is no entity {name!r}", did_you_mean(name, ENTITIES))
    return None


def _flow(sheet: Sheet) -> Flow | None:
    document = sheet.document
    sheet.known_keys(document, TOP_KEYS)
    _format(sheet)
    identity = _id(sheet)
    title = sheet.text(document, "title", required=True)
    left, right = _endpoint(sheet, "left"), _endpoint(sheet, "right")
    if left and left == right:
        sheet.wrong(("right",), "left and right are the same resource", "a flow joins two different resources")
    create, missing = sheet.section(document, "create"), sheet.section(document, "missing")
    sheet.known_keys(create, CREATE_KEYS, "create")
    sheet.known_keys(missing, SIDES, "missing")
    entity, start, scope, match, run = _entity(sheet), _start(sheet), _scope(sheet), _match(sheet), _run(sheet)
    tables, fields = read_tables(sheet), read_fields(sheet)
    create_left, create_right = (sheet.switch(create, "create", side) for side in SIDES)
    exists = sheet.choice(create, get_args(Exists), "link", "create", "exists")
    if exists == "skip" and not (create_left or create_right):
        hint = "leave it out, or let a side be created"
        sheet.wrong(("create", "exists"), "what exists can only be skipped by a flow that creates", hint)
    missing_left, missing_right = (sheet.choice(missing, get_args(Missing), "ask", "missing", side) for side in SIDES)
    if not (identity and title and entity and left and right):
        return None
    flow = Flow(
        id=identity,
        title=title,
        entity=entity,
        left=left,
        right=right,
        fields=fields,
        start=start,
        scope=scope,
        match=match,
        create_left=create_left,
        create_right=create_right,
        exists=exists,
        missing_left=missing_left,
        missing_right=missing_right,
        run=run,
        tables=tables,
        enrich=read_enrich(sheet),
    )
    return read_group(sheet, flow)


def _format(sheet: Sheet) -> None:
    number = sheet.document.get("koppel")
    if number is None:
        sheet.say(sheet.positions.key(), "missing-key", "the key 'koppel' is missing", f"write koppel = {FORMAT}")
    elif number is True or number != FORMAT:
        hint = "upgrade Koppel" if isinstance(number, int) and number > FORMAT else f"write koppel = {FORMAT}"
        sheet.wrong(("koppel",), f"this Koppel reads flow files of format {FORMAT}, not {shown(number)}", hint)


def _id(sheet: Sheet) -> str | None:
    identity = sheet.text(sheet.document, "id", required=True)
    if identity is None or _ID.fullmatch(identity):
        return identity
    hint = "letters, digits, '-', '_' and '.', at most 64, no spaces"
    sheet.wrong(("id",), f"{identity!r} cannot be the id of a flow", hint)
    return None


def _endpoint(sheet: Sheet, side: SideName) -> Endpoint | None:
    text = sheet.text(sheet.document, side, required=True)
    if text is None:
        return None
    connection, _, resource = text.partition(":")
    if _NAME.fullmatch(connection) and _NAME.fullmatch(resource):
        return Endpoint(connection, resource)
    sheet.wrong(
        (side,), f"{text!r} does not name a resource", 'write "connection:resource", such as "books-nl:accounts"'
    )
    return None


def _start(sheet: Sheet) -> str | None:
    value = sheet.document.get("start")
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        sheet.wrong(("start",), f"'start' must be a day, not {shown(value)}", "write start = 2026-11-01")
        return None


def _scope(sheet: Sheet) -> Scope:
    table = sheet.section(sheet.document, "scope")
    sheet.known_keys(table, SCOPE_KEYS, "scope")
    take = sheet.choice(table, TAKES, "all", "scope", "take")
    return Scope(take, read_conditions(sheet, table, "scope", "left"), read_conditions(sheet, table, "scope", "right"))


# --- match, run ---------------------------------------------------------------------------------------------


def _match(sheet: Sheet) -> Match:
    table = sheet.section(sheet.document, "match")
    sheet.known_keys(table, MATCH_SECTION_KEYS, "match")
    shared = sheet.choice(table, get_args(SharedKey), "facts", "match", "shared_key")
    return Match(_keys(sheet, table), _evidence(sheet, table), shared)


def _keys(sheet: Sheet, table: dict[str, Any]) -> tuple[str, ...]:
    """A key that is none would match nothing, and everything would be created a second time."""
    found = _names(sheet, table, "match", "keys")
    known = MATCH_KEYS[sheet.entity] if sheet.entity else ()
    for name in found:
        if known and name not in known:
            place = sheet.positions.value("match", "keys", table["keys"].index(name))
            message = f"{name!r} is not a strong key of a {sheet.entity}"
            sheet.say(place, "unknown-key-kind", message, did_you_mean(name, known))
    return found


def _names(sheet: Sheet, table: dict[str, Any], *path: str | int) -> tuple[str, ...]:
    found = table.get(str(path[-1]), [])
    if not isinstance(found, list):
        sheet.wrong(path, f"{path[-1]!r} must be a list of texts, not {shown(found)}", f'write {path[-1]} = ["…"]')
        return ()
    names: list[str] = []
    for index, name in enumerate(found):
        if not isinstance(name, str):
            sheet.wrong((*path, index), f"{path[-1]!r} holds texts, not {shown(name)}")
        elif name in names:
            sheet.wrong((*path, index), f"{name!r} stands here twice")
        else:
            names.append(name)
    return tuple(names)


def _evidence(sheet: Sheet, table: dict[str, Any]) -> tuple[str, ...]:
    found = _names(sheet, table, "match", "propose")
    for name in found:
        for part in name.split("+"):
            if part not in EVIDENCE:
                place = sheet.positions.value("match", "propose", table["propose"].index(name))
                sheet.say(place, "wrong-value", f"nothing can be proposed on {part!r}", did_you_mean(part, EVIDENCE))
    return found


def _run(sheet: Sheet) -> RunRules:
    table = sheet.section(sheet.document, "run")
    sheet.known_keys(table, RUN_KEYS, "run")
    refresh = sheet.parsed(table, schedule.read_duration, "run", "refresh")
    return RunRules(
        schedule=sheet.parsed(table, schedule.read_schedule, "run", "schedule"),
        window=sheet.parsed(table, schedule.read_window, "run", "window"),
        reconcile=sheet.parsed(table, schedule.read_reconcile, "run", "reconcile"),
        refresh=schedule.read_duration(refresh) if refresh else None,
        brakes=_brakes(sheet, table),
    )


def _brakes(sheet: Sheet, run: dict[str, Any]) -> Brakes:
    table = sheet.section(run, "run", "brakes")
    sheet.known_keys(table, BRAKE_KEYS, "run", "brakes")
    usual = Brakes()
    return Brakes(
        creates=_count(sheet, table, usual.creates, "run", "brakes", "creates"),
        deletes=_count(sheet, table, usual.deletes, "run", "brakes", "deletes"),
        share=_share(sheet, table, usual.share, "run", "brakes", "share"),
        money=_money(sheet, table, "run", "brakes", "money"),
        first=sheet.switch(table, "run", "brakes", "first", default=True),
    )


def _count(sheet: Sheet, table: dict[str, Any], default: int | None, *path: str | int) -> int | None:
    value = table.get(str(path[-1]), default)
    if value is None or value is False:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST:
        return value
    sheet.wrong(path, f"{path[-1]!r} must be a whole number, not {shown(value)}", "or false for no brake")
    return default


def _share(sheet: Sheet, table: dict[str, Any], default: float | None, *path: str | int) -> float | None:
    value = table.get(str(path[-1]), default)
    if value is None or value is False:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    sheet.wrong(path, f"{path[-1]!r} must lie between 0 and 1, not {shown(value)}", "0.2 is a fifth; false is no brake")
    return default


def _money(sheet: Sheet, table: dict[str, Any], *path: str | int) -> Money | None:
    if table.get(str(path[-1])) is False:
        return None
    text = sheet.parsed(table, Money.parse, *path)
    money = Money.parse(text) if text else None
    if money and not (money.amount.is_finite() and money.amount >= 0):
        sheet.wrong(path, f"{text!r} cannot be a brake; it must be an amount of zero or more")
        return None
    return money
