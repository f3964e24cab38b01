"""The compiled flow: the values a flow file becomes once it is read. Policy of one customer, no vendor knowledge."""

from __future__ import annotations

from typing import Literal

import msgspec

from koppel.model.values import Json, Money

FORMAT = 1
SideName = Literal["left", "right"]
Owner = Literal["left", "right", "newest", "ask", "union"]
Missing = Literal["archive", "unlink", "restore", "ask"]
SharedKey = Literal["facts", "all", "ask"]
Exists = Literal["link", "skip"]
Late = Literal["ask", "next"]


def other(side: SideName) -> SideName:
    """The opposite side."""
    return "right" if side == "left" else "left"


class Endpoint(msgspec.Struct, frozen=True):
    """`connection:resource`."""

    connection: str
    resource: str

    def __str__(self) -> str:
        return f"{self.connection}:{self.resource}"


class Condition(msgspec.Struct, frozen=True, rename={"in_": "in", "is_": "is"}):
    """One condition of a scope; exactly one test is set. `any` holds alternatives (OR); a list of conditions is ANDed."""

    field: str = ""
    is_: Json | msgspec.UnsetType = msgspec.UNSET
    is_not: Json | msgspec.UnsetType = msgspec.UNSET
    in_: tuple[Json, ...] | msgspec.UnsetType = msgspec.UNSET
    not_in: tuple[Json, ...] | msgspec.UnsetType = msgspec.UNSET
    filled: bool | msgspec.UnsetType = msgspec.UNSET
    any: tuple[Condition, ...] = ()


class Scope(msgspec.Struct, frozen=True):
    """What takes part. `take` = intake | intake+right | all decides for a left that cannot be listed."""

    take: Literal["intake", "intake+right", "all"] = "all"
    left: tuple[Condition, ...] = ()
    right: tuple[Condition, ...] = ()


class Match(msgspec.Struct, frozen=True):
    """How records find each other: strong keys link, weak evidence proposes (rule B17)."""

    keys: tuple[str, ...] = ()
    propose: tuple[str, ...] = ()
    shared_key: SharedKey = "facts"


class Enrich(msgspec.Struct, frozen=True):
    """What a third resource adds to every left record before anything is decided: VAT confirmation, a successor.

    `source` is asked by the value of the left's canonical path `by` (its native id there); `gives` names the canonical
    paths it fills in or corrects. `refresh` (seconds) = how old an answer may grow. No answer changes nothing.
    """

    name: str
    source: Endpoint
    by: str
    gives: tuple[str, ...]
    refresh: float = 30 * 86400.0


class FieldRule(msgspec.Struct, frozen=True):
    """The rule of one field.

    `path` is canonical (`address`), or a vendor's own field on one side: then `side` is that side and `path` the vendor's
    name (`Remarks`); its value comes from `source` (a canonical path of the other side), `const`, through `table` and
    `transform` in that order. `when` = always | create | update. `empty` and `default` speak of the owner's empty value;
    `defaults` holds one default per value of `default_by` ("*" = any other). `where`: the rule holds for these records of the
    owner's side only; `otherwise` are the rules tried when it does not, in this order. `forward`: values in the order in which
    they may follow each other. `number` is the place in a list of alternatives.
    """

    path: str
    owner: Owner = "left"
    side: SideName | None = None
    source: str | None = None
    const: Json | msgspec.UnsetType = msgspec.UNSET
    table: str | None = None
    transform: str | None = None
    when: Literal["always", "create", "update"] = "always"
    empty: Literal["keep", "clear"] = "keep"
    default: Json | msgspec.UnsetType = msgspec.UNSET
    drift: Literal["restore", "leave"] = "restore"
    line: int = 0
    defaults: dict[str, Json] = {}
    default_by: str | None = None
    where: tuple[Condition, ...] = ()
    otherwise: tuple[FieldRule, ...] = ()
    forward: tuple[str, ...] = ()
    number: int | None = None

    @property
    def alternatives(self) -> tuple[FieldRule, ...]:
        """This rule and those tried after it."""
        return (self, *self.otherwise)

    @property
    def key(self) -> str:
        """The field's name in bases, steps and the trail: `address`, `right:Remarks`."""
        return f"{self.side}:{self.path}" if self.side else self.path

    @property
    def derived(self) -> bool:
        """Whether the value is made (from another field, a constant, a table, a transform) and not simply this field's."""
        return bool(self.source or self.table or self.transform) or self.const is not msgspec.UNSET

    @property
    def from_side(self) -> SideName | None:
        """The side the value comes from, when there is one: the owner's, and for a one-sided field the other side."""
        if self.side:
            return other(self.side)
        return self.owner if self.owner == "left" or self.owner == "right" else None  # noqa: PLR1714 - narrows the type

    @property
    def to_sides(self) -> tuple[SideName, ...]:
        """The sides this rule may write."""
        return (other(self.from_side),) if self.from_side else ("left", "right")


