"""Filters of GetConnectors: fifteen operators, AND and OR, in whichever of the two spellings can carry the values.

The list form is three parallel lists (`,` is AND, `;` is OR) and has no escape; `filterjson` carries any value. A filter
that a value would change the meaning of is refused with ValueError, never sent: it would quietly select other records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import IntEnum
from typing import TypeVar
from urllib.parse import quote

import msgspec

QUERY_ROOM = (
    2049  # characters of a query string, `?` included; beyond it the answer is 404 without a word [MD get-connector]
)
T = TypeVar("T")


class Operator(IntEnum):
    """[OAS operatortypes]"""

    EQUALS = 1
    AT_LEAST = 2
    AT_MOST = 3
    GREATER = 4
    LESS = 5
    CONTAINS = 6
    NOT_EQUAL = 7
    EMPTY = 8
    NOT_EMPTY = 9
    STARTS_WITH = 10
    NOT_CONTAINS = 11
    NOT_STARTS_WITH = 12
    ENDS_WITH = 13
    NOT_ENDS_WITH = 14
    QUICK = 15


_WITHOUT_VALUE = {Operator.EMPTY, Operator.NOT_EMPTY}
# Here `%` is a wildcard, whatever was meant [HELP App_Con_GS-Local_Get_Filter_xml; DG; SP].
_WILD = {
    Operator.CONTAINS,
    Operator.NOT_EQUAL,
    Operator.STARTS_WITH,
    Operator.NOT_CONTAINS,
    Operator.NOT_STARTS_WITH,
    Operator.ENDS_WITH,
    Operator.NOT_ENDS_WITH,
    Operator.QUICK,  # unverified, and a value it would change is not worth finding out with
}
# Operators 8 and 9 need something to keep the lists aligned; this is the vendor's own filling [MD get-connector].
_FILLING = "[is leeg]"


class Condition(msgspec.Struct, frozen=True):
    """One comparison. Raises ValueError for a value that would be read as something else."""

    field: str
    operator: Operator
    value: str = ""

    def __post_init__(self) -> None:
        if not self.field or set(self.field) & set(",;"):
            raise ValueError(f"{self.field!r} is not the name of a field")
        if self.operator in _WILD and "%" in self.value:
            raise ValueError("a % in this value would be read as a wildcard")
        if not self.value and self.operator not in _WITHOUT_VALUE:
            # What an empty value compares with is unverified; there are two operators that say it.
            raise ValueError("an empty value is asked for with the operators EMPTY and NOT_EMPTY")


Group = tuple[Condition, ...]  # all of them
Filter = tuple[Group, ...]  # any of them


def where(field: str, operator: Operator, value: str = "") -> Filter:
    """A filter of one condition."""
    return ((Condition(field, operator, value),),)


def both(left: Filter, right: Filter) -> Filter:
    """What both filters select; an empty one selects all. Without brackets in this language, alternatives are multiplied out."""
    return tuple(one + other for one in left for other in right) if left and right else left or right


def moment(value: datetime) -> str:
    """A wall-clock time as filters want it: without `Z`, though answers show one. [MD get-connector; PA]

    >>> moment(datetime(2017, 7, 1, 0, 0, 2))
    '2017-07-01T00:00:02'
    """
    return value.replace(microsecond=0, tzinfo=None).isoformat()


def query(wanted: Filter = (), *, order: tuple[str, ...], skip: int = 0, take: int) -> str:
    """The query string of a GetConnector call, without `?`. Raises ValueError when it is too long to be answered."""
    # Without an order, paging may lose or double rows: it is always sent. [MD get-connector]
    sorted_by = ",".join(quote(name, safe="") for name in order)
    text = "&".join([f"skip={skip}", f"take={take}", f"orderbyfieldids={sorted_by}", *spelled(wanted)])
    if len(text) + 1 > QUERY_ROOM:
        raise ValueError(f"the query is {len(text) + 1} characters long, more than the {QUERY_ROOM} that AFAS reads")
    return text


def spelled(wanted: Filter) -> tuple[str, ...]:
    """The filter's own parameters: the list form when no value gets in its way, else `filterjson`."""
    if not wanted:
        return ()
    if any(set(condition.value) & set(",;") for group in wanted for condition in group):
        return (_json(wanted),)
    return min(_lists(wanted), (_json(wanted),), key=lambda form: len("&".join(form)))


def _lists(wanted: Filter) -> tuple[str, ...]:
    def together(show: Callable[[Condition], str]) -> str:
        return ";".join(",".join(quote(show(condition), safe="") for condition in group) for group in wanted)

    return (
        f"filterfieldids={together(lambda condition: condition.field)}",
        f"filtervalues={together(_value)}",
        f"operatortypes={together(lambda condition: str(int(condition.operator)))}",
    )


def _json(wanted: Filter) -> str:
    groups = [
        {
            "@FilterId": f"Filter {number}",
            "Field": [
                {
                    "@FieldId": condition.field,
                    "@OperatorType": str(int(condition.operator)),
                    "#text": _value(condition),
                }
                for condition in group
            ],
        }
        for number, group in enumerate(wanted, start=1)
    ]
    return "filterjson=" + quote(msgspec.json.encode({"Filters": {"Filter": groups}}), safe="")


def _value(condition: Condition) -> str:
    return _FILLING if condition.operator in _WITHOUT_VALUE else condition.value


def chunks(
    wanted: Iterable[tuple[T, Filter]], fits: Callable[[Filter], bool], *, most: int
) -> Iterator[tuple[tuple[T, ...], Filter]]:
    """Alternatives put together into as few filters as fit, `most` of them in one; each keeps the names of its parts.

    Raises ValueError when one alternative does not even fit alone.
    """
    names: list[T] = []
    together: Filter = ()
    for name, alternative in wanted:
        if names and (len(names) >= most or not fits(together + alternative)):
            yield tuple(names), together
            names, together = [], ()
        if not fits(together + alternative):
            raise ValueError("this value is too long to be looked for")
        names.append(name)
        together += alternative
    if names:
        yield tuple(names), together
