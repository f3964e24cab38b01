"""Answers to `GET connectors/{id}`: filter, order, skip and take, and rows as AFAS writes them. [MD get-connector]"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from zlib import crc32

from koppel.systems.afas.sandbox_books import Key
from koppel.systems.afas.sandbox_errors import Refused, answer
from koppel.systems.afas.sandbox_filter import Filter, Narrowing, QueryError, compile_filter, fold, parse
from koppel.systems.afas.sandbox_rows import CONNECTORS, Column, GetConnector, Sight
from koppel.systems.afas.sandbox_state import Environment, State
from koppel.systems.spi import Response

DEFAULT_TAKE = 100
_REMEMBERED = 6  # lists kept for the next page
_HIDDEN_ONE_IN = 3
Order = tuple[tuple[str, bool], ...]


def columns_of(state: State, connector: GetConnector) -> dict[str, Column]:
    """The columns this tenant has."""
    dropped = state.switches.drop_field.get(connector.id, frozenset())
    return {name: column for name, column in connector.columns.items() if name not in dropped}


def allowed(state: State, id_: str) -> GetConnector:
    """The connector, when this app connector may use it. Raises Refused (401). [HELP 120612]"""
    if id_ not in CONNECTORS or id_ in state.switches.hide_connector:
        raise Refused("get_denied", status=401)
    if id_ in state.switches.block_connector:
        raise Refused("blocked")
    return CONNECTORS[id_]


def rows(state: State, environment: Environment, id_: str, query: str) -> Response:
    """One page. Raises Refused."""
    connector = allowed(state, id_)
    asked = {name.casefold(): value for name, value in parse_qsl(query, keep_blank_values=True)}
    columns = columns_of(state, connector)
    skip, take = _number(asked.get("skip"), 0), _number(asked.get("take"), DEFAULT_TAKE)
    everything = skip == -1  # take is ignored then [PA RestCurlClient.php]
    if not everything and (skip < 0 or take < 0):
        raise Refused("unexpected")
    try:
        groups = parse(asked)
        wanted = compile_filter(groups, {name: column.type for name, column in columns.items()})
        order = _order(asked.get("orderbyfieldids", ""), columns)
    except QueryError as error:
        raise Refused("unexpected" if error.field is None else "no_field", name=error.field or "") from None
    hidden = state.switches.authorisation_filter and connector.authorised
    name = (environment.books.version, id_, groups, order, hidden)
    keys = environment.lists.get(name)
    if keys is None:
        keys = _list(environment, connector, columns, wanted, order, hidden=hidden)
        while len(environment.lists) >= _REMEMBERED:
            del environment.lists[next(iter(environment.lists))]
        environment.lists[name] = keys
    page = keys if everything else _page(environment, connector, columns, order, keys, skip, take or 1, state=state)
    if state.switches.largest is not None and len(page) * len(columns) > state.switches.largest:
        raise Refused("memory")
    sights = (connector.see(environment.books, columns, key) for key in page)
    shown = [{column.name: _shown(column, sight[column.name]) for column in columns.values()} for sight in sights]
    return answer(200, {"skip": skip, "take": take, "rows": shown})


def _number(text: str | None, default: int) -> int:
    """Text that is no number counts as the default (for skip observed in 2017 [PA], for take unverified)."""
    try:
        return int(text) if text is not None else default
    except ValueError:
        return default


def _order(text: str, columns: Mapping[str, Column]) -> Order:
    """`-ModifiedDate,DebtorId`: a leading minus is descending."""
    order: list[tuple[str, bool]] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        name = word.removeprefix("-")
        if name not in columns:
            raise QueryError(name)
        order.append((name, word.startswith("-")))
    return tuple(order)


def _list(
    environment: Environment,
    connector: GetConnector,
    columns: Mapping[str, Column],
    wanted: Filter,
    order: Order,
    *,
    hidden: bool,
) -> list[Key]:
    books = environment.books
    sights = [connector.see(books, columns, key) for key in _candidates(environment, connector, wanted)]
    found = [sight for sight in sights if wanted.matches(sight) and not (hidden and is_hidden(sight))]
    for name, descending in reversed(order):
        found.sort(key=lambda sight: _rank(sight[name]), reverse=descending)
    return [sight.key for sight in found]


def is_hidden(sight: Sight) -> bool:
    """Whether the token's user may not see this contact."""
    return crc32(str(sight.org.get("BcCo")).encode()) % _HIDDEN_ONE_IN == 0


def _candidates(environment: Environment, connector: GetConnector, wanted: Filter) -> Iterable[Key]:
    """The rows worth looking at: all, or what indexes say each group can match."""
    books = environment.books
    parts = [_indexed(environment, connector, narrowing) for narrowing in wanted.narrowings]
    if not parts or any(part is None for part in parts):
        return connector.keys(books)
    return sorted({key for part in parts if part is not None for key in part})


def _indexed(environment: Environment, connector: GetConnector, narrowing: Narrowing) -> Iterable[Key] | None:
    for name, value in narrowing.equal:
        if name in connector.equal:
            return connector.equal[name](environment.books, value)
    for name, stamp in narrowing.since:
        if name in connector.since:
            return connector.since[name](environment.books, stamp)
    return None


def _rank(value: Any) -> tuple[bool, Any]:
    """Empty comes first, as in SQL Server."""
    return (value is not None, "" if value is None else fold(value))


def _page(
    environment: Environment,
    connector: GetConnector,
    columns: Mapping[str, Column],
    order: Order,
    keys: list[Key],
    skip: int,
    take: int,
    *,
    state: State,
) -> list[Key]:
    """One page. Rows the order does not tell apart come in another order with every page. [MD get-connector]

    A row that ties with the last one of the page before changes places with it: that one is served twice, this one never.
    """
    page = keys[skip : skip + take]
    if not page or not skip or not state.switches.unstable_order:
        return page
    books = environment.books
    last, first = (connector.see(books, columns, key) for key in (keys[skip - 1], keys[skip]))
    if all(_rank(last[name]) == _rank(first[name]) for name, _ in order):
        page[0] = keys[skip - 1]
    return page


def _shown(column: Column, value: Any) -> Any:
    """Dates carry a `Z` that means nothing and are rounded to whole seconds."""
    if value is None or value == "":
        return None
    return stamp_text(value) if column.type == "date" else value


def stamp_text(stamp: int) -> str:
    """`2015-01-26T16:57:43Z`: Amsterdam local time."""
    return datetime.fromtimestamp((stamp + 500) // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
