"""The body of an UpdateConnector: XML-born JSON in its many spellings, read into parts whose values are checked.

`Element` is an object or an array, `Objects` an object or an array of single-key objects, keys stand as `@Key` beside
`Fields` or plain inside, `@Action` in either place and either spelling. [OAS, MD update-connector] Types are lenient:
`"1"`, `"true"` and numbers as text are taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from koppel.systems.afas.sandbox_errors import Refused
from koppel.systems.afas.sandbox_fields import LOOKUPS, Entity, Field

_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})


@dataclass(frozen=True, slots=True)
class Part:
    """One element: the values supplied (None: cleared with "") and the parts below it."""

    entity: Entity
    values: Mapping[str, Any]
    objects: Mapping[str, Part] = field(default_factory=dict)
    action: str = ""


@dataclass(frozen=True, slots=True)
class Tenant:
    """What is particular to this tenant: its own fields per element, fields it lacks, fields it loses."""

    free: Mapping[str, Mapping[str, Field]]
    dropped: Mapping[str, frozenset[str]]
    lost: frozenset[str]

    def fields(self, entity: Entity) -> dict[str, Field]:
        """The fields of an element here."""
        gone = self.dropped.get(entity.name, frozenset())
        every = {**entity.fields, **self.free.get(entity.name, {})}
        return {name: found for name, found in every.items() if name not in gone}


def read(body: Any, entity: Entity, tenant: Tenant) -> tuple[list[Part], bool]:
    """The elements of a body, and whether they came as an array. Raises Refused."""
    if not isinstance(body, dict) or entity.name not in body or len(body) != 1:
        raise Refused("unexpected")
    elements, as_array = _elements(body[entity.name])
    return [_part(element, entity, tenant) for element in elements], as_array


def _elements(node: Any) -> tuple[list[Any], bool]:
    if not isinstance(node, dict) or "Element" not in node:
        raise Refused("unexpected")
    element = node["Element"]
    found = element if isinstance(element, list) else [element]
    if not found:
        raise Refused("unexpected")
    return found, isinstance(element, list)


def _part(element: Any, entity: Entity, tenant: Tenant) -> Part:
    if not isinstance(element, dict):
        raise Refused("unexpected")
    fields = element.get("Fields") or {}
    if not isinstance(fields, dict):
        raise Refused("unexpected")
    given = {name.removeprefix("@"): value for name, value in fields.items()}
    given |= {name[1:]: value for name, value in element.items() if name.startswith("@")}
    action = ""
    for spelling in [name for name in given if name.casefold() == "action"]:
        action = str(given.pop(spelling)).casefold()
    if action not in {"", "insert", "update", "delete"}:
        raise Refused("unexpected")
    known = tenant.fields(entity)
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise Refused("no_field", name=name)
        checked = convert(known[name], value)
        if name not in tenant.lost:
            values[name] = checked
    return Part(entity, values, _objects(element.get("Objects"), entity, tenant), action)


def _objects(node: Any, entity: Entity, tenant: Tenant) -> dict[str, Part]:
    """Parts by name; each takes one line a call. [MD endpoint knorganisation-post]"""
    lists = node if isinstance(node, list) else [node] if node else []
    found: dict[str, Part] = {}
    for one in lists:
        if not isinstance(one, dict):
            raise Refused("unexpected")
        for name, below in one.items():
            if name not in entity.objects:
                raise Refused("no_field", name=name)
            elements, _ = _elements(below)
            if name in found or len(elements) > 1:
                raise Refused("one_line", name=name)
            found[name] = _part(elements[0], entity.objects[name], tenant)
    return found


def convert(found: Field, value: Any) -> Any:
    """A value as it will be stored; None clears. Raises Refused."""
    if value is None or value == "":
        return None
    invalid = Refused("not_valid", label=found.label)
    if isinstance(value, (dict, list)):
        raise invalid
    text = ("true" if value else "false") if isinstance(value, bool) else str(value).strip()
    if not text:
        return None
    match found.type:
        case "boolean":
            if text.casefold() not in _TRUE | _FALSE:
                raise invalid
            return text.casefold() in _TRUE
        case "int":
            if re.fullmatch(r"-?\d{1,9}", text) is None:
                raise invalid
            return int(text)
        case "decimal":
            if re.fullmatch(r"-?\d{1,12}(\.\d{1,8})?", text) is None:
                raise invalid
            return float(text)
        case "date":
            return _date(text, invalid)
        case _:
            if isinstance(value, bool):  # vendor examples send `true` for VaDu, a text
                return _text(found, "1" if value else "0")
            return _text(found, value if isinstance(value, str) else text)


def _date(text: str, invalid: Refused) -> str:
    """`YYYY-MM-DD`; a time behind it is cut off."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)(T\d\d:\d\d(:\d\d)?Z?)?", text)
    if match is None:
        raise invalid
    try:
        return date.fromisoformat(match.group(1)).isoformat()
    except ValueError:
        raise invalid from None


def _text(found: Field, text: str) -> str:
    if found.length and len(text) > found.length:
        raise Refused("too_long", label=found.label, length=found.length)
    allowed = found.codes if found.codes is not None else LOOKUPS.get(found.name)
    if allowed is not None and text not in allowed:
        raise Refused("no_value", label=found.label)
    return text
