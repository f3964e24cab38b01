"""Views and steps: what the core is shown of one real thing, and what it answers."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

from koppel.mapping.flow import SideName
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.sync.base import Base

StepKind = Literal["create", "update", "archive", "link", "unlink", "ask", "park", "refuse", "agree"]
WRITES = frozenset({"create", "update", "archive"})


class Side(msgspec.Struct, frozen=True):
    """One record as a flow sees it.

    `values`: by rule key, plain JSON, blanks as None. `digest` is the observation's. `excluded` says in words why the
    record is outside the flow's scope. `modified_at` is the vendor's stamp; `label` names the record for people.
    `successor_known`: somebody who knows named the successor, it is no mere proposal. `unheld`: rules that are for other records
    than this one, by key. `lacks`: by rule key, why a value that names other records cannot be carried over yet:
    what it names is not on the other side. `dated`: a document's date.
    """

    native: str
    values: dict[str, Json]
    digest: str
    label: str = ""
    keys: tuple[tuple[str, str], ...] = ()
    gone: bool = False
    excluded: str | None = None
    problems: tuple[Problem, ...] = ()
    modified_at: float | None = None
    successor: str | None = None
    successor_known: bool = False
    unheld: tuple[str, ...] = ()
    lacks: dict[str, Problem] = {}
    dated: str | None = None


class Linked(msgspec.Struct, frozen=True):
    """A right record that belongs to the left one. `follower`: one of many that share a key (rule B1)."""

    side: Side
    base: Base | None
    follower: bool = False


class Candidate(msgspec.Struct, frozen=True):
    """An unlinked or elsewhere-linked record of the other side that shares strong keys (`by`: kinds).

    `apart`: who decided when that it is not the same thing, in words; `news`: they have come to share a key since. A mere
    proposal has no keys but a `score` and `reasons`.
    """

    side: Side
    by: tuple[str, ...]
    taken: bool = False
    apart: str = ""
    news: bool = False
    score: int = 0
    reasons: tuple[str, ...] = ()


class View(msgspec.Struct, frozen=True):
    """Everything about one real thing that a decision needs.

    `anchor` is the side it is looked at from; `own` that side's record. `linked` are its counterparts, `candidates` other
    records of the counterpart side sharing a strong key, `twins` labels of other records of *this* side sharing one.
    `absence_known`: what the store does not show on the other side surely does not exist there. `waiting`: an operation
    about it is in doubt. `answers`: what a person decided, by field ("" = the match; `<right id> <field>` for one of several).
    `unfound`: why the record could not be read this time. `unseen`: counterparts that were made and never shown since.
    `proposals`: records of the other side that may be the same thing on weak evidence, best first. `follows`: another record of
    this side leads their subject, and this one is neither read nor written. `moved`: answers that no longer hold, by field, and why.
    `parted`: records of the other side that a person took it apart from, and that carry none of its keys. `leader`: what people
    call the record that leads, where `follows` and an answer cannot be carried out because of that.
    """

    anchor: SideName
    own: Side
    linked: tuple[Linked, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    twins: tuple[str, ...] = ()
    absence_known: bool = True
    waiting: bool = False
    answers: dict[str, Json] = {}
    unfound: Problem | None = None
    unseen: tuple[str, ...] = ()
    proposals: tuple[Candidate, ...] = ()
    follows: bool = False
    moved: dict[str, str] = {}
    parted: tuple[Candidate, ...] = ()
    leader: str = ""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing to do or to ask, as data. It does not know how to do itself.

    `side` is the side written to or asked about; `left`/`right` are native ids (None: to be created). `values` = what the
    target shall show, by rule key; `before` = what it shows now. `agreed`: fields on which both sides agree as seen, as
    [left form, right form]. `because` gives a reason per field ("" = the step itself). `problem` belongs to ask, park and
    refuse; `choices` to ask. `names`: how people call the records that values name (token → name). `later`: values a create gives by operations that follow its first one.
    `takes_over`: what the target has already and makes this create of, in words; `before` is then what that shows.
    """

    kind: StepKind
    side: SideName
    left: str | None
    right: str | None
    label: str = ""
    values: dict[str, Json] = {}
    before: dict[str, Json] = {}
    agreed: dict[str, tuple[Json, Json]] = {}
    because: dict[str, str] = {}
    follower: bool = False
    field: str = ""
    problem: Problem | None = None
    choices: tuple[dict[str, Json], ...] = ()
    names: dict[str, str] = {}
    later: dict[str, Json] = {}
    takes_over: str = ""

    @property
    def target(self) -> str | None:
        """The native id of the record written to."""
        return self.left if self.side == "left" else self.right

    @property
    def source(self) -> str | None:
        """The native id of the record it comes from."""
        return self.right if self.side == "left" else self.left

    def identity(self) -> str:
        """What a plan binds to: the same decision about the same state has the same identity (law 1)."""
        body = [
            self.kind,
            self.side,
            self.left,
            self.right,
            self.values,
            self.before,
            self.field,
            self.follower,
            sorted(self.agreed),
            *([self.takes_over] if self.takes_over else []),
        ]
        return blake2b(msgspec.json.encode(body, order="sorted"), digest_size=12).hexdigest()


class Need(msgspec.Struct, frozen=True):
    """What the store lacks: the other side must be asked for these keys before anything can be decided."""

    anchor: SideName
    native: str
    keys: tuple[tuple[str, str], ...]
