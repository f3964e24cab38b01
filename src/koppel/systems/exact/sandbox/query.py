"""The query options of one request: read and checked against the entity type, then run over a source of rows. [KB-query]"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote

from koppel.systems.exact.sandbox.filter import Filter, QueryError, compile_filter, fold, parse_datetime
from koppel.systems.exact.sandbox.render import literal
from koppel.systems.exact.sandbox.table import EntityType

Row = Mapping[str, Any]
_KNOWN = frozenset(
    {"$filter", "$select", "$expand", "$orderby", "$top", "$skip", "$skiptoken", "$inlinecount", "$format"}
)


class Source(Protocol):
    """Rows of one entity set, in the order of its key."""

    def after(self, key: tuple[Any, ...] | None, wanted: Filter | None) -> Iterable[Row]:
        """Rows whose key lies after `key` (None = all), in key order; those an index rules out may be left out."""
        ...


@dataclass(frozen=True, slots=True)
class Query:
    """The options of one request, checked. `names` is the `$select` (None = everything)."""

    wanted: Filter | None
    names: tuple[str, ...] | None
    expand: tuple[str, ...]
    nested: Mapping[str, tuple[str, ...]]
    order: tuple[tuple[str, bool], ...]
    top: int | None
    skip: int
    token: tuple[Any, ...] | None
    count: bool
    raw: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A page and what the envelope needs: the following page's `$skiptoken` and, when asked, the total count."""

    rows: list[Row]
    token: str | None
    total: int | None


def read_query(entity: EntityType, text: str) -> Query:
    """Read the part after `?`. Raises QueryError."""
    raw = tuple(parse_qsl(text, keep_blank_values=True))
    options: dict[str, str] = {}
    for name, value in raw:
        if not name.startswith("$"):
            continue
        if name not in _KNOWN:
            raise QueryError(
                f"The query parameter '{name}' begins with a system-reserved '$' character but is not recognized."
            )
        if name in options:
            raise QueryError(f"Query parameter '{name}' is specified, but it should be specified exactly once.")
        options[name] = value
    expand = _expand(entity, options.get("$expand", ""))
    names, nested = _select(entity, options.get("$select", ""), expand)
    order = _order(entity, options.get("$orderby", ""))
    wanted = options.get("$filter", "")
    if entity.kind != "plain" and "$skip" in options:  # released after 1 March 2017 [KB-query]
        raise QueryError("Query option '$skip' is not supported.")
    return Query(
        wanted=compile_filter(entity, wanted) if wanted.strip() else None,
        names=names,
        expand=expand,
        nested=nested,
        order=order,
        top=_natural(options, "$top"),
        skip=_natural(options, "$skip") or 0,
        token=_read_token(options["$skiptoken"]) if "$skiptoken" in options else None,
        count=options.get("$inlinecount") == "allpages",
        raw=raw,
    )


