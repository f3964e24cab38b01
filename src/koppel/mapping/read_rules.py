"""Reading the rules of a flow file: its fields and the tables they translate with."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from koppel.mapping.flow import FieldRule, Owner, SideName, other
from koppel.mapping.paths import NEVER_WRITTEN, canonical_paths, overlap, roots
from koppel.mapping.positions import Place
from koppel.mapping.problems import did_you_mean
from koppel.mapping.read_conditions import read_conditions
from koppel.mapping.sheet import Sheet, shown
from koppel.mapping.transforms import resolve
from koppel.model.values import Json

UNSET = msgspec.UNSET
SIDES: tuple[SideName, SideName] = ("left", "right")
RULE_KEYS = (
    "owner",
    "from",
    "const",
    "table",
    "transform",
    "when",
    "empty",
    "default",
    "default_by",
    "drift",
    "where",
    "forward",
)
WHENS = ("always", "create", "update")
EMPTIES = ("keep", "clear")
DRIFTS = ("restore", "leave")


def read_tables(sheet: Sheet) -> dict[str, dict[str, Json]]:
    """The tables by name: code on the one side, value on the other."""
    tables: dict[str, dict[str, Json]] = {}
    for name in sheet.section(sheet.document, "tables"):
        lines = sheet.section(sheet.document["tables"], "tables", name)
        plain = {code: sheet.plain(value, "tables", name, code) for code, value in lines.items()}
        tables[name] = {code: value for code, value in plain.items() if value is not UNSET}
    return tables


def read_fields(sheet: Sheet) -> tuple[FieldRule, ...]:
    """The rules of [fields], in the order of the file."""
    rules: list[FieldRule] = []
    table = sheet.section(sheet.document, "fields")
    for name, item in table.items():
        rules += _rules(sheet, name, item, "fields", name)
    if not table:
        sheet.say(
            sheet.positions.key("fields"),
            "missing-key",
            "the flow lists no fields, so it would do nothing",
            "add [fields]",
        )
    for index, rule in enumerate(rules):
        for earlier in rules[:index]:
            if rule.side == earlier.side and overlap(rule.path, earlier.path) and rule.path != earlier.path:
                place = Place(rule.line, 1)
                sheet.say(place, "overlap", f"{rule.key!r} and {earlier.key!r} are one field", "keep one of the two")
    _unused_tables(sheet, rules)
    return tuple(rules)


def _unused_tables(sheet: Sheet, rules: list[FieldRule]) -> None:
    group = sheet.document.get("group")
    used = {each.table for rule in rules for each in rule.alternatives}
    used |= {name for name in group.values() if isinstance(name, str)} if isinstance(group, dict) else set()
    for name in sheet.section(sheet.document, "tables"):
        if name not in used:
            sheet.say(
                sheet.positions.key("tables", name),
                "unused-table",
                f"no field uses the table {name!r}",
                severity="warning",
            )


def _rules(sheet: Sheet, name: str, item: Any, *path: str) -> list[FieldRule]:
    """The rules of one entry; `address.city = {…}` written without quotes arrives as tables in tables."""
    if isinstance(item, list) and item and all(isinstance(part, dict) for part in item):
        rule = _alternatives(sheet, name, item, *path)
        return [rule] if rule else []
    if not isinstance(item, dict):
        hint = f'write {{ owner = "{item}" }}' if item in get_args(Owner) else 'write { owner = "left" }'
        sheet.wrong(path, f"the rule of {name!r} must be a table, not {shown(item)}", hint)
        return []
    nested = {key: part for key, part in item.items() if isinstance(part, dict) and key not in RULE_KEYS}
    own = {key: part for key, part in item.items() if key not in nested}
    rules = [rule for key, part in nested.items() for rule in _rules(sheet, f"{name}.{key}", part, *path, key)]
    if own or not nested:
        rule = _rule(sheet, name, own, *path)
        rules += [rule] if rule else []
    return rules


def _alternatives(sheet: Sheet, name: str, items: list[dict[str, Any]], *path: str) -> FieldRule | None:
    """Several rules for one field, of which the first that holds for a record counts."""
    found = [_rule(sheet, name, item, *path, index) for index, item in enumerate(items)]
    rules = [msgspec.structs.replace(rule, number=index) for index, rule in enumerate(found) if rule is not None]
    if not rules:
        return None
    first = rules[0]
    for rule in rules[1:]:
        for word in ("owner", "when", "empty", "drift", "forward"):
            if getattr(rule, word) != getattr(first, word):
                message = f"{first.key!r}: the rules for one field differ in {word!r}"
                sheet.say(sheet.positions.value(*path, rule.number or 0, word), "contradiction", message, "keep one")
    return msgspec.structs.replace(first, otherwise=tuple(rules[1:]))


def _rule(sheet: Sheet, name: str, item: dict[str, Any], *path: str | int) -> FieldRule | None:
    sheet.known_keys(item, RULE_KEYS, *path)
    place = sheet.positions.value(*path) if isinstance(path[-1], int) else sheet.positions.key(*path)
    side, field = _sided(sheet, name, place)
    if field is None:
        return None
    derived = [key for key in ("from", "const", "table", "transform") if key in item]
    if side is None:
        _canonical(sheet, field, place)
    owner, defaults = _owner(sheet, item, side, place, *path), _defaults(sheet, item, *path, "default")
    rule = FieldRule(
        path=field,
        side=side,
        owner=owner,
        source=_source(sheet, item, other(side) if side else owner, *path, "from"),
        const=sheet.plain(item["const"], *path, "const") if "const" in item else UNSET,
        table=_table_name(sheet, item, *path, "table"),
        transform=_transform(sheet, item, *path, "transform"),
        when=sheet.choice(item, WHENS, "always", *path, "when"),
        empty=sheet.choice(item, EMPTIES, "keep", *path, "empty"),
        default=UNSET if defaults or "default" not in item else sheet.plain(item["default"], *path, "default"),
        defaults=defaults,
        default_by=sheet.text(item, *path, "default_by"),
        drift=sheet.choice(item, DRIFTS, "restore", *path, "drift"),
        where=read_conditions(sheet, item, *path, "where"),
        forward=_forward(sheet, item, *path, "forward"),
        line=place.line,
    )
    _contradictions(sheet, rule, item, derived, place)
    return rule


def _sided(sheet: Sheet, name: str, place: Place) -> tuple[SideName | None, str | None]:
    prefix, colon, field = name.partition(":")
    if not colon:
        return None, name
    if prefix not in SIDES or not field:
        hint = did_you_mean(prefix, SIDES) if prefix not in SIDES else f'write "{prefix}:Remarks"'
        sheet.say(place, "wrong-field", f"{name!r} does not name a field of one side", hint)
        return None, None
    return ("left" if prefix == "left" else "right"), field


def _canonical(sheet: Sheet, path: str, place: Place) -> None:
    """A field of both sides is one of ours; only a field of one side may be a vendor's own."""
    if sheet.entity is None or path in canonical_paths(sheet.entity):
        return
    hint = did_you_mean(path, canonical_paths(sheet.entity))
    hint = hint or f'a vendor\'s own field is written with its side: "right:{path}"'
    sheet.say(place, "unknown-field", f"a {sheet.entity} has no field {path!r}", hint)


