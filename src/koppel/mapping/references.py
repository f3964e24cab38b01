"""References of a flow: fields whose value names other records, on each side by that side's own ids.

Pure. Between the sides such a value is compared as *who* it names, not by its id: `koppel.engine.references` puts a token in
the place of each id, and the id back before anything is sent. What is here: which rules are references, and the ways into
their values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from koppel.mapping.flow import FieldRule, Flow, SideName
from koppel.model.can import Can
from koppel.model.values import Json


class Part(msgspec.Struct, frozen=True):
    """One place in a value that names a record: `path` inside it ("" = the value itself, `product` = that part of every
    line), and the resource it names on each side."""

    path: str
    left: str
    right: str

    def on(self, side: SideName) -> str:
        """The resource named on that side."""
        return self.left if side == "left" else self.right


def refs_of(rule: FieldRule, side: SideName, can: Can) -> tuple[tuple[str, str], ...]:
    """What the value a side shows for a rule names there, as (path inside it, resource); empty when it is no reference."""
    path = rule.path
    if side == rule.from_side:
        if rule.table or rule.transform or rule.const is not msgspec.UNSET:
            return ()  # a made value names nobody any more
        path = rule.source or rule.path
    elif rule.side not in (None, side):
        return ()
    field = can.field(path)
    return field.refs if field else ()


def references_of(flow: Flow, left: Can, right: Can) -> dict[str, tuple[Part, ...]]:
    """The rules that are references, by key: both sides name records there."""
    found: dict[str, tuple[Part, ...]] = {}
    for rule in flow.fields:
        ours, theirs = dict(refs_of(rule, "left", left)), dict(refs_of(rule, "right", right))
        parts = tuple(Part(path, ours[path], theirs[path]) for path in ours if path in theirs)
        if parts:
            found[rule.key] = parts
    return found


def named(value: Json, path: str) -> Iterator[str]:
    """Everything named at a place in a value; a path into a list goes into each of its items.

    >>> list(named([{"product": "7"}, {"product": None}, {"product": "9"}], "product"))
    ['7', '9']
    """
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from named(item, path)
    elif path:
        head, _, rest = path.partition(".")
        if isinstance(value, dict):
            yield from named(value.get(head), rest)
    elif isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
        yield str(value)


def renamed(value: Json, path: str, name: Callable[[str], str]) -> Json:
    """The value with everything named at a place called otherwise.

    >>> renamed([{"product": "7", "quantity": "2"}], "product", lambda native: f"<{native}>")
    [{'product': '<7>', 'quantity': '2'}]
    """
    if isinstance(value, (list, tuple)):
        return [renamed(item, path, name) for item in value]
    if path:
        head, _, rest = path.partition(".")
        if isinstance(value, dict) and head in value:
            return {**value, head: renamed(value[head], rest, name)}
        return value
    if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
        return name(str(value))
    return value