def _natural(options: Mapping[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}\s*", text) is None:
        raise QueryError(
            f"Incorrect format for {name} argument '{text}'. The argument should be an integer number greater than or equal to zero."
        )
    return int(text)


def _known(entity: EntityType, name: str, where: str) -> str:
    if name not in entity.properties:
        raise QueryError(f"{where}: No property '{name}' exists in type '{entity.clr}' at position 0.")
    return name


def _expand(entity: EntityType, text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in names:
        if not entity.properties[_known(entity, name, "$expand")].is_collection:
            raise QueryError(f"Navigation property expected: '{name}' in type '{entity.clr}' cannot be expanded.")
    return names


def _select(
    entity: EntityType, text: str, expand: tuple[str, ...]
) -> tuple[tuple[str, ...] | None, Mapping[str, tuple[str, ...]]]:
    names: list[str] = []
    nested: dict[str, tuple[str, ...]] = {}
    for part in (word.strip() for word in text.split(",")):
        if not part:
            continue
        if part == "*":
            return None, {}
        head, slash, tail = part.partition("/")
        _known(entity, head, "$select")
        if slash:
            if head not in expand:  # nested select needs the expand [KB-query]
                raise QueryError(f"Only properties that are expanded can be selected through '{head}'.")
            nested[head] = (*nested.get(head, ()), tail)
        elif head not in names:
            names.append(head)
    if not names and not nested:
        return None, {}
    return tuple(names), nested


def _order(entity: EntityType, text: str) -> tuple[tuple[str, bool], ...]:
    found: list[tuple[str, bool]] = []
    for part in text.split(","):
        words = part.split()
        if not words:
            continue
        if len(words) > 2 or (len(words) == 2 and words[1] not in {"asc", "desc"}):
            raise QueryError(f"Syntax error at position {len(words[0]) + 1}.")
        found.append((_known(entity, words[0], "$orderby"), words[-1] == "desc"))
    return tuple(found)


_LITERAL = re.compile(r"(?:guid|datetime)?'((?:[^']|'')*)'|(-?\d{1,19}(?:\.\d{1,30})?)L?|(null|true|false)")


def _read_token(text: str) -> tuple[Any, ...]:
    values: list[Any] = []
    at = 0
    while at < len(text):
        match = _LITERAL.match(text, at)
        if match is None or text[match.end() : match.end() + 1] not in {"", ","}:
            raise QueryError(f"Syntax error at position {at} in '{text}'.")
        word = match.group(0)
        if match.group(1) is not None:
            inner = match.group(1).replace("''", "'")
            values.append(parse_datetime(inner) if word.startswith("datetime") else inner)
        elif match.group(2) is not None:
            values.append(float(match.group(2)) if "." in match.group(2) else int(match.group(2)))
        else:
            values.append({"null": None, "true": True, "false": False}[word])
        at = match.end() + 1
    return tuple(values)


_SPELLED_AS = {"Boolean": bool, "DateTime": int, "Double": (int, float), "Guid": str, "String": str, "Binary": str}


def _check_token(entity: EntityType, names: tuple[str, ...], token: tuple[Any, ...]) -> None:
    """A `$skiptoken` holds one literal per ordered property, and the key. Raises QueryError for any other."""
    kinds = [_SPELLED_AS.get(entity.properties[name].type, int) for name in names]
    fits = (value is None or isinstance(value, kind) for value, kind in zip(token, kinds, strict=False))
    if len(token) != len(names) or not all(fits):
        raise QueryError("The $skiptoken does not belong to this query.")


def _compare(a: Any, b: Any) -> int:
    """Empty values come first; texts compare without case."""
    a, b = fold(a), fold(b)
    if a is None or b is None:
        return (a is not None) - (b is not None)
    return (a > b) - (a < b)


def _ordering(
    entity: EntityType, order: tuple[tuple[str, bool], ...]
) -> Callable[[tuple[Any, ...], tuple[Any, ...]], int]:
    signs = [-1 if descending else 1 for _, descending in order] + [1] * len(entity.keys)

    def compare(a: tuple[Any, ...], b: tuple[Any, ...]) -> int:
        for x, y, sign in zip(a, b, signs, strict=False):
            if (found := _compare(x, y)) != 0:
                return found * sign
        return 0

    return compare


def matching(source: Source, key: tuple[Any, ...] | None, wanted: Filter | None) -> Iterator[Row]:
    """Rows after `key` that the filter lets through, in key order."""
    rows = source.after(key, wanted)
    return iter(rows) if wanted is None else (row for row in rows if wanted.matches(row))


def run(entity: EntityType, query: Query, source: Source) -> Listing:
    """Answer a list request."""
    total = sum(1 for _ in matching(source, None, query.wanted)) if query.count else None
    names = (*(name for name, _ in query.order), *entity.keys)
    if query.token is not None:
        _check_token(entity, names, query.token)

    def position(row: Row) -> tuple[Any, ...]:
        return tuple(row.get(name, entity.properties[name].default) for name in names)

    if query.order:
        compare = _ordering(entity, query.order)
        rows: Iterator[Row] = iter(
            sorted(matching(source, None, query.wanted), key=lambda row: cmp_to_key(compare)(position(row)))
        )
        if (token := query.token) is not None:
            rows = (row for row in rows if compare(position(row), token) > 0)
    else:
        rows = matching(source, query.token, query.wanted)
    for _ in range(query.skip if query.token is None else 0):
        if next(rows, None) is None:
            break
    size = entity.page if query.top is None else min(query.top, entity.page)  # capped at the page (unverified)
    page: list[Row] = []
    for row in rows:
        if len(page) == size:
            if query.top is not None:
                break
            last = position(page[-1])
            parts = (literal(entity.properties[name].type, value) for name, value in zip(names, last, strict=True))
            return Listing(page, ",".join(parts), total)
        page.append(row)
    return Listing(page, None, total)


def next_url(address: str, query: Query, token: str) -> str:
    """The following page: the original options plus `$skiptoken`, on the host the client called. [KB-best]"""
    kept = [(name, value) for name, value in query.raw if name not in {"$skiptoken", "$skip"}]
    pairs = [*kept, ("$skiptoken", token)]
    return (
        address
        + "?"
        + "&".join(f"{quote(name, safe='$')}={quote(value, safe=chr(39) + '(),$:')}" for name, value in pairs)
    )
