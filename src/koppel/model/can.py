"""What a resource can do and which fields it has: the facts that `check`, the planner and the contract suite read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from koppel.model.kinds import Kind
from koppel.model.values import Json

Writable = Literal["always", "create", "update", "never"]
NeverSkips = Literal["row_version", "clock_with_margin", "signal_time", "unlisted"]
ProbeBy = Literal["operation_id", "natural_key", "none"]


def _same(value: Json) -> Json:
    return value


@dataclass(frozen=True, kw_only=True)
class Field:
    """One canonical or vendor-own field of a resource.

    `path` is canonical (`address`, `vat_number`) or, for `own` fields, the vendor's name (`Remarks`).
    `vendor` names the wire fields it becomes. `form` maps a value (plain JSON, as `msgspec.to_builtins` gives) to how this
    resource keeps and shows it: merged lines, truncation. It must be idempotent in the sense that
    `form(value as read back) == form(value as sent)`. `lossy` says in words what is lost on the way. `refs`: for a value that names other records of the same connection, the path inside it ("" = the
    value itself, "product" = that part of every line) and the resource the id belongs to.
    """

    path: str
    kind: Kind = "text"
    vendor: tuple[str, ...] = ()
    readable: bool = True
    writable: Writable = "always"
    required: bool = False
    max_length: int | None = None
    values: tuple[str, ...] = ()
    own: bool = False
    lossy: str | None = None
    note: str | None = None
    form: Callable[[Json], Json] = _same
    refs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one call of a kind costs beyond quota: euros as text, or `tokens` where the vendor is paid in those and what a token
    costs is the customer's plan; with where the figure comes from."""

    call: str
    euros: str
    source: str
    tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Can:
    """What a resource allows. Times in seconds.

    `find` lists the kinds of key `find` answers (`native` = by id). `never_skips` says how a delta read avoids losing
    late commits. `settles_after`: when a write is surely visible to a probe. `operation_id_field`: the vendor field that
    carries our operation id, if any. `unread`: fields that can be written but not read back. `parallel`: requests at once.
    """

    list: bool = True
    since: bool = False
    tombstones: bool = False
    find: tuple[str, ...] = ("native",)
    create: bool = False
    update: bool = False
    archive: bool = False
    delete: bool = False
    page: int = 100
    batch: int = 1
    find_batch: int = 1
    parallel: int = 1
    never_skips: NeverSkips = "clock_with_margin"
    settles_after: float = 0.0
    probe: ProbeBy = "natural_key"
    operation_id_field: str | None = None
    conditional: bool = False
    returns_record: bool = False
    unread: tuple[str, ...] = ()
    prices: tuple[Price, ...] = ()
    gap: str = ""
    fields: tuple[Field, ...] = field(default=())

    def field(self, path: str) -> Field | None:
        """The field of that canonical path or vendor name."""
        return next((f for f in self.fields if f.path == path), None)
