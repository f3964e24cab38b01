"""OData version 2 query strings: literals, conditions and the options of a URL, written so that no value can break out.

Conditions and terms are their own text types, so that an unquoted value cannot be passed where a literal belongs.
[fact sheet §5: KB-query, chef API-FILTERS; function list beyond substringof, startswith and endswith: unverified]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal, NewType
from urllib.parse import quote

Term = NewType("Term", str)  # a literal, a property or a function of those
Condition = NewType("Condition", str)
Operator = Literal["eq", "ne", "gt", "ge", "lt", "le"]
Function = Literal[
    "substringof",
    "startswith",
    "endswith",
    "tolower",
    "toupper",
    "trim",
    "length",
    "year",
    "month",
    "day",
]

NULL = Term("null")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PROPERTY = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*")
# Sub-delimiters a query may hold as they are; kept plain because a URL may hold 6000 characters. [audit §2]
_PLAIN = "(),':/"


def plain_guid(value: str) -> str:
    """A GUID in lower case, as bodies want it. Raises ValueError.

    >>> plain_guid("71B961DE-0000-4000-8000-000000000001")
    '71b961de-0000-4000-8000-000000000001'
    """
    found = value.strip().lower()
    if not _GUID.fullmatch(found):
        raise ValueError(f"{value!r} is not a GUID")
    return found


def guid(value: str) -> Term:
    """A GUID in a filter or key. Raises ValueError when it is none.

    >>> guid("71B961DE-0000-4000-8000-000000000001")
    "guid'71b961de-0000-4000-8000-000000000001'"
    """
    return Term(f"guid'{plain_guid(value)}'")


def text(value: str) -> Term:
    """A string.

    >>> text("'t Hoekje")
    "'''t Hoekje'"
    """
    return Term("'" + value.replace("'", "''") + "'")


def int64(value: int) -> Term:
    """An Edm.Int64, e.g. a Timestamp.

    >>> int64(1)
    '1L'
    """
    return Term(f"{value}L")


def int32(value: int) -> Term:
    """An Edm.Int16, Int32 or Byte."""
    return Term(str(value))


def double(value: Decimal) -> Term:
    """An Edm.Double, its digits as given: never by way of a float. Raises ValueError for what is no finite number.

    >>> double(Decimal("0.10"))
    '0.10d'
    """
    return Term(f"{_digits(value)}d")


def decimal(value: Decimal) -> Term:
    """An Edm.Decimal. Raises ValueError for what is no finite number.

    >>> decimal(Decimal("1E+3"))
    '1000m'
    """
    return Term(f"{_digits(value)}m")


def _digits(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} is not a number that can be sent")
    return f"{value:f}"


def moment(value: datetime) -> Term:
    """An Edm.DateTime; the time part is always present, since date-only literals are flaky [chef].

    Raises ValueError for an aware value: the vendor keeps Dutch wall-clock time without a zone [KB-faq].

    >>> moment(datetime(2026, 4, 7))
    "datetime'2026-04-07T00:00:00'"
    """
    if value.tzinfo is not None:
        raise ValueError("Exact Online takes wall-clock times without a zone")
    precise = "milliseconds" if value.microsecond else "seconds"
    return Term(f"datetime'{value.isoformat(timespec=precise)}'")


def boolean(*, value: bool) -> Term:
    """An Edm.Boolean."""
    return Term("true" if value else "false")


def prop(name: str) -> Term:
    """A property, or a path of an expanded one. Raises ValueError for anything else."""
    if not _PROPERTY.fullmatch(name):
        raise ValueError(f"{name!r} is not a property name")
    return Term(name)


def function(name: Function, *arguments: Term) -> Term:
    """A function's value, to be compared. `substringof` takes what is looked for first, the others the property.

    >>> compare(function("substringof", text("bakker"), prop("Name")), "eq", boolean(value=True))
    "substringof('bakker',Name) eq true"
    """
    return Term(f"{name}({','.join(arguments)})")


def compare(left: Term, operator: Operator, right: Term) -> Condition:
    """One comparison."""
    return Condition(f"{left} {operator} {right}")


def any_of(conditions: Iterable[Condition]) -> Condition:
    """At least one holds. Raises ValueError for none: an empty filter would list everything."""
    return _joined(" or ", conditions)


def all_of(conditions: Iterable[Condition]) -> Condition:
    """Each holds. Raises ValueError for none."""
    return _joined(" and ", conditions)


def negate(condition: Condition) -> Condition:
    """It does not hold."""
    return Condition(f"not ({condition})")


def _joined(word: str, conditions: Iterable[Condition]) -> Condition:
    parts = tuple(conditions)
    if not parts:
        raise ValueError("a filter needs at least one condition")
    return Condition(parts[0] if len(parts) == 1 else "(" + word.join(parts) + ")")


def options(
    *,
    where: Condition | None = None,
    select: Iterable[str] = (),
    expand: Iterable[str] = (),
    orderby: Iterable[str] = (),
    top: int | None = None,
    skip: int | None = None,
    count: bool = False,
    more: Mapping[str, Term] | None = None,
) -> str:
    """The query part of a URL, encoded; empty when nothing is asked.

    A path in `select` (`Lines/Amount`) needs its collection in `expand` [KB-query]; whether a resource takes `skip` is for
    the caller to know (not those released after 1 March 2017 [KB-query]). `more` holds parameters of a resource's own.
    Raises ValueError for a name that is none, a path that is not expanded, a negative number.

    >>> options(where=compare(prop("Timestamp"), "gt", int64(1)), select=("ID", "Timestamp"))
    '$filter=Timestamp%20gt%201L&$select=ID,Timestamp'
    >>> options(select=("EntryID", "PurchaseEntryLines/AmountFC"), expand=("PurchaseEntryLines",), orderby=("EntryID desc",))
    '$select=EntryID,PurchaseEntryLines/AmountFC&$expand=PurchaseEntryLines&$orderby=EntryID%20desc'
    """
    selected, expanded, ordered = tuple(select), tuple(expand), tuple(orderby)
    for name in (*selected, *expanded, *(word.removesuffix(" desc").removesuffix(" asc") for word in ordered)):
        prop(name)
    for name in selected:
        if "/" in name and not any(name.startswith(f"{path}/") for path in expanded):
            raise ValueError(f"{name!r} can be selected only when {name.rpartition('/')[0]!r} is expanded")
    for number in (top, skip):
        if number is not None and number < 0:
            raise ValueError("a number of rows cannot be negative")
    given = {
        "$filter": where,
        "$select": ",".join(selected),
        "$expand": ",".join(expanded),
        "$orderby": ",".join(ordered),
        "$top": None if top is None else str(top),
        "$skip": str(skip) if skip else None,
        "$inlinecount": "allpages" if count else None,
    }
    own = {prop(name): value for name, value in (more or {}).items()}
    return "&".join(f"{name}={quote(value, safe=_PLAIN)}" for name, value in {**own, **given}.items() if value)


def size(condition: Condition) -> int:
    """How many characters of a URL a condition takes."""
    return len(quote(condition, safe=_PLAIN))


def chunks(
    groups: Iterable[tuple[str, tuple[Condition, ...]]], *, room: int, most: int
) -> Iterator[tuple[tuple[str, tuple[Condition, ...]], ...]]:
    """Cut named groups of conditions into runs within `room` encoded characters and `most` conditions a filter.

    A group (the spellings of one value) is never torn apart; one that is too big alone goes alone.
    """
    run: list[tuple[str, tuple[Condition, ...]]] = []
    used = held = 0
    for name, group in groups:
        size = sum(len(quote(f"{condition} or ", safe=_PLAIN)) for condition in group)
        if run and (used + size > room or held + len(group) > most):
            yield tuple(run)
            run, used, held = [], 0, 0
        run.append((name, group))
        used, held = used + size, held + len(group)
    if run:
        yield tuple(run)