class Group(msgspec.Struct, frozen=True):
    """How documents are posted together: the left of the flow is then made of the documents of `source`.

    One posting per value of `keys` (and currency); `journal` among them is what `journals` gives for the payment method. The
    other tables name ledgers: of turnover and of VAT by VAT meaning, of payment by method. `tolerance` (an amount) is what a
    document's lines may differ from its total; it goes to `rounding`. `scope`: which documents take part. `late`: what becomes
    of a difference that turns up after posting.
    """

    source: Endpoint
    by: Literal["day", "journal"] = "day"
    keys: tuple[str, ...] = ()
    late: Late = "ask"
    ledgers: str | None = None
    vat: str | None = None
    payments: str | None = None
    journals: str | None = None
    rounding: str | None = None
    tolerance: str = "0.00"
    scope: tuple[Condition, ...] = ()


class Brakes(msgspec.Struct, frozen=True):
    """Counts above which a run stops and asks (the guard). `share` is of the side's known records, `money` what documents come
    to that would be booked. None = no brake. `first`: the first run that would write anything is looked at by a person; every
    flow that is read from a file has it, unless it says otherwise."""

    creates: int | None = 200
    deletes: int | None = 0
    share: float | None = 0.2
    money: Money | None = None
    first: bool = False


class RunRules(msgspec.Struct, frozen=True):
    """When the flow runs. `refresh` (seconds) = how old a look-up of an unlistable left may grow before a run asks anew."""

    schedule: str | None = None
    window: str | None = None
    reconcile: str | None = None
    refresh: float | None = None
    brakes: Brakes = Brakes()


class Flow(msgspec.Struct, frozen=True):
    """A flow, whole. `digest` covers the meaning (not comments or layout); a stored plan is bound to it.

    `exists` = skip: what was there on both sides before the flow met it is linked and never written to.
    `group`: the left is made of documents; `left` then names what is made of them.
    """

    id: str
    title: str
    entity: str
    left: Endpoint
    right: Endpoint
    fields: tuple[FieldRule, ...]
    start: str | None = None
    scope: Scope = Scope()
    match: Match = Match()
    create_left: bool = False
    create_right: bool = False
    missing_left: Missing = "ask"
    missing_right: Missing = "ask"
    run: RunRules = RunRules()
    tables: dict[str, dict[str, Json]] = {}
    enrich: tuple[Enrich, ...] = ()
    digest: str = ""
    exists: Exists = "link"
    group: Group | None = None

    def endpoint(self, side: SideName) -> Endpoint:
        """The endpoint of that side."""
        return self.left if side == "left" else self.right

    def creates(self, side: SideName) -> bool:
        """Whether new records may be created on that side."""
        return self.create_left if side == "left" else self.create_right

    def missing(self, side: SideName) -> Missing:
        """What to do when that side disappears."""
        return self.missing_left if side == "left" else self.missing_right