def _owner(sheet: Sheet, item: dict[str, Any], side: SideName | None, place: Place, *path: str | int) -> Any:
    if side:
        # A field of one side is filled from the other: whose value stands is no question.
        owner = sheet.choice(item, get_args(Owner), other(side), *path, "owner")
        if owner != other(side):
            hint = f"leave owner out; the value comes from the {other(side)}"
            sheet.wrong((*path, "owner"), f"a field of the {side} alone cannot be owned by {owner!r}", hint)
        return other(side)
    if "owner" not in item:
        hint = f"one of: {', '.join(get_args(Owner))}"
        sheet.say(
            place,
            "missing-key",
            f"the rule of {_last_name(path)!r} does not say whose value stands: 'owner' is missing",
            hint,
        )
    return sheet.choice(item, get_args(Owner), "left", *path, "owner")


def _defaults(sheet: Sheet, item: dict[str, Any], *path: str | int) -> dict[str, Json]:
    """A default for each value of another field, such as a VAT meaning per country."""
    found = item.get("default")
    if not isinstance(found, dict):
        if "default_by" in item:
            hint = 'write default = { NL = "…", "*" = "…" }'
            sheet.wrong((*path[:-1], "default_by"), "'default_by' needs a default for each value of that field", hint)
        return {}
    if "default_by" not in item:
        sheet.wrong(path, "a default per value needs the field it goes by", 'add default_by = "address.country"')
    plain = {code: sheet.plain(value, *path, code) for code, value in found.items()}
    return {code: value for code, value in plain.items() if value is not UNSET}


