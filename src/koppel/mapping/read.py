"""Reading a flow file: text in, a compiled `Flow` and what is wrong with the text out. No I/O, never a traceback.

Everything that can be judged from the file alone is judged here: shape, words, numbers, and rules that contradict
themselves. Whether the two sides really have the fields is for `koppel.mapping.check`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from functools import cached_property
from typing import Any, get_args

import msgspec

from koppel.mapping import schedule
from koppel.mapping.digest import digest_of
from koppel.mapping.flow import (
    FORMAT,
    Brakes,
    Condition,
    Endpoint,
    FieldRule,
    Flow,
    Match,
    Missing,
    Owner,
    RunRules,
    Scope,
    SharedKey,
    SideName,
    other,
)
from koppel.mapping.paths import EVIDENCE, MATCH_KEYS, NEVER_WRITTEN, overlap, roots
from koppel.mapping.positions import Place, Positions, locate
from koppel.mapping.problems import FlowProblem, Severity, did_you_mean, has_errors
from koppel.mapping.transforms import TRANSFORMS, Transform, resolve
from koppel.model.values import Json, Money
from koppel.model.versions import ENTITIES

UNSET = msgspec.UNSET

TOP = ("koppel", "id", "title", "entity", "left", "right", "start", "scope", "match", "create", "fields", "tables")
TOP_KEYS = (*TOP, "missing", "run")
SCOPE_KEYS = ("take", "left", "right")
TESTS = ("is", "is_not", "in", "not_in", "filled")
MATCH_SECTION_KEYS = ("keys", "propose", "shared_key")
RULE_KEYS = ("owner", "from", "const", "table", "transform", "when", "empty", "default", "drift")
RUN_KEYS = ("schedule", "window", "reconcile", "refresh", "brakes")
BRAKE_KEYS = ("creates", "deletes", "share", "money")
TAKES = ("intake", "intake+right", "all")
WHENS = ("always", "create", "update")
EMPTIES = ("keep", "clear")
DRIFTS = ("restore", "leave")
SIDES: tuple[SideName, SideName] = ("left", "right")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_AT = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")
_LARGEST = 2**63


def read_flow(
    text: str, *, file: str, transforms: Mapping[str, Transform] = TRANSFORMS
) -> tuple[Flow | None, tuple[FlowProblem, ...]]:
    """Read a flow file. The flow is None when a problem is an error; warnings come with a flow. Never raises."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        return None, (_syntax(text, error, file=file),)
    reader = _Reader(document, locate(text, file=file), transforms)
    flow = reader.flow()
    problems = tuple(sorted(reader.problems, key=lambda problem: (problem.line, problem.column)))
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


