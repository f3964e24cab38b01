"""Who is meant, by name: what the memory holds as `subject:…` is shown to people as they call it today.

Nothing that is stored about one record holds the name of another, so that a person who is erased is gone everywhere; names are
looked up when something is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from koppel.app.connecting import Connecting
from koppel.engine.references import TOKEN
from koppel.model.problem import KoppelError
from koppel.model.values import Json
from koppel.store import observations, streams, subjects, suppression
from koppel.store.sql import Db

T = TypeVar("T", bound=msgspec.Struct)
NOBODY = "(no longer known)"
RESTRICTED = "(restricted)"


def said(workspace: Connecting, things: list[T]) -> list[T]:
    """The same things in words for people: wherever one names a record by its subject, it says the record's name."""
    plain = [msgspec.to_builtins(thing) for thing in things]
    tokens = {match[1] for thing in plain for match in TOKEN.finditer(repr(thing))}
    if not tokens:
        return things
    known = workspace.store.run(streams.every)
    entities = {stream.id: _entity(workspace, stream.connection, stream.resource) for stream in known}
    names = workspace.store.run(names_of, tokens, entities)
    return [msgspec.convert(_spoken(thing, names), type(one)) for thing, one in zip(plain, things, strict=True)]


def _entity(workspace: Connecting, connection: str, resource: str) -> str:
    """The entity a stream holds; empty when its connection or resource is no longer there."""
    try:
        return workspace.system_of(connection).resource(resource).entity or ""
    except (KeyError, KoppelError):
        return ""


def names_of(db: Db, tokens: set[str], entities: Mapping[int, str]) -> dict[str, str]:
    """What people call those who are meant: the first name any stream shows, oldest stream first. `entities`: by stream."""
    ids = {token.removeprefix("subject:") for token in tokens if token.startswith("subject:")}
    found: dict[str, str] = {}
    for stream in streams.every(db):
        wanted: dict[str, str] = {}
        for subject, members in subjects.of_subjects(db, stream.id, ids).items():
            if f"subject:{subject}" not in found:
                wanted[members[0].native] = f"subject:{subject}"
        for token in tokens:
            number, _, native = token.removeprefix("record:").partition("/")
            if token.startswith("record:") and number == str(stream.id):
                wanted[native] = token
        kind = entities.get(stream.id, "")
        seen = observations.load(db, stream.id, wanted, entity=kind) if wanted and kind else {}
        kept = suppression.hidden_among(db, stream.id, list(wanted)) if wanted else ()
        for native, token in wanted.items():
            if native in kept:
                found[token] = RESTRICTED
                continue
            record = seen[native].record if native in seen else None
            found[token] = (record.entity.label() if record else "") or native
    return {token: found.get(token, NOBODY) for token in tokens}


def _spoken(value: Json, names: Mapping[str, str]) -> Json:
    if isinstance(value, str):
        return TOKEN.sub(lambda match: names.get(match[1], NOBODY), value)
    if isinstance(value, dict):
        return {key: _spoken(part, names) for key, part in value.items()}
    return [_spoken(part, names) for part in value] if isinstance(value, (list, tuple)) else value