def _forward(sheet: Sheet, item: dict[str, Any], *path: str | int) -> tuple[str, ...]:
    found = item.get("forward", [])
    hint = 'write forward = ["open", "part_paid", "paid"]'
    if not isinstance(found, list) or not all(isinstance(value, str) and value for value in found):
        sheet.wrong(path, f"'forward' must be a list of texts, not {shown(found)}", hint)
        return ()
    if "forward" in item and len(dict.fromkeys(found)) < max(2, len(found)):
        sheet.wrong(path, "'forward' needs at least two values, each once", hint)
        return ()
    return tuple(found)


def _source(sheet: Sheet, item: dict[str, Any], from_side: str, *path: str | int) -> str | None:
    source = sheet.text(item, *path)
    if source is None:
        return None
    prefix, colon, field = source.partition(":")
    if not colon:
        return source
    if prefix == from_side and field:
        return field
    sheet.wrong(path, f"{source!r} does not name a field of the {from_side}", f'write "{field or source}"')
    return None


def _table_name(sheet: Sheet, item: dict[str, Any], *path: str | int) -> str | None:
    name = sheet.text(item, *path)
    tables = sheet.document.get("tables")
    known = list(tables) if isinstance(tables, dict) else []
    if name is not None and name not in known:
        hint = did_you_mean(name, known) or f"add [tables.{name}]"
        sheet.wrong(path, f"there is no table {name!r} in this file", hint)
        return None
    return name


def _transform(sheet: Sheet, item: dict[str, Any], *path: str | int) -> str | None:
    return sheet.parsed(item, lambda text: resolve(text, sheet.transforms), *path)


def _contradictions(sheet: Sheet, rule: FieldRule, item: dict[str, Any], derived: list[str], place: Place) -> None:
    def clash(message: str, hint: str = "") -> None:
        sheet.say(place, "contradiction", f"{rule.key!r}: {message}", hint)

    whole = rule.transform is not None and sheet.transforms[rule.transform.partition(":")[0]].takes == "record"
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
        clash(f"{_and(derived)} gives a value in one direction, so somebody must own it", 'owner = "left" or "right"')
    if "default" in item and "empty" in item and rule.empty == "clear":
        clash("an empty value cannot be cleared and replaced by a default at once", "keep 'empty' or 'default'")
    if "default" in item and not rule.from_side:
        clash("'default' stands for the owner's empty value, so one side must own it", 'owner = "left" or "right"')
    if "default" in item and "const" in item:
        clash("a constant is never empty", "leave out 'default'")
    if rule.where and not rule.from_side:
        clash("'where' looks at the record of the side that owns the field", 'owner = "left" or "right"')
    if rule.forward and rule.owner == "union":
        clash("a set has no order to go forward in", "leave out 'forward'")
    if "drift" in item and rule.drift == "leave" and not rule.from_side:
        clash("'drift' is about edits against the owner; here nobody owns", "leave out 'drift'")
    _never_written(sheet, rule, place)


def _never_written(sheet: Sheet, rule: FieldRule, place: Place) -> None:
    root = (rule.source or rule.path).split(".", 1)[0]
    if sheet.entity and root in roots(sheet.entity) and root in NEVER_WRITTEN:
        sheet.say(place, "never-written", f"{root!r} is never written: {NEVER_WRITTEN[root]}", "use it in [match] only")


def _last_name(path: tuple[str | int, ...]) -> str:
    return next(str(name) for name in reversed(path) if isinstance(name, str))


def _and(words: list[str]) -> str:
    return " and ".join(repr(word) for word in words)