class _Reader:
    """Reads one parsed document and collects what is wrong with it; every method answers with a usable value."""

    def __init__(self, document: dict[str, Any], positions: Positions, transforms: Mapping[str, Transform]) -> None:
        self.document = document
        self.positions = positions
        self.transforms = transforms
        self.problems: list[FlowProblem] = []

    # --- saying what is wrong -----------------------------------------------------------------------------------

    def say(self, place: Place, code: str, message: str, suggestion: str = "", *, severity: Severity = "error") -> None:
        file = self.positions.file
        self.problems.append(FlowProblem(file, place.line, place.column, code, message, suggestion, severity))

    def known_keys(self, table: dict[str, Any], known: tuple[str, ...], *path: str | int) -> None:
        for key in table:
            if key not in known:
                where = f"[{'.'.join(str(part) for part in path)}]" if path else "a flow file"
                place = self.positions.key(*path, key)
                self.say(place, "unknown-key", f"{where} has no key {key!r}", did_you_mean(key, known))

    def wrong(self, path: tuple[str | int, ...], message: str, suggestion: str = "") -> None:
        self.say(self.positions.value(*path), "wrong-value", message, suggestion)

    # --- values of a kind ---------------------------------------------------------------------------------------

    def text(self, table: dict[str, Any], *path: str | int, required: bool = False) -> str | None:
        key = path[-1]
        if key not in table:
            if required:
                self.say(
                    self.positions.key(*path[:-1]), "missing-key", f"the key {key!r} is missing", f'write {key} = "…"'
                )
            return None
        value = table[str(key)]
        if isinstance(value, str) and value.strip():
            return value
        self.wrong(path, f"{key!r} must be a text between quotes, not {_shown(value)}")
        return None

    def choice(self, table: dict[str, Any], options: tuple[str, ...], default: str, *path: str | int) -> Any:
        key = str(path[-1])
        if key not in table:
            return default
        value = table[key]
        if isinstance(value, str) and value in options:
            return value
        self.wrong(path, f"{key!r} cannot be {_shown(value)}", did_you_mean(value, options))
        return default

    def switch(self, table: dict[str, Any], *path: str | int, default: bool = False) -> bool:
        key = str(path[-1])
        value = table.get(key, default)
        if isinstance(value, bool):
            return value
        self.wrong(path, f"{key!r} must be true or false, not {_shown(value)}")
        return default

    def section(self, table: dict[str, Any], *path: str | int) -> dict[str, Any]:
        value = table.get(str(path[-1]), {})
        if isinstance(value, dict):
            return value
        self.wrong(path, f"{path[-1]!r} must be a table, not {_shown(value)}", f"write [{path[-1]}]")
        return {}

    def plain(self, value: Any, *path: str | int) -> Json:
        """A constant: text, number, switch, date (as text) or a list of those. UNSET when it is something else."""
        if isinstance(value, (datetime, date, time)):
            return value.isoformat()
        if isinstance(value, list):
            items = [self.plain(item, *path, index) for index, item in enumerate(value)]
            return UNSET if any(item is UNSET or isinstance(item, list) for item in items) else items
        if isinstance(value, int) and abs(value) >= _LARGEST:
            self.wrong(path, "this number is too large")
            return UNSET
        if isinstance(value, float) and (value != value or abs(value) == float("inf")):  # noqa: PLR0124 - nan alone differs from itself
            self.wrong(path, "this is not a number that can be written")
            return UNSET
        if isinstance(value, (str, bool, int, float)):
            return value
        self.wrong(path, f"{path[-1]!r} must be one plain value, not {_shown(value)}")
        return UNSET

    def parsed(self, table: dict[str, Any], read: Callable[[str], object], *path: str | int) -> str | None:
        """A text that `read` understands; what it raises is said."""
        text = self.text(table, *path)
        if text is None:
            return None
        try:
            read(text)
        except ValueError as error:
            self.wrong(path, str(error))
            return None
        return text

    # --- the file -----------------------------------------------------------------------------------------------

    @cached_property
    def entity(self) -> str | None:
        name = self.text(self.document, "entity", required=True)
        if name is None or name in ENTITIES:
            return name
        self.wrong(("entity",), f"there is no entity {name!r}", did_you_mean(name, ENTITIES))
        return None

    def flow(self) -> Flow | None:
        document = self.document
        self.known_keys(document, TOP_KEYS)
        self._format()
        identity = self._id()
        title = self.text(document, "title", required=True)
        left, right = self._endpoint("left"), self._endpoint("right")
        if left and left == right:
            self.wrong(("right",), "left and right are the same resource", "a flow joins two different resources")
        create, missing = self.section(document, "create"), self.section(document, "missing")
        self.known_keys(create, SIDES, "create")
        self.known_keys(missing, SIDES, "missing")
        rest = {
            "start": self._start(),
            "scope": self._scope(),
            "match": self._match(),
            "create_left": self.switch(create, "create", "left"),
            "create_right": self.switch(create, "create", "right"),
            "missing_left": self.choice(missing, get_args(Missing), "ask", "missing", "left"),
            "missing_right": self.choice(missing, get_args(Missing), "ask", "missing", "right"),
            "run": self._run(),
            "tables": self._tables(),
            "fields": self._fields(),
        }
        if not (identity and title and self.entity and left and right):
            return None
        return Flow(id=identity, title=title, entity=self.entity, left=left, right=right, **rest)

    def _format(self) -> None:
        number = self.document.get("koppel")
        if number is None:
            self.say(self.positions.key(), "missing-key", "the key 'koppel' is missing", f"write koppel = {FORMAT}")
        elif number is True or number != FORMAT:
            hint = "upgrade Koppel" if isinstance(number, int) and number > FORMAT else f"write koppel = {FORMAT}"
            self.wrong(("koppel",), f"this Koppel reads flow files of format {FORMAT}, not {_shown(number)}", hint)

    def _id(self) -> str | None:
        identity = self.text(self.document, "id", required=True)
        if identity is None or _ID.fullmatch(identity):
            return identity
        hint = "letters, digits, '-', '_' and '.', at most 64, no spaces"
        self.wrong(("id",), f"{identity!r} cannot be the id of a flow", hint)
        return None

    def _endpoint(self, side: SideName) -> Endpoint | None:
        text = self.text(self.document, side, required=True)
        if text is None:
            return None
        connection, _, resource = text.partition(":")
        if _NAME.fullmatch(connection) and _NAME.fullmatch(resource):
            return Endpoint(connection, resource)
        self.wrong(
            (side,), f"{text!r} does not name a resource", 'write "connection:resource", such as "books-nl:accounts"'
        )
        return None

    def _start(self) -> str | None:
        value = self.document.get("start")
        if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
            return value.isoformat() if value else None
        try:
            return date.fromisoformat(value).isoformat()
        except (TypeError, ValueError):
            self.wrong(("start",), f"'start' must be a day, not {_shown(value)}", "write start = 2026-11-01")
            return None

    # --- scope --------------------------------------------------------------------------------------------------

    def _scope(self) -> Scope:
        table = self.section(self.document, "scope")
        self.known_keys(table, SCOPE_KEYS, "scope")
        take = self.choice(table, TAKES, "all", "scope", "take")
        return Scope(take, self._conditions(table, "scope", "left"), self._conditions(table, "scope", "right"))

    def _conditions(self, table: dict[str, Any], *path: str | int) -> tuple[Condition, ...]:
        found = table.get(str(path[-1]), [])
        if not isinstance(found, list):
            hint = 'write [{ field = "is_active", is = true }]'
            self.wrong(path, f"{path[-1]!r} must be a list of conditions, not {_shown(found)}", hint)
            return ()
        conditions = [self._condition(item, *path, index) for index, item in enumerate(found)]
        return tuple(condition for condition in conditions if condition is not None)

    def _condition(self, item: Any, *path: str | int) -> Condition | None:
        if not isinstance(item, dict):
            self.wrong(
                path, f"a condition must be a table, not {_shown(item)}", 'write { field = "is_active", is = true }'
            )
            return None
        self.known_keys(item, ("field", "any", *TESTS), *path)
        if "any" in item:
            if len(item) > 1:
                self.wrong(
                    path, "'any' stands alone in its condition", "put the other tests in a condition of their own"
                )
            inner = self._conditions(item, *path, "any")
            if item["any"] == []:
                self.wrong(path, "'any' has no alternatives and would never be met")
            return Condition(any=inner) if inner else None
        field = self.text(item, *path, "field", required=True)
        tests = [test for test in TESTS if test in item]
        if len(tests) != 1:
            said = "has no test" if not tests else f"has {len(tests)} tests"
            self.wrong(path, f"this condition {said}; it needs exactly one", f"one of: {', '.join(TESTS)}")
            return None
        value = self._test_value(item, tests[0], *path, tests[0])
        return None if field is None or value is UNSET else _condition(field, tests[0], value)

    def _test_value(self, item: dict[str, Any], test: str, *path: str | int) -> Json:
        if test == "filled":
            return self.switch(item, *path, default=True)
        value = self.plain(item[test], *path)
        if test in {"in", "not_in"}:
            if isinstance(value, list) and value:
                return tuple(value)
            if value is not UNSET:
                self.wrong(path, f"{test!r} wants a list with at least one value", f'write {test} = ["…"]')
            return UNSET
        if isinstance(value, list):
            self.wrong(
                path, f"{test!r} wants one value, not a list", f"write {'in' if test == 'is' else 'not_in'} = […]"
            )
            return UNSET
        return value

    # --- match, run ---------------------------------------------------------------------------------------------

    def _match(self) -> Match:
        table = self.section(self.document, "match")
        self.known_keys(table, MATCH_SECTION_KEYS, "match")
        shared = self.choice(table, get_args(SharedKey), "facts", "match", "shared_key")
        return Match(self._names(table, "match", "keys"), self._evidence(table), shared)

    def _names(self, table: dict[str, Any], *path: str | int) -> tuple[str, ...]:
        found = table.get(str(path[-1]), [])
        if not isinstance(found, list):
            self.wrong(path, f"{path[-1]!r} must be a list of texts, not {_shown(found)}", f'write {path[-1]} = ["…"]')
            return ()
        names: list[str] = []
        for index, name in enumerate(found):
            if not isinstance(name, str):
                self.wrong((*path, index), f"{path[-1]!r} holds texts, not {_shown(name)}")
            elif name in names:
                self.wrong((*path, index), f"{name!r} stands here twice")
            else:
                names.append(name)
        return tuple(names)

    def _evidence(self, table: dict[str, Any]) -> tuple[str, ...]:
        found = self._names(table, "match", "propose")
        for name in found:
            for part in name.split("+"):
                if part not in EVIDENCE:
                    place = self.positions.value("match", "propose", table["propose"].index(name))
                    self.say(place, "wrong-value", f"nothing can be proposed on {part!r}", did_you_mean(part, EVIDENCE))
        return found

    def _run(self) -> RunRules:
        table = self.section(self.document, "run")
        self.known_keys(table, RUN_KEYS, "run")
        refresh = self.parsed(table, schedule.read_duration, "run", "refresh")
        return RunRules(
            schedule=self.parsed(table, schedule.read_schedule, "run", "schedule"),
            window=self.parsed(table, schedule.read_window, "run", "window"),
            reconcile=self.parsed(table, schedule.read_reconcile, "run", "reconcile"),
            refresh=schedule.read_duration(refresh) if refresh else None,
            brakes=self._brakes(table),
        )

    def _brakes(self, run: dict[str, Any]) -> Brakes:
        table = self.section(run, "run", "brakes")
        self.known_keys(table, BRAKE_KEYS, "run", "brakes")
        usual = Brakes()
        return Brakes(
            creates=self._count(table, usual.creates, "run", "brakes", "creates"),
            deletes=self._count(table, usual.deletes, "run", "brakes", "deletes"),
            share=self._share(table, usual.share, "run", "brakes", "share"),
            money=self._money(table, "run", "brakes", "money"),
        )

    def _count(self, table: dict[str, Any], default: int | None, *path: str | int) -> int | None:
        value = table.get(str(path[-1]), default)
        if value is None or value is False:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST:
            return value
        self.wrong(path, f"{path[-1]!r} must be a whole number, not {_shown(value)}", "or false for no brake")
        return default

    def _share(self, table: dict[str, Any], default: float | None, *path: str | int) -> float | None:
        value = table.get(str(path[-1]), default)
        if value is None or value is False:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
        self.wrong(
            path, f"{path[-1]!r} must lie between 0 and 1, not {_shown(value)}", "0.2 is a fifth; false is no brake"
        )
        return default

    def _money(self, table: dict[str, Any], *path: str | int) -> Money | None:
        if table.get(str(path[-1])) is False:
            return None
        text = self.parsed(table, Money.parse, *path)
        money = Money.parse(text) if text else None
        if money and not (money.amount.is_finite() and money.amount >= 0):
            self.wrong(path, f"{text!r} cannot be a brake; it must be an amount of zero or more")
            return None
        return money

    # --- tables, fields -----------------------------------------------------------------------------------------

    def _tables(self) -> dict[str, dict[str, Json]]:
        tables: dict[str, dict[str, Json]] = {}
        for name in self.section(self.document, "tables"):
            lines = self.section(self.document["tables"], "tables", name)
            plain = {code: self.plain(value, "tables", name, code) for code, value in lines.items()}
            tables[name] = {code: value for code, value in plain.items() if value is not UNSET}
        return tables

    def _fields(self) -> tuple[FieldRule, ...]:
        rules: list[FieldRule] = []
        table = self.section(self.document, "fields")
        for name, item in table.items():
            rules += self._rules(name, item, "fields", name)
        if not table:
            self.say(
                self.positions.key("fields"),
                "missing-key",
                "the flow lists no fields, so it would do nothing",
                "add [fields]",
            )
        for index, rule in enumerate(rules):
            for earlier in rules[:index]:
                if rule.side == earlier.side and overlap(rule.path, earlier.path) and rule.path != earlier.path:
                    place = Place(rule.line, 1)
                    self.say(place, "overlap", f"{rule.key!r} and {earlier.key!r} are one field", "keep one of the two")
        self._unused_tables(rules)
        return tuple(rules)

    def _unused_tables(self, rules: list[FieldRule]) -> None:
        used = {rule.table for rule in rules}
        for name in self.section(self.document, "tables"):
            if name not in used:
                self.say(
                    self.positions.key("tables", name),
                    "unused-table",
                    f"no field uses the table {name!r}",
                    severity="warning",
                )

    def _rules(self, name: str, item: Any, *path: str) -> list[FieldRule]:
        """The rules of one entry; `address.city = {…}` written without quotes arrives as tables in tables."""
        if not isinstance(item, dict):
            hint = f'write {{ owner = "{item}" }}' if item in get_args(Owner) else 'write { owner = "left" }'
            self.wrong(path, f"the rule of {name!r} must be a table, not {_shown(item)}", hint)
            return []
        nested = {key: part for key, part in item.items() if isinstance(part, dict) and key not in RULE_KEYS}
        own = {key: part for key, part in item.items() if key not in nested}
        rules = [rule for key, part in nested.items() for rule in self._rules(f"{name}.{key}", part, *path, key)]
        if own or not nested:
            rule = self._rule(name, own, *path)
            rules += [rule] if rule else []
        return rules

    def _rule(self, name: str, item: dict[str, Any], *path: str) -> FieldRule | None:
        self.known_keys(item, RULE_KEYS, *path)
        place = self.positions.key(*path)
        side, field = self._sided(name, place)
        if field is None:
            return None
        derived = [key for key in ("from", "const", "table", "transform") if key in item]
        owner = self._owner(item, side, place, *path)
        rule = FieldRule(
            path=field,
            side=side,
            owner=owner,
            source=self._source(item, other(side) if side else owner, *path, "from"),
            const=self.plain(item["const"], *path, "const") if "const" in item else UNSET,
            table=self._table_name(item, *path, "table"),
            transform=self._transform(item, *path, "transform"),
            when=self.choice(item, WHENS, "always", *path, "when"),
            empty=self.choice(item, EMPTIES, "keep", *path, "empty"),
            default=self.plain(item["default"], *path, "default") if "default" in item else UNSET,
            drift=self.choice(item, DRIFTS, "restore", *path, "drift"),
            line=place.line,
        )
        self._contradictions(rule, item, derived, place)
        return rule

    def _sided(self, name: str, place: Place) -> tuple[SideName | None, str | None]:
        prefix, colon, field = name.partition(":")
        if not colon:
            return None, name
        if prefix not in SIDES or not field:
            hint = did_you_mean(prefix, SIDES) if prefix not in SIDES else f'write "{prefix}:Remarks"'
            self.say(place, "wrong-field", f"{name!r} does not name a field of one side", hint)
            return None, None
        return ("left" if prefix == "left" else "right"), field

    def _owner(self, item: dict[str, Any], side: SideName | None, place: Place, *path: str) -> Any:
        if side:
            # A field of one side is filled from the other: whose value stands is no question.
            owner = self.choice(item, get_args(Owner), other(side), *path, "owner")
            if owner != other(side):
                hint = f"leave owner out; the value comes from the {other(side)}"
                self.wrong((*path, "owner"), f"a field of the {side} alone cannot be owned by {owner!r}", hint)
            return other(side)
        if "owner" not in item:
            hint = f"one of: {', '.join(get_args(Owner))}"
            self.say(
                place,
                "missing-key",
                f"the rule of {path[-1]!r} does not say whose value stands: 'owner' is missing",
                hint,
            )
        return self.choice(item, get_args(Owner), "left", *path, "owner")

    def _source(self, item: dict[str, Any], from_side: str, *path: str) -> str | None:
        source = self.text(item, *path)
        if source is None:
            return None
        prefix, colon, field = source.partition(":")
        if not colon:
            return source
        if prefix == from_side and field:
            return field
        self.wrong(path, f"{source!r} does not name a field of the {from_side}", f'write "{field or source}"')
        return None

    def _table_name(self, item: dict[str, Any], *path: str) -> str | None:
        name = self.text(item, *path)
        tables = self.document.get("tables")
        known = list(tables) if isinstance(tables, dict) else []
        if name is not None and name not in known:
            hint = did_you_mean(name, known) or f"add [tables.{name}]"
            self.wrong(path, f"there is no table {name!r} in this file", hint)
            return None
        return name

    def _transform(self, item: dict[str, Any], *path: str) -> str | None:
        return self.parsed(item, lambda text: resolve(text, self.transforms), *path)

    def _contradictions(self, rule: FieldRule, item: dict[str, Any], derived: list[str], place: Place) -> None:
        def clash(message: str, hint: str = "") -> None:
            self.say(place, "contradiction", f"{rule.key!r}: {message}", hint)

        whole = rule.transform is not None and self.transforms[rule.transform.partition(":")[0]].takes == "record"
        if rule.side and not {"from", "const"} & set(derived) and not whole:
            clash("a field of one side needs a value to be filled with", 'add from = "…" or const = …')
        if "const" in derived and len(derived) > 1:
            clash(
                f"a constant is what it is; {_and(derived[1:] if derived[0] == 'const' else derived)} has no say",
                "keep one",
            )
        if whole and ({"from", "table"} & set(derived)):
            clash(f"the transform {rule.transform!r} reads the whole record", "leave out 'from' and 'table'")
        if derived and not rule.from_side:
            clash(
                f"{_and(derived)} gives a value in one direction, so somebody must own it", 'owner = "left" or "right"'
            )
        if "default" in item and "empty" in item and rule.empty == "clear":
            clash("an empty value cannot be cleared and replaced by a default at once", "keep 'empty' or 'default'")
        if "default" in item and not rule.from_side:
            clash("'default' stands for the owner's empty value, so one side must own it", 'owner = "left" or "right"')
        if "default" in item and "const" in item:
            clash("a constant is never empty", "leave out 'default'")
        if "drift" in item and rule.drift == "leave" and not rule.from_side:
            clash("'drift' is about edits against the owner; here nobody owns", "leave out 'drift'")
        self._never_written(rule, place)

    def _never_written(self, rule: FieldRule, place: Place) -> None:
        root = (rule.source or rule.path).split(".", 1)[0]
        if self.entity and root in roots(self.entity) and root in NEVER_WRITTEN:
            self.say(
                place, "never-written", f"{root!r} is never written: {NEVER_WRITTEN[root]}", "use it in [match] only"
            )


def _condition(field: str, test: str, value: Json) -> Condition:
    names = {"is": "is_", "in": "in_"}
    return Condition(field=field, **{names.get(test, test): value})


def _shown(value: object) -> str:
    """A value of the file in a sentence, cut to what helps."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _and(words: list[str]) -> str:
    return " and ".join(repr(word) for word in words)


def match_kinds(entity: str) -> tuple[str, ...]:
    """The kinds of strong key an entity has, strongest first."""
    return tuple(MATCH_KEYS.get(entity, {}))
