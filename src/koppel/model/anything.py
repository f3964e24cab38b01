"""What can be asked of a system beyond the records it keeps in step: any resource, by the vendor's own names. Plain data.

A system that offers this says so with `System.anything` (spi). Values keep their types: a fraction is a `Decimal` with the
vendor's digits, a moment a naive wall-clock `datetime`, an expanded collection a tuple of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from koppel.model.problem import Problem

Doing = Literal["read", "create", "update", "delete"]
Shown = dict[str, object]


class Kind(msgspec.Struct, frozen=True):
    """One resource in the list. `does` is empty where the vendor does not tell."""

    name: str
    does: tuple[Doing, ...]
    properties: int


class Trait(msgspec.Struct, frozen=True, omit_defaults=True):
    """One property of a resource. `names` is the resource whose record it holds the id of; `many`: a collection of records."""

    name: str
    type: str
    key: bool = False
    many: bool = False
    required: bool = False
    create: bool = False
    update: bool = False
    filters: bool | None = None
    obsolete: bool = False
    names: str = ""
    account: Literal["", "lacks", "adds"] = ""


class Described(msgspec.Struct, frozen=True):
    """A resource in full. `ways`: the addresses its records can be read by, best first; `given`: parameters it wants, with
    their types; `differences`: where the account's own description departs from our table."""

    name: str
    does: tuple[Doing, ...]
    key: tuple[str, ...]
    traits: tuple[Trait, ...]
    ways: tuple[str, ...] = ()
    given: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True):
    """What to read. `select`: () for the usual columns, ("*",) for all; `order`: names, with ` desc` behind for downwards;
    `given`: parameters of the resource's own; `next`: the page a sheet before said follows."""

    name: str
    where: str = ""
    select: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    top: int | None = None
    given: dict[str, str] = {}
    next: str | None = None


class Column(msgspec.Struct, frozen=True):
    """One column of an answer."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One page of an answer. `endpoint` is where it was read; `next` names the page that follows; `notes` what was odd."""

    name: str
    endpoint: str
    columns: tuple[Column, ...]
    rows: tuple[Shown, ...]
    next: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A write somebody wants: what to do, to which record, with which values (typed, or as a JSON file holds them).

    `typed`: the values are what somebody typed, to be read by their types. `unchecked`: properties that name a record nobody
    can look up, which a person has looked up instead.
    """

    name: str
    kind: Literal["create", "update", "delete"]
    native: str | None = None
    values: Shown = field(default_factory=dict[str, object])
    typed: bool = False
    unchecked: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A write that was checked and would be sent just so. `fields` is the body (empty: there is nothing to send), `before` what
    stands there now under the same names, `doubts` what could not be checked."""

    name: str
    kind: Literal["create", "update", "delete"]
    method: str
    path: str
    native: str | None
    fields: Shown
    before: Shown
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Written:
    """What became of a write. done · refused: surely no effect · unknown: nobody can tell, look first. `shown` is the record
    as the vendor showed it afterwards, in the names that were sent; `differs` the names it shows otherwise than sent."""

    status: Literal["done", "refused", "unknown"]
    native: str | None = None
    shown: Shown = field(default_factory=dict[str, object])
    differs: tuple[str, ...] = ()
    problem: Problem | None = None
