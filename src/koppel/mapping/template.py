"""Ready-made flows: fill in a customer's connection names, and keep every comment and blank where it stands."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping

from koppel.mapping.positions import BOM, Place, locate
from koppel.model.problem import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def fill(template: str, connections: Mapping[str, str], *, id: str | None = None, title: str | None = None) -> str:  # noqa: A002 - the word in the file
    """A ready-made flow with the customer's connections in place of the template's.

    `connections` says for each name in the template (`register`) which connection is meant (`kvk-main`). `id` and `title`
    replace the template's when the same flow is set up twice. Raises UsageError when the template is no flow, a name in
    `connections` does not occur in it, or a connection's name cannot be one.
    """
    try:
        document = tomllib.loads(template.removeprefix(BOM))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the template is not TOML: {error}") from None
    places = locate(template, file="").values
    edits: list[tuple[Place, str]] = []
    used: set[str] = set()
    for side in ("left", "right"):
        name, colon, resource = str(document.get(side, "")).partition(":")
        if not colon or (side,) not in places:
            raise UsageError(f'the template has no {side} = "connection:resource"')
        if name in connections:
            used.add(name)
            edits.append((places[side,], f"{_checked(connections[name])}:{resource}"))
    unused = sorted(connections.keys() - used)
    if unused:
        known = " and ".join(str(document[side]).partition(":")[0] for side in ("left", "right"))
        raise UsageError(f"the template names no connection {unused[0]!r}.", remedy=f"It names {known}.")
    for key, value in (("id", id), ("title", title)):
        if value is not None and (key,) in places:
            edits.append((places[key,], value))
    return _written(template, edits)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a connection.", remedy="Use letters, digits, '-', '_' and '.'."
        )
    return name


def _written(text: str, edits: list[tuple[Place, str]]) -> str:
    """The text with those values replaced, from the back so that offsets stay true."""
    for place, value in sorted(edits, key=lambda edit: edit[0].begin, reverse=True):
        # JSON's text form is a TOML basic string.
        quoted = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        text = text[: place.begin] + quoted + text[place.end :]
    return text
