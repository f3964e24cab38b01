"""POST, PUT and DELETE: what a body asks is checked whole before anything of it is stored.

What a kind of record brings about in the books is said by its behaviour (`behaviour.py`); everything else is kept as sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from koppel.model.values import Json
from koppel.systems.exact.sandbox import reports, table, views, visits
from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.books import ACCOUNTS
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.lines import children, owner_of
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.references import codes, target_of, targets
from koppel.systems.exact.sandbox.rules import Draft, Refused, accept, label
from koppel.systems.exact.sandbox.state import Made, State
from koppel.systems.exact.sandbox.table import EntityType

_NAMED_BY = ("ChamberOfCommerce", "Name", "YourRef", "Code", "Description", "Subject")
_PLAIN = Behaviour()


def create(state: State, desk: Desk, entity: EntityType, body: Mapping[str, Any]) -> Row:
    """Store a new record with its lines, or do what an action resource stands for. Raises Refused."""
    draft = accept(entity, body, creating=True, rules=desk.rules)
    _refuse_if_told(state, draft.values)
    behaviour = desk.behaviours.get(entity.path, _PLAIN)
    _bind(state, desk, draft)
    if behaviour.acts is not None:
        row = behaviour.acts(desk, draft)
        _log(state, "POST", entity, desk, str(row.get(entity.key)), body)
        return row
    _refuse_double(desk, entity, draft.values, None)
    owner = _owner(desk, entity, draft.values)
    _drop(state, draft)
    number = str(draft.values.get("ChamberOfCommerce") or "").strip() if entity.path == ACCOUNTS else ""
    existed = bool(number) and bool(desk.books.accounts.keys_with("ChamberOfCommerce", number))
    row = enter(desk, draft)
    if owner is not None:
        _line_changed(desk, owner)
    key = row[desk.books.records(entity.path).key]
    _log(state, "POST", entity, desk, key, body)
    if number and desk.who == state.staff[0]:
        state.created.append(Made(desk.books.number, number, key, existed))
    return row


def enter(desk: Desk, draft: Draft) -> Row:
    """Let a checked record take place in the books, whoever it comes from. Raises Refused."""
    behaviour = desk.behaviours.get(draft.entity.path, _PLAIN)
    behaviour.adding(desk, draft)
    row = store(desk, draft)
    behaviour.added(desk, row)
    return row


def store(desk: Desk, draft: Draft, quiet: bool = False) -> Row:
    """Store a draft and the lines in it, numbered from 1."""
    row = desk.add(draft.entity.path, draft.values, quiet=quiet)
    key = row[desk.books.records(draft.entity.path).key]
    for name, lines in draft.lines.items():
        child = children(draft.entity).get(name)
        if child is None:
            continue
        for number, line in enumerate(lines, start=1):
            place = {"LineNumber": number} if "LineNumber" in child[0].properties else {}
            store(desk, replace(line, values={**place, **line.values, child[1]: key}), quiet=True)
    return row


def alter(state: State, desk: Desk, entity: EntityType, row: Row, body: Mapping[str, Any]) -> Row:
    """Change what is sent of a record. Raises Refused."""
    draft = accept(entity, body, creating=False, rules=desk.rules)
    _refuse_if_told(state, {**row, **draft.values})
    if entity.path == visits.ADDRESSES and visits.Visits(desk.books).find(row["ID"]) is not None:
        mirrored = {name: value for name, value in draft.values.items() if name in visits.MIRRORED}
        account = desk.change(ACCOUNTS, row["Account"], mirrored)
        _log(state, "PUT", entity, desk, row["ID"], body)
        return visits.Visits(desk.books).visit(account)
    key = row[desk.books.records(entity.path).key]
    _bind(state, desk, draft)
    _refuse_double(desk, entity, draft.values, key)
    _drop(state, draft)
    behaviour = desk.behaviours.get(entity.path, _PLAIN)
    owner = _owner(desk, entity, row)
    behaviour.changing(desk, row, draft.values)
    changed = desk.change(views.home(entity), key, draft.values)
    behaviour.changed(desk, changed)
    if owner is not None:
        _line_changed(desk, owner)
    _log(state, "PUT", entity, desk, key, body)
    return changed


def erase(state: State, desk: Desk, entity: EntityType, row: Row) -> None:
    """Remove a record and the lines in it. Raises Refused."""
    _refuse_if_told(state, row)
    if entity.path == visits.ADDRESSES and visits.Visits(desk.books).find(row["ID"]) is not None:
        raise Refused(500, "Niet toegestaan: Bezoekadres")  # wording unverified
    owner = _owner(desk, entity, row)
    desk.behaviours.get(entity.path, _PLAIN).removing(desk, row)
    take_out(desk, entity, row)
    if owner is not None:
        _line_changed(desk, owner)
    _log(state, "DELETE", entity, desk, row[entity.key], {})


def take_out(desk: Desk, entity: EntityType, row: Row) -> None:
    """Remove a record whether that is allowed or not, and let happen what follows from it."""
    lines = [line for _, line in _lines_in(desk, entity, row)]
    remove(desk, entity, row)
    desk.behaviours.get(entity.path, _PLAIN).removed(desk, row, lines)


def remove(desk: Desk, entity: EntityType, row: Row) -> None:
    """Remove a record with its lines, without asking whether that is allowed."""
    for child, line in _lines_in(desk, entity, row):
        remove(desk, child, line)
    desk.remove(views.home(entity), row[desk.books.records(entity.path).key])


def _lines_in(desk: Desk, entity: EntityType, row: Row) -> list[tuple[EntityType, Row]]:
    key = row[desk.books.records(entity.path).key]
    own = [(child, binds) for child, binds in children(entity).values() if child.service == entity.service]
    return [(child, line) for child, binds in own for line in desk.having(child.path, binds, key)]


def _bind(state: State, desk: Desk, draft: Draft) -> None:
    """What refers to nothing in this division is dropped or refused, as the switches say. Raises Refused."""
    entity = draft.entity
    for name, value in list(draft.values.items()):
        if name in targets(entity) and value is not None and not _is_there(desk, entity, name, value):
            mandatory = entity.properties[name].mandatory
            if desk.rules.references == "refuse" or mandatory:
                raise Refused(500, f"Ongeldig: {label(name)}")
            draft.values[name] = None
            state.nulled.append({"division": desk.books.number, "path": entity.path, "property": name, "value": value})
        elif name in codes(entity) and value and target_of(desk.books, entity, name, value) is None:
            raise Refused(500, f"Ongeldig: {label(name)}")
    for name, lines in draft.lines.items():
        kept: list[Draft] = []
        for line in lines:
            if desk.rules.drop_lines and not all(
                _is_there(desk, line.entity, word, line.values[word])
                for word in targets(line.entity)
                if line.values.get(word) is not None
            ):
                continue
            if line.entity is not entity:
                _bind(state, desk, line)
            kept.append(line)
        draft.lines[name] = kept


def _is_there(desk: Desk, entity: EntityType, name: str, value: Any) -> bool:
    if target_of(desk.books, entity, name, value) is not None:
        return True
    return targets(entity)[name] == visits.ADDRESSES and visits.Visits(desk.books).find(value) is not None


def _owner(desk: Desk, entity: EntityType, values: Mapping[str, Any]) -> tuple[EntityType, Row] | None:
    """The record a line stands in. Raises Refused when it is not there."""
    found = owner_of(entity)
    if found is None:
        return None
    if values.get(found[1]) is None:
        if entity.name.endswith("Lines"):  # a line without a document would be nowhere
            raise Refused(500, f"Verplicht: {label(found[1])}")
        return None
    row = desk.get(found[0].path, values[found[1]])
    if row is None:
        raise Refused(500, f"Ongeldig: {label(found[1])}")
    behaviour = desk.behaviours.get(found[0].path, _PLAIN)
    behaviour.changing(desk, row, {})
    return found[0], row


def _line_changed(desk: Desk, owner: tuple[EntityType, Row]) -> None:
    """A line was added, changed or removed: its document takes a new row version and is reckoned again."""
    entity, row = owner
    changed = desk.change(entity.path, row[entity.key], {})
    desk.behaviours.get(entity.path, _PLAIN).changed(desk, changed)


def _drop(state: State, draft: Draft) -> None:
    for name in state.silent_drop & draft.values.keys():
        del draft.values[name]
    for line in draft.every_line():
        _drop(state, line)


def _refuse_if_told(state: State, row: Mapping[str, Any]) -> None:
    for name in _NAMED_BY:
        message = state.refuse.get(str(row.get(name) or ""))
        if message is not None:
            raise Refused(500, message)


def _refuse_double(desk: Desk, entity: EntityType, values: Mapping[str, Any], key: Any) -> None:
    records, own = desk.books.records(entity.path), set[Any]() if key is None else {key}
    if values.get(records.key) in records.rows:
        raise Refused(500, "Gegeven bestaat reeds.")
    by_code = "Code" in entity.properties and (entity.path == ACCOUNTS or entity.properties["Code"].mandatory)
    if by_code and values.get("Code") and records.keys_with("Code", values["Code"]) - own:
        raise Refused(500, "Gegeven bestaat reeds.")


def _log(state: State, method: str, entity: EntityType, desk: Desk, id_: str, fields: Mapping[str, Json]) -> None:
    """Note what the app wrote; what a person enters is no write of ours."""
    if desk.who != state.staff[0]:
        return
    state.writes.append(
        {
            "method": method,
            "path": entity.path,
            "division": desk.books.number,
            "id": id_,
            "fields": dict(fields),
            "at": desk.at,
        }
    )


def editable(path: str) -> EntityType:
    """A resource whose records a person can touch. Raises ValueError for a twin or an unknown one."""
    try:
        entity = table.entity(path)
    except KeyError:
        raise ValueError(f"there is no resource {path!r}") from None
    if not entity.keys or views.home(entity) != path or path in reports.REPORTS:
        raise ValueError(f"{path} holds no records of its own; they are those of {views.home(entity)}")
    return entity
